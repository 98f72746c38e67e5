"""What targets have in common whose columns have no names, but numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from skdistill._targets._answer import Answer


class Numbered:
    """A target of several columns, which every teacher gives in the same order.

    See :class:`Classes` for the methods.
    """

    columns: ClassVar[None] = None
    measures: ClassVar[bool] = True
    of_columns: ClassVar[str]  # what a column is, for errors

    def are_known(self, y: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which of ``y`` a model can give: all."""
        return np.ones(len(y), bool)

    def check_fittable(self, y: NDArray[Any]) -> None:
        """Do nothing: a teacher can be fitted on all targets."""

    def is_fittable(self, y: NDArray[Any]) -> bool:
        """Tell whether a teacher can be fitted on ``y``: always."""
        return True

    def to_fit(self, teacher: Any, y: NDArray[Any]) -> Any:
        """Return a teacher that can be fitted on ``y``: itself."""
        return teacher

    def without_columns(self) -> Self:
        """Return the target for a teacher whose columns have no other names: itself."""
        return self

    def columns_of(self, teacher: Any) -> None:
        """Return what the columns of a fitted teacher stand for: it has no names."""

    def named(self, answer: Answer, teacher: Any) -> Answer:
        """Return the answer of such a teacher: its columns are numbered."""
        return answer

    def average(self, answers: Sequence[Answer], weights: NDArray[Any]) -> Answer:
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

    def aligned(self, answer: Answer) -> NDArray[Any]:
        """Return soft labels with a column for each target."""
        return answer.values

    def incomplete(self, answer: Answer) -> None:
        """Return None: a teacher can say anything of each column."""

    def with_weights_of(self, y: Any) -> Self:
        """Return the target with the weights of labels: there are none."""
        return self

    def output_weights(self, hard: Any) -> NDArray[np.float32] | None:
        """Return the weights of the columns in each row: they are equal."""
        return None

    def means(self, hard: Any, soft: Any) -> Any:
        """Return hard targets in the shape of the soft targets."""
        return hard

    def centered(self, soft: Any) -> Any:
        """Return soft targets as features of rows."""
        return soft
