"""From tables of any kind to float32 columns: the first step of the default student.

It needs no torch, so that a deployed student can prepare its rows by the same code.
"""

from __future__ import annotations

import decimal
import itertools
import math
import numbers
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from skdistill.utils._validation import is_frame

# What the values of an object column may be to make it a column of numbers.
_NUMBERS = (numbers.Real, decimal.Decimal, np.bool_)

# How many standard deviations from the mean a numeric column may go.
_CLIP = 10.0

# Up to so many rows, pandas converts all columns sooner than it selects some of them.
_FEW_ROWS = 100


class TabularPreprocessor(TransformerMixin, BaseEstimator):
    """Turn a table into standardized float32 columns for a net.

    An array is all numeric. In a data frame of pandas, polars or pyarrow, the columns
    of numbers and booleans are numeric, an object column if all its values are
    numbers; the columns of strings, of categories (whatever they are) and of numbers
    mixed with strings are categorical.

    Numeric: cast to float32, missing values replaced by the median, standardized, and
    clipped to 10 standard deviations from the mean.

    Categorical: one-hot, with one more level for missing values (None, NaN, NaT,
    ``pandas.NA`` and null are one). A level too rare to be known is zero in all of its
    column's outputs, as is one not seen in ``fit``: what a net learns from the rare
    ones then holds for the unseen.

    Parameters
    ----------
    min_frequency : int, default=10
        How many rows must have a level for it to be known, or 1 % of the rows where
        that is less.
    max_categories : int, default=50
        A column has at most this many known levels, the most frequent ones, and so
        adds at most this many columns.

    Attributes
    ----------
    transformer_ : sklearn.compose.ColumnTransformer or sklearn.pipeline.Pipeline
        What was fitted, as plain scikit-learn, for deployment without this class. A
        Pipeline for arrays. For data frames a ColumnTransformer over columns listed
        by name: floats, and strings with NaN for missing (in ONNX, "nan"). Of float32
        columns it makes what ``transform`` makes, up to rounding.
    n_features_in_ : int
        How many columns were seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where ``fit`` saw a data frame whose names are all strings.

    Notes
    -----
    The cast comes first so that a copy of the student that computes in float32
    throughout, as ONNX does, sees the same numbers. The clipping keeps a net, which
    extrapolates without bounds, from confident nonsense on an outlier, also in a
    column that was constant or all missing in ``fit``.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdistill._students._tabular import TabularPreprocessor
    >>> X = pd.DataFrame({"age": [20, 60, None], "job": ["cook", None, "clerk"]})
    >>> preprocess = TabularPreprocessor().fit(X)
    >>> preprocess.get_feature_names_out().tolist()
    ['age', 'job_clerk', 'job_cook', 'job_nan']
    >>> preprocess.transform(X.iloc[:2]).round(2)
    array([[-1.22,  0.  ,  1.  ,  0.  ],
           [ 1.22,  0.  ,  0.  ,  1.  ]], dtype=float32)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "min_frequency": [Interval(numbers.Integral, 1, None, closed="left")],
        "max_categories": [Interval(numbers.Integral, 1, None, closed="left")],
    }

    def __init__(self, *, min_frequency: int = 10, max_categories: int = 50) -> None:
        self.min_frequency = min_frequency
        self.max_categories = max_categories

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> TabularPreprocessor:
        """Learn the kinds, ranges and levels of the columns.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The training rows.
        y : None
            Ignored.

        Returns
        -------
        self : TabularPreprocessor
            The fitted preprocessor.

        Raises
        ------
        TypeError
            If a column holds dates, durations, or anything else that is neither
            numbers nor strings.
        ValueError
            For infinite values, or if no column is left to learn from.
        """
        if is_frame(X):
            return self._fit_frame(X)
        with np.errstate(over="ignore"):  # what overflows is reported as infinite
            X = validate_data(self, X, dtype=np.float32, ensure_all_finite="allow-nan")
        self._numeric = list(range(X.shape[1]))
        self._categorical: list[int] = []
        self._columns_of = _output_columns([], start=X.shape[1])
        self.transformer_ = _numeric_steps().fit(X)
        self._set_clip()
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the columns for the net.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The rows; the same columns in any data frame library.

        Returns
        -------
        X_out : ndarray of shape (n_samples, n_features_out), float32
            The numeric columns, then those of the levels. All values are finite.
        """
        check_is_fitted(self)
        named = hasattr(self, "feature_names_in_")
        if named and not is_frame(X) and not self._categorical:
            validate_data(self, X, reset=False, skip_check_array=True)
        return self.prepare(X)

    def prepare(self, X: Any, *, plain: bool = False) -> NDArray[np.float32]:
        """Do what ``transform`` does, without scikit-learn's set_output around it.

        For a single row, that and ``transformer_`` would take a hundred times as long
        as the arithmetic. Rows are ``plain`` if :func:`plain_rows` made them. Of an
        array in place of a named data frame, the classifier that calls this has warned.
        """
        if not hasattr(self, "transformer_"):
            check_is_fitted(self)
        if is_frame(X):
            validate_data(self, X, reset=False, skip_check_array=True)
            X = _native(X)
            numeric = self._numeric_block(X)
            labels = _labels(X, self._categorical)
        elif self._categorical:
            raise TypeError(
                "fit saw a data frame with columns of strings; pass a data frame, not "
                f"{type(X).__name__}"
            )
        else:
            numeric = X if plain else self._check_array(X)
            labels = []
            if len(self._numeric) < self.n_features_in_:
                numeric = numeric[:, self._numeric]
        standard = self._standardized(numeric, may_miss=not plain)
        if not self._columns_of:
            return standard
        width = standard.shape[1] + sum(map(len, self._columns_of))
        out = np.zeros((len(numeric), width), np.float32)
        out[:, : standard.shape[1]] = standard
        for columns, column_labels in zip(self._columns_of, labels, strict=True):
            hot = np.array([columns.get(label, -1) for label in column_labels])
            rows = np.flatnonzero(hot >= 0)
            out[rows, hot[rows]] = 1
        return out

    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> NDArray[np.object_]:
        """Return the names of the output columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            The names of the input columns, where ``fit`` saw none.

        Returns
        -------
        names : ndarray of shape (n_features_out,)
            The names of the numeric columns; then for each level its column's name,
            an underscore and the level.
        """
        check_is_fitted(self)
        names: NDArray[np.object_] = self.transformer_.get_feature_names_out(
            input_features
        )
        return names

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _fit_frame(self, X: Any) -> TabularPreprocessor:
        validate_data(self, X, skip_check_array=True)
        X = _native(X)
        names = list(X.columns)
        if len(set(names)) < len(names):
            raise ValueError(f"the names of the columns are not unique: {names}")
        numeric = [_is_numeric(X, i) for i in range(len(names))]
        self._numeric = np.flatnonzero(numeric).tolist()
        others = np.flatnonzero(np.logical_not(numeric)).tolist()
        block = self._numeric_block(X)
        labels = dict(zip(others, _labels(X, others), strict=True))
        levels = {i: self._known_levels(labels[i]) for i in others}
        self._categorical = [i for i in others if levels[i]]
        if not self._numeric and not self._categorical:
            raise ValueError(
                "no column is left to learn from: none is numeric, and no level of any "
                f"other is in {self._least(len(block))} rows or more"
            )
        known = [levels[i] for i in self._categorical]
        self._columns_of = _output_columns(known, start=len(self._numeric))
        prepared = dict(zip(self._numeric, block.T, strict=True)) | labels
        frame = type(X)({name: prepared[i] for i, name in enumerate(names)})
        self.transformer_ = self._column_transformer(known).fit(frame)
        self._set_clip()
        return self

    def _column_transformer(self, levels: list[list[str | None]]) -> ColumnTransformer:
        names = getattr(self, "feature_names_in_", range(self.n_features_in_))
        steps: list[tuple[str, Any, list[Any]]] = []
        if self._numeric:
            steps.append(
                ("numeric", _numeric_steps(), [names[i] for i in self._numeric])
            )
        if self._categorical:
            encoder = OneHotEncoder(
                # The levels are listed, not learned: the encoder would keep every
                # name in a column of names, and its own rare levels reach no ONNX.
                categories=[
                    np.array([np.nan if v is None else v for v in known], dtype=object)
                    for known in levels
                ],
                handle_unknown="ignore",
                sparse_output=False,
                dtype=np.float32,
            )
            steps.append(
                ("categorical", encoder, [names[i] for i in self._categorical])
            )
        return ColumnTransformer(
            steps, sparse_threshold=0, verbose_feature_names_out=False
        ).set_output(transform="default")

    def _least(self, n_samples: int) -> int:
        """Return in how many rows a level must be to be known."""
        return min(self.min_frequency, math.ceil(n_samples / 100))

    def _known_levels(self, labels: list[str | None]) -> list[str | None]:
        """Return the levels that get a column, sorted, with missing as the last."""
        counts = Counter(labels)
        if counts.keys() == {None}:
            return []
        least = self._least(len(labels))
        order = sorted(counts, key=lambda v: (-counts[v], v is None, v or ""))
        known = [v for v in order if counts[v] >= least][: self.max_categories]
        return sorted(known, key=lambda v: (v is None, v or ""))

    def _check_array(self, X: Any) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            checked: NDArray[np.float32] = check_array(
                X, dtype=np.float32, ensure_all_finite="allow-nan", estimator=self
            )
        if checked.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {checked.shape[1]} features, but {type(self).__name__} is "
                f"expecting {self.n_features_in_} features as input"
            )
        return checked

    def _numeric_block(self, X: Any) -> NDArray[np.float32]:
        """Return the numeric columns of a data frame, NaN for missing."""
        if X.shape[0] == 0:
            raise ValueError(
                f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 "
                f"is required by {type(self).__name__}."
            )
        with np.errstate(over="ignore"):
            block = _floats(X, self._numeric)
        infinite = np.isinf(block).any(axis=0)
        if infinite.any():
            name = X.columns[self._numeric[infinite.argmax()]]
            raise ValueError(
                f"Column {name!r} contains infinity or a value too large for float32"
            )
        return block

    def _standardized(
        self, X: NDArray[np.float32], *, may_miss: bool
    ) -> NDArray[np.float32]:
        """Return what the fitted steps make of the numeric columns."""
        if not self._numeric:
            return X
        median, mean, scale = self._statistics
        # What overflows is clipped in the end.
        with np.errstate(over="ignore", invalid="ignore"):
            if may_miss:
                X = np.ascontiguousarray(np.where(np.isnan(X), median, X))
            out = X - mean
            out /= scale
        return out.clip(-_CLIP, _CLIP, out=out)

    def _numeric_pipeline(self) -> Pipeline:
        if isinstance(self.transformer_, ColumnTransformer):
            return self.transformer_.named_transformers_["numeric"]
        return self.transformer_

    def _set_clip(self) -> None:
        """Make an identity that clips of the last numeric step.

        scikit-learn has no such transformer by itself; a MinMaxScaler that was fitted
        to the ends of its own output range is one.
        """
        if self._numeric:
            ends = np.array([[-_CLIP], [_CLIP]], dtype=np.float32)
            clipper = self._numeric_pipeline()["clip"]
            clipper.fit(np.repeat(ends, len(self._numeric), axis=1))
            imputer, scaler, _ = (step for _, step in self._numeric_pipeline().steps)
            # Rounded, so that the scaler alone makes the same in double precision.
            scaler.mean_, scaler.scale_ = (
                values.astype(np.float32).astype(np.float64)
                for values in (scaler.mean_, scaler.scale_)
            )
            self._statistics = [
                values.astype(np.float32)
                for values in (imputer.statistics_, scaler.mean_, scaler.scale_)
            ]


