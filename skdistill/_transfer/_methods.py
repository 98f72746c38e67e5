"""Which teacher labels a row: in-sample, out-of-fold and out-of-bag."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import delayed

from skdistill._targets._answer import Answer
from skdistill._targets._columns import align
from skdistill._targets._target import Target
from skdistill._teachers._asking import (
    ask,
    fit,
    private_copy,
    seeded_clone,
    weight_parameter,
)
from skdistill._teachers._unseen import unseen_labels
from skdistill._transfer._question import Question
from skdistill.augmentation._table import Table, is_table
from skdistill.utils._arrays import Array, Bools, Floats, Ints
from skdistill.utils._bars import ParallelWithBar, progress_bar
from skdistill.utils._copies import MAX_COMPARED, true_copies, with_copies
from skdistill.utils._unwrap import last_step
from skdistill.utils._validation import explaining_groups, is_fitted, require_target
from skdistill.utils._warnings import warn

# The title of a bar.
_FOLDS = "fitting the teacher on folds"


def answer_of(teacher: Any, question: Question) -> Answer:
    """Ask a teacher as the question says; fit it, or clones of it, if necessary."""
    if question.fits(teacher):
        if question.sample_weight is not None and not weight_parameter(teacher):
            warn(
                "SKD105",
                f"teacher {type(last_step(teacher)[1]).__name__} takes no "
                "sample_weight: the weights act on the student alone",
            )
        if question.y is not None:
            question.target.check_fittable(question.y)
    if not is_fitted(teacher):  # its columns are always its own classes_
        question = replace(question, target=question.target.without_columns())
    calibration = held_out = None
    if question.calibration == "out_of_fold" != question.resolved:
        calibration, held_out = _calibration_out_of_fold(teacher, question)
    answer = _ANSWERS[question.resolved](teacher, question)
    whole = teacher if answer.teacher is None else answer.teacher
    if question.extra is not None:
        answer = answer.above(_on_extra(whole, answer, question))
    if isinstance(question.calibration, tuple):
        X, y = question.calibration
        held_out, _ = _named(_ask(whole, X, question), whole, y, question)
        calibration = question.target.calibration(held_out, y)
    elif question.needs_clones(teacher):
        held_out = _by_clones(teacher, answer.columns, question)
    if question.held is not None and held_out is not None:
        answer = _with_honest(answer, held_out, whole, question)
    calibration = calibration or answer.calibration
    return answer if calibration is None else calibration(answer)


def _with_honest(
    answer: Answer, held_out: Answer, whole: Any, question: Question
) -> Answer:
    """Add soft labels of honest rows, in the columns of the answer."""
    columns = answer.columns
    if question.resolved == "in_sample":
        columns = _named(answer, whole, question.y, question)[0].columns
    fill = -np.inf if held_out.are_logits else 0.0
    honest = align(held_out.values, held_out.columns, columns, fill=fill)
    return replace(answer, honest=honest)


def _by_clones(teacher: Any, columns: Any, question: Question) -> Answer:
    """Label the honest rows by clones that are fitted on others; NaN if none can be.

    The teacher was fitted on all rows, and may need them: to know all categories, or
    for its own folds. So an error of a clone is a warning.
    """
    question = replace(_with_names(question, columns), features=None)
    prototype = seeded_clone(teacher, question.random_state)
    names = question.target.names
    shape = (len(question.y), len(names))
    values: Array = np.full(shape, np.nan, question.target.dtype)
    splits = list(range(1, 1 + question.held.max()))
    with progress_bar(_FOLDS, question.verbose, total=len(splits)) as bar:
        for split in splits:
            is_held = question.held == split
            rows = (np.flatnonzero(part) for part in (~is_held, is_held))
            try:
                fold = _label_fold(clone(prototype), question, None, *rows)
            except Exception as error:
                fold = None
                warn(
                    "SKD110",
                    f"teacher {type(teacher).__name__} cannot be measured on "
                    f"{is_held.sum()} rows, as a clone of it that was fitted on the "
                    f"others fails: {error}. Let it take rows unlike those of its fit",
                )
            if fold is not None:
                values[fold.rows[fold.known]] = fold.values[fold.known]
            bar.update()
    return Answer(values[question.honest], names)


def _in_sample(teacher: Any, question: Question) -> Answer:
    fitted = honest = None
    if not is_fitted(teacher):
        teacher = seeded_clone(teacher, question.random_state)
        teacher = fitted = _fit_on_all(teacher, question)
    answer = _ask(teacher, question.X, question)
    if fitted is None and question.held is not None:
        honest = unseen_labels(teacher, question.X, question.honest, question.target)
    answer = replace(answer, honest=honest, teacher=fitted)
    return _with_features(answer, teacher, question)


def _out_of_fold(teacher: Any, question: Question) -> Answer:
    require_target(question.y, "out_of_fold")
    way_out = "pass the estimator inside it, or use soft_labels='in_sample'"
    prototype = _prototype(teacher, question, "soft_labels", way_out)
    whole, fitted = teacher, None
    if not is_fitted(teacher):
        whole = fitted = _fit_on_all(clone(prototype), question)
    columns = question.target.columns_of(whole)
    columns, target = question.target.reconcile(columns, question.y)
    question, knows = replace(question, target=target), np.isin(target.names, columns)
    like = reduction = None
    if question.features is not None:
        like, reduction = question.features(whole, private_copy(question.X))
    parts = _label_folds(prototype, question, like)
    answer, never = _held_out(parts, question)
    answer = replace(answer, honest=_unseen(answer, never, question), teacher=fitted)
    if question.extra is not None and not knows.all():  # a clone does not label these
        answer = replace(answer, knows=knows)
    if question.calibration == "out_of_fold":
        calibration = _calibration_on_held_out(answer, ~never, question)
        answer = replace(answer, calibration=calibration)
    _fall_back(answer, never, whole, question)
    if like is None:
        return answer
    features, never = _mean([(fold.rows, fold.features) for fold in parts], like.shape)
    features[never] = like[never]
    return replace(answer, features=features, reduction=reduction)


def _out_of_bag(teacher: Any, question: Question) -> Answer:
    require_target(question.y, "out_of_bag")
    if is_fitted(teacher):
        raise ValueError(
            "soft_labels='out_of_bag' needs an unfitted forest, which it fits itself"
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
        # The whole forest labels rows that are never out of bag.
        warnings.filterwarnings("ignore", message="Some inputs do not have OOB")
        with np.errstate(invalid="ignore", divide="ignore"):
            forest = _fit_on_all(forest, question)
    values, never = question.target.out_of_bag(last)
    names = _with_names(question, None).target.names
    answer = Answer(values, names, teacher=forest)
    answer = replace(answer, honest=_unseen(answer, never, question))
    _fall_back(answer, never, forest, question)
    # Trees have no out-of-bag leaves: features are those of all trees.
    return _with_features(answer, forest, question)


_ANSWERS: dict[str, Callable[[Any, Question], Answer]] = {
    "in_sample": _in_sample,
    "out_of_fold": _out_of_fold,
    "out_of_bag": _out_of_bag,
}


@dataclass(frozen=True)
class _Fold:
    """The answer of a clone, fitted on the other folds, for the rows of one fold."""

    rows: Ints
    values: Array
    # Whether the clone can give the label of a row.
    known: Bools
    features: Any


def _with_names(question: Question, columns: Any) -> Question:
    """Return the question with the names of a teacher's columns and of y."""
    _, target = question.target.reconcile(columns, question.y)
    return replace(question, target=target)


