"""Copies of a row are on one side of a split."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdistill.utils._copies import first_copies, true_copies, with_copies

X = np.random.default_rng(0).normal(size=(6, 3))


@pytest.mark.parametrize("difference", [0.0, 1e-9])
def test_equal_and_nearly_equal_rows_have_the_same_first_copy(difference):
    rows = np.concatenate([X, X[[4, 1]] + difference])
    assert_array_equal(first_copies(rows), [0, 1, 2, 3, 4, 5, 4, 1])


def test_rows_that_differ_are_their_own_first_copies():
    assert_array_equal(first_copies(X), range(6))


def test_row_is_held_out_where_its_first_copy_is():
    firsts = np.array([0, 1, 2, 0, 1, 2])
    train, held = with_copies(np.array([0, 2, 4, 5]), np.array([3, 1]), firsts)
    assert_array_equal(held, [1, 4])
    assert_array_equal(train, [0, 2, 3, 5])


@pytest.mark.parametrize("firsts", [[0, 1, 2, 3], [0, 0, 0, 0]], ids=["none", "all"])
def test_split_of_different_rows_or_of_equal_ones_stays_as_it_is(firsts):
    split = np.array([3, 0]), np.array([2, 1])
    assert with_copies(*split, np.array(firsts)) == split


FIRSTS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    "y",
    [
        list("abaabaaba"),
        np.tile(np.eye(3), (3, 1)),
        [1.5, 2.5, 3.5] * 3,
    ],
    ids=["labels", "several labels", "numbers"],
)
def test_equal_rows_with_the_same_label_are_copies(y):
    assert_array_equal(true_copies(FIRSTS, y), FIRSTS)


@pytest.mark.parametrize(
    "y", [list("abaabaabb"), np.arange(9.0), np.arange(18).reshape(9, 2) // 4]
)
def test_equal_rows_whose_labels_differ_are_no_copies(y):
    assert_array_equal(true_copies(FIRSTS, y), range(9))


def test_few_wrong_labels_among_copies_do_not_count():
    firsts, y = np.arange(200) % 100, np.arange(200) % 100 % 2
    y[-9:] = 2
    assert_array_equal(true_copies(firsts, y), firsts)


def test_different_rows_are_copies_of_themselves():
    assert_array_equal(true_copies(np.arange(4), list("abca")), range(4))
