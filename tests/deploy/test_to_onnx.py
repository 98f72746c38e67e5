import copy
import errno
import json
import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import PathFinder
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import polars as pl
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier

from skdistill.deploy import OnnxClassifier, to_onnx, to_sklearn
from tests.conftest import tiny_net
from tests.deploy.conftest import (
    assert_same,
    distilled,
    metadata_of,
    quick_student,
    run,
)


def test_frame_as_it_was_fitted_and_with_what_was_never_seen(
    frame_file, frame_student, table
):
    X = table[0].iloc[:4].copy()
    X["capital-gain"] = [np.nan, 1e30, -1e30, 0]
    X["home town"] = ["never seen", None, "", "nan"]
    X["variable"] = [None, "never seen", "u", None]
    for rows in (table[0], pl.from_pandas(table[0]), X):
        assert_same(frame_file, frame_student, rows)


@pytest.mark.parametrize("n_rows", [1, 7])
def test_frame_by_onnxruntime_alone(frame_file, frame_student, table, n_rows):
    X = table[0].iloc[:n_rows]
    feed = {
        name: X[[name]].astype("float64").to_numpy()
        for name in ("capital-gain", "1", "flag")
    }
    for name in ("home town", "variable", "empty"):
        strings = ["nan" if pd.isna(value) else value for value in X[name]]
        feed[name] = np.array(strings, dtype=object)[:, np.newaxis]
    label, proba = run(frame_file, feed)
    assert label.tolist() == frame_student.predict(X).tolist()
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba, frame_student.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("n_rows", [1, 90])
def test_array_also_by_onnxruntime_alone(array_file, array_student, data, n_rows):
    X = data[0][:n_rows].copy()
    X[::7, 1], X[3:4] = np.nan, 1e30
    assert_same(array_file, array_student, X)
    label, proba = run(array_file, {"X": X})
    assert label.dtype == np.int64
    np.testing.assert_array_equal(label, array_student.predict(X))
    np.testing.assert_allclose(proba, array_student.predict_proba(X), atol=1e-6)


@pytest.mark.usefixtures("net_by_hand")
@pytest.mark.parametrize("numeric", ["standard", "piecewise"])
@pytest.mark.parametrize("kind", ["array", "strings"])
def test_numbers_with_a_large_offset_are_scaled_in_double_precision(
    data, kind, numeric
):
    X, y = data
    X = np.where(np.arange(len(X))[:, np.newaxis] % 9, 1.7e12 + 100 * X, np.nan)
    if kind == "strings":
        X = pd.DataFrame(X, columns=list("abcd"))
        X["e"] = np.array(["u", "v"])[y % 2]
    clf = distilled(quick_student(numeric=numeric), X, y)
    for made in (to_onnx(clf), to_sklearn(clf)):
        assert_same(made, clf, X)
    assert np.ptp(clf.predict_proba(X), axis=0).max() > 0.05


@pytest.mark.usefixtures("net_by_hand")
@pytest.mark.parametrize(("dtype", "kind"), [("float32", "float"), ("int64", "double")])
def test_input_has_the_precision_that_fit_saw(data, dtype, kind):
    clf = distilled(quick_student(), (9 * data[0]).astype(dtype), data[1])
    made = to_onnx(clf)
    (given,) = onnxruntime.InferenceSession(made).get_inputs()
    assert given.type == f"tensor({kind})"
    for rows in (data[0], data[0].astype(np.float32)):
        assert_same(made, clf, rows)


@pytest.mark.usefixtures("net_by_hand")
@pytest.mark.parametrize("numeric", ["piecewise", "periodic"])
def test_encodings_of_numbers(table, numeric):
    X, y = table
    clf = distilled(quick_student(numeric=numeric), X, y)
    made = to_onnx(clf)
    outliers = X.iloc[:3].assign(**{"capital-gain": [np.nan, 1e30, -1e30]})
    for rows in (X, X.iloc[:1], outliers):
        assert_same(made, clf, rows)


class ScaledNet(NeuralNetClassifier):
    def infer(self, x, **fit_params):
        return super().infer(3 * x, **fit_params)


def scaled_net():
    """Return a net whose module alone says something else."""
    return ScaledNet(**tiny_net(max_epochs=3).get_params(deep=False))


def test_refuses_a_file_that_is_wrong_for_one_row(net_student, monkeypatch):
    honest = OnnxClassifier.predict_proba

    def wrong_alone(self, X):
        return honest(self, X) * (0.5 if len(X) == 1 else 1)

    monkeypatch.setattr(OnnxClassifier, "predict_proba", wrong_alone)
    with pytest.raises(ValueError, match="more than 1e-05"):
        to_onnx(net_student)


