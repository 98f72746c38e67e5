"""Temperature scaling: the temperature of the smallest log loss, and what it does."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from skdistill._targets._answer import Answer
from skdistill._targets._calibration import (
    BOUNDS,
    Calibration,
    calibration_on,
    labeled_temperature,
    matching_temperature,
)


def answer(values, are_logits=False):
    values = np.asarray(values, dtype=np.float32)
    return Answer(values, np.arange(values.shape[1]), are_logits)


def temperature_of(*rows):
    return calibration_on(*rows).temperature


def labeled_logits(n_classes, n_rows=4000):
    """Return logits, and labels that are drawn with just their probabilities."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2.0, size=(n_rows, n_classes))
    y = np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)
    return logits, y


def by_output(logits, output):
    """Return logits as the answer of a teacher that gives logits or probabilities."""
    if output == "logits":
        return answer(log_softmax(logits, axis=1), are_logits=True)
    return answer(softmax(logits, axis=1))


@pytest.mark.parametrize("factor", [0.25, 3.0])
@pytest.mark.parametrize("output", ["logits", "proba"])
@pytest.mark.parametrize("n_classes", [2, 26])
def test_temperature_takes_back_a_factor_of_the_logits(n_classes, output, factor):
    logits, y = labeled_logits(n_classes)
    plain, changed = (
        temperature_of(by_output(scale * logits, output), y) for scale in (1, factor)
    )

    assert changed == pytest.approx(factor * plain, rel=1e-3)


@pytest.mark.parametrize("output", ["logits", "proba"])
def test_no_other_temperature_has_a_smaller_log_loss(output):
    logits, y = labeled_logits(3)
    given = by_output(3 * logits, output)
    best = temperature_of(given, y)

    losses = [
        log_loss(y, Calibration(factor * best, -99.0)(given).proba)
        for factor in (0.9, 1.0, 1.1)
    ]

    assert losses[1] < min(losses[0], losses[2])
    assert losses[1] < log_loss(y, given.proba)


def test_labels_may_be_strings_in_any_order_of_the_columns():
    logits, y = labeled_logits(3)
    names = np.array(["c", "a", "b"])
    given = by_output(logits, "logits")

    found = temperature_of(replace(given, columns=names), names[y])

    assert found == temperature_of(given, y)


def test_weight_counts_like_that_many_rows():
    logits, y = labeled_logits(3, 200)
    logits[:100] *= 3
    weight = np.repeat([3, 1], 100)
    times = np.repeat(np.arange(200), weight)

    found = temperature_of(by_output(logits, "logits"), y, weight.tolist())

    repeated = temperature_of(by_output(logits[times], "logits"), y[times])
    assert found == pytest.approx(repeated, rel=1e-4)
    assert found != pytest.approx(temperature_of(by_output(logits, "logits"), y))


@pytest.mark.parametrize("scale", [1e-320, 1e307])
def test_scale_of_the_weights_does_not_matter(scale):
    logits, y = labeled_logits(3, 200)
    weight = np.repeat([1.0, 3.0], 100)

    found = temperature_of(by_output(logits, "logits"), y, weight * scale)

    expected = temperature_of(by_output(logits, "logits"), y, weight)
    assert found == pytest.approx(expected, rel=1e-3)


def test_rows_of_weight_zero_do_not_count():
    logits, y = labeled_logits(3, 200)
    weight = np.repeat([0.0, 1.0], 100)
    named = np.where(weight > 0, y, 99)

    found = temperature_of(by_output(logits, "logits"), named, weight)

    assert found == temperature_of(by_output(logits[100:], "logits"), y[100:])


def test_temperature_keeps_within_its_bounds():
    proba = answer(np.tile([[0.9, 0.1], [0.1, 0.9]], (10, 1)))
    right = np.tile([0, 1], 10)

    lowest, highest = temperature_of(proba, right), temperature_of(proba, 1 - right)

    assert BOUNDS[0] <= lowest < 0.1
    assert 19 < highest <= BOUNDS[1]


# Probabilities of 0


@pytest.mark.parametrize("output", ["logits", "proba"])
def test_zero_counts_as_half_the_smallest_probability_of_the_calibration(output):
    rows = np.array([[0.8, 0.2, 0.0], [0.0, 0.1, 0.9], [0.3, 0.3, 0.4]])
    others = np.array([[0.0, 1.0, 0.0], [0.98, 0.02, 0.0], [0.1, 0.2, 0.7]])
    if output == "logits":
        with np.errstate(divide="ignore"):
            rows, others = np.log(rows), np.log(others)
    found = calibration_on(answer(rows, output == "logits"), np.array([0, 2, 1]))

    tempered = replace(found, temperature=2.0)(answer(others, output == "logits"))

    # In the second row 0.05 would be more than what it gives another class.
    filled = np.array([[0.05, 1.0, 0.05], [0.98, 0.02, 0.01], [0.1, 0.2, 0.7]])
    expected = np.sqrt(filled) / np.sqrt(filled).sum(axis=1, keepdims=True)
    assert found.floor == pytest.approx(np.log(0.05))
    assert_allclose(tempered.proba, expected, rtol=1e-6)


