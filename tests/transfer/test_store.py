"""The teacher is asked once per data set, and never taken for another one."""

import pathlib
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import joblib
import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier
from skorch.dataset import ValidSplit
from torch import nn

from skdistill import (
    DistilledClassifier,
    TorchTeacher,
    _cache,
    _soft_labels,
    soft_labels,
)
from skdistill._transfer._store import LabelCache, Labels, cache, content_hash, stamp
from tests.conftest import FittedTeacher

ROOT = pathlib.Path(__file__).parents[2]
CALLS = Counter()


class Counting(LogisticRegression):
    """Counts its calls outside itself: it is the same teacher after each."""

    def fit(self, X, y, sample_weight=None):
        CALLS["fit"] += 1
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        CALLS["ask"] += 1
        return super().predict_proba(X)


class CountingNeighbors(KNeighborsClassifier):
    """Its tree counts what it is asked, inside itself."""

    def predict_proba(self, X):
        CALLS["ask"] += 1
        return super().predict_proba(X)


class Unpicklable(Counting):
    def __getstate__(self):
        raise pickle.PicklingError("this model lives on a server")


class RowTeacher(FittedTeacher):
    """Says of each row what is written in the row: the softmax of its first columns."""

    def predict_proba(self, X):
        odds = np.exp(np.asarray(X)[:, :3])
        return odds / odds.sum(axis=1, keepdims=True)


class OwnSplitter:
    """Folds that cannot be pickled, by a function."""

    def __init__(self, rule):
        self.rule = rule

    def split(self, X, y=None, groups=None):
        held_out = self.rule(np.arange(len(X)))
        for part in (held_out, ~held_out):
            yield np.flatnonzero(~part), np.flatnonzero(part)

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2


@pytest.fixture(autouse=True)
def fresh():
    cache.clear()
    CALLS.clear()


@pytest.fixture(scope="module")
def data():
    X, y = make_classification(
        n_samples=90,
        n_features=4,
        n_informative=3,
        n_redundant=0,
        n_classes=3,
        n_clusters_per_class=1,
        flip_y=0.15,
        random_state=2,
    )
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def other_labels(data):
    """Return other labels of the same rows, that a refit changes to."""
    X, _ = data
    rng = np.random.default_rng(0)
    return np.digitize(X[:, 0] + 0.3 * rng.normal(size=len(X)), [-0.5, 0.5])


def student(**params):
    defaults = {
        "criterion": nn.CrossEntropyLoss,
        "max_epochs": 1,
        "lr": 0.1,
        "train_split": None,
        "verbose": 0,
    }
    return NeuralNetClassifier(
        nn.LazyLinear, module__out_features=3, **defaults | params
    )


def fit_student(teacher, X, y, **params):
    return DistilledClassifier(teacher, student(), random_state=0, **params).fit(X, y)


