"""Progress bars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# The seconds until a bar appears, and between two drawings. A log, and a notebook
# without ipywidgets, get a line for each drawing.
_SECONDS = 1.0


def progress_bar(rows: Iterable[Any] | None = None, **look: Any) -> Any:
    """Return a bar of tqdm, which appears after a second and vanishes at its end.

    tqdm is imported here, as its import warns in a notebook without ipywidgets.
    """
    from tqdm.auto import tqdm

    return tqdm(rows, leave=False, delay=_SECONDS, mininterval=_SECONDS, **look)


def shown(rows: list[Any], title: str, verbose: int) -> Iterable[Any]:
    """Return ``rows``, with a bar over them if ``verbose`` is not 0."""
    return progress_bar(rows, desc=title) if verbose else rows
