"""The names of classes, and the columns that stand for them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import unique_labels


def check_classes(classes: Any) -> NDArray[Any]:
    """Return the labels of columns as an array; each is there once."""
    labels = np.array(None)
    if not isinstance(classes, str):
        with suppress(ValueError):  # numpy's, for lists of different lengths
            labels = np.asarray(classes)
    problem = "is no list of labels"
    if labels.ndim == 1:
        values = labels.tolist()
        mixed = labels.dtype.kind == "U" and not all(
            isinstance(label, str) for label in classes
        )
        if mixed:
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


def align(
    values: NDArray[np.float32],
    columns: NDArray[Any],
    classes: NDArray[Any],
    fill: float = 0.0,
) -> NDArray[np.float32]:
    """Bring columns into the order of ``classes``; ``fill`` those that are lacking."""
    if np.array_equal(columns, classes):
        return values
    position = {label: column for column, label in enumerate(columns.tolist())}
    aligned = np.full((len(values), len(classes)), fill, dtype=np.float32)
    for number, label in enumerate(classes.tolist()):
        if label in position:
            aligned[:, number] = values[:, position[label]]
    return aligned


def order_by_name(names: list[Any], classes: NDArray[Any]) -> list[int]:
    """Return the position of the column of each class in a data frame."""
    positions = list(range(len(names)))
    # pandas and polars give these names to columns without names.
    if names in (positions, [f"column_{i}" for i in positions]):
        return positions
    found, wanted = (list(map(str, labels)) for labels in (names, classes.tolist()))
    if sorted(found) != sorted(wanted):
        raise ValueError(
            f"the columns of teacher_proba are named {found}, and the classes are "
            f"{wanted}: name each column by its class, or pass an array, "
            "teacher_proba.to_numpy(), with a column for each class in this order"
        )
    return [found.index(name) for name in wanted]


def reconcile(
    columns: NDArray[Any], y: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Name a teacher's columns as ``y`` does, and return all classes of both, sorted.

    Meta-estimators such as VotingClassifier replace the labels by codes 0..K-1. If
    ``y`` can only be such codes, the columns are named by position.

    Returns
    -------
    columns : ndarray of shape (n_columns,)
        The classes of the columns.
    classes : ndarray of shape (n_classes,)
        The classes of the columns and the labels of ``y``, sorted and distinct.

    Raises
    ------
    ValueError
        No class is shared, or ``y`` may be codes as well as labels.
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
            f"{_few(known)}: y may be codes 0..{len(columns) - 1} that stand for the "
            "teacher's classes by position, as VotingClassifier makes them, or labels "
            "of its own. Say with classes= what the teacher's columns stand for in y"
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