def labels_of(size, value=0.0, teacher=None):
    """Return labels whose values take ``size`` bytes."""
    values = np.full((size // 4, 1), value, dtype=np.float32)
    return Labels(values, np.array([], dtype=float), teacher=teacher)


# A search asks once per training set

GRID = {"temperature": [1, 2, 3, 4, 8], "alpha": [0.1, 0.3, 0.5, 0.9, 1.0]}


def search(teacher, grid, n_folds, X, y, **params):
    clf = DistilledClassifier(teacher, student(), **params)
    return GridSearchCV(clf, grid, cv=n_folds, error_score="raise").fit(X, y)


def test_search_of_25_candidates_asks_a_fitted_teacher_once_per_fold(data):
    X, y = data
    teacher = Counting().fit(X, y)
    CALLS.clear()

    found = search(teacher, GRID, 5, X, y)

    assert len(found.cv_results_["params"]) == 25
    assert CALLS == {"ask": 6}  # the last for the refit


def test_search_of_25_candidates_fits_an_unfitted_teacher_once_per_fold(data):
    X, y = data

    search(Counting(), GRID, 5, X, y)

    assert CALLS == {"fit": 6, "ask": 6}


@pytest.mark.parametrize(
    "random_state",
    [None, 0, np.random.RandomState(0)],
    ids=["None", "int", "RandomState"],
)
def test_any_random_state_lets_candidates_share_labels(random_state, data):
    X, y = data

    search(Counting(), {"alpha": [0.5, 1.0]}, 2, X, y, random_state=random_state)

    assert CALLS == {"fit": 3, "ask": 3}


def test_held_out_labels_are_shared_as_well(data):
    X, y = data

    search(Counting(), {"alpha": [0.3, 0.5, 1.0]}, 2, X, y, cv=3)

    assert CALLS["fit"] == 3 * (1 + 3)  # the whole and the folds, for 2 sets and refit


def test_searched_teacher_is_fitted_once_per_setting_and_fold(data):
    X, y = data

    search(Counting(), {"teacher__C": [0.1, 1.0], "alpha": [0.5, 1.0]}, 2, X, y)

    assert CALLS["fit"] == 2 * 2 + 1


def test_list_of_teachers_is_asked_once_whatever_its_weights(data):
    X, y = data
    teachers = [Counting().fit(X, y), Counting(C=0.1).fit(X, y)]
    CALLS.clear()

    search(teachers, {"teacher_weights": [[1, 1], [1, 3], [0, 1]]}, 2, X, y)

    assert CALLS["ask"] == 2 * (2 + 1)


FITTED = {
    "logistic regression": lambda: LogisticRegression(),
    "forest": lambda: RandomForestClassifier(5, max_depth=3, random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=3, max_depth=2),
    "LightGBM": lambda: lightgbm.LGBMClassifier(
        n_estimators=3, min_child_samples=5, n_jobs=1, verbose=-1
    ),
    "XGBoost": lambda: xgboost.XGBClassifier(n_estimators=3, max_depth=2, n_jobs=1),
    # It stops after 30 epochs, by the tolerance, without a warning.
    "MLP": lambda: MLPClassifier(
        (6,), learning_rate_init=0.05, tol=10.0, n_iter_no_change=30
    ),
    "neighbors": lambda: KNeighborsClassifier(9, algorithm="kd_tree"),
    "naive Bayes": lambda: GaussianNB(),
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "calibrated": lambda: CalibratedClassifierCV(LinearSVC(), cv=2),
    "search": lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
    "net": lambda: student(max_epochs=15),
    "student": lambda: DistilledClassifier(
        LogisticRegression(), student(max_epochs=15), random_state=0
    ),
}


def torch_teacher():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    return TorchTeacher(module, classes=[0, 1, 2])


@pytest.fixture(params=[*FITTED, "TorchTeacher"])
def fitted(request, data):
    if request.param == "TorchTeacher":
        return torch_teacher()
    return FITTED[request.param]().fit(*data)


@pytest.mark.filterwarnings("ignore:the teacher's balanced accuracy:UserWarning")
def test_teacher_of_any_kind_is_asked_once_per_training_set(fitted, data, monkeypatch):
    asked = []
    predict = _soft_labels._predict

    def spy(teacher, X, *rest):
        if teacher is fitted:
            asked.append(len(X))
        return predict(teacher, X, *rest)

    monkeypatch.setattr(_soft_labels, "_predict", spy)

    search(fitted, {"alpha": [0.5, 0.7, 1.0]}, 2, *data)

    assert asked == [45, 45, 90]


def test_stamp_is_the_same_again(fitted):
    assert stamp(fitted) is not None
    assert stamp(fitted) == stamp(fitted)


def test_copy_from_a_file_has_the_same_stamp(fitted):
    # Workers of a search, and the next run of a program, get copies.
    copied = pickle.loads(pickle.dumps(fitted))

    assert stamp(copied) == stamp(fitted)


# Refits in place are noticed


@pytest.mark.parametrize("kind", [kind for kind in FITTED if kind != "student"])
def test_teacher_that_was_refitted_in_place_is_asked_again(kind, data, other_labels):
    X, y = data
    teacher = FITTED[kind]().fit(X, y)
    before = soft_labels(teacher, X).copy()

    teacher.fit(X, other_labels)

    after = soft_labels(teacher, X)
    assert np.abs(after - before).max() > 1e-2
    assert_allclose(after, teacher.predict_proba(X), atol=1e-6)


def test_large_forest_that_was_refitted_in_place_is_asked_again():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(4000, 3)), rng.integers(0, 2, 4000)
    teacher = DecisionTreeClassifier(random_state=0).fit(X, y)
    assert teacher.tree_.__getstate__()["nodes"].nbytes > _cache._SAMPLED_BYTES
    soft_labels(teacher, X)

    teacher.fit(X, 1 - y)

    assert_array_equal(soft_labels(teacher, X), np.eye(2)[1 - y])


def test_large_net_whose_weights_changed_is_asked_again(data):
    X, _ = data
    module = nn.Sequential(nn.Linear(4, 8000), nn.Linear(8000, 3))
    teacher = TorchTeacher(module, classes=[0, 1, 2])
    before = soft_labels(teacher, X).copy()

    with torch.no_grad():
        module[1].weight += 0.01 * torch.randn_like(module[1].weight)

    after = soft_labels(teacher, X)
    assert np.abs(after - before).max() > 1e-4
    assert_allclose(after, teacher.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda module: module[0].weight.data.mul_(2.0), id="one weight matrix"
        ),
        pytest.param(lambda module: module[2].bias.data[0].add_(1.0), id="one bias"),
        pytest.param(lambda module: module[1].running_mean.add_(1.0), id="a buffer"),
        pytest.param(lambda module: module.append(nn.Softplus()), id="one layer more"),
    ],
)
def test_torch_module_that_changed_in_place_is_asked_again(change, data):
    X, _ = data
    teacher = torch_teacher()
    before = soft_labels(teacher, X).copy()

    change(teacher.module)

    after = soft_labels(teacher, X)
    assert np.abs(after - before).max() > 1e-4
    assert_allclose(after, teacher.predict_proba(X), atol=1e-6)


def test_training_mode_of_a_module_makes_no_other_teacher(data):
    teacher = torch_teacher()
    before = stamp(teacher)

    teacher.predict_proba(data[0])

    assert stamp(teacher) == before


