"""Locks that survive a fork."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any


class ForkSafeLock:
    """A reentrant lock that is open in a forked process.

    A thread of the parent that holds the lock during the fork does not exist in the
    child, and would never release it there.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: Any) -> None:
        self._lock.release()


_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


def _open_all() -> None:
    for lock in _locks:
        lock._lock = threading.RLock()


# One function for all: what is registered here is never freed.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_all)
