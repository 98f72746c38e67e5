"""A student in compiled C code, loaded and ready to run."""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdistill.deploy._c_compiler import compiled

# What the code of a level is that is not among the known ones.
MISSING, UNKNOWN = -1, -2

_DTYPES = {"number": "f8", "date": "f8", "level": "i4"}


class Library:
    """A loaded library.

    Parameters
    ----------
    path : str or os.PathLike
        A file of C code, which is compiled, or a shared library.

    Attributes
    ----------
    path : str or os.PathLike
        The same.
    metadata : dict of str to object
        What ``to_c`` wrote. The following attributes are read from it.
    classes : ndarray of shape (n_outputs,) or None
        The labels, read-only; None of a regressor.
    multilabel : bool
        Whether a row has several labels.
    quantiles : list of float or None
        The levels of quantiles.
    output : str
        What it says of a row.
    output_shape : tuple of int
        The shape of that.
    n_features : int
        The number of columns.
    feature_names : ndarray of shape (n_features,) or None
        Their names.
    shape : tuple of int
        The shape of a row.
    dtype : type
        The type of numbers.
    allow_nan : bool
        Whether numbers may be missing.
    kinds : list of {"number", "date", "level", "unused"}
        The kind of each column.
    codes : dict
        By the position of a column of levels, the code of each level.
    zones : dict
        By the position of a column of dates, its time zone, or None.
    row_type : dtype or None
        The structure of a row; None if rows are arrays.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        file = Path(path).resolve(strict=True)
        functions = _loaded(file)
        told = self._function(functions, f"{file.stem}_metadata", file)
        told.restype = ctypes.c_char_p
        self.metadata = metadata = json.loads(told())
        self.classes: NDArray[Any] | None = None
        self.output, name = "prediction", "predict_batch"
        n_outputs = metadata["n_outputs"]
        self.multilabel = metadata["task"] == "multilabel"
        self.quantiles = metadata.get("quantiles")
        is_number = n_outputs == 1 and self.quantiles is None
        self.output_shape = () if is_number else (n_outputs,)
        if metadata["task"] != "regression":
            dtype = np.dtype(metadata["classes_dtype"])
            self.classes = np.array(metadata["classes"], dtype)
            self.classes.flags.writeable = False
            self.output, name = "probabilities", "predict_proba_batch"
            self.output_shape = (n_outputs,)
        self._said_type: type = np.float64 if self.classes is None else np.float32
        self._ask = self._function(functions, f"{file.stem}_{name}", file)
        self._ask.restype = ctypes.c_size_t
        self._ask.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
        self._read_columns()

    def _read_columns(self) -> None:
        metadata = self.metadata
        names = metadata["feature_names"]
        self.feature_names = None if names is None else np.array(names, object)
        self.n_features = len(metadata["kinds"])
        self.shape = (self.n_features,)
        self.dtype = np.dtype(metadata["dtype"]).type
        self.allow_nan = metadata["allow_nan"]
        self.kinds = metadata["kinds"]
        self.zones = {int(i): zone for i, zone in metadata["zones"].items()}
        self.codes = {
            int(i): {None: MISSING} | {name: code for code, name in enumerate(known)}
            for i, known in metadata["levels"].items()
        }
        members = [
            (str(i), _DTYPES[kind])
            for i, kind in enumerate(self.kinds)
            if kind in _DTYPES
        ]
        self.row_type = None if metadata["is_array"] else np.dtype(members, align=True)

    @staticmethod
    def _function(functions: Any, name: str, file: Path) -> Any:
        try:
            return getattr(functions, name)
        except AttributeError:
            raise ValueError(
                f"{file.name} has no function {name}: it was not written by to_c, or "
                "got another name, or was compiled without names"
            ) from None

    def run(self, rows: NDArray[Any]) -> tuple[int, NDArray[Any]]:
        """Return what is said of contiguous rows, and for how many of them.

        If there are fewer than all, the next one has a value that is not allowed.
        """
        said = np.empty((len(rows), *self.output_shape), self._said_type)
        # This takes less time than rows.ctypes.data.
        given, made = (a.__array_interface__["data"][0] for a in (rows, said))
        return self._ask(given, len(rows), made), said


def _loaded(file: Path) -> Any:
    """Return the functions of a library, or of a file of C code."""
    if file.suffix != ".c":
        return _opened(file)
    # What was loaded stays in memory, but Windows does not remove its file.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return _opened(compiled(file, folder, "-O2"))


def _opened(library: Path) -> Any:
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise ValueError(f"cannot load {library.name}: {error}") from error
