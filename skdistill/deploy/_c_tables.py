"""A student as tables of numbers: each layer is a sum of some rows of one table.

In the first layer, a number with bins adds at most two rows. What it adds to the
outputs of the layer is piecewise linear: the table has the values at the knots, and
between two of them lies a weighted mean of both. A level adds one row. In the further
layers, a unit that is not zero adds one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skdistill._students._budget import Shape, stored_values
from skdistill.deploy._c_reading import Reading, reading_of
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
        largest = np.abs(self.weights).max(axis=1)
        scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
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

    Raises
    ------
    TypeError, ValueError
        If its preprocessing or its net has parts that the C code has not.
    """
    reading = reading_of(parts)
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
    check_stack(parts, stack, n_features, _Front(found) if is_periodic else None)
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


class _Front:
    """Puts the outputs of a periodic embedding beside its inputs."""

    def __init__(self, embedding: Any) -> None:
        self.embedding = embedding

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        numbers = rows[:, : len(self.embedding.frequencies)]
        return torch.cat([rows, self.embedding(numbers)], dim=1)


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
