"""Warn where the person's own code stands."""

from __future__ import annotations

import sys
import warnings
from contextvars import ContextVar
from types import FrameType

# Frames between the person's call and the place that warns: ours, and those of
# scikit-learn's decorators, pipelines and searches.
_BETWEEN = ("skdistill", "sklearn", "skorch", "joblib", "contextlib", "threading")

# Where a thread was started that does a part of the person's call.
started_at: ContextVar[FrameType | None] = ContextVar("started_at", default=None)


def warn(message: str) -> None:
    """Warn at the innermost line that is not the package's, nor scikit-learn's.

    Parameters
    ----------
    message : str
        The text of a UserWarning.
    """
    frame = _outside(sys._getframe(1))
    start = started_at.get()
    if _is_between(frame) and start is not None:
        frame = _outside(start)
    warnings.warn_explicit(
        message,
        UserWarning,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _outside(frame: FrameType) -> FrameType:
    """Return the first frame that is the person's, from the inside to the outside."""
    while frame.f_back is not None and _is_between(frame):
        frame = frame.f_back
    return frame


def _is_between(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN
