from __future__ import annotations

import copy
import datetime
import decimal
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from skdistill import TabularPreprocessor
from tests.conftest import table

BORN = [
    datetime.datetime(2019, 12, 31, 23, 59, 30),
    None,
    datetime.datetime(2020, 2, 29, 12),
    datetime.datetime(1969, 12, 28, 0, 0, 0, 500_000),
]

either_encoding = pytest.mark.parametrize("numeric", ["standard", "piecewise"])


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        *estimator_checks_generator(TabularPreprocessor()),
        *estimator_checks_generator(TabularPreprocessor(numeric="piecewise")),
    ],
)
def test_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_array_is_standardized_to_contiguous_float32():
    X = np.random.default_rng(0).normal(5.0, 3.0, size=(200, 4))
    out = TabularPreprocessor().fit_transform(np.asfortranarray(X))
    assert out.dtype == np.float32
    assert out.flags.c_contiguous
    assert_allclose(out.mean(axis=0), 0, atol=1e-5)
    assert_allclose(out.std(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("values", [[1, 2, 4, 9], [1.5, None, -3.0, 0.0]])
def test_missing_number_becomes_the_median(frame, values):
    preprocess = TabularPreprocessor().fit(frame({"a": values}))
    median = float(np.median([v for v in values if v is not None]))
    assert_array_equal(
        preprocess.transform(frame({"a": [None, 1.0]}))[0],
        preprocess.transform(frame({"a": [median, 1.0]}))[0],
    )


@pytest.mark.parametrize(
    "values",
    [
        *(
            pd.Series([1, 2, 3, 123], dtype=dtype)
            for dtype in ("int8", "uint16", "Int64", "float32", "Float32", "object")
        ),
        *(
            pl.Series([1, 2, 3, 123]).cast(dtype)
            for dtype in (pl.UInt8, pl.Int64, pl.Float32, pl.Decimal(10, 2), pl.Int16)
        ),
        *(
            pd.Series([1, missing, 0], dtype=dtype)
            for dtype in ("Int64", "Float64", "object")
            for missing in (np.nan, None, pd.NA)
        ),
        pd.Series([decimal.Decimal(1), None, decimal.Decimal(0)]),
        pd.Series([True, None, False], dtype="boolean"),
        pd.Series([True, None, False]),
        pl.Series([True, None, False]),
    ],
    ids=lambda values: f"{type(values).__module__[:6]} {values.dtype}",
)
def test_numbers_of_any_dtype_are_those_of_an_array(values):
    X = (pd if isinstance(values, pd.Series) else pl).DataFrame({"a": values})
    floats = [[np.nan if pd.isna(v) else float(v)] for v in values.to_list()]
    expected = TabularPreprocessor().fit_transform(floats)
    assert_array_equal(TabularPreprocessor().fit_transform(X), expected)


def test_float64_equals_its_float32_cast_where_float32_was_fitted():
    X = np.random.default_rng(0).normal(1e6, 1.0, size=(300, 2))
    narrow = X.astype(np.float32)
    preprocess = TabularPreprocessor().fit(narrow)
    assert preprocess.dtype_ is np.float32
    assert_array_equal(preprocess.transform(X), preprocess.transform(narrow))


CONTAINERS = {
    "array": lambda X: X,
    "integers": lambda X: X.astype(np.int64),
    "list": lambda X: X.tolist(),
    "pandas": lambda X: pd.DataFrame(X, columns=["a", "b"]),
    "polars": lambda X: pl.DataFrame(X, schema=["a", "b"]),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("offset", [0, 2**30, -(2**34)])
@either_encoding
def test_an_offset_of_any_size_makes_no_difference(numeric, offset, container):
    make = CONTAINERS[container]
    X = np.random.default_rng(0).integers(-99, 99, size=(40, 2)).astype(np.float64)
    expected = TabularPreprocessor(numeric=numeric).fit_transform(X)
    preprocess = TabularPreprocessor(numeric=numeric).fit(make(X + offset))
    assert preprocess.dtype_ is np.float64
    assert_allclose(preprocess.transform(make(X + offset)), expected, atol=1e-6)
    row = (X + offset)[:1]
    assert_array_equal(preprocess.transform(make(row)), expected[:1])


def test_rows_of_a_large_table_are_scaled_as_those_of_a_small_one(monkeypatch):
    X = np.random.default_rng(0).normal(size=(50, 3))
    X[::7, 1] = np.nan
    fitted = TabularPreprocessor().fit(X)
    expected = fitted.transform(X)
    monkeypatch.setattr("skdistill._students._tabular._BATCH_VALUES", 20)
    assert_array_equal(fitted.transform(X), expected)
    assert_allclose(TabularPreprocessor().fit_transform(X), expected, atol=1e-6)
    full = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)
    assert_allclose(fitted.scales_, full.std(axis=0))


@pytest.mark.parametrize("is_array", [False, True])
def test_constant_and_all_missing_columns_stay_harmless(frame, is_array):
    def make(*columns):
        if is_array:
            return np.array(columns, dtype=float).T
        return frame(dict(zip("abc", columns, strict=True)))

    X = make([3.0] * 20, [None] * 20, list(range(20)))
    preprocess = TabularPreprocessor().fit(X)
    assert np.isfinite(preprocess.transform(X)).all()
    later = preprocess.transform(make([1e30], [-1e30], [2]))
    assert np.abs(later).max() <= 10
    assert later.shape == (1, 2 + is_array)


def test_outliers_are_clipped_to_ten_standard_deviations():
    preprocess = TabularPreprocessor().fit([[-1.0], [1.0]])
    X = [[-3e38], [-10.5], [0.5], [9.5], [3e38]]
    assert_array_equal(preprocess.transform(X), [[-10], [-10], [0.5], [9.5], [10]])


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39])
def test_infinity_and_float32_overflow_are_refused(frame, value):
    fitted = TabularPreprocessor().fit(frame({"a": [0.0, 1.0], "b": [0.0, 1.0]}))
    bad = frame({"a": [0.0], "b": [value]})
    with pytest.raises(ValueError, match="'b' contains infinity or a value too large"):
        fitted.transform(bad)
    with pytest.raises(ValueError, match="'b' contains infinity or a value too large"):
        TabularPreprocessor().fit(bad)
    of_array = TabularPreprocessor().fit(np.array([[0.0], [1.0]]))
    for call in (TabularPreprocessor().fit, of_array.transform):
        with pytest.raises(ValueError, match=r"infinity or a value too large for dt"):
            call(np.array([[0.0], [value]]))


