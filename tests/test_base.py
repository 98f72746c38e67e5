"""The one algorithm of fit and partial_fit: input, failures, and what goes on."""

import contextlib
import copy
import math
import os
import signal

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import get_tags
from skorch.callbacks import Callback
from torch import nn

from skdistill import DistilledClassifier, make_student
from skdistill.losses import KLLoss
from skdistill.schedules import CosineSchedule, LinearSchedule
from tests.conftest import FittedTeacher, Seen, TinyModule, small_student, tiny_net
from tests.training.conftest import assert_same_weights, column, distilled

METHODS = pytest.mark.parametrize("method", ["fit", "partial_fit"])


BARE_OR_TABULAR = pytest.mark.parametrize(
    "student", [tiny_net(), small_student(max_epochs=2)], ids=["net", "table"]
)


def state_of(clf):
    """Return the attributes of an estimator that are no parameters."""
    params = clf.get_params(deep=False)
    return {name: value for name, value in vars(clf).items() if name not in params}


# What fit refuses, partial_fit refuses


REFUSED = {
    "temperature 0": ({"temperature": 0.0}, "The 'temperature' parameter"),
    "alpha": ({"alpha": 1.1}, "The 'alpha' parameter"),
    "word": ({"alpha": "best"}, "The 'alpha' parameter"),
    "classes": ({"classes": 3}, "The 'classes' parameter"),
    "schedule": ({"temperature": LinearSchedule(2, -2)}, "must be above 0"),
    "loss": ({"loss": "klx"}, "'klx' is not known.*'kl'"),
    "relation_weight": ({"relation_weight": np.inf}, "relation_weight"),
    "no features": (
        {"teacher": LogisticRegression(), "feature_loss": "hint"},
        "LogisticRegression.*teacher_features=",
    ),
    "NaN features": (
        {
            "feature_loss": "cka",
            "teacher_features": lambda t, X: np.full((len(X), 2), np.nan),
        },
        "NaN",
    ),
    "teacher": ({"teacher": None}, "there is no teacher.*teacher_proba="),
    "no classes": ({"teacher": [LinearSVC()]}, "CalibratedClassifierCV"),
    "teacher weights": ({"teacher_weights": [1, 2]}, "teacher_weights"),
}


def fitted(teacher, data):
    """Return a teacher of the table above as one that partial_fit takes."""
    if isinstance(teacher, list):
        return [one.fit(*data) for one in teacher]
    return None if teacher is None else clone(teacher).fit(*data)


@pytest.mark.parametrize(
    ("method", "trained"),
    [("fit", True), ("partial_fit", False), ("partial_fit", True)],
    ids=["fit", "first chunk", "later chunk"],
)
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_so_before_the_training(
    data, forest, begun, case, trained, method
):
    params, match = REFUSED[case]
    clf = distilled(forest, tiny_net(max_epochs=1, callbacks=[begun]))
    if trained:
        getattr(clf, method)(*data)
    before, n_epochs = state_of(clf), len(begun.epochs)
    params = params | (
        {"teacher": fitted(params["teacher"], data)} if "teacher" in params else {}
    )
    clf.set_params(**params)
    with pytest.raises((ValueError, TypeError), match=match):
        getattr(clf, method)(*data)
    assert len(begun.epochs) == n_epochs
    assert state_of(clf) == before
    # The way out is to take it back.
    plain = distilled(forest)
    clf.set_params(**{name: plain.get_params()[name] for name in params})
    getattr(clf, method)(*data)


REFUSED_STUDENTS = {
    "no rows to compare": (
        {"relation_loss": "rkd", "student__batch_size": 1},
        "batch_size is 1: it takes 2",
    ),
    "no scalar": ({"relation_loss": lambda s, t: 1.0}, "scalar tensor, got float"),
    "layer": ({"relation_loss": "rkd", "student_layer": "9"}, "no layer '9'"),
    "module": ({"student": nn.Linear(4, 3)}, "torch module Linear; wrap it in a net"),
    "misspelt": ({"student": tiny_net(module__n_hiden=4)}, "n_hiden"),
}


