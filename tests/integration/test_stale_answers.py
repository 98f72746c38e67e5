"""A teacher that has changed in any way is asked again."""

import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, PredefinedSplit
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from skdistill import DistilledClassifier, TorchTeacher, soft_labels
from skdistill._transfer._store import store
from tests.kinds import FITTED, UNFITTED, net


def asks_anew(teacher, X, change):
    """Ask, change the teacher, ask again; return how far the answers are apart."""
    before = soft_labels(teacher, X)

    change(teacher)

    after = soft_labels(teacher, X)
    assert_allclose(after, teacher.predict_proba(X), atol=1e-6)
    return np.abs(after - before).max()


@pytest.fixture
def other_labels(data32):
    """Return other labels of the rows of ``data32``."""
    noise = np.random.default_rng(0).normal(size=len(data32[0]))
    return np.digitize(data32[0][:, 0] + 0.3 * noise, [-0.5, 0.5])


# Refits and writes in place


@pytest.mark.parametrize("kind", [kind for kind in UNFITTED if kind != "student"])
def test_teacher_that_was_refitted_in_place(kind, data32, other_labels):
    X, y = data32
    teacher = UNFITTED[kind]().fit(X, y)

    assert asks_anew(teacher, X, lambda teacher: teacher.fit(X, other_labels)) > 1e-2


@pytest.mark.parametrize("algorithm", ["kd_tree", "brute"])
def test_neighbors_of_many_rows_of_which_a_few_labels_were_corrected(algorithm):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20_000, 16)), rng.integers(0, 3, 20_000)
    corrected = y.copy()
    corrected[[7, 9_999, 19_990]] += 1
    corrected %= 3
    asked = X[[0, 7, 9_999, 19_990]]
    teacher = KNeighborsClassifier(1, algorithm=algorithm).fit(X, y)
    soft_labels(teacher, asked)

    teacher.fit(X, corrected)

    expected = np.eye(3)[corrected[[0, 7, 9_999, 19_990]]]
    assert_array_equal(soft_labels(teacher, asked), expected)


def fill_the_values_of_a_tree(forest):
    forest.estimators_[3].tree_.value[:] = [0.0, 0.0, 1.0]


def fill_the_leaves_of_a_stage(boosting):
    boosting._predictors[2][0].nodes["value"] = 0.5


@pytest.mark.parametrize(
    ("kind", "write"),
    [
        ("forest", fill_the_values_of_a_tree),
        ("histogram boosting", fill_the_leaves_of_a_stage),
        ("logistic regression", lambda teacher: teacher.coef_.__imul__(-1.0)),
        ("logistic regression", lambda teacher: teacher.intercept_.__setitem__(1, 0.5)),
        ("perceptron", lambda teacher: teacher.coefs_[1].__setitem__((0, 0), 3.0)),
        ("pipeline", lambda teacher: teacher[0].mean_.__iadd__(0.5)),
        ("net", lambda teacher: teacher.module_[0].weight.data.mul_(2.0)),
        ("without fit", lambda teacher: teacher.fitted.coef_.__imul__(2.0)),
    ],
    ids=["tree", "stage", "coef_", "intercept", "weight", "step", "net", "wrapper"],
)
def test_array_of_the_fitted_state_that_was_written_in_place(kind, write, data32):
    teacher = FITTED[kind](*data32)

    assert asks_anew(teacher, data32[0], write) > 1e-3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda module: module[0].weight.data.mul_(2.0), id="weights"),
        pytest.param(lambda module: module[2].bias.data[0].add_(1.0), id="one bias"),
        pytest.param(lambda module: module[1].running_mean.add_(1.0), id="a buffer"),
        pytest.param(lambda module: module.append(nn.Softplus()), id="a layer more"),
    ],
)
def test_torch_module_that_changed_in_place(change, data32):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    teacher = TorchTeacher(module, classes=[0, 1, 2])

    gap = asks_anew(teacher, data32[0], lambda teacher: change(teacher.module))

    assert gap > 1e-4


