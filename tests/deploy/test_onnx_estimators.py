import copy
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cloudpickle
import numpy as np
import onnx
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from onnx import helper
from scipy.special import log_softmax, softmax
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils.validation import check_is_fitted

from skdistill.deploy import OnnxClassifier, OnnxRegressor, _onnx_estimators, to_onnx
from tests.conftest import distilled
from tests.deploy.conftest import changed, regressed
from tests.deploy.models import (
    AGES,
    FRAME,
    JOBS,
    WEIGHTS,
    X,
    array_file,
    array_model,
    expected_proba,
    frame_file,
)


@pytest.fixture
def student():
    return OnnxClassifier(array_file())


def test_says_what_the_graph_says(student):
    proba = student.predict_proba(X)

    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba, softmax(X @ WEIGHTS, axis=1), rtol=1e-5)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(
        student.predict_log_proba(X), log_softmax(X @ WEIGHTS, axis=1), rtol=1e-5
    )
    assert student.predict_log_proba([[100.0, 0.0]])[0, 1] == -np.inf
    np.testing.assert_array_equal(student.predict(X), [2, 0, 1, 1])
    assert student.score(X, [2, 0, 1, 2]) == 0.75


def test_attributes(student):
    assert is_classifier(student)
    assert student.n_features_in_ == 2
    assert not hasattr(student, "feature_names_in_")
    assert student.metadata_ == {
        "skdistill.version": "0.1.0",
        "skdistill.classes": "[0, 1, 2]",
        "skdistill.classes_dtype": "<i8",
        "skdistill.n_features": "2",
    }
    named = OnnxClassifier(frame_file())
    assert named.feature_names_in_.tolist() == ["age", "job"]
    assert named.feature_names_in_.dtype == object


@pytest.mark.parametrize(
    "classes",
    [
        np.array([1, 2, 3]),
        np.array([1, 2, 3], np.uint8),
        np.array([0.5, 1.5, 2.5]),
        np.array(["a", "bc", "é"]),
        np.array(["a", "bc", "d"], object),
        np.array([1, 2, 3], object),
    ],
    ids=lambda classes: classes.dtype.str,
)
def test_labels_keep_their_dtype(classes):
    student = OnnxClassifier(array_file(classes.tolist(), classes.dtype.str))

    for labels in (student.classes_, student.predict(X)):
        assert labels.dtype == classes.dtype
    np.testing.assert_array_equal(student.classes_, classes)
    np.testing.assert_array_equal(student.predict(X), classes[[2, 0, 1, 1]])


@pytest.mark.parametrize("as_path", [str, Path])
def test_file_is_read_once(student, tmp_path, as_path):
    path = tmp_path / "student.onnx"
    path.write_bytes(student.model)
    from_path = OnnxClassifier(as_path(path)).fit()
    path.unlink()

    np.testing.assert_array_equal(from_path.predict_proba(X), student.predict_proba(X))
    assert clone(from_path).classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "through",
    [
        lambda student: pickle.loads(pickle.dumps(student)),
        lambda student: cloudpickle.loads(cloudpickle.dumps(student)),
        copy.deepcopy,
        copy.copy,
    ],
    ids=["pickle", "cloudpickle", "deepcopy", "copy"],
)
@pytest.mark.parametrize("used", [False, True])
def test_copies_hold_the_bytes(student, tmp_path, through, used):
    path = tmp_path / "student.onnx"
    path.write_bytes(student.model)
    original = OnnxClassifier(path)
    if used:
        original.predict(X)
    copied = through(original)
    path.unlink()

    assert original.model is path
    assert copied.model == student.model
    np.testing.assert_array_equal(copied.predict_proba(X), student.predict_proba(X))


def test_clone_shares_the_session(student):
    student.predict(X)
    cloned = clone(student)

    assert cloned is not student
    assert cloned.get_params() == student.get_params() == {"model": student.model}
    assert cloned._load().session is student._load().session
    cloned.set_params(model=array_file("abc", "<U1"))
    assert cloned.classes_.tolist() == ["a", "b", "c"]
    assert student.classes_.tolist() == [0, 1, 2]


def test_counts_as_fitted_and_fit_changes_nothing(student):
    check_is_fitted(student)
    before = student.predict_proba(X)

    assert student.fit(X[:, :1], ["a", "b", "a", "b"]) is student
    np.testing.assert_array_equal(student.predict_proba(X), before)


