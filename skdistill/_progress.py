"""The progress of a fit for scikit-learn's callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from skorch.callbacks import Callback

from skdistill._questions import Given

try:  # scikit-learn >= 1.9
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: callbacks came with scikit-learn 1.9."""


T = TypeVar("T")


class FitTasks:
    """Reports the tasks of a fit to scikit-learn's callbacks: label, then train.

    Nothing is reported without callbacks, in ``partial_fit``, and with scikit-learn
    below 1.9, which has no callbacks.
    """

    def __init__(self, estimator: Any, given: Given) -> None:
        self.estimator, self.root = estimator, None
        if not given.incremental and getattr(estimator, "_skl_callbacks", None):
            weight = given.sample_weight
            metadata = {"sample_weight": weight} if np.ndim(weight) else None
            self.given = {"X": given.X, "y": given.y, "metadata": metadata}
            self.root = estimator._init_callback_context(max_subtasks=2)

    def __enter__(self) -> FitTasks:
        self._begin(self.root)
        return self

    def __exit__(self, error: Any, *details: Any) -> None:
        if error is None:
            self._end(self.root, {})

    def label(self, ask: Callable[[], T]) -> T:
        """Run the labeling as a task of its own."""
        if self.root is None:
            return ask()
        task = self.root.subcontext("label")
        self._begin(task)
        labels = ask()
        self._end(task)
        return labels

    def train(self, student: Any, max_epochs: int) -> list[Callback]:
        """Return the skorch callbacks that report each epoch of the student."""
        if self.root is None:
            return []
        task = self.root.subcontext("train", max_subtasks=max_epochs)
        return [_EpochTasks(self, task, student)]

    def _begin(self, task: Any) -> None:
        if task is not None:
            task.call_on_fit_task_begin(estimator=self.estimator, **self.given)

    def _end(self, task: Any, fitted: dict[str, Any] | None = None) -> bool:
        """End a task; with the attributes in ``fitted``, the estimator is fitted."""
        return task is not None and task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=fitted, **self.given
        )


class _EpochTasks(Callback):
    """Reports the epochs of a net as subtasks of the task "train"."""

    def __init__(self, tasks: FitTasks, task: Any, student: Any) -> None:
        self.tasks, self.task, self.student = tasks, task, student

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.tasks._begin(self.task)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.epoch_ = self.task.subcontext("epoch")
        self.tasks._begin(self.epoch_)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self.tasks._end(self.epoch_, {"student_": self.student}):
            raise KeyboardInterrupt  # skorch's way to end the training early

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        self.tasks._end(self.task)
