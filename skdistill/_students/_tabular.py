"""From tables of any kind to float32 columns: the first step of the default student.

It needs no torch, so that a deployed student can prepare its rows by the same code.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_feature_names_in,
    assert_all_finite,
    check_is_fitted,
    validate_data,
)

from skdistill.utils._frames import (
    check_frame,
    floats,
    is_frame,
    is_numeric,
    labels,
    native,
)
from skdistill.utils._validation import check_not_empty, plain_rows

# How many standard deviations from the mean a numeric column may go.
_CLIP = 10.0

# How many values are scaled at once. In float64, all of a large table would take
# twice the memory of the result.
_BATCH_VALUES = 2**18

# How many bins all columns may have together: before 64 hidden units, their weights
# are 64 KiB. A column whose share is less than three bins gets none.
_MAX_BINS = 256
_MIN_BINS = 3

# The narrowest bin that float32 can divide by.
_NARROWEST = float(np.finfo(np.float32).tiny)

# By the position of a numeric column among these, the edges of its bins.
_Edges = dict[int, NDArray[Any]]


# Its output is an array, whatever scikit-learn is set to give: a net takes no frames.
class TabularPreprocessor(  # type: ignore[call-arg]
    TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Turn a table into standardized float32 columns for a net.

    It is the first step of :func:`make_student`, named "preprocess". The columns of an
    array are all numeric. In a data frame of pandas, polars or pyarrow, columns of
    numbers and booleans are numeric, and so is a column of objects if all of them are
    numbers. Columns of strings, of categories (also categories that are numbers), and
    of numbers mixed with strings are categorical. Dates are refused.

    Missing values of numeric columns are replaced by the median, and the columns are
    standardized and clipped to 10 standard deviations from the mean. Only then are they
    cast to float32: the steps before compute in the precision of ``dtype_``.
    With ``numeric="piecewise"`` these are followed by a piecewise-linear encoding [1]_,
    from which a small net learns functions with steps and bends more easily.

    Categorical columns are one-hot encoded. Missing values (None, NaN, NaT,
    ``pandas.NA`` and null) are one more level. A level that is too rare to be known is
    zero in all outputs of its column, as is a level that was not seen in ``fit``. So
    the net learns from the rare levels what to do with unseen ones.

    Parameters
    ----------
    numeric : {"standard", "piecewise"}, default="standard"
        What is made of a numeric column. "standard" is the standardized value.
        "piecewise" adds an output for each bin between quantiles of the column, which
        rises from -0.5 to 0.5 over its bin, and is constant outside.
    n_bins : int, default=16
        The largest number of bins of a column, at least 3, for
        ``numeric="piecewise"``. Equal quantiles are merged, so that a column of few
        different values has fewer. A column that would have only one bin, as a binary
        or a constant one, gets none: the standardized value says the same. All columns
        share 256 bins, so that the net stays small for a wide table: if k columns have
        bins, each has at most 256 / k, and none has any where that is less than 3.
    min_frequency : int, default=10
        The number of rows that must have a level for it to be known, or 1 % of the
        rows if that is less. A weight learned from fewer rows is mostly noise.
    max_categories : int, default=50
        The largest number of known levels of a column; the most frequent ones are
        kept. It bounds the number of output columns, and so the size of the net.

    Attributes
    ----------
    transformer_ : sklearn.compose.ColumnTransformer or sklearn.pipeline.Pipeline
        The fitted preprocessing as plain scikit-learn, for deployment without this
        class: a Pipeline if ``fit`` saw an array, and a ColumnTransformer over columns
        listed by name if it saw a data frame. If there are bins, it is a
        ColumnTransformer for an array too. ``transform`` computes the same from its
        fitted attributes. The ColumnTransformer takes numbers as floats, and strings
        with NaN for missing (in ONNX, "nan"). If the numbers are of the dtype
        ``dtype_``, the outputs are equal up to rounding.
    dtype_ : type
        What numbers are cast to first: ``numpy.float32`` if ``fit`` saw an array of
        float32, and ``numpy.float64`` if it saw anything else.
    n_numeric_ : int
        The number of numeric columns. Their standardized values are the first outputs.
    n_features_in_ : int
        The number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The names of the columns seen in ``fit``. Defined only if ``fit`` saw a data
        frame whose column names are all strings.

    See Also
    --------
    make_student : The student that begins with it.

    Notes
    -----
    An array of float32 has about 7 decimal digits: of a time in seconds since 1970, it
    holds steps of 128 seconds. Pass such numbers as float64 or as integers. A data
    frame may hold them in any type. Values beyond the range of float32 are refused.

    A net extrapolates without bounds. Clipping keeps it from confident nonsense for an
    outlier, also in a column that was constant or all missing in ``fit``.

    ``transform`` returns an array also where scikit-learn is set to return data
    frames, and there is no ``set_output``.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev, A. Babenko. On embeddings for numerical features
       in tabular deep learning. NeurIPS 2022.
       `arXiv:2203.05556 <https://arxiv.org/abs/2203.05556>`__

    Examples
    --------
    >>> import pandas as pd
    >>> from skdistill import TabularPreprocessor
    >>> X = pd.DataFrame({"age": [20, 60, None], "job": ["cook", None, "clerk"]})
    >>> preprocess = TabularPreprocessor().fit(X)
    >>> preprocess.get_feature_names_out().tolist()
    ['age', 'job_clerk', 'job_cook', 'job_nan']
    >>> preprocess.transform(X.iloc[:2]).round(2)
    array([[-1.22,  0.  ,  1.  ,  0.  ],
           [ 1.22,  0.  ,  0.  ,  1.  ]], dtype=float32)

    Four bins, between the quartiles:

    >>> X = [[0], [1], [2], [4], [8]]
    >>> preprocess = TabularPreprocessor(numeric="piecewise", n_bins=4).fit(X)
    >>> preprocess.get_feature_names_out().tolist()
    ['x0', 'x0_bin_0', 'x0_bin_1', 'x0_bin_2', 'x0_bin_3']
    >>> preprocess.transform([[0], [3]]).round(2)
    array([[-1.06, -0.5 , -0.5 , -0.5 , -0.5 ],
           [ 0.  ,  0.5 ,  0.5 ,  0.  , -0.5 ]], dtype=float32)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "numeric": [StrOptions({"standard", "piecewise"})],
        "n_bins": [Interval(Integral, _MIN_BINS, None, closed="left")],
        "min_frequency": [Interval(Integral, 1, None, closed="left")],
        "max_categories": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        numeric: str = "standard",
        n_bins: int = 16,
        min_frequency: int = 10,
        max_categories: int = 50,
    ) -> None:
        self.numeric = numeric
        self.n_bins = n_bins
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
            If a value is infinite, or no column is left to learn from.
        """
        check_frame(X)
        if is_frame(X):
            validate_data(self, X, skip_check_array=True)
            check_not_empty(X)
            self.dtype_ = np.float64
            self.transformer_ = self._fit_columns(native(X))
        else:
            X = self._check_array(X, [np.float64, np.float32], reset=True)
            self.dtype_ = X.dtype.type
            self.transformer_ = self._fit_array(X)
        self._shortcut = _Shortcut.of(self)
        self.n_numeric_ = len(self._shortcut.numeric)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the columns for the net.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The rows, with the same columns; the data frame may be of another library
            than in ``fit``.

        Returns
        -------
        X_out : ndarray of shape (n_samples, n_features_out), float32
            The numeric columns, then their bins column by column, then one column for
            each known level. All values are finite.

        Raises
        ------
        TypeError
            If a numeric column holds dates, or ``fit`` saw columns of strings and X is
            an array.
        ValueError
            If the columns are not those of ``fit``, a numeric column holds strings, or
            a value is infinite.
        """
        if not hasattr(self, "transformer_"):  # the full check is slow for one row
            check_is_fitted(self)
        if is_frame(X):
            block, strings = self._read_frame(X)
        else:
            block, strings = self._read_array(X), []
        return self._shortcut(block, strings)

    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> NDArray[np.object_]:
        """Return the names of the output columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            The names of the input columns, if ``fit`` saw none.

        Returns
        -------
        names : ndarray of shape (n_features_out,)
            The names of the numeric columns; then for each bin its column's name,
            "_bin_" and a number from 0; then for each level its column's name, an
            underscore and the level.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        shortcut = self._shortcut
        outputs = names[shortcut.numeric].tolist()
        for column, bins in itertools.groupby(shortcut.sources[self.n_numeric_ :]):
            outputs += [f"{outputs[column]}_bin_{i}" for i, _ in enumerate(bins)]
        if shortcut.categorical:
            encoder = self.transformer_.named_transformers_["categorical"]
            levels = encoder.get_feature_names_out(names[shortcut.categorical])
            outputs += levels.tolist()
        return np.array(outputs, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # A file holds the preprocessing once, in the types of scikit-learn.
        state = dict(super().__getstate__())
        state.pop("_shortcut", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "transformer_"):
            self._shortcut = _Shortcut.of(self)

    def _check_array(self, X: Any, dtype: Any, *, reset: bool) -> NDArray[Any]:
        """Return an array of numbers that float32 holds, in the first dtype or its own.

        Values may be missing.
        """
        check_frame(X)
        # What overflows is reported as infinite.
        with np.errstate(over="ignore", invalid="ignore"):
            X = validate_data(
                self, X, reset=reset, dtype=dtype, ensure_all_finite="allow-nan"
            )
            narrow = X.astype(np.float32, copy=False)
            assert_all_finite(narrow, allow_nan=True, input_name="X")
        return X

    def _fit_array(self, X: NDArray[Any]) -> Pipeline | ColumnTransformer:
        """Return a fitted transformer of the columns of an array."""
        edges = self._edges(X)
        transformer = ColumnTransformer(_numeric_steps(range(X.shape[1]), edges))
        if len(transformer.transformers) == 1:
            ((_, transformer, _),) = transformer.transformers
        transformer.set_output(transform="default").fit(_medians(X)[np.newaxis])
        _set_numbers(transformer, edges, X)
        return transformer

    def _edges(self, block: NDArray[Any]) -> _Edges:
        """Return the edges of the bins of those numeric columns that get some."""
        if self.numeric == "standard":
            return {}
        edges = _quantiles(block, self.n_bins)
        share = _MAX_BINS // max(1, len(edges))
        if share >= self.n_bins:
            return edges
        return _quantiles(block, share) if share >= _MIN_BINS else {}

    def _fit_columns(self, X: Any) -> ColumnTransformer:
        """Return a fitted transformer of the columns of a data frame."""
        names = list(X.columns)
        numeric = [i for i in range(len(names)) if is_numeric(X, i)]
        others = sorted(set(range(len(names))) - set(numeric))
        block = floats(X, numeric)
        strings = dict(zip(others, labels(X, others), strict=True))
        levels = {i: self._known_levels(strings[i]) for i in others}
        levels = {i: known for i, known in levels.items() if known}
        if not numeric and not levels:
            raise ValueError(
                "no column is left to learn from: none is numeric, and no level of any "
                f"other is in {self._least(len(block))} rows or more"
            )
        row: dict[int, Any] = {i: [""] for i in others}
        row |= zip(numeric, _medians(block)[:, np.newaxis], strict=True)
        frame = type(X)({name: row[i] for i, name in enumerate(names)})
        names = list(getattr(self, "feature_names_in_", range(len(names))))
        edges = self._edges(block)
        steps = [
            *_numeric_steps([names[i] for i in numeric], edges),
            ("categorical", _encoder(levels.values()), [names[i] for i in levels]),
        ]
        transformer = ColumnTransformer(
            [step for step in steps if step[2]],
            sparse_threshold=0,
            verbose_feature_names_out=False,
        ).set_output(transform="default")
        transformer.fit(frame)
        _set_numbers(transformer, edges, block)
        return transformer

    def _least(self, n_samples: int) -> int:
        """Return in how many rows a level must be to be known."""
        return min(self.min_frequency, math.ceil(n_samples / 100))

    def _known_levels(self, strings: list[str | None]) -> list[str | None]:
        """Return the levels that get a column, sorted, with missing as the last."""
        counts = Counter(strings)
        if counts.keys() == {None}:
            return []
        least = self._least(len(strings))
        order = sorted(counts, key=lambda v: (-counts[v], v is None, v or ""))
        known = [v for v in order if counts[v] >= least][: self.max_categories]
        return sorted(known, key=lambda v: (v is None, v or ""))

    def _read_frame(self, X: Any) -> tuple[NDArray[Any], list[list[str | None]]]:
        """Return the numeric columns of a data frame, and the others as strings."""
        check_frame(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        check_not_empty(X)
        X, shortcut = native(X), self._shortcut
        block = shortcut.imputed(floats(X, shortcut.numeric))
        return block, labels(X, shortcut.categorical)

    def _read_array(self, X: Any) -> NDArray[Any]:
        """Return the numeric columns of an array."""
        shortcut = self._shortcut
        if shortcut.categorical:
            raise TypeError(
                "fit saw a data frame with columns of strings; pass a data frame, not "
                f"{type(X).__name__}"
            )
        named = hasattr(self, "feature_names_in_")
        rows = None if named else plain_rows(X, self.n_features_in_, self.dtype_)
        whole = len(shortcut.numeric) == self.n_features_in_
        if rows is not None and whole:
            return rows
        rows = self._check_array(X, self.dtype_, reset=False)
        return shortcut.imputed(rows if whole else rows[:, shortcut.numeric])


@dataclass(frozen=True)
class _Shortcut:
    """What a fitted ``transformer_`` computes, in a few operations on arrays.

    scikit-learn's steps check their input one after the other. For a single row, that
    takes a hundred times as long as the arithmetic.

    Attributes
    ----------
    numeric, categorical : list of int
        The positions of the columns.
    sources : ndarray of int
        The numeric column that each numeric output is made of: all of them, and then
        for each bin its column.
    statistics : list of ndarray
        In the dtype of the preprocessor, the medians of the numeric columns; and for
        the numeric outputs what is subtracted, and what it is divided by.
    bounds : list of (float, float, float)
        For the standardized values and for the bins, what is added to all of them, and
        where they are clipped after that.
    columns_of : list of dict
        For each categorical column the output column of each level; None is missing.
    """

    numeric: list[int]
    categorical: list[int]
    sources: NDArray[np.intp]
    statistics: list[NDArray[Any]]
    bounds: list[tuple[float, float, float]]
    columns_of: list[dict[str | None, int]]

    @classmethod
    def of(cls, preprocessor: TabularPreprocessor) -> _Shortcut:
        """Read the numbers off a fitted preprocessor's ``transformer_``."""
        n_features = preprocessor.n_features_in_
        names = getattr(preprocessor, "feature_names_in_", range(n_features))
        position = {name: i for i, name in enumerate(names)}
        parts = {
            name: (step, [position[column] for column in columns])
            for name, step, columns in _parts(preprocessor.transformer_, names)
        }
        steps, numeric = parts.get("numeric", (None, []))
        encoder, categorical = parts.get("categorical", (None, []))
        bins, binned = parts.get("bins", (None, []))
        sources = list(range(len(numeric)))
        if bins is not None:
            ((_, _, repeated),) = bins["repeat"].transformers
            sources += [numeric.index(binned[i]) for i in repeated]
        fitted = [part for part in (steps, bins) if part is not None]
        number = itertools.count(len(sources))
        return cls(
            numeric,
            categorical,
            np.array(sources, dtype=np.intp),
            _statistics(fitted, preprocessor.dtype_),
            [(part["clip"].min_[0], *part["clip"].feature_range) for part in fitted],
            [
                {v if isinstance(v, str) else None: next(number) for v in levels}
                for levels in ([] if encoder is None else encoder.categories_)
            ],
        )

    def imputed(self, block: NDArray[Any]) -> NDArray[Any]:
        """Return the numeric columns with their medians in place of missing values."""
        if not self.numeric:
            return block
        median = self.statistics[0]
        return np.ascontiguousarray(np.where(np.isnan(block), median, block))

    def __call__(
        self, block: NDArray[Any], strings: list[list[str | None]]
    ) -> NDArray[np.float32]:
        """Return the output columns of the imputed numeric and the other columns."""
        if not self.columns_of and block.size <= _BATCH_VALUES:  # faster for a row
            return self._encoded(block).astype(np.float32, copy=False)
        n_numbers = len(self.sources)
        width = n_numbers + sum(map(len, self.columns_of))
        out = np.zeros((len(block), width), np.float32)
        n_rows = _BATCH_VALUES // max(1, n_numbers) + 1
        for start in range(0, len(block), n_rows):
            batch = slice(start, start + n_rows)
            out[batch, :n_numbers] = self._encoded(block[batch])
        for columns, column in zip(self.columns_of, strings, strict=True):
            hot = np.array([columns.get(level, -1) for level in column])
            rows = np.flatnonzero(hot >= 0)
            out[rows, hot[rows]] = 1
        return out

    def _encoded(self, block: NDArray[Any]) -> NDArray[Any]:
        if not self.numeric:
            return block
        _, start, scale = self.statistics
        n_numeric = len(self.numeric)
        if len(self.sources) > n_numeric:
            block = block.take(self.sources, axis=1)
        # What overflows is clipped in the end.
        with np.errstate(over="ignore", invalid="ignore"):
            out = block - start
            out /= scale
        # One after the other, as numpy is fast if all columns have the same bounds.
        parts = (out[:, :n_numeric], out[:, n_numeric:])
        for part, (shift, low, high) in zip(parts, self.bounds, strict=False):
            if shift:
                part += shift
            part.clip(low, high, out=part)
        return out


def _medians(block: NDArray[Any]) -> NDArray[Any]:
    """Return the medians of columns; 0 where all of a column is missing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nan_to_num(np.nanmedian(block, axis=0))


def _scaler(block: NDArray[Any], medians: NDArray[Any]) -> StandardScaler:
    """Return a scaler of columns with their medians in place of missing values."""
    scaler = StandardScaler()
    # Some rows after the others, as all at once would be copied several times.
    for rows in gen_batches(len(block), _BATCH_VALUES // max(1, len(medians)) + 1):
        scaler.partial_fit(np.where(np.isnan(block[rows]), medians, block[rows]))
    return scaler


def _quantiles(block: NDArray[Any], n_bins: int) -> _Edges:
    """Return the edges of up to ``n_bins`` bins of each column that gets two or more.

    They are values of the column, so that one of few different values has few bins.
    """
    shares = np.linspace(0, 1, n_bins + 1)
    edges = {}
    for i, column in enumerate(block.T):
        known = column[~np.isnan(column)]
        if len(known):
            ends = np.unique(np.quantile(known, shares, method="inverted_cdf"))
            if len(ends) > 2:
                edges[i] = ends
    return edges


def _numeric_steps(
    columns: Sequence[Any], edges: _Edges
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


def _encoder(levels: Any) -> OneHotEncoder:
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


def _set_numbers(
    transformer: Pipeline | ColumnTransformer, edges: _Edges, block: NDArray[Any]
) -> None:
    """Make numeric steps that were fitted to the medians alone scale, clip and encode.

    To fit them to all rows would take several times the memory of these.
    """
    dtype = block.dtype.type
    for name, steps, _ in _parts(transformer, []):
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


def _parts(
    transformer: Pipeline | ColumnTransformer, columns: Iterable[Any]
) -> list[tuple[str, Any, list[Any]]]:
    """Return the fitted steps of columns; of a Pipeline, it is one for all columns."""
    if isinstance(transformer, Pipeline):
        return [("numeric", transformer, list(columns))]
    return [step for step in transformer.transformers_ if step[0] != "remainder"]


def _statistics(fitted: list[Pipeline], dtype: type) -> list[NDArray[Any]]:
    """Return the medians of fitted numeric steps, and what they shift and divide by."""
    if not fitted:
        return []
    scalers = [steps["scale"] for steps in fitted]
    values = (
        fitted[0]["impute"].statistics_,
        np.concatenate([scaler.mean_ for scaler in scalers]),
        np.concatenate([scaler.scale_ for scaler in scalers]),
    )
    return [value.astype(dtype) for value in values]
