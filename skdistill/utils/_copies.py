"""Rows that occur several times: no split may have copies on both sides."""

from __future__ import annotations

import numpy as np

from skdistill.utils._arrays import Floats, Ints

# Rows are nearly equal whose coordinates, in standard deviations, have as many equal
# decimals.
_DIGITS = 5

# Among more rows, equal ones are not looked for: the copies would take much memory.
MAX_COMPARED = 100_000


def first_copies(places: Floats) -> Ints:
    """Return for each row the number of the first row that is equal or nearly so.

    Parameters
    ----------
    places : ndarray of shape (n_rows, n_coordinates)
        Coordinates of the rows, about as large as standard deviations.
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


def with_copies(train: Ints, held: Ints, firsts: Ints) -> tuple[Ints, Ints]:
    """Return a split of all rows that holds out a row if it did so with its first copy.

    It is the same if all rows are different, or if either side would be empty.
    """
    rows = np.arange(len(firsts))
    is_held = np.isin(rows, held)[firsts]
    if np.array_equal(firsts, rows) or is_held.all() or not is_held.any():
        return train, held
    return rows[~is_held], rows[is_held]
