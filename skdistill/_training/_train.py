"""Train a student on a transfer set."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _num_samples
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.callbacks import Callback

from skdistill._training._hooks import Distillation, describe, distilling
from skdistill._training._lockstep import current_task
from skdistill._training._loss import BatchLoss
from skdistill._training._objective import Objective
from skdistill._training._prediction import (
    encodes_rows_alone,
    forward,
    net_input,
    net_rows,
)
from skdistill._training._stacking import Alone, trainee_of
from skdistill._training._threads import one_thread_if_small
from skdistill._transfer._transfer_set import TransferSet
from skdistill.utils._frames import stacked
from skdistill.utils._seeding import seeded
from skdistill.utils._validation import noting

_NOTE = (
    "(Raised by the student, which gets X just as it was given to fit. What it needs "
    "done to X goes into one pipeline with it; make_student() takes tables of numbers "
    "and strings as they are)"
)

# How many times a student that leaves it open goes over as many rows as there are
# training rows, without and with rows beyond them.
_PASSES, _PASSES_WITH_EXTRA = 60, 200

# It goes over no more rows than this in all, 20,000 batches of 256, so that the time of
# a training is bounded. With 20,000 training rows and 100,000 made ones, it is less.
_MAX_ROWS = 20_000 * 256

# With few rows it takes at least this many steps, as a pass is only a few.
_MIN_STEPS = 300

# The last step of a training may break a net whose last loss was sound: this many rows
# are run through it to see.
_CHECKED_ROWS = 256


@dataclass(frozen=True)
class LeftOpen:
    """The values of parameters that a student leaves open.

    The defaults are for a training of which nothing else is known.

    Attributes
    ----------
    weight_decay : float
        The weight decay.
    numeric : {"standard", "piecewise"}
        The encoding of numbers.
    """

    weight_decay: float = 0.1
    numeric: str = "piecewise"


def net_of(student: Any) -> NeuralNetClassifier:
    """Return the net in a student, or raise a TypeError that says what one is."""
    net = student[-1] if isinstance(student, Pipeline) else student
    if isinstance(net, torch.nn.Module):
        raise TypeError(
            f"the student is the torch module {type(net).__name__}; wrap it in a net: "
            "skorch.NeuralNetClassifier(module, criterion=torch.nn.CrossEntropyLoss)"
        )
    if isinstance(net, NeuralNetBinaryClassifier) or not isinstance(
        net, NeuralNetClassifier
    ):
        what = f"the class {net.__name__}" if isinstance(net, type) else type(net)
        raise TypeError(
            "the student must be None, a skorch.NeuralNetClassifier with an output for "
            f"each class, or a Pipeline that ends in one, got {what}. "
            "make_student(hidden_layer_sizes=...) makes one"
        )
    return net


@contextmanager
def learning(estimator: Any) -> Iterator[None]:
    """Put the attributes back where a fit fails, so that none is half new.

    In torch's inference mode a net could not learn: it is left meanwhile.
    """
    before = dict(vars(estimator))
    try:
        with torch.inference_mode(False):
            yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def train_student(
    student: Any,
    rows: TransferSet,
    objective: Objective,
    *,
    seed: int,
    epochs: int | None = None,
    left_open: LeftOpen | None = None,
    watch: Callable[[Any, int], Sequence[Callback]] = lambda student, n_epochs: (),
) -> None:
    """Fit the student's preprocessing, unless it is fitted, and train its net.

    With alpha = 0 this is, bit for bit, ``torch.manual_seed(seed); net.fit(X, y)``, in
    one thread if the net is small. The global generators of torch and numpy, and
    torch's number of threads, are left as they were.

    Parameters
    ----------
    student : skorch.NeuralNetClassifier or Pipeline
        Trained in place.
    rows : TransferSet
        What it learns from.
    objective : Objective
        The terms of the loss.
    seed : int
        Seeds weights and batches.
    epochs : int, default=None
        How many epochs to train on from where the net is. None is a fit.
    left_open : LeftOpen, default=None
        What is set where the student leaves it open; None stands for the defaults.
    watch : callable
        Returns the callbacks that watch the training, given the student and how many
        epochs a fit has.
    """
    net = net_of(student)
    _settle(student, rows, left_open or LeftOpen())
    _hold_out_what_there_is(net.train_split, rows)
    X = _net_rows(student, rows)
    n_classes = rows.soft.shape[1]
    if not net.initialized_:
        _set_widths(student, X, n_classes)
    loss = BatchLoss(objective, rows)
    callbacks = watch(student, net.max_epochs)
    distillation = Distillation(loss, len(rows), n_classes, X[:2], callbacks)
    note = f"(Raised in the training of the student on X of shape {X.shape})"
    with noting(note):
        if epochs is not None:
            with seeded(seed), distilling(net, distillation):
                net.partial_fit(X, rows.hard, epochs=epochs)
        elif not _train_with_others(net, X, rows, distillation, seed):
            with seeded(seed), distilling(net, distillation):
                net.fit(X, rows.hard)
    if distillation.interruption is not None:
        raise distillation.interruption
    with one_thread_if_small(net.module_, _CHECKED_ROWS):
        outputs = forward(net, X[:_CHECKED_ROWS])
    if not torch.isfinite(outputs).all():
        raise ValueError(
            f"the student's output is not finite after {len(net.history)} epochs, at "
            f"{describe(net, loss)}. Lower the learning rate or scale X"
        )


def _train_with_others(
    net: Any, X: Any, rows: TransferSet, distillation: Distillation, seed: int
) -> bool:
    """Train a net together with those of other tasks; tell whether it was."""
    task = current_task()
    if task is None:
        return False
    with seeded(seed), distilling(net, distillation):
        try:
            trainee = trainee_of(net, X, rows)
        except Alone as reason:
            task.lockstep.alone[str(reason)] += 1
            return False
    weights = task.train(trainee)
    for epoch in range(net.max_epochs):
        net.history.new_epoch()
        net.history.record("epoch", epoch + 1)
    with torch.no_grad():
        for name, weight in net.module_.named_parameters():
            weight.copy_(torch.as_tensor(weights[name]))
    return True


def _settle(student: Any, rows: TransferSet, left_open: LeftOpen) -> None:
    """Set the parameters that a student leaves open."""
    net = net_of(student)
    if net.max_epochs is None:
        net.set_params(max_epochs=_n_epochs(rows, net.batch_size))
    if getattr(net, "optimizer__weight_decay", 0.0) is None:
        net.set_params(optimizer__weight_decay=left_open.weight_decay)
    if numeric_of(student) == "auto":
        student[0].set_params(numeric=left_open.numeric)


def numeric_of(student: Any) -> str | None:
    """Return how the first step of a student encodes numbers, if it says so."""
    return (
        getattr(student[0], "numeric", None) if isinstance(student, Pipeline) else None
    )


def _hold_out_what_there_is(split: Any, rows: TransferSet) -> None:
    """Do not stratify a share of the rows where some class has too few of them."""
    share = getattr(split, "cv", None)
    if not (isinstance(share, float) and split.stratified):
        return
    counts = np.bincount(rows.hard)
    n_classes = np.count_nonzero(counts)
    if counts[counts > 0].min() < 2 or share * len(rows) < n_classes:
        split.stratified = False


def _net_rows(student: Any, rows: TransferSet) -> Any:
    """Return the rows as the student's net takes them."""
    extra = [] if rows.extra is None else [rows.extra]
    with noting(_NOTE):
        has_head = isinstance(student, Pipeline) and len(student.steps) > 1
        if has_head and not net_of(student).initialized_:
            head, y = student[:-1], rows.hard[: _num_samples(rows.X)]
            if not encodes_rows_alone(student):
                own = net_input(head.fit_transform(rows.X, y))
                student.steps[:-1] = head.steps
                return stacked([own, *(net_rows(student, [part]) for part in extra)])
            head.fit(rows.X, y)
        return net_rows(student, [rows.X, *extra])


