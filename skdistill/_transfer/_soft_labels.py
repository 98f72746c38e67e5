"""From a teacher to soft labels: one row of class probabilities per sample."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import KFold, check_cv
from sklearn.utils import _safe_indexing, check_random_state, gen_batches
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import (
    _num_samples,
    check_memory,
    has_fit_parameter,
)
from tqdm.auto import tqdm

from skdistill._transfer._store import Labels, cache, content_hash, object_number, stamp
from skdistill.utils._unwrap import last_step
from skdistill.utils._validation import (
    check_log_proba,
    check_n_features,
    check_not_empty,
    check_proba,
    check_target,
    check_teacher,
    check_teacher_weights,
    is_fitted,
    noting,
    require_target,
)

if TYPE_CHECKING:
    from skdistill._teachers._features import FeatureQuestion

METHODS = ("auto", "in_sample", "out_of_fold", "out_of_bag")

# How much one call of a teacher's predict_proba may return.
_CHUNK_BYTES = 32 * 2**20

# proba_clip="auto" leaves a one-hot row this much of its mass at temperature 2.
_KEPT_MASS = 0.95

# A teacher that is wrong on most rows is suspicious if it goes less than this share of
# the way from chance to a perfect recall, and classes have so many rows on average.
_SUSPICIOUS = 0.25
_ENOUGH_ROWS = 20


def soft_labels(
    teacher: Any,
    X: Any,
    y: ArrayLike | None = None,
    *,
    method: str = "auto",
    cv: Any = None,
    sample_weight: ArrayLike | None = None,
    teacher_weights: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    proba_clip: float | str | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
) -> NDArray[np.float32]:
    """Ask a teacher for the soft labels of ``X``.

    Parameters
    ----------
    teacher : estimator, or list of estimators
        A classifier with ``predict_proba``. A fitted one is asked as it is; an
        unfitted one is cloned and fitted on ``(X, y)``. The probabilities of a list
        are averaged.
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        The rows, as the teacher takes them.
    y : array-like of shape (n_samples,), default=None
        The labels. Needed where a teacher is fitted here.
    method : {"auto", "in_sample", "out_of_fold", "out_of_bag"}, default="auto"
        Which teacher labels a row:

        - "in_sample": one teacher, all rows. On rows that it was trained on, its
          probabilities may carry little beyond the labels.
        - "out_of_fold": clones of the teacher are fitted on folds, and each row is
          labeled by a clone that did not see it.
        - "out_of_bag": a forest or a bagging ensemble is fitted, and each row is
          labeled by those of its members whose bootstrap sample left the row out.
        - "auto": "out_of_fold" where ``cv`` is given, else "in_sample".

        Rows that "out_of_fold" and "out_of_bag" cannot serve fall back on the label
        of the teacher that saw all rows: those never held out, and those whose class
        the held-in rows lack.
    cv : int or cross-validation splitter, default=None
        The folds for "out_of_fold"; None means 5. An int gives stratified folds.
        Where a splitter holds a row out several times, its labels are averaged.
    sample_weight : array-like of shape (n_samples,), default=None
        Passed on to teachers that are fitted here.
    teacher_weights : array-like of shape (n_teachers,), default=None
        The weights of a list of teachers; by default all weigh the same.
    classes : array-like of shape (n_classes,), default=None
        What the columns of a fitted teacher stand for, if its ``classes_`` does not
        say. The columns of the result are these (or ``classes_``) and the labels of
        ``y`` that are not among them, sorted.
    proba_clip : float, "auto" or None, default=None
        Raise smaller probabilities to this value, so that their logarithm is finite;
        rows still sum to 1. "auto" is the estimator's default, which depends on the
        number of classes. None leaves the teacher's own zeros.
    n_jobs : int, default=None
        How many folds are fitted at once.
    random_state : int, RandomState instance or None, default=None
        Seeds those ``random_state`` parameters of an unfitted teacher that are None.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes), float32
        Rows sum to 1.

    Raises
    ------
    TypeError
        The teacher has no ``predict_proba``, or is a bare torch module.
    ValueError
        The teacher and ``y`` share no class, the teacher was fitted on another number
        of features, it returns something that is not a probability, or ``method``
        cannot be had of it.

    See Also
    --------
    DistilledClassifier : Takes these as ``fit(X, y, teacher_proba=proba)``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import soft_labels
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0)
    >>> in_sample = soft_labels(forest, X, y, random_state=0)
    >>> held_out = soft_labels(forest, X, y, cv=5, random_state=0)
    >>> in_sample.shape
    (150, 3)
    >>> bool(in_sample.max(axis=1).mean() > held_out.max(axis=1).mean())
    True
    """
    if y is not None:
        y = check_target(y, X)
    labels = ask(
        teacher,
        X,
        y,
        method=method,
        cv=cv,
        sample_weight=sample_weight,
        teacher_weights=teacher_weights,
        classes=classes,
        n_jobs=n_jobs,
        random_state=random_state,
        verbose=verbose,
    )
    columns, class_set = reconcile(labels.classes, y)
    proba = align(labels.proba, columns, class_set)
    if proba_clip is not None:
        proba = np.maximum(proba, resolve_clip(proba_clip, len(class_set)))
        proba /= proba.sum(axis=1, keepdims=True)
    return proba.copy() if proba is labels.values else proba


def ask(
    teacher: Any,
    X: Any,
    y: NDArray[Any] | None,
    *,
    method: str,
    cv: Any = None,
    sample_weight: ArrayLike | None = None,
    teacher_weights: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    memory: Any = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
    features: FeatureQuestion | None = None,
    remember: bool = True,
) -> Labels:
    """Return what one teacher, or the average of several, says of ``X``.

    The columns are the teachers' own; :func:`reconcile` and :func:`align` bring them
    to the classes of ``y``. With a question for ``features``, the answer holds the
    teachers' features too, side by side.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    check_not_empty(X)
    several = isinstance(teacher, list | tuple)
    teachers = list(teacher) if several else [teacher]
    weights = check_teacher_weights(teacher_weights, len(teachers))
    for one in teachers:
        check_teacher(one)
        check_n_features(one, X)
    if method == "auto":
        method = "in_sample" if cv is None else "out_of_fold"
    rng = None if random_state is None else check_random_state(random_state)
    answers = []
    for number, one in enumerate(teachers):
        seed = None if rng is None else int(rng.randint(2**31 - 1))
        question = features
        if features is not None and several and features.reduction is not None:
            question = replace(features, reduction=features.reduction[number])
        task = _Task(
            X, y, sample_weight, classes, method, cv, n_jobs, seed, verbose, question
        )
        key, is_lasting = _key(one, number, task) if remember else (None, False)
        store = memory if is_lasting else None
        labels = _recall(store, key, partial(_METHODS[method], one, task))
        if question is not None and question.required and labels.features is None:
            raise question.error(one)  # an earlier question did not need any
        if method == "in_sample":
            labels = _name_columns(one, labels, classes)
        answers.append(labels)
    return _average(teachers, answers, weights) if several else answers[0]


