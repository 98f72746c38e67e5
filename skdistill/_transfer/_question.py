"""A question to a teacher: which rows it is to label, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import _num_samples

from skdistill._targets._target import Target
from skdistill.utils._arrays import Ints
from skdistill.utils._params import is_auto
from skdistill.utils._validation import check_not_empty, is_fitted, noting

if TYPE_CHECKING:
    from skdistill._teachers._features import FeatureQuestion

Method = Literal["auto", "in_sample", "out_of_fold", "out_of_bag"]
METHODS = get_args(Method)


@dataclass(frozen=True)
class Question:
    """The rows that a teacher is to label, and all that determines the answer.

    Attributes
    ----------
    X, y, sample_weight : array-like
        The rows, as the person gave them.
    target : Target
        What a teacher is asked, and what its answer means.
    method : {"auto", "in_sample", "out_of_fold", "out_of_bag"}
        Which teacher labels a row. "auto" is "out_of_fold" if there is a ``cv``, and
        "in_sample" otherwise.
    cv : int, splitter or None
        The folds of "out_of_fold".
    random_state : int, RandomState instance or None
        Seeds the random states of unfitted teachers that are None.
    teacher_weights : array-like of shape (n_teachers,) or None
        The weights of a list of teachers.
    features : FeatureQuestion or None
        Asks for hidden features.
    calibration : None, "out_of_fold" or pair of array-likes
        The rows that calibrate the answer: those of X, each labeled by a clone that was
        not fitted on it, or a pair (X_cal, y_cal). See :func:`resolve_calibration`.
    held : ndarray of shape (n_samples,), int, or None
        Rows of X that are not 0 here are honest rows: the answer is to have them once
        more, labeled by a teacher that was not fitted on them, to tell how much it can
        be trusted. A clone for each number is fitted on rows that have another one. If
        ``calibration`` is a pair, its rows take their place.
    extra : array-like, or None
        Further rows, without labels, which a teacher that was fitted on all rows
        labels. The answer has them below those of X.
    n_made : int
        How many of these an augmenter has made. They are the first of them.
    augmenter : object or None
        The maker of some of these rows, for errors.
    memory : None, str, path or joblib.Memory
        Keeps the answer for later processes.
    remember : bool
        Whether to keep the answer, and to look for an earlier one.
    n_jobs, verbose : int
        The number of folds at a time; whether to show progress.
    """

    X: Any
    y: Any = None
    sample_weight: Any = None
    target: Target = field(kw_only=True)
    method: str = "in_sample"
    cv: Any = None
    random_state: Any = None
    teacher_weights: ArrayLike | None = None
    features: FeatureQuestion | None = None
    calibration: Any = None
    held: Any = None
    extra: Any = None
    n_made: int = 0
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

    @property
    def honest(self) -> Ints:
        """The numbers of the honest rows."""
        return np.flatnonzero(self.held)

    def needs_clones(self, teacher: Any) -> bool:
        """Whether further clones of a teacher are to label the honest rows."""
        by_others = self.calibration is not None or self.resolved != "in_sample"
        return self.held is not None and not by_others and not is_fitted(teacher)

    def is_labeled_by(self, teacher: Any) -> bool:
        """Whether a teacher that was fitted before labels the rows."""
        return self.resolved == "in_sample" and is_fitted(teacher)


def resolve_calibration(
    calibrate_teacher: Any,
    target: Target,
    prepare: Callable[[Any], Any] = lambda X: X,
    names: tuple[str, ...] = ("out_of_fold",),
) -> Any:
    """Return the ``calibration`` of a question: the parameter, checked.

    "auto" stands for None here. The target checks the labels of a pair, and ``prepare``
    brings its rows into the form in which the teacher gets rows. ``names`` are the
    strings that the parameter may be.
    """
    if isinstance(calibrate_teacher, str | None):
        if calibrate_teacher in (None, *names):
            return None if is_auto(calibrate_teacher) else calibrate_teacher
    elif isinstance(calibrate_teacher, list | tuple) and len(calibrate_teacher) == 2:
        X, y = calibrate_teacher
        if _num_samples(X) != _num_samples(y):
            raise ValueError(
                f"calibrate_teacher=(X_cal, y_cal) has {_num_samples(X)} rows and "
                f"{_num_samples(y)} labels: pass a label for each row"
            )
        check_not_empty(X)
        with noting("(X is X_cal of calibrate_teacher here.)"):
            X = prepare(X)
        return X, target.check_y(y, X)
    named = "".join(f"{name!r}, " for name in names)
    raise ValueError(
        f"calibrate_teacher must be {named}None or a pair (X_cal, y_cal) of rows that "
        f"the teacher has not seen and their labels, got {calibrate_teacher!r:.80}"
    )
