"""Dates in the columns of data frames of pandas and polars, as numbers."""

from __future__ import annotations

import datetime
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdistill.utils._arrays import Floats
from skdistill.utils._frames import (
    column_at,
    holds_dates,
    is_pandas,
    kind_of,
    zone_of_type,
)

# The numbers that stand for a date: most of those of skrub's DatetimeEncoder.
PARTS = ("year", "month", "weekday", "hour", "total_seconds")


def date_parts(X: Any, position: int, zone: str | None) -> Floats:
    """Return a column of dates as numbers, by the clock of a time zone or of none.

    They are the year; the month, from 1; the day of the week, from 0 for Monday; the
    hour; and the seconds since the beginning of 1970: float64 of shape (n_samples, 5),
    NaN where a date is missing. Raise a ValueError if the column holds anything but
    dates, or has a time zone where there is to be none, or the other way round.
    """
    name = X.columns[position]
    column = X[name]  # for a row, in half of the time of iloc
    parts = np.full((len(column), len(PARTS)), np.nan)

    def is_missing() -> bool:
        return bool((column.isna() if is_pandas(X) else column.is_null()).all())

    if not holds_dates(column.dtype) and kind_of(X, position) != "dates":
        if is_missing():
            return parts
        raise ValueError(
            f"Column {name!r} holds no dates, and dates are expected. Convert it, as "
            "by pandas.to_datetime"
        )
    dates = as_dates(column)
    own = zone_of(dates)
    if (own is None) != (zone is None):
        if is_missing():
            return parts
        raise ValueError(
            f"Column {name!r} has the time zone {own}, and in fit it had {zone}. "
            "Convert it, as by dt.tz_localize or in polars by dt.replace_time_zone"
        )
    times = clock(dates, zone).astype("M8[us]")
    known = ~np.isnat(times)
    parts[known] = _parts(times[known])
    return parts


def as_dates(column: Any) -> Any:
    """Return a column of dates as an index of pandas, or as it is in polars.

    Columns of dates have several dtypes in pandas, and an index has one.
    """
    return _index(column) if is_pandas(column) else column


def zone_of(dates: Any) -> str | None:
    """Return the time zone of dates, or None if they have none."""
    zone = zone_of_type(dates.dtype)
    return None if zone is None else _name_of(zone) or str(zone)


def zone_to_keep(X: Any, position: int) -> str | None:
    """Return the time zone of a column of dates, by which others can be converted.

    Raise a ValueError if it has no name.
    """
    dates = as_dates(column_at(X, position))
    zone = zone_of_type(dates.dtype)
    if zone is not None and _name_of(zone) is None:
        raise ValueError(
            f"Column {X.columns[position]!r} has the time zone {zone}, to which other "
            "dates cannot be converted, as it has no name: convert it, as by "
            "dt.tz_convert('UTC')"
        )
    return zone_of(dates)


def _name_of(zone: Any) -> str | None:
    """Return a name by which a time zone is found again, or None.

    A zone of polars is its name. Most of zoneinfo, pytz and dateutil have one. Fixed
    offsets of all kinds are called as by datetime, such as "UTC+01:00".
    """
    if isinstance(zone, str):
        return zone
    name: str | None = getattr(zone, "key", getattr(zone, "zone", None))
    offset = zone.utcoffset(None)
    if name is None and offset is not None:
        name = str(datetime.timezone(offset))
    return name


def clock(dates: Any, zone: str | None) -> NDArray[np.datetime64]:
    """Return dates in the local time of a time zone.

    Dates without a time zone do not change.
    """
    own = zone_of(dates)
    if own is None:
        times = dates
    elif hasattr(dates, "tz_convert"):  # in pandas
        times = (dates if own == zone else dates.tz_convert(zone)).tz_localize(None)
    elif zone is not None and zone.startswith(("UTC+", "UTC-")):
        # A fixed offset, which polars has not.
        offset = datetime.datetime.strptime(zone, "UTC%z").utcoffset()
        times = dates.dt.convert_time_zone("UTC").dt.replace_time_zone(None) + offset
    else:
        times = dates.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return np.asarray(times)


def dates_like(column: Any, times: NDArray[np.datetime64]) -> Any:
    """Return times in UTC in the form that a column of pandas takes.

    This is the inverse of ``clock(as_dates(column), "UTC")``.
    """
    index = _index(times)
    return index if zone_of(as_dates(column)) is None else index.tz_localize("UTC")


def _index(values: Any) -> Any:
    return import_module("pandas").DatetimeIndex(values)


def _parts(times: NDArray[np.datetime64]) -> Floats:
    years, months, days = (times.astype(f"M8[{unit}]") for unit in "YMD")
    numbers = (
        years.astype(int) + 1970,
        (months - years).astype(int) + 1,
        (days.astype(int) + 3) % 7,  # 1970 began on a Thursday
        (times - days) // np.timedelta64(1, "h"),
        (times - np.datetime64(0, "s")) / np.timedelta64(1, "s"),
    )
    return np.stack(numbers, axis=1, dtype=np.float64)
