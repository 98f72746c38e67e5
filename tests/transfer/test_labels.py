"""Soft labels: names of columns, logits, and warnings where they teach nothing."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from skdistill._teachers._answers import Answer
from skdistill._transfer._labels import (
    from_proba,
    reconcile,
    resolve_clip,
    to_logits,
    warn_if_uninformative,
)

# Names of columns


@pytest.mark.parametrize(
    ("columns", "y", "expected_columns", "expected_classes"),
    [
        pytest.param([0, 1, 2], None, [0, 1, 2], [0, 1, 2], id="no labels"),
        pytest.param([2, 0, 1], None, [2, 0, 1], [0, 1, 2], id="no labels, unsorted"),
        pytest.param([0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2], id="equal"),
        pytest.param([0, 1, 2], [1, 1], [0, 1, 2], [0, 1, 2], id="one label"),
        pytest.param([3, 1, 5], [1, 5], [3, 1, 5], [1, 3, 5], id="unsorted"),
        pytest.param(
            ["dog", "cat"], ["cat"], ["dog", "cat"], ["cat", "dog"], id="strings"
        ),
        pytest.param(["cat", "dog"], [0, 1], [0, 1], [0, 1], id="codes for strings"),
        pytest.param(["cat", "dog", "eel"], [2], [0, 1, 2], [0, 1, 2], id="one code"),
        pytest.param(
            ["dog", "eel", "cat"],
            [0, 1, 2],
            [1, 2, 0],
            [0, 1, 2],
            id="codes count sorted labels, also where columns are not sorted",
        ),
        pytest.param([10, 20, 30], [0, 2], [0, 1, 2], [0, 1, 2], id="codes for ints"),
        pytest.param([0, 1], [0, 1, 7], [0, 1], [0, 1, 7], id="one label more"),
        pytest.param(
            ["b", "a"], ["a", "c"], ["b", "a"], ["a", "b", "c"], id="more strings"
        ),
        pytest.param(
            [False, True], [True, False], [False, True], [False, True], id="bools"
        ),
        pytest.param([0.0, 1.0], [0, 1], [0, 1], [0, 1], id="ints for floats"),
    ],
)
def test_columns_are_named_as_the_labels_are(
    columns, y, expected_columns, expected_classes
):
    named, classes = reconcile(np.array(columns), None if y is None else np.array(y))

    assert named.tolist() == expected_columns
    assert classes.tolist() == expected_classes


@pytest.mark.parametrize(
    ("columns", "y", "message"),
    [
        pytest.param(
            [1, 2, 3],
            [0, 1, 2],
            r"labels \[0, 1, 2\] and the teacher the classes \[1, 2, 3\].*"
            r"codes 0..2 .*by position.*classes=",
            id="codes or labels",
        ),
        pytest.param([5, 1], [0, 1], "may be codes 0..1", id="binary"),
        pytest.param(
            ["a", "b"],
            ["c", "d"],
            r"\['c', 'd'\], the teacher knows the classes \['a', 'b'\]: they share no "
            "class.*classes=",
            id="other strings",
        ),
        pytest.param(["a", "b"], [1, 2, 3], "share no class", id="too many codes"),
        pytest.param([0, 1], ["a", "b"], "share no class", id="strings for codes"),
        pytest.param(list(range(9)), list("abcdefgh"), "and more", id="many classes"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(columns, y, message):
    with pytest.raises(ValueError, match=message):
        reconcile(np.array(columns), np.array(y))


# Logits and the clip


@pytest.mark.parametrize("n_classes", [2, 26, 100])
def test_one_hot_row_keeps_its_mass_at_temperature_two(n_classes):
    one_hot = np.eye(n_classes, dtype=np.float32)
    classes = np.arange(n_classes)

    logits = to_logits(Answer(one_hot, classes), classes, "auto")

    softened = softmax(logits.astype(float) / 2, axis=1)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert_allclose(np.diag(softened), 0.95, rtol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 26, 100, 1000])
def test_auto_clip_stays_a_small_positive_probability(n_classes):
    clip = resolve_clip("auto", n_classes)

    assert 0 < clip * n_classes < 0.01
    assert clip < resolve_clip("auto", n_classes - 1) or n_classes == 2


def test_number_as_clip_is_taken_as_it_is():
    assert resolve_clip(0.01, 26) == 0.01


def test_logits_of_probabilities_are_their_logarithm():
    proba = np.array([[0.2, 0.3, 0.5], [0.0, 0.25, 0.75]], dtype=np.float32)

    logits = to_logits(Answer(proba, np.arange(3)), np.arange(3), 0.01)

    assert_allclose(np.exp(logits), [[0.2, 0.3, 0.5], [0.01, 0.25, 0.75]], rtol=1e-5)


def test_own_logits_are_not_clipped():
    values = np.array([[-80.0, 0.0]], dtype=np.float32)
    labels = Answer(values, np.array([0, 1]), are_logits=True)

    assert_array_equal(to_logits(labels, np.array([0, 1]), "auto"), values)


def test_class_that_own_logits_lack_gets_the_floor():
    values = np.array([[-2.0, -0.1]], dtype=np.float32)
    labels = Answer(values, np.array([2, 0]), are_logits=True)

    logits = to_logits(labels, np.arange(3), 1e-4)

    assert_allclose(logits, [[-0.1, np.log(1e-4), -2.0]], rtol=1e-6)


def test_logits_leave_the_labels_as_they_are():
    proba = np.array([[0.0, 1.0]], dtype=np.float32)
    labels = Answer(proba, np.arange(2))

    to_logits(labels, np.arange(2), "auto")

    assert_array_equal(proba, [[0.0, 1.0]])


def test_logits_come_in_the_order_of_the_classes():
    proba = np.array([[0.2, 0.8]], dtype=np.float32)
    answer = Answer(proba, np.array(["c", "a"]))

    logits = to_logits(answer, np.array(["a", "b", "c"]), 0.1)

    assert_allclose(np.exp(logits), [[0.8, 0.1, 0.2]], rtol=1e-6)


def test_infinite_logits_of_a_teacher_get_the_floor():
    values = np.array([[-np.inf, 0.0]], dtype=np.float32)
    answer = Answer(values, np.array([0, 1]), are_logits=True)

    assert_allclose(to_logits(answer, np.arange(2), 0.01), [[np.log(0.01), 0]])


# Labels made beforehand


CODES = np.arange(90) % 3


def columns_of(proba, y=CODES, classes=None):
    return from_proba(proba, np.zeros((90, 1)), y, classes)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((90, 3), "must sum to 1; one is off by 0.5"),
        ((89, 3), r"shape \(89, 3\), expected \(90, 3\): a row per sample"),
        ((90, 2), r"expected \(90, 3\).*distinct labels of y.*classes="),
        ((90,), r"shape \(90,\), expected"),
        ((90, 3, 1), r"shape \(90, 3, 1\), expected"),
    ],
    ids=str,
)
def test_what_is_no_label_for_each_row_is_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        columns_of(np.full(shape, 0.5))


@pytest.mark.parametrize("container", [list, pd.DataFrame, pl.DataFrame, np.float16])
def test_labels_made_beforehand_come_in_any_container(container):
    proba = np.eye(3)[CODES] * 0.5 + 0.5 / 3

    answer = columns_of(container(proba))

    assert answer.values.dtype == np.float32
    assert_allclose(answer.values, proba, atol=1e-3)
    assert answer.classes.tolist() == [0, 1, 2]


@pytest.mark.parametrize("y", [CODES, None])
def test_classes_say_what_the_columns_stand_for(y):
    answer = columns_of(np.eye(3)[CODES], y, ["c", "a", "b"])

    assert answer.classes.tolist() == ["c", "a", "b"]


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize("classes", [["a", "b", "c"], [0, 1, 2], [10, 20, 30]], ids=str)
def test_named_columns_may_have_any_order(classes, library):
    proba = np.random.default_rng(0).dirichlet([1, 1, 1], 90)
    names = classes if library is pd else list(map(str, classes))
    frame = library.DataFrame(dict(zip(names, proba.T, strict=True)))
    shuffled = frame[[names[i] for i in (2, 0, 1)]]

    answer = columns_of(shuffled, np.array(classes)[CODES])

    assert answer.classes.tolist() == classes
    assert_array_equal(answer.values, proba.astype(np.float32))


@pytest.mark.parametrize("names", ["abd", "aab"])
@pytest.mark.parametrize("classes", [None, ["c", "b", "a"]])
def test_named_columns_must_be_the_classes(classes, names):
    frame = pd.DataFrame(np.eye(3)[CODES])
    frame.columns = list(names)

    with pytest.raises(
        ValueError, match=r"named \['a', .*name each column by its class"
    ):
        columns_of(frame, np.array(["a", "b", "c"])[CODES], classes)


def test_columns_that_pandas_has_numbered_are_in_the_order_of_classes():
    proba = np.random.default_rng(0).dirichlet([1, 1, 1], 90).astype(np.float32)

    answer = columns_of(pd.DataFrame(proba), classes=[2, 1, 0])

    assert answer.classes.tolist() == [2, 1, 0]
    assert_array_equal(answer.values, proba)


def test_labels_without_y_need_classes():
    with pytest.raises(ValueError, match="teacher_proba without y: pass classes="):
        columns_of(np.eye(3)[CODES], None)


def test_count_of_columns_is_held_against_classes():
    with pytest.raises(ValueError, match="a column for each of classes="):
        columns_of(np.eye(3)[CODES], classes=[0, 1, 2, 3])


# Warnings about labels that teach nothing


def look_at(proba, y, proba_clip="auto", **params):
    """Warn where a student would; any other warning is an error."""
    classes = np.arange(np.shape(proba)[1])
    answer = Answer(np.asarray(proba, np.float32), classes)
    warn_if_uninformative(to_logits(answer, classes, proba_clip), y, **params)


@pytest.mark.parametrize("proba_clip", ["auto", 1e-6])
def test_one_hot_labels_equal_to_y_warn(proba_clip):
    with pytest.warns(UserWarning, match="one-hot and equal to y.*out_of_fold"):
        look_at(np.eye(3)[CODES], CODES, proba_clip)


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
    with pytest.warns(UserWarning, match="chance level"):
        look_at(wrong, y)
    with pytest.warns(UserWarning, match="chance level"):
        look_at(
            wrong[:, :2] / wrong[:, :2].sum(axis=1, keepdims=True),
            y,
            found=np.arange(2),
        )
    with pytest.warns(UserWarning, match="chance level"):
        look_at(wrong, y, found=np.array(["a", "b", "c"]))
    with pytest.warns(UserWarning, match="chance level"):
        look_at(np.eye(3)[1 - y] * 0.7 + 0.1, y, found=np.arange(3))
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
