import re

import numpy as np
import onnx
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    TabularPreprocessor,
    make_student,
)
from skdistill._students._budget import shape_of
from skdistill.deploy import (
    CompiledStudent,
    OnnxClassifier,
    footprint,
    to_c,
    to_onnx,
    to_sklearn,
)
from skdistill.deploy._c_tables import tables_of
from skdistill.deploy._parts import parts_of

N_ROWS, N_COLUMNS = 300, 9


def array(dtype=np.float64):
    return np.random.default_rng(0).normal(size=(N_ROWS, N_COLUMNS)).astype(dtype)


def frame():
    """Return numbers, of which some are missing, and columns of 3 and 30 levels."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(array()[:, :4], columns=list("abcd"))
    X.loc[::7, "a"] = np.nan
    X["few"] = rng.choice(list("xyz"), N_ROWS)
    X["many"] = [f"level {i}" for i in rng.integers(0, 30, N_ROWS)]
    return X


ROWS = {"float64": array(), "float32": array(np.float32), "frame": frame()}


@pytest.fixture(params=ROWS)
def X(request):
    return ROWS[request.param]


def labels(X):
    return np.digitize(np.asarray(X)[:, 1].astype(float), [-0.5, 0.5])


def soft(X):
    return np.eye(3)[labels(X)] * 0.7 + 0.1


def distilled(X, max_bytes, **kwargs):
    """Return a student that has hardly learned anything, within so many bytes."""
    student = make_student(max_bytes=max_bytes, max_epochs=1, **kwargs)
    clf = DistilledClassifier(student=student, alpha=1.0, random_state=0)
    return clf.fit(X, labels(X), teacher_proba=soft(X))


def hidden(clf):
    return [layer.out_features for layer in clf.student_[-1].module_.layers[:-1:2]]


def n_bytes(clf):
    return tables_of(parts_of(clf)).n_bytes


@pytest.mark.parametrize("max_bytes", [1500, 8000, 60_000])
def test_tables_take_as_many_bytes_as_are_allowed(X, max_bytes):
    clf = distilled(X, max_bytes)
    first, second = hidden(clf)
    assert first == second
    shape = shape_of(clf.student_[0], clf.student_[-1].module_.layers[0].in_features)
    assert shape.with_layers((first, second, 3)) == n_bytes(clf)
    assert n_bytes(clf) <= max_bytes < shape.with_layers((first + 1, second + 1, 3))


def test_tables_of_a_file_take_no_more_bytes(X):
    stored = onnx.load_from_string(to_onnx(distilled(X, 8000))).graph.initializer
    assert sum(len(one.raw_data) for one in stored) <= 8000


@pytest.mark.parametrize("n_columns", [1, 4, N_COLUMNS])
@pytest.mark.parametrize("n_classes", [3, 26])
def test_error_says_how_many_bytes_are_enough(n_columns, n_classes):
    X = array()[:, :n_columns]
    targets = np.random.default_rng(0).dirichlet(np.ones(n_classes), N_ROWS)

    def fitted(max_bytes):
        student = make_student(max_bytes=max_bytes, max_epochs=1)
        clf = DistilledClassifier(student=student, classes=range(n_classes))
        return clf.fit(X, teacher_proba=targets)

    with pytest.raises(ValueError, match="max_bytes=40 is too few for") as raised:
        fitted(40)
    (enough,) = re.findall(r"(\d+) bytes are enough", str(raised.value))
    assert n_bytes(fitted(int(enough))) <= int(enough)
    with pytest.raises(ValueError, match="is too few"):
        fitted(int(enough) // 2)


def test_levels_of_all_columns_are_kept():
    with pytest.raises(ValueError, match="max_bytes=80 is too few for 3 inputs"):
        distilled(frame(), 80)


def test_of_numbers():
    X = array()
    student = make_student(task="regression", max_bytes=3000, max_epochs=1)
    reg = DistilledRegressor(student=student, alpha=1.0, random_state=0)
    reg.fit(X, X[:, 0], teacher_pred=X[:, 0])
    assert 2700 < n_bytes(reg) <= 3000


def test_student_by_itself_keeps_to_it():
    X = array()
    student = make_student(max_bytes=4000, max_epochs=1).fit(X, labels(X))
    sizes = [p.numel() for p in student[-1].module_.parameters()]
    inputs = shape_of(student[0], student[-1].module_.layers[0].in_features)
    assert 3000 < inputs.n_bytes + 4 * sum(sizes) <= 4000


def test_fit_again_on_other_columns():
    X = array()
    clf = distilled(X, 4000)
    clf.fit(X[:, :2], labels(X), teacher_proba=soft(X))
    assert 3500 < n_bytes(clf) <= 4000
    assert n_bytes(clone(clf).fit(X, labels(X), teacher_proba=soft(X))) <= 4000


def test_preprocessing_of_a_person_counts_as_numbers():
    X = array()
    net = make_student(max_bytes=4000, max_epochs=1)[-1]
    clf = DistilledClassifier(
        student=make_pipeline(StandardScaler(), net), alpha=1.0, random_state=0
    ).fit(X, labels(X), teacher_proba=soft(X))
    assert 3000 < n_bytes(clf) <= 4000


@pytest.mark.parametrize("of", [{"hidden_layer_sizes": 8}, {"numeric": "periodic"}])
def test_what_it_chooses_cannot_be_set(of):
    with pytest.raises(ValueError, match="max_bytes chooses the hidden layers and the"):
        make_student(max_bytes=1000, **of)


@pytest.mark.parametrize("max_bytes", [0, 2.5, "20 kB"])
def test_bytes_must_be_a_positive_integer(max_bytes):
    with pytest.raises(ValueError, match="'max_bytes' parameter of make_student"):
        make_student(max_bytes=max_bytes)


def test_values_are_as_narrow_as_their_size_allows():
    X = array()
    X[:, 1] += 1e6
    preprocess = TabularPreprocessor()
    near = shape_of(preprocess.fit(array()), N_COLUMNS).values_bytes
    far = shape_of(preprocess.fit(X), N_COLUMNS).values_bytes
    assert (near, far) == (3 * 4 * N_COLUMNS, (8 + 4 + 8) * N_COLUMNS)


class TestMaxOutputs:
    def made(self, max_outputs, X=ROWS["frame"]):
        preprocess = TabularPreprocessor(
            numeric="piecewise", min_frequency=1, max_outputs=max_outputs
        )
        preprocess.fit(X, soft(X))
        n_levels = [len(known) for known in preprocess.levels_.values()]
        return preprocess.transform(X).shape[1], n_levels

    def test_bins_go_first(self):
        n_all, n_levels = self.made(None)
        assert n_levels == [3, 30]
        counts = []
        for most in (n_all - 1, 80, 45):
            n_outputs, n_levels = self.made(most)
            assert 37 < n_outputs <= most
            assert n_levels == [3, 30]
            counts.append(n_outputs)
        assert counts == sorted(set(counts), reverse=True)

    def test_then_levels_of_the_columns_that_have_most(self):
        assert self.made(37) == (37, [3, 30])
        assert self.made(20) == (20, [3, 13])
        assert self.made(9) == (8, [2, 2])

    def test_then_numbers(self):
        assert self.made(6) == (6, [1, 1])
        assert self.made(4) == (4, [1, 1])

    def test_a_number_and_a_level_are_kept(self):
        assert self.made(1) == (3, [1, 1])

    @pytest.mark.parametrize("numeric", ["standard", "piecewise"])
    def test_the_numbers_that_tell_most_are_kept(self, numeric):
        X = np.random.default_rng(0).normal(size=(300, 6))
        targets = np.column_stack([X[:, 1] > 0, X[:, 4]])
        preprocess = TabularPreprocessor(numeric=numeric, max_outputs=2)
        encoded = preprocess.fit(X, targets).transform(X)
        assert preprocess.numeric_columns_ == [1, 4]
        alone = TabularPreprocessor().fit_transform(X[:, [1, 4]])
        assert_array_equal(encoded, alone)
        X[0, 0] = np.nan  # which nothing reads
        assert_array_equal(preprocess.transform(X), alone)

    def test_without_targets_all_numbers_are_kept(self):
        X = np.random.default_rng(0).normal(size=(300, 6))
        for y in (None, X[:, 0] > 0):
            preprocess = TabularPreprocessor(max_outputs=2).fit(X, y)
            assert preprocess.n_numeric_ == 6

    def test_parts_of_dates_are_left_out(self):
        days = pd.date_range("2020-01-01", periods=400, freq="D")
        X = pd.DataFrame({"a": days, "b": np.random.default_rng(0).permutation(days)})
        weekday = X.b.dt.day_of_week.to_numpy()
        targets = np.column_stack([weekday == 5, weekday == 6])
        preprocess = TabularPreprocessor(max_outputs=1).fit(X, targets.astype(float))
        assert preprocess.dates_ == {1: (None, ["weekday"])}
        assert preprocess.get_feature_names_out().tolist() == ["b_weekday"]
        alone = TabularPreprocessor().fit_transform(weekday[:, np.newaxis])
        assert_allclose(preprocess.transform(X), alone, atol=1e-6)

    def test_the_frequent_levels_are_kept(self):
        X = pd.DataFrame({"a": list("zzzzyyyx") * 40})
        preprocess = TabularPreprocessor(max_outputs=2).fit(X)
        assert preprocess.levels_ == {0: ["y", "z"]}


@pytest.mark.parametrize("form", ["array", "frame"])
def test_wide_table_has_a_student_of_few_bytes_in_all_exports(form, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 200))
    y = (X[:, 3] + X[:, 150] > 0).astype(int)
    if form == "frame":
        X = pd.DataFrame(X, columns=[f"c{i}" for i in range(200)])
    student = make_student(max_bytes=1000, max_epochs=5)
    forest = RandomForestClassifier(10, random_state=0)
    clf = DistilledClassifier(forest, student, augmenter=None, random_state=0)
    clf.fit(X, y)
    assert {3, 150} < set(clf.student_[0].numeric_columns_)
    assert footprint(clf, X)["table_bytes"] <= 1000
    expected = clf.predict_proba(X)
    compiled = CompiledStudent(to_c(clf, tmp_path / "student.c"))
    for exported in (to_sklearn(clf), OnnxClassifier(to_onnx(clf)), compiled):
        assert_allclose(exported.predict_proba(X), expected, atol=1e-5)


def test_search_over_bytes_finds_the_student_that_is_large_enough():
    from sklearn.model_selection import GridSearchCV

    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = (np.sin(3 * X).sum(axis=1) > 0).astype(int)
    forest = RandomForestClassifier(20, random_state=0)
    students = [make_student(max_bytes=b, max_epochs=20) for b in (250, 20_000)]
    clf = DistilledClassifier(forest, alpha=0.0, augmenter=None, random_state=0)
    search = GridSearchCV(clf, {"student": students}, cv=2).fit(X, y)
    assert search.best_params_["student"].get_params()["net__max_bytes"] == 20_000
