"""Packages that only some functions need."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def require(package: str, caller: str, install: str) -> Any:
    """Return an optional package.

    Parameters
    ----------
    package : str
        The name of the module.
    caller : str
        What needs it, for the error.
    install : str
        What to pass to ``pip install``.

    Raises
    ------
    ImportError
        If the package is missing. The message says how to install it.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(f"{caller} needs {package}: pip install {install}") from error
