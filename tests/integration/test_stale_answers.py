"""A teacher that has changed in any way is asked again."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, PredefinedSplit

from skdistill import TorchTeacher, soft_labels
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
        ("TorchTeacher", lambda teacher: teacher.module.bias.data[0].add_(1.0)),
    ],
    ids=["tree", "stage", "coef_", "intercept", "weight", "step", "net", "in", "torch"],
)
def test_array_of_the_fitted_state_that_was_written_in_place(kind, write, data32):
    teacher = FITTED[kind](*data32)

    assert asks_anew(teacher, data32[0], write) > 1e-3


def test_parameter_that_acts_at_prediction(data32):
    teacher = net().fit(*data32)

    def sharpen(teacher):
        teacher.set_params(
            predict_nonlinearity=lambda out: torch.softmax(3 * out, dim=1)
        )

    assert asks_anew(teacher, data32[0], sharpen) > 1e-3


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


def shuffled(seed):
    return {"cv": KFold(2, shuffle=True, random_state=seed)}


OTHER_Y, WEIGHTS = np.arange(90) % 3, np.arange(90.0)
CALIBRATED = {"method": "in_sample", "calibrate_teacher": "out_of_fold"}
OPTIONS = {
    "folds at all": ({"method": "in_sample"}, {"cv": 2}),
    "method": ({"method": "in_sample", "cv": 2}, {"method": "out_of_fold", "cv": 2}),
    "number of folds": ({"cv": 2}, {"cv": 3}),
    "splitter": ({"cv": KFold(2)}, {"cv": KFold(3)}),
    "rows in other folds": ({"cv": EVEN}, {"cv": MOVED}),
    "seed of the splitter": (shuffled(0), shuffled(1)),
    "function of the splitter": (
        {"cv": OwnSplitter(lambda i: i % 2 == 0)},
        {"cv": OwnSplitter(lambda i: i < 45)},
    ),
    "labels": ({}, {"y": OTHER_Y}),
    "sample weights": ({"sample_weight": np.ones(90)}, {"sample_weight": WEIGHTS}),
    "no weights": ({}, {"sample_weight": WEIGHTS}),
    "classes": ({"cv": 2, "classes": [2, 1, 0]}, {"cv": 2, "classes": [0, 1, 2]}),
    "calibration": ({"method": "in_sample"}, CALIBRATED),
    "its labels": (CALIBRATED, CALIBRATED | {"y": OTHER_Y}),
    "its weights": (CALIBRATED, CALIBRATED | {"sample_weight": WEIGHTS}),
    "its folds": (CALIBRATED, CALIBRATED | {"cv": 3}),
}


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("option", OPTIONS)
def test_other_options(option, fitted, data32):
    first, second = OPTIONS[option]
    teacher = LogisticRegression()
    if fitted:
        teacher.fit(*data32)

    def labels(options):
        params = {"y": data32[1], "random_state": 0} | options
        return soft_labels(teacher, data32[0], **params)

    expected = labels(second)
    store.clear()

    labels(first)

    assert_array_equal(labels(second), expected)


def test_other_parameters_of_a_fitted_teacher_fit_other_folds(data32):
    teacher = LogisticRegression().fit(*data32)
    soft_labels(teacher, *data32, cv=2, random_state=0)

    teacher.set_params(C=0.01)

    expected = soft_labels(LogisticRegression(C=0.01), *data32, cv=2)
    labels = soft_labels(teacher, *data32, cv=2, random_state=0)
    assert_allclose(labels, expected, atol=1e-6)
