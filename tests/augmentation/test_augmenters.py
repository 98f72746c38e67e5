"""What rows the augmenters make."""

import hashlib
import pathlib
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors

from skdistill.augmentation import MUNGE, Mixture, Mixup, _augmenters

ROOT = pathlib.Path(__file__).parents[2]

# With this s, a number that is replaced is the neighbor's, up to rounding.
EXACT = 1e12

augmenters = pytest.mark.parametrize(
    "augmenter", [MUNGE(), Mixup(), Mixture()], ids=lambda a: type(a).__name__
)


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(40, 3))


def column(*values):
    return np.array(values)[:, np.newaxis]


def shares(made):
    """Return how often each value occurs."""
    values, counts = np.unique(np.round(made, 6), return_counts=True)
    return dict(zip(values.tolist(), counts / counts.sum(), strict=True))


# The rows that they are made of


@pytest.mark.parametrize("n_rows", [7, 40, 100])
def test_rows_serve_about_equally_often(n_rows, X):
    made = MUNGE(p=0).sample(X, n_rows, random_state=0)

    counts = [(made == row).all(axis=1).sum() for row in X]
    assert sum(counts) == n_rows
    assert max(counts) - min(counts) <= 1


def test_any_row_may_serve_where_not_all_do(X):
    first = {
        MUNGE(p=0).sample(X, 3, random_state=seed)[i, 0]
        for seed in range(150)
        for i in range(3)
    }

    assert first == set(X[:, 0])


@augmenters
def test_one_seed_makes_the_same_rows(augmenter, X):
    first, same, state, other = (
        augmenter.sample(X, 9, random_state=seed)
        for seed in (0, 0, np.random.RandomState(0), 1)
    )

    assert_array_equal(same, first)
    assert_array_equal(state, first)
    assert np.any(other != first)


@augmenters
def test_threads_make_the_same_rows(augmenter, X):
    with ThreadPoolExecutor(4) as threads:
        first, *others = threads.map(
            lambda _: augmenter.sample(X, 500, random_state=0), range(8)
        )

    for other in others:
        assert_array_equal(other, first)


PROGRAM = """
    import hashlib
    import numpy as np, pandas as pd
    from skdistill.augmentation import Mixture

    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=90), "b": list("xyz") * 30})
    made = Mixture().sample(X, 200, random_state=0).to_csv()
    digest = hashlib.sha256(made.encode()).hexdigest()
"""


def test_another_process_makes_the_same_rows():
    program = textwrap.dedent(PROGRAM)
    here = {"hashlib": hashlib}
    exec(program, here)

    there = subprocess.run(
        [sys.executable, "-c", f"{program}\nprint(digest)"],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
        env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"},
    )

    assert there.stdout.strip() == here["digest"]


# MUNGE


def test_munge_takes_values_of_the_nearest_row():
    # The neighbors of 0.0 and 1.1 are 0.4; that of 0.4 is 0.0.
    made = MUNGE(p=1, s=EXACT).sample(column(0.0, 0.4, 1.1), 300, random_state=0)

    assert shares(made) == {0.0: 1 / 3, 0.4: 2 / 3}


@pytest.mark.parametrize("difference", [0.0, 1e-9])
def test_nearest_row_is_another_than_an_equal_one(difference):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    twice = np.concatenate([X, X + difference * rng.normal(size=X.shape)])
    made = MUNGE().sample(twice, 400, 0)
    distances = np.abs(made[:, np.newaxis] - X).max(axis=2).min(axis=1)
    assert np.mean(distances < 1e-6) < 0.2  # where no value was exchanged


def test_neighbors_are_looked_for_where_they_are_used(monkeypatch):
    asked = []

    class Spy(NearestNeighbors):
        def kneighbors(self, X, **params):
            asked.append(len(X))
            return super().kneighbors(X, **params)

    X = np.random.default_rng(0).normal(size=(50, 3))
    monkeypatch.setattr(_augmenters, "NearestNeighbors", Spy)
    few, many = (MUNGE().sample(X, n_rows, random_state=0) for n_rows in (5, 200))
    assert asked == [5, 50]
    assert few.shape == (5, 3)
    assert many.shape == (200, 3)


