"""Soft labels: which teacher labels a row, and what the columns stand for."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits, make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skdistill import DistilledClassifier, TorchTeacher, _soft_labels, soft_labels
from skdistill._transfer._soft_labels import (
    align,
    ask,
    from_proba,
    reconcile,
    resolve_clip,
    to_logits,
)
from skdistill._transfer._store import Labels, cache
from tests.conftest import FittedTeacher

UNSEEN, SEEN = 0.25, 0.75


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


class ChunkSpy(FittedTeacher):
    """A fitted teacher of three classes that keeps the size of each call."""

    sizes: list = []

    def predict_proba(self, X):
        X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
        self.sizes.append(len(X))
        return softmax(X[:, :3], axis=1)


class OwnLogits(LogisticRegression):
    """A classifier with a method of its own, unrelated, by the name predict_logits."""

    def predict_logits(self, X):
        return self.decision_function(X) + 100


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture(scope="module")
def data():
    return make_classification(
        n_samples=100,
        n_features=4,
        n_informative=3,
        n_redundant=0,
        n_classes=3,
        n_clusters_per_class=1,
        flip_y=0.15,
        random_state=1,
    )


def numbered(y):
    """Return X whose first column is the number of the row."""
    return np.column_stack([np.arange(len(y)), np.zeros(len(y))]).astype(float)


def student():
    return NeuralNetClassifier(
        nn.LazyLinear,
        module__out_features=3,
        criterion=nn.CrossEntropyLoss,
        max_epochs=1,
        train_split=None,
        verbose=0,
    )


# In sample


@pytest.mark.parametrize("method", ["in_sample", "auto"])
@pytest.mark.parametrize(
    "teacher", [LogisticRegression(), RandomForestClassifier(5, max_depth=3)]
)
def test_in_sample_is_what_the_fitted_teacher_says(teacher, method, data):
    X, y = data
    teacher = sklearn.clone(teacher).fit(X, y)

    labels = soft_labels(teacher, X, y, method=method)

    assert labels.dtype == np.float32
    assert_array_equal(labels, teacher.predict_proba(X).astype(np.float32))


def test_in_sample_fits_a_clone_of_an_unfitted_teacher_on_all_rows():
    y = np.arange(20) % 2
    teacher = Memorizer()

    labels = soft_labels(teacher, numbered(y), y, method="in_sample")

    assert_allclose(labels[:, 0], SEEN)
    assert not hasattr(teacher, "rows_")


def test_labels_need_no_y_where_the_teacher_is_fitted(data):
    X, y = data
    teacher = LogisticRegression().fit(X, y)

    assert_array_equal(soft_labels(teacher, X), soft_labels(teacher, X, y))


def test_changing_the_result_changes_nothing_else(data):
    X, y = data
    teacher = LogisticRegression().fit(X, y)
    first = soft_labels(teacher, X, y)
    expected = first.copy()

    first[:] = 0

    assert_array_equal(soft_labels(teacher, X, y), expected)


def test_probabilities_are_asked_of_a_classifier_with_a_predict_logits_of_its_own(data):
    X, y = data
    teacher = OwnLogits().fit(X, y)

    assert_allclose(soft_labels(teacher, X), teacher.predict_proba(X), atol=1e-6)


# Out of fold


@pytest.mark.parametrize(
    "cv",
    [
        None,
        2,
        5,
        KFold(4),
        KFold(4, shuffle=True, random_state=0),
        StratifiedKFold(3),
        LeaveOneOut(),
        PredefinedSplit(np.arange(30) // 3 % 3),
        [(np.arange(15), np.arange(15, 30)), (np.arange(15, 30), np.arange(15))],
        RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
        RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=0),
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


@pytest.mark.parametrize(
    "cv",
    [
        ShuffleSplit(2, test_size=0.3, random_state=0),
        TimeSeriesSplit(3),
        PredefinedSplit(np.repeat([-1, 0, 1], 10)),
    ],
    ids=repr,
)
def test_rows_that_are_never_held_out_fall_back_on_the_whole_teacher(cv):
    y = np.arange(30) % 3
    X = numbered(y)
    held_out = np.unique(np.concatenate([test for _, test in cv.split(X, y)]))

    labels = soft_labels(Memorizer(), X, y, cv=cv)

    expected = np.full(30, SEEN)
    expected[held_out] = UNSEEN
    assert 0 < len(held_out) < 30
    assert_allclose(labels[:, 0], expected)


def test_rows_that_are_held_out_several_times_get_the_average(data):
    X, y = data
    cv = RepeatedKFold(n_splits=3, n_repeats=2, random_state=0)

    labels = soft_labels(DummyClassifier(strategy="prior"), X, y, cv=cv)

    expected = np.zeros((len(y), 3))
    for train, test in cv.split(X):
        expected[test] += np.bincount(y[train], minlength=3) / len(train) / 2
    assert_allclose(labels, expected, rtol=1e-5)


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


def test_out_of_fold_equals_cross_val_predict(data):
    X, y = data
    teacher = LogisticRegression()

    labels = soft_labels(teacher, X, y, cv=5)

    expected = sklearn.model_selection.cross_val_predict(
        teacher, X, y, cv=5, method="predict_proba"
    )
    assert_allclose(labels, expected, atol=1e-6)


def test_out_of_fold_keeps_string_labels_and_frames(data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcd"))
    names = np.array(["x", "y", "z"])

    labels = soft_labels(LogisticRegression(), frame, names[y], cv=3)

    assert_allclose(labels, soft_labels(LogisticRegression(), X, y, cv=3), atol=1e-6)


@pytest.mark.parametrize("n_rare", [1, 2, 3])
def test_rare_class_is_labeled_without_a_warning(n_rare):
    y = np.array([0, 1] * 15 + [2] * n_rare)

    labels = soft_labels(Memorizer(), numbered(y), y, cv=5)

    assert labels.shape == (len(y), 3)
    common = y < 2
    assert_allclose(labels[common, 0], UNSEEN)
    assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    # The only row of its class can but be labeled by a teacher that saw it.
    assert_allclose(labels[~common, 0], SEEN if n_rare == 1 else UNSEEN)


def test_class_that_a_fold_lacks_keeps_its_column():
    y = np.repeat([0, 1, 2], 10)  # unshuffled: each fold lacks the class it holds out

    labels = soft_labels(Memorizer(), numbered(y), y, cv=KFold(3))

    assert labels.shape == (30, 3)
    assert_allclose(labels[:, 0], SEEN)  # none of the clones knew the row's class


def test_class_of_few_rows_is_spread_over_its_columns():
    y = np.array([0, 1] * 10 + [2])
    X = numbered(y)

    labels = soft_labels(Memorizer(), X, y, cv=KFold(21))

    assert_allclose(labels[:20, 0], UNSEEN)
    assert_allclose(labels[:20, 1:], (1 - UNSEEN) / 2)
    assert_allclose(labels[20], [SEEN, (1 - SEEN) / 2, (1 - SEEN) / 2])


def test_clone_that_does_not_know_the_class_of_a_row_has_no_say_in_its_average():
    y = np.array([0, 1] * 5 + [2, 2])
    both_out, one_out = np.array([10, 11]), np.array([0, 10])
    cv = [(np.setdiff1d(np.arange(12), test), test) for test in (both_out, one_out)]

    labels = soft_labels(Memorizer(), numbered(y), y, cv=cv)

    assert_allclose(labels[[0, 10]], [[UNSEEN, (1 - UNSEEN) / 2, (1 - UNSEEN) / 2]] * 2)
    assert_allclose(labels[11, 0], SEEN)


def test_training_folds_of_one_class_are_not_fitted():
    y = np.array([0] * 9 + [1])

    labels = soft_labels(LogisticRegression(), numbered(y), y, cv=5)

    assert np.isfinite(labels).all()
    assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    whole = LogisticRegression().fit(numbered(y), y)
    assert_allclose(labels[9], whole.predict_proba(numbered(y)[9:])[0], rtol=1e-5)


@pytest.mark.parametrize("y", [np.arange(4), np.array([0, 0, 1])])
def test_fewer_rows_than_folds_are_labeled(y):
    labels = soft_labels(Memorizer(), numbered(y), y, cv=5)

    assert labels.shape == (len(y), len(np.unique(y)))
    assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)


def test_folds_in_threads_give_the_labels_of_one_after_the_other(data):
    X, y = data
    teacher = RandomForestClassifier(3, max_depth=3)
    one = soft_labels(teacher, X, y, cv=4, random_state=0)
    cache.clear()

    with parallel_config(backend="threading"):
        two = soft_labels(teacher, X, y, cv=4, random_state=0, n_jobs=2)

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


def test_splitter_that_needs_groups_says_so(data):
    with pytest.raises(ValueError, match="'groups'"):
        soft_labels(LogisticRegression(), *data, cv=GroupKFold(2))


def test_out_of_fold_of_a_teacher_of_strings_understands_codes(data):
    X, codes = data
    teacher = LogisticRegression().fit(X, np.array(["a", "b", "c"])[codes])

    labels = soft_labels(teacher, X, codes, cv=3)

    assert_allclose(
        labels, soft_labels(LogisticRegression(), X, codes, cv=3), atol=1e-6
    )


def test_out_of_fold_takes_the_names_that_classes_gives(data):
    X, codes = data
    names = np.array(["a", "b", "c"])
    teacher = LogisticRegression().fit(X, codes)

    labels = soft_labels(
        teacher, X, names[codes], method="out_of_fold", cv=3, classes=names
    )

    expected = soft_labels(LogisticRegression(), X, codes, cv=3)
    assert_allclose(labels, expected, atol=1e-6)


def test_out_of_fold_adds_a_class_that_the_fitted_teacher_lacks(data):
    X, y = data
    teacher = LogisticRegression().fit(X[y > 0], y[y > 0])

    labels = soft_labels(teacher, X, y, method="out_of_fold", cv=3)

    assert_allclose(labels, soft_labels(LogisticRegression(), X, y, cv=3), atol=1e-6)


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
def test_out_of_bag_is_the_decision_of_the_trees_that_left_the_row_out(teacher, data):
    X, y = data

    labels = soft_labels(teacher, X, y, method="out_of_bag", random_state=0)

    reference = sklearn.clone(teacher).set_params(oob_score=True).fit(X, y)
    assert_allclose(labels, reference.oob_decision_function_, rtol=1e-6)
    assert not hasattr(teacher, "estimators_")


def test_out_of_bag_reaches_a_forest_at_the_end_of_a_pipeline(data):
    X, y = data

    labels = soft_labels(
        make_pipeline(StandardScaler(), forest()), X, y, method="out_of_bag"
    )

    reference = forest(oob_score=True).fit(StandardScaler().fit_transform(X), y)
    assert_allclose(labels, reference.oob_decision_function_, rtol=1e-6)


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
        reference = sklearn.clone(teacher).set_params(oob_score=True).fit(X, y)
    out_of_bag = np.nan_to_num(reference.oob_decision_function_)
    never = out_of_bag.sum(axis=1) == 0
    assert 0 < never.sum() < len(X)
    assert_allclose(labels[~never], out_of_bag[~never], rtol=1e-6)
    assert_allclose(labels[never], reference.predict_proba(X[never]), rtol=1e-6)


def test_out_of_bag_passes_sample_weight_on(data):
    X, y = data
    weight = np.where(y == 0, 5.0, 1.0)

    labels = soft_labels(forest(), X, y, method="out_of_bag", sample_weight=weight)

    reference = forest(oob_score=True).fit(X, y, sample_weight=weight)
    assert_allclose(labels, reference.oob_decision_function_, rtol=1e-6)


@pytest.mark.parametrize(
    ("make_teacher", "message"),
    [
        pytest.param(
            lambda X, y: forest().fit(X, y), "needs an unfitted forest", id="fitted"
        ),
        pytest.param(
            lambda X, y: make_pipeline(forest()).fit(X, y),
            "needs an unfitted forest",
            id="fitted pipeline",
        ),
        pytest.param(
            lambda X, y: ExtraTreesClassifier(3),
            "bootstrap=True, got ExtraTreesClassifier; use 'out_of_fold'",
            id="without bootstrap",
        ),
        pytest.param(
            lambda X, y: LogisticRegression(),
            "needs a forest .* got LogisticRegression; use 'out_of_fold'",
            id="no forest",
        ),
    ],
)
def test_out_of_bag_refuses_what_has_no_bags(make_teacher, message, data):
    X, y = data

    with pytest.raises(ValueError, match=message):
        soft_labels(make_teacher(X, y), X, y, method="out_of_bag")


# Auto, and the estimator's way to all of this


@pytest.mark.parametrize(
    ("cv", "expected"), [(None, SEEN), (3, UNSEEN), (KFold(3), UNSEEN)]
)
def test_auto_holds_rows_out_where_cv_is_given(cv, expected):
    y = np.arange(30) % 3

    labels = soft_labels(Memorizer(), numbered(y), y, cv=cv)

    assert_allclose(labels[:, 0], expected)


def test_explicit_in_sample_overrules_cv():
    y = np.arange(30) % 3

    labels = soft_labels(Memorizer(), numbered(y), y, method="in_sample", cv=3)

    assert_allclose(labels[:, 0], SEEN)


@pytest.mark.parametrize(
    "params",
    [
        {"soft_labels": "out_of_fold", "cv": 3},
        {"cv": 3},
        {"soft_labels": "out_of_bag"},
        {"soft_labels": "in_sample"},
    ],
)
def test_estimator_learns_from_what_the_function_returns(params, data):
    X, y = data
    X = X.astype(np.float32)
    teacher = RandomForestClassifier(5, max_depth=3, random_state=0)
    same = {"alpha": 1.0, "random_state": 0}
    by_itself = DistilledClassifier(teacher, student(), **params, **same).fit(X, y)
    function = {"method": params.get("soft_labels", "auto"), "cv": params.get("cv")}

    proba = soft_labels(teacher, X, y, random_state=0, **function)
    given = DistilledClassifier(None, student(), **same)
    given.fit(X, y, teacher_proba=proba)

    assert_array_equal(by_itself.predict_proba(X), given.predict_proba(X))
    assert isinstance(by_itself.teacher_, RandomForestClassifier)


# Classes


@pytest.mark.parametrize(
    ("columns", "y", "expected_columns", "expected_classes"),
    [
        pytest.param([0, 1, 2], None, [0, 1, 2], [0, 1, 2], id="no labels"),
        pytest.param([2, 0, 1], None, [2, 0, 1], [0, 1, 2], id="no labels, unsorted"),
        pytest.param([0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2], id="equal"),
        pytest.param([0, 1, 2], [2, 0, 2], [0, 1, 2], [0, 1, 2], id="subset"),
        pytest.param([0, 1, 2], [1, 1], [0, 1, 2], [0, 1, 2], id="one label"),
        pytest.param([3, 1, 5], [1, 5], [3, 1, 5], [1, 3, 5], id="unsorted"),
        pytest.param(
            ["dog", "cat"], ["cat"], ["dog", "cat"], ["cat", "dog"], id="strings"
        ),
        pytest.param(["cat", "dog"], [0, 1], [0, 1], [0, 1], id="codes for strings"),
        pytest.param(["cat", "dog", "eel"], [2], [0, 1, 2], [0, 1, 2], id="one code"),
        pytest.param(
            ["dog", "eel", "cat"],
            [0, 1, 2],
            [1, 2, 0],
            [0, 1, 2],
            id="codes count sorted labels, also where columns are not sorted",
        ),
        pytest.param([10, 20, 30], [0, 2], [0, 1, 2], [0, 1, 2], id="codes for ints"),
        pytest.param([0, 1], [0, 1, 7], [0, 1], [0, 1, 7], id="one label more"),
        pytest.param(
            ["b", "a"], ["a", "c"], ["b", "a"], ["a", "b", "c"], id="more strings"
        ),
        pytest.param([-1, 1], [-1, 1], [-1, 1], [-1, 1], id="signs"),
        pytest.param(
            [False, True], [True, False], [False, True], [False, True], id="bools"
        ),
        pytest.param([0.0, 1.0], [0, 1], [0, 1], [0, 1], id="ints for floats"),
    ],
)
def test_columns_are_named_as_the_labels_are(
    columns, y, expected_columns, expected_classes
):
    named, classes = reconcile(np.array(columns), None if y is None else np.array(y))

    assert named.tolist() == expected_columns
    assert classes.tolist() == expected_classes


@pytest.mark.parametrize(
    ("columns", "y", "message"),
    [
        pytest.param(
            [1, 2, 3],
            [0, 1, 2],
            r"labels \[0, 1, 2\] and the teacher the classes \[1, 2, 3\].*"
            r"codes 0..2 .*by position.*classes=",
            id="codes or labels",
        ),
        pytest.param([5, 1], [0, 1], "may be codes 0..1", id="binary"),
        pytest.param(
            ["a", "b"],
            ["c", "d"],
            r"\['c', 'd'\], the teacher knows the classes \['a', 'b'\]: they share no "
            "class.*classes=",
            id="other strings",
        ),
        pytest.param([10, 20], [30, 40], "share no class", id="other ints"),
        pytest.param(["a", "b"], [1, 2, 3], "share no class", id="too many codes"),
        pytest.param([0, 1], ["a", "b"], "share no class", id="strings for codes"),
        pytest.param(list(range(9)), list("abcdefgh"), "and more", id="many classes"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(columns, y, message):
    with pytest.raises(ValueError, match=message):
        reconcile(np.array(columns), np.array(y))


def test_unsorted_classes_of_a_torch_teacher_come_out_sorted():
    teacher = TorchTeacher(nn.Identity(), classes=["dog", "ant", "cat"])

    labels = soft_labels(teacher, np.log([[0.5, 0.2, 0.3]]), ["cat"])

    assert_allclose(labels, [[0.2, 0.3, 0.5]], rtol=1e-6)


def test_label_that_the_teacher_lacks_gets_an_empty_column(data):
    X, y = data
    teacher = LogisticRegression().fit(X[y > 0], y[y > 0])

    labels = soft_labels(teacher, X, y)

    assert_array_equal(labels[:, 0], 0)
    assert_allclose(labels[:, 1:], teacher.predict_proba(X), atol=1e-6)


def test_row_of_a_class_that_the_teacher_lacks_is_learned_from_its_label(data):
    X, y = data
    X = X.astype(np.float32)
    teacher = LogisticRegression().fit(X[y > 0], y[y > 0])
    net = student().set_params(max_epochs=30, lr=0.3, batch_size=20)

    clf = DistilledClassifier(teacher, net, random_state=0).fit(X, y)

    assert_array_equal(clf.classes_, [0, 1, 2])
    assert np.mean(clf.predict(X[y == 0]) == 0) > 0.4


def test_class_that_y_lacks_is_learned_from_soft_labels_alone(data):
    X, y = data
    X = X.astype(np.float32)
    teacher = LogisticRegression().fit(X, y)
    rows = y != 2
    net = student().set_params(max_epochs=30, lr=0.3, batch_size=20)

    clf = DistilledClassifier(teacher, net, alpha=1.0, random_state=0)
    clf.fit(X[rows], y[rows])

    assert_array_equal(clf.classes_, [0, 1, 2])
    assert clf.predict_proba(X[y == 2])[:, 2].mean() > 0.4


def test_classes_names_what_a_fitted_teacher_calls_otherwise(data):
    X, y = data
    teacher = LogisticRegression().fit(X, y)
    names = ["c", "a", "b"]

    labels = soft_labels(teacher, X, np.array(names)[y], classes=names)

    assert_allclose(labels, teacher.predict_proba(X)[:, [1, 2, 0]], atol=1e-6)


def test_align_fills_columns_that_are_not_there():
    values = np.array([[0.25, 0.75]], dtype=np.float32)

    aligned = align(values, np.array(["c", "a"]), np.array(["a", "b", "c"]), fill=-1)

    assert aligned.dtype == np.float32
    assert_array_equal(aligned, [[0.75, -1, 0.25]])


# Logits and the clip


@pytest.mark.parametrize("n_classes", [2, 26, 100])
def test_one_hot_row_keeps_its_mass_at_temperature_two(n_classes):
    one_hot = np.eye(n_classes, dtype=np.float32)
    classes = np.arange(n_classes)

    logits = to_logits(Labels(one_hot, classes), classes, "auto")

    softened = softmax(logits.astype(float) / 2, axis=1)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert_allclose(np.diag(softened), 0.95, rtol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 26, 100, 1000])
def test_auto_clip_stays_a_small_positive_probability(n_classes):
    clip = resolve_clip("auto", n_classes)

    assert 0 < clip * n_classes < 0.01
    assert clip < resolve_clip("auto", n_classes - 1) or n_classes == 2


def test_number_as_clip_is_taken_as_it_is():
    assert resolve_clip(0.01, 26) == 0.01


@pytest.mark.parametrize(
    ("proba_clip", "kept"), [(2e-3, [0.957, 0.472, 0.184]), (1e-4, [0.990, 0.8, 0.503])]
)
def test_fixed_clip_acts_as_a_temperature(proba_clip, kept):
    for n_classes, mass in zip([2, 26, 100], kept, strict=True):
        one_hot = np.eye(n_classes, dtype=np.float32)[:1]
        logits = to_logits(
            Labels(one_hot, np.arange(n_classes)), np.arange(n_classes), proba_clip
        )
        softened = softmax(logits.astype(float) / 2, axis=1)
        assert softened[0, 0] == pytest.approx(mass, abs=2e-3)


def test_logits_of_probabilities_are_their_logarithm():
    proba = np.array([[0.2, 0.3, 0.5], [0.0, 0.25, 0.75]], dtype=np.float32)

    logits = to_logits(Labels(proba, np.arange(3)), np.arange(3), 0.01)

    assert_allclose(np.exp(logits), [[0.2, 0.3, 0.5], [0.01, 0.25, 0.75]], rtol=1e-5)


def test_own_logits_are_not_clipped():
    values = np.array([[-80.0, 0.0]], dtype=np.float32)
    labels = Labels(values, np.array([0, 1]), are_logits=True)

    assert_array_equal(to_logits(labels, np.array([0, 1]), "auto"), values)


def test_class_that_own_logits_lack_gets_the_floor():
    values = np.array([[-2.0, -0.1]], dtype=np.float32)
    labels = Labels(values, np.array([2, 0]), are_logits=True)

    logits = to_logits(labels, np.arange(3), 1e-4)

    assert_allclose(logits, [[-0.1, np.log(1e-4), -2.0]], rtol=1e-6)


def test_logits_leave_the_labels_as_they_are():
    proba = np.array([[0.0, 1.0]], dtype=np.float32)
    labels = Labels(proba, np.arange(2))

    to_logits(labels, np.arange(2), "auto")

    assert_array_equal(proba, [[0.0, 1.0]])


@pytest.mark.parametrize(("proba_clip", "smallest"), [(0.1, 0.1 / 1.2), (None, 0.0)])
def test_clip_raises_zeros_and_rows_still_sum_to_one(proba_clip, smallest):
    teacher = TorchTeacher(lambda X: X, classes=[0, 1, 2], output="proba")

    labels = soft_labels(teacher, np.eye(3), proba_clip=proba_clip)

    assert_allclose(labels.min(axis=1), smallest, rtol=1e-6)
    assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)


def test_auto_clip_depends_on_the_number_of_classes():
    teacher = TorchTeacher(lambda X: X, classes=np.arange(26), output="proba")

    labels = soft_labels(teacher, np.eye(26), proba_clip="auto")

    assert_allclose(labels.min(), resolve_clip("auto", 26), rtol=1e-3)


# Chunks


def _frame(library):
    return lambda X: library.DataFrame(X, columns=list("abcd"))


@pytest.mark.parametrize(
    "container",
    [
        pytest.param(np.asarray, id="array"),
        pytest.param(np.ndarray.tolist, id="lists"),
        pytest.param(csr_matrix, id="sparse matrix"),
        pytest.param(csr_array, id="sparse array"),
        pytest.param(_frame(pd), id="pandas"),
        pytest.param(lambda X: pl.DataFrame(X, schema=list("abcd")), id="polars"),
    ],
)
def test_chunks_are_bounded_and_give_the_labels_of_one_call(
    container, data, monkeypatch
):
    X, _ = data
    whole = soft_labels(ChunkSpy(), container(X))
    cache.clear()
    monkeypatch.setattr(_soft_labels, "_CHUNK_BYTES", 1000)
    monkeypatch.setattr(ChunkSpy, "sizes", [])

    chunked = soft_labels(ChunkSpy(), container(X))

    assert_array_equal(chunked, whole)
    assert sum(ChunkSpy.sizes) == len(X)
    assert len(ChunkSpy.sizes) > 1
    assert max(ChunkSpy.sizes) * 3 * 8 <= 1000


def test_chunk_holds_a_row_at_least(data, monkeypatch):
    X, _ = data
    monkeypatch.setattr(_soft_labels, "_CHUNK_BYTES", 1)
    monkeypatch.setattr(ChunkSpy, "sizes", [])

    labels = soft_labels(ChunkSpy(), X)

    assert ChunkSpy.sizes == [1] * len(X)
    assert_allclose(labels, softmax(X[:, :3], axis=1), rtol=1e-6)


@pytest.mark.parametrize("method", ["out_of_fold", "out_of_bag"])
def test_chunks_change_no_held_out_label(method, data, monkeypatch):
    X, y = data
    teacher = RandomForestClassifier(2, max_depth=2, random_state=0)
    params = {"method": method, "cv": ShuffleSplit(2, test_size=0.4, random_state=0)}
    whole = soft_labels(teacher, X, y, **params)
    cache.clear()
    monkeypatch.setattr(_soft_labels, "_CHUNK_BYTES", 200)

    assert_array_equal(soft_labels(teacher, X, y, **params), whole)


def test_chunks_of_logits_are_the_logits_of_one_call(data, monkeypatch):
    X, y = data
    teacher = TorchTeacher(nn.Linear(4, 3).double(), classes=[0, 1, 2])
    whole = ask(teacher, X, y, method="in_sample")
    cache.clear()
    monkeypatch.setattr(_soft_labels, "_CHUNK_BYTES", 500)

    chunked = ask(teacher, X, y, method="in_sample")

    assert whole.are_logits
    assert_allclose(chunked.values, whole.values, rtol=1e-6)


# Random states


@pytest.mark.parametrize("params", [{}, {"cv": 3}, {"method": "out_of_bag"}])
@pytest.mark.parametrize("random_state", [0, np.random.RandomState])
def test_open_random_states_are_drawn_from_ours(params, random_state, data):
    X, y = data
    teacher = RandomForestClassifier(3, max_depth=3)

    def label(seed):
        cache.clear()
        state = seed if random_state == 0 else random_state(seed)
        return soft_labels(teacher, X, y, random_state=state, **params)

    assert_array_equal(label(0), label(0))
    assert np.any(label(0) != label(1))
    assert teacher.random_state is None


def test_open_random_states_inside_a_pipeline_are_drawn_too(data):
    X, y = data
    teacher = make_pipeline(
        StandardScaler(),
        BaggingClassifier(DecisionTreeClassifier(splitter="random"), n_estimators=3),
    )

    def label():
        cache.clear()
        return soft_labels(teacher, X, y, random_state=0)

    assert_array_equal(label(), label())


def test_explicit_random_state_of_the_teacher_is_left_alone(data):
    X, y = data
    teacher = RandomForestClassifier(3, max_depth=3, random_state=5)
    expected = sklearn.clone(teacher).fit(X, y).predict_proba(X)

    for seed in (None, 0, 1):
        labels = soft_labels(teacher, X, y, random_state=seed)
        assert_allclose(labels, expected, atol=1e-6)


def test_teachers_of_a_list_draw_different_seeds(data):
    X, y = data
    one = RandomForestClassifier(1, max_depth=3)

    several = soft_labels([one, one], X, y, random_state=0)

    assert np.any(several != soft_labels(one, X, y, random_state=0))


def test_global_generator_is_left_as_it_was(data):
    X, y = data
    before = np.random.get_state()[1].copy()  # noqa: NPY002

    soft_labels(RandomForestClassifier(2, max_depth=2), X, y, random_state=0, cv=2)

    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# Sample weights


TAKE_WEIGHTS = [
    pytest.param(LogisticRegression(), "sample_weight", id="classifier"),
    pytest.param(
        make_pipeline(StandardScaler(), LogisticRegression()),
        "logisticregression__sample_weight",
        id="pipeline",
    ),
    pytest.param(
        make_pipeline(
            MinMaxScaler(), make_pipeline(StandardScaler(), LogisticRegression())
        ),
        "pipeline__logisticregression__sample_weight",
        id="nested pipeline",
    ),
]


@pytest.mark.parametrize(("teacher", "name"), TAKE_WEIGHTS)
def test_sample_weight_reaches_the_teacher(teacher, name, data):
    X, y = data
    weight = np.where(y == 0, 20.0, 1.0)

    labels = soft_labels(teacher, X, y, sample_weight=weight)

    expected = sklearn.clone(teacher).fit(X, y, **{name: weight}).predict_proba(X)
    assert_allclose(labels, expected, atol=1e-6)
    assert np.abs(labels - soft_labels(teacher, X, y)).max() > 0.1


@pytest.mark.parametrize(("teacher", "name"), TAKE_WEIGHTS)
def test_sample_weight_reaches_the_teacher_under_metadata_routing(teacher, name, data):
    X, y = data
    weight = np.where(y == 0, 20.0, 1.0)
    expected = sklearn.clone(teacher).fit(X, y, **{name: weight}).predict_proba(X)

    with sklearn.config_context(enable_metadata_routing=True):
        labels = soft_labels(teacher, X, y, sample_weight=weight)

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


def test_fitted_teacher_is_asked_without_weights_or_warning(data):
    X, y = data
    teacher = KNeighborsClassifier().fit(X, y)

    labels = soft_labels(teacher, X, y, sample_weight=np.arange(len(y)))

    assert_array_equal(labels, soft_labels(teacher, X, y))


# Warnings about labels that teach nothing


def fit_on(proba, X, y, **params):
    clf = DistilledClassifier(student=student(), random_state=0, **params)
    return clf.fit(X.astype(np.float32), y, teacher_proba=proba)


@pytest.mark.parametrize("proba_clip", ["auto", 1e-6])
def test_one_hot_labels_equal_to_y_warn(proba_clip, data):
    X, y = data

    with pytest.warns(UserWarning, match="one-hot and equal to y.*out_of_fold") as seen:
        fit_on(np.eye(3)[y], X, y, proba_clip=proba_clip)

    assert [str(warning.filename) for warning in seen] == [__file__]


def test_teacher_that_learned_its_rows_by_heart_warns(data):
    X, y = data
    X = X.astype(np.float32)
    tree = DecisionTreeClassifier(random_state=0).fit(X, y)

    with pytest.warns(UserWarning, match="nothing to add"):
        DistilledClassifier(tree, student()).fit(X, y)


@pytest.mark.parametrize(
    "make_proba",
    [
        pytest.param(
            lambda y: np.eye(3)[(y + (np.arange(len(y)) % 20 == 0)) % 3],
            id="one-hot, and sometimes other than y",
        ),
        pytest.param(lambda y: np.eye(3)[y] * 0.9 + 0.1 / 3, id="equal to y, but soft"),
    ],
)
def test_labels_that_add_something_do_not_warn(make_proba, data):
    X, y = data

    assert fit_on(make_proba(y), X, y).history_  # any warning is an error


@pytest.mark.parametrize(
    "make_proba",
    [
        pytest.param(
            lambda y: np.tile([0.5, 0.3, 0.2], (len(y), 1)), id="the same for all"
        ),
        pytest.param(lambda y: np.eye(3)[(y + 1) % 3] * 0.7 + 0.1, id="always wrong"),
        pytest.param(
            lambda y: np.random.default_rng(0).permutation(np.eye(3)[y]) * 0.7 + 0.1,
            id="rows in another order",
        ),
    ],
)
def test_teacher_at_chance_level_warns(make_proba, data):
    X, y = data

    with pytest.warns(UserWarning, match="balanced accuracy .* chance level") as seen:
        fit_on(make_proba(y), X, y)

    assert [str(warning.filename) for warning in seen] == [__file__]


def test_teacher_of_differently_prepared_features_warns(data):
    X, y = data
    X = X.astype(np.float32) * np.float32(0.01) + np.float32(50)
    teacher = LogisticRegression().fit(StandardScaler().fit_transform(X), y)

    with pytest.warns(UserWarning, match="features prepared in another way"):
        DistilledClassifier(teacher, student()).fit(X, y)


def test_teacher_of_scaled_rows_that_is_a_little_above_chance_warns():
    X, y = load_digits(return_X_y=True)
    forest = RandomForestClassifier(20, random_state=0).fit(X, y)
    scaled = StandardScaler().fit_transform(X)
    assert 0.15 < forest.score(scaled, y) < 0.35
    net = student().set_params(module__out_features=10)

    with pytest.warns(UserWarning, match="near the chance level of 0.100"):
        DistilledClassifier(forest, net, alpha=1.0).fit(scaled, y)


def test_teacher_that_names_the_majority_alone_warns(data):
    X, y = data
    y = np.where(np.arange(len(y)) < 90, 0, y)

    with pytest.warns(UserWarning, match="chance level"):
        fit_on(np.tile([0.8, 0.1, 0.1], (len(y), 1)), X, y)


def test_imbalance_alone_is_not_chance_level(data):
    X, y = data
    y = np.where(np.arange(len(y)) < 90, 0, y)
    proba = np.eye(3)[y] * 0.7 + 0.1

    assert fit_on(proba, X, y).history_


# Precomputed labels


@pytest.mark.parametrize(
    ("proba", "message"),
    [
        pytest.param(np.full((100, 3), np.nan), "teacher_proba contains NaN", id="NaN"),
        pytest.param(
            np.tile([np.inf, 0, 0], (100, 1)), "contains NaN or infinity", id="infinity"
        ),
        pytest.param(np.tile([1.5, -0.5, 0], (100, 1)), "negative", id="negative"),
        pytest.param(
            np.full((100, 3), 0.5), "must sum to 1; one is off by 0.5", id="sum"
        ),
        pytest.param(
            np.full((99, 3), 1 / 3),
            r"shape \(99, 3\), expected \(100, 3\): a row per sample",
            id="a row less",
        ),
        pytest.param(
            np.full((100, 2), 0.5),
            r"expected \(100, 3\).*distinct labels of y.*classes=",
            id="a column less",
        ),
        pytest.param(np.full(100, 0.5), r"shape \(100,\), expected", id="flat"),
        pytest.param(
            np.full((100, 3, 1), 1 / 3), r"shape \(100, 3, 1\), expected", id="deep"
        ),
    ],
)
def test_precomputed_labels_are_refused(proba, message, data):
    X, y = data

    with pytest.raises(ValueError, match=message):
        fit_on(proba, X, y)


@pytest.mark.parametrize("container", [list, pd.DataFrame, pl.DataFrame, np.float16])
def test_precomputed_labels_come_in_any_container(container, data):
    X, y = data
    proba = np.eye(3)[y] * 0.5 + 0.5 / 3

    labels = from_proba(container(proba), X, y, None)

    assert labels.values.dtype == np.float32
    assert_allclose(labels.values, proba, atol=1e-3)
    assert labels.classes.tolist() == [0, 1, 2]


def test_columns_of_precomputed_labels_follow_classes(data):
    X, y = data
    proba = np.eye(3)[y] * 0.7 + 0.1
    order = [2, 0, 1]

    shuffled = fit_on(proba[:, order], X, y, classes=order)

    plain = fit_on(proba, X, y)
    assert_array_equal(shuffled.classes_, [0, 1, 2])
    X = X.astype(np.float32)
    assert_array_equal(shuffled.predict_proba(X), plain.predict_proba(X))


def test_classes_give_precomputed_labels_a_column_that_y_lacks(data):
    X, y = data
    rows = y != 1
    proba = np.eye(3)[y[rows]] * 0.7 + 0.1

    clf = fit_on(proba, X[rows], y[rows], classes=[0, 1, 2])

    assert_array_equal(clf.classes_, [0, 1, 2])


def test_precomputed_labels_without_y_need_classes(data):
    X, y = data
    proba = np.eye(3)[y]

    with pytest.raises(ValueError, match="teacher_proba without y: pass classes="):
        fit_on(proba, X, None)

    clf = fit_on(proba, X, None, classes=["a", "b", "c"], alpha=1.0)
    assert clf.classes_.tolist() == ["a", "b", "c"]


def test_count_of_columns_is_held_against_classes(data):
    X, y = data

    with pytest.raises(ValueError, match="a column for each of classes="):
        fit_on(np.full((100, 3), 1 / 3), X, y, classes=[0, 1, 2, 3])


# Progress


@pytest.mark.parametrize("params", [{}, {"cv": 2}])
def test_bars_show_only_when_asked_for(params, data, capsys):
    X, y = data
    soft_labels(LogisticRegression(), X, y, **params)
    assert capsys.readouterr().err == ""
    cache.clear()

    soft_labels(LogisticRegression(), X, y, verbose=1, **params)

    assert ("folds" if params else "soft labels") in capsys.readouterr().err


def test_held_out_rows_fall_back_right_where_classes_names_more_than_y_holds():
    X, y = np.arange(12.0).reshape(-1, 1), np.array(["b"] * 5 + ["c"] * 6 + ["d"])
    clf = DistilledClassifier(
        GaussianNB(), classes=["d", "c", "b", "a"], cv=3, random_state=0
    )
    clf.fit(X, y)
    assert_array_equal(clf.classes_, ["a", "b", "c", "d"])

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
