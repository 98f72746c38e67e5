"""The weights of classes are those of scikit-learn."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.utils.class_weight import compute_sample_weight

from skdistill._targets._classes import Classes

CLASSES = np.array(["1", "2", "3"])
Y = np.array(["3", "1", "3", "2", "3", "3"])


def weights_of(class_weight, classes, y):
    """Return the weights of rows without a label, one of each class."""
    sure = 100 * np.eye(len(classes))
    n_labels = 0 if y is None else len(y)
    soft = np.concatenate([np.zeros((n_labels, len(classes))), sure])
    target = Classes(class_weight=class_weight, names=classes)
    return target.row_weights(soft, y)[n_labels:]


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2, 1: 0.5, 2: 0}, {1: 3}])
def test_rows_weigh_as_in_scikit_learn(class_weight):
    y = np.array([2, 0, 2, 1, 2, 2])
    expected = compute_sample_weight(class_weight, y)

    target = Classes(class_weight=class_weight)

    assert_array_equal(target.weighted(y, None), expected)
    weighted = target.weighted(y, np.arange(6.0))
    assert_array_equal(weighted, expected * np.arange(6))


def test_no_class_weights_leave_the_sample_weights_as_they_are():
    weight = np.ones(6)

    assert Classes(names=CLASSES).row_weights(np.zeros((6, 3)), Y) is None
    assert Classes().weighted(Y, weight) is weight
    assert Classes(class_weight={"1": 2}).weighted(None, weight) is weight


def test_labels_that_look_like_numbers_stay_strings():
    weights = weights_of({"3": 4}, CLASSES, Y)

    assert weights.tolist() == [1, 1, 4]


def test_balanced_weights_are_one_for_a_class_without_rows():
    weights = weights_of("balanced", np.array(["1", "2", "3", "4"]), Y)

    assert weights.tolist() == [2, 2, 0.5, 1]


def test_a_fold_may_lack_a_class_that_has_a_weight():
    assert weights_of({"1": 1, "2": 2}, CLASSES[:1], None).tolist() == [1]


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        (
            {1: 2, "2": 1},
            r"has weights of \[1\], which are no classes: .*'1', '2', '3'",
        ),
        ({"1": -1}, "finite and not negative"),
        ({"1": np.inf}, "finite and not negative"),
    ],
)
def test_weights_that_cannot_be(class_weight, message):
    with pytest.raises(ValueError, match=message):
        weights_of(class_weight, CLASSES, Y)


def test_labels_are_needed_to_be_balanced():
    with pytest.raises(ValueError, match="class_weight='balanced' requires y"):
        weights_of("balanced", CLASSES, None)