@pytest.fixture
def notebook():
    """Return a function that runs a cell of a notebook."""
    main = vars(sys.modules["__main__"])
    before = main.copy()

    def run(cell, **names):
        main.update(names, np=np, nn=nn, ClassifierMixin=ClassifierMixin)
        exec(cell, main)
        return main

    yield run
    main.clear()
    main.update(before)


def test_function_that_was_defined_anew_is_asked_again(data, notebook):
    X, _ = data
    cell = "def ask(X): return np.tile({}, (len(X), 1))"
    first = notebook(cell.format("[0.5, 0.3, 0.2]"))["ask"]
    soft_labels(TorchTeacher(first, [0, 1, 2], output="proba"), X)

    second = notebook(cell.format("[0.1, 0.1, 0.8]"))["ask"]

    labels = soft_labels(TorchTeacher(second, [0, 1, 2], output="proba"), X)
    assert_allclose(labels, second(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("cell", "make_teacher"),
    [
        pytest.param(
            """
            class Model(nn.Module):
                def forward(self, X):
                    return X[:, :3] * {}
            """,
            lambda model: TorchTeacher(model, classes=[0, 1, 2]),
            id="module",
        ),
        pytest.param(
            """
            class Model:
                classes_ = np.arange(3)
                def predict_proba(self, X):
                    proba = np.exp(X[:, :3] * {})
                    return proba / proba.sum(axis=1, keepdims=True)
            """,
            lambda model: model,
            id="classifier",
        ),
    ],
)
def test_class_that_was_defined_anew_is_asked_again(cell, make_teacher, data, notebook):
    X, _ = data
    cell = textwrap.dedent(cell)
    soft_labels(make_teacher(notebook(cell.format("1.0"))["Model"]()), X)

    teacher = make_teacher(notebook(cell.format("2.0"))["Model"]())

    labels = soft_labels(teacher, X)
    assert_allclose(labels, teacher.predict_proba(X), rtol=1e-5)


def test_function_whose_model_was_refitted_is_asked_again(data, other_labels, notebook):
    X, y = data
    model = LogisticRegression().fit(X, y)
    main = notebook("def ask(X): return model.predict_proba(X)", model=model)
    teacher = TorchTeacher(main["ask"], [0, 1, 2], output="proba")
    soft_labels(teacher, X)

    model.fit(X, other_labels)

    assert_allclose(soft_labels(teacher, X), model.predict_proba(X), atol=1e-6)


# What else the labels depend on


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
        pytest.param(
            {"cv": KFold(2, shuffle=True, random_state=0)},
            {"cv": KFold(2, shuffle=True, random_state=1)},
            id="seed of the splitter",
        ),
        pytest.param(
            {"sample_weight": np.ones(90)},
            {"sample_weight": np.arange(90.0)},
            id="sample weights",
        ),
        pytest.param({}, {"sample_weight": np.arange(90.0)}, id="no weights"),
    ],
)
def test_other_options_are_labeled_anew(first, second, data):
    X, y = data
    expected = soft_labels(Counting(), X, y, **second)
    cache.clear()

    soft_labels(Counting(), X, y, **first)

    assert_array_equal(soft_labels(Counting(), X, y, **second), expected)


@pytest.mark.parametrize(
    ("make_teacher", "params"),
    [
        pytest.param(lambda: student(), {"max_epochs": 30}, id="net"),
        pytest.param(lambda: Counting(), {"C": 0.01}, id="classifier"),
    ],
)
def test_other_parameters_of_a_fitted_teacher_fit_its_folds_anew(
    make_teacher, params, data
):
    X, y = data
    teacher = make_teacher().fit(X, y)
    torch.manual_seed(0)
    first = soft_labels(teacher, X, y, cv=2)
    teacher.set_params(**params)

    torch.manual_seed(0)
    second = soft_labels(teacher, X, y, cv=2)

    assert np.abs(second - first).max() > 0.05


def test_net_with_another_nonlinearity_is_asked_again(data):
    X, y = data
    teacher = student().fit(X, y)
    soft_labels(teacher, X)

    teacher.set_params(predict_nonlinearity=lambda out: torch.softmax(3 * out, dim=1))

    assert_allclose(soft_labels(teacher, X), teacher.predict_proba(X), atol=1e-6)


def test_other_labels_fit_an_unfitted_teacher_anew(data, other_labels):
    X, y = data
    first = soft_labels(Counting(), X, y)

    second = soft_labels(Counting(), X, other_labels)

    assert CALLS["fit"] == 2
    assert np.abs(second - first).max() > 0.1


def test_other_seed_fits_an_unfitted_teacher_anew(data):
    X, y = data
    forest = RandomForestClassifier(3, max_depth=3)

    first = soft_labels(forest, X, y, random_state=0)

    assert np.any(soft_labels(forest, X, y, random_state=1) != first)


def test_other_labels_ask_a_fitted_teacher_no_more(data, other_labels):
    X, y = data
    teacher = Counting().fit(X, y)
    CALLS.clear()

    soft_labels(teacher, X, y)
    soft_labels(teacher, X, other_labels)
    soft_labels(teacher, X)

    assert CALLS == {"ask": 1}


