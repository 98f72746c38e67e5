"""Honest rows: rows on which a teacher can be measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from skdistill._targets._answer import Answer
from skdistill._targets._target import Target
from skdistill._transfer._question import Question
from skdistill._transfer._transfer_set import TransferSet, make_transfer_set
from skdistill.augmentation._table import Table
from skdistill.utils._arrays import Ints
from skdistill.utils._copies import MAX_COMPARED, true_copies

# Nets that learn the labels hold out this share of the rows, and no more than so many,
# to end the training, and to measure the teacher. If these are fewer than 500 rows,
# half of the nets hold out others.
_SHARE, _MOST, _FEW = 0.15, 15_000, 500


def held_rows(
    target: Target, X: Any, y: NDArray[Any], sample_weight: NDArray[np.float64] | None
) -> NDArray[np.integer] | None:
    """Return in which split nets that learn the labels hold a row out.

    It is 0 for a row that is always learned from, and for one without a weight. Copies
    of a row are held out together. None if there are too few rows. The target chooses
    the rows of a split.
    """
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    labeled, held = np.flatnonzero(weight), np.zeros(len(y), np.int8)
    distinct: Ints = np.arange(len(y))
    if len(y) <= MAX_COMPARED:
        distinct = true_copies(Table(X).distinct(), y)
    _, firsts = np.unique(distinct[labeled], return_index=True)
    rows = labeled[np.sort(firsts)]
    if len(rows) < 2:
        return None
    size = min(max(1, round(_SHARE * len(rows))), _MOST)
    n_splits = 2 if size < _FEW and len(rows) >= 4 else 1
    for split in range(1, 1 + n_splits):
        free = rows[held[rows] == 0]
        chosen = free[target.hold_out(y[free], size)]
        held[np.isin(distinct, distinct[chosen]) & (weight > 0)] = split
    return held


def honest_rows(
    question: Question,
    answer: Answer,
    target: Target,
    sample_weight: NDArray[np.float64] | None,
) -> TransferSet:
    """Return the rows on which a teacher can be measured, with its soft targets.

    These are NaN where all teachers that were asked have seen a row. The inputs are
    None if the rows are those that nets hold out. The weights are those of the rows of
    the question. The columns of the answer are named as in ``y``, and the target has
    its names.
    """
    are_others = isinstance(question.calibration, tuple)
    if are_others:
        (X, y), weight = question.calibration, None
    else:
        numbers = question.honest
        X, y = _safe_indexing(question.X, numbers), question.y[numbers]
        weight = None if sample_weight is None else sample_weight[numbers]
    answer = answer.on_honest_rows(len(y))
    rows = make_transfer_set(X, y, answer, target=target, sample_weight=weight)
    return rows if are_others else rows.without_inputs()
