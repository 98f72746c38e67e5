from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from skorch.callbacks import Callback, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import (
    ExponentialLR,
    LambdaLR,
    OneCycleLR,
    ReduceLROnPlateau,
)

from skdistill import DistilledClassifier, make_student
from skdistill._students._net import MLP, PeriodicEmbedding, WarmupDecay


@pytest.mark.parametrize("sizes", [(64, 64), [8], 8, (), np.array([4, 3, 2])], ids=str)
def test_mlp_returns_a_logit_per_class(sizes):
    logits = MLP(5, 3, hidden_layer_sizes=sizes)(torch.zeros(7, 5))
    assert logits.shape == (7, 3)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("identity", lambda z: z),
        ("logistic", torch.sigmoid),
        ("relu", torch.relu),
        ("tanh", torch.tanh),
    ],
)
def test_mlp_is_a_plain_stack_of_layers(activation, function):
    mlp = MLP(4, 3, hidden_layer_sizes=(6, 5), activation=activation)
    X = torch.randn(10, 4)
    linear = [layer for layer in mlp.layers if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in linear] == [6, 5, 3]
    by_hand = linear[2](function(linear[1](function(linear[0](X)))))
    torch.testing.assert_close(mlp(X), by_hand)


def test_mlp_drops_units_in_training_alone():
    mlp = MLP(4, 2, dropout=0.5)
    X = torch.ones(1, 4)
    assert not torch.equal(mlp(X), mlp(X))
    mlp.eval()
    assert torch.equal(mlp(X), mlp(X))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": "swish"}, "one of .*'identity', 'logistic', 'relu', 'tanh'"),
        ({"hidden_layer_sizes": (8, 0)}, r"hidden_layer_sizes .* got \(8, 0\)"),
        ({"hidden_layer_sizes": (8.5,)}, r"positive integers, got \(8.5,\)"),
        ({"sigma": 0.0}, r"sigma must be positive, got 0.0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_mlp_says_what_is_wrong(parameters, message):
    with pytest.raises(ValueError, match=message):
        MLP(4, 2, **parameters)


def test_periodic_embedding_is_a_layer_of_waves_for_each_column():
    embedding = PeriodicEmbedding(2, sigma=0.5)
    X = torch.randn(5, 2)
    expected = []
    for column in range(2):
        angles = 2 * np.pi * X[:, [column]] * embedding.frequencies[column]
        waves = torch.cat([angles.cos(), angles.sin()], dim=1)
        outputs = waves @ embedding.weight[column] + embedding.bias[column]
        expected.append(outputs.relu())
    torch.testing.assert_close(embedding(X), torch.cat(expected, dim=1))


def test_sigma_is_the_spread_of_the_frequencies():
    frequencies = PeriodicEmbedding(500, sigma=3.0).frequencies.detach()
    assert frequencies.std() == pytest.approx(3.0, rel=0.1)
    assert frequencies.mean() == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize(("n_numeric", "n_embedded"), [(None, 4), (4, 4), (3, 3)])
def test_periodic_mlp_embeds_the_numeric_columns_beside_all(n_numeric, n_embedded):
    mlp = MLP(4, 2, periodic=True, n_numeric=n_numeric)
    X = torch.randn(6, 4)
    inputs = torch.cat([X, mlp.embedding(X[:, :n_embedded])], dim=1)
    torch.testing.assert_close(mlp(X), mlp.layers(inputs))
    assert inputs.shape == (6, 4 + 3 * n_embedded)
    mlp(X).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in mlp.embedding.parameters())


@pytest.mark.parametrize(
    ("n_numeric", "embedded"), [(0, False), (1, True), (85, True), (86, False)]
)
def test_wide_and_textual_tables_are_not_embedded(n_numeric, embedded):
    mlp = MLP(90, 2, periodic=True, n_numeric=n_numeric)
    assert (mlp.embedding is not None) == embedded
    assert mlp(torch.zeros(3, 90)).shape == (3, 2)


def watching(rates):
    """Return a callback that keeps the learning rate of each step."""

    class Rates(Callback):
        def on_grad_computed(self, net, *args, **kwargs):
            (group,) = net.optimizer_.param_groups
            rates.append(group["lr"])

    return Rates()


def with_callbacks(student, *callbacks):
    """Return a student with further callbacks, below that of its learning rate."""
    named = [(type(one).__name__, one) for one in callbacks]
    return student.set_params(net__callbacks=[*student["net"].callbacks, *named])


