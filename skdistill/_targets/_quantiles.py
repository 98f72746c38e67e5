"""Several quantiles of a number for each row: what a regressor of quantiles learns."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from skdistill._targets._answer import Answer
from skdistill._targets._numbers import Numbers
from skdistill.utils._arrays import Array, Floats
from skdistill.utils._unwrap import unwrapped
from skdistill.utils._warnings import warn

# A teacher is suspicious if so many of the targets more, or fewer, than they should be
# are below its quantiles, in their mean.
_SUSPICIOUS = 0.3

# How much scaled numbers that are equal may differ.
_ROUNDING = np.float32(1e-5)


@dataclass(frozen=True)
class Quantiles(Numbers):
    """Quantiles of a number, as a target. See :class:`Numbers`.

    A student has an output for each quantile. Its hard targets are the number itself,
    once for each output. Outputs that cross are sorted (Chernozhukov, Fernandez-Val,
    Galichon, "Quantile and Probability Curves without Crossing", Econometrica 2010).

    Parameters
    ----------
    levels : tuple of float, default=()
        The levels of the quantiles, increasing, from 0 to 1.
    may_be_one : bool, default=False
        Whether a teacher may give one of the quantiles, as each of a list may.
    """

    levels: tuple[float, ...] = ()
    may_be_one: bool = False

    measures: ClassVar[bool] = False

    def check_y(self, y: Any, X: Any) -> Floats:
        """Return the numbers as a 1-D array, one for each row of ``X``."""
        y = super().check_y(y, X)
        if y.ndim > 1:
            raise ValueError(
                f"quantiles are of a single target, and y has {y.shape[1]}: fit an "
                "estimator for each target"
            )
        return y

    def ask(self, teacher: Any, X: Any) -> Any:
        """Return the quantiles that a fitted teacher predicts, if it takes levels."""
        before, last = unwrapped(teacher)
        if "quantiles" not in inspect.signature(last.predict).parameters:
            return teacher.predict(X)
        for _, step in before:  # searches do not pass levels on
            X = step.transform(X)
        return last.predict(X, quantiles=list(self.levels))

    def out_of_bag(self, forest: Any) -> Any:
        """Raise a ValueError: a forest has no out-of-bag quantiles."""
        raise ValueError(
            f"teacher {type(forest).__name__} has out-of-bag predictions of the mean, "
            "and none of quantiles: use soft_labels='out_of_fold' or 'in_sample'"
        )

    def of_one_of_several(self) -> Quantiles:
        """Return the target for one teacher of a list, which may give one quantile."""
        return replace(self, may_be_one=True)

    def average(self, answers: Sequence[Answer], weights: Array) -> Answer:
        """Return the answers of a teacher for each quantile side by side.

        Those of teachers of all quantiles are averaged.
        """
        widths = {answer.values.shape[1] for answer in answers}
        if widths == {1} and len(answers) == len(self.levels):
            values = np.concatenate([answer.values for answer in answers], axis=1)
            return Answer(values, np.arange(len(answers)))
        return super().average(answers, weights)

    def reconcile(
        self, columns: Any, y: Any, known: Any = None, fits_teacher: bool = False
    ) -> tuple[Array, Quantiles]:
        """Give the quantiles numbers; raise a ValueError if an answer has others."""
        names = np.arange(len(self.levels))
        if self.may_be_one and columns is not None and len(columns) == 1:
            names = np.arange(1)
        if columns is not None and len(columns) != len(names):
            raise ValueError(
                f"the teacher gives {len(columns)} numbers for each row, and there are "
                f"{len(names)} quantiles: pass a teacher whose predict takes "
                "quantiles, or returns a column for each, or a list with one for each"
            )
        return names, replace(self, names=names)

    def from_given(
        self, teacher_pred: ArrayLike, X: Any, y: Any, known: Any = None
    ) -> Answer:
        """Return precomputed quantiles, checked."""
        return super().from_given(teacher_pred, X, None, known)

    def learned(self, values: Array, y: Array | None, weight: Any) -> Numbers:
        """Return the target with one scale for all quantiles, that of ``y``."""
        return super().learned(values, self._tiled(y), weight)

    def hard(self, soft: Floats, y: Array | None) -> Floats:
        """Return the hard targets, scaled: the number, once for each quantile."""
        return super().hard(soft, self._tiled(y))

    def _tiled(self, y: Array | None) -> Array | None:
        """Return the numbers with a column for each quantile."""
        return None if y is None else np.tile(y[:, np.newaxis], len(self.levels))

    def warn_if_uninformative(
        self, soft: Any, hard: Any, weight: Any, **how: bool
    ) -> None:
        """Warn about a teacher with far too many targets on one side."""
        if len(soft) < 2 or not weight.any():
            return
        # Numbers without noise are equal to all of their quantiles.
        fewest, below = (
            np.average(hard <= soft + rounding, axis=0, weights=weight)
            for rounding in (-_ROUNDING, _ROUNDING)
        )
        levels = np.asarray(self.levels)
        if np.abs(levels - levels.clip(fewest, below)).mean() > _SUSPICIOUS:
            shares = ", ".join(f"{share:.2f}" for share in below)
            warn(
                "SKD101",
                f"the shares {shares} of y are below the teacher's quantiles of the "
                f"levels {', '.join(map(str, self.levels))}: it was probably fitted on "
                "features prepared in another way, or on targets of another scale, or "
                "its columns are in another order",
            )

    def decode(self, outputs: Array) -> Array:
        """Return what ``predict`` returns: a column for each quantile, in order."""
        return np.sort(super().decode(outputs).reshape(outputs.shape), axis=1)


def check_levels(quantiles: Any) -> tuple[float, ...]:
    """Return levels of quantiles, or raise a ValueError."""
    try:
        levels = np.asarray(quantiles, np.float64)
    except (TypeError, ValueError):
        levels = np.array(np.nan)
    sound = (
        levels.ndim == 1 and len(levels) and (levels > 0).all() and (levels < 1).all()
    )
    if not (sound and (np.diff(levels) > 0).all()):
        raise ValueError(
            "quantiles must be levels between 0 and 1 in increasing order, such as "
            f"[0.05, 0.5, 0.95], got {quantiles!r:.80}"
        )
    return tuple(levels.tolist())
