import copy
import json
import os
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import joblib
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy.special import log_softmax, softmax
from sklearn.base import clone, is_classifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from skdistill import DistilledClassifier, make_student
from skdistill import TabularPreprocessor
from skdistill.deploy import _onnx_classifier, _onnx_file, _onnx_safety
from skdistill.deploy._onnx_classifier import OnnxClassifier
from skdistill.deploy._to_onnx import to_onnx

WEIGHTS = np.array([[1.0, -1.0, 0.5], [0.0, 2.0, -0.5]], np.float32)
X = np.array([[0.5, -1.0], [2.0, 0.25], [-3.0, 1.5], [0.0, 1.0]])

# The frame model takes an age, 40 where it is missing, in decades, and a job.
AGES = [20.0, None, 61.0, 35.0]
JOBS = ["cook", None, "clerk", "astronaut"]
JOB_CODES = {"cook": 1.0, "clerk": 2.0, "nan": -1.0, "7": 3.0, "True": 4.0}
FRAME = pd.DataFrame({"age": AGES, "job": JOBS})


def tensor(name, value):
    return numpy_helper.from_array(np.asarray(value, np.float32), name)


def to_model(nodes, inputs, initializers, metadata, n_classes=3):
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info(
            "probabilities", TensorProto.FLOAT, ["batch", n_classes]
        ),
    ]
    nodes = [
        *nodes,
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "student", inputs, outputs, initializers),
        opset_imports=[
            helper.make_opsetid("", 21),
            helper.make_opsetid("ai.onnx.ml", 4),
        ],
        ir_version=10,
    )
    helper.set_model_props(
        model, {f"skdistill.{k}": v for k, v in metadata.items() if v is not None}
    )
    return model


def array_model(labels=(0, 1, 2), dtype="<i8", names=None, **metadata):
    """Return a model that says softmax(X @ WEIGHTS), of an estimator of arrays."""
    metadata = {
        "version": "0.1.0",
        "classes": json.dumps(list(labels)),
        "classes_dtype": dtype,
        "n_features": "2",
        "feature_names": names and json.dumps(names),
    } | metadata
    return to_model(
        [helper.make_node("MatMul", ["X", "weights"], ["logits"])],
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", 2])],
        [tensor("weights", WEIGHTS)],
        metadata,
    )


def frame_model(kinds=("float", "string"), names=("age", "job"), **metadata):
    """Return a model with an input for each column, of an estimator of data frames."""
    node = helper.make_node
    nodes = []
    for kind, name in zip(kinds, names, strict=True):
        if kind == "float":
            nodes += [
                node("IsNaN", [name], [f"{name}_missing"]),
                node("Where", [f"{name}_missing", "forty", name], [f"{name}_full"]),
                node("Mul", [f"{name}_full", "tenth"], [f"{name}_number"]),
            ]
        else:
            nodes += [
                node(
                    "LabelEncoder",
                    [name],
                    [f"{name}_number"],
                    domain="ai.onnx.ml",
                    keys_strings=list(JOB_CODES),
                    values_floats=list(JOB_CODES.values()),
                    default_float=0.0,
                )
            ]
    types = {"float": TensorProto.FLOAT, "string": TensorProto.STRING}
    return to_model(
        [
            *nodes,
            node("Concat", [f"{name}_number" for name in names], ["rows"], axis=1),
            node("MatMul", ["rows", "weights"], ["logits"]),
        ],
        [
            helper.make_tensor_value_info(name, types[kind], ["batch", 1])
            for kind, name in zip(kinds, names, strict=True)
        ],
        [tensor("weights", WEIGHTS), tensor("forty", 40), tensor("tenth", 0.1)],
        {
            "version": "0.1.0",
            "classes": "[0, 1, 2]",
            "classes_dtype": "<i8",
            "n_features": "2",
            "feature_names": json.dumps(names),
            "kinds": json.dumps(kinds),
        }
        | metadata,
    )


def array_file(*args, **kwargs):
    return array_model(*args, **kwargs).SerializeToString()


def frame_file(*args, **kwargs):
    return frame_model(*args, **kwargs).SerializeToString()


def expected_proba(ages, jobs):
    """Return what the frame model says of ages without NaN and of strings."""
    codes = [JOB_CODES.get(job, 0.0) for job in jobs]
    return softmax(np.column_stack([np.divide(ages, 10), codes]) @ WEIGHTS, axis=1)


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
    np.testing.assert_array_equal(student.predict(X), [2, 0, 1, 1])
    assert student.score(X, [2, 0, 1, 2]) == 0.75