@METHODS
@pytest.mark.parametrize("case", REFUSED_STUDENTS)
def test_a_student_that_cannot_be_trained_is_refused(data, forest, case, method):
    params, match = REFUSED_STUDENTS[case]
    clf = distilled(forest).set_params(**params)
    with pytest.raises((ValueError, TypeError), match=match):
        getattr(clf, method)(*data)
    assert not state_of(clf)


@METHODS
@pytest.mark.parametrize(
    "hidden",
    [
        {"feature_loss": "hint"},
        {"relation_loss": "rkd", "teacher_features": lambda teacher, X: X},
    ],
    ids=["feature_loss", "teacher_features"],
)
def test_features_cannot_be_asked_of_teacher_proba(data, forest, hidden, method):
    clf = distilled(classes=[0, 1, 2], **hidden)
    with pytest.raises(ValueError, match="teacher_proba alone: pass teacher="):
        getattr(clf, method)(*data, teacher_proba=forest.predict_proba(data[0]))


@METHODS
def test_a_loss_on_labels_needs_labels(data, forest, begun, method):
    clf = distilled(forest, tiny_net(callbacks=[begun]), loss="dkd", alpha=1.0)
    with pytest.raises(ValueError, match="needs labels, but the target y is None"):
        getattr(clf, method)(data[0])
    assert not begun.epochs


# The rows


@METHODS
@BARE_OR_TABULAR
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X: np.where(X > 1, np.nan, X), "NaN"),
        (lambda X: np.where(X > 1, np.inf, X), "infinity"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: np.full(X.shape, "x", object), "pass a data frame"),
        (lambda X: np.full(X.shape, "x"), "pass a data frame"),
    ],
    ids=["nan", "inf", "no rows", "strings in objects", "strings"],
)
def test_rows_that_no_net_can_take_are_refused(data, student, spoil, message, method):
    X, y = data
    clf = distilled(LogisticRegression().fit(X, y), student)
    bad = spoil(X)
    with pytest.raises(ValueError, match=message):
        getattr(clf, method)(bad, y[: len(bad)])
    assert not state_of(clf)
    getattr(clf, method)(X, y)
    with pytest.raises(ValueError, match=message):
        clf.predict(bad)


@METHODS
@BARE_OR_TABULAR
def test_values_too_large_for_single_precision_are_refused(
    data, forest, student, method
):
    huge = np.where(data[0] > 1, 1e300, data[0])
    proba = forest.predict_proba(data[0])
    clf = distilled(student=student, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="infinity or a value too large"):
        getattr(clf, method)(huge, data[1], teacher_proba=proba)


@pytest.mark.parametrize("student", [None, small_student()], ids=["none", "default"])
def test_missing_values_are_taken_where_student_and_teacher_take_them(data, student):
    X, y = np.where(data[0] > 1, np.nan, data[0]), data[1]
    teacher = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=5)
    clf = DistilledClassifier(teacher, student, random_state=0)
    assert get_tags(clf).input_tags.allow_nan
    assert np.isfinite(clf.fit(X, y).predict_proba(X)).all()
    refusing = DistilledClassifier(LogisticRegression(), student)
    assert not get_tags(refusing).input_tags.allow_nan
    with pytest.raises(ValueError, match="LogisticRegression does not accept missing"):
        refusing.fit(X, y)


@METHODS
def test_missing_values_that_were_trained_on_are_predicted(data, method):
    X, y = data
    missing = np.where(X > 1, np.nan, X)
    # A Pipeline's tags do not say that its imputer takes missing values.
    teacher = make_pipeline(SimpleImputer(), GaussianNB()).fit(X, y)
    clf = distilled(teacher, small_student())
    getattr(clf, method)(missing, y)
    assert np.isfinite(clf.predict_proba(missing)).all()
    clf = distilled(GaussianNB().fit(X, y), small_student())
    getattr(clf, method)(X, y)
    assert not get_tags(clf).input_tags.allow_nan
    with pytest.raises(ValueError, match="contains NaN"):
        clf.predict(missing)