def test_splitters_that_cannot_be_told_apart_are_not_mixed_up(data):
    X, y = data
    even, front = OwnSplitter(lambda i: i % 2 == 0), OwnSplitter(lambda i: i < 45)
    expected = soft_labels(Counting(), X, y, cv=list(front.split(X)))

    soft_labels(Counting(), X, y, cv=even)
    labels = soft_labels(Counting(), X, y, cv=front)

    assert_allclose(labels, expected, atol=1e-6)


def test_teacher_that_cannot_be_pickled_is_asked_each_time(data):
    X, y = data
    teacher = Unpicklable().fit(X, y)
    CALLS.clear()

    first, second = soft_labels(teacher, X), soft_labels(teacher, X)

    assert stamp(teacher) is None
    assert CALLS == {"ask": 2}
    assert_array_equal(first, second)
    assert_allclose(first, teacher.predict_proba(X), atol=1e-6)
    assert cache.nbytes == 0


def test_student_learns_from_a_teacher_that_cannot_be_pickled(data, tmp_path):
    X, y = data
    teacher = Unpicklable().fit(X, y)

    clf = fit_student(teacher, X, y, memory=tmp_path)

    plain = fit_student(LogisticRegression().fit(X, y), X, y)
    assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    assert not any(tmp_path.rglob("output.pkl"))


def test_chunks_of_partial_fit_are_not_kept(data):
    X, y = data
    teacher = Counting().fit(X, y)
    clf = DistilledClassifier(teacher, student(), random_state=0)

    for rows in (slice(0, 45), slice(45, 90), slice(0, 45)):
        clf.partial_fit(X[rows], y[rows])

    assert cache.nbytes == 0
    clf.fit(X, y)
    assert cache.nbytes > 0


def test_cached_teacher_is_there_after_the_second_fit(data):
    X, y = data
    first = fit_student(Counting(), X, y)

    second = fit_student(Counting(), X, y)

    assert CALLS["fit"] == 1
    assert second.teacher_ is first.teacher_


# The cap


def test_labels_are_kept_and_counted():
    small = LabelCache(max_bytes=100)

    small.get("a", lambda: labels_of(40))

    assert small.nbytes == 40
    assert small.get("a", lambda: pytest.fail("asked twice")).nbytes == 40


def test_full_cache_takes_no_more_and_keeps_what_it_has():
    small = LabelCache(max_bytes=100)
    for key in "abc":
        small.get(key, lambda: labels_of(40))

    asked = []
    for key in "abc":
        small.get(key, lambda key=key: asked.append(key) or labels_of(40))

    assert asked == ["c"]
    assert small.nbytes == 80


def test_labels_larger_than_the_cap_are_returned_and_not_kept():
    small = LabelCache(max_bytes=100)

    labels = small.get("a", lambda: labels_of(400, value=3.0))

    assert_array_equal(labels.values, 3.0)
    assert small.nbytes == 0


@pytest.mark.parametrize("seed", range(5))
def test_cap_is_never_exceeded(seed):
    rng = np.random.default_rng(seed)
    small = LabelCache(max_bytes=5000)
    for key in range(100):
        teacher = rng.bytes(rng.integers(0, 4000)) if rng.random() < 0.5 else None
        size = int(rng.integers(0, 1500))
        small.get(str(key), lambda s=size, t=teacher: labels_of(s, teacher=t))
        assert small.nbytes <= 5000
    held = sum(entry.values.nbytes for entry in small._entries.values())
    held += sum(len(entry.teacher or b"") for entry in small._entries.values())
    assert 0 < held <= 5000


def test_teacher_is_kept_where_there_is_room():
    small = LabelCache(max_bytes=1000)
    teacher = b"t" * 500

    small.get("a", lambda: labels_of(40, teacher=teacher))

    assert small.get("a", pytest.fail).teacher is teacher
    assert 540 <= small.nbytes <= 700


def test_teacher_makes_room_for_labels():
    small = LabelCache(max_bytes=1000)
    small.get("a", lambda: labels_of(40, value=1.0, teacher=b"t" * 500))

    small.get("b", lambda: labels_of(800, value=2.0))

    kept = small.get("a", pytest.fail)
    assert kept.teacher is None
    assert_array_equal(kept.values, 1.0)
    assert_array_equal(small.get("b", pytest.fail).values, 2.0)
    assert small.nbytes == 840


def test_teacher_without_room_is_left_out_and_its_labels_stay():
    small = LabelCache(max_bytes=1000)

    given = small.get("a", lambda: labels_of(40, teacher=b"t" * 5000))

    assert given.teacher is not None
    assert small.get("a", pytest.fail).teacher is None
    assert small.nbytes == 40


def test_teacher_that_cannot_be_pickled_is_left_out_and_its_labels_stay():
    small = LabelCache(max_bytes=1000)

    small.get("a", lambda: labels_of(40, teacher=lambda: None))

    assert small.get("a", pytest.fail).teacher is None


def test_cleared_cache_is_empty():
    small = LabelCache(max_bytes=1000)
    small.get("a", lambda: labels_of(40, teacher=b"t"))

    small.clear()

    assert small.nbytes == 0
    assert small.get("a", lambda: labels_of(40, value=7.0)).values[0, 0] == 7.0


