"""Batches that know their row numbers, so that rows keep their soft labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from skorch.dataset import Dataset, unpack_data
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from skdistill._training._prediction import to_tensor


class NumberedRows(Dataset):
    """A net's dataset, whose batches can be told by their row numbers.

    A loader that asks for many items at once gets their numbers, also through
    :class:`torch.utils.data.Subset`; :class:`Collate` fetches the items.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.X, self.y = getattr(dataset, "X", None), getattr(dataset, "y", None)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: Any) -> Any:
        return self.dataset[row]

    def __getitems__(self, rows: list[int]) -> list[int]:
        return rows


class Collate:
    """Makes a batch of row numbers: inputs, targets, and the numbers themselves."""

    def __init__(self, dataset: Any, collate_fn: Any) -> None:
        self.dataset, self.collate_fn = dataset, collate_fn
        # Of plain arrays the tensors are made in one step; they are the same as row
        # by row.
        self.at_once = type(dataset) is Dataset and collate_fn is default_collate

    def __call__(self, rows: list[int]) -> tuple[Any, Any, Tensor]:
        numbers = torch.tensor(rows)
        if self.at_once:
            X, y = to_tensor(self.dataset.X[rows]), torch.tensor(self.dataset.y[rows])
        else:
            X, y = unpack_data(self.collate_fn([self.dataset[row] for row in rows]))
        return X, y, numbers


class NumberedBatches:
    """The ordinary batches of a loader, each with its row numbers aside."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        for X, y, rows in self.loader:
            batch = Batch((X, y))
            batch.rows = rows
            yield batch


class Batch(tuple):
    """Inputs and targets, as skorch passes them around, and ``rows``."""

    rows: Tensor
