"""The share of a teacher, by labels that it has not seen."""

import numpy as np
import pytest
from scipy.special import softmax

from skdistill._targets._trust import (
    USUAL,
    explained,
    share_of_classes,
)


def share(first, second, labels, weight=1.0):
    return share_of_classes(first, second, labels, np.full(len(labels), weight))


def drawn(n_rows, seed=0):
    """Return probabilities of two models, and labels that the first of them draws."""
    rng = np.random.default_rng(seed)
    first, second = (softmax(2 * rng.normal(size=(n_rows, 3)), axis=1) for _ in "ab")
    labels = (rng.uniform(size=(n_rows, 1)) > first.cumsum(axis=1)).sum(axis=1)
    return first, second, labels


def test_it_is_near_one_for_the_model_that_drew_the_labels_and_near_zero_for_another():
    first, second, labels = drawn(2000)
    assert share(first, second, labels) > 0.95
    assert share(second, first, labels) < 0.05


def test_mixture_has_the_smallest_log_loss():
    first, second, _ = drawn(5000)
    mixed = 0.4 * first + 0.6 * second
    draws = np.random.default_rng(1).uniform(size=(5000, 1))
    labels = (draws > mixed.cumsum(axis=1)).sum(axis=1)
    assert share(first, second, labels) == pytest.approx(0.4, abs=0.05)


def test_equal_models_tell_nothing():
    first, _, labels = drawn(500)
    assert share(first, first, labels) == pytest.approx(USUAL, abs=1e-3)


def test_few_rows_are_not_believed_as_many():
    first, second, labels = drawn(300)
    right = first[np.arange(300), labels] > second[np.arange(300), labels]
    first, second, labels = first[right], second[right], labels[right]
    found = [share(second[:n], first[:n], labels[:n]) for n in (2, 10, 100)]
    assert USUAL > found[0] > found[1] > found[2]


def test_weight_counts_like_that_many_rows():
    first, second, labels = drawn(40)
    weight = np.random.default_rng(2).integers(0, 4, size=40)
    repeated = np.repeat(np.arange(40), weight)
    assert share(first, second, labels, weight) == pytest.approx(
        share(first[repeated], second[repeated], labels[repeated]), abs=1e-4
    )


def test_a_label_that_both_rule_out_is_no_error():
    sure = np.array([[1.0, 0.0], [1.0, 0.0]])
    with np.errstate(all="raise"):
        assert 0 < share(sure, sure, np.array([0, 1])) < 1


def test_explained_share_of_answers_is_that_of_their_variance():
    teacher = np.array([[0.0], [2.0], [4.0], [6.0]])
    nets = np.array([[1.0], [1.0], [5.0], [5.0]])
    assert explained(teacher, nets) == pytest.approx(1 - 1 / 5)
    assert explained(teacher, teacher) == 1
    assert explained(teacher, 9 - nets) == 0
    assert explained(np.ones((3, 2)), np.ones((3, 2))) == 0
