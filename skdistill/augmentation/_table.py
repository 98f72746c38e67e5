"""Tables whose rows can be recombined into new rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from skdistill.utils._arrays import Array, Bools, Floats, Ints
from skdistill.utils._copies import first_copies
from skdistill.utils._dates import as_dates, clock, dates_like
from skdistill.utils._frames import column_at, holds_dates, is_frame, is_pandas

# A column of whole numbers with no more distinct values than this holds levels: they
# are exchanged between rows, and no value in between is drawn.
_MAX_LEVELS = 20

# float64, as which columns are compared and mixed, holds whole numbers up to this.
_MAX_WHOLE = 2**53

# The number of coordinates that stand for a level when rows are compared.
_LEVEL_DIMENSIONS = 8


@dataclass(frozen=True)
class Column:
    """A column as numbers, and the values that may be drawn from it.

    Attributes
    ----------
    numbers : ndarray of shape (n_rows,), float64
        The values, NaN for missing and infinite ones. For dates, the steps from the
        first one. Codes of the levels where they are neither numbers nor dates.
    kind : {"continuous", "integer", "levels"}
        The values that may be drawn between two others: all, whole numbers, or none.
    first, step : numpy.datetime64 and numpy.timedelta64, or None
        The first date, and the longest time that divides all differences between
        dates, so that dates without times stay dates. None if there are no dates.
    """

    numbers: Floats
    kind: str
    first: Any = None
    step: Any = None

    @classmethod
    def of_numbers(cls, numbers: Floats) -> Column:
        """Return a column of numbers, whose kind follows from the values."""
        numbers = numbers.astype(np.float64)
        numbers[~np.isfinite(numbers)] = np.nan
        there = numbers[~np.isnan(numbers)]
        if not np.array_equal(there, np.round(there)):
            return cls(numbers, "continuous")
        few = len(np.unique(there)) <= _MAX_LEVELS
        is_exact = np.abs(there).max(initial=0) <= _MAX_WHOLE
        return cls(numbers, "levels" if few or not is_exact else "integer")

    @classmethod
    def of_dates(cls, times: NDArray[np.datetime64]) -> Column:
        """Return a column of dates; NaT is a missing date."""
        known = ~np.isnat(times)
        numbers = np.full(len(times), np.nan)
        if not known.any():
            return cls.of_numbers(numbers)
        first = times[known].min()
        since = times[known] - first
        step = np.gcd.reduce(since.astype(np.int64)).clip(1).astype(since.dtype)
        numbers[known] = since // step
        return replace(cls.of_numbers(numbers), first=first, step=step)

    @classmethod
    def of_levels(cls, values: Any) -> Column:
        """Return a column of other values; equal values are one level."""
        codes: dict[Any, int] = {}
        numbers = [codes.setdefault(_hashable(v), len(codes)) for v in values]
        return cls(np.array(numbers, dtype=np.float64), "levels")

    def embedded(self, rng: np.random.RandomState) -> Floats:
        """Return coordinates of the values, for distances between rows.

        Numbers are standardized, with the mean in place of missing ones. Different
        levels are about 1 apart.
        """
        if self.kind == "levels":
            _, codes = np.unique(self.numbers, return_inverse=True)
            places = rng.standard_normal((codes.max() + 1, _LEVEL_DIMENSIONS))
            places /= np.linalg.norm(places, axis=1, keepdims=True) * np.sqrt(2)
            return places[codes].astype(np.float32)
        there = ~np.isnan(self.numbers)
        mean = self.numbers[there].mean()
        scale = self.numbers[there].std() or 1.0
        standard = np.where(there, (self.numbers - mean) / scale, 0.0)
        return standard[:, np.newaxis].astype(np.float32)

    def drawn(self, numbers: Floats, where: Bools) -> tuple[Bools, Array]:
        """Return a mask of the numbers to use, and their values within the range."""
        where = where & np.isfinite(numbers)
        values: Array = np.clip(
            numbers[where], np.nanmin(self.numbers), np.nanmax(self.numbers)
        )
        if self.kind == "integer":
            values = np.round(values)
        if self.step is not None:
            values = self.first + values.astype(np.int64) * self.step
        return where, values


class Table:
    """A table of any kind, whose rows can be recombined column by column.

    Parameters
    ----------
    X : array-like or data frame of shape (n_rows, n_columns)
        Numbers, or in a data frame columns of anything.
    """

    def __init__(self, X: Any) -> None:
        self.given = X
        self.is_frame = is_frame(X)
        if self.is_frame:
            self.X = _with_own_dtypes(X)
            self.columns = [_column_of(self.X, i) for i in range(self.X.shape[1])]
        else:
            self.X = check_array(X, dtype=None, ensure_all_finite=False)
            of = Column.of_numbers if self.X.dtype.kind in "biuf" else Column.of_levels
            self.columns = [of(values) for values in self.X.T]
        if 0 in self.X.shape:
            raise ValueError(f"X of shape {self.X.shape} has no rows or no columns")

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def distinct(self) -> Ints:
        """Return for each row the number of the first that is equal or nearly so."""
        return first_copies(self.embedded(np.random.RandomState(0)))

    def embedded(self, rng: np.random.RandomState) -> Floats:
        """Return coordinates of the rows: similar rows are near each other."""
        return np.concatenate([c.embedded(rng) for c in self.columns], axis=1)

    def rebuilt(self, sources: Ints, numbers: Floats, where: Bools) -> Any:
        """Return new rows of the same columns and dtypes.

        Parameters
        ----------
        sources : ndarray of shape (n_new, n_columns)
            The row that a value is taken from.
        numbers : ndarray of shape (n_new, n_columns)
            The numbers that replace values of columns of numbers and dates.
        where : ndarray of shape (n_new, n_columns)
            A mask of the values to replace.
        """
        made = []
        for i, column in enumerate(self.columns):
            chosen, values = np.zeros(len(sources), dtype=bool), np.empty(0)
            if column.kind != "levels":
                chosen, values = column.drawn(numbers[:, i], where[:, i])
            made.append(self._column(i, sources[:, i], chosen, values))
        if not self.is_frame:
            return np.stack(made, axis=1)
        if not is_pandas(self.X):
            return type(self.X)(dict(zip(self.X.columns, made, strict=True)))
        frame = type(self.X)(dict(enumerate(made)))  # names may occur twice
        frame.columns = self.X.columns
        if self.X is self.given:
            return frame
        return type(self.given).from_pandas(frame, self.given.schema, False)

    def _column(self, position: int, rows: Ints, where: Bools, values: Array) -> Any:
        """Return a column at ``rows``, with ``values`` where ``where`` is True."""
        are_dates = values.dtype.kind == "M"
        if not self.is_frame:
            column = self.X[rows, position]
            column[where] = values.astype(column.dtype)
            return column
        if not is_pandas(self.X):
            column = self.X.to_series(position)[rows]
            dtype = column.dtype
            if are_dates:
                column, values = column.to_physical(), values.astype(np.int64)
            column = column.scatter(np.flatnonzero(where), values.tolist())
            return column.cast(dtype)
        old = self.X.iloc[:, position]
        array = old.array.take(rows)
        if are_dates:
            array[where] = dates_like(old, values)
        elif where.any():
            kind = getattr(array.dtype, "numpy_dtype", array.dtype)
            array[where] = values.astype(kind)
        return type(old)(array, dtype=old.dtype)


def is_table(X: Any) -> bool:
    """Tell whether rows are a table, which may have no rows or columns."""
    return is_frame(X) or (isinstance(X, np.ndarray) and X.ndim == 2)


def _with_own_dtypes(X: Any) -> Any:
    """Return a data frame of pandas or polars, which keeps the dtypes of pyarrow."""
    if is_pandas(X) or hasattr(X, "to_series"):
        return X
    return X.to_pandas(
        ignore_metadata=True, types_mapper=import_module("pandas").ArrowDtype
    )


def _column_of(X: Any, position: int) -> Column:
    """Return a column of a data frame."""
    column = column_at(X, position)
    if hasattr(column, "sparse"):  # no value can be set there
        return Column.of_levels(column.tolist())
    if holds_dates(column.dtype):
        return Column.of_dates(clock(as_dates(column), "UTC"))
    if is_pandas(X):
        if getattr(column.dtype, "kind", "O") in "iuf":
            return Column.of_numbers(column.to_numpy(np.float64, na_value=np.nan))
        return Column.of_levels(column.tolist())
    if column.dtype.is_numeric():
        return Column.of_numbers(column.cast(float).to_numpy().astype(np.float64))
    return Column.of_levels(column.to_list())


def _hashable(value: Any) -> Any:
    try:
        hash(value)
        return value if value == value else "nan"  # NaN differs from itself
    except TypeError:  # a list, or pandas.NA, whose comparisons have no truth value
        return repr(value)
