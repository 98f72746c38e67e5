"""Ask fitted teachers, and fit those that are not."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.utils import _safe_indexing, check_random_state, gen_batches
from sklearn.utils.validation import _num_samples, has_fit_parameter

from skdistill._targets._answer import Answer
from skdistill._targets._on_codes import OnCodes
from skdistill._targets._target import Target
from skdistill.utils._arrays import Array, Floats
from skdistill.utils._bars import progress_bar
from skdistill.utils._several import each, is_several, n_values
from skdistill.utils._unwrap import is_search, last_step
from skdistill.utils._validation import noting, require_target

# The largest answer of one call of a teacher, and the largest number of values in its
# rows: the teacher's copy of the rows takes up to 128 MiB.
_CHUNK_BYTES = 32 * 2**20
_CHUNK_VALUES = 2**24

# Those of several estimators of a person's choice.
_ENSEMBLES = (StackingClassifier, StackingRegressor, VotingClassifier, VotingRegressor)

# Those of a clone of one estimator for each output.
_BY_OUTPUT = (MultiOutputClassifier, MultiOutputRegressor)


def ask(teacher: Any, X: Any, verbose: int = 0, *, target: Target) -> Answer:
    """Ask a fitted teacher for soft labels of ``X``, in chunks of bounded memory.

    The teacher gets copies of the rows, so that it cannot change them. The target
    decides which method is called, and checks what it returns.
    """
    note = (
        f"(Raised by teacher {type(teacher).__name__}, which gets X just as it was "
        "given to fit. What it needs done to X goes into one pipeline with it)"
    )
    chunks = list(gen_batches(_num_samples(X), _chunk_size(X, teacher)))
    parts = []
    look = {"total": _num_samples(X), "unit": "row"}
    with progress_bar("asking the teacher", verbose, **look) as bar:
        for chunk in chunks:
            rows = private_copy(X if len(chunks) == 1 else _safe_indexing(X, chunk))
            n_rows = _num_samples(rows)
            # A loader of a net draws numbers, even if it does not use them.
            with noting(note), _generators(teacher, 0):
                said = target.ask(teacher, rows)
            parts.append(target.checked(said, teacher, n_rows))
            del rows  # before the next ones are copied
            bar.update(n_rows)
    return replace(parts[0], values=np.concatenate([part.values for part in parts]))


def fit(
    teacher: Any,
    X: Any,
    y: Array | None,
    sample_weight: ArrayLike | None,
    seed: int | None = None,
    *,
    target: Target,
) -> Any:
    """Fit a teacher in place, with sample weights if it takes them; return it.

    The teacher gets copies, so that it cannot change the rows. A net draws by the seed.
    What is returned may be a wrapper of the teacher that accepts all labels.
    """
    y = require_target(y, "fitting a teacher").copy()
    keywords, routed = {}, {}
    if sample_weight is not None and (parameter := weight_parameter(teacher)):
        # The name of a step reaches it only if metadata is not routed.
        keywords[parameter] = np.array(sample_weight)
        routed["enable_metadata_routing"] = False
    note = (
        f"(Raised by the fit of teacher {type(teacher).__name__} on {len(y)} rows with "
        f"{target.describe(y)}. It gets X and y just as they were given to fit. What "
        "it needs done to X goes into one pipeline with it)"
    )
    teacher = target.to_fit(teacher, y)
    with noting(note), config_context(**routed), _generators(teacher, seed):
        teacher.fit(private_copy(X), y, **keywords)
    target.check_teacher(teacher)
    return teacher


def weight_parameter(teacher: Any) -> str | None:
    """Return the name of the sample weights in ``teacher.fit``; None without any.

    The ``fit`` of a search, a vote, a stack and the like hands them on to the
    estimators inside, which may not all take them.
    """
    prefix, last = last_step(teacher)
    # These take weights in fit, and refuse them if the estimator inside does not.
    taker = last.estimator if isinstance(last, _BY_OUTPUT) else last
    if has_fit_parameter(taker, "sample_weight"):
        return f"{prefix}sample_weight"
    names = {weight_parameter(one) for one in _given_the_weights(last)}
    name = names.pop() if len(names) == 1 else None
    if name is None or (isinstance(last, _ENSEMBLES) and name != "sample_weight"):
        return None  # an ensemble hands on this name alone
    return f"{prefix}{name}"


def _given_the_weights(estimator: Any) -> list[Any]:
    """Return the estimators inside to which ``fit`` hands the weights on."""
    if is_search(estimator) or isinstance(estimator, OnCodes):
        return [estimator.estimator]
    if isinstance(estimator, TransformedTargetRegressor):
        inside = estimator.regressor
        return [LinearRegression() if inside is None else inside]
    if isinstance(estimator, _ENSEMBLES):
        last = getattr(estimator, "final_estimator", None)
        inside = [*(one for _, one in estimator.estimators), last]
        return [one for one in inside if hasattr(one, "fit")]
    return []


def seeded_clone(teacher: Any, seed: int | None) -> Any:
    """Return a clone whose random states that were None are drawn from ``seed``."""
    new = clone(teacher)
    if seed is None or not hasattr(new, "get_params"):
        return new
    rng = check_random_state(seed)
    for name, value in sorted(new.get_params(deep=True).items()):
        if name.rpartition("__")[2] == "random_state" and value is None:
            new.set_params(**{name: int(rng.randint(2**31 - 1))})
    return new


def _generators(teacher: Any, seed: int | None) -> AbstractContextManager[None]:
    """Seed the global generators, the only ones of a net, and restore them later."""
    skorch = sys.modules.get("skorch")  # it imports torch, which others do without
    if seed is None or skorch is None:
        return nullcontext()
    params = teacher.get_params() if hasattr(teacher, "get_params") else {}
    parts = (teacher, *params.values())  # also what is inside of it
    if not any(isinstance(part, skorch.NeuralNet) for part in parts):
        return nullcontext()
    from skdistill.utils._seeding import seeded

    return seeded(seed)


def average(
    teachers: list[Any], answers: list[Answer], weights: Floats, *, target: Target
) -> Answer:
    """Average the answers of several teachers; put their features side by side."""
    fitted = [
        given if answer.teacher is None else answer.teacher
        for given, answer in zip(teachers, answers, strict=True)
    ]
    features = [answer.features for answer in answers if answer.features is not None]
    complete = len(features) == len(answers)
    is_fitted_here = any(answer.teacher is not None for answer in answers)
    calibrations = [answer.calibration for answer in answers]
    return replace(
        target.average(answers, weights),
        features=np.concatenate(features, axis=1) if complete else None,
        reduction=[answer.reduction for answer in answers] if complete else None,
        calibration=None if None in calibrations else calibrations,
        teacher=fitted if is_fitted_here else None,
    )


def private_copy(X: Any) -> Any:
    """Return rows that a teacher may overwrite."""
    if is_several(X):
        return each(np.copy, X)
    if hasattr(X, "shape") and hasattr(X, "copy"):
        return X.copy()
    return X.clone() if hasattr(X, "clone") else X  # polars


def _chunk_size(X: Any, teacher: Any) -> int:
    """Return the number of rows of a chunk, at least one."""
    n_columns = len(getattr(teacher, "classes_", ())) or 1000
    n_given = X.nnz if issparse(X) else n_values(X)
    most = _CHUNK_VALUES * _num_samples(X) // max(n_given, 1)
    return max(1, min(_CHUNK_BYTES // (8 * n_columns), most))
