"""Checks of probabilities, and their smallest value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Rows of probabilities may miss 1 by the rounding of half precision.
_SUM_TOLERANCE = 1e-2

# proba_clip="auto" leaves a one-hot row this much of its mass at temperature 2.
_KEPT_MASS = 0.95


def one_output(answer: Any, n_rows: int, name: str) -> NDArray[Any]:
    """Return a teacher's answer as an array, a row for each sample.

    Raise a ValueError if the answer has another shape, as that to several labels a row.
    """
    several = isinstance(answer, list) and np.ndim(answer[0]) == 2
    values = np.asarray(answer[0] if several else answer)
    if several or values.ndim != 2 or len(values) != n_rows:
        raise ValueError(
            f"{name} gave soft labels of shape {values.shape} for {n_rows} rows"
            f"{', for several outputs' * several}: a teacher of one label per row "
            "gives (n_samples, n_classes)"
        )
    return values


def check_log_proba(log_proba: ArrayLike, name: str) -> NDArray[np.float32]:
    """Return rows of log-probabilities as float32; -inf is a probability of zero."""
    values = np.asarray(log_proba, dtype=np.float32)
    if np.isnan(values).any() or np.isposinf(values).any():
        raise ValueError(f"{name} contains NaN or infinity")
    return values


def check_proba(proba: ArrayLike, name: str) -> NDArray[np.float32]:
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
    worst = np.abs(proba.sum(axis=1) - 1).max()
    if worst > _SUM_TOLERANCE:
        raise ValueError(
            f"the rows of {name} must sum to 1; one is off by {worst:.3g}. Logits "
            "need a softmax first"
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
