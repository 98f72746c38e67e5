"""What a person may pass in, and what they are told where it cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _num_samples,
    assert_all_finite,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from skdistill.utils._frames import check_frame, column_names, is_frame

# Each number of a row whose sum of squares is less than this is finite in float32.
_SAFE_SQUARES = 1e38

# Rows of probabilities may miss 1 by the rounding of half precision.
_SUM_TOLERANCE = 1e-2


def is_fitted(teacher: Any) -> bool:
    """Tell whether ``teacher`` can be asked as it is.

    An object without ``fit``, such as a wrapper of a foundation model, is.
    """
    if isinstance(teacher, type):
        return False
    if not hasattr(teacher, "fit"):
        return hasattr(teacher, "predict_proba")
    if not hasattr(teacher, "__sklearn_tags__"):  # not made by scikit-learn's rules
        return hasattr(teacher, "classes_")
    try:
        check_is_fitted(teacher)
    except NotFittedError:
        return False
    except (AttributeError, TypeError):  # it inherits from mixins alone
        return hasattr(teacher, "classes_")
    return True


def all_fitted(teacher: Any) -> bool:
    """Tell whether a teacher, or every teacher of a list, is fitted."""
    if isinstance(teacher, list | tuple):
        return all(map(is_fitted, teacher))
    return is_fitted(teacher)


def fitted_teachers(estimator: Any) -> list[Any]:
    """Return the fitted teachers among the parameters of an estimator."""
    params = estimator.get_params() if hasattr(estimator, "get_params") else {}
    found: list[Any] = []
    for name, value in params.items():
        if name.rpartition("__")[2] == "teacher":
            found += value if isinstance(value, list | tuple) else [value]
    return [teacher for teacher in found if is_fitted(teacher)]


def plain_rows(
    X: Any, n_features: int | None = None, dtype: type = np.float32
) -> NDArray[Any] | None:
    """Return ``X`` in a dtype if it is a plain array that is fit for prediction.

    None if it is anything else, or wrong: then scikit-learn's validation has to see
    it, which takes longer for a row than a small net.
    """
    if type(X) is not np.ndarray or X.dtype not in (np.float32, np.float64):
        return None
    if X.ndim != 2 or not X.size or n_features not in (None, X.shape[1]):
        return None
    with np.errstate(over="ignore"):
        rows: NDArray[Any] = np.ascontiguousarray(X, dtype=dtype)
    # Of all ways to find NaN and infinity, this takes least time for a row.
    return rows if np.vdot(rows, rows) < _SAFE_SQUARES else None


def check_teacher(teacher: Any) -> None:
    """Raise a TypeError or ValueError for what cannot be a teacher."""
    if isinstance(teacher, type):
        raise TypeError(
            f"teacher is the class {teacher.__name__}; pass an instance of it"
        )
    name = type(teacher).__name__
    if callable(teacher) and not hasattr(teacher, "predict_proba"):
        raise TypeError(
            f"teacher {name} is a module or function, which does not say what classes "
            "its columns stand for; wrap it: TorchTeacher(module, classes=[...])"
        )
    if hasattr(teacher, "__array__"):
        raise TypeError(
            "teacher is an array; soft labels made beforehand go to fit: "
            "fit(X, y, teacher_proba=...)"
        )
    if not any(hasattr(teacher, name) for name in ("fit", "predict", "predict_proba")):
        raise TypeError(f"teacher must be a classifier, got {teacher!r:.80}")
    if isinstance(teacher, BaseEstimator) and is_regressor(teacher):
        raise TypeError(f"teacher {name} is a regressor; a teacher is a classifier")
    # A stack, say, can only tell once it is fitted: it is checked again then.
    may_tell_later = not is_fitted(teacher) and hasattr(type(teacher), "predict_proba")
    if not hasattr(teacher, "predict_proba") and not may_tell_later:
        way_out = "wrap it in sklearn.calibration.CalibratedClassifierCV"
        if getattr(teacher, "voting", None) == "hard":
            way_out = "set voting='soft'"
        raise TypeError(
            f"teacher {name} has no predict_proba, so it has no soft labels "
            f"to give; {way_out}"
        )


@contextmanager
def noting(note: str, errors: type[Exception] = Exception) -> Iterator[None]:
    """Add to an error of somebody else's code where it comes from."""
    try:
        yield
    except errors as error:
        error.add_note(note)
        raise


def check_source(estimator: Any, teacher_proba: Any, X_transfer: Any) -> None:
    """Raise a ValueError unless there is either a teacher or ``teacher_proba``.

    Nor may there be ``teacher_proba`` and something that only a teacher can do.
    """
    if (estimator.teacher is None) == (teacher_proba is None):
        raise ValueError(
            f"there is no teacher: pass teacher= to {type(estimator).__name__}, or "
            "teacher_proba= to fit"
            if estimator.teacher is None
            else "pass either a teacher or teacher_proba, not both: it is not "
            "clear which of the two to learn from"
        )
    if teacher_proba is None:
        return
    augmenter = estimator.augmenter
    if X_transfer is not None or not isinstance(augmenter, str | None):
        raise ValueError(
            "augmenter and X_transfer add rows that a teacher has to label, and "
            "there is teacher_proba alone: pass teacher="
        )
    calibration = estimator.calibrate_teacher
    if calibration == "out_of_fold" or not isinstance(calibration, str | None):
        raise ValueError(
            "calibrate_teacher needs a teacher, and there is teacher_proba alone: set "
            "calibrate_teacher=None, and calibrate teacher_proba before, as "
            "soft_labels(..., calibrate_teacher=...) does"
        )


