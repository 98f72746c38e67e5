"""Labels of training rows by those trees of a fitted forest that have not seen them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

_FORESTS = (ExtraTreesClassifier, RandomForestClassifier)

# So many trees are checked for whether they were fitted on the rows.
_CHECKED_TREES = 3


def unseen_labels(
    teacher: Any, X: Any, rows: NDArray[np.intp]
) -> NDArray[np.float32] | None:
    """Return the class probabilities of rows by trees that were not fitted on them.

    Parameters
    ----------
    teacher : estimator
        Fitted.
    X : array-like of shape (n_samples, n_features)
        The rows on which it may have been fitted.
    rows : ndarray of shape (n_rows,)
        The numbers of the rows to label.

    Returns
    -------
    proba : ndarray of shape (n_rows, n_classes) or None
        NaN for rows that all trees have seen. None if the teacher is not a forest with
        bootstrap samples of these rows.
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
    total = np.zeros((len(rows), len(teacher.classes_)))
    times = np.zeros((len(rows), 1))
    for tree, seen in trees:
        unseen = ~np.isin(rows, seen)
        if unseen.any():
            total[unseen] += tree.predict_proba(numbers[rows[unseen]])
            times[unseen] += 1
    with np.errstate(invalid="ignore"):
        return (total / times).astype(np.float32)


def _has_seen(tree: Any, sample: NDArray[np.intp], X: NDArray[np.float32]) -> bool:
    """Tell whether a tree was fitted on a sample of rows: its leaves hold as many."""
    distinct = np.unique(sample)
    if distinct[-1] >= len(X) or X.shape[1] != tree.n_features_in_:
        return False
    nodes = tree.tree_
    is_leaf = nodes.children_left == -1
    found = np.bincount(tree.apply(X[distinct]), minlength=nodes.node_count)
    return np.array_equal(found[is_leaf], nodes.n_node_samples[is_leaf])
