"""The gradient in closed form, held against that of the loss."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from skdistill import DistilledClassifier
from skdistill._training._gradient import (
    OutputGradient,
    has_gradient,
    side_by_side,
    targets_of,
)
from skdistill._training._loss import BatchLoss
from skdistill._training._objective import Objective
from skdistill._transfer._transfer_set import TransferSet
from skdistill.losses import JSDLoss, KLLoss

N_ROWS, N_CLASSES, SIZE = 10, 3, 5
ORDER = torch.tensor([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
RISING = np.arange(N_ROWS, dtype=np.float32)
PSEUDO_LABELS = np.random.default_rng(1).dirichlet([1, 1, 1], 4).astype(np.float32)
SOME = (RISING > 4).astype(np.float32)


def batch_loss(epoch=0, **params):
    """Return the loss of an epoch, on ten rows."""
    rng = np.random.default_rng(0)
    rows = {name: params.pop(name, 1.0) for name in ("soft_weight", "hard_weight")}
    soft = rng.normal(size=(N_ROWS, N_CLASSES)).astype(np.float32)
    y = rng.integers(0, N_CLASSES, N_ROWS)
    transfer_set = TransferSet(soft, soft, y, **rows)
    if "pseudo_labels" in params:
        transfer_set = transfer_set.with_pseudo_labels(params.pop("pseudo_labels"))
    loss = BatchLoss(Objective.of(DistilledClassifier(**params)), transfer_set)
    loss.begin_epoch(epoch, 3)
    return loss, torch.tensor(y)


def gradient_of(loss, orders, size):
    targets = [targets_of(loss, rows, "cpu") for rows in orders]
    return OutputGradient(side_by_side(targets, size), size, len(orders))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"temperature": 1.0},
        {"alpha": 1.0},
        {"loss": [("kl", 0.5)]},
        {"loss": KLLoss(temperature=3.0), "temperature": 1.5},
        {"temperature": 64.0},
        {"temperature": 64.0, "alpha": 1.0},
        {"soft_weight": RISING, "hard_weight": 0.0},
        {"soft_weight": SOME, "hard_weight": RISING},
        {"pseudo_labels": PSEUDO_LABELS, "hard_weight": SOME},
    ],
    ids=lambda params: str(list(params)) + str(params.get("temperature", "")),
)
def test_gradient_and_values_are_those_of_the_loss(params, dtype):
    loss, y = batch_loss(**params)
    gradient = gradient_of(loss, [ORDER], SIZE)
    logits = torch.randn(N_ROWS, N_CLASSES, generator=torch.Generator().manual_seed(0))
    found, expected = [], []
    for rows, z in zip(ORDER.split(SIZE), logits.to(dtype).split(SIZE), strict=True):
        own = z.clone().requires_grad_()
        gradient.backward(own)
        found.append(own.grad)

        z = z.float().requires_grad_()
        value, shown = loss(z, y[rows], rows, partial(hard_loss, z, y[rows]))
        value.backward()
        expected.append(shown | {"loss": value, "gradient": z.grad})
    assert found[0].dtype == dtype
    tolerance = 1e-2 if dtype is torch.bfloat16 else 1e-5
    for own, by_loss in zip(found, expected, strict=True):
        torch.testing.assert_close(
            own.float(), by_loss["gradient"], rtol=tolerance, atol=tolerance
        )
    values = gradient.values()
    assert values.keys() | {"gradient"} >= expected[0].keys()
    for name in expected[0].keys() - {"gradient"}:
        column = values[name]
        by_loss = torch.stack([batch[name].detach() for batch in expected])
        torch.testing.assert_close(column.float(), by_loss, rtol=1e-5, atol=1e-6)


def hard_loss(logits, y, weight):
    losses = F.cross_entropy(logits, y, reduction="none")
    if weight is None:
        return losses.mean()
    return (losses * weight).sum() / weight.sum().clamp(min=1e-30)


def test_several_nets_have_their_own_gradients_values_and_outputs():
    losses = [batch_loss(temperature=2.0, alpha=alpha)[0] for alpha in (0.2, 0.8)]
    orders = [ORDER, ORDER.flip(0)]
    targets = [targets_of(*pair, "cpu") for pair in zip(losses, orders, strict=True)]
    both = OutputGradient(side_by_side(targets, SIZE), SIZE, 2)
    logits = torch.randn(2, N_ROWS, N_CLASSES)
    alone = [OutputGradient(one, SIZE) for one in targets]
    for batch in logits.split(SIZE, dim=1):
        together = batch.clone().requires_grad_()
        both.backward(together.flatten(0, 1))
        for own, found, z in zip(alone, together.grad, batch, strict=True):
            single = z.clone().requires_grad_()
            own.backward(single)
            torch.testing.assert_close(found, single.grad)
    torch.testing.assert_close(both.outputs(), logits)
    for name, column in both.values().items():
        expected = torch.stack([one.values()[name] for one in alone], dim=1)
        torch.testing.assert_close(column.view(-1, 2), expected)


def net_with(criterion=None, device="cpu"):
    criterion = torch.nn.CrossEntropyLoss() if criterion is None else criterion
    return SimpleNamespace(criterion_=criterion, device=device)


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "jsd"},
        {"loss": JSDLoss(beta=0.5)},
        {"loss": [("kl", 1.0), ("jsd", 1.0)]},
        {"loss": type("Own", (KLLoss,), {})()},
        {"loss": KLLoss(temperature="high")},
        {"loss": KLLoss(temperature=-1.0)},
        {"loss": [("kl", 0.0)]},
    ],
    ids=str,
)
def test_other_losses_are_left_to_skorch(params):
    loss, _ = batch_loss(**params)
    assert not has_gradient(loss.objective, net_with())


@pytest.mark.parametrize(
    "params",
    [
        {"weight": torch.ones(3)},
        {"reduction": "sum"},
        {"ignore_index": 1},
        {"label_smoothing": 0.1},
    ],
    ids=str,
)
def test_other_criteria_are_left_to_skorch(params):
    loss, _ = batch_loss()
    assert has_gradient(loss.objective, net_with())
    criterion = torch.nn.CrossEntropyLoss(**params)
    assert not has_gradient(loss.objective, net_with(criterion))
    own = type("Own", (torch.nn.CrossEntropyLoss,), {})
    assert not has_gradient(loss.objective, net_with(own()))


def test_devices_without_float64_are_left_to_skorch():
    loss, _ = batch_loss()
    assert has_gradient(loss.objective, net_with(device="cuda"))
    assert not has_gradient(loss.objective, net_with(device="mps"))
