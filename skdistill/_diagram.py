"""The diagram of an estimator in a notebook: its teacher and its student."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.ensemble import VotingClassifier

from skdistill._pickling import LeftOut
from skdistill._students._make_student import make_student
from skdistill.utils._unwrap import listed


class Diagram(BaseEstimator):
    """Shows teacher and student side by side, the default student too."""

    teacher: Any
    student: Any
    _target: Any

    def _sk_visual_block_(self) -> Any:
        """Return what scikit-learn draws: the fitted teachers and student, if any."""
        teachers = listed(getattr(self, "teacher_", self.teacher))
        student = getattr(self, "student_", self.student)
        parts = [("teacher", one) for one in teachers if one is not None]
        if student is None:
            student = make_student(task=self._target().task)
        parts.append(("student", student))
        named = [
            (
                f"{name}: {type(part).__name__}",
                str(part) if isinstance(part, LeftOut) else part,
            )
            for name, part in parts
        ]
        block = VotingClassifier(named)._sk_visual_block_()  # side by side
        block.name_details = [str(part) for _, part in parts]
        return block