def test_weights_of_a_large_module_that_changed_a_little(data32):
    module = nn.Sequential(nn.Linear(4, 8000), nn.Linear(8000, 3))
    teacher = TorchTeacher(module, classes=[0, 1, 2])

    def change(teacher):
        with torch.no_grad():
            module[1].weight[1, 4321] += 5.0

    assert asks_anew(teacher, data32[0], change) > 1e-4


def test_parameter_that_acts_at_prediction(data32):
    teacher = net().fit(*data32)

    def sharpen(teacher):
        teacher.set_params(
            predict_nonlinearity=lambda out: torch.softmax(3 * out, dim=1)
        )

    assert asks_anew(teacher, data32[0], sharpen) > 1e-3


def test_rows_that_were_written_in_place(data32):
    X, y = data32
    teacher = LogisticRegression().fit(X, y)
    soft_labels(teacher, X)

    X[40] = 9.0

    assert_allclose(soft_labels(teacher, X), teacher.predict_proba(X), atol=1e-6)


def test_student_follows_a_teacher_that_was_refitted(data32, other_labels):
    X, y = data32
    teacher = KNeighborsClassifier(9).fit(X, y)
    clf = DistilledClassifier(teacher, net(), alpha=1.0, random_state=0).fit(X, y)
    teacher.fit(X, other_labels)

    again = clf.fit(X, y).predict_proba(X)

    fresh = DistilledClassifier(
        KNeighborsClassifier(9).fit(X, other_labels), net(), alpha=1.0, random_state=0
    )
    assert_array_equal(again, fresh.fit(X, y).predict_proba(X))


# What only looks the same


def test_object_columns_that_differ_in_what_is_missing():
    def ask(X):
        none = np.array([value is None for value in X[:, 0]])
        return np.where(none[:, np.newaxis], [0.1, 0.9], [0.6, 0.4])

    teacher = TorchTeacher(ask, [0, 1], output="proba")
    columns = [["a", "b", None, np.nan], ["a", "b", np.nan, np.nan]]
    first, second = (np.array(c, dtype=object).reshape(-1, 1) for c in columns)

    assert_allclose(soft_labels(teacher, first)[:, 1], [0.4, 0.4, 0.9, 0.4])
    assert_allclose(soft_labels(teacher, second)[:, 1], [0.4, 0.4, 0.4, 0.4])


class AsksTheIndex(ClassifierMixin):
    """Looks rows up by their index."""

    classes_ = np.arange(2)

    def predict_proba(self, X):
        return np.where(np.asarray(X.index)[:, np.newaxis] > 1, [0.1, 0.9], [0.6, 0.4])


class AsksTheMask(AsksTheIndex):
    """Takes masked cells as missing."""

    def predict_proba(self, X):
        return np.where(np.ma.getmaskarray(X), [0.1, 0.9], [0.6, 0.4])


@pytest.mark.parametrize(
    ("teacher", "first", "second"),
    [
        pytest.param(
            AsksTheIndex(),
            pd.DataFrame({"a": [1.0, 1.0]}, index=[0, 1]),
            pd.DataFrame({"a": [1.0, 1.0]}, index=[1, 2]),
            id="index of a frame",
        ),
        pytest.param(
            AsksTheMask(),
            np.ma.masked_array([[1.0], [1.0]], [[True], [False]]),
            np.ma.masked_array([[1.0], [1.0]], [[False], [True]]),
            id="mask of an array",
        ),
    ],
)
def test_rows_that_differ_beside_their_values(teacher, first, second):
    for X in (first, second):
        assert_allclose(soft_labels(teacher, X), teacher.predict_proba(X), rtol=1e-6)


# Code that was run again


CELLS = {
    "global that it names": """
        scale = {}
        def ask(X): return X[:, :3] * scale
        teacher = TorchTeacher(ask, [0, 1, 2])
        """,
    "classifier": """
        class Model:
            classes_ = np.arange(3)
            def predict_proba(self, X):
                odds = np.exp(X[:, :3] * {})
                return odds / odds.sum(axis=1, keepdims=True)
        teacher = Model()
        """,
}


