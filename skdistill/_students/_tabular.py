"""From tables of any kind to float32 columns: the first step of the default student.

It needs no torch, so that a deployed student can prepare its rows by the same code.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections import Counter
from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    OneToOneFeatureMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    assert_all_finite,
    check_is_fitted,
    validate_data,
)

from skdistill._students._bins import (
    MAX_BINS,
    MIN_BINS,
    changes,
    most_telling,
    target_bins,
)
from skdistill.utils._arrays import Array, Floats, Ints
from skdistill.utils._dates import PARTS, date_parts, zone_to_keep
from skdistill.utils._frames import (
    are_mixed,
    check_frame,
    few_objects,
    floats,
    is_frame,
    kind_of,
    labels,
    native,
)
from skdistill.utils._underflow import underflow_is_zero
from skdistill.utils._validation import (
    check_not_empty,
    has_known_columns,
    plain_rows,
)

# How many standard deviations from the mean a numeric column may go.
CLIP = 10.0

# How many values are scaled at once. In float64, all of a large table would take
# twice the memory of the result.
_BATCH_VALUES = 2**18

# By the position of a column of dates, its time zone and the parts that are used.
_Numeric = Literal["standard", "piecewise", "auto"]
_Dates = dict[int, tuple[str | None, list[str]]]


# Its output is an array, whatever scikit-learn is set to give: a net takes no frames.
class TabularPreprocessor(  # type: ignore[call-arg]
    TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Turn a table into standardized float32 columns for a net.

    It is the first step of :func:`make_student`, named "preprocess". The columns of an
    array are all numeric. In a data frame of pandas, polars or pyarrow, columns of
    numbers and booleans are numeric, and so is a column of objects if all of them are
    numbers. Columns of strings, of categories (also categories that are numbers), and
    of numbers mixed with strings are categorical. Columns of dates, with or without
    times, become numeric columns: the year, month, day of the week (0 is Monday), hour,
    and seconds since the beginning of 1970. Parts that are the same in all rows of
    ``fit`` are left out, such as the hour of dates without times.

    Missing values of numeric columns are replaced by the median, and the columns are
    standardized and clipped to 10 standard deviations from the mean. Only then are they
    cast to float32: the steps before compute in the precision of ``dtype_``.
    With ``numeric="piecewise"`` these are followed by a piecewise-linear encoding [1]_,
    from which a small net learns functions with steps and bends more easily.

    Categorical columns are one-hot encoded. Missing values (None, NaN, NaT,
    ``pandas.NA`` and null) are one more level. A level that is too rare to be known is
    zero in all outputs of its column, as is a level that was not seen in ``fit``. So
    the net learns from the rare levels what to do with unseen ones.

    Dates with a time zone are read by the clock of the zone that the column had in
    ``fit``; dates of another zone are converted. Dates without a time zone are read as
    they are.

    Parameters
    ----------
    numeric : {"standard", "piecewise", "auto"}, default="standard"
        What is made of a numeric column. "standard" is the standardized value.
        "piecewise" adds an output for each bin of the column, which rises from -0.5 to
        0.5 over its bin, and is constant outside. The bins lie between quantiles, or,
        if ``fit`` gets soft labels of 100 rows or more, where these change
        (target-aware bins [1]_). "auto" stands for "piecewise", unless
        :class:`DistilledClassifier` or :class:`DistilledRegressor` sets it to
        "standard" in its ``fit``.
    n_bins : int, default=16
        The largest number of bins of a column between quantiles, at least 3, for
        ``numeric="piecewise"``. Equal quantiles are merged, so that a column of few
        different values has fewer. Where fewer than half of the bins would be left, as
        most rows have one value, further bins lie between quantiles of the other
        values. A column that would have only one bin, as a binary or a constant one,
        gets none: the standardized value says the same. All columns share 256 bins, so
        that the net stays small for a wide table: if k columns have bins, each has at
        most 256 / k, and none has any where that is less than 3. Target-aware bins,
        which are 256 in all, are shared by how much the columns tell, up to four times
        ``n_bins`` for a column.
    min_frequency : int, default=10
        The number of rows that must have a level for it to be known, or 1 % of the
        rows if that is less. A weight learned from fewer rows is mostly noise.
    max_categories : int, default=50
        The largest number of known levels of a column; the most frequent ones are
        kept. It bounds the number of output columns, and so the size of the net.
    max_outputs : int, default=None
        The largest number of output columns, for a small net. First there are fewer
        bins, then fewer levels of the columns that have most, and then, if ``fit`` gets
        soft labels of 100 rows or more, fewer numeric columns: those are kept along
        which the soft labels change most. One level of each categorical column and a
        number are kept. None sets no bound.

    Attributes
    ----------
    dtype_ : type
        What numbers are cast to first: ``numpy.float32`` if ``fit`` saw an array of
        float32, and ``numpy.float64`` if it saw anything else.
    dates_ : dict
        By the position of each column of dates, its time zone, None if it has none, and
        the list of its parts that are used: "year", "month", "weekday", "hour" and
        "total_seconds".
    numeric_columns_ : list of int
        The positions of the numeric columns that are used. The used parts of dates
        follow, counted as if they were further columns after those of X.
    medians_ : ndarray of shape (`n_numeric_`,)
        What replaces the missing values of the numeric columns.
    sources_ : ndarray of shape (n_numeric_outputs,), int
        For each numeric output, which of the numeric columns it is computed from: the
        standardized values first, from 0 to `n_numeric_` - 1, and then the bins.
    offsets_, scales_ : ndarray of shape (n_numeric_outputs,)
        What is subtracted for each numeric output, and what the difference is divided
        by. For a standardized value, these are the mean and the standard deviation. The
        quotient is clipped to [-10, 10]. For a bin, these are its start and its width.
        The quotient minus 0.5 is clipped to [-0.5, 0.5].
    levels_ : dict
        By the position of each categorical column, the list of its known levels, in the
        order of their outputs. None stands for missing.
    mixed_columns_ : list of int
        The positions of those categorical columns that held something else in ``fit``
        than strings alone or numbers alone, such as intervals, or both. Their levels
        are what ``str`` makes of the values.
    n_numeric_ : int
        The number of numeric columns, with the parts of dates. Their standardized
        values are the first outputs.
    transformer_ : sklearn.compose.ColumnTransformer or sklearn.pipeline.Pipeline
        The fitted preprocessing as plain scikit-learn, for deployment without this
        class, made anew from the attributes above whenever it is asked for. It is a
        Pipeline if all columns are numeric, have no names and no bins. Otherwise it is
        a ColumnTransformer over columns listed by name, or by position if they have no
        names. The ColumnTransformer takes numbers as floats, and strings
        with NaN for missing (in ONNX, "nan"). In place of a column of dates, it takes
        a column for each of its parts, named as by ``get_feature_names_out``. If the
        numbers are of the dtype ``dtype_``, the outputs are equal up to rounding.
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

    The numbers of a date. Month and hour are the same in all rows, and left out:

    >>> X = pd.DataFrame({"due": pd.to_datetime(["2023-05-01", "2024-05-03", None])})
    >>> preprocess = TabularPreprocessor().fit(X)
    >>> preprocess.get_feature_names_out().tolist()
    ['due_year', 'due_weekday', 'due_total_seconds']

    Four bins, between the quartiles:

    >>> X = [[0], [1], [2], [4], [8]]
    >>> preprocess = TabularPreprocessor(numeric="piecewise", n_bins=4).fit(X)
    >>> preprocess.get_feature_names_out().tolist()
    ['x0', 'x0_bin_0', 'x0_bin_1', 'x0_bin_2', 'x0_bin_3']
    >>> preprocess.transform([[0], [3]]).round(2)
    array([[-1.06, -0.5 , -0.5 , -0.5 , -0.5 ],
           [ 0.  ,  0.5 ,  0.5 ,  0.  , -0.5 ]], dtype=float32)
    """

    dtype_: type
    dates_: _Dates
    levels_: dict[int, list[str | None]]
    mixed_columns_: list[int]

    _parameter_constraints: dict[str, list[Any]] = {
        "numeric": [StrOptions(set(get_args(_Numeric)))],
        "n_bins": [Interval(Integral, MIN_BINS, None, closed="left")],
        "min_frequency": [Interval(Integral, 1, None, closed="left")],
        "max_categories": [Interval(Integral, 1, None, closed="left")],
        "max_outputs": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        *,
        numeric: _Numeric = "standard",
        n_bins: int = 16,
        min_frequency: int = 10,
        max_categories: int = 50,
        max_outputs: int | None = None,
    ) -> None:
        self.numeric = numeric
        self.n_bins = n_bins
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.max_outputs = max_outputs

    @_fit_context(prefer_skip_nested_validation=True)
    @underflow_is_zero
    def fit(self, X: Any, y: Any = None) -> TabularPreprocessor:
        """Learn the kinds, ranges and levels of the columns.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The training rows.
        y : ndarray of shape (n_samples, n_outputs), default=None
            What is to be learned of the rows, such as soft labels, for
            ``numeric="piecewise"``. Labels, which have one dimension, are ignored.

        Returns
        -------
        self : TabularPreprocessor
            The fitted preprocessor.

        Raises
        ------
        TypeError
            If a column holds durations, dates mixed with strings, or anything else that
            is neither numbers nor strings nor dates.
        ValueError
            If a value is infinite, a time zone has no name, or no column is left to
            learn from.
        """
        check_frame(X)
        if is_frame(X):
            validate_data(self, X, skip_check_array=True)
            check_not_empty(X)
            self.dtype_ = np.float64
            block = self._fit_columns(native(X))
        else:
            block = self._check_array(X, [np.float64, np.float32], reset=True)
            self.dtype_ = block.dtype.type
            self.dates_, self.levels_, self.mixed_columns_ = {}, {}, []
            self.numeric_columns_ = list(range(block.shape[1]))
        self._fit_numbers(block, y)
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
            If ``fit`` saw columns of strings or dates and X is an array, or a column
            holds values that are neither numbers nor strings nor dates.
        ValueError
            If the columns are not those of ``fit``, a numeric column holds strings or
            dates, a column of dates holds anything else, or has a time zone if it had
            none in ``fit`` (or the other way round), or a value is infinite.
        """
        if not hasattr(self, "scales_"):  # the full check is slow for one row
            check_is_fitted(self)
        return self._encode(*self._read(X))

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
            The names of the numeric columns; then for each part of a date its column's
            name, an underscore and the part; then for each bin its column's name,
            "_bin_" and a number from 0; then for each level its column's name, an
            underscore and the level.
        """
        check_is_fitted(self)
        # The names of the input, checked: this mixin returns them as they are.
        names = OneToOneFeatureMixin.get_feature_names_out(self, input_features)
        columns = self._with_parts(names)
        numeric = [columns[i] for i in self.numeric_columns_]
        outputs = list(numeric)
        for column, same in itertools.groupby(self.sources_[self.n_numeric_ :]):
            outputs += [f"{numeric[column]}_bin_{i}" for i, _ in enumerate(same)]
        for i, known in self.levels_.items():
            outputs += [f"{names[i]}_{'nan' if v is None else v}" for v in known]
        return np.array(outputs, dtype=object)

    @property
    def n_numeric_(self) -> int:
        """The number of numeric columns."""
        return len(self.numeric_columns_)

    @property
    def transformer_(self) -> Pipeline | ColumnTransformer:
        """The preprocessing as fitted steps of scikit-learn, made anew."""
        from skdistill._students._steps import steps_of

        return steps_of(self, self._column_names())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _check_array(self, X: Any, dtype: Any, *, reset: bool) -> Array:
        """Return X as an array of a dtype, or of one of a list of dtypes.

        Numbers may be missing, but not beyond the range of float32.
        """
        check_frame(X)
        # What overflows is reported as infinite.
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            X = validate_data(
                self, X, reset=reset, dtype=dtype, ensure_all_finite="allow-nan"
            )
            narrow = X.astype(np.float32, copy=False)
            assert_all_finite(narrow, allow_nan=True, input_name="X")
        return X

    def _fit_numbers(self, block: Array, targets: Any) -> None:
        """Learn from the numeric columns what their outputs are computed with."""
        medians, most = _medians(block), self._most_numbers(block.shape[1])
        found = None
        if self.numeric != "standard" or most < block.shape[1]:
            found = changes(_imputed(block, medians), targets)
        if found is not None and most < block.shape[1]:
            kept = most_telling(found, block.shape[1], most)
            self._leave_out_but(kept)
            block, medians, found = block[:, kept], medians[kept], found.along(kept)
        self.medians_ = medians
        offsets, scales = _means_and_scales(block, medians)
        sources = list(range(len(offsets)))
        if self.numeric != "standard":
            most = self._most_bins()
            columns, starts, widths = target_bins(block, found, self.n_bins, most)
            sources += columns
            offsets = np.concatenate([offsets, starts])
            scales = np.concatenate([scales, widths])
        self.sources_ = np.array(sources, dtype=np.intp)
        self.offsets_: Array = offsets.astype(self.dtype_)
        # In float32, the deviation of subnormal numbers may round to 0.
        smallest = np.finfo(self.dtype_).tiny
        self.scales_: Array = scales.astype(self.dtype_).clip(smallest)

    def _leave_out_but(self, kept: Ints) -> None:
        """Keep some of the numeric columns, given in ascending order."""
        n_features = self.n_features_in_
        parts = [(i, part) for i, (_, used) in self.dates_.items() for part in used]
        columns = [self.numeric_columns_[number] for number in kept]
        own = [i for i in columns if i < n_features]
        of_dates = {parts[i - n_features] for i in columns[len(own) :]}
        dates = {
            i: (zone, [part for part in used if (i, part) in of_dates])
            for i, (zone, used) in self.dates_.items()
        }
        self.dates_ = {i: date for i, date in dates.items() if date[1]}
        self.numeric_columns_ = [*own, *range(n_features, n_features + len(of_dates))]

    def _fit_columns(self, X: Any) -> Floats:
        """Learn the kinds and levels of the columns; return the numeric columns."""
        kinds = [kind_of(X, i) for i in range(X.shape[1])]
        numeric, others, dates = (
            [i for i, kind in enumerate(kinds) if kind == wanted]
            for wanted in ("numbers", "levels", "dates")
        )
        self.dates_ = self._used_dates(X, dates)
        block = np.hstack([floats(X, numeric), *self._read_dates(X)])
        n_parts = block.shape[1] - len(numeric)
        self.numeric_columns_ = [*numeric, *range(len(kinds), len(kinds) + n_parts)]
        known = self._fewer([*map(self._known_levels, labels(X, others))])
        self.levels_ = {
            i: sorted(some, key=lambda v: (v is None, v or ""))  # missing as the last
            for i, some in zip(others, known, strict=True)
            if some
        }
        self.mixed_columns_ = [i for i in self.levels_ if are_mixed(X, i)]
        if not self.numeric_columns_ and not self.levels_:
            raise ValueError(
                "no column is left to learn from: none is numeric, no level of any "
                f"other is in {self._least(len(block))} rows or more, and no dates "
                "differ"
            )
        return block

    def _used_dates(self, X: Any, positions: list[int]) -> _Dates:
        """Return the zones of columns of dates, and their parts that vary."""
        dates: _Dates = {}
        for i in positions:
            zone = zone_to_keep(X, i)
            parts = date_parts(X, i, zone)
            known = parts[~np.isnan(parts).any(axis=1)]
            varies = (known != known[:1]).any(axis=0)
            used = [part for part, used in zip(PARTS, varies, strict=True) if used]
            if used:
                dates[i] = (zone, used)
        return dates

    def _read_dates(self, X: Any) -> list[Floats]:
        """Return the parts of each column of dates."""
        return [
            date_parts(X, i, zone)[:, [PARTS.index(part) for part in used]]
            for i, (zone, used) in self.dates_.items()
        ]

    def _with_parts(self, names: Sequence[str]) -> list[str]:
        """Return the names of the columns, and after them those of parts of dates."""
        columns = list(names)
        for i, (_, used) in self.dates_.items():
            for part in used:
                name = f"{names[i]}_{part}"
                while name in columns:
                    name += "_"
                columns.append(name)
        return columns

    def _column_names(self) -> list[Any]:
        """Return the names of the columns and of parts of dates.

        Columns without names have their positions as names, and their parts follow.
        """
        if hasattr(self, "feature_names_in_"):
            return self._with_parts(self.feature_names_in_)
        n_parts = sum(len(used) for _, used in self.dates_.values())
        return list(range(self.n_features_in_ + n_parts))

    def _least(self, n_samples: int) -> int:
        """Return in how many rows a level must be to be known."""
        return min(self.min_frequency, math.ceil(n_samples / 100))

    def _known_levels(self, strings: list[str | None]) -> list[str | None]:
        """Return the levels that get an output, the most frequent ones first."""
        counts = Counter(strings)
        if counts.keys() == {None}:
            return []
        least = self._least(len(strings))
        order = sorted(counts, key=lambda v: (-counts[v], v is None, v or ""))
        return [v for v in order if counts[v] >= least][: self.max_categories]

    def _fewer(self, known: list[list[str | None]]) -> list[list[str | None]]:
        """Return fewer levels of each column where they are too many outputs."""
        if self.max_outputs is None:
            return known
        room, most = self.max_outputs - self.n_numeric_, self.max_categories
        while most > 1 and sum(len(levels[:most]) for levels in known) > room:
            most -= 1
        return [levels[:most] for levels in known]

    def _most_numbers(self, n_numeric: int) -> int:
        """Return how many of the numeric columns are kept."""
        if self.max_outputs is None:
            return n_numeric
        return max(1, self.max_outputs - self._n_levels)

    def _most_bins(self) -> int:
        """Return how many bins the numeric columns may have together."""
        if self.max_outputs is None:
            return MAX_BINS
        room = self.max_outputs - self.n_numeric_ - self._n_levels
        return min(MAX_BINS, max(0, room))

    def encoding_of(self, number: int) -> tuple[Array, Array, float]:
        """Return the offsets and scales of a numeric column, and where it is clipped.

        The first are those of its standardized value, the others those of its bins.

        Parameters
        ----------
        number : int
            Which of the numeric columns.

        Returns
        -------
        offsets, scales : ndarray of shape (1 + n_bins_of_the_column,), float64
            Those of ``offsets_`` and ``scales_`` that belong to the column.
        clip : float
            The standardized value is clipped to [-clip, clip].
        """
        own = self.sources_ == number
        offsets, scales = (
            values[own].astype(np.float64) for values in (self.offsets_, self.scales_)
        )
        return offsets, scales, CLIP

    @property
    def _n_levels(self) -> int:
        return sum(map(len, self.levels_.values()))

    @property
    def _n_outputs(self) -> int:
        return len(self.sources_) + self._n_levels

    def _read(self, X: Any) -> tuple[Array, Ints]:
        """Check rows, and return what their outputs are computed from.

        Returns
        -------
        block : ndarray of shape (n_samples, n_numeric)
            The numeric columns, with medians in place of missing values.
        places : ndarray of shape (n_samples, n_categorical)
            For each categorical column, the output column of the row's level; -1 for a
            level that is not known.
        """
        read = self._read_plain(X)
        if read is not None:
            return read
        if not is_frame(X):
            block = self._read_array(X)
            return block, _no_places(block)
        check_frame(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        check_not_empty(X)
        return self._read_frame(X)

    def _read_plain(self, X: Any) -> tuple[Array, Ints] | None:
        """Return what :meth:`_read` does, for rows that need no check; else None."""
        if is_frame(X):
            return self._read_frame(X) if has_known_columns(self, X) else None
        if hasattr(self, "feature_names_in_") or self.levels_ or self.dates_:
            return None
        rows = plain_rows(X, self.n_features_in_, self.dtype_)
        return None if rows is None else (self._used(rows), _no_places(rows))

    def _read_frame(self, X: Any) -> tuple[Array, Ints]:
        X = native(X)
        numeric = [i for i in self.numeric_columns_ if i < self.n_features_in_]
        objects = few_objects(X) if len(numeric) < self.n_features_in_ else None
        block = floats(X, numeric, objects)
        if self.dates_:
            block = np.hstack([block, *self._read_dates(X)])
        strings = labels(X, list(self.levels_), objects)
        return _imputed(block, self.medians_), self._places(strings, len(X))

    def _read_array(self, X: Any) -> Array:
        if self.levels_ or self.dates_:
            raise TypeError(
                "fit saw a data frame with columns of strings or dates; pass a data "
                f"frame, not {type(X).__name__}"
            )
        rows = self._check_array(X, self.dtype_, reset=False)
        return _imputed(self._used(rows), self.medians_)

    def _used(self, rows: Array) -> Array:
        """Return the numeric columns of an array, which are all but for a bound."""
        if len(self.numeric_columns_) == self.n_features_in_:
            return rows
        return np.ascontiguousarray(rows[:, self.numeric_columns_])

    def _places(self, strings: list[list[str | None]], n_rows: int) -> Ints:
        places, first = [], len(self.sources_)
        for known, column in zip(self.levels_.values(), strings, strict=True):
            place = dict(zip(known, range(first, first + len(known)), strict=True))
            places.append([place.get(level, -1) for level in column])
            first += len(known)
        return np.array(places, np.int32).reshape(len(places), n_rows).T

    def _encode(self, block: Array, places: Ints) -> Floats:
        """Return the output columns, given what :meth:`_read` returns."""
        if not self.levels_ and block.size <= _BATCH_VALUES:  # faster for a row
            return self._scaled(block)
        n_numbers, n_levels = len(self.sources_), len(self.levels_)
        out = np.zeros((len(block), self._n_outputs), np.float32)
        n_rows = _BATCH_VALUES // (n_numbers + n_levels) + 1
        for start in range(0, len(block), n_rows):
            batch = slice(start, start + n_rows)
            part = out[batch]
            part[:, :n_numbers] = self._scaled(block[batch])
            rows, columns = np.nonzero(places[batch] >= 0)
            part[rows, places[batch][rows, columns]] = 1
        return out

    def _scaled(self, block: Array) -> Floats:
        """Return the standardized values and bins of numeric columns."""
        n_numeric = len(self.numeric_columns_)
        has_bins = len(self.sources_) > n_numeric
        if has_bins:
            block = block.take(self.sources_, axis=1)
        # What overflows is clipped in the end.
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            out = block - self.offsets_
            out /= self.scales_
            # One after the other: numpy is fast if all columns have the same bounds.
            numbers = out[:, :n_numeric]
            numbers.clip(-CLIP, CLIP, out=numbers)
            if has_bins:
                shares = out[:, n_numeric:]
                shares -= 0.5
                shares.clip(-0.5, 0.5, out=shares)
            return out.astype(np.float32, copy=False)


def _no_places(block: Array) -> Ints:
    """Return the places of rows without levels."""
    return np.empty((len(block), 0), np.int32)


def _imputed(block: Array, medians: Array) -> Array:
    """Return columns with medians in place of missing values."""
    return np.ascontiguousarray(np.where(np.isnan(block), medians, block))


def _medians(block: Array) -> Array:
    """Return the medians of columns; 0 where all of a column is missing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        # In float64, as the sum of two numbers of float32 may overflow.
        found = [np.nanmedian(column.astype(np.float64)) for column in block.T]
    return np.nan_to_num(np.array(found, block.dtype))


def _means_and_scales(block: Array, medians: Array) -> tuple[Floats, Floats]:
    """Return the means and standard deviations of columns.

    Medians count in place of missing values. The scale of a constant column is 1.
    """
    if len(medians) == 0:  # which StandardScaler refuses
        return np.empty(0), np.empty(0)
    scaler = StandardScaler()
    # Batch by batch, as all rows at once would be copied several times.
    for rows in gen_batches(len(block), _BATCH_VALUES // len(medians) + 1):
        scaler.partial_fit(_imputed(block[rows], medians))
    return scaler.mean_, scaler.scale_
