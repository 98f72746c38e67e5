"""Soft labels of dask arrays and data frames, block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skdistill._targets._class_names import check_classes
from skdistill.utils._unwrap import listed
from skdistill.utils._validation import all_fitted


def is_collection(X: Any) -> bool:
    """Tell whether rows are a collection of dask, which holds them in blocks."""
    return hasattr(X, "__dask_graph__")


def labels_by_block(
    label: Callable[[Any], Any], teacher: Any, X: Any, classes: Any, y: Any
) -> Any:
    """Return a dask array that labels each block when it is computed.

    Parameters
    ----------
    label : callable
        Returns the soft labels of the rows of a block.
    teacher : estimator or list of estimators
        Fitted.
    X : dask.array.Array or dask.dataframe.DataFrame
        The rows.
    classes : array-like or None
        The classes, if the teacher has no ``classes_``.
    y : array-like or None
        Must be None.

    Raises
    ------
    ValueError
        If the labels of a block depend on other blocks, or if the classes are unknown.
    """
    if y is not None or not all_fitted(teacher):
        raise ValueError(
            "a dask collection is labeled block by block: pass a fitted teacher, and "
            "no y"
        )
    teachers = listed(teacher)
    if classes is None:
        if not all(hasattr(one, "classes_") for one in teachers):
            raise ValueError("the teacher has no classes_: pass classes=")
        classes = np.unique(np.concatenate([one.classes_ for one in teachers]))
    n_classes = len(np.unique(check_classes(classes)))
    if hasattr(X, "map_partitions"):
        meta = np.empty((0, n_classes), np.float32)
        return X.map_partitions(label, meta=meta)
    X = X.rechunk({1: -1})
    chunks = (X.chunks[0], (n_classes,))
    meta = np.empty((0, 0), np.float32)
    return X.map_blocks(label, dtype=np.float32, chunks=chunks, meta=meta)
