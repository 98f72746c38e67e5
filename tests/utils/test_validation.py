"""What is refused, and whether the message says what to do instead."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from torch import nn

from skdistill import DistilledClassifier, TorchTeacher, soft_labels
from skdistill.utils._validation import (
    all_fitted,
    check_n_features,
    check_teacher_weights,
    has_known_columns,
    is_fitted,
    plain_rows,
)
from tests.conftest import tiny_net

X, y = make_classification(
    n_samples=60, n_features=4, flip_y=0.2, class_sep=1.0, random_state=0
)
X = X.astype(np.float32)
FITTED = LogisticRegression().fit(X, y)


class OnlyProba:
    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


class OnlyPredict:
    def predict(self, X):
        return np.zeros(len(X))


class NoUnderscore(ClassifierMixin, BaseEstimator):
    """Keeps what it learns under names that tell scikit-learn nothing."""

    def fit(self, X, y):
        self.model = LogisticRegression().fit(X, y)
        return self

    def predict_proba(self, X):
        return self.model.predict_proba(X)

    @property
    def classes_(self):
        return self.model.classes_


class Wraps(NoUnderscore):
    """Has the classes of a fitted estimator before it is fitted itself."""

    def __init__(self, model):
        self.model = model


def student():
    return tiny_net(module__n_features=4, max_epochs=1)


def by_function(teacher, X, y, **params):
    return soft_labels(teacher, X, y, **params)


def by_estimator(teacher, X, y, **params):
    if "method" in params:
        params["soft_labels"] = params.pop("method")
    return DistilledClassifier(teacher, student(), **params).fit(X, y)


NO_PROBA = "has no predict_proba.*wrap it in sklearn.calibration.CalibratedClassifierCV"

REFUSED = {
    "margins alone": (lambda: LinearSVC(), TypeError, NO_PROBA),
    "pipeline of margins": (
        lambda: make_pipeline(FrozenEstimator(LinearSVC().fit(X, y))),
        TypeError,
        NO_PROBA,
    ),
    "hard vote": (
        lambda: VotingClassifier([("lr", LogisticRegression())]),
        TypeError,
        "no predict_proba.*set voting='soft'",
    ),
    "hard vote in a pipeline": (
        lambda: make_pipeline(VotingClassifier([("lr", LogisticRegression())])),
        TypeError,
        "no predict_proba.*set voting='soft'",
    ),
    "search without a best estimator": (
        lambda: GridSearchCV(LogisticRegression(), {}, refit=False).fit(X, y),
        TypeError,
        "GridSearchCV has no predict_proba.*set refit=True",
    ),
    "booster": (
        lambda: xgboost.train({}, xgboost.DMatrix(X, y), 1),
        TypeError,
        r"Booster has no predict_proba.*TorchTeacher\(teacher.predict, ",
    ),
    "text": (lambda: "forest", TypeError, "must be a classifier, got 'forest'"),
    "array": (lambda: np.eye(2), TypeError, r"fit\(X, y, teacher_proba="),
    "class": (
        lambda: RandomForestClassifier,
        TypeError,
        "teacher is the class RandomForestClassifier; pass an instance",
    ),
    "bare module": (
        lambda: nn.Linear(4, 2),
        TypeError,
        r"teacher Linear is a module .*TorchTeacher\(module, classes=",
    ),
    "bare function": (
        lambda: lambda X: np.full((len(X), 2), 0.5),
        TypeError,
        r"teacher function is a .*TorchTeacher\(module, classes=",
    ),
    "empty list": (list, ValueError, "list of teachers is empty"),
    "one bad teacher of a list": (
        lambda: [FITTED, LinearSVC()],
        TypeError,
        "teacher LinearSVC " + NO_PROBA,
    ),
    "None in a list": (lambda: [FITTED, None], TypeError, "classifier, got None"),
    "other number of features": (
        lambda: LogisticRegression().fit(X[:, :3], y),
        ValueError,
        "fitted on 3 features, X has 4 features.*Pipeline.*student's into student=",
    ),
    "without classes_": (OnlyProba, ValueError, "OnlyProba has no classes_.*classes="),
    "NaN logits": (
        lambda: TorchTeacher(lambda X: np.full((len(X), 2), np.nan), [0, 1]),
        ValueError,
        "teacher TorchTeacher contains NaN",
    ),
    "logits for probabilities": (
        lambda: TorchTeacher(
            lambda X: np.tile([2.0, 3.0], (len(X), 1)), [0, 1], output="proba"
        ),
        ValueError,
        "rows of teacher TorchTeacher must sum to 1; one is off by 4.*softmax",
    ),
    "several outputs of several widths": (
        lambda: RandomForestClassifier(2).fit(
            X, np.column_stack([y, np.arange(len(y)) % 3])
        ),
        ValueError,
        "one label per row",
    ),
    "multilabel": (
        lambda: KNeighborsClassifier().fit(X, np.eye(2, dtype=int)[y]),
        ValueError,
        "one label per row",
    ),
}


@pytest.mark.parametrize("call", [by_function, by_estimator])
@pytest.mark.parametrize("kind", REFUSED)
def test_teacher_is_refused_with_a_way_out(kind, call):
    make_teacher, error, message = REFUSED[kind]
    teacher = make_teacher()

    with pytest.raises(error, match=f"(?s){message}"):
        call(teacher, X, y)


@pytest.mark.parametrize("fitted", [False, True])
def test_a_regressor_is_no_teacher_of_classes(fitted):
    teacher = LinearRegression().fit(X, y) if fitted else LinearRegression()
    with pytest.raises(TypeError, match="is a regressor; use DistilledRegressor"):
        by_estimator(teacher, X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"teacher_weights": [1.0]}, r"shape \(1,\) for 2 teachers"),
        ({"teacher_weights": [[1.0, 1.0]]}, r"shape \(1, 2\) for 2 teachers"),
        ({"teacher_weights": [1.0, -1.0]}, "not negative.*-1.0"),
        ({"teacher_weights": [0.0, 0.0]}, "not all zero"),
        ({"teacher_weights": [1.0, np.inf]}, "finite"),
        ({"teacher_weights": [1.0, np.nan]}, "finite"),
        ({"classes": ["a", "b", "c"]}, "classes= has 3 labels.*gives 2 columns"),
        ({"method": "out_of_bag"}, "needs an unfitted forest"),
        ({"method": "held_out"}, r"(?s)in_sample.*[gG]ot 'held_out'"),
    ],
)
@pytest.mark.parametrize("call", [by_function, by_estimator])
def test_parameters_that_do_not_fit_the_teachers_are_refused(call, params, message):
    with pytest.raises(ValueError, match=message):
        call([FITTED, FITTED], X, y, **params)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("proba_clip", clip) for clip in (np.nan, -1, 0.0, 1.0, 5, True, "small")),
        ("teacher_weights", 1),
        ("cv", "five"),
        ("n_jobs", 1.5),
        ("random_state", "x"),
        ("verbose", -1),
        ("verbose", "yes"),
    ],
)
@pytest.mark.parametrize("call", [by_function, by_estimator])
def test_parameters_of_a_wrong_type_or_range_are_refused_by_name(call, name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        call(FITTED, X, y, **{name: value})


NO_CLASSES = {
    "a label twice": (["a", "a"], "'a'] has a label twice"),
    "a set": ({"a", "b"}, "is no list of labels"),
    "a list in a list": ([["a", "b"]], "is no list of labels"),
    "lists of different lengths": ([["a"], ["a", "b"]], "is no list of labels"),
    "None": (["a", None], "has a missing label"),
    "NaN": ([1.0, np.nan], "has a missing label"),
    "pandas.NA": (["a", pd.NA], "has a missing label"),
    "strings and numbers": (["a", 1], "mixes strings and numbers"),
}


PROBA = FITTED.predict_proba(X)
NAMES_CLASSES = {
    "function": lambda names: by_function(FITTED, X, y, classes=names),
    "estimator": lambda names: by_estimator(FITTED, X, y, classes=names),
    "unfitted": lambda names: by_estimator(LogisticRegression(), X, y, classes=names),
    "teacher_proba": lambda names: DistilledClassifier(classes=names).fit(
        X, teacher_proba=PROBA
    ),
    "first chunk": lambda names: DistilledClassifier(FITTED).partial_fit(X, y, names),
    "first chunk of teacher_proba": lambda names: DistilledClassifier().partial_fit(
        X, y, names, teacher_proba=PROBA
    ),
    "TorchTeacher": lambda names: by_function(
        TorchTeacher(nn.Linear(4, 2), names), X, y
    ),
}


@pytest.mark.parametrize("use", NAMES_CLASSES.values(), ids=NAMES_CLASSES)
@pytest.mark.parametrize("kind", NO_CLASSES)
def test_what_does_not_name_classes_is_refused(kind, use):
    classes, message = NO_CLASSES[kind]

    with pytest.raises(ValueError, match=f"{message}: pass a sequence of labels"):
        use(classes)


@pytest.mark.parametrize("call", [by_function, by_estimator])
@pytest.mark.parametrize(
    "empty",
    [X[:0], pd.DataFrame(X[:0]), pl.DataFrame(X[:0], schema=list("abcd"))],
    ids=["array", "pandas", "polars"],
)
def test_no_rows_are_refused_as_scikit_learn_does(call, empty):
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        call(FITTED, empty, y[:0])


@pytest.mark.parametrize("call", [by_function, by_estimator])
@pytest.mark.parametrize(
    ("target", "message"),
    [
        pytest.param(y[:-1], "inconsistent numbers of samples", id="too short"),
        pytest.param(y + 0.5, "Unknown label type: continuous", id="continuous"),
        pytest.param(np.where(y, np.nan, 0.0), "y contains NaN", id="NaN"),
        pytest.param(np.where(y, np.inf, 0.0), "y contains infinity", id="infinity"),
        pytest.param(np.where(y, "yes", "no"), "share no class", id="other labels"),
    ],
)
def test_target_is_refused(call, target, message):
    with pytest.raises(ValueError, match=message):
        call(FITTED, X, target)


@pytest.mark.parametrize(
    ("call", "params", "message"),
    [
        (by_function, {}, "requires y to be passed.*target y is None"),
        (by_estimator, {}, "requires y to be passed.*target y is None"),
        (by_function, {"method": "out_of_fold"}, "out_of_fold requires y to be passed"),
        (by_function, {"method": "out_of_bag"}, "out_of_bag requires y to be passed"),
    ],
)
def test_unfitted_teachers_need_labels(call, params, message):
    with pytest.raises(ValueError, match=message):
        call(RandomForestClassifier(), X, None, **params)


@pytest.mark.parametrize(
    ("teacher", "proba", "message"),
    [
        (None, None, r"pass teacher= to .*or teacher_proba= to fit"),
        (FITTED, PROBA, "either a teacher or teacher_proba, not both"),
    ],
    ids=["neither", "both"],
)
def test_there_is_one_source_of_soft_labels(teacher, proba, message):
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(teacher, student()).fit(X, y, teacher_proba=proba)


# The checks by themselves


@pytest.mark.parametrize(
    ("teacher", "expected"),
    [
        pytest.param(FITTED, True, id="fitted"),
        pytest.param(LogisticRegression(), False, id="unfitted"),
        pytest.param(FrozenEstimator(FITTED), True, id="frozen"),
        pytest.param(make_pipeline(FITTED), True, id="pipeline of fitted"),
        pytest.param(make_pipeline(LogisticRegression()), False, id="pipeline"),
        pytest.param(student(), False, id="net"),
        pytest.param(student().initialize(), True, id="initialized net"),
        pytest.param(TorchTeacher(nn.Linear(4, 2), [0, 1]), True, id="TorchTeacher"),
        pytest.param(DistilledClassifier(FITTED), False, id="assistant"),
        pytest.param(tiny_net(classes=[0, 1]), False, id="net with classes"),
        pytest.param(NoUnderscore(), False, id="no underscore, unfitted"),
        pytest.param(NoUnderscore().fit(X, y), True, id="no underscore"),
        pytest.param(Wraps(FrozenEstimator(FITTED)), False, id="around a fitted one"),
        pytest.param(FrozenEstimator(OnlyPredict()), True, id="frozen, no underscore"),
        pytest.param(OnlyProba(), True, id="without fit"),
        pytest.param(OnlyPredict(), True, id="predict alone"),
        pytest.param(None, False, id="None"),
    ],
)
def test_is_fitted_tells_what_can_be_asked(teacher, expected):
    assert is_fitted(teacher) is expected
    assert all_fitted([FITTED, teacher]) is all_fitted(teacher) is expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_plain_rows_are_those_of_a_plain_finite_array(dtype):
    rows = np.arange(6, dtype=dtype).reshape(3, 2)
    for plain in (rows, np.asfortranarray(rows), rows[:1]):
        made = plain_rows(plain, 2)
        assert made.dtype == np.float32
        assert made.flags.c_contiguous
        np.testing.assert_array_equal(made, plain)


@pytest.mark.parametrize(
    "rows",
    [
        np.ones((2, 3)),
        np.ones(2),
        np.ones((2, 2, 1)),
        np.ones((0, 2)),
        np.ones((2, 2), int),
        np.ma.ones((2, 2)),
        [[1.0, 2.0]],
        np.array([[1.0, np.nan]]),
        np.array([[1.0, -np.inf]]),
        np.array([[1.0, 1e39]]),
    ],
    ids=repr,
)
def test_all_other_rows_are_left_to_the_full_check(rows):
    assert plain_rows(rows, 2) is None


@pytest.mark.parametrize("n_rows", [len(X), 1])
def test_features_are_counted_whatever_holds_them(n_rows):
    check_n_features(FITTED, X[:n_rows])
    check_n_features(FITTED, X[:n_rows].tolist())
    check_n_features(FITTED, pd.DataFrame(X[:n_rows]))
    check_n_features(LogisticRegression(), X[:n_rows, :1])  # not fitted yet
    with pytest.raises(ValueError, match="fitted on 4 features, X has 5 features"):
        check_n_features(FITTED, pd.DataFrame(np.zeros((n_rows, 5))))


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, [1 / 3] * 3), ([1, 1, 2], [0.25, 0.25, 0.5]), ([0, 0, 5], [0, 0, 1])],
)
def test_teacher_weights_are_scaled_to_sum_to_one(given, expected):
    np.testing.assert_allclose(check_teacher_weights(given, 3), expected)


def test_frame_of_known_columns_needs_no_other_check(frame):
    class Model:
        feature_names_in_ = np.array(["a", "b"], dtype=object)

    assert has_known_columns(Model(), frame({"a": [1], "b": ["x"]}))
    for other in ({"b": [1], "a": [1]}, {"a": [1]}, {"a": [], "b": []}):
        assert not has_known_columns(Model(), frame(other))
    assert not has_known_columns(Model(), np.ones((1, 2)))
    assert not has_known_columns(object(), frame({"a": [1], "b": [2]}))
