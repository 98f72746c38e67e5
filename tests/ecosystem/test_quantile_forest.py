"""Quantile forests as teachers."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import mean_pinball_loss

from skdistill import DistilledRegressor, make_student, soft_labels

LEVELS = [0.1, 0.5, 0.9]


@pytest.mark.parametrize("fitted", [True, False])
def test_a_student_has_the_quantiles_of_a_forest(fitted):
    module = pytest.importorskip("quantile_forest")
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(1500, 2))
    y = X[:, 0] + (1.2 + X[:, 1]) * rng.normal(size=1500)
    train, test = slice(600), slice(600, None)
    forest = module.RandomForestQuantileRegressor(
        50, min_samples_leaf=10, random_state=0
    )
    if fitted:
        forest.fit(X[train], y[train])
    student = make_student((16,), task="regression")
    reg = DistilledRegressor(forest, student, quantiles=LEVELS, random_state=0)
    reg.fit(X[train], y[train])
    teacher = forest if fitted else reg.teacher_
    said, expected = reg.predict(X[test]), teacher.predict(X[test], quantiles=LEVELS)
    assert (np.diff(said, axis=1) >= 0).all()
    of_student, of_teacher = (
        np.mean(
            [
                mean_pinball_loss(y[test], column, alpha=level)
                for column, level in zip(quantiles.T, LEVELS, strict=True)
            ]
        )
        for quantiles in (said, expected)
    )
    assert of_student < 1.03 * of_teacher
    assert_allclose((y[test, np.newaxis] < said).mean(axis=0), LEVELS, atol=0.08)
    assert 5 * len(pickle.dumps(reg)) < len(pickle.dumps(teacher))


def test_soft_labels_of_a_quantile_forest_are_its_means():
    module = pytest.importorskip("quantile_forest")
    X = np.random.default_rng(0).uniform(size=(60, 2))
    forest = module.RandomForestQuantileRegressor(5, random_state=0).fit(X, X[:, 0])
    assert_allclose(soft_labels(forest, X), forest.predict(X))
