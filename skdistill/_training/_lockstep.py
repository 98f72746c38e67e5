"""Run tasks side by side, such that the nets that they train are trained together.

A task is a function that somewhere inside trains a student. It runs in a thread of its
own, up to the place where its net is about to be trained, and waits there. Once all
tasks wait, their nets are trained, in stacks of those that fit together, and the tasks
go on. Only one of them runs at a time, in a fixed order, so that the results do not
depend on chance, and no code has to be prepared for threads.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from types import FrameType
from typing import Any

from joblib import Parallel, delayed, parallel_config
from numpy.typing import NDArray
from sklearn import config_context, get_config

from skdistill._training._stack import Trainee, train_stack
from skdistill._training._stacking import sorted_into_stacks
from skdistill.utils._locks import holds_lock
from skdistill.utils._warnings import started_at

Weights = dict[str, NDArray[Any]]

_current: ContextVar[Task | None] = ContextVar("task", default=None)


class Lockstep:
    """Trains the nets of several tasks together.

    Parameters
    ----------
    n_jobs : int or None
        How many processes train stacks of nets.
    backend : joblib backend, default=None
        What starts these processes; None is joblib's default.

    Attributes
    ----------
    alone : Counter of str
        Why other nets were trained by themselves.
    """

    def __init__(self, n_jobs: int | None = None, backend: Any = None) -> None:
        self.n_jobs, self.backend = n_jobs, backend
        self.alone: Counter[str] = Counter()

    def run(self, functions: Sequence[Callable[[], Any]]) -> list[Task]:
        """Run functions up to their end, and return them as tasks with results."""
        tasks = [Task(function, self) for function in functions]
        try:
            for task in tasks:
                task.proceed()
            while waiting := [task for task in tasks if task.trainee is not None]:
                trained = self._train([task.trainee for task in waiting])
                for task, own in zip(waiting, trained, strict=True):
                    task.trainee, task.weights = None, own
                    task.proceed()
        except BaseException:
            for task in tasks:
                task.cancel()
            raise
        return tasks

    def _train(self, trainees: Sequence[Any]) -> list[Weights]:
        """Train nets, of equal ones only the first, and return all of them."""
        stacks, first_of = sorted_into_stacks(trainees)
        with parallel_config(backend=self.backend or "loky", n_jobs=self.n_jobs):
            found = Parallel()(
                delayed(train_stack)([trainees[i] for i in stack]) for stack in stacks
            )
        trained = {
            i: one
            for stack, ones in zip(stacks, found, strict=True)
            for i, one in zip(stack, ones, strict=True)
        }
        return [trained[i] for i in first_of]


class Task:
    """A function that is run bit by bit.

    Attributes
    ----------
    trainee : Trainee or None
        The net for which it waits.
    weights : dict of str to ndarray, or None
        The trained weights of the net for which it has waited.
    """

    def __init__(self, function: Callable[[], Any], lockstep: Lockstep) -> None:
        self._function, self.lockstep = function, lockstep
        self.trainee: Trainee | None = None
        self.weights: Weights | None = None
        self._result: Any = None
        self._error: BaseException | None = None
        self._is_canceled = False
        # catch_warnings sets the filters of the whole process: each task has its own.
        self._filters = list(warnings.filters)
        self._turn, self._rest = threading.Semaphore(0), threading.Semaphore(0)
        self._config = get_config()
        self._start: FrameType | None = sys._getframe()
        thread = threading.Thread(
            target=copy_context().run, args=(self._run,), daemon=True
        )
        thread.start()

    def proceed(self) -> None:
        """Run up to the place where a net is to be trained, or up to the end."""
        filters, warnings.filters = warnings.filters, self._filters
        try:
            self._turn.release()
            self._rest.acquire()
        finally:
            self._filters, warnings.filters = warnings.filters, filters

    def get(self) -> Any:
        """Return the result, or raise the error with which the function ended."""
        if self._error is not None:
            raise self._error
        return self._result

    def cancel(self) -> None:
        """Let the thread end, at the next place where it waits."""
        self._is_canceled = True
        self._turn.release()

    def train(self, trainee: Trainee) -> Weights:
        """Wait until a net is trained; the function calls this in its thread."""
        self.trainee = trainee
        self._rest.release()
        self._wait()
        assert self.weights is not None
        return self.weights

    def _run(self) -> None:
        _current.set(self)
        started_at.set(self._start)
        try:
            self._wait()
            with config_context(**self._config):
                self._result = self._function()
        except BaseException as error:
            self._error = error
        finally:
            started_at.set(None)
            self._start = None
            self._rest.release()

    def _wait(self) -> None:
        self._turn.acquire()
        if self._is_canceled:
            raise _Canceled


class _Canceled(BaseException):
    """Ends a task, and is no error of the fit that it interrupts."""


def current_task() -> Task | None:
    """Return the task that this code is part of, if it may wait here.

    It may not while it holds a lock, such as that of an answer which others wait for.
    """
    return None if holds_lock() else _current.get()
