"""Seeded code repeats itself, and leaves the global generators alone."""

import threading

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skdistill.utils._seeding import seeded


def draw():
    """Draw from both of the generators that a training may draw from."""
    return np.random.random(), torch.rand(()).item()  # noqa: NPY002


def drawn(seed):
    with seeded(seed):
        return draw()


def test_one_seed_draws_the_same_again_from_both_generators_and_another_does_not():
    first, second = drawn(3), drawn(4)
    assert drawn(3) == first
    assert first[0] != second[0]
    assert first[1] != second[1]


@pytest.mark.parametrize("fails", [False, True])
def test_generators_go_on_as_if_nothing_was_drawn(fails):
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    expected = draw(), draw()
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)

    first = draw()
    try:
        with seeded(5):
            draw()
            if fails:
                raise ValueError
    except ValueError:
        pass

    assert (first, draw()) == expected


def test_threads_take_turns():
    draws, inside = [], threading.Event()

    def other():
        with seeded(1):
            inside.set()
            draws.append(draw())

    with seeded(0):
        first = draw()
        thread = threading.Thread(target=other)
        thread.start()
        assert not inside.wait(0.1)
        second = draw()
    thread.join(30)

    with seeded(0):
        assert_array_equal([first, second], [draw(), draw()])
    assert draws == [drawn(1)]
