"""Label rows without labels by a net that learns from the others, and calibrate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skdistill._teachers._calibration import matching_temperature
from skdistill._training._objective import Objective
from skdistill._training._prediction import proba, transform
from skdistill._training._train import net_of, train_student
from skdistill._transfer._store import store
from skdistill._transfer._transfer_set import TransferSet
from skdistill.utils._fingerprint import fingerprint

_LABELS_ALONE = Objective(temperature=1.0, alpha=0.0, loss=())


@dataclass(frozen=True)
class PseudoLabels:
    """Class probabilities of rows without labels, as the store keeps them."""

    proba: NDArray[np.float32]

    @property
    def nbytes(self) -> int:
        return self.proba.nbytes

    def to_keep(self) -> PseudoLabels:
        return self


def with_pseudo_labels(
    rows: TransferSet, student: Any, *, seed: int, calibrate: bool, remember: bool
) -> tuple[TransferSet, float | None]:
    """Give the rows without labels pseudo-labels, and calibrate the soft labels.

    The pseudo-labels are the probabilities of a net that is trained on the labels
    alone. See :func:`matching_temperature` for what they tell of the teacher.

    Parameters
    ----------
    rows : TransferSet
        Rows with labels, and extra rows without.
    student : Pipeline
        The net and its preprocessing, unfitted, with early stopping.
    seed : int
        Seeds its weights and batches.
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
    """
    own = rows.own()

    def label() -> PseudoLabels:
        _hold_out_what_there_is(student, own)
        train_student(student, own, _LABELS_ALONE, seed=seed)
        labels = proba(net_of(student), transform(student, rows.extra))
        return PseudoLabels(labels.to(torch.float32).numpy())

    mark = None
    if remember:
        weight = own.hard_weight
        n_classes = own.soft.shape[1]
        mark = fingerprint(
            "pseudo-labels", own.X, own.hard, weight, n_classes, rows.extra, seed
        )
    labels = label() if mark is None else store.get(mark.checksum, label)
    rows = rows.with_pseudo_labels(labels.proba)
    if not calibrate:
        return rows, None
    temperature = matching_temperature(rows.soft[len(own) :], labels.proba)
    return replace(rows, soft=rows.soft / np.float32(temperature)), temperature


def _hold_out_what_there_is(student: Any, rows: TransferSet) -> None:
    """Do not stratify the rows that are held out where some class has too few."""
    split = net_of(student).train_split
    counts = np.bincount(rows.hard)
    n_classes = np.count_nonzero(counts)
    if counts[counts > 0].min() < 2 or split.cv * len(rows) < n_classes:
        split.stratified = False
