"""A student as tables of numbers, for C: how rows are read, and the layers of the net.

Each layer is a sum of some rows of one table. In the first layer, a number with bins
adds at most two rows. What it adds to the outputs of the layer is piecewise linear: the
table has the values at the knots, and between two of them lies a weighted mean of both.
A level adds one row. In the further layers, a unit that is not zero adds one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

from skdistill._students._bins import knots
from skdistill._students._budget import Shape, stored_values
from skdistill._students._tabular import CLIP
from skdistill.deploy._parts import Parts
from skdistill.deploy._stack import (
    WAY_OUT,
    as_array,
    check_stack,
    layers_of,
    linear_layers,
    weights_and_biases,
)

_FORM = "the C code"

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
    def level_names(self) -> dict[int, list[str]]:
        """The known levels by column, without the missing one, which is the last."""
        return {
            column: [name for name in known if name is not None]
            for column, known in self.levels.items()
        }

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


@dataclass(frozen=True)
class Table:
    """The weights of a layer, a row for each input.

    Attributes
    ----------
    weights : ndarray of shape (n_rows, width), float32 or int8
        The weights.
    bias : ndarray of shape (width,), float32
        What the sum begins with.
    activation : str or None
        The function of the outputs; None for the last layer.
    row_scales : ndarray of shape (n_rows,), float32, or None
        What the rows are multiplied by, if the weights are int8.
    """

    weights: NDArray[Any]
    bias: NDArray[np.float32]
    activation: str | None
    row_scales: NDArray[np.float32] | None = None

    @property
    def width(self) -> int:
        return len(self.bias)

    @property
    def n_bytes(self) -> int:
        arrays = (self.weights, self.bias, self.row_scales)
        return sum(array.nbytes for array in arrays if array is not None)

    def quantized(self) -> Table:
        """Return the table in int8.

        Each row has a scale of its own: in the first layer, rows of far outliers would
        make the steps of all others coarse. For one output, this would save nothing.
        """
        if self.width == 1:
            return self
        scales = np.abs(self.weights).max(axis=1) / np.float32(127)
        scales[scales == 0] = 1
        rounded = np.rint(self.weights / scales[:, np.newaxis]).astype(np.int8)
        return Table(rounded, self.bias, self.activation, scales)


@dataclass(frozen=True)
class Embedding:
    """The weights of a periodic embedding, as in the module of a student."""

    frequencies: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    @property
    def n_outputs(self) -> int:
        return self.bias.size

    @property
    def n_bytes(self) -> int:
        return self.frequencies.nbytes + self.weights.nbytes + self.bias.nbytes


@dataclass(frozen=True)
class Tables:
    """All numbers of a student.

    Attributes
    ----------
    reading : Reading
        How rows are read.
    order : list of int
        The numbers without bins, and then those with bins.
    knots : list of ndarray
        The knots of each number with bins.
    zeros : list of int
        Which of its knots has no row, as what it would add is in the bias.
    embedding : Embedding or None
        The periodic embedding of all numbers.
    layers : list of Table
        The layers. The rows of the first one are those of the numbers without bins, of
        the knots, of the levels, and of the embedding.
    """

    reading: Reading
    order: list[int]
    knots: list[NDArray[np.float64]]
    zeros: list[int]
    embedding: Embedding | None
    layers: list[Table]

    @property
    def n_linear(self) -> int:
        return len(self.order) - len(self.knots)

    @property
    def n_terms(self) -> int:
        """The largest number of rows that the first layer adds."""
        n_embedded = 0 if self.embedding is None else self.embedding.n_outputs
        n_numbers = self.n_linear + 2 * len(self.knots)
        return n_numbers + len(self.reading.levels) + n_embedded

    @property
    def multiply_adds(self) -> int:
        """The largest number of multiplications with a weight for one row."""
        n_inputs = [self.n_terms, *(table.width for table in self.layers)]
        embedded = 0 if self.embedding is None else self.embedding.weights.size
        return embedded + sum(
            n * table.width for n, table in zip(n_inputs, self.layers, strict=False)
        )

    @cached_property
    def values(self) -> dict[str, NDArray[Any]]:
        """What numbers are read with, in their order."""
        reading, order = self.reading, self.order
        medians = reading.medians
        return stored_values(
            reading.offsets[order].astype(reading.dtype),
            reading.scales[order].astype(reading.dtype),
            None if medians is None else medians[order].astype(reading.dtype),
            [*[np.empty(0)] * self.n_linear, *self.knots],
        )

    @cached_property
    def n_bytes(self) -> int:
        """The bytes of all tables."""
        reading = self.reading
        read = Shape(
            n_linear=self.n_linear,
            n_knots=[len(knots) for knots in self.knots],
            n_levels=[len(known) for known in reading.levels.values()],
            values_bytes=sum(array.nbytes for array in self.values.values()),
        )
        embedded = 0 if self.embedding is None else self.embedding.n_bytes
        return read.n_bytes + embedded + sum(table.n_bytes for table in self.layers)

    def quantized(self) -> Tables:
        """Return the tables with weights of 8 bits, without those of an embedding."""
        layers = [table.quantized() for table in self.layers]
        return replace(self, layers=layers)


def tables_of(parts: Parts) -> Tables:
    """Return the tables of a student.

    Raise a TypeError or ValueError if its preprocessing or its net has parts that the C
    code has not.
    """
    reading = _reading_of(parts)
    module = parts.net.module_
    module = getattr(module, "_orig_mod", module)  # without its compiler
    found = getattr(module, "embedding", None)
    is_periodic = hasattr(found, "frequencies")
    stack = layers_of(module.layers if is_periodic else module, parts, _FORM)
    linear, between = linear_layers(stack, _FORM)
    n_features = len(reading.sources) + reading.n_levels
    embedding = _embedding(found, reading) if is_periodic else None
    n_inputs = n_features + (0 if embedding is None else embedding.n_outputs)
    if linear[0].in_features != n_inputs:
        raise ValueError(
            f"the first Linear of the student takes {linear[0].in_features} inputs, "
            f"and its preprocessing makes {n_inputs}. {WAY_OUT}"
        )
    check_stack(parts, stack, n_features, _beside(found) if is_periodic else None)
    (weights, bias), *others = weights_and_biases(linear)
    order, knots, zeros, weights, bias = _folded(reading, weights, bias)
    activations = [*between, None]
    layers = [
        Table(np.ascontiguousarray(w, np.float32), b.astype(np.float32), activation)
        for (w, b), activation in zip(
            [(weights, bias), *others], activations, strict=True
        )
    ]
    return Tables(reading, order, knots, zeros, embedding, layers)


def _beside(embedding: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that puts the outputs of an embedding beside its inputs."""
    n_numbers = len(embedding.frequencies)
    return lambda rows: torch.cat([rows, embedding(rows[:, :n_numbers])], dim=1)


