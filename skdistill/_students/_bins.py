"""Where the bins of a piecewise-linear encoding lie."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor

from skdistill.utils._arrays import Array, Floats, Ints

# How many bins all columns may have together: before 64 hidden units, their weights
# are 64 KiB. Of quantiles, a column whose share is less than three bins gets none.
MAX_BINS = 256
MIN_BINS = 3

# The largest number of bins of one column, times ``n_bins``, where they follow targets.
_TIMES = 4

# The forest that shows where targets change. It learns from so many rows.
_FOREST = RandomForestRegressor(
    n_estimators=20,
    max_leaf_nodes=512,
    min_samples_leaf=5,
    max_features=0.5,
    random_state=0,
)
_MIN_ROWS, _MAX_ROWS = 100, 20_000

# Two edges of bins that are closer than this share of a bin are one. In float32, the
# end of a bin is rarely the start of the next one.
_SAME = 1e-5

_LARGEST = float(np.finfo(np.float32).max)

# The narrowest bin that float32 can divide by.
_NARROWEST = float(np.finfo(np.float32).tiny)

Bins = tuple[list[int], Floats, Floats]


def bins(block: Array, n_bins: int, most: int = MAX_BINS) -> Bins:
    """Return the bins of columns: the column, the start and the width of each bin.

    NaN is missing. A column has up to ``n_bins``, and fewer where it has few different
    values, or where many columns share the ``most`` bins of all.
    """
    edges = _edges(block, n_bins)
    share = most // max(1, len(edges))
    if share < n_bins:
        edges = _edges(block, share) if share >= MIN_BINS else {}
    return _as_bins(edges)


class Changes(NamedTuple):
    """Where targets change along columns: the splits of trees that learn them.

    Attributes
    ----------
    columns : ndarray of shape (n_splits,), int
        The column of each split.
    thresholds : ndarray of shape (n_splits,)
        The value that it splits the column at.
    weights : ndarray of shape (n_splits,)
        The root of its gain.
    """

    columns: Ints
    thresholds: Floats
    weights: Floats

    def along(self, kept: Ints) -> Changes:
        """Return those along some columns, given in ascending order, which count."""
        here = np.isin(self.columns, kept)
        columns = np.searchsorted(kept, self.columns[here])
        return Changes(columns, self.thresholds[here], self.weights[here])


def changes(block: Array, targets: Any) -> Changes | None:
    """Return where targets change along columns. It is None if there are few rows.

    The columns have no missing values. Targets are what a net is to learn of the rows,
    of shape (n_samples, n_targets). Labels, which have one dimension, are no targets.
    """
    targets = np.asarray(targets)
    if targets.ndim != 2 or len(block) < _MIN_ROWS or not block.shape[1]:
        return None
    if len(block) > _MAX_ROWS:
        draws = np.random.RandomState(0)
        rows = draws.choice(len(block), _MAX_ROWS, replace=False)
        block, targets = block[rows], targets[rows]
    if targets.shape[1] == 1:  # of which scikit-learn warns
        targets = targets[:, 0]
    forest = clone(_FOREST).fit(block.astype(np.float32), targets)
    splits = [_splits(tree.tree_) for tree in forest.estimators_]
    return Changes(*map(np.concatenate, zip(*splits, strict=True)))


def target_bins(
    block: Array, found: Changes | None, n_bins: int, most: int = MAX_BINS
) -> Bins:
    """Return bins that are narrow where targets change: target-aware bins.

    Thresholds, weighted by the roots of their gains, share out the ``most`` bins of all
    columns among these, and along each of them. NaN is missing. A column has at most
    four times ``n_bins``. If nothing was found, the bins are those of :func:`bins`.
    """
    if found is None:
        return bins(block, n_bins, most)
    edges = {}
    for i in np.unique(found.columns):
        here, column = found.columns == i, block[:, i]
        column = column[~np.isnan(column)]
        weights = found.weights[here]
        share = most * weights.sum() / found.weights.sum()
        n_inner = int(min(share, _TIMES * n_bins)) - 1
        inner = _weighted_quantiles(found.thresholds[here], weights, max(n_inner, 0))
        lowest, highest = float(column.min()), float(column.max())
        ends = np.unique([lowest, *inner.clip(lowest, highest), highest])
        # The standardized value says as much of a column of two values.
        if len(ends) > 2 and ((column != lowest) & (column != highest)).any():
            edges[int(i)] = ends
    return _as_bins(edges)


def most_telling(found: Changes, n_columns: int, n_kept: int) -> Ints:
    """Return the columns along which targets change most, in ascending order."""
    told = np.bincount(found.columns, found.weights, n_columns)
    return np.sort(np.argsort(-told, kind="stable")[:n_kept])


def knots(offsets: Floats, scales: Floats, bound: float) -> Array:
    """Return between which values the outputs of a number are straight lines.

    They are the edges of its bins, and where it is clipped, ``bound`` standard
    deviations from the mean. Without bins, there are none. The first offset and scale
    are the mean and the standard deviation, the others the starts and widths of bins.
    """
    if len(offsets) == 1:
        return np.empty(0)
    starts, ends = offsets[1:], offsets[1:] + scales[1:]
    gaps = np.abs(ends[:, np.newaxis] - starts).min(axis=1)
    ends = ends[gaps > _SAME * scales[1:]]
    clipped = offsets[0] + scales[0] * bound * np.array([-1, 1])
    found = np.concatenate([starts, ends, clipped]).clip(-_LARGEST, _LARGEST)
    return np.unique(found)


def _splits(tree: Any) -> tuple[Array, Array, Array]:
    """Return the column, the threshold and the root of the gain of each split."""
    inner = np.flatnonzero(tree.children_left != -1)
    total = tree.weighted_n_node_samples * tree.impurity
    left, right = tree.children_left[inner], tree.children_right[inner]
    gains = total[inner] - total[left] - total[right]
    return tree.feature[inner], tree.threshold[inner], np.sqrt(gains.clip(0))


def _weighted_quantiles(values: Array, weights: Array, n_values: int) -> Array:
    """Return values that cut others into parts of equal weight."""
    order = values.argsort()
    reached = weights[order].cumsum()
    wanted = reached[-1] * np.arange(1, n_values + 1) / (n_values + 1)
    return values[order][np.searchsorted(reached, wanted)]


def _as_bins(edges: dict[int, Floats]) -> Bins:
    """Return the column, the start and the width of each bin."""
    columns = [i for i, ends in edges.items() for _ in ends[1:]]
    starts = np.concatenate([[], *(ends[:-1] for ends in edges.values())])
    widths = np.concatenate([[], *map(np.diff, edges.values())])
    return columns, starts, widths.clip(_NARROWEST, 1 / _NARROWEST)


def _edges(block: Array, n_bins: int) -> dict[int, Floats]:
    """Return the edges of up to ``n_bins`` bins of each column that gets two or more.

    The edges are values of the column, so that a column of few different values has few
    bins.
    """
    edges: dict[int, Floats] = {}
    for i, column in enumerate(block.T):
        known = column[~np.isnan(column)]
        if len(known):
            ends = _ends(known, n_bins)
            if len(ends) > 2:
                edges[i] = ends.astype(np.float64)
    return edges


def _ends(values: Array, n_bins: int) -> Array:
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


def _quantiles(values: Array, shares: Floats) -> Array:
    return np.quantile(values, shares, method="inverted_cdf")