def test_levels_are_one_hot_and_missing_is_one_of_them(frame):
    X = frame({"a": ["x", "y", None, "x"]})
    preprocess = TabularPreprocessor().fit(X)
    assert preprocess.get_feature_names_out().tolist() == ["a_x", "a_y", "a_nan"]
    assert_array_equal(
        preprocess.transform(X), [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    )


@pytest.mark.parametrize(
    "values",
    [
        *(
            pd.Series(["x", missing, "y"], dtype=dtype)
            for dtype in ("object", "category", "string")
            for missing in (np.nan, None, pd.NA, pd.NaT)
        ),
        *(
            pl.Series(["x", None, "y"], dtype=dtype)
            for dtype in (pl.String, pl.Categorical, pl.Enum(["y", "x"]))
        ),
    ],
    ids=lambda values: f"{type(values).__module__[:6]} {values.dtype}",
)
def test_missing_strings_have_one_form(values):
    X = (pd if isinstance(values, pd.Series) else pl).DataFrame({"a": values})
    expected = [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    fitted = TabularPreprocessor().fit(pd.DataFrame({"a": ["x", None, "y"]}))
    assert_array_equal(fitted.transform(X), expected)
    assert_array_equal(TabularPreprocessor().fit_transform(X), expected)


def test_rare_and_unseen_levels_are_all_zero(frame):
    X = frame({"a": ["x"] * 500 + ["y"] * 490 + ["rare"] * 9 + [None]})
    preprocess = TabularPreprocessor().fit(X)
    assert preprocess.get_feature_names_out().tolist() == ["a_x", "a_y"]
    later = frame({"a": ["rare", "unseen", None, "y"]})
    assert_array_equal(preprocess.transform(later), [[0, 0], [0, 0], [0, 0], [0, 1]])


def test_missing_is_a_level_also_where_all_others_are_rare(frame):
    names = [f"person {i}" if i % 2 else None for i in range(1000)]
    preprocess = TabularPreprocessor().fit(frame({"a": names}))
    assert preprocess.get_feature_names_out().tolist() == ["a_nan"]
    assert_array_equal(preprocess.transform(frame({"a": [None, "new"]})), [[1], [0]])


def test_in_a_small_table_one_percent_of_the_rows_make_a_level(frame):
    X = frame({"a": ["x"] * 147 + ["pair"] * 2 + ["single"]})
    names = TabularPreprocessor().fit(X).get_feature_names_out()
    assert names.tolist() == ["a_pair", "a_x"]


def test_many_levels_give_a_bounded_width(frame):
    towns = [f"town {i:03}" for i in range(200) for _ in range(20 + i)]
    preprocess = TabularPreprocessor(max_categories=7).fit(frame({"a": towns}))
    assert preprocess.get_feature_names_out().tolist() == [
        f"a_town {i}" for i in range(193, 200)
    ]
    assert TabularPreprocessor().fit_transform(frame({"a": towns})).shape[1] == 50


def test_unique_strings_leave_nothing_behind(frame):
    n = 5000
    X = frame({"a": list(range(n)), "name": [f"person {i}" for i in range(n)]})
    preprocess = TabularPreprocessor().fit(X)
    assert preprocess.get_feature_names_out().tolist() == ["a"]
    assert b"person" not in pickle.dumps(preprocess)


def test_integer_categories_are_levels_and_match_plain_numbers():
    codes = pd.DataFrame({"a": pd.Categorical([10, 20, 10])})
    preprocess = TabularPreprocessor().fit(codes)
    assert preprocess.get_feature_names_out().tolist() == ["a_10", "a_20"]
    for dtype in ["int64", "float64", "object", "str"]:
        out = preprocess.transform(codes.astype(dtype))
        if dtype != "str":
            assert_array_equal(out, [[1, 0], [0, 1], [1, 0]])
    intervals = pd.DataFrame({"a": pd.cut([1, 5, 2], [0, 3, 6])})
    assert TabularPreprocessor().fit_transform(intervals).shape == (3, 2)


def test_mixed_column_is_strings_in_fit_and_transform():
    X = pd.DataFrame({"a": pd.Series([1, "1", 2.0, "b", None, 1], dtype=object)})
    out = TabularPreprocessor().fit_transform(X)
    assert_array_equal(out.argmax(axis=1), [0, 0, 1, 2, 3, 0])
    assert_array_equal(out.sum(axis=1), 1)


def test_mixed_columns_are_those_whose_levels_were_made_strings():
    columns = {
        "intervals": pd.cut([1, 5, 2], [0, 3, 6]),
        "strings": ["a", None, "b"],
        "mixed": pd.Series(["a", 1, None], dtype=object),
        "codes": pd.Categorical([1, None, 2]),
        "numbers": [1, 2, 3],
    }
    preprocess = TabularPreprocessor().fit(pd.DataFrame(columns))
    assert preprocess.mixed_columns_ == [0, 2]
    assert TabularPreprocessor().fit([[1.0], [2.0]]).mixed_columns_ == []


def test_all_missing_strings_are_left_out(frame):
    preprocess = TabularPreprocessor().fit(frame({"a": [1.0, 2.0], "b": [None, None]}))
    assert preprocess.get_feature_names_out().tolist() == ["a"]
    assert preprocess.transform(frame({"a": [1.0], "b": ["x"]})).shape == (1, 1)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
@either_encoding
def test_all_libraries_give_identical_output(numeric, library):
    X = pd.DataFrame(table())
    if library == "polars":
        same = pl.DataFrame(table())
    else:
        same = pytest.importorskip("pyarrow").table(table())
    fitted = TabularPreprocessor(numeric=numeric).fit(X)
    expected = fitted.transform(X)
    assert_array_equal(fitted.transform(same), expected)
    fitted = TabularPreprocessor(numeric=numeric).fit(same)
    assert_allclose(fitted.transform(X), expected, atol=1e-4)
    assert_array_equal(fitted.transform(same), fitted.transform(X))


@pytest.mark.parametrize("n_rows", [3, 300])
def test_later_rows_that_lack_a_value_altogether(frame, n_rows):
    X = table() | {"born": np.resize(BORN, 60).tolist()}
    preprocess = TabularPreprocessor().fit(frame(X))
    row = {name: values[6] for name, values in X.items()}
    expected = preprocess.transform(frame({k: [v, v, None] for k, v in row.items()}))
    out = preprocess.transform(frame({name: [None] * n_rows for name in row}))
    assert_array_equal(out, np.repeat(expected[2:], n_rows, axis=0))


@either_encoding
def test_single_rows_equal_the_whole(frame, numeric):
    X = frame(table())
    preprocess = TabularPreprocessor(numeric=numeric).fit(X)
    rows = [preprocess.transform(X[i : i + 1]) for i in range(X.shape[0])]
    assert_array_equal(np.concatenate(rows), preprocess.transform(X))


def test_wrong_columns_are_errors_as_in_scikit_learn():
    X = pd.DataFrame(table())
    preprocess = TabularPreprocessor().fit(X)
    for wrong in (X[X.columns[::-1]], X.drop(columns="job")):
        with pytest.raises(ValueError, match="feature names should match"):
            preprocess.transform(wrong)


def test_names_that_repeat_are_refused():
    with pytest.raises(ValueError, match="unique"):
        TabularPreprocessor().fit(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_columns_without_string_names_go_by_position():
    X = pd.DataFrame({0: [1.0, 2.0, 3.0], 1: ["x", "y", "x"]})
    preprocess = TabularPreprocessor().fit(X)
    assert not hasattr(preprocess, "feature_names_in_")
    assert preprocess.get_feature_names_out().tolist() == ["x0", "x1_x", "x1_y"]
    assert_array_equal(preprocess.transform(X)[:, 1:], [[1, 0], [0, 1], [1, 0]])


@pytest.mark.parametrize("values", [["x", "y"], BORN], ids=["strings", "dates"])
def test_array_after_a_frame_of_strings_or_dates_is_refused(frame, values):
    preprocess = TabularPreprocessor().fit(frame({"a": values}))
    message = "strings or dates; pass a data frame, not ndarray"
    for rows in (np.array([["x"]], dtype=object), np.zeros((1, 1))):
        with pytest.raises(TypeError, match=message):
            preprocess.transform(rows)


@pytest.mark.parametrize("value", [datetime.timedelta(1), datetime.time(1)], ids=str)
def test_times_without_a_date_are_refused_by_name(frame, value):
    with pytest.raises(TypeError, match=r"Column 'age' holds .* Convert it to n"):
        TabularPreprocessor().fit(frame({"a": [1, 2], "age": [value, None]}))


@pytest.mark.parametrize("others", [{}, {"job": "x"}], ids=["alone", "mixed"])
@pytest.mark.parametrize("n_rows", [1, 200])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (datetime.date(2020, 1, 1), ValueError, "holds dates, and numbers are"),
        (datetime.datetime(2020, 1, 1), ValueError, "holds dates, and numbers are"),
        (datetime.timedelta(1), TypeError, "holds .* Convert it to n"),
        (np.datetime64("NaT", "ms"), ValueError, "holds dates"),
        (np.timedelta64("NaT", "ms"), TypeError, "holds .* Convert it to n"),
    ],
    ids=["date", "datetime", "timedelta", "missing date", "missing timedelta"],
)
def test_dates_are_no_numbers_at_prediction(value, error, message, n_rows, others):
    missing = pd.isna(value)  # of which polars knows no type
    values = np.full(n_rows, value) if missing else [value] * n_rows
    for make in [pd.DataFrame] if missing else [pd.DataFrame, pl.DataFrame]:
        preprocess = TabularPreprocessor().fit(make({"age": [1.0, 2.0], **others}))
        with pytest.raises(error, match=f"Column 'age' {message}"):
            preprocess.transform(make({"age": values, **others}))


# Dates


def test_dates_become_the_numbers_of_their_parts(frame):
    X = {"born": BORN, "job": ["cook", "clerk", None, "cook"], "age": [1, 2, 3, 4]}
    parts = {
        "age": [1, 2, 3, 4],
        "born_year": [2019, None, 2020, 1969],
        "born_month": [12, None, 2, 12],
        "born_weekday": [1, None, 5, 6],
        "born_hour": [23, None, 12, 0],
        "born_total_seconds": [1577836770.0, None, 1582977600.0, -345599.5],
        "job": X["job"],
    }
    preprocess, expected = (
        TabularPreprocessor(numeric="piecewise").fit(frame(table))
        for table in (X, parts)
    )
    names = expected.get_feature_names_out().tolist()
    assert preprocess.get_feature_names_out().tolist() == names
    assert preprocess.n_numeric_ == expected.n_numeric_ == 6
    out = preprocess.transform(frame(X))
    assert_array_equal(out, expected.transform(frame(parts)))
    assert_array_equal(preprocess.transform(frame(X)[:1]), out[:1])
    loaded = pickle.loads(pickle.dumps(preprocess))
    assert_array_equal(loaded.transform(frame(X)), out)


def test_parts_that_do_not_vary_are_left_out(frame):
    days = [datetime.date(2020, 3, day) for day in (1, 2, 3)]
    X = {"day": [*days, None], "same": [days[0]] * 4, "never": [None] * 4}
    preprocess = TabularPreprocessor().fit(frame(X))
    names = ["day_weekday", "day_total_seconds"]
    assert preprocess.get_feature_names_out().tolist() == names
    assert preprocess.dates_ == {0: (None, ["weekday", "total_seconds"])}


def test_dates_that_are_all_the_same_are_nothing_to_learn_from(frame):
    with pytest.raises(ValueError, match="no dates differ"):
        TabularPreprocessor().fit(frame({"born": [BORN[0]] * 3}))


@pytest.mark.parametrize("value", [1577836770, "2019-12-31", True])
def test_numbers_and_strings_are_no_dates(frame, value):
    preprocess = TabularPreprocessor().fit(frame({"born": BORN}))
    with pytest.raises(ValueError, match="Column 'born' holds no dates"):
        preprocess.transform(frame({"born": [value, None]}))


def test_dates_mixed_with_strings_are_refused():
    with pytest.raises(TypeError, match="Column 'born' holds values of type datetime"):
        TabularPreprocessor().fit(pd.DataFrame({"born": [BORN[0], "x"]}))


def test_names_of_parts_give_way_to_those_of_columns(frame):
    X = frame({"born": BORN, "born_year": [1.0, 5.0, 2.0, 3.0]})
    preprocess = TabularPreprocessor().fit(X)
    names = preprocess.get_feature_names_out().tolist()
    assert names[:3] == ["born_year", "born_year_", "born_month"]
    years = np.array([2019, 2019, 2020, 1969])  # the median for the missing one
    out = preprocess.transform(X)
    assert_allclose(out[:, 1], (years - years.mean()) / years.std(), rtol=1e-5)


def test_dates_without_string_names_go_by_position():
    X = pd.DataFrame({0: [1.0, 2.0, 3.0], 7: BORN[1:]})
    preprocess = TabularPreprocessor().fit(X)
    names = preprocess.get_feature_names_out().tolist()
    assert names[:3] == ["x0", "x1_year", "x1_month"]
    named = X.set_axis(["a", "b"], axis=1)
    expected = TabularPreprocessor().fit_transform(named)
    assert_array_equal(preprocess.transform(X), expected)


def test_dates_are_read_by_the_clock_of_the_zone_of_fit():
    X = pd.DataFrame({"born": pd.Series(BORN).dt.tz_localize("Europe/Berlin")})
    naive = TabularPreprocessor().fit_transform(pd.DataFrame({"born": BORN}))
    preprocess = TabularPreprocessor().fit(X)
    assert preprocess.dates_[0][0] == "Europe/Berlin"
    elsewhere = X.assign(born=X["born"].dt.tz_convert("Asia/Tokyo"))
    for rows in (X, elsewhere, pl.from_pandas(X), pl.from_pandas(elsewhere)):
        assert_array_equal(preprocess.transform(rows), naive)


def test_dates_of_polars_are_read_by_a_fixed_offset_of_pandas():
    born = pd.Series(BORN).dt.tz_localize("+05:30")
    preprocess = TabularPreprocessor().fit(pd.DataFrame({"born": born}))
    rows = pl.DataFrame({"born": pl.from_pandas(born.dt.tz_convert("UTC"))})
    naive = TabularPreprocessor().fit_transform(pd.DataFrame({"born": BORN}))
    assert_array_equal(preprocess.transform(rows), naive)


@pytest.mark.parametrize("zones", [(None, "UTC"), ("UTC", None)])
def test_dates_with_and_without_a_zone_do_not_mix(zones):
    fitted, given = (
        pd.DataFrame({"born": pd.Series(BORN).dt.tz_localize(zone)}) for zone in zones
    )
    preprocess = TabularPreprocessor().fit(fitted)
    message = (
        f"Column 'born' has the time zone {zones[1]}, and in fit it had {zones[0]}"
    )
    for rows in (given, pl.from_pandas(given)):
        with pytest.raises(ValueError, match=message):
            preprocess.transform(rows)


@pytest.mark.parametrize("value", [{"k": 1}, [1, 2], 1j, b"x"], ids=repr)
def test_values_that_are_no_numbers_or_strings_are_refused(frame, value):
    kind = type(value).__name__
    with pytest.raises(TypeError, match=f"Column 'odd' holds values of type {kind}"):
        TabularPreprocessor().fit(frame({"odd": [value, value]}))


def test_frame_without_rows_is_refused(frame):
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        TabularPreprocessor().fit(frame(table())[:0])
    preprocess = TabularPreprocessor().fit(frame(table()))
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        preprocess.transform(frame(table())[:0])


def test_frame_with_nothing_to_learn_from_is_refused(frame):
    names = [f"person {i}" for i in range(300)]
    with pytest.raises(ValueError, match="no column is left to learn from"):
        TabularPreprocessor().fit(frame({"name": names}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_frequency", 0),
        ("max_categories", 0),
        ("numeric", "periodic"),
        ("n_bins", 2),
    ],
)
def test_parameters_are_checked_in_fit(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        TabularPreprocessor(**{name: value}).fit(np.eye(3))


@pytest.mark.parametrize(
    "make",
    [
        pd.DataFrame,
        pl.DataFrame,
        lambda X: np.array([X["height"], X["children"]], dtype=np.float32).T,
        lambda X: pd.DataFrame(X).astype({"job": "category", "children": "Int64"}),
    ],
    ids=["pandas", "polars", "array", "categories"],
)
def test_input_is_never_changed(make):
    X, before = make(table()), make(table())
    TabularPreprocessor().fit(X).transform(X)
    if isinstance(X, np.ndarray):
        assert_array_equal(X, before)
    else:
        assert X.equals(before)


@pytest.mark.parametrize("n_rows", [1, 50, 200])
@pytest.mark.parametrize("missing", [None, np.nan, np.float32("nan")], ids=repr)
def test_all_strings_missing_make_a_frame_of_numbers(missing, n_rows):
    fitted = pd.DataFrame({"age": [1.0, 2.0, 3.0], "job": ["x", "y", "x"]})
    preprocess = TabularPreprocessor().fit(fitted)
    rows = pd.DataFrame([{"age": 2.0, "job": missing}] * n_rows)
    before = rows.copy(deep=True)
    assert_array_equal(preprocess.transform(rows), np.zeros((n_rows, 3)))
    pd.testing.assert_frame_equal(rows, before)


@either_encoding
def test_array_after_an_unnamed_frame_with_a_column_left_out(numeric):
    X = pd.DataFrame({0: [1.0, 2.0, 4.0], 1: [None] * 3, 2: [3.0, 2.0, 1.0]})
    preprocess = TabularPreprocessor(numeric=numeric).fit(X)
    rows = X.to_numpy(np.float32)
    assert_array_equal(preprocess.transform(rows), preprocess.transform(X))
    rows[:, 1] = 7.0
    assert_array_equal(preprocess.transform(rows), preprocess.transform(X))
    rows[0, 0] = np.nan
    X.loc[0, 0] = None
    assert_array_equal(preprocess.transform(rows), preprocess.transform(X))


@pytest.mark.parametrize(
    "through", [lambda p: pickle.loads(pickle.dumps(p)), copy.copy, copy.deepcopy]
)
@either_encoding
def test_copies_give_the_same(frame, through, numeric):
    X = frame(table())
    preprocess = TabularPreprocessor(numeric=numeric).fit(X)
    again = through(preprocess)
    assert_array_equal(again.transform(X), preprocess.transform(X))
    through(TabularPreprocessor()).fit(X)


@either_encoding
def test_file_asks_to_trust_the_preprocessor_alone(frame, numeric):
    sio = pytest.importorskip("skops.io")
    X = frame(table() | {"born": np.resize(BORN, 60).tolist()})
    preprocess = TabularPreprocessor(numeric=numeric).fit(X)
    file = sio.dumps(preprocess)
    untrusted = sio.get_untrusted_types(data=file)
    assert untrusted == ["skdistill._students._tabular.TabularPreprocessor"]
    again = sio.loads(file, trusted=untrusted)
    assert_array_equal(again.transform(X), preprocess.transform(X))


def test_tags_tell_that_it_takes_tables():
    tags = get_tags(TabularPreprocessor()).input_tags
    assert tags.categorical
    assert tags.string
    assert tags.allow_nan
    assert not tags.sparse


def test_refit_forgets_the_frame(frame):
    preprocess = TabularPreprocessor().fit(frame(table()))
    X = np.random.default_rng(0).normal(size=(20, 2))
    assert_array_equal(
        preprocess.fit(X).transform(X), TabularPreprocessor().fit_transform(X)
    )


def test_a_deviation_that_float32_rounds_to_0_divides_nothing_by_0():
    X = np.array([[0.0], [1e-45]], np.float32)
    assert np.isfinite(TabularPreprocessor().fit(X).transform(X)).all()


def test_a_median_of_values_whose_sum_overflows_is_found():
    X = np.array([[-3.25e38], [-3.0e38], [np.nan]], np.float32)
    assert_allclose(TabularPreprocessor().fit(X).medians_, [-3.125e38], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [3e38, -3e38, np.nan])
def test_values_whose_sum_overflows_and_missing_ones_are_prepared(dtype, value):
    X = np.array([[1.0, 2.0], [3.0, 5.0], [2.0, 3.0]])
    preprocess = TabularPreprocessor().fit(X)
    rows = np.full((2, 2), value, dtype=dtype)
    expected = {3e38: 10.0, -3e38: -10.0}.get(value)
    if expected is None:  # the medians, standardized
        expected = [(2 - 2) / X[:, 0].std(), (3 - 10 / 3) / X[:, 1].std()]
    assert_allclose(
        preprocess.transform(rows), np.broadcast_to(expected, (2, 2)), rtol=1e-6
    )


def piecewise(**parameters):
    return TabularPreprocessor(numeric="piecewise", **parameters)


def test_bins_are_piecewise_linear_between_quantiles():
    X = np.random.default_rng(0).lognormal(size=(401, 2))
    X[::9, 1] = np.nan
    preprocess = piecewise(n_bins=8).fit(X)
    rows = np.vstack([X, [[-1.0, 99.0], [99.0, -1.0]]]).astype(np.float32)
    expected = [TabularPreprocessor().fit(X).transform(rows)]
    for column, values in zip(X.astype(np.float32).T, rows.T, strict=True):
        known = np.sort(column[~np.isnan(column)])
        edges = known[np.ceil(np.linspace(0, 1, 9) * len(known)).astype(int) - 1]
        edges[0] = known[0]
        values = np.where(np.isnan(values), np.median(known), values)[:, np.newaxis]
        expected.append(((values - edges[:-1]) / np.diff(edges)).clip(0, 1) - 0.5)
    assert_allclose(preprocess.transform(rows), np.hstack(expected), atol=2e-6)


def test_bins_stand_between_the_numbers_and_the_levels(frame):
    X = {"job": ["a", "b"] * 3, "age": [0, 1, 2, 3, 3, 3], "flag": [True, False] * 3}
    preprocess = piecewise().fit(frame(X))
    assert preprocess.get_feature_names_out().tolist() == [
        "age", "flag", "age_bin_0", "age_bin_1", "age_bin_2", "job_a", "job_b",
    ]  # fmt: skip
    row = frame({"job": ["b"], "age": [1.5], "flag": [None]})
    assert_array_equal(preprocess.transform(row)[0, 2:], [0.5, 0, -0.5, 0, 1])
    assert preprocess.n_numeric_ == 2


@pytest.mark.parametrize(
    "values",
    [
        [-3e38, -1e38, 0, 1e38, 3e38],
        [0, 1e-45, 3e-45, 1e-40, 1],
        [1e8, 1e8 + 8, 1e8 + 16, 1e8 + 24, 1e8 + 32],
    ],
    ids=["huge", "tiny", "close"],
)
def test_bins_of_any_width_rise(values):
    X = np.array(values, np.float32).reshape(-1, 1)
    preprocess = piecewise().fit(X)
    bins = preprocess.transform(X)[:, 1:]
    assert bins.shape == (5, 4)
    assert (np.diff(bins, axis=0) >= 0).all()
    assert_array_equal(bins[0], [-0.5] * 4)
    assert_array_equal(preprocess.transform([[3.2e38]])[0, 1:], [0.5] * 4)
    assert_array_equal(preprocess.transform([[-3.2e38]])[0, 1:], [-0.5] * 4)
