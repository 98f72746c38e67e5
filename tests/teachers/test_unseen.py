"""Trees of a fitted forest label the rows that are not in their bootstrap samples."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import (
    ExtraTreesClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression

from skdistill._targets._classes import Classes
from skdistill._targets._numbers import Numbers
from skdistill._teachers._unseen import unseen_labels


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    return X, np.where(X[:, 0] + 0.5 * rng.normal(size=60) > 0, "b", "a")


@pytest.mark.parametrize(
    "params", [{}, {"max_samples": 0.5}, {"class_weight": "balanced"}]
)
def test_they_are_the_out_of_bag_labels_of_scikit_learn(params, rows):
    forest = RandomForestClassifier(20, oob_score=True, random_state=0, **params)
    forest.fit(*rows)
    numbers = np.array([3, 10, 59])
    proba = unseen_labels(forest, rows[0], numbers, Classes())
    assert_allclose(proba, forest.oob_decision_function_[numbers], rtol=1e-6)


def test_numbers_are_the_out_of_bag_predictions_of_scikit_learn(rows):
    X, _ = rows
    numbers = np.array([3, 10, 59])
    for y in (X[:, 0], X[:, :2]):
        forest = RandomForestRegressor(20, oob_score=True, random_state=0).fit(X, y)
        found = unseen_labels(forest, X, numbers, Numbers())
        expected = forest.oob_prediction_[numbers].reshape(3, -1)
        assert_allclose(found, expected, rtol=1e-12)


def test_rows_that_all_trees_have_seen_have_none(rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forest = RandomForestClassifier(1, random_state=0).fit(*rows)
        proba = unseen_labels(forest, rows[0], np.arange(60), Classes())
    seen = np.unique(forest.estimators_samples_[0])
    assert np.isnan(proba[seen]).all()
    assert np.isfinite(np.delete(proba, seen, axis=0)).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X + 1,
        lambda X: X[::-1],
        lambda X: X[:30],
        lambda X: X[:, :2],
        lambda X: X.astype(str),
    ],
    ids=["shifted", "reversed", "fewer", "narrower", "strings"],
)
def test_other_rows_than_those_of_its_fit_are_noticed(change, rows):
    forest = RandomForestClassifier(10, random_state=0).fit(*rows)
    assert (
        unseen_labels(forest, np.ascontiguousarray(change(rows[0])), [0], Classes())
        is None
    )


@pytest.mark.parametrize(
    "teacher",
    [
        LogisticRegression(),
        ExtraTreesClassifier(5, random_state=0),
        RandomForestClassifier(5, bootstrap=False, random_state=0),
    ],
    ids=lambda teacher: type(teacher).__name__,
)
def test_teachers_without_bootstrap_samples_have_seen_all_rows(teacher, rows):
    assert unseen_labels(teacher.fit(*rows), rows[0], [0], Classes()) is None
