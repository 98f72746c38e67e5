"""Label rows without labels by nets that learn from the others, and calibrate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from skorch.callbacks import EpochScoring
from skorch.dataset import ValidSplit

from skdistill._students._inputs import net_rows
from skdistill._students._student import PASSES, LeftOpen
from skdistill._targets._target import Target
from skdistill._targets._trust import USUAL, explained
from skdistill._training._lesson import Lesson
from skdistill._training._objective import Objective, default_terms
from skdistill._training._prediction import outputs_of
from skdistill._training._train import LABELS_DECIDE, make_lesson, train
from skdistill._transfer._store import store
from skdistill._transfer._transfer_set import TransferSet
from skdistill.utils._fingerprint import fingerprint

# How many nets learn the labels, and how they read numbers, in turn. Their mean is more
# exact than one: with four, students were .2 points more accurate in the mean of ten
# data sets than with one, and with both encodings another .1 points.
_N_NETS, _ENCODINGS = 4, ("piecewise", "standard")

# A student that leaves its encoding open gets standardized values alone where a net
# learns the labels from them with less than this share of the loss. Bins otherwise make
# better students, also where nets with less data than a student has do without.
_SHARE_OF_LOSS = 0.6

# They learn from at most so many rows, as the student needs them before it can begin.
_MAX_ROWS = 100_000

# The weight decay of a student, times the best epoch of the nets that learn the labels;
# and the range of the weight decay.
_DECAY_TIMES_EPOCH, _DECAYS = 3.0, (0.05, 1.0)


class HeldOutLabels:
    """What a net says of the rows that it holds out, as if it had not seen them.

    A training ends after the epoch that is best for the rows held out, which flatters
    the net there. So each half of them gets the probabilities after the epoch that is
    best for the other half. It is a ``scoring`` of skorch, called after each epoch.
    ``weight`` are the weights of the rows.
    """

    def __init__(self, target: Target, weight: NDArray[np.float32]) -> None:
        self.target, self.weight = target, weight
        self.lowest = [np.inf, np.inf]
        self.labels: Any = None

    def __call__(self, net: Any, X: Any, y: NDArray[Any]) -> float:
        said = net.predict_proba(X)  # of a regressor, the numbers
        self.labels = said.copy() if self.labels is None else self.labels
        losses = self.target.losses(said, y) * self.weight
        for half, other in ((0, 1), (1, 0)):
            loss = float(losses[half::2].sum())
            if loss < self.lowest[half]:
                self.lowest[half] = loss
                self.labels[other::2] = said[other::2]
        return float(losses.sum())


@dataclass(frozen=True)
class PseudoLabels:
    """What the nets that learned the labels tell, as the store keeps it.

    Attributes
    ----------
    labels : ndarray of shape (n_extra, n_outputs), float32
        What the nets say of the rows without labels, in their mean: probabilities of
        classes, or numbers.
    honest : ndarray of shape (n_honest, n_outputs), float32
        The same for the honest rows.
    best_epoch, valid_loss : dict of str to float
        By encoding, the mean epoch after which a net began to overfit, counted from 1;
        and the mean loss of the rows that were held out, at the end of that epoch. An
        epoch is a pass over the rows that the net learned from. If these are a part of
        all rows, nets of all would overfit after more passes, not after fewer.
    """

    labels: NDArray[np.float32]
    honest: NDArray[np.float32]
    best_epoch: dict[str, float]
    valid_loss: dict[str, float]

    @property
    def nbytes(self) -> int:
        return self.labels.nbytes + self.honest.nbytes

    def to_keep(self) -> PseudoLabels:
        return self

    def left_open(self, numeric: Any, trust: float) -> LeftOpen:
        """Return what suits a student that encodes numbers by ``numeric``.

        Anything but an encoding of ours leaves that open. ``trust`` is the share of the
        teacher.
        """
        if numeric not in _ENCODINGS:
            bins, plain = (self.valid_loss[encoding] for encoding in _ENCODINGS)
            share = 1.0 if trust < LABELS_DECIDE else _SHARE_OF_LOSS
            numeric = _ENCODINGS[plain < share * bins]
        decay = np.clip(_DECAY_TIMES_EPOCH / self.best_epoch[numeric], *_DECAYS)
        return LeftOpen(float(decay), numeric)


@dataclass(frozen=True)
class Measured:
    """What nets that learned the labels tell of a teacher, and of a student.

    Attributes
    ----------
    temperature : float or None
        What the teacher's logits were divided by.
    trust : float
        The share of the teacher in its best mixture with the nets, as far as it can be
        measured.
    n_honest : int
        On how many rows it was measured.
    left_open : LeftOpen
        The weight decay that suits the noise in the labels, and the encoding.
    """

    temperature: float | None
    trust: float
    n_honest: int
    left_open: LeftOpen


def with_pseudo_labels(
    rows: TransferSet,
    student: Any,
    *,
    held: NDArray[np.integer],
    honest: TransferSet | None,
    n_made: int = 0,
    numeric: Any = "auto",
    alpha: float | None = None,
    max_epochs: int | None = None,
    seed: int,
    calibrate: bool,
    remember: bool,
    verbose: int = 0,
) -> tuple[TransferSet, Measured]:
    """Give the rows without labels pseudo-labels, and calibrate the soft labels.

    The pseudo-labels are a mean of what nets say that are trained on the labels alone,
    from different initial weights and with either encoding of numbers. See
    :func:`matching_temperature` for what they tell of the teacher. The sooner the nets
    overfit, the more weight decay a student needs: to stop a training after a number of
    steps acts like a decay in inverse proportion to it (Goodfellow, Bengio and
    Courville, Deep Learning, section 7.8).

    Parameters
    ----------
    rows : TransferSet
        Rows with labels, and extra rows without, unless there are ``honest`` rows.
    student : Pipeline
        A net and its preprocessing, unfitted, with early stopping.
    held : ndarray of shape (n_own,), int
        From 1 on, the number of the split in which a row is held out, to stop the
        training of nets; 0 for a row from which all nets learn.
    honest : TransferSet or None
        Rows with labels that the nets have not seen. The soft targets are NaN where the
        teacher has seen a row. Without inputs, they are the rows that are ``held``.
        None if the teacher reads more columns than the nets: their labels would then
        credit it with what a student of the nets' columns cannot learn.
    n_made : int, default=0
        How many of the extra rows were made of others. They come first.
    numeric : object, default="auto"
        How the student that is to learn from these rows encodes numbers.
    alpha : float, default=None
        The share of the teacher in its loss. None stands for what is measured.
    max_epochs : int, default=None
        How often that student goes over all rows, if this is known. The nets go over no
        more rows in all, so that a short training is not preceded by a long one.
    calibrate : bool
        Whether to divide the teacher's logits by a temperature.
    remember : bool
        Whether to keep the pseudo-labels for a further call with the same rows.
    """
    own, target, mark = rows.own(), rows.target, None
    honest_X = None if honest is None else honest.X
    passes = _passes(max_epochs, len(own), len(rows))
    if remember:
        by_output = target.output_weights(own.hard)
        weights = (own.hard_weight, by_output)
        what = (own.X, own.hard, *weights, own.soft.shape[1], held, passes)
        kind = type(target).__name__
        mark = fingerprint("pseudo-labels", kind, *what, rows.extra, honest_X, seed)

    def label() -> PseudoLabels:
        return _label(student, own, held, rows.extra, honest_X, passes, seed, verbose)

    labels = label() if mark is None else store.get(mark.checksum, label)
    n_own, given = len(own), rows
    if rows.n_extra:
        rows = rows.completed(labels.labels).with_pseudo_labels(labels.labels)
    measured = own.part(np.arange(0)) if honest is None else honest
    temperature = None
    unseen = np.flatnonzero(~np.isnan(measured.soft).any(axis=1))
    nets = labels.honest[unseen]
    soft = measured.soft_of(unseen, nets)
    hard, weight = measured.hard[unseen], measured.weight_of_labels[unseen]
    if calibrate:
        others = (rows.soft[n_own:], labels.labels)
        others = others if rows.n_extra else (soft, nets)
        matched = target.matching_temperature(*others)
        temperature = target.labeled_temperature(soft, hard, weight, matched)
        rows = replace(rows, soft=rows.soft / np.float32(temperature))
        soft = soft / np.float32(temperature)
    said, of_extra = target.expected(soft), target.expected(rows.soft[n_own:])
    if honest is None:
        trust = USUAL * explained(of_extra, labels.labels)
    elif len(unseen):
        trust = target.share(said, nets, hard, weight)
        made = of_extra[:n_made], labels.labels[:n_made]
        rows = rows.without_extra(target.far_apart(said, nets, *made))
    else:
        # The teacher seems better on rows that it has learned than it is.
        seen = given.soft_of(np.flatnonzero(held), labels.honest)
        seen = target.expected(seen / np.float32(temperature or 1))
        known = labels.honest, honest.hard, honest.weight_of_labels
        bound = target.most_trust(*known, of_extra, labels.labels)
        trust = min(USUAL, target.share(seen, *known), bound)
    left_open = labels.left_open(numeric, trust if alpha is None else alpha)
    return rows, Measured(temperature, trust, len(unseen), left_open)


def _label(
    student: Any,
    own: TransferSet,
    held: NDArray[np.integer],
    extra: Any,
    honest_X: Any,
    passes: int,
    seed: int,
    verbose: int,
) -> PseudoLabels:
    """Return the means of nets that learn the labels, and how they did."""
    labels_alone = Objective(1.0, alpha=0.0, loss=default_terms(own.target))
    draws = np.random.RandomState(seed)
    seeds = draws.randint(2**31 - 1, size=_N_NETS).tolist()
    lessons, held_out = [], []
    for i, own_seed in enumerate(seeds):
        is_held = held == 1 + i // len(_ENCODINGS) % held.max()
        rest = _some_of(np.flatnonzero(~is_held), own, draws)
        rows = own.part(np.concatenate([rest, np.flatnonzero(is_held)]))
        split = np.split(np.arange(len(rows)), [len(rest)])
        scoring = HeldOutLabels(own.target, rows.weight_of_labels[split[1]])
        one = clone(student).set_params(
            preprocess__numeric=_ENCODINGS[i % len(_ENCODINGS)],
            net__train_split=ValidSplit([split]),
        )
        # Nobody asks for these, and they take a third of the time of a small net.
        unread = {"net__callbacks__valid_acc", "net__callbacks__print_log"}
        one.set_params(**dict.fromkeys(unread & one.get_params().keys()))
        callback = EpochScoring(scoring, name="held_out")
        one[-1].callbacks = [*one[-1].callbacks, ("held_out", callback)]
        lesson = make_lesson(
            one, rows, labels_alone, seed=own_seed, left_open=LeftOpen(passes=passes)
        )
        lessons.append(lesson)
        held_out.append((is_held, scoring))
    train(lessons, f"{_N_NETS} label nets", verbose)
    weights = _weights(own, held, held_out)
    labels = np.empty((0, own.soft.shape[1]), np.float32)
    if extra is not None:
        labels = _mean_said(lessons, extra, weights)
    if honest_X is None:
        honest = _mean_held_out(held, held_out, weights)
    else:
        honest = _mean_said(lessons, honest_X, weights)
    losses = [lesson.net.history[:, "valid_loss"] for lesson in lessons]

    def by_encoding(values: Sequence[float]) -> dict[str, float]:
        return {e: float(np.mean(values[i::2])) for i, e in enumerate(_ENCODINGS)}

    best_epoch = by_encoding([1 + int(np.argmin(one)) for one in losses])
    return PseudoLabels(
        labels,
        honest,
        best_epoch,
        by_encoding([min(one) for one in losses]),
    )


def _passes(max_epochs: int | None, n_own: int, n_rows: int) -> int:
    """Return how many times nets go over the rows that they learn from, at most."""
    if max_epochs is None:
        return PASSES
    return min(PASSES, math.ceil(max_epochs * n_rows / min(n_own, _MAX_ROWS)))


def _some_of(
    rows: NDArray[np.intp], own: TransferSet, draws: np.random.RandomState
) -> NDArray[np.intp]:
    """Return all rows, or as many at random as nets learn from."""
    if len(rows) <= _MAX_ROWS:
        return rows
    labeled = rows[own.weight_of_labels[rows] > 0]
    n_rows = min(len(labeled), _MAX_ROWS)
    return np.sort(draws.choice(labeled, n_rows, replace=False))


def _weights(own: TransferSet, held: NDArray[np.integer], held_out: Any) -> Any:
    """Return the weights of nets in their mean, one for either encoding."""
    rows, equal = held > 0, np.ones(len(held_out) // 2)
    bins, plain = (_mean_held_out(held, held_out[i::2], equal) for i in (0, 1))
    known = own.hard[rows], own.weight_of_labels[rows]
    share = own.target.share_of_nets(bins, plain, *known)
    return np.resize([2 * share, 2 - 2 * share], len(held_out)).astype(np.float32)


def _mean_held_out(
    held: NDArray[np.integer],
    held_out: list[tuple[NDArray[np.bool_], HeldOutLabels]],
    weights: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Return the mean of what nets say of the rows that they hold out."""
    n_outputs = held_out[0][1].labels.shape[1]
    total = np.zeros((len(held), n_outputs), np.float32)
    times = np.zeros((len(held), 1), np.float32)
    for (is_held, scoring), weight in zip(held_out, weights, strict=True):
        total[is_held] += weight * scoring.labels
        times[is_held] += weight
    return (total[held > 0] / times[held > 0]).astype(np.float32)


def _mean_said(
    lessons: Sequence[Lesson], rows: Any, weights: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the mean of what nets that have learned the labels say of rows."""
    outputs = [outputs_of(one.net, net_rows(one.student, [rows])) for one in lessons]
    target = lessons[0].rows.target
    said = [target.expected(of_net.numpy()) for of_net in outputs]
    mean: NDArray[np.float32] = np.average(said, axis=0, weights=weights)
    return mean
