"""Ask fitted teachers, and fit those that are not."""

from __future__ import annotations

import math
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils import _safe_indexing, check_random_state, gen_batches
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import _num_samples, has_fit_parameter

from skdistill._teachers._answers import Answer, align
from skdistill._teachers._on_codes import OnCodes, wants_codes
from skdistill.utils._bars import shown
from skdistill.utils._unwrap import innermost, last_step
from skdistill.utils._validation import (
    check_log_proba,
    check_proba,
    check_teacher,
    noting,
    require_target,
)

# How much one call of a teacher's predict_proba may return, and how many values it may
# get: the teacher's copy of these takes up to 128 MiB.
_CHUNK_BYTES = 32 * 2**20
_CHUNK_VALUES = 2**24


def ask(teacher: Any, X: Any, verbose: int = 0) -> Answer:
    """Ask a fitted teacher for the labels of ``X``, in chunks of bounded memory.

    Parameters
    ----------
    teacher : estimator
        A fitted classifier with ``predict_proba``.
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        The rows. The teacher gets copies, so that it cannot change them.
    verbose : int, default=0
        1 shows a progress bar.
    """
    are_logits = getattr(teacher, "gives_logits", False)
    method = teacher.predict_log_proba if are_logits else teacher.predict_proba
    check = check_log_proba if are_logits else check_proba
    name = f"teacher {type(teacher).__name__}"
    n_classes = len(getattr(teacher, "classes_", ())) or 1000
    chunks = list(gen_batches(_num_samples(X), _chunk_size(X, n_classes)))
    parts = []
    for chunk in shown(chunks, "soft labels", verbose):
        rows = private_copy(X if len(chunks) == 1 else _safe_indexing(X, chunk))
        # A loader of a net draws numbers, even if it does not use them.
        with noting(_note(teacher)), _generators(teacher, 0):
            answer = method(rows)
        parts.append(check(_one_output(answer, _num_samples(rows), name), name))
        del rows  # before there are the next ones
    values = np.concatenate(parts)
    classes = getattr(teacher, "classes_", np.arange(values.shape[1]))
    if len(classes) != values.shape[1]:
        raise ValueError(
            f"{name} has {len(classes)} classes and gives {values.shape[1]} columns"
        )
    return Answer(values, np.asarray(classes), are_logits)


def fit(
    teacher: Any,
    X: Any,
    y: NDArray[Any] | None,
    sample_weight: ArrayLike | None,
    seed: int | None = None,
) -> Any:
    """Fit a teacher in place, with sample weights if it takes them; return it.

    It gets copies, so that it cannot change the rows. A net draws by the seed. If the
    teacher takes codes alone, what is returned names its classes.
    """
    y = require_target(y, "fitting a teacher").copy()
    keywords, routed = {}, {}
    if sample_weight is not None and (parameter := weight_parameter(teacher)):
        # The name of a step reaches it only where metadata is not routed.
        keywords[parameter] = np.array(sample_weight)
        routed["enable_metadata_routing"] = False
    name = type(teacher).__name__
    if wants_codes(teacher, y):
        teacher = OnCodes(teacher)
    n_classes = len(np.unique(y))
    note = (
        f"(Raised by the fit of teacher {name} on {len(y)} rows with {n_classes} "
        "classes. It gets X and y just as they were given to fit. What it needs done "
        "to X goes into one pipeline with it)"
    )
    with (
        noting(note),
        config_context(**routed),
        _generators(teacher, seed),
    ):
        teacher.fit(private_copy(X), y, **keywords)
    check_teacher(teacher)
    return teacher


def weight_parameter(teacher: Any) -> str | None:
    """Return the name under which ``teacher.fit`` takes sample weights, if it does."""
    prefix, last = last_step(teacher)
    takes = has_fit_parameter(last, "sample_weight")
    return f"{prefix}sample_weight" if takes else None


def seeded_clone(teacher: Any, seed: int | None) -> Any:
    """Clone, drawing the random states that the person left open from ``seed``."""
    new = clone(teacher)
    if seed is None or not hasattr(new, "get_params"):
        return new
    rng = check_random_state(seed)
    for name, value in sorted(new.get_params(deep=True).items()):
        if name.rpartition("__")[2] == "random_state" and value is None:
            new.set_params(**{name: int(rng.randint(2**31 - 1))})
    return new


def _generators(teacher: Any, seed: int | None) -> AbstractContextManager[None]:
    """Seed the global generators for a net, which has no other, and put them back."""
    skorch = sys.modules.get("skorch")  # it imports torch, which others do without
    if seed is None or skorch is None:
        return nullcontext()
    if not isinstance(innermost(teacher), skorch.NeuralNet):
        return nullcontext()
    from skdistill.utils._seeding import seeded

    return seeded(seed)


def average(
    teachers: list[Any], answers: list[Answer], weights: NDArray[np.float64]
) -> Answer:
    """Average the labels of several teachers; put their features side by side."""
    try:
        classes = unique_labels(*(answer.classes for answer in answers))
    except ValueError as error:
        raise ValueError(
            "the teachers have classes of different kinds: "
            f"{[answer.classes.tolist() for answer in answers]}"
        ) from error
    mean = np.zeros((len(answers[0].values), len(classes)), dtype=np.float32)
    for answer, weight in zip(answers, weights, strict=True):
        mean += np.float32(weight) * align(answer.proba, answer.classes, classes)
    fitted = [
        given if answer.teacher is None else answer.teacher
        for given, answer in zip(teachers, answers, strict=True)
    ]
    features = [answer.features for answer in answers if answer.features is not None]
    complete = len(features) == len(answers)
    calibrations = [answer.calibration for answer in answers]
    return Answer(
        mean,
        classes,
        features=np.concatenate(features, axis=1) if complete else None,
        reduction=[answer.reduction for answer in answers] if complete else None,
        calibration=None if None in calibrations else calibrations,
        teacher=fitted
        if any(answer.teacher is not None for answer in answers)
        else None,
    )


def private_copy(X: Any) -> Any:
    """Return rows that a teacher may overwrite."""
    if hasattr(X, "shape") and hasattr(X, "copy"):
        return X.copy()
    return X.clone() if hasattr(X, "clone") else X  # polars


def _chunk_size(X: Any, n_classes: int) -> int:
    """Return for how many rows at once a teacher is asked, at least one."""
    n_values = X.nnz if issparse(X) else math.prod(getattr(X, "shape", ()))
    most = _CHUNK_VALUES * _num_samples(X) // max(n_values, 1)
    return max(1, min(_CHUNK_BYTES // (8 * n_classes), most))


def _one_output(answer: Any, n_rows: int, name: str) -> NDArray[Any]:
    several = isinstance(answer, list) and np.ndim(answer[0]) == 2
    part = np.asarray(answer[0] if several else answer)
    if several or part.ndim != 2 or len(part) != n_rows:
        raise ValueError(
            f"{name} gave soft labels of shape {part.shape} for {n_rows} rows"
            f"{', for several outputs' * several}: a teacher of one label per row "
            "gives (n_samples, n_classes)"
        )
    return part


def _note(teacher: Any) -> str:
    return (
        f"(Raised by teacher {type(teacher).__name__}, which gets X just as it was "
        "given to fit. What it needs done to X goes into one pipeline with it)"
    )
