"""Compute soft labels: class probabilities, or numbers, of each sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skdistill._targets._answer import Answer
from skdistill._targets._classes import Classes
from skdistill._targets._numbers import Numbers
from skdistill._targets._target import Target, target_of
from skdistill._teachers._asking import average
from skdistill._transfer._methods import answer_of
from skdistill._transfer._question import METHODS, Method, Question, resolve_calibration
from skdistill._transfer._store import remembered
from skdistill.utils._arrays import Floats
from skdistill.utils._fingerprint import Fingerprint, fingerprint
from skdistill.utils._underflow import underflow_is_zero
from skdistill.utils._unwrap import listed
from skdistill.utils._validation import (
    all_fitted,
    check_n_features,
    check_not_empty,
    check_teacher_weights,
    check_weight,
)
from skdistill.utils._warnings import warn


@validate_params(
    {
        "method": [StrOptions(set(METHODS))],
        "cv": ["cv_object"],
        "teacher_weights": ["array-like", None],
        "proba_clip": [
            StrOptions({"auto"}),
            Interval(Real, 0, 1, closed="neither"),
            None,
        ],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=False,
)
@underflow_is_zero
def soft_labels(
    teacher: Any,
    X: Any,
    y: ArrayLike | None = None,
    *,
    method: Method = "auto",
    cv: Any = None,
    sample_weight: ArrayLike | float | None = None,
    teacher_weights: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    calibrate_teacher: Literal["out_of_fold"] | Sequence[Any] | None = None,
    proba_clip: float | Literal["auto"] | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
) -> Floats:
    """Compute a teacher's soft labels of ``X``.

    Soft labels that were computed earlier in the same process are reused if nothing
    that they depend on has changed; see the :ref:`user guide <remembering>`.

    Parameters
    ----------
    teacher : estimator, or list of estimators
        A classifier with ``predict_proba``, or a regressor. A fitted teacher is used as
        it is. An unfitted teacher is cloned, and the clone is fitted on ``(X, y)``. The
        probabilities, or predictions, of a list of teachers are averaged.
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        The rows, in the form that the teacher accepts. The teacher gets a copy. A dask
        array or DataFrame is labeled lazily, block by block, by a fitted teacher.
    y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
        The labels, an indicator matrix of several labels, or the numbers. Required if
        a teacher is fitted here.
    method : {"auto", "in_sample", "out_of_fold", "out_of_bag"}, default="auto"
        The teacher that labels a row:

        - "in_sample": one teacher labels all rows. For rows that it was trained on, its
          probabilities can add little to the labels.
        - "out_of_fold": clones of the teacher are fitted on folds, and each row is
          labeled by a clone that was not fitted on it.
        - "out_of_bag": a forest or a bagging ensemble is fitted, and each row is
          labeled by the members whose bootstrap sample does not contain it.
        - "auto": "out_of_fold" if ``cv`` is given, otherwise "in_sample".

        With "out_of_fold" and "out_of_bag", some rows are labeled by the teacher that
        was fitted on all rows: those that are never held out, and those whose class is
        missing from the rows that the clone was fitted on.
    cv : int or cross-validation splitter, default=None
        The folds for "out_of_fold". None means 5. An int gives stratified folds, or
        shuffled ones for a regressor. If a splitter holds out a row several times, its
        soft labels are averaged. For folds by groups, pass
        ``list(splitter.split(X, y, groups))``.
    sample_weight : array-like of shape (n_samples,) or float, default=None
        Passed to ``fit`` of the teachers that are fitted here.
    teacher_weights : array-like of shape (n_teachers,), default=None
        The weights of a list of teachers. By default all are equal.
    classes : array-like of shape (n_classes,), default=None
        The labels of the columns of a fitted teacher, by default its ``classes_``; or
        some of these, which leave out the other columns: rows still sum to 1. The
        columns of the result are these labels and the other labels of ``y``, sorted.
    calibrate_teacher : None, "out_of_fold" or pair (X_cal, y_cal), default=None
        The rows on which the temperature of each teacher is found, which makes its
        probabilities calibrated. See :class:`DistilledClassifier`.
    proba_clip : float, "auto" or None, default=None
        The lower bound of the probabilities, so that their logarithms are finite. The
        rows still sum to 1. "auto" is the default of the estimator, which depends on
        the number of classes. None means no bound. Ignored for a regressor.
    n_jobs : int, default=None
        The number of folds that are fitted at the same time.
    random_state : int, RandomState instance or None, default=None
        Seeds the ``random_state`` parameters of an unfitted teacher that are None.
    verbose : int, default=0
        If 1, shows a progress bar.

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes), float32
        Rows sum to 1. Of several labels, the probability of each, of shape (n_samples,
        n_labels). A dask array if X is a collection of dask. Of a regressor, its
        predictions, float64 of shape (n_samples,) or (n_samples, n_targets).

    Raises
    ------
    TypeError
        If the teacher has no ``predict_proba``, or is a torch module.
    ValueError
        If a parameter is out of range, if the teacher and ``y`` have no class in
        common, if the teacher was fitted on another number of features, if it does not
        return probabilities, if it does not support ``method``, or if
        ``calibrate_teacher`` does not fit the teacher.

    See Also
    --------
    DistilledClassifier : Accepts soft labels in ``fit(X, y, teacher_proba=proba)``.
    DistilledRegressor : Accepts those of a regressor as ``teacher_pred``.

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
    target = target_of(teacher, y, columns=classes, proba_clip=proba_clip)
    if calibrate_teacher is not None and isinstance(target, Numbers):
        raise ValueError(
            "calibrate_teacher is about the probabilities of classes: set it to None"
        )
    if hasattr(X, "__dask_graph__"):
        block = partial(
            soft_labels,
            teacher,
            teacher_weights=teacher_weights,
            method=method,
            classes=classes,
            calibrate_teacher=calibrate_teacher,
            proba_clip=proba_clip,
        )
        return _by_block(block, teacher, X, y, target)
    if y is not None:
        y = target.check_y(y, X)
    sample_weight = check_weight(sample_weight, X)
    question = Question(
        X,
        y,
        sample_weight,
        target=target,
        method=method,
        cv=cv,
        teacher_weights=teacher_weights,
        calibration=resolve_calibration(calibrate_teacher, target),
        random_state=random_state,
        n_jobs=n_jobs,
        verbose=verbose,
    )
    answer = label(teacher, question)
    columns, target = target.reconcile(answer.columns, y)
    labels = target.clipped(target.aligned(replace(answer, columns=columns)))
    labels = labels.copy() if labels is answer.values else labels
    is_one_number = isinstance(target, Numbers) and labels.shape[1] == 1
    return labels[:, 0] if is_one_number else labels


