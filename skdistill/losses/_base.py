"""The base of the losses, whose attributes say what a loss needs."""

from __future__ import annotations

import functools
import inspect
import math
from numbers import Real
from typing import Any, Literal

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from torch import Tensor

# The names of losses: of classes, of numbers, of features and of relations.
ClassLoss = Literal["kl", "logit_mse", "dkd", "dist", "nkd", "standardized", "jsd"]
NumberLoss = Literal[
    "squared_error", "absolute_error", "huber", "poisson", "teacher_bounded"
]
FeatureLoss = Literal["hint", "cosine", "cka", "vid"]
RelationLoss = Literal["rkd", "similarity", "pkt", "contrastive"]

# Constraints of the parameters of losses.
POSITIVE = Interval(Real, 0, math.inf, closed="neither")
NOT_NEGATIVE = Interval(Real, 0, math.inf, closed="left")


class Loss(BaseEstimator):
    """Base of the losses: ``loss(student, teacher, **keywords)`` is a scalar tensor.

    A loss has its parameters in the constructor, so that it can be cloned, pickled
    and tuned by a search, and checks them when it is called.

    Attributes
    ----------
    keywords : tuple of str
        Which of "y", "temperature", "sample_weight" and "epoch" it takes.
    needs_labels : bool
        Whether it needs ``y``.
    min_rows : int
        The rows that it takes to have something to compare. A smaller batch counts 0.
    task : {"classification", "regression"} or None
        The outputs that it compares: logits, or numbers. None is for all.
    learns : bool
        Whether it has a method ``learned(n_student_features, n_teacher_features)``,
        which returns the :class:`torch.nn.Module` to call in its place in training.
    """

    keywords: tuple[str, ...] = ()
    needs_labels: bool = False
    min_rows: int = 1
    task: str | None = None
    learns: bool = False

    @property
    def name(self) -> str:
        """The name of the loss in errors."""
        return type(self).__name__

    @property
    def given(self) -> Any:
        """The object that the user passed: this loss, or what it wraps."""
        return self

    def _check_params(self) -> None:
        # Not _validate_params: it reads the signature anew, in each step of a training.
        validate_parameter_constraints(
            self._parameter_constraints, vars(self), caller_name=self.name
        )


# The losses by the parameter of the estimator and by name. The module of each family
# adds its losses.
LOSSES: dict[str, dict[str, type[Loss]]] = {
    "loss": {},
    "feature_loss": {},
    "relation_loss": {},
}

# The keywords that a training passes besides the two sides.
_OFFERED = {
    "loss": ("y", "temperature", "sample_weight", "epoch"),
    "feature_loss": ("sample_weight", "epoch"),
    "relation_loss": ("sample_weight", "epoch"),
}


def as_loss(parameter: str, loss: Any, task: str | None = None) -> Loss:
    """Return the loss that a value of a parameter stands for.

    A name stands for an object with its default parameters. A function, object or
    module that is no Loss is wrapped in one, which reads off its signature which
    keywords it takes. Its first two parameters are the two sides, whatever their names.
    ``task`` is "classification" or "regression", the outputs that the loss is to
    compare; None is for all.

    Raises
    ------
    ValueError
        If the name is not known, or the loss compares other outputs.
    TypeError
        If ``loss`` is a class, or can be neither called nor learned.
    """
    known = {
        name: known
        for name, known in LOSSES[parameter].items()
        if task is None or known.task in (None, task)
    }
    if isinstance(loss, str):
        if loss not in known:
            raise ValueError(
                f"{parameter}={loss!r} is not known; use one of {sorted(known)}, or a "
                "function or object of your own"
            )
        return known[loss]()
    if isinstance(loss, type):
        raise TypeError(
            f"{parameter} is the class {loss.__name__}; pass an instance of it: "
            f"{loss.__name__}()"
        )
    if not (callable(loss) or _can_learn(parameter, loss)):
        raise TypeError(
            f"{parameter} must be one of {sorted(known)}, a function or object to be "
            f"called, or a list of pairs (loss, weight), got {loss!r}"
        )
    if not isinstance(loss, Loss):
        return _AdaptedLoss(loss, parameter)
    if task is not None and loss.task not in (None, task):
        raise ValueError(
            f"{parameter} {loss.name} is one for {loss.task}, and this is {task}: use "
            f"one of {sorted(known)}, or a function or object of your own"
        )
    return loss


def suggestion(parameter: str, value: Any) -> str:
    """Return the call that makes the loss of a name, for errors."""
    known = LOSSES[parameter].get(value) if isinstance(value, str) else None
    return "an object" if known is None else f"skdistill.losses.{known.__name__}()"


class _AdaptedLoss(Loss):
    """A function, object or module of the user, with the attributes of a loss."""

    def __init__(self, loss: Any, parameter: str) -> None:
        self.loss = loss
        self.parameter = parameter
        taken = _taken(loss, _OFFERED[parameter]) if callable(loss) else {}
        self.keywords = tuple(taken)
        self.needs_labels = taken.get("y", False)
        least = 2 if parameter == "relation_loss" else 1
        self.min_rows = getattr(loss, "min_rows", least)
        self.learns = _can_learn(parameter, loss)

    @property
    def name(self) -> str:
        return getattr(self.loss, "__name__", type(self.loss).__name__)

    @property
    def given(self) -> Any:
        return self.loss

    def __call__(self, student: Tensor, teacher: Tensor, **given: Any) -> Any:
        return self.loss(student, teacher, **given)

    def learned(
        self, n_student_features: int, n_teacher_features: int
    ) -> torch.nn.Module:
        return self.loss.learned(n_student_features, n_teacher_features)


def _can_learn(parameter: str, loss: Any) -> bool:
    return parameter != "loss" and hasattr(loss, "learned")


def _taken(function: Any, offered: tuple[str, ...]) -> dict[str, bool]:
    """Return which of the offered names a function takes, and whether it needs them."""
    called = function.forward if isinstance(function, torch.nn.Module) else function
    try:
        parameters = inspect.signature(called).parameters
    except ValueError:  # written in C
        return {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return dict.fromkeys(offered, False)
    # The first two are the student's and the teacher's side, whatever their names.
    bound = called.keywords if isinstance(called, functools.partial) else {}
    free = set(list(parameters)[2:]) - set(bound)
    return {
        name: parameters[name].default is inspect.Parameter.empty
        for name in offered
        if name in free
    }
