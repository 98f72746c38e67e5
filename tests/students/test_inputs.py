"""From the rows of a table to the input of a net."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skdistill._students._inputs import learned_rows, net_input, net_rows
from tests.conftest import tiny_net


@pytest.mark.parametrize("skipped", ["passthrough", None])
def test_rows_are_transformed_step_by_step(data32, skipped):
    X, y = data32
    student = make_pipeline(MinMaxScaler(), skipped, StandardScaler(), tiny_net())
    found = learned_rows(student, X, y, None, is_fitted=False)
    assert_array_equal(found, student[:-1].transform(X))
    assert_array_equal(net_rows(student, [X]), found)
    assert net_rows(student[-1], [X]) is X


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.float32, np.float32),
        (np.float64, np.float32),
        (bool, np.float32),
        (np.int64, np.int64),
        (np.uint8, np.int64),
    ],
)
def test_a_net_gets_rows_in_single_precision_or_integers(given, expected):
    X = np.array([[0, 1], [1, 1]], dtype=given)
    found = net_input(X)
    assert found.dtype == expected
    assert_array_equal(found, X)


def test_a_net_gets_sparse_rows_as_csr():
    X = csr_matrix(np.eye(3))
    for rows in (X, X.tocsc()):
        found = net_input(rows)
        assert found.format == "csr"
        assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1e300]], "too large for dtype"),
        ([[np.nan]], "NaN"),
        ([["word"]], "could not convert"),
    ],
)
def test_rows_that_no_net_can_take_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        net_input(np.array(X))
