"""Train the nets of lessons: by the loop of this package, or else by skorch."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.utils.parallel import delayed
from skorch import callbacks
from torch import Tensor

from skdistill._students._inputs import EncodedRows, learned_rows
from skdistill._students._net import WarmupDecay
from skdistill._students._student import (
    LeftOpen,
    net_of,
    settle,
    settle_criterion,
    settle_epochs,
    settle_widths,
)
from skdistill._students._student_net import EarlyStopping, can_be_stratified
from skdistill._training._hooks import describe
from skdistill._training._lesson import Lesson, keeping_error
from skdistill._training._loop import run, why_not
from skdistill._training._nets import (
    options_of,
    pacers_of,
    plain_layers,
    stacked_outputs,
)
from skdistill._training._objective import Objective, default_terms
from skdistill._training._prediction import outputs_of
from skdistill._transfer._transfer_set import TransferSet
from skdistill.utils._arrays import Floats
from skdistill.utils._bars import ParallelWithBar, progress_bar
from skdistill.utils._fingerprint import fingerprint
from skdistill.utils._interrupts import noticing_interrupts
from skdistill.utils._layers import as_weights
from skdistill.utils._probabilities import are_probabilities, first, returns_logits
from skdistill.utils._seeding import seeded
from skdistill.utils._warnings import warn

# The last step of a training may break a net whose last loss was sound: this many rows
# are run through it to see.
_CHECKED_ROWS = 256

# On a CPU, a larger stack takes more time for each of its nets.
MAX_NETS = 12

# Optimizers that treat each weight by itself, and whose options are all those of a
# group of weights. Adagrad begins with a state by one of its constructor.
_ELEMENTWISE = {
    getattr(torch.optim, name)
    for name in ("Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "SGD")
}


class EpochBar(callbacks.Callback):
    """Counts the epochs of a net in a bar, which shows some losses of the history too.

    ``n_epochs`` is how many epochs the net has in it.
    """

    def __init__(self, bar: Any, n_epochs: int, losses: Sequence[str]) -> None:
        self.bar, self.n_left, self.losses = bar, n_epochs, losses

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        last = net.history[-1]
        losses = {name: last[name] for name in self.losses if name in last}
        self.bar.set_postfix(losses, refresh=False)  # update draws the bar
        self.bar.update()
        self.n_left -= 1

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        self.bar.update(self.n_left)  # of a training that ends early

    def __reduce__(self) -> Any:
        return callbacks.Callback, ()  # there is no bar in another process


# Callbacks that change nothing by themselves, or as the number of the step tells.
_BYSTANDERS = {
    EpochBar,
    callbacks.EpochScoring,
    callbacks.EpochTimer,
    callbacks.PassthroughScoring,
    callbacks.PrintLog,
    WarmupDecay,
}

# What the bar of a single net shows besides.
_SHOWN = ("train_loss", "valid_loss", "train_agreement")

# Callbacks that may end a training. Others may set the optimizer, such as a rate, and
# a stack has one of its own.
_STOPPERS = {EarlyStopping, callbacks.EarlyStopping}

# A student that learns almost from the labels alone, as its teacher has a smaller share
# than this, gets the encoding that suits these. On the choosing rows of kin40k_quarters
# (see ``benchmarks/quality.py``), it is 1.4 points more accurate without bins; shares
# of .3 and more, of letter and pol_quarters, still make better students with them.
LABELS_DECIDE = 0.1


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
    rows, objective : TransferSet, Objective
        What it learns from, and the terms of the loss.
    seed : int
        Seeds weights and batches.
    n_epochs : int, default=None
        How many epochs to train on from where the net is. None is a fit.
    left_open : LeftOpen, default=None
        What is set where the student leaves it open; None stands for the defaults.
    """
    net = net_of(student)
    n_own = len(rows) - rows.n_extra
    left_open = left_open or LeftOpen()
    settle(student, left_open)
    settle_criterion(
        net,
        (objective.loss or default_terms(rows.target))[0].loss,
        getattr(rows.target, "levels", None),
    )
    settle_epochs(net, n_own, len(rows), left_open.passes)
    split = net.train_split
    if getattr(split, "stratified", False):
        split.stratified = can_be_stratified(split.cv, rows.hard)
    y = rows.hard[:n_own]
    y = y[:, 0] if y.shape[1:] == (1,) else y
    targets = None
    if objective.asks_teacher:
        targets = _to_be_learned(rows, n_own, objective.alpha)
    X = learned_rows(
        student, rows.X, y, rows.extra, targets=targets, is_fitted=net.initialized_
    )
    if not net.initialized_:
        settle_widths(student, X, rows.soft.shape[1])
    return Lesson(student, X, rows.without_inputs(), objective, seed, n_epochs)


