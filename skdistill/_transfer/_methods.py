"""Which teacher labels a row: in-sample, out-of-fold and out-of-bag."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import KFold, check_cv
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from skdistill._teachers._answers import Answer, align
from skdistill._teachers._asking import (
    ask,
    fit,
    private_copy,
    seeded_clone,
    weight_parameter,
)
from skdistill._teachers._calibration import Calibration, calibration_on
from skdistill._transfer._extra import explain_failure
from skdistill._transfer._labels import reconcile
from skdistill.utils._bars import shown
from skdistill.utils._unwrap import last_step
from skdistill.utils._validation import (
    check_two_classes,
    is_fitted,
    require_target,
)
from skdistill.utils._warnings import warn

if TYPE_CHECKING:
    from skdistill._teachers._features import FeatureQuestion

METHODS = ("auto", "in_sample", "out_of_fold", "out_of_bag")


@dataclass(frozen=True)
class Question:
    """The rows that a teacher is to label, and all that decides how.

    Attributes
    ----------
    X, y, sample_weight : array-like
        The rows, as the person gave them.
    method : {"auto", "in_sample", "out_of_fold", "out_of_bag"}
        Which teacher labels a row. "auto" is "out_of_fold" where there is a ``cv``,
        else "in_sample".
    classes : array-like or None
        What the columns of a fitted teacher stand for.
    cv : int, splitter or None
        The folds of "out_of_fold".
    random_state : int, RandomState instance or None
        Seeds what unfitted teachers leave open. With None they draw anew each time.
    teacher_weights : array-like of shape (n_teachers,) or None
        The weights of a list of teachers.
    features : FeatureQuestion or None
        What to ask for besides labels.
    calibration : None, "out_of_fold" or pair of array-likes
        The rows whose log loss gives the temperature of the answer: those of X, each
        labeled by a clone that was not fitted on it, or a pair (X_cal, y_cal).
    memory : None, str, path or joblib.Memory
        Where later processes find the answer.
    extra : array-like, or None
        Further rows, without labels, which a teacher that was fitted on all rows
        labels. The answer has them below those of X.
    augmenter : object or None
        What has made some of these rows, for errors.
    remember : bool
        Whether to keep the answer, and to look for an earlier one.
    n_jobs, verbose : int
        How many folds at once; whether to show progress.
    """

    X: Any
    y: NDArray[Any] | None = None
    sample_weight: ArrayLike | None = None
    method: str = "in_sample"
    classes: ArrayLike | None = None
    cv: Any = None
    random_state: Any = None
    teacher_weights: ArrayLike | None = None
    features: FeatureQuestion | None = None
    calibration: Any = None
    extra: Any = None
    augmenter: Any = None
    memory: Any = None
    remember: bool = True
    n_jobs: int | None = None
    verbose: int = 0

    @property
    def resolved(self) -> str:
        """The method that "auto" stands for."""
        if self.method != "auto":
            return self.method
        return "in_sample" if self.cv is None else "out_of_fold"

    @property
    def uses_folds(self) -> bool:
        """Whether answering it fits clones of a teacher on folds."""
        return "out_of_fold" in (self.resolved, self.calibration)

    def fits(self, teacher: Any) -> bool:
        """Whether answering it fits a teacher."""
        return self.uses_folds or not self.is_labeled_by(teacher)

    def is_labeled_by(self, teacher: Any) -> bool:
        """Whether the rows are labeled by a teacher that was fitted before."""
        return self.resolved == "in_sample" and is_fitted(teacher)


def answer_of(teacher: Any, question: Question) -> Answer:
    """Ask a teacher as the question says; fit it, or clones of it, where need be."""
    if question.sample_weight is not None and question.fits(teacher):
        _warn_without_weights(teacher)
    if question.y is not None and question.fits(teacher):
        check_two_classes(question.y)
    calibration = None
    if question.calibration == "out_of_fold" != question.resolved:
        calibration = _calibration_out_of_fold(teacher, question)
    answer = _ANSWERS[question.resolved](teacher, question)
    whole = teacher if answer.teacher is None else answer.teacher
    if question.extra is not None:
        answer = answer.above(_on_extra(whole, answer, question))
    if isinstance(question.calibration, tuple):
        calibration = _calibration_on_pair(whole, answer, question)
    calibration = calibration or answer.calibration
    return answer if calibration is None else calibration(answer)


def named(teacher: Any, answer: Answer, question: Question) -> Answer:
    """Return the answer of a fitted teacher with the labels of its columns."""
    if question.classes is None:
        if not hasattr(teacher, "classes_"):
            raise ValueError(
                f"teacher {type(teacher).__name__} has no classes_: say with classes= "
                "what the columns of its predict_proba stand for"
            )
        return answer
    columns = np.asarray(question.classes)
    if columns.shape != (answer.values.shape[1],):
        raise ValueError(
            f"classes= has {len(columns)} labels, teacher "
            f"{type(teacher).__name__} gives {answer.values.shape[1]} columns"
        )
    return replace(answer, classes=columns)


def _in_sample(teacher: Any, question: Question) -> Answer:
    if is_fitted(teacher):
        return _with_features(
            ask(teacher, question.X, question.verbose), teacher, question
        )
    fitted = _fit_on_all(seeded_clone(teacher, question.random_state), question)
    answer = replace(ask(fitted, question.X, question.verbose), teacher=fitted)
    return _with_features(answer, fitted, question)


def _out_of_fold(teacher: Any, question: Question) -> Answer:
    y = require_target(question.y, "out_of_fold")
    way_out = "pass the estimator inside it, or use soft_labels='in_sample'"
    prototype = _prototype(teacher, question, "soft_labels", way_out)
    if is_fitted(teacher):
        whole, fitted = teacher, None
        names = teacher.classes_ if question.classes is None else question.classes
    else:
        whole = fitted = _fit_on_all(clone(prototype), question)
        names = whole.classes_
    columns, classes = reconcile(np.asarray(names), y)
    like = reduction = None
    if question.features is not None:
        like, reduction = question.features(whole, private_copy(question.X))
    parts = _label_folds(prototype, question, classes, like)
    proba, never = _held_out(parts, (len(y), len(classes)))
    answer = Answer(proba, classes, teacher=fitted)
    if question.calibration == "out_of_fold":
        calibration = _calibration_on_held_out(answer, ~never, question)
        answer = replace(answer, calibration=calibration)
    _fall_back(proba, never, whole, question.X, columns, classes)
    if like is None:
        return answer
    features, never = _mean([(fold.rows, fold.features) for fold in parts], like.shape)
    features[never] = like[never]
    return replace(answer, features=features, reduction=reduction)


def _out_of_bag(teacher: Any, question: Question) -> Answer:
    require_target(question.y, "out_of_bag")
    if is_fitted(teacher):
        raise ValueError(
            "soft_labels='out_of_bag' needs an unfitted forest, which is then fitted "
            "inside: the rows that this teacher's trees left out are not known"
        )
    forest = seeded_clone(teacher, question.random_state)
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
            forest = _fit_on_all(forest, question)
    proba = np.nan_to_num(last.oob_decision_function_).astype(np.float32)
    never_out = proba.sum(axis=1) < 0.5
    _fall_back(proba, never_out, forest, question.X, forest.classes_, forest.classes_)
    # Trees have no out-of-bag leaves: features are those of all trees.
    answer = Answer(proba, forest.classes_, teacher=forest)
    return _with_features(answer, forest, question)


_ANSWERS: dict[str, Callable[[Any, Question], Answer]] = {
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
    features: Any


def _prototype(teacher: Any, question: Question, name: str, way_out: str) -> Any:
    """Return what is cloned and fitted on folds; ``name`` is the parameter for it."""
    prototype = None
    if hasattr(teacher, "get_params"):
        prototype = seeded_clone(teacher, question.random_state)
    if prototype is None or is_fitted(prototype):
        raise ValueError(
            f"{name}='out_of_fold' fits clones of the teacher, and a "
            f"{type(teacher).__name__} cannot be fitted again: {way_out}"
        )
    return prototype


def _label_folds(
    prototype: Any,
    question: Question,
    classes: NDArray[Any],
    like: NDArray[np.float32] | None = None,
) -> list[_Fold]:
    """Label each fold by a clone that is fitted on the others."""
    y = require_target(question.y, "out_of_fold")
    folds = _folds(question.cv, question.X, y)
    parts = Parallel(n_jobs=question.n_jobs)(
        delayed(_label_fold)(clone(prototype), question, classes, like, *fold)
        for fold in shown(folds, "folds", question.verbose)
    )
    return [fold for fold in parts if fold is not None]


def _label_fold(
    teacher: Any,
    question: Question,
    classes: NDArray[Any],
    like: NDArray[np.float32] | None,
    train: NDArray[np.intp],
    test: NDArray[np.intp],
) -> _Fold | None:
    """Fit on ``train``, ask for ``test``.

    None where ``train`` is of one class, or ``test`` is empty.

    ``like`` holds the features that the fold's are turned to resemble.
    """
    y = require_target(question.y, "out_of_fold")
    if len(np.unique(y[train])) < 2 or not len(test):
        return None
    weights = question.sample_weight
    weights = None if weights is None else np.asarray(weights)[train]
    X_train, X_test = (_safe_indexing(question.X, rows) for rows in (train, test))
    teacher = fit(teacher, X_train, y[train], weights, question.random_state)
    answer = ask(teacher, X_test)
    features = None
    if question.features is not None and like is not None:
        features = question.features.held_out(teacher, X_train, X_test, like[train])
    return _Fold(
        test,
        align(answer.values, answer.classes, classes),
        np.isin(y[test], y[train]),
        features,
    )


def _held_out(
    parts: list[_Fold], shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the labels of the rows that folds hold out, and which rows none does."""
    served = [(fold.rows[fold.known], fold.proba[fold.known]) for fold in parts]
    return _mean(served, shape)


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