def _prototype(teacher: Any, question: Question, name: str, way_out: str) -> Any:
    """Return an unfitted teacher for the folds; ``name`` is the parameter that asks."""
    if hasattr(teacher, "get_params"):
        prototype = seeded_clone(teacher, question.random_state)
        if not is_fitted(prototype):
            return prototype
    raise ValueError(
        f"{name}='out_of_fold' fits clones of the teacher, and a "
        f"{type(teacher).__name__} cannot be fitted again: {way_out}"
    )


def _label_folds(
    prototype: Any, question: Question, like: Floats | None = None
) -> list[_Fold]:
    """Label each fold by a clone that is fitted on the others."""
    y = question.y
    of_rows = question.cv is None or isinstance(question.cv, Integral)
    if of_rows and len(y) < 2:
        raise ValueError(
            f"out_of_fold takes at least 2 rows, and there is {len(y)}: pass more "
            "rows, or soft_labels='in_sample'"
        )
    with explaining_groups():
        folds = question.target.folds(question.cv, question.X, y)
    if not folds:
        raise ValueError(
            "cv makes no folds: pass at least one pair (train, test). A generator is "
            "used up by one fit: pass a list of its folds"
        )
    folds = [
        (_positions(train, len(y)), _positions(test, len(y))) for train, test in folds
    ]
    if of_rows and len(y) <= MAX_COMPARED and is_table(question.X):
        # A teacher has seen a row if it has seen a copy of it.
        firsts = true_copies(Table(question.X).distinct(), y)
        folds = [with_copies(train, test, firsts) for train, test in folds]
    with progress_bar(_FOLDS, question.verbose, total=len(folds)) as bar:
        parts = ParallelWithBar(bar, n_jobs=question.n_jobs)(
            delayed(_label_fold)(clone(prototype), question, like, *fold)
            for fold in folds
        )
    return [fold for fold in parts if fold is not None]


