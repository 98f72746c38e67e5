"""Searches and cross-validation over student, teacher and losses."""

import numpy as np
import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    cross_validate,
)
from sklearn.pipeline import Pipeline

from skdistill import make_student
from tests.conftest import distilled, tiny_net

GRID = {
    "temperature": [1.0, 4.0],
    "alpha": [0.0],
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


def agreement(estimator, X, y=None):
    return np.mean(estimator.predict(X) == estimator.teacher.predict(X))


@pytest.mark.parametrize(
    ("search", "options", "n_candidates"),
    [
        (GridSearchCV, {}, 8),
        (HalvingGridSearchCV, {"min_resources": 30, "random_state": 0}, 8 + 3),
    ],
)
def test_searches_reach_the_loss_and_the_student(
    search, options, n_candidates, data, forest
):
    student = make_student(max_epochs=1, batch_size=64)
    found = search(
        distilled(forest, student), GRID, cv=2, error_score="raise", **options
    ).fit(*data)
    assert len(found.cv_results_["params"]) == n_candidates
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    assert_used(found, data[0])
    assert found.best_estimator_.teacher is forest


def test_a_search_reaches_a_bare_net(data, forest):
    grid = {"student__lr": [1e-6, 0.1], "student__module__n_hidden": [4, 8]}
    search = GridSearchCV(distilled(forest), grid, cv=2).fit(*data)
    assert search.best_params_["student__lr"] == 0.1
    best = search.best_estimator_.student_
    assert best.lr == 0.1
    assert (
        best.module_[0].out_features == search.best_params_["student__module__n_hidden"]
    )


def test_a_search_over_teachers_keeps_a_frozen_one(data, forest):
    grid = {"teacher": [FrozenEstimator(forest)], "student": [tiny_net()]}
    search = GridSearchCV(distilled(), grid, cv=2, error_score="raise").fit(*data)
    assert search.best_estimator_.teacher.estimator is forest


def test_a_search_needs_no_labels_where_its_scorer_needs_none(data, forest):
    X, _ = data
    clf = distilled(forest, alpha=1.0)
    search = GridSearchCV(clf, {"student__lr": [1e-6, 0.1]}, scoring=agreement, cv=3)
    search.fit(X)
    assert search.best_params_ == {"student__lr": 0.1}
    assert Pipeline([("clf", clf)]).fit(X).predict(X).shape == (90,)


def test_a_class_that_a_fold_lacks_keeps_its_column(data, forest):
    X, y = data
    by_class = np.argsort(y, kind="stable")
    folds = cross_validate(
        distilled(forest), X[by_class], y[by_class], cv=KFold(3), return_estimator=True
    )
    for fitted in folds["estimator"]:
        assert fitted.predict_proba(X).shape == (90, 3)
