"""Collections of blocks, which are labeled lazily."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression

from skdistill import soft_labels
from tests.kinds import WithoutFit


class Blocks:
    """Stands for a data frame of dask: keeps what is to be done with each block."""

    __dask_graph__ = None

    def __init__(self, X):
        self.X = X

    def map_partitions(self, function, meta):
        return [function(block) for block in np.array_split(self.X, 3)], meta


def test_each_block_gets_the_soft_labels_of_its_rows(data):
    X, y = data
    teacher = LogisticRegression().fit(X, y)

    blocks, meta = soft_labels(teacher, Blocks(X), classes=["c", "a", "b"])

    expected = soft_labels(teacher, X, classes=["c", "a", "b"])
    assert (meta.shape, meta.dtype) == ((0, 3), np.float32)
    assert_array_equal(np.concatenate(blocks), expected)


def test_several_teachers_know_the_classes_together(data):
    X, y = data
    teachers = [LogisticRegression().fit(X[rows], y[rows]) for rows in (y > 0, y < 2)]

    _, meta = soft_labels(teachers, Blocks(X))

    assert meta.shape == (0, 3)


@pytest.mark.parametrize("with_y", [False, True])
def test_labels_that_depend_on_other_blocks_are_refused(with_y, data):
    X, y = data
    teacher = LogisticRegression().fit(X, y) if with_y else LogisticRegression()

    with pytest.raises(ValueError, match="pass a fitted teacher, and no y"):
        soft_labels(teacher, Blocks(X), y if with_y else None)


def test_classes_of_blocks_must_be_known(data):
    with pytest.raises(
        ValueError, match="WithoutFit has no classes_: say with classes="
    ):
        soft_labels(WithoutFit(LogisticRegression().fit(*data)), Blocks(data[0]))
