import copy
import errno
import json
import logging
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import polars as pl
import pytest
import skl2onnx
import torch
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import (
    OnnxClassifier,
    _int8,
    register_converter,
    to_onnx,
    to_sklearn,
)
from skdistill.deploy import _to_onnx as module
from tests.conftest import TinyModule, tiny_net


def proba_for(y):
    """Return soft labels that say what y says."""
    return np.where(np.unique(y) == np.asarray(y)[:, None], 0.8, 0.2 / 2)


def distilled(student, X, y):
    """Return a DistilledClassifier that needs no teacher."""
    clf = DistilledClassifier(student=student, random_state=0, alpha=0.5)
    proba = proba_for(y)
    return clf.fit(X, y, teacher_proba=proba / proba.sum(axis=1, keepdims=True))


def quick_student(**params):
    return make_student(hidden_layer_sizes=(16,), max_epochs=2, **params)


@pytest.fixture(scope="module")
def exported():
    return {}


@pytest.fixture(autouse=True)
def export_each_net_once(exported, monkeypatch):
    """Save the second that an export takes; it leaves what it returns unchanged."""
    honest = module.convert_net

    def export(net, rows):
        if id(net) not in exported:
            exported[id(net)] = net, honest(net, rows)
        return exported[id(net)][1]

    monkeypatch.setattr(module, "convert_net", export)


@pytest.fixture(scope="module")
def table():
    """Return mixed columns under names that skl2onnx would change, and labels."""
    rng = np.random.default_rng(0)
    n = 120
    X = pd.DataFrame(
        {
            "capital-gain": np.where(rng.random(n) < 0.1, np.nan, rng.normal(50, 9, n)),
            "home town": rng.choice(["ä b", "it's", "c"], n),
            "1": rng.integers(0, 9, n),
            "variable": rng.choice(np.array(["u", "v", None], dtype=object), n),
            "empty": np.full(n, None, dtype=object),
            "flag": rng.random(n) < 0.5,
        }
    )
    return X, np.where(X["1"] > 4, "yes", "no")


@pytest.fixture(scope="module")
def frame_student(table):
    return distilled(quick_student(), *table)


@pytest.fixture(scope="module")
def frame_file(frame_student):
    return to_onnx(frame_student)


@pytest.fixture(scope="module")
def array_student(data):
    return distilled(quick_student(), *data)


@pytest.fixture(scope="module")
def array_file(array_student):
    return to_onnx(array_student)


@pytest.fixture(scope="module")
def net_student(data):
    """Return a bare net, which is exported soonest."""
    return distilled(tiny_net(max_epochs=2), *data)


@pytest.fixture(scope="module")
def net_file(net_student):
    return to_onnx(net_student)


def assert_same(data, clf, X):
    """Assert that a file says what was fitted, and how closely."""
    file = OnnxClassifier(data)
    np.testing.assert_allclose(
        file.predict_proba(X), clf.predict_proba(X), rtol=0, atol=1e-6
    )
    np.testing.assert_array_equal(file.predict(X), clf.predict(X))
    assert file.predict(X).dtype == clf.predict(X).dtype


def run(data, feed):
    session = onnxruntime.InferenceSession(data)
    return session.run(["label", "probabilities"], feed)


def metadata_of(data):
    props = onnx.load_from_string(data).metadata_props
    return {prop.key: prop.value for prop in props}


# Data frames


def test_frame_as_it_was_fitted(frame_file, frame_student, table):
    assert_same(frame_file, frame_student, table[0])


def test_frame_with_what_was_never_seen(frame_file, frame_student, table):
    X = table[0].iloc[:4].copy()
    X["capital-gain"] = [np.nan, 1e30, -1e30, 0]
    X["home town"] = ["never seen", None, "", "nan"]
    X["variable"] = [None, "never seen", "u", None]
    assert_same(frame_file, frame_student, X)


def test_frame_of_polars(frame_file, frame_student, table):
    assert_same(frame_file, frame_student, pl.from_pandas(table[0]))


def test_frame_has_an_input_for_each_column(frame_file, table):
    session = onnxruntime.InferenceSession(frame_file)
    inputs = [(node.name, node.type, node.shape) for node in session.get_inputs()]
    text = {"home town", "variable", "empty"}
    assert inputs == [
        (name, "tensor(string)" if name in text else "tensor(float)", ["batch", 1])
        for name in table[0].columns
    ]


@pytest.mark.parametrize("n_rows", [1, 7])
def test_frame_by_onnxruntime_alone(frame_file, frame_student, table, n_rows):
    X = table[0].iloc[:n_rows]
    feed = {
        name: X[[name]].astype("float32").to_numpy()
        for name in ("capital-gain", "1", "flag")
    }
    for name in ("home town", "variable", "empty"):
        strings = ["nan" if pd.isna(value) else value for value in X[name]]
        feed[name] = np.array(strings, dtype=object)[:, np.newaxis]
    label, proba = run(frame_file, feed)
    assert label.tolist() == frame_student.predict(X).tolist()
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba, frame_student.predict_proba(X), atol=1e-6)


def test_frame_metadata(frame_file, table):
    assert {
        name: json.loads(value)
        for name, value in metadata_of(frame_file).items()
        if not name.endswith(("version", "dtype"))
    } == {
        "skdistill.classes": ["no", "yes"],
        "skdistill.n_features": 6,
        "skdistill.feature_names": list(table[0].columns),
        "skdistill.kinds": ["float", "string", "float", "string", "string", "float"],
    }