def _numeric_steps() -> Pipeline:
    steps = [
        ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
        ("scale", StandardScaler()),
        ("clip", MinMaxScaler(feature_range=(-_CLIP, _CLIP), clip=True)),
    ]
    return Pipeline(steps).set_output(transform="default")


def _output_columns(
    levels: list[list[str | None]], *, start: int
) -> list[dict[str | None, int]]:
    """Give every level of every column the number of its own output column."""
    number = itertools.count(start)
    return [{level: next(number) for level in known} for known in levels]


def _native(X: Any) -> Any:
    """Return a data frame in one of the two libraries that are known here."""
    return X if _is_pandas(X) or hasattr(X, "to_series") else X.to_pandas()


def _is_numeric(X: Any, position: int) -> bool:
    """Tell a column of numbers from one of levels; refuse what is neither."""
    name = X.columns[position]
    column = X.iloc[:, position] if _is_pandas(X) else X.to_series(position)
    dtype = column.dtype
    if str(dtype) == "category":  # the codes of categories are no magnitudes
        return False
    if getattr(dtype, "kind", "O") in "biuf":
        return True
    if hasattr(dtype, "is_numeric") and dtype.is_numeric():  # in polars
        return True
    seen = column.dropna() if _is_pandas(X) else column.drop_nulls()
    types = set(map(type, seen.to_list()))
    for kind in types:
        if not issubclass(kind, (str, *_NUMBERS)):
            raise _no_numbers(name, kind.__name__)
    return bool(types) and all(issubclass(kind, _NUMBERS) for kind in types)


