"""Warn where the person's own code stands."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

# Frames between the person's call and the place that warns: ours, and those of
# scikit-learn's decorators, pipelines and searches.
_BETWEEN = ("skdistill", "sklearn", "skorch", "joblib", "contextlib", "threading")


def warn(message: str) -> None:
    """Warn at the innermost line that is not the package's, nor scikit-learn's.

    Parameters
    ----------
    message : str
        The text of a UserWarning.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_between(frame):
        frame = frame.f_back
    warnings.warn_explicit(
        message,
        UserWarning,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _is_between(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN
