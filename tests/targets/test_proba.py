"""Checks of probabilities, and their smallest value."""

import numpy as np
import pytest

from skdistill._targets._proba import check_proba, resolve_clip


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
