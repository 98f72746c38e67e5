"""The kinds of target. Other modules know a target by this name only."""

from __future__ import annotations

from typing import Any, TypeAlias

from sklearn.base import BaseEstimator, is_regressor

from skdistill._targets._classes import Classes
from skdistill._targets._labels import Labels, are_labels, names_labels
from skdistill._targets._numbers import Numbers
from skdistill.utils._unwrap import listed
from skdistill.utils._validation import is_fitted

# Each kind has the methods of Classes, and mypy checks each call for all of them.
Target: TypeAlias = Classes | Labels | Numbers


def target_of(teacher: Any, y: Any = None, **of_classes: Any) -> Target:
    """Return what a teacher, or the first one of a list, can be asked.

    ``y`` tells what a classifier learns, if there is any; ``of_classes`` are parameters
    of :class:`Classes`.
    """
    first = next(iter(listed(teacher)), None)
    if isinstance(first, BaseEstimator) and is_regressor(first):
        return Numbers()
    return of_classifier(has_labels(teacher, y), **of_classes)


def has_labels(teacher: Any, y: Any) -> bool:
    """Tell whether a classifier learns several labels for each row.

    Without ``y``, the first teacher tells.
    """
    if y is not None:
        return are_labels(y)
    first = next(iter(listed(teacher)), None)
    return is_fitted(first) and names_labels(first)


def of_classifier(
    several: bool,
    columns: Any = None,
    class_weight: Any = None,
    proba_clip: float | str | None = "auto",
    names: Any = None,
) -> Classes | Labels:
    """Return what a classifier learns: ``several`` labels for each row, or a class."""
    if not several:
        if isinstance(class_weight, list):
            raise ValueError(
                "class_weight is a list, as for several labels a row, and there is a "
                "class for each row: pass a dict of weights by class"
            )
        return Classes(columns, class_weight, proba_clip, names)
    if columns is not None:
        raise ValueError(
            "classes is about a class for each row, and there are several labels: "
            "set it to None"
        )
    return Labels(class_weight, proba_clip, names)
