"""Numbers that are not negative, such as counts: what a Poisson loss learns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import xlogy

from skdistill._targets._answer import Answer
from skdistill._targets._numbers import Numbers
from skdistill._targets._trust import USUAL, share_of_numbers
from skdistill.utils._arrays import Array, Floats

# Smaller predictions of a teacher, as shares of the mean, count as this one: the
# leaves of a tree may predict 0, which has no logarithm.
_SMALLEST = np.float32(1e-6)


@dataclass(frozen=True)
class Counts(Numbers):
    """Numbers from 0 on, whose logarithm a student learns. See :class:`Numbers`.

    Each target is divided by its mean, so that nothing depends on units. A soft target
    is the logarithm of what a teacher predicts, an output of a student that of its
    prediction, and a hard target is the number itself. The loss is half the Poisson
    deviance.
    """

    default_loss: ClassVar[str] = "poisson"
    link: ClassVar[str] = "log"

    def check_y(self, y: Any, X: Any) -> Floats:
        """Return targets from 0 on, a row for each of ``X``."""
        y = super().check_y(y, X)
        _check_not_negative(y, "y")
        return y

    def _as_answer(self, said: Any, n_rows: int, name: str) -> Answer:
        answer = super()._as_answer(said, n_rows, name)
        _check_not_negative(answer.values, name)
        return answer

    def learned(self, values: Array, y: Array | None, weight: Any) -> Numbers:
        """Return the target with the means of what a student learns."""
        found = super().learned(values, y, weight)
        mean, bounds = found.location, found.bounds
        if bounds is not None:
            bounds = bounds[0].clip(min=0), bounds[1]
        scale = np.where(mean > 0, mean, 1.0)
        return replace(found, location=0 * mean, scale=scale, bounds=bounds)

    def soft(self, answer: Answer) -> Floats:
        """Return the soft targets: logarithms, of shape (n_samples, n_targets)."""
        return np.log(np.maximum(super().soft(answer), _SMALLEST))

    def hard(self, soft: Floats, y: Array | None) -> Floats:
        """Return the hard targets; those of rows without any are the teacher's."""
        return super().hard(np.exp(soft), y)

    def share(
        self, first: Any, second: Any, hard: Any, weight: Any, usual: float = USUAL
    ) -> float:
        """Return the share of a model in its best mixture with a second one.

        Errors are relative to the standard deviation of a count, the root of its mean,
        as in a quadratic approximation of the deviance.
        """
        deviation = np.sqrt(np.maximum((first + second) / 2, _SMALLEST))
        first, second = ((one - hard) / deviation for one in (first, second))
        return share_of_numbers(first, second, weight, usual)

    def warn_if_uninformative(
        self, soft: Any, hard: Any, weight: Any, **how: bool
    ) -> None:
        super().warn_if_uninformative(np.exp(soft), hard, weight, **how)

    def slope(self, n_outputs: int) -> float:
        return 1 / n_outputs

    def mean(self, outputs: Any) -> Any:
        """Return the numbers that outputs stand for."""
        return outputs.exp()

    def deviance(self, outputs: Any, target: Any) -> Any:
        """Return half the deviance of each target, divided by their number."""
        known = target.xlogy(target) - target
        return (outputs.exp() - target * outputs + known) / len(outputs)

    def expected(self, outputs: Array) -> Floats:
        with np.errstate(over="ignore"):
            return np.exp(outputs).astype(np.float32)

    def losses(self, said: Floats, hard: Floats) -> Floats:
        mean, y = np.maximum(said, _SMALLEST).astype(np.float64), hard.astype(float)
        losses: Floats = (xlogy(y, y / mean) - y + mean).mean(axis=1)
        return losses

    def decode(self, outputs: Array) -> Array:
        with np.errstate(over="ignore"):
            return super().decode(np.exp(outputs))


def _check_not_negative(values: Array, name: str) -> None:
    if values.min(initial=0) < 0:
        raise ValueError(
            f"{name} has the value {values.min():.3g}, and loss='poisson' is for "
            "numbers from 0 on: use loss='squared_error', or a teacher of counts, such "
            "as HistGradientBoostingRegressor(loss='poisson')"
        )
