"""Quantiles as a target, and the students that learn them."""

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, QuantileRegressor
from sklearn.metrics import d2_pinball_score, mean_pinball_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledRegressor, make_student
from skdistill._students._pinball import PinballLoss
from skdistill._targets._answer import Answer
from skdistill._targets._quantiles import Quantiles, check_levels
from skdistill._transfer._store import store

LEVELS = [0.1, 0.5, 0.9]


def sample(n_rows, seed):
    """Return rows, and numbers that are normal with a known scale."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_rows, 2))
    return X, X[:, 0] + (1.2 + X[:, 1]) * rng.normal(size=n_rows)


@pytest.fixture(scope="module")
def rows():
    return sample(400, 0)


class QuantileForest(RandomForestRegressor):
    """Takes quantiles in predict, as quantile forests do."""

    def predict(self, X, quantiles="mean"):
        of_trees = np.stack([tree.predict(X) for tree in self.estimators_])
        if quantiles == "mean":
            return of_trees.mean(axis=0)
        return np.quantile(of_trees, quantiles, axis=0).T


def distilled(teacher=None, **params):
    student = make_student((16,), task="regression", max_epochs=40)
    defaults = {"quantiles": LEVELS, "augmenter": None, "random_state": 0}
    return DistilledRegressor(teacher, student, **defaults | params)


def boosted():
    return [
        GradientBoostingRegressor(
            loss="quantile", alpha=level, n_estimators=30, random_state=0
        )
        for level in LEVELS
    ]


TEACHERS = {
    "a forest of all": lambda: QuantileForest(30, min_samples_leaf=5, random_state=0),
    "one for each": boosted,
}


@pytest.mark.parametrize("name", TEACHERS)
@pytest.mark.parametrize("augmenter", ["auto", None])
def test_student_predicts_the_quantiles_of_its_teacher(name, augmenter, rows):
    X, _ = sample(500, 1)
    reg = distilled(TEACHERS[name](), augmenter=augmenter).fit(*rows)
    assert reg.alpha_ == 1
    asked = reg.teacher_
    if isinstance(asked, list):
        expected = np.stack([one.predict(X) for one in asked], axis=1)
    else:
        expected = asked.predict(X, quantiles=LEVELS)
    found = reg.predict(X)
    assert found.shape == (500, 3)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9
    assert (np.diff(found, axis=1) >= 0).all()


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_second_term_is_the_pinball_loss(alpha, rows):
    X, y = sample(2000, 1)
    given = np.quantile(rows[1], LEVELS) * np.ones((400, 1))
    reg = distilled(alpha=alpha).fit(*rows, teacher_pred=given)
    assert type(reg.student_[-1].criterion_) is PinballLoss
    if alpha == 0:
        shares = (y[:, np.newaxis] <= reg.predict(X)).mean(axis=0)
        assert_allclose(shares, LEVELS, atol=0.07)
        scores = [
            d2_pinball_score(y, pred, alpha=level)
            for pred, level in zip(reg.predict(X).T, LEVELS, strict=True)
        ]
        assert reg.score(X, y) == pytest.approx(np.mean(scores))
        assert reg.score(X, y) > 0.1


@pytest.mark.parametrize("fitted", [False, True])
def test_a_teacher_is_asked_again_for_other_levels(fitted, rows):
    forest = TEACHERS["a forest of all"]()
    forest = forest.fit(*rows) if fitted else forest
    distilled(forest, quantiles=[0.45, 0.5, 0.55]).fit(*rows)
    said = distilled(forest, quantiles=[0.01, 0.5, 0.99]).fit(*rows).predict(rows[0])
    store.clear()
    expected = distilled(forest, quantiles=[0.01, 0.5, 0.99]).fit(*rows)
    assert_allclose(said, expected.predict(rows[0]))


def test_rows_to_measure_the_teacher_have_no_effect(rows):
    X, y = rows
    teachers = [QuantileRegressor(quantile=q, alpha=0).fit(X, y) for q in LEVELS]
    plain, given = (
        distilled(teachers, calibrate_teacher=pair).set_params(
            student__net__max_epochs=2
        )
        for pair in (None, (X[:20], y[:20]))
    )
    assert_allclose(plain.fit(X, y).predict(X), given.fit(X, y).predict(X), rtol=0)
    assert given.alpha_ == 1


def test_out_of_fold_quantiles(rows):
    reg = distilled(QuantileForest(20, min_samples_leaf=5, random_state=0), cv=3).fit(
        *rows
    )
    assert reg.predict(rows[0]).shape == (400, 3)


@pytest.mark.parametrize("augmenter", [None, "munge"])
def test_out_of_fold_quantiles_of_a_teacher_for_each(augmenter, rows):
    X, y = rows
    reg = distilled(boosted(), cv=3, augmenter=augmenter, alpha=1.0).fit(X, y)
    shares = (y[:, np.newaxis] <= reg.predict(X)).mean(axis=0)
    assert_allclose(shares, LEVELS, atol=0.1)


def test_criterion_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    y, outputs = rng.normal(size=(50, 1)), rng.normal(size=(50, 3))
    loss = PinballLoss(LEVELS)
    tiled = torch.tensor(np.tile(y, 3))
    expected = [
        mean_pinball_loss(y[:, 0], pred, alpha=level)
        for pred, level in zip(outputs.T, LEVELS, strict=True)
    ]
    found = loss(torch.tensor(outputs), tiled)
    assert_allclose(found, np.mean(expected))
    loss.reduction = "none"
    assert_allclose(loss(torch.tensor(outputs), tiled).mean(dim=0), expected)


@pytest.mark.parametrize("kind", ["pipeline", "search", "frozen pipeline"])
def test_levels_reach_a_forest_inside(kind, rows):
    forest = QuantileForest(5, min_samples_leaf=20, random_state=0)
    wrapped = {
        "pipeline": make_pipeline(StandardScaler(), forest),
        "search": GridSearchCV(forest, {"max_depth": [3]}, cv=2),
        "frozen pipeline": FrozenEstimator(
            make_pipeline(StandardScaler(), forest).fit(*rows)
        ),
    }
    inside, X = wrapped[kind], rows[0]
    inside = inside if kind == "frozen pipeline" else inside.fit(*rows)
    said = Quantiles(levels=tuple(LEVELS)).ask(inside, X)
    assert said.shape == (400, 3)
    last = inside.best_estimator_ if kind == "search" else inside[-1]
    scaled = X if kind == "search" else inside[0].transform(X)
    assert_allclose(said, last.predict(scaled, quantiles=LEVELS))


def test_a_forest_has_no_out_of_bag_quantiles(rows):
    reg = distilled(QuantileForest(5, random_state=0), soft_labels="out_of_bag")
    with pytest.raises(ValueError, match="use soft_labels='out_of_fold'"):
        reg.fit(*rows)


def test_outputs_that_cross_are_sorted():
    target = Quantiles(levels=(0.1, 0.9))
    learned = target.learned(np.array([[0.0, 1.0], [2.0, 3.0]]), None, None)
    decoded = learned.decode(np.array([[5.0, -5.0]]))
    assert decoded[0, 0] < decoded[0, 1]


def test_a_single_quantile_is_a_column(rows):
    X, y = rows[:2]
    reg = distilled(quantiles=[0.9], alpha=0.5).fit(X, y, teacher_pred=y)
    assert reg.predict(X).shape == (len(X), 1)


def test_hard_targets_are_the_number_for_each_quantile():
    target = Quantiles(levels=(0.1, 0.9))
    y = np.array([1.0, 3.0])
    learned = target.learned(np.array([[1.0, 2.0], [3.0, 4.0]]), y, None)
    soft = learned.soft(Answer(np.array([[1.0, 2.0], [3.0, 4.0]]), np.arange(2)))
    assert_allclose(learned.hard(soft, y), [[-1, -1], [1, 1]])
    assert_allclose(soft, [[-1, 0], [1, 2]])


def test_one_quantile_is_a_column(rows):
    reg = distilled(QuantileRegressor(quantile=0.9, alpha=0), quantiles=[0.9])
    assert reg.fit(*rows).predict(rows[0]).shape == (400, 1)


@pytest.mark.parametrize(
    "levels", [[], [0.5, 0.1], [0.5, 0.5], [0, 0.5], [0.5, 1], [np.nan], [[0.5]], ["a"]]
)
def test_wrong_levels_are_refused(levels):
    with pytest.raises(ValueError, match="between 0 and 1 in increasing order"):
        check_levels(levels)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (LinearRegression(), "gives 1 numbers for each row, and there are 3 quantiles"),
        ([LinearRegression()] * 2, "gives 1 numbers"),
    ],
)
def test_teachers_without_all_quantiles_are_refused(teacher, message, rows):
    with pytest.raises(ValueError, match=message):
        distilled(teacher).fit(*rows)


def test_several_targets_are_refused(rows):
    X, y = rows
    with pytest.raises(ValueError, match="of a single target, and y has 2"):
        distilled(boosted()).fit(X, np.stack([y, y], axis=1))


def test_columns_in_another_order_are_told(rows):
    X, y = rows
    given = np.quantile(y, LEVELS[::-1]) * np.ones((400, 1))
    with pytest.warns(UserWarning, match="its columns are in another order"):
        distilled(alpha=1.0).fit(X, y, teacher_pred=given)


def test_numbers_without_noise_are_no_reason_for_a_warning(rows):
    X, _ = rows
    y = X[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distilled(alpha=1.0).fit(X, y, teacher_pred=np.tile(y[:, np.newaxis], 3))
