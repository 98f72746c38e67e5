"""The columns that a student reads, as a person may give them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skdistill._students._columns import columns_of

X = np.arange(12.0).reshape(3, 4)
FRAME = pd.DataFrame(X, columns=list("abcd"))


def seen(student_columns, rows):
    """Return the columns of an estimator that has checked rows."""
    names = {}
    if isinstance(rows, pd.DataFrame) and isinstance(rows.columns[0], str):
        names = {"feature_names_in_": rows.columns.to_numpy(object)}
    n_features_in_ = np.shape(rows)[-1]
    return columns_of(
        SimpleNamespace(
            student_columns=student_columns, n_features_in_=n_features_in_, **names
        ),
        rows,
    )


GIVEN = {
    "names": ["d", "b"],
    "index": pd.Index(["d", "b"]),
    "positions": [3, 1],
    "numpy": np.array([3, 1], np.uint8),
    "from the end": (-1, 1),
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_frame_gives_the_columns_by_name_in_the_order_asked_for(given):
    columns = seen(given, FRAME)
    taken = columns.of(FRAME[["b", "a", "d"]].assign(other=0.0))
    pd.testing.assert_frame_equal(taken, FRAME[["d", "b"]])
    assert columns.read["n_features_in_"] == 2
    assert columns.read["feature_names_in_"].tolist() == ["d", "b"]


@pytest.mark.parametrize("given", [[3, 1], (-1, -3)])
@pytest.mark.parametrize(
    "rows", [X, X.tolist(), sparse.coo_matrix(X), pd.DataFrame(X)], ids=type
)
def test_rows_of_all_columns_give_them_by_position(given, rows):
    taken = seen(given, X).of(rows)
    taken = taken.toarray() if sparse.issparse(taken) else np.asarray(taken)
    assert_array_equal(taken, X[:, [3, 1]])


def test_mask_has_a_bool_for_each_column():
    mask = np.array([True, False, False, True])
    assert_array_equal(seen(mask, X).of(X), X[:, [0, 3]])
    assert_array_equal(seen(mask.tolist(), FRAME).of(FRAME), X[:, [0, 3]])


@pytest.mark.parametrize("rows", [X[:, :2], X[:, :3], FRAME[["a", "b"]], X[0], "row"])
def test_other_rows_are_left_to_the_check(rows):
    assert seen(["d", "b"], FRAME).of(rows) is rows


def test_all_columns_are_read_by_default():
    rows = [["a text"], ["another"]]
    assert seen(None, rows).of(rows) is rows


REFUSED = {
    "none": ([], FRAME, ValueError, "is empty"),
    "no true": ([False] * 4, X, ValueError, "is empty"),
    "unknown name": (["a", "e"], FRAME, ValueError, r"\['e'\].*'a', 'b', 'c', 'd'"),
    "names of an array": (["a"], X, ValueError, "pass positions, or a data frame"),
    "far position": ([0, 4], X, ValueError, r"positions \[4\], and X has 4"),
    "before the first": ([-5], FRAME, ValueError, r"positions \[-5\], and X has 4"),
    "repeated": (["a", "b", "a"], FRAME, ValueError, "twice"),
    "repeated from the end": ([3, -1], X, ValueError, "twice"),
    "short mask": ([True, False], X, ValueError, "a mask of 2 columns, and X has 4"),
    "names and positions": (["a", 1], FRAME, TypeError, "names of columns, of their"),
    "floats": ([1.0, 2.0], X, TypeError, "names of columns, of their positions"),
    "lists": ([[0, 1]], X, TypeError, "names of columns, of their positions"),
    "another order": ([3, 2, 1, 0], X, ValueError, "leave it None"),
    "no table": ([0], ["a text"], ValueError, "columns of a table"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_names_no_columns_is_refused(case):
    given, rows, error, match = REFUSED[case]
    with pytest.raises(error, match=match):
        seen(given, rows)
