"""Labels of training rows by those trees of a fitted forest that have not seen them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from skdistill._targets._target import Target
from skdistill.utils._arrays import Floats, Ints

_FORESTS = (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

# So many trees are checked for whether they were fitted on the rows.
_CHECKED_TREES = 3


def unseen_labels(teacher: Any, X: Any, rows: Ints, target: Target) -> Floats | None:
    """Return the soft labels of rows by trees that were not fitted on them.

    They are NaN for rows that all trees have seen. None if the teacher is not a forest
    with bootstrap samples of ``X``. ``rows`` are the numbers of the rows to label.
    """
    if type(teacher) not in _FORESTS or not teacher.bootstrap:
        return None
    numbers = np.asarray(X)
    if numbers.ndim != 2 or numbers.dtype.kind not in "buif":
        return None
    numbers = numbers.astype(np.float32, copy=False)
    samples = teacher.estimators_samples_
    trees = list(zip(teacher.estimators_, samples, strict=True))
    if not all(_has_seen(*one, numbers) for one in trees[:_CHECKED_TREES]):
        return None
    total: Any = 0.0
    times = np.zeros((len(rows), 1))
    for tree, seen in trees:
        unseen = ~np.isin(rows, seen)
        if unseen.any():
            # Of several labels, trees name those of the forest by codes.
            said = target.plain(target.ask(tree, numbers[rows[unseen]]), teacher)
            parts = np.zeros((len(rows), said.shape[1]))
            parts[unseen] = said
            total, times[unseen] = total + parts, times[unseen] + 1
    if not times.any():
        return None
    with np.errstate(invalid="ignore"):
        labels: Floats = (total / times).astype(target.dtype)
    return labels


def _has_seen(tree: Any, sample: Ints, X: Floats) -> bool:
    """Tell whether a tree was fitted on a sample of rows: its leaves hold as many."""
    distinct = np.unique(sample)
    if distinct[-1] >= len(X) or X.shape[1] != tree.n_features_in_:
        return False
    nodes = tree.tree_
    is_leaf = nodes.children_left == -1
    found = np.bincount(tree.apply(X[distinct]), minlength=nodes.node_count)
    return np.array_equal(found[is_leaf], nodes.n_node_samples[is_leaf])