def test_cap_holds_for_real_searches(data, monkeypatch):
    X, y = data
    one_fold = 45 * 3 * 4 + 3 * 8
    monkeypatch.setattr(cache, "max_bytes", one_fold + 100)
    teacher = Counting().fit(X, y)
    CALLS.clear()

    search(teacher, {"alpha": [0.5, 0.7, 1.0]}, 2, X, y)

    assert cache.nbytes <= one_fold + 100
    assert CALLS["ask"] == 1 + 3 + 1  # one fold is kept, the other and the refit not


# Threads


def test_two_threads_that_ask_for_one_key_compute_it_once():
    shared, asked = LabelCache(), []
    started = threading.Barrier(2)

    def compute():
        asked.append(threading.get_ident())
        time.sleep(0.1)
        return labels_of(40)

    def get():
        started.wait(timeout=10)
        return shared.get("a", compute)

    with ThreadPoolExecutor(2) as threads:
        first, second = [threads.submit(get) for _ in range(2)]

    assert len(asked) == 1
    assert first.result() is not None
    assert first.result().values is second.result().values


def test_different_keys_do_not_wait_for_each_other():
    shared = LabelCache()
    both_compute = threading.Barrier(2)

    def compute():
        both_compute.wait(timeout=10)  # passes once both threads are computing
        return labels_of(40)

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda key: shared.get(key, compute), "ab"))

    assert [labels.nbytes for labels in results] == [40, 40]


def test_labels_made_from_labels_do_not_block_each_other():
    shared = LabelCache()

    outer = shared.get("a", lambda: shared.get("b", lambda: labels_of(40)))

    assert outer.nbytes == 40


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_while_computing_leaves_the_cache_usable(error):
    shared = LabelCache()

    def fail():
        raise error("out of memory")

    with pytest.raises(error, match="out of memory"):
        shared.get("a", fail)

    with ThreadPoolExecutor(1) as threads:  # another thread than the one that failed
        labels = threads.submit(shared.get, "a", lambda: labels_of(40))
        assert labels.result(timeout=10).nbytes == 40
    assert not shared._key_locks


def test_thread_that_waits_for_one_that_fails_computes_by_itself():
    shared = LabelCache()
    computing = threading.Event()

    def fail():
        computing.set()
        time.sleep(0.1)
        raise ValueError("once")

    with ThreadPoolExecutor(2) as threads:
        failing = threads.submit(shared.get, "a", fail)
        computing.wait(timeout=10)
        waiting = threads.submit(shared.get, "a", lambda: labels_of(40))

    assert isinstance(failing.exception(), ValueError)
    assert waiting.result().nbytes == 40


def test_many_threads_and_keys_compute_each_once():
    shared, asked = LabelCache(), Counter()
    keys = [str(number % 20) for number in range(400)]

    def get(key):
        def compute():
            asked[key] += 1
            return labels_of(40, value=float(key))

        return key, shared.get(key, compute).values[0, 0]

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(get, keys))

    assert all(float(key) == value for key, value in results)
    assert set(asked.values()) == {1}
    assert shared.nbytes == 20 * 40
    assert not shared._key_locks


def test_students_fitted_in_threads_share_one_teacher(data):
    X, y = data
    with ThreadPoolExecutor(2) as threads:
        fits = [threads.submit(fit_student, Counting(), X, y) for _ in range(4)]

    first, *others = [fit.result().predict_proba(X) for fit in fits]
    assert CALLS == {"fit": 1, "ask": 1}
    for other in others:
        assert_array_equal(other, first)


# Hashing the rows


def frame(**changes):
    columns = {
        "number": [1.0, 2.0, np.nan, 2.0],
        "count": [1, 2, 3, 4],
        "text": ["a", "b", None, "a" * 40],
        "flag": [True, False, True, True],
        "level": pd.Categorical(["u", "v", "u", None]),
    }
    return pd.DataFrame(columns | changes)


def polars_frame(**changes):
    columns = {
        "number": [1.0, 2.0, None, 2.0],
        "count": [1, 2, 3, 4],
        "text": ["a", "b", None, "a" * 40],
        "level": pl.Series(["u", "v", "u", None], dtype=pl.Categorical),
    }
    return pl.DataFrame(columns | changes)


def objects(values):
    return pd.DataFrame({"a": pd.Series(values, dtype=object)})


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: np.arange(12.0).reshape(4, 3), id="array"),
        pytest.param(lambda: np.array([["a", 1], ["b", None]], object), id="objects"),
        pytest.param(lambda: np.array(["".join("xy"), "z"]), id="strings"),
        pytest.param(lambda: [[1.0, 2.0], [3.0, 4.0]], id="lists"),
        pytest.param(lambda: [["".join("ab"), None], ["c", 1]], id="lists of strings"),
        pytest.param(frame, id="pandas"),
        pytest.param(lambda: frame()["text"], id="pandas series"),
        pytest.param(lambda: objects([[1, 2], {"a": 1}]), id="unhashable cells"),
        pytest.param(polars_frame, id="polars"),
        pytest.param(lambda: csr_matrix(np.eye(4)), id="sparse"),
        pytest.param(lambda: None, id="nothing"),
    ],
)
def test_equal_content_has_an_equal_hash(make):
    assert content_hash(make()) == content_hash(make())


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(lambda X: X.iloc[[0, 1, 2, 3]], id="rows by number"),
        pytest.param(lambda X: X.set_index(pd.Index(list("wxyz"))), id="other index"),
        pytest.param(lambda X: pd.concat([X.iloc[:1], X.iloc[1:]]), id="joined"),
    ],
)
def test_frame_made_in_another_way_has_an_equal_hash(again):
    assert content_hash(again(frame())) == content_hash(frame())


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(lambda X: X[[0, 1, 2, 3]], id="rows by number"),
        pytest.param(lambda X: pl.concat([X[:1], X[1:]]), id="joined"),
        pytest.param(lambda X: pl.concat([X, X])[4:], id="sliced"),
    ],
)
def test_polars_frame_made_in_another_way_has_an_equal_hash(again):
    assert content_hash(again(polars_frame())) == content_hash(polars_frame())


