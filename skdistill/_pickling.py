"""What a file of a fitted estimator holds: what prediction needs, and no more."""

from __future__ import annotations

import copy
import pickle
from contextlib import suppress
from numbers import Real
from typing import Any
from weakref import WeakValueDictionary

import torch
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from skdistill import __version__
from skdistill._students._student import net_of
from skdistill._training._prediction import is_trimmed, trimmed
from skdistill.losses._base import LOSSES
from skdistill.utils._unwrap import listed
from skdistill.utils._warnings import warn

# Attributes that prediction does not need.
_FOR_TRAINING = ("_state",)

# Parameters that may be functions or objects of a person's own.
_MAY_BE_CODE = (*LOSSES, "alpha", "teacher_features", "temperature")

# From this size on, a warning is due where a teacher is pickled for each task.
_HEAVY_BYTES = 100 * 10**6

# The teachers that pickles of unfitted estimators have held, by their ids.
_PICKLED: WeakValueDictionary[int, Any] = WeakValueDictionary()


class LeftOut:
    """Stands in a file where the teacher was, or code of a person's own."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def of(cls, teacher: Any) -> LeftOut:
        if isinstance(teacher, cls):
            return teacher
        return cls(", ".join(type(one).__name__ for one in listed(teacher)))

    def __repr__(self) -> str:
        return f"<{self.name}, left out of the file>"


class SmallFile(BaseEstimator):
    """Leaves out of files what prediction does not need; copies keep everything."""

    teacher: Any
    pickle_teacher: bool

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what prediction does not need: above all, the teacher."""
        state = dict(super().__getstate__())
        if "student_" not in state:
            _warn_if_heavy(self.teacher)
            return state
        return (state if self.pickle_teacher else _slim(state)) | {
            "_versions": _versions()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        _warn_if_written_by_others(state.pop("_versions", {}))
        super().__setstate__(state)

    def __copy__(self) -> Any:
        # Copies are for use in this process: they keep the teacher.
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        return new

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        new = memo[id(self)] = copy.copy(self)
        new.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return new

    def _check_complete(self, student: Any) -> None:
        """Raise where a file has left out the teacher, or a student's training."""
        missing = "its teacher"
        if student is not None and is_trimmed(net_of(student)):
            missing = "the state of its training, so it cannot be trained on"
        elif not isinstance(self.teacher, LeftOut):
            return
        raise ValueError(
            f"this {type(self).__name__} was loaded from a file, or sent to another "
            f"process, without {missing}. Fit clone(loaded).set_params(teacher=...), "
            "or set pickle_teacher=True before it is pickled"
        )


def _slim(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a fitted DistilledClassifier as a file holds it."""
    state = {name: value for name, value in state.items() if name not in _FOR_TRAINING}
    if state["teacher"] is not None:
        state["teacher"] = LeftOut.of(state["teacher"])
    for name in state.keys() & set(_MAY_BE_CODE):
        state[name] = _without_code(state[name])
    if not isinstance(state.get("calibrate_teacher"), str | None):
        state["calibrate_teacher"] = LeftOut("pair of calibrate_teacher")
    if state["student"] is not None:
        state["student"] = clone(state["student"])  # it may have been fitted
    state["student_"] = _trimmed(state["student_"])
    return state


def _warn_if_written_by_others(versions: dict[str, str]) -> None:
    """Warn if other versions than those at hand wrote a file."""
    for name, then in versions.items():
        now = _versions()[name]
        if now != then:
            warn(
                f"this DistilledClassifier was pickled with {name} {then} and is "
                f"loaded with {name} {now}: its predictions may differ, or fail"
            )


def _without_code(value: Any) -> Any:
    """Return a parameter less the functions and objects that a person wrote.

    A file with them could be read only where their module is, and prediction does
    without.
    """
    if isinstance(value, list | tuple):
        return type(value)(map(_without_code, value))
    if value is None or isinstance(value, str | Real):
        return value
    if getattr(value, "__module__", "").partition(".")[0] == "skdistill":
        return value
    return LeftOut(getattr(value, "__name__", type(value).__name__))


def _trimmed(student: Any) -> Any:
    if not isinstance(student, Pipeline):
        return trimmed(student)
    small = copy.copy(student)
    name, net = student.steps[-1]
    small.steps = [*student.steps[:-1], (name, trimmed(net))]
    return small


def _versions() -> dict[str, str]:
    # Builds of one torch version for different devices predict alike.
    return {"skdistill": __version__, "torch": torch.__version__.partition("+")[0]}


def _warn_if_heavy(teacher: Any) -> None:
    """Warn where a large teacher is pickled that was pickled before.

    It is fitted: of one that is not, each clone of an estimator has its own.
    """
    for one in listed(teacher):
        if _PICKLED.get(id(one)) is None:
            with suppress(TypeError):  # it takes no weak references
                _PICKLED[id(one)] = one
            continue
        size = _pickled_size(one)
        if size >= _HEAVY_BYTES:
            warn(
                f"the fitted teacher {type(one).__name__} of {size / 10**6:.0f} MB is "
                "pickled more than once, as in a search with n_jobs. Search with "
                "skdistill.model_selection.GridSearchCV, or without a teacher and by "
                "fit(X, y, teacher_proba=soft_labels(teacher, X, y))"
            )


def _pickled_size(value: Any) -> int:
    """Return how many bytes a pickle takes, without making one of large arrays."""
    arrays: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
    return len(head) + sum(array.raw().nbytes for array in arrays)
