"""Label rows without labels by nets that learn from the others, and calibrate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from skdistill._students._inputs import net_rows
from skdistill._students._student import LeftOpen
from skdistill._targets._calibration import matching_temperature
from skdistill._training._lesson import Lesson
from skdistill._training._objective import Objective, terms_of
from skdistill._training._prediction import proba
from skdistill._training._train import make_lesson, train
from skdistill._transfer._store import store
from skdistill._transfer._transfer_set import TransferSet
from skdistill.utils._fingerprint import fingerprint

_LABELS_ALONE = Objective(temperature=1.0, alpha=0.0, loss=terms_of("loss", "kl"))

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


@dataclass(frozen=True)
class PseudoLabels:
    """What the nets that learned the labels tell, as the store keeps it.

    Attributes
    ----------
    proba : ndarray of shape (n_extra, n_classes), float32
        The class probabilities of the rows without labels: the mean of the nets.
    best_epoch, valid_loss : dict of str to float
        By encoding, the mean epoch after which a net began to overfit, counted from 1;
        and the mean loss of the rows that were held out, at the end of that epoch. An
        epoch is a pass over the rows that the net learned from. If these are a part of
        all rows, nets of all would overfit after more passes, not after fewer.
    """

    proba: NDArray[np.float32]
    best_epoch: dict[str, float]
    valid_loss: dict[str, float]

    @property
    def nbytes(self) -> int:
        return self.proba.nbytes

    def to_keep(self) -> PseudoLabels:
        return self

    def left_open(self, numeric: Any) -> LeftOpen:
        """Return what suits a student with an encoding of ours, or with any other."""
        if numeric not in _ENCODINGS:
            bins, plain = (self.valid_loss[encoding] for encoding in _ENCODINGS)
            numeric = _ENCODINGS[plain < _SHARE_OF_LOSS * bins]
        decay = np.clip(_DECAY_TIMES_EPOCH / self.best_epoch[numeric], *_DECAYS)
        return LeftOpen(float(decay), numeric)


def with_pseudo_labels(
    rows: TransferSet,
    student: Any,
    *,
    numeric: Any = "auto",
    seed: int,
    calibrate: bool,
    remember: bool,
) -> tuple[TransferSet, float | None, LeftOpen]:
    """Give the rows without labels pseudo-labels, and calibrate the soft labels.

    The pseudo-labels are the mean probabilities of nets that are trained on the labels
    alone, from different initial weights and with either encoding of numbers. See
    :func:`matching_temperature` for what they tell of the teacher. The sooner the nets
    overfit, the more weight decay a student needs: to stop a training after a number of
    steps acts like a decay in inverse proportion to it (Goodfellow, Bengio and
    Courville, Deep Learning, section 7.8).

    Parameters
    ----------
    rows : TransferSet
        Rows with labels, and extra rows without.
    student : Pipeline
        A net and its preprocessing, unfitted, with early stopping.
    numeric : object, default="auto"
        How the student that is to learn from these rows encodes numbers. Anything but
        "standard" and "piecewise" leaves it open.
    seed : int
        Seeds the weights and batches of the nets.
    calibrate : bool
        Whether to divide the teacher's logits by a temperature.
    remember : bool
        Whether to keep the pseudo-labels for a further call with the same rows.

    Returns
    -------
    rows : TransferSet
        The rows with their pseudo-labels.
    temperature : float or None
        What the logits were divided by.
    left_open : LeftOpen
        The weight decay that suits the noise in the labels, and the encoding.
    """
    own = rows.own()
    mark = None
    if remember:
        weight = own.hard_weight
        n_classes = own.soft.shape[1]
        mark = fingerprint(
            "pseudo-labels", own.X, own.hard, weight, n_classes, rows.extra, seed
        )

    def label() -> PseudoLabels:
        return _label(student, own, rows.extra, seed)

    labels = label() if mark is None else store.get(mark.checksum, label)
    rows, temperature = rows.with_pseudo_labels(labels.proba), None
    if calibrate:
        temperature = matching_temperature(rows.soft[len(own) :], labels.proba)
        rows = replace(rows, soft=rows.soft / np.float32(temperature))
    return rows, temperature, labels.left_open(numeric)


def _label(student: Any, own: TransferSet, extra: Any, seed: int) -> PseudoLabels:
    """Return the mean of nets that learn the labels, and how they did."""
    draws = np.random.RandomState(seed)
    seeds = draws.randint(2**31 - 1, size=_N_NETS).tolist()
    own = _some_of(own, draws)
    lessons = []
    for i, own_seed in enumerate(seeds):
        one = clone(student).set_params(
            preprocess__numeric=_ENCODINGS[i % 2],
            net__callbacks__valid_acc=None,  # nobody asks for it
        )
        lessons.append(make_lesson(one, own, _LABELS_ALONE, seed=own_seed))
    train(lessons)
    found = [_labels_of(lesson, extra) for lesson in lessons]
    labels, epochs, losses = zip(*found, strict=True)

    def by_encoding(values: Sequence[float]) -> dict[str, float]:
        return {e: float(np.mean(values[i::2])) for i, e in enumerate(_ENCODINGS)}

    return PseudoLabels(
        np.mean(labels, axis=0), by_encoding(epochs), by_encoding(losses)
    )


def _some_of(own: TransferSet, draws: np.random.RandomState) -> TransferSet:
    """Return rows with labels: all of them, or as many at random as nets learn from."""
    if len(own) <= _MAX_ROWS:
        return own
    labeled = np.flatnonzero(own.weight_of_labels)
    n_rows = min(len(labeled), _MAX_ROWS)
    return own.part(np.sort(draws.choice(labeled, n_rows, replace=False)))


def _labels_of(lesson: Lesson, extra: Any) -> tuple[NDArray[np.float32], int, float]:
    """Return the probabilities of a net that has learned the labels.

    Also return its best epoch, and the loss of the rows held out at its end.
    """
    net = lesson.net
    labels = proba(net, net_rows(lesson.student, [extra])).to(torch.float32).numpy()
    losses = net.history[:, "valid_loss"]
    best = int(np.argmin(losses))
    return labels, best + 1, losses[best]
