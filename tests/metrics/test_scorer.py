import copy
import pickle
import shutil

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.special import softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification, make_regression
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    QuantileRegressor,
)
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline

from skdistill import DistilledRegressor, make_student
from skdistill.deploy import CompiledStudent, OnnxRegressor, to_c, to_onnx
from skdistill.metrics import agreement, fidelity_scorer, kl_to_teacher
from tests.conftest import FittedTeacher, RowTeacher, distilled, small_student


@pytest.fixture
def bayes(data):
    return GaussianNB().fit(*data)


def test_agreement_is_the_default(forest, bayes, data):
    score = fidelity_scorer(forest)(bayes, *data)
    assert score == agreement(forest.predict(data[0]), bayes.predict(data[0]))
    assert 0 < score < 1


def test_the_divergence_is_negative(forest, bayes, data):
    score = fidelity_scorer(forest, "neg_kl")(bayes, data[0])
    probas = (model.predict_proba(data[0]) for model in (forest, bayes))
    assert_allclose(score, -kl_to_teacher(*probas), rtol=1e-5)
    assert score < 0


def test_a_metric_of_ones_own_gets_probabilities_and_weights(forest, bayes, data):
    def metric(teacher, student, sample_weight=None):
        assert_allclose(teacher, forest.predict_proba(data[0]), atol=1e-7)
        assert_allclose(student, bayes.predict_proba(data[0]))
        return 0.0 if sample_weight is None else sample_weight.sum()

    scorer = fidelity_scorer(forest, metric)
    assert scorer(bayes, data[0]) == 0
    assert scorer(bayes, data[0], sample_weight=np.ones(90)) == 90


def test_columns_are_matched_by_their_labels(data):
    X, names = data[0], np.array(["b", "c", "a"])[data[1]]
    teacher = GaussianNB().fit(X[names != "a"], names[names != "a"])
    student = GaussianNB().fit(X[names != "b"], names[names != "b"])
    found = fidelity_scorer(teacher)(student, X)
    assert found == np.mean(teacher.predict(X) == student.predict(X))
    assert 0 < found < 1


def test_codes_stand_for_the_classes_of_the_teacher(data):
    X, codes = data
    teacher = GaussianNB().fit(X, np.array(["x", "y", "z"])[codes])
    assert fidelity_scorer(teacher)(GaussianNB().fit(X, codes), X) == 1


@pytest.mark.parametrize("several", [False, True])
def test_a_student_names_the_columns_of_its_own_teacher(several, forest, data):
    X, names = data[0], np.array(["c", "a", "b"])[data[1]]
    clf = distilled(
        [forest] if several else forest, small_student(), classes=["c", "a", "b"]
    )
    search = GridSearchCV(clf, {"alpha": [0.5]}, cv=2).fit(X.astype(np.float32), names)
    told = np.array(["c", "a", "b"])[forest.predict(X)]
    expected = agreement(told, search.predict(X))
    assert fidelity_scorer(clf.teacher)(search, X) == expected
    other = RandomForestClassifier(10, min_samples_leaf=3, random_state=0).fit(X, names)
    assert fidelity_scorer(other)(search, X) == agreement(
        other.predict(X), search.predict(X)
    )


def test_several_teachers_are_averaged(forest, bayes, data):
    mean = (forest.predict_proba(data[0]) + bayes.predict_proba(data[0])) / 2
    linear = LogisticRegression().fit(*data)
    assert fidelity_scorer([forest, bayes])(linear, data[0]) == agreement(
        mean, linear.predict_proba(data[0])
    )


def test_in_a_search_the_teacher_labels_the_rows_of_a_fold_once(
    forest, data, count_calls
):
    calls = count_calls(RandomForestClassifier, "predict_proba")
    search = GridSearchCV(
        LogisticRegression(),
        {"C": [0.001, 1.0, 10.0]},
        scoring={"accuracy": "accuracy", "fidelity": fidelity_scorer(forest)},
        refit="fidelity",
        cv=3,
        error_score="raise",
    ).fit(*data)
    assert search.best_params_ != {"C": 0.001}
    assert calls["predict_proba"] == 3


def test_weights_count(forest, bayes, data):
    agrees = forest.predict(data[0]) == bayes.predict(data[0])
    scorer = pickle.loads(pickle.dumps(fidelity_scorer(forest)))
    assert scorer(bayes, data[0]) == agrees.mean()
    assert scorer(bayes, data[0], sample_weight=agrees.astype(float)) == 1


@pytest.mark.parametrize("routing", [False, True])
def test_a_search_with_weights(forest, data, routing):
    weights = np.arange(90.0)
    with config_context(enable_metadata_routing=routing):
        linear = LogisticRegression()
        if routing:
            linear.set_fit_request(sample_weight=True)
        search = GridSearchCV(
            linear,
            {"C": [1.0]},
            scoring={"a": fidelity_scorer(forest), "kl": fidelity_scorer(forest)},
            refit="a",
            cv=2,
            error_score="raise",
        ).fit(*data, sample_weight=weights)
    assert 0 < search.best_score_ <= 1


