"""Checks of what a person passes in, whatever is learned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_is_fitted

from skdistill.utils._arrays import Array, Floats
from skdistill.utils._frames import check_frame, column_names, is_frame
from skdistill.utils._params import is_auto
from skdistill.utils._several import each, is_several
from skdistill.utils._unwrap import last_step, listed

# Each number of a row whose sum of squares is less than this is finite in float32.
_SAFE_SQUARES = 1e38

# What scikit-learn says of strings in an array: of objects, or of the dtype of strings.
_OF_STRINGS = ("could not convert string", "arrays of bytes/strings")


def is_fitted(teacher: Any) -> bool:
    """Tell whether ``teacher`` can be asked without a fit.

    An object without ``fit``, such as a wrapper of a foundation model, is fitted. So is
    one that cannot be cloned to be fitted here, such as a predictor of AutoML; one that
    is frozen; and one that has classes, which a clone has not, even if none of its
    attributes tells scikit-learn that it is fitted.
    """
    if isinstance(teacher, type):
        return False
    if not hasattr(teacher, "fit"):
        return hasattr(teacher, "predict_proba") or hasattr(teacher, "predict")
    if not hasattr(teacher, "__sklearn_tags__"):  # not made by scikit-learn's rules
        return hasattr(teacher, "classes_") or not hasattr(teacher, "get_params")
    _, last = last_step(teacher)
    if isinstance(last, GaussianProcessRegressor):
        return hasattr(last, "X_train_")  # it predicts, by its prior, without a fit
    if isinstance(last, FrozenEstimator):
        return True
    try:
        check_is_fitted(teacher)
        return True
    except NotFittedError:
        # A net of skorch, or a wrapper of a fitted one, may have its classes unfitted.
        has_classes = hasattr(teacher, "classes_")
        return has_classes and not hasattr(clone(teacher), "classes_")
    except (AttributeError, TypeError):  # it inherits from mixins alone
        return hasattr(teacher, "classes_")


def all_fitted(teacher: Any) -> bool:
    """Tell whether a teacher, or every teacher of a list, is fitted."""
    return all(map(is_fitted, listed(teacher)))


def fitted_teachers(estimator: Any) -> list[Any]:
    """Return the fitted teachers among the parameters of an estimator."""
    params = estimator.get_params() if hasattr(estimator, "get_params") else {}
    found: list[Any] = []
    for name, value in params.items():
        if name.rpartition("__")[2] == "teacher":
            found += listed(value)
    return [teacher for teacher in found if is_fitted(teacher)]


def plain_rows(
    X: Any, n_features: int | None = None, dtype: type = np.float32
) -> Array | None:
    """Return ``X`` in a dtype if it is a plain array of finite numbers, or else None.

    Other rows need scikit-learn's validation, which takes longer for a row than a small
    net.
    """
    if type(X) is not np.ndarray or X.dtype not in (np.float32, np.float64):
        return None
    if X.ndim != 2 or not X.size or n_features not in (None, X.shape[1]):
        return None
    if X.dtype == dtype:
        rows: Array = np.ascontiguousarray(X)
    else:
        with np.errstate(over="ignore", under="ignore"):
            rows = np.ascontiguousarray(X, dtype=dtype)
    # Of all ways to find NaN and infinity, this takes least time for a row.
    return rows if np.vdot(rows, rows) < _SAFE_SQUARES else None


@contextmanager
def noting(note: str) -> Iterator[None]:
    """Add a note to an error of code outside of this package."""
    try:
        yield
    except Exception as error:
        error.add_note(note)
        raise


def check_source(estimator: Any, given: Any, X_transfer: Any, name: str) -> None:
    """Raise a ValueError unless there is either a teacher or ``given`` soft labels.

    With these, which ``fit`` has under a name, also raise it for parameters that need a
    teacher.
    """
    if (estimator.teacher is None) == (given is None):
        raise ValueError(
            f"there is no teacher: pass teacher= to {type(estimator).__name__}, or "
            f"{name}= to fit"
            if estimator.teacher is None
            else f"pass either a teacher or {name}, not both"
        )
    if given is None:
        return
    augmenter = estimator.augmenter
    if X_transfer is not None or not (augmenter is None or is_auto(augmenter)):
        raise ValueError(
            "augmenter and X_transfer add rows that a teacher has to label, and "
            f"there is {name} alone: pass teacher="
        )
    calibration = estimator.calibrate_teacher
    if not (calibration is None or is_auto(calibration)):
        raise ValueError(
            f"calibrate_teacher needs a teacher, and there is {name} alone: set "
            "calibrate_teacher=None, and calibrate probabilities before by "
            "soft_labels(..., calibrate_teacher=...)"
        )


def has_known_columns(model: Any, X: Any) -> bool:
    """Tell whether ``X`` is a data frame of some rows with the columns of ``fit``.

    Such a data frame needs no other check, which takes longer for a row than a small
    net.
    """
    names = getattr(model, "feature_names_in_", None)
    if names is None or not is_frame(X):
        return False
    return column_names(X) == names.tolist() and len(X) > 0


def check_not_empty(X: Any) -> None:
    """Raise a ValueError if there are no rows, with scikit-learn's message."""
    if _num_samples(X) == 0:
        shape = getattr(X, "shape", (0,))
        raise ValueError(
            f"Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is "
            "required."
        )


