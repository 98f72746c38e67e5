"""C code of a student, compiled, loaded and ready to run."""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdistill.deploy._loaded_file import LoadedFile

# What the code of a level is that is not among the known ones.
MISSING, UNKNOWN = -1, -2

# What the code is compiled with before it is compared with the student.
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O2")

_DTYPES = {"number": "f8", "date": "f8", "level": "i4"}


class Library(LoadedFile):
    """A loaded library.

    Parameters
    ----------
    source : str or os.PathLike
        A file of C code, which is compiled, or a shared library.

    Attributes
    ----------
    codes : dict
        By the position of a column of levels, the code of each level.
    row_type : dtype or None
        The structure of a row; None if rows are arrays.
    """

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self.source = source
        file = Path(source).resolve(strict=True)
        functions = _loaded(file)
        metadata = self._function(functions, f"{file.stem}_metadata", file)
        metadata.restype = ctypes.c_char_p
        self.metadata = told = json.loads(metadata())
        self._describe(told | {"n_features": len(told["kinds"])})
        self.shape = (self.n_features,)
        self.dtype = np.dtype(told["dtype"]).type
        self._read_columns(told)
        name = "predict_batch" if self.classes is None else "proba_as_doubles"
        self._ask = self._function(functions, f"{file.stem}_{name}", file)
        self._ask.restype = ctypes.c_size_t
        self._ask.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]

    def _read_columns(self, told: dict[str, Any]) -> None:
        self.zones = {int(i): zone for i, zone in told["zones"].items()}
        self.codes = {
            int(i): {None: MISSING} | {name: code for code, name in enumerate(known)}
            for i, known in told["levels"].items()
        }
        members = [
            (str(i), _DTYPES[kind])
            for i, kind in enumerate(self.kinds)
            if kind in _DTYPES
        ]
        self.row_type = None if told["is_array"] else np.dtype(members, align=True)
        is_array = self.row_type is None and self.feature_names is None
        self._reads_all = is_array and len(members) == self.n_features

    @staticmethod
    def _function(functions: Any, name: str, file: Path) -> Any:
        try:
            return getattr(functions, name)
        except AttributeError:
            raise ValueError(
                f"{file.name} has no function {name}: it was not written by to_c, or "
                "got another name, or was compiled without names"
            ) from None

    def takes(self, X: Any) -> bool:
        """Tell whether the code can read, and check, rows as they are."""
        return (
            self._reads_all
            and type(X) is np.ndarray
            and X.dtype == self.dtype
            and X.ndim == 2
            and X.shape[1] == self.n_features
            and X.flags.c_contiguous
            and len(X) > 0
        )

    def run(self, rows: NDArray[Any]) -> tuple[int, NDArray[np.float64]]:
        """Return what is said of contiguous rows, and for how many of them.

        If there are fewer than all, the next one has a value that is not allowed.
        """
        said = np.empty((len(rows), *self.output_shape))
        given, made = _address(rows), _address(said)
        return self._ask(given, len(rows), made), said


def _address(array: NDArray[Any]) -> int:
    """Return where the values of a contiguous array are."""
    if array.flags.writeable:  # else the short way is refused
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))
    return int(array.ctypes.data)


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


def compiler() -> list[str] | None:
    """Return the command of a C compiler, or None if there is none.

    The environment variable ``CC`` may name it, as for make.
    """
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    return command if shutil.which(command[0]) else None


def compiled(source: Path, folder: str, *options: str) -> Path:
    """Compile a file into a shared library in a folder.

    Raise a FileNotFoundError if there is no compiler, and a ValueError if it fails.
    """
    command = compiler()
    if command is None:
        raise FileNotFoundError(
            "there is no C compiler: install one as cc, or name one in the environment "
            "variable CC"
        )
    library = Path(folder, f"{source.stem}.so")
    command += [*options, "-shared", "-fPIC", str(source), "-o", str(library), "-lm"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise ValueError(
            f"{command[0]} cannot compile {source.name}:\n{done.stderr[-2000:]}"
        )
    return library
