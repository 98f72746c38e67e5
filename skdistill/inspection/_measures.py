"""Measure the models of one split: how good they are, and what they cost."""

from __future__ import annotations

import pickle
import timeit
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    log_loss,
    mean_pinball_loss,
    mean_squared_error,
    r2_score,
    root_mean_squared_error,
)
from sklearn.utils import _safe_indexing

from skdistill.inspection._models import Rows, names_of_columns
from skdistill.metrics import agreement, kl_to_teacher
from skdistill.metrics._scorer import said_by_all
from skdistill.utils._arrays import Array, Floats
from skdistill.utils._costs import batch_of, dumped_bytes, method_of
from skdistill.utils._quantile_score import quantile_score

# The number of calls for a median time.
_ROW_CALLS, _BATCH_CALLS = 20, 5


def scores(
    clf: Any, models: dict[str, list[Any]], test: Rows, known: Array
) -> dict[str, dict[str, float]]:
    """Return the scores of the models that :func:`fit_models` has returned.

    ``clf`` defines how the teachers are averaged, ``test`` are the rows, and ``known``
    the labels of all rows, training rows included.
    """
    X, y, weight = test
    asked: dict[str, Any] = {"teacher_weights": clf.teacher_weights, "remember": False}
    task = clf._target().task
    if task == "classification":
        asked |= {"known": [known], "classes": names_of_columns(clf)}
    students = [*models["labels alone"], *models["student"]]
    said, labels = said_by_all(models["teacher"], students, X, task=task, **asked)
    measure: Callable[..., dict[str, float]] = _of_labels
    if task == "classification":
        # log_loss expects rows that sum to 1 in double precision.
        said = [proba / proba.sum(axis=1, keepdims=True) for proba in said]
        measure = partial(_of_classes, labels=labels)
    elif task == "regression":
        measure = partial(_of_numbers, levels=getattr(clf, "quantiles", None))
    names = ("teacher", "labels alone", "student")
    return {
        name: measure(y, one, said[0], sample_weight=weight)
        for name, one in zip(names, said, strict=True)
    }


def _of_classes(
    y: Array, proba: Any, teacher: Any, *, labels: Any, **weighted: Any
) -> dict[str, float]:
    truth = y[:, np.newaxis] == labels
    return {
        "accuracy": accuracy_score(y, labels[proba.argmax(axis=1)], **weighted),
        "log_loss": log_loss(y, proba, labels=labels, **weighted),
        "brier": len(labels) * mean_squared_error(truth, proba, **weighted),
        "agreement": agreement(teacher, proba, **weighted),
    }


def _of_labels(y: Array, proba: Any, teacher: Any, **weighted: Any) -> dict[str, float]:
    occurs, precision = y.any(axis=0), np.nan
    if occurs.any():
        both = (y[:, occurs], proba[:, occurs])
        precision = average_precision_score(*both, **weighted)
    return {
        "average_precision": precision,
        "subset_accuracy": accuracy_score(y, proba > 0.5, **weighted),
        # The divergence from the labels is the log loss.
        "log_loss": kl_to_teacher(y, proba, multilabel=True, **weighted),
        "agreement": agreement(teacher, proba, multilabel="labels", **weighted),
    }


def _of_numbers(
    y: Array, pred: Any, teacher: Any, *, levels: Any, **weighted: Any
) -> dict[str, float]:
    if levels is None:
        scores = {
            "r2": r2_score(y, pred, **weighted),
            "rmse": root_mean_squared_error(y, pred, **weighted),
        }
    else:
        scores = _scores_of_quantiles(y, pred, np.asarray(levels), **weighted)
    rmse = root_mean_squared_error(teacher, pred, **weighted)
    return scores | {"rmse_to_teacher": rmse}


def _scores_of_quantiles(
    y: Array, pred: Floats, levels: Any, sample_weight: Any
) -> dict[str, float]:
    losses = [
        mean_pinball_loss(y, column, sample_weight=sample_weight, alpha=level)
        for column, level in zip(pred.T, levels, strict=True)
    ]
    scores = {
        "d2_pinball": quantile_score(y, pred, levels, sample_weight),
        "pinball": float(np.mean(losses)),
    }
    if len(levels) > 1:
        is_inside = (pred[:, 0] <= y) & (y <= pred[:, -1])
        scores["coverage"] = float(np.average(is_inside, weights=sample_weight))
    return scores


def costs(steps: list[Any], estimators: list[Any], X: Any) -> dict[str, float]:
    """Return the size of the file of a model, and the times of its predictions.

    The model is one estimator, or several teachers, after some steps.
    """

    def seconds(rows: Any, n_calls: int) -> float:
        def predict() -> None:
            ready = rows
            for step in steps:
                ready = step.transform(ready)
            for estimator in estimators:
                getattr(estimator, method_of(estimator))(ready)

        predict()
        return float(np.median(timeit.repeat(predict, number=1, repeat=n_calls)))

    parts = [*steps, *estimators]
    return {
        "bytes": _n_bytes(parts if len(parts) > 1 else parts[0]),
        "row_us": 1e6 * seconds(_safe_indexing(X, [0]), _ROW_CALLS),
        "batch_ms": 1e3 * seconds(batch_of(X), _BATCH_CALLS),
    }


def _n_bytes(model: Any) -> float:
    """Return the size of the file of a model, or NaN if it cannot be pickled."""
    try:
        return dumped_bytes(model)
    except (pickle.PicklingError, AttributeError, TypeError):
        return np.nan