def check_form(X: Any, *, dense: bool) -> None:
    """Raise an error for unknown data frames.

    If ``dense``, also raise it for sparse rows and those of several inputs.
    """
    check_frame(X)
    if dense and is_several(X):
        raise TypeError(
            f"X is a {type(X).__name__} of several inputs, and the student's "
            "preprocessing takes one table: pass one array or data frame, or a skorch "
            "net whose module takes these inputs, student=NeuralNetClassifier(...)"
        )
    if dense and issparse(X):
        raise TypeError(
            "X is sparse, and the student's preprocessing takes dense tables: pass "
            "X.toarray(), or the net alone, student=make_student()[-1]"
        )


def checked_inputs(X: Any) -> Any:
    """Return rows of several inputs, each checked, of any shape and dtype."""
    any_shape = {"dtype": None, "ensure_2d": False, "allow_nd": True}
    return each(partial(check_array, **any_shape), X)


@contextmanager
def explaining_strings() -> Iterator[None]:
    """Say of an array of strings what has columns of them."""
    try:
        yield
    except ValueError as error:
        message = str(error).rstrip(".")
        if not any(words in message for words in _OF_STRINGS):
            raise
        raise ValueError(
            f"{message}. An array has no columns of strings: pass a data frame"
        ) from error


@contextmanager
def explaining_groups() -> Iterator[None]:
    """Say of a splitter that lacks groups how it gets them."""
    try:
        yield
    except ValueError as error:
        if "'groups'" in str(error):
            error.add_note("(For folds by groups, pass list(cv.split(X, y, groups)))")
        raise


def require_target(y: Array | None, purpose: str) -> Array:
    if y is None:
        raise ValueError(f"{purpose} requires y to be passed, but the target y is None")
    return y


def check_weight(sample_weight: Any, X: Any) -> Floats | None:
    """Return the weights of rows, of which none may be negative; None if all count."""
    if sample_weight is None:
        return None
    kind = {"dtype": np.float64, "ensure_non_negative": True}
    weight: Floats = _check_sample_weight(sample_weight, X, **kind)
    return weight


def check_teacher_weights(teacher_weights: ArrayLike | None, n_teachers: int) -> Floats:
    if n_teachers == 0:
        raise ValueError("the list of teachers is empty")
    if teacher_weights is None:
        return np.full(n_teachers, 1 / n_teachers)
    weights = np.asarray(teacher_weights, dtype=np.float64)
    if weights.shape != (n_teachers,):
        raise ValueError(
            f"teacher_weights has shape {weights.shape} for {n_teachers} teachers"
        )
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError(
            "teacher_weights must be finite, not negative, and not all zero, got "
            f"{weights.tolist()}"
        )
    return weights / weights.sum()


def check_n_features(teacher: Any, X: Any) -> None:
    """Raise a ValueError if a teacher was fitted on another number of features."""
    expected = getattr(teacher, "n_features_in_", None) if is_fitted(teacher) else None
    shape: tuple[int, ...] = getattr(X, "shape", ())
    if expected is not None and len(shape) == 2 and shape[1] != expected:
        raise ValueError(
            f"teacher {type(teacher).__name__} was fitted on {expected} features, X "
            f"has {shape[1]} features: put its preprocessing into a Pipeline with it, "
            "and the student's into student="
        )
