"""Measure the models of one split: how good they are, and what they cost."""

from __future__ import annotations

import pickle
import timeit
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
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
from sklearn.utils.multiclass import unique_labels

from skdistill._targets._columns import align
from skdistill.inspection._models import Rows, names_of_columns
from skdistill.metrics import agreement, kl_to_teacher
from skdistill.metrics._scorer import labels_of_both, numbers_of_both, teacher_answer
from skdistill.utils._costs import batch_of, dumped_bytes, method_of
from skdistill.utils._quantile_score import quantile_score

# The number of calls for a median time.
_ROW_CALLS, _BATCH_CALLS = 20, 5


def scores(
    clf: Any, models: dict[str, list[Any]], test: Rows, known: NDArray[Any]
) -> dict[str, dict[str, float]]:
    """Return the scores of each model.

    Parameters
    ----------
    clf : DistilledClassifier or DistilledRegressor
        Defines how the teachers are averaged.
    models : dict
        The estimators that :func:`fit_models` has returned.
    test : tuple (X, y, sample_weight)
        The rows.
    known : ndarray of shape (n_labels,)
        The labels of all rows, training rows included.
    """
    task = clf._target().task
    if task == "regression":
        return _scores_of_numbers(clf, models, test, getattr(clf, "quantiles", None))
    if task == "multilabel":
        return _scores_of_labels(clf, models, test)
    X, y, weight = test
    labels = unique_labels(models["student"][0].classes_, known)
    proba, columns, _ = teacher_answer(
        models["teacher"],
        X,
        known,
        classes=names_of_columns(clf),
        teacher_weights=clf.teacher_weights,
        remember=False,
    )
    said = {"teacher": (proba, columns)}
    for name in ("labels alone", "student"):
        [model] = models[name]
        said[name] = model.predict_proba(X), model.classes_
    probas = {}
    for name, (proba, columns) in said.items():
        aligned = align(proba, columns, labels).astype(np.float64)
        # log_loss expects rows that sum to 1 in double precision.
        probas[name] = aligned / aligned.sum(axis=1, keepdims=True)
    truth = y[:, np.newaxis] == labels
    weighted = {"sample_weight": weight}
    return {
        name: {
            "accuracy": accuracy_score(y, labels[proba.argmax(axis=1)], **weighted),
            "log_loss": log_loss(y, proba, labels=labels, **weighted),
            "brier": len(labels) * mean_squared_error(truth, proba, **weighted),
            "agreement": agreement(probas["teacher"], proba, **weighted),
        }
        for name, proba in probas.items()
    }


def _scores_of_labels(
    clf: Any, models: dict[str, list[Any]], test: Rows
) -> dict[str, dict[str, float]]:
    X, y, weight = test
    asked = {"teacher_weights": clf.teacher_weights, "remember": False}
    said = {}
    for name in ("labels alone", "student"):
        [model] = models[name]
        teacher, said[name] = labels_of_both(models["teacher"], model, X, **asked)
    occurs, weighted = y.any(axis=0), {"sample_weight": weight}
    return {
        name: {
            "average_precision": average_precision_score(
                y[:, occurs], proba[:, occurs], **weighted
            )
            if occurs.any()
            else np.nan,
            "subset_accuracy": accuracy_score(y, proba > 0.5, **weighted),
            # The divergence from the labels is the log loss.
            "log_loss": kl_to_teacher(y, proba, multilabel=True, **weighted),
            "agreement": agreement(teacher, proba, multilabel="labels", **weighted),
        }
        for name, proba in {"teacher": teacher, **said}.items()
    }


def _scores_of_numbers(
    reg: Any, models: dict[str, list[Any]], test: Rows, levels: ArrayLike | None
) -> dict[str, dict[str, float]]:
    X, y, weight = test
    asked = {"teacher_weights": reg.teacher_weights, "remember": False}
    said = {}
    for name in ("labels alone", "student"):
        [model] = models[name]
        teacher, said[name] = numbers_of_both(models["teacher"], model, X, **asked)
    weighted = {"sample_weight": weight}

    def of_truth(pred: NDArray[np.float64]) -> dict[str, float]:
        if levels is not None:
            return _scores_of_quantiles(y, pred, np.asarray(levels), weight)
        return {
            "r2": r2_score(y, pred, **weighted),
            "rmse": root_mean_squared_error(y, pred, **weighted),
        }

    return {
        name: {
            **of_truth(pred),
            "rmse_to_teacher": root_mean_squared_error(teacher, pred, **weighted),
        }
        for name, pred in {"teacher": teacher, **said}.items()
    }


def _scores_of_quantiles(
    y: NDArray[Any], pred: NDArray[np.float64], levels: NDArray[Any], weight: Any
) -> dict[str, float]:
    columns = zip(pred.T, levels, strict=True)
    losses = [
        mean_pinball_loss(y, column, sample_weight=weight, alpha=level)
        for column, level in columns
    ]
    scores = {
        "d2_pinball": quantile_score(y, pred, levels, weight),
        "pinball": float(np.mean(losses)),
    }
    if len(levels) > 1:
        is_inside = (pred[:, 0] <= y) & (y <= pred[:, -1])
        scores["coverage"] = float(np.average(is_inside, weights=weight))
    return scores


def costs(steps: list[Any], estimators: list[Any], X: Any) -> dict[str, float]:
    """Return the size of the file of a model, and the times of its predictions.

    Parameters
    ----------
    steps : list of transformers
        The steps before the estimators.
    estimators : list of estimators
        Several teachers, or one estimator.
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        At least one row.
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
