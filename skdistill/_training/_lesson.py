"""What a net is to learn, as one value: fit makes it, and the training takes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from skorch.callbacks import Callback
from torch import Tensor

from skdistill._students._student import net_of
from skdistill._training._hooks import distilling, row_numbers
from skdistill._training._loss import BatchLoss
from skdistill._training._objective import Objective
from skdistill._transfer._transfer_set import TransferSet
from skdistill.utils._seeding import seeded
from skdistill.utils._validation import noting


@dataclass
class Lesson:
    """A student, and all that its training depends on.

    Attributes
    ----------
    student : skorch.NeuralNetClassifier or Pipeline
        Its preprocessing is fitted. The training changes its net.
    X : ndarray, CSR matrix or EncodedRows
        The rows, as the net takes them.
    rows : TransferSet
        What the rows teach; ``X`` takes the place of its inputs.
    objective : Objective
        The terms of the loss.
    seed : int
        Seeds the weights of a new net, and the order of the rows.
    n_epochs : int or None
        For how many epochs to train the net further. None means a whole fit.
    callbacks : sequence of skorch.callbacks.Callback
        Watch the training, besides the callbacks of the net.
    alone : str or None
        Why the net is trained by itself, if it could not be trained with others.
    error : Exception or None
        Why the training failed, if it did.
    """

    student: Any
    X: Any
    rows: TransferSet
    objective: Objective
    seed: int
    n_epochs: int | None = None
    callbacks: Sequence[Callback] = ()
    alone: str | None = None
    error: BaseException | None = None

    @property
    def net(self) -> Any:
        """The net of the student."""
        return net_of(self.student)

    @property
    def is_new(self) -> bool:
        """Whether the net begins with new weights."""
        net = self.net
        if not net.initialized_:
            return True
        return self.n_epochs is None and not net.warm_start

    @contextmanager
    def hooked(self) -> Iterator[Any]:
        """Return the net, which has the hooks of the training meanwhile."""
        net, loss = self.net, BatchLoss(self.objective, self.rows)
        with distilling(net, loss, self.X[:2], self.callbacks):
            yield net

    def split(self, net: Any) -> tuple[dict[str, Any], list[Tensor]]:
        """Return the data sets that a net with hooks learns from and holds out.

        Return their row numbers too; there are none of rows from elsewhere.
        """
        with seeded(self.seed):  # a split may draw
            train, valid = net.get_split_datasets(self.X, self.rows.hard)
        datasets = {"dataset_train": train, "dataset_valid": valid}
        return datasets, [row_numbers(train), row_numbers(valid)]


@contextmanager
def keeping_error(*lessons: Lesson) -> Iterator[None]:
    """Keep an error of a training in its lessons, so that other trainings go on."""
    shape = lessons[0].X.shape
    try:
        with noting(f"(Raised in the training of the student on X of shape {shape})"):
            yield
    except Exception as error:
        for lesson in lessons:
            lesson.error = lesson.error or error