def test_equal_rows_alone_are_made_again():
    X = np.full((5, 2), 3.0)
    assert_array_equal(MUNGE().sample(X, 7, 0), np.full((7, 2), 3.0))


def test_columns_are_of_one_scale_where_rows_are_compared():
    X = np.array(
        [[0.0, 0.5], [1.1e-3, 1.5], [1e-4, 500.5], [1.2e-3, 501.5], [5e-4, 5e3 + 0.5]]
    )

    made = MUNGE(s=EXACT).sample(X, 500, random_state=0)

    of_first_or_third = made[:, 0] < 3e-4
    assert of_first_or_third.any()
    assert not np.isin(np.round(made[of_first_or_third, 1], 6), [1.5, 501.5]).any()


def test_rows_of_one_level_are_nearer_than_those_of_two():
    number = np.arange(0.05, 6.0, 0.2)
    level = np.array(["a", "b"] * 15)
    X = pd.DataFrame({"number": number, "level": level})

    made = MUNGE(s=EXACT).sample(X, 500, random_state=0)

    positions = np.abs(made["number"].to_numpy()[:, None] - number).argmin(axis=1)
    assert_array_equal(made["level"].to_numpy(str), level[positions])


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_each_value_is_replaced_with_probability_p(p):
    X = np.random.default_rng(0).normal(size=(500, 3))

    made = MUNGE(p=p, s=1000).sample(X, 10_000, random_state=0)

    replaced = ~np.isin(made, X)
    assert_allclose(replaced.mean(axis=0), p, atol=0.015)
    assert_allclose((replaced[:, 0] & replaced[:, 1]).mean(), p**2, atol=0.015)


@pytest.mark.parametrize("s", [10.0, 40.0])
def test_deviation_is_the_difference_divided_by_s(s):
    centers = 0.25 + 20 * np.arange(-100, 100)
    X = np.sort(np.concatenate([centers, centers + 2]))[:, np.newaxis]

    made = MUNGE(p=1, s=s).sample(X, 20_000, random_state=0)

    residuals = made - X[np.abs(made - X.T).argmin(axis=1)]
    assert_allclose(residuals.std(), 2 / s, rtol=0.03)
    assert abs(residuals.mean()) < 0.1 / s


def test_missing_values_are_exchanged_too():
    X = np.array([[0.1, np.nan], [0.2, 3.5], [50.1, 7.25], [50.2, 8.5]])

    made = MUNGE(p=1, s=EXACT).sample(X, 40, random_state=0)

    second = {0.1: np.nan, 0.2: 3.5, 50.1: 7.25, 50.2: 8.5}
    expected = [second[value] for value in np.round(made[:, 0], 6).tolist()]
    assert_allclose(made[:, 1], expected)
    assert np.isnan(expected).sum() == 10


def test_rows_of_large_tables_look_among_a_sample(X, monkeypatch):
    monkeypatch.setattr(_augmenters, "_POOL_SIZE", 5)

    made = MUNGE(p=1, s=EXACT).sample(X, 400, random_state=0)

    used = np.abs(made[:, :1] - X[:, 0]).argmin(axis=1)
    assert_allclose(made, X[used], atol=1e-6)
    assert len(set(used.tolist())) <= 5


# Mixup


def test_mixup_makes_rows_on_the_line_between_two():
    X = np.array([[0.0, 10.5], [1.0, 30.5]] * 2 + [[0.5, 20.5]])

    made = Mixup().sample(X, 500, random_state=0)

    assert_allclose(made[:, 1], 10.5 + 20 * made[:, 0])
    assert len(np.unique(made[:, 0])) > 200


