"""The transfer set: the rows that a student learns from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skdistill._targets._answer import Answer
from skdistill._targets._classes import Classes
from skdistill._targets._incomplete import Incomplete
from skdistill._targets._target import Target
from skdistill.utils._arrays import Array, Bools, Floats, Ints
from skdistill.utils._warnings import warn


@dataclass(frozen=True)
class TransferSet:
    """The rows that a student learns from, whatever their origin.

    Hinton et al. (2015) call them the transfer set. A row has a soft target, which the
    teacher gives, a hard target, which is its label, and a weight for each.

    Attributes
    ----------
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        The inputs, as the student's preprocessing takes them.
    soft : ndarray of shape (n_samples, n_outputs), float32
        The soft targets. Of classes, they are the teacher's logits, finite, in the
        order of the classes; of numbers, its scaled predictions.
    hard : ndarray of shape (n_samples,), int64, or (n_samples, n_targets), float32
        The hard targets. Of classes, they are positions among the classes. Where a row
        has no label, what the teacher names.
    soft_weight : ndarray of shape (n_samples,), float32, or float
        The weights of the soft targets: 0 where the teacher does not know the label of
        a row. A number stands for all rows.
    hard_weight : ndarray of shape (n_samples,), float32, or float
        The weights of the hard targets: 0 where a row has no label.
    features : ndarray of shape (n_samples, n_teacher_features), float32, or None
        The teacher's hidden features, if a loss asks for them.
    extra : array-like or None
        The inputs of further rows without labels, which come below those of X. The
        student's preprocessing is not fitted on them.
    pseudo_labels : ndarray of shape (n_extra, n_classes), float32, or None
        Class probabilities, the hard targets of the extra rows. Of numbers, ``hard``
        contains these.
    target : Target
        What is learned.
    incomplete : Incomplete or None
        What teachers say, if one of them does not know all classes.
    """

    X: Any
    soft: Floats
    hard: Array
    soft_weight: Floats | float = 1.0
    hard_weight: Floats | float = 1.0
    features: Floats | None = None
    extra: Any = None
    pseudo_labels: Floats | None = None
    target: Target = field(default_factory=Classes)
    incomplete: Incomplete | None = None

    def __len__(self) -> int:
        return len(self.hard)

    @property
    def has_labels(self) -> bool:
        """Whether any row has a label."""
        return bool(np.any(self.hard_weight))

    @property
    def taught(self) -> Bools:
        """The rows of which both targets have a weight above 0."""
        both = np.multiply(self.soft_weight, self.hard_weight) > 0
        return np.broadcast_to(both, len(self))

    @property
    def weight_of_labels(self) -> Floats:
        """The weight of the hard target of each row."""
        return np.broadcast_to(np.float32(self.hard_weight), len(self))

    @property
    def n_extra(self) -> int:
        """How many rows are beyond those of X."""
        return len(self) - _num_samples(self.X)

    def without_inputs(self) -> TransferSet:
        """Return what the rows teach, alone."""
        return replace(self, X=None, extra=None)

    def own(self) -> TransferSet:
        """Return the rows of X alone."""
        return self._with_targets_of(slice(_num_samples(self.X)), self.X)

    def part(self, rows: Ints) -> TransferSet:
        """Return some of the rows of X, by their numbers."""
        return self._with_targets_of(rows, _safe_indexing(self.X, rows))

    def _with_targets_of(self, rows: Any, X: Any) -> TransferSet:
        parts = {
            name: value[rows] if isinstance(value, np.ndarray) else value
            for name in ("soft", "hard", "soft_weight", "hard_weight", "features")
            for value in [getattr(self, name)]
        }
        return TransferSet(X, **parts, target=self.target)

    def without_extra(self, rows: Ints) -> TransferSet:
        """Return the same without some of the extra rows, by their numbers there."""
        if len(rows) == 0:
            return self
        n_own = len(self) - self.n_extra
        kept = np.delete(np.arange(self.n_extra), rows)
        numbers = np.concatenate([np.arange(n_own), n_own + kept])
        labels = self.pseudo_labels
        return replace(
            self._with_targets_of(numbers, self.X),
            extra=_safe_indexing(self.extra, kept),
            pseudo_labels=None if labels is None else labels[kept],
        )

    def soft_of(self, rows: Ints, labels: Floats) -> Floats:
        """Return the soft targets of rows, whose labels tell what teachers cannot."""
        if self.incomplete is None:
            return self.soft[rows]
        return self.incomplete.completed(rows, labels)

    def completed(self, labels: Floats) -> TransferSet:
        """Return the same with what labels of the extra rows tell of their classes."""
        if self.incomplete is None:
            return self
        extra = np.arange(len(self) - len(labels), len(self))
        soft = np.concatenate([self.soft[: extra[0]], self.soft_of(extra, labels)])
        own = self.target.names[self.hard[: extra[0]]]
        before, after = (self.target.row_weights(s, own) for s in (self.soft, soft))
        if before is None or after is None:
            return replace(self, soft=soft)
        ratio = np.divide(after, before, out=before, where=before > 0)
        weight = np.multiply(self.soft_weight, ratio).astype(np.float32)
        return replace(self, soft=soft, soft_weight=weight)

    def with_pseudo_labels(self, proba: Floats) -> TransferSet:
        """Return the same with hard targets for the extra rows.

        Those of numbers are numbers as well. Positions of classes are not: those
        of the extra rows are probabilities, and stand apart.
        """
        weight, extra = self.weight_of_labels.copy(), np.arange(-len(proba), 0)
        weight[extra] = np.broadcast_to(self.soft_weight, len(self))[extra]
        if self.hard.ndim == 1:
            return replace(self, hard_weight=weight, pseudo_labels=proba)
        hard = np.concatenate([self.hard[: -len(proba)], proba])
        return replace(self, hard=hard, hard_weight=weight)


def make_transfer_set(
    X: Any,
    y: Array | None,
    answer: Answer,
    *,
    target: Target,
    sample_weight: Floats | None = None,
    extra: Any = None,
) -> TransferSet:
    """Bring rows, their labels, extra rows and a teacher's answer for all together.

    The columns of the answer are named as in ``y``, and the target has its names.
    Sample weights multiply both weights, and so do those of the target's labels: of a
    row with a label, that of its label; of any other row, the expected weight by the
    soft target. So a class weighs as much among the rows without labels as among the
    others.
    """
    target = target.with_weights_of(y)
    soft, incomplete = target.soft(answer), target.incomplete(answer)
    hard = target.hard(soft, y)
    if y is not None and incomplete is not None:
        labeled = np.arange(len(y))
        soft[labeled] = incomplete.completed(labeled, hard[labeled])
    n_own = _num_samples(X)
    weight: Any = 1.0 if sample_weight is None else _with_mean_one(sample_weight)
    extra_weight: Any = 1.0
    by_row = target.row_weights(soft, y)
    if by_row is not None:
        own = by_row[:n_own] if sample_weight is None else by_row[:n_own] * weight
        weight = _with_mean_one(own)
        extra_weight = by_row[n_own:] / (own.mean() or 1.0)
    soft_weight, hard_weight = weight, 0.0 if y is None else weight
    if y is not None:
        known = target.are_known(y, answer.columns)
        soft_weight = weight if known.all() else (weight * known).astype(np.float32)
    if len(hard) > n_own:
        soft_weight = _padded(soft_weight, n_own, extra_weight, len(hard))
        hard_weight = _padded(hard_weight, n_own, 0.0, len(hard))
    return TransferSet(
        X,
        soft,
        hard,
        soft_weight,
        hard_weight,
        answer.features,
        extra,
        target=target,
        incomplete=incomplete,
    )


def warn_if_incomplete(rows: TransferSet) -> None:
    """Warn if a teacher alone labels extra rows, and does not know all classes."""
    if rows.incomplete is not None:
        lacks = ~np.all([part.knows for part in rows.incomplete.parts], axis=0)
        warn(
            "SKD104",
            f"a teacher does not know the classes {rows.target.names[lacks].tolist()}, "
            "and labels rows beyond those of X, some of which may be of these classes. "
            "No nets learn the labels to tell which: this takes the default student, "
            "and calibrate_teacher='auto' where alpha is 1. Or leave out X_transfer, "
            "and set augmenter=None",
        )


def _padded(weight: Any, n_own: int, extra_weight: Any, n_rows: int) -> Any:
    """Return the weights of all rows, or one number if all weigh the same."""
    if np.ndim(weight) == np.ndim(extra_weight) == 0 and weight == extra_weight:
        return weight
    own = np.broadcast_to(np.float32(weight), n_own)
    return np.concatenate(
        [own, np.broadcast_to(np.float32(extra_weight), n_rows - n_own)]
    )


def _with_mean_one(weight: Floats) -> Floats:
    """Scale weights, of any size, so that float32 holds them and their sums."""
    largest = weight.max()
    if largest > 0:
        weight = weight / largest
        weight = weight / weight.mean()
    return weight.astype(np.float32)
