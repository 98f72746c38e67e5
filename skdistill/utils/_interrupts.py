"""Tell Ctrl-C from a KeyboardInterrupt that code raises."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def noticing_interrupts() -> Iterator[list[int]]:
    """Yield a list of the interrupts by Ctrl-C, which raise KeyboardInterrupt as ever.

    A callback of skorch raises the same exception to end a training. Python delivers
    Ctrl-C to the main thread alone, so there is none in another thread.
    """
    seen: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or not callable(before):
        yield seen
        return

    def note(number: int, frame: Any) -> Any:
        seen.append(number)
        return before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