@pytest.mark.parametrize(
    ("concentration", "deviation"), [(0.5, 1 / 8), (1.0, 1 / 12), (1e6, 0.0)]
)
def test_share_is_of_a_beta_distribution(concentration, deviation):
    X = column(-0.5, 0.5)  # not whole, so no levels

    made = Mixup(concentration).sample(X, 40_000, random_state=0)

    # Half of the pairs are one row twice: a variance of 1/4.
    assert_allclose(made.var(), (1 / 4 + deviation) / 2, atol=3e-3)


def test_levels_are_of_either_row_by_its_share():
    X = pd.DataFrame({"number": [0.25, 1.25], "level": ["a", "b"]})

    made = Mixup().sample(X, 20_000, random_state=0)

    share = made["number"].to_numpy() - 0.25
    of_second = made["level"].to_numpy(str) == "b"
    for part in (share < 0.4, share > 0.6, (share > 0.1) & (share < 0.9)):
        assert abs((of_second - share)[part].mean()) < 0.02


# Mixture


class Constant:
    """Makes rows of one number."""

    def sample(self, X, n_rows, random_state):
        assert n_rows > 0
        return np.full((n_rows, X.shape[1]), 99.0)


@pytest.mark.parametrize(("n_rows", "expected"), [(1, 0), (7, 3), (100, 50)])
def test_mixture_takes_as_many_rows_of_each(n_rows, expected, X):
    made = Mixture([MUNGE(), Constant()]).sample(X, n_rows, random_state=0)

    assert len(made) == n_rows
    assert (made == 99).all(axis=1).sum() == expected


def test_mixture_is_of_munge_and_mixup_by_default_which_draw_differently(X):
    made = Mixture().sample(X, 40, random_state=0)
    same = Mixture([MUNGE(), Mixup()]).sample(X, 40, random_state=0)
    twice = Mixture([MUNGE(), MUNGE()]).sample(X, 40, random_state=0)

    assert_array_equal(made, same)
    assert np.all(np.any(twice[:20] != twice[20:], axis=1))


# What they refuse


@pytest.mark.parametrize(
    "augmenter",
    [
        MUNGE(p=-0.1),
        MUNGE(p=1.1),
        MUNGE(s=0),
        MUNGE(n_copies=0),
        Mixup(concentration=0),
        Mixup(n_copies=0),
        Mixture(n_copies=0),
        Mixture("MUNGE"),
    ],
    ids=repr,
)
def test_parameters_are_checked(augmenter, X):
    with pytest.raises(ValueError, match="parameter of"):
        augmenter.sample(X, 3, random_state=0)


@pytest.mark.parametrize("own", [MUNGE, "munge", len])
def test_mixture_of_what_makes_no_rows_is_refused(own, X):
    with pytest.raises(TypeError, match="objects with a method sample"):
        Mixture([MUNGE(), own]).sample(X, 3, random_state=0)


def test_mixture_of_nothing_is_refused(X):
    with pytest.raises(ValueError, match="has no augmenters: pass at least one"):
        Mixture([]).sample(X, 3, random_state=0)


@pytest.mark.parametrize("augmenter", [MUNGE(), Mixup()], ids=repr)
@pytest.mark.parametrize(
    ("X", "error", "what"),
    [
        (csr_matrix(np.eye(3)), TypeError, "Sparse data"),
        (np.zeros((3, 2, 2)), ValueError, "dim"),
        (["a text", "another"], ValueError, "2D array"),
        (pd.DataFrame({"a": []}), ValueError, "no rows"),
        (pd.DataFrame(index=range(3)), ValueError, "no columns"),
    ],
    ids=["sparse", "images", "texts", "no rows", "no columns"],
)
def test_what_is_no_dense_table_is_refused(X, error, what, augmenter):
    name = type(augmenter).__name__

    with pytest.raises(error, match=what) as caught:
        augmenter.sample(X, 3, random_state=0)

    assert f"augmenter {name}" in caught.value.__notes__[0]
    assert "augmenter=None" in caught.value.__notes__[0]
