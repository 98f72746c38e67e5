"""Progress bars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# When a bar appears, and how often it is drawn. A log, and a notebook without
# ipywidgets, get a line each time: a search with short fits would flood them.
_SECONDS = 1.0


def progress_bar(rows: Iterable[Any] | None = None, **look: Any) -> Any:
    """Return a bar of tqdm, which appears after a second and vanishes at its end.

    tqdm is imported with the first bar: in a notebook without ipywidgets, it warns.
    """
    from tqdm.auto import tqdm

    return tqdm(rows, leave=False, delay=_SECONDS, mininterval=_SECONDS, **look)


def shown(rows: list[Any], title: str, verbose: int) -> Iterable[Any]:
    """Return ``rows``, with a bar over them if ``verbose`` is not 0."""
    return progress_bar(rows, desc=title) if verbose else rows
