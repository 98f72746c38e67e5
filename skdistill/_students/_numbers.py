"""What is learned of columns of numbers: medians, means, scales and bins."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

# How many standard deviations from the mean a numeric column may go.
CLIP = 10.0

# How many values are scaled at once. In float64, all of a large table would take
# twice the memory of the result.
BATCH_VALUES = 2**18

# How many bins all columns may have together: before 64 hidden units, their weights
# are 64 KiB. A column whose share is less than three bins gets none.
_MAX_BINS = 256
MIN_BINS = 3

# The narrowest bin that float32 can divide by.
_NARROWEST = float(np.finfo(np.float32).tiny)


def medians(block: NDArray[Any]) -> NDArray[Any]:
    """Return the medians of columns; 0 where all of a column is missing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nan_to_num(np.nanmedian(block, axis=0))


def means_and_scales(
    block: NDArray[Any], medians: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means and standard deviations of columns.

    Medians count in place of missing values. The scale of a constant column is 1.
    """
    if len(medians) == 0:  # which StandardScaler refuses
        return np.empty(0), np.empty(0)
    scaler = StandardScaler()
    # Batch by batch, as all rows at once would be copied several times.
    for rows in gen_batches(len(block), BATCH_VALUES // len(medians) + 1):
        scaler.partial_fit(np.where(np.isnan(block[rows]), medians, block[rows]))
    return scaler.mean_, scaler.scale_


def bins(
    block: NDArray[Any], n_bins: int
) -> tuple[list[int], NDArray[np.float64], NDArray[np.float64]]:
    """Return the bins of columns: the column, the start and the width of each bin.

    Parameters
    ----------
    block : ndarray of shape (n_samples, n_columns)
        The columns; NaN is missing.
    n_bins : int
        The largest number of bins of a column. There are fewer where a column has few
        different values, and where many columns share the bins.
    """
    edges = _edges(block, n_bins)
    share = _MAX_BINS // max(1, len(edges))
    if share < n_bins:
        edges = _edges(block, share) if share >= MIN_BINS else {}
    columns = [i for i, ends in edges.items() for _ in ends[1:]]
    starts = np.concatenate([[], *(ends[:-1] for ends in edges.values())])
    widths = np.concatenate([[], *map(np.diff, edges.values())])
    return columns, starts, widths.clip(_NARROWEST, 1 / _NARROWEST)


def _edges(block: NDArray[Any], n_bins: int) -> dict[int, NDArray[np.float64]]:
    """Return the edges of up to ``n_bins`` bins of each column that gets two or more.

    The edges are values of the column, so that a column of few different values has few
    bins.
    """
    edges = {}
    for i, column in enumerate(block.T):
        known = column[~np.isnan(column)]
        if len(known):
            ends = _ends(known, n_bins)
            if len(ends) > 2:
                edges[i] = ends.astype(np.float64)
    return edges


def _ends(values: NDArray[Any], n_bins: int) -> NDArray[Any]:
    """Return where bins with about as many rows each end.

    Most quantiles are equal where most rows have the same value, such as amounts of
    which most are 0. The missing bins then share out the rows with other values.
    """
    ends = np.unique(_quantiles(values, np.linspace(0, 1, n_bins + 1)))
    if len(ends) - 1 >= n_bins / 2:
        return ends
    while n_missing := n_bins + 1 - len(ends):
        others = values[~np.isin(values, ends)]
        if len(others) == 0:
            break
        more = _quantiles(others, np.linspace(0, 1, n_missing + 2)[1:-1])
        ends = np.union1d(ends, more)
    return ends


def _quantiles(values: NDArray[Any], shares: NDArray[np.float64]) -> NDArray[Any]:
    return np.quantile(values, shares, method="inverted_cdf")
