"""The steps of the default preprocessing, in plain scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.utils import gen_batches

# How many standard deviations from the mean a numeric column may go.
_CLIP = 10.0

# How many values are scaled at once. In float64, all of a large table would take
# twice the memory of the result.
BATCH_VALUES = 2**18

# The narrowest bin that float32 can divide by.
_NARROWEST = float(np.finfo(np.float32).tiny)

# By the position of a numeric column among these, the edges of its bins.
Edges = dict[int, NDArray[Any]]


def medians(block: NDArray[Any]) -> NDArray[Any]:
    """Return the medians of columns; 0 where all of a column is missing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nan_to_num(np.nanmedian(block, axis=0))


def _scaler(block: NDArray[Any], medians: NDArray[Any]) -> StandardScaler:
    """Return a scaler of columns with their medians in place of missing values."""
    scaler = StandardScaler()
    # Some rows after the others, as all at once would be copied several times.
    for rows in gen_batches(len(block), BATCH_VALUES // max(1, len(medians)) + 1):
        scaler.partial_fit(np.where(np.isnan(block[rows]), medians, block[rows]))
    return scaler


def quantiles(block: NDArray[Any], n_bins: int) -> Edges:
    """Return the edges of up to ``n_bins`` bins of each column that gets two or more.

    They are values of the column, so that one of few different values has few bins.
    """
    edges = {}
    for i, column in enumerate(block.T):
        known = column[~np.isnan(column)]
        if len(known):
            ends = _ends(known, n_bins)
            if len(ends) > 2:
                edges[i] = ends
    return edges


def _ends(values: NDArray[Any], n_bins: int) -> NDArray[Any]:
    """Return where bins with about as many rows each end.

    Where most rows have the same value, such as the 0 of amounts that few rows have,
    most quantiles are equal. The bins that are missing then have the same number of the
    rows with other values.
    """
    ends = np.unique(_quantiles(values, np.linspace(0, 1, n_bins + 1)))
    if len(ends) - 1 >= n_bins / 2:
        return ends
    while n_missing := n_bins + 1 - len(ends):
        others = values[~np.isin(values, ends)]
        if len(others) == 0:
            break
        more = _quantiles(others, np.linspace(0, 1, n_missing + 2)[1:-1])
        ends = np.union1d(ends, more)
    return ends


def _quantiles(values: NDArray[Any], shares: NDArray[np.float64]) -> NDArray[Any]:
    return np.quantile(values, shares, method="inverted_cdf")


def numeric_steps(
    columns: Sequence[Any], edges: Edges
) -> list[tuple[str, Pipeline, list[Any]]]:
    """Return what a ColumnTransformer makes of the numeric columns."""
    steps = [("numeric", _scaling(_CLIP), list(columns))]
    if edges:
        # A bin is the column shifted, scaled and clipped: repeat it for each of them.
        repeated = [i for i, ends in enumerate(edges.values()) for _ in ends[1:]]
        repeat = ColumnTransformer([("repeat", "passthrough", repeated)])
        binned = [columns[i] for i in edges]
        steps.append(("bins", _scaling(0.5, ("repeat", repeat)), binned))
    return steps


def _scaling(bound: float, *between: tuple[str, Any]) -> Pipeline:
    steps = [
        ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
        *between,
        ("scale", StandardScaler()),
        ("clip", MinMaxScaler(feature_range=(-bound, bound), clip=True)),
    ]
    return Pipeline(steps).set_output(transform="default")


def encoder(levels: Any) -> OneHotEncoder:
    """Return an encoder of the levels listed for each column, with None for missing.

    The levels are not learned: the encoder would keep every name in a column of names,
    and its own rare levels cannot be converted to ONNX.
    """
    return OneHotEncoder(
        categories=[
            np.array([np.nan if v is None else v for v in known], dtype=object)
            for known in levels
        ],
        handle_unknown="ignore",
        sparse_output=False,
        dtype=np.float32,
    )


def set_numbers(
    transformer: Pipeline | ColumnTransformer, edges: Edges, block: NDArray[Any]
) -> None:
    """Make numeric steps that were fitted to the medians alone scale, clip and encode.

    To fit them to all rows would take several times the memory of these.
    """
    dtype = block.dtype.type
    for name, steps, _ in parts_of(transformer, []):
        if name == "numeric":
            scaler = _scaler(block, steps["impute"].statistics_)
            vars(steps["scale"]).update(vars(scaler))
            ends = steps["clip"].feature_range
            _set_scaling(steps, scaler.mean_, scaler.scale_, ends, dtype)
        elif name == "bins":
            ends = [values.astype(np.float64) for values in edges.values()]
            starts = np.concatenate([values[:-1] for values in ends])
            widths = np.concatenate([np.diff(values) for values in ends])
            widths = widths.clip(_NARROWEST, 1 / _NARROWEST)
            _set_scaling(steps, starts, widths, (0, 1), dtype)


def _set_scaling(
    steps: Pipeline,
    start: NDArray[np.float64],
    scale: NDArray[np.float64],
    ends: tuple[float, float],
    dtype: type,
) -> None:
    """Make fitted steps subtract, divide, and clip what is not between two ends.

    scikit-learn has no transformer that clips alone. A MinMaxScaler that was fitted to
    ends as far apart as those of its output clips, and at most shifts.
    """
    scaler, clipper = steps["scale"], steps["clip"]
    # Rounded to the dtype, so that the scaler makes the same in double precision.
    scaler.mean_, scaler.scale_ = (
        values.astype(dtype).astype(np.float64) for values in (start, scale)
    )
    rows = np.array([ends], dtype=np.float32).T
    clipper.fit(np.repeat(rows, clipper.n_features_in_, axis=1))


def parts_of(
    transformer: Pipeline | ColumnTransformer, columns: Iterable[Any]
) -> list[tuple[str, Any, list[Any]]]:
    """Return the fitted steps of columns; of a Pipeline, it is one for all columns."""
    if isinstance(transformer, Pipeline):
        return [("numeric", transformer, list(columns))]
    return [step for step in transformer.transformers_ if step[0] != "remainder"]
