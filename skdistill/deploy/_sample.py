"""Rows to try an exported student on, made up from what it saw in its fit."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from skdistill.deploy._parts import Parts

N_ROWS = 256

# The share of made-up values that are missing.
_MISSING = 0.05

_UNSEEN = "never seen"


@dataclass(frozen=True)
class Sample:
    """Rows, what the net sees of them, and what the estimator says of them."""

    rows: Any
    net_rows: NDArray[np.float32]
    proba: NDArray[np.float64]
    given: bool


def difference_of(proba: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference of a probability."""
    return float(np.max(np.abs(proba - expected)))


def sample_rows(parts: Parts, n_rows: int = N_ROWS) -> Any:
    """Return rows as the estimator takes them.

    Of the default student they look like the columns that it was fitted on: numbers of
    their mean and spread, outliers, known and unknown labels, and missing values if it
    takes them. Else they are standard normal.

    Returns
    -------
    X : ndarray or data frame of shape (n_rows, n_features)
        A data frame of polars only where there is no pandas.
    """
    rng = np.random.default_rng(0)
    if parts.is_default and not parts.before:
        transformer = parts.preprocessing[0][1]
        if isinstance(transformer, ColumnTransformer):
            return _frame(parts, transformer, rng, n_rows)
        return _numbers(parts, transformer, rng, n_rows)
    first = parts.before[0][1] if parts.before else parts.classifier
    shape = (n_rows, first.n_features_in_)
    return rng.standard_normal(shape).astype(np.float32)


def to_frame(columns: dict[Any, Any]) -> Any:
    """Return a data frame of the library that is there."""
    try:
        library = import_module("pandas")
    except ImportError:
        library = import_module("polars")
        # Its null for missing strings is another level to plain scikit-learn.
        columns = {
            name: [v if isinstance(v, str) else _UNSEEN for v in column]
            if column.dtype == object
            else column
            for name, column in columns.items()
        }
    return library.DataFrame(columns)


def _numbers(
    parts: Parts, steps: Pipeline, rng: np.random.Generator, n_rows: int
) -> Any:
    scaler = steps["scale"]
    spread = rng.standard_t(2, size=(n_rows, len(scaler.mean_)))
    values = scaler.mean_ + scaler.scale_ * spread
    if get_tags(parts.classifier).input_tags.allow_nan:
        values[rng.random(values.shape) < _MISSING] = np.nan
    return values.astype(np.float32)


def _frame(
    parts: Parts, transformer: ColumnTransformer, rng: np.random.Generator, n_rows: int
) -> Any:
    fitted = {name: (step, names) for name, step, names in transformer.transformers_}
    columns: dict[Any, Any] = {}
    if "numeric" in fitted:
        steps, names = fitted["numeric"]
        columns |= zip(names, _numbers(parts, steps, rng, n_rows).T, strict=True)
    if "categorical" in fitted:
        encoder, names = fitted["categorical"]
        for name, levels in zip(names, encoder.categories_, strict=True):
            known = [level for level in levels if isinstance(level, str)]
            labels = rng.choice(np.array([*known, _UNSEEN], object), n_rows)
            labels[rng.random(n_rows) < _MISSING] = np.nan
            columns[name] = labels
    names = getattr(parts.classifier, "feature_names_in_", None)
    n_features = parts.classifier.n_features_in_
    names = list(range(n_features)) if names is None else list(names)
    missing = np.full(n_rows, np.nan, object)  # a column without any known level
    return to_frame({name: columns.get(name, missing) for name in names})
