"""Make new rows from the training rows, for the teacher to label."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from skdistill.augmentation._table import Table
from skdistill.utils._arrays import Floats, Ints
from skdistill.utils._frames import stacked
from skdistill.utils._params import check_params
from skdistill.utils._underflow import underflow_is_zero
from skdistill.utils._validation import noting

# A row looks for its nearest neighbor among this many rows, so that the time grows
# with the rows, not with their square.
_POOL_SIZE = 20_000


class _Augmenter(BaseEstimator):
    """Base of the augmenters."""

    n_copies: float

    @underflow_is_zero
    def sample(self, X: Any, n_rows: int, random_state: Any = None) -> Any:
        """Make new rows.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The rows to make new ones from.
        n_rows : int
            The number of new rows. Each row of X is used about equally often.
        random_state : int, RandomState instance or None, default=None
            Seeds the rows.

        Returns
        -------
        X_new : ndarray or data frame of shape (n_rows, n_features)
            Rows with the columns and dtypes of X.

        Raises
        ------
        TypeError
            If X is sparse.
        ValueError
            If X is empty or is not a table, such as a list of texts.
        """
        check_params(self)
        return self._sampled(X, n_rows, check_random_state(random_state))

    def _sampled(self, X: Any, n_rows: int, rng: np.random.RandomState) -> Any:
        raise NotImplementedError


class MUNGE(_Augmenter):
    """Exchange values between a row and its nearest neighbor.

    Each value of a row is replaced with probability ``p``. A number is drawn from a
    normal distribution around the neighbor's value, whose standard deviation is the
    difference of the two values divided by ``s``; whole numbers stay whole, and numbers
    stay in the range of their column. Dates are drawn in the same way, in multiples of
    the longest time that divides all differences of dates in the column: dates without
    times stay such dates. Any other value is the neighbor's. So new rows stay where the
    data are, as Bucila et al. (2006) intend.

    Parameters
    ----------
    p : float, default=0.5
        The probability of a value to be replaced, in [0, 1].
    s : float, default=1.0
        Divides the standard deviation, above 0: large values stay near the neighbor's.
    n_copies : float, default=5.0
        The number of new rows for each training row, above 0.

    See Also
    --------
    Mixup : New rows between two rows.
    Mixture : Some rows of each of several augmenters.

    References
    ----------
    .. [1] C. Bucila, R. Caruana, A. Niculescu-Mizil, "Model Compression", KDD 2006.
       https://doi.org/10.1145/1150402.1150464

    Examples
    --------
    >>> import numpy as np
    >>> from skdistill.augmentation import MUNGE
    >>> X = np.array([[0.1, 1.5], [0.3, 1.4], [5.2, 8.1], [5.4, 8.6]])
    >>> MUNGE().sample(X, n_rows=6, random_state=0).shape
    (6, 2)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "p": [Interval(Real, 0, 1, closed="both")],
        "s": [Interval(Real, 0, None, closed="neither")],
        "n_copies": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, p: float = 0.5, s: float = 1.0, n_copies: float = 5.0) -> None:
        self.p = p
        self.s = s
        self.n_copies = n_copies

    def _sampled(self, X: Any, n_rows: int, rng: np.random.RandomState) -> Any:
        table, own = _drawn(self, X, n_rows, rng)
        near = _nearest(table.embedded(rng), table.distinct(), own, rng)
        exchanged = rng.random((len(own), len(table.columns))) < self.p
        noise = rng.standard_normal(exchanged.shape)
        for i, column in enumerate(table.columns):
            here, there = column.numbers[own], column.numbers[near]
            noise[:, i] = there + noise[:, i] * np.abs(here - there) / self.s
        sources = np.where(exchanged, near[:, np.newaxis], own[:, np.newaxis])
        return table.rebuilt(sources, noise, exchanged)


