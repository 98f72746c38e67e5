"""Questions: what they need, and the rows that calibrate the answer."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skdistill._targets._classes import Classes
from skdistill._transfer._question import Question, resolve_calibration

X, Y = np.zeros((4, 2)), np.array(["a", "b", "a", "b"])


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, False),
        ({"method": "auto"}, False),
        ({"method": "auto", "cv": 3}, True),
        ({"method": "out_of_fold"}, True),
        ({"method": "out_of_bag", "cv": 3}, False),
        ({"cv": 3, "calibration": "out_of_fold"}, True),
    ],
)
def test_clones_are_fitted_on_folds_for_labels_or_calibration(params, expected):
    assert Question(None, target=Classes(), **params).uses_folds is expected


@pytest.mark.parametrize("given", [None, "out_of_fold"])
def test_parameter_without_rows_is_taken_as_it_is(given):
    assert resolve_calibration(given, Classes()) is given


@pytest.mark.parametrize("kind", [tuple, list])
@pytest.mark.parametrize("series", [np.asarray, list, pd.Series])
def test_rows_of_a_pair_are_prepared_and_its_labels_are_an_array(kind, series):
    rows, labels = resolve_calibration(kind([X, series(Y)]), Classes(), lambda X: X + 1)

    assert_array_equal(rows, X + 1)
    assert_array_equal(labels, Y)
    assert isinstance(labels, np.ndarray)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("in_sample", r"must be 'out_of_fold', None or a pair .* got 'in_sample'"),
        (True, "must be 'out_of_fold', None or a pair"),
        ((X,), "must be 'out_of_fold', None or a pair"),
        ((X, Y, Y), "must be 'out_of_fold', None or a pair"),
        (X, "must be 'out_of_fold', None or a pair"),
        ((X, Y[:3]), "4 rows and 3 labels"),
        ((X, np.linspace(0, 1, 4)), "continuous"),
        ((X, np.array([0, 1, np.nan, 1])), "NaN"),
    ],
    ids=["name", "bool", "one", "three", "array", "lengths", "continuous", "missing"],
)
def test_bad_parameter_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        resolve_calibration(given, Classes())
