"""The default preprocessing as fitted steps of scikit-learn, for exports."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from skdistill._students._tabular import CLIP, TabularPreprocessor
from skdistill.utils._arrays import Array


def steps_of(
    preprocessor: TabularPreprocessor, names: list[Any]
) -> Pipeline | ColumnTransformer:
    """Return fitted steps of scikit-learn that compute what a fitted preprocessor does.

    ``names`` are those of the columns and of the parts of dates, or their positions.
    """
    numeric = [names[i] for i in preprocessor.numeric_columns_]
    categorical = [names[i] for i in preprocessor.levels_]
    n_numeric = len(numeric)
    binned, repeats = np.unique(preprocessor.sources_[n_numeric:], return_inverse=True)
    repeat = ColumnTransformer([("repeat", "passthrough", repeats.tolist())])
    parts = [
        ("numeric", _scaling(CLIP), numeric),
        # Each bin is its column, repeated, then shifted, scaled and clipped.
        ("bins", _scaling(0.5, ("repeat", repeat)), [numeric[i] for i in binned]),
        ("categorical", _encoder(preprocessor.levels_.values()), categorical),
    ]
    steps = ColumnTransformer(
        [part for part in parts if part[2]],
        sparse_threshold=0,
        verbose_feature_names_out=False,
    )
    row = dict.fromkeys(names, 0.0)
    row |= zip(numeric, preprocessor.medians_, strict=True)
    row |= dict.fromkeys(categorical, "")
    steps.set_output(transform="default").fit(_table(row))
    fitted = steps.named_transformers_
    offsets, scales = preprocessor.offsets_, preprocessor.scales_
    if "numeric" in fitted:
        ends = (-CLIP, CLIP)
        _set_scaling(fitted["numeric"], offsets[:n_numeric], scales[:n_numeric], ends)
    if "bins" in fitted:
        _set_scaling(fitted["bins"], offsets[n_numeric:], scales[n_numeric:], (0, 1))
    alone = list(fitted) == ["numeric"] and numeric == list(range(len(names)))
    return fitted["numeric"] if alone else steps


def _scaling(bound: float, *between: tuple[str, Any]) -> Pipeline:
    return Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            *between,
            ("scale", StandardScaler()),
            ("clip", MinMaxScaler(feature_range=(-bound, bound), clip=True)),
        ]
    )


def _encoder(levels: Iterable[list[str | None]]) -> OneHotEncoder:
    """Return an encoder of the levels listed for each column, with None for missing."""
    return OneHotEncoder(
        categories=[
            np.array([np.nan if v is None else v for v in known], dtype=object)
            for known in levels
        ],
        handle_unknown="ignore",
        sparse_output=False,
        dtype=np.float32,
    )


def _table(row: dict[Any, Any]) -> Any:
    """Return a row as an array if it is named by positions, else as a data frame."""
    if list(row) == list(range(len(row))):
        strings = any(isinstance(value, str) for value in row.values())
        return np.array([[*row.values()]], object if strings else None)
    try:
        library = import_module("pandas")
    except ImportError:
        library = import_module("polars")
    return library.DataFrame({name: [value] for name, value in row.items()})


def _set_scaling(
    steps: Pipeline, offsets: Array, scales: Array, ends: tuple[float, float]
) -> None:
    """Make fitted steps subtract, divide, and clip what is not between two ends.

    scikit-learn has no transformer that clips alone. A MinMaxScaler that was fitted to
    ends as far apart as those of its output clips, and at most shifts. It also shifts
    by what is left of an offset in float32, so that rows of float32 lose nothing.
    """
    scaler, clipper = steps["scale"], steps["clip"]
    scaler.mean_ = offsets.astype(np.float32).astype(np.float64)
    scaler.scale_ = scales.astype(np.float64)
    scaler.var_ = scaler.scale_**2
    rows = np.array([ends], dtype=np.float32).T
    clipper.fit(np.repeat(rows, len(offsets), axis=1))
    clipper.min_ = clipper.min_ - (offsets - scaler.mean_) / scaler.scale_
