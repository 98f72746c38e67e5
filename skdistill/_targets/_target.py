"""What every kind of target can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import ArrayLike, NDArray

from skdistill._targets._answer import Answer


class Target(Protocol):
    """What is learned: one class of several, say, or a number.

    A target is a plain value, which knows the parameters of the estimator that are
    about the labels. A new kind of target is one class with these methods, and a public
    estimator that makes it. All other modules are the same for all kinds. "Before" and
    "after" are before and after :meth:`reconcile`.
    """

    @property
    def columns(self) -> Any:
        """What the columns of fitted teachers stand for, if the person says so."""

    @property
    def names(self) -> NDArray[Any]:
        """After: what the outputs of a student stand for, in their order."""

    # The labels

    def check_params(self) -> None:
        """Raise a ValueError if ``columns`` is malformed."""

    def check_y(self, y: Any, X: Any) -> NDArray[Any]:
        """Return the labels as an array, a label for each row."""

    def reconcile(
        self,
        columns: NDArray[Any] | None,
        y: NDArray[Any] | None,
        known: ArrayLike | None = None,
        *,
        fits_teacher: bool = False,
    ) -> tuple[NDArray[Any], Target]:
        """Name the columns of an answer as ``y`` does, and add the ``names``.

        ``columns=None`` stands for those of a teacher that is fitted on ``y``, and
        ``known`` for further labels that are going to occur.
        """

    def check_learnable(self, previous: NDArray[Any] | None) -> None:
        """After: raise a ValueError if no student can learn it.

        ``previous`` are the names that a student with warm_start knows.
        """

    def encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """After: return the hard labels; raise a ValueError for unknown labels."""

    def decode(self, soft_labels: NDArray[Any]) -> NDArray[Any]:
        """After: return what ``predict`` returns for the outputs of a student."""

    def are_known(self, y: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
        """Tell which labels of ``y`` a teacher of ``labels`` can give."""

    # Teachers

    def check_teacher(self, teacher: Any) -> None:
        """Raise a TypeError for what cannot be a teacher."""

    def check_fittable(self, y: NDArray[Any]) -> None:
        """Raise a ValueError if no teacher can be fitted on ``y``."""

    def is_fittable(self, y: NDArray[Any]) -> bool:
        """Tell whether a teacher can be fitted on ``y``."""

    def to_fit(self, teacher: Any, y: NDArray[Any]) -> Any:
        """Return the teacher, or a wrapper of it that accepts ``y``."""

    def describe(self, y: NDArray[Any]) -> str:
        """Describe ``y`` for an error of a teacher's fit."""

    def width(self, teacher: Any) -> int:
        """Return about how many columns the answer of a teacher has."""

    def ask(self, teacher: Any, X: Any) -> Any:
        """Return what a fitted teacher says of some rows, as it is."""

    def checked(self, said: Any, teacher: Any, n_rows: int) -> Answer:
        """Return what a teacher has said of so many rows, checked."""

    def columns_of(self, teacher: Any, *, fitted_here: bool) -> NDArray[Any]:
        """Return what the columns of a teacher stand for.

        Only of a teacher that was ``fitted_here``, the person does not say so.
        """

    def named(self, answer: Answer, teacher: Any) -> Answer:
        """Name the columns of a teacher that was fitted before."""

    def from_given(
        self,
        teacher_proba: ArrayLike,
        X: Any,
        y: NDArray[Any] | None,
        known: ArrayLike | None = None,
    ) -> Answer:
        """Return precomputed soft labels, checked."""

    def average(self, answers: Sequence[Answer], weights: NDArray[Any]) -> Answer:
        """Return the average of the answers of several teachers."""

    def folds(self, cv: Any, X: Any, y: NDArray[Any]) -> list[tuple[Any, Any]]:
        """Return the training rows and the held-out rows of each fold."""

    def out_of_bag(self, forest: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the out-of-bag soft labels of a forest, and which rows have none."""

    def hold_out(
        self, y: NDArray[Any], size: float, seed: int, name: str
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return training rows and held-out rows, for an "auto" called ``name``."""

    # Soft labels

    def aligned(self, answer: Answer) -> NDArray[Any]:
        """After: return the soft labels with a column for each name."""

    def clipped(self, soft_labels: NDArray[Any]) -> NDArray[Any]:
        """After: return soft labels of which every logarithm is finite."""

    def soft(self, answer: Answer) -> NDArray[Any]:
        """After: return the soft targets of a student, of shape (n, n_outputs)."""

    def hard(self, soft: NDArray[Any], y: NDArray[Any] | None) -> NDArray[Any]:
        """After: return the hard targets, those of rows without a label by ``soft``."""

    def calibration(
        self, answer: Answer, y: NDArray[Any], sample_weight: ArrayLike | None = None
    ) -> Any:
        """Return a function that calibrates answers, found on held-out rows."""

    def matched(
        self, soft: NDArray[Any], pseudo_labels: NDArray[Any]
    ) -> tuple[NDArray[Any], float | None]:
        """Calibrate soft targets by the pseudo-labels of the last rows.

        Return the temperature, too.
        """

    def warn_if_uninformative(
        self,
        soft: NDArray[Any],
        hard: NDArray[Any],
        weight: NDArray[Any],
        *,
        fitted_here: bool,
        alone: bool,
    ) -> None:
        """After: warn if soft targets teach nothing that the hard targets do not."""

    # Weights and scores

    def weighted(self, y: NDArray[Any] | None, sample_weight: Any) -> Any:
        """Return the weights of rows, multiplied by those of their labels."""

    def row_weights(
        self, soft: NDArray[Any], y: NDArray[Any] | None
    ) -> NDArray[Any] | None:
        """After: return the weights of the labels of all rows, or None if equal.

        For rows without a label, ``soft`` gives the expected weight.
        """

    def score(
        self, y: ArrayLike, soft_labels: NDArray[Any], sample_weight: Any
    ) -> float:
        """After: return how good the outputs of a student are; larger is better."""
