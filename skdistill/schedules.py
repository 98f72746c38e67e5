"""Schedules change temperature and alpha over the epochs of a training.

A schedule is called with the number of the epoch, counted from 0, and with the total
number of epochs, and returns a number. You can also pass a function of these two
arguments. The two classes can be cloned, and a search can tune their parameters.
"""

from __future__ import annotations

import math
from numbers import Integral, Real

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from skdistill.utils._params import check_params

__all__ = ["CosineSchedule", "LinearSchedule"]


class _Schedule(BaseEstimator):
    """Changes from one value to another over some epochs, and then stays constant."""

    _parameter_constraints: dict = {
        "start": [Interval(Real, None, None, closed="neither")],
        "stop": [Interval(Real, None, None, closed="neither")],
        "n_epochs": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(self, start: float, stop: float, n_epochs: int | None = None) -> None:
        self.start = start
        self.stop = stop
        self.n_epochs = n_epochs

    def __call__(self, epoch: int, max_epochs: int) -> float:
        """Return the value of an epoch.

        Parameters
        ----------
        epoch : int
            The number of the epoch, counted from 0.
        max_epochs : int
            The number of epochs of the training.

        Returns
        -------
        value : float
            ``start`` in the first epoch, and ``stop`` in the last one and after it.

        Raises
        ------
        ValueError
            If a parameter of the schedule has the wrong type or is out of range.
        """
        check_params(self)
        n_epochs = max_epochs if self.n_epochs is None else self.n_epochs
        if epoch >= n_epochs - 1:
            return self.stop
        share = self._share(epoch / (n_epochs - 1))
        return self.start + share * (self.stop - self.start)

    def _share(self, way: float) -> float:
        raise NotImplementedError


class LinearSchedule(_Schedule):
    """Change linearly from one value to another.

    Parameters
    ----------
    start : float
        The value of the first epoch.
    stop : float
        The value of the last epoch.
    n_epochs : int, default=None
        The number of epochs of the change. After them, the value is ``stop``. None
        means all epochs.

    See Also
    --------
    CosineSchedule : Changes slowly at the start and at the end.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.schedules import LinearSchedule
    >>> schedule = LinearSchedule(start=8.0, stop=2.0, n_epochs=4)
    >>> [schedule(epoch, max_epochs=6) for epoch in range(6)]
    [8.0, 6.0, 4.0, 2.0, 2.0, 2.0]
    >>> clf = DistilledClassifier(temperature=schedule)
    """

    def _share(self, way: float) -> float:
        return way


class CosineSchedule(_Schedule):
    """Change from one value to another along half a period of the cosine.

    Parameters
    ----------
    start : float
        The value of the first epoch.
    stop : float
        The value of the last epoch.
    n_epochs : int, default=None
        The number of epochs of the change. After them, the value is ``stop``. None
        means all epochs.

    See Also
    --------
    LinearSchedule : Changes in equal steps.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.schedules import CosineSchedule
    >>> schedule = CosineSchedule(start=1.0, stop=0.0)
    >>> [round(schedule(epoch, max_epochs=5), 3) for epoch in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    >>> clf = DistilledClassifier(alpha=schedule)
    """

    def _share(self, way: float) -> float:
        return (1 - math.cos(math.pi * way)) / 2
