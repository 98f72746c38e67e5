"""Locks that survive a fork."""

from __future__ import annotations

import os
import threading
from typing import Any


class ForkSafeLock:
    """A reentrant lock that is open in a forked process.

    A thread of the parent that holds the lock during the fork does not exist in the
    child, and would never release it there.
    """

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: Any) -> None:
        self._lock.release()
