"""The bins of columns of numbers."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdistill._students._tabular import bins

NAN = np.nan


def column(values):
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def test_bins_lie_where_values_are_if_most_are_the_same():
    # The quantiles are 0, 0, 0, 0 and 8; those of the others are 2, 4 and 6.
    _, starts, widths = bins(column(np.r_[np.zeros(92), np.arange(1, 9)]), 4)
    assert_array_equal(starts, [0, 2, 4, 6])
    assert_array_equal(widths, [2] * 4)


@pytest.mark.parametrize(
    "values",
    [[3.0] * 9, [NAN] * 9, [0.0, 1.0] * 9, [0.0, NAN, 1.0] * 9, [1.0, 2.0], [5.0]],
    ids=["constant", "missing", "binary", "binary, missing", "two rows", "one row"],
)
def test_column_that_would_have_one_bin_has_none(values):
    columns, starts, widths = bins(column(values), 16)
    assert columns == []
    assert len(starts) == len(widths) == 0


@pytest.mark.parametrize(
    ("n_columns", "n_bins"), [(1, 16), (16, 16), (17, 15), (85, 3), (86, 0), (200, 0)]
)
def test_columns_share_256_bins(n_columns, n_bins):
    block = np.random.default_rng(0).normal(size=(100, n_columns + 1))
    block[:, 0] = block[:, 0] > 0  # a binary column takes no share
    columns, _, _ = bins(block, 16)
    assert columns == [i for i in range(1, n_columns + 1) for _ in range(n_bins)]


@pytest.mark.parametrize(
    ("n_bins", "expected"), [(3, 3), (16, 16), (99, 99), (999, 99)]
)
def test_number_of_bins_is_at_most_that_of_the_values(n_bins, expected):
    columns, _, _ = bins(column(np.arange(100)), n_bins)
    assert len(columns) == expected
