"""Columns of soft labels: checks of their values, and the classes they stand for."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from scipy.special import log_softmax
from sklearn.utils.multiclass import unique_labels

from skdistill.utils._arrays import Array, Floats
from skdistill.utils._frames import column_names, is_frame

# Rows of probabilities may miss 1 by the rounding of half precision.
_SUM_TOLERANCE = 1e-2

# proba_clip="auto" leaves a one-hot row this much of its mass at temperature 2.
_KEPT_MASS = 0.95


def dense(values: Any) -> Any:
    """Return soft labels as an array, also those of a sparse matrix or of torch."""
    if hasattr(values, "detach"):  # numpy takes no tensor with a gradient, or of a GPU
        values = values.detach().cpu()
    return values.toarray() if issparse(values) else np.asarray(values)


def pairs(proba: Array) -> Array:
    """Return the probabilities of absence and presence, a row for each label."""
    return np.stack([1 - proba, proba], axis=-1).reshape(-1, 2)


def one_output(answer: Any, n_rows: int, name: str) -> Array:
    """Return a teacher's answer as an array, a row for each sample.

    Raise a ValueError if the answer has another shape, as that to several labels a row.
    """
    several = isinstance(answer, list) and np.ndim(answer[0]) == 2
    values = dense(answer[0] if several else answer)
    if several or values.ndim != 2 or len(values) != n_rows:
        raise ValueError(
            f"{name} gave soft labels of shape {values.shape} for {n_rows} rows"
            f"{', for several outputs' * several}: a teacher of one label per row "
            "gives (n_samples, n_classes)"
        )
    return values


def check_log_proba(log_proba: ArrayLike, name: str) -> Floats:
    """Return rows of log-probabilities as float32; -inf is a probability of zero."""
    values = np.asarray(log_proba, dtype=np.float32)
    if np.isnan(values).any() or np.isposinf(values).any():
        raise ValueError(f"{name} contains NaN or infinity")
    return values


def check_proba(proba: ArrayLike, name: str) -> Floats:
    """Return rows of probabilities as float32, or say what is wrong with them."""
    if np.iscomplexobj(proba):
        raise ValueError(f"{name} contains complex numbers")
    proba = np.asarray(proba, dtype=np.float64)
    if not np.isfinite(proba).all():
        raise ValueError(f"{name} contains NaN or infinity")
    if (proba < 0).any():
        raise ValueError(
            f"{name} contains negative values: not probabilities. Logits need a "
            "softmax first"
        )
    excess = proba.sum(axis=1) - 1
    worst = np.abs(excess).max()
    if worst > _SUM_TOLERANCE:
        way_out = "Logits need a softmax first"
        if excess.max() <= _SUM_TOLERANCE:
            way_out = (
                "If there are the best classes of each row alone, the other classes "
                "share the rest: add (1 - proba.sum(axis=1, keepdims=True)) / n_others "
                "where proba is 0"
            )
        raise ValueError(
            f"the rows of {name} must sum to 1; one is off by {worst:.3g}. {way_out}"
        )
    return proba.astype(np.float32)


def resolve_clip(proba_clip: float | str, n_classes: int) -> float:
    """Return the smallest probability that a teacher is taken to mean.

    The clip acts as a temperature of its own: at temperature T a one-hot row keeps
    1 / (1 + (K - 1) clip^(1/T)) of its mass. So "auto" falls with the square of the
    number of classes K: at T = 2 the row keeps 0.95, whatever K.
    """
    if proba_clip != "auto":
        return float(proba_clip)
    lost = (1 - _KEPT_MASS) / _KEPT_MASS
    return (lost / max(n_classes - 1, 1)) ** 2


def check_classes(classes: Any) -> Array:
    """Return the labels of columns as an array; each is there once."""
    labels = np.array(None)
    if not isinstance(classes, str):
        with suppress(ValueError):  # numpy's, for lists of different lengths
            labels = np.asarray(classes)
    values = labels.tolist()
    if labels.ndim != 1:
        problem = "is no list of labels"
    elif labels.dtype.kind == "U" and not all(isinstance(v, str) for v in classes):
        problem = "mixes strings and numbers"
    elif any(map(_is_missing, values)):
        problem = "has a missing label"
    elif len(set(values)) < len(values):
        problem = "has a label twice"
    else:
        return labels
    raise ValueError(
        f"classes={classes!r:.200} {problem}: pass a sequence of labels that are all "
        "different, such as one for each column of soft labels, in their order"
    )


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)  # NaN
    except TypeError:  # pandas.NA
        return True


def align(values: Floats, columns: Array, classes: Array, fill: float = 0.0) -> Floats:
    """Bring columns into the order of ``classes``; ``fill`` those that are lacking."""
    if np.array_equal(columns, classes):
        return values
    position = {label: column for column, label in enumerate(columns.tolist())}
    aligned = np.full((len(values), len(classes)), fill, dtype=np.float32)
    for number, label in enumerate(classes.tolist()):
        if label in position:
            aligned[:, number] = values[:, position[label]]
    return aligned


def some_of(values: Floats, columns: Array, classes: Array, are_logits: bool) -> Floats:
    """Return the columns of some classes, whose probabilities sum to 1 in each row."""
    some = align(values, columns, classes)
    if are_logits:
        return np.asarray(log_softmax(some, axis=1))
    total = some.sum(axis=1, keepdims=True)
    # A row of which a teacher says that it is of none of them tells nothing.
    alike = np.full_like(some, 1 / len(classes))
    return np.divide(some, total, out=alike, where=total != 0)


def order_by_name(names: list[Any], classes: Array, source: str) -> list[int]:
    """Return the position of the column of each class in the data frame of a source."""
    positions = list(range(len(names)))
    # pandas and polars give these names to columns without names.
    if names in (positions, [f"column_{i}" for i in positions]):
        return positions
    found, wanted = (list(map(str, labels)) for labels in (names, classes.tolist()))
    if sorted(found) != sorted(wanted):
        raise ValueError(
            f"the columns of {source} are named {found}, the classes are {wanted}: "
            "name each column by its class, or give an array in this order"
        )
    return [found.index(name) for name in wanted]


def in_order_of(y: Any, values: Any) -> Any:
    """Return soft labels with their columns in the order of those of ``y``.

    They stay as they are unless both are data frames with the same names.
    """
    if not (is_frame(y) and is_frame(values)):
        return values
    names, wanted = column_names(values), column_names(y)
    if len(names) != len(wanted) or set(names) != set(wanted):
        return values
    order = order_by_name(names, np.array(wanted, object), "the soft labels")
    return dense(values)[:, order]


def reconcile(columns: Array, y: Array | None) -> tuple[Array, Array]:
    """Name a teacher's columns as ``y`` does, and return all classes of both, sorted.

    Meta-estimators such as VotingClassifier replace the labels by codes 0..K-1. If
    ``y`` can only be such codes, the columns are named by position. Raise a ValueError
    if no class is shared, or ``y`` may be codes as well as labels.
    """
    if y is None:
        return columns, np.unique(columns)
    labels = np.unique(y)
    known, found = set(columns.tolist()), set(labels.tolist())
    if found <= known:
        return columns, np.unique(columns)
    are_codes = labels.dtype.kind in "iu" and found <= set(range(len(columns)))
    if are_codes and not found & known:
        # As in LabelEncoder, a code is a position among the sorted classes.
        return np.searchsorted(np.unique(columns), columns), np.arange(len(columns))
    if are_codes:
        raise ValueError(
            f"y has the labels {_few(found)} and the teacher the classes "
            f"{_few(known)}: y may be codes 0..{len(columns) - 1} of these, by "
            "position, or labels of its own. Say which by classes="
        )
    if not found & known:
        raise ValueError(
            f"y has the labels {_few(found)}, the teacher knows the classes "
            f"{_few(known)}: they share no class. Encode y as the teacher's y was, or "
            "say with classes= what the teacher's columns stand for in y"
        )
    return columns, unique_labels(columns, labels)


def _few(labels: set[Any]) -> str:
    shown = sorted(labels, key=str)[:6]
    return f"{shown}{' and more' if len(labels) > 6 else ''}"
