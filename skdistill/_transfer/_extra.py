"""Rows beyond the training rows: made by an augmenter, or real ones without labels."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skdistill._teachers._asking import private_copy
from skdistill._transfer._store import store
from skdistill.augmentation import MUNGE, Mixture, Mixup
from skdistill.augmentation._table import Table, is_table
from skdistill.utils._bars import progress_bar
from skdistill.utils._fingerprint import fingerprint
from skdistill.utils._frames import column_names, is_frame, with_types_of
from skdistill.utils._params import is_auto
from skdistill.utils._several import is_several
from skdistill.utils._warnings import warn

# augmenter="auto" makes this many rows, or 5 for each training row if that is less: the
# rows of a large table are enough for a student. With 10 for each of 500 to 6,000 rows,
# students were no better in the mean of 14 data sets, and the teacher was asked twice
# as much.
_AUTO_ROWS, _AUTO_COPIES = 100_000, 5.0

Augmenter = Literal["munge", "mixup"]
AUGMENTERS: dict[str, Any] = {"munge": MUNGE, "mixup": Mixup}

_OF_TWO_ROWS = (MUNGE, Mixup, Mixture)


class TransferRows:
    """Rows for ``X_transfer`` that no search or cross-validation splits into folds.

    scikit-learn slices every array that has as many rows as X. This wrapper has no
    length, so scikit-learn does not slice it.

    Parameters
    ----------
    X : array-like or data frame of shape (n_rows, n_features)
        Rows without labels.

    See Also
    --------
    DistilledClassifier : Takes them as ``fit(X, y, X_transfer=...)``.

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
    """Return the object of a name; "auto" is MUNGE on dense tables, else None."""
    if isinstance(augmenter, type):
        raise TypeError(
            f"augmenter is the class {augmenter.__name__}; pass an instance of it: "
            f"{augmenter.__name__}()"
        )
    if not isinstance(augmenter, str):
        return augmenter
    if is_auto(augmenter) and (not is_table(X) or _num_samples(X) < 2):
        return None
    kind = AUGMENTERS.get(augmenter, MUNGE)
    return kind(n_copies=min(_AUTO_ROWS / _num_samples(X), _AUTO_COPIES))


def made_rows(augmenter: Any, X: Any, seed: int, verbose: int = 0) -> Any:
    """Return the rows that an augmenter makes of X, or earlier ones from the store."""
    n_copies = getattr(augmenter, "n_copies", _AUTO_COPIES)
    if not isinstance(n_copies, Real) or not 0 < float(n_copies) < np.inf:
        raise ValueError(
            f"n_copies of the augmenter {type(augmenter).__name__} must be a number "
            f"above 0, got {n_copies!r}"
        )
    n_rows = max(1, round(float(n_copies) * _num_samples(X)))
    most = max(n_rows, _AUTO_ROWS)

    def make() -> MadeRows:
        sources = X
        # Our own augmenters make a row of two others. With a million rows, they would
        # need several copies of the table, and minutes to find unused neighbors.
        if isinstance(augmenter, _OF_TWO_ROWS) and _num_samples(X) > most:
            draws = np.random.RandomState(seed)
            some = np.sort(draws.choice(_num_samples(X), most, False))
            sources = _safe_indexing(X, some)
        with progress_bar(f"making {n_rows} rows", verbose):
            made = augmenter.sample(private_copy(sources), n_rows, seed)
        name = f"the augmenter {type(augmenter).__name__}"
        _check_made(made, sources, n_rows, name)
        if isinstance(X, np.ndarray):
            return MadeRows(np.asarray(made))
        return MadeRows(with_types_of(X, made, f"what {name} made"))

    mark = fingerprint("made rows", augmenter, X, seed)
    return make().X if mark is None else store.get(mark.checksum, make).X


def unwrapped_transfer(X_transfer: Any, X: Any) -> Any:
    """Return real rows without labels; warn if a search may have split them."""
    if isinstance(X_transfer, TransferRows):
        X_transfer = X_transfer.X
    elif _num_samples(X_transfer) == _num_samples(X):
        # A fold, of which this may be the fit, can have as many rows by chance.
        warn(
            "SKD108",
            f"X_transfer has as many rows as X, {_num_samples(X)}: a search or "
            "cross-validation cuts such rows into folds as it does X. Pass "
            "X_transfer=TransferRows(X_transfer), which is handed on whole",
        )
    if _form(X_transfer) != _form(X):
        raise ValueError(
            f"X is {_form(X)} and X_transfer {_form(X_transfer)}: pass both in one form"
        )
    return X_transfer


def _form(X: Any) -> str:
    """Describe the container of rows, which must be the same for all of them."""
    if is_frame(X):
        return f"a data frame of {type(X).__module__.partition('.')[0]}"
    if is_several(X):
        return f"a dict of the inputs {sorted(X)}"
    if len(shape := getattr(X, "shape", ())) > 2:
        return f"an array of rows of the shape {tuple(shape[1:])}"
    return "a sparse matrix" if issparse(X) else "an array"


def _check_made(made: Any, X: Any, n_rows: int, name: str) -> None:
    """Raise a ValueError if made rows differ from those of X in form."""
    if _form(made) != _form(X):
        raise ValueError(f"{name} made {_form(made)} of {_form(X)}")
    if _num_samples(made) != n_rows:
        raise ValueError(
            f"{name} made {_num_samples(made)} rows, n_rows={n_rows} were asked for"
        )
    columns, expected = _columns(made), _columns(X)
    if columns != expected:
        raise ValueError(f"{name} made the columns {columns}, X has {expected}")
    if is_table(X):
        lacking = _lacking(made) & ~_lacking(X)
        if lacking.any():
            first = int(lacking.argmax())
            column = columns[first] if is_frame(X) else first
            raise ValueError(
                f"{name} made NaN or infinity in the column {column!r}, unlike X"
            )


def _columns(X: Any) -> list[Any]:
    """Return the names of columns; of arrays, the shape of a row."""
    if is_frame(X):
        return column_names(X)
    return list(np.shape(X)[1:])


def _lacking(X: Any) -> NDArray[np.bool_]:
    """Tell which columns of numbers have a value that is not finite."""
    return np.array([np.isnan(column.numbers).any() for column in Table(X).columns])
