"""The hooks into skorch: any classifier net learns from a transfer set.

For the time of its training, a net's class gets a mixin in front. The net stays what
the person made it: its callbacks, optimizer, data loaders and its own methods run as
they would by themselves, and the mixin adds the teacher's terms to the loss.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, PassthroughScoring
from skorch.dataset import Dataset, unpack_data
from torch import Tensor
from torch.utils.data import DataLoader, Subset, default_collate

from skdistill._training._learned import LearnedLosses
from skdistill._training._loss import BatchLoss, weighted_mean
from skdistill._training._prediction import to_tensor
from skdistill._training._threads import one_thread_if_small
from skdistill.utils._layers import Watch, as_weights
from skdistill.utils._probabilities import first, nonlinearity_of, returns_logits

if TYPE_CHECKING:
    from skorch import NeuralNet as _Net
else:
    _Net = object

# What a net has while it trains, besides what is its own.
_WHILE_TRAINING = (
    "batch_loss_",
    "example_rows_",
    "further_callbacks_",
    "batch_",
    "watch_",
)

# What callbacks of skorch monitor by default, of rows that are held out.
_OF_HELD_OUT = ("valid_loss", "valid_loss_best", "valid_acc", "valid_acc_best")

_PARTS = ("loss_soft", "loss_hard", "loss_feature", "loss_relation", "agreement")


@contextmanager
def distilling(
    net: Any, loss: BatchLoss, example: Any, callbacks: Sequence[Callback]
) -> Iterator[None]:
    """Put the mixin in front of the net's class while it trains.

    ``example`` are some rows of the net's input. The callbacks watch the training,
    besides the net's own.
    """
    plain_class: Any = type(net)
    net.__class__ = _distilling_class(plain_class)
    net.batch_loss_, net.example_rows_, net.further_callbacks_ = (
        loss,
        example,
        callbacks,
    )
    net.batch_ = net.watch_ = None
    try:
        yield
    finally:
        net.__class__ = plain_class
        for name in _WHILE_TRAINING:
            delattr(net, name)


@functools.cache
def _distilling_class(plain_class: Any) -> type:
    return type(
        f"Distilling{plain_class.__name__}",
        (DistillingMixin, plain_class),
        {"plain_class_": plain_class},
    )


class DistillingMixin(_Net):
    """Adds the teacher's terms to the loss of a skorch net.

    The targets that a net sees stay ordinary targets. Which rows a batch holds
    travels beside it, so that shuffling, splits and loader processes cannot part a
    row from its soft labels.
    """

    plain_class_: type
    batch_loss_: BatchLoss
    example_rows_: Any
    further_callbacks_: Sequence[Callback]
    batch_: tuple[str, Tensor | None]
    watch_: Watch | None
    learned_losses_: LearnedLosses

    def __reduce_ex__(self, protocol: Any) -> Any:
        # A callback may pickle the net while it trains: as the class that it was.
        plain: Any = object.__new__(self.plain_class_)
        vars(plain).update(vars(self))
        for name in _WHILE_TRAINING:
            delattr(plain, name)
        return _itself, (plain,)

    @property
    def _default_callbacks(self) -> list[Any]:
        found = list(super()._default_callbacks)
        for phase, part in itertools.product(("train", "valid"), _PARTS):
            name, how = f"{phase}_{part}", {"on_train": phase == "train"}
            scoring = PassthroughScoring(name, lower_is_better=None, **how)
            found.append((name, scoring))
        return found

    def initialize_criterion(self) -> Any:
        super().initialize_criterion()
        objective = self.batch_loss_.objective
        if objective.learning:
            former = getattr(self, "learned_losses_", None)
            features = self.features_of_example_()
            targets = self.batch_loss_.targets
            # skorch guesses no nonlinearity for a net of two criteria.
            with self._current_init_context("module"):
                self.learned_losses_ = LearnedLosses(
                    objective, features, targets, former
                )
        return self

    def new_watch_(self) -> Watch:
        """Return what keeps the student's features of a pass."""
        layer = self.batch_loss_.objective.student_layer
        return Watch(self.module_, layer, "the student", "student_layer")

    def features_of_example_(self) -> Tensor:
        """Return the student's features of some rows."""
        loader = super().get_iterator(super().get_dataset(self.example_rows_))
        self.module_.eval()
        watch = self.new_watch_()
        # The student's own random numbers are the same with and without.
        with torch.random.fork_rng(), torch.no_grad(), watch:
            outputs = first(self.infer(next(iter(loader))[0]))
        return watch.take(len(outputs))

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kw: Any) -> None:
        if not self.train_split:
            _check_monitors(self.callbacks_)
        super().on_train_begin(net, X=X, y=y, **kw)
        loss = self.batch_loss_
        if loss.objective.learning:
            former = getattr(self, "learned_losses_", None)
            if former is None or not former.suits(loss.objective, loss.targets):
                # Initializes the optimizer too, which is to train them.
                self.set_params(criterion=self.criterion)
            self.check_optimizer_()
            loss.train_with(self.learned_losses_)
        if loss.objective.is_hidden:
            self.watch_ = self.new_watch_()

    def check_optimizer_(self) -> None:
        """Raise where the person's optimizer would not train what losses learn."""
        groups = self.optimizer_.param_groups
        known = {id(p) for group in groups for p in group["params"]}
        wanted = dict(self.learned_losses_.named_parameters())
        if not known.issuperset(map(id, wanted.values())):
            raise ValueError(
                f"the student's optimizer does not train {list(wanted)}: its "
                "initialize_optimizer must take the parameters of "
                "get_all_learnable_params()"
            )

    def infer(self, x: Any, **fit_params: Any) -> Any:
        x = as_weights(self.module_, x)
        if self.watch_ is None:
            return super().infer(x, **fit_params)
        with self.watch_:
            return super().infer(x, **fit_params)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        super().on_epoch_begin(net, **kwargs)
        loss = self.batch_loss_
        loss.begin_epoch(max(len(self.history) - 1, 0), self.max_epochs)
        for name in ("temperature", "alpha"):
            if callable(getattr(loss.objective, name)):
                self.history.record(name, getattr(loss, name))

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        try:
            super().notify(method_name, **cb_kwargs)
        finally:  # also where a callback of the person's ends the training early
            for callback in self.further_callbacks_:
                getattr(callback, method_name)(self, **cb_kwargs)

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        dataset = super().get_dataset(X, y)
        if y is None:
            return dataset
        n_rows = len(self.batch_loss_.soft)
        if len(dataset) != n_rows:
            raise ValueError(
                f"the student's dataset has {len(dataset)} items for {n_rows} samples: "
                "an item per sample is needed to find its soft labels"
            )
        return NumberedRows(dataset)

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        train, valid = super().get_split_datasets(X, y, **fit_params)
        numbers = row_numbers(valid)
        if len(numbers) and not self.batch_loss_.weigh(numbers):
            raise ValueError(
                "the student's train_split holds out rows whose sample_weight is 0 "
                "alone, which do not tell its best epoch: let it hold out others, or "
                "leave out rows without a weight"
            )
        return train, valid

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        loader, n_rows = super().get_iterator(dataset, training=training), len(dataset)
        while isinstance(dataset, Subset):
            dataset = dataset.dataset
        if not isinstance(dataset, NumberedRows):
            if training:
                raise TypeError(
                    "the student's train_split must return subsets of the data set "
                    "that it is given, so that rows keep their soft labels"
                )
            return loader
        if not isinstance(loader, DataLoader) or loader.batch_sampler is None:
            raise TypeError(
                "the student's iterator_train and iterator_valid must be "
                "torch.utils.data.DataLoader, or derived from it, and make batches"
            )
        if training and len(loader) == 0:
            raise ValueError(
                f"the student's iterator_train makes no batch of {n_rows} rows, as it "
                f"drops the last one: lower batch_size={loader.batch_size}, or set "
                "iterator_train__drop_last=False"
            )
        loader.collate_fn = Collate(dataset.dataset, loader.collate_fn)
        return NumberedBatches(loader)

    def train_step_single(self, batch: Any, **fit_params: Any) -> Any:
        self.batch_ = ("train", getattr(batch, "rows", None))
        return super().train_step_single(batch, **fit_params)

    def validation_step(self, batch: Any, **fit_params: Any) -> Any:
        self.batch_ = ("valid", getattr(batch, "rows", None))
        return super().validation_step(batch, **fit_params)

    def run_single_epoch(self, iterator: Any, *args: Any, **kwargs: Any) -> None:
        loader = getattr(iterator, "loader", iterator)
        n_rows = getattr(loader, "batch_size", None)
        with one_thread_if_small(self.module_, n_rows):
            super().run_single_epoch(iterator, *args, **kwargs)

    def get_loss(self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any) -> Tensor:
        phase, rows = self.batch_
        if rows is None:  # a validation set of the person's own, without soft labels
            return super().get_loss(y_pred, y_true, *args, **kwargs)
        outputs = first(y_pred)
        check_outputs(self, outputs)
        features = None
        if self.watch_ is not None:
            features = self.watch_.take(len(outputs))
            if phase == "train":
                _check_taught(features, self.watch_)
        loss, shown = self.loss_(rows, features, y_pred, y_true, *args, **kwargs)
        values = {f"{phase}_{name}": value.item() for name, value in shown.items()}
        if phase == "train":
            check_finite(self, values | {"train_loss": loss.item()})
        for name, value in values.items():
            self.history.record_batch(name, value)
        return loss

    def loss_(
        self,
        rows: Tensor,
        features: Tensor | None,
        y_pred: Any,
        y_true: Any,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch and its parts, the net's own loss among them."""

        def hard_loss(weight: Tensor | None) -> Tensor:
            own = super(DistillingMixin, self).get_loss
            if weight is None:
                return own(y_pred, y_true, *args, **kwargs)
            with _unreduced(self.criterion_):
                losses = own(y_pred, y_true, *args, **kwargs)
            has_classes = y_true.ndim == 1
            class_weight = getattr(self.criterion_, "weight", None)
            class_weight = class_weight if has_classes else None
            return weighted_mean(losses, weight, y_true, class_weight)

        student = first(y_pred)
        if isinstance(self, NeuralNetClassifier):
            student = student_logits(self, student)
        return self.batch_loss_(student, y_true, rows, hard_loss, features)


def describe(net: Any, temperature: float) -> str:
    """Return at which temperature and learning rate a training is."""
    rates = sorted({group["lr"] for group in net.optimizer_.param_groups})
    return (
        f"temperature {temperature:g} and learning rate "
        f"{', '.join(f'{float(rate):g}' for rate in rates)}"
    )


def _itself(net: Any) -> Any:
    return net


@contextmanager
def _unreduced(criterion: Any) -> Iterator[None]:
    """Let a criterion return a loss per sample."""
    if not hasattr(criterion, "reduction"):
        raise ValueError(
            "sample_weight needs a loss per sample: the student's criterion "
            f"{type(criterion).__name__} has no attribute reduction"
        )
    reduction, criterion.reduction = criterion.reduction, "none"
    try:
        yield
    finally:
        criterion.reduction = reduction


def _check_monitors(callbacks: Sequence[tuple[str, Callback]]) -> None:
    """Raise where a callback waits for what skorch says of rows that are held out."""
    for name, callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if monitor in _OF_HELD_OUT:
            raise ValueError(
                f"the student's callback {name} monitors {monitor!r}, and no rows are "
                "held out: use make_student(early_stopping=True), set train_split of "
                "the net, such as skorch.dataset.ValidSplit(5), or monitor 'train_loss'"
            )


def _check_taught(features: Tensor, watch: Watch) -> None:
    if not features.requires_grad:
        raise ValueError(
            f"{watch.what} does not depend on any of its weights, so losses on "
            "features and relations cannot teach it: give it a hidden layer, or name "
            "another layer with student_layer="
        )


def check_finite(net: Any, values: dict[str, float]) -> None:
    broken = {name: v for name, v in values.items() if not math.isfinite(v)}
    if "train_loss" not in broken:
        return
    raise ValueError(
        f"the student's loss is not finite in epoch {len(net.history)}, at "
        f"{describe(net, net.batch_loss_.temperature)}: {broken}. Lower the "
        "learning rate or scale X"
    )


def check_outputs(net: Any, outputs: Tensor) -> None:
    """Raise if the outputs are not one column for each class, or each target."""
    n_outputs = net.batch_loss_.soft.shape[1]
    has_classes = isinstance(net, NeuralNetClassifier)
    if outputs.ndim != 2 or outputs.shape[1] != n_outputs:
        of, name = ("class", "n_classes") if has_classes else ("target", "n_outputs")
        raise ValueError(
            f"the student's module returns shape {tuple(outputs.shape)}, expected "
            f"(n_samples, {n_outputs}), a column for each {of}: give the module a "
            f"parameter {name}, which is then set for you, or set its width"
        )
    if not has_classes or returns_logits(net) or len(net.history) > 1:
        return
    proba = nonlinearity_of(net)(outputs.detach())
    off = (proba.sum(dim=1) - 1).abs().max()
    if (proba < 0).any() or off > 1e-2:
        raise ValueError(
            f"the student's criterion {type(net.criterion_).__name__} takes "
            "probabilities, and its module returns something else. If these are "
            "logits, use criterion=torch.nn.CrossEntropyLoss; else set "
            "predict_nonlinearity to what makes probabilities of them"
        )


def student_logits(net: Any, outputs: Tensor) -> Tensor:
    """Return outputs as logits; they may be probabilities."""
    if returns_logits(net):
        return outputs
    proba = nonlinearity_of(net)(outputs)
    return torch.log(proba + torch.finfo(proba.dtype).eps)


class NumberedRows(Dataset):
    """A net's dataset, whose batches can be told by their row numbers.

    A loader that asks for many items at once gets their numbers, also through
    :class:`torch.utils.data.Subset`; :class:`Collate` fetches the items.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.X, self.y = getattr(dataset, "X", None), getattr(dataset, "y", None)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: Any) -> Any:
        return self.dataset[row]

    def __getitems__(self, rows: list[int]) -> list[int]:
        return rows


def row_numbers(dataset: Any) -> Tensor:
    """Return the numbers in the transfer set of the rows of a dataset."""
    if isinstance(dataset, Subset):
        numbers = row_numbers(dataset.dataset)
        return numbers[torch.as_tensor(dataset.indices)] if len(numbers) else numbers
    n_rows = len(dataset) if isinstance(dataset, NumberedRows) else 0
    return torch.arange(n_rows)


class Collate:
    """Makes a batch of row numbers: inputs, targets, and the numbers themselves."""

    def __init__(self, dataset: Any, collate_fn: Any) -> None:
        self.dataset, self.collate_fn = dataset, collate_fn
        # Of plain arrays the tensors are made in one step; they are the same as row
        # by row.
        self.at_once = type(dataset) is Dataset and collate_fn is default_collate

    def __call__(self, rows: list[int]) -> tuple[Any, Any, Tensor]:
        numbers = torch.tensor(rows)
        if self.at_once:
            X, y = to_tensor(self.dataset.X[rows]), torch.tensor(self.dataset.y[rows])
        else:
            X, y = unpack_data(self.collate_fn([self.dataset[row] for row in rows]))
        return X, y, numbers


class NumberedBatches:
    """The ordinary batches of a loader, each with its row numbers aside."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        for X, y, rows in self.loader:
            batch = Batch((X, y))
            batch.rows = rows
            yield batch


class Batch(tuple):
    """Inputs and targets, as skorch passes them around, and ``rows``."""

    rows: Tensor
