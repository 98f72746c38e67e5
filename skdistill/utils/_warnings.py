"""Warn where the person's own code stands."""

from __future__ import annotations

import sys
import warnings

# Frames between the person's call and the place that warns: ours, and those of
# scikit-learn's decorators, pipelines and searches.
_BETWEEN = ("skdistill", "sklearn", "skorch", "joblib", "contextlib")


def warn(message: str) -> None:
    """Warn at the innermost line that is not the package's, nor scikit-learn's.

    Parameters
    ----------
    message : str
        The text of a UserWarning.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_between(frame.f_globals):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)


def _is_between(variables: dict[str, object]) -> bool:
    return str(variables.get("__name__")).partition(".")[0] in _BETWEEN
