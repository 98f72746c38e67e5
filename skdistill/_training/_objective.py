"""What a student is trained to do: the terms of its loss, and their weights."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from torch import Tensor

from skdistill._targets._target import Target
from skdistill._targets._trust import USUAL
from skdistill.losses._base import LOSSES, Loss, as_loss
from skdistill.utils._params import is_auto

# Numbers that a schedule may give.
_RANGES: Mapping[str, tuple[str, Callable[[float], bool]]] = {
    "temperature": ("above 0", lambda value: value > 0),
    "alpha": ("from 0 to 1", lambda value: 0 <= value <= 1),
}


@dataclass(frozen=True)
class Term:
    """A loss, and its weight among those of one parameter.

    Attributes
    ----------
    loss : Loss
        The loss.
    weight : float
        Its weight, above 0.
    place : str
        The parameter and its place there, such as "feature_loss_0".
    """

    loss: Loss
    weight: float
    place: str

    @property
    def parameter(self) -> str:
        """The parameter of the estimator that holds the loss."""
        return self.place.rpartition("_")[0]

    def __call__(
        self, loss: Loss, student: Tensor, teacher: Tensor, **offered: Any
    ) -> Tensor:
        """Return the weighted value of ``loss`` for those rows that have a weight.

        ``loss`` is that of the term, or the module that learns in its place.
        """
        weight = offered.get("sample_weight")
        if weight is not None and "sample_weight" not in loss.keywords:
            # All that such a loss can be told: which rows are there at all.
            rows = weight > 0
            student, teacher = student[rows], teacher[rows]
            offered = {
                k: v[rows] if isinstance(v, Tensor) else v for k, v in offered.items()
            }
        if len(student) < self.loss.min_rows:
            return 0 * student.sum()
        taken = {k: v for k, v in offered.items() if k in loss.keywords}
        value = loss(student, teacher, **taken)
        if not isinstance(value, Tensor) or value.ndim > 0:
            got = type(value).__name__
            if isinstance(value, Tensor):
                got = f"{got} of shape {tuple(value.shape)}"
            raise TypeError(
                f"{self.parameter} {loss.name} must return a scalar tensor, got {got}"
            )
        # A product with 1 changes nothing, and takes time in both directions.
        return value if self.weight == 1 else self.weight * value


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
        """Return what the parameters of an estimator ask for.

        "auto" is what it stands for as long as nothing is measured.
        """
        task = estimator._target().losses_for
        terms = {
            name: terms_of(name, getattr(estimator, name), task) for name in LOSSES
        }
        weights = {}
        for family in ("feature", "relation"):
            name = f"{family}_weight"
            weights[name] = _checked_weight(name, getattr(estimator, name))
            if weights[name] == 0:
                terms[f"{family}_loss"] = ()
        return cls(
            1.0 if is_auto(estimator.temperature) else estimator.temperature,
            USUAL if is_auto(estimator.alpha) else estimator.alpha,
            **terms,
            feature_weight=weights["feature_weight"],
            relation_weight=weights["relation_weight"],
            student_layer=estimator.student_layer,
        )

    @property
    def is_hidden(self) -> bool:
        """Whether it looks at features."""
        return bool(self.feature_loss or self.relation_loss)

    @property
    def asks_teacher(self) -> bool:
        """Whether any term depends on the teacher."""
        uses_alpha = callable(self.alpha) or self.alpha > 0
        return self.is_hidden or bool(self.loss and uses_alpha)

    @property
    def learning(self) -> list[Term]:
        """The terms that learn something besides the student."""
        terms = (*self.feature_loss, *self.relation_loss)
        return [term for term in terms if term.loss.learns]

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

    def check(self, net: Any, n_epochs: int, has_labels: bool) -> None:
        """Raise where a training would fail, as far as that is known before it.

        It takes the net to the epoch ``n_epochs``, which may be one past its
        ``max_epochs`` where it is trained on. ``has_labels`` tells whether there is a
        ``y``.
        """
        for name in _RANGES:
            _check_schedule(name, getattr(self, name))
        epochs, max_epochs = range(n_epochs), net.max_epochs or n_epochs
        for epoch in epochs:
            self.at_epoch("temperature", epoch, max_epochs)
        alphas = [self.at_epoch("alpha", epoch, max_epochs) for epoch in epochs]
        for term in self.loss:
            if not has_labels and term.loss.needs_labels:
                raise ValueError(
                    f"loss {term.loss.name} needs labels, but the target y is None: "
                    "pass y, or use a loss without labels, such as the default"
                )
        if (1 in alphas or not has_labels) and not self.loss and not self.is_hidden:
            raise ValueError(
                "there is nothing to learn from: alpha is 1, or there is no y, and no "
                "loss has a weight"
            )
        self._check_batch_size(net)

    def _check_batch_size(self, net: Any) -> None:
        """Raise where a loss would never have rows to compare."""
        given = net.get_params_for("iterator_train")
        batch_size = given.get("batch_size", net.batch_size)
        custom = "batch_sampler" in given or not isinstance(batch_size, int)
        for term in (*self.feature_loss, *self.relation_loss):
            if not custom and 0 < batch_size < term.loss.min_rows:
                raise ValueError(
                    f"{term.parameter} {term.loss.name} compares the rows of a batch, "
                    f"and the student's batch_size is {batch_size}: it takes "
                    f"{term.loss.min_rows}, better 64 or more"
                )


def default_terms(target: Target) -> tuple[Term, ...]:
    """Return the first term of what is learned, in its default form."""
    return terms_of("loss", target.default_loss, target.losses_for)


def terms_of(parameter: str, spec: Any, task: str | None = None) -> tuple[Term, ...]:
    """Return the terms that a parameter stands for, less those without a weight.

    ``spec`` is the value of "loss", "feature_loss" or "relation_loss". ``task`` is what
    the outputs are that "loss" compares; None is for all.
    """
    if spec is None:
        if parameter == "loss":
            raise ValueError("loss is None; alpha=0 leaves the soft term out")
        return ()
    terms = [
        Term(as_loss(parameter, loss, task), weight, f"{parameter}_{i}")
        for i, (loss, weight) in enumerate(_pairs(parameter, spec))
    ]
    return tuple(term for term in terms if term.weight > 0)


def _pairs(parameter: str, spec: Any) -> Iterator[tuple[Any, float]]:
    pairs = spec if isinstance(spec, list | tuple) else [(spec, 1.0)]
    if not pairs:
        raise ValueError(f"{parameter} is an empty list")
    for pair in pairs:
        if not (isinstance(pair, list | tuple) and len(pair) == 2):
            raise ValueError(
                f"a list of {parameter} holds pairs (loss, weight), such as "
                f"[('{next(iter(LOSSES[parameter]))}', 0.5)], got {pair!r}"
            )
        loss, weight = pair
        name = f"the weight of {loss!r} in {parameter}"
        yield loss, _checked_weight(name, weight)


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


def _checked_weight(name: str, weight: Any) -> float:
    if isinstance(weight, Real) and 0 <= float(weight) < math.inf:
        return float(weight)
    raise ValueError(f"{name} must be a finite number from 0 on, got {weight!r}")
