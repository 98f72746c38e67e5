import os
import pickle

import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from skdistill.deploy import OnnxClassifier, _onnx_safety
from tests.deploy.models import WEIGHTS, X, array_file, array_model, tensor


def outside(location="outside.bin"):
    """Return weights that are in another file."""
    weights = TensorProto(
        name="weights", data_type=TensorProto.FLOAT, dims=WEIGHTS.shape
    )
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    return weights


def sparse(values):
    return onnx.SparseTensorProto(values=values, indices=outside(), dims=[2, 3])


def attribute(**fields):
    return onnx.AttributeProto(name="value", **fields)


def subgraph():
    return onnx.GraphProto(initializer=[outside()])


def in_constant(model, hidden):
    model.graph.node.add(op_type="Constant", output=["c"]).attribute.append(hidden)


def without(field):
    hidden = outside()
    hidden.ClearField(field)
    return hidden


PLACES = {
    "no data": lambda m: m.graph.initializer.append(without("external_data")),
    "no location": lambda m: m.graph.initializer.append(without("data_location")),
    "initializer": lambda m: m.graph.initializer.append(outside()),
    "sparse_initializer": lambda m: m.graph.sparse_initializer.append(
        sparse(tensor("weights", WEIGHTS))
    ),
    "tensor": lambda m: in_constant(m, attribute(t=outside())),
    "tensors": lambda m: in_constant(m, attribute(tensors=[outside()])),
    "sparse_tensor": lambda m: in_constant(
        m, attribute(sparse_tensor=sparse(outside()))
    ),
    "sparse_tensors": lambda m: in_constant(
        m, attribute(sparse_tensors=[sparse(outside())])
    ),
    "graph": lambda m: in_constant(m, attribute(g=subgraph())),
    "graphs": lambda m: in_constant(m, attribute(graphs=[subgraph()])),
    "subgraph_of_subgraph": lambda m: in_constant(
        m,
        attribute(
            g=onnx.GraphProto(
                node=[onnx.NodeProto(attribute=[attribute(g=subgraph())])]
            )
        ),
    ),
    "training": lambda m: m.training_info.add(initialization=subgraph()),
    "training_algorithm": lambda m: m.training_info.add(algorithm=subgraph()),
}


@pytest.fixture
def no_session(monkeypatch):
    """Fail the test if onnxruntime gets to see a file."""

    def session(*args, **kwargs):
        raise AssertionError("onnxruntime was given the file")

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.usefixtures("no_session")
def test_refuses_data_outside_the_file(place):
    model = array_model()
    PLACES[place](model)

    with pytest.raises(ValueError, match="it names data outside itself"):
        OnnxClassifier(model.SerializeToString()).predict(X)


@pytest.mark.usefixtures("no_session")
def test_refuses_functions():
    model = array_model()
    model.functions.add(name="f", domain="own").node.add(op_type="Relu")

    with pytest.raises(ValueError, match=r"functions of its own.*inline them"):
        OnnxClassifier(model.SerializeToString()).predict(X)


@pytest.mark.parametrize("location", ["absolute", "relative", "parent"])
@pytest.mark.usefixtures("no_session")
def test_refuses_weights_in_another_file(tmp_path, monkeypatch, location):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    weights = tmp_path / ("folder" if location == "relative" else "") / "weights.bin"
    weights.write_bytes(WEIGHTS.tobytes())
    model = array_model()
    model.graph.initializer[0].CopyFrom(
        outside(os.path.relpath(weights) if location != "absolute" else str(weights))
    )
    onnx.save(model, "student.onnx")

    for source in ("student.onnx", model.SerializeToString()):
        with pytest.raises(ValueError, match="it names data outside itself"):
            OnnxClassifier(source).predict(X)


@pytest.mark.usefixtures("no_session")
def test_message_in_two_pieces_is_checked_whole():
    # A protobuf parser puts together what is there twice.
    second = onnx.ModelProto(graph=subgraph()).SerializeToString()

    with pytest.raises(ValueError, match="it names data outside itself"):
        OnnxClassifier(array_file() + second).predict(X)


def test_default_data_location_is_accepted():
    model = array_model()
    model.graph.initializer[0].data_location = TensorProto.DEFAULT

    assert OnnxClassifier(model.SerializeToString()).predict([[1.0, 0.0]]) == [0]


@pytest.mark.parametrize(
    "ending",
    [b"\x0b\x0c", b"\x06", b"\x00\x00", b"\xba\x80\x80\x80\x10\x00", b"\x08"],
    ids=["group", "wire_type", "field_0", "field_2**29", "no_value"],
)
@pytest.mark.usefixtures("no_session")
def test_refuses_what_parsers_may_read_differently(ending):
    with pytest.raises(ValueError, match="it is no ONNX file, or it is cut off"):
        OnnxClassifier(array_file() + ending).predict(X)


def test_unknown_fields_are_passed_over():
    unknown = b"\x88\x7d\x96\x01" + b"\x8d\x7d1234" + b"\x89\x7d12345678"

    assert OnnxClassifier(array_file() + unknown).predict([[1.0, 0.0]]) == [0]


def test_table_of_messages_is_that_of_onnx():
    found = {}

    def visit(message):
        if message.name in found:
            return
        found[message.name] = {}
        for field in message.fields:
            if field.message_type is not None:
                visit(field.message_type)
                found[message.name][field.number] = field.message_type.name

    def leads_to_tensor(name, seen=frozenset()):
        return name == "TensorProto" or any(
            leads_to_tensor(inner, seen | {name})
            for inner in found[name].values()
            if inner not in seen
        )

    visit(onnx.ModelProto.DESCRIPTOR)
    expected = {
        name: {number: to for number, to in fields.items() if leads_to_tensor(to)}
        for name, fields in found.items()
        if leads_to_tensor(name)
    }
    del expected["FunctionProto"]  # is refused
    assert expected["ModelProto"].pop(_onnx_safety._FUNCTIONS) == "FunctionProto"
    assert expected == _onnx_safety._MESSAGES
    numbers = onnx.TensorProto.DESCRIPTOR.fields_by_name
    assert numbers["external_data"].number == _onnx_safety._EXTERNAL_DATA
    assert numbers["data_location"].number == _onnx_safety._DATA_LOCATION


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_in_place_of_a_file(protocol, tmp_path):
    path = tmp_path / "student.joblib"
    path.write_bytes(pickle.dumps([1, 2], protocol))
    with pytest.raises(ValueError, match=r"no ONNX file.* joblib\.load"):
        OnnxClassifier(path).fit()
