"""What the estimators of students in a file share. None of it needs torch."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skdistill.deploy._loaded_file import LEVELS, NUMBERS, LoadedFile
from skdistill.utils._dates import PARTS, date_parts
from skdistill.utils._frames import (
    check_frame,
    few_objects,
    floats,
    is_frame,
    labels,
    native,
)
from skdistill.utils._locks import ForkSafeLock
from skdistill.utils._validation import (
    check_not_empty,
    has_known_columns,
    plain_rows,
)

# Held while a file is loaded, so that threads share one.
_LOADING = ForkSafeLock()


class LoadedEstimator(BaseEstimator):
    """A student in a file, which is loaded on first use.

    Subclasses name their only parameter, and define ``_open``, which loads what it
    names.
    """

    _parameter: ClassVar[str]
    _file: Any = None

    def _open(self, source: Any) -> Any:
        """Return a :class:`LoadedFile`."""
        raise NotImplementedError

    def _load(self) -> Any:
        """Return the file, loaded."""
        source, file = getattr(self, self._parameter), self._file
        if file is None or file.source is not source:
            with _LOADING:
                file = self._file
                if file is None or file.source is not source:
                    file = self._file = self._open(source)
        return file

    def __sklearn_clone__(self) -> Self:
        new = type(self)(getattr(self, self._parameter))
        new._file = self._file
        return new

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__()}
        state.pop("_file", None)
        return state

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Load the file. The model is used as it is, and nothing is learned.

        Parameters
        ----------
        X, y : ignored
            Present for compatibility with scikit-learn.

        Returns
        -------
        self : estimator
            The same object.
        """
        self._load()
        return self

    @property
    def n_features_in_(self) -> int:
        return self._loaded().n_features

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        names = self._loaded().feature_names
        if names is None:
            raise AttributeError("the features of the model have no names")
        return names

    @property
    def metadata_(self) -> dict[str, str]:
        return dict(self._loaded().metadata)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.target_tags.required = False
        tags.input_tags.allow_nan = True
        return tags

    def _labels(self, proba: NDArray[np.float64]) -> NDArray[Any]:
        """Return the most probable classes, or an indicator matrix of labels."""
        file = self._load()
        if file.multilabel:
            return (proba > 0.5).astype(np.int64)
        return np.asarray(file.classes)[proba.argmax(axis=1)]

    def _numbers(self, said: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is said of rows, if it is finite."""
        self._refuse_row(np.isfinite(said).reshape(len(said), -1).all(axis=1))
        return said

    def _refuse_row(self, sound: Any) -> None:
        """Raise a ValueError if the model says nothing of a row."""
        if not sound.all():
            raise ValueError(
                f"the model has no {self._load().output} for row {sound.argmin()}: "
                "Input X contains NaN, which this model does not replace, or numbers "
                "too large for it"
            )

    def _loaded(self) -> Any:
        """Return the file, or raise an AttributeError if it cannot be loaded."""
        try:
            return self._load()
        except (ImportError, OSError, TypeError, ValueError) as error:
            raise AttributeError(f"the model cannot be loaded: {error}") from error

    def _frame(self, X: Any) -> Any:
        """Return a data frame of pandas or polars with the columns of the model."""
        if not has_known_columns(self, X):
            check_frame(X)
            validate_data(self, X, reset=False, skip_check_array=True)
            check_not_empty(X)
        return native(X)

    def _rows(self, X: Any, file: LoadedFile) -> NDArray[Any]:
        """Return rows of numbers as one array."""
        if not is_frame(X):
            return self._check_array(X, file)
        every = list(range(file.n_features))
        return floats(self._frame(X), every, allow_nan=file.allow_nan, dtype=file.dtype)

    def _columns(self, X: Any, file: LoadedFile) -> dict[int, Any]:
        """Return numbers, seconds of dates, and lists of levels, by their columns."""
        if not is_frame(X):
            check_frame(X)
            if file.needs_frame:
                raise TypeError(
                    "the model takes columns of strings or dates; pass a data frame, "
                    f"not {type(X).__name__}"
                )
            return dict(enumerate(self._check_array(X, file).T))
        X = self._frame(X)
        numbers, levels = (
            [i for i, kind in enumerate(file.kinds) if kind in kinds]
            for kinds in (NUMBERS, LEVELS)
        )
        objects = few_objects(X) if len(numbers) < X.shape[1] else None
        block = floats(X, numbers, objects, allow_nan=file.allow_nan, dtype=file.dtype)
        columns = dict(zip(numbers, block.T, strict=True))
        columns |= zip(levels, labels(X, levels, objects), strict=True)
        for i, zone in file.zones.items():
            columns[i] = date_parts(X, i, zone)[:, PARTS.index("total_seconds")]
        return columns

    def _check_array(self, X: Any, file: Any) -> NDArray[Any]:
        # validate_data takes longer for a row than the net.
        if len(file.shape) == 1 and file.feature_names is None:
            rows = plain_rows(X, file.n_features, file.dtype)
            if rows is not None:
                return rows
        check_frame(X)
        # What overflows is reported as infinite.
        with np.errstate(over="ignore", under="ignore"):
            # dtype="numeric" also refuses strings of digits.
            checked = validate_data(
                self,
                X,
                reset=False,
                dtype="numeric",
                ensure_all_finite=False,
                allow_nd=len(file.shape) > 1,
            )
            check_array(
                checked,
                dtype=np.float32,
                ensure_all_finite="allow-nan" if file.allow_nan else True,
                allow_nd=len(file.shape) > 1,
                estimator=self,
                input_name="X",
            )
            rows = checked.astype(file.dtype, copy=False)
        if checked.shape[1:] != file.shape:
            raise ValueError(
                f"X has shape {checked.shape}; the model takes rows of shape "
                f"{file.shape}"
            )
        return rows
