"""The state of an estimator between trainings, and after one that failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from skdistill._pickling import LeftOut
from skdistill._targets._answer import Answer
from skdistill.utils._validation import all_fitted


@dataclass
class TrainingState:
    """What a further training of an estimator goes on with.

    Attributes
    ----------
    draws : RandomState
        Seeds the trainings to come.
    columns : ndarray of shape (n_columns,)
        What the teacher's columns stand for.
    asked : estimator, list of estimators or None
        The teacher that was asked for features.
    reduction : LeafReduction, list of them, or None
        How the leaves of its trees were reduced to these.
    fitted : estimator, list of estimators or None
        The teacher that was fitted inside.
    temperature : float, list of float or None
        What the logits of the teacher were divided by.
    n_honest : int
        On how many rows the teacher was measured.
    """

    draws: np.random.RandomState
    columns: Any = None
    asked: Any = None
    reduction: Any = None
    fitted: Any = None
    temperature: Any = None
    n_honest: int = 0

    def remember(self, answer: Answer, teacher: Any) -> None:
        """Keep what later chunks of the data need of an answer."""
        self.fitted, self.temperature = answer.teacher, answer.temperature
        if answer.reduction is not None:
            self.asked, self.reduction = teacher, answer.reduction


def begin(
    estimator: Any, student: Any, is_new: bool
) -> tuple[TrainingState, int | None, int]:
    """Return the state of a training, and seeds for the teacher and for itself."""
    if not is_new:
        state = estimator._state
        return state, None, state.draws.randint(2**31 - 1)
    given = estimator.random_state
    rng, teacher_seed = check_random_state(given), None
    if isinstance(given, Integral):
        teacher_seed = seed = int(given)
    else:
        if given is not None:
            teacher_seed = rng.randint(2**31 - 1)
        seed = rng.randint(2**31 - 1)
    draws = check_random_state(seed)
    if student is getattr(estimator, "student_", None):  # it is warm
        return replace(estimator._state, draws=draws, fitted=None), teacher_seed, seed
    return TrainingState(draws), teacher_seed, seed


def may_train_on(estimator: Any) -> bool:
    """Tell whether an estimator has ``partial_fit``; raise where not."""
    if isinstance(estimator.teacher, LeftOut | None) or all_fitted(estimator.teacher):
        return True
    raise AttributeError(
        "partial_fit needs a teacher that is fitted, or "
        f"{estimator._target().given} in its place"
    )


@contextmanager
def unchanged_by_errors(estimator: Any) -> Iterator[None]:
    """Give an estimator its former attributes back if its fit fails.

    A net cannot learn in torch's inference mode, which is off meanwhile.
    """
    attributes = vars(estimator)
    before = dict(attributes)
    try:
        with torch.inference_mode(False):
            yield
    except BaseException:
        attributes.clear()
        attributes.update(before)
        raise
