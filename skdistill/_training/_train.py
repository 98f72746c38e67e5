"""Train the nets of lessons: by the loop of this package, or else by skorch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed

from skdistill._students._inputs import learned_rows
from skdistill._students._student import (
    LeftOpen,
    net_of,
    settle,
    settle_epochs,
    settle_widths,
)
from skdistill._training._hooks import describe
from skdistill._training._lesson import Lesson, keeping_error
from skdistill._training._loop import run, why_not
from skdistill._training._objective import Objective
from skdistill._training._prediction import forward
from skdistill._training._stacks import stacks_of
from skdistill._training._threads import one_thread_if_small
from skdistill._transfer._transfer_set import TransferSet
from skdistill.utils._interrupts import noticing_interrupts
from skdistill.utils._seeding import seeded

# The last step of a training may break a net whose last loss was sound: this many rows
# are run through it to see.
_CHECKED_ROWS = 256


def make_lesson(
    student: Any,
    rows: TransferSet,
    objective: Objective,
    *,
    seed: int,
    n_epochs: int | None = None,
    left_open: LeftOpen | None = None,
) -> Lesson:
    """Return what a student is to learn; fit its preprocessing, unless it is fitted.

    Parameters
    ----------
    student : skorch.NeuralNetClassifier or Pipeline
        Changed in place: what it leaves open is set.
    rows : TransferSet
        What it learns from.
    objective : Objective
        The terms of the loss.
    seed : int
        Seeds weights and batches.
    n_epochs : int, default=None
        How many epochs to train on from where the net is. None is a fit.
    left_open : LeftOpen, default=None
        What is set where the student leaves it open; None stands for the defaults.
    """
    net = net_of(student)
    n_own = len(rows) - rows.n_extra
    settle(student, left_open or LeftOpen())
    settle_epochs(net, n_own, len(rows))
    _hold_out_what_there_is(net.train_split, rows)
    y = rows.hard[:n_own]
    X = learned_rows(student, rows.X, y, rows.extra, is_fitted=net.initialized_)
    if not net.initialized_:
        settle_widths(student, X, rows.soft.shape[1])
    return Lesson(student, X, rows.without_inputs(), objective, seed, n_epochs)


def _hold_out_what_there_is(split: Any, rows: TransferSet) -> None:
    """Do not stratify a share of the rows where some class has too few of them."""
    share = getattr(split, "cv", None)
    if not (isinstance(share, float) and split.stratified):
        return
    counts = np.bincount(rows.hard)
    n_classes = np.count_nonzero(counts)
    if counts[counts > 0].min() < 2 or share * len(rows) < n_classes:
        split.stratified = False


def train(lessons: Sequence[Lesson]) -> None:
    """Train the nets of lessons, in place; raise the first error that there is.

    The global generators of torch and numpy, and torch's number of threads, are left as
    they were.
    """
    for lesson in train_all(lessons):
        if lesson.error is not None:
            raise lesson.error


# The estimator that leaves the training of its student to others, and its lessons.
_held_back: ContextVar[tuple[Any, list[Lesson]]] = ContextVar("held_back")


@contextmanager
def holding_back(estimator: Any) -> Iterator[list[Lesson]]:
    """Let ``fit`` of an estimator prepare its lesson, which is put into a list.

    Who calls it trains the student, in place, before anybody asks the estimator.
    """
    lessons: list[Lesson] = []
    token = _held_back.set((estimator, lessons))
    try:
        yield lessons
    finally:
        _held_back.reset(token)


def train_or_hold_back(estimator: Any, lesson: Lesson) -> None:
    """Train the student of an estimator, unless that is left to others."""
    holder, lessons = _held_back.get((None, []))
    if holder is estimator:
        lessons.append(lesson)
    else:
        train([lesson])


def train_all(lessons: Sequence[Lesson], n_jobs: int | None = None) -> Sequence[Lesson]:
    """Train the nets of lessons, in place; keep the error of each, and return them.

    Nets that differ only in what a step can be told for each of them are trained
    together. ``n_jobs`` processes do so; None is this one.
    """
    looped = [lesson for lesson in lessons if not _trained_by_skorch(lesson)]
    stacks = stacks_of(looped)
    if n_jobs in (None, 1) or len(stacks) < 2:
        for stack in stacks:
            run(stack)
    else:
        found = Parallel(n_jobs)(delayed(_in_process)(stack) for stack in stacks)
        for stack, trained in zip(stacks, found, strict=True):
            for lesson, result in zip(stack, trained, strict=True):
                _adopt(lesson, *result)
    for lesson in lessons:
        if lesson.error is None:
            lesson.error = _unsound(lesson)
    return lessons


def _trained_by_skorch(lesson: Lesson) -> bool:
    """Initialize a net; train it by skorch if the loop cannot, and tell whether so.

    With ``alpha=0``, the net becomes, bit for bit, the same as by
    ``torch.manual_seed(seed); net.fit(X, y)``.
    """
    y, is_new = lesson.rows.hard, lesson.is_new
    with lesson.hooked() as net, keeping_error(lesson):
        with seeded(lesson.seed):
            if is_new:
                net.initialize()
            lesson.alone = why_not(net, lesson)
            if lesson.alone is None:
                return False
        net.initialized_ &= not is_new
        with seeded(lesson.seed), noticing_interrupts() as interrupts:
            if lesson.n_epochs is None:
                net.fit(lesson.X, y)
            else:
                net.partial_fit(lesson.X, y, epochs=lesson.n_epochs)
        if interrupts:  # skorch takes them for the end of the training
            raise KeyboardInterrupt
    return True


def _in_process(stack: Sequence[Lesson]) -> list[Any]:
    """Train nets that have come to this process; return what is to go back."""
    run(stack)
    return [(one.net.module_.state_dict(), one.net.history, one.error) for one in stack]


def _adopt(
    lesson: Lesson, weights: Any, history: Any, error: BaseException | None
) -> None:
    """Take what another process has trained."""
    lesson.net.module_.load_state_dict(weights)
    lesson.net.history_ = history
    lesson.error = error


def _unsound(lesson: Lesson) -> ValueError | None:
    """Return an error if the outputs of a trained net are not finite."""
    net = lesson.net
    with one_thread_if_small(net.module_, _CHECKED_ROWS):
        outputs = forward(net, lesson.X[:_CHECKED_ROWS])
    if torch.isfinite(outputs).all():
        return None
    n_epochs = len(net.history)
    last = lesson.objective.at_epoch("temperature", n_epochs - 1, net.max_epochs)
    return ValueError(
        f"the student's output is not finite after {n_epochs} epochs, at "
        f"{describe(net, last)}. Lower the learning rate or scale X"
    )
