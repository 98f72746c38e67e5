"""How much a teacher is to be trusted, beside nets that learned the labels alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from skdistill.utils._warnings import warn

# The share of the teacher where nothing is known of it. It is a compromise: where the
# teacher is much better than such nets, 1 is right, and where it is worse, 0.
USUAL = 0.7

# A few rows can tell little. The usual share counts like this many rows, each of which
# only the teacher or only the nets could have labeled. Of 0.5, 1, 2, 4, 8 and 16, this
# gave mixtures of the smallest log loss on other rows, in the mean of 17 data sets with
# 300 rows and two teachers.
_PRIOR_ROWS = 2.0

_TINY = float(np.finfo(np.float32).tiny)

# A warning says so if the teacher gets a smaller share.
_LITTLE = 0.1


def share_of_classes(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    labels: NDArray[np.integer],
    weight: NDArray[np.floating],
) -> float:
    r"""Return the share of a model in its best mixture with a second one.

    It is the :math:`a` from 0 to 1 that minimizes the log loss of
    :math:`a p_1 + (1 - a) p_2`, a convex problem. With few rows, it is near 0.7: its
    prior is a beta distribution with this mode, and it is the mode a posteriori.

    ``first`` and ``second`` are probabilities of both for rows that neither was fitted
    on, and ``labels`` the positions of the right columns.
    """
    rows = np.arange(len(labels))
    p_first, p_second = (p[rows, labels].astype(np.float64) for p in (first, second))

    def loss(share: float) -> float:
        mixed = share * p_first + (1 - share) * p_second
        # Both may round to 0.
        return float(-weight @ np.log(np.maximum(mixed, _TINY)))

    return _best_share(loss, USUAL)


def share_of_numbers(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    weight: NDArray[np.floating],
    usual: float = USUAL,
) -> float:
    r"""Return the share of a model of numbers in its best mixture with a second one.

    It is the :math:`a` from 0 to 1 that minimizes the squared error of
    :math:`a y_1 + (1 - a) y_2`, whose logarithm, times half the number of rows, is the
    likelihood of normal errors. The prior is a beta distribution, whose mode is the
    ``usual`` share.

    ``first`` and ``second`` are the errors of both for rows that neither was fitted on,
    a column for each target, in units in which the targets have equal weight.
    """
    d_first, d_second = first.astype(np.float64), second.astype(np.float64)
    half = weight.sum() / 2

    def loss(share: float) -> float:
        errors = share * d_first + (1 - share) * d_second
        total = float(weight @ (errors**2).sum(axis=1))
        return float(half * np.log(max(total, _TINY)))

    return _best_share(loss, usual)


def _best_share(loss: Callable[[float], float], usual: float) -> float:
    """Return the share of the smallest loss, or with few rows one near the usual."""

    def penalized(share: float) -> float:
        prior = usual * np.log(share) + (1 - usual) * np.log1p(-share)
        return loss(share) - _PRIOR_ROWS * float(prior)

    found = minimize_scalar(penalized, bounds=(1e-6, 1 - 1e-6), method="bounded")
    return float(found.x)


def most_trust(error: float, difference: float) -> float:
    """Return a bound of the trust in a teacher of which no honest row is known.

    ``error`` is that of the nets on rows that they have not seen, and ``difference``
    how far the teacher is from the nets, by the same measure, on rows that none of them
    has seen. If the errors of teacher and nets were independent, they would add up to
    their difference, and the best share of the teacher would be that of the nets' error
    in it. But where one is wrong, the other one often is as well. With the square of
    the share, times the usual one, students of numbers were as good as the nets on all
    of ten data sets. So was a student of classes whose teacher errs almost three times
    as often as the nets (kin40k_quarters of ``benchmarks/quality.py``).
    """
    share = float(error / difference) if error < difference else 1.0
    return USUAL * share**2


def explained(teacher: NDArray[np.floating], nets: NDArray[np.floating]) -> float:
    """Return the share of the variance of a teacher's answers that nets explain.

    It is measured on rows that none of them has seen. For nets that read fewer columns,
    the rest is noise that no student of these columns can learn, only learn by heart.
    """
    rest = float(((teacher - nets) ** 2).mean(axis=0).sum())
    variance = float(teacher.var(axis=0).sum())
    return max(0.0, 1 - rest / variance) if variance else 0.0


def warn_of_little_trust(share: float) -> None:
    """Warn of a teacher that looks worse than the nets."""
    if share < _LITTLE:
        warn(
            "SKD103",
            f"the teacher looks worse than nets that learned the labels alone: of the "
            f"mixtures of both, the one with the weight {share:.2g} of the teacher is "
            "best for rows that the nets have not seen, and this is what alpha='auto' "
            "stands for. A better teacher makes a better student",
        )
