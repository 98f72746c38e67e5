"""Dates in the columns of data frames of pandas and polars, as numbers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdistill.utils._frames import column_at, is_pandas, kind_of

# What a date is turned into: most of what skrub's DatetimeEncoder extracts.
PARTS = ("year", "month", "weekday", "hour", "total_seconds")


def date_parts(X: Any, position: int, zone: str | None) -> NDArray[np.float64]:
    """Return a column of dates as numbers.

    Parameters
    ----------
    X : data frame of pandas or polars
        The rows.
    position : int
        The column.
    zone : str or None
        The time zone whose clock tells the numbers; None for dates without one.

    Returns
    -------
    parts : ndarray of shape (n_samples, 5), float64
        The year; the month, from 1; the day of the week, from 0 for Monday; the hour;
        and the seconds since the beginning of 1970. NaN where a date is missing.

    Raises
    ------
    ValueError
        If the column holds anything but dates, or dates with a time zone where these
        have none, or the other way round.
    """
    column, name = column_at(X, position), X.columns[position]
    parts = np.full((len(column), len(PARTS)), np.nan)
    if (column.isna() if is_pandas(X) else column.is_null()).all():
        return parts
    if kind_of(X, position) != "dates":
        raise ValueError(
            f"Column {name!r} holds no dates, and dates are expected. Convert it, as "
            "by pandas.to_datetime"
        )
    own = zone_of(column)
    if (own is None) != (zone is None):
        raise ValueError(
            f"Column {name!r} has the time zone {own}, and in fit it had {zone}. "
            "Convert it, as by dt.tz_localize in pandas or dt.replace_time_zone in "
            "polars"
        )
    times = clock(column, zone).astype("M8[us]")
    known = ~np.isnat(times)
    parts[known] = _parts(times[known])
    return parts


def zone_of(column: Any) -> str | None:
    """Return the time zone of dates, or None if they have none."""
    if is_pandas(column):
        zone = _index(column).tz
        return None if zone is None else str(zone)
    return getattr(column.dtype, "time_zone", None)


def clock(column: Any, zone: str | None) -> NDArray[np.datetime64]:
    """Return dates as the clock in a time zone shows them.

    Dates without a time zone stay what they are.
    """
    own = zone_of(column)
    if is_pandas(column):
        index = _index(column)
        index = index if own == zone or own is None else index.tz_convert(zone)
        times = index.tz_localize(None)
    elif own is None:
        times = column
    else:
        times = column.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return np.asarray(times.to_numpy())


def dates_like(column: Any, times: NDArray[np.datetime64]) -> Any:
    """Return instants, in UTC, so that a column of pandas takes them.

    It is the inverse of ``clock(column, "UTC")``.
    """
    index = _index(times)
    return index if zone_of(column) is None else index.tz_localize("UTC")


def _index(column: Any) -> Any:
    """Return a column of pandas, of dates in any form, as its index of dates."""
    return import_module("pandas").DatetimeIndex(column)


def _parts(times: NDArray[np.datetime64]) -> NDArray[np.float64]:
    years, months, days = (times.astype(f"M8[{unit}]") for unit in "YMD")
    numbers = (
        years.astype(int) + 1970,
        (months - years).astype(int) + 1,
        (days.astype(int) + 3) % 7,  # 1970 began on a Thursday
        (times - days) // np.timedelta64(1, "h"),
        (times - np.datetime64(0, "s")) / np.timedelta64(1, "s"),
    )
    return np.stack(numbers, axis=1, dtype=np.float64)