def _label_fold(
    teacher: Any, question: Question, like: Floats | None, train: Ints, test: Ints
) -> _Fold | None:
    """Fit on ``train``, and ask for ``test``, with features that resemble ``like``.

    None if no teacher can be fitted on ``train``, or ``test`` is empty.
    """
    y, target = question.y, question.target
    if not len(test) or not target.is_fittable(y[train]):
        return None
    weights = question.sample_weight
    weights = None if weights is None else np.asarray(weights)[train]
    X_train, X_test = (_safe_indexing(question.X, rows) for rows in (train, test))
    teacher = fit(
        teacher, X_train, y[train], weights, question.random_state, target=target
    )
    values = target.aligned(ask(teacher, X_test, target=target))
    features = None
    if question.features is not None and like is not None:
        features = question.features.held_out(teacher, X_train, X_test, like[train])
    return _Fold(test, values, target.are_known(y[test], y[train]), features)


def _held_out(parts: list[_Fold], question: Question) -> tuple[Answer, Bools]:
    """Return the soft labels of held-out rows, and which rows have none."""
    said = [(fold.rows[fold.known], fold.values[fold.known]) for fold in parts]
    columns = question.target.names
    if parts and (width := parts[0].values.shape[1]) != len(columns):
        columns = np.arange(width)  # such as a quantile of several
    values, never = _mean(said, (len(question.y), len(columns)))
    return Answer(values, columns), never


def _unseen(answer: Answer, never: Bools, question: Question) -> Floats | None:
    """Return the soft labels of the held rows, NaN where no clone labels them."""
    if question.held is None:
        return None
    return np.where(never[:, np.newaxis], np.nan, answer.values)[question.honest]


def _mean(
    parts: list[tuple[Ints, Array]], shape: tuple[int, int]
) -> tuple[Array, Bools]:
    """Return the mean values of each row over all parts, and which rows have none."""
    dtype = np.result_type(np.float32, *(values.dtype for _, values in parts))
    total, times = np.zeros(shape, dtype), np.zeros(shape[0], np.float32)
    for rows, values in parts:
        total[rows] += values
        times[rows] += 1
    total /= np.maximum(times, 1)[:, np.newaxis]
    return total, times == 0


