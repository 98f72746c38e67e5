import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import make_classification
from sklearn.metrics import accuracy_score, r2_score

from skdistill import make_student
from skdistill.deploy import CompiledStudent, footprint, to_c
from skdistill.metrics import size_scorer
from tests.deploy.c_code import build, needs_compiler
from tests.deploy.conftest import assert_same, distilled, quick_student, regressed

pytestmark = needs_compiler


@pytest.fixture(scope="module")
def compiled(array_student, tmp_path_factory):
    """Return a library of an array student."""
    file = to_c(array_student, tmp_path_factory.mktemp("array") / "student.c")
    build(file, to=file.with_suffix(".so"), options=["-O2", "-shared", "-fPIC"])
    return file.with_suffix(".so")


@pytest.fixture(scope="module")
def of_frame(frame_student, tmp_path_factory):
    file = to_c(frame_student, tmp_path_factory.mktemp("frame") / "student.c")
    return CompiledStudent(file).fit()


@pytest.fixture(scope="module")
def regressor(data, tmp_path_factory):
    X = data[0]
    reg = regressed(X, X[:, :2] + [5, -5])
    file = to_c(reg, tmp_path_factory.mktemp("numbers") / "student.c")
    return CompiledStudent(file).fit(), reg


def test_attributes_of_a_classifier(compiled, array_student):
    student = CompiledStudent(compiled)
    assert is_classifier(student)
    assert student.classes_.dtype == array_student.classes_.dtype
    assert student.classes_.tolist() == array_student.classes_.tolist()
    assert not student.classes_.flags.writeable
    assert student.n_features_in_ == 4
    assert not hasattr(student, "feature_names_in_")
    assert not hasattr(student, "n_outputs_")
    assert student.metadata_["task"] == "classification"
    assert "student.so" in repr(student)


def test_costs_count_the_code(compiled, data):
    n_bytes = compiled.stat().st_size
    assert n_bytes < -size_scorer(CompiledStudent(compiled), data[0]) < n_bytes + 1000
    costs = footprint(CompiledStudent(compiled), data[0])
    assert n_bytes < costs["bytes"] < n_bytes + 1000


def test_attributes_of_a_regressor(regressor):
    student, _ = regressor
    assert is_regressor(student)
    assert student.n_outputs_ == 2
    assert not hasattr(student, "classes_")
    assert not hasattr(student, "predict_proba")
    assert not hasattr(student, "predict_log_proba")


def test_scores_are_those_of_the_kind(compiled, regressor, data):
    X, y = data
    student = CompiledStudent(compiled)
    assert student.score(X, y) == accuracy_score(y, student.predict(X))
    proba = student.predict_proba(X)
    np.testing.assert_array_equal(student.predict_log_proba(X), np.log(proba))
    student, reg = regressor
    weights = np.arange(len(X))
    expected = r2_score(X[:, :2], reg.predict(X), sample_weight=weights)
    assert student.score(X, X[:, :2], weights) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "form",
    [np.ndarray.tolist, pd.DataFrame, np.asfortranarray, lambda X: X.astype(int)],
)
def test_forms_of_rows(compiled, array_student, data, form):
    X = np.rint(data[0][:6])
    said = CompiledStudent(compiled).predict_proba(form(X))
    assert said.dtype == np.float64
    np.testing.assert_allclose(said.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(said, array_student.predict_proba(X), atol=1e-5)


def test_rows_that_the_code_checks_itself_are_those_checked_before(compiled, data):
    student, X = CompiledStudent(compiled).fit(), data[0].astype(np.float64)
    assert student._file.takes(X)
    others = np.asfortranarray(X)
    assert not student._file.takes(others)
    proba = student.predict_proba(X)
    np.testing.assert_array_equal(proba, student.predict_proba(others))
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-15)


@pytest.mark.parametrize("value", [np.inf, -1e39])
@pytest.mark.parametrize("order", ["C", "F"])
def test_too_large_numbers_are_refused_whoever_checks_them(compiled, order, value):
    X = np.zeros((3, 4), order=order)
    X[1, 2] = value
    with pytest.raises(ValueError, match="infinity or a value too large"):
        CompiledStudent(compiled).predict_proba(X)


def test_column_that_the_code_does_not_read_is_checked(tmp_path):
    X, y = make_classification(200, 12, n_informative=8, random_state=0)
    clf = distilled(make_student(max_epochs=1, max_bytes=400), X, y)
    student = CompiledStudent(to_c(clf, tmp_path / "student.c")).fit()
    X[1, student._file.kinds.index("unused")] = np.inf
    with pytest.raises(ValueError, match="infinity or a value too large"):
        student.predict_proba(X)


def test_categories_are_levels(of_frame, frame_student, table):
    X = table[0].head(7).astype({"home town": "category"})
    assert_same(of_frame.path, frame_student, X)


