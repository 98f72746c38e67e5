"""What a student is trained to do: the terms of its loss, and their weights."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from numbers import Real
from operator import add
from typing import Any

import torch
from torch import Tensor

from skdistill.losses._base import LOSSES, Loss, as_loss, suggestion

# Numbers that a schedule may give.
_RANGES: Mapping[str, tuple[str, Callable[[float], bool]]] = {
    "temperature": ("above 0", lambda value: value > 0),
    "alpha": ("from 0 to 1", lambda value: 0 <= value <= 1),
}


@dataclass(frozen=True)
class Term:
    """A loss of one family, and its weight.

    ``loss`` is what the person gave, or the object of a name. ``learned`` is the
    module that stands in its place while training, where it has something to learn.
    """

    family: str
    loss: Any
    weight: float
    learned: torch.nn.Module | None = None

    @property
    def name(self) -> str:
        return self._known.name

    @property
    def min_rows(self) -> int:
        """How many rows it takes to have something to compare."""
        return self._known.min_rows

    @property
    def learns(self) -> bool:
        return self.family != "loss" and self._known.learns

    def weighted(self, value: Tensor) -> Tensor:
        """Return a value of the loss by its weight."""
        # A product with 1 changes nothing, and takes time in both directions.
        return value if self.weight == 1 else self.weight * value

    @property
    def needs_labels(self) -> bool:
        return self.family == "loss" and self._known.needs_labels

    @cached_property
    def _known(self) -> Loss:
        return as_loss(self.family, self.loss)

    @cached_property
    def _called(self) -> Loss:
        if self.learned is None:
            return self._known
        return as_loss(self.family, self.learned)

    def __call__(self, student: Tensor, teacher: Tensor, **offered: Any) -> Tensor:
        """Return the loss, not weighted, of those rows that have a weight."""
        if self.learned is not None:
            parameter = next(self.learned.parameters(), student)
            student, teacher = student.to(parameter.dtype), teacher.to(parameter.dtype)
        weight = offered.get("sample_weight")
        if weight is not None and "sample_weight" not in self._called.keywords:
            # All that such a loss can be told: which rows are there at all.
            rows = weight > 0
            student, teacher = student[rows], teacher[rows]
            offered = {
                k: v[rows] if isinstance(v, Tensor) else v for k, v in offered.items()
            }
        if len(student) < self.min_rows:
            return 0 * student.sum()
        given = {k: v for k, v in offered.items() if k in self._called.keywords}
        value = self._called(student, teacher, **given)
        if not isinstance(value, Tensor) or value.ndim > 0:
            got = type(value).__name__
            if isinstance(value, Tensor):
                got = f"{got} of shape {tuple(value.shape)}"
            raise TypeError(
                f"{self.family} {self.name} must return a scalar tensor, got {got}"
            )
        return value


@dataclass(frozen=True)
class Objective:
    """The terms of a student's loss, and their weights.

    ``temperature`` and ``alpha`` are numbers, or schedules over the epochs.
    """

    temperature: Any
    alpha: Any
    loss: tuple[Term, ...]
    feature_loss: tuple[Term, ...] = ()
    feature_weight: float = 1.0
    relation_loss: tuple[Term, ...] = ()
    relation_weight: float = 1.0
    student_layer: str | None = None

    @classmethod
    def of(cls, estimator: Any) -> Objective:
        """Return what the parameters of a DistilledClassifier ask for."""
        terms = {
            family: terms_of(family, getattr(estimator, family)) for family in LOSSES
        }
        for family in ("feature", "relation"):
            weight = getattr(estimator, f"{family}_weight")
            if not _is_weight(weight):
                raise _weight_error(f"{family}_weight", weight)
            if weight == 0:
                terms[f"{family}_loss"] = ()
        return cls(
            estimator.temperature,
            estimator.alpha,
            **terms,
            feature_weight=float(estimator.feature_weight),
            relation_weight=float(estimator.relation_weight),
            student_layer=estimator.student_layer,
        )

    @property
    def is_hidden(self) -> bool:
        """Whether it looks at features."""
        return bool(self.feature_loss or self.relation_loss)

    def at_epoch(self, name: str, epoch: int, max_epochs: int) -> float:
        """Return the temperature or alpha of an epoch, counted from 0."""
        value = getattr(self, name)
        number = value(epoch, max_epochs) if callable(value) else value
        what, holds = _RANGES[name]
        sound = isinstance(number, Real) and math.isfinite(number)
        if not (sound and holds(float(number))):
            got = f"got {number!r}"
            if callable(value):
                got = f"its schedule gave {number!r} for epoch {epoch} of {max_epochs}"
            raise ValueError(f"{name} must be {what}; {got}")
        return float(number)

    def check(self, n_epochs: int, max_epochs: int, has_labels: bool) -> None:
        """Raise where a training would fail, as far as that is known before it.

        The training takes the net to its epoch ``n_epochs``, which may be one past
        ``max_epochs`` where it is trained on.
        """
        for name in _RANGES:
            _check_schedule(name, getattr(self, name))
        epochs = range(n_epochs)
        for epoch in epochs:
            self.at_epoch("temperature", epoch, max_epochs)
        alphas = [self.at_epoch("alpha", epoch, max_epochs) for epoch in epochs]
        for term in self.loss:
            if not has_labels and term.needs_labels:
                raise ValueError(
                    f"loss {term.name} needs labels, but the target y is None: pass y, "
                    "or use a loss without labels, such as 'kl'"
                )
        soft_alone = 1 in alphas or not has_labels
        if soft_alone and not self.loss and not self.is_hidden:
            raise ValueError(
                "there is nothing to learn from: alpha is 1, or there is no y, and no "
                "loss has a weight"
            )

    def soft(self, student: Tensor, teacher: Tensor, **offered: Any) -> Tensor:
        """Return the soft term of some rows, before its weight."""
        return reduce(
            add,
            (term.weighted(term(student, teacher, **offered)) for term in self.loss),
        )


def terms_of(family: str, spec: Any) -> tuple[Term, ...]:
    """Return the terms that a parameter stands for, less those without a weight.

    Parameters
    ----------
    family : {"loss", "feature_loss", "relation_loss"}
        The name of the parameter.
    spec : str, callable, list of pairs (loss, weight), or None
        Its value.
    """
    if spec is None:
        if family == "loss":
            raise ValueError("loss is None; alpha=0 leaves the soft term out")
        return ()
    pairs = spec if isinstance(spec, list | tuple) else [(spec, 1.0)]
    terms = []
    for pair in pairs:
        if not (isinstance(pair, list | tuple) and len(pair) == 2):
            raise ValueError(
                f"a list of {family} holds pairs (loss, weight), such as "
                f"[('{next(iter(LOSSES[family]))}', 0.5)], got {pair!r}"
            )
        loss, weight = pair
        if not _is_weight(weight):
            raise _weight_error(f"the weight of {loss!r} in {family}", weight)
        known = as_loss(family, loss)
        loss = known if isinstance(loss, str) else loss
        terms.append(Term(family, loss, float(weight)))
    if not terms:
        raise ValueError(f"{family} is an empty list")
    return tuple(term for term in terms if term.weight > 0)


def object_name(parameter: str, value: Any) -> str:
    """Return how to write a loss or a number as an object with parameters to set."""
    if parameter in _RANGES:
        return "skdistill.schedules.LinearSchedule(start, stop)"
    return suggestion(parameter, value)


def _check_schedule(name: str, value: Any) -> None:
    if not callable(value):
        return
    try:
        inspect.signature(value).bind(0, 1)
    except ValueError:  # written in C
        return
    except TypeError as error:
        raise TypeError(
            f"a schedule is called with the number of the epoch and how many there "
            f"are; {name}={value!r} does not take these two"
        ) from error


def _is_weight(weight: Any) -> bool:
    return isinstance(weight, Real) and 0 <= float(weight) < math.inf


def _weight_error(name: str, weight: Any) -> ValueError:
    return ValueError(f"{name} must be a finite number from 0 on, got {weight!r}")
