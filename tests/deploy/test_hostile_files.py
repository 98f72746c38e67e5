"""Damaged and hostile files: OnnxClassifier refuses them, or answers as it should."""

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose
from onnx import TensorProto, helper

from skdistill.deploy import OnnxClassifier
from tests.deploy.models import FRAME, X, array_model, frame_file, tensor


def assert_refused_or_sound(content, rows):
    """Assert that a file is refused, or gives probabilities of the right shape."""
    clf = OnnxClassifier(content)
    try:
        proba = clf.predict_proba(rows)
    except ValueError:
        return
    assert proba.shape == (len(rows), len(clf.classes_))
    assert np.isfinite(proba).all()
    assert_allclose(proba.sum(axis=1), 1)
    assert np.isin(clf.predict(rows), clf.classes_).all()


FILES = {
    "array": lambda request: (array_model().SerializeToString(), X),
    "frame": lambda request: (frame_file(), FRAME),
    "exported": lambda request: (
        request.getfixturevalue("net_file"),
        request.getfixturevalue("data")[0],
    ),
}


@pytest.mark.filterwarnings("ignore:X has feature names")  # the file's were damaged
@pytest.mark.parametrize("kind", FILES)
def test_flipped_bits(request, kind, capsys):
    content, rows = FILES[kind](request)
    rng = np.random.default_rng(0)
    for _ in range(100):
        damaged = np.frombuffer(content, np.uint8).copy()
        bits = rng.integers(8 * len(damaged), size=rng.integers(1, 4))
        np.bitwise_xor.at(damaged, bits // 8, (1 << (bits % 8)).astype(np.uint8))
        assert_refused_or_sound(damaged.tobytes(), rows)
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("kind", FILES)
def test_bytes_that_are_left_out_or_there_twice(request, kind):
    content, rows = FILES[kind](request)
    rng = np.random.default_rng(0)
    for _ in range(40):
        start, stop = np.sort(rng.integers(len(content) + 1, size=2))
        assert_refused_or_sound(content[:start] + content[stop:], rows)
        assert_refused_or_sound(content[:stop] + content[start:], rows)


def in_weights(*dims):
    def change(model):
        model.graph.initializer[0].dims[:] = dims

    return change


def in_input(*dims):
    def change(model):
        shape = helper.make_tensor_value_info("X", TensorProto.FLOAT, dims)
        model.graph.input[0].CopyFrom(shape)

    return change


def in_front(*nodes):
    """Return a change that computes the logits by other nodes, from "product"."""

    def change(model):
        model.graph.node[0].output[0] = "product"
        for place, node in enumerate(nodes, start=1):
            model.graph.node.insert(place, node)

    return change


def of_shape(*shape):
    """Return a change that adds zeros of some shape to the logits."""

    def change(model):
        sizes = onnx.numpy_helper.from_array(np.array(shape, np.int64), "sizes")
        model.graph.initializer.append(sizes)
        in_front(
            helper.make_node("ConstantOfShape", ["sizes"], ["zeros"]),
            helper.make_node("Add", ["product", "zeros"], ["logits"]),
        )(model)

    return change


def node(op_type, domain=None, **attributes):
    return helper.make_node(
        op_type, ["product"], ["logits"], domain=domain, **attributes
    )


HOSTILE = {
    "huge weights": in_weights(2**62, 3),
    "weights whose size overflows": in_weights(2**32, 2**32),
    "weights without elements": in_weights(0, 3),
    "huge rows": in_input("batch", 2**62),
    "rows without width": in_input("batch", 0),
    "rows of unknown width": in_input("batch", "width"),
    "rows of many dimensions": in_input(*["batch"] * 100),
    "huge value": of_shape(2**60, 3),
    "value whose size overflows": of_shape(2**32, 2**32),
    "value of many rows": of_shape(1000, 3),
    "operator of another domain": in_front(node("Anything", "com.example")),
    "operator of onnxruntime": in_front(node("Gelu", "com.microsoft")),
    "operator of Python": in_front(node("PyOp", "ai.onnx.contrib")),
    "cycle": in_front(helper.make_node("Add", ["product", "logits"], ["logits"])),
    "output of another value": in_front(node("Identity"), node("Identity")),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_graphs(change):
    model = array_model()
    change(model)
    assert_refused_or_sound(model.SerializeToString(), X)


@pytest.mark.parametrize("change", ["input", "output", "initializer"])
def test_declarations_of_other_types(change):
    for type_ in TensorProto.DataType.values():
        model = array_model()
        if change == "initializer":
            model.graph.initializer[0].data_type = type_
        else:
            values = getattr(model.graph, change)
            values[-1].type.tensor_type.elem_type = type_
        assert_refused_or_sound(model.SerializeToString(), X)


def test_names_that_are_there_twice():
    model = array_model()
    model.graph.initializer.append(tensor("weights", np.ones((2, 3))))
    assert_refused_or_sound(model.SerializeToString(), X)
    model = array_model()
    model.graph.input.append(model.graph.input[0])
    assert_refused_or_sound(model.SerializeToString(), X)