@pytest.mark.usefixtures("net_by_hand")
class TestFiles:
    @pytest.mark.parametrize("kind", [str, Path])
    def test_written_and_returned(self, net_student, tmp_path, kind):
        path = tmp_path / "model.onnx"
        path.write_bytes(b"old")
        assert to_onnx(net_student, kind(path)) == path.read_bytes()
        assert list(tmp_path.iterdir()) == [path]

    def test_name_may_be_as_long_as_that_of_a_file_may_be(self, net_student, tmp_path):
        path = tmp_path / f"{'a' * 250}.onnx"
        assert to_onnx(net_student, path) == path.read_bytes()
        too_long = tmp_path / f"{'a' * 251}.onnx"
        with pytest.raises(OSError, match="too long") as caught:
            to_onnx(net_student, too_long)
        assert caught.value.filename == str(too_long)
        assert list(tmp_path.iterdir()) == [path]

    def test_link_stays_a_link(self, net_student, tmp_path):
        link, path = tmp_path / "link.onnx", tmp_path / "model.onnx"
        link.symlink_to(path)
        data = to_onnx(net_student, link)
        assert link.is_symlink()
        assert path.read_bytes() == data

    @pytest.mark.parametrize("parent", ["missing", "a file"])
    def test_error_names_the_path_and_no_temporary_file(
        self, net_student, tmp_path, parent
    ):
        (tmp_path / "a file").touch()
        path = str(tmp_path / parent / "model.onnx")
        with pytest.raises((FileNotFoundError, NotADirectoryError)) as caught:
            to_onnx(net_student, path)
        assert caught.value.filename == path
        assert str(caught.value).endswith(f"{path!r}")

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
        with pytest.raises(OSError, match="No space left"):
            to_onnx(net_student, path)
        assert [p.read_bytes() for p in tmp_path.iterdir()] == ([old] if old else [])


@pytest.mark.usefixtures("net_by_hand")
def test_leaves_the_estimator_and_the_sample_alone(frame_student, table):
    X = table[0].copy()
    student = copy.deepcopy(frame_student)
    student.student_[-1].module_.train()
    before, rows = pickle.dumps(student), X.copy()
    to_onnx(student, sample=X)
    assert pickle.dumps(student) == before
    pd.testing.assert_frame_equal(X, rows)


def test_threads(net_student, net_file):
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(to_onnx, [copy.deepcopy(net_student) for _ in "ab"]))
    assert made == [net_file] * 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sample": None}, "sample_y is of use with both sample= and"),
        ({"quantize": None}, "sample_y is of use with both sample= and"),
        ({"quantize": "int4"}, "quantize must be"),
        ({"quantize": True}, "quantize must be"),
    ],
)
def test_refuses_options_that_do_not_fit(net_student, data, given, message):
    X, y = data
    given = {"sample": X, "sample_y": y, "quantize": "int8", **given}
    with pytest.raises(ValueError, match=message):
        to_onnx(net_student, **given)


@pytest.mark.usefixtures("net_by_hand")
@pytest.mark.parametrize("part", ["net", "preprocessing"])
def test_message_tells_which_part_differs(data, part, tmp_path):
    X, y = data
    if part == "net":
        clf = distilled(scaled_net(), X, y)
    else:
        X = X + 1e7
        student = make_pipeline(StandardScaler(), tiny_net(max_epochs=2))
        clf = distilled(student, X, y)
    guesses = {"net": "holds the module of the net alone", "preprocessing": "float32"}
    message = r"in row \d+ of the rows .* given .* differs by .*, more than 1e-05"
    with pytest.raises(ValueError, match=message) as info:
        to_onnx(clf, tmp_path / "model.onnx", sample=X)
    assert not list(tmp_path.iterdir())
    for name, guess in guesses.items():
        assert (guess in str(info.value)) == (name == part)


@pytest.mark.usefixtures("net_by_hand")
def test_message_of_made_up_rows_names_the_sample(data):
    with pytest.raises(ValueError, match=r"made up .* pass sample="):
        to_onnx(distilled(scaled_net(), *data))


class WithoutPandas:
    """Finds all modules but pandas."""

    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] != "pandas":
            return PathFinder.find_spec(name, path, target)


@pytest.mark.usefixtures("net_by_hand")
def test_polars_without_pandas(table, monkeypatch):
    X, y = pl.from_pandas(table[0]), table[1]
    finders = [WithoutPandas if one is PathFinder else one for one in sys.meta_path]
    monkeypatch.setattr(sys, "meta_path", finders)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pandas"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError):
        import pandas  # noqa: F401
    clf = distilled(quick_student(), X, y)
    for made in (to_onnx(clf), to_sklearn(clf)):
        assert_same(made, clf, X)


def test_frame_metadata(frame_file, table):
    assert {
        name: json.loads(value)
        for name, value in metadata_of(frame_file).items()
        if not name.endswith(("version", "dtype", "task"))
    } == {
        "skdistill.classes": ["no", "yes"],
        "skdistill.n_features": 6,
        "skdistill.feature_names": list(table[0].columns),
        "skdistill.kinds": ["double", "string", "double", "string", "string", "double"],
    }


def test_array_metadata(array_file):
    metadata = metadata_of(array_file)
    assert metadata.pop("skdistill.version")
    assert metadata == {
        "skdistill.task": "classification",
        "skdistill.classes": "[0, 1, 2]",
        "skdistill.classes_dtype": "<i8",
        "skdistill.n_features": "4",
    }


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


@pytest.mark.usefixtures("net_by_hand")
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


@pytest.mark.usefixtures("net_by_hand")
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
