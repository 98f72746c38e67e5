"""Searches on workers of dask, and data in blocks."""

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import model_selection
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    make_student,
    soft_labels,
)
from skdistill.model_selection import GridSearchCV
from tests.pages import code_blocks

distributed = pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")


@pytest.fixture(scope="module")
def client():
    """Return a client of a cluster of two worker processes."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.parametrize("search", [GridSearchCV, model_selection.GridSearchCV])
def test_a_search_on_workers_finds_what_it_finds_here(
    search, client, iris, iris_forest, small
):
    grid = {"alpha": [0.2, 0.5, 1.0], "temperature": [1.0, 2.0]}
    options = {"cv": 2, "scoring": "neg_log_loss"}
    here = search(small(iris_forest), grid, **options).fit(*iris)
    with joblib.parallel_config("dask"):
        there = search(small(iris_forest), grid, **options).fit(*iris)
    assert_allclose(
        there.cv_results_["mean_test_score"],
        here.cv_results_["mean_test_score"],
        rtol=1e-4,
    )
    assert there.best_estimator_.teacher is iris_forest


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_students_of_numbers_and_labels_are_searched_on_workers(task, client, iris):
    X, y = iris
    kind, targets = DistilledRegressor, X[:, 0] * y
    if task == "multilabel":
        kind, targets = DistilledClassifier, (np.median(X, axis=0) < X).astype(int)
    teacher = KNeighborsRegressor() if task == "regression" else KNeighborsClassifier()
    student = make_student((8,), task=task, max_epochs=20)
    model = kind(teacher.fit(X, targets), student, augmenter=None, random_state=0)
    search = GridSearchCV(model, {"alpha": [0.2, 1.0]}, cv=2)
    here = clone(search).fit(X, targets)
    with joblib.parallel_config("dask"):
        there = search.fit(X, targets)
    for name in ("mean_test_score", "std_test_score"):
        assert_allclose(there.cv_results_[name], here.cv_results_[name], rtol=1e-4)


def test_numbers_and_labels_of_blocks_are_refused(iris):
    X, y = iris
    blocks = da.from_array(X, chunks=(50, 4))
    for teacher, targets in (
        (KNeighborsRegressor(), y),
        (KNeighborsClassifier(), np.eye(3, dtype=int)[y]),
    ):
        with pytest.raises(ValueError, match=r"pass X.compute\(\)"):
            soft_labels(teacher.fit(X, targets), blocks)


def test_stacks_of_nets_are_trained_on_workers(client, iris, iris_forest, small):
    # Folds of two sizes make two stacks.
    search = GridSearchCV(small(iris_forest), {"alpha": [0.5, 1.0]}, cv=4)
    with joblib.parallel_config("dask"), distributed.get_task_stream(client) as stream:
        search.fit(*iris)
    assert any("in_process" in task["key"] for task in stream.data)


@pytest.mark.parametrize("chunks", [(40, 4), (50, 2)])
def test_soft_labels_of_an_array_are_those_of_its_rows(chunks, iris, iris_forest):
    X, _ = iris
    lazy = soft_labels(iris_forest, da.from_array(X, chunks=chunks))
    assert isinstance(lazy, da.Array)
    assert (lazy.shape, lazy.dtype) == ((150, 3), np.float32)
    assert_array_equal(lazy.compute(), soft_labels(iris_forest, X))


def test_soft_labels_of_a_data_frame_are_those_of_its_rows(iris):
    dd = pytest.importorskip("dask.dataframe")
    X = pd.DataFrame(iris[0], columns=list("abcd"))
    teacher = LogisticRegression(max_iter=1000).fit(X, iris[1])
    lazy = soft_labels(teacher, dd.from_pandas(X, npartitions=3))
    assert_array_equal(lazy.compute(), soft_labels(teacher, X))


def test_blocks_are_labeled_when_they_are_computed(iris, iris_forest):
    def fails(block):
        raise OSError("the file is gone")

    X = da.from_array(iris[0], chunks=(50, 4)).map_blocks(fails, dtype=float)
    lazy = soft_labels(iris_forest, X)
    with pytest.raises(OSError, match="gone"):
        lazy.compute()


def test_labels_that_depend_on_other_blocks_are_refused(iris, iris_forest):
    X, y = iris
    blocks = da.from_array(X, chunks=(50, 4))
    with pytest.raises(ValueError, match="pass a fitted teacher, and no y"):
        soft_labels(LogisticRegression(), blocks, y)
    with pytest.raises(ValueError, match="pass a fitted teacher, and no y"):
        soft_labels(iris_forest, blocks, y)


def test_training_from_blocks_holds_one_of_them(iris, iris_forest):
    X, y = iris
    rows = np.random.default_rng(0).permutation(150)
    X, y = X[rows], y[rows]
    blocks = da.from_array(X, chunks=(50, 4))
    student = make_student((16,), lr=0.02, batch_size=16, max_epochs=20)
    clf = DistilledClassifier(iris_forest, student, random_state=0)
    for _ in range(20):
        for number, block in enumerate(blocks.to_delayed().ravel()):
            clf.partial_fit(block.compute(), y[50 * number : 50 * (number + 1)])
    assert clf.score(X, y) > 0.9


def test_the_code_of_the_page_on_clusters_runs(
    client, iris, iris_forest, small, monkeypatch
):
    rows, labels = (da.from_array(part, chunks=50) for part in iris)
    stored = {}
    monkeypatch.setattr("dask.distributed.Client", lambda address: client)
    monkeypatch.setattr(da, "from_zarr", lambda name: rows.rechunk((50, 4)))
    monkeypatch.setattr(
        da.Array, "to_zarr", lambda self, name: stored.update({name: self.compute()})
    )
    names = {
        "clf": small(iris_forest),
        "grid": {"alpha": [0.5, 1.0]},
        "forest": iris_forest,
        "X": rows.rechunk((50, 4)),
        "y": labels,
        "classes": np.unique(iris[1]),
    }
    for code in code_blocks("howto/cluster.rst"):
        exec(code, names)
    assert names["search"].best_score_ > 0.5
    assert_allclose(stored["soft_labels.zarr"], soft_labels(iris_forest, iris[0]))
    assert names["clf"].score(*iris) > 0.5
