"""What an estimator asks its teacher, as its parameters say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any

from sklearn.utils.validation import _num_samples

from skdistill._state import TrainingState
from skdistill._students._student import net_of
from skdistill._teachers._asking import private_copy
from skdistill._teachers._features import FeatureQuestion
from skdistill._training._objective import Objective
from skdistill._transfer._extra import (
    made_rows,
    resolve_augmenter,
    unwrapped_transfer,
)
from skdistill._transfer._honest import held_rows
from skdistill._transfer._question import Question, resolve_calibration
from skdistill.utils._arrays import Ints
from skdistill.utils._frames import stacked, with_types_of
from skdistill.utils._params import is_auto
from skdistill.utils._validation import noting


@dataclass(frozen=True)
class Given:
    """What a person passes to ``fit`` or ``partial_fit``.

    Attributes
    ----------
    X, y, sample_weight : array-like
        The training rows.
    labels : array-like or None
        Soft labels that were computed before.
    X_transfer : array-like or None
        Rows without labels.
    classes : array-like or None
        What the columns of soft labels stand for, in ``partial_fit``.
    incremental : bool
        Whether the rows are a chunk, which the student that is there learns for an
        epoch.
    """

    X: Any
    y: Any
    sample_weight: Any
    labels: Any
    X_transfer: Any = None
    classes: Any = None
    incremental: bool = False


def question_of(
    estimator: Any,
    given: Given,
    student: Any,
    objective: Objective,
    state: TrainingState,
    seed: int | None,
) -> tuple[Question, Ints | None]:
    """Return what to ask the teacher, and in which split nets hold a row out.

    The estimator has checked the rows. A chunk is labeled by the fitted teacher. The
    seed is for the teachers that are fitted.
    """
    augmenter = held = None
    target, incremental = estimator._target(), given.incremental
    calibration = resolve_calibration(
        estimator.calibrate_teacher,
        target,
        partial(estimator._check_X, reset=False),
        estimator._calibrations,
    )
    if objective.asks_teacher and not incremental:
        augmenter = _augmenter(estimator, given.X, student)
    extra = _extra_rows(estimator, given, augmenter, objective)
    if extra:
        held = held_out(estimator, given, objective)
    question = Question(
        given.X,
        given.y,
        target.weighted(given.y, given.sample_weight),
        target=target,
        method="in_sample" if incremental else estimator.soft_labels,
        cv=None if incremental else estimator.cv,
        random_state=seed,
        teacher_weights=estimator.teacher_weights,
        features=_feature_question(estimator, objective, state),
        calibration=calibration if target.measures else None,
        # A teacher that reads more columns than the nets cannot be compared with them.
        held=None if estimator._columns.are_fewer else held,
        extra=stacked(extra) if extra else None,
        n_made=0 if augmenter is None else _num_samples(extra[0]),
        augmenter=augmenter,
        memory=estimator.memory,
        remember=not incremental,
        n_jobs=estimator.n_jobs,
        verbose=estimator.verbose,
    )
    return question, held


def held_out(estimator: Any, given: Given, objective: Objective) -> Ints | None:
    """Return in which split nets hold a row out, if nets learn the labels at all.

    It is 0 for a row that is always learned from. Copies are held out together.
    """
    target, y = estimator._target(), given.y
    if y is None or not target.measures or not estimator._takes_tables():
        return None
    if objective.alpha == 1 and not is_auto(estimator.calibrate_teacher):
        return None
    return held_rows(target, given.X, y, target.weighted(y, given.sample_weight))


def _feature_question(
    estimator: Any, objective: Objective, state: TrainingState
) -> FeatureQuestion | None:
    """Return what to ask a teacher besides labels, if a loss needs it."""
    if not objective.is_hidden:
        return None
    required = bool(objective.feature_loss) or estimator.teacher_features != "auto"
    # What the student has learned of its features goes on with the same ones.
    same = state.asked is estimator.teacher and not estimator._fits_teacher()
    reduction = state.reduction if same else None
    return FeatureQuestion(estimator.teacher_features, required, reduction)


def _augmenter(estimator: Any, X: Any, student: Any) -> Any:
    """Return what makes new rows, or None."""
    # Rows made of training rows would tell a validation set too much.
    has_split = net_of(student).train_split is not None
    if is_auto(estimator.augmenter) and (has_split or not estimator._takes_tables()):
        return None
    return resolve_augmenter(estimator.augmenter, X)


def _extra_rows(
    estimator: Any, given: Given, augmenter: Any, objective: Objective
) -> list[Any]:
    """Return rows beyond the training rows: made ones first, and then real ones."""
    extra, X = [], given.X
    if augmenter is not None:
        whole = isinstance(estimator.random_state, Integral)
        seed = int(estimator.random_state) if whole else 0
        made = made_rows(augmenter, X, seed, estimator.verbose)
        # Steps of a person's own may work in place, and the next fit gets these rows.
        extra.append(made if estimator._takes_tables() else private_copy(made))
    if given.X_transfer is not None:
        X_transfer = unwrapped_transfer(given.X_transfer, X)
        with noting("(X is X_transfer here.)"):
            X_transfer = estimator._check_X(X_transfer, reset=False)
        if objective.asks_teacher:
            extra.append(with_types_of(X, X_transfer, "X_transfer"))
    return extra
