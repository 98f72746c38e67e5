"""Choose temperature and alpha by the log loss of rows that are held out."""

from __future__ import annotations

from numbers import Integral
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.utils import _safe_indexing, check_random_state

from skdistill._training._train import train
from skdistill._transfer._extra import TransferRows
from skdistill.utils._fingerprint import unchanged
from skdistill.utils._text import aligned, html_table
from skdistill.utils._validation import (
    all_fitted,
    fitted_teachers,
    require_target,
)
from skdistill.utils._warnings import warn

# Pairs of temperature and alpha, from labels alone to the teacher alone. The
# temperature does little beside made rows, so not all combinations are tried.
CANDIDATES = ((1.0, 0.0), (1.0, 0.4), (1.0, 0.7), (1.0, 1.0), (2.0, 0.7), (4.0, 0.7))

_HELD_OUT = 0.2


class AutoResults(dict[str, Any]):
    """The candidates and their scores: a dict that a notebook shows as a table."""

    def __str__(self) -> str:
        return aligned(self._table())

    def _repr_html_(self) -> str:
        return html_table(self._table())

    def _table(self) -> list[list[str]]:
        cells = [
            [str(rank), *map(str, params.values()), f"{-score:.4g}"]
            for rank, params, score in zip(
                self["rank_test_score"],
                self["params"],
                self["mean_test_score"],
                strict=True,
            )
        ]
        return [["rank", *self["params"][0], "log loss"], *cells]


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
) -> AutoResults | None:
    """Fit an estimator with each candidate for what it leaves open, and score it.

    Parameters
    ----------
    estimator : DistilledClassifier
        Not changed.
    X, y, sample_weight, teacher_proba, X_transfer : array-like
        As they were passed to its ``fit``.

    Returns
    -------
    results : AutoResults or None
        The candidates and their scores, under the names of ``cv_results_``. None if
        nothing is open.
    """
    names = [n for n in ("temperature", "alpha") if is_auto(getattr(estimator, n))]
    if not names:
        return None
    y = np.asarray(require_target(y, f"{names[0]}='auto'"))
    trial = clone(estimator)
    if not isinstance(trial.random_state, Integral):  # all candidates alike
        draws = check_random_state(estimator.random_state)
        trial.set_params(random_state=int(draws.randint(2**31 - 1)))
    if X_transfer is not None and not isinstance(X_transfer, TransferRows):
        X_transfer = TransferRows(X_transfer)
    by_row = (X, y, sample_weight, teacher_proba)
    if isinstance(estimator.calibrate_teacher, list | tuple):
        held_out = (*estimator.calibrate_teacher, None, None)
    else:
        _warn_if_flattered(estimator)
        target = estimator._target()
        rest, held = target.hold_out(y, _HELD_OUT, trial.random_state, names[0])
        held_out = tuple(_rows_of(part, held) for part in by_row)
        by_row = tuple(_rows_of(part, rest) for part in by_row)

    candidates, start = _candidates(names), perf_counter()
    trials = [clone(trial).set_params(**candidate) for candidate in candidates]
    with unchanged(fitted_teachers(estimator)):
        prepared = [one._prepare(*by_row, X_transfer) for one in trials]
    train([lesson for lesson, _ in prepared])
    for one, (lesson, state) in zip(trials, prepared, strict=True):
        one._finish(lesson, state)
    scores = [_score(one, *held_out[:3]) for one in trials]
    seconds = [(perf_counter() - start) / len(candidates)] * len(candidates)
    results = {
        "params": candidates,
        **{f"param_{n}": np.array([c[n] for c in candidates]) for n in names},
        "mean_fit_time": np.array(seconds),
        "split0_test_score": np.array(scores),
        "mean_test_score": np.array(scores),
        "rank_test_score": rankdata(-np.array(scores), method="min").astype(np.int32),
    }
    return AutoResults(results)


def _candidates(names: list[str]) -> list[dict[str, float]]:
    """Return the candidates that differ in what is open."""
    candidates: list[dict[str, float]] = []
    for temperature, alpha in CANDIDATES:
        values = {"temperature": temperature, "alpha": alpha}
        candidate = {name: values[name] for name in names}
        if candidate not in candidates:
            candidates.append(candidate)
    return candidates


def _score(estimator: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """Return the score of held-out rows."""
    target = estimator._target(learned=True)
    return target.score(y, estimator.predict_proba(X), sample_weight)


def _rows_of(part: Any, rows: NDArray[Any]) -> Any:
    return None if part is None else _safe_indexing(part, rows)


def _warn_if_flattered(estimator: Any) -> None:
    """Warn where the teacher may know the labels of the rows that are held out."""
    if estimator.teacher is not None and all_fitted(estimator.teacher):
        warn(
            "the teacher may have been fitted on the rows that temperature='auto' and "
            "alpha='auto' hold out, which flatters what learns more from it. Pass rows "
            "that it has not seen, calibrate_teacher=(X_cal, y_cal), to choose on "
            "them, or pass the teacher unfitted"
        )