def test_copies_refer_to_the_same_teacher(forest):
    scorer = fidelity_scorer(forest, "neg_kl")
    search = GridSearchCV(GaussianNB(), {}, scoring={"kl": scorer}, refit=False)
    assert clone(search).scoring["kl"].teacher is forest
    assert copy.deepcopy(scorer).teacher is forest


def test_prints_as_the_call_that_made_it():
    text = repr(fidelity_scorer(GaussianNB().fit([[0], [1]], [0, 1])))
    assert text == "fidelity_scorer(GaussianNB(), metric='auto')"


def test_the_teacher_must_be_fitted():
    with pytest.raises(NotFittedError, match=r"call teacher\.fit first"):
        fidelity_scorer(GaussianNB())


def test_unknown_metric(forest):
    with pytest.raises(ValueError, match="must be a str among"):
        fidelity_scorer(forest, "kl")


class Framed(FittedTeacher):
    """Names the columns of its answer, in an order of its own."""

    def predict_proba(self, X):
        proba = pd.DataFrame(softmax(X[:, :3], axis=1), columns=[0, 1, 2])
        return proba[[2, 0, 1]]


def test_a_teacher_is_read_by_the_names_of_its_columns(data):
    X = data[0]
    student = RowTeacher()  # says the same, in order
    assert fidelity_scorer(Framed())(student, X) == 1
    assert fidelity_scorer([Framed(), Framed()], "neg_kl")(student, X) > -1e-6


def test_regressors_are_compared_by_what_they_predict():
    X, y = make_regression(40, 3, random_state=0)
    teachers = [LinearRegression().fit(X, y), KNeighborsRegressor().fit(X, y)]
    student = KNeighborsRegressor(2).fit(X, y)
    said, ours = np.mean([one.predict(X) for one in teachers], 0), student.predict(X)
    weight = np.arange(40.0)
    for metric, expected in (
        ("auto", r2_score(said, ours, sample_weight=weight)),
        ("r2", r2_score(said, ours, sample_weight=weight)),
        ("neg_rmse", -root_mean_squared_error(said, ours, sample_weight=weight)),
    ):
        found = fidelity_scorer(teachers, metric)(student, X, sample_weight=weight)
        assert found == pytest.approx(expected)
    assert fidelity_scorer(teachers[0], lambda a, b: a.shape[0])(student, X) == 40


def test_a_teacher_of_other_targets_is_refused_with_both_shapes(data):
    X = data[0]
    knn = KNeighborsRegressor()
    teacher, student = clone(knn).fit(X, X[:, :2]), clone(knn).fit(X, X[:, 0])
    message = rf"\({len(X)}, 2\), and that of the student \({len(X)},\)"
    with pytest.raises(ValueError, match=message):
        fidelity_scorer(teacher)(student, X)


def test_students_of_quantiles_are_compared_by_these(tmp_path):
    X, y = make_regression(40, 3, random_state=0)
    levels = [0.2, 0.5, 0.9]
    teachers = [
        QuantileRegressor(quantile=level, alpha=0).fit(X, y) for level in levels
    ]
    net = make_student((4,), task="regression", max_epochs=2)
    reg = DistilledRegressor(teachers, net, quantiles=levels, augmenter=None).fit(X)
    said = np.stack([one.predict(X) for one in teachers], axis=1)
    expected = r2_score(said, reg.predict(X))
    assert fidelity_scorer(teachers)(reg, X) == pytest.approx(expected)
    assert fidelity_scorer(teachers)(make_pipeline(reg), X) == pytest.approx(expected)
    exports = [OnnxRegressor(to_onnx(reg))]
    if shutil.which("cc"):
        exports.append(CompiledStudent(to_c(reg, tmp_path / "student.c")))
    for made in exports:
        assert made.quantiles_ == levels
        assert fidelity_scorer(teachers)(made, X) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("metric", ["agreement", "neg_kl"])
def test_a_metric_of_classes_is_none_of_a_regressor(metric):
    teacher = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    with pytest.raises(ValueError, match=r"none for regression: use one of \['r2'"):
        fidelity_scorer(teacher, metric)


def test_students_of_several_labels_are_compared_by_label_and_by_row():
    X, y = make_multilabel_classification(60, 5, n_classes=3, random_state=0)
    teacher = RandomForestClassifier(5, random_state=0).fit(X, y)
    student = KNeighborsClassifier().fit(X, y)
    same = teacher.predict(X) == student.predict(X)
    assert fidelity_scorer(teacher)(student, X) == pytest.approx(same.mean())
    by_row = fidelity_scorer([teacher], "row_agreement")(student, X)
    assert by_row == same.all(axis=1).mean()
    both = (
        np.stack([p[:, 1] for p in model.predict_proba(X)], axis=1)
        for model in (teacher, student)
    )
    expected = -kl_to_teacher(*both, multilabel=True)
    assert fidelity_scorer(teacher, "neg_kl")(student, X) == pytest.approx(expected)
    with pytest.raises(ValueError, match="none for multilabel"):
        fidelity_scorer(teacher, "r2")
