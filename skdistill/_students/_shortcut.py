"""What the default preprocessing computes, in a few operations on arrays."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from skdistill._students._steps import BATCH_VALUES, parts_of

if TYPE_CHECKING:
    from skdistill._students._tabular import TabularPreprocessor


@dataclass(frozen=True)
class Shortcut:
    """What a fitted ``transformer_`` computes, in a few operations on arrays.

    scikit-learn's steps check their input one after the other. For a single row, that
    takes a hundred times as long as the arithmetic.

    Attributes
    ----------
    numeric, categorical : list of int
        The positions of the columns; the parts of dates follow the columns of X.
    sources : ndarray of int
        The numeric column that each numeric output is made of: all of them, and then
        for each bin its column.
    statistics : list of ndarray
        In the dtype of the preprocessor, the medians of the numeric columns; and for
        the numeric outputs what is subtracted, and what it is divided by.
    bounds : list of (float, float, float)
        For the standardized values and for the bins, what is added to all of them, and
        where they are clipped after that.
    columns_of : list of dict
        For each categorical column the output column of each level; None is missing.
    """

    numeric: list[int]
    categorical: list[int]
    sources: NDArray[np.intp]
    statistics: list[NDArray[Any]]
    bounds: list[tuple[float, float, float]]
    columns_of: list[dict[str | None, int]]

    @classmethod
    def of(cls, preprocessor: TabularPreprocessor) -> Shortcut:
        """Read the numbers off a fitted preprocessor's ``transformer_``."""
        names = preprocessor._column_names()
        position = {name: i for i, name in enumerate(names)}
        parts = {
            name: (step, [position[column] for column in columns])
            for name, step, columns in parts_of(preprocessor.transformer_, names)
        }
        steps, numeric = parts.get("numeric", (None, []))
        encoder, categorical = parts.get("categorical", (None, []))
        bins, binned = parts.get("bins", (None, []))
        sources = list(range(len(numeric)))
        if bins is not None:
            ((_, _, repeated),) = bins["repeat"].transformers
            sources += [numeric.index(binned[i]) for i in repeated]
        fitted = [part for part in (steps, bins) if part is not None]
        number = itertools.count(len(sources))
        return cls(
            numeric,
            categorical,
            np.array(sources, dtype=np.intp),
            _statistics(fitted, preprocessor.dtype_),
            [(part["clip"].min_[0], *part["clip"].feature_range) for part in fitted],
            [
                {v if isinstance(v, str) else None: next(number) for v in levels}
                for levels in ([] if encoder is None else encoder.categories_)
            ],
        )

    def imputed(self, block: NDArray[Any]) -> NDArray[Any]:
        """Return the numeric columns with their medians in place of missing values."""
        if not self.numeric:
            return block
        median = self.statistics[0]
        return np.ascontiguousarray(np.where(np.isnan(block), median, block))

    @property
    def n_outputs(self) -> int:
        """The number of output columns."""
        return len(self.sources) + sum(map(len, self.columns_of))

    def places(self, strings: list[list[str | None]]) -> list[NDArray[np.int32]]:
        """Return in which output column each level is; -1 is that of no column."""
        return [
            np.array([columns.get(level, -1) for level in column], dtype=np.int32)
            for columns, column in zip(self.columns_of, strings, strict=True)
        ]

    def __call__(
        self, block: NDArray[Any], places: list[NDArray[np.int32]]
    ) -> NDArray[np.float32]:
        """Return the output columns of the imputed numeric and the other columns."""
        if not self.columns_of and block.size <= BATCH_VALUES:  # faster for a row
            return self._encoded(block).astype(np.float32, copy=False)
        n_numbers = len(self.sources)
        out = np.zeros((len(block), self.n_outputs), np.float32)
        n_rows = BATCH_VALUES // max(1, n_numbers) + 1
        for start in range(0, len(block), n_rows):
            batch = slice(start, start + n_rows)
            out[batch, :n_numbers] = self._encoded(block[batch])
        for hot in places:
            rows = np.flatnonzero(hot >= 0)
            out[rows, hot[rows]] = 1
        return out

    def _encoded(self, block: NDArray[Any]) -> NDArray[Any]:
        if not self.numeric:
            return block
        _, start, scale = self.statistics
        n_numeric = len(self.numeric)
        if len(self.sources) > n_numeric:
            block = block.take(self.sources, axis=1)
        # What overflows is clipped in the end.
        with np.errstate(over="ignore", invalid="ignore"):
            out = block - start
            out /= scale
        # One after the other, as numpy is fast if all columns have the same bounds.
        parts = (out[:, :n_numeric], out[:, n_numeric:])
        for part, (shift, low, high) in zip(parts, self.bounds, strict=False):
            if shift:
                part += shift
            part.clip(low, high, out=part)
        return out


def _statistics(fitted: list[Pipeline], dtype: type) -> list[NDArray[Any]]:
    """Return the medians of fitted numeric steps, and what they shift and divide by."""
    if not fitted:
        return []
    scalers = [steps["scale"] for steps in fitted]
    values = (
        fitted[0]["impute"].statistics_,
        np.concatenate([scaler.mean_ for scaler in scalers]),
        np.concatenate([scaler.scale_ for scaler in scalers]),
    )
    return [value.astype(dtype) for value in values]
