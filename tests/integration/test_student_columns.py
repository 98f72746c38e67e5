"""A student that reads fewer columns than its teacher."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    TransferRows,
    model_selection,
)
from skdistill.augmentation import MUNGE
from skdistill.deploy import OnnxClassifier, to_onnx, to_sklearn
from skdistill.inspection import compare
from skdistill.metrics import fidelity_scorer
from tests.conftest import FittedTeacher, small_student, tiny_net

MADE = MUNGE(n_copies=1)
NAMES = ["age", "income", "scan", "town"]
CHEAP = ["town", "age"]


def rows(n_rows=120, seed=0):
    """Return rows whose labels depend on an expensive column the most."""
    rng = np.random.default_rng(seed)
    age, income, scan = rng.normal(size=(3, n_rows))
    town = rng.choice(["Bonn", "Ulm"], n_rows)
    X = pd.DataFrame(
        {"age": age, "income": income, "scan": scan, "town": town}, columns=NAMES
    )
    return X, (age + 2 * scan + (town == "Ulm") > 0).astype(int)


X, y = rows()
NUMBERS = X.assign(town=(X["town"] == "Ulm").astype(float)).to_numpy()


class Doctor(FittedTeacher):
    """Says what the scan says, and keeps the columns that it is asked about."""

    def __init__(self, classes=(0, 1)):
        super().__init__(classes)
        self.asked = []

    def predict_proba(self, X):
        self.asked.append(list(X.columns))
        second = 1 / (1 + np.exp(-4 * X["scan"].to_numpy()))
        return np.stack([1 - second, second], axis=1)


def distilled(teacher=None, student=None, **params):
    """Return an estimator that makes no rows by default."""
    defaults = {"augmenter": None, "random_state": 0, "student_columns": CHEAP}
    teacher = Doctor() if teacher is None else teacher
    student = small_student() if student is None else student
    return DistilledClassifier(teacher, student, **defaults | params)


@pytest.fixture(scope="module")
def fitted():
    return distilled().fit(X, y)


def test_teacher_is_asked_about_all_columns_and_the_student_reads_its_own(fitted):
    others, _ = rows(30, seed=1)
    clf = distilled(augmenter=MADE).fit(X, y, X_transfer=others)
    assert clf.teacher.asked
    assert all(asked == NAMES for asked in clf.teacher.asked)
    assert clf.student_[0].feature_names_in_.tolist() == CHEAP
    assert clf.feature_names_in_.tolist() == CHEAP
    assert clf.n_features_in_ == 2


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_rows_of_the_students_columns_are_enough(fitted, method):
    predict = getattr(fitted, method)
    expected = predict(X)
    for few in (X[CHEAP], X[CHEAP[::-1]], X[["age", "scan", "town"]]):
        assert_array_equal(predict(few), expected)


def test_row_that_lacks_a_column_is_refused(fitted):
    with pytest.raises(ValueError, match="yet now missing:\n- town"):
        fitted.predict(X[["age", "income"]])


def test_missing_values_elsewhere_do_not_matter(fitted):
    unknown = X.assign(scan=np.nan, income=None)
    assert_array_equal(fitted.predict(unknown), fitted.predict(X))


@pytest.mark.parametrize("student", [None, tiny_net(), "pipeline"])
@pytest.mark.parametrize("given", [[3, 0], [True, False, False, True]])
def test_arrays_have_the_students_columns_or_all(given, student):
    student = make_pipeline(StandardScaler(), tiny_net()) if student else student
    clf = distilled(LogisticRegression(), student, student_columns=given)
    clf.fit(NUMBERS, y)
    positions = np.flatnonzero(given) if True in given else given
    own = NUMBERS[:, positions]
    expected = clf.predict_proba(own)
    assert_array_equal(clf.predict_proba(NUMBERS), expected)
    assert_array_equal(clf.predict_proba(NUMBERS.tolist()), expected)
    assert clf.n_features_in_ == 2
    assert not hasattr(clf, "feature_names_in_")
    with pytest.raises(ValueError, match=r"has 3 features, .* expecting 2"):
        clf.predict(NUMBERS[:, :3])


def test_sparse_rows_have_the_students_columns_or_all():
    table = sparse.csr_matrix(NUMBERS)
    clf = distilled(LogisticRegression(), tiny_net(), student_columns=[3, 0])
    clf.fit(table, y)
    expected = clf.predict_proba(table[:, [3, 0]])
    assert_array_equal(clf.predict_proba(table), expected)
    assert_array_equal(clf.predict_proba(table.tocoo()), expected)


def test_student_is_that_of_a_fit_on_soft_labels_and_these_columns_alone():
    teacher = Doctor()
    soft, params = teacher.predict_proba(X), {"alpha": 0.5}
    few = distilled(teacher, **params).fit(X, y)
    own = distilled(**params).set_params(teacher=None, student_columns=None)
    own.fit(X[CHEAP], y, teacher_proba=soft)
    assert_array_equal(few.predict_proba(X), own.predict_proba(X[CHEAP]))
    both = clone(own).set_params(student_columns=CHEAP).fit(X, y, teacher_proba=soft)
    assert_array_equal(few.predict_proba(X), both.predict_proba(X))


def test_chunks_have_all_columns():
    clf = distilled()
    for start in (0, 40, 80):
        clf.partial_fit(X[start : start + 40], y[start : start + 40])
        assert clf.feature_names_in_.tolist() == CHEAP
    with pytest.raises(ValueError, match="yet now missing:\n- income\n- scan"):
        clf.partial_fit(X[CHEAP], y)
    assert clf.feature_names_in_.tolist() == CHEAP
    assert_array_equal(clf.predict(X[CHEAP]), clf.predict(X))


def test_rows_of_the_students_columns_are_too_few_to_learn_from(fitted):
    with pytest.raises(ValueError, match=r"\['town'\], and X has the columns \['age'"):
        clone(fitted).fit(X[["age", "scan"]], y)
    with pytest.raises(ValueError, match="yet now missing:\n- income"):
        clone(fitted).fit(X, y, X_transfer=X[CHEAP][:50])


def test_another_fit_may_have_other_columns(fitted):
    clf = clone(fitted).fit(X, y).set_params(student_columns=["age", "scan"])
    assert clf.fit(X, y).feature_names_in_.tolist() == ["age", "scan"]
    clf.set_params(student_columns=None).fit(X, y)
    assert clf.feature_names_in_.tolist() == NAMES
    assert_array_equal(clf.predict(X), clf.predict(X[NAMES]))


def test_failed_fit_leaves_the_columns_as_they_were(fitted):
    clf = clone(fitted).fit(X, y)
    expected = clf.predict_proba(X)
    with pytest.raises(ValueError, match=r"student_columns has \['size'\]"):
        clf.set_params(student_columns=["size"]).fit(X, y)
    assert clf.feature_names_in_.tolist() == CHEAP
    assert_array_equal(clf.predict_proba(X[CHEAP]), expected)


def test_columns_that_the_person_passed_stay_as_they_are(fitted):
    columns, before = list(CHEAP), X.copy()
    clf = distilled(student_columns=columns).fit(X, y)
    assert clf.student_columns is columns
    assert columns == CHEAP
    pd.testing.assert_frame_equal(X, before)


def test_files_and_exports_need_these_columns_alone(fitted, tmp_path):
    few, expected = X[CHEAP], fitted.predict_proba(X)
    loaded = pickle.loads(pickle.dumps(fitted))
    for rows in (few, X):
        assert_array_equal(loaded.predict_proba(rows), expected)
    plain = to_sklearn(fitted)
    assert plain.feature_names_in_.tolist() == CHEAP
    assert_allclose(plain.predict_proba(few), expected, atol=1e-6)
    onnx = OnnxClassifier(to_onnx(fitted))
    assert onnx.feature_names_in_.tolist() == CHEAP
    assert_allclose(onnx.predict_proba(few), expected, atol=1e-6)
    sampled = OnnxClassifier(to_onnx(fitted, sample=few))
    assert_allclose(sampled.predict_proba(few), expected, atol=1e-6)


def test_bare_net_is_exported_with_its_columns_alone():
    table = pd.DataFrame(NUMBERS, columns=NAMES)
    clf = distilled(LogisticRegression(), tiny_net()).fit(table, y)
    expected = clf.predict_proba(table)
    for model in (to_sklearn(clf), OnnxClassifier(to_onnx(clf))):
        assert model.feature_names_in_.tolist() == CHEAP
        few = table[CHEAP].to_numpy(np.float32)
        assert_allclose(model.predict_proba(table[CHEAP]), expected, atol=1e-6)
        assert few.shape[1] == model.n_features_in_


@pytest.mark.parametrize("search", [GridSearchCV, model_selection.GridSearchCV])
def test_search_scores_on_rows_of_all_columns(search):
    grid = {"alpha": [0.3, 0.9], "student_columns": [None, [3, 0]]}
    clf = distilled(LogisticRegression(), small_student(numeric="standard"))
    found = search(clf, grid, cv=2, error_score="raise").fit(NUMBERS, y)
    assert len(found.cv_results_["params"]) == 4
    assert found.predict(NUMBERS).shape == y.shape
    assert len(cross_val_predict(clf.set_params(student_columns=[3, 0]), NUMBERS, y))


def test_comparison_trains_the_labels_on_the_same_columns():
    clf = distilled(RandomForestClassifier(10, random_state=0), student_columns=[1])
    student = small_student(max_epochs=20, numeric="standard")
    found = compare(clf.set_params(student=student), NUMBERS, y, cv=2)
    accuracy = {k: found.results[k]["accuracy"].mean() for k in found.results}
    # The column says nothing of the labels, and the teacher reads the others.
    assert accuracy["teacher"] > 0.8
    assert accuracy["labels alone"] < 0.7


def test_scorer_of_fidelity_gets_rows_of_all_columns(fitted):
    scorer = fidelity_scorer(fitted.teacher)
    assert 0 <= scorer(fitted, X) <= 1


def test_steps_before_the_estimator_are_not_exported_with_fewer_columns():
    clf = distilled(LogisticRegression(), student_columns=[3, 0])
    pipeline = make_pipeline(StandardScaler(), clf).fit(NUMBERS, y)
    assert pipeline.predict(NUMBERS).shape == y.shape
    with pytest.raises(ValueError, match="export the estimator alone"):
        to_sklearn(pipeline)
    assert to_sklearn(pipeline[-1]).n_features_in_ == 2


def test_regressor_has_a_student_of_fewer_columns():
    target = NUMBERS @ [1.0, 0.0, 2.0, 1.0]
    forest = RandomForestRegressor(10, random_state=0).fit(NUMBERS, target)
    student = small_student(task="regression")
    reg = DistilledRegressor(
        forest, student, student_columns=[3, 0], random_state=0
    ).fit(NUMBERS, target)
    assert reg.n_features_in_ == 2
    assert_array_equal(reg.predict(NUMBERS[:, [3, 0]]), reg.predict(NUMBERS))


def test_teacher_counts_as_much_as_the_students_columns_explain_of_it():
    X, y = rows(400)
    alone = {}
    for columns in (["age", "income"], ["age", "scan"]):
        clf = distilled(student_columns=columns, augmenter=MADE).fit(X, y)
        alone[columns[1]] = clf.alpha_
    assert alone["income"] < 0.1 < alone["scan"] < 0.7


def test_teacher_is_as_sure_as_nets_of_the_students_columns():
    X, y = rows(400)
    params = {"alpha": 0.5, "augmenter": MADE}
    few = distilled(student_columns=["age"], **params).fit(X, y)
    everything = distilled(student_columns=None, **params).fit(X, y)
    assert few.teacher_temperature_ > everything.teacher_temperature_


class Counting(LogisticRegression):
    """Counts the fits of all of its kind."""

    n_fits = 0

    def fit(self, X, y, sample_weight=None):
        type(self).n_fits += 1
        return super().fit(X, y, sample_weight)


def test_no_clone_is_fitted_to_measure_what_does_not_count():
    Counting.n_fits = 0
    distilled(Counting(), student_columns=[3, 0], augmenter=MADE).fit(NUMBERS, y)
    assert Counting.n_fits == 1


@pytest.mark.parametrize("calibration", [(X, y), "out_of_fold"], ids=["pair", "folds"])
def test_own_calibration_uses_all_columns(calibration):
    if calibration == "out_of_fold":
        clf = distilled(LogisticRegression(), student_columns=[3, 0], cv=3)
        clf.set_params(calibrate_teacher=calibration).fit(NUMBERS, y)
    else:
        clf = distilled(calibrate_teacher=calibration, augmenter=MADE).fit(X, y)
    assert clf.teacher_temperature_ > 0
    assert clf.n_features_in_ == 2


def test_wrapped_rows_without_labels_have_all_columns(fitted):
    others, _ = rows(len(X), seed=2)
    clf = clone(fitted).fit(X, y, X_transfer=TransferRows(others))
    assert_array_equal(clf.predict(X[CHEAP]), clf.predict(X))


def test_student_that_chooses_its_columns_needs_no_others():
    table = pd.DataFrame(NUMBERS, columns=NAMES)
    chosen = ColumnTransformer([("scale", StandardScaler(), CHEAP)])
    clf = distilled(LogisticRegression(), make_pipeline(chosen, tiny_net()))
    clf.set_params(student_columns=None).fit(table, y)
    expected = clf.predict_proba(table)
    for few in (table[CHEAP], table[["scan", *CHEAP]]):
        assert_array_equal(clf.predict_proba(few), expected)
    with pytest.raises(ValueError, match=r"columns are missing.*'town'"):
        clf.predict(table[["age"]])
    with pytest.raises(ValueError, match="0 sample"):
        clf.predict(table[:0])
