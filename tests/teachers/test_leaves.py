"""Leaves of trees become a few features, by how often rows share them."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
)
from sklearn.tree import DecisionTreeClassifier

from skdistill._teachers import _features
from skdistill._teachers._features import N_LEAF_FEATURES, leaves_of, teacher_features
from tests.kinds import (
    features_of,
    hist_boosting,
    lightgbm_classifier,
    small_forest,
    xgboost_classifier,
)


def binary(y):
    return (y > 0).astype(int)


def apply(teacher, X):
    return np.asarray(teacher.apply(X)).reshape(len(X), -1)


def staged_values(teacher, X):
    """Return what each stage adds; where it differs, rows are in different leaves."""
    stages = np.array(list(teacher.staged_decision_function(X)))
    stages = stages.reshape(len(stages), len(X), -1)
    stages[1:] -= stages[:-1].copy()
    return np.concatenate(list(stages), axis=1)


def leaves_by_booster(teacher, X):
    return np.reshape(teacher.booster_.predict(X, pred_leaf=True), (len(X), -1))


TREES = {
    "RandomForest": (small_forest, apply),
    "ExtraTrees": (
        partial(
            ExtraTreesClassifier, n_estimators=10, min_samples_leaf=3, random_state=0
        ),
        apply,
    ),
    "DecisionTree": (
        partial(DecisionTreeClassifier, max_depth=4, random_state=0),
        apply,
    ),
    "GradientBoosting": (
        partial(
            GradientBoostingClassifier, n_estimators=10, max_depth=2, random_state=0
        ),
        apply,
    ),
    "HistGradientBoosting": (hist_boosting, staged_values),
    "LightGBM": (lightgbm_classifier, leaves_by_booster),
    "XGBoost": (xgboost_classifier, apply),
}


@pytest.fixture(
    scope="module",
    params=[(kind, n_classes) for kind in TREES for n_classes in (2, 3)],
    ids=lambda param: f"{param[0]}-{param[1]}",
)
def trees(request, data):
    """Return a fitted ensemble of trees, and a function for the leaves of rows."""
    kind, n_classes = request.param
    make_teacher, numbers_of = TREES[kind]
    X, y = data
    teacher = make_teacher().fit(X, y if n_classes == 3 else binary(y))
    return teacher, partial(numbers_of, teacher)


def shares(leaves):
    """Return the share of trees in which two rows meet, for all pairs."""
    return np.isclose(leaves[:, None], leaves[None], rtol=0, atol=1e-9).mean(axis=2)


def test_leaves_become_features_of_a_fixed_width_and_scale(trees, data):
    features, reduction = teacher_features(trees[0], data[0], "auto")

    assert features.shape == (len(data[0]), N_LEAF_FEATURES)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.square(features).mean() == pytest.approx(1, rel=1e-3)
    assert reduction is not None
    assert_array_equal(features_of(trees[0], data[0]), features)


def test_rows_that_share_all_leaves_have_equal_features(trees, data):
    teacher, numbers_of = trees
    X, _ = data
    X = np.vstack([X, X + 1e-3])
    together = shares(numbers_of(X)) == 1
    np.fill_diagonal(together, False)

    features = features_of(teacher, X)

    first, second = np.nonzero(together)
    assert len(first) > 50
    assert_allclose(features[first], features[second], atol=1e-6)
    assert not together.all()


def test_inner_products_follow_the_share_of_trees_in_which_rows_meet(trees, data):
    teacher, numbers_of = trees
    X, _ = data
    pairs = np.triu_indices(len(X), 1)
    share = shares(numbers_of(X))[pairs]

    features = features_of(teacher, X)

    products = (features @ features.T)[pairs]
    assert np.corrcoef(products, share)[0, 1] > 0.9


def test_reduction_of_other_rows_gives_a_row_the_same_features(trees, data):
    teacher, _ = trees
    before, reduction = teacher_features(teacher, data[0][:60], "auto")

    after, same = teacher_features(teacher, data[0][:29:-1], "auto", reduction)

    assert same is reduction
    assert after.shape == (60, N_LEAF_FEATURES)
    assert_allclose(after[30:], before[:29:-1], atol=1e-6)


@pytest.mark.parametrize(
    "n_rows", [2, 5, N_LEAF_FEATURES - 1, N_LEAF_FEATURES, N_LEAF_FEATURES + 1]
)
def test_few_rows_get_the_full_width(n_rows, forest, data):
    features, reduction = teacher_features(forest, data[0][:n_rows], "auto")

    assert features.shape == (n_rows, N_LEAF_FEATURES)
    assert np.square(features).mean() == pytest.approx(1, rel=1e-3)
    assert features_of(forest, data[0], reduction=reduction).shape[1] == N_LEAF_FEATURES


@pytest.mark.parametrize(
    "make_teacher",
    [
        pytest.param(lambda X, y: small_forest().fit(X, y), id="rows alike"),
        # 90 rows are too few to be split with as many in each leaf.
        pytest.param(
            lambda X, y: hist_boosting(min_samples_leaf=50).fit(X, y), id="no split"
        ),
    ],
)
@pytest.mark.parametrize("n_rows", [1, 4])
def test_rows_that_all_share_their_leaves_have_finite_features(
    make_teacher, n_rows, data
):
    X, y = data
    teacher = make_teacher(X, y)

    features = features_of(teacher, X[[0] * n_rows])  # any warning is an error

    assert features.shape == (n_rows, N_LEAF_FEATURES)
    assert np.isfinite(features).all()
    assert_allclose(features, features[[0] * n_rows], atol=1e-6)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_features_are_the_same_whatever_scikit_learn_is_set_to_give(
    output, forest, data
):
    expected = features_of(forest, data[0])

    with config_context(transform_output=output):
        features, reduction = teacher_features(forest, data[0], "auto")

    assert_array_equal(features, expected)
    assert np.ndim(reduction.scale) == 0


@pytest.mark.parametrize(
    "make_teacher",
    [hist_boosting, lightgbm_classifier, small_forest, TREES["GradientBoosting"][0]],
)
def test_frame_gives_the_features_of_the_array_in_it(make_teacher, data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcd"))

    features = features_of(make_teacher().fit(frame, y), frame)

    assert_allclose(features, features_of(make_teacher().fit(X, y), X), atol=1e-5)


@pytest.mark.parametrize("make_teacher", [hist_boosting, lightgbm_classifier])
def test_categories_of_a_frame_reach_the_trees(make_teacher, data):
    X, y = data
    frame = pd.DataFrame(X[:, :3], columns=list("abc"))
    frame["word"] = pd.Categorical(np.array(["x", "y", "z"])[y])  # tells the class
    teacher = make_teacher().fit(frame, y)

    features = features_of(teacher, frame)

    closeness = features @ features.T
    same = y[:, None] == y
    assert closeness[same].mean() > 2 * abs(closeness[~same].mean())


def test_leaves_are_numbers_for_each_tree(trees, data):
    teacher, numbers_of = trees
    expected = numbers_of(data[0])

    found = leaves_of(teacher, data[0]).numbers

    assert found.dtype == np.int64
    assert found.shape == expected.shape
    assert_array_equal(shares(found), shares(expected))


def test_bytes_of_a_reduction_are_those_of_its_components(forest, data):
    _, reduction = teacher_features(forest, data[0], "auto")

    assert reduction.nbytes == reduction.svd.components_.nbytes


def test_many_rows_are_hashed_in_batches_as_at_once(forest, data, monkeypatch):
    leaves = leaves_of(forest, data[0])
    at_once = leaves.hashed()
    monkeypatch.setattr(_features, "_BATCH_SIZE", 40)

    in_batches = leaves.hashed()

    assert (in_batches != at_once).nnz == 0
    assert np.unique(at_once.data).tolist() == [-1, 1]
    assert_array_equal(abs(at_once).sum(axis=1), np.full((90, 1), 10))


@pytest.mark.parametrize(
    "regressor",
    [
        GradientBoostingRegressor(n_estimators=5),
        HistGradientBoostingRegressor(max_iter=5),
        HistGradientBoostingRegressor(loss="poisson", max_iter=5),
        HistGradientBoostingRegressor(loss="gamma", max_iter=5),
    ],
    ids=repr,
)
def test_regressors_have_the_leaves_of_their_trees(regressor, data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcd"))
    teacher = regressor.fit(frame, 1e8 + 1e4 * y)
    stages = np.stack(list(teacher.staged_predict(frame)), axis=1)

    # Any warning is an error.
    numbers = leaves_of(teacher, frame).numbers

    together = (numbers[:, None] == numbers).all(axis=2)
    alike = np.isclose(stages[:, None], stages, 1e-12).all(axis=2)
    assert (together <= alike).all()  # some leaves have equal values
    assert together.sum() > 0.9 * alike.sum() > len(X)


class Rounding:
    """Adds the same to two rows in its second stage, up to rounding."""

    def staged_decision_function(self, X):
        yield np.array([1.0, 2.0])
        yield np.array([1.0 + 1e-12, 2.0 - 1e-12])


def test_a_leaf_of_zero_is_one_leaf_whatever_the_sign_of_rounding():
    numbers = _features._leaf_values(Rounding(), None)
    assert numbers[0, 0] != numbers[1, 0]
    assert numbers[0, 1] == numbers[1, 1]
