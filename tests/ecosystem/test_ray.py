"""Searches on workers of Ray."""

import builtins

import joblib
import pytest
from numpy.testing import assert_allclose

from skdistill.model_selection import GridSearchCV

ray = pytest.importorskip("ray")
joblib_of_ray = pytest.importorskip("ray.util.joblib")


@pytest.fixture
def cluster(monkeypatch):
    # Ray replaces it for good, and skorch then prints what should be quiet.
    monkeypatch.setattr(builtins, "print", print)
    ray.init(num_cpus=2, include_dashboard=False)
    joblib_of_ray.register_ray()
    yield
    ray.shutdown()


def test_a_search_on_workers_finds_what_it_finds_here(
    cluster, iris, iris_forest, small
):
    search = GridSearchCV(
        small(iris_forest), {"alpha": [0.5, 1.0]}, cv=2, scoring="neg_log_loss"
    )
    here = search.fit(*iris).cv_results_["mean_test_score"]
    with joblib.parallel_config("ray"):
        there = search.fit(*iris).cv_results_["mean_test_score"]
    assert_allclose(there, here, rtol=1e-4)
