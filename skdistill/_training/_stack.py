"""Train several nets of one shape at once: their weights are slices of the same arrays.

A step of a small net takes longer to be told to the machine than to be computed, so
that a step of ten nets takes little longer than a step of one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from skdistill._training._batches import moved_if_it_fits
from skdistill._training._gradient import LogitGradient, Targets, targets_of
from skdistill._training._loss import BatchLoss
from skdistill._training._objective import Objective
from skdistill._training._order import EpochOrder, draw_seed
from skdistill._training._prediction import first
from skdistill._training._threads import one_thread_if_small
from skdistill._transfer._transfer_set import TransferSet

# Targets are computed for whole batches, of about this many rows of all nets at once.
_ROWS_AT_ONCE = 2**15


@dataclass
class Trainee:
    """A net that is about to be trained, and all that its training depends on.

    Attributes
    ----------
    module : torch.nn.Module
        The net, with its initial weights.
    kind : str
        The same for nets that compute the same function of weights and inputs.
    optimizer : type
        A class of torch.optim.
    settings : dict
        The options of its parameter group.
    pacers : list of skorch.callbacks.Callback
        What sets the learning rate before each step.
    X : ndarray of shape (n_rows, ...), float32
        The inputs of the rows.
    rows : TransferSet
        What the rows teach, without their inputs.
    objective : Objective
        The terms of the loss.
    order : EpochOrder
        Draws the rows of each epoch.
    generator : Tensor
        The state of torch's generator before the first epoch.
    batch_size, max_epochs : int
        As in skorch.
    validates : bool
        Whether a loader of validation rows draws from the generator in each epoch.
    device : str
        Where to compute.
    """

    module: nn.Module
    kind: str
    optimizer: Callable[..., torch.optim.Optimizer]
    settings: dict[str, Any]
    pacers: list[Any]
    X: NDArray[np.float32]
    rows: TransferSet
    objective: Objective
    order: EpochOrder
    generator: Tensor
    batch_size: int
    max_epochs: int
    validates: bool
    device: str


def train_stack(trainees: Sequence[Trainee]) -> list[dict[str, NDArray[Any]]]:
    """Train nets that differ only in what a step can be told for each of them.

    These are weights, rows of one number and shape, temperature and alpha, the weight
    of the loss, and the options of the optimizer.

    Returns
    -------
    weights : list of dict of str to ndarray
        The trained parameters of each module.
    """
    stack = _Stack(trainees)
    n_rows = len(trainees) * trainees[0].batch_size
    with one_thread_if_small(trainees[0].module, n_rows):
        return stack.train()


class _Stack:
    """The nets, while they are trained."""

    def __init__(self, trainees: Sequence[Trainee]) -> None:
        # Nets whose optimizers have the same options are side by side.
        options = [repr(trainee.settings) for trainee in trainees]
        self.positions = sorted(range(len(trainees)), key=options.__getitem__)
        self.trainees = [trainees[position] for position in self.positions]
        self.one = self.trainees[0]
        self.device = torch.device(self.one.device)
        self.losses = [BatchLoss(t.objective, t.rows) for t in self.trainees]
        self.inputs: dict[int, Tensor] = {}
        for trainee in self.trainees:
            if id(trainee.X) not in self.inputs:
                X = torch.from_numpy(np.require(trainee.X, requirements=["W"]))
                self.inputs[id(trainee.X)] = moved_if_it_fits(X, self.device)
        self.y = [torch.from_numpy(t.rows.hard) for t in self.trainees]
        self.generators: dict[bytes, torch.Generator] = {}
        for trainee in self.trainees:
            key = trainee.generator.numpy().tobytes()
            if key not in self.generators:
                generator = torch.Generator().set_state(trainee.generator)
                self.generators[key] = generator
        self._stack_weights([options[position] for position in self.positions])

    def _stack_weights(self, options: list[str]) -> None:
        self.leaves, groups = [], []
        for option in dict.fromkeys(options):
            own = [
                t for t, o in zip(self.trainees, options, strict=True) if o == option
            ]
            weights, _ = stack_module_state([t.module for t in own])
            weights = {
                name: weight.detach().to(self.device).requires_grad_()
                for name, weight in weights.items()
            }
            self.leaves.append(weights)
            groups.append({**own[0].settings, "params": list(weights.values())})
        self.optimizer = self.one.optimizer(groups)

    def train(self) -> list[dict[str, NDArray[Any]]]:
        paced = SimpleNamespace(
            optimizer_=self.optimizer,
            batch_size=self.one.batch_size,
            max_epochs=self.one.max_epochs,
        )
        pacers = copy.deepcopy(self.one.pacers)
        for pacer in pacers:
            pacer.on_train_begin(paced)
        for epoch in range(self.one.max_epochs):
            for pacer in pacers:
                pacer.on_epoch_begin(paced, dataset_train=self.one.order.rows)
            self._train_epoch(epoch, [partial(p.on_batch_begin, paced) for p in pacers])
        weights = {k: w.detach().cpu().numpy() for k, w in self._weights().items()}
        return [
            {name: weight[self.positions.index(i)] for name, weight in weights.items()}
            for i in range(len(self.positions))
        ]

    def _weights(self) -> dict[str, Tensor]:
        """Return the weights of all nets, the first axis being that of the nets."""
        if len(self.leaves) == 1:
            return self.leaves[0]
        return {
            name: torch.cat([leaves[name] for leaves in self.leaves])
            for name in self.leaves[0]
        }

    def _train_epoch(self, epoch: int, pace: list[Callable[..., None]]) -> None:
        for loss in self.losses:
            loss.begin_epoch(epoch, self.one.max_epochs)
        orders = self._orders()
        for start, stop, batch_size in self._blocks():
            block = [order[start:stop] for order in orders]
            teacher = self._gradient(block, batch_size)
            for X in self._inputs(block).split(batch_size, dim=1):
                for set_rate in pace:
                    set_rate(training=True)
                self.optimizer.zero_grad()
                outputs = first(outputs_of(self.one.module, self._weights(), X))
                teacher.backward(outputs.flatten(0, 1))
                self.optimizer.step()

    def _orders(self) -> list[Tensor]:
        """Draw the rows of an epoch for each net."""
        drawn: dict[tuple[bytes, bytes], Tensor] = {}
        states = {key: g.get_state() for key, g in self.generators.items()}
        orders = []
        for trainee in self.trainees:
            key = trainee.generator.numpy().tobytes()
            order = key, trainee.order.rows.numpy().tobytes()
            if order not in drawn:
                generator = self.generators[key]
                generator.set_state(states[key])
                drawn[order] = trainee.order.draw(generator)
                if trainee.validates:
                    draw_seed(generator)
            orders.append(drawn[order])
        return orders

    def _blocks(self) -> Iterator[tuple[int, int, int]]:
        """Yield the start and end of some rows, and the size of their batches."""
        n_rows, batch_size = self.one.order.n_drawn, self.one.batch_size
        batch_size = n_rows if batch_size < 0 else min(batch_size, n_rows)
        n_batches = max(1, _ROWS_AT_ONCE // (batch_size * len(self.trainees)))
        whole = n_rows - n_rows % batch_size
        for start in range(0, whole, n_batches * batch_size):
            yield start, min(start + n_batches * batch_size, whole), batch_size
        if whole < n_rows:
            yield whole, n_rows, n_rows - whole

    def _gradient(self, block: list[Tensor], batch_size: int) -> LogitGradient:
        """Return the gradient of the loss of some rows of each net."""
        targets = [
            targets_of(loss, rows, y[rows], self.device, labels=True)
            for loss, rows, y in zip(self.losses, block, self.y, strict=True)
        ]
        together = _side_by_side(targets, batch_size)
        return LogitGradient(together, batch_size, n_batches=len(block))

    def _inputs(self, block: list[Tensor]) -> Tensor:
        """Return the rows of each net, of shape (n_nets, n_rows, ...)."""
        found: dict[tuple[int, int], Tensor] = {}
        rows = []
        for trainee, order in zip(self.trainees, block, strict=True):
            key = id(trainee.X), order.data_ptr()
            if key not in found:
                X = self.inputs[id(trainee.X)]
                found[key] = X.index_select(0, order.to(X.device))
            rows.append(found[key])
        return torch.stack(rows).to(self.device)


def outputs_of(module: nn.Module, weights: dict[str, Tensor], X: Tensor) -> Any:
    """Return the outputs of several nets, each for its own rows.

    Parameters
    ----------
    module : torch.nn.Module
        One of them, or its like.
    weights : dict of str to Tensor of shape (n_nets, ...)
        Their parameters.
    X : Tensor of shape (n_nets, n_rows, ...)
        Their inputs.
    """

    def outputs(weights: dict[str, Tensor], X: Tensor) -> Any:
        return functional_call(module, weights, (X,))

    return vmap(outputs)(weights, X)


def _side_by_side(targets: list[Targets], batch_size: int) -> Targets:
    """Return the targets batch by batch, and within a batch net by net."""

    def interleaved(name: str) -> Any:
        parts = [getattr(one, name) for one in targets]
        if not isinstance(parts[0], Tensor):
            if len(set(parts)) == 1:
                return parts[0]
            like = targets[0].soft_weight
            parts = [torch.full_like(like, part) for part in parts]
        both = torch.stack([part.unflatten(0, (-1, batch_size)) for part in parts])
        return both.transpose(0, 1).flatten(0, 2)

    return Targets(**{name: interleaved(name) for name in vars(targets[0])})