def has_known_columns(model: Any, X: Any) -> bool:
    """Tell whether ``X`` is a data frame of some rows with the columns of ``fit``.

    Then its form needs no other check, which for a row takes longer than a small net.
    """
    names = getattr(model, "feature_names_in_", None)
    if names is None or not is_frame(X):
        return False
    return column_names(X) == names.tolist() and len(X) > 0


def check_not_empty(X: Any) -> None:
    """Raise a ValueError where there are no rows, in scikit-learn's words."""
    if _num_samples(X) == 0:
        shape = getattr(X, "shape", (0,))
        raise ValueError(
            f"Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is "
            "required."
        )


def check_form(X: Any, *, dense: bool) -> None:
    """Raise for a data frame that nobody can take, and for sparse rows if ``dense``."""
    check_frame(X)
    if dense and issparse(X):
        raise TypeError(
            "X is sparse, and the student's preprocessing takes dense tables: pass "
            "student=make_student()[-1], the net alone, which takes sparse rows, or "
            "X.toarray()"
        )


def check_target(y: Any, X: Any) -> NDArray[Any]:
    """Return ``y`` as a 1-D array of class labels, one for each row of ``X``."""
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    check_consistent_length(X, y)
    return y


def check_classes(classes: Any) -> NDArray[Any]:
    """Return the labels of columns as an array; each is there once."""
    labels = np.array(None)
    if not isinstance(classes, str):
        with suppress(ValueError):  # numpy's, for lists of different lengths
            labels = np.asarray(classes)
    problem = "is no list of labels"
    if labels.ndim == 1:
        values = labels.tolist()
        mixed = labels.dtype.kind == "U" and not all(
            isinstance(label, str) for label in classes
        )
        if mixed:
            problem = "mixes strings and numbers"
        elif any(map(_is_missing, values)):
            problem = "has a missing label"
        elif len(set(values)) < len(values):
            problem = "has a label twice"
        else:
            return labels
    raise ValueError(
        f"classes={classes!r:.200} {problem}: pass a sequence of labels that are all "
        "different, such as one for each column of soft labels, in their order"
    )


def _is_missing(label: Any) -> bool:
    return label is None or is_scalar_nan(label) or is_pandas_na(label)


def check_two_classes(y: NDArray[Any]) -> None:
    """Raise a ValueError where there is one class alone to fit a teacher on."""
    if len(np.unique(y)) < 2:
        raise ValueError(
            "a teacher needs at least 2 classes to be fitted, y has 1 class: "
            f"{y[:1].tolist()[0]!r}"
        )


def require_target(y: NDArray[Any] | None, purpose: str) -> NDArray[Any]:
    if y is None:
        raise ValueError(f"{purpose} requires y to be passed, but the target y is None")
    return y


def check_log_proba(log_proba: ArrayLike, name: str) -> NDArray[np.float32]:
    """Return rows of log-probabilities as float32; -inf is a probability of zero."""
    values = np.asarray(log_proba, dtype=np.float32)
    if np.isnan(values).any() or np.isposinf(values).any():
        raise ValueError(f"{name} contains NaN or infinity")
    return values


def check_proba(proba: ArrayLike, name: str) -> NDArray[np.float32]:
    """Return rows of probabilities as float32, or say what is wrong with them."""
    if np.iscomplexobj(proba):
        raise ValueError(f"{name} contains complex numbers")
    proba = np.asarray(proba, dtype=np.float64)
    if not np.isfinite(proba).all():
        raise ValueError(f"{name} contains NaN or infinity")
    if (proba < 0).any():
        raise ValueError(
            f"{name} contains negative values: not probabilities. Logits need a "
            "softmax first"
        )
    worst = np.abs(proba.sum(axis=1) - 1).max()
    if worst > _SUM_TOLERANCE:
        raise ValueError(
            f"the rows of {name} must sum to 1; one is off by {worst:.3g}. Logits "
            "need a softmax first"
        )
    return proba.astype(np.float32)


def check_teacher_weights(
    teacher_weights: ArrayLike | None, n_teachers: int
) -> NDArray[np.float64]:
    if n_teachers == 0:
        raise ValueError("the list of teachers is empty")
    if teacher_weights is None:
        return np.full(n_teachers, 1 / n_teachers)
    weights = np.asarray(teacher_weights, dtype=np.float64)
    if weights.shape != (n_teachers,):
        raise ValueError(
            f"teacher_weights has shape {weights.shape}, there are {n_teachers} "
            "teachers"
        )
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError(
            "teacher_weights must be finite, not negative, and not all zero, got "
            f"{weights.tolist()}"
        )
    return weights / weights.sum()


def check_n_features(teacher: Any, X: Any) -> None:
    """Raise where a fitted teacher has seen another number of features."""
    expected = getattr(teacher, "n_features_in_", None) if is_fitted(teacher) else None
    shape: tuple[int, ...] = getattr(X, "shape", ())
    if expected is not None and len(shape) == 2 and shape[1] != expected:
        raise ValueError(
            f"teacher {type(teacher).__name__} was fitted on {expected} features, X "
            f"has {shape[1]} features. A teacher gets the X given to fit as it is: put "
            "its preprocessing into a Pipeline with it, and the student's into student="
        )