def test_impossible_class_has_log_probability_of_minus_infinity(student):
    assert student.predict_log_proba([[100.0, 0.0]])[0, 1] == -np.inf


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


@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_reads_a_path(student, tmp_path, as_path):
    path = tmp_path / "student.onnx"
    path.write_bytes(student.model)

    np.testing.assert_array_equal(
        OnnxClassifier(as_path(path)).predict_proba(X), student.predict_proba(X)
    )


def test_file_is_read_once(student, tmp_path):
    path = tmp_path / "student.onnx"
    path.write_bytes(student.model)
    from_path = OnnxClassifier(path).fit()
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


def test_joblib_round_trip(student, tmp_path):
    student.predict(X)
    joblib.dump(student, tmp_path / "student.joblib")
    loaded = joblib.load(tmp_path / "student.joblib")

    np.testing.assert_array_equal(loaded.predict_proba(X), student.predict_proba(X))
    assert joblib.hash(loaded) == joblib.hash(student)


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


def test_fit_reads_the_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        OnnxClassifier(tmp_path / "student.onnx").fit(X)


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


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_in_place_of_a_file(protocol, tmp_path):
    path = tmp_path / "student.joblib"
    path.write_bytes(pickle.dumps([1, 2], protocol))
    with pytest.raises(ValueError, match=r"no ONNX file.* joblib\.load"):
        OnnxClassifier(path).fit()


@pytest.mark.parametrize("form", [np.asarray, np.ndarray.tolist])
def test_strings_of_digits_are_no_numbers(student, form):
    with pytest.raises(ValueError, match="dtype='numeric' is not compatible"):
        student.predict(form(X.astype(str)))


def test_repr_is_short(tmp_path):
    assert repr(OnnxClassifier(b"x" * 1_000_000)) == (
        "OnnxClassifier(model=<1000000 bytes>)"
    )
    assert repr(OnnxClassifier("a.onnx")) == "OnnxClassifier(model='a.onnx')"


def test_works_in_scikit_learn(student):
    y = student.predict(np.tile(X, (5, 1)))
    pipeline = make_pipeline(FunctionTransformer(), student)

    scores = cross_val_score(pipeline, np.tile(X, (5, 1)), y, cv=2)
    np.testing.assert_array_equal(scores, 1)
    frozen = FrozenEstimator(student).fit(X, [1, 1, 1, 1])
    np.testing.assert_array_equal(frozen.predict(X), student.predict(X))
    assert len(student._repr_html_()) < 100_000


def test_is_a_teacher(student):
    rows = np.random.default_rng(0).standard_normal((60, 2))
    distilled = DistilledClassifier(
        student, make_student(max_epochs=5), alpha=1.0, random_state=0
    ).fit(rows)

    np.testing.assert_array_equal(distilled.classes_, student.classes_)
    assert distilled.teacher is student


@pytest.mark.parametrize("n_rows", [1, 7, 20])
def test_batches_are_put_together(student, monkeypatch, n_rows):
    rows = np.random.default_rng(0).standard_normal((n_rows, 2))
    frame = pd.DataFrame({"age": rows[:, 0], "job": ["cook", *JOBS * 5][:n_rows]})
    named = OnnxClassifier(frame_file())
    whole = student.predict_proba(rows), named.predict_proba(frame)
    monkeypatch.setattr(_onnx_classifier, "_BATCH_SIZE", 7)

    np.testing.assert_allclose(student.predict_proba(rows), whole[0], rtol=1e-6)
    np.testing.assert_allclose(named.predict_proba(frame), whole[1], rtol=1e-6)


