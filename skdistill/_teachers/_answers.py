"""What teachers say of some rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Answer:
    """The labels that a teacher gives some rows, and its hidden features of them.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_classes), float32
        Probabilities, or log-probabilities where ``are_logits``.
    classes : ndarray of shape (n_classes,)
        What the columns stand for.
    are_logits : bool
        Whether the teacher gives logits.
    features : ndarray of shape (n_samples, n_teacher_features), float32, or None
        Hidden features, if they were asked for and the teacher has some.
    reduction : LeafReduction, list of them, or None
        How the leaves of trees were reduced to these features.
    calibration : Calibration, list of them, or None
        How it was calibrated, or is to be.
    teacher : estimator or None
        The teacher that was fitted to give the answer, if one was.
    """

    values: NDArray[np.float32]
    classes: NDArray[Any]
    are_logits: bool = False
    features: NDArray[np.float32] | None = None
    reduction: Any = None
    calibration: Any = None
    teacher: Any = None

    @property
    def proba(self) -> NDArray[np.float32]:
        return np.exp(self.values) if self.are_logits else self.values

    @property
    def temperature(self) -> float | list[float] | None:
        """The temperature of the calibration, or one for each of several teachers."""
        if isinstance(self.calibration, list):
            return [one.temperature for one in self.calibration]
        return None if self.calibration is None else self.calibration.temperature

    @property
    def nbytes(self) -> int:
        reductions = self.reduction
        if not isinstance(reductions, list):
            reductions = [reductions]
        held = [self.values, self.classes, self.features, *reductions]
        return sum(part.nbytes for part in held if part is not None)

    def to_keep(self) -> Answer:
        """Return what a store keeps: a teacher is too large."""
        return replace(self, teacher=None)

    def above(self, other: Answer) -> Answer:
        """Return this answer with that on further rows below it."""
        features = None
        if self.features is not None and other.features is not None:
            features = np.concatenate([self.features, other.features])
        values = np.concatenate([self.values, other.values])
        return replace(self, values=values, features=features)

    def to_tuple(self) -> tuple[Any, ...]:
        """Return all but the teacher, as the arguments that make the answer again."""
        parts = (self.values, self.classes, self.are_logits, self.features)
        return *parts, self.reduction, self.calibration


def align(
    values: NDArray[np.float32],
    columns: NDArray[Any],
    classes: NDArray[Any],
    fill: float = 0.0,
) -> NDArray[np.float32]:
    """Bring columns into the order of ``classes``; ``fill`` where there is none."""
    if np.array_equal(columns, classes):
        return values
    position = {label: column for column, label in enumerate(columns.tolist())}
    aligned = np.full((len(values), len(classes)), fill, dtype=np.float32)
    for target, label in enumerate(classes.tolist()):
        if label in position:
            aligned[:, target] = values[:, position[label]]
    return aligned