def _to_be_learned(rows: TransferSet, n_own: int, alpha: Any) -> Floats:
    """Return what is learned of the first rows: the soft targets, unless labels decide.

    Then it is the mean of soft and hard targets, as they weigh, so that a teacher of no
    weight does not say where bins are narrow. Above, candidates of a search that differ
    in alpha have the same bins, and can be trained together.
    """
    soft, hard = (torch.as_tensor(part[:n_own]) for part in (rows.soft, rows.hard))
    said = rows.target.expected(soft.numpy())
    if callable(alpha) or alpha >= LABELS_DECIDE:
        return said
    labels = rows.target.means(hard, soft).numpy()
    of_soft, of_labels = (
        np.broadcast_to(np.float32(weight), len(rows))[:n_own, np.newaxis]
        for weight in (alpha * rows.soft_weight, (1 - alpha) * rows.hard_weight)
    )
    total = of_soft + of_labels
    share = np.divide(of_soft, total, out=np.ones_like(total), where=total > 0)
    learned: Floats = share * said + (1 - share) * labels
    return learned


def train(lessons: Sequence[Lesson], title: str = "training", verbose: int = 0) -> None:
    """Train the nets of lessons, in place; raise the first error that there is.

    The global generators of torch and numpy, and torch's number of threads, are left as
    they were.
    """
    for lesson in train_all(lessons, None, title, verbose):
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


def train_or_hold_back(estimator: Any, lesson: Lesson, verbose: int) -> None:
    """Train the student of an estimator, unless that is left to others."""
    holder, lessons = _held_back.get((None, []))
    if holder is estimator:
        lessons.append(lesson)
    else:
        train([lesson], verbose=verbose)


def train_all(
    lessons: Sequence[Lesson],
    n_jobs: int | None = None,
    title: str = "training",
    verbose: int = 0,
) -> Sequence[Lesson]:
    """Train the nets of lessons, in place; keep the error of each, and return them.

    Nets that differ only in what a step can be told for each of them are trained
    together, and of equal nets only the first. ``n_jobs`` processes do so; None is this
    one. ``verbose=1`` shows a bar of the epochs of all nets.
    """
    n_epochs = [one.n_epochs or one.net.max_epochs for one in lessons]
    with progress_bar(title, verbose, total=sum(n_epochs), unit="epoch") as bar:
        if verbose:
            losses = _SHOWN if len(lessons) == 1 else ()
            for lesson, n in zip(lessons, n_epochs, strict=True):
                lesson.callbacks = [*lesson.callbacks, EpochBar(bar, n, losses)]
        _train_all(lessons, n_jobs, bar)
    for lesson in lessons:
        if lesson.error is None:
            lesson.error = _unsound(lesson)
    return lessons