def test_threads_share_one_session(monkeypatch):
    content = array_file()
    expected = OnnxClassifier(content).predict_proba(X)
    n_loads = []
    load = _onnx_classifier.load
    monkeypatch.setattr(
        _onnx_classifier, "load", lambda model: n_loads.append(1) or load(model)
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
def test_takes_any_table_of_numbers(student, rows):
    np.testing.assert_allclose(
        student.predict_proba(rows), student.predict_proba(X), rtol=1e-6
    )


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


def test_leaves_its_input_alone(student):
    rows = X.astype(np.float32)
    rows.flags.writeable = False
    frame = FRAME.copy()
    student.predict_proba(rows)
    OnnxClassifier(frame_file()).predict_proba(frame)

    pd.testing.assert_frame_equal(frame, FRAME)


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


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_refuses_missing_values_of_a_column_where_the_file_says_so(library):
    student = OnnxClassifier(frame_file(allow_nan="false"))
    student.predict(library({"age": [20.0, 30.0], "job": ["cook", None]}))

    with pytest.raises(ValueError, match="Column 'age' contains NaN"):
        student.predict(library({"age": [20.0, None], "job": ["cook", "cook"]}))


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
    proba = OnnxClassifier(frame_file()).predict_proba(
        pd.DataFrame({"age": ages, "job": jobs})
    )

    expected = expected_proba([20, 40, 61, 35], ["cook", "nan", "clerk", "?"])
    np.testing.assert_allclose(proba, expected, rtol=1e-5)


@pytest.mark.parametrize("library", [pl.DataFrame, pa.table])
def test_other_data_frames(library):
    student = OnnxClassifier(frame_file())

    np.testing.assert_array_equal(
        student.predict_proba(library({"age": AGES, "job": JOBS})),
        student.predict_proba(FRAME),
    )


@pytest.mark.parametrize(
    ("values", "strings"),
    [
        ([7, 7], ["7", "7"]),
        ([7.0, np.nan], ["7", "nan"]),
        ([True, False], ["True", "False"]),
        (pd.Categorical([7, 8]), ["7", "8"]),
        (pd.array([7, None], "Int64"), ["7", "nan"]),
        (["7", 7.0], ["7", "7"]),
    ],
)
def test_labels_that_are_no_strings(values, strings):
    frame = pd.DataFrame({"age": [1, 2], "job": values})
    proba = OnnxClassifier(frame_file()).predict_proba(frame)

    np.testing.assert_allclose(proba, expected_proba([1, 2], strings), rtol=1e-5)


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
    with pytest.raises(TypeError, match="takes columns of strings; pass a data frame"):
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
    ("age", "message"),
    [
        (np.inf, "Column 'age' contains infinity or a value too large"),
        (1e39, "Column 'age' contains infinity or a value too large"),
        ("old", "a column that must be numeric is not"),
    ],
)
def test_refuses_values_of_a_column(library, age, message):
    with pytest.raises(ValueError, match=message):
        OnnxClassifier(frame_file()).predict(library({"age": [age], "job": ["cook"]}))


def test_refuses_a_frame_without_rows():
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        OnnxClassifier(frame_file()).predict(FRAME[:0])


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


@pytest.mark.parametrize("make", [array_file, frame_file])
def test_refuses_a_file_that_is_cut_off(make):
    content = make()
    for length in range(0, len(content), 5):
        with pytest.raises(ValueError, match="cannot load model: "):
            OnnxClassifier(content[:length]).fit()


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
        ({"classes": None}, "metadata are damaged.*skdistill.classes"),
        ({"classes": "[0, 1"}, "metadata are damaged"),
        ({"classes": '["a", "b", "c"]'}, "metadata are damaged"),
        ({"classes_dtype": "?!"}, "metadata are damaged"),
        ({"classes": "[" * 100_000}, "metadata are damaged"),
        ({"classes": "[0, 1, 99999999999999999999]"}, "metadata are damaged"),
        ({"classes": "[0, 1, 1]"}, "metadata are damaged.*twice"),
        ({"classes_dtype": "i4,i4"}, "metadata are damaged.*labels of the dtype"),
        ({"classes_dtype": "<U90000000000"}, "metadata are damaged"),
        ({"classes_dtype": "<U900000000"}, "metadata are damaged"),
        ({"n_features": "9" * 5000}, "metadata are damaged"),
        ({"kinds": "[" * 100_000}, "metadata are damaged"),
        ({"feature_names": "9" * 5000}, "metadata are damaged"),
        ({"n_features": "two"}, "metadata are damaged"),
        ({"kinds": "3"}, "metadata are damaged"),
        ({"classes": "[0, 1]"}, "metadata do not fit"),
        ({"classes": "[[0, 1, 2]]"}, "metadata do not fit"),
        ({"n_features": "3"}, "metadata do not fit"),
        ({"feature_names": '["a"]'}, "metadata do not fit"),
        ({"feature_names": '["a", "b", "c"]'}, "metadata do not fit"),
        ({"kinds": '["float", "float"]'}, "metadata do not fit"),
    ],
)
def test_refuses_metadata_that_do_not_fit(metadata, message):
    with pytest.raises(ValueError, match=message):
        OnnxClassifier(array_file(**metadata)).predict(X)


