"""Epochs without skorch's bookkeeping of each batch, where no code looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import BatchScoring, Callback, EpochScoring, LRScheduler
from torch import Tensor

from skdistill._students._net import WarmupDecay
from skdistill._training._batches import NumberedBatches
from skdistill._training._gradient import LogitGradient, has_gradient, targets_of
from skdistill._training._order import EpochOrder, is_stock_loader
from skdistill._training._outputs import check_outputs
from skdistill._training._prediction import first
from skdistill.utils._layers import as_weights

# A net that overrides one of these methods trains as skorch does it.
_STOCK = {
    name: getattr(NeuralNetClassifier, name)
    for name in (
        "_set_training",
        "_step_optimizer",
        "_zero_grad_optimizer",
        "get_loss",
        "get_train_step_accumulator",
        "infer",
        "initialize_history",
        "notify",
        "on_batch_begin",
        "on_batch_end",
        "on_grad_computed",
        "run_single_epoch",
        "train_step",
        "train_step_single",
    )
}

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")

# Hooks that set something before each step, and ignore the batch.
PACERS = {WarmupDecay.on_batch_begin}

# Hooks of skorch that do nothing in training under some condition.
_IDLE: Mapping[Any, Callable[[Any], bool]] = {
    EpochScoring.on_batch_end: lambda callback: not callback.on_train,
    BatchScoring.on_batch_end: lambda callback: not callback.on_train,
    LRScheduler.on_batch_end: lambda callback: callback.step_every != "batch",
}

# Targets are computed for whole batches, of about this many rows at once.
_ROWS_AT_ONCE = 2**13


def is_unobserved(net: Any, batches: Any) -> bool:
    """Tell whether :func:`run_epoch` does the same as skorch.

    It does not if a callback is called for each batch, if the net overrides a method
    of the training, if the loader, the dataset or the optimizer is not a stock one, or
    if a loss compares features.

    Parameters
    ----------
    net : skorch.NeuralNetClassifier
        The net, while it is trained.
    batches : iterable
        What its ``get_iterator`` has returned.
    """
    distillation = net.distillation_
    return (
        isinstance(batches, NumberedBatches)
        and is_stock_loader(batches.loader)
        and all(getattr(net.plain_class_, name) is _STOCK[name] for name in _STOCK)
        and vars(net).keys().isdisjoint(_STOCK)
        and net._optimizers == ["optimizer"]
        and _steps_alone(net.optimizer_)
        and not distillation.loss.objective.is_hidden
        and not any(_listens(callback) for _, callback in net.callbacks_)
        and not any(_listens(callback) for callback in distillation.callbacks)
    )


def run_epoch(net: Any, batches: NumberedBatches) -> Iterator[dict[str, float]]:
    """Train a net for an epoch; yield what skorch's history has of each batch."""
    net._set_training(True)
    loader: Any = batches.loader
    loss, module, optimizer = net.distillation_.loss, net.module_, net.optimizer_
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    loader.collate_fn.move_to(parameters[0].device)
    callbacks = [callback for _, callback in net.callbacks_]
    pacers = [c.on_batch_begin for c in callbacks if type(c).on_batch_begin in PACERS]
    n_batches = max(1, _ROWS_AT_ONCE // loader.batch_size)
    for block in EpochOrder.of(loader).draw().split(n_batches * loader.batch_size):
        parts = block.split(loader.batch_size)
        y = loader.collate_fn.y[block]
        teacher: Any
        # With alpha = 0 the student learns bit for bit as by itself.
        if loss.alpha > 0 and has_gradient(loss, net.criterion_, net.device):
            targets = targets_of(loss, block, y, net.device)
            teacher = LogitGradient(targets, loader.batch_size)
        else:
            teacher = _Autograd(net, parts, y.split(loader.batch_size))
        for X in loader.collate_fn.batches(block, loader.batch_size):
            for pace in pacers:
                pace(net, training=True)
            X = as_weights(module, X.to(net.device))
            for parameter in parameters:
                parameter.grad = None
            outputs = module(X)
            check_outputs(net, first(outputs))
            teacher.backward(outputs)
            optimizer.step()
        values = {f"train_{k}": v.tolist() for k, v in teacher.values().items()}
        values["train_batch_size"] = [len(rows) for rows in parts]
        for batch in zip(*values.values(), strict=True):
            yield dict(zip(values, batch, strict=True))


class _Autograd:
    """Computes the gradients of some batches from the net's own loss."""

    def __init__(self, net: Any, rows: Sequence[Tensor], y: Sequence[Tensor]) -> None:
        self.net, self.targets = net, zip(rows, y, strict=True)
        self.found: list[dict[str, Tensor]] = []

    def backward(self, outputs: Any) -> None:
        rows, y = next(self.targets)
        loss, shown = self.net.loss_(rows, None, outputs, y)
        loss.backward()
        values = shown | {"loss": loss}
        self.found.append({name: value.detach() for name, value in values.items()})

    def values(self) -> dict[str, Tensor]:
        names = self.found[0]
        return {k: torch.stack([values[k] for values in self.found]) for k in names}


def _steps_alone(optimizer: Any) -> bool:
    """Tell whether the step of an optimizer needs the gradient alone."""
    is_stock = type(optimizer).__module__.startswith("torch.optim.")
    return is_stock and not isinstance(optimizer, torch.optim.LBFGS)


def _listens(callback: Any) -> bool:
    """Tell whether a callback needs to be called for each batch in training."""
    hooks = ((getattr(type(callback), n), getattr(Callback, n)) for n in _BATCH_HOOKS)
    return any(
        own is not stock
        and own not in PACERS
        and not (own in _IDLE and _IDLE[own](callback))
        for own, stock in hooks
    )
