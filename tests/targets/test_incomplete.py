"""Teachers that do not know all classes: labels tell what these cannot."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdistill._targets._incomplete import Incomplete, Part

ROW = np.array([0])
FLOOR = np.float32(np.log(1e-4))


def completed(labels, *parts):
    made = [
        Part(1 / len(parts), np.array([proba], np.float32), np.array(knows))
        for proba, knows in parts
    ]
    logits = Incomplete(made, FLOOR).completed(ROW, np.array([labels]))
    assert logits.dtype == np.float32
    return np.exp(logits[0])


def test_labels_tell_how_likely_the_classes_are_that_the_teacher_knows():
    teacher = ([0.75, 0.25, 0], [True, True, False])
    found = completed([0.1, 0.3, 0.6], teacher)
    assert_allclose(found, [0.4 * 0.75, 0.4 * 0.25, 0.6], rtol=1e-5)


def test_each_of_several_teachers_is_completed():
    one, other = (
        ([0.8, 0.2, 0], [True, True, False]),
        ([0, 0.1, 0.9], [False, True, True]),
    )
    found = completed([0.5, 0.5, 0.0], one, other)
    assert_allclose(found, [(0.8 + 0.5) / 2, (0.2 + 0.05) / 2, 0.45 / 2], rtol=1e-5)


def test_positions_of_labels_are_certain():
    teacher = ([0.75, 0.25, 0], [True, True, False])
    assert_allclose(completed(1, teacher), [0.75, 0.25, 1e-4], rtol=1e-5)
    assert_allclose(completed(2, teacher), [1e-4, 1e-4, 1], rtol=1e-5)


def test_teacher_that_gives_all_to_a_class_that_it_does_not_know_tells_nothing():
    teacher = ([0, 0, 1.0], [True, True, False])  # a clone of it knew the class
    assert_allclose(completed([0.1, 0.3, 0.6], teacher), [0.2, 0.2, 0.6], rtol=1e-5)


@pytest.mark.parametrize("labels", [[0.2, 0.3, 0.5], 1])
def test_nothing_is_known_of_rows_that_a_teacher_has_seen(labels):
    assert np.isnan(completed(labels, ([np.nan] * 3, [True, True, False]))).any()
