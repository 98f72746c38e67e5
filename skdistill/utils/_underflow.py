"""Underflow is right here, whatever numpy is set to do at it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


def underflow_is_zero(function: Callable[P, R]) -> Callable[P, R]:
    """Let numbers become 0 in a function where they are too small.

    A probability that does so in a softmax, or a number in a cast to float32, is no
    error. With ``numpy.seterr(all="raise")``, which some packages call, numpy takes it
    for one. (As a decorator, the ``errstate`` of old versions of numpy does not nest.)
    """

    @functools.wraps(function)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(under="ignore"):
            return function(*args, **kwargs)

    return quiet
