"""Epochs without skorch's bookkeeping of each batch, where no code looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import BatchScoring, Callback, EpochScoring, LRScheduler
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    Subset,
)

from skdistill._students._net import WarmupDecay
from skdistill._training._batches import NumberedBatches
from skdistill._training._gradient import LogitGradient, has_gradient
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
_PACERS = {WarmupDecay.on_batch_begin}

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
        and _is_stock_loader(batches.loader)
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
    callbacks = [callback for _, callback in net.callbacks_]
    pacers = [c.on_batch_begin for c in callbacks if type(c).on_batch_begin in _PACERS]
    n_batches = max(1, _ROWS_AT_ONCE // loader.batch_size)
    for block in _order(loader).split(n_batches * loader.batch_size):
        parts = block.split(loader.batch_size)
        y = loader.collate_fn.y[block]
        teacher: Any
        if has_gradient(loss, net.criterion_):
            teacher = LogitGradient(loss, block, y, loader.batch_size, net.device)
        else:
            teacher = _Autograd(net, parts, y.split(loader.batch_size))
        for rows in parts:
            for pace in pacers:
                pace(net, training=True)
            X = as_weights(module, loader.collate_fn.inputs(rows).to(net.device))
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


def _is_stock_loader(loader: Any) -> bool:
    """Tell whether :func:`_order` has the rows in the loader's order."""
    return (
        type(loader) is DataLoader
        and loader.num_workers == 0
        and not loader.pin_memory
        and loader.generator is None
        and type(loader.batch_sampler) is BatchSampler
        and len(loader) > 0
        and _is_stock_sampler(loader.sampler)
        and loader.collate_fn.at_once  # type: ignore[union-attr]
    )


def _is_stock_sampler(sampler: Any) -> bool:
    if type(sampler) is RandomSampler:
        return (
            sampler.generator is None
            and not sampler.replacement
            and sampler.num_samples == len(sampler.data_source)
        )
    return type(sampler) is SequentialSampler


def _order(loader: Any) -> Tensor:
    """Return the rows of an epoch in the order in which the loader would draw them."""
    n_rows = len(loader.sampler)
    torch.empty((), dtype=torch.int64).random_()  # its seed of worker processes
    order = torch.arange(n_rows)
    if type(loader.sampler) is RandomSampler:
        seed = int(torch.empty((), dtype=torch.int64).random_().item())
        order = torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed))
    if loader.drop_last:
        order = order[: len(loader) * loader.batch_size]
    dataset = loader.dataset
    while isinstance(dataset, Subset):
        order = torch.as_tensor(dataset.indices)[order]
        dataset = dataset.dataset
    return order


def _listens(callback: Any) -> bool:
    """Tell whether a callback needs to be called for each batch in training."""
    hooks = ((getattr(type(callback), n), getattr(Callback, n)) for n in _BATCH_HOOKS)
    return any(
        own is not stock
        and own not in _PACERS
        and not (own in _IDLE and _IDLE[own](callback))
        for own, stock in hooks
    )
