"""Rows to try an exported student on, given or made up."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import get_tags

from skdistill.deploy._converting import reason
from skdistill.deploy._outputs import Output
from skdistill.deploy._parts import Parts
from skdistill.utils._frames import is_frame, native
from skdistill.utils._warnings import warn

N_ROWS = 256

# The largest allowed difference between what a file says and what was fitted: of a
# probability, or of a number in standard deviations.
TOLERANCE = 1e-5

# The share of made-up values that are missing.
_MISSING = 0.05

_UNSEEN = "never seen"

# Divided by the width of a narrow bin, such a number still fits in float32.
_LARGEST = 1e30


@dataclass(frozen=True)
class Sample:
    """Rows, the rows as the net takes them, and what the estimator says of them."""

    rows: Any
    net_rows: NDArray[np.float32]
    said: NDArray[np.float64]
    given: bool
    output: Output

    @property
    def source(self) -> str:
        """Where the rows come from."""
        return "given" if self.given else "made up"

    def asked(self, model: Any) -> NDArray[np.float64]:
        """Return what another model says of the rows."""
        said: NDArray[np.float64] = getattr(model, self.output.method)(self.rows)
        return said

    def differences(self, said: NDArray[Any]) -> NDArray[Any]:
        """Return how far another model is from the estimator, for each row."""
        return self.output.differences(said, self.said)

    def problem(self, form: str, differences: NDArray[Any]) -> str | None:
        """Describe differences that are no rounding, or return None."""
        if differences.max() <= TOLERANCE:
            return None
        row = int(differences.argmax())
        source = "given as sample" if self.given else self.source
        return (
            f"{form} is not what was fitted: in row {row} of the rows that were "
            f"{source} {self.output.measured} differs by {differences[row]:.3g}, more "
            f"than {TOLERANCE:g}. "
        )

    def report(self, said: NDArray[Any]) -> dict[str, Any]:
        """Return entries about what another model says of the rows."""
        return {
            "max_difference": float(self.differences(said).max()),
            "n_rows": len(said),
            "sample": self.source,
        }

    def judged(self, said: NDArray[Any], dtype: str) -> dict[str, Any]:
        """Return a report of narrow weights, and warn if they change much."""
        closeness = self.output.closeness(said, self.said)
        if closeness < self.output.least:
            way_out = "" if self.given else ", or pass typical rows as sample="
            warn(
                "SKD303",
                f"{dtype} {self.output.changed(closeness)} the {len(said)} rows that "
                f"were {self.source}. Use quantize=None{way_out}",
            )
        return self.output.reported(closeness) | self.report(said)


def sample_of(estimator: Any, parts: Parts, rows: Any = None) -> Sample:
    """Return the rows to try an export on; they are made up if ``rows`` is None.

    Raises
    ------
    ValueError
        If the estimator does not take rows that are made up.
    """
    ask = getattr(estimator, parts.output.method)
    if rows is not None:
        rows = native(rows) if is_frame(rows) else rows
        rows = rows if is_frame(rows) or issparse(rows) else np.asarray(rows)
        said = ask(rows)
        net_rows = parts.prepared(rows)
        dense = rows.toarray() if issparse(rows) else rows
        return Sample(dense, net_rows, said, True, parts.output)
    try:
        rows = sample_rows(parts)
        names = parts.feature_names
        if names is not None and not is_frame(rows):
            rows = to_frame(dict(zip(names, rows.T, strict=True)))
        return Sample(rows, parts.prepared(rows), ask(rows), False, parts.output)
    except Exception as error:
        raise ValueError(
            f"the file cannot be checked on rows that are made up ({reason(error)}): "
            "pass sample= to skdistill.deploy.to_onnx or to_c, rows as the estimator "
            "takes them"
        ) from error


def sample_rows(parts: Parts, n_rows: int = N_ROWS) -> Any:
    """Return made-up rows as the estimator takes them: an array or a data frame.

    If its first step is a :class:`TabularPreprocessor`, they look like the columns that
    it was fitted on: numbers of their mean and spread, outliers, known and unknown
    levels, dates, and missing values if the estimator takes them. Otherwise they are
    standard normal.
    """
    rng = np.random.default_rng(0)
    table: Any = next(iter(parts.transformers), None)
    if hasattr(table, "numeric_columns_"):
        numbers = _numbers(parts, table, rng, n_rows)
        if hasattr(table, "feature_names_in_") or table.levels_ or table.dates_:
            return _frame(table, numbers, rng)
        rows = np.zeros((n_rows, table.n_features_in_), table.dtype_)
        rows[:, table.numeric_columns_] = numbers
        return rows
    shape = (n_rows, parts.first.n_features_in_)
    return rng.standard_normal(shape).astype(np.float32)


def to_frame(columns: dict[Any, Any]) -> Any:
    """Return a data frame of pandas, or of polars if there is no pandas."""
    try:
        library = import_module("pandas")
    except ImportError:
        library = import_module("polars")
        columns = {
            name: [v if isinstance(v, str) else None for v in column]
            if column.dtype == object
            else column
            for name, column in columns.items()
        }
    return library.DataFrame(columns)


def _numbers(
    parts: Parts, table: Any, rng: np.random.Generator, n_rows: int
) -> NDArray[np.float64]:
    """Return made-up numeric columns, given a fitted TabularPreprocessor."""
    means = table.offsets_[: table.n_numeric_].astype(np.float64)
    scales = table.scales_[: table.n_numeric_]
    values = means + scales * rng.standard_t(2, size=(n_rows, len(means)))
    if parts.before or get_tags(parts.estimator).input_tags.allow_nan:
        values[rng.random(values.shape) < _MISSING] = np.nan
    return np.clip(values, -_LARGEST, _LARGEST)


def _frame(table: Any, numbers: NDArray[Any], rng: np.random.Generator) -> Any:
    """Return a data frame of made-up numbers and levels."""
    n_rows = len(numbers)
    names = list(getattr(table, "feature_names_in_", range(table.n_features_in_)))
    columns = {
        names[i]: numbers[:, j]
        for j, i in enumerate(table.numeric_columns_)
        if i < table.n_features_in_  # and no part of a date
    }
    columns |= {names[i]: _times(rng, n_rows) for i in table.dates_}
    for i, levels in table.levels_.items():
        known = [level for level in levels if level is not None]
        labels = rng.choice(np.array([*known, _UNSEEN], object), n_rows)
        labels[rng.random(n_rows) < _MISSING] = np.nan
        columns[names[i]] = labels
    missing = np.full(n_rows, np.nan, object)  # a column without any known level
    frame = to_frame({name: columns.get(name, missing) for name in names})
    for i, (zone, _) in table.dates_.items():
        frame = frame if zone is None else _in_utc(frame, names[i])
    return frame


def _times(rng: np.random.Generator, n_rows: int) -> NDArray[np.datetime64]:
    """Return made-up times from 1872 to 2160, some of them missing."""
    seconds = rng.integers(-3_100_000_000, 6_000_000_000, n_rows)
    times: NDArray[np.datetime64] = seconds.astype("M8[s]").astype("M8[us]")
    times[rng.random(n_rows) < _MISSING] = np.datetime64("NaT")
    return times


def _in_utc(frame: Any, name: Any) -> Any:
    """Return a data frame in which the times of a column have a time zone."""
    times = frame[name].dt
    if hasattr(times, "tz_localize"):  # in pandas
        frame[name] = times.tz_localize("UTC")
        return frame
    return frame.with_columns(times.replace_time_zone("UTC"))