def test_frame_of_numbers_and_numbered_columns_is_one_tensor(data):
    X = pd.DataFrame(data[0])
    clf = distilled(quick_student(), X, data[1])
    data = to_onnx(clf)
    assert [node.name for node in onnx.load_from_string(data).graph.input] == ["X"]
    assert_same(data, clf, X)


def test_frame_of_strings_and_numbered_columns(table):
    X = table[0].set_axis(range(6), axis=1)
    clf = distilled(quick_student(), X, table[1])
    data = to_onnx(clf)
    names = [node.name for node in onnx.load_from_string(data).graph.input]
    assert names == ["0", "1", "2", "3", "4", "5"]
    assert_same(data, clf, X)


def test_frame_of_one_column_of_strings(table):
    X = table[0][["home town"]]
    clf = distilled(quick_student(), X, table[1])
    assert_same(to_onnx(clf), clf, X)


@pytest.mark.parametrize("name", ["label", "probabilities", ""])
def test_refuses_columns_named_as_an_output(table, name):
    X = table[0][["home town", "1"]].set_axis([name, "other"], axis=1)
    with pytest.raises(ValueError, match="rename the column"):
        to_onnx(distilled(quick_student(), X, table[1]))


def test_refuses_a_label_that_means_missing(table):
    X = pd.DataFrame({"a": np.array(["nan", None, "b"] * 40, dtype=object)})
    with pytest.raises(ValueError, match="give the label another name"):
        to_onnx(distilled(quick_student(), X, table[1]))


# Arrays


def test_array_student(array_file, array_student, data):
    X = data[0].astype(np.float32)
    X[::7, 1], X[3] = np.nan, 1e30
    assert_same(array_file, array_student, X)


@pytest.mark.parametrize("n_rows", [1, 90])
def test_array_by_onnxruntime_alone(array_file, array_student, data, n_rows):
    X = data[0][:n_rows]
    label, proba = run(array_file, {"X": X.astype(np.float32)})
    assert label.dtype == np.int64
    np.testing.assert_array_equal(label, array_student.predict(X))
    np.testing.assert_allclose(proba, array_student.predict_proba(X), atol=1e-6)


def test_array_metadata(array_file):
    metadata = metadata_of(array_file)
    assert metadata.pop("skdistill.version")
    assert metadata == {
        "skdistill.classes": "[0, 1, 2]",
        "skdistill.classes_dtype": "<i8",
        "skdistill.n_features": "4",
    }


def test_sparse_sample_is_of_a_net_that_takes_it(net_student, net_file, data):
    assert to_onnx(net_student, sample=csr_matrix(data[0])) == net_file


def test_sample_of_one_row_and_list(net_student, net_file, data):
    assert to_onnx(net_student, sample=data[0][:1].tolist()) == net_file


@pytest.mark.parametrize("file", ["frame_file", "array_file", "net_file"])
def test_file_is_of_one_format_and_keeps_to_itself(request, file):
    data = request.getfixturevalue(file)
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    assert opsets.pop("") == 21
    assert set(opsets) <= {"ai.onnx.ml"}
    assert len(opsets) == len(model.opset_import) - 1
    assert model.ir_version == 10
    assert not model.functions
    assert not any(t.external_data for t in model.graph.initializer)
    for trace in (b"stack_trace", b".py", b"torch", os.getcwd().encode()):
        assert trace not in data


def test_weights_are_most_of_the_file(array_file, array_student):
    weights = array_student.student_[-1].module_.parameters()
    assert len(array_file) < 4 * sum(w.numel() for w in weights) + 2500


# Labels


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (np.array([3, 5, 200], dtype=np.uint8), [3, 5, 200]),
        (np.array([-1.0, 0.0, 2.0]), [-1, 0, 2]),
        (np.array([-(2**63), 0, 2**63 - 1]), [-(2**63), 0, 2**63 - 1]),
        (np.array(["a", "ö", "c c"]), ["a", "ö", "c c"]),
        (np.array(["a", "b", "c"], dtype=object), ["a", "b", "c"]),
        (np.array([1, 2, 3], dtype=object), [1, 2, 3]),
    ],
)
def test_labels(net_student, data, classes, labels):
    clf = copy.copy(net_student)
    clf.classes_ = classes
    made = to_onnx(clf)
    assert_same(made, clf, data[0])
    label, proba = run(made, {"X": data[0].astype(np.float32)})
    assert label.dtype == (object if isinstance(labels[0], str) else np.int64)
    assert label.tolist() == [labels[i] for i in proba.argmax(axis=1)]


def test_labels_that_are_booleans(data):
    clf = distilled(tiny_net(max_epochs=2), data[0], data[1] > 0)
    made = to_onnx(clf)
    assert_same(made, clf, data[0])
    label, _ = run(made, {"X": data[0].astype(np.float32)})
    assert label.dtype == np.int64
    np.testing.assert_array_equal(label, clf.predict(data[0]))


@pytest.mark.parametrize(
    "classes",
    [
        np.array([0.5, 1.0, 2.0]),
        np.array([0.0, 1.0, np.inf]),
        np.array([1, "a", "b"], dtype=object),
        np.array([b"a", b"b", b"c"]),
        np.array([0, 1, 2**63], dtype=np.uint64),
        np.array(["2020", "2021", "2022"], dtype="datetime64[Y]"),
    ],
)
def test_refuses_labels_of_other_kinds(net_student, classes):
    clf = copy.copy(net_student)
    clf.classes_ = classes
    with pytest.raises(ValueError, match="integers or strings"):
        to_onnx(clf)


# Modules


class Embedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.linear = nn.Embedding(10, 8), nn.Linear(11, 3)

    def forward(self, X):
        known = self.embedding(X[:, 0].long().clamp(0, 9))
        return self.linear(torch.cat([known, X[:, 1:]], dim=1))


class Layers(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Linear(4, 16),
            nn.GELU(),
            nn.BatchNorm1d(16),
            nn.Dropout(0.5),
            nn.Linear(16, 16),
            nn.SiLU(),
            nn.LayerNorm(16),
            nn.Linear(16, 3),
        )


class Softmax(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 3), nn.Softmax(dim=1))


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, X):
        return self.linear(X), X


class TwoNet(NeuralNetClassifier):
    def get_loss(self, y_pred, y_true, *args, **kwargs):
        return super().get_loss(y_pred[0], y_true, *args, **kwargs)


class Images(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 32, 3),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 3),
        )


def other_nonlinearity(outputs):
    return torch.sigmoid(outputs)


@pytest.mark.parametrize(
    "net",
    [
        tiny_net(module=Embedding, max_epochs=1),
        tiny_net(module=Layers, max_epochs=1),
        tiny_net(module=Softmax, criterion=nn.NLLLoss, max_epochs=1),
        tiny_net(predict_nonlinearity=other_nonlinearity, max_epochs=1),
        TwoNet(
            Two,
            criterion=nn.CrossEntropyLoss,
            max_epochs=1,
            train_split=None,
            verbose=0,
        ),
        tiny_net(module=TinyModule(4, 3).double().float(), max_epochs=1),
    ],
    ids=["embedding", "layers", "softmax", "nonlinearity", "tuple", "instance"],
)
def test_modules(net, data):
    X, y = data
    X = np.column_stack([np.arange(90) % 10, X[:, 1:]]).astype(np.float32)
    clf = distilled(net, X, y)
    assert_same(to_onnx(clf, sample=X), clf, X)


@pytest.mark.filterwarnings("ignore::UserWarning:torch")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.filterwarnings("ignore::FutureWarning:torch")
def test_compiled_module(data):
    net = tiny_net(compile=True, compile__backend="eager", max_epochs=1)
    clf = distilled(net, *data)
    assert_same(to_onnx(clf), clf, data[0])


class NanIsZero(TinyModule):
    def forward(self, X):
        return super().forward(X.nan_to_num())


def test_missing_values_are_refused_where_the_estimator_refuses_them(data):
    X = data[0].copy()
    X[0, 0] = np.nan
    strict = distilled(tiny_net(module=NanIsZero, max_epochs=1), *data)
    with pytest.raises(ValueError, match="NaN"):
        strict.predict_proba(X)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        OnnxClassifier(to_onnx(strict)).predict_proba(X)


def test_missing_values_are_taken_where_the_estimator_takes_them(data):
    X = data[0].copy()
    X[0, 0] = np.nan
    student = make_pipeline(SimpleImputer(), tiny_net(max_epochs=1))
    lenient = distilled(student, *data)
    assert_same(to_onnx(lenient), lenient, X)


@pytest.fixture(scope="module")
def image_student(data):
    images = np.random.default_rng(0).normal(size=(90, 1, 8, 8)).astype(np.float32)
    return distilled(tiny_net(module=Images, max_epochs=1), images, data[1]), images


def test_images(image_student):
    clf, images = image_student
    made = to_onnx(clf, sample=images)
    shape = [node.shape for node in onnxruntime.InferenceSession(made).get_inputs()]
    assert shape == [["batch", 1, 8, 8]]
    for X in (images, images[:1]):
        label, proba = run(made, {"X": X})
        np.testing.assert_allclose(proba, clf.predict_proba(X), atol=1e-6)
        np.testing.assert_array_equal(label, clf.predict(X))
    assert_same(made, clf, images)


def test_images_need_a_sample(image_student):
    with pytest.raises(ValueError, match="pass sample="):
        to_onnx(image_student[0])


class Unsupported(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, X):
        return self.linear(-X if X.sum() > 99 else X)


def test_module_that_torch_cannot_export(data, tmp_path):
    clf = distilled(tiny_net(module=Unsupported, max_epochs=1), *data)
    with pytest.raises(ValueError, match=r"cannot export .*Unsupported") as info:
        to_onnx(clf, tmp_path / "model.onnx")
    assert info.value.__cause__ is not None
    assert not list(tmp_path.iterdir())


class ScaledNet(NeuralNetClassifier):
    def infer(self, x, **fit_params):
        return super().infer(3 * x, **fit_params)


def test_refuses_a_file_that_says_something_else(data, tmp_path):
    net = ScaledNet(
        TinyModule, criterion=nn.CrossEntropyLoss, max_epochs=3, train_split=None,
        lr=0.5, verbose=0,
    )  # fmt: skip
    clf = distilled(net, *data)
    with pytest.raises(ValueError, match=r"differs by 0\.\d+, more than 1e-05"):
        to_onnx(clf, tmp_path / "model.onnx", sample=data[0])
    assert not list(tmp_path.iterdir())


def test_refuses_a_file_that_is_wrong_for_one_row(net_student, monkeypatch):
    honest = OnnxClassifier.predict_proba

    def wrong_alone(self, X):
        return honest(self, X) * (0.5 if len(X) == 1 else 1)

    monkeypatch.setattr(OnnxClassifier, "predict_proba", wrong_alone)
    with pytest.raises(ValueError, match="more than 1e-05"):
        to_onnx(net_student)


# Preprocessing of the person's own


