"""Rows beyond the training rows: made by an augmenter, or real ones without labels."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skdistill._transfer._store import store
from skdistill.augmentation import MUNGE
from skdistill.utils._fingerprint import fingerprint
from skdistill.utils._frames import is_frame

# augmenter="auto" makes this many rows, or 10 for each training row if that is less,
# or one if that is more: a large table needs few, and the time stays in proportion.
_AUTO_ROWS = 100_000
_AUTO_COPIES = (1.0, 10.0)


class TransferRows:
    """Rows for ``X_transfer`` that no search or cross-validation cuts into folds.

    scikit-learn slices every array that has as many rows as X. This wrapper has no
    length, so it is handed on whole.

    Parameters
    ----------
    X : array-like or data frame of shape (n_rows, n_features)
        Rows without labels.

    Examples
    --------
    >>> import numpy as np
    >>> from skdistill import TransferRows
    >>> TransferRows(np.zeros((3, 2)))
    TransferRows(3 rows)
    """

    def __init__(self, X: Any) -> None:
        self.X = X

    def __repr__(self) -> str:
        return f"TransferRows({_num_samples(self.X)} rows)"


@dataclass(frozen=True)
class MadeRows:
    """Rows that an augmenter has made, as the store keeps them."""

    X: Any

    @property
    def nbytes(self) -> int:
        if hasattr(self.X, "memory_usage"):  # pandas
            return int(self.X.memory_usage(deep=True).sum())
        if hasattr(self.X, "estimated_size"):  # polars
            return int(self.X.estimated_size())
        return int(getattr(self.X, "nbytes", sys.getsizeof(self.X)))

    def to_keep(self) -> MadeRows:
        return self


def resolve_augmenter(augmenter: Any, X: Any) -> Any:
    """Return the object that "auto" stands for: MUNGE on dense tables, else None."""
    if not isinstance(augmenter, str):
        return augmenter
    is_table = is_frame(X) or (isinstance(X, np.ndarray) and X.ndim == 2)
    if not is_table or _num_samples(X) < 2:
        return None
    return MUNGE(n_copies=np.clip(_AUTO_ROWS / _num_samples(X), *_AUTO_COPIES))


def made_rows(augmenter: Any, X: Any, seed: int) -> Any:
    """Return the rows that an augmenter makes of X; made once by one seed."""
    n_rows = round(getattr(augmenter, "n_copies", 10.0) * _num_samples(X))

    def make() -> MadeRows:
        return MadeRows(augmenter.sample(X, n_rows, seed))

    mark = fingerprint("made rows", augmenter, X, seed)
    return make().X if mark is None else store.get(mark.checksum, make).X


def unwrapped_transfer(X_transfer: Any, X: Any) -> Any:
    """Return real rows without labels; raise where a search may have cut them."""
    if isinstance(X_transfer, TransferRows):
        X_transfer = X_transfer.X
    elif _num_samples(X_transfer) == _num_samples(X):
        raise ValueError(
            f"X_transfer has as many rows as X, {_num_samples(X)}: a search or "
            "cross-validation would cut it into folds as it does X. Pass "
            "X_transfer=TransferRows(X_transfer), which is handed on whole"
        )
    if is_frame(X_transfer) != is_frame(X):
        raise ValueError(
            f"X is a {type(X).__name__} and X_transfer a {type(X_transfer).__name__}: "
            "pass both in one form"
        )
    return X_transfer


def explain_failure(
    ask: Any, teacher: Any, augmenter: Any, X: Any, made: Any, error: Exception
) -> ValueError:
    """Return an error that names the augmenter, and the column that a teacher refuses.

    Parameters
    ----------
    ask : callable
        Asks a teacher for the labels of rows.
    teacher : estimator
        The teacher, which has raised ``error`` for the rows ``made`` of X.
    """
    n_rows = min(_num_samples(X), _num_samples(made), 256)
    rows, new = (_safe_indexing(part, np.arange(n_rows)) for part in (X, made))
    guilty = [
        name
        for name, mixed in _one_column_replaced(rows, new)
        if not _answers(ask, teacher, mixed)
    ]
    where = f"the column {guilty[0]!r}" if guilty else "a combination of columns"
    return ValueError(
        f"teacher {type(teacher).__name__} fails on rows that the augmenter "
        f"{type(augmenter).__name__} made, because of {where}: {error}. Set "
        "augmenter=None, or pass an augmenter that makes only rows that the teacher "
        "takes"
    )


def _one_column_replaced(rows: Any, new: Any) -> Any:
    for position in range(rows.shape[1]):
        if not is_frame(rows):
            mixed = np.array(rows)
            mixed[:, position] = new[:, position]
            yield position, mixed
            continue
        name = rows.columns[position]
        if hasattr(rows, "iloc"):
            mixed = rows.reset_index(drop=True)
            mixed[name] = new[name].reset_index(drop=True)
            yield name, mixed
        else:
            yield name, rows.with_columns(new.get_column(name))


def _answers(ask: Any, teacher: Any, rows: Any) -> bool:
    try:
        ask(teacher, rows)
    except Exception:
        return False
    return True
