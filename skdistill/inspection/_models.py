"""Fit the models of one split: teachers, the net on labels alone, and the student."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from skorch.callbacks import EarlyStopping
from skorch.utils import noop

from skdistill._base import BaseDistiller
from skdistill._pickling import LeftOut
from skdistill._students._make_student import make_student
from skdistill._students._student import net_of, numeric_of
from skdistill._students._student_net import ValidSplit
from skdistill._targets._target import target_of
from skdistill._teachers._asking import fit, seeded_clone
from skdistill.metrics._scorer import named_by, said_by_all
from skdistill.utils._arrays import Array, Floats
from skdistill.utils._params import is_auto
from skdistill.utils._unwrap import listed, unwrapped
from skdistill.utils._validation import all_fitted, is_fitted

# The rows, their labels, and their weights or None.
Rows = tuple[Any, Array, Any]

# The share of the rows that the net on labels alone holds out to find its best epoch,
# and the number of epochs that it waits for a better one.
_HELD_OUT, _PATIENCE = 0.15, 30


def names_of_columns(clf: Any) -> Any:
    """Return ``classes`` if the parameter names the columns of fitted teachers."""
    return clf.classes if any(map(is_fitted, listed(clf.teacher))) else None


def said_by_both(
    estimator: Any, X: Any, teacher: Any = None
) -> tuple[str, Floats, Floats]:
    """Return the task of a student, and what its teacher and it say of rows.

    A teacher that is passed gets the rows as they are. That of the estimator gets what
    the steps before it make of them.
    """
    asked: dict[str, Any] = {}
    if teacher is not None and not all_fitted(teacher):
        raise NotFittedError("the teacher is not fitted: call teacher.fit first")
    before, last = unwrapped(estimator)
    if teacher is None:
        for _, step in before:
            X = step.transform(X)
        estimator, teacher = last, _teacher_of(last)
        asked["teacher_weights"] = last.teacher_weights
    is_ours = isinstance(last, BaseDistiller)
    task = (last._target() if is_ours else target_of(teacher)).task
    asked["classes"] = named_by(last, teacher)
    (one, other), _ = said_by_all(teacher, [estimator], X, task=task, **asked)
    return task, one, other


def _teacher_of(estimator: Any) -> Any:
    """Return the fitted teacher of a student."""
    teacher = getattr(estimator, "teacher", None)
    if not isinstance(teacher, LeftOut | None):
        if all_fitted(teacher):
            return teacher
        if hasattr(estimator, "teacher_"):
            return estimator.teacher_
    raise ValueError(
        f"this {type(estimator).__name__} has no fitted teacher to compare with: pass "
        "teacher="
    )


def fit_models(
    clf: BaseDistiller, train: Rows, seed: int
) -> tuple[dict[str, list[Any]], dict[str, float]]:
    """Fit the models to compare on the training rows of a split.

    Return the estimators by the name of the model, all teachers or one, and how long
    each took to fit: NaN for teachers that were fitted elsewhere. ``clf`` is not
    fitted, and has a teacher. The seed is for all models.
    """
    draws, seconds = check_random_state(seed), {}
    X, y, weights = train
    weighted = (X, y, clf._target().weighted(y, weights))
    target = clf._target().without_columns()
    seeds = [draws.randint(2**31 - 1) for _ in listed(clf.teacher)]
    unfitted = [
        one if is_fitted(one) else seeded_clone(one, number)
        for one, number in zip(listed(clf.teacher), seeds, strict=True)
    ]
    start = perf_counter()
    teachers = [
        one if is_fitted(one) else fit(clone(one), *weighted, number, target=target)
        for one, number in zip(unfitted, seeds, strict=True)
    ]
    seconds["teacher"] = np.nan if all_fitted(unfitted) else perf_counter() - start
    student = clone(clf).set_params(random_state=seed)
    measures = is_auto(clf.alpha) and clf._takes_tables()
    if clf.soft_labels == "out_of_bag" or measures:
        # Of a fitted teacher nobody knows which rows, or trees, are honest.
        seconds["student"] = _fit_student(student, unfitted, train)
    else:
        if clf._target().task == "classification":
            student.set_params(classes=names_of_columns(clf))
        seconds["student"] = _fit_student(student, teachers, train)
    twin = _twin(student, seed)
    seconds["labels alone"] = _timed(twin.fit, *train, _given(student, y))
    models = {"teacher": teachers, "labels alone": [twin], "student": [student]}
    return models, seconds


def _fit_student(student: Any, teachers: list[Any], train: Rows) -> float:
    several = isinstance(student.teacher, list | tuple)
    student.set_params(teacher=teachers if several else teachers[0])
    return _timed(student.fit, *train)


def _twin(clf: Any, seed: int) -> Any:
    """Return the net of a fitted student, to be trained on labels alone.

    The net keeps its best epoch. If the student chose its encoding of numbers in
    ``fit``, the net gets the same encoding.
    """
    task = clf._target().task
    student = make_student(task=task) if clf.student is None else clone(clf.student)
    if numeric_of(student) == "auto":
        student[0].set_params(numeric=numeric_of(clf.student_))
    net = net_of(student)
    if net.train_split is None:
        net.train_split = ValidSplit(_HELD_OUT, stratified=task == "classification")
    own = net.callbacks if isinstance(net.callbacks, list) else []
    best = EarlyStopping(patience=_PATIENCE, load_best=True, sink=noop)
    net.callbacks = [*own, best]
    none = ("teacher", "calibrate_teacher", "feature_loss", "relation_loss", "cv")
    twin = clone(clf).set_params(
        **dict.fromkeys(none),
        augmenter=None,
        student=student,
        alpha=0.0,
        soft_labels="auto",
        teacher_features="auto",
        random_state=seed,
        verbose=0,
    )
    if task == "classification":
        twin.set_params(classes=clf.classes_)
    return twin


def _given(student: Any, y: Array) -> Floats:
    """Return the labels as soft labels; one-hot ones would cause a warning."""
    task = student._target().task
    if task == "regression":
        n_quantiles = len(getattr(student, "quantiles", None) or ())
        return np.tile(y[:, np.newaxis], n_quantiles) if n_quantiles else y
    if task == "multilabel":
        return (y + 0.5) / 2
    classes = student.classes_
    return ((y[:, np.newaxis] == classes) + 1 / len(classes)) / 2


def _timed(function: Callable[..., Any], *args: Any) -> float:
    start = perf_counter()
    function(*args)
    return perf_counter() - start
