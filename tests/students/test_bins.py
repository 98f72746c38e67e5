"""The bins of columns of numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdistill import DistilledClassifier, TabularPreprocessor, make_student
from skdistill._students import _bins
from skdistill._students._bins import bins, changes, target_bins

NAN = np.nan


def column(values):
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def test_bins_lie_where_values_are_if_most_are_the_same():
    # The quantiles are 0, 0, 0, 0 and 8; those of the others are 2, 4 and 6.
    _, starts, widths = bins(column(np.r_[np.zeros(92), np.arange(1, 9)]), 4)
    assert_array_equal(starts, [0, 2, 4, 6])
    assert_array_equal(widths, [2] * 4)


@pytest.mark.parametrize(
    "values",
    [[3.0] * 9, [NAN] * 9, [0.0, 1.0] * 9, [0.0, NAN, 1.0] * 9, [1.0, 2.0], [5.0]],
    ids=["constant", "missing", "binary", "binary, missing", "two rows", "one row"],
)
def test_column_that_would_have_one_bin_has_none(values):
    columns, starts, widths = bins(column(values), 16)
    assert columns == []
    assert len(starts) == len(widths) == 0


@pytest.mark.parametrize(
    ("n_columns", "n_bins"), [(1, 16), (16, 16), (17, 15), (85, 3), (86, 0), (200, 0)]
)
def test_columns_share_256_bins(n_columns, n_bins):
    block = np.random.default_rng(0).normal(size=(100, n_columns + 1))
    block[:, 0] = block[:, 0] > 0  # a binary column takes no share
    columns, _, _ = bins(block, 16)
    assert columns == [i for i in range(1, n_columns + 1) for _ in range(n_bins)]


@pytest.mark.parametrize(
    ("n_bins", "expected"), [(3, 3), (16, 16), (99, 99), (999, 99)]
)
def test_number_of_bins_is_at_most_that_of_the_values(n_bins, expected):
    columns, _, _ = bins(column(np.arange(100)), n_bins)
    assert len(columns) == expected


# Bins that follow targets


@pytest.fixture(scope="module")
def stepped():
    """Return two columns, and a target that jumps at 0.3 of the second column."""
    block = np.random.default_rng(0).uniform(size=(600, 2))
    second = block[:, 1] > 0.3
    return block, np.stack([second, ~second], axis=1).astype(float)


def near_the_step(columns, starts):
    """Return how many bins of the second column begin near 0.3, and how many do not."""
    near = np.abs(starts[np.array(columns) == 1] - 0.3) < 0.02
    return near.sum(), (~near).sum()


def followed(block, targets, n_bins):
    return target_bins(block, changes(block, targets), n_bins)


@pytest.mark.parametrize("max_rows", [20_000, 300])
def test_bins_are_narrow_where_targets_change(monkeypatch, stepped, max_rows):
    monkeypatch.setattr(_bins, "_MAX_ROWS", max_rows)
    columns, starts, _ = followed(*stepped, 4)
    near, far = near_the_step(columns, starts)
    assert near > 5 * far


def test_bins_of_a_column_reach_from_its_lowest_to_its_highest_value(stepped):
    block, _ = stepped
    columns, starts, widths = followed(block, np.sin(9 * block), 16)
    for number, values in enumerate(block.T):
        here = np.array(columns) == number
        assert starts[here][0] == values.min()
        assert_allclose(starts[here][1:], (starts + widths)[here][:-1])
        assert_allclose((starts + widths)[here][-1], values.max())
        assert (widths[here] > 0).all()


@pytest.mark.parametrize(("n_bins", "most"), [(3, 12), (16, 64)])
def test_a_column_has_at_most_four_times_as_many_bins(n_bins, most, stepped):
    block, _ = stepped
    columns, _, _ = followed(block[:, :1], np.sin(40 * block[:, :1]), n_bins)
    assert most / 2 < len(columns) <= most


def test_all_columns_share_256_bins():
    block = np.random.default_rng(0).uniform(size=(800, 30))
    columns, _, _ = followed(block, np.sin(9 * block), 16)
    assert 200 < len(columns) <= 256


def test_binary_and_constant_columns_have_no_target_bins(stepped):
    block, targets = stepped
    block = np.column_stack([targets[:, 0], np.ones(600), block])
    columns, _, _ = followed(block, targets, 16)
    assert not {0, 1} & set(columns)


def test_few_rows_have_bins_between_quantiles(stepped):
    block, targets = stepped
    for found, expected in zip(
        followed(block[:99], targets[:99], 5), bins(block[:99], 5), strict=True
    ):
        assert_array_equal(found, expected)
    assert changes(block[:99], targets[:99]) is None
    assert changes(block[:100], targets[:100]) is not None


def test_preprocessor_takes_soft_labels_and_ignores_labels(stepped):
    block, targets = stepped
    block = np.where(block < 0.1, NAN, block)  # medians take the place of missing ones
    plain, labeled, soft = (
        TabularPreprocessor(numeric="piecewise").fit(block, y)
        for y in (None, targets[:, 0], targets)
    )
    assert_array_equal(labeled.offsets_, plain.offsets_)
    assert np.isfinite(soft.transform(block)).all()
    near, _ = near_the_step(soft.sources_[2:], soft.offsets_[2:])
    assert near > 5 * near_the_step(plain.sources_[2:], plain.offsets_[2:])[0]


def test_bins_of_a_student_follow_its_teacher(stepped):
    block, targets = stepped
    y = targets[:, 1].astype(int)
    student = make_student((4,), numeric="piecewise", max_epochs=1)
    params = {"random_state": 0, "augmenter": None}
    soft = 0.05 + 0.9 * targets
    learned, alone = (
        DistilledClassifier(student=student, alpha=alpha, **params)
        .fit(block, y, teacher_proba=soft)
        .student_[0]
        for alpha in (0.5, 0.0)
    )
    near, far = near_the_step(learned.sources_[2:], learned.offsets_[2:])
    assert near > 3 * far
    near, far = near_the_step(alone.sources_[2:], alone.offsets_[2:])
    assert near < far