def from_proba(
    teacher_proba: ArrayLike,
    X: Any,
    y: NDArray[Any] | None,
    classes: ArrayLike | None,
) -> Labels:
    """Return precomputed soft labels, checked."""
    if classes is not None:
        columns = np.asarray(classes)
    elif y is not None:
        columns = np.unique(y)
    else:
        raise ValueError(
            "teacher_proba without y: pass classes= to DistilledClassifier to say "
            "what its columns stand for"
        )
    proba = np.asarray(teacher_proba)
    n_samples = _num_samples(X)
    if proba.shape != (n_samples, len(columns)):
        source = "the distinct labels of y" if classes is None else "classes="
        raise ValueError(
            f"teacher_proba has shape {proba.shape}, expected "
            f"{(n_samples, len(columns))}: a row per sample and a column for each of "
            f"{source}; say with classes= what its columns stand for"
        )
    return Labels(check_proba(proba, "teacher_proba"), columns)


def reconcile(
    columns: NDArray[Any], y: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Name a teacher's columns as ``y`` does, and return all classes of both, sorted.

    Meta-estimators such as VotingClassifier hand over codes 0..K-1 for the labels:
    where ``y`` can only be such codes, the columns count by position.

    Returns
    -------
    columns : ndarray of shape (n_columns,)
        What each column stands for.
    classes : ndarray of shape (n_classes,)
        The columns' names and the labels of ``y``, sorted and distinct.

    Raises
    ------
    ValueError
        No class is shared, or ``y`` may be codes as well as labels.
    """
    if y is None:
        return columns, np.unique(columns)
    labels = np.unique(y)
    known, found = set(columns.tolist()), set(labels.tolist())
    if found <= known:
        return columns, np.unique(columns)
    are_codes = labels.dtype.kind in "iu" and found <= set(range(len(columns)))
    if are_codes and not found & known:
        # As LabelEncoder has it, a code is a position among the sorted classes.
        return np.searchsorted(np.unique(columns), columns), np.arange(len(columns))
    if are_codes:
        raise ValueError(
            f"y has the labels {_few(found)} and the teacher the classes "
            f"{_few(known)}: y may be codes 0..{len(columns) - 1} that stand for the "
            "teacher's classes by position, as VotingClassifier makes them, or labels "
            "of its own. Say with classes= what the teacher's columns stand for in y"
        )
    if not found & known:
        raise ValueError(
            f"y has the labels {_few(found)}, the teacher knows the classes "
            f"{_few(known)}: they share no class. Encode y as the teacher's y was, or "
            "say with classes= what the teacher's columns stand for in y"
        )
    return columns, unique_labels(columns, labels)


def align(
    values: NDArray[np.float32],
    columns: NDArray[Any],
    classes: NDArray[Any],
    fill: float = 0.0,
) -> NDArray[np.float32]:
    """Bring columns into the order of ``classes``; ``fill`` where there is none."""
    if np.array_equal(columns, classes):
        return values
    position = {label: column for column, label in enumerate(columns.tolist())}
    aligned = np.full((len(values), len(classes)), fill, dtype=np.float32)
    for target, label in enumerate(classes.tolist()):
        if label in position:
            aligned[:, target] = values[:, position[label]]
    return aligned


def to_logits(
    labels: Labels, classes: NDArray[Any], proba_clip: float | str
) -> NDArray[np.float32]:
    """Return the teacher's logits, float32 of shape (n_samples, n_classes).

    For a teacher that gives probabilities they are log(clip(p)). The logits of a
    teacher that has some are left alone.
    """
    floor = np.float32(np.log(resolve_clip(proba_clip, len(classes))))
    if labels.are_logits:
        logits = align(labels.values, labels.classes, classes, fill=-np.inf)
        return np.where(np.isneginf(logits), floor, logits)
    proba = align(labels.values, labels.classes, classes)
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(proba), floor)


def resolve_clip(proba_clip: float | str, n_classes: int) -> float:
    """Return the smallest probability that a teacher is taken to mean.

    The clip acts as a temperature of its own: at temperature T a one-hot row keeps
    1 / (1 + (K - 1) clip^(1/T)) of its mass. So "auto" falls with the square of the
    number of classes K: at T = 2 the row keeps 0.95, whatever K.
    """
    if proba_clip != "auto":
        return float(proba_clip)
    lost = (1 - _KEPT_MASS) / _KEPT_MASS
    return (lost / max(n_classes - 1, 1)) ** 2


def warn_if_uninformative(
    logits: NDArray[np.float32], y_codes: NDArray[np.intp], *, alone: bool = True
) -> None:
    """Warn where soft labels say nothing, or nothing beyond ``y``.

    The latter only where they are ``alone``, and the teacher says nothing else.
    """
    present, counts = np.unique(y_codes, return_counts=True)
    if len(present) < 2:
        return
    right = logits.argmax(axis=1) == y_codes
    recall = np.mean([right[y_codes == code].mean() for code in present])
    chance = 1 / len(present)
    error = np.sqrt(np.sum(chance * (1 - chance) / counts)) / len(present)
    # Few rows tell little: a recall far above chance is not held against the teacher.
    at_chance = recall <= chance + min(error, 0.1 * (1 - chance))
    # On rows that are scaled in another way a teacher may be a little better.
    is_low = recall <= chance + _SUSPICIOUS * (1 - chance) and right.mean() < 0.5
    if at_chance or (is_low and counts.mean() >= _ENOUGH_ROWS):
        warnings.warn(
            f"the teacher's balanced accuracy on (X, y) is {recall:.3f}, near the "
            f"chance level of {chance:.3f}: it was probably fitted on features "
            "prepared in another way, or the labels or the rows of teacher_proba are "
            "in another order. A teacher gets the X given to fit as it is",
            UserWarning,
            stacklevel=5,
        )
    top = np.exp(logits.max(axis=1) - np.logaddexp.reduce(logits, axis=1))
    if alone and right.mean() > 0.999 and top.mean() > 0.995:
        warnings.warn(
            "the soft labels are one-hot and equal to y: the teacher has nothing to "
            "add on the rows that it was trained on. Use "
            "soft_labels='out_of_fold' or 'out_of_bag', or other rows",
            UserWarning,
            stacklevel=5,
        )


@dataclass(frozen=True)
class _Task:
    """The rows to label, and all that may decide how."""

    X: Any
    y: NDArray[Any] | None
    sample_weight: ArrayLike | None
    classes: ArrayLike | None
    method: str
    cv: Any
    n_jobs: int | None
    seed: int | None
    verbose: int
    features: FeatureQuestion | None


def _in_sample(teacher: Any, task: _Task) -> Labels:
    if is_fitted(teacher):
        return _with_features(_predict(teacher, task.X, task.verbose), teacher, task)
    fitted = _fit(_seeded_clone(teacher, task.seed), task.X, task.y, task.sample_weight)
    labels = replace(_predict(fitted, task.X, task.verbose), teacher=fitted)
    return _with_features(labels, fitted, task)


def _out_of_fold(teacher: Any, task: _Task) -> Labels:
    X, y = task.X, require_target(task.y, "out_of_fold")
    prototype = _seeded_clone(teacher, task.seed)
    if is_fitted(prototype):
        raise ValueError(
            f"soft_labels='out_of_fold' fits clones of the teacher, and a "
            f"{type(teacher).__name__} cannot be fitted again: pass the estimator "
            "inside it, or use soft_labels='in_sample'"
        )
    if is_fitted(teacher):
        whole, fitted = teacher, None
        names = teacher.classes_ if task.classes is None else task.classes
    else:
        whole = fitted = _fit(clone(prototype), X, y, task.sample_weight)
        names = whole.classes_
    columns, classes = reconcile(np.asarray(names), y)
    folds = _folds(task.cv, X, y)
    like = reduction = None
    if task.features is not None:
        like, reduction = task.features(whole, X)
    parts = Parallel(n_jobs=task.n_jobs)(
        delayed(_label_fold)(clone(prototype), task, classes, like, *fold)
        for fold in tqdm(folds, desc="folds", disable=not task.verbose)
    )
    parts = [fold for fold in parts if fold is not None]
    served = [(fold.rows[fold.known], fold.proba[fold.known]) for fold in parts]
    proba, never = _mean(served, (len(y), len(classes)))
    _fall_back(proba, never, whole, X, columns, classes)
    labels = Labels(proba, classes, teacher=fitted)
    if like is None:
        return labels
    features, never = _mean([(fold.rows, fold.features) for fold in parts], like.shape)
    features[never] = like[never]
    return replace(labels, features=features, reduction=reduction)


def _out_of_bag(teacher: Any, task: _Task) -> Labels:
    X, y = task.X, require_target(task.y, "out_of_bag")
    if is_fitted(teacher):
        raise ValueError(
            "soft_labels='out_of_bag' needs an unfitted forest, which is then fitted "
            "inside: the rows that this teacher's trees left out are not known"
        )
    forest = _seeded_clone(teacher, task.seed)
    _, last = last_step(forest)
    params = last.get_params(deep=False)
    if "oob_score" not in params or not params.get("bootstrap", True):
        raise ValueError(
            f"soft_labels='out_of_bag' needs a forest or bagging ensemble with "
            f"bootstrap=True, got {type(last).__name__}; use 'out_of_fold'"
        )
    last.set_params(oob_score=True)
    with warnings.catch_warnings():
        # Rows that are never out of bag fall back below.
        warnings.filterwarnings("ignore", message="Some inputs do not have OOB")
        with np.errstate(invalid="ignore", divide="ignore"):
            forest = _fit(forest, X, y, task.sample_weight)
    values = np.nan_to_num(last.oob_decision_function_).astype(np.float32)
    never_out = values.sum(axis=1) < 0.5
    _fall_back(values, never_out, forest, X, forest.classes_, forest.classes_)
    # Trees have no out-of-bag leaves: features are those of all trees.
    return _with_features(Labels(values, forest.classes_, teacher=forest), forest, task)


_METHODS: dict[str, Callable[..., Labels]] = {
    "in_sample": _in_sample,
    "out_of_fold": _out_of_fold,
    "out_of_bag": _out_of_bag,
}


@dataclass(frozen=True)
class _Fold:
    """What a teacher that was fitted on the other folds says of the rows of one."""

    rows: NDArray[np.intp]
    proba: NDArray[np.float32]
    # Whether the other folds hold the class of a row.
    known: NDArray[np.bool_]
    features: NDArray[np.float32] | None


def _label_fold(
    teacher: Any,
    task: _Task,
    classes: NDArray[Any],
    like: NDArray[np.float32] | None,
    train: NDArray[np.intp],
    test: NDArray[np.intp],
) -> _Fold | None:
    """Fit on ``train``, ask for ``test``; None where ``train`` is of one class.

    ``like`` holds the features that the fold's are turned to resemble.
    """
    y = require_target(task.y, "out_of_fold")
    if len(np.unique(y[train])) < 2:
        return None
    weights = task.sample_weight
    weights = None if weights is None else np.asarray(weights)[train]
    X_train, X_test = (_safe_indexing(task.X, rows) for rows in (train, test))
    _fit(teacher, X_train, y[train], weights)
    labels = _predict(teacher, X_test, verbose=0)
    features = None
    if task.features is not None and like is not None:
        features = task.features.held_out(teacher, X_train, X_test, like[train])
    return _Fold(
        test,
        align(labels.values, labels.classes, classes),
        np.isin(y[test], y[train]),
        features,
    )


def _mean(
    parts: list[tuple[NDArray[np.intp], NDArray[np.float32]]], shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the mean of what parts say of their rows, and which rows none has."""
    total, times = np.zeros(shape, np.float32), np.zeros(shape[0], np.float32)
    for rows, values in parts:
        total[rows] += values
        times[rows] += 1
    total /= np.maximum(times, 1)[:, np.newaxis]
    return total, times == 0


def _with_features(labels: Labels, teacher: Any, task: _Task) -> Labels:
    """Add the features of a fitted teacher, where they are asked for."""
    if task.features is None:
        return labels
    values, reduction = task.features(teacher, task.X)
    return replace(labels, features=values, reduction=reduction)


def _fall_back(
    values: NDArray[np.float32],
    rows: NDArray[np.bool_],
    teacher: Any,
    X: Any,
    columns: NDArray[Any],
    classes: NDArray[Any],
) -> None:
    """Fill ``rows`` of ``values`` with what a teacher that saw all rows says."""
    where = np.flatnonzero(rows)
    if len(where):
        labels = _predict(teacher, _safe_indexing(X, where), verbose=0)
        values[where] = align(labels.proba, columns, classes)


def _folds(cv: Any, X: Any, y: NDArray[Any]) -> list[Any]:
    """Return the folds; classes too rare to be stratified are let through."""
    if cv is None or isinstance(cv, int | np.integer):
        n_splits = min(5 if cv is None else cv, len(y))
        largest = np.unique(y, return_counts=True)[1].max()
        cv = KFold(n_splits) if largest < n_splits else n_splits
    with warnings.catch_warnings():
        # The rows of a class that a fold has not seen have a fallback.
        warnings.filterwarnings("ignore", message="The least populated class")
        return list(check_cv(cv, y, classifier=True).split(X, y))


def _predict(teacher: Any, X: Any, verbose: int) -> Labels:
    """Ask a fitted teacher in chunks of bounded memory."""
    are_logits = getattr(teacher, "gives_logits", False)
    method = teacher.predict_log_proba if are_logits else teacher.predict_proba
    check = check_log_proba if are_logits else check_proba
    name = f"teacher {type(teacher).__name__}"
    n_samples = _num_samples(X)
    width = len(getattr(teacher, "classes_", ())) or 1000
    chunks = list(gen_batches(n_samples, max(1, _CHUNK_BYTES // (8 * width))))
    parts = []
    for chunk in tqdm(chunks, desc="soft labels", disable=not verbose):
        rows = X if len(chunks) == 1 else _safe_indexing(X, chunk)
        with noting(_note(teacher)):
            answer = method(rows)
        several = isinstance(answer, list) and np.ndim(answer[0]) == 2
        part = np.asarray(answer[0] if several else answer)
        if several or part.ndim != 2 or len(part) != _num_samples(rows):
            raise ValueError(
                f"{name} gave soft labels of shape {part.shape} for "
                f"{_num_samples(rows)} rows{', for several outputs' * several}: a "
                "teacher of one label per row gives (n_samples, n_classes)"
            )
        parts.append(check(part, name))
    values = np.concatenate(parts)
    classes = getattr(teacher, "classes_", np.arange(values.shape[1]))
    if len(classes) != values.shape[1]:
        raise ValueError(
            f"{name} has {len(classes)} classes and gives {values.shape[1]} columns"
        )
    return Labels(values, np.asarray(classes), are_logits)


def _name_columns(teacher: Any, labels: Labels, classes: ArrayLike | None) -> Labels:
    """Let ``classes`` say what the columns of a fitted teacher stand for."""
    if not is_fitted(teacher):
        return labels
    if classes is None:
        if not hasattr(teacher, "classes_"):
            raise ValueError(
                f"teacher {type(teacher).__name__} has no classes_: say with classes= "
                "what the columns of its predict_proba stand for"
            )
        return labels
    columns = np.asarray(classes)
    if columns.shape != (labels.values.shape[1],):
        raise ValueError(
            f"classes= has {len(columns)} labels, teacher "
            f"{type(teacher).__name__} gives {labels.values.shape[1]} columns"
        )
    return replace(labels, classes=columns)


def _average(
    teachers: list[Any], answers: list[Labels], weights: NDArray[np.float64]
) -> Labels:
    try:
        classes = unique_labels(*(labels.classes for labels in answers))
    except ValueError as error:
        raise ValueError(
            "the teachers have classes of different kinds: "
            f"{[labels.classes.tolist() for labels in answers]}"
        ) from error
    mean = np.zeros((len(answers[0].values), len(classes)), dtype=np.float32)
    for labels, weight in zip(answers, weights, strict=True):
        mean += np.float32(weight) * align(labels.proba, labels.classes, classes)
    made = [labels.teacher for labels in answers]
    fitted = None
    if any(one is not None for one in made):
        fitted = [
            one if new is None else new for one, new in zip(teachers, made, strict=True)
        ]
    average = Labels(mean, classes, teacher=fitted)
    features = [labels.features for labels in answers if labels.features is not None]
    if len(features) < len(answers):
        return average
    return replace(
        average,
        features=np.concatenate(features, axis=1),
        reduction=[labels.reduction for labels in answers],
    )


def _seeded_clone(teacher: Any, seed: int | None) -> Any:
    """Clone, drawing the random states that the person left open from ``seed``."""
    new = clone(teacher)
    if seed is None or not hasattr(new, "get_params"):
        return new
    rng = check_random_state(seed)
    for name, value in sorted(new.get_params(deep=True).items()):
        if name.rpartition("__")[2] == "random_state" and value is None:
            new.set_params(**{name: int(rng.randint(2**31 - 1))})
    return new


def _fit(
    teacher: Any, X: Any, y: NDArray[Any] | None, sample_weight: ArrayLike | None
) -> Any:
    """Fit and return a teacher, with sample weights where it takes them."""
    y = require_target(y, "fitting a teacher")
    with noting(_note(teacher)):
        _fit_in_place(teacher, X, y, sample_weight)
    check_teacher(teacher)
    return teacher


def _note(teacher: Any) -> str:
    return (
        f"(Raised by teacher {type(teacher).__name__}, which gets X just as it was "
        "given to fit. What it needs done to X goes into one pipeline with it)"
    )


def _fit_in_place(
    teacher: Any, X: Any, y: NDArray[Any], sample_weight: ArrayLike | None
) -> None:
    prefix, last = last_step(teacher)
    if sample_weight is None:
        teacher.fit(X, y)
    elif has_fit_parameter(last, "sample_weight"):
        # The name of a step reaches it only where metadata is not routed.
        with config_context(enable_metadata_routing=False):
            teacher.fit(X, y, **{f"{prefix}sample_weight": sample_weight})
    else:
        warnings.warn(
            f"teacher {type(last).__name__} takes no sample_weight: the weights act on "
            "the student alone",
            UserWarning,
            stacklevel=3,
        )
        teacher.fit(X, y)


def _key(teacher: Any, number: int, task: _Task) -> tuple[str | None, bool]:
    """Return what the labels depend on, and whether another process would say so.

    The former is None where it cannot be told.
    """
    mark, cv_mark = stamp(teacher), stamp(task.cv)
    if mark is None or cv_mark is None:
        return None, False
    features: str | int | None = None
    is_lasting = True
    if task.features is not None:
        features = stamp((task.features.how, task.features.reduction))
        if features is None:  # as of a function that a notebook may define anew
            features, is_lasting = object_number(task.features.how), False
    parts: list[Any] = [mark, task.method, features]
    try:
        parts.append(content_hash(task.X))
        if task.method != "in_sample" or not is_fitted(teacher):
            contents = (task.y, task.sample_weight, task.classes)
            parts += [*map(content_hash, contents), cv_mark, task.seed, number]
        return joblib.hash(parts), is_lasting
    except (TypeError, AttributeError, pickle.PicklingError):
        return None, False


def _recall(memory: Any, key: str | None, compute: Callable[[], Labels]) -> Labels:
    """Look into ``memory``, then the process-wide cache, then ask the teacher."""
    if memory is None or key is None:
        return cache.get(key, compute)
    if isinstance(memory, os.PathLike):
        memory = os.fspath(memory)
    asked: list[Labels] = []

    def ask_once() -> tuple[Any, ...]:
        labels = cache.get(key, compute)
        asked.append(labels)
        kept = (labels.values, labels.classes, labels.are_logits)
        return (*kept, labels.features, labels.reduction)

    store = check_memory(memory).cache(_stored, ignore=["compute"])
    stored = store(key, ask_once)
    return asked[0] if asked else cache.get(key, lambda: Labels(*stored))


def _stored(key: str, compute: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return the labels of ``key``; a joblib.Memory keeps what this returns."""
    return compute()


def _few(labels: set[Any]) -> str:
    shown = sorted(labels, key=str)[:6]
    return f"{shown}{' and more' if len(labels) > 6 else ''}"