@pytest.mark.parametrize("kind", CELLS)
def test_cell_of_a_notebook_that_was_run_again_after_a_change(kind, data32):
    for scale in (1.0, 2.0):
        names = {"np": np, "TorchTeacher": TorchTeacher, "__name__": "__main__"}
        exec(textwrap.dedent(CELLS[kind]).format(scale), names)
        teacher = names["teacher"]

        labels = soft_labels(teacher, data32[0])

        assert_allclose(labels, teacher.predict_proba(data32[0]), rtol=1e-5)


def test_function_whose_model_was_refitted(data32, other_labels):
    X, y = data32
    model = LogisticRegression().fit(X, y)
    teacher = TorchTeacher(lambda X: model.predict_proba(X), [0, 1, 2], output="proba")

    assert asks_anew(teacher, X, lambda _: model.fit(X, other_labels)) > 1e-2


# What else an answer depends on


EVEN = PredefinedSplit(np.arange(90) % 3)
MOVED = PredefinedSplit(np.r_[[1, 0], np.arange(2, 90) % 3])


class OwnSplitter:
    """Folds by a function, which no standard pickle takes."""

    def __init__(self, rule):
        self.rule = rule

    def split(self, X, y=None, groups=None):
        held_out = self.rule(np.arange(len(X)))
        for part in (held_out, ~held_out):
            yield np.flatnonzero(~part), np.flatnonzero(part)

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"method": "in_sample"}, {"cv": 2}, id="folds at all"),
        pytest.param(
            {"method": "in_sample", "cv": 2},
            {"method": "out_of_fold", "cv": 2},
            id="method",
        ),
        pytest.param({"cv": 2}, {"cv": 3}, id="number of folds"),
        pytest.param({"cv": KFold(2)}, {"cv": KFold(3)}, id="splitter"),
        pytest.param({"cv": EVEN}, {"cv": MOVED}, id="rows in other folds"),
        pytest.param(
            {"cv": KFold(2, shuffle=True, random_state=0)},
            {"cv": KFold(2, shuffle=True, random_state=1)},
            id="seed of the splitter",
        ),
        pytest.param(
            {"cv": OwnSplitter(lambda i: i % 2 == 0)},
            {"cv": OwnSplitter(lambda i: i < 45)},
            id="function of the splitter",
        ),
        pytest.param(
            {"sample_weight": np.ones(90)},
            {"sample_weight": np.arange(90.0)},
            id="sample weights",
        ),
        pytest.param({}, {"sample_weight": np.arange(90.0)}, id="no weights"),
        pytest.param(
            {"cv": 2, "classes": [2, 1, 0]},
            {"cv": 2, "classes": [0, 1, 2]},
            id="classes",
        ),
    ],
)
def test_other_options(first, second, data32):
    expected = soft_labels(LogisticRegression(), *data32, random_state=0, **second)
    store.clear()

    soft_labels(LogisticRegression(), *data32, random_state=0, **first)

    labels = soft_labels(LogisticRegression(), *data32, random_state=0, **second)
    assert_array_equal(labels, expected)


def test_other_labels_of_an_unfitted_teacher(data32, other_labels):
    X, y = data32
    soft_labels(LogisticRegression(), X, y, random_state=0)

    labels = soft_labels(LogisticRegression(), X, other_labels, random_state=0)

    expected = LogisticRegression().fit(X, other_labels).predict_proba(X)
    assert_allclose(labels, expected, atol=1e-6)


def test_other_parameters_of_a_fitted_teacher_fit_other_folds(data32):
    teacher = LogisticRegression().fit(*data32)
    soft_labels(teacher, *data32, cv=2, random_state=0)

    teacher.set_params(C=0.01)

    expected = soft_labels(LogisticRegression(C=0.01), *data32, cv=2)
    labels = soft_labels(teacher, *data32, cv=2, random_state=0)
    assert_allclose(labels, expected, atol=1e-6)
