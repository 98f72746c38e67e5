"""DistilledClassifier among scikit-learn's tools, and what it says of bad input."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_moons
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_validate,
    learning_curve,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import get_tags
from skorch import NeuralNetBinaryClassifier, NeuralNetRegressor
from torch import nn

from skdistill import DistilledClassifier, TorchTeacher, make_student, soft_labels
from tests.conftest import TinyModule, tiny_net

NAMES = np.array(["ash", "birch", "cedar"])


def distilled(teacher=None, student=None, **params):
    """Return an unfitted classifier, by default with a small and quick student."""
    student = tiny_net() if student is None else student
    return DistilledClassifier(teacher, student, **{"random_state": 0} | params)


def small_student():
    return make_student(hidden_layer_sizes=(8,), max_epochs=5, batch_size=32, lr=0.03)


@pytest.fixture(scope="module")
def named_forest(data):
    """Return a forest that was fitted on names of the classes."""
    X, y = data
    return RandomForestClassifier(10, min_samples_leaf=3, random_state=0).fit(
        X, NAMES[y]
    )


class Oracle:
    """A teacher without ``fit``, as a wrapper of some other library may be."""

    classes_ = np.array([0, 1, 2])

    def __init__(self, forest):
        self.forest = forest

    def predict_proba(self, X):
        return self.forest.predict_proba(X)


def lightgbm(X, y):
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(X, y)


def xgboost(X, y):
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=5, n_jobs=1).fit(X, y)


def torch_teacher(X, y):
    linear = LogisticRegression().fit(X, y)
    module = nn.Linear(X.shape[1], 3)
    module.weight.data = torch.tensor(linear.coef_, dtype=torch.float32)
    module.bias.data = torch.tensor(linear.intercept_, dtype=torch.float32)
    return TorchTeacher(module, classes=[0, 1, 2])


def forest_on(X, y):
    return RandomForestClassifier(10, min_samples_leaf=3, random_state=0).fit(X, y)


FITTED_TEACHERS = {
    "linear": lambda X, y: LogisticRegression().fit(X, y),
    "forest": forest_on,
    "pipeline": lambda X, y: make_pipeline(StandardScaler(), GaussianNB()).fit(X, y),
    "frozen": lambda X, y: FrozenEstimator(GaussianNB().fit(X, y)),
    "calibrated": lambda X, y: CalibratedClassifierCV(LinearSVC(), cv=2).fit(X, y),
    "search": lambda X, y: GridSearchCV(
        LogisticRegression(), {"C": [0.1, 1.0]}, cv=2
    ).fit(X, y),
    "lightgbm": lightgbm,
    "xgboost": xgboost,
    "net": lambda X, y: tiny_net(module=TinyModule(4, 3)).fit(X, y),
    "torch": torch_teacher,
    "no fit": lambda X, y: Oracle(forest_on(X, y)),
    "several": lambda X, y: [GaussianNB().fit(X, y), forest_on(X, y)],
    "distilled": lambda X, y: distilled(
        GaussianNB().fit(X, y), tiny_net(max_epochs=15)
    ).fit(X, y),
}


# Teachers


@pytest.mark.parametrize("make", FITTED_TEACHERS.values(), ids=FITTED_TEACHERS)
def test_the_student_learns_from_any_fitted_teacher(make, data):
    X, y = data[0].astype(np.float32), data[1]
    teacher = make(X, y)
    clf = distilled(teacher, alpha=1.0).fit(X, y)
    taught = soft_labels(teacher, X, y).argmax(axis=1)
    assert np.mean(clf.predict(X) == taught) > 0.85
    assert not hasattr(clf, "teacher_")
    assert clf.teacher is teacher
    assert clone(clf).teacher is teacher or isinstance(teacher, list)


@pytest.mark.parametrize(
    "teacher",
    [
        GaussianNB(),
        make_pipeline(StandardScaler(), GaussianNB()),
        CalibratedClassifierCV(GaussianNB(), cv=2),
        GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=2),
        [GaussianNB(), LogisticRegression()],
        distilled(GaussianNB()),
    ],
    ids=["model", "pipeline", "calibrated", "search", "several", "distilled"],
)
def test_an_unfitted_teacher_is_fitted_inside_and_stays_unfitted(teacher, data):
    X, y = data
    before = joblib.hash(teacher)
    clf = distilled(teacher, alpha=1.0).fit(X, y)
    assert joblib.hash(teacher) == before
    taught = soft_labels(clf.teacher_, X, y).argmax(axis=1)
    assert np.mean(clf.predict(X) == taught) > 0.85


def test_an_unfitted_teacher_sees_the_training_rows_of_a_fold_alone(data):
    X, y = data
    clf = distilled(KNeighborsClassifier(10))
    folds = cross_validate(clf, X, y, cv=KFold(3), return_estimator=True)
    for (train, _), fitted in zip(KFold(3).split(X), folds["estimator"], strict=True):
        assert_array_equal(fitted.teacher_._fit_X, X[train])


def test_the_teacher_gets_the_rows_as_they_came(data):
    X, y = data
    seen = []

    class Spy(Oracle):
        def predict_proba(self, X):
            seen.append(X)
            return self.forest.predict_proba(X)

    student = make_pipeline(StandardScaler(), tiny_net())
    distilled(Spy(forest_on(X, y)), student).fit(X, y)
    assert_array_equal(seen[0], X)


def test_probabilities_of_several_teachers_are_averaged_by_weight(data, forest):
    X, y = data
    other = GaussianNB().fit(X, y)
    together = distilled([forest, other], teacher_weights=[3, 1]).fit(X, y)
    mean = 0.75 * forest.predict_proba(X) + 0.25 * other.predict_proba(X)
    apart = distilled().fit(X, y, teacher_proba=mean)
    assert_allclose(together.predict_proba(X), apart.predict_proba(X), atol=1e-5)


def test_clones_treat_a_list_of_teachers_element_by_element(data, forest):
    X, y = data
    unfitted = GaussianNB()
    clf = distilled([forest, unfitted]).fit(X, y)
    copy = clone(clf)
    assert copy.teacher[0] is forest
    assert copy.teacher[1] is not unfitted
    assert not hasattr(unfitted, "classes_")
    assert clf.teacher_[0] is forest
    assert_array_equal(clf.teacher_[1].classes_, [0, 1, 2])


@pytest.mark.parametrize(
    "wrap",
    [
        clone,
        lambda clf: clone(Pipeline([("clf", clf)]))["clf"],
        lambda clf: clone(GridSearchCV(clf, {"alpha": [0.5]})).estimator,
    ],
    ids=["alone", "pipeline", "search"],
)
def test_clones_share_a_fitted_teacher(wrap, forest):
    assert wrap(distilled(forest)).teacher is forest


def test_precomputed_soft_labels_are_as_good_as_their_teacher(data, forest):
    X, y = data
    asked = distilled(forest).fit(X, y)
    told = distilled().fit(X, y, teacher_proba=soft_labels(forest, X, y))
    assert_array_equal(asked.predict_proba(X), told.predict_proba(X))


@pytest.mark.parametrize(
    "wrap",
    [pd.DataFrame, pl.DataFrame, np.ndarray.tolist, lambda P: P.astype(object)],
    ids=["pandas", "polars", "list", "object"],
)
def test_teacher_proba_may_be_any_table_of_numbers(wrap, data, forest):
    X, y = data
    proba = forest.predict_proba(X)
    assert_array_equal(
        distilled().fit(X, y, teacher_proba=wrap(proba)).predict_proba(X),
        distilled().fit(X, y, teacher_proba=proba).predict_proba(X),
    )


def test_columns_of_teacher_proba_follow_classes(data, forest):
    X, y = data
    order = [2, 0, 1]
    told = distilled(classes=order).fit(
        X, y, teacher_proba=forest.predict_proba(X)[:, order]
    )
    assert_array_equal(told.classes_, [0, 1, 2])
    assert_array_equal(
        told.predict_proba(X), distilled(forest).fit(X, y).predict_proba(X)
    )


@pytest.mark.parametrize(
    "hide", [lambda f: f, FrozenEstimator], ids=["fitted", "frozen"]
)
def test_parameters_of_a_fitted_teacher_are_hidden(hide, forest):
    clf = distilled(hide(forest))
    assert not [name for name in clf.get_params() if name.startswith("teacher__")]
    assert clf.get_params()["student__lr"] == 0.1
    with pytest.raises(ValueError, match="Pass an unfitted teacher"):
        clf.set_params(teacher__n_estimators=3)


def test_parameters_of_an_unfitted_teacher_can_be_set():
    clf = distilled(RandomForestClassifier())
    clf.set_params(teacher__n_estimators=3)
    assert clf.teacher.n_estimators == 3
    assert clf.get_params()["teacher__n_estimators"] == 3


def test_a_fitted_teacher_may_be_replaced_and_set_up_at_once(forest):
    clf = distilled(forest)
    clf.set_params(teacher=RandomForestClassifier(), teacher__n_estimators=3)
    assert clf.teacher.n_estimators == 3
    assert forest.n_estimators == 10


def test_parameters_of_the_default_student_need_make_student():
    with pytest.raises(ValueError, match=r"pass student=make_student\(\)"):
        DistilledClassifier().set_params(student__net__lr=0.1)
    clf = DistilledClassifier().set_params(
        student=make_student(), student__net__lr=0.125
    )
    assert clf.student["net"].lr == 0.125


def test_assistants_can_be_chained(data, forest):
    X, y = data
    assistant = distilled(forest, alpha=1.0)
    chained = distilled(assistant, alpha=1.0).fit(X, y)
    assert chained.teacher_.teacher is forest
    assert np.mean(chained.predict(X) == chained.teacher_.predict(X)) > 0.9


@pytest.mark.parametrize(
    ("teacher", "error", "message"),
    [
        (lambda X, y: None, ValueError, "there is no teacher.*teacher_proba="),
        (lambda X, y: GaussianNB, TypeError, "GaussianNB; pass an instance"),
        (lambda X, y: LinearSVC(), TypeError, "CalibratedClassifierCV"),
        (lambda X, y: LinearSVC().fit(X, y), TypeError, "CalibratedClassifierCV"),
        (lambda X, y: LinearRegression(), TypeError, "is a regressor"),
        (lambda X, y: nn.Linear(4, 3), TypeError, r"TorchTeacher\(module, classes="),
        (lambda X, y: [], ValueError, "list of teachers is empty"),
        (lambda X, y: [GaussianNB(), None], TypeError, "classifier, got None"),
        (lambda X, y: forest_on(X[:, :2], y), ValueError, "student's into student="),
        (lambda X, y: forest_on(X, y + 1), ValueError, "may be codes.*classes="),
        (
            lambda X, y: forest_on(X, np.c_[y, y]),
            ValueError,
            "a teacher of one label per row",
        ),
        (
            lambda X, y: forest_on(X, np.c_[y, y % 2]),
            ValueError,
            "a teacher of one label per row",
        ),
        (
            lambda X, y: KNeighborsClassifier().fit(X, np.eye(3, dtype=int)[y]),
            ValueError,
            "a teacher of one label per row",
        ),
    ],
    ids=[
        "none",
        "class",
        "unfitted without probabilities",
        "fitted without probabilities",
        "regressor",
        "module",
        "empty list",
        "none in list",
        "other features",
        "codes or labels",
        "multi-output",
        "multi-output of several widths",
        "multilabel",
    ],
)
def test_what_cannot_teach_is_refused_with_a_way_out(teacher, error, message, data):
    X, y = data
    with pytest.raises(error, match=message):
        distilled(teacher(X, y)).fit(X, y)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda P: np.where(P > 0.9, np.nan, P), "contains NaN or infinity"),
        (lambda P: P * 2, "must sum to 1.*softmax"),
        (lambda P: np.log(P + 1e-3), "negative values"),
        (lambda P: P[:-1], "a row per sample"),
        (lambda P: P[:, :2], "say with classes="),
        (lambda P: P[:, 0], "say with classes="),
        (lambda P: np.full(P.shape, "high"), "could not convert string"),
    ],
    ids=["nan", "sums", "logits", "rows", "columns", "one column", "strings"],
)
def test_teacher_proba_that_is_none_is_refused(spoil, message, data, forest):
    X, y = data
    with pytest.raises(ValueError, match=message):
        distilled().fit(X, y, teacher_proba=spoil(forest.predict_proba(X)))


def test_teacher_proba_beside_a_teacher_is_refused(data, forest):
    X, y = data
    with pytest.raises(ValueError, match="either a teacher or teacher_proba, not both"):
        distilled(forest).fit(X, y, teacher_proba=forest.predict_proba(X))


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [-1, 2], [0, 0], [1, np.nan]])
def test_weights_that_average_nothing_are_refused(weights, data, forest):
    with pytest.raises(ValueError, match="teacher_weights"):
        distilled([forest, forest], teacher_weights=weights).fit(*data)


def notes_of(error):
    return " ".join(error.value.__notes__)


@pytest.mark.parametrize("fitted", [False, True])
def test_an_error_of_a_teacher_says_whose_it_is(fitted, data):
    X, y = pd.DataFrame({"a": ["u", "v", "w"] * 30}), data[1]
    teacher = RandomForestClassifier(2)
    if fitted:
        teacher.fit(pd.DataFrame({"a": np.zeros(90)}), y)
    with pytest.raises(ValueError, match="could not convert string") as error:
        DistilledClassifier(teacher).fit(X, y)
    assert "teacher RandomForestClassifier" in notes_of(error)
    assert "one pipeline with it" in notes_of(error)


@pytest.mark.parametrize(
    "student", [tiny_net(), make_pipeline(StandardScaler(), tiny_net())]
)
def test_an_error_of_a_student_says_whose_it_is(student, data):
    X, y = pd.DataFrame({"a": ["u", "v", "w"] * 30}), data[1]
    teacher = make_pipeline(OneHotEncoder(), LogisticRegression())
    y = X["a"]
    with pytest.raises(ValueError, match="could not convert string") as error:
        distilled(teacher, student).fit(X, y)
    assert "the student" in notes_of(error)
    assert "make_student()" in notes_of(error)


def test_an_error_of_a_net_says_what_it_was_given(data, forest):
    net = tiny_net(module__n_features=7)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as error:
        distilled(forest, net).fit(*data)
    assert "the student's net on X of shape (90, 4)" in notes_of(error)


def test_partial_fit_says_why_there_is_none(data, forest):
    with pytest.raises(AttributeError) as error:
        _ = distilled(GaussianNB()).partial_fit
    assert "needs a teacher that is fitted" in str(error.value.__cause__)
    loaded = pickle.loads(pickle.dumps(distilled(forest).fit(*data)))
    with pytest.raises(ValueError, match=r"clone\(loaded\).set_params\(teacher="):
        loaded.partial_fit(*data)


@pytest.mark.parametrize("name", ["temperature", "alpha"])
def test_parameters_of_a_number_need_a_schedule(name):
    with pytest.raises(ValueError, match=r"schedules.LinearSchedule\(start, stop\)"):
        DistilledClassifier().set_params(**{f"{name}__stop": 0.5})


def test_features_cannot_be_asked_of_teacher_proba(data, forest):
    X, y = data
    clf = distilled(relation_loss="rkd", teacher_features=lambda teacher, X: X)
    with pytest.raises(ValueError, match="teacher_proba alone: pass teacher="):
        clf.fit(X, y, teacher_proba=forest.predict_proba(X))


def test_a_teacher_at_chance_level_is_warned_of(data):
    X, y = data
    teacher = make_pipeline(StandardScaler(), GaussianNB()).fit(X, y)
    with pytest.warns(UserWarning, match="chance level.*prepared in another way"):
        distilled(teacher[-1]).fit(X + 20, y)


@pytest.mark.parametrize("labels", [NAMES, np.array([7, 8, 9])], ids=["str", "int"])
def test_labels_that_share_no_class_with_the_teacher_are_refused(labels, data, forest):
    X, y = data
    with pytest.raises(ValueError, match=r"share no class.*classes="):
        distilled(forest).fit(X, labels[y])


def test_soft_labels_that_say_nothing_beyond_y_are_warned_of(data):
    X, y = data
    with pytest.warns(UserWarning, match="one-hot and equal to y.*out_of_fold"):
        distilled(KNeighborsClassifier(1).fit(X, y)).fit(X, y)


def test_changing_the_list_of_teachers_in_place_is_noticed(data, forest):
    X, y = data
    teachers = [forest]
    clf = distilled(teachers, alpha=1.0).fit(X, y)
    before = clf.predict_proba(X)
    teachers[0] = GaussianNB().fit(X, y)
    assert not np.array_equal(clf.fit(X, y).predict_proba(X), before)


# Classes


@pytest.mark.parametrize(
    "labels",
    [
        NAMES,
        NAMES.astype(object),
        np.array([0, 1, 2]),
        np.array([-5, 7, 100]),
        np.array([0.0, 1.0, 2.0]),
    ],
    ids=["str", "object", "int", "gaps", "float"],
)
@pytest.mark.parametrize("fitted", [True, False])
def test_labels_of_any_kind_come_back_as_they_were(labels, fitted, data):
    X, y = data[0], labels[data[1]]
    teacher = LogisticRegression()
    clf = distilled(teacher.fit(X, y) if fitted else teacher).fit(X, y)
    assert_array_equal(clf.classes_, np.unique(labels))
    predicted = clf.predict(X)
    assert predicted.dtype == labels.dtype
    assert np.mean(predicted == y) > 0.7
    assert clf.score(X, y) == np.mean(predicted == y)
    assert_array_equal(clf.classes_[clf.predict_proba(X).argmax(axis=1)], predicted)


def test_bool_labels_come_back_as_bool(data):
    X, y = data[0], data[1] > 0
    clf = distilled(GaussianNB().fit(X, y)).fit(X, y)
    assert clf.predict(X).dtype == bool
    assert clf.score(X, y) > 0.7


def test_a_class_that_y_lacks_keeps_its_column_and_is_learned(data, forest):
    X, y = data
    clf = distilled(forest, alpha=1.0)
    clf.fit(X, np.where(y == 2, 0, y))
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert np.mean(clf.predict(X)[y == 2] == 2) > 0.7


def test_a_class_that_a_fold_lacks_keeps_its_column(data, forest):
    X, y = data
    by_class = np.argsort(y, kind="stable")
    folds = cross_validate(
        distilled(forest), X[by_class], y[by_class], cv=KFold(3), return_estimator=True
    )
    for fitted in folds["estimator"]:
        assert fitted.predict_proba(X).shape == (90, 3)


def test_classes_of_an_unfitted_teacher_can_be_told_beforehand(data):
    X, y = data[0][data[1] < 2], data[1][data[1] < 2]
    clf = distilled(GaussianNB(), classes=[0, 1, 2]).fit(X, y)
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert_array_equal(clf.teacher_.classes_, [0, 1])


def test_rows_of_a_class_that_the_teacher_lacks_teach_by_their_labels(data):
    X, y = data
    teacher = GaussianNB().fit(X[y < 2], y[y < 2])
    clf = distilled(teacher, tiny_net(max_epochs=30)).fit(X, y)
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert np.mean(clf.predict(X)[y == 2] == 2) > 0.7


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: pd.Series(y, index=range(90, 0, -1), dtype=object),
        lambda y: pd.Series(y, index=range(90, 0, -1)),
        lambda y: pd.Series(y, index=range(90, 0, -1)).astype("category"),
        pl.Series,
        list,
    ],
    ids=["object", "string", "category", "polars", "list"],
)
def test_labels_may_be_a_series(wrap, data):
    X, y = data[0], NAMES[data[1]]
    clf = distilled(LogisticRegression()).fit(X, wrap(y))
    plain = distilled(LogisticRegression()).fit(X, y)
    assert_array_equal(clf.classes_, NAMES)
    assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    assert clf.score(X, wrap(y)) == plain.score(X, y)


def test_columns_of_a_teacher_are_brought_into_order(data):
    X, y = data
    linear = LogisticRegression().fit(X, y)
    teacher = TorchTeacher(
        lambda X: linear.decision_function(X)[:, [2, 0, 1]], classes=NAMES[[2, 0, 1]]
    )
    clf = distilled(teacher).fit(X, NAMES[y])
    assert_array_equal(clf.classes_, NAMES)
    plain = distilled(linear).fit(X, y)
    assert_allclose(clf.predict_proba(X), plain.predict_proba(X), atol=0.02)


def test_codes_stand_for_the_teachers_classes_by_position(data, named_forest):
    X, y = data
    clf = distilled(named_forest, alpha=1.0).fit(X, y)
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert np.mean(NAMES[clf.predict(X)] == named_forest.predict(X)) > 0.85


def test_classes_tell_codes_and_labels_apart(data):
    X, y = data
    teacher = forest_on(X, y + 1)
    clf = distilled(teacher, classes=[0, 1, 2], alpha=1.0)
    clf.fit(X, y)
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert np.mean(clf.predict(X) + 1 == teacher.predict(X)) > 0.85


# Probabilities


def test_probabilities_are_float64_and_agree_with_the_rest(data, forest):
    X, y = data
    clf = distilled(forest).fit(X, y)
    proba = clf.predict_proba(X)
    assert proba.dtype == np.float64
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    assert_allclose(clf.predict_log_proba(X), np.log(proba), rtol=1e-9)
    assert_array_equal(clf.predict(X), clf.classes_[proba.argmax(axis=1)])
    assert clf.score(X, y) == np.mean(clf.predict(X) == y)


def test_log_probabilities_stay_finite_where_probabilities_are_zero(data, forest):
    X, y = data
    clf = distilled(forest).fit(X, y)
    far = 1e4 * X
    assert (clf.predict_proba(far) == 0).any()
    assert np.isfinite(clf.predict_log_proba(far)).all()


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_a_student_that_can_fit_reproduces_its_teacher(temperature):
    X = np.repeat(np.eye(5), 4, axis=0)
    taught = np.repeat(np.random.RandomState(0).dirichlet([1, 1, 1], size=5), 4, axis=0)
    student = tiny_net(
        module=nn.Linear(5, 3),
        optimizer=torch.optim.LBFGS,
        lr=1.0,
        batch_size=-1,
        max_epochs=20,
    )
    clf = distilled(
        student=student, alpha=1.0, temperature=temperature, classes=[0, 1, 2]
    )
    clf.fit(X, teacher_proba=taught)
    assert_allclose(clf.predict_proba(X), taught, atol=1e-4)


def test_a_distilled_student_agrees_more_with_its_teacher_than_one_of_labels():
    X, y = make_moons(400, noise=0.2, random_state=0)
    noisy = np.where(np.random.RandomState(0).uniform(size=400) < 0.3, 1 - y, y)
    teacher = RandomForestClassifier(50, min_samples_leaf=10, random_state=0)
    teacher.fit(X[:200], noisy[:200])

    def agreement(alpha, seed):
        student = tiny_net(module__n_hidden=64, max_epochs=100)
        clf = distilled(teacher, student, alpha=alpha, random_state=seed)
        clf.fit(X[:100], noisy[:100])
        return np.mean(clf.predict(X[200:]) == teacher.predict(X[200:]))

    gains = [agreement(1.0, seed) - agreement(0.0, seed) for seed in range(3)]
    assert min(gains) > 0.05


def test_repr_and_diagram_show_teacher_and_student(data, forest):
    for clf in (distilled(forest), distilled(forest).fit(*data)):
        for shown in (repr(clf), clf._repr_html_()):
            assert "RandomForestClassifier" in shown
            assert "NeuralNetClassifier" in shown


# What fit leaves as it was


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
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
def test_fit_changes_nothing_that_it_was_given(method, student, data, forest):
    X, y = data[0].astype(np.float32), data[1]
    weight = np.ones(len(y))
    given = (X, y, weight, forest, student)
    before = joblib.hash(given)
    clf = distilled(forest, student)
    getattr(clf, method)(X, y, sample_weight=weight)
    clf.predict_proba(X)
    assert joblib.hash(given) == before
    assert clf.student is student
    assert clf.student_ is not student


def test_teacher_proba_is_left_as_it_was(data, forest):
    X, y = data
    proba = forest.predict_proba(X).astype(np.float32)
    before = proba.copy()
    distilled().fit(X, y, teacher_proba=proba)
    assert_array_equal(proba, before)


def test_a_teacher_module_that_works_in_place_leaves_the_rows_alone(data):
    X, y = data[0].astype(np.float32), data[1]
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 3))
    before = X.copy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the teacher's balanced accuracy")
        distilled(TorchTeacher(module, classes=[0, 1, 2])).fit(X, y)
    assert_array_equal(X, before)


def test_refitting_forgets_the_first_fit(data, forest):
    X, y = data
    clf = distilled(GaussianNB()).fit(X[:, :2], y)
    clf.set_params(teacher=forest).fit(X, y)
    assert not hasattr(clf, "teacher_")
    assert clf.n_features_in_ == 4
    fresh = distilled(forest).fit(X, y)
    assert_array_equal(clf.predict_proba(X), fresh.predict_proba(X))


def test_a_random_state_instance_moves_on_from_fit_to_fit(data, forest):
    X, y = data
    clf = distilled(forest, random_state=np.random.RandomState(0))
    first = clf.fit(X, y).predict_proba(X)
    assert not np.array_equal(clf.fit(X, y).predict_proba(X), first)
    again = distilled(forest, random_state=np.random.RandomState(0)).fit(X, y)
    assert_array_equal(again.predict_proba(X), first)


# Among scikit-learn's tools


def test_it_is_a_step_of_a_pipeline(data):
    X, y = data
    model = make_pipeline(StandardScaler(), distilled(GaussianNB()))
    model.set_params(distilledclassifier__alpha=0.25)
    model.fit(X, y)
    assert model[-1].alpha == 0.25
    assert model.score(X, y) > 0.6
    assert_array_equal(model.classes_, [0, 1, 2])


GRID = {
    "temperature": [1.0, 4.0],
    "alpha": [0.0, 1.0],
    "student__net__lr": [0.003, 0.03],
    "student__net__module__hidden_layer_sizes": [(4,), (8, 4)],
}


def assert_used(search, X):
    """Check that the parameters that were found are those of the fitted student."""
    best, found = search.best_estimator_, search.best_params_
    assert (best.temperature, best.alpha) == (found["temperature"], found["alpha"])
    net = best.student_["net"]
    assert net.lr == found["student__net__lr"]
    widths = [len(p) for p in net.module_.parameters() if p.ndim == 2]
    assert widths == [*found["student__net__module__hidden_layer_sizes"], 3]
    assert search.predict(X).shape == (len(X),)


@pytest.mark.parametrize(
    ("search", "options", "n_candidates"),
    [
        (GridSearchCV, {}, 16),
        (RandomizedSearchCV, {"n_iter": 3, "random_state": 0}, 3),
        (HalvingGridSearchCV, {"min_resources": 30, "random_state": 0}, 16 + 6),
    ],
)
def test_searches_reach_the_loss_and_the_student(
    search, options, n_candidates, data, forest
):
    X, y = data
    student = make_student(max_epochs=1, batch_size=64)
    found = search(
        distilled(forest, student), GRID, cv=2, error_score="raise", **options
    ).fit(X, y)
    assert len(found.cv_results_["params"]) == n_candidates
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    assert_used(found, X)
    assert found.best_estimator_.teacher is forest


def test_a_search_reaches_a_bare_net(data, forest):
    X, y = data
    grid = {"student__lr": [1e-6, 0.1], "student__module__n_hidden": [4, 8]}
    search = GridSearchCV(distilled(forest), grid, cv=2).fit(X, y)
    assert search.best_params_["student__lr"] == 0.1
    best = search.best_estimator_.student_
    assert best.lr == 0.1
    assert (
        best.module_[0].out_features == search.best_params_["student__module__n_hidden"]
    )


def test_a_search_in_two_processes_finds_what_one_finds(data, forest):
    X, y = data
    grid = {"temperature": [1.0, 4.0], "alpha": [0.0, 1.0]}
    clf = distilled(forest, small_student())
    one, two = (
        GridSearchCV(clf, grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(X, y)
        for n_jobs in (1, 2)
    )
    assert_array_equal(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"]
    )
    assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    assert two.best_estimator_.teacher is forest


def test_a_search_scores_by_several_metrics(data, forest):
    X, y = data
    search = GridSearchCV(
        distilled(forest),
        {"alpha": [0.0, 0.5, 1.0]},
        scoring=["accuracy", "neg_log_loss", "roc_auc_ovr"],
        refit="neg_log_loss",
        cv=3,
        error_score="raise",
    ).fit(X, y)
    losses = search.cv_results_["mean_test_neg_log_loss"]
    assert search.best_index_ == losses.argmax()
    assert (search.cv_results_["mean_test_roc_auc_ovr"] > 0.6).all()
    assert search.score(X, y) < 0


class Counting(Oracle):
    asked = []

    def predict_proba(self, X):
        self.asked.append(len(X))
        return super().predict_proba(X)


def test_a_search_asks_its_teacher_once_per_training_set(data, forest, monkeypatch):
    X, y = data
    monkeypatch.setattr(Counting, "asked", [])
    grid = {"temperature": [1.0, 2.0], "alpha": [0.0, 1.0]}
    GridSearchCV(distilled(Counting(forest)), grid, cv=3).fit(X, y)
    assert Counting.asked == [60, 60, 60, 90]


def test_cross_validate_takes_several_scorers(data, forest):
    X, y = data
    scoring = ["accuracy", "balanced_accuracy", "neg_log_loss", "roc_auc_ovo"]
    scores = cross_validate(distilled(forest), X, y, cv=3, scoring=scoring)
    chance = {"neg_log_loss": -np.log(3), "roc_auc_ovo": 0.5}
    for name in scoring:
        assert (scores[f"test_{name}"] > chance.get(name, 1 / 3)).all()


def meta_estimators():
    return {
        "calibrated": lambda t: CalibratedClassifierCV(distilled(t), cv=2),
        "calibrated on all": lambda t: CalibratedClassifierCV(
            distilled(t), cv=2, ensemble=False
        ),
        "stack": lambda t: StackingClassifier(
            [("student", distilled(t)), ("bayes", GaussianNB())], cv=2
        ),
        "vote": lambda t: VotingClassifier(
            [("student", distilled(t)), ("bayes", GaussianNB())], voting="soft"
        ),
        "bag": lambda t: BaggingClassifier(
            distilled(t), n_estimators=3, random_state=0
        ),
    }


@pytest.mark.parametrize("names", [True, False], ids=["names", "codes"])
@pytest.mark.parametrize("fitted", [True, False], ids=["fitted", "unfitted"])
@pytest.mark.parametrize("meta", meta_estimators().values(), ids=meta_estimators())
def test_meta_estimators_around_it_predict_the_labels(
    meta, fitted, names, data, forest, named_forest
):
    X, y = data[0], NAMES[data[1]] if names else data[1]
    teacher = GaussianNB()
    if fitted:
        teacher = named_forest if names else forest
    before = joblib.hash(teacher)
    model = meta(teacher).fit(X, y)
    assert_array_equal(model.classes_, np.unique(y))
    assert model.score(X, y) > 0.7
    assert model.predict_proba(X).shape == (90, 3)
    # Bagging and others set every random_state that they find.
    assert joblib.hash(teacher) == before


def test_bagged_students_share_one_fitted_teacher(data, forest):
    bag = BaggingClassifier(distilled(forest), n_estimators=3, random_state=0)
    members = bag.fit(*data).estimators_
    assert all(member.teacher is forest for member in members)
    assert len({member.random_state for member in members}) == 3


@pytest.mark.parametrize("labels", [np.array([1, 2, 3]), np.array([0, 1, 3])])
def test_codes_that_may_be_labels_are_refused_with_a_way_out(labels, data):
    X, y = data[0], labels[data[1]]
    clf = distilled(GaussianNB().fit(X, y))
    with pytest.raises(ValueError, match=r"VotingClassifier makes them.*classes="):
        VotingClassifier([("student", clf)]).fit(X, y)
    clf.set_params(classes=[0, 1, 2])
    assert VotingClassifier([("student", clf)]).fit(X, y).score(X, y) > 0.7


@pytest.mark.parametrize("unfitted", [True, False], ids=["teacher", "proba"])
def test_classes_in_words_stand_for_codes_by_position_too(unfitted, data, forest):
    X, y = data
    if unfitted:
        clf = distilled(GaussianNB(), classes=NAMES).fit(X, y)
    else:
        clf = distilled(classes=NAMES)
        clf.fit(X, y, teacher_proba=forest.predict_proba(X))
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert clf.score(X, y) > 0.7


def test_a_search_over_teachers_keeps_a_frozen_one(data, forest):
    X, y = data
    grid = {"teacher": [FrozenEstimator(forest)], "student": [tiny_net()]}
    search = GridSearchCV(distilled(), grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_estimator_.teacher.estimator is forest


def test_a_search_reaches_an_unfitted_teacher(data):
    X, y = data
    grid = {"teacher__C": [1e-3, 1.0]}  # the first teacher is sure of nothing
    clf = distilled(LogisticRegression(), alpha=1.0)
    search = GridSearchCV(clf, grid, cv=3, scoring="neg_log_loss").fit(X, y)
    assert search.best_params_ == {"teacher__C": 1.0}
    assert search.best_estimator_.teacher_.C == 1.0


def test_a_fitted_student_can_be_calibrated(data, forest):
    X, y = data
    clf = distilled(forest).fit(X, y)
    model = CalibratedClassifierCV(FrozenEstimator(clf), cv=2).fit(X, y)
    assert model.score(X, y) > 0.6
    assert_array_equal(model.classes_, clf.classes_)


def test_permutation_importance_finds_the_column_that_counts(forest, data):
    X = np.random.RandomState(0).normal(size=(90, 2))
    y = (X[:, 1] > 0).astype(int)
    teacher = LogisticRegression().fit(X, y)
    clf = distilled(teacher).fit(X, y)
    result = permutation_importance(clf, X, y, n_repeats=3, random_state=0)
    assert result.importances_mean[1] > 0.2 > result.importances_mean[0]


def test_learning_curve_grows_with_the_rows(data, forest):
    X, y = data
    sizes, _, test = learning_curve(
        distilled(forest),
        X,
        y,
        train_sizes=[5, 60],
        cv=3,
        shuffle=True,
        random_state=0,
        error_score="raise",
    )
    assert_array_equal(sizes, [5, 60])
    assert test[1].mean() > test[0].mean()


# Metadata


def permuted(proba):
    """Return soft labels that tell another story than y does."""
    return proba[:, [1, 2, 0]]


@pytest.fixture(params=[False, True], ids=["routing off", "routing on"])
def routing(request):
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


def requesting(clf, routing):
    if not routing:
        return clf
    clf.set_fit_request(sample_weight=True, teacher_proba=True)
    return clf.set_score_request(sample_weight=True)


# The soft labels here are meant to differ from y.
@pytest.mark.filterwarnings("ignore:the teacher's balanced accuracy")
@pytest.mark.parametrize("search", [False, True], ids=["pipeline", "search"])
def test_teacher_proba_reaches_the_student(search, routing, data, forest):
    X, y = data
    taught = permuted(forest.predict_proba(X))
    clf = requesting(distilled(alpha=1.0), routing)
    model = Pipeline([("clf", clf)])
    name = "teacher_proba" if routing else "clf__teacher_proba"
    if search:
        model = GridSearchCV(
            model, {"clf__temperature": [1.0, 2.0]}, cv=3, error_score="raise"
        )
    model.fit(X, y, **{name: taught})
    assert np.mean(model.predict(X) == taught.argmax(axis=1)) > 0.8
    if search:
        # Each fold learned from its own rows of the soft labels, not from y.
        assert (model.cv_results_["mean_test_score"] < 0.2).all()


@pytest.mark.parametrize("search", [False, True], ids=["pipeline", "search"])
def test_sample_weight_reaches_student_and_teacher(search, routing, data):
    X, y = data
    clf = requesting(distilled(GaussianNB()), routing)
    scorer = get_scorer("accuracy")
    if routing:
        scorer.set_score_request(sample_weight=False)
    model = Pipeline([("clf", clf)])
    name = "sample_weight" if routing else "clf__sample_weight"
    if search:
        model = GridSearchCV(
            model,
            {"clf__temperature": [1.0, 2.0]},
            scoring=scorer,
            cv=3,
            error_score="raise",
        )
    model.fit(X, y, **{name: np.where(y == 0, 1e-6, 1.0)})
    best = model.best_estimator_ if search else model
    assert not (model.predict(X) == 0).any()
    assert best["clf"].teacher_.class_prior_[0] < 1e-5


def test_routing_refuses_what_was_not_requested(data, forest):
    X, y = data
    with sklearn.config_context(enable_metadata_routing=True):
        model = Pipeline([("clf", distilled())])
        with pytest.raises(ValueError, match="not explicitly set as requested"):
            model.fit(X, y, teacher_proba=forest.predict_proba(X))


@pytest.mark.parametrize("meta", ["bag", "vote"])
@pytest.mark.filterwarnings("ignore:the teacher's balanced accuracy")
def test_ensembles_pass_teacher_proba_on_row_by_row(meta, data, forest):
    X, y = data
    taught = permuted(forest.predict_proba(X))
    with sklearn.config_context(enable_metadata_routing=True):
        clf = distilled(alpha=1.0)
        clf.set_fit_request(teacher_proba=True, sample_weight=True)
        if meta == "bag":
            model = BaggingClassifier(clf, n_estimators=3, random_state=0)
        else:
            model = VotingClassifier([("clf", clf)])
        model.fit(X, y, teacher_proba=taught)
    assert np.mean(model.predict(X) == taught.argmax(axis=1)) > 0.8


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_weights_count_as_rows(alpha, data, forest):
    X, y = data
    plain = distilled(forest, alpha=alpha).fit(X, y).predict_proba(X)
    doubled = distilled(forest, alpha=alpha).fit(X, y, np.full(90, 2.0))
    assert_allclose(doubled.predict_proba(X), plain, atol=1e-6)
    weight = np.repeat([0.0, 1.0], [30, 60])
    part = distilled(forest, alpha=alpha).fit(X[30:], y[30:]).predict_proba(X)
    weighted = distilled(forest, alpha=alpha).fit(X, y, weight)
    assert_allclose(weighted.predict_proba(X), part, atol=1e-5)
    assert np.abs(part - plain).max() > 1e-2


# Data frames


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("student", [None, tiny_net()], ids=["default", "net"])
def test_set_output_upstream_hands_over_a_frame(output, student, data):
    X, y = data
    clf = DistilledClassifier(GaussianNB(), student, random_state=0)
    scaler = StandardScaler().set_output(transform=output)
    model = make_pipeline(scaler, clf).fit(pd.DataFrame(X, columns=list("abcd")), y)
    assert_array_equal(clf.feature_names_in_, list("abcd"))
    plain = make_pipeline(StandardScaler(), clone(clf)).fit(X, y)
    frame = pd.DataFrame(X, columns=list("abcd"))
    assert_allclose(model.predict_proba(frame), plain.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    "student", [small_student(), tiny_net()], ids=["default", "net"]
)
def test_the_global_output_setting_does_not_reach_the_net(student, data):
    X, y = data
    expected = distilled(GaussianNB(), student).fit(X, y).predict_proba(X)
    with sklearn.config_context(transform_output="pandas"):
        clf = distilled(GaussianNB(), student).fit(X, y)
        assert_array_equal(clf.predict_proba(X), expected)


def test_the_default_student_takes_strings_and_missing_values():
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(
        {
            "size": np.where(rng.uniform(size=80) < 0.2, np.nan, rng.normal(size=80)),
            "color": rng.choice(["red", "blue", None], size=80),
        }
    )
    y = np.where(frame["color"] == "red", "yes", "no")
    teacher = make_pipeline(
        sklearn.compose.make_column_transformer(
            (sklearn.preprocessing.OrdinalEncoder(), ["color"]), remainder="passthrough"
        ),
        HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5),
    )
    clf = DistilledClassifier(teacher, random_state=0).fit(frame, y)
    assert clf.score(frame, y) == 1.0
    assert_array_equal(
        clf.predict(pl.from_pandas(frame.iloc[:10])), clf.predict(frame.iloc[:10])
    )


@pytest.mark.parametrize("columns", ["dcba", "ab", "abcde"])
@pytest.mark.parametrize("student", [tiny_net(), small_student()], ids=["net", "table"])
def test_other_columns_at_prediction_are_refused(student, columns, data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcd"))
    clf = distilled(GaussianNB(), student).fit(frame, y)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(frame.assign(e=0.0)[list(columns)])


def test_a_teacher_of_named_columns_gets_them(data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcd"))
    teacher = GaussianNB().fit(frame, y)  # it would warn of columns without names
    clf = distilled(teacher).fit(frame, y)
    plain = distilled(GaussianNB().fit(X, y)).fit(X, y)
    assert_array_equal(clf.predict_proba(frame), plain.predict_proba(X))


def test_chunks_of_a_frame_may_hold_levels_that_the_first_lacks():
    first = pd.DataFrame({"color": ["red", "blue"] * 10, "size": np.arange(20.0)})
    later = first.assign(color=["green", None] * 10)
    proba = np.where(first[["color"]] == "red", [[0.1, 0.9]], [[0.9, 0.1]])
    clf = distilled(student=small_student(), classes=["no", "yes"], alpha=1.0)
    for _ in range(10):
        clf.partial_fit(first, teacher_proba=proba)
        clf.partial_fit(later, teacher_proba=np.full((20, 2), 0.5))
    assert_array_equal(clf.predict(first), ["yes", "no"] * 10)
    assert clf.predict_proba(later).max() < 0.8


# Without labels


def test_without_y_the_teacher_is_all_there_is_to_learn_from(data, forest):
    X, y = data
    with pytest.warns(UserWarning, match="alpha=0.5 is ignored. Set alpha=1") as seen:
        unlabeled = distilled(forest).fit(X)
    assert len(seen) == 1
    labeled = distilled(forest, alpha=1.0).fit(X, y)
    assert_array_equal(unlabeled.predict_proba(X), labeled.predict_proba(X))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_pure_distillation_without_y_is_silent(method, data, named_forest):
    X, _ = data
    clf = distilled(named_forest, alpha=1.0)
    assert_array_equal(getattr(clf, method)(X).classes_, NAMES)


def agreement(estimator, X, y=None):
    return np.mean(estimator.predict(X) == estimator.teacher.predict(X))


def test_a_search_needs_no_labels_where_its_scorer_needs_none(data, forest):
    X, _ = data
    clf = distilled(forest, alpha=1.0)
    search = GridSearchCV(clf, {"student__lr": [1e-6, 0.1]}, scoring=agreement, cv=3)
    search.fit(X)
    assert search.best_params_ == {"student__lr": 0.1}
    assert Pipeline([("clf", clf)]).fit(X).predict(X).shape == (90,)


def test_teacher_proba_without_y_needs_classes(data, forest):
    X, _ = data
    proba = forest.predict_proba(X)
    with pytest.raises(ValueError, match="pass classes="):
        distilled(alpha=1.0).fit(X, teacher_proba=proba)
    clf = distilled(alpha=1.0, classes=NAMES).fit(X, teacher_proba=proba)
    assert_array_equal(clf.classes_, NAMES)


@pytest.mark.parametrize("teacher", [GaussianNB(), [GaussianNB()]], ids=["one", "list"])
def test_an_unfitted_teacher_requires_y(teacher, data, forest):
    clf = distilled(teacher, alpha=1.0)
    assert sklearn.utils.get_tags(clf).target_tags.required
    assert not sklearn.utils.get_tags(distilled(forest)).target_tags.required
    with pytest.raises(ValueError, match="requires y to be passed"):
        clf.fit(data[0])


# partial_fit


def test_chunks_train_as_the_batches_of_fit_do(data, forest):
    X, y = data
    student = tiny_net(batch_size=30, max_epochs=4, iterator_train__shuffle=False)
    whole = distilled(forest, student).fit(X, y)
    chunked = distilled(forest, student)
    for _ in range(4):
        for start in range(0, 90, 30):
            rows = slice(start, start + 30)
            chunked.partial_fit(X[rows], y[rows])
    assert_array_equal(chunked.predict_proba(X), whole.predict_proba(X))
    assert len(chunked.history_) == 12


def test_the_first_partial_fit_is_a_fit_of_one_epoch(data, forest):
    X, y = data
    once = distilled(forest, tiny_net(max_epochs=1)).fit(X, y)
    chunk = distilled(forest).partial_fit(X, y)
    assert_array_equal(chunk.predict_proba(X), once.predict_proba(X))


def test_partial_fit_goes_on_after_fit(data, forest):
    X, y = data
    clf = distilled(forest).fit(X, y)
    first = clf.predict_proba(X)
    assert clf.partial_fit(X, y) is clf
    assert len(clf.history_) == 11
    assert not np.array_equal(clf.predict_proba(X), first)


def test_fit_after_partial_fit_starts_anew(data, forest):
    X, y = data
    clf = distilled(forest).partial_fit(X[:45], y[:45]).fit(X, y)
    assert_array_equal(
        clf.predict_proba(X), distilled(forest).fit(X, y).predict_proba(X)
    )


def test_preprocessing_is_fitted_on_the_first_chunk_alone(data, forest):
    X, y = data
    clf = distilled(forest, make_pipeline(StandardScaler(), tiny_net()))
    clf.partial_fit(X[:45], y[:45])
    mean = clf.student_[0].mean_.copy()
    assert_allclose(mean, X[:45].mean(axis=0))
    clf.partial_fit(X[45:], y[45:])
    assert_array_equal(clf.student_[0].mean_, mean)


def test_chunks_need_not_hold_all_classes_of_the_teacher(data, forest):
    X, y = data
    clf = distilled(forest)
    for _ in range(10):
        for label in (0, 1, 2):
            clf.partial_fit(X[y == label], y[y == label])
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert clf.score(X, y) > 0.5


@pytest.mark.parametrize("classes", ["argument", "parameter"])
def test_chunks_of_teacher_proba_learn_once_classes_are_told(classes, data, forest):
    X, y = data
    proba = forest.predict_proba(X)
    told = {"classes": NAMES}
    clf = distilled(student=tiny_net(batch_size=15))
    if classes == "parameter":
        clf.set_params(**told)
    first = y < 2
    clf.partial_fit(
        X[first],
        NAMES[y[first]],
        teacher_proba=proba[first],
        **(told if classes == "argument" else {}),
    )
    for _ in range(20):
        clf.partial_fit(X, NAMES[y], teacher_proba=proba)
    assert_array_equal(clf.classes_, NAMES)
    assert clf.score(X, NAMES[y]) > 0.7


def test_partial_fit_with_teacher_proba_needs_classes_at_first(data, forest):
    X, y = data
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        distilled().partial_fit(X, y, teacher_proba=forest.predict_proba(X))


def test_partial_fit_weighs_its_rows(data, forest):
    X, y = data
    clf = distilled(forest, alpha=0.0)
    for _ in range(20):
        clf.partial_fit(X, y, sample_weight=np.where(y == 0, 0.0, 1.0))
    assert not (clf.predict(X) == 0).any()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X, y: (X, y + 1), "told of all of them by classes="),
        (lambda X, y: (X[:, :2], y), "2 features"),
        (lambda X, y: (X[:5], y), "inconsistent numbers of samples"),
        (lambda X, y: (X[:0], y[:0]), "0 sample"),
        (lambda X, y: (np.where(X > 1, np.nan, X), y), "NaN"),
    ],
    ids=["label", "features", "lengths", "empty", "nan"],
)
def test_bad_later_chunks_are_refused_and_leave_the_student_alone(
    spoil, message, data, forest
):
    X, y = data
    clf = distilled(forest).partial_fit(X, y)
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        clf.partial_fit(*spoil(X, y))
    assert_array_equal(clf.predict_proba(X), before)


@pytest.mark.parametrize("teacher", [GaussianNB(), [GaussianNB()]], ids=["one", "list"])
def test_there_is_no_partial_fit_with_an_unfitted_teacher(teacher):
    assert not hasattr(distilled(teacher), "partial_fit")


def test_labels_that_no_chunk_may_hold_are_refused_at_first_too(data, forest):
    X, y = data
    clf = distilled(forest)
    clf.partial_fit(X, y, classes=[0, 1, 2, 3])
    assert_array_equal(clf.classes_, [0, 1, 2, 3])
    clf.partial_fit(X, np.where(y == 2, 3, y))
    assert clf.predict_proba(X).shape == (90, 4)


# Bad input


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda X: np.where(X > 1, np.nan, X), ValueError, "NaN"),
        (lambda X: np.where(X > 1, np.inf, X), ValueError, "infinity"),
        (lambda X: X[:0], ValueError, "0 sample"),
        (lambda X: X[:, :0], ValueError, r"0 feature(\(s\)|s)"),
        (lambda X: X[:, 0], ValueError, "[Rr]eshape your data"),
        (lambda X: X + 1j, ValueError, "[Cc]omplex"),
        (
            lambda X: np.full(X.shape, "x", dtype=object),
            ValueError,
            "could not convert|numeric",
        ),
    ],
    ids=[
        "nan",
        "inf",
        "no rows",
        "no columns",
        "1d",
        "complex",
        "strings",
    ],
)
@pytest.mark.parametrize("when", ["fit", "predict"])
@pytest.mark.parametrize("student", [tiny_net(), small_student()], ids=["net", "table"])
def test_rows_that_no_net_can_take_are_refused(
    student, when, spoil, error, message, data
):
    X, y = data
    clf = distilled(LogisticRegression(), student)
    if when == "predict":
        with pytest.raises(error, match=message):
            clf.fit(X, y).predict(spoil(X))
    else:
        bad = spoil(X)
        with pytest.raises(error, match=message):
            clf.fit(bad, y[: len(bad)])


@pytest.mark.parametrize("when", ["fit", "predict"])
@pytest.mark.parametrize("student", [tiny_net(), small_student()], ids=["net", "table"])
def test_values_too_large_for_float32_are_refused(student, when, data, forest):
    X, y = data
    proba = forest.predict_proba(X)
    huge = np.where(X > 1, 1e300, X)
    clf = distilled(student=student)
    if when == "predict":
        clf.fit(X, y, teacher_proba=proba)
    with pytest.raises(ValueError, match="infinity or a value too large"):
        clf.predict(huge) if when == "predict" else clf.fit(
            huge, y, teacher_proba=proba
        )


@pytest.mark.parametrize("student", [None, small_student()], ids=["none", "default"])
def test_missing_values_are_taken_where_student_and_teacher_take_them(student, data):
    X, y = data
    X = np.where(X > 1, np.nan, X)
    teacher = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=5)
    clf = DistilledClassifier(teacher, student, random_state=0).fit(X, y)
    assert clf.score(X, y) > 0.5
    assert sklearn.utils.get_tags(clf).input_tags.allow_nan
    refusing = DistilledClassifier(LogisticRegression(), student)
    assert not sklearn.utils.get_tags(refusing).input_tags.allow_nan
    with pytest.raises(ValueError, match="LogisticRegression does not accept missing"):
        refusing.fit(X, y)


@pytest.mark.parametrize("student", [None, small_student()], ids=["none", "default"])
def test_missing_values_taken_in_fit_are_taken_at_prediction(student, data):
    X, y = data
    missing = np.where(X > 1, np.nan, X)
    # A Pipeline's tags do not say that its imputer takes missing values.
    teacher = make_pipeline(SimpleImputer(), GaussianNB())
    clf = DistilledClassifier(teacher, student, random_state=0).fit(missing, y)
    assert np.isfinite(clf.predict_proba(missing)).all()
    with pytest.raises(ValueError, match="contains NaN"):
        DistilledClassifier(GaussianNB(), student).fit(X, y).predict(missing)


@pytest.mark.parametrize("student", [tiny_net(), small_student()], ids=["net", "table"])
def test_one_row_is_enough_where_the_teacher_knows_the_classes(student, data, forest):
    X, y = data
    clf = distilled(forest, student).fit(X[:1], y[:1])
    assert np.isfinite(clf.predict_log_proba(X)).all()
    assert clf.predict_proba(X[:1]).shape == (1, 3)


def test_one_class_is_enough_where_the_teacher_knows_more(data, forest):
    X, y = data
    clf = distilled(forest, alpha=0.0).fit(X[y == 1], y[y == 1])
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert (clf.predict(X) == 1).mean() > 0.9


@pytest.mark.parametrize(
    ("teacher", "proba"),
    [(GaussianNB(), None), (None, np.ones((90, 1)))],
    ids=["unfitted", "proba"],
)
def test_one_class_is_refused_where_nobody_knows_another(teacher, proba, data):
    with pytest.raises(ValueError, match=r"at least 2 classes.*1 class"):
        distilled(teacher).fit(data[0], np.zeros(90, int), teacher_proba=proba)


@pytest.mark.parametrize("student", [tiny_net(), small_student()], ids=["net", "table"])
def test_one_feature_is_enough(student, data):
    X = data[0][:, :1]
    y = (X[:, 0] > 0).astype(int)
    clf = distilled(GaussianNB(), student).fit(X, y)
    assert clf.score(X, y) > 0.85


@pytest.mark.parametrize(
    "container", [sparse.csr_matrix, sparse.csr_array, sparse.csc_array]
)
def test_a_net_takes_sparse_rows_as_dense_ones(container, data):
    X, y = data
    X = np.where(np.abs(X) < 0.5, 0, X)
    clf = distilled(LogisticRegression()).fit(container(X), y)
    dense = distilled(LogisticRegression()).fit(X, y)
    assert_allclose(clf.predict_proba(container(X)), dense.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("student", [None, small_student()], ids=["none", "default"])
def test_the_default_student_refuses_sparse_rows(student, data, forest):
    X, y = data
    clf = DistilledClassifier(forest, student)
    assert not sklearn.utils.get_tags(clf).input_tags.sparse
    with pytest.raises(TypeError, match=r"toarray\(\)"):
        clf.fit(sparse.csr_matrix(X), y)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda y: np.where(y == 0, np.nan, y), "NaN"),
        (lambda y: y + 0.5, "Unknown label type: continuous"),
        (lambda y: np.c_[y, y], "1d array"),
        (lambda y: np.eye(3, dtype=int)[y], "1d array"),
    ],
    ids=["length", "nan", "continuous", "multi-output", "multilabel"],
)
@pytest.mark.parametrize("fitted", [True, False])
def test_labels_that_are_no_classes_are_refused(fitted, spoil, message, data, forest):
    X, y = data
    with pytest.raises(ValueError, match=message):
        distilled(forest if fitted else GaussianNB()).fit(X, spoil(y))


def test_a_column_of_labels_is_flattened_with_a_warning(data, forest):
    X, y = data
    with pytest.warns(sklearn.exceptions.DataConversionWarning, match="column-vector"):
        clf = distilled(forest).fit(X, y[:, np.newaxis])
    assert clf.predict(X).shape == (90,)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(89), "sample_weight.shape"),
        (np.ones((90, 2)), "1D array or scalar"),
        (-np.ones(90), "Negative values"),
        (np.full(90, np.nan), "NaN"),
    ],
    ids=["length", "2d", "negative", "nan"],
)
def test_bad_sample_weights_are_refused(weight, message, data, forest):
    with pytest.raises(ValueError, match=message):
        distilled(forest).fit(*data, sample_weight=weight)


@pytest.mark.parametrize(
    ("student", "message"),
    [
        (nn.Linear(4, 3), "torch module Linear; wrap it in a net"),
        (make_pipeline(StandardScaler(), nn.Linear(4, 3)), "wrap it in a net"),
        (NeuralNetBinaryClassifier(nn.Linear), "an output for each class"),
        (NeuralNetRegressor(nn.Linear), "must be None, a skorch.NeuralNetClassifier"),
        (MLPClassifier(), "must be None, a skorch.NeuralNetClassifier"),
        (make_pipeline(StandardScaler(), MLPClassifier()), "Pipeline that ends in one"),
        (type(tiny_net()), "the class NeuralNetClassifier"),
        ("mlp", "must be None, a skorch.NeuralNetClassifier"),
    ],
    ids=[
        "module",
        "pipeline of module",
        "binary net",
        "regressor net",
        "classifier",
        "pipeline of classifier",
        "class",
        "name",
    ],
)
def test_what_cannot_be_a_student_is_refused(student, message, data, forest):
    with pytest.raises(TypeError, match=message):
        distilled(forest, student).fit(*data)


def test_an_output_of_another_width_is_refused(data, forest):
    student = tiny_net(module=nn.Linear, module__in_features=4, module__out_features=5)
    with pytest.raises(
        ValueError, match=r"returns shape \(\d+, 5\).*3\), a column for each class"
    ):
        distilled(forest, student).fit(*data)


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


def test_a_misspelt_parameter_of_the_module_is_refused_in_fit(data, forest):
    student = tiny_net(module__n_hiden=4)
    with pytest.raises(TypeError, match="n_hiden"):
        distilled(forest, student).fit(*data)


def test_a_misspelt_parameter_in_a_search_is_named(data, forest):
    search = GridSearchCV(distilled(forest), {"student__lrr": [0.1]}, cv=2)
    with pytest.raises(ValueError, match="Invalid parameter 'lrr'"):
        search.fit(*data)


def exploding(**params):
    return tiny_net(optimizer=torch.optim.SGD, lr=1e30, **params)


@pytest.mark.parametrize(
    "student",
    [
        exploding(batch_size=30),
        make_pipeline(StandardScaler(), exploding(batch_size=30)),
    ],
    ids=["net", "pipeline"],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_loss_that_is_not_finite_names_epoch_temperature_and_rate(
    method, student, data, forest
):
    clf = distilled(forest, student, temperature=3.0)
    with pytest.raises(
        ValueError,
        match=r"in epoch 1, at temperature 3 and learning rate 1e\+30: "
        r"\{'train_loss_soft': .*\}. Lower the",
    ):
        getattr(clf, method)(*data)
    with pytest.raises(NotFittedError):
        clf.predict(data[0])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_last_step_that_breaks_the_student_is_an_error(method, data, forest):
    # The loss of the only batch is finite; after it the weights are about 1e29.
    clf = distilled(forest, exploding(max_epochs=1), temperature=3.0)
    with pytest.raises(
        ValueError, match=r"at temperature 3 and learning rate 1e\+30. Lower the"
    ):
        getattr(clf, method)(*data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.0),
        ("temperature", -1.0),
        ("temperature", np.nan),
        ("temperature", np.inf),
        ("temperature", "hot"),
        ("temperature", None),
        ("alpha", -0.1),
        ("alpha", 1.1),
        ("alpha", np.nan),
        ("alpha", "auto"),
        ("proba_clip", 0.0),
        ("proba_clip", 1.0),
        ("proba_clip", "none"),
        ("soft_labels", "oob"),
        ("cv", "five"),
        ("random_state", "x"),
        ("n_jobs", 1.5),
        ("verbose", -1),
        ("classes", 3),
        ("teacher_weights", 1),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_parameter_out_of_range_is_named(method, name, value, data, forest):
    clf = distilled(forest, **{name: value})
    with pytest.raises(ValueError, match=f"The '{name}' parameter of Distilled"):
        getattr(clf, method)(*data)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "score", "history_"]
)
def test_nothing_is_predicted_before_fit(method, data, forest):
    clf = distilled(forest)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(clf, method)(*data if method == "score" else data[:1])


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(data, forest):
    X, y = data
    clf = distilled(forest, tiny_net()).fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(teacher=LogisticRegression(), student=exploding())
    with pytest.raises(ValueError, match="Lower the learning rate"):
        clf.fit(X[:, :2], np.array(["a", "b", "c"])[y])
    np.testing.assert_array_equal(clf.classes_, [0, 1, 2])
    np.testing.assert_array_equal(clf.predict_proba(X), before)


def test_an_array_of_strings_is_refused_with_a_way_out(data):
    X, y = data
    words = X.astype(object)
    words[:, 0] = "word"
    with pytest.raises(ValueError, match="pass a data frame"):
        DistilledClassifier(LogisticRegression()).fit(words, y)


@pytest.mark.parametrize("loaded", [False, True])
def test_tags_tell_whether_missing_values_may_come(data, loaded):
    X, y = data
    with_nan = X.copy()
    with_nan[::7, 0] = np.nan
    numbers_alone = LogisticRegression().fit(X, y)
    for teacher, rows, allowed in [
        (numbers_alone, X, False),
        (HistGradientBoostingClassifier(max_iter=2).fit(X, y), X, True),
        (make_pipeline(SimpleImputer(), numbers_alone).fit(X, y), with_nan, True),
    ]:
        clf = DistilledClassifier(teacher, random_state=0).fit(rows, y)
        if loaded:
            clf = pickle.loads(pickle.dumps(clf))
        assert get_tags(clf).input_tags.allow_nan is allowed
