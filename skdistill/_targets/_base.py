"""What targets have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from skdistill._targets._answer import Answer
from skdistill.utils._arrays import Array, Bools, Ints


class BaseTarget:
    """A target of several columns, which every teacher gives in the same order.

    The columns have no names, and all count alike, unless a subclass says otherwise.
    See :class:`Classes` for the methods, also for those without a docstring.
    """

    columns: Any = None
    names: Any = None
    levels: Any = None  # of the quantiles that a teacher is asked for
    # Whether nets that learn the labels measure how much to trust a teacher.
    measures: ClassVar[bool] = True
    losses_for: ClassVar[str] = "classification"  # which losses compare outputs
    default_loss: ClassVar[str] = "kl"
    given: ClassVar[str] = "teacher_proba"
    dtype: ClassVar[type] = np.float32
    of_columns: ClassVar[str]  # what a column is, for errors

    def weighted(self, y: Any, sample_weight: Any) -> Any:
        """Return the weights of rows, multiplied by those of their labels."""
        return sample_weight

    def are_known(self, y: Array, labels: Array) -> Bools:
        """Tell which of ``y`` a model can give: all."""
        return np.ones(len(y), bool)

    def check_fittable(self, y: Array) -> None:
        """Do nothing: a teacher can be fitted on all targets."""

    def is_fittable(self, y: Array) -> bool:
        """Tell whether a teacher can be fitted on ``y``: always."""
        return True

    def to_fit(self, teacher: Any, y: Array) -> Any:
        """Return a teacher that can be fitted on ``y``: itself."""
        return teacher

    def without_columns(self) -> Self:
        """Return the target for a teacher whose columns have no other names: itself."""
        return self

    def columns_of(self, teacher: Any) -> Any:
        """Return what the columns of a fitted teacher stand for: it has no names."""

    def named(self, answer: Answer, teacher: Any) -> Answer:
        """Return the answer of such a teacher: its columns are numbered."""
        return answer

    def of_one_of_several(self) -> Self:
        """Return the target for one teacher of a list."""
        return self

    def average(self, answers: Sequence[Answer], weights: Array) -> Answer:
        """Return the average of the answers of several teachers."""
        widths = [answer.values.shape[1] for answer in answers]
        if len(set(widths)) > 1:
            raise ValueError(
                f"the teachers give different numbers of {self.of_columns}: {widths}"
            )

        def mean(name: str) -> Any:
            parts = [getattr(answer, name) for answer in answers]
            if any(part is None for part in parts):
                return None
            mean = np.tensordot(weights, np.stack(parts), axes=1)
            return mean.astype(parts[0].dtype)

        return Answer(mean("values"), answers[0].columns, honest=mean("honest"))

    def _check_width(self, values: Array) -> None:
        if values.shape[1] != len(self.names):
            raise ValueError(
                f"there are {values.shape[1]} {self.of_columns}, and the student has "
                f"learned {len(self.names)}: fit a new one"
            )

    def aligned(self, answer: Answer) -> Array:
        """Return soft labels with a column for each target."""
        return answer.values

    def incomplete(self, answer: Answer) -> Any:
        """Return what teachers say if one does not know all columns, or else None."""

    def with_weights_of(self, y: Any) -> Self:
        """Return the target with the weights of labels: there are none."""
        return self

    def output_weights(self, hard: Any) -> Any:
        """Return the weights of the columns in each row; None if they are equal."""

    def row_weights(self, soft: Any, y: Any) -> Any:
        """Return the weights of the labels of all rows; None if they are equal."""

    def share_of_nets(self, *said: Any) -> float:
        """Return the weight of one kind of nets in the mean with a second kind.

        It is measured for numbers alone. With classes, students of 11 data sets were no
        better in the mean if it was.
        """
        return 0.5

    def far_apart(self, *said: Any) -> Ints:
        """Return made rows that are unlike real ones: probabilities do not tell."""
        return np.arange(0)

    def times(self, n_outputs: int) -> int:
        """Return how many times a loss of torch the loss of a row is."""
        return 1

    def compared(self, student: Any, teacher: Any, y: Any, weight: Any) -> Any:
        """Return a batch as losses compare it: as it is.

        That is the student, the teacher, ``y``, and the weights of the rows.
        """
        return student, teacher, y, weight

    def slope(self, n_outputs: int) -> float:
        """Return the factor of the gradient of ``deviance``."""
        return 1.0

    def means(self, hard: Any, soft: Any) -> Any:
        """Return hard targets in the shape of the soft targets."""
        return hard

    def centered(self, soft: Any) -> Any:
        """Return soft targets as features of rows."""
        return soft