def _train_all(lessons: Sequence[Lesson], n_jobs: int | None, bar: Any) -> None:
    looped = [lesson for lesson in lessons if not _trained_by_skorch(lesson)]
    _share_arrays(looped)
    firsts: dict[Any, Lesson] = {}
    equal = [firsts.setdefault(_identity(lesson), lesson) for lesson in looped]
    stacks = _stacks_of(list(firsts.values()))
    if n_jobs in (None, 1) or len(stacks) < 2:
        for stack in stacks:
            run(stack)
    else:
        parallel = ParallelWithBar(bar, bar.total // len(stacks), n_jobs=n_jobs)
        found = parallel(delayed(_in_process)(stack) for stack in stacks)
        for stack, trained in zip(stacks, found, strict=True):
            for lesson, result in zip(stack, trained, strict=True):
                _adopt(lesson, *result)
    for lesson, like in zip(looped, equal, strict=True):
        if lesson is not like:
            trained = like.net.module_.state_dict()
            _adopt(lesson, trained, copy.deepcopy(like.net.history), like.error)
            lesson.alone = like.alone


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
    """Return an error if the outputs of a trained net are not finite.

    Warn if they are probabilities, and are to be logits.
    """
    net = lesson.net
    outputs = outputs_of(net, lesson.X[:_CHECKED_ROWS])
    if torch.isfinite(outputs).all():
        if returns_logits(net) and are_probabilities(outputs):
            warn(
                "SKD201",
                "the student's module returns rows that are not negative and sum to 1, "
                "and its criterion CrossEntropyLoss takes logits: leave the softmax at "
                "its end out, or use criterion=torch.nn.NLLLoss",
            )
        return None
    n_epochs = len(net.history)
    last = lesson.objective.at_epoch("temperature", n_epochs - 1, net.max_epochs)
    return ValueError(
        f"the student's output is not finite after {n_epochs} epochs, at "
        f"{describe(net, last)}. Lower the learning rate or scale X"
    )


def _share_arrays(lessons: Sequence[Lesson]) -> None:
    """Let lessons with equal arrays have the same ones."""
    known: list[np.ndarray] = []

    def shared(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        for one in known:
            if one is value or (
                (one.shape, one.dtype) == (value.shape, value.dtype)
                and np.array_equal(one, value, equal_nan=True)
            ):
                return one
        known.append(value)
        return value

    if len(lessons) > 1:
        for lesson in lessons:
            lesson.X = shared(lesson.X)
            arrays = {name: shared(value) for name, value in vars(lesson.rows).items()}
            lesson.rows = replace(lesson.rows, **arrays)


def _identity(lesson: Lesson) -> Any:
    """Return what is equal for lessons that make equal nets.

    Lessons whose nets stop early, or are watched, count as different.
    """
    net, objective, target = lesson.net, lesson.objective, lesson.rows.target
    if (
        _kinds_of_callbacks(net) - _BYSTANDERS
        or set(map(type, lesson.callbacks)) - _BYSTANDERS
        or net.train_split is not None
        or not lesson.is_new
    ):
        return id(lesson)
    schedule = []
    for epoch in range(net.max_epochs):
        alpha, temperature = (
            objective.at_epoch(name, epoch, net.max_epochs)
            for name in ("alpha", "temperature")
        )
        uses_teacher = alpha > 0 or not lesson.rows.has_labels
        soft = (temperature, *objective.loss) if uses_teacher else ()
        schedule.append((alpha, soft))
    parts = (lesson.X, *vars(lesson.rows).values())
    arrays = [id(part) for part in parts if isinstance(part, np.ndarray)]
    weights = [w.detach().cpu().numpy().tobytes() for w in net.module_.parameters()]
    if (by_output := target.output_weights(lesson.rows.hard)) is not None:
        weights.append(by_output.tobytes())
    names = ("module", "iterator_train")  # objects without a name have their address
    given = [repr(net.get_params_for(name)) for name in names]
    kinds = (type(net.module_), type(net.optimizer_), type(target))
    settings = (*kinds, net.batch_size, options_of(net), *given)
    return (*settings, lesson.seed, tuple(schedule), *arrays, *weights)


def _kinds_of_callbacks(net: Any) -> set[type]:
    return {type(callback) for _, callback in net.callbacks_}


def _stacks_of(lessons: Sequence[Lesson]) -> list[list[Lesson]]:
    """Sort lessons, whose nets are initialized, into those that are learned together.

    Nets of one stack differ in their weights, rows, temperature and alpha, the weight
    of the loss, and the options of the optimizer.
    """
    if len(lessons) < 2:
        return [[lesson] for lesson in lessons]
    groups: dict[Any, list[Lesson]] = defaultdict(list)
    for lesson in lessons:
        groups[_shape(lesson)].append(lesson)
    stacks = []
    for group in groups.values():
        group.sort(key=lambda lesson: options_of(lesson.net))
        on_cpu = torch.device(group[0].net.device).type == "cpu"
        n_stacks = math.ceil(len(group) / MAX_NETS) if on_cpu else 1
        parts = np.array_split(np.arange(len(group)), n_stacks)
        stacks += [[group[number] for number in part] for part in parts]
    return stacks


def _shape(lesson: Lesson) -> Any:
    """Return what nets have in common that can be trained in one stack.

    It is unique for a net that can not.
    """
    net = lesson.net
    lesson.alone = _why_alone(lesson)
    if lesson.alone is not None:
        return id(lesson)
    with lesson.hooked():
        _, numbers = lesson.split(net)
    skeleton = copy.deepcopy(net.module_)
    with torch.no_grad():
        for weight in skeleton.parameters():
            weight.zero_()
    mark = fingerprint(skeleton)
    return (
        id(lesson) if mark is None else mark.checksum,
        type(net.optimizer_),
        lesson.X.shape,
        type(lesson.rows.target),
        lesson.rows.soft.shape,
        net.batch_size,
        net.max_epochs,
        str(net.device),
        repr(net.get_params_for("iterator_train")),
        tuple(map(len, numbers)),
        tuple(map(type, pacers_of(net))),
    )


def _why_alone(lesson: Lesson) -> str | None:
    """Say why a net cannot be trained with others; None if it can."""
    net, module = lesson.net, lesson.net.module_
    if isinstance(lesson.X, EncodedRows):
        return "the rows are so many that they are encoded batch by batch"
    if not isinstance(lesson.X, np.ndarray):
        return "the student's input is sparse"
    if not lesson.is_new:
        return "the student has learned before, or has warm_start"
    if type(net.optimizer_) not in _ELEMENTWISE or len(net.optimizer_.param_groups) > 1:
        return "the student's optimizer is not SGD, RMSprop or like Adam, or has groups"
    if _kinds_of_callbacks(net) - _BYSTANDERS - _STOPPERS:
        return "a callback of the student may set its learning rate"
    parameters = list(module.parameters())
    if not all(p.requires_grad and p.dtype == torch.float32 for p in parameters):
        return "the student has weights that are fixed, or not float32"
    # A copy has no hooks, and there is no public name to see them by.
    if any(p._backward_hooks or p._post_accumulate_grad_hooks for p in parameters):
        return "the student's weights have hooks, which may change their gradients"
    if not parameters or any(True for _ in module.buffers()):
        return "the student's module has no weights, or keeps statistics"
    module.train()
    example = as_weights(module, torch.tensor(lesson.X[:2]).to(net.device))
    weights = {
        name: w.detach()[None].requires_grad_() for name, w in module.named_parameters()
    }
    try:
        layers = plain_layers(module)
        outputs = stacked_outputs(module, weights, example[None], layers)[0]
        found = _with_gradients(outputs, [*weights.values()])
    except (RuntimeError, NotImplementedError):
        return "the student's module is random, as dropout is, or cannot be stacked"
    expected = _with_gradients(first(module(example)), parameters)
    for one, other in zip(found, expected, strict=True):
        # Not number by number: some are what is left of large ones, as rounded.
        if not (one - other).norm() <= 1e-4 * (0.1 + other.norm()):
            return "the student's module gives something else in a stack"
    return None


def _with_gradients(outputs: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """Return outputs, and the gradients of the sum of their squares."""
    total = outputs.square().sum()
    gradients = torch.autograd.grad(total, weights, materialize_grads=True)
    return [part.detach() for part in (outputs, *gradients)]
