"""Calibrated teachers, from the parameter to the student."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skdistill import DistilledClassifier, soft_labels
from skdistill._targets._answer import Answer
from skdistill._targets._calibration import calibration_on
from skdistill._targets._classes import Classes
from skdistill._transfer._question import Question
from skdistill._transfer._soft_labels import label
from skdistill._transfer._store import store
from tests.conftest import FittedTeacher, distilled, small_student
from tests.kinds import WithoutFit, net, small_forest, torch_teacher


def question_of(*rows, **how):
    return Question(*rows, **{"target": Classes()} | how)


@pytest.fixture(scope="module")
def parts():
    """Return rows to train on, rows to calibrate on, and rows to test on."""
    X, y = make_classification(
        n_samples=900,
        n_features=4,
        n_informative=4,
        n_redundant=0,
        n_classes=3,
        n_clusters_per_class=1,
        class_sep=0.8,
        flip_y=0.1,
        random_state=0,
    )
    X = X.astype(np.float32)
    return [(X[rows], y[rows]) for rows in np.split(np.arange(900), 3)]


def student(teacher, calibrate_teacher="out_of_fold", **params):
    params = {"random_state": 0} | params
    return DistilledClassifier(
        teacher, net(max_epochs=1), calibrate_teacher=calibrate_teacher, **params
    )


def temperature(teacher, X, y, calibrate_teacher="out_of_fold", **params):
    """Return the temperature of a teacher that labels (X, y)."""
    return student(teacher, calibrate_teacher, **params).fit(X, y).teacher_temperature_


class Shouts(FittedTeacher):
    """A linear teacher whose logits are multiplied by a factor."""

    def __init__(self, fitted, factor):
        super().__init__(fitted.classes_)
        self.fitted = fitted
        self.factor = factor

    def predict_proba(self, X):
        logits = self.factor * self.fitted.predict_log_proba(X)
        return np.exp(log_softmax(logits, axis=1))


class Sure(Shouts):
    """Has learned its rows by heart, and shouts about them."""

    def fit(self, X, y):
        self.seen_ = {tuple(row): label for row, label in zip(X, y, strict=True)}
        return self

    def __sklearn_is_fitted__(self):
        return hasattr(self, "seen_")

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        for number, row in enumerate(X):
            if tuple(row) in self.seen_:
                proba[number] = self.classes_ == self.seen_[tuple(row)]
        return proba


# What temperature it is


def test_teacher_that_shouts_is_turned_down(parts):
    train, held_out, _ = parts
    fitted = LogisticRegression().fit(*train)
    plain, loud = Shouts(fitted, 1.0), Shouts(fitted, 3.0)

    found = [temperature(teacher, *train, held_out) for teacher in (plain, loud)]

    assert found[0] == pytest.approx(1, abs=0.3)
    assert found[1] == pytest.approx(3 * found[0], rel=1e-3)
    calibrated_both = [
        soft_labels(teacher, train[0], calibrate_teacher=held_out)
        for teacher in (plain, loud)
    ]
    assert_allclose(*calibrated_both, atol=1e-4)


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("method", ["in_sample", "out_of_fold"])
def test_temperature_is_never_that_of_rows_the_teacher_has_seen(method, fitted, parts):
    (X, y), (X_other, y_other), _ = parts
    by_others = FrozenEstimator(LogisticRegression().fit(X_other, y_other))
    teacher = Sure(by_others, 3.0)
    alone = Shouts(by_others, 3.0)
    if fitted:
        teacher.fit(X, y)
    fold = np.arange(300) % 3 - 1
    cv = PredefinedSplit(fold)  # a third of the rows is in all training folds

    found = temperature(teacher, X, y, cv=cv, soft_labels=method)

    held_out = fold >= 0
    proba = soft_labels(alone, X[held_out])
    expected = calibration_on(Answer(proba, np.arange(3)), y[held_out])
    assert found == pytest.approx(expected.temperature, rel=1e-3)


def test_out_of_fold_temperature_does_not_depend_on_what_is_calibrated(parts):
    X, y = parts[0]
    first, *others = (
        temperature(small_forest(n_estimators=20), X, y, cv=3, soft_labels=way)
        for way in ("in_sample", "out_of_fold", "out_of_bag")
    )

    assert others == [first, first] != [1, 1]


def test_sample_weight_counts(parts):
    (X, y), (X_other, y_other), _ = parts
    fitted = LogisticRegression().fit(X_other, y_other)
    weight = np.where(fitted.predict(X) == y, 1.0, 5.0)

    plain = temperature(LogisticRegression(), X, y)
    weighted = student(LogisticRegression()).fit(X, y, weight).teacher_temperature_

    folds = soft_labels(LogisticRegression(), X, y, cv=5, sample_weight=weight)
    expected = calibration_on(Answer(folds, np.arange(3)), y, weight)
    assert weighted == expected.temperature
    assert weighted > 1.2 * plain


# What it is applied to


@pytest.mark.parametrize("method", ["in_sample", "out_of_fold", "out_of_bag"])
@pytest.mark.parametrize("by_pair", [False, True])
def test_all_rows_get_one_temperature(by_pair, method, parts):
    train, held_out, (more, _) = parts
    question = question_of(*train, method=method, extra=more, random_state=0)
    calibration = held_out if by_pair else "out_of_fold"
    forest = small_forest()

    tempered = label(forest, replace(question, calibration=calibration))

    plain = label(forest, question)
    assert plain.temperature is None
    assert tempered.temperature != pytest.approx(1, abs=0.1)
    expected = tempered.calibration(plain)
    assert len(tempered.values) == 600
    assert_array_equal(tempered.values, expected.values)


def test_teachers_of_a_list_are_calibrated_before_the_average(parts):
    train, held_out, (X, _) = parts
    fitted = LogisticRegression().fit(*train)
    teachers = [Shouts(fitted, 3.0), small_forest().fit(*train)]

    both = soft_labels(teachers, X, calibrate_teacher=held_out, teacher_weights=[3, 1])

    for given, rows in [
        (teachers, held_out),
        ([GaussianNB(), small_forest()], "out_of_fold"),
    ]:
        alone = [temperature(teacher, *train, rows) for teacher in given]
        assert temperature(given, *train, rows) == alone
    first, second = (
        soft_labels(teacher, X, calibrate_teacher=held_out) for teacher in teachers
    )
    assert_allclose(both, 0.75 * first + 0.25 * second, atol=1e-6)


# Classes


NAMES = np.array(["c", "a", "b"])


@pytest.mark.parametrize("method", ["in_sample", "out_of_fold"])
def test_classes_name_the_columns_of_a_fitted_teacher(method, parts):
    (X, y), (X_cal, y_cal), _ = parts
    fitted = GaussianNB().fit(X, y)
    params = {"soft_labels": method, "classes": NAMES}

    for calibration, named in [
        ("out_of_fold", "out_of_fold"),
        ((X_cal, y_cal), (X_cal, NAMES[y_cal])),
    ]:
        found = temperature(fitted, X, NAMES[y], named, **params)

        expected = temperature(fitted, X, y, calibration)
        assert found == pytest.approx(expected, rel=1e-4)


def test_meta_estimator_hands_over_codes(parts):
    (X, y), (X_cal, y_cal), _ = parts
    teacher = GaussianNB().fit(X, NAMES[y])
    clf = student(teacher, (X_cal, NAMES[y_cal]))

    voting = VotingClassifier([("student", clf)]).fit(X, NAMES[y])

    expected = temperature(teacher, X, NAMES[y], (X_cal, NAMES[y_cal]))
    assert voting.estimators_[0].teacher_temperature_ == expected


def test_pair_may_be_a_frame_of_strings():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"town": rng.choice(["Ulm", "Bonn", "Kiel"], 200)})
    y = np.where(rng.random(200) < 0.8, X["town"] == "Ulm", X["town"] == "Bonn")
    train, rest = X[:100], X[100:]
    teacher = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(train, y[:100])

    pair = rest, pd.Series(y[100:])
    clf = distilled(teacher, small_student(), calibrate_teacher=pair)

    proba = teacher.predict_proba(rest).astype(np.float32)
    expected = calibration_on(Answer(proba, teacher.classes_), y[100:]).temperature
    assert clf.fit(train, y[:100]).teacher_temperature_ == pytest.approx(expected)


# How often teachers are fitted and asked


@pytest.mark.parametrize(
    ("fitted", "params", "n_fits"),
    [
        (False, {}, 1 + 5),
        (False, {"soft_labels": "in_sample", "cv": 3}, 1 + 3),
        (False, {"cv": 3}, 1 + 3),
        (True, {}, 5),
        (True, {"cv": 3}, 3),
    ],
)
def test_out_of_fold_fits_nothing_twice(fitted, params, n_fits, parts, calls):
    X, y = parts[0]
    teacher = LogisticRegression()
    if fitted:
        teacher.fit(X, y)
    calls.clear()

    temperature(teacher, X, y, **params)

    assert calls["fit"] == n_fits


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("by_pair", [False, True])
def test_search_asks_and_fits_once_per_training_set(by_pair, fitted, parts, calls):
    (X, y), held_out, _ = parts
    teacher = LogisticRegression()
    if fitted:
        teacher.fit(X, y)
    clf = student(teacher, held_out if by_pair else "out_of_fold")
    calls.clear()

    grid = {"temperature": [1, 4], "alpha": [0.1, 1.0]}
    search = GridSearchCV(clf, grid, cv=2, error_score="raise", scoring=lambda *_: 0.0)
    search.fit(X, y)

    n_fits = (not fitted) + 5 * (not by_pair)
    n_questions = 1 + by_pair + 5 * (not by_pair)
    assert calls["fit"] == 3 * n_fits
    assert calls["predict_proba"] == 3 * n_questions
    assert search.best_estimator_.teacher_temperature_ > 0


def test_temperature_of_a_pair_follows_its_labels_rows_and_names(parts):
    (X, y), (X_cal, y_cal), _ = parts
    teacher = GaussianNB().fit(X, y)

    def labels(X_cal, y_cal, classes=None):
        return soft_labels(
            teacher, X, calibrate_teacher=(X_cal, y_cal), classes=classes
        )

    given = [(X_cal, y_cal), (X_cal, np.roll(y_cal, 1)), (X_cal + 1, y_cal)]
    given.append((X_cal, y_cal, [2, 1, 0]))
    first = [np.sort(labels(*pair), axis=1) for pair in given]

    for number, one in enumerate(first):
        for other in first[:number]:
            assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("by_pair", [False, True])
def test_memory_keeps_the_temperature(by_pair, parts, calls, tmp_path):
    train, held_out, _ = parts
    rows = held_out if by_pair else "out_of_fold"
    clf = student(LogisticRegression(), rows, memory=tmp_path)
    first = clone(clf).fit(*train)
    once = dict(calls)
    store.clear()  # as in a new process

    second = clone(clf).fit(*train)

    assert calls == once
    assert second.teacher_temperature_ == first.teacher_temperature_
    assert_array_equal(second.predict_proba(train[0]), first.predict_proba(train[0]))


# The fitted attribute, files and chunks


def test_nothing_has_a_temperature_that_was_not_calibrated(parts):
    train, held_out, _ = parts
    clf = student(GaussianNB(), held_out)
    assert not hasattr(clf, "teacher_temperature_")

    assert isinstance(clf.fit(*train).teacher_temperature_, float)

    clf.set_params(calibrate_teacher=None).fit(*train)
    assert not hasattr(clf, "teacher_temperature_")


@pytest.mark.parametrize("kind", [tuple, list])
def test_file_keeps_the_temperature_and_leaves_the_pair_out(kind, parts):
    train, held_out, _ = parts
    clf = student(GaussianNB(), kind(held_out)).fit(*train)
    without = student(GaussianNB(), None).fit(*train)

    file = pickle.dumps(clf)

    assert len(file) < len(pickle.dumps(without)) + 500
    loaded = pickle.loads(pickle.dumps(pickle.loads(file)))
    assert loaded.teacher_temperature_ == clf.teacher_temperature_
    loaded.set_params(teacher=GaussianNB())
    with pytest.raises(ValueError, match=r"without its calibrate_teacher"):
        loaded.fit(*train)
    loaded.set_params(calibrate_teacher="out_of_fold").fit(*train)
    assert pickle.loads(pickle.dumps(loaded)).calibrate_teacher == "out_of_fold"


def test_chunks_are_labeled_at_the_temperature_of_the_pair(parts):
    (X, y), held_out, _ = parts
    loud = Shouts(LogisticRegression().fit(X, y), 3.0)
    clf = student(loud, held_out)
    by_hand = student(None, None, classes=[0, 1, 2])

    for rows in (slice(0, 150), slice(150, 300)):
        clf.partial_fit(X[rows], y[rows])
        labels = soft_labels(loud, X[rows], calibrate_teacher=held_out)
        by_hand.partial_fit(X[rows], y[rows], teacher_proba=labels)

    assert clf.teacher_temperature_ == temperature(loud, X, y, held_out)
    assert_array_equal(clf.predict_proba(X), by_hand.predict_proba(X))


# Errors


@pytest.mark.parametrize(
    "make_teacher",
    [
        torch_teacher,
        lambda X, y: FrozenEstimator(GaussianNB().fit(X, y)),
        lambda X, y: WithoutFit(GaussianNB().fit(X, y)),
    ],
    ids=["TorchTeacher", "frozen", "without fit"],
)
def test_teacher_that_cannot_be_fitted_again_needs_a_pair(make_teacher, parts):
    clf = student(make_teacher(*parts[0]), classes=[0, 1, 2])

    with pytest.raises(ValueError, match=r"cannot be fitted again.*\(X_cal, y_cal\)"):
        clf.fit(*parts[0])
    clf.set_params(calibrate_teacher=parts[1]).fit(*parts[0])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X, y: "in_sample", "must be 'auto', 'out_of_fold', None or a pair"),
        (lambda X, y: True, r"must be .* \(X_cal, y_cal\) of rows .*, got True"),
        (lambda X, y: (X, NAMES[y]), "share no class"),
        (lambda X, y: (X[:, :2], y), "X has 2 features"),
    ],
    ids=["name", "boolean", "names", "width"],
)
@pytest.mark.parametrize("fitted", [False, True])
def test_bad_calibration_is_refused(fitted, spoil, message, parts):
    teacher = GaussianNB()
    if fitted:
        teacher.fit(*parts[0])
    with pytest.raises(ValueError, match=message):
        student(teacher, spoil(*parts[1])).fit(*parts[0])


def test_out_of_fold_needs_all_rows_and_labels_of_two_classes(parts):
    X, y = parts[0]
    clf = student(GaussianNB().fit(X, y), alpha=1.0)

    with pytest.raises(ValueError, match="calibrate_teacher='out_of_fold' requires y"):
        clf.fit(X)
    with pytest.raises(ValueError, match="at least 2 classes"):
        clf.fit(X[y == 1], y[y == 1])
    with pytest.raises(ValueError, match=r"partial_fit.*\(X_cal, y_cal\)"):
        clf.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"calibrate_teacher=None, and.*soft_labels"):
        student(None).fit(X, y, teacher_proba=np.full((300, 3), 1 / 3))


def test_folds_that_hold_out_one_class_are_refused():
    y = np.repeat([0, 1], 10)
    X = np.arange(20.0).reshape(-1, 1)
    test = np.arange(5)
    cv = [(np.arange(5, 20), test)]

    with pytest.raises(ValueError, match=r"at least 2 classes.*another cv"):
        soft_labels(GaussianNB(), X, y, cv=cv, calibrate_teacher="out_of_fold")


def test_error_about_the_rows_of_a_pair_says_which_rows_they_are(data, forest):
    X, y = data
    clf = distilled(forest, calibrate_teacher=(X[:, :2], y))
    with pytest.raises(ValueError, match="X has 2 features") as error:
        clf.fit(X, y)
    assert error.value.__notes__ == ["(X is X_cal of calibrate_teacher here.)"]