def test_memory_map_hashes_as_the_array_in_it(tmp_path):
    X = np.random.default_rng(0).normal(size=(10, 3))
    np.save(tmp_path / "X.npy", X)

    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")

    assert content_hash(mapped) == content_hash(X)


def test_sparse_rows_hash_alike_after_they_were_used():
    X = csr_matrix(np.eye(4))[[2, 0, 1]]
    before = content_hash(X)

    X.sum_duplicates()  # sets flags on the matrix, as any use of it may

    assert content_hash(X) == before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"number": [1.0, 2.5, np.nan, 2.0]}, id="number"),
        pytest.param({"number": [1.0, 2.0, 0.0, 2.0]}, id="missing number"),
        pytest.param({"count": [1, 2, 3, 5]}, id="integer"),
        pytest.param({"count": [1.0, 2.0, 3.0, 4.0]}, id="dtype of integers"),
        pytest.param({"text": ["a", "c", None, "a" * 40]}, id="text"),
        pytest.param({"text": ["a", "b", "", "a" * 40]}, id="missing text"),
        pytest.param({"text": ["a", "b", "nan", "a" * 40]}, id="missing as text"),
        pytest.param({"text": ["a", "b", None, "a" * 41]}, id="end of a long text"),
        pytest.param(
            {"count": np.arange(1, 5, dtype=np.int32)}, id="width of integers"
        ),
        pytest.param({"flag": [True, False, True, False]}, id="flag"),
        pytest.param({"flag": [1, 0, 1, 1]}, id="flags as integers"),
        pytest.param({"level": pd.Categorical(["u", "v", "v", None])}, id="category"),
        pytest.param(
            {"level": pd.Categorical(["u", "v", "u", None], categories=["v", "u"])},
            id="order of the categories",
        ),
        pytest.param(
            {"level": pd.Categorical(["u", "v", "u", None], categories=list("uvw"))},
            id="a category more",
        ),
        pytest.param({"level": ["u", "v", "u", None]}, id="categories as text"),
        pytest.param({"extra": [0, 0, 0, 0]}, id="a column more"),
    ],
)
def test_changed_frame_has_another_hash(change):
    assert content_hash(frame(**change)) != content_hash(frame())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda X: X.rename(columns={"text": "words"}), id="name"),
        pytest.param(lambda X: X.iloc[::-1], id="order of the rows"),
        pytest.param(lambda X: X[X.columns[::-1]], id="order of the columns"),
        pytest.param(lambda X: X.iloc[:3], id="a row less"),
        pytest.param(lambda X: X.drop(columns="text"), id="a column less"),
        pytest.param(
            lambda X: X.set_axis(["count", "number", *X.columns[2:]], axis=1),
            id="swapped names",
        ),
        pytest.param(lambda X: X.astype({"number": np.float32}), id="precision"),
        pytest.param(lambda X: X.to_numpy(), id="array of the same cells"),
    ],
)
def test_rearranged_frame_has_another_hash(change):
    assert content_hash(change(frame())) != content_hash(frame())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param([1, "x"], ["1", "x"], id="number for text"),
        pytest.param([1, 2], ["1", "2"], id="numbers for texts"),
        pytest.param([1, "1"], ["1", 1], id="swapped"),
        pytest.param(["x", None], ["x", "None"], id="None for text"),
        pytest.param(["x", np.nan], ["x", "nan"], id="NaN for text"),
        pytest.param([True, "x"], ["True", "x"], id="bool for text"),
        pytest.param([1.5, "x"], ["1.5", "x"], id="float for text"),
    ],
)
def test_cells_of_other_types_have_another_hash(first, second):
    assert content_hash(objects(first)) != content_hash(objects(second))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda X: X.with_columns(number=pl.Series([1.0, 2.5, None, 2.0])),
            id="number",
        ),
        pytest.param(
            lambda X: X.with_columns(text=pl.Series(["a", "b", None, "a" * 41])),
            id="text",
        ),
        pytest.param(
            lambda X: X.with_columns(text=pl.Series(["a", "b", "", "a" * 40])),
            id="missing text",
        ),
        pytest.param(lambda X: X.with_columns(pl.col("level").cast(str)), id="dtype"),
        pytest.param(lambda X: X.rename({"text": "words"}), id="name"),
        pytest.param(lambda X: X[::-1], id="order of the rows"),
        pytest.param(lambda X: X[X.columns[::-1]], id="order of the columns"),
        pytest.param(lambda X: X[:3], id="a row less"),
    ],
)
def test_changed_polars_frame_has_another_hash(change):
    assert content_hash(change(polars_frame())) != content_hash(polars_frame())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda X: X + np.eye(50)[7] * 1e-12, id="a cell"),
        pytest.param(lambda X: X[::-1].copy(), id="order of the rows"),
        pytest.param(lambda X: X[:, ::-1].copy(), id="order of the columns"),
        pytest.param(lambda X: X.astype(np.float32), id="dtype"),
        pytest.param(lambda X: X.reshape(50, 1000).copy(), id="shape"),
        pytest.param(lambda X: X[:-1], id="a row less"),
        pytest.param(csr_matrix, id="sparse"),
    ],
)
def test_changed_array_has_another_hash(change):
    # Larger than what a teacher's arrays are sampled from: data is never sampled.
    X = np.random.default_rng(0).normal(size=(1000, 50))

    assert content_hash(change(X)) != content_hash(X)


