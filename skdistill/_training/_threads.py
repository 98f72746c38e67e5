"""One thread for small nets: several would cost more than they save."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

# Up to this many products in a forward pass, a few milliseconds of one thread, several
# threads gain little where cores are idle, and lose a hundred times as much where other
# processes keep them busy.
_MAX_PRODUCTS = 2**25


@contextmanager
def one_thread_if_small(module: nn.Module, n_rows: Any) -> Iterator[None]:
    """Let torch compute with one thread if a forward pass is small.

    Torch's setting holds for the whole process. So other threads may compute with one
    thread too while the context lasts; afterwards the setting is as before.

    Parameters
    ----------
    module : torch.nn.Module
        The module.
    n_rows : int or None
        How many rows a forward pass takes, None if that is not known.
    """
    n_threads = torch.get_num_threads()
    # A row takes one thread by itself. And if another thread has set it to 1 for a
    # while, that one will put it back.
    if n_threads == 1 or n_rows in (None, 1) or not _is_small(module, n_rows):
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _is_small(module: nn.Module, n_rows: int) -> bool:
    """Tell whether each weight makes one product in a row, and they are few."""
    n_weights = sum(weight.numel() for weight in module.parameters())
    return n_rows * n_weights <= _MAX_PRODUCTS and not any(
        # Convolutions and attention use a weight many times in a row.
        type(part).__module__.startswith("torch.nn.")
        and not isinstance(part, nn.Linear | nn.BatchNorm1d)
        and any(True for _ in part.parameters(recurse=False))
        for part in module.modules()
    )