def _n_epochs(rows: TransferSet, batch_size: int) -> int:
    """Return over how many epochs a student learns that leaves it open.

    There are as many steps as passes over the training rows alone would take: further
    rows bear more of them before a student overfits. Of very many rows, one pass is
    enough.
    """
    n_own, n_rows = _num_samples(rows.X), len(rows)
    passes = _PASSES if n_rows == n_own else _PASSES_WITH_EXTRA
    n_batches = math.ceil(n_rows / batch_size) if batch_size > 0 else 1
    n_epochs = min(round(passes * n_own / n_rows), _MAX_ROWS // n_rows)
    return max(n_epochs, math.ceil(_MIN_STEPS / n_batches))


def _set_widths(student: Any, X: Any, n_classes: int) -> None:
    """Tell a net's module its widths, where it asks and the person has not told it."""
    net = net_of(student)
    if isinstance(net.module, torch.nn.Module):  # it has its widths already
        return
    asked = inspect.signature(net.module).parameters
    told = net.get_params_for("module")
    widths = {"n_classes": n_classes}
    if X.ndim == 2:
        widths["n_features"] = X.shape[1]
    if isinstance(student, Pipeline) and hasattr(student[0], "n_numeric_"):
        widths["n_numeric"] = student[0].n_numeric_
    missing = {k: v for k, v in widths.items() if k in asked and k not in told}
    net.set_params(**{f"module__{name}": width for name, width in missing.items()})