@pytest.mark.parametrize("student", [None, small_student()], ids=["none", "default"])
def test_the_default_student_refuses_sparse_rows_that_a_net_takes(
    data, forest, student
):
    net, teacher = distilled(LogisticRegression()), LogisticRegression()
    assert get_tags(net).input_tags.sparse == get_tags(teacher).input_tags.sparse
    clf = DistilledClassifier(forest, student)
    assert not get_tags(clf).input_tags.sparse
    with pytest.raises(TypeError, match=r"toarray\(\).*student=make_student\(\)\[-1\]"):
        clf.fit(sparse.csr_matrix(data[0]), data[1])


FRAMES = {
    "names that repeat": (
        lambda X: pd.DataFrame(X, columns=list("abca")),
        "not unique",
    ),
    "lazy": (lambda X: pl.DataFrame(X).lazy(), "pass X.collect"),
}


@METHODS
@pytest.mark.parametrize("student", [None, tiny_net()], ids=["default", "net"])
@pytest.mark.parametrize("kind", FRAMES)
def test_frames_that_nobody_can_take_are_refused(data, kind, student, method):
    X, y = data
    make, message = FRAMES[kind]
    clf = distilled(GaussianNB().fit(X, y), student)

    with pytest.raises((TypeError, ValueError), match=message):
        getattr(clf, method)(make(X), y)


@METHODS
@BARE_OR_TABULAR
def test_one_row_is_enough_where_the_teacher_knows_the_classes(
    data, forest, student, method
):
    X, y = data
    clf = getattr(distilled(forest, student), method)(X[:1], y[:1])
    assert np.isfinite(clf.predict_log_proba(X)).all()
    assert clf.predict_proba(X[:1]).shape == (1, 3)


# Labels and weights


@METHODS
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda y: np.where(y == 0, np.nan, y), "NaN"),
        (lambda y: y + 0.5, "Unknown label type: continuous"),
        (lambda y: np.c_[y, y], "MultiOutputClassifier"),
        (lambda y: np.eye(3, dtype=int)[y] - 1, "indicator matrix of 0 and 1"),
    ],
    ids=["length", "nan", "continuous", "multi-output", "multilabel"],
)
def test_labels_that_are_no_classes_are_refused(data, forest, spoil, message, method):
    with pytest.raises(ValueError, match=message):
        getattr(distilled(forest), method)(data[0], spoil(data[1]))


@METHODS
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(89), "sample_weight.shape"),
        (-np.ones(90), "Negative values"),
        (np.full(90, np.nan), "NaN"),
    ],
    ids=["length", "negative", "nan"],
)
def test_bad_sample_weights_are_refused(data, forest, weight, message, method):
    with pytest.raises(ValueError, match=message):
        getattr(distilled(forest), method)(*data, sample_weight=weight)


@pytest.mark.parametrize("soft_labels", ["in_sample", "out_of_fold"])
def test_one_weight_stands_for_all_rows(data, soft_labels):
    params = {"augmenter": "auto", "soft_labels": soft_labels}
    clf = distilled(LogisticRegression(), small_student(max_epochs=1), **params)
    one, each = (
        clf.fit(*data, sample_weight=weight).predict_proba(data[0])
        for weight in (2.0, np.full(90, 2.0))
    )
    assert_array_equal(one, each)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_weights_count_as_rows(data, forest, alpha):
    X, y = data
    plain = distilled(forest, alpha=alpha).fit(X, y).predict_proba(X)
    ones = distilled(forest, alpha=alpha).fit(X, y, np.ones(90)).predict_proba(X)
    assert_allclose(ones, plain, atol=1e-6)
    part = distilled(forest, alpha=alpha).fit(X[30:], y[30:]).predict_proba(X)
    weight = np.repeat([0.0, 1.0], [30, 60])
    weighted = distilled(forest, alpha=alpha).fit(X, y, weight).predict_proba(X)
    assert_allclose(weighted, part, atol=1e-5)
    assert np.abs(part - plain).max() > 1e-2