class Inner(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X


def own_columns():
    return ColumnTransformer(
        [
            ("text", OneHotEncoder(handle_unknown="ignore"), [1]),
            (
                "numbers",
                make_pipeline(StandardScaler(), "passthrough"),
                lambda X: [name for name in X.columns if name == "1"],
            ),
            ("left out", "drop", ["capital-gain"]),
        ],
        sparse_threshold=0,
    )


@pytest.mark.parametrize("place", ["before", "student", "nested"])
def test_columns_of_ones_own(table, place):
    X, y = table
    X = X.drop(columns=["empty", "variable"])
    fit = {"teacher_proba": proba_for(y)[:, :2]}
    fit["teacher_proba"] /= fit["teacher_proba"].sum(axis=1, keepdims=True)
    net = tiny_net(max_epochs=2)
    if place == "student":
        student = Pipeline([("columns", own_columns()), ("net", net)])
        clf = DistilledClassifier(student=student, random_state=0).fit(X, y, **fit)
    else:
        head = own_columns()
        if place == "nested":
            head = make_pipeline(make_pipeline("passthrough", head), StandardScaler())
        last = DistilledClassifier(student=net, random_state=0)
        clf = Pipeline([("head", head), ("clf", last)])
        clf.fit(X, y, clf__teacher_proba=fit["teacher_proba"])
    made = to_onnx(clf, sample=X)
    kinds = json.loads(metadata_of(made)["skdistill.kinds"])
    assert kinds == ["string", "string", "float", "string"]
    assert_same(made, clf, X)
    with pytest.raises(ValueError, match="pass sample="):
        to_onnx(clf)


def test_columns_of_an_array(data):
    columns = ColumnTransformer([("scale", StandardScaler(), [3, 1])])
    student = Pipeline([("columns", columns), ("net", tiny_net(max_epochs=2))])
    clf = distilled(student, *data)
    made = to_onnx(clf)
    assert [node.name for node in onnx.load_from_string(made).graph.input] == ["X"]
    assert_same(made, clf, data[0])


def test_unused_column_of_a_frame_without_names(data):
    X = pd.DataFrame(data[0]).assign(unused="text").set_axis(range(5), axis=1)
    X[4] = [f"id {i}" for i in range(len(X))]
    clf = distilled(quick_student(), X, data[1])
    assert_same(to_onnx(clf), clf, X)


def test_frame_on_the_way(data):
    X, y = pd.DataFrame(data[0], columns=["a-b", "c", "d", "e"]), data[1]
    head = StandardScaler().set_output(transform="pandas")
    proba = proba_for(y) / proba_for(y).sum(axis=1, keepdims=True)
    clf = Pipeline(
        [("scale", head), ("clf", DistilledClassifier(None, quick_student()))]
    )
    clf.fit(X, y, clf__teacher_proba=proba)
    assert_same(to_onnx(clf), clf, X)


def test_column_that_two_steps_take(table):
    X, y = table[0][["home town", "1"]], table[1]
    columns = ColumnTransformer(
        [
            ("hot", OneHotEncoder(), ["home town"]),
            ("hot numbers", OneHotEncoder(handle_unknown="ignore"), ["1"]),
            ("code", OrdinalEncoder(), ["home town"]),
        ],
        sparse_threshold=0,
        transformer_weights={"hot": 0.5},
    )
    student = Pipeline([("columns", columns), ("net", tiny_net(max_epochs=2))])
    clf = distilled(student, X, y)
    assert_same(to_onnx(clf, sample=X), clf, X)


@pytest.mark.parametrize("step", [OneHotEncoder(sparse_output=False), OrdinalEncoder()])
def test_strings_without_a_column_transformer(table, step):
    X, y = table[0][["home town"]], table[1]
    student = Pipeline([("encode", step), ("net", tiny_net(max_epochs=2))])
    clf = distilled(student, X, y)
    assert_same(to_onnx(clf, sample=X), clf, X)


def test_named_columns_without_steps_per_column(data):
    X = pd.DataFrame(data[0], columns=["a-b", "label", "c", "d"])
    student = Pipeline([("scale", StandardScaler()), ("net", tiny_net(max_epochs=2))])
    clf = distilled(student, X, data[1])
    made = to_onnx(clf)
    assert [node.name for node in onnx.load_from_string(made).graph.input] == ["X"]
    assert OnnxClassifier(made).feature_names_in_.tolist() == list(X.columns)
    assert_same(made, clf, X)


def test_pipelines_and_searches(data):
    X, y = data
    proba = proba_for(y) / proba_for(y).sum(axis=1, keepdims=True)
    last = DistilledClassifier(student=tiny_net(max_epochs=2), random_state=0)
    pipeline = Pipeline([("reduce", PCA(2)), ("scale", StandardScaler()), ("c", last)])
    search = GridSearchCV(pipeline, {"reduce__n_components": [2]}, cv=2)
    search.fit(X, y, c__teacher_proba=proba)
    made = to_onnx(search, sample=X)
    assert metadata_of(made)["skdistill.n_features"] == "4"
    assert_same(made, search, X)


def test_step_that_skl2onnx_does_not_know(data):
    student = Pipeline([("inner", Inner()), ("net", tiny_net(max_epochs=1))])
    clf = distilled(student, *data)
    with pytest.raises(ValueError, match=r"skl2onnx cannot convert .*inner") as info:
        to_onnx(clf, sample=data[0])
    assert info.value.__cause__ is not None


def test_refuses_a_scaler_that_needs_float64(data, tmp_path):
    X = data[0] * 1e-3 + 1e5
    student = Pipeline([("scale", StandardScaler()), ("net", tiny_net())])
    with pytest.raises(ValueError, match="cast columns of large numbers"):
        to_onnx(distilled(student, X, data[1]), tmp_path / "model.onnx", sample=X)
    assert not list(tmp_path.iterdir())


# Files


class TestFiles:
    @pytest.mark.parametrize("kind", [str, Path])
    def test_written_and_returned(self, net_student, tmp_path, kind):
        path = tmp_path / "model.onnx"
        path.write_bytes(b"old")
        assert to_onnx(net_student, kind(path)) == path.read_bytes()
        assert list(tmp_path.iterdir()) == [path]

    def test_relative_path(self, net_student, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        data = to_onnx(net_student, "model.onnx")
        assert (tmp_path / "model.onnx").read_bytes() == data

    def test_link_stays_a_link(self, net_student, tmp_path):
        link, path = tmp_path / "link.onnx", tmp_path / "model.onnx"
        link.symlink_to(path)
        data = to_onnx(net_student, link)
        assert link.is_symlink()
        assert path.read_bytes() == data

    def test_permissions_are_those_of_any_new_file(self, net_student, tmp_path):
        (tmp_path / "other").touch()
        to_onnx(net_student, tmp_path / "model.onnx")
        modes = {path.stat().st_mode for path in tmp_path.iterdir()}
        assert len(modes) == 1

    def test_permissions_are_those_of_the_file_that_is_replaced(
        self, net_student, tmp_path
    ):
        path = tmp_path / "model.onnx"
        path.write_bytes(b"old")
        path.chmod(0o600)
        data = to_onnx(net_student, path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes() == data

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
    def test_what_is_no_file_stays(self, net_student, tmp_path):
        path = tmp_path / "pipe"
        os.mkfifo(path)
        with pytest.raises(OSError, match=r"cannot write .* no regular file"):
            to_onnx(net_student, path)
        assert path.is_fifo()
        assert len(list(tmp_path.iterdir())) == 1

    @pytest.mark.parametrize("there", [False, True])
    def test_slash_at_the_end_is_a_folder(self, net_student, tmp_path, there):
        if there:
            (tmp_path / "new").mkdir()
        with pytest.raises(IsADirectoryError, match="cannot write the ONNX file"):
            to_onnx(net_student, f"{tmp_path}/new/")
        assert len(list(tmp_path.iterdir())) == there

    def test_missing_folder(self, net_student, tmp_path):
        path = tmp_path / "no" / "model.onnx"
        with pytest.raises(FileNotFoundError, match="cannot write the ONNX") as info:
            to_onnx(net_student, path)
        assert info.value.filename == str(path)

    def test_folder_in_place_of_a_file(self, net_student, tmp_path):
        path = tmp_path / "model.onnx"
        path.mkdir()
        with pytest.raises(OSError, match="cannot write the ONNX"):
            to_onnx(net_student, path)
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() == 0,
        reason="root may write anywhere",
    )
    def test_folder_that_cannot_be_written(self, net_student, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(PermissionError, match="cannot write the ONNX"):
            to_onnx(net_student, tmp_path / "model.onnx")

    @pytest.mark.parametrize("old", [b"old", None])
    def test_full_disk(self, net_student, tmp_path, monkeypatch, old):
        path = tmp_path / "model.onnx"
        if old:
            path.write_bytes(old)

        def full(self, data):
            with self.open("wb") as file:
                file.write(data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left") as info:
            to_onnx(net_student, path)
        assert info.value.errno == errno.ENOSPC
        assert [p.read_bytes() for p in tmp_path.iterdir()] == ([old] if old else [])


# int8


@pytest.fixture(scope="module")
def wide_student(data):
    return distilled(make_student(hidden_layer_sizes=(64, 64), max_epochs=20), *data)


def int8_report(made):
    return json.loads(metadata_of(made)["skdistill.quantization"])


@pytest.mark.parametrize("given", [True, False])
def test_int8(wide_student, data, given, recwarn):
    sample = data[0] if given else None
    float32 = to_onnx(wide_student, sample=sample)
    made = to_onnx(wide_student, quantize="int8", sample=sample)
    report = int8_report(made)
    assert report["bytes_int8"] == len(made) < 0.6 * len(float32)
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
    honest = _int8._int8_net

    def spoil_the_other(net, kind, rows):
        made = honest(net, kind, rows)
        if kind != better:
            (node,) = (n for n in made.graph.node if n.op_type == "Softmax")
            node.op_type = "Identity"
            del node.attribute[:]
        return made

    monkeypatch.setattr(_int8, "_int8_net", spoil_the_other)
    made = to_onnx(wide_student, quantize="int8", sample=data[0])
    assert int8_report(made)["kind"] == better


def test_int8_reports_its_accuracy_where_the_labels_are_known(wide_student, data):
    X, y = data
    labels = wide_student.classes_[y]
    made = to_onnx(wide_student, quantize="int8", sample=X, sample_y=labels)
    report = int8_report(made)
    assert report["accuracy_int8"] == OnnxClassifier(made).score(X, labels)
    assert report["accuracy_float32"] == wide_student.score(X, labels)
    for wrong in (labels[1:], ["no such label"] * len(X)):
        with pytest.raises(ValueError, match="sample_y must have a label of classes_"):
            to_onnx(wide_student, quantize="int8", sample=X, sample_y=wrong)


def test_int8_uses_the_way_that_works(wide_student, data, monkeypatch):
    monkeypatch.setattr("onnxruntime.quantization.quantize_dynamic", None)
    made = to_onnx(wide_student, quantize="int8", sample=data[0])
    assert int8_report(made)["kind"] == "static"
    with pytest.raises(ValueError, match="quantize=None") as info:
        to_onnx(wide_student, quantize="int8")
    assert isinstance(info.value.__cause__, TypeError)


def test_int8_warns_of_changed_labels(wide_student, data, monkeypatch):
    monkeypatch.setattr(_int8, "_AGREEMENT", 1.1)
    with pytest.warns(UserWarning, match="int8 changes the label") as record:
        to_onnx(wide_student, quantize="int8", sample=data[0])
    assert record[0].filename == __file__


def test_int8_that_is_no_smaller(net_student, tmp_path):
    with pytest.raises(ValueError, match=r"no smaller.* quantize=None"):
        to_onnx(net_student, tmp_path / "model.onnx", quantize="int8")
    assert not list(tmp_path.iterdir())


def test_int8_of_images(image_student):
    clf, images = image_student
    made = to_onnx(clf, quantize="int8", sample=images)
    assert len(made) < int8_report(made)["bytes_float32"]


# What it takes and leaves


@pytest.mark.parametrize("quantize", ["int4", True, 8])
def test_unknown_quantization(net_student, quantize):
    with pytest.raises(ValueError, match="quantize must be"):
        to_onnx(net_student, quantize=quantize)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript", "skl2onnx"])
@pytest.mark.parametrize(
    ("name", "call"),
    [("register_converter", register_converter), ("to_onnx", lambda: to_onnx(None))],
)
def test_missing_package(package, name, call, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ImportError, match=rf"^{name} needs {package}: pip install skdistill\[onnx\]$"
    ):
        call()


def test_not_fitted():
    with pytest.raises(NotFittedError):
        to_onnx(DistilledClassifier())


def test_other_estimators(data):
    with pytest.raises(TypeError, match="expected a fitted DistilledClassifier"):
        to_onnx(LogisticRegression().fit(*data))


def test_leaves_the_estimator_and_the_sample_alone(frame_student, table):
    X = table[0].copy()
    student = copy.deepcopy(frame_student)
    student.student_[-1].module_.train()
    before, rows = pickle.dumps(student), X.copy()
    to_onnx(student, sample=X)
    assert pickle.dumps(student) == before
    pd.testing.assert_frame_equal(X, rows)


def test_is_quiet(net_student, capfd):
    level = logging.getLogger("torch.onnx").level
    to_onnx(copy.deepcopy(net_student))
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("torch.onnx").level == level


def test_threads(net_student, net_file):
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(to_onnx, [copy.deepcopy(net_student) for _ in "ab"]))
    assert made == [net_file] * 2


def test_import_needs_nothing_of_onnx():
    code = """
import sys
import skdistill.deploy._to_onnx
needed = {"onnx", "onnxruntime", "onnxscript", "skl2onnx"} & set(sys.modules)
assert not needed, needed
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", ["float", "string"])
@pytest.mark.parametrize(
    "name",
    ["code", "classes", "X", "net/X", "columns/variable", "column_0", "skdistill/code"],
)
def test_columns_may_be_named_as_what_is_inside(table, name, kind):
    X, y = table
    X = X.rename(columns={"1" if kind == "float" else "variable": name})
    clf = distilled(quick_student(), X, y)
    assert_same(to_onnx(clf), clf, X)


@pytest.mark.parametrize(
    "values",
    [[f"id {i}" for i in range(120)], [None] * 120, pd.Categorical([None] * 120)],
    ids=["ids", "missing", "category"],
)
def test_column_without_any_known_level(table, values):
    X, y = table
    X = X[["1"]].assign(extra=values)  # numbers alone, once it is all missing
    clf = distilled(quick_student(), X, y)
    assert_same(to_onnx(clf), clf, X)


@pytest.mark.parametrize("sample", [False, True])
def test_refuses_the_label_nan_where_nothing_was_missing(table, sample):
    X, y = table
    X = X[["1"]].assign(job=np.resize(["nan", "cook"], len(X)))
    clf = distilled(quick_student(), X, y)
    with pytest.raises(ValueError, match="has the label 'nan', which in ONNX stands"):
        to_onnx(clf, sample=X if sample else None)


def test_string_nan_at_prediction_is_a_level_never_seen():
    rng = np.random.default_rng(0)
    levels = rng.choice(np.array(["u", "v", None], dtype=object), 60)
    X = pd.DataFrame({"a": rng.normal(size=60), "b": levels})
    clf = distilled(quick_student(), X, np.where(X["b"].isna(), "yes", "no"))
    rows, missing = X.assign(b="nan"), X.assign(b=None)
    assert abs(clf.predict_proba(rows) - clf.predict_proba(missing)).max() > 1e-3
    assert_same(to_onnx(clf), clf, rows)
    assert_same(to_onnx(clf), clf, missing)


def test_missing_values_are_taken_where_some_column_takes_them(data):
    X, y = data
    steps = ColumnTransformer(
        [("some", SimpleImputer(), [1]), ("other", StandardScaler(), [0, 2, 3])]
    )
    clf = distilled(make_pipeline(steps, tiny_net(max_epochs=2)), X, y)
    rows = X.copy()
    rows[0, 1] = np.nan
    made = to_onnx(clf)
    assert_same(made, clf, rows)
    rows[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        OnnxClassifier(made).predict(rows)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_sample_of_objects(array_student, data, missing):
    rows = data[0].astype(object)
    rows[0, 0] = missing
    assert_same(to_onnx(array_student, sample=rows), array_student, data[0])


def test_unnamed_frame_of_numbers_as_objects(data):
    X, y = pd.DataFrame(data[0]), data[1]
    X[1] = X[1].round(1).astype(str).map(Decimal)
    X[2] = X[2].gt(0).astype("boolean")
    clf = distilled(quick_student(), X, y)
    assert_same(to_onnx(clf, sample=X), clf, X)


@pytest.mark.parametrize(
    "encoder", [OneHotEncoder(sparse_output=False), OrdinalEncoder()]
)
@pytest.mark.parametrize("output", ["default", "pandas"])
def test_columns_in_front_of_the_default_student(table, encoder, output):
    X, y = table
    X = X[["1", "home town"]]
    steps = ColumnTransformer(
        [("number", StandardScaler(), ["1"]), ("level", encoder, ["home town"])],
        verbose_feature_names_out=False,
    ).set_output(transform=output)
    student = DistilledClassifier(student=quick_student(), random_state=0)
    clf = make_pipeline(steps, student)
    proba = np.where(np.unique(y) == y[:, None], 0.8, 0.2)
    clf.fit(X, y, distilledclassifier__teacher_proba=proba)
    assert_same(to_onnx(clf, sample=X), clf, X)


def test_columns_after_another_step_in_front_of_the_default_student(data):
    X, y = data[0].round(), data[1]
    steps = ColumnTransformer(
        [("level", OrdinalEncoder(), [0])], remainder="passthrough"
    )
    student = DistilledClassifier(student=quick_student(), random_state=0)
    clf = make_pipeline(SimpleImputer(), steps, student)
    proba = np.eye(3)[y] * 0.7 + 0.1
    clf.fit(X, y, distilledclassifier__teacher_proba=proba)
    assert_same(to_onnx(clf, sample=X), clf, X)


@pytest.mark.parametrize(
    "imputer",
    [
        SimpleImputer(missing_values="?", strategy="most_frequent"),
        SimpleImputer(missing_values="?", strategy="constant", fill_value="none"),
    ],
)
def test_imputed_strings(table, imputer):
    X, y = table
    jobs = np.resize(np.array(["?", "cook", "clerk"], object), len(X))
    X = X[["1"]].assign(job=jobs).astype({"job": object})
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps = ColumnTransformer(
        [
            ("number", StandardScaler(), ["1"]),
            ("level", make_pipeline(imputer, encoder), ["job"]),
        ]
    )
    clf = distilled(make_pipeline(steps, tiny_net(max_epochs=2)), X, y)
    made = to_onnx(clf, sample=X)
    assert json.loads(metadata_of(made)["skdistill.kinds"]) == ["float", "string"]
    assert_same(made, clf, X)


@pytest.mark.parametrize("given", [{"sample": None}, {"quantize": None}])
def test_labels_of_no_sample_or_of_no_use(wide_student, data, given):
    X, y = data
    given = {"sample": X, "quantize": "int8", **given}
    with pytest.raises(ValueError, match="sample_y is of use with both sample= and"):
        to_onnx(wide_student, sample_y=wide_student.classes_[y], **given)


@pytest.mark.parametrize("swapped", ["model.onnx", None, b"x"])
@pytest.mark.parametrize("convert", [to_onnx, to_sklearn])
def test_no_estimators(swapped, convert):
    kind = type(swapped).__name__
    message = f"expected a fitted DistilledClassifier, .* got {kind}$"
    with pytest.raises(TypeError, match=message):
        convert(swapped)


def test_search_that_was_not_refitted(data):
    student = DistilledClassifier(LogisticRegression(), student=quick_student())
    search = GridSearchCV(student, {"alpha": [0.5]}, refit=False, cv=2).fit(*data)
    with pytest.raises(TypeError, match="refit=True"):
        to_onnx(search)


class Holder(BaseEstimator):
    """Holds an estimator as searches that are not scikit-learn's do."""

    def fit(self, estimator):
        self.best_estimator_ = estimator
        return self

    def predict_proba(self, X):
        return self.best_estimator_.predict_proba(X)


@pytest.mark.parametrize("hold", [FrozenEstimator, lambda c: Holder().fit(c)])
def test_what_holds_a_student(net_student, net_file, hold):
    assert to_onnx(hold(net_student)) == net_file


@pytest.mark.parametrize("part", ["net", "preprocessing"])
def test_message_tells_which_part_differs(data, part):
    X, y = data
    if part == "net":
        net = ScaledNet(TinyModule, criterion=nn.CrossEntropyLoss, max_epochs=3,
                        train_split=None, lr=0.5, verbose=0)  # fmt: skip
        clf = distilled(net, X, y)
    else:
        X = X + 1e7
        student = make_pipeline(StandardScaler(), tiny_net(max_epochs=2))
        clf = distilled(student, X, y)
    guesses = {"net": "holds the module of the net alone", "preprocessing": "float32"}
    with pytest.raises(ValueError, match=r"in row \d+ of the rows .* given") as info:
        to_onnx(clf, sample=X)
    for name, guess in guesses.items():
        assert (guess in str(info.value)) == (name == part)


def test_message_of_made_up_rows_names_the_sample(data):
    net = ScaledNet(TinyModule, criterion=nn.CrossEntropyLoss, max_epochs=3,
                    train_split=None, lr=0.5, verbose=0)  # fmt: skip
    with pytest.raises(ValueError, match=r"made up .* pass sample="):
        to_onnx(distilled(net, *data))


def test_polars_without_pandas():
    code = """
import sys
from importlib.machinery import PathFinder


class WithoutPandas:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] != "pandas":
            return PathFinder.find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutPandas
import numpy as np
import polars as pl
from skdistill import DistilledClassifier, make_student
from skdistill.deploy import OnnxClassifier, to_onnx, to_sklearn
rng = np.random.default_rng(0)
y = rng.integers(0, 2, 90)
X = pl.DataFrame({
    "a": rng.normal(size=90).astype(np.float32),
    "b": rng.choice(["u", "v"], 90).tolist(),
    "c": [f"id {i}" for i in range(90)],
})
student = make_student((8,), max_epochs=1)
clf = DistilledClassifier(student=student, random_state=0)
clf.fit(X, y, teacher_proba=np.eye(2)[y] * 0.8 + 0.1)
expected = clf.predict_proba(X)
for made in (OnnxClassifier(to_onnx(clf)), to_sklearn(clf)):
    assert np.abs(made.predict_proba(X) - expected).max() < 1e-6
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# skl2onnx


@pytest.fixture
def registered():
    register_converter()
    register_converter()


@pytest.fixture(scope="module")
def scaled_student(data):
    X, y = data
    names = np.array(["a", "b", "c"])[y]
    proba = proba_for(y) / proba_for(y).sum(axis=1, keepdims=True)
    last = DistilledClassifier(student=tiny_net(max_epochs=2), random_state=0)
    pipeline = Pipeline([("scale", StandardScaler()), ("clf", last)])
    return pipeline.fit(X, names, clf__teacher_proba=proba)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("opset", [None, 21, 22])
def test_converter_in_a_pipeline(scaled_student, data, opset):
    X = data[0].astype(np.float32)
    model = skl2onnx.to_onnx(
        scaled_student, X[:1], options={"zipmap": False}, target_opset=opset
    )
    label, proba = run(model.SerializeToString(), {"X": X})
    assert label.tolist() == scaled_student.predict(X).tolist()
    np.testing.assert_allclose(proba, scaled_student.predict_proba(X), atol=1e-5)


@pytest.mark.usefixtures("registered")
def test_converter_with_zipmap(scaled_student, data):
    X = data[0].astype(np.float32)
    model = skl2onnx.to_onnx(scaled_student, X[:1])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    label, rows = session.run(None, {"X": X[:2]})
    assert label.tolist() == scaled_student.predict(X[:2]).tolist()
    proba = [[row[name] for name in "abc"] for row in rows]
    np.testing.assert_allclose(
        proba, scaled_student.predict_proba(X[:2]), rtol=0, atol=1e-5
    )


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_converter_of_the_default_student(array_student, data, dtype):
    X = data[0].astype(dtype)
    model = skl2onnx.to_onnx(array_student, X[:1], options={"zipmap": False})
    label, proba = run(model.SerializeToString(), {"X": X})
    np.testing.assert_array_equal(label, array_student.predict(X))
    np.testing.assert_allclose(proba, array_student.predict_proba(X), atol=1e-6)


@pytest.mark.usefixtures("registered")
def test_converter_of_columns(frame_student, table):
    X = table[0].drop(columns="flag").assign(flag=table[0]["flag"].astype(np.int64))
    X["empty"] = "nothing"
    text = ["home town", "variable"]
    X[text] = X[text].astype(object)  # pandas' own strings are unknown to skl2onnx
    types = {"f": "float", "i": "int64"}
    model = skl2onnx.to_onnx(frame_student, X[:1], options={"zipmap": False})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    feed = {}
    for node, name in zip(session.get_inputs(), X, strict=True):
        strings = types.get(X[name].dtype.kind) is None
        column = (
            X[name].astype(object).where(X[name].notna(), "nan") if strings else X[name]
        )
        feed[node.name] = column.to_numpy(object if strings else None)[:, np.newaxis]
    _, proba = session.run(None, feed)
    np.testing.assert_allclose(proba, frame_student.predict_proba(X), atol=1e-6)


@pytest.mark.usefixtures("registered")
def test_converter_puts_columns_side_by_side(net_student, data):
    X = data[0].astype(np.float32)
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = skl2onnx.to_onnx(net_student, frame[:1], options={"zipmap": False})
    feed = {name: frame[[name]].to_numpy() for name in frame}
    _, proba = run(model.SerializeToString(), feed)
    np.testing.assert_allclose(proba, net_student.predict_proba(X), atol=1e-6)


@pytest.mark.usefixtures("registered")
def test_converter_of_images(image_student):
    clf, images = image_student
    model = skl2onnx.to_onnx(clf, images[:1], options={"zipmap": False})
    _, proba = run(model.SerializeToString(), {"X": images})
    np.testing.assert_allclose(proba, clf.predict_proba(images), atol=1e-6)


@pytest.mark.usefixtures("registered")
class Lookup(TinyModule):
    """Takes no rows but those of small whole numbers."""

    def forward(self, X):
        return super().forward(nn.functional.one_hot(X[:, 0].long(), 4)[:, :4].float())


def test_converter_names_the_way_out_for_rows_that_cannot_be_made_up(data, registered):
    X = np.abs(data[0]).round().clip(0, 3).astype(np.float32)
    clf = distilled(tiny_net(module=Lookup, max_epochs=1), X, data[1])
    with pytest.raises(ValueError, match=r"pass sample= to skdistill\.deploy\.to_onnx"):
        skl2onnx.to_onnx(clf, X[:1])


def test_converter_needs_a_recent_opset(net_student, data):
    with pytest.raises(ValueError, match="pass target_opset=21"):
        skl2onnx.to_onnx(net_student, data[0][:1].astype(np.float32), target_opset=20)


@pytest.mark.usefixtures("registered")
def test_converter_needs_an_input_for_each_column(frame_student):
    X = np.zeros((1, 6), np.float32)
    with pytest.raises(ValueError, match="one per column"):
        skl2onnx.to_onnx(frame_student, X)