@pytest.mark.parametrize(
    "through", [clone, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_copies_say_the_same(compiled, data, through):
    student = CompiledStudent(compiled).fit()
    found = through(student)
    assert found.path == compiled
    np.testing.assert_array_equal(
        found.predict_proba(data[0]), student.predict_proba(data[0])
    )


def test_another_path_is_another_library(compiled, of_frame, data):
    student = CompiledStudent(of_frame.path).fit()
    student.set_params(path=compiled)
    assert student.n_features_in_ == 4


def test_threads(compiled, data):
    student = CompiledStudent(compiled)
    expected = CompiledStudent(compiled).predict_proba(data[0])
    with ThreadPoolExecutor(8) as pool:
        for said in pool.map(student.predict_proba, [data[0]] * 40):
            np.testing.assert_array_equal(said, expected)


def test_relative_paths_are_no_names_of_libraries(compiled, monkeypatch):
    monkeypatch.chdir(compiled.parent)
    assert len(CompiledStudent("student.so").classes_) == 3
    with pytest.raises(FileNotFoundError):
        CompiledStudent("libm.so.6").fit()


def test_needs_neither_torch_nor_onnxruntime(compiled):
    code = (
        "import sys\n"
        "from skdistill.deploy import CompiledStudent\n"
        f"CompiledStudent({str(compiled)!r}).predict([[0.0] * 4])\n"
        "assert not {'torch', 'skorch', 'onnx', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class TestBadInput:
    def test_missing_files(self, tmp_path):
        student = CompiledStudent(tmp_path / "student.c")
        assert "student.c" in repr(student)
        assert clone(student).path == student.path
        with pytest.raises(FileNotFoundError, match=r"student\.c"):
            student.predict([[0.0]])
        with pytest.raises(AttributeError, match="cannot be loaded"):
            _ = student.classes_

    def test_files_that_are_no_libraries(self, tmp_path):
        (tmp_path / "student.so").write_bytes(b"no library")
        with pytest.raises(ValueError, match=r"cannot load student\.so"):
            CompiledStudent(tmp_path / "student.so").fit()
        (tmp_path / "student.c").write_text("int main(void) { return }")
        with pytest.raises(ValueError, match=r"cannot compile student\.c:\n"):
            CompiledStudent(tmp_path / "student.c").fit()
        (tmp_path / "other.c").write_text("int other(void) { return 1; }")
        with pytest.raises(
            ValueError, match=r"other\.c has no function other_metadata"
        ):
            CompiledStudent(tmp_path / "other.c").fit()

    def test_libraries_with_another_name(self, compiled, tmp_path):
        (tmp_path / "mine.so").write_bytes(compiled.read_bytes())
        with pytest.raises(ValueError, match=r"mine_metadata: .* got another name"):
            CompiledStudent(tmp_path / "mine.so").fit()

    @pytest.mark.parametrize(
        ("X", "message"),
        [
            ([[0.0, 1.0]], "X has 2 features, but .* expecting 4"),
            ([[0.0, 1.0, 2.0, 1e39]], "infinity"),
            (np.empty((0, 4)), "0 sample"),
        ],
    )
    def test_arrays(self, compiled, X, message):
        with pytest.raises(ValueError, match=message):
            CompiledStudent(compiled).predict(X)

    def test_arrays_in_place_of_frames(self, of_frame):
        with pytest.raises(
            TypeError, match="takes columns of strings or dates; pass a data frame"
        ):
            of_frame.predict(np.zeros((2, 6)))

    def test_frames_with_other_columns(self, of_frame, table):
        with pytest.raises(ValueError, match="feature names"):
            of_frame.predict(table[0][table[0].columns[::-1]])
        with pytest.raises(ValueError, match="'capital-gain' contains infinity"):
            of_frame.predict(table[0].head(2).assign(**{"capital-gain": np.inf}))

    def test_missing_numbers_that_are_not_replaced(self, net_student, tmp_path):
        student = CompiledStudent(to_c(net_student, tmp_path / "student.c"))
        with pytest.raises(ValueError, match="contains NaN"):
            student.predict([[0.0, 1.0, 2.0, np.nan]])


def test_arrays_that_must_not_be_written_to(compiled, data):
    student, rows = CompiledStudent(compiled), data[0].copy()
    expected = student.predict_proba(rows)
    rows.flags.writeable = False
    np.testing.assert_array_equal(student.predict_proba(rows), expected)


def test_named_numbers_alone_may_be_an_array(data, tmp_path):
    X = pd.DataFrame(data[0], columns=list("abcd"))
    clf = distilled(quick_student(), X, data[1])
    file = to_c(clf, tmp_path / "student.c")
    assert_same(file, clf, X)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        said = CompiledStudent(file).predict_proba(data[0])
    np.testing.assert_allclose(said, clf.predict_proba(X), atol=1e-5)