@METHODS
@pytest.mark.parametrize(
    ("alpha", "match"),
    [
        (0.7, "alpha=0.7 is ignored. Set alpha=1"),
        (CosineSchedule(0.5, 0), "learns from the teacher alone"),
    ],
    ids=["number", "schedule"],
)
def test_without_y_the_teacher_is_all_there_is_to_learn_from(
    data, forest, alpha, match, method
):
    clf = distilled(forest, alpha=alpha)
    with pytest.warns(UserWarning, match=match) as seen:
        getattr(clf, method)(data[0])
    assert len(seen) == 1
    silent = getattr(distilled(forest, alpha=1.0), method)(data[0])
    assert_array_equal(clf.predict_proba(data[0]), silent.predict_proba(data[0]))


def test_tensors_are_arrays_whatever_scikit_learn_does_with_them(data, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    student = small_student(max_epochs=2)
    expected = (
        distilled(LogisticRegression(), student).fit(*data).predict_proba(data[0])
    )
    X, y = map(torch.tensor, data)
    with config_context(array_api_dispatch=True):
        clf = distilled(LogisticRegression(), student, random_state=0)
        clf.fit(X, y, sample_weight=torch.ones(len(X)))
        proba = clf.predict_proba(X)
    assert_array_equal(proba, expected)


@pytest.mark.parametrize("teacher", [GaussianNB(), [GaussianNB()]], ids=["one", "list"])
def test_an_unfitted_teacher_requires_y(data, forest, teacher):
    clf = distilled(teacher, alpha=1.0)
    assert get_tags(clf).target_tags.required
    assert not get_tags(distilled(forest)).target_tags.required
    with pytest.raises(ValueError, match="requires y to be passed"):
        clf.fit(data[0])


def test_a_teacher_that_has_learned_nothing_is_warned_of(data):
    with pytest.warns(UserWarning, match="near the chance level .* has learned little"):
        distilled(DummyClassifier()).fit(*data)


def test_soft_labels_that_say_nothing_beyond_y_are_warned_of(data):
    teacher = KNeighborsClassifier(1).fit(*data)
    with pytest.warns(UserWarning, match="one-hot and equal to y.*out_of_fold"):
        distilled(teacher).fit(*data)
    features = {"relation_loss": "rkd", "teacher_features": lambda teacher, X: X}
    distilled(teacher, **features).fit(*data)


def test_a_teacher_that_is_fitted_here_says_enough_of_made_rows(data):
    # Without a warning, as warnings are errors here.
    distilled(KNeighborsClassifier(1), augmenter="munge").fit(*data)


@METHODS
@pytest.mark.parametrize("losses", [{}, {"feature_loss": "hint"}], ids=["kl", "hint"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_training_does_not_depend_on_the_mode_of_the_caller(
    data, forest, mode, losses, method
):
    clf = distilled(forest, **losses)
    expected = getattr(clone(clf), method)(*data).predict_proba(data[0])

    with mode():
        getattr(clf, method)(*data)
        assert not torch.is_grad_enabled()

    assert_array_equal(clf.predict_proba(data[0]), expected)


# What fit leaves as it was


@METHODS
@pytest.mark.parametrize(
    "student",
    [
        tiny_net(),
        tiny_net(module=TinyModule(4, 3)),
        small_student(),
        make_pipeline(StandardScaler(), tiny_net()),
    ],
    ids=["net", "module instance", "default", "pipeline"],
)
def test_nothing_that_was_given_changes(data, forest, student, method):
    X, y = data[0].astype(np.float32), data[1]
    proba = forest.predict_proba(X)
    given = (X, y, np.ones(len(y)), forest, student, proba)
    before = joblib.hash(given)
    clf = distilled(forest, student)
    getattr(clf, method)(X, y, sample_weight=given[2])
    clf.predict_proba(X)
    told = distilled(student=student, classes=[0, 1, 2])
    getattr(told, method)(X, y, teacher_proba=proba)
    assert joblib.hash(given) == before
    assert clf.student is student
    assert clf.student_ is not student


# What fails on the way


class FailingTeacher(FittedTeacher):
    def predict_proba(self, X):
        raise ArithmeticError("stop")


class FailingStep(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        raise ArithmeticError("stop")


def failing_loss(student, teacher):
    raise ArithmeticError("stop")


class FailsLate(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise ArithmeticError("stop")


class Interrupted(Callback):
    def on_batch_end(self, net, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)


FAILURES = {
    "teacher": {"teacher": FailingTeacher()},
    "preprocessing": {"student": make_pipeline(FailingStep(), tiny_net())},
    "loss": {"loss": failing_loss},
    "features": {"relation_loss": failing_loss},
    "NaN": {"loss": lambda student, teacher: student.sum() * math.nan},
    "explosion": {"student": tiny_net(optimizer=torch.optim.SGD, lr=1e38)},
    "callback": {"student": tiny_net(callbacks=[FailsLate])},
    "interruption": {"student": tiny_net(callbacks=[Interrupted])},
}
STOPS = (ArithmeticError, ValueError, KeyboardInterrupt)


@contextlib.contextmanager
def fails(clf, X, errors=STOPS, match=None):
    """Check that something fails and leaves a fitted estimator as it was."""
    before, proba = state_of(clf), clf.predict_proba(X)
    with pytest.raises(errors, match=match):
        yield
    assert state_of(clf) == before
    assert_array_equal(clf.predict_proba(X), proba)


@METHODS
@pytest.mark.parametrize("failure", FAILURES)
def test_a_first_training_that_fails_leaves_nothing(data, forest, failure, method):
    clf = distilled(forest).set_params(**FAILURES[failure])
    with pytest.raises(STOPS):
        getattr(clf, method)(*data)
    assert not state_of(clf)
    with pytest.raises(NotFittedError):
        clf.predict(data[0])


@pytest.mark.parametrize("failure", FAILURES)
def test_a_fit_that_fails_leaves_a_fitted_one_as_it_was(data, forest, failure):
    X, y = data
    clf = distilled(forest).fit(X, y)
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"])
    with fails(clf, X):
        clf.set_params(**{"teacher": LogisticRegression()} | FAILURES[failure])
        clf.fit(frame, np.array(["a", "b", "c"])[y])


@pytest.mark.parametrize("method", ["partial_fit", "fit"], ids=["partial_fit", "warm"])
@pytest.mark.parametrize("failure", ["teacher", "loss", "features", "NaN"])
def test_a_further_training_that_fails_leaves_the_attributes_as_they_were(
    data, forest, failure, method
):
    clf = distilled(forest, tiny_net(max_epochs=2, warm_start=True)).fit(*data)
    with fails(clf, data[0]):  # before its first step
        getattr(clf.set_params(**FAILURES[failure]), method)(*data)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X, y: (X, y + 1), "of all of them by classes="),
        (lambda X, y: (X[:, :2], y), "2 features"),
        (lambda X, y: (X[:5], y), "inconsistent numbers of samples"),
        (lambda X, y: (X[:0], y[:0]), "0 sample"),
        (lambda X, y: (np.where(X > 1, np.nan, X), y), "NaN"),
    ],
    ids=["label", "features", "lengths", "empty", "nan"],
)
def test_bad_later_chunks_are_refused_and_leave_the_student_alone(
    data, forest, spoil, message
):
    clf = distilled(forest).partial_fit(*data)
    with fails(clf, data[0], ValueError, message):
        clf.partial_fit(*spoil(*data))


# Chunks


def test_chunks_train_as_the_batches_of_fit_do(data, forest):
    X, y = data
    student = tiny_net(batch_size=30, max_epochs=4, iterator_train__shuffle=False)
    whole = distilled(forest, student).fit(X, y)
    chunked = distilled(forest, student)
    for _ in range(4):
        for start in range(0, 90, 30):
            rows = slice(start, start + 30)
            chunked.partial_fit(X[rows], y[rows])
    assert_allclose(chunked.predict_proba(X), whole.predict_proba(X), rtol=1e-4)
    assert len(chunked.history_) == 12


def test_chunks_are_labeled_in_sample(data, forest):
    one, two, other = (
        distilled(forest, soft_labels=how, cv=2).partial_fit(*data)
        for how in ("out_of_fold", "out_of_bag", "in_sample")
    )
    assert_same_weights(one, other)
    assert_same_weights(two, other)


def test_partial_fit_goes_on_after_fit_and_fit_starts_anew(data, forest):
    clf = distilled(forest).fit(*data)
    first = clf.predict_proba(data[0])
    assert clf.partial_fit(*data) is clf
    assert len(clf.history_) == 4
    assert not np.array_equal(clf.predict_proba(data[0]), first)
    assert_array_equal(clf.fit(*data).predict_proba(data[0]), first)


def test_chunks_need_not_hold_all_classes_of_the_teacher(data, forest):
    X, y = data
    clf = distilled(forest)
    for _ in range(10):
        for name in (0, 1, 2):
            clf.partial_fit(X[y == name], y[y == name])
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert clf.score(X, y) > 0.5


@pytest.mark.parametrize("teacher", [GaussianNB(), [GaussianNB()]], ids=["one", "list"])
def test_there_is_no_partial_fit_with_an_unfitted_teacher(teacher):
    clf = distilled(teacher)
    assert not hasattr(clf, "partial_fit")
    with pytest.raises(AttributeError) as error:
        _ = clf.partial_fit
    assert "needs a teacher that is fitted" in str(error.value.__cause__)


# Seeds and warm starts


@METHODS
def test_a_random_state_instance_moves_on_from_fit_to_fit(data, forest, method):
    def trained(clf):
        return getattr(clf, method)(*data).predict_proba(data[0])

    clf = distilled(forest, random_state=np.random.RandomState(0))
    first = trained(clf)
    assert not np.array_equal(trained(clf), first)
    again = distilled(forest, random_state=np.random.RandomState(0))
    assert_array_equal(trained(again), first)


def test_a_warm_start_goes_on_where_it_stopped(data, forest):
    clf = distilled(forest, tiny_net(warm_start=True, max_epochs=2)).fit(*data)
    before = column(clf, "train_loss")
    clf.set_params(student__max_epochs=3, student__lr=0.02).fit(*data)
    assert column(clf, "train_loss")[:2] == before
    assert len(clf.history_) == 5
    assert clf.student_.lr == 0.02


def test_a_warm_start_keeps_its_classes(data):
    X, y = data
    clf = distilled(LogisticRegression(), tiny_net(warm_start=True)).fit(X, y)
    with pytest.raises(ValueError, match=r"keep its classes.*Name all .* by classes="):
        clf.fit(X, y + 1)
    assert_array_equal(clf.classes_, [0, 1, 2])
    clf.set_params(classes=[0, 1, 2]).fit(X[y < 2], y[y < 2])
    assert_array_equal(clf.classes_, [0, 1, 2])


def test_refitting_forgets_the_first_fit(data, forest):
    X, y = data
    clf = distilled(GaussianNB()).fit(X[:, :2], y)
    clf.set_params(teacher=forest).fit(X, y)
    assert not hasattr(clf, "teacher_")
    assert clf.n_features_in_ == 4
    fresh = distilled(forest).fit(X, y)
    assert_array_equal(clf.predict_proba(X), fresh.predict_proba(X))


# Schedules


@pytest.mark.parametrize(
    ("method", "n_calls", "temperatures"),
    [("partial_fit", 5, [8, 5, 2, 2, 2]), ("fit", 2, [8, 5, 2, 2, 2, 2])],
)
def test_a_student_that_is_trained_on_goes_on_counting(
    data, forest, method, n_calls, temperatures
):
    clf = distilled(
        forest,
        tiny_net(max_epochs=3, warm_start=True),
        temperature=LinearSchedule(8, 2, n_epochs=3),
        alpha=lambda epoch, n: epoch / 10,
    )
    for _ in range(n_calls):
        getattr(clf, method)(*data)
    assert column(clf, "temperature") == temperatures
    assert column(clf, "alpha") == [n / 10 for n in range(len(temperatures))]


@METHODS
def test_a_schedule_that_runs_out_of_range_is_found_before_the_training(
    data, forest, begun, method
):
    # Sound for the epochs of one fit, and no further.
    net = tiny_net(max_epochs=2, warm_start=True, callbacks=[begun])
    clf = distilled(forest, net, alpha=lambda epoch, n: 1 - epoch / n).fit(*data)
    if method == "partial_fit":
        clf.partial_fit(*data)  # alpha is 0 now
    epochs, proba = list(begun.epochs), clf.predict_proba(data[0])
    with pytest.raises(ValueError, match="alpha must be from 0 to 1"):
        getattr(clf, method)(*data)
    assert begun.epochs == epochs
    assert_array_equal(clf.predict_proba(data[0]), proba)


# What a student that is trained on is compared with


def whole_batches(**params):
    return tiny_net(
        batch_size=-1, max_epochs=1, iterator_train__shuffle=False, lr=1e-3, **params
    )


@pytest.mark.parametrize("method", ["partial_fit", "fit"], ids=["partial_fit", "warm"])
def test_further_trainings_keep_the_basis_of_the_leaves(data, forest, method):
    X, y = data
    targets = Seen()
    clf = distilled(forest, whole_batches(warm_start=True), relation_loss=targets)
    getattr(clf, method)(X[:60], y[:60])
    # Also past a training that looks at no features.
    getattr(clf.set_params(relation_weight=0.0), method)(X, y)
    getattr(clf.set_params(relation_weight=1.0), method)(X[30:], y[30:])
    assert_allclose(targets.teacher[-1][:30], targets.teacher[0][30:], atol=1e-5)


def test_another_teacher_has_a_basis_of_its_own(data, forest):
    targets = Seen()
    clf = distilled(forest, whole_batches(), relation_loss=targets).partial_fit(*data)
    other = RandomForestClassifier(20, random_state=7).fit(*data)
    clf.set_params(teacher=other).partial_fit(*data)
    assert np.square(targets.teacher[-1]).mean() == pytest.approx(1, rel=1e-3)
    clf.set_params(teacher=[forest, other]).partial_fit(*data)
    assert targets.teacher[-1].shape == (90, 128)


# Parameters, clones and the teacher that was fitted


@pytest.mark.parametrize(
    "hide", [lambda f: f, FrozenEstimator], ids=["fitted", "frozen"]
)
def test_parameters_of_a_fitted_teacher_are_hidden(forest, hide):
    clf = distilled(hide(forest))
    assert not [name for name in clf.get_params() if name.startswith("teacher__")]
    assert clf.get_params()["student__lr"] == 0.1
    with pytest.raises(ValueError, match="Pass an unfitted teacher"):
        clf.set_params(teacher__n_estimators=3)


def test_parameters_of_an_unfitted_teacher_can_be_set(forest):
    clf = distilled(forest)
    clf.set_params(teacher=RandomForestClassifier(), teacher__n_estimators=3)
    assert clf.teacher.n_estimators == 3
    assert clf.get_params()["teacher__n_estimators"] == 3
    assert forest.n_estimators == 10


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("student__net__lr", r"pass student=make_student\(\)"),
        ("temperature__stop", r"schedules.LinearSchedule\(start, stop\)"),
        ("alpha__stop", r"schedules.LinearSchedule\(start, stop\)"),
        ("loss__temperature", r"losses.KLLoss\(\)"),
        ("relation_loss__angle_weight", r"losses.RKDLoss\(\)"),
    ],
)
def test_parameters_of_what_has_none_need_an_object(data, forest, name, way_out):
    clf = DistilledClassifier(forest, relation_loss="rkd")
    with pytest.raises(ValueError, match=way_out):
        clf.set_params(**{name: 0.5})
    with pytest.raises(ValueError, match=way_out):
        GridSearchCV(clf, {name: [0.5]}, cv=2).fit(*data)


