"""Rows that look like the array of all encoded rows."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skdistill import TabularPreprocessor
from skdistill._students import _encoded_rows
from skdistill._students._encoded_rows import EncodedRows, is_large


def array(n_rows, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_rows, 4)).astype(np.float32)
    X[3, 1] = np.nan
    return X


def frame(n_rows, seed=0):
    X = pd.DataFrame(array(n_rows, seed)).add_prefix("x")
    X.insert(1, "job", np.resize(["cook", "clerk", None], n_rows))
    X["due"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n_rows), "D")
    return X


def polars_frame(n_rows, seed=0):
    return pytest.importorskip("polars").from_pandas(frame(n_rows, seed))


def arrow_table(n_rows, seed=0):
    return pytest.importorskip("pyarrow").table(frame(n_rows, seed))


@pytest.mark.parametrize("kind", [array, frame, polars_frame, arrow_table])
def test_rows_are_those_of_the_array(kind, monkeypatch):
    monkeypatch.setattr(_encoded_rows, "_FRAME_ROWS", 64)
    parts = [kind(100), kind(30, seed=1)]
    preprocess = TabularPreprocessor(numeric="piecewise").fit(parts[0])
    rows = EncodedRows(preprocess, parts)
    expected = np.concatenate([preprocess.transform(part) for part in parts])
    assert (rows.shape, len(rows)) == (expected.shape, 130)
    assert (rows.ndim, rows.dtype) == (expected.ndim, expected.dtype)
    chosen = np.random.default_rng(0).integers(len(rows), size=50)
    parts = [chosen, chosen.tolist(), slice(None), slice(90, 115), slice(-3, None), 105]
    for some in parts:
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


def test_a_table_is_large_by_the_bytes_of_its_encoded_rows(monkeypatch):
    preprocess = TabularPreprocessor().fit(array(60))  # four columns of float32
    monkeypatch.setattr(_encoded_rows, "MAX_BYTES", 160)
    assert not is_large(preprocess, 10)
    assert is_large(preprocess, 11)