def _calibration_out_of_fold(teacher: Any, question: Question) -> Calibration:
    """Fit clones of a teacher on folds for the sake of its calibration alone."""
    y = require_target(question.y, "calibrate_teacher='out_of_fold'")
    way_out = "pass rows that it has not seen, calibrate_teacher=(X_cal, y_cal)"
    prototype = _prototype(teacher, question, "calibrate_teacher", way_out)
    classes = np.unique(y)
    parts = _label_folds(prototype, question, classes)
    proba, never = _held_out(parts, (len(y), len(classes)))
    return _calibration_on_held_out(Answer(proba, classes), ~never, question)


def _calibration_on_held_out(
    answer: Answer, held: NDArray[np.bool_], question: Question
) -> Calibration:
    """Calibrate on the rows that a clone has labeled which was not fitted on them."""
    y = require_target(question.y, "out_of_fold")
    weight = question.sample_weight
    weight = None if weight is None else np.asarray(weight)[held]
    held_out = replace(answer, values=answer.values[held])
    return calibration_on(held_out, y[held], weight)


def _calibration_on_pair(whole: Any, answer: Answer, question: Question) -> Calibration:
    """Calibrate a teacher on rows that it has not seen."""
    X, y = question.calibration
    said = ask(whole, X, question.verbose)
    if answer.teacher is None:
        said = named(whole, said, question)
    columns, _ = reconcile(said.classes, y)
    return calibration_on(replace(said, classes=columns), y)


