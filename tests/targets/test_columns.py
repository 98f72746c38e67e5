"""Columns of probabilities: their values, and the classes that they stand for."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdistill._targets._columns import (
    align,
    check_proba,
    reconcile,
    resolve_clip,
    some_of,
)

VALUES = np.array([[0.25, 0.75]], dtype=np.float32)
CLASSES = np.array(["c", "a"])


@pytest.mark.parametrize(
    ("fill", "expected"), [(0.0, [0.75, 0, 0.25]), (-1, [0.75, -1, 0.25])]
)
def test_columns_come_in_the_order_of_the_classes_and_are_filled(fill, expected):
    aligned = align(VALUES, CLASSES, np.array(["a", "b", "c"]), fill)

    assert aligned.dtype == np.float32
    assert_array_equal(aligned, [expected])


def test_columns_of_no_class_are_left_out():
    assert_array_equal(align(VALUES, CLASSES, np.array(["a"])), [[0.75]])


@pytest.mark.parametrize(
    ("proba", "way_out"),
    [
        ([[0.5, 0.2, 0.0], [0.9, 0.1, 0.0]], "the other classes share the rest"),
        ([[0.0, 0.0, 0.0]], "the other classes share the rest"),
        ([[2.5, 0.2, 0.0], [0.5, 0.1, 0.0]], "Logits need a softmax"),
        ([[0.5, 0.7, 0.0]], "Logits need a softmax"),
    ],
)
def test_rows_that_do_not_sum_to_1_are_refused_with_a_way_out(proba, way_out):
    with pytest.raises(ValueError, match=f"rows of P must sum to 1; .*{way_out}"):
        check_proba(proba, "P")


@pytest.mark.parametrize("are_logits", [False, True])
def test_some_columns_share_what_is_left_out(are_logits):
    proba = np.array([[0.2, 0.3, 0.5], [0.1, 0.9, 0.0], [np.nan] * 3], np.float32)
    given = np.log(np.maximum(proba, 1e-30)) if are_logits else proba
    some = some_of(given, np.array(["a", "b", "c"]), np.array(["c", "a"]), are_logits)
    assert some.dtype == np.float32
    expected = [[5 / 7, 2 / 7], [0, 1], [np.nan] * 2]
    assert_allclose(np.exp(some) if are_logits else some, expected, atol=1e-6)


def test_a_row_of_none_of_the_classes_says_the_same_of_each():
    one_hot = np.array([[0.0, 1.0, 0.0]], np.float32)
    classes = np.arange(3)
    assert_array_equal(some_of(one_hot, classes, classes[::2], False), [[0.5, 0.5]])


def test_columns_in_order_are_not_copied():
    assert align(VALUES, CLASSES, CLASSES) is VALUES


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


@pytest.mark.parametrize(
    "proba",
    [
        pytest.param(np.array([[1, 0], [0, 1]]), id="integers"),
        pytest.param(np.array([[True, False]]), id="bools"),
        pytest.param(np.array([[0.1, 0.9]], dtype=np.float16), id="half precision"),
        pytest.param(np.full((1, 1000), 1e-3, dtype=np.float16), id="many halves"),
        pytest.param(np.array([[1 / 3] * 3], dtype=np.float32), id="rounded thirds"),
    ],
)
def test_probabilities_up_to_rounding_pass_as_float32(proba):
    checked = check_proba(proba, "teacher_proba")

    assert checked.dtype == np.float32
    np.testing.assert_allclose(checked, proba.astype(np.float32))


@pytest.mark.parametrize(
    ("proba", "message"),
    [
        ([[np.nan, 1.0]], "teacher_proba contains NaN or infinity"),
        ([[np.inf, 0.0]], "teacher_proba contains NaN or infinity"),
        ([[1.1, -0.1]], "teacher_proba contains negative values"),
        ([[0.5, 0.5], [0.5, 0.6]], "off by 0.1.*Logits need a softmax"),
        ([[2.0, 3.0]], "off by 4"),
        ([[1.0 + 1.0j, 0.0]], "teacher_proba contains complex numbers"),
    ],
)
def test_what_is_no_probability_is_refused(proba, message):
    with pytest.raises(ValueError, match=message):
        check_proba(np.array(proba), "teacher_proba")


@pytest.mark.parametrize("n_classes", [2, 26, 100, 1000])
def test_auto_clip_stays_a_small_positive_probability(n_classes):
    clip = resolve_clip("auto", n_classes)

    assert 0 < clip * n_classes < 0.01
    assert clip < resolve_clip("auto", n_classes - 1) or n_classes == 2


def test_number_as_clip_is_taken_as_it_is():
    assert resolve_clip(0.01, 26) == 0.01
