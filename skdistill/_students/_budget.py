"""How many bytes a student takes, and the largest one within a number of bytes.

The bytes are those of the tables in the C code of :func:`skdistill.deploy.to_c`, with
weights in float32: the weights, the biases, and the numbers that rows are read with.
The names of classes and levels are not among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skdistill._students._bins import knots
from skdistill.utils._arrays import Array, Floats

# How many times as many inputs as units of a hidden layer a student has, at most. Of
# 0.5, 1, 2 and 4 for sizes of 2 to 128 kB, half is best where classes follow from sums
# over columns (letter), and 4 where a few columns have jagged edges (california); with
# 2, the log loss is never far from the best one. A second hidden layer is worth more
# than a wide one (phoneme, satimage).
_INPUTS_PER_UNIT = 2.0

_FLOAT, _DOUBLE, _INT = 4, 8, 4

# The bytes of what an input is read with, at most: those of a column without bins, its
# median, mean and standard deviation.
_READ = 2 * _DOUBLE + _FLOAT + _INT

# The bytes of an input and its weight for one unit, at most.
_INPUT = _READ + _FLOAT

# Numbers are stored in float32 where that changes them by less than this share of a
# standard deviation, or of the narrowest bin.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Shape:
    """What the bytes follow from, besides the hidden layers.

    Attributes
    ----------
    n_linear : int
        The number of numeric columns without bins.
    n_knots : sequence of int
        For each numeric column with bins, between how many values the inputs that are
        made of it are straight lines.
    n_levels : sequence of int
        For each categorical column, the number of known levels.
    values_bytes : int
        The bytes of the means, standard deviations and medians of numeric columns.
    """

    n_linear: int
    n_knots: Sequence[int] = ()
    n_levels: Sequence[int] = ()
    values_bytes: int = 0

    @property
    def n_rows(self) -> int:
        """The number of rows of weights in the first layer."""
        n_numeric = self.n_linear + sum(self.n_knots) - len(self.n_knots)
        return n_numeric + sum(self.n_levels)

    @property
    def n_bytes(self) -> int:
        """The bytes of all tables but those of the layers."""
        n_binned, n_numbers = len(self.n_knots), self.n_linear + len(self.n_knots)
        n_indices = n_numbers + 2 * n_binned + 2 * len(self.n_levels) + 2
        return self.values_bytes + _INT * n_indices + _DOUBLE * sum(self.n_knots)

    def with_layers(self, widths: Sequence[int]) -> int:
        """Return the bytes of a student with layers of these widths, the last too."""
        n_inputs = [self.n_rows, *widths]
        n_weights = sum((n + 1) * m for n, m in zip(n_inputs, widths, strict=False))
        return self.n_bytes + _FLOAT * n_weights


def stored_values(
    offsets: Array, scales: Array, medians: Array | None, all_knots: Sequence[Floats]
) -> dict[str, Array]:
    """Return the numbers that numeric columns are read with, in as few bits as will do.

    ``offsets`` and ``scales`` are the mean and the standard deviation of each column.
    ``medians`` are None if missing values are not replaced. Columns without bins have
    no knots, and those with bins need no mean.
    """
    linear = [not len(found) for found in all_knots]
    units = [
        float(np.diff(found).min()) if len(found) else scale
        for found, scale in zip(all_knots, scales, strict=True)
    ]
    values = {
        "means": _narrow(offsets[linear], scales[linear]),
        "scales": scales[linear].astype(np.float32),
    }
    return values if medians is None else values | {"medians": _narrow(medians, units)}


def _narrow(values: Array, units: ArrayLike) -> Array:
    narrow = values.astype(np.float32)
    error = np.abs(narrow.astype(np.float64) - values)
    return narrow if (error <= _ROUNDING * np.asarray(units)).all() else values


def shape_of(preprocess: Any, n_features: int) -> Shape:
    """Return the shape of a student, as far as its first step tells.

    Of anything but a fitted :class:`skdistill.TabularPreprocessor`, nothing is known:
    each of the ``n_features`` inputs of the net counts like a column of numbers.
    """
    if not hasattr(preprocess, "levels_"):
        return Shape(n_features, values_bytes=(_READ - _INT) * n_features)
    n_numeric = preprocess.n_numeric_
    all_knots = [knots(*preprocess.encoding_of(i)) for i in range(n_numeric)]
    values = stored_values(
        preprocess.offsets_[:n_numeric],
        preprocess.scales_[:n_numeric],
        preprocess.medians_,
        all_knots,
    )
    return Shape(
        n_linear=sum(not len(found) for found in all_knots),
        n_knots=[len(found) for found in all_knots if len(found)],
        n_levels=[len(known) for known in preprocess.levels_.values()],
        values_bytes=sum(array.nbytes for array in values.values()),
    )


def most_inputs(max_bytes: int) -> int:
    """Return how many inputs the net of a student within a number of bytes may have.

    Two hidden layers of equal width then take what is left.
    """
    # Solve n_inputs * (4 * n_units + _READ) + 4 * n_units**2 = max_bytes.
    ratio = _INPUTS_PER_UNIT
    a, b = _FLOAT * (ratio + 1), _READ * ratio
    n_units = (math.sqrt(b**2 + 4 * a * max_bytes) - b) / (2 * a)
    return max(1, int(ratio * n_units))


def _n_added(max_bytes: int, shape: Shape) -> int:
    """Return how many inputs more than these a student of so many bytes may have."""
    return max(0, most_inputs(max_bytes) - shape.n_rows)


def widths_within(max_bytes: int, shape: Shape, n_outputs: int) -> tuple[int, int]:
    """Return the widths of the two largest equal hidden layers within so many bytes.

    Raise a ValueError if there are none.
    """

    def n_bytes(n_units: int) -> int:
        return shape.with_layers((n_units, n_units, n_outputs))

    if n_bytes(1) > max_bytes:
        least = n_bytes(1)
        # More bytes are shared with more inputs.
        while least < (enough := n_bytes(1) + _n_added(least, shape) * _INPUT):
            least = enough
        raise ValueError(
            f"max_bytes={max_bytes} is too few for {shape.n_rows} inputs and "
            f"{n_outputs} outputs: {least} bytes are enough. Allow as many, or leave "
            "out columns, with student_columns of DistilledClassifier"
        )
    n_units = 1
    while n_bytes(n_units + 1) <= max_bytes:
        n_units += 1
    return n_units, n_units
