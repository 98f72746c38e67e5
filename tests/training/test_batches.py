"""Batches that know which rows they hold."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from skorch.dataset import Dataset
from torch.utils.data import DataLoader, Subset, default_collate

from skdistill._training._hooks import (
    Collate,
    NumberedBatches,
    NumberedRows,
    to_tensor,
)

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
y = np.arange(20) % 4


class Doubled(Dataset):
    """A dataset of the person's own."""

    def transform(self, X, y):
        X, y = super().transform(X, y)
        return 2 * X, y


def reversed_collate(items):
    return default_collate(items[::-1])


def batches(dataset, subset=None, collate_fn=default_collate, **loader):
    """Return the batches of a loader that numbers its rows."""
    rows = NumberedRows(dataset)
    seen = rows if subset is None else Subset(rows, subset)
    made = DataLoader(seen, batch_size=6, **loader)
    made.collate_fn = Collate(dataset, collate_fn)
    return NumberedBatches(made)


@pytest.mark.parametrize("factor", [1, 2], ids=["skorch's", "own"])
@pytest.mark.parametrize(
    "loader",
    [{}, {"shuffle": True}, {"num_workers": 1}, {"drop_last": True}],
    ids=str,
)
def test_each_row_comes_with_its_number(loader, factor):
    dataset = (Dataset if factor == 1 else Doubled)(X, y)
    found = list(batches(dataset, **loader))
    for batch in found:
        inputs, targets = batch
        np.testing.assert_array_equal(inputs, factor * X[batch.rows])
        np.testing.assert_array_equal(targets, y[batch.rows])
    rows = torch.cat([batch.rows for batch in found]).tolist()
    assert sorted(rows) == list(range(18 if "drop_last" in loader else 20))
    assert (rows == sorted(rows)) == ("shuffle" not in loader)


@pytest.mark.parametrize("cls", [Dataset, Doubled])
def test_numbers_of_a_subset_are_those_of_the_whole(cls):
    dataset = cls(X, y)
    (batch,) = batches(dataset, subset=[7, 3, 11])
    assert batch.rows.tolist() == [7, 3, 11]
    np.testing.assert_array_equal(batch[1], y[[7, 3, 11]])
    nested = Subset(Subset(NumberedRows(dataset), [7, 3, 11]), [2, 0])
    assert nested.__getitems__([0, 1]) == [11, 7]


@pytest.mark.parametrize("as_given", [np.asarray, csr_matrix])
def test_batches_made_at_once_are_those_made_row_by_row(as_given):
    dataset = Dataset(as_given(X), y)
    at_once = Collate(dataset, default_collate)
    by_row = Collate(dataset, lambda items: default_collate(items))
    assert at_once.at_once
    assert not by_row.at_once
    for one, other in zip(at_once([4, 0, 9]), by_row([4, 0, 9]), strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def test_the_persons_collate_function_makes_the_batch():
    (batch,) = batches(Dataset(X[:4], y[:4]), collate_fn=reversed_collate)
    np.testing.assert_array_equal(batch[0], X[:4][::-1])


def test_there_are_as_many_batches_as_the_loader_makes():
    assert len(batches(Dataset(X, y))) == 4
    assert len(batches(Dataset(X, y), drop_last=True)) == 3


def test_the_rows_stay_a_dataset():
    rows = NumberedRows(Dataset(X, y))
    assert rows.X is X
    assert rows.y is y
    assert len(rows) == 20
    np.testing.assert_array_equal(rows[3][0], X[3])


@pytest.mark.parametrize("rows", [X, csr_matrix(X)], ids=["dense", "sparse"])
def test_tensors_are_copies(rows):
    tensor = to_tensor(rows)
    np.testing.assert_array_equal(tensor, X)
    tensor.zero_()
    assert X.any()
