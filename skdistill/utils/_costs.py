"""The costs of a model: the size of its file, and the time of its calls."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any

import joblib
import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.validation import _num_samples

from skdistill.utils._arrays import Floats
from skdistill.utils._validation import is_fitted

# The seconds that calls are timed for a median.
_MEDIAN_SECONDS = 0.3

# The least number of calls, however long they take.
_MIN_CALLS = 3

# The number of rows of a batch that is timed.
BATCH_SIZE = 1000

# The number of rows at the beginning of X that are timed one by one.
_N_ROWS = 100


def dumped_bytes(model: Any) -> int:
    """Return the number of bytes that joblib.dump writes without compression."""
    with tempfile.TemporaryFile() as file:
        joblib.dump(model, file)
        return file.tell() + named_bytes(model)


def named_bytes(model: Any) -> int:
    """Return the bytes of the code that the file of a CompiledStudent only names."""
    return getattr(model, "_code_bytes", 0)


def check_fitted(model: Any) -> None:
    """Raise a TypeError or NotFittedError unless ``model`` is a fitted estimator."""
    name = type(model).__name__
    if isinstance(model, type):
        raise TypeError(
            f"expected a classifier or regressor, got the class {model.__name__}"
        )
    if not any(hasattr(model, part) for part in ("fit", "predict_proba", "predict")):
        raise TypeError(
            f"expected a fitted classifier or regressor, got {name}. A torch module "
            "needs a wrapper: TorchTeacher(module, classes=[...])"
        )
    if not is_fitted(model):
        raise NotFittedError(f"this {name} is not fitted yet: call fit first")


def method_of(model: Any) -> str:
    """Return the method that predicts: predict_proba, or else predict."""
    name = type(model).__name__
    if hasattr(model, "__sklearn_tags__"):
        kind = get_tags(model).estimator_type
        if kind not in ("classifier", "regressor", None):
            raise TypeError(
                f"expected a classifier or regressor, got {name} of kind {kind!r}"
            )
    for method in ("predict_proba", "predict"):
        if hasattr(model, method):
            return method
    raise TypeError(
        f"expected a classifier or regressor, got {name}, which has no predict"
    )


def batch_of(X: Any) -> Any:
    """Return 1,000 rows of ``X``, repeated if there are fewer."""
    return _safe_indexing(X, np.arange(BATCH_SIZE) % _num_samples(X))


def single_rows(X: Any) -> list[Any]:
    """Return the first rows one by one, each of the kind of ``X``."""
    n_rows = min(_num_samples(X), _N_ROWS)
    return [_safe_indexing(X, np.array([i])) for i in range(n_rows)]


def median_microseconds(call: Callable[[Any], Any], arguments: Sequence[Any]) -> float:
    """Return the median time of calls with one argument after the other."""
    return float(np.median(microseconds(call, arguments, _MEDIAN_SECONDS)))


def microseconds(
    call: Callable[[Any], Any], arguments: Sequence[Any], seconds: float
) -> Floats:
    """Return the times of calls with one argument after the other, after a warm-up."""
    for duration, least in ((seconds / 10, 1), (seconds, _MIN_CALLS)):
        times: list[int] = []
        end = perf_counter_ns() + duration * 1e9
        for argument in itertools.cycle(arguments):
            start = perf_counter_ns()
            call(argument)
            stop = perf_counter_ns()
            times.append(stop - start)
            if stop >= end and len(times) >= least:
                break
    return np.array(times) / 1e3
