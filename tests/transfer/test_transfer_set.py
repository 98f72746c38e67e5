"""The rows that a student learns from: two targets each, and a weight for both."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from skdistill._targets._answer import Answer
from skdistill._targets._classes import Classes
from skdistill._transfer._transfer_set import make_transfer_set

X = np.arange(8.0).reshape(4, 2)
PROBA = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.3, 0.6, 0.1], [0.8, 0.1, 0.1]])
CLASSES = np.array(["a", "b", "c"])
Y = np.array(["c", "a", "b", "a"])
ABOUT_LABELS = {"class_weight", "proba_clip"}


def rows(y=Y, columns=CLASSES, classes=CLASSES, X=X, **params):
    proba = PROBA.astype(np.float32)[:, : len(columns)]
    answer = Answer(
        proba / proba.sum(axis=1, keepdims=True), np.array(columns), features=X
    )
    about = {name: params.pop(name) for name in ABOUT_LABELS & params.keys()}
    target = Classes(names=np.array(classes), **about)
    return make_transfer_set(X, y, answer, target=target, **params)


def arrow(X):
    return pa.Table.from_pandas(pd.DataFrame(X))


def test_rows_and_features_are_handed_on():
    made = rows()

    assert made.X is X
    assert made.features is X
    assert len(made) == 4


@pytest.mark.parametrize("kind", [np.array, pd.DataFrame, pl.DataFrame, arrow])
def test_some_rows_keep_their_targets(kind):
    made = rows(X=kind(X), sample_weight=np.arange(1.0, 5.0), extra=kind(X))
    some = made.part(np.array([1, 3]))

    assert type(some.X) is type(made.X)
    assert_array_equal(np.asarray(some.X), X[[1, 3]])
    for name in ("soft", "hard", "soft_weight", "hard_weight"):
        assert_array_equal(getattr(some, name), getattr(made, name)[[1, 3]])
    assert (len(some), some.extra) == (2, None)


@pytest.mark.parametrize("kind", [np.array, pd.DataFrame, pl.DataFrame, arrow])
@pytest.mark.parametrize("weight", [None, np.array([1.0, 3.0])])
def test_further_rows_can_be_left_out(kind, weight):
    made = rows(y=Y[:2], X=kind(X[:2]), extra=kind(X[2:]), sample_weight=weight)
    made = replace(made, features=X).with_pseudo_labels(np.eye(3)[:2])
    rest = made.without_extra(np.array([0]))

    assert type(rest.extra) is type(made.extra)
    assert_array_equal(np.asarray(rest.extra), X[3:])
    assert_array_equal(rest.pseudo_labels, [[0, 1, 0]])
    for name in ("soft", "hard", "hard_weight", "features"):
        assert_array_equal(getattr(rest, name), getattr(made, name)[[0, 1, 3]])
    assert (len(rest), rest.n_extra) == (3, 1)
    assert made.without_extra(np.arange(0)) is made


def test_all_rows_weigh_the_same_without_weights():
    made = rows()

    assert (made.soft_weight, made.hard_weight) == (1.0, 1.0)
    assert made.has_labels
    assert made.taught.tolist() == [True] * 4


# Rows that lack one of the targets


def test_rows_without_labels_have_hard_weight_zero_and_the_class_that_is_named():
    made = rows(y=None)

    assert made.hard.tolist() == [0, 2, 1, 0]
    assert (made.soft_weight, made.hard_weight) == (1.0, 0.0)
    assert not made.has_labels
    assert made.taught.tolist() == [False] * 4


@pytest.mark.parametrize("weight", [None, np.array([1.0, 1.0, 3.0, 3.0])])
def test_rows_of_a_class_that_the_teacher_does_not_know_have_soft_weight_zero(weight):
    made = rows(columns=["a", "b"], sample_weight=weight)

    expected = np.ones(4) if weight is None else weight / 2
    assert_allclose(made.soft_weight, expected * [0, 1, 1, 1])
    assert_allclose(np.broadcast_to(made.hard_weight, 4), expected)
    assert np.asarray(made.soft_weight).dtype == np.float32
    assert made.taught.tolist() == [False, True, True, True]


# Further rows


@pytest.mark.parametrize(
    ("params", "soft", "hard"),
    [
        ({}, 1.0, [1, 1, 0, 0]),
        ({"y": None}, 1.0, 0.0),
        ({"columns": ["a", "b"]}, [0, 1, 1, 1], [1, 1, 0, 0]),
        ({"sample_weight": np.array([1.0, 3.0])}, [0.5, 1.5, 1, 1], [0.5, 1.5, 0, 0]),
    ],
    ids=["alone", "without labels", "unknown class", "weights"],
)
def test_further_rows_have_soft_targets_alone(params, soft, hard):
    made = rows(**{"y": Y[:2], "X": X[:2], "extra": X[2:]} | params)

    assert made.extra is not None
    assert len(made) == 4
    assert_allclose(made.soft_weight, soft)
    assert_allclose(made.hard_weight, hard)
    assert made.hard[2:].tolist() == [1, 0]


def test_labels_of_further_rows_tell_of_classes_that_the_teacher_does_not_know():
    made = rows(y=Y[:2], X=X[:2], extra=X[2:], columns=["a", "b"])
    labels = np.array([[0.1, 0.1, 0.8], [0.5, 0.5, 0.0]], np.float32)
    proba = softmax(made.completed(labels).soft, axis=1)

    assert_allclose(proba[2], [0.2 / 3, 0.4 / 3, 0.8], atol=1e-3)
    assert_allclose(proba[:2], [[0, 0, 1], [1 / 3, 2 / 3, 0]], atol=2e-3)
    assert_array_equal(made.completed(labels).soft[:2], made.soft[:2])


def test_weight_of_an_unknown_class_counts_in_further_rows():
    weights = {"a": 1.0, "b": 1.0, "c": 3.0}
    params = {"y": Y[:2], "X": X[:2], "extra": X[2:], "class_weight": weights}
    made = rows(columns=["a", "b"], **params)
    labels = np.array([[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]], np.float32)
    weight = made.completed(labels).soft_weight

    assert weight.dtype == np.float32
    assert_allclose(weight[2] / weight[3], 3, rtol=1e-2)
    assert_array_equal(weight[:2], made.soft_weight[:2])


def test_teacher_that_knows_all_classes_is_left_as_it_is():
    made = rows(y=Y[:2], X=X[:2], extra=X[2:])
    assert made.completed(np.ones((2, 3), np.float32) / 3) is made


def test_pseudo_labels_are_hard_targets_of_weight_one():
    made = rows(y=Y[:2], X=X[:2], extra=X[2:], sample_weight=np.array([1.0, 3.0]))
    labels = np.array([[0.2, 0.8, 0.0], [0.5, 0.0, 0.5]], np.float32)

    with_labels = made.with_pseudo_labels(labels)

    assert with_labels.pseudo_labels is labels
    assert_allclose(with_labels.hard_weight, [0.5, 1.5, 1, 1])
    assert_allclose(made.hard_weight, [0.5, 1.5, 0, 0])


# Sample weights


def test_sample_weights_multiply_both_and_have_mean_one():
    made = rows(sample_weight=np.array([1.0, 3.0, 0.0, 4.0]))

    for weight in (made.soft_weight, made.hard_weight):
        assert weight.dtype == np.float32
        assert_allclose(weight, [0.5, 1.5, 0.0, 2.0])
    assert made.taught.tolist() == [True, True, False, True]


@pytest.mark.parametrize("scale", [1e-320, 1e-46, 1e37, 4e307])
def test_scale_of_the_weights_does_not_matter(scale):
    weight = np.array([1.0, 3.0, 0.0, 4.0])

    made = rows(sample_weight=weight * scale)

    assert_allclose(made.hard_weight, [0.5, 1.5, 0.0, 2.0], rtol=1e-3)


def test_weights_that_are_all_zero_stay_so():
    made = rows(sample_weight=np.zeros(4))

    assert_array_equal(made.soft_weight, np.zeros(4))
    assert not made.has_labels
    assert not made.taught.any()


# Class weights

CLASS_WEIGHT = {"a": 1.0, "b": 2.0, "c": 5.0}
EXPECTED = PROBA @ list(CLASS_WEIGHT.values())


@pytest.mark.parametrize("weight", [None, np.array([1.0, 3.0, 0.0, 4.0])])
def test_class_weights_of_labeled_rows_multiply_the_sample_weights(weight):
    by_label = np.array([5.0, 1.0, 2.0, 1.0])
    expected = rows(sample_weight=by_label if weight is None else by_label * weight)

    made = rows(class_weight=CLASS_WEIGHT, sample_weight=weight)

    for name in ("soft_weight", "hard_weight"):
        assert_allclose(getattr(made, name), getattr(expected, name), rtol=1e-6)


@pytest.mark.parametrize(
    ("params", "labels"),
    [
        ({"y": Y[:2]}, [5, 1]),
        ({"y": None}, EXPECTED[:2]),
        ({"y": Y[:2], "sample_weight": np.array([1e3, 1e3])}, [5, 1]),
        ({"y": Y[:2], "sample_weight": np.array([2.0, 6.0])}, [5 / 2, 3 / 2]),
    ],
    ids=["alone", "without labels", "equal weights", "weights"],
)
def test_rows_without_labels_weigh_as_their_soft_labels_say(params, labels):
    made = rows(X=X[:2], extra=X[2:], class_weight=CLASS_WEIGHT, **params)

    expected = np.array([*labels, *EXPECTED[2:]])
    assert_allclose(made.soft_weight, expected / np.mean(labels), rtol=1e-5)
    hard = [] if params["y"] is None else made.soft_weight[:2]
    assert_allclose(np.broadcast_to(made.hard_weight, 4)[: len(hard)], hard)
    assert_allclose(np.broadcast_to(made.hard_weight, 4)[len(hard) :], 0)


def test_class_weights_of_further_rows_do_not_need_weights_of_the_others():
    params = {"X": X[:2], "extra": X[2:], "class_weight": CLASS_WEIGHT}

    made = rows(y=Y[:2], sample_weight=np.zeros(2), **params)

    assert_allclose(made.soft_weight, [0, 0, *EXPECTED[2:]], rtol=1e-5)


def test_pseudo_labels_weigh_as_soft_labels():
    made = rows(y=Y[:2], X=X[:2], extra=X[2:], class_weight=CLASS_WEIGHT)

    labeled = made.with_pseudo_labels(PROBA[2:].astype(np.float32))

    assert_array_equal(labeled.hard_weight, made.soft_weight)
