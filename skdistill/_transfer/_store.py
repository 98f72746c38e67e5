"""Keep the answers of teachers, so that a search asks once per training set.

A search over temperature and alpha fits one student after another on the same few
training folds. The teacher's answer is the same for all candidates, so it is kept here,
under a checksum of all that it depends on.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

from sklearn.utils.validation import check_memory

from skdistill._targets._answer import Answer
from skdistill.utils._fingerprint import Fingerprint
from skdistill.utils._locks import ForkSafeLock

# Some 100 folds of 50,000 rows x 26 classes of labels.
MAX_BYTES = 512 * 2**20


class AnswerStore:
    """Keeps answers by key, up to a number of bytes; safe under threads and forks.

    If there is no room left, entries are dropped at random among the half that was not
    used for the longest time. A search that repeats more folds than there is room for
    still finds some of them, and old searches make room for new ones. If the oldest
    entry was dropped, such a search would never find one.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._answers: dict[str, Any] = {}  # the last one used comes last
        self._random = random.Random(0)
        self._lock = ForkSafeLock()
        self._asking: dict[str, ForkSafeLock] = {}

    @property
    def nbytes(self) -> int:
        """The number of bytes of all answers."""
        with self._lock:
            return sum(answer.nbytes for answer in self._answers.values())

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._answers.clear()

    def get(self, key: str, ask: Callable[[], Any]) -> Any:
        """Return the answer of ``key``; ask only once, even if two threads want it.

        The key is a checksum of all that the answer depends on.
        """
        with self._lock:
            asking = self._asking.setdefault(key, ForkSafeLock())
        try:
            with asking:
                answer = self._find(key)
                if answer is None:
                    answer = ask()
                    self._keep(key, answer)
                return answer
        finally:
            with self._lock:
                self._asking.pop(key, None)

    def _find(self, key: str) -> Any:
        with self._lock:
            answer = self._answers.pop(key, None)
            if answer is not None:
                self._answers[key] = answer
            return answer

    def _keep(self, key: str, answer: Any) -> None:
        answer = answer.to_keep()
        with self._lock:
            if answer.nbytes > self.max_bytes:
                return
            while self.nbytes + answer.nbytes > self.max_bytes:
                longest_unused = list(self._answers)[: (len(self._answers) + 1) // 2]
                del self._answers[self._random.choice(longest_unused)]
            self._answers[key] = answer


store = AnswerStore()


def remembered(
    mark: Fingerprint | None, ask: Callable[[], Answer], memory: Any = None
) -> Answer:
    """Return an answer, from an earlier call if there was one.

    ``mark`` is the fingerprint of all that the answer depends on; None asks anew. If it
    is lasting, ``memory``, a path or a joblib.Memory, keeps the answer for later
    processes.
    """
    if mark is None:
        return ask()
    if memory is None or not mark.is_lasting:
        return store.get(mark.checksum, ask)
    asked: list[Answer] = []

    def ask_once() -> Answer:
        asked.append(store.get(mark.checksum, ask))
        return asked[0].to_keep()

    if isinstance(memory, os.PathLike):
        memory = os.fspath(memory)
    on_disk = check_memory(memory).cache(_on_disk, ignore=["ask"])
    stored = on_disk(mark.checksum, ask_once)
    return asked[0] if asked else store.get(mark.checksum, lambda: stored)


def _on_disk(checksum: str, ask: Callable[[], Answer]) -> Answer:
    """Return an answer, which joblib.Memory keeps."""
    return ask()