@pytest.fixture
def decaying(data, forest):
    """Return a student of 20 steps, the learning rates of its steps, and its data."""
    rates, (X, y) = [], data
    student = make_student((4,), lr=0.9, max_epochs=10, batch_size=-(-len(X) // 2))
    with_callbacks(student, watching(rates))
    return DistilledClassifier(forest, student, augmenter=None), rates, X, y


def test_learning_rate_rises_for_a_tenth_of_the_steps_and_falls_for_the_others(
    decaying,
):
    clf, rates, X, y = decaying
    clf.fit(X, y)
    # In the middle of step k of 20, (k + 0.5) / 20 of the training is done.
    assert_allclose(rates[:2], [0.9 * 0.25, 0.9 * 0.75])
    assert_allclose(rates[2:], [(19.5 - step) / 20 for step in range(2, 20)])


def test_partial_fit_after_fit_has_a_tenth_of_the_rate(decaying):
    clf, rates, X, y = decaying
    clf.fit(X, y).partial_fit(X, y).partial_fit(X, y)
    assert_allclose(rates[20:], [0.09] * 4)


def test_partial_fits_go_through_the_learning_rates_of_a_fit(decaying):
    clf, rates, X, y = decaying
    clf.fit(X, y)
    of_fit = rates.copy()
    rates.clear()
    fresh = clone(clf)
    for _ in range(11):
        fresh.partial_fit(X, y)
    assert_allclose(rates, [*of_fit, 0.09, 0.09])


def test_a_warm_start_has_a_tenth_of_its_rate(decaying):
    clf, rates, X, y = decaying
    clf.set_params(student__net__warm_start=True).fit(X, y)
    clf.set_params(student__net__lr=0.1, student__net__max_epochs=1).fit(X, y)
    assert_allclose(rates[20:], [0.01] * 2)


def test_a_learning_rate_for_each_group_falls(data, forest):
    groups = []

    class Groups(Callback):
        def on_grad_computed(self, net, *args, **kwargs):
            groups.append([group["lr"] for group in net.optimizer_.param_groups])

    student = make_student((4,), lr=0.4, max_epochs=2, batch_size=-1).set_params(
        net__optimizer__param_groups=[("layers.0.*", {"lr": 0.2})],
        net__callbacks=[("decay", WarmupDecay()), ("groups", Groups())],
    )
    DistilledClassifier(forest, student, augmenter=None).fit(*data)
    assert_allclose(groups, np.outer([0.75, 0.25], [0.2, 0.4]) / 0.9)


class Stepwise(Callback):
    """Sets a rate at the begin of each epoch."""

    def on_epoch_begin(self, net, **kwargs):
        for group in net.optimizer_.param_groups:
            group["lr"] = 1 / len(net.history)


class Chained(Callback):
    """Has a schedule of torch of its own."""

    def on_train_begin(self, net, **kwargs):
        self.schedule_ = ExponentialLR(net.optimizer_, 0.5)

    def on_epoch_end(self, net, **kwargs):
        self.schedule_.step()


class Freezes(Callback):
    """Sets the rate to 0 in the third epoch."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            net.optimizer_.param_groups[0]["lr"] = 0.0


PLATEAU = {"monitor": "train_loss", "patience": 0, "threshold": 0.5, "factor": 0.1}
BY_BATCH = {"step_every": "batch"}
SCHEDULES = {
    "by epoch": LRScheduler(ExponentialLR, gamma=0.5),
    "by batch": LRScheduler(ExponentialLR, gamma=0.9, **BY_BATCH),
    "one cycle": LRScheduler(OneCycleLR, max_lr=0.5, total_steps=20, **BY_BATCH),
    "on a plateau": LRScheduler(ReduceLROnPlateau, **PLATEAU),
    "of zeros": LRScheduler(LambdaLR, lr_lambda=lambda epoch: 0.0),
    "of a callback": Chained(),
    "without a schedule": Stepwise(),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("listeners", [[], [watching([])]], ids=["loop", "skorch"])
def test_a_schedule_of_the_person_stands_in_place_of_ours(
    name, listeners, data, forest
):
    X, y = data
    callbacks = [SCHEDULES[name], *listeners]
    student = make_student((4,), max_epochs=4, batch_size=-(-len(X) // 2))
    found, expected = (
        DistilledClassifier(forest, one, augmenter=None, random_state=0)
        .fit(X, y)
        .partial_fit(X, y)
        .predict_proba(X)
        for one in (
            with_callbacks(clone(student), *callbacks),
            with_callbacks(student, *callbacks).set_params(net__callbacks__decay=None),
        )
    )
    assert_array_equal(found, expected)


def test_a_learning_rate_that_is_set_later_counts_from_then_on(decaying):
    clf, rates, X, y = decaying
    with_callbacks(clf.student, Freezes())
    clf.fit(X, y)
    assert_allclose(rates[:4], [0.225, 0.675, 0.875, 0.825])
    assert rates[4:] == [0] * 16
