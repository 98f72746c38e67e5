"""Soft labels of dask arrays and data frames, block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skdistill._targets._target import Target
from skdistill.utils._unwrap import listed
from skdistill.utils._validation import all_fitted


def is_collection(X: Any) -> bool:
    """Tell whether rows are a collection of dask, which holds them in blocks."""
    return hasattr(X, "__dask_graph__")


def labels_by_block(
    label: Callable[[Any], Any], teacher: Any, X: Any, y: Any, target: Target
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
    y : array-like or None
        Must be None.
    target : Target
        Knows the columns of the teacher.

    Raises
    ------
    ValueError
        If the labels of a block depend on other blocks, or if the columns are unknown.
    """
    if y is not None or not all_fitted(teacher):
        raise ValueError(
            "a dask collection is labeled block by block: pass a fitted teacher, and "
            "no y"
        )
    columns = []
    for one in listed(teacher):
        target.check_teacher(one)
        columns.append(target.columns_of(one))
    n_columns = len(np.unique(np.concatenate(columns)))
    if hasattr(X, "map_partitions"):
        meta = np.empty((0, n_columns), np.float32)
        return X.map_partitions(label, meta=meta)
    X = X.rechunk({1: -1})
    chunks = (X.chunks[0], (n_columns,))
    meta = np.empty((0, 0), np.float32)
    return X.map_blocks(label, dtype=np.float32, chunks=chunks, meta=meta)
