"""The columns that a student reads, where its teacher reads more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing

from skdistill.utils._frames import column_names, is_frame

# The attributes of an estimator that tell which rows it takes.
_FEATURES = ("n_features_in_", "feature_names_in_")


@dataclass(frozen=True)
class StudentColumns:
    """Takes the columns of a student from rows. The defaults stand for all columns.

    Attributes
    ----------
    positions : list of int or None
        Where they are among all columns.
    seen, read : dict
        What ``n_features_in_`` and ``feature_names_in_`` are of an estimator that takes
        rows of all columns, and of one that takes those of the student.
    """

    positions: list[int] | None = None
    seen: Mapping[str, Any] = field(default_factory=dict)
    read: Mapping[str, Any] = field(default_factory=dict)

    @property
    def are_fewer(self) -> bool:
        """Whether there are columns that the student does not read."""
        return self.positions is not None

    def of(self, X: Any) -> Any:
        """Return rows of the student's columns, given these, or rows of all columns.

        A data frame may have any others besides. Rows that are neither are left for a
        check to refuse.
        """
        if self.positions is None or X is None:
            return X
        names = self.read.get("feature_names_in_")
        if names is not None and is_frame(X):
            has_all = set(names) <= set(column_names(X))
            return _safe_indexing(X, names.tolist(), axis=1) if has_all else X
        X = np.asarray(X) if isinstance(X, list | tuple) else X
        if np.shape(X)[1:] != (self.seen["n_features_in_"],):
            return X
        X = X.tocsr() if issparse(X) else X
        return _safe_indexing(X, self.positions, axis=1)


def columns_of(estimator: Any, X: Any) -> StudentColumns:
    """Return which columns the student of an estimator reads.

    ``X`` has all columns, and is checked. Raise a TypeError if ``student_columns`` are
    not given by names, by positions, or by a mask; and a ValueError if ``X`` does not
    have them, or there are none, or one is repeated.
    """
    given = estimator.student_columns
    if given is None:
        return StudentColumns()
    if len(np.shape(X)) != 2:
        raise ValueError(
            "student_columns chooses columns of a table, and X is none: leave it None"
        )
    positions = _positions(list(given), X)
    if not positions:
        raise ValueError(
            "student_columns is empty: name the columns that the student reads, or "
            "leave it None for all"
        )
    if len(set(positions)) < len(positions):
        raise ValueError(f"student_columns has a column twice: {list(given)}")
    n_features = X.shape[1]
    if positions == list(range(n_features)):
        return StudentColumns()
    if len(positions) == n_features:
        raise ValueError(
            "student_columns has all columns, in another order: leave it None"
        )
    seen = {k: getattr(estimator, k) for k in _FEATURES if hasattr(estimator, k)}
    read = {k: v[positions] for k, v in seen.items() if k == "feature_names_in_"}
    return StudentColumns(positions, seen, read | {"n_features_in_": len(positions)})


def _positions(columns: list[Any], X: Any) -> list[int]:
    """Return the positions of columns that are given by names, or a mask, or so."""
    if all(isinstance(column, str) for column in columns):
        return _named(columns, X)
    n_features = X.shape[1]
    if all(isinstance(column, bool | np.bool_) for column in columns):
        if len(columns) != n_features:
            raise ValueError(
                f"student_columns is a mask of {len(columns)} columns, and X has "
                f"{n_features}"
            )
        return np.flatnonzero(columns).tolist()
    if not all(isinstance(column, Integral) for column in columns):
        raise TypeError(
            "student_columns must be a list of names of columns, of their positions, "
            f"or of a bool for each column, got {columns!r:.200}"
        )
    unknown = [c for c in columns if not -n_features <= c < n_features]
    if unknown:
        raise ValueError(
            f"student_columns has the positions {unknown}, and X has {n_features} "
            "columns, counted from 0"
        )
    return [int(column) % n_features for column in columns]


def _named(names: list[str], X: Any) -> list[int]:
    if not is_frame(X) and names:
        raise ValueError(
            "student_columns has names, and X is an array, which has none: pass "
            "positions, or a data frame"
        )
    known = column_names(X) if names else []
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"student_columns has {unknown}, and X has the columns {known!r:.500}"
        )
    return [known.index(name) for name in names]
