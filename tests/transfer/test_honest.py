"""Which rows nets hold out, and the rows on which a teacher is measured."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdistill._targets._answer import Answer
from skdistill._targets._classes import Classes
from skdistill._transfer import _honest
from skdistill._transfer._honest import held_rows, honest_rows
from skdistill._transfer._question import Question

NAMES = np.array([0, 1])


def table(n_rows):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, 3)), rng.integers(0, 2, size=n_rows)


def held(X, y, weight=None):
    return held_rows(Classes(), X, y, weight)


def test_few_rows_are_held_out_in_two_splits_and_many_in_one():
    assert_array_equal(np.bincount(held(*table(200))), [140, 30, 30])
    assert_array_equal(np.bincount(held(*table(4000))), [3400, 600])


@pytest.mark.parametrize("difference", [0.0, 1e-9])
def test_equal_rows_are_held_out_together(difference):
    X, y = table(100)
    both = np.concatenate([X, X + difference])
    found = held(both, np.concatenate([y, y]))
    assert_array_equal(found[:100], found[100:])
    assert_array_equal(np.bincount(found), [140, 30, 30])


def test_rows_without_a_weight_are_not_held_out():
    X, y = table(100)
    weight = np.repeat([0.0, 2.0], 50)
    found = held(X, y, weight)
    assert not found[:50].any()
    assert np.count_nonzero(found) == 16


@pytest.mark.parametrize(("n_rows", "expected"), [(1, None), (2, 1), (3, 1), (4, 2)])
def test_some_row_is_left_to_learn_from(n_rows, expected):
    found = held(*table(n_rows))
    assert (found if found is None else np.count_nonzero(found)) == expected


def test_rows_that_are_all_copies_are_not_held_out():
    assert held(np.ones((9, 2)), np.zeros(9)) is None


def test_rows_that_are_equal_by_chance_are_held_out_one_by_one():
    X, y = table(200)
    found = held((X[:, :2] > 0).astype(float), y)  # four different rows
    assert_array_equal(np.bincount(found), [140, 30, 30])


def test_at_most_so_many_rows_are_held_out(monkeypatch):
    monkeypatch.setattr(_honest, "_MOST", 7)
    monkeypatch.setattr(_honest, "MAX_COMPARED", 50)
    assert_array_equal(np.bincount(held(*table(100))), [86, 7, 7])


@pytest.mark.parametrize(
    "weight", [None, np.arange(1.0, 6.0)], ids=["alike", "weights"]
)
def test_honest_rows_are_those_that_are_held(weight):
    X, y = table(5)
    parts = np.array([0, 2, 0, 1, 0])
    values = np.array([[0.2, 0.8], [np.nan, np.nan]], dtype=np.float32)
    answer = Answer(np.full((5, 2), 0.5, np.float32), NAMES, honest=values)
    question = Question(X, y, target=Classes(), held=parts)

    rows = honest_rows(question, answer, Classes(names=NAMES), weight)

    assert rows.X is None
    assert_array_equal(rows.hard, y[[1, 3]])
    assert_allclose(rows.soft[0], np.log([0.2, 0.8]), rtol=1e-6)
    assert np.isnan(rows.soft[1]).all()
    expected = [1, 1] if weight is None else [2 / 3, 4 / 3]
    assert_allclose(rows.weight_of_labels, expected, rtol=1e-6)


def test_rows_of_a_pair_are_the_honest_ones():
    X, y = table(5)
    pair = table(3)
    values = np.full((3, 2), 0.5, np.float32)
    answer = Answer(np.full((5, 2), 0.5, np.float32), NAMES, honest=values)
    question = Question(
        X, y, target=Classes(), held=np.array([0, 1, 0, 0, 0]), calibration=pair
    )

    rows = honest_rows(question, answer, Classes(names=NAMES), np.ones(5))

    assert_array_equal(rows.X, pair[0])
    assert_array_equal(rows.hard, pair[1])


def test_without_an_honest_answer_nothing_is_known_of_the_rows():
    X, y = table(4)
    answer = Answer(np.full((4, 2), 0.5, np.float32), NAMES)
    question = Question(X, y, target=Classes(), held=np.array([0, 1, 0, 1]))
    rows = honest_rows(question, answer, Classes(names=NAMES), None)
    assert len(rows) == 2
    assert np.isnan(rows.soft).all()
