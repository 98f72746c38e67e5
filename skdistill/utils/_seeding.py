"""Seeded code that leaves the global random generators as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from skdistill.utils._locks import ForkSafeLock

# torch has one generator for the whole process: two seeded trainings at once would
# draw from each other's stream.
_ONE_AT_A_TIME = ForkSafeLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch and numpy; put their generators back afterwards.

    One thread at a time; the others wait.
    """
    devices = range(torch.cuda.device_count())
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=devices):
        # The person's splits and augmentations may draw from numpy's generator.
        numpy_state = np.random.get_state()  # noqa: NPY002
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