def _calibration_out_of_fold(
    teacher: Any, question: Question
) -> tuple[Any, Answer | None]:
    """Fit clones of a teacher on folds only to calibrate it.

    Return what they say of the held rows, too.
    """
    require_target(question.y, "calibrate_teacher='out_of_fold'")
    way_out = "pass rows that it has not seen, calibrate_teacher=(X_cal, y_cal)"
    prototype = _prototype(teacher, question, "calibrate_teacher", way_out)
    question = _with_names(question, None)
    answer, never = _held_out(_label_folds(prototype, question), question)
    calibration = _calibration_on_held_out(answer, ~never, question)
    unseen = _unseen(answer, never, question)
    return calibration, None if unseen is None else replace(answer, values=unseen)


def _calibration_on_held_out(answer: Answer, held: Bools, question: Question) -> Any:
    """Calibrate on the rows that are labeled by a clone that was not fitted on them."""
    weight = question.sample_weight
    weight = None if weight is None else np.asarray(weight)[held]
    held_out = replace(answer, values=answer.values[held])
    return question.target.calibration(held_out, question.y[held], weight)


def _fit_on_all(teacher: Any, question: Question) -> Any:
    how = (question.y, question.sample_weight, question.random_state)
    with progress_bar("fitting the teacher", question.verbose):
        return fit(teacher, question.X, *how, target=question.target)


def _ask(teacher: Any, X: Any, question: Question) -> Answer:
    return ask(teacher, X, question.verbose, target=question.target)


def _with_features(answer: Answer, teacher: Any, question: Question) -> Answer:
    """Add the features of a fitted teacher, if the question asks for them."""
    if question.features is None:
        return answer
    values, reduction = question.features(teacher, private_copy(question.X))
    return replace(answer, features=values, reduction=reduction)


def _named(
    said: Answer, whole: Any, y: Any, question: Question
) -> tuple[Answer, Target]:
    """Name the columns of the teacher that saw all rows as ``y`` does."""
    said = question.target.named(said, whole)
    columns, target = question.target.reconcile(said.columns, y)
    return replace(said, columns=columns), target


def _on_extra(whole: Any, answer: Answer, question: Question) -> Answer:
    """Ask the teacher that saw all rows for the further rows."""
    try:
        more = _ask(whole, question.extra, question)
    except Exception as error:
        if question.augmenter is None:
            raise
        raise ValueError(
            f"teacher {type(whole).__name__} fails on rows that the augmenter "
            f"{type(question.augmenter).__name__} made, or on those of X_transfer: "
            f"{error}. Set augmenter=None, or pass another augmenter"
        ) from error
    if question.resolved == "out_of_fold":
        more, target = _named(more, whole, question.y, question)
        more = replace(more, values=target.aligned(more))
    if answer.features is None or question.features is None:
        return more
    ours = replace(question.features, reduction=answer.reduction)
    features, _ = ours(whole, private_copy(question.extra))
    return replace(more, features=features)


def _fall_back(answer: Answer, rows: Bools, whole: Any, question: Question) -> None:
    """Let the teacher that saw all rows label ``rows`` of the answer, in place."""
    where = np.flatnonzero(rows)
    if len(where):
        said = ask(whole, _safe_indexing(question.X, where), target=question.target)
        said, target = _named(said, whole, question.y, question)
        answer.values[where] = target.aligned(said)


def _positions(part: Any, n_rows: int) -> Ints:
    """Return the row numbers of one part of a fold, which may be given as a mask."""
    given, rows = np.asarray(part), np.arange(n_rows)
    if given.dtype == bool and given.shape == (n_rows,):
        return rows[given]
    if given.ndim != 1 or given.dtype == bool or not np.isin(given, rows).all():
        raise ValueError(
            f"cv must make pairs of row numbers from 0 to {n_rows - 1}, or of masks of "
            f"{n_rows} rows, got {given!r:.80}"
        )
    return given.astype(np.intp)
