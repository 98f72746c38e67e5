"""Rows of large tables, encoded when a net needs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing, gen_batches
from sklearn.utils.validation import _num_samples

from skdistill._students._tabular import TabularPreprocessor
from skdistill.utils._frames import is_frame, native

# The largest array of encoded rows, in bytes. The piecewise encoding makes six columns
# of one, so that all rows of a large table would take several times its memory. Rows
# that are one array can be learned by several nets together: those of 20,000 rows of 50
# columns and 100,000 made rows are.
MAX_BYTES = 160 * 2**20

# How many rows of a data frame are read at once. The strings of all rows would take
# much memory.
_FRAME_ROWS = 2**16


class EncodedRows:
    """All encoded rows, like an array of them, encoded whenever they are indexed.

    The rows are held as the preprocessing reads them, which takes less memory. A
    contiguous array of floats without missing values is not copied.

    Parameters
    ----------
    preprocess : TabularPreprocessor
        Fitted.
    parts : sequence of array-like or data frame
        The rows. Each part comes below the part before it.

    Attributes
    ----------
    shape : tuple of (int, int)
        The number of rows and of encoded columns.
    ndim : int
        2.
    dtype : dtype
        float32.
    """

    ndim, dtype = 2, np.dtype(np.float32)

    def __init__(self, preprocess: TabularPreprocessor, parts: Sequence[Any]) -> None:
        self.preprocess = preprocess
        read = [_read(preprocess, part) for part in parts]
        self.numbers, self.places = zip(*read, strict=True)
        self.shape = (sum(map(len, self.numbers)), preprocess._n_outputs)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        """Return some rows, given a slice or integers from 0, or one row."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        elif np.ndim(rows) == 0:
            return self[[rows]][0]
        rows = np.asarray(rows)
        numbers, places = _taken(self.numbers, rows), _taken(self.places, rows)
        return self.preprocess._encode(numbers, places)


def is_preprocessor(step: Any) -> bool:
    """Tell whether :class:`EncodedRows` can encode rows by a step of a student."""
    return type(step) is TabularPreprocessor


def is_large(preprocess: TabularPreprocessor, n_rows: int) -> bool:
    """Tell whether so many encoded rows would take too much memory."""
    n_values: int = n_rows * preprocess._n_outputs
    return n_values * EncodedRows.dtype.itemsize > MAX_BYTES


def _read(
    preprocess: TabularPreprocessor, X: Any
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Check rows, and return their numbers and the places of their levels.

    A data frame is read batch by batch.
    """
    if not is_frame(X):
        return preprocess._read(X)
    X = native(X)
    n_rows = _num_samples(X)
    numbers = np.empty((n_rows, preprocess.n_numeric_))
    places = np.empty((n_rows, len(preprocess.levels_)), np.int32)
    for batch in gen_batches(n_rows, _FRAME_ROWS):
        numbers[batch], places[batch] = preprocess._read(_safe_indexing(X, batch))
    return numbers, places


def _taken(parts: Sequence[NDArray[Any]], rows: NDArray[np.intp]) -> NDArray[Any]:
    """Return some rows, counted from the first row of the first array."""
    if len(parts) == 1:
        return parts[0].take(rows, axis=0)
    found = np.empty((len(rows), *parts[0].shape[1:]), parts[0].dtype)
    start = 0
    for part in parts:
        here = np.flatnonzero((rows >= start) & (rows < start + len(part)))
        found[here] = part[rows[here] - start]
        start += len(part)
    return found
