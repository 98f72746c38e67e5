"""In which order a loader draws the rows of an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    Subset,
)


@dataclass(frozen=True)
class EpochOrder:
    """Draws the rows of an epoch in the order in which a stock loader would.

    Attributes
    ----------
    rows : Tensor of shape (n_rows,)
        The numbers of the rows in the transfer set.
    shuffles : bool
        Whether each epoch has an order of its own.
    n_drawn : int
        How many rows an epoch has.
    """

    rows: Tensor
    shuffles: bool
    n_drawn: int

    @classmethod
    def of(cls, loader: Any) -> EpochOrder:
        """Return the order of a loader that :func:`is_stock_loader` knows."""
        n_rows = n_drawn = len(loader.sampler)
        if loader.drop_last:
            n_drawn = len(loader) * loader.batch_size
        rows, dataset = torch.arange(n_rows), loader.dataset
        while isinstance(dataset, Subset):
            rows = torch.as_tensor(dataset.indices)[rows]
            dataset = dataset.dataset
        return cls(rows, type(loader.sampler) is RandomSampler, n_drawn)

    def draw(self, generator: torch.Generator | None = None) -> Tensor:
        """Return the rows of the next epoch, by torch's generator or by another."""
        draw_seed(generator)  # the loader's, of worker processes
        if not self.shuffles:
            return self.rows[: self.n_drawn]
        shuffle = torch.Generator().manual_seed(draw_seed(generator))
        order = torch.randperm(len(self.rows), generator=shuffle)
        return self.rows[order[: self.n_drawn]]


def draw_seed(generator: torch.Generator | None = None) -> int:
    """Return a seed as loaders draw it."""
    return int(torch.empty((), dtype=torch.int64).random_(generator=generator).item())


def is_stock_loader(loader: Any) -> bool:
    """Tell whether :class:`EpochOrder` has the rows in the loader's order."""
    return (
        type(loader) is DataLoader
        and loader.num_workers == 0
        and not loader.pin_memory
        and loader.generator is None
        and type(loader.batch_sampler) is BatchSampler
        and len(loader) > 0
        and _is_stock_sampler(loader.sampler)
        and loader.collate_fn.at_once  # type: ignore[union-attr]
    )


def _is_stock_sampler(sampler: Any) -> bool:
    if type(sampler) is RandomSampler:
        return (
            sampler.generator is None
            and not sampler.replacement
            and sampler.num_samples == len(sampler.data_source)
        )
    return type(sampler) is SequentialSampler
