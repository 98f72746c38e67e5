"""Data frames of pandas, polars and pyarrow: their columns as numbers and strings."""

from __future__ import annotations

import datetime
import decimal
import numbers
from importlib import import_module
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse, vstack

from skdistill.utils._arrays import Array
from skdistill.utils._several import each, is_several

# The types of values that make an object column a column of numbers.
_NUMBERS = (numbers.Real, decimal.Decimal, np.bool_)

# How the names of pyarrow's types of numbers begin.
_ARROW_NUMBERS = ("int", "uint", "float", "double", "halffloat", "decimal")

# Up to this many rows, pandas converts all columns faster than it selects some.
_FEW_ROWS = 100

# Types of what is a number, whatever the dtype. A missing value may be that of a date.
_PLAIN = {int, float}


def is_frame(X: Any) -> bool:
    """Tell whether ``X`` is a data frame, of whatever library."""
    return hasattr(X, "columns") and hasattr(X, "shape")


def column_names(X: Any) -> list[Any]:
    """Return the names of a data frame's columns."""
    if is_pandas(X):  # where column_names may be a column
        names: list[Any] = X.columns.tolist()  # twice as fast as list()
        return names
    return list(getattr(X, "column_names", X.columns))  # the first in pyarrow


def native(X: Any) -> Any:
    """Return a data frame of pandas or polars, converted from other libraries."""
    if is_pandas(X) or hasattr(X, "to_series"):
        return X
    return X.to_pandas(date_as_object=False)


