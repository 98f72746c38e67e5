"""How a row of values becomes the input of a net, as plain arrays: for C."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

from skdistill._students._bins import knots
from skdistill._students._tabular import CLIP
from skdistill.deploy._parts import Parts

_LARGEST = float(np.finfo(np.float32).max)

# A row of values has these kinds of columns.
NUMBER, DATE, LEVEL, UNUSED = "number", "date", "level", "unused"


@dataclass(frozen=True)
class Reading:
    """How rows are read.

    Attributes
    ----------
    n_features : int
        The number of columns of a row.
    names : list of str or None
        Their names, if they have some.
    dtype : type
        ``numpy.float32`` or ``numpy.float64``: the precision of numbers.
    origins : list of (int, str or None)
        Where each number comes from: the column, and the part of its dates or None.
    medians : ndarray or None
        What replaces missing numbers. None if they are refused.
    bound : float
        How many standard deviations from the mean the numbers go.
    sources, offsets, scales : ndarray of shape (n_outputs,)
        For each numeric input of the net, its number, what is subtracted, and what the
        difference is divided by. The first are the standardized numbers; the others are
        bins.
    levels : dict
        The known levels by column. None stands for missing.
    zones : dict
        The time zone of each column of dates, None if they have none.
    """

    n_features: int
    names: list[str] | None
    dtype: type
    origins: list[tuple[int, str | None]]
    medians: NDArray[Any] | None
    bound: float
    sources: NDArray[np.intp]
    offsets: NDArray[np.float64]
    scales: NDArray[np.float64]
    levels: dict[int, list[str | None]] = field(default_factory=dict)
    zones: dict[int, str | None] = field(default_factory=dict)

    @property
    def is_array(self) -> bool:
        """Whether a row is an array of numbers, and no structure."""
        return self.names is None and not self.levels and not self.zones

    @property
    def kinds(self) -> list[str]:
        """The kind of each column."""
        kinds = [UNUSED] * self.n_features
        for column, _ in self.origins:
            kinds[column] = DATE if column in self.zones else NUMBER
        for column in self.levels:
            kinds[column] = LEVEL
        return kinds

    @property
    def n_levels(self) -> int:
        """The number of inputs of the net that are levels."""
        return sum(map(len, self.levels.values()))

    def encoded(self, number: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what a number makes of the inputs of the net, an output each."""
        own = np.flatnonzero(self.sources == number)
        shares = (values[:, np.newaxis] - self.offsets[own]) / self.scales[own]
        shares[:, :1] = shares[:, :1].clip(-self.bound, self.bound)
        shares[:, 1:] = (shares[:, 1:] - 0.5).clip(-0.5, 0.5)
        return shares

    def knots(self, number: int) -> NDArray[np.float64]:
        """Return between which values the inputs of a number are straight lines."""
        own = self.sources == number
        return knots(self.offsets[own], self.scales[own], self.bound)


def reading_of(parts: Parts) -> Reading:
    """Return how the rows of a student are read.

    Raises
    ------
    ValueError
        If its preprocessing is anything but a TabularPreprocessor, or steps that scale
        numbers and replace missing ones.
    """
    steps = parts.transformers
    if len(steps) == 1 and hasattr(steps[0], "levels_"):
        return _tabular(parts, steps[0])
    if all(map(_is_known, steps)):
        return _scaled(parts, steps)
    kinds = [type(step).__name__ for step in steps]
    raise ValueError(
        f"the steps before the net are {kinds}, and the C code has TabularPreprocessor "
        "alone, or StandardScaler, RobustScaler, MinMaxScaler and MaxAbsScaler without "
        "clip, and SimpleImputer of numbers: export pipeline[-1] and prepare its rows "
        "elsewhere, or use skdistill.deploy.to_onnx"
    )


def _is_known(step: Any) -> bool:
    """Tell whether a step makes a number of each number, by a line or a constant."""
    if type(step) is SimpleImputer:
        if step.indicator_ is not None or step.missing_values == step.missing_values:
            return False  # what it replaces is not NaN
        return bool(np.isfinite(_filling(step)).all())
    return type(step) in _LINES and not getattr(step, "clip", None)


def _filling(step: SimpleImputer) -> NDArray[np.float64]:
    """Return what replaces missing values; NaN where that is no number."""
    values = step.statistics_.tolist()
    return np.array([v if isinstance(v, Real) else np.nan for v in values], np.float64)


# Of a fitted scaler: what it subtracts, and what it divides the difference by, or None.
_LINES = {
    StandardScaler: lambda step: (step.mean_ if step.with_mean else None, step.scale_),
    RobustScaler: lambda step: (step.center_, step.scale_),
    MaxAbsScaler: lambda step: (None, step.scale_),
    MinMaxScaler: lambda step: (-step.min_ / step.scale_, 1 / step.scale_),
}


def _scaled(parts: Parts, steps: list[Any]) -> Reading:
    """Return how rows are read by scalers and imputers, one after the other."""
    n_features = (steps[0] if steps else parts.estimator).n_features_in_
    center, scale, medians = np.zeros(n_features), np.ones(n_features), None
    for step in steps:
        if type(step) is SimpleImputer:
            filled = center + scale * _filling(step)
            medians = filled if medians is None else medians
            continue
        subtracted, divided = _LINES[type(step)](step)
        center = center if subtracted is None else center + scale * subtracted
        scale = scale if divided is None else scale * divided
    return Reading(
        n_features=n_features,
        names=parts.feature_names,
        dtype=np.float64 if steps else np.float32,
        origins=[(i, None) for i in range(n_features)],
        medians=medians,
        bound=_LARGEST,
        sources=np.arange(n_features),
        offsets=center,
        scales=scale,
    )


def _tabular(parts: Parts, step: Any) -> Reading:
    n_features = step.n_features_in_
    origins: list[tuple[int, str | None]] = [(i, None) for i in range(n_features)]
    for column, (_, used) in step.dates_.items():
        origins += [(column, part) for part in used]
    return Reading(
        n_features=n_features,
        names=parts.feature_names,
        dtype=step.dtype_,
        origins=[origins[i] for i in step.numeric_columns_],
        medians=step.medians_,
        bound=CLIP,
        sources=step.sources_,
        offsets=step.offsets_.astype(np.float64),
        scales=step.scales_.astype(np.float64),
        levels=step.levels_,
        zones={column: zone for column, (zone, _) in step.dates_.items()},
    )
