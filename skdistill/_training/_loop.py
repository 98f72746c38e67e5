"""The loop that trains a net, or several nets of one shape at once."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback, EpochScoring, LRScheduler
from skorch.dataset import Dataset
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.utils.data import DataLoader

from skdistill._students._student_net import LabelsNet, RegressionNet, StudentNet
from skdistill._training._gradient import (
    OutputGradient,
    has_gradient,
    side_by_side,
    targets_of,
)
from skdistill._training._hooks import check_finite
from skdistill._training._lesson import Lesson, keeping_error
from skdistill._training._loss import from_numpy
from skdistill._training._nets import PACERS, nets_of
from skdistill._training._prediction import to_tensor
from skdistill._training._threads import one_thread_if_small
from skdistill.utils._interrupts import noticing_interrupts
from skdistill.utils._layers import as_weights
from skdistill.utils._seeding import seeded
from skdistill.utils._several import is_several

# Targets are computed, and inputs are gathered, for whole batches, of about this many
# rows of all nets at once.
_ROWS_AT_ONCE = 2**13

# The share of the free memory of a GPU that inputs may take: the net, its gradients and
# the outputs of its layers need the rest.
_SHARE_OF_FREE = 0.5

# What the loop does in its own way: a net that overrides one of these is skorch's.
_REPLACED = (
    "evaluation_step",
    "fit",
    "fit_loop",
    "get_iterator",
    "get_loss",
    "get_train_step_accumulator",
    "infer",
    "initialize_optimizer",
    "on_batch_begin",
    "on_batch_end",
    "on_grad_computed",
    "partial_fit",
    "run_single_epoch",
    "train_step",
    "train_step_single",
    "validation_step",
)

# The nets whose methods the loop knows.
_STOCK = (
    StudentNet,
    LabelsNet,
    RegressionNet,
    NeuralNetClassifier,
    NeuralNetRegressor,
    NeuralNet,
)

_NO_GRADIENT = {
    "classification": "loss is not 'kl', or the criterion is not CrossEntropyLoss()",
    "multilabel": "loss is not 'kl', or the criterion is not BCEWithLogitsLoss()",
    "regression": "loss is neither 'squared_error' nor 'poisson', or alpha is below 1 "
    "and the criterion is of another loss, as with quantiles",
}

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")

# Hooks of skorch that do nothing in training under some condition.
_IDLE: dict[Any, Callable[[Any], bool]] = {
    EpochScoring.on_batch_end: lambda callback: not callback.on_train,
    LRScheduler.on_batch_end: lambda callback: callback.step_every != "batch",
}


def why_not(net: Any, lesson: Lesson) -> str | None:
    """Say why skorch has to train a net; None if the loop of this module can.

    The net is initialized, and has the hooks of the training.
    """
    loss = net.batch_loss_
    optimizer = type(net.optimizer_)
    options = net.get_params_for("iterator_train").keys()
    if is_several(lesson.X):
        return "the student's module has several inputs"
    if loss.objective.is_hidden:
        return "a loss compares features"
    if any(map(is_lazy, chain(net.module_.parameters(), net.module_.buffers()))):
        return "the student's module finds the shapes of its weights in its first batch"
    if not has_gradient(loss.objective, net):
        return _NO_GRADIENT[loss.target.task]
    own = net.plain_class_
    stock = next(kind for kind in _STOCK if issubclass(own, kind))
    if vars(net).keys() & set(_REPLACED) or any(
        getattr(own, name) is not getattr(stock, name) for name in _REPLACED
    ):
        return "the student overrides methods of its training"
    if net.dataset is not Dataset or net.get_params_for("dataset"):
        return "the student has a dataset of its own"
    if net.iterator_train is not DataLoader or not options <= {"shuffle", "drop_last"}:
        return "the student's iterator_train makes batches in its own way"
    if net.iterator_valid is not DataLoader:
        return "the student has an iterator_valid of its own"
    if optimizer.__module__.partition(".")[0] != "torch" or (
        optimizer is torch.optim.LBFGS
    ):
        return "the student's optimizer is not one of torch that steps once a batch"
    if any(map(_listens, [c for _, c in net.callbacks_])) or any(
        map(_listens, net.further_callbacks_)
    ):
        return "a callback looks at each batch"
    datasets, (rows, valid_rows) = lesson.split(net)
    if len(rows) == 0 or (
        datasets["dataset_valid"] is not None and not len(valid_rows)
    ):
        return "the student's train_split holds out rows from elsewhere"
    return None


def _listens(callback: Any) -> bool:
    """Tell whether a callback needs to be called for each batch in training."""
    hooks = ((getattr(type(callback), n), getattr(Callback, n)) for n in _BATCH_HOOKS)
    return any(
        own is not stock
        and own not in PACERS
        and not (own in _IDLE and _IDLE[own](callback))
        for own, stock in hooks
    )


def run(lessons: Sequence[Lesson]) -> None:
    """Train the nets of lessons, which are of one shape; keep errors in the lessons."""
    with ExitStack() as contexts:
        nets = [contexts.enter_context(lesson.hooked()) for lesson in lessons]
        contexts.enter_context(seeded(lessons[0].seed))
        contexts.enter_context(keeping_error(*lessons))
        interrupts = contexts.enter_context(noticing_interrupts())
        pairs = zip(lessons, nets, strict=True)
        trainees = [_Trainee(lesson, net, interrupts) for lesson, net in pairs]
        n_rows = len(lessons) * trainees[0].batch_size
        contexts.enter_context(one_thread_if_small(nets[0].module_, n_rows))
        _Loop(trainees).run()


class _Trainee:
    """A net in the loop: its rows, and what it tells its callbacks.

    Parameters
    ----------
    lesson : Lesson
        What the net learns.
    net : skorch.NeuralNetClassifier
        The net, with the hooks of the training.
    interrupts : list of int
        The interrupts by Ctrl-C, as they come.

    Attributes
    ----------
    rows, valid_rows : Tensor
        The numbers of the rows to learn from, and of those that are held out.
    n_drawn : int
        How many rows an epoch has.
    batch_size, n_epochs : int
        The size of a batch, and how many epochs are to come.
    is_running : bool
        Whether the training goes on.
    """

    def __init__(self, lesson: Lesson, net: Any, interrupts: list[int]) -> None:
        self.lesson, self.net, self.interrupts = lesson, net, interrupts
        self.loss = net.batch_loss_
        self.data = {"X": lesson.X, "y": lesson.rows.hard}
        self.n_epochs = net.max_epochs if lesson.n_epochs is None else lesson.n_epochs
        net.check_data(**self.data)  # skorch finds the classes there
        self.datasets, (self.rows, self.valid_rows) = lesson.split(net)
        batches = net.get_iterator(self.datasets["dataset_train"], training=True)
        size = batches.loader.batch_size
        self.batch_size = min(size, len(self.rows))
        self.n_drawn = min(size * len(batches), len(self.rows))
        self.shuffles = net.get_params_for("iterator_train").get("shuffle", False)
        self.generator = torch.Generator().manual_seed(lesson.seed)
        self.is_running = True

    def order(self) -> Tensor:
        """Return the rows of the next epoch, in the order in which they come."""
        if not self.shuffles:
            return self.rows[: self.n_drawn]
        order = torch.randperm(len(self.rows), generator=self.generator)
        return self.rows[order[: self.n_drawn]]

    def tell(self, event: str, **what: Any) -> None:
        """Notify the callbacks, one of which may end the training."""
        try:
            with keeping_error(self.lesson):
                self.net.notify(event, **what)
        except KeyboardInterrupt:
            if self.interrupts:
                raise
            self.is_running = False
        self.is_running &= self.lesson.error is None

    def begin_epoch(self) -> None:
        """Begin an epoch; keep a net that has learned before as it is now."""
        self.tell("on_epoch_begin", **self.datasets)
        if not self.lesson.is_new:
            parts = (self.net.module_, self.net.optimizer_)
            self.before = copy.deepcopy([part.state_dict() for part in parts])

    def record(self, phase: str, values: dict[str, Tensor], n_rows: int) -> None:
        """Write what a pass over rows comes to into the history."""
        unused = {0: "loss_soft", 1: "loss_hard"}.get(self.loss.alpha)
        history = self.net.history
        history.new_batch()
        for name, value in values.items():
            if name != unused:
                history.record_batch(f"{phase}_{name}", value.item())
        history.record_batch(f"{phase}_batch_size", n_rows)
        history.record(f"{phase}_batch_count", math.ceil(n_rows / self.batch_size))

    def check(self) -> None:
        """End the training where the loss of an epoch is not finite."""
        with keeping_error(self.lesson):
            check_finite(self.net, self.net.history[-1]["batches"][-1])
        if self.lesson.error is not None:
            self.is_running = False
            if not self.lesson.is_new:  # steps were made on what is not finite
                parts = (self.net.module_, self.net.optimizer_)
                for part, state in zip(parts, self.before, strict=True):
                    part.load_state_dict(state)

    def score(self, outputs: Tensor) -> None:
        """Hand the outputs of the rows that are held out to callbacks that score."""
        y = self.loss.hard[self.valid_rows]
        for _, callback in self.net.callbacks_:
            if isinstance(callback, EpochScoring):
                callback.on_batch_end(
                    self.net, batch=(None, y), y_pred=outputs, training=False
                )


class _Loop:
    """Trains nets that differ only in what a step can be told for each of them."""

    def __init__(self, trainees: Sequence[_Trainee]) -> None:
        self.trainees, self.one = trainees, trainees[0]
        self.inputs: dict[int, Any] = {}
        for trainee in trainees:
            X = trainee.lesson.X
            if id(X) not in self.inputs:
                self.inputs[id(X)] = _resident(X, self.one.net.device)

    def run(self) -> None:
        for trainee in self.trainees:
            trainee.tell("on_train_begin", **trainee.data)
        self.nets = nets_of([trainee.net for trainee in self.trainees])
        running = self._going_on(self.trainees)
        for _ in range(self.one.n_epochs):
            for trainee in running:
                trainee.begin_epoch()
            if running := self._going_on(running):
                self._epoch(running)
                running = self._going_on(running)
        for trainee in self.trainees:
            if trainee.is_running:
                self.nets.part_with(trainee.net)
            if trainee.lesson.error is None:
                trainee.tell("on_train_end", **trainee.data)

    def _going_on(self, trainees: Sequence[_Trainee]) -> list[_Trainee]:
        """Return those whose training goes on; the others keep their weights."""
        for trainee in trainees:
            if not trainee.is_running:
                self.nets.part_with(trainee.net)
        return [trainee for trainee in trainees if trainee.is_running]

    def _epoch(self, running: list[_Trainee]) -> None:
        """Make a pass over the rows, and one over those that are held out.

        The places of nets whose training is over go along, and nobody looks at them.
        """
        for trainee, found, _ in self._pass([t.order() for t in self.trainees]):
            trainee.record("train", found, trainee.n_drawn)
            trainee.check()
        if len(self.one.valid_rows):
            held_out = [trainee.valid_rows for trainee in self.trainees]
            with torch.no_grad():
                passed = self._pass(held_out, training=False)
            for trainee, found, outputs in passed:
                trainee.record("valid", found, len(outputs))
                trainee.score(outputs)
        for trainee in (t for t in running if t.is_running):
            trainee.tell("on_epoch_end", **trainee.datasets)

    def _pass(
        self, orders: list[Tensor], *, training: bool = True
    ) -> list[tuple[_Trainee, dict[str, Tensor], Any]]:
        """Make a pass over rows of each net.

        Return for each net that goes on what the loss and its terms come to, and its
        outputs, or None if the nets learn.
        """
        self.nets.begin_pass(len(orders[0]), training)
        sums: dict[str, Any] = {}
        outputs = []
        for rows, batch_size in self._blocks(orders):
            gradient = self._gradient(rows, batch_size)
            for X in self._inputs(rows).split(batch_size, dim=1):
                if training:
                    self.nets.step(X, gradient.backward)
                else:
                    gradient.keep(self.nets.outputs(X))
            for name, value in gradient.values().items():
                of_nets = batch_size * value.view(-1, len(orders)).sum(dim=0)
                sums[name] = sums.get(name, 0) + of_nets
            if not training:
                outputs.append(gradient.outputs())
        whole: Any = torch.cat(outputs, dim=1) if outputs else [None] * len(orders)
        return [
            (trainee, {k: v[i] / len(orders[0]) for k, v in sums.items()}, whole[i])
            for i, trainee in enumerate(self.trainees)
            if trainee.is_running
        ]

    def _blocks(self, orders: list[Tensor]) -> Iterator[tuple[list[Tensor], int]]:
        """Yield some rows of each net, and the size of the batches that they make."""
        n_rows = len(orders[0])
        size = min(self.one.batch_size, n_rows)
        at_once = max(1, _ROWS_AT_ONCE // (size * len(orders))) * size
        whole = n_rows - n_rows % size
        starts = [*range(0, whole, at_once), whole]
        for start, stop in zip(starts, [*starts[1:], n_rows], strict=True):
            if stop > start:
                block = [order[start:stop] for order in orders]
                yield block, size if start < whole else stop - start

    def _gradient(self, block: list[Tensor], batch_size: int) -> OutputGradient:
        """Return the gradient of the loss of some rows of each net."""
        targets = [
            targets_of(trainee.loss, rows, trainee.net.device)
            for trainee, rows in zip(self.trainees, block, strict=True)
        ]
        return OutputGradient(side_by_side(targets, batch_size), batch_size, len(block))

    def _inputs(self, block: list[Tensor]) -> Tensor:
        """Return some rows of each net, of shape (n_nets, n_rows, ...)."""
        parts = [
            _taken(self.inputs[id(trainee.lesson.X)], rows)
            for trainee, rows in zip(self.trainees, block, strict=True)
        ]
        X = torch.stack(parts) if len(parts) > 1 else parts[0].unsqueeze(0)
        return as_weights(self.one.net.module_, X.to(self.one.net.device))


def _resident(X: Any, device: Any) -> Any:
    """Return inputs as a tensor, if they are an array, on a GPU that has room for it.

    Others become tensors batch by batch.
    """
    if not isinstance(X, np.ndarray):
        return X
    tensor = from_numpy(X)
    if device is None or torch.device(device).type != "cuda":
        return tensor
    free, _ = torch.cuda.mem_get_info(device)
    return tensor.to(device) if tensor.nbytes <= _SHARE_OF_FREE * free else tensor


def _taken(X: Any, rows: Tensor) -> Tensor:
    """Return some rows as a tensor."""
    if isinstance(X, Tensor):
        return X.index_select(0, rows.to(X.device))
    return to_tensor(X[rows.numpy()])
