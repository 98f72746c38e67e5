"""A backend of joblib whose tasks have their nets trained together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from joblib.parallel import ParallelBackendBase

from skdistill._training._lockstep import Lockstep, Task


class LockstepBackend(ParallelBackendBase):
    """Runs the tasks of :class:`joblib.Parallel` in waves, each in lockstep.

    Parameters
    ----------
    lockstep : Lockstep
        Trains the nets.
    n_tasks : int
        How many tasks a wave has, 2 or more.
    nested : tuple
        The backend and the number of jobs for what the tasks themselves run in
        parallel.
    """

    supports_sharedmem = True
    uses_threads = True

    def __init__(self, lockstep: Lockstep, n_tasks: int, nested: Any) -> None:
        super().__init__(nesting_level=0)
        self.lockstep, self.n_tasks, self.nested = lockstep, n_tasks, nested
        self.queue: deque[_Submitted] = deque()

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many tasks are run side by side."""
        return self.n_tasks

    def submit(self, func: Callable[[], Any], callback: Any = None) -> _Submitted:
        """Put a task into the queue."""
        submitted = _Submitted(self, func, callback)
        self.queue.append(submitted)
        return submitted

    apply_async = submit  # its name before joblib 1.5

    def run_until(self, submitted: _Submitted) -> Task:
        """Run all waves up to that of a task, and return the task."""
        while submitted.task is None:
            wave = [
                self.queue.popleft() for _ in range(min(self.n_tasks, len(self.queue)))
            ]
            tasks = self.lockstep.run([one.function for one in wave])
            for one, task in zip(wave, tasks, strict=True):
                one.task = task
            for one in wave:
                one.callback(one)
        return submitted.task

    def get_nested_backend(self) -> Any:
        """Return the person's own backend."""
        return self.nested


class _Submitted:
    """A task of joblib's, before and after it has run."""

    def __init__(
        self, backend: LockstepBackend, function: Callable[[], Any], callback: Any
    ) -> None:
        self.backend, self.function, self.callback = backend, function, callback
        self.task: Task | None = None

    def get(self) -> Any:
        """Return the result, by which joblib starts to wait for it."""
        return self.backend.run_until(self).get()