def _by_block(
    block: Callable[[Any], Any], teacher: Any, X: Any, y: Any, target: Target
) -> Any:
    """Return a collection of dask of which ``block`` labels each block.

    Raise a ValueError if the labels of a block depend on other blocks.
    """
    if not isinstance(target, Classes):
        raise ValueError(
            "a dask collection is labeled by classifiers of one label a row alone: "
            "pass X.compute(), or call X.map_partitions(teacher.predict)"
        )
    if y is not None or not all_fitted(teacher):
        raise ValueError(
            "a dask collection is labeled block by block: pass a fitted teacher, and "
            "no y"
        )
    for one in listed(teacher):
        target.check_teacher(one)
    columns = [target.columns_of(one) for one in listed(teacher)]
    n_columns = len(np.unique(np.concatenate(columns)))
    if hasattr(X, "map_partitions"):
        return X.map_partitions(block, meta=np.empty((0, n_columns), np.float32))
    X = X.rechunk({1: -1})
    chunks = (X.chunks[0], (n_columns,))
    meta = np.empty((0, 0), np.float32)
    return X.map_blocks(block, dtype=np.float32, chunks=chunks, meta=meta)


def label(teacher: Any, question: Question) -> Answer:
    """Return the answer of a teacher, fitted or not, or the average of several.

    The columns are those of the teachers. :meth:`Target.reconcile` names them as ``y``
    does.
    """
    check_not_empty(question.X)
    target = question.target
    several, teachers = isinstance(teacher, list | tuple), listed(teacher)
    weights = check_teacher_weights(question.teacher_weights, len(teachers))
    for one in teachers:
        target.check_teacher(one, question.y)
        check_n_features(one, question.X)
    seeds: list[int | None] = [None] * len(teachers)
    if question.random_state is not None:
        rng = check_random_state(question.random_state)
        seeds = [int(rng.randint(2**31 - 1)) for _ in teachers]
    answers = []
    for number, one in enumerate(teachers):
        own = replace(question, random_state=seeds[number])
        if several:
            own = replace(own, target=target.of_one_of_several())
        if several and own.features is not None:
            own = replace(own, features=own.features.of_teacher(number))
        mark = _mark(one, own) if own.remember else None
        if own.remember and own.memory is not None:
            _warn_without_memory(one, own, mark)
        answer = remembered(mark, partial(answer_of, one, own), question.memory)
        # After the store, so that the stored answer serves for all names of columns.
        answers.append(target.named(answer, one) if own.is_labeled_by(one) else answer)
    if not several:
        return answers[0]
    return average(teachers, answers, weights, target=target)


def _mark(teacher: Any, question: Question) -> Fingerprint | None:
    """Return a checksum of all that an answer depends on, or None if it is random."""
    if _draws_anew(teacher, question):
        return None
    calibration, target = question.calibration, question.target
    if calibration is not None:
        calibration = (calibration, target.columns)
    kind = (type(target).__name__, target.levels)
    how = (kind, question.resolved, question.features, calibration)
    asked = (teacher, how, question.X, question.extra, question.held)
    if not question.fits(teacher):
        return fingerprint(*asked)
    fitting = (question.y, question.sample_weight, target.columns, question.cv)
    return fingerprint(*asked, fitting, question.random_state)


def _draws_anew(teacher: Any, question: Question) -> str | None:
    """Return why a fit draws anew in each call; None if it does not."""
    if not question.fits(teacher):
        return None
    if question.random_state is None:
        return "random_state=None draws anew in each fit: set an integer"
    # Whether the splitter makes different folds in each call.
    shuffles = getattr(question.cv, "shuffle", True)
    draws = shuffles and getattr(question.cv, "random_state", 0) is None
    if question.uses_folds and draws:
        return "cv draws other folds in each fit: set its random_state"
    return None


def _warn_without_memory(
    teacher: Any, question: Question, mark: Fingerprint | None
) -> None:
    """Warn if ``memory`` keeps nothing for later processes, and say why."""
    if mark is None:
        reason = _draws_anew(teacher, question) or "it or the data cannot be pickled"
    elif not mark.is_lasting:
        reason = "code outside of installed packages is part of it or of the data"
    else:
        return
    warn(
        "SKD109",
        f"memory does not keep what teacher {type(teacher).__name__} says, as {reason}",
    )