@pytest.mark.parametrize("cell", [0, 17_321, 49_999])
def test_any_single_cell_of_a_large_array_counts(cell):
    X = np.zeros((1000, 50))
    before = content_hash(X)

    X.flat[cell] = 1.0

    assert content_hash(X) != before


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([[1.0, 2.0]], [[1.0, 3.0]]),
        ([["a", "b"]], [["b", "a"]]),
        ([[1]], [["1"]]),
        ([[1, 2], [3, 4]], [[3, 4], [1, 2]]),
    ],
)
def test_changed_lists_have_another_hash(first, second):
    assert content_hash(first) != content_hash(second)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda X: X * 2, id="values"),
        pytest.param(lambda X: X[::-1], id="order of the rows"),
        pytest.param(lambda X: csr_matrix(X.toarray()[:, ::-1]), id="columns"),
        pytest.param(
            lambda X: csr_matrix((X.data, X.indices, X.indptr), (4, 9)), id="width"
        ),
    ],
)
def test_changed_sparse_rows_have_another_hash(change):
    X = csr_matrix(np.eye(4))

    assert content_hash(change(X)) != content_hash(X)


# memory=


@pytest.mark.parametrize(
    "make_memory",
    [
        pytest.param(str, id="str"),
        pytest.param(pathlib.Path, id="Path"),
        pytest.param(lambda path: joblib.Memory(path, verbose=0), id="Memory"),
        pytest.param(
            lambda path: joblib.Memory(path, mmap_mode="r", verbose=0),
            id="memory-mapped",
        ),
    ],
)
@pytest.mark.parametrize("fitted_before", [True, False])
def test_memory_keeps_labels_beyond_the_process(
    make_memory, fitted_before, data, tmp_path
):
    X, y = data
    teacher = Counting().fit(X, y) if fitted_before else Counting()
    CALLS.clear()
    first = fit_student(teacher, X, y, memory=make_memory(tmp_path))
    once = dict(CALLS)
    cache.clear()  # as in a new process

    second = fit_student(teacher, X, y, memory=make_memory(tmp_path))

    assert once["ask"] == 1
    assert once == CALLS
    assert_array_equal(second.predict_proba(X), first.predict_proba(X))


def test_memory_keeps_labels_that_the_process_had_already(data, tmp_path):
    X, y = data
    teacher = Counting().fit(X, y)
    fit_student(teacher, X, y)
    fit_student(teacher, X, y, memory=tmp_path)
    cache.clear()
    CALLS.clear()

    fit_student(teacher, X, y, memory=tmp_path)

    assert CALLS["ask"] == 0


def test_memory_does_not_mix_up_teachers(data, other_labels, tmp_path):
    X, y = data
    for target in (y, other_labels):
        teacher = LogisticRegression().fit(X, target)
        cache.clear()
        given = fit_student(teacher, X, target, memory=tmp_path)

        plain = fit_student(teacher, X, target)

        assert_array_equal(given.predict_proba(X), plain.predict_proba(X))


def test_memory_stays_where_it_was_given(data, tmp_path):
    fit_student(LogisticRegression(), *data, memory=tmp_path / "labels")

    assert [path.name for path in tmp_path.iterdir()] == ["labels"]
    assert list((tmp_path / "labels").rglob("output.pkl"))


def test_what_is_no_memory_is_refused(data):
    with pytest.raises(ValueError, match="memory"):
        fit_student(LogisticRegression(), *data, memory=5)


SCRIPT = """
    import sys, numpy as np, torch
    from sklearn.linear_model import LogisticRegression
    from skorch import NeuralNetClassifier
    from skdistill import DistilledClassifier, TorchTeacher

    folder = sys.argv[1]

    class Telling(LogisticRegression):
        def predict_proba(self, X):
            with open(folder + "/asked", "a") as file:
                file.write("sklearn ")
            return super().predict_proba(X)

    class TellingModule(torch.nn.Linear):
        def forward(self, X):
            with open(folder + "/asked", "a") as file:
                file.write("torch ")
            return super().forward(X)

    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)).astype(np.float32)
    y = (X[:, 0] + rng.normal(size=60) > 0).astype(int)
    net = NeuralNetClassifier(
        torch.nn.Linear, module__in_features=3, module__out_features=2,
        criterion=torch.nn.CrossEntropyLoss, max_epochs=1, train_split=None, verbose=0,
    )
    torch.manual_seed(0)
    module = TellingModule(3, 2)
    module.weight.data = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    for teacher in (Telling().fit(X, y), TorchTeacher(module, classes=[0, 1])):
        DistilledClassifier(
            teacher, net, memory=folder + "/labels", random_state=0
        ).fit(X, y)
"""


