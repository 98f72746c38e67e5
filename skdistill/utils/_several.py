"""Rows of several inputs: an array for each, by its name, as skorch has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from scipy.sparse import issparse


def is_several(X: Any) -> bool:
    """Tell whether rows have several inputs."""
    return isinstance(X, Mapping) and not issparse(X)  # a DOK matrix is a dict


def each(function: Callable[..., Any], *parts: Mapping[str, Any]) -> Any:
    """Return what a function makes of each input, as rows that can be sliced.

    Parameters
    ----------
    function : callable
        Gets the arrays, or tensors, of one input, one of each part.
    *parts : mapping of str to array
        Rows of the same inputs.
    """
    made = {name: function(*(part[name] for part in parts)) for name in parts[0]}
    return import_module("skorch.helper").SliceDict(**made)  # it imports torch


def n_values(X: Any) -> int:
    """Return the number of values in all inputs of dense rows."""
    inputs = X.values() if is_several(X) else [X]
    return sum(math.prod(getattr(one, "shape", ())) for one in inputs)
