import copy
import json

import numpy as np
import onnx
import pytest
import torch

from skdistill import make_student
from skdistill.deploy import OnnxClassifier, _quantized, to_onnx
from skdistill.deploy._outputs import ClassOutput
from tests.deploy.conftest import distilled, metadata_of

pytestmark = pytest.mark.usefixtures("net_by_hand")


def report_of(made):
    return json.loads(metadata_of(made)["skdistill.quantization"])


@pytest.mark.parametrize("given", [True, False])
def test_int8(wide_student, data, given, recwarn):
    sample = data[0] if given else None
    float32 = to_onnx(wide_student, sample=sample)
    made = to_onnx(wide_student, quantize="int8", sample=sample)
    report = report_of(made)
    assert report["bytes_int8"] == len(made) < 0.7 * len(float32)
    assert report["bytes_float32"] == len(float32)
    assert report["n_rows"] == (90 if given else 256)
    assert report["sample"] == ("given" if given else "made up")
    if given:
        file, X = OnnxClassifier(made), data[0]
        proba, expected = file.predict_proba(X), wide_student.predict_proba(X)
        same = proba.argmax(axis=1) == expected.argmax(axis=1)
        assert report["agreement"] == same.mean() > 0.95
        assert report["max_difference"] == np.abs(proba - expected).max() > 0
    assert any(t.data_type == onnx.TensorProto.INT8 for t in
               onnx.load_from_string(made).graph.initializer)  # fmt: skip


@pytest.mark.parametrize("better", ["dynamic", "static"])
def test_int8_keeps_what_changes_less(wide_student, data, monkeypatch, better):
    honest = _quantized._int8_net

    def spoil_the_other(net, kind, rows):
        made = honest(net, kind, rows)
        if kind != better:
            (node,) = (n for n in made.graph.node if n.op_type == "Softmax")
            node.op_type = "Identity"
            del node.attribute[:]
        return made

    monkeypatch.setattr(_quantized, "_int8_net", spoil_the_other)
    made = to_onnx(wide_student, quantize="int8", sample=data[0])
    assert report_of(made)["kind"] == better


def test_int8_reports_its_accuracy_where_the_labels_are_known(wide_student, data):
    X, y = data
    labels = wide_student.classes_[y]
    made = to_onnx(wide_student, quantize="int8", sample=X, sample_y=labels)
    report = report_of(made)
    assert report["accuracy_int8"] == OnnxClassifier(made).score(X, labels)
    assert report["accuracy_float32"] == wide_student.score(X, labels)
    for wrong in (labels[1:], ["no such label"] * len(X)):
        with pytest.raises(ValueError, match="sample_y must have a label of classes_"):
            to_onnx(wide_student, quantize="int8", sample=X, sample_y=wrong)


def test_int8_uses_the_way_that_works(wide_student, data, monkeypatch):
    monkeypatch.setattr("onnxruntime.quantization.quantize_dynamic", None)
    made = to_onnx(wide_student, quantize="int8", sample=data[0])
    assert report_of(made)["kind"] == "static"
    with pytest.raises(ValueError, match="quantize=None") as info:
        to_onnx(wide_student, quantize="int8")
    assert isinstance(info.value.__cause__, TypeError)


def test_int8_warns_of_changed_labels(wide_student, data, monkeypatch):
    monkeypatch.setattr(ClassOutput, "least", 1.1)
    with pytest.warns(UserWarning, match="int8 changes the label") as record:
        to_onnx(wide_student, quantize="int8", sample=data[0])
    assert record[0].filename == __file__
    assert "sample=" not in str(record[0].message)
    with pytest.warns(UserWarning, match="pass typical rows as sample="):
        to_onnx(wide_student, quantize="int8")


def test_int8_that_is_no_smaller(net_student, tmp_path):
    with pytest.raises(ValueError, match=r"no smaller.* quantize=None"):
        to_onnx(net_student, tmp_path / "model.onnx", quantize="int8")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("numeric", ["piecewise", "periodic"])
def test_int8_of_encoded_numbers(data, numeric, given):
    clf = distilled(make_student(numeric=numeric, max_epochs=5), *data)
    made = to_onnx(clf, quantize="int8", sample=data[0] if given else None)
    report = report_of(made)
    assert len(made) < 0.75 * report["bytes_float32"]
    assert report["agreement"] > 0.95


@pytest.mark.parametrize("given", [True, False])
def test_float16(wide_student, data, given):
    X, y = data
    float32 = to_onnx(wide_student)
    known = {"sample": X, "sample_y": wide_student.classes_[y]} if given else {}
    made = to_onnx(wide_student, quantize="float16", **known)
    report = report_of(made)
    module = wide_student.student_[-1].module_
    weights = [weight for weight in module.parameters() if weight.numel() > 64]
    saved = 2 * sum(weight.numel() for weight in weights)
    assert len(float32) - saved < len(made) < len(float32) - saved + 1500
    assert report["bytes_float16"] == len(made)
    assert report["bytes_float32"] == len(float32)
    assert report["kind"] == "weights"
    file, expected = OnnxClassifier(made), wide_student.predict_proba(X)
    difference = np.abs(file.predict_proba(X) - expected).max()
    assert 0 < difference < 1e-2
    if given:
        assert report["max_difference"] == difference
        assert report["accuracy_float16"] == file.score(X, known["sample_y"])
    onnx.checker.check_model(onnx.load_from_string(made), full_check=True)
    kinds = [t.data_type for t in onnx.load_from_string(made).graph.initializer]
    assert kinds.count(onnx.TensorProto.FLOAT16) == len(weights)


def test_float16_of_weights_that_are_too_large(wide_student):
    clf = copy.deepcopy(wide_student)
    with torch.no_grad():
        clf.student_[-1].module_.layers[0].weight[0, 0] = 1e5
    with pytest.raises(
        ValueError, match=r"float16 is not possible .*use quantize=None"
    ):
        to_onnx(clf, quantize="float16")
