import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skdistill.schedules import CosineSchedule, LinearSchedule

SCHEDULES = [LinearSchedule, CosineSchedule]

values = st.floats(-1e6, 1e6)
lengths = st.integers(1, 300)


def run(schedule, max_epochs):
    return [schedule(epoch, max_epochs) for epoch in range(max_epochs)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (LinearSchedule(8, 2), [8, 6.5, 5, 3.5, 2]),
        (LinearSchedule(0, 1), [0, 0.25, 0.5, 0.75, 1]),
        (LinearSchedule(8, 2, n_epochs=4), [8, 6, 4, 2, 2]),
        # Half a turn, an eighth of it at a time: cosines of 0, 45, 90, 135, 180.
        (CosineSchedule(1, 0), [1, (2 + math.sqrt(2)) / 4, 0.5, 0.5 - 2**-1.5, 0]),
        # The cosine of 60 degrees is 1/2: a quarter of the way in a third of the time.
        (CosineSchedule(8, 4, n_epochs=4), [8, 7, 5, 4, 4]),
    ],
    ids=["linear-down", "linear-up", "linear-short", "cosine-down", "cosine-short"],
)
def test_values_worked_out_by_hand(schedule, expected):
    assert_allclose(run(schedule, 5), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(start=values, stop=values, n_epochs=st.integers(2, 300))
def test_starts_in_the_first_epoch_and_stops_in_the_last(
    schedule, start, stop, n_epochs
):
    bound = schedule(start, stop)
    assert bound(0, n_epochs) == start
    for epoch in (n_epochs - 1, n_epochs, n_epochs + 100):
        assert bound(epoch, n_epochs) == stop


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(start=values, stop=values, max_epochs=lengths, n_epochs=st.none() | lengths)
def test_moves_one_way_between_start_and_stop(
    schedule, start, stop, max_epochs, n_epochs
):
    course = run(schedule(start, stop, n_epochs), max_epochs)
    assert all(min(start, stop) <= value <= max(start, stop) for value in course)
    assert course == sorted(course, reverse=start > stop)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("max_epochs", [1, 3, 50])
def test_n_epochs_of_its_own_count_instead_of_the_training(max_epochs, schedule):
    alone = run(schedule(8.0, 2.0), 10)
    course = run(schedule(8.0, 2.0, n_epochs=10), max_epochs)
    assert course == (alone + 40 * [2.0])[:max_epochs]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("n_epochs", "max_epochs"), [(None, 1), (1, 1), (1, 30)])
def test_a_single_epoch_has_the_value_of_stop(n_epochs, max_epochs, schedule):
    assert schedule(8.0, 2.0, n_epochs)(0, max_epochs) == 2.0


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("name", "value"),
    [("start", "hot"), ("stop", None), ("n_epochs", 0), ("n_epochs", 2.5)],
)
def test_parameters_of_a_wrong_type_or_range_are_refused_by_name(name, value, schedule):
    wrong = schedule(**{"start": 8.0, "stop": 2.0} | {name: value})
    with pytest.raises(
        ValueError, match=f"The '{name}' parameter of {schedule.__name__}"
    ):
        wrong(0, 10)
