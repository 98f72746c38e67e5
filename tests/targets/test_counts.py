"""Counts: students of a Poisson loss, which learn logarithms."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_poisson_deviance, r2_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils import get_tags
from skorch import NeuralNetRegressor
from torch import nn

from skdistill import DistilledRegressor, make_student
from skdistill._targets._answer import Answer
from skdistill._targets._counts import Counts
from skdistill.deploy import (
    CompiledStudent,
    OnnxRegressor,
    to_c,
    to_onnx,
    to_sklearn,
)
from skdistill.losses import PoissonLoss
from tests.test_regressor import tiny


@pytest.fixture(scope="module")
def table():
    """Return 300 rows, counts, many of which are 0, and their means."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    means = np.exp(0.8 * X[:, 0] + 0.5 * X[:, 1])
    return X, rng.poisson(means).astype(float), means


@pytest.fixture(scope="module")
def forest(table):
    X, y, _ = table
    return RandomForestRegressor(20, min_samples_leaf=5, random_state=0).fit(X, y)


def distilled(teacher=None, net=None, **params):
    net = make_student((16,), task="regression", max_epochs=20) if net is None else net
    defaults = {"loss": "poisson", "augmenter": None, "random_state": 0}
    return DistilledRegressor(teacher, net, **defaults | params)


@pytest.mark.parametrize("how", [{}, {"alpha": 1.0}, {"alpha": 0.5}], ids=str)
def test_a_student_of_counts_is_positive_and_near_the_means(table, forest, how):
    X, y, means = table
    reg = distilled(forest, augmenter="auto", **how).fit(X, y)
    said = reg.predict(X)
    assert said.min() > 0
    constant = mean_poisson_deviance(means, np.full(300, y.mean()))
    assert mean_poisson_deviance(means, said) < 0.3 * constant
    assert reg.score(X, y) == pytest.approx(r2_score(y, said))
    assert reg.link_ == "log"
    assert get_tags(reg).target_tags.positive_only
    assert (reg.y_mean_, reg.y_scale_) == (0, pytest.approx(y.mean()))
    assert reg.y_bounds_[0] == 0
    assert reg.predict(50 * X).max() <= reg.y_bounds_[1]


def test_nothing_depends_on_the_unit_of_counts(table):
    X, y, _ = table
    reg = distilled(KNeighborsRegressor(), augmenter="auto")
    expected, alpha = reg.fit(X, y).predict(X), reg.alpha_
    for unit in (1e9, 1e-9):
        assert_allclose(reg.fit(X, unit * y).predict(X) / unit, expected, rtol=1e-3)
        assert reg.alpha_ == pytest.approx(alpha, abs=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_loop_and_skorch_train_the_same_net(table, forest, alpha):
    class ByHand(NeuralNetRegressor):
        def get_loss(self, *args, **kwargs):
            return super().get_loss(*args, **kwargs)

    X, y, _ = table
    options = {"max_epochs": 3, "iterator_train__shuffle": False}
    options |= {"criterion": PoissonLoss.criterion}
    both = np.stack([y, y**2], axis=1)
    teacher = KNeighborsRegressor().fit(X, both)
    for weight in (None, 1.0 + np.arange(300) % 3):
        fast, slow = (
            distilled(
                teacher,
                kind(**tiny(**options).get_params(deep=False)),
                alpha=alpha,
            ).fit(X.astype(np.float32), both, sample_weight=weight)
            for kind in (NeuralNetRegressor, ByHand)
        )
        rows = X.astype(np.float32)
        assert_allclose(fast.predict(rows), slow.predict(rows), rtol=1e-3)
        for name in fast.history_[-1]:
            if name.startswith("train_loss"):
                assert_allclose(
                    fast.history_[:, name], slow.history_[:, name], rtol=1e-3, atol=1e-6
                )


def test_loss_is_half_the_deviance_of_scaled_counts(table, forest):
    X, y, _ = table
    net = tiny(max_epochs=1, batch_size=-1, criterion=PoissonLoss.criterion, lr=0.0)
    reg = distilled(forest, net, alpha=0.4).fit(X.astype(np.float32), y)
    said, unit = reg.predict(X.astype(np.float32)), y.mean()
    terms = [
        mean_poisson_deviance(target / unit, said / unit) / 2
        for target in (forest.predict(X), y)
    ]
    found = [reg.history_[-1, f"train_loss_{term}"] for term in ("soft", "hard")]
    assert_allclose(found, terms, rtol=1e-4)
    mixed = 0.4 * terms[0] + 0.6 * terms[1]
    assert reg.history_[-1, "train_loss"] == pytest.approx(mixed, rel=1e-4)


def test_share_is_that_of_the_best_mixture():
    rng = np.random.default_rng(0)
    means = rng.uniform(0.2, 3, size=(2000, 1))
    y = rng.poisson(means).astype(np.float32)
    good, bad, weight = means, means[::-1], np.ones(2000)
    assert Counts().share(good, bad, y, weight) > 0.95
    assert Counts().share(bad, good, y, weight) < 0.05
    assert Counts().most_trust(good, y, weight, 20 * good, good) < 0.1


def test_made_rows_of_which_teacher_and_nets_disagree_more_than_usual_are_named():
    rng = np.random.default_rng(0)
    said, nets = np.exp(rng.normal(size=(2, 100, 1)) * [[[1.0]], [[0.1]]])
    made = said * np.where(np.arange(100) < 5, 20.0, 1.0)[:, np.newaxis]
    found = Counts().far_apart(said, said * nets, made, said)
    assert found.tolist() == [0, 1, 2, 3, 4]


def test_leaves_of_zeros_teach_and_negative_predictions_do_not(table):
    X, y, _ = table
    zeros = np.where(y > 2, y, 0.0)
    reg = distilled(alpha=1.0).fit(X, y, teacher_pred=zeros)
    assert 0 < reg.predict(X).min() < 0.5
    target = Counts(location=np.zeros(1), scale=np.ones(1), names=np.arange(1))
    soft = target.soft(Answer(np.zeros((1, 1)), np.arange(1)))
    assert_allclose(np.exp(soft), 1e-6, rtol=1e-4)
    for fit in (
        lambda: distilled(LinearRegression()).fit(X, y),
        lambda: distilled().fit(X, y, teacher_pred=zeros - 1),
        lambda: distilled(LinearRegression().fit(X, y)).fit(X),
        lambda: distilled(KNeighborsRegressor()).fit(X, y - 1),
    ):
        with pytest.raises(ValueError, match="is for numbers from 0 on: use"):
            fit()


def test_constant_counts_are_predicted(table):
    X, *_ = table
    for value in (0.0, 3.0):
        reg = distilled(KNeighborsRegressor()).fit(X, np.full(300, value))
        assert_allclose(reg.predict(X), value, atol=0.05)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"quantiles": [0.1, 0.9]}, "quantiles have a loss of their own"),
        ({"loss": [("poisson", 1.0), ("huber", 1.0)]}, "use 'poisson' alone"),
    ],
)
def test_other_losses_are_not_mixed_with_logarithms(table, params, problem):
    X, y, _ = table
    with pytest.raises(ValueError, match=problem):
        distilled(KNeighborsRegressor(), **params).fit(X, y)