def test_one_hot_teacher_gets_the_probability_of_being_right():
    proba = answer(np.eye(2)[[0, 1] * 50])
    y = np.array([0, 1] * 40 + [1, 0] * 10)

    tempered = calibration_on(proba, y)(proba)

    assert_allclose(tempered.values.max(axis=1), 0.8, atol=1e-4)


def test_label_to_which_the_teacher_gives_no_probability_raises_the_temperature():
    proba = np.tile([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0]], (10, 1))
    y = np.tile([0, 1], 10)
    wrong = np.where(np.arange(20) < 4, 2, y)

    found = temperature_of(answer(proba), wrong)

    assert temperature_of(answer(proba), y) < 1 < found < BOUNDS[1] / 2


# Rows that nets have not seen


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_many_labels_tell_the_temperature(factor):
    logits, labels = labeled_logits(3)
    weight = np.ones(len(labels))
    found = labeled_temperature(factor * logits, labels, weight, 1.0)
    assert found == pytest.approx(factor, rel=0.06)


def test_without_labels_it_is_the_suggested_temperature():
    nothing = np.empty((0, 3)), np.empty(0, int), np.empty(0)
    assert labeled_temperature(*nothing, 1.7) == pytest.approx(1.7, 1e-3)


def test_a_few_right_answers_do_not_make_a_teacher_sure():
    logits = np.log([[0.9, 0.1]] * 5)
    found = labeled_temperature(logits, np.zeros(5, int), np.ones(5), 1.0)
    assert 0.8 < found < 1


# What calibration leaves alone


@pytest.mark.parametrize("output", ["logits", "proba"])
def test_calibrated_answer_divides_the_logits_and_keeps_the_rest(output):
    logits, _ = labeled_logits(3, 50)
    features, teacher = np.ones((50, 2)), object()
    parts = {"features": features, "reduction": "r", "teacher": teacher}
    given = replace(by_output(logits, output), **parts)
    before = given.values.copy()

    tempered = Calibration(2.5, -99.0)(given)

    assert tempered.values.dtype == np.float32
    assert tempered.are_logits == given.are_logits
    assert_allclose(tempered.proba, softmax(logits / 2.5, axis=1), rtol=1e-5)
    assert tempered.temperature == 2.5
    assert tempered.features is features
    assert tempered.reduction == "r"
    assert tempered.teacher is teacher
    assert_array_equal(given.values, before)


@pytest.mark.parametrize("temperature", BOUNDS)
def test_calibration_changes_no_predicted_class(temperature):
    proba = by_output(labeled_logits(26, 500)[0], "proba")

    tempered = Calibration(temperature, -99.0)(proba)

    assert_array_equal(tempered.values.argmax(axis=1), proba.values.argmax(axis=1))


# Errors


@pytest.mark.parametrize(
    ("y", "weight"),
    [(np.zeros(4, int), None), (np.array([0, 0, 1, 1]), [1, 1, 0, 0]), ([], None)],
    ids=["one class", "one class with a weight", "no rows"],
)
def test_rows_of_fewer_than_two_classes_are_refused(y, weight):
    proba = answer(np.full((len(y), 2), 0.5))

    with pytest.raises(ValueError, match=r"at least 2 classes.*calibrate_teacher=\("):
        calibration_on(proba, np.asarray(y, dtype=int), weight)


def test_labels_that_the_teacher_does_not_know_are_named():
    with pytest.raises(ValueError, match=r"does not know: \[7\].*classes="):
        calibration_on(answer(np.full((3, 2), 0.5)), np.array([0, 1, 7]))


# By another model


@pytest.mark.parametrize("n_classes", [2, 26])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_matching_temperature_takes_back_a_factor_of_the_logits(n_classes, factor):
    logits, _ = labeled_logits(n_classes)
    # The same model disagrees in nothing, which the temperature is corrected for.
    one = matching_temperature(logits.astype(np.float32), softmax(logits, axis=1))
    found = matching_temperature(
        (factor * logits).astype(np.float32), softmax(logits, axis=1)
    )
    assert one == pytest.approx(1 / 1.3, rel=1e-3)
    assert found == pytest.approx(factor / 1.3, rel=1e-3)


@pytest.mark.parametrize(("sure", "expected"), [(True, 1 / 3), (False, 3.0)])
def test_matching_temperature_keeps_within_its_bounds(sure, expected):
    logits = np.array([[1.0, 0.0]] * 5, dtype=np.float32)
    proba = np.array([[1.0, 0.0] if sure else [0.5, 0.5]] * 5, dtype=np.float32)
    assert matching_temperature(logits, proba) == pytest.approx(expected)
