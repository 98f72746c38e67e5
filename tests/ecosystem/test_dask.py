import joblib
import pytest
from sklearn.model_selection import GridSearchCV

distributed = pytest.importorskip("distributed")


def test_a_search_on_workers_of_dask(iris, iris_forest, small):
    search = GridSearchCV(small(iris_forest), {"alpha": [0.5, 1.0]}, cv=2)
    with (
        distributed.Client(n_workers=1, threads_per_worker=1, dashboard_address=None),
        joblib.parallel_config("dask"),
    ):
        search.fit(*iris)
    assert search.score(*iris) > 0.3
    assert search.best_estimator_.teacher is iris_forest