class Mixup(_Augmenter):
    """Make rows on the line between two rows.

    The share of the one row is drawn from a Beta distribution for each new row. A value
    that is no number comes from either row with the probability of its share.

    Parameters
    ----------
    concentration : float, default=1.0
        Both parameters of the Beta distribution, above 0. 1 is uniform; small values
        stay near one of the two rows.
    n_copies : float, default=5.0
        The number of new rows for each training row, above 0.

    See Also
    --------
    MUNGE : Exchange values between near rows.
    Mixture : Some rows of each of several augmenters.

    References
    ----------
    .. [1] H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, "mixup: Beyond Empirical
       Risk Minimization", 2018. https://arxiv.org/abs/1710.09412

    Examples
    --------
    >>> import numpy as np
    >>> from skdistill.augmentation import Mixup
    >>> X = np.array([[0.1, 1.5], [0.3, 1.4], [5.2, 8.1], [5.4, 8.6]])
    >>> Mixup().sample(X, n_rows=6, random_state=0).shape
    (6, 2)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "concentration": [Interval(Real, 0, None, closed="neither")],
        "n_copies": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, concentration: float = 1.0, n_copies: float = 5.0) -> None:
        self.concentration = concentration
        self.n_copies = n_copies

    def _sampled(self, X: Any, n_rows: int, rng: np.random.RandomState) -> Any:
        table, own = _drawn(self, X, n_rows, rng)
        other = rng.randint(len(table), size=len(own))
        share = rng.beta(self.concentration, self.concentration, size=len(own))
        shape = (len(own), len(table.columns))
        from_other = rng.random(shape) < share[:, np.newaxis]
        numbers = np.empty(shape)
        for i, column in enumerate(table.columns):
            here, there = column.numbers[own], column.numbers[other]
            numbers[:, i] = here + share * (there - here)
        sources = np.where(from_other, other[:, np.newaxis], own[:, np.newaxis])
        return table.rebuilt(sources, numbers, np.ones(shape, dtype=bool))


class Mixture(_Augmenter):
    """Take an equal number of rows from each of several augmenters.

    Parameters
    ----------
    augmenters : list of objects with a method ``sample`` or None, default=None
        None stands for :class:`MUNGE` and :class:`Mixup`.
    n_copies : float, default=5.0
        The number of new rows for each training row, above 0, from all augmenters
        together. Their own ``n_copies`` do not count.

    See Also
    --------
    MUNGE : Exchange values between near rows.
    Mixup : New rows between two rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skdistill.augmentation import MUNGE, Mixture, Mixup
    >>> X = np.array([[0.1, 1.5], [0.3, 1.4], [5.2, 8.1], [5.4, 8.6]])
    >>> Mixture([MUNGE(p=0.2), Mixup()]).sample(X, n_rows=7, random_state=0).shape
    (7, 2)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "augmenters": [list, tuple, None],
        "n_copies": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self, augmenters: list[Any] | None = None, n_copies: float = 5.0
    ) -> None:
        self.augmenters = augmenters
        self.n_copies = n_copies

    def _sampled(self, X: Any, n_rows: int, rng: np.random.RandomState) -> Any:
        augmenters = [MUNGE(), Mixup()] if self.augmenters is None else self.augmenters
        if not augmenters:
            raise ValueError("Mixture has no augmenters: pass at least one, or None")
        for one in augmenters:
            if isinstance(one, type) or not hasattr(one, "sample"):
                raise TypeError(
                    "augmenters of a Mixture are objects with a method sample, such as "
                    f"MUNGE(), got {one!r}"
                )
        shares = np.array_split(np.arange(n_rows), len(augmenters))
        return stacked(
            [
                augmenter.sample(X, len(share), rng.randint(2**31 - 1))
                for augmenter, share in zip(augmenters, shares, strict=True)
                if len(share)
            ]
        )


def _drawn(
    augmenter: _Augmenter, X: Any, n_rows: int, rng: np.random.RandomState
) -> tuple[Table, Ints]:
    """Return ``X`` as a table, and the rows that the new rows are made from."""
    with noting(
        f"(Raised by the augmenter {type(augmenter).__name__}, which takes dense "
        "tables only. Set augmenter=None, or pass an object of your own with a method "
        "sample(X, n_rows, random_state))"
    ):
        table = Table(X)
    return table, rng.permutation(len(table))[np.arange(n_rows) % len(table)]


def _nearest(
    places: Floats, distinct: Ints, rows: Ints, rng: np.random.RandomState
) -> Ints:
    """Return for some rows the nearest ones that differ from them, in a sample."""
    _, pool = np.unique(distinct, return_index=True)
    pool.sort()
    if len(pool) > _POOL_SIZE:
        pool = rng.choice(pool, _POOL_SIZE, replace=False)
    if len(pool) == 1:
        return pool.repeat(len(rows))
    rows, repeats = np.unique(rows, return_inverse=True)
    search = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(places[pool])
    found = pool[search.kneighbors(places[rows], return_distance=False)]
    # A row of the pool, or its like, finds itself first.
    is_like = distinct[found[:, 0]] == distinct[rows]
    near: Ints = np.where(is_like, found[:, 1], found[:, 0])[repeats]
    return near
