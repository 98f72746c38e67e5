"""Batches that know their row numbers, so that rows keep their soft labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset, unpack_data
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from skdistill._students._encoded_rows import EncodedRows
from skdistill._training._prediction import to_tensor

# The share of the free memory of a GPU that inputs may take: the net, its gradients and
# the outputs of its layers need the rest.
_SHARE_OF_FREE = 0.5


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
        if self.at_once:
            self.X, self.y = dataset.X, torch.tensor(dataset.y)
            if isinstance(self.X, np.ndarray):  # no copy: the batches are copies
                self.X = torch.from_numpy(np.require(self.X, requirements="W"))

    def __call__(self, rows: list[int]) -> tuple[Any, Any, Tensor]:
        numbers = torch.tensor(rows)
        if self.at_once:
            return self.inputs(numbers), self.y[numbers], numbers
        X, y = unpack_data(self.collate_fn([self.dataset[row] for row in rows]))
        return X, y, numbers

    def move_to(self, device: torch.device) -> None:
        """Keep the inputs on a GPU, if they are one tensor and it has room for them."""
        if isinstance(self.X, Tensor):
            self.X = moved_if_it_fits(self.X, device)

    def inputs(self, rows: Tensor) -> Tensor:
        """Return the inputs of some rows, where they are made in one step."""
        if isinstance(self.X, Tensor):
            return self.X.index_select(0, rows.to(self.X.device))
        return to_tensor(self.X[rows.numpy()])

    def batches(self, rows: Tensor, batch_size: int) -> Iterator[Tensor]:
        """Yield the same, batch by batch."""
        if isinstance(self.X, EncodedRows):  # each call takes a while by itself
            X = self.X[rows.numpy()]
            for start in range(0, len(X), batch_size):
                yield to_tensor(X[start : start + batch_size])
        else:
            yield from map(self.inputs, rows.split(batch_size))


def moved_if_it_fits(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a copy on a GPU that has room for it; otherwise the tensor itself."""
    if device.type != "cuda" or tensor.device.type == "cuda":
        return tensor
    free, _ = torch.cuda.mem_get_info(device)
    return tensor.to(device) if tensor.nbytes <= _SHARE_OF_FREE * free else tensor


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
