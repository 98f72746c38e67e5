"""The kinds of target. Other modules know a target by this name only."""

from __future__ import annotations

from typing import Any, TypeAlias

from sklearn.base import BaseEstimator, is_regressor

from skdistill._targets._classes import Classes
from skdistill._targets._numbers import Numbers
from skdistill.utils._unwrap import listed

# Each kind has the methods of Classes, and mypy checks each call for all of them.
Target: TypeAlias = Classes | Numbers


def target_of(teacher: Any, **of_classes: Any) -> Target:
    """Return what a teacher, or the first one of a list, can be asked.

    ``of_classes`` are parameters of :class:`Classes`.
    """
    first = next(iter(listed(teacher)), None)
    if isinstance(first, BaseEstimator) and is_regressor(first):
        return Numbers()
    return Classes(**of_classes)
