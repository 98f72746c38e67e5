"""Answers: their parts, and the memory that they take."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdistill._targets._answer import Answer


class Reduction:
    nbytes = 1000


VALUES = np.array([[0.25, 0.75]], dtype=np.float32)
CLASSES = np.array(["c", "a"])


def test_probabilities_are_the_values_or_their_exponential():
    plain, logits = Answer(VALUES, CLASSES), Answer(np.log(VALUES), CLASSES, True)

    assert plain.proba is VALUES
    assert_allclose(logits.proba, VALUES, rtol=1e-6)


@pytest.mark.parametrize(
    ("parts", "more"),
    [
        ({}, 0),
        ({"features": np.zeros((1, 7), np.float32)}, 28),
        ({"reduction": Reduction()}, 1000),
        ({"reduction": [Reduction(), None, Reduction()]}, 2000),
        ({"teacher": object()}, 0),
    ],
    ids=["labels", "features", "reduction", "reductions", "teacher"],
)
def test_bytes_of_all_parts_count(parts, more):
    plain = VALUES.nbytes + CLASSES.nbytes

    assert Answer(VALUES, CLASSES, **parts).nbytes == plain + more


def test_all_but_the_teacher_is_kept():
    parts = (VALUES, CLASSES, True, VALUES, [None])

    assert Answer(*parts, teacher=object()).to_keep() == Answer(*parts)


@pytest.mark.parametrize("with_features", [True, False])
def test_answer_on_further_rows_comes_below(with_features):
    ours = Answer(VALUES, CLASSES, features=VALUES, reduction="ours", teacher="fitted")
    other = Answer(2 * VALUES, CLASSES, features=3 * VALUES if with_features else None)

    both = ours.above(other)

    assert_array_equal(both.values, np.vstack([VALUES, 2 * VALUES]))
    assert (both.features is not None) == with_features
    if with_features:
        assert_array_equal(both.features, np.vstack([VALUES, 3 * VALUES]))
    assert (both.reduction, both.teacher) == ("ours", "fitted")