@pytest.mark.parametrize("model", ["missing.onnx", b"no model", None])
def test_what_cannot_be_loaded_can_be_shown(model):
    broken = OnnxClassifier(model)
    for name in ("classes_", "n_features_in_", "feature_names_in_", "metadata_"):
        assert not hasattr(broken, name)
    assert "OnnxClassifier" in broken._repr_html_()
    assert "predict" in dir(broken)
    with pytest.raises(AttributeError, match="the model cannot be loaded") as info:
        broken.classes_  # noqa: B018
    assert isinstance(info.value.__cause__, OSError | TypeError | ValueError)


def test_labels_that_clones_share_are_read_only(student):
    with pytest.raises(ValueError, match="read-only"):
        student.classes_[0] = 99
    predicted = student.predict(X)
    predicted[:] = 99
    assert clone(student).classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("form", [np.asarray, np.ndarray.tolist])
def test_strings_of_digits_are_no_numbers(student, form):
    with pytest.raises(ValueError, match="dtype='numeric' is not compatible"):
        student.predict(form(X.astype(str)))


def test_repr_is_short(tmp_path):
    assert repr(OnnxClassifier(b"x" * 1_000_000)) == (
        "OnnxClassifier(model=<1000000 bytes>)"
    )
    assert repr(OnnxClassifier("a.onnx")) == "OnnxClassifier(model='a.onnx')"


def test_is_a_teacher(student):
    rows = np.random.default_rng(0).standard_normal((60, 2))
    clf = distilled(student, alpha=1.0).fit(rows)

    np.testing.assert_array_equal(clf.classes_, student.classes_)
    assert clf.teacher is student


@pytest.mark.parametrize("n_rows", [1, 7, 20])
def test_batches_are_put_together(student, monkeypatch, n_rows):
    rows = np.random.default_rng(0).standard_normal((n_rows, 2))
    frame = pd.DataFrame({"age": rows[:, 0], "job": ["cook", *JOBS * 5][:n_rows]})
    named = OnnxClassifier(frame_file())
    whole = student.predict_proba(rows), named.predict_proba(frame)
    monkeypatch.setattr(_onnx_estimators, "_BATCH_SIZE", 7)

    np.testing.assert_allclose(student.predict_proba(rows), whole[0], rtol=1e-6)
    np.testing.assert_allclose(named.predict_proba(frame), whole[1], rtol=1e-6)


def test_threads_share_one_session(monkeypatch):
    content = array_file()
    expected = OnnxClassifier(content).predict_proba(X)
    n_loads = []
    load = _onnx_estimators.load
    monkeypatch.setattr(
        _onnx_estimators, "load", lambda *args: n_loads.append(1) or load(*args)
    )
    student = OnnxClassifier(content)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: student.predict_proba(X), range(200)))

    for proba in results:
        np.testing.assert_array_equal(proba, expected)
    assert len(n_loads) == 1


@pytest.mark.parametrize(
    "rows",
    [
        X.tolist(),
        X.astype(np.float32),
        X.astype(np.float16),
        X.astype(">f8"),
        X.astype(object),
        np.asfortranarray(X),
        np.repeat(X, 2, axis=0)[::2],
        np.repeat(X.astype(np.float32), 2, axis=1)[:, ::2],
        np.ma.masked_array(X),
        pd.DataFrame(X),
        pd.DataFrame(X, columns=["a", "b"], dtype="Float64"),
        pl.DataFrame(X),
    ],
    ids=lambda rows: type(rows).__name__,
)
@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
def test_takes_any_table_of_numbers_and_leaves_it_alone(student, rows):
    before = copy.deepcopy(rows)
    np.testing.assert_allclose(
        student.predict_proba(rows), student.predict_proba(X), rtol=1e-6
    )
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize("as_rows", [np.asarray, np.ndarray.tolist])
def test_rows_of_more_dimensions(student, as_rows):
    model = array_model()
    model.graph.input[0].type.tensor_type.shape.dim.add(dim_value=1)
    model.graph.node[0].input[0] = "flat"
    model.graph.node.insert(0, helper.make_node("Flatten", ["X"], ["flat"]))
    nested = OnnxClassifier(model.SerializeToString())

    np.testing.assert_array_equal(
        nested.predict_proba(as_rows(X[:, :, np.newaxis])), student.predict_proba(X)
    )
    for rows in (X, np.stack([X, X], axis=2)):
        with pytest.raises(ValueError, match=r"takes rows of shape \(2, 1\)"):
            nested.predict_proba(as_rows(rows))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (X[0], "Expected 2D array, got 1D array"),
        (X[None], "Found array with dim 3"),
        (X[:, :1], "X has 1 features, but OnnxClassifier is expecting 2 features"),
        (X[:0], "Found array with 0 sample"),
        (pd.DataFrame(X).iloc[:0], "Found array with 0 sample"),
        (pd.DataFrame(X[:, :1]), "X has 1 features, but OnnxClassifier is expecting 2"),
        ([["1.5", "b"]], "not compatible with arrays of bytes"),
        ([[np.inf, 0]], "Input X contains infinity or a value too large"),
        (np.array([[0, -np.inf]], np.float32), "Input X contains infinity or a value"),
        ([[1e39, 0]], "Input X contains infinity or a value too large"),
        (np.array([[1e39, 0]]), "Input X contains infinity or a value too large"),
        (pd.DataFrame([[0, 1e39]]), "Column 1 contains infinity or a value too large"),
        ([[0.0, 0.0], [np.nan, 0.0]], "row 1: Input X contains NaN"),
        (
            np.array([[-3e38, 3e38]]),
            "row 0: Input X contains NaN.* or numbers too large",
        ),
    ],
)
def test_refuses_rows(student, rows, message):
    with pytest.raises(ValueError, match=message):
        student.predict_proba(rows)


