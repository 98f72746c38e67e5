"""What teachers say of rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skdistill.utils._arrays import Array, Bools, Floats
from skdistill.utils._unwrap import listed


@dataclass(frozen=True)
class Answer:
    """A teacher's soft labels of some rows, and its hidden features of them.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_columns)
        The soft labels: probabilities, or log-probabilities if ``are_logits``, float32;
        or numbers, float64.
    columns : ndarray of shape (n_columns,)
        What the columns stand for.
    are_logits : bool
        Whether the teacher gives logits.
    features : ndarray of shape (n_samples, n_teacher_features), float32, or None
        Hidden features, if the question asked for them and the teacher has some.
    reduction : LeafReduction, list of them, or None
        The reduction of the leaves of trees to these features.
    calibration : Calibration, list of them, or None
        The calibration of the values, or the one that they are to get.
    honest : ndarray of shape (n_honest, n_columns) or None
        The same as ``values`` for the honest rows of the question, by a teacher that
        was not fitted on them; NaN where there is none.
    teacher : estimator or None
        The teacher that was fitted to give the answer, if one was.
    knows : ndarray of shape (n_columns,), bool, or None
        The columns of classes that the teacher knows; None for all.
    parts : tuple of (float, Answer)
        The weights and the answers of several teachers, if these know different
        classes. Their columns are the same.
    """

    values: Array
    columns: Array
    are_logits: bool = False
    features: Floats | None = None
    reduction: Any = None
    calibration: Any = None
    honest: Array | None = None
    teacher: Any = None
    knows: Bools | None = None
    parts: tuple[tuple[float, Answer], ...] = ()

    @property
    def proba(self) -> Array:
        return np.exp(self.values) if self.are_logits else self.values

    @property
    def honest_proba(self) -> Array | None:
        if self.honest is None or not self.are_logits:
            return self.honest
        return np.exp(self.honest)

    @property
    def known_columns(self) -> Array:
        """The columns of what the teacher knows."""
        return self.columns if self.knows is None else self.columns[self.knows]

    @property
    def temperature(self) -> float | list[float] | None:
        """The temperature of the calibration, or one for each of several teachers."""
        if isinstance(self.calibration, list):
            return [one.temperature for one in self.calibration]
        return None if self.calibration is None else self.calibration.temperature

    @property
    def nbytes(self) -> int:
        arrays = (self.values, self.columns, self.features, self.honest)
        held = (*arrays, *listed(self.reduction))
        return sum(part.nbytes for part in held if part is not None)

    def to_keep(self) -> Answer:
        """Return what a store keeps: all but the teacher, which is too large."""
        return replace(self, teacher=None)

    def on_honest_rows(self, n_rows: int) -> Answer:
        """Return the answer for the honest rows alone; NaN where there is none."""
        parts = tuple(
            (weight, one.on_honest_rows(n_rows)) for weight, one in self.parts
        )
        values = self.honest
        if values is None:
            shape = (n_rows, len(self.columns))
            values = np.full(shape, np.nan, self.values.dtype)
        return replace(self, values=values, features=None, honest=None, parts=parts)

    def above(self, other: Answer) -> Answer:
        """Return this answer with that on further rows below it."""
        features = None
        if self.features is not None and other.features is not None:
            features = np.concatenate([self.features, other.features])
        values = np.concatenate([self.values, other.values])
        return replace(self, values=values, features=features)