def test_next_run_of_a_program_asks_no_teacher_again(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(SCRIPT))
    for _ in range(2):
        subprocess.run(
            [sys.executable, script, tmp_path],
            check=True,
            cwd=ROOT,
            timeout=300,
            env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )

    assert Counter((tmp_path / "asked").read_text().split()) == {
        "sklearn": 1,
        "torch": 1,
    }


# Rows and their labels stay together


class Lookup(nn.Module):
    """A row of its own for each row of X, which says its number in column 3."""

    def __init__(self, n_rows):
        super().__init__()
        self.logits = nn.Embedding(n_rows, 3)

    def forward(self, X):
        return self.logits(X[:, 3].long())


N_ROWS = 30


def rows_with_labels_of_their_own():
    """Return X that says each row's logits and number, and y that tells nothing."""
    rng = np.random.default_rng(0)
    X = np.column_stack([0.7 * rng.normal(size=(N_ROWS, 3)), np.arange(N_ROWS)])
    return X.astype(np.float32), rng.integers(0, 3, N_ROWS)


def lookup_student(**params):
    defaults = {
        "criterion": nn.CrossEntropyLoss,
        "lr": 20.0,  # a step of 2 for each of the 10 rows of a batch
        "max_epochs": 25,
        "batch_size": 10,
        "train_split": None,
        "verbose": 0,
    }
    return NeuralNetClassifier(Lookup, module__n_rows=N_ROWS, **defaults | params)


@pytest.mark.filterwarnings("ignore:the teacher's balanced accuracy:UserWarning")
@pytest.mark.parametrize(
    "params",
    [
        pytest.param({}, id="in order"),
        pytest.param({"iterator_train__shuffle": True}, id="shuffled"),
        pytest.param(
            {
                "batch_size": 8,
                "iterator_train__shuffle": True,
                "iterator_train__drop_last": True,
            },
            id="last batch dropped",
        ),
        pytest.param(
            {
                "iterator_train__sampler": torch.utils.data.WeightedRandomSampler(
                    [1.0] * N_ROWS, 2 * N_ROWS
                )
            },
            id="drawn with replacement",
        ),
    ],
)
@pytest.mark.parametrize("precomputed", [True, False])
def test_each_row_keeps_its_own_soft_labels(params, precomputed):
    X, y = rows_with_labels_of_their_own()
    expected = RowTeacher().predict_proba(X)
    teacher = None if precomputed else RowTeacher()
    clf = DistilledClassifier(
        teacher, lookup_student(**params), alpha=1.0, temperature=1.0, random_state=0
    )

    clf.fit(X, y, teacher_proba=expected if precomputed else None)

    assert_allclose(clf.predict_proba(X), expected, atol=0.02)


@pytest.mark.filterwarnings("ignore:the teacher's balanced accuracy:UserWarning")
def test_rows_of_a_shuffled_train_split_keep_their_soft_labels():
    X, y = rows_with_labels_of_their_own()
    expected = RowTeacher().predict_proba(X)
    net = lookup_student(
        train_split=ValidSplit(0.33, random_state=0), iterator_train__shuffle=True
    )

    clf = DistilledClassifier(
        RowTeacher(), net, alpha=1.0, temperature=1.0, random_state=0
    ).fit(X, y)

    learned = np.abs(clf.predict_proba(X) - expected).max(axis=1) < 0.02
    assert learned.sum() >= 20  # the rows that are left for training
    assert clf.history_[-1]["train_agreement"] > 0.99
    assert clf.history_[-1]["valid_agreement"] < 0.8


@pytest.mark.filterwarnings("ignore:the teacher's balanced accuracy:UserWarning")
def test_folds_of_a_search_keep_rows_and_precomputed_labels_together():
    X, y = rows_with_labels_of_their_own()
    expected = RowTeacher().predict_proba(X)
    seen = {}

    def scorer(clf, X_test, y_test):
        order = X_test[:, 3].astype(int)
        rest = np.setdiff1d(np.arange(N_ROWS), order)
        gap = np.abs(clf.predict_proba(X[rest]) - expected[rest]).max()
        seen[tuple(order)] = gap
        return -gap

    clf = DistilledClassifier(
        student=lookup_student(iterator_train__shuffle=True),
        alpha=1.0,
        temperature=1.0,
        random_state=0,
    )
    cv = KFold(3, shuffle=True, random_state=0)
    GridSearchCV(clf, {"alpha": [1.0]}, cv=cv, scoring=scorer, refit=False).fit(
        X, y, teacher_proba=expected
    )

    assert len(seen) == 3
    assert max(seen.values()) < 0.02