@pytest.mark.parametrize("rows", [X, X.astype(np.float32), X.tolist()])
def test_refuses_missing_values_where_the_file_says_so(rows):
    student = OnnxClassifier(array_file(allow_nan="false"))
    student.predict_proba(rows)
    rows = copy.deepcopy(rows)
    rows[1][0] = np.nan

    with pytest.raises(ValueError, match=r"^Input X contains NaN"):
        student.predict_proba(rows)


@pytest.mark.parametrize(
    "jobs",
    [
        pd.Series(JOBS),
        pd.Series(JOBS, dtype=object),
        pd.Series(JOBS, dtype="category"),
        pd.Series(JOBS, dtype="string"),
        pd.Series(["cook", np.nan, "clerk", "astronaut"], dtype=object),
        pd.Series(["cook", pd.NA, "clerk", "astronaut"], dtype=object),
    ],
    ids=lambda jobs: str(jobs.dtype),
)
@pytest.mark.parametrize("age_dtype", ["float64", "float32", "Int64", object])
def test_missing_values_of_pandas(jobs, age_dtype):
    ages = pd.Series(AGES, dtype=age_dtype)
    frame = pd.DataFrame({"age": ages, "job": jobs})
    before = frame.copy()
    proba = OnnxClassifier(frame_file()).predict_proba(frame)
    pd.testing.assert_frame_equal(frame, before)

    expected = expected_proba([20, 40, 61, 35], ["cook", "nan", "clerk", "?"])
    np.testing.assert_allclose(proba, expected, rtol=1e-5)


@pytest.mark.parametrize("library", [pl.DataFrame, pa.table])
def test_other_data_frames(library):
    student = OnnxClassifier(frame_file())

    np.testing.assert_array_equal(
        student.predict_proba(library({"age": AGES, "job": JOBS})),
        student.predict_proba(FRAME),
    )


@pytest.mark.parametrize("make", [array_file, frame_file])
@pytest.mark.parametrize(
    "columns", [["job", "age"], ["age"], ["age", "job", "more"], ["age", "Job"]]
)
@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_feature_names_must_match(make, columns, library):
    student = OnnxClassifier(make(names=["age", "job"]))

    with pytest.raises(ValueError, match="The feature names should match those that"):
        student.predict(library({name: [1.0] for name in columns}))


def test_array_for_a_model_of_strings():
    with pytest.raises(TypeError, match="takes columns of strings or dates; pass"):
        OnnxClassifier(frame_file()).predict([[20.0, "cook"]])


@pytest.mark.parametrize(
    "content",
    [frame_file(["float", "float"]), array_file(names=["age", "job"])],
    ids=["columns", "tensor"],
)
@pytest.mark.parametrize("rows", [X, X.tolist()], ids=["array", "list"])
def test_array_for_a_model_of_named_numbers(content, rows):
    student = OnnxClassifier(content)
    named = student.predict_proba(pd.DataFrame(X, columns=["age", "job"]))

    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        unnamed = student.predict_proba(rows)
    np.testing.assert_array_equal(unnamed, named)


