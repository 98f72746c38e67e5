"""What the scikit-learn estimators of ONNX files share. None of it needs torch."""

from __future__ import annotations

import os
import threading
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skdistill.deploy._onnx_file import File, load
from skdistill.utils._frames import check_frame, floats, is_frame, labels, native
from skdistill.utils._validation import check_not_empty, plain_rows

# The number of rows in one call of onnxruntime. It bounds the memory, and intermediate
# values stay in the cache.
_BATCH_SIZE = 8192

# What replaces a missing string, and the string "nan". to_onnx refuses levels named
# "nan", so that any unknown level can replace that string.
_STRINGS: dict[str | None, str] = {None: "nan", "nan": "\0nan"}

# Held while a file is loaded, so that threads share one session.
_LOADING = threading.Lock()


class OnnxEstimator(BaseEstimator):
    """A student in an ONNX file. The kind of file is that of ``_kind``."""

    _kind: ClassVar[type[File]]
    _file: Any = None

    def __init__(self, model: str | os.PathLike[str] | bytes) -> None:
        self.model = model

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

    def __sklearn_clone__(self) -> Self:
        new = type(self)(self.model)
        new._file = self._file
        return new

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.target_tags.required = False
        tags.input_tags.allow_nan = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__(), "model": self._load().content}
        state.pop("_file", None)
        return state

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if isinstance(self.model, bytes):
            return f"{type(self).__name__}(model=<{len(self.model)} bytes>)"
        return str(super().__repr__(N_CHAR_MAX))

    def _load(self) -> Any:
        file = self._file
        if file is None or file.model is not self.model:
            with _LOADING:
                file = self._file
                if file is None or file.model is not self.model:
                    file = self._file = load(self.model, self._kind)
        return file

    def _said(self, X: Any) -> NDArray[np.float64]:
        """Return what the model says of each row."""
        file = self._load()
        inputs = self._inputs(X, file)
        n_rows = len(next(iter(inputs.values())))
        batches = [
            {name: column[i : i + _BATCH_SIZE] for name, column in inputs.items()}
            for i in range(0, n_rows, _BATCH_SIZE)
        ]
        return np.concatenate([file.run(batch) for batch in batches], dtype=np.float64)

    def _refuse_row(self, sound: Any) -> None:
        """Raise a ValueError if the model says nothing of a row."""
        if not sound.all():
            raise ValueError(
                f"the model has no {self._kind.output} for row {sound.argmin()}: Input "
                "X contains NaN, which this model does not replace, or numbers too "
                "large for it"
            )

    def _loaded(self) -> Any:
        """Return the file, or raise an AttributeError if it cannot be loaded."""
        try:
            return self._load()
        except (ImportError, OSError, TypeError, ValueError) as error:
            raise AttributeError(f"the model cannot be loaded: {error}") from error

    def _inputs(self, X: Any, file: File) -> dict[str, NDArray[Any]]:
        """Return the values of the inputs of the model, by their names."""
        check_frame(X)
        if is_frame(X):
            columns = self._frame_columns(X, file)
        elif "string" in file.kinds:
            raise TypeError(
                "the model takes columns of strings; pass a data frame, not "
                f"{type(X).__name__}"
            )
        else:
            rows = self._check_array(X, file)
            if not file.kinds:
                return {file.inputs[0]: rows}
            columns = [rows[:, i : i + 1] for i in range(file.n_features)]
        if not file.kinds:
            return {file.inputs[0]: np.concatenate(columns, axis=1)}
        return dict(zip(file.inputs, columns, strict=True))

    def _check_array(self, X: Any, file: File) -> NDArray[Any]:
        # validate_data takes longer for a row than the net.
        if len(file.shape) == 1 and file.feature_names is None:
            rows = plain_rows(X, file.n_features, file.dtype)
            if rows is not None:
                return rows
        with np.errstate(over="ignore"):  # what overflows is reported as infinite
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
        if checked.shape[1:] != file.shape:
            raise ValueError(
                f"X has shape {checked.shape}; the model takes rows of shape "
                f"{file.shape}"
            )
        return checked.astype(file.dtype, copy=False)

    def _frame_columns(self, X: Any, file: File) -> list[NDArray[Any]]:
        """Return the columns of a data frame as floats and strings."""
        validate_data(self, X, reset=False, skip_check_array=True)
        check_not_empty(X)
        X = native(X)
        kinds = file.kinds or ("float",) * file.n_features
        numeric = [i for i, kind in enumerate(kinds) if kind != "string"]
        others = [i for i, kind in enumerate(kinds) if kind == "string"]
        block = floats(X, numeric, allow_nan=file.allow_nan, dtype=file.dtype)
        columns = {i: block[:, k : k + 1] for k, i in enumerate(numeric)}
        for i, levels in zip(others, labels(X, others), strict=True):
            strings = [_STRINGS.get(label, label) for label in levels]
            columns[i] = np.array(strings, dtype=object)[:, np.newaxis]
        return [columns[i] for i in range(file.n_features)]