def _fit_on_all(teacher: Any, question: Question) -> Any:
    how = (question.y, question.sample_weight, question.random_state)
    return fit(teacher, question.X, *how)


def _with_features(answer: Answer, teacher: Any, question: Question) -> Answer:
    """Add the features of a fitted teacher, where they are asked for."""
    if question.features is None:
        return answer
    values, reduction = question.features(teacher, private_copy(question.X))
    return replace(answer, features=values, reduction=reduction)


def _on_extra(whole: Any, answer: Answer, question: Question) -> Answer:
    """Ask the teacher that saw all rows for the rows beyond them."""
    try:
        more = ask(whole, question.extra, question.verbose)
    except Exception as error:
        if question.augmenter is None:
            raise
        raise explain_failure(
            ask, whole, question.augmenter, question.X, question.extra, error
        ) from error
    values = more.values if answer.are_logits == more.are_logits else more.proba
    if question.resolved == "out_of_fold":
        if answer.teacher is None:
            more = named(whole, more, question)
        columns, _ = reconcile(more.classes, question.y)
        values = align(values, columns, answer.classes)
    more = replace(more, values=values)
    if answer.features is None or question.features is None:
        return more
    ours = replace(question.features, reduction=answer.reduction)
    features, _ = ours(whole, private_copy(question.extra))
    return replace(more, features=features)


def _fall_back(
    proba: NDArray[np.float32],
    rows: NDArray[np.bool_],
    teacher: Any,
    X: Any,
    columns: NDArray[Any],
    classes: NDArray[Any],
) -> None:
    """Fill ``rows`` of ``proba`` with what a teacher that saw all rows says."""
    where = np.flatnonzero(rows)
    if len(where):
        answer = ask(teacher, _safe_indexing(X, where))
        proba[where] = align(answer.proba, columns, classes)


def _folds(cv: Any, X: Any, y: NDArray[Any]) -> list[Any]:
    """Return the rows of folds; classes too rare to be stratified are let through."""
    if cv is None or isinstance(cv, int | np.integer):
        n_splits = min(5 if cv is None else cv, len(y))
        largest = np.unique(y, return_counts=True)[1].max()
        cv = KFold(n_splits) if largest < n_splits else n_splits
    with warnings.catch_warnings():
        # The rows of a class that a fold has not seen have a fallback.
        warnings.filterwarnings("ignore", message="The least populated class")
        pairs = list(check_cv(cv, y, classifier=True).split(X, y))
    if not pairs:
        raise ValueError("cv makes no folds: pass at least one pair (train, test)")
    return [[_positions(part, len(y)) for part in pair] for pair in pairs]


def _positions(part: Any, n_rows: int) -> NDArray[np.intp]:
    """Return the row numbers of one side of a fold, which may be a mask."""
    given, rows = np.asarray(part), np.arange(n_rows)
    if given.dtype == bool and given.shape == (n_rows,):
        return rows[given]
    if given.ndim != 1 or given.dtype == bool or not np.isin(given, rows).all():
        raise ValueError(
            f"cv must make pairs of row numbers from 0 to {n_rows - 1}, or of masks of "
            f"{n_rows} rows, got {given!r:.80}"
        )
    return given.astype(np.intp)


def _warn_without_weights(teacher: Any) -> None:
    if weight_parameter(teacher) is None:
        _, last = last_step(teacher)
        warn(
            f"teacher {type(last).__name__} takes no sample_weight: the weights act on "
            "the student alone"
        )
