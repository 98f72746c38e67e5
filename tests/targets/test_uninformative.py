"""Warnings about soft labels that teach nothing."""

import numpy as np
import pytest

from skdistill._targets._answer import Answer
from skdistill._targets._classes import Classes
from skdistill._targets._uninformative import warn_if_uninformative

CODES = np.arange(90) % 3


def look_at(proba, y, proba_clip="auto", **params):
    """Warn where a student would; any other warning is an error."""
    classes = np.arange(np.shape(proba)[1])
    answer = Answer(np.asarray(proba, np.float32), classes)
    warn_if_uninformative(
        Classes(names=classes, proba_clip=proba_clip).soft(answer), y, **params
    )


@pytest.mark.parametrize("proba_clip", ["auto", 1e-6])
def test_one_hot_labels_equal_to_y_warn(proba_clip):
    with pytest.warns(UserWarning, match="one-hot and equal to y.*out_of_fold"):
        look_at(np.eye(3)[CODES], CODES, proba_clip)


@pytest.mark.parametrize(
    ("fitted_here", "way_out"),
    [(False, "nothing: pass the teacher unfitted, or use"), (True, "nothing: use")],
)
def test_a_fitted_teacher_that_adds_nothing_is_better_passed_unfitted(
    fitted_here, way_out
):
    with pytest.warns(UserWarning, match=way_out):
        look_at(np.eye(3)[CODES], CODES, fitted_here=fitted_here)


@pytest.mark.parametrize(
    "make_proba",
    [
        pytest.param(
            lambda y: np.eye(3)[(y + (np.arange(len(y)) % 20 == 0)) % 3],
            id="one-hot, and sometimes other than y",
        ),
        pytest.param(lambda y: np.eye(3)[y] * 0.98 + 0.02 / 3, id="equal, but soft"),
    ],
)
def test_labels_that_add_something_do_not_warn(make_proba):
    look_at(make_proba(CODES), CODES)


def test_one_hot_labels_of_a_teacher_that_gives_features_do_not_warn():
    look_at(np.eye(3)[CODES], CODES, alone=False)


@pytest.mark.parametrize(
    "make_proba",
    [
        lambda y: np.tile([0.5, 0.3, 0.2], (len(y), 1)),
        lambda y: np.eye(3)[(y + 1) % 3] * 0.7 + 0.1,
        lambda y: np.random.default_rng(1).permutation(np.eye(3)[y]) * 0.7 + 0.1,
    ],
    ids=["the same for all", "always wrong", "rows in another order"],
)
@pytest.mark.parametrize("alone", [True, False])
def test_teacher_at_chance_level_warns(alone, make_proba):
    with pytest.warns(UserWarning, match="balanced accuracy .* chance level"):
        look_at(make_proba(CODES), CODES, alone=alone)


def test_teacher_that_was_fitted_on_the_rows_has_learned_little():
    with pytest.warns(UserWarning, match="has learned little .* class_weight='bal"):
        look_at(np.tile([0.8, 0.1, 0.1], (90, 1)), CODES, fitted_here=True)


def right_on(n_right, n_rows, n_classes):
    """Return soft labels that name the class of so many rows of each class, and y."""
    y = np.tile(np.arange(n_classes), n_rows)
    is_right = np.repeat(np.arange(n_rows) < n_right, n_classes)
    named = np.where(is_right, y, (y + 1) % n_classes)
    return 0.5 * np.eye(n_classes)[named] + 0.5 / n_classes, y


@pytest.mark.parametrize(
    ("n_right", "n_rows", "n_classes", "warns"),
    [
        pytest.param(29, 100, 10, True, id="a fifth of the way, of many rows"),
        pytest.param(35, 100, 10, False, id="more than a quarter of the way"),
        pytest.param(3, 10, 10, False, id="a fifth of the way, of few rows"),
        pytest.param(60, 100, 2, False, id="a fifth of the way, and mostly right"),
    ],
)
def test_teacher_is_suspicious_near_chance_and_wrong_on_most_of_many_rows(
    n_right, n_rows, n_classes, warns
):
    labels = right_on(n_right, n_rows, n_classes)

    if warns:
        with pytest.warns(UserWarning, match="chance level"):
            look_at(*labels)
    else:
        look_at(*labels)


def test_two_labels_of_three_are_no_groups_where_that_is_known_or_the_teacher_agrees():
    y = CODES % 2
    wrong, right = np.eye(3)[(y + 1) % 3] * 0.7 + 0.1, np.eye(3)[y] * 0.7 + 0.1

    look_at(right, y, found=np.arange(3))
    for proba, found in [
        (wrong, None),
        (wrong[:, :2] / wrong[:, :2].sum(axis=1, keepdims=True), np.arange(2)),
        (wrong, np.array(["a", "b", "c"])),
        (np.eye(3)[1 - y] * 0.7 + 0.1, np.arange(3)),
    ]:
        with pytest.warns(UserWarning, match="chance level"):
            look_at(proba, y, found=found)
    with pytest.raises(ValueError, match="0 and 1 alone, the teacher knows 3 classes"):
        look_at(wrong, y, found=np.arange(3))


def test_teacher_that_names_the_majority_alone_warns():
    y = np.where(np.arange(90) < 81, 0, CODES)

    with pytest.warns(UserWarning, match="chance level"):
        look_at(np.tile([0.8, 0.1, 0.1], (90, 1)), y)


def test_weights_of_the_rows_decide_which_classes_a_teacher_may_neglect():
    proba = np.tile([0.8, 0.1, 0.1], (len(CODES), 1))

    look_at(proba, CODES, weight=np.where(CODES == 0, 9.0, 1.0))
    with pytest.warns(UserWarning, match="weighted accuracy .* is 0.091, near the ch"):
        look_at(proba, CODES, weight=np.where(CODES == 1, 9.0, 1.0))


def test_imbalance_alone_is_not_chance_level():
    y = np.where(np.arange(90) < 81, 0, CODES)

    look_at(np.eye(3)[y] * 0.7 + 0.1, y)


@pytest.mark.parametrize("y", [CODES[:0], np.ones(90, int)], ids=["no", "one"])
def test_fewer_than_two_classes_tell_nothing(y):
    look_at(np.eye(3)[(y + 1) % 3], y)