@pytest.mark.parametrize(
    ("loss", "criterion"),
    [("poisson", nn.MSELoss), ("squared_error", nn.PoissonNLLLoss())],
)
def test_nets_of_another_output_are_refused(table, loss, criterion):
    X, y, _ = table
    reg = distilled(KNeighborsRegressor(), tiny(criterion=criterion), loss=loss)
    with pytest.raises(TypeError, match="set both, or neither"):
        reg.fit(X.astype(np.float32), y)


def test_a_list_a_criterion_of_torch_and_chunks(table, forest):
    X, y, _ = table
    rows = X.astype(np.float32)
    net = tiny(criterion=nn.PoissonNLLLoss, max_epochs=30)
    reg = distilled(forest, net, loss=[(PoissonLoss(), 2.0)], alpha=0.5).fit(rows, y)
    assert r2_score(forest.predict(X), reg.predict(rows)) > 0.6
    chunks = distilled(forest, alpha=0.5)
    for _ in range(20):
        chunks.partial_fit(X, y)
    assert r2_score(forest.predict(X), chunks.predict(X)) > 0.6
    loaded = pickle.loads(pickle.dumps(chunks))
    assert_allclose(loaded.predict(X), chunks.predict(X))
    said = chunks.student_.predict(X)[:, 0] * y.mean()
    assert_allclose(said, chunks.predict(X), rtol=1e-6)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_exports_predict_the_same(table, n_targets, tmp_path):
    X, y, _ = table
    targets = y if n_targets == 1 else np.stack([y, 1e6 * y], axis=1)
    reg = distilled(KNeighborsRegressor(), alpha=0.5).fit(X, targets)
    said = reg.predict(X)
    assert said.shape == targets.shape
    plain = to_sklearn(reg)
    assert plain["mlp"].out_activation_ == "exp"
    low, high = reg.y_bounds_
    assert_allclose(plain.predict(X).clip(low, high).reshape(said.shape), said, 1e-5)
    far = 100 * X
    model = OnnxRegressor(to_onnx(reg))
    for rows in (X, far):
        assert_allclose(model.predict(rows), reg.predict(rows), rtol=1e-4)
    to_c(reg, tmp_path / "counts.c")
    compiled = CompiledStudent(tmp_path / "counts.c")
    assert_allclose(compiled.predict(X), said, rtol=1e-4)


def test_unbounded_counts_are_exported(table):
    X, y, _ = table
    reg = distilled(HistGradientBoostingRegressor(loss="poisson"), extrapolation=None)
    reg.fit(X, y)
    assert reg.y_bounds_ is None
    assert_allclose(to_sklearn(reg).predict(X), reg.predict(X), rtol=1e-4)
    with torch.no_grad():
        reg.student_[-1].module_.layers[-1].bias += 800.0
    assert np.isinf(reg.predict(X)).all()
