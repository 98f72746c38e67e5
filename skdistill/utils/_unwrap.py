"""The estimators inside of pipelines, searches and frozen estimators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline


def unwrapped(estimator: Any) -> tuple[list[tuple[str, Any]], Any]:
    """Return the steps before the last estimator inside of a fitted one, and that.

    A search is replaced by its ``best_estimator_``, a FrozenEstimator by its
    ``estimator``, and a pipeline by its last step. The steps, with their names, are
    without those that do nothing to the rows of a prediction. A search that was made
    with ``refit=False`` is a TypeError.
    """
    before: list[tuple[str, Any]] = []
    while True:
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif is_search(estimator):
            raise TypeError(
                f"this {type(estimator).__name__} has no best_estimator_, as it did "
                "not refit: search with refit=True"
            )
        elif isinstance(estimator, Pipeline):
            steps = active(estimator.steps[:-1])
            # A sampler of imbalanced-learn changes the rows of fit alone.
            before += [step for step in steps if not hasattr(step[1], "fit_resample")]
            estimator = estimator.steps[-1][1]
        else:
            return before, estimator


def last_step(estimator: Any) -> tuple[str, Any]:
    """Return the prefix of the parameters of a pipeline's last step, and the step.

    For an estimator that is not a pipeline, return "" and the estimator.
    """
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return prefix, estimator


def innermost(estimator: Any) -> Any:
    """Return the estimator inside of pipelines, searches, bags and the like."""
    _, last = last_step(estimator)
    inside = getattr(last, "estimator", None)
    return last if inside is None else innermost(inside)


def is_search(estimator: Any) -> bool:
    """Tell whether an estimator is a search over parameters, of any package.

    There are others that have ``refit``, or fold scores, alone.
    """
    return hasattr(estimator, "refit") and hasattr(estimator, "error_score")


def active(steps: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the steps of a pipeline that do something."""
    return [(name, step) for name, step in steps if step not in (None, "passthrough")]


def listed(teacher: Any) -> list[Any]:
    """Return one teacher or several as a list."""
    return list(teacher) if isinstance(teacher, list | tuple) else [teacher]