def _embedding(module: Any, reading: Reading) -> Embedding:
    n_numbers = len(reading.origins)
    if len(module.frequencies) != n_numbers or len(reading.sources) > n_numbers:
        raise ValueError(
            "the student has a periodic embedding, and bins or levels that are "
            f"embedded, which the C code has not. {WAY_OUT}"
        )
    angles = as_array(module.frequencies) * 2 * np.pi
    weights, bias = as_array(module.weight), as_array(module.bias)
    return Embedding(*(a.astype(np.float32) for a in (angles, weights, bias)))


def _folded(
    reading: Reading, weights: NDArray[np.float64], bias: NDArray[np.float64]
) -> tuple[list[int], list[Any], list[int], NDArray[np.float64], NDArray[np.float64]]:
    """Return the order of numbers, knots and zeros, and the first layer by its rows."""
    n_numbers, n_numeric = len(reading.origins), len(reading.sources)
    all_knots = [reading.knots(i) for i in range(n_numbers)]
    linear = [i for i, knots in enumerate(all_knots) if not len(knots)]
    binned = [i for i, knots in enumerate(all_knots) if len(knots)]
    rows, zeros, bias = [weights[linear]], [], bias.copy()
    for i in binned:
        values = (
            reading.encoded(i, all_knots[i]) @ weights[:n_numeric][reading.sources == i]
        )
        # Near most rows the others are small then, which saves digits.
        middle = 0.0 if reading.medians is None else float(reading.medians[i])
        zero = int(np.abs(all_knots[i] - middle).argmin())
        bias += values[zero]
        rows.append(np.delete(values - values[zero], zero, axis=0))
        zeros.append(zero)
    rows.append(weights[n_numeric:])
    knots = [all_knots[i] for i in binned]
    return [*linear, *binned], knots, zeros, np.concatenate(rows), bias


def _reading_of(parts: Parts) -> Reading:
    """Return how the rows of a student are read.

    Raise a ValueError if its preprocessing is anything but a TabularPreprocessor, or
    steps that scale numbers and replace missing ones.
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
    names = parts.feature_names
    return Reading(
        n_features=n_features,
        names=names,
        dtype=np.float64 if steps or names else np.float32,  # members are double
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
