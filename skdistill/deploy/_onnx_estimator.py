"""What the scikit-learn estimators of ONNX files share. None of it needs torch."""

from __future__ import annotations

import os
import threading
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from skdistill.deploy._loaded_estimator import LoadedEstimator
from skdistill.deploy._onnx_file import File, load
from skdistill.utils._dates import PARTS, date_parts
from skdistill.utils._frames import check_frame, floats, is_frame, labels

# The number of rows in one call of onnxruntime. It bounds the memory, and intermediate
# values stay in the cache.
_BATCH_SIZE = 8192

# What replaces a missing string, and the string "nan". to_onnx refuses levels named
# "nan", so that any unknown level can replace that string.
_STRINGS: dict[str | None, str] = {None: "nan", "nan": "\0nan"}

# Held while a file is loaded, so that threads share one session.
_LOADING = threading.Lock()


class OnnxEstimator(LoadedEstimator):
    """A student in an ONNX file. The kind of file is that of ``_kind``."""

    _kind: ClassVar[type[File]]
    _file: Any = None

    def __init__(self, model: str | os.PathLike[str] | bytes) -> None:
        self.model = model

    def __sklearn_clone__(self) -> Self:
        new = type(self)(self.model)
        new._file = self._file
        return new

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

    def _inputs(self, X: Any, file: File) -> dict[str, NDArray[Any]]:
        """Return the values of the inputs of the model, by their names."""
        check_frame(X)
        if is_frame(X):
            columns = self._frame_columns(X, file)
        elif {"string", "date"} & set(file.kinds):
            raise TypeError(
                "the model takes columns of strings or dates; pass a data frame, not "
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

    def _frame_columns(self, X: Any, file: File) -> list[NDArray[Any]]:
        """Return the columns of a data frame: floats, seconds of dates, and strings."""
        X = self._frame(X)
        kinds = file.kinds or ("float",) * file.n_features
        numeric = [i for i, kind in enumerate(kinds) if kind in ("float", "double")]
        others = [i for i, kind in enumerate(kinds) if kind == "string"]
        block = floats(X, numeric, allow_nan=file.allow_nan, dtype=file.dtype)
        columns = {i: block[:, k : k + 1] for k, i in enumerate(numeric)}
        for i, levels in zip(others, labels(X, others), strict=True):
            strings = [_STRINGS.get(label, label) for label in levels]
            columns[i] = np.array(strings, dtype=object)[:, np.newaxis]
        for i, zone in file.zones.items():
            columns[i] = date_parts(X, i, zone)[:, [PARTS.index("total_seconds")]]
        return [columns[i] for i in range(file.n_features)]