@pytest.mark.parametrize(
    ("student", "name", "misspelt"),
    [
        (tiny_net(), "student__lrr", "lrr"),
        (tiny_net(), "student__module_n_hidden", "module_n_hidden"),
        (tiny_net(), "studet__lr", "studet"),
        (make_student(), "student__nett__lr", "nett"),
        (make_student(), "student__net__max_epoch", "max_epoch"),
    ],
)
def test_a_misspelt_parameter_is_refused_when_it_is_set(student, name, misspelt):
    with pytest.raises(ValueError, match=f"Invalid parameter '{misspelt}'"):
        distilled(student=student).set_params(**{name: 1})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("lr", "net__lr"),
        ("max_epochs", "net__max_epochs"),
        ("module__dropout", "net__module__dropout"),
        ("dropout", "net__module__dropout"),
        ("net__dropout", "net__module__dropout"),
        ("n_bins", "preprocess__n_bins"),
    ],
)
def test_the_full_name_of_a_parameter_is_suggested(name, meant):
    clf = distilled(student=make_student())
    with pytest.raises(ValueError, match=f"Invalid .*: set 'student__{meant}'"):
        clf.set_params(**{f"student__{name}": 1})
    with pytest.raises(ValueError, match="Invalid parameter 'alfa'"):
        clf.set_params(student__net__optimizer__lr=1, alfa=1)


