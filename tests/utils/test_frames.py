from __future__ import annotations

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
