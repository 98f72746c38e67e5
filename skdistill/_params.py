"""The parameters of an estimator whose teacher is used as it is if it is fitted."""

from __future__ import annotations

import copy
from typing import Any

from sklearn.base import BaseEstimator, clone

from skdistill.losses._base import LOSSES, suggestion
from skdistill.utils._validation import is_fitted

# Parameters that may be objects with parameters of their own.
_PARTS = ("teacher", "student", *LOSSES, "temperature", "alpha")


class TeacherParams(BaseEstimator):
    """Does not clone a fitted ``teacher``, and hides its parameters."""

    teacher: Any
    student: Any

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include those of the student, and of a teacher that is not
            fitted. A fitted teacher's are hidden: it is used as it is.

        Returns
        -------
        params : dict
            Parameter names mapped to their values.
        """
        params = super().get_params(deep=deep)
        if deep and is_fitted(self.teacher):
            params = {k: v for k, v in params.items() if not k.startswith("teacher__")}
        return params

    def set_params(self, **params: Any) -> Any:
        """Set the parameters of this estimator.

        Parameters
        ----------
        **params : dict
            Parameters by name; those of the student as ``student__name``.

        Returns
        -------
        self : estimator
            The estimator itself.

        Raises
        ------
        ValueError
            There is no such parameter, or it is one of a fitted teacher, of
            ``student=None``, of a loss given by its name, or of a number that is no
            schedule.
        """
        for name in params:
            owner, _, of_part = name.partition("__")
            if of_part and owner in _PARTS:
                value = params.get(owner, getattr(self, owner))
                _check_has_parameters(name, owner, value)
        try:
            return super().set_params(**params)
        except ValueError as error:
            for name in params:
                _suggest_parameter(name, params.get("student", self.student), error)
            raise

    def __sklearn_clone__(self) -> Any:
        # A fitted teacher must not be cloned with the rest: the result would be
        # unfitted, or a deep copy of something heavy.
        stand_in = copy.copy(self)
        stand_in.teacher = None
        new = super(TeacherParams, stand_in).__sklearn_clone__()
        if isinstance(self.teacher, list | tuple):
            new.teacher = type(self.teacher)(map(_clone_unfitted, self.teacher))
        else:
            new.teacher = _clone_unfitted(self.teacher)
        return new


def _clone_unfitted(teacher: Any) -> Any:
    return teacher if is_fitted(teacher) else clone(teacher, safe=False)


def _suggest_parameter(name: str, student: Any, error: ValueError) -> None:
    """Raise where ``name`` is the end of the name of a student's parameter."""
    owner, *parts = name.split("__")
    wrong = next((p for p in parts if f"Invalid parameter {p!r}" in str(error)), None)
    if owner == "student" and wrong is not None:
        for known in student.get_params():
            if known.rpartition("__")[2] == parts[-1]:
                raise ValueError(
                    f"Invalid parameter {wrong!r} of the student in {name!r}: set "
                    f"'student__{known}'"
                ) from error


def _check_has_parameters(name: str, owner: str, value: Any) -> None:
    """Raise where ``value`` has no parameters that ``name`` could set."""
    if owner == "teacher":
        if is_fitted(value):
            raise ValueError(
                f"cannot set {name!r}: the teacher is fitted and used as it is. Pass "
                "an unfitted teacher to search over its parameters"
            )
        return
    if hasattr(value, "get_params"):
        return
    same = "skdistill.schedules.LinearSchedule(start, stop)"
    if owner in LOSSES:
        same = suggestion(owner, value)
    elif owner == "student":
        same = (
            "make_student(), or make_student(task='regression') for numbers, which is "
            "the same student"
        )
    raise ValueError(
        f"cannot set {name!r} while {owner} is {value!r}: pass {owner}={same}, to "
        "reach its parameters"
    )