@pytest.mark.parametrize(
    "wrap",
    [
        clone,
        lambda clf: clone(Pipeline([("clf", clf)]))["clf"],
        lambda clf: clone(GridSearchCV(clf, {"alpha": [0.5]})).estimator,
    ],
    ids=["alone", "pipeline", "search"],
)
def test_clones_share_a_fitted_teacher_and_nothing_else(forest, wrap):
    unfitted = GaussianNB()
    clf = distilled([forest, unfitted], loss=KLLoss(), temperature=LinearSchedule(8, 2))
    copied = wrap(clf)
    assert copied.teacher[0] is forest
    assert copied.teacher[1] is not unfitted
    for part in ("student", "loss", "temperature"):
        assert getattr(copied, part) is not getattr(clf, part)
    assert wrap(distilled(forest)).teacher is forest


@METHODS
def test_there_is_no_fitted_teacher_where_none_was_fitted(data, forest, method):
    clf = distilled(forest)
    with pytest.raises(NotFittedError):
        _ = clf.teacher_
    getattr(clf, method)(*data)
    with pytest.raises(AttributeError, match="has no teacher_: the last fit fitted no"):
        _ = clf.teacher_


def test_training_a_deep_copy_leaves_the_first_alone(data, forest):
    clf = distilled(forest).fit(*data)
    before = clf.predict_proba(data[0])
    copied = copy.deepcopy(clf).partial_fit(*data)
    assert_array_equal(clf.predict_proba(data[0]), before)
    assert_same_weights(clf.partial_fit(*data), copied)  # it draws as the first does