def test_refuses_inputs_that_do_not_fit():
    with pytest.raises(ValueError, match="metadata do not fit"):
        OnnxClassifier(
            frame_file(kinds=["float", "float"]).replace(
                b'["float", "float"]', b'["float","string"]'
            )
        ).predict(X)


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


def test_model_that_fails_when_it_runs():
    model = array_model()
    model.graph.node.insert(0, helper.make_node("Reshape", ["X", "shape"], ["Y"]))
    model.graph.node[1].input[0] = "Y"
    model.graph.initializer.append(numpy_helper.from_array(np.array([7, 2]), "shape"))

    with pytest.raises(ValueError, match="the model cannot be run"):
        OnnxClassifier(model.SerializeToString()).predict(X)


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


PLACES = {
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
    "function": lambda m: m.functions.add(name="f").node.add(
        op_type="Constant", attribute=[attribute(t=outside())]
    ),
    "function_attribute": lambda m: m.functions.add(
        name="f", attribute_proto=[attribute(t=outside())]
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


@pytest.mark.parametrize("field", ["external_data", "data_location"])
@pytest.mark.usefixtures("no_session")
def test_either_sign_of_outside_data_is_enough(field):
    model = array_model()
    hidden = outside()
    hidden.ClearField(field)
    model.graph.initializer.append(hidden)

    with pytest.raises(ValueError, match="it names data outside itself"):
        OnnxClassifier(model.SerializeToString()).predict(X)


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
    assert expected == _onnx_safety._MESSAGES
    numbers = onnx.TensorProto.DESCRIPTOR.fields_by_name
    assert numbers["external_data"].number == _onnx_safety._EXTERNAL_DATA
    assert numbers["data_location"].number == _onnx_safety._DATA_LOCATION


def test_refuses_the_format_of_onnxruntime(student, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "student.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(student.model, options, ["CPUExecutionProvider"])
    content = (tmp_path / "student.ort").read_bytes()

    assert onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    with pytest.raises(ValueError, match="cannot load model"):
        OnnxClassifier(content).predict(X)
    with pytest.raises(ValueError, match="onnxruntime refuses it"):
        _onnx_file._session(content)


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
    from skdistill.deploy._onnx_classifier import OnnxClassifier

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


def test_missing_onnxruntime(student, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(ImportError, match=r"pip install skdistill\[onnx\]"):
        student.predict(X)


@pytest.fixture(scope="module", params=["array", "named array", "frame"])
def exported(request, data):
    """Return a fitted student, its file, and rows."""
    rows, y = data
    labels = np.array(["ant", "bee", "cow"])[y]
    if request.param != "array":
        rows = pd.DataFrame(rows.copy(), columns=["a-b", "c d", "é", "label 1"])
        labels = y == 1
    if request.param == "frame":
        rows["job"] = np.resize(["cook", None, "clerk", "7"], len(rows))
        rows.loc[::9, "a-b"] = None
    forest = RandomForestClassifier(n_estimators=5, random_state=0)
    student = DistilledClassifier(
        make_pipeline(TabularPreprocessor(), forest),
        make_student(hidden_layer_sizes=8, max_epochs=3),
        random_state=0,
    ).fit(rows, labels)
    return student, to_onnx(student, sample=rows), rows


def test_says_what_the_exported_student_says(exported):
    student, content, rows = exported
    onnx_student = OnnxClassifier(content)

    np.testing.assert_array_equal(onnx_student.classes_, student.classes_)
    assert onnx_student.classes_.dtype == student.classes_.dtype
    assert onnx_student.n_features_in_ == student.n_features_in_
    assert list(getattr(onnx_student, "feature_names_in_", [])) == list(
        getattr(student, "feature_names_in_", [])
    )
    np.testing.assert_allclose(
        onnx_student.predict_proba(rows), student.predict_proba(rows), atol=1e-6
    )
    np.testing.assert_array_equal(onnx_student.predict(rows), student.predict(rows))


def test_exported_student_takes_other_tables(exported):
    student, content, rows = exported
    named = isinstance(rows, pd.DataFrame)
    proba = OnnxClassifier(content).predict_proba(
        pl.from_pandas(rows) if named else rows.tolist()
    )

    np.testing.assert_allclose(proba, student.predict_proba(rows), atol=1e-6)