def stacked(parts: list[Any]) -> Any:
    """Return arrays, sparse matrices or data frames below each other, as one.

    So it does with rows of several inputs.
    A column of numbers of several types gets one that holds them all.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    if is_pandas(first):
        return import_module("pandas").concat(parts, ignore_index=True)
    if hasattr(first, "to_series"):
        return import_module("polars").concat(parts, how="vertical_relaxed")
    if is_frame(first):
        concat = import_module("pyarrow").concat_tables
        return concat(parts, promote_options="permissive")
    if issparse(first):
        return vstack(parts, format="csr")
    if is_several(first):
        return each(lambda *inputs: np.concatenate(inputs), *parts)
    return np.concatenate(parts)


def with_types_of(like: Any, X: Any, name: str) -> Any:
    """Return a data frame with the types of the columns of another.

    Columns of numbers in both stay as they are: :func:`stacked` finds a type for them.
    So do rows that are no data frame.

    Parameters
    ----------
    like : data frame of pandas, polars or pyarrow, or array
        Has the types.
    X : data frame of the same library, or array
        Has the values.
    name : str
        What an error calls ``X``.

    Raises
    ------
    ValueError
        If values of a column do not fit its type, such as further categories.
    """
    if not is_frame(like) or column_names(X) != column_names(like):
        return X
    for column in column_names(like):
        given, wanted = _type_of(X, column), _type_of(like, column)
        if given == wanted or _are_numbers(given, wanted):
            continue
        error: Exception | None = None
        try:
            if (zone_of_type(given) is None) == (zone_of_type(wanted) is None):
                known = _known(X, column)
                cast = _cast(known, column, wanted)
                if not len(known) or _cast(cast, column, given).equals(known):
                    X = _cast(X, column, wanted)
                    continue
        except Exception as problem:  # polars and pyarrow have exceptions of their own
            error = problem
        raise ValueError(
            f"the column {column!r} of {name} holds values of the type {given!r:.200} "
            f"that do not fit the type in X, {wanted!r:.200}: give both columns one "
            "type, such as one with the categories of both, or with a time zone"
        ) from error
    return X


def check_frame(X: Any) -> None:
    """Raise if ``X`` is a lazy frame, or a data frame with duplicate column names."""
    if type(X).__name__ == "LazyFrame":
        raise TypeError("X is a LazyFrame, which has no rows yet: pass X.collect()")
    if is_frame(X):
        names = column_names(X)
        if len(set(names)) < len(names):
            twice = sorted({str(name) for name in names if names.count(name) > 1})
            raise ValueError(f"names are not unique: {twice}. Rename the columns")


def kind_of(X: Any, position: int) -> Literal["numbers", "dates", "levels"]:
    """Return the kind of values in a column.

    A column of objects without any values counts as levels.

    Raises
    ------
    TypeError
        If the column holds anything else, such as durations.
    """
    dtype = column_at(X, position).dtype
    if str(dtype) == "category":  # the codes of categories are no magnitudes
        return "levels"
    if _holds_numbers(dtype):
        return "numbers"
    types = _types(X, position)
    if not types:
        return "levels"
    if all(issubclass(kind, _NUMBERS) for kind in types):
        return "numbers"
    return "dates" if _are_dates(types) else "levels"


def are_mixed(X: Any, position: int) -> bool:
    """Tell whether a column holds anything besides strings alone or numbers alone."""
    types = _types_seen(column_at(X, position))
    return not any(
        all(issubclass(kind, wanted) for kind in types) for wanted in (str, _NUMBERS)
    )


def few_objects(X: Any) -> NDArray[np.object_] | None:
    """Return a pandas frame of few rows as Python objects; None if it is another.

    A missing value is None. To convert all columns once takes half of the time of two
    conversions, of numbers and of levels.
    """
    return _objects(X) if is_pandas(X) and len(X) <= _FEW_ROWS else None


def floats(
    X: Any,
    positions: list[int],
    objects: NDArray[np.object_] | None = None,
    *,
    allow_nan: bool = True,
    dtype: type = np.float64,
) -> Array:
    """Return columns of numbers as one block.

    Parameters
    ----------
    X : data frame of pandas or polars
        The rows.
    positions : list of int
        The columns.
    objects : ndarray of shape (n_samples, n_features), dtype=object, default=None
        What :func:`few_objects` returns, if it is known.
    allow_nan : bool, default=True
        Whether values may be missing.
    dtype : {np.float64, np.float32}, default=np.float64
        The dtype of the block.

    Returns
    -------
    block : ndarray of shape (n_samples, n_positions)
        Missing values are NaN.

    Raises
    ------
    TypeError
        If a column holds values that are neither numbers nor strings nor dates.
    ValueError
        If a column holds strings or dates, or a value is infinite, too large for
        float32, or missing against ``allow_nan``.
    """
    if not positions:
        return np.empty((X.shape[0], 0), dtype)
    few = _few_numbers(X) if objects is None else objects
    few = None if few is None else few[:, positions]
    if few is None or (few.dtype == object and not set(map(type, few.flat)) <= _PLAIN):
        _check_numbers(X, positions)
    try:
        # What overflows is reported as infinite.
        with np.errstate(over="ignore", under="ignore"):
            block: Array
            if few is not None:
                block = few.astype(dtype)
            elif is_pandas(X):
                block = _pandas_floats(X, positions, dtype)
            else:
                columns = [X.to_series(i).cast(float).to_numpy() for i in positions]
                block = np.stack(columns, axis=1).astype(dtype, copy=False)
    except Exception as error:  # polars has exceptions of its own
        raise ValueError(f"a column of numbers is not of floats: {error}") from error
    bound = np.finfo(np.float32).max
    too_large = (block > bound) | (block < -bound)
    problems = [(too_large, "infinity or a value too large for float32")]
    if not allow_nan:
        problems.append((np.isnan(block), "NaN, which the model does not replace"))
    for found, problem in problems:
        if found.any():
            name = X.columns[positions[found.any(axis=0).argmax()]]
            raise ValueError(f"Column {name!r} contains {problem}")
    return block


def labels(
    X: Any, positions: list[int], objects: NDArray[np.object_] | None = None
) -> list[list[str | None]]:
    """Return the levels in columns as strings, column by column; None is missing.

    ``objects`` is what :func:`few_objects` returns, if it is known.
    """
    if not positions:
        return []
    if objects is not None:
        columns = objects[:, positions].T.tolist()
    elif is_pandas(X):
        columns = _objects(X.iloc[:, positions]).T.tolist()
    else:
        columns = [X.to_series(i).to_list() for i in positions]
    return [
        [v if v is None or type(v) is str else _label(v) for v in column]
        for column in columns
    ]


def _few_numbers(X: Any) -> Array | None:
    """Return a pandas frame of few rows as an array, if all of its columns are numbers.

    It takes a tenth of the time of a look at the types of the columns.
    """
    if not is_pandas(X) or len(X) > _FEW_ROWS:
        return None
    values: Array = X.to_numpy()
    return values if values.dtype.kind in "biuf" else None


def _pandas_floats(X: Any, positions: list[int], dtype: type) -> Array:
    frame = X if len(positions) == X.shape[1] else X.iloc[:, positions]
    try:
        return np.asarray(frame.to_numpy(dtype, na_value=np.nan))
    except TypeError:  # pandas leaves pandas.NA in place in object columns
        return _objects(frame).astype(dtype)


def _objects(frame: Any) -> NDArray[np.object_]:
    """Return a pandas frame as Python objects; None is missing."""
    # Without copy=True, pandas writes None into a view that it made read-only.
    objects: NDArray[np.object_] = frame.to_numpy(object, na_value=None, copy=True)
    return objects


def _label(value: Any) -> str:
    """Return a level as a string; 1 and 1.0 are the same level."""
    if isinstance(value, float | np.floating) and value.is_integer():
        value = int(value)
    return str(value)


def _check_numbers(X: Any, positions: list[int]) -> None:
    """Raise if a column holds anything but numbers."""
    dtypes = [*X.dtypes]
    for i in positions:
        types = set() if _holds_numbers(dtypes[i]) else _types(X, i)
        for kind, found, way_out in (
            (str, "strings", "by pandas.to_numeric"),
            (datetime.date, "dates", "to the days since another date"),
        ):
            if any(issubclass(one, kind) for one in types):
                raise ValueError(
                    f"Column {X.columns[i]!r} holds {found}, and numbers are expected. "
                    f"Convert it, as {way_out}"
                )


def _holds_numbers(dtype: Any) -> bool:
    """Tell whether a dtype of pandas or polars is one of numbers or booleans."""
    if hasattr(dtype, "is_numeric"):  # in polars
        return dtype.is_numeric() or str(dtype) == "Boolean"
    return getattr(dtype, "kind", "O") in "biuf"


def holds_dates(dtype: Any) -> bool:
    """Tell whether a dtype of pandas or polars is one of dates, with times or not."""
    if hasattr(dtype, "is_temporal"):  # in polars
        return str(dtype).startswith("Date")
    return getattr(dtype, "kind", "O") == "M"


def _types(X: Any, position: int) -> set[type]:
    """Return the types of the values, which are numbers and strings, or dates."""
    column = column_at(X, position)
    if holds_dates(column.dtype):
        return {datetime.date}
    is_duration = getattr(column.dtype, "kind", "O") == "m"
    types = {type(column.dtype)} if is_duration else _types_seen(column)
    if _are_dates(types):
        return types
    for kind in types:
        if not issubclass(kind, (str, *_NUMBERS)):
            raise TypeError(
                f"Column {X.columns[position]!r} holds values of type {kind.__name__}. "
                "Convert it to numbers or strings, or drop it"
            )
    return types


def _types_seen(column: Any) -> set[type]:
    """Return the types of the values that are not missing."""
    seen = column.dropna() if is_pandas(column) else column.drop_nulls()
    return set(map(type, seen.to_list()))


def _are_dates(types: set[type]) -> bool:
    return all(issubclass(kind, datetime.date) for kind in types)


def column_at(X: Any, position: int) -> Any:
    """Return a column of a data frame of pandas or polars."""
    return X.iloc[:, position] if is_pandas(X) else X.to_series(position)


def is_pandas(X: Any) -> bool:
    return hasattr(X, "iloc")


def _type_of(X: Any, column: Any) -> Any:
    """Return the type of a column of a data frame of any library."""
    return X[column].type if hasattr(X, "column_names") else X[column].dtype


def _are_numbers(*types: Any) -> bool:
    """Tell whether all types of columns of any library are of numbers."""
    return all(
        str(one).startswith(_ARROW_NUMBERS)
        if hasattr(one, "to_pandas_dtype")
        else _holds_numbers(one)
        for one in types
    )


def zone_of_type(dtype: Any) -> Any:
    """Return the time zone of a type of dates; None if it has none."""
    return getattr(dtype, "tz", getattr(dtype, "time_zone", None))


def _cast(X: Any, column: Any, dtype: Any) -> Any:
    """Return a data frame of any library with another type of a column."""
    if is_pandas(X):
        return X.astype({column: dtype})
    if not hasattr(X, "column_names"):
        return X.cast({column: dtype})
    field = X.schema.field(column).with_type(dtype)
    return X.cast(X.schema.set(X.schema.get_field_index(column), field))


def _known(X: Any, column: Any) -> Any:
    """Return a column of a data frame of any library, without its missing values."""
    if is_pandas(X):
        return X[[column]].dropna()
    part = X.select([column])
    return part.drop_null() if hasattr(part, "drop_null") else part.drop_nulls()
