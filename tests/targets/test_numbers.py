"""Numbers as a target: their scale, trust, and what a teacher may say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression, LogisticRegression

from skdistill._targets._answer import Answer
from skdistill._targets._classes import Classes
from skdistill._targets._numbers import Numbers
from skdistill._targets._target import target_of
from skdistill._targets._trust import USUAL, share_of_numbers


def learned(y, values=None, weight=None, **params):
    values = np.asarray(y, float).reshape(len(y), -1) if values is None else values
    return Numbers(**params).learned(values, np.asarray(y, float), weight)


@pytest.mark.parametrize("large", [0.0, 1e6, 1e12])
def test_scaled_targets_come_back(large):
    y = large + np.array([1.0, 2.0, 4.0])
    target = learned(y)
    scaled = target.soft(Answer(y[:, np.newaxis], np.arange(1)))
    assert scaled.dtype == np.float32
    assert_allclose([scaled.mean(), scaled.std()], [0, 1], atol=1e-4)
    assert_allclose(target.decode(scaled.astype(np.float64)) - large, y - large, 1e-3)


def test_scale_is_that_of_the_weighted_rows():
    y, weight = np.array([1.0, 3.0, 100.0]), np.array([1.0, 1.0, 0.0])
    target = learned(y, weight=weight, extrapolation=0.0)
    assert (target.location, target.scale) == (2, 1)
    assert_allclose(np.ravel(target.bounds), [1, 3])
    heavy = learned(np.array([0.0, 4.0]), weight=np.array([3.0, 1.0]))
    assert_allclose([heavy.location[0], heavy.scale[0]], [1, np.sqrt(3)])


@pytest.mark.parametrize("unit", [1e-320, 1e307])
def test_of_weights_of_any_size_the_ratios_matter(unit):
    target = learned(np.array([0.0, 4.0]), weight=unit * np.array([15.0, 5.0]))
    assert_allclose([target.location[0], target.scale[0]], [1, np.sqrt(3)], rtol=1e-3)


def test_without_targets_the_scale_is_that_of_the_teacher():
    target = Numbers().learned(np.array([[1.0], [3.0]]), None, None)
    assert (target.location, target.scale) == (2, 1)


def test_a_constant_is_not_divided_by_its_rounding():
    y = np.full(5, 0.1) + np.array([0, 1, 0, 1, 0]) * 1e-18
    assert learned(y).scale == 1
    assert learned(np.array([1e-30, 2e-30])).scale == pytest.approx(0.5e-30)


@pytest.mark.parametrize(("extrapolation", "highest"), [(0.0, 4), (0.5, 6), (None, 99)])
def test_predictions_are_bounded_by_what_was_learned(extrapolation, highest):
    values = np.array([[0.0], [2.0], [4.0]])  # of the teacher
    target = learned([1.0, 2.0, 3.0], values, extrapolation=extrapolation)
    far = (np.array([[99.0]]) - target.location) / target.scale
    assert target.decode(far) == pytest.approx(highest)


def test_folds_are_shuffled_and_hold_each_row_out_once():
    y = np.arange(20.0)
    folds = Numbers().folds(None, y[:, np.newaxis], y)
    held = np.concatenate([test for _, test in folds])
    assert sorted(held) == list(range(20))
    assert all(np.ptp(test) > 5 for _, test in folds)
    same = Numbers().folds(None, y[:, np.newaxis], y)
    assert all((a[1] == b[1]).all() for a, b in zip(folds, same, strict=True))
    assert len(Numbers().folds(None, y[:3, np.newaxis], y[:3])) == 3


def test_share_of_the_teacher_is_that_of_the_smallest_squared_error():
    rng = np.random.default_rng(0)
    teacher, nets = rng.normal(size=(5000, 2)), 2 * rng.normal(size=(5000, 2))
    weight = np.ones(5000)
    closed = np.sum(nets * (nets - teacher)) / np.sum((teacher - nets) ** 2)
    assert share_of_numbers(teacher, nets, weight) == pytest.approx(closed, abs=0.01)
    assert share_of_numbers(0 * nets, nets, weight) > 0.99
    assert share_of_numbers(nets, 0 * nets, weight) < 0.01


def test_nets_of_two_kinds_have_equal_weights_unless_one_is_better():
    noise = np.random.default_rng(0).normal(size=(500, 1))
    y, weight = np.zeros((500, 1)), np.ones(500)
    share_of_nets = Numbers().share_of_nets
    assert share_of_nets(noise, noise, y, weight) == pytest.approx(0.5, abs=0.01)
    assert share_of_nets(noise, 3 * noise[::-1], y, weight) > 0.8


def test_few_rows_tell_little():
    errors = np.array([[1.0], [-1.0]])
    few = share_of_numbers(errors, 0.5 * errors, np.ones(2))
    many = share_of_numbers(
        np.tile(errors, (500, 1)), 0.5 * np.tile(errors, (500, 1)), np.ones(1000)
    )
    assert many < 0.01 < 0.2 < few < USUAL


def test_rows_without_weight_do_not_count():
    errors = np.array([[1.0], [5.0]])
    found = share_of_numbers(errors, errors[::-1], np.array([1.0, 0.0]))
    assert found > USUAL


def test_a_teacher_far_from_the_nets_is_trusted_less():
    target, rows = Numbers(), np.zeros((50, 1))
    nets, weight = rows + 0.1, np.ones(50)
    far = [target.most_trust(nets, rows, weight, rows + d, rows) for d in (0.1, 0.2, 1)]
    assert_allclose(far, USUAL * np.array([1, 1 / 16, 1e-4]))


def test_made_rows_of_which_teacher_and_nets_disagree_more_than_usual_are_named():
    rng = np.random.default_rng(0)
    nets = rng.normal(size=(100, 2))
    soft = nets + 0.1 * rng.normal(size=(100, 2))
    made = nets + np.where(np.arange(100) % 10 == 3, 2.0, 0.0)[:, np.newaxis]
    found = Numbers().far_apart(soft, nets, made, nets)
    assert found.tolist() == list(range(3, 100, 10))
    assert len(Numbers().far_apart(soft[:20], nets[:20], made, nets)) == 0


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (np.zeros((3, 1, 1)), r"shape \(3, 1, 1\)"),
        (np.zeros(2), r"expected \(3,\)"),
        (["a", "b", "c"], "must give numbers"),
        (np.array([1.0, np.nan, 2.0]), "NaN or infinity"),
        (np.array([1j, 1, 1]), "must give numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:Casting complex")
def test_what_is_no_prediction_is_refused(said, message):
    with pytest.raises(ValueError, match=message):
        Numbers().checked(said, LinearRegression(), 3)


@pytest.mark.parametrize("said", [[1, 2, 3], np.array([True, False, True]), [[1]] * 3])
def test_numbers_of_every_form_are_taken(said):
    answer = Numbers().checked(said, LinearRegression(), 3)
    assert answer.values.shape == (3, 1)
    assert answer.values.dtype == np.float64


def test_teachers_of_different_targets_cannot_be_averaged():
    answers = [Answer(np.zeros((2, k)), np.arange(k)) for k in (1, 2)]
    with pytest.raises(ValueError, match=r"different numbers of targets: \[1, 2\]"):
        Numbers().average(answers, np.array([0.5, 0.5]))


def test_teacher_tells_what_it_can_be_asked():
    assert isinstance(target_of(LinearRegression()), Numbers)
    assert isinstance(target_of([LinearRegression()] * 2), Numbers)
    assert isinstance(target_of(LogisticRegression()), Classes)
    assert target_of(LogisticRegression(), columns=[1, 2]).columns == [1, 2]
    assert isinstance(target_of([]), Classes)