def test_columns_without_names_go_by_their_position():
    content = frame_file(feature_names=None)
    frame = FRAME.set_axis([3, 5], axis=1)

    np.testing.assert_array_equal(
        OnnxClassifier(content).predict_proba(frame),
        OnnxClassifier(frame_file()).predict_proba(FRAME),
    )


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize(
    ("ages", "message"),
    [
        ([np.inf], "Column 'age' contains infinity or a value too large"),
        ([1e39], "Column 'age' contains infinity or a value too large"),
        (["old"], "Column 'age' holds strings"),
        ([None, 20.0], "Column 'age' contains NaN"),
        ([], "Found array with 0 sample"),
    ],
)
def test_refuses_values_of_a_column(library, ages, message):
    student = OnnxClassifier(frame_file(allow_nan="false"))
    student.predict(library({"age": [20.0, 30.0], "job": ["cook", None]}))

    with pytest.raises(ValueError, match=message):
        student.predict(library({"age": ages, "job": ["cook"] * len(ages)}))


WITHOUT_TORCH = """
    import pickle
    import sys
    from pathlib import Path

    tried = []

    class NotInstalled:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in ("torch", "skorch", "onnx", "skl2onnx"):
                tried.append(name)
                raise ImportError(f"{name} is not installed")

    sys.meta_path.insert(0, NotInstalled())
    import pandas as pd
    from skdistill.deploy._onnx_estimators import OnnxClassifier

    folder = Path(sys.argv[1])
    loaded = pickle.loads((folder / "student.pickle").read_bytes())
    frame = pd.DataFrame({"age": [20.0], "job": ["cook"]})
    print(
        *OnnxClassifier(folder / "array.onnx").predict([[-3.0, 1.5]]),
        *OnnxClassifier(folder / "frame.onnx").predict(frame),
        *loaded.predict([[-3.0, 1.5]]),
        *tried,
        *{"torch", "skorch", "onnx"} & set(sys.modules),
    )
"""


def test_needs_neither_torch_nor_skorch(student, tmp_path):
    (tmp_path / "array.onnx").write_bytes(array_file())
    (tmp_path / "frame.onnx").write_bytes(frame_file())
    (tmp_path / "student.pickle").write_bytes(pickle.dumps(student))
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WITHOUT_TORCH), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.stdout.split(), run.stderr) == (["1", "0", "1"], "")


@pytest.fixture(scope="module")
def numbers(data):
    """Return rows, a regressor of two targets that refuses NaN, and its file."""
    X = data[0]
    reg = regressed(X, X[:, :2] + [5, -5])
    return X, reg, to_onnx(reg)


def test_attributes_of_a_regressor(numbers):
    file = OnnxRegressor(content := numbers[2])
    assert is_regressor(file)
    assert file.n_features_in_ == 4
    assert file.n_outputs_ == 2
    assert not hasattr(file, "feature_names_in_")
    assert not hasattr(file, "classes_")
    assert file.metadata_["skdistill.task"] == "regression"
    assert repr(file) == f"OnnxRegressor(model=<{len(content)} bytes>)"


def test_file_of_the_other_kind_names_its_class(numbers, tmp_path):
    _, _, content = numbers
    path = tmp_path / "numbers.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"numbers\.onnx'.*\.OnnxRegressor, not O"):
        OnnxClassifier(path).predict(numbers[0])
    with pytest.raises(ValueError, match=r"for .*\.OnnxClassifier, not OnnxRegressor"):
        OnnxRegressor(array_file()).fit()


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"task": "clustering"}, "metadata are damaged.*unknown task 'clustering'"),
        ({"n_outputs": None}, "metadata are damaged.*n_outputs"),
        ({"n_outputs": "0"}, "metadata are damaged.*0 targets"),
        ({"n_outputs": "9" * 9}, "metadata are damaged.*targets"),
        ({"n_outputs": "3"}, "metadata do not fit"),
        ({"n_outputs": "1"}, "metadata do not fit"),
        ({"version": None}, "not written by skdistill"),
    ],
)
def test_damaged_metadata_of_a_regressor(numbers, metadata, message):
    X, _, content = numbers
    with pytest.raises(ValueError, match=message):
        OnnxRegressor(changed(content, **metadata)).predict(X)


def test_rows_without_a_prediction_are_refused(numbers):
    X, _, content = numbers
    model = onnx.load_from_string(content)
    node = [node for node in model.graph.node if node.op_type == "Add"][-1]
    node.op_type = "Pow"  # of negative numbers NaN
    with pytest.raises(ValueError, match=r"no prediction for row \d+: .* NaN"):
        OnnxRegressor(model.SerializeToString()).predict(X)
