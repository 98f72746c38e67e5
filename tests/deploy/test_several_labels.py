"""Exports of students of several labels a row."""

import ctypes
import json

import numpy as np
import pytest
import skl2onnx
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_multilabel_classification
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import (
    CompiledStudent,
    OnnxClassifier,
    register_converter,
    to_c,
    to_onnx,
)
from skdistill.deploy._to_sklearn import to_sklearn
from tests.deploy.c_code import library, needs_compiler
from tests.deploy.conftest import changed, run


@pytest.fixture(scope="module")
def made():
    """Return rows, labels, and a student of these."""
    X, y = make_multilabel_classification(60, 5, n_classes=3, random_state=0)
    X = X.astype(np.float32)
    net = make_student((64, 64), task="multilabel", max_epochs=10)
    clf = DistilledClassifier(None, net, alpha=0.5, random_state=0)
    return X, y, clf.fit(X, y, teacher_proba=0.8 * y + 0.1)


@pytest.fixture(scope="module")
def content(made):
    return to_onnx(made[2])


def test_to_sklearn_makes_a_perceptron_of_labels(made):
    X, y, clf = made
    plain = to_sklearn(clf)
    assert_allclose(plain.predict_proba(X), clf.predict_proba(X), rtol=0, atol=1e-6)
    assert_array_equal(plain.predict(X), clf.predict(X))
    assert plain["mlp"].out_activation_ == "logistic"
    plain["mlp"].partial_fit(plain["preprocess"].transform(X), y)
    assert plain.predict(X).shape == y.shape


def test_onnx_file_says_the_same(made, content):
    X, y, clf = made
    file = OnnxClassifier(content)
    assert file.multilabel_
    assert_array_equal(file.classes_, clf.classes_)
    assert file.metadata_["skdistill.task"] == "multilabel"
    assert_allclose(file.predict_proba(X), clf.predict_proba(X), rtol=0, atol=1e-5)
    assert_array_equal(file.predict(X), clf.predict(X))
    assert file.predict(X).dtype == np.int64
    assert file.score(X, y) == clf.score(X, y)


@needs_compiler
@pytest.mark.parametrize("quantize", [None, "int8"])
def test_code_says_the_same(made, tmp_path, quantize):
    X, y, clf = made
    file = to_c(clf, tmp_path / "student.c", quantize=quantize, sample=X)
    code = CompiledStudent(file)
    assert code.multilabel_
    assert_array_equal(code.classes_, clf.classes_)
    atol = 0.05 if quantize else 1e-5
    assert_allclose(code.predict_proba(X), clf.predict_proba(X), rtol=0, atol=atol)
    assert_array_equal(code.predict(X), code.predict_proba(X) > 0.5)
    assert code.predict(X).dtype == np.int64
    assert code.score(X, y) == pytest.approx(clf.score(X, y), abs=0.05)


@needs_compiler
def test_code_writes_ones_for_probable_labels(made, tmp_path):
    X, _, clf = made
    code = library(
        to_c(clf, tmp_path / "student.c"), to=tmp_path / "student.so"
    ).student_predict
    code.argtypes = [ctypes.c_void_p] * 2
    said = np.full((len(X), 4), 7, np.uint8)
    for row, labels in zip(X, said, strict=True):
        assert code(row.ctypes.data, labels.ctypes.data) == 0
    assert_array_equal(said[:, :3], clf.predict(X))
    assert (said[:, 3] == 7).all()
    bad = np.full(5, np.inf, np.float32)
    assert code(bad.ctypes.data, said[0].ctypes.data) == 1
    assert_array_equal(said[0, :3], clf.predict(X[:1])[0])


def test_metadata_of_other_labels_do_not_fit(made, content):
    damaged = OnnxClassifier(changed(content, classes=json.dumps([0, 1])))
    with pytest.raises(ValueError, match="do not fit"):
        damaged.predict_proba(made[0])


@pytest.mark.usefixtures("net_by_hand")
@pytest.mark.parametrize("quantize", ["int8", "float16"])
def test_narrow_weights_are_reported_by_label(made, quantize):
    X, y, clf = made
    data = to_onnx(clf, quantize=quantize, sample=X, sample_y=y)
    file = OnnxClassifier(data)
    report = json.loads(file.metadata_["skdistill.quantization"])
    same = file.predict(X) == clf.predict(X)
    assert report["agreement"] == pytest.approx(same.mean())
    assert report[f"subset_accuracy_{quantize}"] == pytest.approx(file.score(X, y))
    assert report["subset_accuracy_float32"] == pytest.approx(clf.score(X, y))
    with pytest.raises(ValueError, match="indicator matrix of 0 and 1"):
        to_onnx(clf, quantize=quantize, sample=X, sample_y=y[:, 0])


@pytest.mark.usefixtures("net_by_hand")
def test_skl2onnx_converts_pipelines(made):
    X, _, clf = made
    pipeline = make_pipeline(StandardScaler().fit(X), clf)
    register_converter()
    options = {"zipmap": False}
    model = skl2onnx.to_onnx(pipeline, X[:1], options=options, target_opset=21)
    label, proba = run(model.SerializeToString(), {"X": X})
    assert label.dtype == np.int64
    assert_array_equal(label, pipeline.predict(X))
    assert_allclose(proba, pipeline.predict_proba(X), rtol=0, atol=1e-5)
