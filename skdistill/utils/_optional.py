"""Packages that only some functions need."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def require(package: str, caller: str, install: str) -> Any:
    """Return a package that not everybody has, or raise an ImportError.

    The error says that ``caller`` needs it, and what to pass to ``pip install``.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(f"{caller} needs {package}: pip install {install}") from error
