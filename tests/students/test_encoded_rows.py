"""Rows that look like the array of all encoded rows."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skdistill import TabularPreprocessor
from skdistill._students import _inputs
from skdistill._students._inputs import EncodedRows


def array(n_rows):
    X = np.random.default_rng(0).normal(size=(n_rows, 4)).astype(np.float32)
    X[3, 1] = np.nan
    return X


def frame(n_rows):
    X = pd.DataFrame(array(n_rows)).add_prefix("x")
    X["job"] = np.resize(["cook", "clerk", None], n_rows)
    X["due"] = pd.date_range("2024-01-01", periods=n_rows)
    return X


@pytest.mark.parametrize("library", ["array", "pandas", "polars", "pyarrow"])
def test_rows_are_those_of_the_array(library, monkeypatch):
    make = {
        "array": lambda X: array(len(X)),
        "pandas": lambda X: X,
        "polars": lambda X: pytest.importorskip("polars").from_pandas(X),
        "pyarrow": lambda X: pytest.importorskip("pyarrow").table(X),
    }[library]
    monkeypatch.setattr(_inputs, "_FRAME_ROWS", 64)
    parts = [make(frame(100)), make(frame(30))]
    preprocess = TabularPreprocessor(numeric="piecewise").fit(parts[0])
    rows = EncodedRows(preprocess, parts)
    expected = np.concatenate([preprocess.transform(part) for part in parts])
    assert (rows.shape, len(rows)) == (expected.shape, 130)
    assert (rows.ndim, rows.dtype) == (expected.ndim, expected.dtype)
    chosen = np.random.default_rng(0).integers(len(rows), size=50)
    ranges = [slice(None), slice(90, 115), slice(-3, None)]
    for some in (chosen, chosen.tolist(), *ranges, 105):
        assert_array_equal(rows[some], expected[some], strict=True)
    assert rows[:0].shape == (0, rows.shape[1])


def test_rows_of_a_frame_after_an_array_are_not_rounded():
    X = array(60)[4:]
    preprocess = TabularPreprocessor().fit(X)
    later = pd.DataFrame(X.astype(np.float64) + 1e-9)
    rows = EncodedRows(preprocess, [later])
    assert_array_equal(rows[:], preprocess.transform(later))


def test_rows_of_levels_alone_have_no_numbers():
    X = frame(60)[["job"]]
    preprocess = TabularPreprocessor().fit(X)
    rows = EncodedRows(preprocess, [X, X[:7]])
    assert_array_equal(rows[[0, 1, 66]], preprocess.transform(X.iloc[[0, 1, 6]]))


def test_an_array_without_missing_values_is_not_copied():
    X = array(60)[10:]
    preprocess = TabularPreprocessor(numeric="piecewise").fit(X)
    assert np.shares_memory(EncodedRows(preprocess, [X]).numbers[0], X)
