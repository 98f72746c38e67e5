"""Rows that occur several times: no split may have copies on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdistill.utils._arrays import Floats, Ints

# Rows are nearly equal whose coordinates, in standard deviations, have as many equal
# decimals.
_DIGITS = 5

# Equal rows are no copies if more than this share of them has another label than the
# first. Among oversampled rows, none has. Of 25 data sets that have equal rows in more
# than 1 % of all, the share was below 0.03, or above 0.1 where columns have few values.
_SHARE_OF_OTHERS = 0.1

# Among more rows, equal ones are not looked for: the copies would take much memory.
MAX_COMPARED = 100_000


def first_copies(places: Floats) -> Ints:
    """Return for each row the number of the first row that is equal or nearly so.

    ``places`` are coordinates of the rows, about as large as standard deviations.
    """
    rng = np.random.RandomState(0)
    # Different rows have different products, but for a chance of next to nothing.
    # A product of matrices would round those of equal rows in different ways.
    products = np.zeros(len(places))
    for column in places.T:
        products += column.round(_DIGITS) * rng.standard_normal()
    _, firsts, found = np.unique(products, return_index=True, return_inverse=True)
    copies: Ints = firsts[found]
    return copies


def true_copies(firsts: Ints, y: Any) -> Ints:
    """Return for each row the number of the first row that it is a copy of.

    Rows of a few columns with a few values are equal without being copies: their labels
    or numbers ``y`` differ, and rows to come will be equal to them too. ``firsts`` is
    what :func:`first_copies` returns.
    """
    rows, y = np.arange(len(firsts)), np.asarray(y).reshape(len(firsts), -1)
    again = np.flatnonzero(firsts != rows)
    differ = (y[again] != y[firsts[again]]).any(axis=1)
    are_others = differ.sum() > _SHARE_OF_OTHERS * len(again)
    return rows if are_others else firsts


def with_copies(train: Ints, held: Ints, firsts: Ints) -> tuple[Ints, Ints]:
    """Return a split of all rows that holds out a row if it did so with its first copy.

    It is the same if all rows are different, or if either side would be empty.
    """
    rows = np.arange(len(firsts))
    is_held = np.isin(rows, held)[firsts]
    if np.array_equal(firsts, rows) or is_held.all() or not is_held.any():
        return train, held
    return rows[~is_held], rows[is_held]
