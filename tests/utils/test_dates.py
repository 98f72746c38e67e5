import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from dateutil import tz
from numpy.testing import assert_array_equal

from skdistill.utils._dates import as_dates, clock, date_parts, zone_of, zone_to_keep
from skdistill.utils._frames import kind_of

TIMES = [dt.datetime(2020, 1, 1, 3, 4, 5), None, dt.datetime(2021, 7, 1, 23)]
DAYS = [time and time.date() for time in TIMES]
NAN = [np.nan] * 5
PARTS = [[2020, 1, 2, 3, 1577847845], NAN, [2021, 7, 3, 23, 1625180400]]
PARTS_OF_DAYS = [[2020, 1, 2, 0, 1577836800], NAN, [2021, 7, 3, 0, 1625097600]]

zoned = pd.Series(TIMES).dt.tz_localize
OFFSET = dt.timezone(dt.timedelta(hours=1))
CALLED = dt.timezone(dt.timedelta(hours=1), "winter time")
AWARE = [time and time.replace(tzinfo=dt.UTC) for time in TIMES]


@pytest.mark.parametrize(
    ("column", "zone", "expected"),
    [
        *(
            (pd.Series(TIMES, dtype=f"datetime64[{unit}]"), None, PARTS)
            for unit in ("s", "ms", "us", "ns")
        ),
        (zoned("Europe/Berlin"), "Europe/Berlin", PARTS),
        (zoned(OFFSET), "UTC+01:00", PARTS),
        (zoned(CALLED), "UTC+01:00", PARTS),
        (zoned(tz.tzoffset(None, -5400)), "UTC-01:30", PARTS),
        (zoned(tz.tzutc()), "UTC", PARTS),
        (zoned("Etc/GMT-3"), "Etc/GMT-3", PARTS),
        (zoned(tz.gettz("Asia/Tokyo")), "Asia/Tokyo", PARTS),
        (pd.Series(TIMES, dtype="timestamp[us][pyarrow]"), None, PARTS),
        (
            zoned("Asia/Tokyo").astype("timestamp[ns, Asia/Tokyo][pyarrow]"),
            "Asia/Tokyo",
            PARTS,
        ),
        (pd.Series(DAYS, dtype="date32[pyarrow]"), None, PARTS_OF_DAYS),
        (pd.Series(DAYS, dtype=object), None, PARTS_OF_DAYS),
        (pd.Series([TIMES[0], pd.NA, TIMES[2]], dtype=object), None, PARTS),
        (pd.Series(AWARE, dtype=object), "UTC", PARTS),
        *(
            (pl.Series(TIMES, dtype=pl.Datetime(unit)), None, PARTS)
            for unit in ("ms", "us", "ns")
        ),
        (
            pl.Series(TIMES).dt.replace_time_zone("Europe/Berlin"),
            "Europe/Berlin",
            PARTS,
        ),
        (pl.Series(DAYS), None, PARTS_OF_DAYS),
    ],
    ids=lambda value: f"{type(value).__module__} {getattr(value, 'dtype', '')}",
)
def test_dates_of_any_type_have_the_same_parts(column, zone, expected):
    X = {pd.Series: pd.DataFrame, pl.Series: pl.DataFrame}[type(column)]({"a": column})
    assert kind_of(X, 0) == "dates"
    assert zone_of(as_dates(X["a"])) == zone
    assert_array_equal(date_parts(X, 0, zone), expected)


def test_parts_of_a_second_are_kept():
    X = pd.DataFrame({"a": pd.to_datetime([1_700_000_000_123_456_789])})
    assert date_parts(X, 0, None)[0, 4] == 1_700_000_000.123456


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "UTC+09:00"])
@pytest.mark.parametrize("own", ["UTC", dt.UTC, tz.tzutc()], ids=repr)
@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_clock_of_another_zone(library, own, zone):
    column = zoned(own) if library is pd else pl.from_pandas(zoned("UTC"))
    expected = np.array(TIMES, dtype="M8[us]") + np.timedelta64(9, "h")
    assert_array_equal(clock(as_dates(column), zone), expected)


def test_zone_without_a_name_is_refused_where_it_would_be_kept():
    X = pd.DataFrame({"when": zoned("UTC").dt.tz_convert(tz.tzrange("X", 9, "Y"))})
    assert date_parts(X, 0, "UTC")[0].tolist() == PARTS[0]
    with pytest.raises(ValueError, match=r"'when' .* no name: .* dt\.tz_convert"):
        zone_to_keep(X, 0)
    X["when"] = X["when"].dt.tz_convert("Asia/Tokyo")
    assert zone_to_keep(X, 0) == "Asia/Tokyo"