def _no_numbers(name: Any, kind: str) -> TypeError:
    return TypeError(
        f"Column {name!r} holds values of type {kind}. Convert it to numbers, as a "
        "date to the days since another, or to strings, or drop it"
    )


def _refuse_dates(X: Any, positions: list[int]) -> None:
    """Raise a TypeError for dates and durations, which casts take for numbers."""
    dtypes = [*X.dtypes]
    for i in positions:
        dtype = dtypes[i]
        in_polars = hasattr(dtype, "is_temporal") and dtype.is_temporal()
        if in_polars or getattr(dtype, "kind", "O") in "mM":
            raise _no_numbers(X.columns[i], str(dtype))


def _floats(X: Any, positions: list[int]) -> NDArray[np.float32]:
    """Return columns of a data frame as float32, missing as NaN."""
    if not positions:
        return np.empty((X.shape[0], 0), np.float32)
    _refuse_dates(X, positions)
    if not _is_pandas(X):
        columns = [X.to_series(i).cast(float).to_numpy() for i in positions]
        return np.stack(columns, axis=1).astype(np.float32)
    floats: NDArray[np.float32]
    all_numeric = len(positions) == X.shape[1]
    if all_numeric or len(X) > _FEW_ROWS:
        frame = X if all_numeric else X.iloc[:, positions]
        try:
            floats = frame.to_numpy(np.float32, na_value=np.nan)
            return floats
        except TypeError:  # pandas leaves pandas.NA in place in object columns
            pass
    try:
        floats = _objects(X, positions, np.nan).astype(np.float32)
    except TypeError:
        for i in positions:
            _is_numeric(X, i)  # raises an error that names the column
        raise
    return floats


def _labels(X: Any, positions: list[int]) -> list[list[str | None]]:
    """Return the labels in columns of a data frame, column by column."""
    if not positions:
        return []
    if _is_pandas(X):
        columns = _objects(X, positions, None).T.tolist()
    else:
        columns = [X.to_series(i).to_list() for i in positions]
    return [
        [v if v is None or type(v) is str else _label(v) for v in column]
        for column in columns
    ]


def _objects(X: Any, positions: list[int], missing: Any) -> NDArray[np.object_]:
    """Return columns of a pandas frame as Python objects."""
    few = len(X) <= _FEW_ROWS
    frame = X if few else X.iloc[:, positions]
    # Without copy=True, pandas writes NaN into a view that it made read-only.
    objects: NDArray[np.object_] = frame.to_numpy(object, na_value=missing, copy=True)
    return objects[:, positions] if few else objects


def _label(value: Any) -> str:
    """Return a level that is no string as one; 1 and 1.0 are the same level."""
    if isinstance(value, float | np.floating) and value.is_integer():
        value = int(value)
    return str(value)


def _is_pandas(X: Any) -> bool:
    return hasattr(X, "iloc")
