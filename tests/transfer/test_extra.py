"""Rows beyond the training rows, before a teacher labels them."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_matrix

from skdistill import TransferRows
from skdistill._transfer import _extra
from skdistill._transfer._extra import (
    made_rows,
    resolve_augmenter,
    unwrapped_transfer,
)
from skdistill._transfer._store import store
from skdistill.augmentation import MUNGE, Mixup

X = np.random.default_rng(0).normal(size=(6, 2))
FRAME = pd.DataFrame(X, columns=["a", "b"])
ARROW = pa.table({"a": [0.5] * 6})


class Augmenter:
    """Makes whatever a function of X and n_rows returns."""

    def __init__(self, make, n_copies=2):
        self.make = make
        self.n_copies = n_copies

    def sample(self, X, n_rows, random_state):
        return self.make(X, n_rows)


def first_row(X, n_rows):
    return np.repeat(X[:1], n_rows, axis=0)


def sampled(X, n_rows):
    return X.sample(n_rows, replace=True)


# augmenter=


def test_augmenter_of_the_person_is_taken_as_it_is():
    own = Mixup()

    assert resolve_augmenter(own, X) is own
    assert resolve_augmenter(None, X) is None


def test_a_class_is_no_augmenter():
    with pytest.raises(TypeError, match=r"pass an instance of it: Mixup\(\)"):
        resolve_augmenter(Mixup, X)


@pytest.mark.parametrize(
    ("n_rows", "n_made"),
    [(2, 10), (19_000, 95_000), (50_000, 100_000), (200_000, 100_000)],
)
def test_auto_makes_five_rows_for_each_up_to_a_limit(n_rows, n_made):
    augmenter = resolve_augmenter("auto", np.zeros((n_rows, 1)))

    assert isinstance(augmenter, MUNGE)
    assert augmenter.n_copies * n_rows == n_made


@pytest.mark.parametrize(("name", "kind"), [("munge", MUNGE), ("mixup", Mixup)])
def test_names_make_as_many_rows_as_auto(name, kind):
    augmenter = resolve_augmenter(name, np.zeros((50_000, 1)))
    assert type(augmenter) is kind
    assert augmenter.n_copies == 2


@pytest.mark.parametrize("X", [FRAME, pl.DataFrame(FRAME), pa.table({"a": [1, 2]})])
def test_auto_knows_frames(X):
    assert isinstance(resolve_augmenter("auto", X), MUNGE)


@pytest.mark.parametrize(
    "X",
    [X[:1], np.zeros((9, 2, 2)), csr_matrix(X), ["a text", "another"]],
    ids=["one row", "images", "sparse", "texts"],
)
def test_auto_makes_no_rows_of_what_is_no_dense_table(X):
    assert resolve_augmenter("auto", X) is None


# The rows that are made


@pytest.mark.parametrize(
    ("n_copies", "expected"), [(0.01, 1), (0.5, 3), (1, 6), (np.float32(2.5), 15)]
)
def test_copies_say_how_many_rows_are_made(n_copies, expected):
    assert len(made_rows(MUNGE(n_copies=n_copies), X, 0)) == expected


@pytest.mark.parametrize("n_copies", [0, -1, np.nan, np.inf, "3", None])
def test_copies_must_be_a_number_above_zero(n_copies):
    with pytest.raises(ValueError, match="n_copies of the augmenter Augmenter must be"):
        made_rows(Augmenter(first_row, n_copies), X, 0)


def test_five_rows_are_made_for_each_where_nothing_is_said():
    augmenter = Augmenter(first_row)
    del augmenter.n_copies

    assert len(made_rows(augmenter, X, 0)) == 30


@pytest.mark.parametrize("given", [X, FRAME, pl.DataFrame(FRAME)], ids=type)
def test_rows_are_made_once_by_one_seed(given, count_calls):
    calls = count_calls(MUNGE, "sample")

    for _ in range(2):
        first = made_rows(MUNGE(), given, 0)
        assert made_rows(MUNGE(), given, 0) is first
    assert calls["sample"] == 1
    assert store.nbytes >= 30 * 2 * 8

    made_rows(MUNGE(), given, 1)
    made_rows(MUNGE(p=0.1), given, 0)
    made_rows(MUNGE(), given[:5], 0)
    assert calls["sample"] == 4


def test_rows_of_an_augmenter_that_cannot_be_pickled_are_made_each_time():
    seen = []

    def make(X, n_rows):
        seen.append(n_rows)
        return first_row(X, n_rows)

    augmenter = Augmenter(make)
    augmenter.connection = (_ for _ in ())
    for _ in range(2):
        made_rows(augmenter, X, 0)

    assert seen == [12, 12]


@pytest.fixture
def given_rows(monkeypatch):
    """Return a list of the rows that a MUNGE gets, of at most ten it needs."""
    monkeypatch.setattr(_extra, "_AUTO_ROWS", 10)
    found = []

    def sample(self, X, *args):
        found.append(X)
        return own(self, X, *args)

    own = MUNGE.sample
    monkeypatch.setattr(MUNGE, "sample", sample)
    return found


MANY = np.random.default_rng(0).normal(size=(40, 2))


@pytest.mark.parametrize("kind", [np.array, pd.DataFrame, pl.DataFrame])
def test_rows_are_made_of_some_of_many(kind, given_rows):
    made = made_rows(MUNGE(n_copies=0.1), kind(MANY), 3)
    made_rows(MUNGE(n_copies=0.1), kind(MANY), 4)
    one, other = map(np.asarray, given_rows)

    assert type(made) is type(given_rows[0]) is type(kind(MANY))
    assert len(made) == 4
    assert one.shape == other.shape == (10, 2)
    assert len(np.unique(one, axis=0)) == 10
    assert np.isin(one, MANY).all()
    assert (one != other).any()


@pytest.mark.parametrize(("n_copies", "n_sources"), [(0.5, 20), (1, 40), (3, 40)])
def test_of_no_fewer_rows_than_are_made(n_copies, n_sources, given_rows):
    made_rows(MUNGE(n_copies=n_copies), MANY, 0)

    assert len(given_rows[0]) == n_sources


def test_augmenter_of_the_person_gets_all_rows(given_rows):
    seen = []

    def make(X, n_rows):
        seen.append(len(X))
        return first_row(X, n_rows)

    made_rows(Augmenter(make), MANY, 0)

    assert seen == [40]


def test_augmenter_cannot_change_the_rows_of_the_person():
    def overwrite(X, n_rows):
        X[:] = 0
        return first_row(X, n_rows)

    given = X.copy()
    made = made_rows(Augmenter(overwrite), given, 0)

    assert not made.any()
    assert_array_equal(given, X)


def test_lists_sparse_rows_and_texts_of_an_augmenter_are_taken():
    listed = made_rows(Augmenter(lambda X, n: first_row(X, n).tolist()), X, 0)
    sparse = csr_matrix(X)
    made = made_rows(Augmenter(lambda X, n: X[np.zeros(n, dtype=int)]), sparse, 0)
    texts = made_rows(Augmenter(lambda X, n: X * 2), ["a text", "another"], 0)

    assert_array_equal(listed, first_row(X, 12), strict=True)
    assert made.shape == (12, 2)
    assert texts == ["a text", "another"] * 2


@pytest.mark.parametrize(
    ("given", "make", "message"),
    [
        (X, lambda X, n: first_row(X, n - 1), "11 rows, n_rows=12 were asked for"),
        (X, lambda X, n: first_row(X, n)[:, :1], "columns [1], X has [2]"),
        (X, lambda X, n: csr_matrix(first_row(X, n)), "a sparse matrix of an array"),
        (X, lambda X, n: first_row(X, n) * [1, np.nan], "infinity in the column 1"),
        (X, lambda X, n: np.full((n, 2), [np.inf, 0]), "infinity in the column 0"),
        (FRAME, lambda X, n: sampled(X, n).to_numpy(), "an array of a data frame of p"),
        (
            FRAME,
            lambda X, n: pl.DataFrame(sampled(X, n)),
            "polars of a data frame",
        ),
        (FRAME, lambda X, n: sampled(X, n)[["b", "a"]], "['b', 'a'], X has ['a', 'b']"),
        (FRAME, lambda X, n: sampled(X, n).assign(b=np.nan), "in the column 'b'"),
        (ARROW, lambda X, n: pa.table({"b": [0.5] * n}), "columns ['b'], X has ['a']"),
    ],
)
def test_rows_unlike_those_of_X_are_refused(given, make, message):
    with pytest.raises(ValueError, match=f"^the augmenter .*{re.escape(message)}"):
        made_rows(Augmenter(make), given, 0)


def test_missing_values_may_be_made_where_X_has_some():
    given = np.array([[np.nan, 1.5], [0.5, 2.5]])

    assert np.isnan(made_rows(Augmenter(first_row), given, 0)[:, 0]).all()


# X_transfer


@pytest.mark.parametrize("wrap", [TransferRows, lambda U: U])
def test_rows_without_labels_are_unwrapped(wrap):
    U = X[:4]

    assert unwrapped_transfer(wrap(U), X) is U


def test_as_many_rows_as_in_X_are_taken_with_a_warning_unless_they_are_wrapped():
    U = X + 1
    with pytest.warns(UserWarning, match=r"as many rows as X, 6.*TransferRows\(X_tr"):
        assert unwrapped_transfer(U, X) is U
    assert unwrapped_transfer(TransferRows(X), X) is X


@pytest.mark.parametrize(
    ("U", "given", "message"),
    [
        (X, FRAME, "X is a data frame of pandas and X_transfer an array"),
        (FRAME, X, "X is an array and X_transfer a data frame of pandas"),
        (pl.DataFrame(FRAME), FRAME, "of pandas and X_transfer a data frame of polars"),
        (csr_matrix(X), X, "X is an array and X_transfer a sparse matrix"),
        (np.zeros((3, 8)), np.zeros((4, 2, 4)), r"\(2, 4\) and X_transfer an array"),
        (np.zeros((3, 2, 5)), np.zeros((4, 2, 4)), r"an array of .* shape \(2, 5\)"),
    ],
)
def test_rows_in_another_form_than_X_are_refused(U, given, message):
    with pytest.raises(ValueError, match=f"{message}: pass both in one form"):
        unwrapped_transfer(TransferRows(U), given)


def test_wrapper_says_how_many_rows_it_has():
    assert repr(TransferRows(X)) == "TransferRows(6 rows)"
