"""What all conversions to ONNX share: the versions, silence, and short errors."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from skdistill.utils._optional import require

# torch and skl2onnx must write for the same version of the operators. Neither
# has an option for the version of the format.
OPSET = 21
IR_VERSION = 10

# An export changes the warning filters and a logger of the whole process for a while,
# so that one thread exports at a time.
_EXPORTING = threading.Lock()


def require_onnx(function: str) -> None:
    """Raise an ImportError if a package that ``function`` needs is missing."""
    for name in ("onnx", "onnxruntime", "onnxscript", "skl2onnx"):
        require(name, function, "skdistill[onnx]")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the messages of the converters."""
    logger = logging.getLogger("torch.onnx")
    with _EXPORTING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


def reason(error: BaseException | None) -> str:
    """Return the first cause of an error, in one line."""
    while error is not None and error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"
