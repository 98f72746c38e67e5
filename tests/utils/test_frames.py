from __future__ import annotations

import datetime
import zoneinfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from skdistill.utils._frames import (
    check_frame,
    column_names,
    floats,
    is_frame,
    kind_of,
    labels,
    native,
    stacked,
    with_types_of,
)
from tests.conftest import table


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (pd.DataFrame({"a": [1]}), True),
        (pl.DataFrame({"a": [1]}), True),
        (pa.table({"a": [1]}), True),
        (np.zeros((1, 1)), False),
        (pd.Series([1]), False),
        ([[1]], False),
    ],
)
def test_is_frame_knows_frames_of_any_library(data, expected):
    assert is_frame(data) is expected


def test_native_converts_other_libraries_alone():
    for X in (pd.DataFrame({"a": [1]}), pl.DataFrame({"a": [1]})):
        assert native(X) is X
    assert isinstance(native(pa.table({"a": [1]})), pd.DataFrame)


def test_names_of_columns_may_be_those_of_attributes(frame):
    assert column_names(frame({"column_names": [1, 2], "iloc": [3, 4]})) == [
        "column_names",
        "iloc",
    ]


def test_columns_are_told_apart(frame):
    X = frame(table())
    kinds = [kind_of(X, i) for i in range(X.shape[1])]
    assert kinds == ["numbers"] * 3 + ["levels"] * 2
    assert kind_of(frame({"a": [None, None]}), 0) == "levels"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_rows", [2, 150])
def test_floats_are_the_columns_asked_for(frame, n_rows, dtype):
    X = frame({"a": [1, None] * n_rows, "b": ["x"] * 2 * n_rows, "c": [2, 3] * n_rows})
    block = floats(X, [2, 0], dtype=dtype)
    assert block.dtype == dtype
    assert_array_equal(block, [[2, 1], [3, np.nan]] * n_rows)
    assert floats(X, []).shape == (2 * n_rows, 0)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (np.inf, "infinity or a value too large for float32"),
        (-1e39, "infinity or a value too large for float32"),
        (None, "NaN, which the model does not replace"),
    ],
)
def test_bad_floats_are_refused_by_name(frame, value, problem):
    X = frame({"a": [0.0, 1.0], "b": [0.0, value]})
    with pytest.raises(ValueError, match=f"Column 'b' contains {problem}"):
        floats(X, [0, 1], allow_nan=False)


ZONES = [datetime.UTC, zoneinfo.ZoneInfo("Europe/Berlin")]
NOON = [datetime.datetime(2020, 1, 1, 12, tzinfo=zone) for zone in (None, *ZONES)]
DAY = [datetime.date(2020, 1, 1)]


def column(library, given, dtype=None):
    """Return a data frame of one column of some type."""
    make = {pd: pd.Series, pl: pl.Series, pa: pa.array}[library]
    of_type = {} if dtype is None else {"type" if library is pa else "dtype": dtype}
    return (pa.table if library is pa else library.DataFrame)(
        {"k": make(given, **of_type)}
    )


def values(X):
    """Return the values of such a column."""
    return X["k"].to_pylist() if isinstance(X, pa.Table) else X["k"].to_list()


ABC = {pd: pd.CategoricalDtype(list("abc")), pl: pl.Enum(list("abc"))}
BROUGHT = {
    "other categories": (pd, (["a", "b"], ABC[pd]), (["b"], "category")),
    "strings": (pd, (["a", "b"], ABC[pd]), (["b", None], object)),
    "ordered": (pd, (["a"], pd.CategoricalDtype(["a"], True)), (["a"], "category")),
    "zones": (pd, (NOON[1:2],), (NOON[2:],)),
    "enum": (pl, (["a", "b"], ABC[pl]), (["b"],)),
    "nothing": (pl, (["a"],), ([None],)),
    "zones in polars": (pl, (NOON[1:2],), (NOON[2:],)),
    "integers as strings": (pl, (["a"],), ([1],)),
    "dictionary": (pa, (["a"], pa.dictionary(pa.int32(), pa.string())), (["b"],)),
    "nothing in pyarrow": (pa, ([1],), ([None],)),
    "zones in pyarrow": (pa, (NOON[1:2],), (NOON[2:],)),
}


@pytest.mark.parametrize("case", BROUGHT)
def test_rows_get_the_types_of_others(case):
    library, *both = BROUGHT[case]
    like, X = (column(library, *one) for one in both)
    given = [value for value in values(X) if value is not None]
    typed = with_types_of(like, X, "X_transfer")
    whole = stacked([like, typed])
    same = "type" if library is pa else "dtype"
    assert getattr(typed["k"], same) == getattr(like["k"], same)
    assert getattr(whole["k"], same) == getattr(like["k"], same)
    found = [value for value in values(typed) if value == value]
    assert [value for value in found if value is not None] == (
        list(map(str, given)) if case == "integers as strings" else given
    )


UNLIKE = {
    "categories": (pd, (["a"], ABC[pd]), (["d"], "category")),
    "enum": (pl, (["a"], ABC[pl]), (["d"],)),
    "strings": (pl, ([1.5],), (["x"],)),
    "no zone": (pd, (NOON[1:2],), (NOON[:1],)),
    "zone in polars": (pl, (NOON[:1],), (NOON[1:2],)),
    "zone in pyarrow": (pa, (NOON[:1],), (NOON[1:2],)),
    "hours": (pl, (DAY,), (NOON[:1],)),
    "booleans": (pa, ([True],), ([2],)),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_values_that_another_type_cannot_hold_are_refused_by_name(case):
    library, *both = UNLIKE[case]
    like, X = (column(library, *one) for one in both)
    with pytest.raises(ValueError, match=r"the column 'k' of X_transfer .* do not fit"):
        with_types_of(like, X, "X_transfer")


@pytest.mark.parametrize("library", [pd, pl, pa])
@pytest.mark.parametrize(
    ("dtypes", "later"),
    [
        (("int32", "int64"), [2**40]),
        (("int64", "int32"), [1]),
        (("float32", "float64"), [0.1]),
        (("int64", "float64"), [0.5]),
    ],
)
def test_numbers_of_several_widths_stay_what_they_are(library, dtypes, later):
    types = [np.dtype(one) for one in dtypes]
    arrays = np.array([1], types[0]), np.array(later, types[1])
    like, X = (column(library, array) for array in arrays)
    whole = stacked([like, with_types_of(like, X, "X_transfer")])
    assert values(whole) == [1, *later]


NO_NUMBERS = {
    "string": ("x", ValueError, "Column 'b' holds strings, and numbers are expected"),
    "digits": ("1.5", ValueError, "Column 'b' holds strings, and numbers are expected"),
    "bytes": (b"x", TypeError, "Column 'b' holds values of type bytes"),
    "list": ([1.0], TypeError, "Column 'b' holds values of type list"),
}


@pytest.mark.parametrize("n_rows", [1, 200])
@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_what_is_no_number_is_refused_by_name(frame, kind, n_rows):
    value, error, message = NO_NUMBERS[kind]
    X = frame({"a": [0.0] * n_rows, "b": [value] * n_rows})
    with pytest.raises(error, match=message):
        floats(X, [0, 1])


@pytest.mark.parametrize("categories", [["u", "v"], ["1", "2"]])
def test_categories_of_strings_are_no_numbers(categories):
    columns = pd.Categorical(categories), pl.Series(categories, dtype=pl.Categorical)
    for library, column in zip((pd, pl), columns, strict=True):
        with pytest.raises(ValueError, match="Column 'b' holds strings"):
            floats(library.DataFrame({"b": column}), [0])


def test_complex_numbers_are_refused_by_name():
    with pytest.raises(TypeError, match="Column 'b' holds values of type complex"):
        floats(pd.DataFrame({"b": [1j]}), [0])


@pytest.mark.parametrize(
    "X",
    [
        pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]),
        pa.table([pa.array([1])] * 3, names=["a", "b", "a"]),
    ],
    ids=["pandas", "pyarrow"],
)
def test_names_that_repeat_are_refused(X):
    with pytest.raises(ValueError, match=r"not unique: \['a'\]. Rename the columns"):
        check_frame(X)


def test_lazy_frame_is_refused_with_a_way_out():
    with pytest.raises(TypeError, match=r"pass X.collect\(\)"):
        check_frame(pl.DataFrame({"a": [1]}).lazy())


def test_labels_have_one_form(frame):
    X = frame({"a": ["x", None], "b": [1.0, 2.5], "c": [3, None], "d": [True, False]})
    assert labels(X, [3, 0, 2, 1]) == [
        ["True", "False"],
        ["x", None],
        ["3", None],
        ["1", "2.5"],
    ]
    assert labels(X, []) == []
