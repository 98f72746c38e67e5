"""What a file of a fitted estimator holds: what prediction needs, and no more."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from contextlib import suppress
from numbers import Real
from types import BuiltinFunctionType, FunctionType
from typing import Any
from weakref import WeakValueDictionary

import torch
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import Hidden

from skdistill import __version__
from skdistill._students._student import net_of
from skdistill._training._prediction import is_trimmed, trimmed
from skdistill.losses._base import LOSSES
from skdistill.utils._unwrap import listed
from skdistill.utils._warnings import warn

# Their classes and functions are wherever a file is read.
_PACKAGES = ("builtins", "skdistill", "sklearn", "skorch", "torch")

# Parameters of a net, and the beginnings of such, that only its training needs.
_TRAINING_OF_NETS = (
    "callbacks",
    "criterion",
    "iterator_train",
    "optimizer",
    "train_split",
)

# From this size on, a warning is due where a teacher is pickled for each task.
_HEAVY_BYTES = 100 * 10**6

# The teachers that pickles of unfitted estimators have held, by their ids.
_PICKLED: WeakValueDictionary[int, Any] = WeakValueDictionary()


class LeftOut:
    """Stands in a file where the teacher was, or code or data of a person's own."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def of(cls, teacher: Any) -> LeftOut | None:
        if isinstance(teacher, cls | None):
            return teacher
        return cls(", ".join(type(one).__name__ for one in listed(teacher)))

    def __repr__(self) -> str:
        return f"<{self.name}, left out of the file>"


# Lets `fit` get as far as to say what a file has left out.
LEFT_OUT = Hidden(LeftOut)


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
        if not self.pickle_teacher:
            for name in state.keys() & _IN_A_FILE.keys():
                state[name] = _IN_A_FILE[name](state[name])
        return state | {"_versions": _versions()}

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
        """Raise where a file has left out parameters, or a student's training."""
        lacking = [name for name, one in self.get_params().items() if _lacks(one)]
        missing = f"its {', '.join(lacking)}"
        if student is not None and is_trimmed(net_of(student)):
            missing = "the state of its training, so it cannot be trained on"
        elif not lacking:
            return
        given = ", ".join(f"{name}=..." for name in lacking or ["teacher"])
        raise ValueError(
            f"this {type(self).__name__} was loaded from a file, or sent to another "
            f"process, without {missing}. Fit clone(loaded).set_params({given}), or "
            "set pickle_teacher=True before it is pickled"
        )


def _plain(value: Any) -> Any:
    """Return a parameter less the code and data of a person's own.

    A file with them could be large, and could be read only where their module is, and
    prediction does without.
    """
    return value if _is_plain(value) else _left_out(value)


def _without_rows(value: Any) -> Any:
    """Return the same of a parameter whose lists are rows, or their numbers."""
    return _plain(value) if not isinstance(value, list | tuple) else _left_out(value)


def _plain_parts(value: Any) -> Any:
    """Return the same of each item of a list."""
    if isinstance(value, list | tuple):
        return type(value)(map(_plain_parts, value))
    return _plain(value)


def _is_plain(value: Any) -> bool:
    """Tell whether a value is made of nothing but what any process has."""
    if value is None or isinstance(value, str | Real | LeftOut):
        return True
    if isinstance(value, list | tuple | set):
        return all(map(_is_plain, value))
    if str(getattr(value, "__module__", "")).partition(".")[0] not in _PACKAGES:
        return False
    is_code = isinstance(value, type | FunctionType | BuiltinFunctionType)
    if is_code or not hasattr(value, "__dict__"):  # as a generator of torch
        return is_code
    return all(map(_is_plain, vars(value).values()))


def _left_out(value: Any) -> LeftOut:
    return LeftOut(str(getattr(value, "__name__", type(value).__name__)))


def _prototype(student: Any) -> Any:
    """Return an unfitted student less what a person has written for its training."""
    if student is None:
        return None
    student = clone(student)  # it may have been fitted
    _strip(net_of(student))
    return student


def _trimmed(student: Any) -> Any:
    """Return a fitted student that can predict, and no more."""
    if not isinstance(student, Pipeline):
        return _strip(trimmed(student))
    small = copy.copy(student)
    name, net = student.steps[-1]
    small.steps = [*student.steps[:-1], (name, _strip(trimmed(net)))]
    return small


def _strip(net: Any) -> Any:
    """Take from a net, in place, what a person has written for its training."""
    for name, value in vars(net).items():
        if name.partition("__")[0] in _TRAINING_OF_NETS:
            vars(net)[name] = _plain_parts(value)
    return net


def _lacks(value: Any) -> bool:
    """Tell whether a file has left out a parameter, or a part of it."""
    if isinstance(value, list | tuple):
        return any(map(_lacks, value))
    return isinstance(value, LeftOut)


# What a file has in place of parameters and attributes of a fitted estimator. It has
# the others as they are.
_IN_A_FILE: dict[str, Callable[[Any], Any]] = {
    "teacher": LeftOut.of,
    "student": _prototype,
    "student_": _trimmed,
    **dict.fromkeys(
        (*LOSSES, "alpha", "temperature", "teacher_features"), _plain_parts
    ),
    "augmenter": _plain,
    **dict.fromkeys(("calibrate_teacher", "cv"), _without_rows),
    "memory": lambda memory: None,
    "_state": lambda state: None,
    "_skl_callbacks": lambda callbacks: [],
}


def _warn_if_written_by_others(versions: dict[str, str]) -> None:
    """Warn if other versions than those at hand wrote a file."""
    for name, then in versions.items():
        now = _versions()[name]
        if now != then:
            warn(
                "SKD301",
                f"this estimator was pickled with {name} {then} and is "
                f"loaded with {name} {now}: its predictions may differ, or fail",
            )


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
                "SKD203",
                f"the fitted teacher {type(one).__name__} of {size / 10**6:.0f} MB is "
                "pickled more than once, as in a search with n_jobs. Search with "
                "skdistill.model_selection.GridSearchCV, or without a teacher and by "
                "fit(X, y, teacher_proba=soft_labels(teacher, X, y))",
            )


def _pickled_size(value: Any) -> int:
    """Return how many bytes a pickle takes, without making one of large arrays."""
    arrays: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
    return len(head) + sum(array.raw().nbytes for array in arrays)
