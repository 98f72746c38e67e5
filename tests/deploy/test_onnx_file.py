import sys

import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from skdistill.deploy import OnnxClassifier, _onnx_file
from tests.deploy.models import X, array_file, array_model


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "onnxruntime refuses it"),
        (b"\x80\x04\x95 a pickle, perhaps", "it is no ONNX file, or it is cut off"),
        (b"<html>404</html>", "it is no ONNX file, or it is cut off"),
        (b"\x0b" * 40, "it is no ONNX file, or it is cut off"),
        (b"\xff" * 40, "it is no ONNX file, or it is cut off"),
    ],
)
def test_refuses_what_is_no_onnx_file(content, message, tmp_path):
    path = tmp_path / "student.onnx"
    path.write_bytes(content)

    with pytest.raises(ValueError, match=f"cannot load model: {message}"):
        OnnxClassifier(content).predict(X)
    with pytest.raises(ValueError, match=r"cannot load '.*student.onnx': "):
        OnnxClassifier(path).predict(X)


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"student\.onnx"):
        OnnxClassifier(tmp_path / "student.onnx").predict(X)
    with pytest.raises(OSError, match=tmp_path.name):
        OnnxClassifier(tmp_path).predict(X)


@pytest.mark.parametrize("model", [None, 3, bytearray(b"x"), array_model()])
def test_refuses_what_is_neither_path_nor_bytes(model):
    with pytest.raises(TypeError, match="must be a path or the bytes of a file, got"):
        OnnxClassifier(model).predict(X)


def test_refuses_a_file_of_another_program():
    model = array_model()
    del model.metadata_props[:]

    with pytest.raises(ValueError, match=r"not written by skdistill\.deploy\.to_onnx"):
        OnnxClassifier(model.SerializeToString()).predict(X)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"classes": None}, "metadata are damaged.*'classes'"),
        ({"classes": "[0, 1"}, "metadata are damaged"),
        ({"classes_dtype": "?!"}, "metadata are damaged"),
        ({"classes": "[" * 100_000}, "metadata are damaged"),
        ({"classes": "[0, 1, 1]"}, "metadata are damaged.*twice"),
        ({"classes": "[0, 1, 1.5]"}, "metadata are damaged.*twice"),  # as integers
        ({"classes": "[[0], [1], [2]]"}, "classes has values of a wrong type"),
        ({"classes": "[0, 1, null]"}, "classes has values of a wrong type"),
        ({"classes": "[]"}, "classes is no list"),
        ({"classes_dtype": "<U300000"}, "labels of the dtype"),
        ({"n_features": "0"}, "metadata are damaged.*0 features"),
        ({"n_features": "99999999"}, "metadata are damaged.*99999999 features"),
        ({"feature_names": '["a", "a"]'}, "feature_names is there twice"),
        ({"feature_names": '["a", 1]'}, "feature_names has values of a wrong type"),
        ({"feature_names": '{"a": 1, "b": 2}'}, "feature_names is no list"),
        ({"kinds": "[1, 2]"}, "kinds has values of a wrong type"),
        ({"classes_dtype": "i4,i4"}, "metadata are damaged.*labels of the dtype"),
        ({"n_features": "9" * 5000}, "metadata are damaged"),
        ({"kinds": "3"}, "metadata are damaged"),
        ({"zones": "[null]"}, "metadata are damaged"),
        ({"kinds": '["date", "float"]'}, "metadata are damaged"),
        (
            {"kinds": '["date", "float"]', "zones": '["dateutil//etc/passwd"]'},
            "an unknown time zone",
        ),
        ({"kinds": '["date", "float"]', "zones": '["/etc/x"]'}, "unknown time zone"),
        ({"kinds": '["date", "float"]', "zones": '["UTC"]'}, "metadata do not fit"),
        ({"classes": "[0, 1]"}, "metadata do not fit"),
        ({"n_features": "3"}, "metadata do not fit"),
        ({"feature_names": '["a"]'}, "metadata do not fit"),
        ({"kinds": '["float", "float"]'}, "metadata do not fit"),
    ],
)
def test_refuses_metadata_that_do_not_fit(metadata, message):
    with pytest.raises(ValueError, match=message):
        OnnxClassifier(array_file(**metadata)).predict(X)


def test_refuses_a_file_without_probabilities():
    model = array_model()
    del model.graph.output[1]

    with pytest.raises(ValueError, match="metadata do not fit"):
        OnnxClassifier(model.SerializeToString()).predict(X)


def test_refuses_operators_of_other_libraries():
    model = array_model()
    model.graph.node[0].domain = "somebody.else"
    model.opset_import.append(helper.make_opsetid("somebody.else", 1))

    with pytest.raises(ValueError, match="onnxruntime refuses it"):
        OnnxClassifier(model.SerializeToString()).predict(X)


def answering(*nodes, **tensors):
    """Return a model whose probabilities are those of nodes on the right ones."""
    model = array_model()
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    softmax.output[0] = "right"
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in tensors.items()
    )
    return OnnxClassifier(model.SerializeToString())


@pytest.mark.parametrize(
    ("operator", "other", "message"),
    [
        ("Mul", np.float32(12), "values outside of"),
        ("Sub", np.float32(0.5), "values outside of"),
        ("Log", None, "values outside of"),
        ("Div", np.float32(np.nan), "no probabilities for row 0"),
        ("Mul", np.float32(0), "no probabilities for row 0"),
        ("Gather", np.array([0, 1]), r"shape \(2, 3\), and not \(4, 3\)"),
        ("Gather", np.array([0] * 9), r"shape \(9, 3\), and not \(4, 3\)"),
    ],
    ids=["large", "negative", "log", "NaN", "zero", "fewer rows", "more rows"],
)
def test_refuses_answers_that_are_no_probabilities(operator, other, message):
    inputs = ["right"] if other is None else ["right", "other"]
    made = helper.make_node(operator, inputs, ["probabilities"])
    tensors = {} if other is None else {"other": other}

    with pytest.raises(ValueError, match=message):
        answering(made, **tensors).predict(X)


def test_model_that_fails_when_it_runs():
    model = array_model()
    model.graph.node.insert(0, helper.make_node("Reshape", ["X", "shape"], ["Y"]))
    model.graph.node[1].input[0] = "Y"
    model.graph.initializer.append(numpy_helper.from_array(np.array([7, 2]), "shape"))

    with pytest.raises(ValueError, match="the model cannot be run"):
        OnnxClassifier(model.SerializeToString()).predict(X)


def test_refuses_the_format_of_onnxruntime(tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "student.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(array_file(), options, ["CPUExecutionProvider"])
    content = (tmp_path / "student.ort").read_bytes()

    assert onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    with pytest.raises(ValueError, match="cannot load model"):
        OnnxClassifier(content).predict(X)
    with pytest.raises(ValueError, match="onnxruntime refuses it"):
        _onnx_file._session(content)


def test_missing_onnxruntime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(ImportError, match=r"pip install skdistill\[onnx\]"):
        OnnxClassifier(array_file()).predict(X)
