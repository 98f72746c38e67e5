"""Warn where the person's own code stands."""

from __future__ import annotations

import sys
import warnings

# Frames between the person's call and the place that warns: ours, and those of
# scikit-learn's decorators, pipelines and searches.
_BETWEEN = ("skdistill", "sklearn", "skorch", "joblib", "contextlib", "threading")

# What each warning is about. A code keeps its meaning; docs/faq.rst says what to do.
CODES = {
    "SKD101": "the teacher is hardly better than chance on the training rows",
    "SKD102": "the soft labels are equal to the labels",
    "SKD103": "the teacher is worse than nets that learned the labels",
    "SKD104": "the teacher does not know all classes of further rows",
    "SKD105": "the teacher takes no sample weights",
    "SKD106": "the teacher returns probabilities instead of logits",
    "SKD107": "there are no labels, and alpha is below 1",
    "SKD108": "X_transfer has as many rows as X",
    "SKD109": "memory does not keep the soft labels",
    "SKD110": "the teacher cannot be measured on rows that it has not seen",
    "SKD201": "the student returns probabilities instead of logits",
    "SKD202": "students of a search were trained one by one",
    "SKD203": "a heavy teacher is pickled more than once",
    "SKD301": "a file was written by another version",
    "SKD302": "there is no C compiler to check the code",
    "SKD303": "quantized weights change the predictions of the student",
    "SKD304": "a new process cannot load the model",
}


def warn(code: str, message: str) -> None:
    """Warn at the innermost line that is not the package's, nor scikit-learn's.

    The text of the UserWarning begins with the code, which is one of ``CODES``.
    """
    frame = sys._getframe(1)
    while str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN:
        if frame.f_back is None:
            break
        frame = frame.f_back
    warnings.warn_explicit(
        f"{code}: {message}",
        UserWarning,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )
