"""From the rows of a table to the input of a student's net."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_array, gen_batches
from sklearn.utils.validation import _num_samples
from skorch.dataset import Dataset
from torch.utils.data import DataLoader

from skdistill._students._student import net_of
from skdistill._students._tabular import TabularPreprocessor
from skdistill.utils._arrays import Array, Floats, Ints
from skdistill.utils._frames import is_frame, native, stacked
from skdistill.utils._several import each, is_several
from skdistill.utils._unwrap import active
from skdistill.utils._validation import noting, plain_rows

_NOTE = (
    "(Raised by the student, which gets X just as it was given to fit. Put what it "
    "needs done to X into one pipeline with it; make_student() takes all tables)"
)

# The largest array of encoded rows, in bytes. The piecewise encoding makes six columns
# of one, so that all rows of a large table would take several times its memory. Rows
# that are one array can be learned by several nets together: those of 20,000 rows of 50
# columns and 100,000 made rows are.
MAX_BYTES = 160 * 2**20

# How many rows of a data frame are read at once. The strings of all rows would take
# much memory.
_FRAME_ROWS = 2**16


def net_input(X: Any, *, ensure_2d: bool = True) -> Any:
    """Return rows as a net takes them: float32 or int64, dense or CSR, finite.

    Of several inputs, each is so.
    """
    rows = plain_rows(X)
    if rows is not None:
        return rows
    if is_several(X):
        return each(partial(net_input, ensure_2d=False), X)
    dtypes = [np.float32, *np.typecodes["AllInteger"]]
    with np.errstate(over="ignore"):  # what overflows is reported as infinite
        rows = check_array(
            X,
            dtype=dtypes,
            order="C",
            accept_sparse="csr",
            allow_nd=True,
            ensure_2d=ensure_2d,
        )
    return rows if rows.dtype == np.float32 else rows.astype(np.int64)


def net_rows(student: Any, parts: Sequence[Any]) -> Any:
    """Return rows as the net of a fitted student takes them, as one array.

    Parameters
    ----------
    student : skorch.NeuralNetClassifier or Pipeline
        Its preprocessing is fitted.
    parts : sequence of array-like, sparse matrix or data frame
        The rows, of which each part comes below the one before.

    Returns
    -------
    rows : ndarray, CSR matrix or EncodedRows
        Finite, float32 or int64.
    """
    if _encodes_rows_alone(student) and _are_large(student[0], sum(map(len, parts))):
        return EncodedRows(student[0], parts)
    # Step by step: Pipeline.transform costs as much as the net for a single row.
    steps = active(student.steps[:-1]) if isinstance(student, Pipeline) else []
    rows = []
    for part in parts:
        for _, step in steps:
            part = step.transform(part)
        rows.append(net_input(part))
    return stacked(rows)


def plain_input(student: Any, X: Any) -> Any:
    """Return rows as the net of a default student takes them, or else None.

    So it does with a plain array, or a data frame with the columns of ``fit``. Others
    need scikit-learn's validation, which takes longer for a row than the net.
    """
    if not isinstance(student, Pipeline) or len(student.steps) != 2:
        return None
    first = student.steps[0][1]
    shape = getattr(X, "shape", ())
    is_ours = type(first) is TabularPreprocessor
    if not is_ours or not shape or _are_large(first, shape[0]):
        return None
    read = first._read_plain(X)
    return None if read is None else first._encode(*read)


def chooses_columns(student: Any, X: Any) -> bool:
    """Tell whether a fitted student finds the columns that it reads in a data frame.

    A ColumnTransformer does, by their names, and needs no others that it saw in fit.
    """
    if not isinstance(student, Pipeline) or not is_frame(X) or not _num_samples(X):
        return False
    first = student.steps[0][1]
    is_named = hasattr(first, "feature_names_in_")
    return isinstance(first, ColumnTransformer) and is_named


def learned_rows(
    student: Any, X: Any, y: Array, extra: Any, *, targets: Any = None, is_fitted: bool
) -> Any:
    """Fit the preprocessing of a student, and return rows as its net takes them.

    Parameters
    ----------
    student : skorch.NeuralNetClassifier or Pipeline
        Changed in place.
    X : array-like, sparse matrix or data frame
        The training rows, on which the preprocessing is fitted.
    y : ndarray of shape (n_samples,)
        The codes of their classes.
    extra : array-like, data frame or None
        Further rows, which come below.
    targets : ndarray of shape (n_samples, n_outputs), default=None
        What the net is to learn of the rows, which our own preprocessing gets.
    is_fitted : bool
        Whether the preprocessing is fitted already.
    """
    parts = [X] if extra is None else [X, extra]
    with noting(_NOTE):
        if is_fitted or not isinstance(student, Pipeline) or len(student.steps) == 1:
            return net_rows(student, parts)
        head = student[:-1]
        if _encodes_rows_alone(student):
            head.fit(X, targets)
            return net_rows(student, parts)
        # What fit_transform returns counts: for scikit-learn's TargetEncoder, it is
        # something else than what transform returns.
        own = net_input(head.fit_transform(X, y))
        student.steps[:-1] = head.steps
        return stacked([own, *(net_rows(student, [part]) for part in parts[1:])])


def _encodes_rows_alone(student: Any) -> bool:
    """Tell whether a student's preprocessing is one that :class:`EncodedRows` takes.

    All transformers work row by row once they are fitted. But some take longer than a
    step of the net; ours does not. A net's own dataset or loader may do with the rows
    what an array alone can.
    """
    if not isinstance(student, Pipeline) or len(student.steps) != 2:
        return False
    net = net_of(student)
    stock = net.dataset is Dataset and net.iterator_valid is DataLoader
    return stock and type(student[0]) is TabularPreprocessor


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

    def __getitem__(self, rows: Any) -> Floats:
        """Return some rows, given a slice or integers from 0, or one row."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        elif np.ndim(rows) == 0:
            return self[[rows]][0]
        rows = np.asarray(rows)
        numbers, places = _taken(self.numbers, rows), _taken(self.places, rows)
        return self.preprocess._encode(numbers, places)


def _are_large(preprocess: TabularPreprocessor, n_rows: int) -> bool:
    """Tell whether so many encoded rows would take too much memory."""
    return n_rows * preprocess._n_outputs * EncodedRows.dtype.itemsize > MAX_BYTES


def _read(preprocess: TabularPreprocessor, X: Any) -> tuple[Array, Ints]:
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


def _taken(parts: Sequence[Array], rows: Ints) -> Array:
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
