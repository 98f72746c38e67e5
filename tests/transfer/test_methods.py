"""Which teacher labels a row, and gives its features."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skdistill import TorchTeacher, soft_labels
from skdistill._targets._classes import Classes
from skdistill._teachers import _asking
from skdistill._teachers._features import (
    N_LEAF_FEATURES,
    FeatureQuestion,
)
from skdistill._transfer._methods import answer_of
from skdistill._transfer._question import Question
from skdistill._transfer._store import store
from skdistill.augmentation import MUNGE
from skdistill.utils._layers import NoFeaturesError
from tests.conftest import NAMES
from tests.kinds import (
    features_of,
    perceptron,
    scaled,
    small_forest,
    xgboost_classifier,
)

UNSEEN, SEEN = 0.25, 0.75
FEATURES = FeatureQuestion("auto", required=True)


class Memorizer(ClassifierMixin, BaseEstimator):
    """Tells whether it was fitted on a row: SEEN or UNSEEN of its first class.

    The first column of X is the number of the row.
    """

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.rows_ = set(np.asarray(X)[:, 0].tolist())
        return self

    def predict_proba(self, X):
        seen = np.isin(np.asarray(X)[:, 0], list(self.rows_))
        proba = np.zeros((len(X), len(self.classes_)))
        proba[:, 0] = np.where(seen, SEEN, UNSEEN)
        proba[:, 1:] = (1 - proba[:, :1]) / (len(self.classes_) - 1)
        return proba


def numbered(y):
    """Return X whose first column is the number of the row."""
    return np.column_stack([np.arange(len(y)), np.zeros(len(y))]).astype(float)


def answered(teacher, X, y, method, **how):
    question = Question(X, y, target=Classes(), method=method, **how)
    return answer_of(teacher, question)


# Out of fold


@pytest.mark.parametrize(
    "cv",
    [
        None,
        2,
        KFold(4, shuffle=True, random_state=0),
        LeaveOneOut(),
        PredefinedSplit(np.arange(30) // 3 % 3),
        [(np.arange(15), np.arange(15, 30)), (np.arange(15, 30), np.arange(15))],
        RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("fitted", [False, True])
def test_out_of_fold_rows_are_labeled_by_a_clone_that_did_not_see_them(cv, fitted):
    y = np.arange(30) % 3
    X = numbered(y)
    teacher = Memorizer().fit(X, y) if fitted else Memorizer()

    labels = soft_labels(teacher, X, y, method="out_of_fold", cv=cv)

    assert_allclose(labels[:, 0], UNSEEN)
    assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)


def all_but(*test, n_rows=12):
    return np.setdiff1d(np.arange(n_rows), test), np.array(test)


THREE = np.arange(30) % 3
PAIRS = np.array([0, 1] * 5 + [2, 2])


@pytest.mark.parametrize(
    ("y", "cv", "unseen"),
    [
        pytest.param(THREE, TimeSeriesSplit(3), range(9, 30), id="later rows alone"),
        pytest.param(
            THREE,
            PredefinedSplit(np.repeat([-1, 0, 1], 10)),
            range(10, 30),
            id="rows of no fold",
        ),
        # Each fold lacks the class it holds out, which no clone knows.
        pytest.param(np.sort(THREE), KFold(3), [], id="folds of a class"),
        # A clone that does not know the class of a row has no say in its average.
        pytest.param(PAIRS, [all_but(10, 11), all_but(0, 10)], [0, 10], id="averages"),
        pytest.param(np.r_[PAIRS[:10], 2], 5, range(10), id="one row of a class"),
        pytest.param(PAIRS, 5, range(12), id="two rows of a class"),
        pytest.param(np.arange(4), 5, [], id="a row for each class"),
        pytest.param(np.array([0, 0, 1]), 5, [0, 1], id="fewer rows than folds"),
    ],
)
def test_rows_that_no_clone_can_label_fall_back_on_the_whole_teacher(y, cv, unseen):
    labels = soft_labels(Memorizer(), numbered(y), y, cv=cv)

    expected = np.where(np.isin(np.arange(len(y)), unseen), UNSEEN, SEEN)
    assert labels.shape == (len(y), len(np.unique(y)))
    assert_allclose(labels[:, 0], expected)
    assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("difference", [0.0, 1e-9])
@pytest.mark.parametrize("cv", [None, 3])
def test_clone_that_labels_a_row_has_not_seen_its_copies(difference, cv):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), rng.integers(3, size=60)  # nothing to learn
    X, y = np.concatenate([X, X + difference]), np.tile(y, 2)
    proba = soft_labels(KNeighborsClassifier(1), X, y, method="out_of_fold", cv=cv)
    assert np.mean(proba.argmax(axis=1) == y) < 0.6


def test_overlapping_held_out_sets_are_averaged_by_how_often(data):
    X, y = data
    cv = ShuffleSplit(4, test_size=0.5, random_state=0)

    labels = soft_labels(DummyClassifier(strategy="prior"), X, y, cv=cv)

    total, times = np.zeros((len(y), 3)), np.zeros(len(y))
    for train, test in cv.split(X):
        total[test] += np.bincount(y[train], minlength=3) / len(train)
        times[test] += 1
    held = times > 0
    assert set(times) > {1, 2}
    assert_allclose(labels[held], total[held] / times[held, None], rtol=1e-5)


FOLDS = {
    "lists": lambda part, n: part.tolist(),
    "masks": lambda part, n: np.isin(np.arange(n), part),
    "lists of masks": lambda part, n: np.isin(np.arange(n), part).tolist(),
}


@pytest.mark.parametrize("kind", FOLDS)
@pytest.mark.parametrize("container", [np.array, pd.DataFrame, pl.DataFrame])
def test_folds_may_be_lists_and_masks(container, kind, data):
    X, y = data
    pairs = list(StratifiedKFold(3).split(X, y))
    cv = [[FOLDS[kind](part, len(y)) for part in pair] for pair in pairs]
    teacher = KNeighborsClassifier(9)

    answer = answered(teacher, container(X), y, "out_of_fold", cv=cv)

    expected = answered(teacher, X, y, "out_of_fold", cv=StratifiedKFold(3))
    assert_array_equal(answer.values, expected.values)


def test_folds_by_groups_are_passed_as_pairs(data):
    X, y = data
    groups = np.arange(len(y)) % 7
    splitter = GroupKFold(3)
    with pytest.raises(ValueError, match=r"(?s)'groups'.*list\(cv.split\(X, y, groups"):
        answered(GaussianNB(), X, y, "out_of_fold", cv=splitter)

    pairs = list(splitter.split(X, y, groups))
    answer = answered(GaussianNB(), X, y, "out_of_fold", cv=pairs)

    for train, test in pairs:
        expected = GaussianNB().fit(X[train], y[train]).predict_proba(X[test])
        assert_allclose(answer.values[test], expected, atol=1e-6)


def test_a_generator_of_folds_serves_one_call(data):
    folds = StratifiedKFold(3).split(*data)
    answered(GaussianNB(), *data, "out_of_fold", cv=folds)
    with pytest.raises(ValueError, match=r"no folds.*used up.*pass a list"):
        answered(GaussianNB(), *data, "out_of_fold", cv=folds)


@pytest.mark.parametrize("test", [[90], [-1], [0.5], [[1]], [True] * 89, None], ids=str)
def test_folds_of_other_rows_or_none_are_refused(test, data):
    message = "cv makes no folds"
    if test is not None:
        message = "cv must make pairs of .*numbers from 0 to 89, or of masks of 90 rows"
    cv = [] if test is None else [(range(90), test)]
    with pytest.raises(ValueError, match=message):
        answered(GaussianNB(), *data, "out_of_fold", cv=cv)


@pytest.mark.parametrize("cv", [None, 2])
@pytest.mark.parametrize(
    ("teacher", "y"),
    [
        (LinearRegression(), [0.5]),
        (KNeighborsClassifier(), [[0, 1]]),
    ],
    ids=["numbers", "labels"],
)
def test_a_single_row_cannot_be_held_out(teacher, y, cv):
    with pytest.raises(ValueError, match=r"at least 2 rows, and there is 1: pass more"):
        soft_labels(teacher, [[0.0]], y, method="out_of_fold", cv=cv)


def test_fold_that_holds_out_no_row_labels_none(data):
    pairs = list(StratifiedKFold(3).split(*data))

    answer = answered(GaussianNB(), *data, "out_of_fold", cv=[*pairs, (range(9), [])])

    expected = answered(GaussianNB(), *data, "out_of_fold", cv=3)
    assert_array_equal(answer.values, expected.values)


@pytest.mark.parametrize("names", [["a", "b", "c"], [1, 2, 3], [0, 2, 4]], ids=str)
@pytest.mark.parametrize(
    "wrap",
    [lambda t: t, scaled, lambda t: GridSearchCV(t, {"max_depth": [2]}, cv=2)],
    ids=["alone", "pipeline", "search"],
)
@pytest.mark.parametrize("method", ["in_sample", "out_of_fold"])
def test_teacher_that_takes_codes_alone_gets_them(method, wrap, names, data):
    X, y = data
    teacher = wrap(xgboost_classifier())
    labels = np.array(names)[y]

    answer = answered(teacher, X, labels, method, cv=3)

    assert_array_equal(answer.columns, names)
    assert_array_equal(answer.teacher.classes_, names)
    assert set(answer.teacher.predict(X)) <= set(names)
    expected = answered(teacher, X, y, method, cv=3)
    assert_array_equal(answer.values, expected.values)


def test_teacher_that_gets_codes_gives_its_own_leaves(data):
    X, y = data

    given = [
        answered(xgboost_classifier(), X, labels, "in_sample", features=FEATURES)
        for labels in (y, NAMES[y])
    ]

    assert_array_equal(given[0].features, given[1].features)


def test_training_folds_of_one_class_are_not_fitted():
    y = np.array([0] * 9 + [1])

    labels = soft_labels(LogisticRegression(), numbered(y), y, cv=5)

    assert np.isfinite(labels).all()
    assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    whole = LogisticRegression().fit(numbered(y), y)
    assert_allclose(labels[9], whole.predict_proba(numbered(y)[9:])[0], rtol=1e-5)


def test_folds_in_threads_give_the_labels_of_one_after_the_other(data):
    teacher = RandomForestClassifier(3, max_depth=3)
    one = soft_labels(teacher, *data, cv=4, random_state=0)
    store.clear()

    with parallel_config(backend="threading"):
        two = soft_labels(teacher, *data, cv=4, random_state=0, n_jobs=2)

    assert_array_equal(one, two)


@pytest.mark.parametrize(
    "make_teacher",
    [
        lambda X, y: FrozenEstimator(LogisticRegression().fit(X, y)),
        lambda X, y: TorchTeacher(nn.Linear(4, 3).double(), [0, 1, 2]),
    ],
)
def test_out_of_fold_refuses_what_cannot_be_fitted_again(make_teacher, data):
    X, y = data

    with pytest.raises(ValueError, match=r"cannot be fitted again.*in_sample"):
        soft_labels(make_teacher(X, y), X, y, method="out_of_fold")


@pytest.mark.parametrize(
    ("fitted_on", "y", "classes"),
    [
        (lambda X, codes: (X, NAMES[codes]), lambda codes: codes, None),
        (lambda X, codes: (X, codes), lambda codes: NAMES[codes], NAMES),
        (lambda X, codes: (X[codes > 0], codes[codes > 0]), lambda codes: codes, None),
    ],
    ids=["codes for names", "names for codes", "a class more"],
)
def test_out_of_fold_of_a_fitted_teacher_speaks_of_the_labels(
    fitted_on, y, classes, data
):
    X, codes = data
    teacher = LogisticRegression().fit(*fitted_on(X, codes))

    labels = soft_labels(
        teacher, X, y(codes), method="out_of_fold", cv=3, classes=classes
    )

    expected = soft_labels(LogisticRegression(), X, codes, cv=3)
    assert_allclose(labels, expected, atol=1e-6)


@pytest.mark.parametrize("kind", [np.array, list, pd.Series])
def test_sample_weight_is_cut_into_the_folds(kind, data):
    X, y = data
    weight = np.where(y == 0, 20.0, 1.0)
    cv = KFold(2)

    labels = soft_labels(LogisticRegression(), X, y, cv=cv, sample_weight=kind(weight))

    for train, test in cv.split(X):
        expected = LogisticRegression().fit(X[train], y[train], weight[train])
        assert_allclose(labels[test], expected.predict_proba(X[test]), atol=1e-6)


def test_held_out_rows_fall_back_right_where_classes_names_more_than_y_holds():
    X, y = np.arange(12.0).reshape(-1, 1), np.array(["b"] * 5 + ["c"] * 6 + ["d"])

    labels = soft_labels(GaussianNB(), X, y, cv=3, classes=["d", "c", "b", "a"])

    # Only the teacher that saw all rows knows the class of the last one.
    whole = GaussianNB().fit(X, y).predict_proba(X[-1:])
    assert_allclose(labels[-1:], whole, atol=1e-6)


def test_held_out_labels_are_kept_by_what_classes_says():
    X, y = np.arange(12.0).reshape(-1, 1), np.array([0] * 5 + [1] * 6 + [2])
    teacher = GaussianNB().fit(X, y)
    plain = soft_labels(teacher, X, y, cv=3)
    swapped = soft_labels(teacher, X, y, cv=3, classes=[2, 1, 0])
    assert_allclose(swapped[-1], plain[-1][::-1], atol=1e-6)


# Out of bag


def forest(**params):
    return RandomForestClassifier(30, max_depth=4, random_state=7, **params)


@pytest.mark.parametrize(
    "teacher",
    [
        forest(),
        ExtraTreesClassifier(30, bootstrap=True, max_depth=4, random_state=7),
        BaggingClassifier(n_estimators=30, random_state=7),
    ],
    ids=lambda teacher: type(teacher).__name__,
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("wrap", [clone, scaled], ids=["alone", "pipeline"])
def test_out_of_bag_is_the_decision_of_the_trees_that_left_the_row_out(
    teacher, wrap, weighted, data
):
    X, y = data
    weight = np.where(y == 0, 5.0, 1.0) if weighted else None

    labels = soft_labels(wrap(teacher), X, y, method="out_of_bag", sample_weight=weight)

    X = X if wrap is clone else StandardScaler().fit_transform(X)
    reference = clone(teacher).set_params(oob_score=True).fit(X, y, weight)
    assert_allclose(labels, reference.oob_decision_function_, rtol=1e-6)
    assert not hasattr(teacher, "estimators_")


@pytest.mark.parametrize(
    "teacher",
    [
        RandomForestClassifier(2, max_depth=2, random_state=0),
        BaggingClassifier(
            DecisionTreeClassifier(max_depth=2), n_estimators=2, random_state=0
        ),
    ],
    ids=lambda teacher: type(teacher).__name__,
)
def test_rows_that_are_never_out_of_bag_fall_back_without_a_warning(teacher, data):
    X, y = data

    labels = soft_labels(teacher, X, y, method="out_of_bag")

    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore")
        reference = clone(teacher).set_params(oob_score=True).fit(X, y)
    out_of_bag = np.nan_to_num(reference.oob_decision_function_)
    never = out_of_bag.sum(axis=1) == 0
    assert 0 < never.sum() < len(X)
    assert_allclose(labels[~never], out_of_bag[~never], rtol=1e-6)
    assert_allclose(labels[never], reference.predict_proba(X[never]), rtol=1e-6)


@pytest.mark.parametrize("wrap", [make_pipeline, clone], ids=["pipeline", "forest"])
def test_out_of_bag_refuses_a_fitted_forest(wrap, data):
    with pytest.raises(ValueError, match="needs an unfitted forest"):
        soft_labels(wrap(forest()).fit(*data), *data, method="out_of_bag")


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (ExtraTreesClassifier(3), "bootstrap=True, got ExtraTreesClassifier"),
        (LogisticRegression(), "needs a forest .* got LogisticRegression"),
    ],
)
def test_out_of_bag_refuses_what_has_no_bags(teacher, message, data):
    with pytest.raises(ValueError, match=f"{message}; use 'out_of_fold'"):
        soft_labels(teacher, *data, method="out_of_bag")


# All of them


@pytest.mark.parametrize(
    "teacher",
    [KNeighborsClassifier(), make_pipeline(StandardScaler(), KNeighborsClassifier())],
    ids=["classifier", "pipeline"],
)
def test_teacher_without_sample_weight_warns_and_is_fitted_without(teacher, data):
    X, y = data

    with pytest.warns(UserWarning, match="KNeighborsClassifier takes no sample_weight"):
        labels = soft_labels(teacher, X, y, sample_weight=np.ones(len(y)))

    assert_array_equal(labels, soft_labels(teacher, X, y))
    fitted = clone(teacher).fit(X, y)  # is asked without weights or a warning
    assert_array_equal(labels, soft_labels(fitted, X, y, sample_weight=np.arange(90.0)))


@pytest.mark.parametrize("method", ["out_of_fold", "out_of_bag"])
def test_chunks_change_no_held_out_label(method, data, monkeypatch):
    teacher = RandomForestClassifier(2, max_depth=2, random_state=0)
    params = {"method": method, "cv": ShuffleSplit(2, test_size=0.4, random_state=0)}
    whole = soft_labels(teacher, *data, **params)
    store.clear()
    monkeypatch.setattr(_asking, "_CHUNK_BYTES", 200)

    assert_array_equal(soft_labels(teacher, *data, **params), whole)


# Features


FITTABLE = pytest.mark.parametrize(
    "teacher",
    [perceptron(), small_forest(), scaled(perceptron())],
    ids=["perceptron", "forest", "pipeline"],
)


@FITTABLE
@pytest.mark.parametrize("fitted", [False, True])
def test_in_sample_features_are_those_of_the_fitted_teacher(teacher, fitted, data):
    X, y = data
    teacher = clone(teacher).fit(X, y) if fitted else clone(teacher)

    labels = answered(teacher, X, y, "in_sample", features=FEATURES)

    teacher = teacher if fitted else labels.teacher
    assert_array_equal(labels.features, features_of(teacher, X))
    assert_allclose(labels.values, teacher.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("method", ["in_sample", "out_of_fold", "out_of_bag"])
def test_labels_are_the_same_with_features(method, data):
    plain = answered(small_forest(n_estimators=30), *data, method)
    assert plain.features is plain.reduction is None

    asked = answered(small_forest(n_estimators=30), *data, method, features=FEATURES)

    assert asked.features.shape == (90, N_LEAF_FEATURES)
    assert_array_equal(asked.values, plain.values)
    assert_array_equal(asked.columns, plain.columns)


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(
    "cv",
    [
        KFold(3, shuffle=True, random_state=0),
        RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
        ShuffleSplit(3, test_size=0.3, random_state=0),
    ],
    ids=lambda cv: type(cv).__name__,
)
def test_out_of_fold_features_are_turned_and_averaged(cv, fitted, data):
    X, y = data
    whole = perceptron().fit(X, y)
    like = features_of(whole, X)
    total, times = np.zeros_like(like), np.zeros((len(X), 1))
    for train, test in cv.split(X):
        fold = perceptron().fit(X[train], y[train])
        center = features_of(fold, X[train]).mean(axis=0)
        target = like[train].mean(axis=0)
        seen = features_of(fold, X[train]) - center
        left, _, right = np.linalg.svd(seen.T @ (like[train] - target))
        unseen = features_of(fold, X[test]) - center
        total[test] += unseen @ left @ right + target
        times[test] += 1
    expected = np.where(times, total / np.maximum(times, 1), like)

    labels = answered(
        whole if fitted else perceptron(), X, y, "out_of_fold", cv=cv, features=FEATURES
    )

    assert labels.features.dtype == np.float32
    assert_allclose(labels.features, expected, atol=1e-3)


def test_rows_never_held_out_have_the_features_of_the_whole_teacher(data):
    X, y = data
    never = np.arange(len(X)) % 3 == 0
    cv = PredefinedSplit(np.where(never, -1, np.arange(len(X)) % 2))

    labels = answered(perceptron(), X, y, "out_of_fold", cv=cv, features=FEATURES)

    like = features_of(labels.teacher, X)
    assert_array_equal(labels.features[never], like[never])
    assert (np.abs(labels.features - like)[~never].max(axis=1) > 1e-3).all()


def test_out_of_fold_reduction_takes_further_rows_to_the_same_features(data):
    X, y = data
    never = np.arange(len(X)) % 3 == 0
    cv = PredefinedSplit(np.where(never, -1, np.arange(len(X)) % 2))
    labels = answered(small_forest(), X, y, "out_of_fold", cv=cv, features=FEATURES)

    # As partial_fit asks after a fit.
    later = features_of(labels.teacher, X[never][:20], reduction=labels.reduction)

    assert_allclose(later, labels.features[never][:20], atol=1e-5)


def test_folds_in_which_a_teacher_cannot_be_fitted_have_no_say(data):
    X, y = data
    y = np.where(np.arange(len(y)) < 30, 1, 0)  # held out by the first of three folds

    labels = answered(perceptron(), X, y, "out_of_fold", cv=KFold(3), features=FEATURES)

    like = features_of(labels.teacher, X)
    assert_array_equal(labels.features[:30], like[:30])
    assert (np.abs(labels.features - like)[30:].max(axis=1) > 1e-3).all()


@pytest.mark.parametrize("method", ["in_sample", "out_of_fold"])
def test_features_may_be_missing_unless_they_are_required(method, data):
    question = FeatureQuestion("auto", required=False)

    labels = answered(LogisticRegression(), *data, method, features=question)

    plain = answered(LogisticRegression(), *data, method)
    assert labels.features is None
    assert_array_equal(labels.values, plain.values)
    with pytest.raises(NoFeaturesError, match="teacher_features="):
        answered(LogisticRegression(), *data, method, features=FEATURES)


@pytest.mark.parametrize(
    "teacher",
    [small_forest(n_estimators=30), scaled(small_forest())],
    ids=["forest", "pipeline"],
)
def test_out_of_bag_features_are_those_of_the_forest_fitted_inside(teacher, data):
    X, y = data

    labels = answered(teacher, X, y, "out_of_bag", features=FEATURES)

    assert_array_equal(labels.features, features_of(labels.teacher, X))
    again = features_of(labels.teacher, X[:20], reduction=labels.reduction)
    assert_allclose(again, labels.features[:20], atol=1e-6)


def test_width_that_differs_between_folds_is_refused(data):
    X, y = data
    # A teacher of 90 rows has three features, those of 60 have two.
    question = FeatureQuestion(
        lambda teacher, X: X[:, : teacher.n_samples_fit_ // 30], True
    )

    with pytest.raises(ValueError, match="width 2 in a fold and 3 for all rows"):
        answered(
            KNeighborsClassifier(), X, y, "out_of_fold", cv=KFold(3), features=question
        )


# Further rows


class Strict(GaussianNB):
    """Refuses rows that it was not fitted on."""

    def fit(self, X, y):
        self.known_ = X.copy()
        return super().fit(X, y)

    def predict_proba(self, X):
        if not np.isin(X, self.known_).all():
            raise TypeError("what is this?")
        return super().predict_proba(X)


def test_a_teacher_that_refuses_made_rows_is_explained(data):
    made = data[0][:5] + 1
    message = (
        "teacher Strict fails on rows that the augmenter MUNGE made, or on those of "
        "X_transfer: what is this.*Set augmenter=None"
    )

    with pytest.raises(ValueError, match=message) as error:
        answered(Strict(), *data, "in_sample", extra=made, augmenter=MUNGE())
    assert isinstance(error.value.__cause__, TypeError)
    with pytest.raises(TypeError, match=r"^what is this\?"):
        answered(Strict(), *data, "in_sample", extra=made)
