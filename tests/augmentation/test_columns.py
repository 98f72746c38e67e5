"""Rows are made of columns of every kind, and stay of that kind."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from skdistill.augmentation import MUNGE, Mixture, Mixup
from skdistill.augmentation._table import Column

N_ROWS = 50
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=N_ROWS)
EVEN = range(0, 2 * N_ROWS, 2)
DAYS = [dt.datetime(2020, 1, 1) + dt.timedelta(i) for i in range(N_ROWS)]
HUGE = RNG.integers(2**62, 2**63 - 1, N_ROWS, endpoint=True)
HUGE[:2] = 2**63 - 1

PANDAS_NUMBERS = {
    "float64": pd.Series(NUMBERS),
    "float32": pd.Series(NUMBERS, dtype="float32"),
    "int64": pd.Series(EVEN),
    "uint8": pd.Series(range(157, 256, 2), dtype="uint8"),
    "float with missing": pd.Series([np.nan, *NUMBERS[1:]]),
    "Int64": pd.Series([None, *EVEN[1:]], dtype="Int64"),
    "Float64": pd.Series([None, *NUMBERS[1:]], dtype="Float64"),
    "pyarrow int": pd.Series([None, *EVEN[1:]], dtype="int64[pyarrow]"),
    "pyarrow float": pd.Series([None, *NUMBERS[1:]], dtype="float64[pyarrow]"),
}
PANDAS_LEVELS = {
    "few integers": pd.Series([1, 5] * 25),
    "huge integers": pd.Series(HUGE),
    "bool": pd.Series([True, False] * 25),
    "boolean": pd.Series([None, True] * 25, dtype="boolean"),
    "pyarrow bool": pd.Series([None, True] * 25, dtype="bool[pyarrow]"),
    "constant": pd.Series(np.full(N_ROWS, 1.5)),
    "all NaN": pd.Series(np.full(N_ROWS, np.nan)),
    "all None": pd.Series([None] * N_ROWS, dtype=object),
    "strings with missing": pd.Series(["a", None] * 25),
    "string": pd.Series(["a", None] * 25, dtype="string"),
    "object of anything": pd.Series([1, "a", 2.5, None, pd.NA] * 10, dtype=object),
    "object of decimals": pd.Series(map(decimal.Decimal, range(N_ROWS)), dtype=object),
    "object of lists": pd.Series([[1, 2], [3]] * 25),
    "category": pd.Series(pd.Categorical(["a", "b"] * 25, categories=["a", "b", "c"])),
    "ordered category": pd.Series(
        pd.Categorical(["a", None] * 25, categories=["b", "a"], ordered=True)
    ),
    "few datetimes": pd.Series([pd.NaT, *DAYS[1:20]] * 3)[:N_ROWS],
    "no datetime": pd.Series([pd.NaT] * N_ROWS),
    "object of dates": pd.Series([day.date() for day in DAYS], dtype=object),
    "timedelta": pd.Series(pd.to_timedelta(range(N_ROWS), "s")),
    "period": pd.Series(pd.period_range("2020", periods=N_ROWS, freq="D")),
    "interval": pd.Series(pd.cut(NUMBERS, 4)),
    "sparse": pd.Series(pd.arrays.SparseArray(np.where(NUMBERS < 0, 0.0, NUMBERS))),
}
POLARS_NUMBERS = {
    "Float64": pl.Series([None, float("nan"), *NUMBERS[2:]]),
    "Float32": pl.Series(NUMBERS, dtype=pl.Float32),
    "Int64": pl.Series([None, *EVEN[1:]]),
    "UInt8": pl.Series([*range(157, 256, 2)], dtype=pl.UInt8),
}
POLARS_LEVELS = {
    "few integers": pl.Series([1, 5] * 25),
    "huge integers": pl.Series(HUGE),
    "Boolean": pl.Series([None, True] * 25),
    "constant": pl.Series([1.5] * N_ROWS),
    "Null": pl.Series([None] * N_ROWS),
    "String": pl.Series(["a", None] * 25),
    "Categorical": pl.Series(["a", None] * 25, dtype=pl.Categorical),
    "Enum": pl.Series(["a", "b"] * 25, dtype=pl.Enum(["a", "b", "c"])),
    "few Dates": pl.Series([day.date() for day in DAYS[:20]] * 3)[:N_ROWS],
    "no Datetime": pl.Series([None] * N_ROWS, dtype=pl.Datetime("ms", "UTC")),
    "List": pl.Series([[1, 2], [3]] * 25),
    "Struct": pl.Series([{"a": 1}, {"a": 2}] * 25),
}

augmenters = pytest.mark.parametrize(
    "augmenter", [MUNGE(), Mixup(), Mixture()], ids=lambda a: type(a).__name__
)


def reprs(values):
    return set(map(repr, values))


def check_numbers(made, given):
    """Check that some numbers are new, and all in range, and whole if they all were."""
    made, given = (np.array([v for v in x if v == v]) for x in (made, given))
    assert given.min() <= made.min()
    assert made.max() <= given.max()
    assert len(np.setdiff1d(made, given))
    if np.array_equal(given, np.round(given)):
        assert_array_equal(made, np.round(made))


def check_dates(made, given, step):
    """Check that some dates are new, and that all are in range and whole steps."""
    made, given = (set(map(in_utc, dates)) for dates in (made, given))
    assert made - given
    assert min(given) <= min(made)
    assert max(made) <= max(given)
    assert all((date - min(given)) % step == dt.timedelta(0) for date in made)


def in_utc(date):
    """Return a date that can be subtracted from others across daylight saving."""
    return date.astimezone(dt.UTC) if getattr(date, "tzinfo", None) else date


def there(column):
    return column.dropna().tolist() if hasattr(column, "iloc") else column.drop_nulls()


def of_both(pandas, polars):
    """Parametrize a test by the columns of both libraries."""
    named = {f"pandas {kind}": column for kind, column in pandas.items()}
    named |= {f"polars {kind}": column for kind, column in polars.items()}
    return pytest.mark.parametrize("column", named.values(), ids=named)


def rows_of(column, augmenter, n_rows=70):
    """Return a frame with a column and numbers, and rows made of it."""
    library = pd if isinstance(column, pd.Series) else pl
    X = library.DataFrame({"column": column, "other": NUMBERS})
    made = augmenter.sample(X, n_rows, random_state=0)
    assert types_of(made) == types_of(X)
    assert len(made) == n_rows
    return X, made


def types_of(frame):
    return frame.dtypes.to_dict() if isinstance(frame, pd.DataFrame) else frame.schema


@augmenters
@of_both(PANDAS_NUMBERS, POLARS_NUMBERS)
def test_numbers_stay_in_range(column, augmenter):
    X, made = rows_of(column, augmenter)

    check_numbers(there(made["column"]), there(X["column"]))


@augmenters
@of_both(PANDAS_LEVELS, POLARS_LEVELS)
def test_levels_are_those_that_were_there(column, augmenter):
    X, made = rows_of(column, augmenter)

    assert reprs(list(made["column"])) <= reprs(list(X["column"]))


HOUR = dt.timedelta(hours=1)
PANDAS_DATES = {
    "datetime64[ns]": (2 * HOUR, None),
    "datetime64[us]": (48 * HOUR, None),
    "datetime64[s]": (dt.timedelta(seconds=2), None),
    "datetime64[ns, Europe/Berlin]": (2 * HOUR, "Europe/Berlin"),
    "timestamp[ms][pyarrow]": (48 * HOUR, None),
    "timestamp[us, tz=America/New_York][pyarrow]": (2 * HOUR, "America/New_York"),
    "date32[pyarrow]": (48 * HOUR, None),
}
POLARS_DATES = {
    pl.Date: 48 * HOUR,
    pl.Datetime("ms"): 2 * HOUR,
    pl.Datetime("us"): dt.timedelta(microseconds=2),
    pl.Datetime("ns", "Europe/Berlin"): 48 * HOUR,
}


def dates(step):
    """Return dates that are steps apart, over the change to daylight saving."""
    return [dt.datetime(2020, 3, 28) + i**2 * step for i in range(N_ROWS)]


def pandas_dates(dtype, step, zone):
    column = pd.Series([pd.NaT, *dates(step)[1:]])
    return column.dt.tz_localize("UTC").dt.tz_convert(zone).astype(dtype)


def polars_dates(dtype, step):
    zone = "UTC" if getattr(dtype, "time_zone", None) else None
    column = pl.Series([None, *dates(step)[1:]])
    return column.dt.replace_time_zone(zone).cast(dtype)


@augmenters
@of_both(
    {kind: (pandas_dates(kind, *how), how[0]) for kind, how in PANDAS_DATES.items()},
    {kind: (polars_dates(kind, step), step) for kind, step in POLARS_DATES.items()},
)
def test_dates_are_in_range_and_whole_steps(column, augmenter):
    column, step = column

    X, made = rows_of(column, augmenter, 700)

    known = there(made["column"])
    check_dates(known, there(X["column"]), step)
    assert len(known) < 700  # others are missing


@augmenters
def test_tables_of_pyarrow_keep_their_schema(augmenter):
    numbers = {
        "number": pa.array([None, *NUMBERS[1:]]),
        "integer": pa.array([None, *EVEN[1:]]),
        "small": pa.array(range(157, 256, 2), type=pa.uint8()),
    }
    levels = {
        "bool": pa.array([None, True] * 25),
        "string": pa.array(["a", None] * 25),
        "levels": pa.array(["a", "b"] * 25).dictionary_encode(),
    }
    dated = {
        "date": pa.array([None, *dates(48 * HOUR)[1:]], type=pa.date32()),
        "time": pa.array(dates(HOUR), type=pa.timestamp("s", "Asia/Tokyo")),
    }
    X = pa.table(numbers | levels | dated)

    made = augmenter.sample(X, 700, random_state=0)

    assert made.schema == X.schema
    assert made.num_rows == 700
    for name in numbers:
        check_numbers(*(frame[name].drop_null().to_pylist() for frame in (made, X)))
    for name in levels:
        assert set(made[name].to_pylist()) <= set(X[name].to_pylist())
    for name, step in (("date", 48 * HOUR), ("time", HOUR)):
        check_dates(*(frame[name].drop_null().to_pylist() for frame in (made, X)), step)
    assert made["date"].null_count


@augmenters
@pytest.mark.parametrize(
    "X",
    [
        NUMBERS.reshape(25, 2).astype(np.float32),
        NUMBERS.reshape(50, 1),
        np.arange(-100, 100, 2, dtype=np.int8).reshape(50, 2),
        HUGE.reshape(25, 2),
        np.array([[True, False], [True, True]] * 4),
        np.array([["a", "b"], ["c", "d"]] * 4),
        np.array([[1, "a"], [2.5, None]] * 4, dtype=object),
        np.array([["2020-01-01"], ["2021-01-01"]] * 4, dtype="M8[D]"),
        np.full((8, 2), np.nan),
        np.full((8, 2), 1.5),
    ],
    ids=lambda X: f"{X.dtype} {X.shape}",
)
def test_arrays_keep_their_dtype_and_range(X, augmenter):
    before = X.copy()
    X.flags.writeable = False

    made = augmenter.sample(X, 70, random_state=0)

    assert (made.dtype, made.shape) == (X.dtype, (70, X.shape[1]))
    assert_array_equal(X, before)
    for new, old in zip(made.T, X.T, strict=True):
        if X.dtype == np.int8 or (X.dtype.kind == "f" and X.std() > 0):
            check_numbers(new, old)
        else:
            assert reprs(new.tolist()) <= reprs(old.tolist())


@augmenters
def test_infinite_values_are_handed_on_and_never_made(augmenter):
    X = np.array([[np.inf], [1.5], [2.0], [-np.inf]] * 10)

    made = augmenter.sample(X, 200, random_state=0)

    finite = made[np.isfinite(made)]
    assert 0 < len(finite) < 200
    assert (finite.min(), finite.max()) >= (1.5, 1.5)
    assert finite.max() <= 2.0
    assert not np.isnan(made).any()


@pytest.mark.parametrize(
    ("n_distinct", "expected"), [(20, "levels"), (21, "whole numbers")]
)
def test_few_whole_numbers_are_levels(n_distinct, expected):
    X = 10.0 * np.arange(n_distinct)[:, np.newaxis]

    made = Mixup().sample(X, 200, random_state=0)

    assert_array_equal(made, np.round(made))
    assert np.isin(made, X).all() == (expected == "levels")


def test_equal_values_and_missing_ones_are_one_level():
    nan = [float("nan"), float("nan")]

    column = Column.of_levels(["a", *nan, pd.NA, pd.NA, [1], [1], "a"])

    assert column.numbers.tolist() == [0, 1, 1, 2, 2, 3, 3, 0]


def test_levels_are_about_as_far_apart_as_numbers():
    rng = np.random.RandomState(0)
    levels = Column.of_levels(range(200)).embedded(rng)
    numbers = Column.of_numbers(1000 * rng.normal(size=200) + 7).embedded(rng)

    distances = np.linalg.norm(levels[:100] - levels[100:], axis=1)
    assert abs(distances.mean() - 1) < 0.1
    assert distances.std() < 0.3
    assert abs(numbers.std() - 1) < 1e-6


# Frames as they are


@pytest.mark.parametrize(
    "names",
    [
        pd.Index(["a", "a"]),
        pd.Index([3, 1], name="number"),
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2)]),
    ],
    ids=["twice", "integers", "two levels"],
)
def test_names_of_columns_stay_as_they_are(names):
    X = pd.DataFrame(NUMBERS.reshape(25, 2) + np.array([0, 1000]), columns=names)

    made = MUNGE().sample(X, 7, random_state=0)

    pd.testing.assert_index_equal(made.columns, names)
    assert made.iloc[:, 0].max() < 500 < made.iloc[:, 1].min()


def test_new_rows_are_numbered_from_zero_and_an_index_in_pyarrow_is_a_column():
    X = pd.DataFrame({"a": NUMBERS}, index=pd.Index([7] * N_ROWS, name="b"))

    assert MUNGE().sample(X, 3, random_state=0).index.tolist() == [0, 1, 2]
    in_pyarrow = MUNGE().sample(pa.Table.from_pandas(X), 3, random_state=0)
    assert in_pyarrow.column_names == ["a", "b"]


@augmenters
@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_frames_are_not_written_to(library, augmenter):
    X = library.DataFrame({"a": NUMBERS, "b": range(N_ROWS), "c": ["x", "y"] * 25})
    before = X.copy() if library is pd else X.clone()

    augmenter.sample(X, 70, random_state=0)

    assert X.equals(before)


@augmenters
@pytest.mark.parametrize("n_rows", [1, 2])
@pytest.mark.parametrize(
    "make", [list, np.array, pd.DataFrame, lambda x: pl.DataFrame(x, orient="row")]
)
def test_one_row_and_two(make, n_rows, augmenter):
    X = make([[0.5, 2.0], [0.7, 2.5]][:n_rows])

    made = np.asarray(augmenter.sample(X, 9, random_state=0))

    assert made.shape == (9, 2)
    if n_rows == 1:
        assert_array_equal(made, np.repeat(np.asarray(X), 9, axis=0))
