"""Choose temperature and alpha by the log loss of rows that are held out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    ShuffleSplit,
    StratifiedShuffleSplit,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples

from skdistill._transfer._extra import TransferRows
from skdistill.utils._frames import stacked
from skdistill.utils._validation import all_fitted, require_target
from skdistill.utils._warnings import warn

# Pairs of temperature and alpha, from labels alone to the teacher alone. The
# temperature does little beside made rows, so not all combinations are tried.
CANDIDATES = ((1.0, 0.0), (1.0, 0.4), (1.0, 0.7), (1.0, 1.0), (2.0, 0.7), (4.0, 0.7))

_HELD_OUT = 0.2


def is_auto(value: Any) -> bool:
    """Tell whether a value is to be chosen."""
    return isinstance(value, str) and value == "auto"


def choose(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    teacher_proba: Any,
    X_transfer: Any,
) -> GridSearchCV | None:
    """Return a search over what an estimator leaves open; None if that is nothing.

    Parameters
    ----------
    estimator : DistilledClassifier
        Not changed.
    X, y, sample_weight, teacher_proba, X_transfer : array-like
        As they were passed to its ``fit``.
    """
    names = [n for n in ("temperature", "alpha") if is_auto(getattr(estimator, n))]
    if not names:
        return None
    y = np.asarray(require_target(y, f"{names[0]}='auto'"))
    trial = clone(estimator)
    draws = check_random_state(estimator.random_state)
    trial.set_params(random_state=int(draws.randint(2**31 - 1)))
    fit_params = {"sample_weight": sample_weight, "teacher_proba": teacher_proba}
    if X_transfer is not None and not isinstance(X_transfer, TransferRows):
        X_transfer = TransferRows(X_transfer)
    fit_params["X_transfer"] = X_transfer
    if isinstance(estimator.calibrate_teacher, list | tuple):
        n_rows = _num_samples(X)
        X_seen, y_seen = estimator.calibrate_teacher
        X, y = stacked([X, X_seen]), np.concatenate([y, np.asarray(y_seen)])
        split = np.arange(n_rows), np.arange(n_rows, len(y))
    else:
        _warn_if_flattered(estimator)
        split = _split(y, trial.random_state)
    search = GridSearchCV(trial, _grid(names), scoring=_score, cv=[split], refit=False)
    return search.fit(X, y, **{k: v for k, v in fit_params.items() if v is not None})


def _grid(names: list[str]) -> list[dict[str, list[float]]]:
    """Return the candidates that differ in what is open."""
    grid: list[dict[str, list[float]]] = []
    for temperature, alpha in CANDIDATES:
        values = {"temperature": [temperature], "alpha": [alpha]}
        candidate = {name: values[name] for name in names}
        if candidate not in grid:
            grid.append(candidate)
    return grid


def _score(estimator: Any, X: Any, y: Any) -> float:
    """Return the negative log loss, also where the rows lack a class."""
    known = np.isin(y, estimator.classes_)
    proba = estimator.predict_proba(X)[known]
    return -float(log_loss(np.asarray(y)[known], proba, labels=estimator.classes_))


def _split(y: NDArray[Any], seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return training rows and held-out rows, stratified where that can be."""
    counts = np.unique(y, return_counts=True)[1]
    stratified = counts.min() >= 2 and _HELD_OUT * len(y) >= len(counts)
    splitter = StratifiedShuffleSplit if stratified else ShuffleSplit
    return next(splitter(1, test_size=_HELD_OUT, random_state=seed).split(y, y))


def _warn_if_flattered(estimator: Any) -> None:
    """Warn where the teacher may know the labels of the rows that are held out."""
    if estimator.teacher is not None and all_fitted(estimator.teacher):
        warn(
            "the teacher may have been fitted on the rows that temperature='auto' and "
            "alpha='auto' hold out, which flatters what learns more from it. Pass rows "
            "that it has not seen, calibrate_teacher=(X_cal, y_cal), to choose on "
            "them, or pass the teacher unfitted"
        )
