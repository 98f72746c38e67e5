"""One thread for small nets, where several cost more time than they save."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

# A forward pass of this many products takes a few milliseconds in one thread. Below
# that, several threads save little on idle cores, and on busy cores they can take a
# hundred times as long.
_MAX_PRODUCTS = 2**25


@contextmanager
def one_thread_if_small(module: nn.Module, n_rows: int | None) -> Iterator[None]:
    """Let torch compute with one thread if a pass over ``n_rows`` is small.

    The setting of torch holds for the whole process: while the context lasts, code in
    other Python threads may compute with one thread too. The context restores it.
    """
    n_threads = torch.get_num_threads()
    # If the setting is 1 because another Python thread is in such a context, that one
    # restores it.
    if n_threads == 1 or n_rows is None or not _is_small(module, n_rows):
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _is_small(module: nn.Module, n_rows: int) -> bool:
    """Tell whether a forward pass has few products, one for each weight and row."""
    n_weights = sum(weight.numel() for weight in module.parameters())
    return n_rows * n_weights <= _MAX_PRODUCTS and not any(
        # Convolutions and attention use a weight several times for each row.
        type(part).__module__.startswith("torch.nn.")
        and not isinstance(part, nn.Linear | nn.BatchNorm1d)
        and any(True for _ in part.parameters(recurse=False))
        for part in module.modules()
    )
