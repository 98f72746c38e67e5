"""The skorch glue: any classifier net learns from soft labels while it trains.

For the time of its training, a net's class gets a mixin in front. The net stays what
the person made it: its callbacks, optimizer, data loaders and its own methods run as
they would by themselves, and the mixin adds the teacher's term to the loss.
"""

from __future__ import annotations

import copy
import functools
import inspect
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.callbacks import Callback, PassthroughScoring
from skorch.dataset import Dataset, unpack_data
from skorch.history import History
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, default_collate

from skdistill._training._hidden import HiddenTerms
from skdistill._training._objective import Objective
from skdistill.utils._validation import noting

if TYPE_CHECKING:
    from skorch import NeuralNetClassifier as _Net
else:
    _Net = object

# torch has one generator for the whole process: two seeded trainings at once would
# draw from each other's stream.
_ONE_AT_A_TIME = threading.RLock()

# The last step of a training may break a net whose last loss was sound: this many rows
# are run through it to see.
_CHECKED_ROWS = 256

# What a net has while it trains, besides what is its own.
_WHILE_TRAINING = ("distillation_", "batch_", "hidden_", "now_")

# How many rows losses are tried on before a training starts, where a sampler of the
# person's own decides how many a batch has.
_TRIED_ROWS = 64

# How many input values one forward pass takes at prediction, 4 MiB of float32.
_FORWARD_SIZE = 2**20


@dataclass(frozen=True)
class Distillation:
    """What a net needs to know of its teacher while it trains, a row per sample.

    ``features`` are those of the teacher, if there are any and a loss asks for them.
    ``taught`` marks the rows of which the teacher knows the class; None means all.
    Without ``has_labels``, the targets are the teacher's classes, and no loss is told.
    ``learned`` keeps what losses learn, from one training to the next.
    """

    logits: Tensor
    objective: Objective
    features: Tensor | None = None
    sample_weight: Tensor | None = None
    taught: Tensor | None = None
    has_labels: bool = True
    callbacks: Sequence[Callback] = ()
    learned: dict[Any, Any] = field(default_factory=dict)

    @property
    def targets(self) -> Tensor:
        """What the student's features are compared with."""
        if self.features is not None:
            return self.features
        # Logits have an arbitrary offset in each row, which is no relation.
        return self.logits - self.logits.mean(dim=1, keepdim=True)


def net_of(student: Any) -> NeuralNetClassifier:
    """Return the net in a student, or raise a TypeError that says what one is."""
    net = student[-1] if isinstance(student, Pipeline) else student
    if isinstance(net, torch.nn.Module):
        raise TypeError(
            f"the student is the torch module {type(net).__name__}; wrap it in a net: "
            "skorch.NeuralNetClassifier(module, criterion=torch.nn.CrossEntropyLoss)"
        )
    if isinstance(net, NeuralNetBinaryClassifier) or not isinstance(
        net, NeuralNetClassifier
    ):
        what = f"the class {net.__name__}" if isinstance(net, type) else type(net)
        raise TypeError(
            "the student must be None, a skorch.NeuralNetClassifier with an output for "
            f"each class, or a Pipeline that ends in one, got {what}. "
            "make_student(hidden_layer_sizes=...) makes one"
        )
    return net


def set_widths(net: NeuralNetClassifier, X: Any, n_classes: int) -> None:
    """Tell a net's module its widths, where it asks and the person has not told it."""
    if isinstance(net.module, torch.nn.Module):  # it has its widths already
        return
    asked = inspect.signature(net.module).parameters
    told = net.get_params_for("module")
    widths = {"n_classes": n_classes}
    if X.ndim == 2:
        widths["n_features"] = X.shape[1]
    missing = {k: v for k, v in widths.items() if k in asked and k not in told}
    net.set_params(**{f"module__{name}": width for name, width in missing.items()})


def train(
    net: NeuralNetClassifier,
    X: Any,
    y: NDArray[np.int64],
    distillation: Distillation,
    *,
    seed: int,
    epochs: int | None = None,
) -> None:
    """Fit ``net`` in place; with ``epochs``, train it on for that many.

    With alpha = 0 this is, bit for bit, ``torch.manual_seed(seed); net.fit(X, y)``.
    The global generators of torch and numpy are left as they were.
    """
    with (
        _seeded(seed),
        _distilling(net, distillation),
        noting(f"(Raised by the student's net on X of shape {X.shape})", RuntimeError),
    ):
        if epochs is None:
            net.fit(X, y)
        else:
            net.partial_fit(X, y, epochs=epochs)
    if not torch.isfinite(_forward(net, X[:_CHECKED_ROWS])).all():
        raise ValueError(
            f"the student's output is not finite after {len(net.history)} epochs, at "
            f"{_describe(net, distillation)}. Lower the learning rate or scale X"
        )


def snapshot(net: NeuralNetClassifier, learned: dict[Any, Any]) -> Callable[[], None]:
    """Return a function that puts a net, and what losses learned with it, back."""
    attributes, known, n_epochs = dict(vars(net)), dict(learned), len(net.history)
    modules = [getattr(net, f"{name}_") for name in (*net._modules, *net._criteria)]
    modules += [module for _, module in learned.values()]
    states = [copy.deepcopy(module.state_dict()) for module in modules]
    optimizers = [getattr(net, f"{name}_") for name in net._optimizers]
    rows = [[group["params"][:] for group in o.param_groups] for o in optimizers]
    moments = [copy.deepcopy(optimizer.state_dict()) for optimizer in optimizers]

    def put_back() -> None:
        vars(net).clear()
        vars(net).update(attributes)
        del net.history[n_epochs:]
        learned.clear()
        learned.update(known)
        for module, state in zip(modules, states, strict=True):
            module.load_state_dict(state)
        for optimizer, lists, state in zip(optimizers, rows, moments, strict=True):
            for group, params in zip(optimizer.param_groups, lists, strict=True):
                group["params"] = params
            optimizer.load_state_dict(state)

    return put_back


def proba(net: NeuralNetClassifier, X: Any) -> Tensor:
    """Return the probabilities of ``X`` by a fitted net, float64, on the CPU."""
    outputs = _forward(net, X).double()
    if _gives_logits(net):
        if len(outputs) == 1:
            return torch.softmax(outputs, dim=1)
        # On the transpose, this is several times as fast for few classes.
        return torch.softmax(outputs.T.contiguous(), dim=0).T.contiguous()
    proba = net._get_predict_nonlinearity()(outputs)
    return proba / proba.sum(dim=1, keepdim=True)


def log_proba(net: NeuralNetClassifier, X: Any) -> Tensor:
    """Return the log-probabilities of ``X`` by a fitted net, float64, on the CPU."""
    if _gives_logits(net):
        return torch.log_softmax(_forward(net, X).double(), dim=1)
    return torch.log(proba(net, X))


def trimmed(net: NeuralNetClassifier) -> NeuralNetClassifier:
    """Return a copy with what prediction needs; it shares the module with ``net``."""
    small = object.__new__(type(net))
    vars(small).update(vars(net))
    small.callbacks, small.callbacks_, small.history_ = None, [], History()
    if _gives_logits(net):
        # Without its criterion the net could not tell that a softmax is due.
        small.predict_nonlinearity = _softmax
    small.trim_for_prediction()
    small.history_ = History({**epoch, "batches": []} for epoch in net.history)
    return small


def is_trimmed(net: NeuralNetClassifier) -> bool:
    """Tell whether a net has come from a file, and can predict alone."""
    return getattr(net, "_trimmed_for_prediction", False)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
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


@contextmanager
def _distilling(net: NeuralNetClassifier, distillation: Distillation) -> Iterator[None]:
    """Put the mixin in front of the net's class while it trains."""
    plain_class: Any = type(net)
    net.__class__ = _distilling_class(plain_class)
    net.distillation_, net.batch_, net.hidden_ = distillation, None, None
    net.now_ = {}
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
        (_DistillingMixin, plain_class),
        {"plain_class_": plain_class},
    )


def _forward(net: NeuralNetClassifier, X: Any) -> Tensor:
    """Return the outputs of a net's module in evaluation mode."""
    if net.dataset is not Dataset or net.iterator_valid is not DataLoader:
        outputs = list(net.forward_iter(X))
    else:
        n_rows = max(1, _FORWARD_SIZE * X.shape[0] // max(1, math.prod(X.shape)))
        outputs = [
            _evaluate(net, _to_tensor(X[start : start + n_rows]))
            for start in range(0, X.shape[0], n_rows)
        ]
    outputs = [_first(output).cpu() for output in outputs]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _evaluate(net: NeuralNetClassifier, X: Tensor) -> Any:
    if type(net).evaluation_step is not NeuralNet.evaluation_step:
        return net.evaluation_step((X, None))
    # The same without its checks, which take longer than a small net for a row.
    if net.module_.training:
        net._set_training(False)
    with torch.no_grad():
        return net.infer(X)


def _gives_logits(net: Any) -> bool:
    """Tell whether predictions are a softmax of the outputs.

    Otherwise the person's own nonlinearity, or the module, makes the probabilities.
    """
    if callable(net.predict_nonlinearity):
        return net.predict_nonlinearity is _softmax
    return _learns_from_logits(net)


def _learns_from_logits(net: Any) -> bool:
    return isinstance(net.criterion_, torch.nn.CrossEntropyLoss)


def _softmax(outputs: Tensor) -> Tensor:
    return torch.softmax(outputs, dim=1)


class _DistillingMixin(_Net):
    """Adds the soft term to the loss of a skorch net.

    The targets that a net sees stay ordinary targets. Which rows a batch holds
    travels beside it, so that shuffling, splits and loader processes cannot part a
    row from its soft labels.
    """

    plain_class_: type
    distillation_: Distillation
    batch_: tuple[str, Tensor | None]
    hidden_: HiddenTerms | None
    now_: dict[str, float]

    def __reduce_ex__(self, protocol: Any) -> Any:
        # A callback may pickle the net while it trains: as the class that it was.
        plain: Any = object.__new__(self.plain_class_)
        vars(plain).update(vars(self))
        for name in _WHILE_TRAINING:
            delattr(plain, name)
        return _itself, (plain,)

    @property
    def _default_callbacks(self) -> list[Any]:
        parts = [
            (name, PassthroughScoring(name, lower_is_better=None, on_train=on_train))
            for phase, on_train in (("train", True), ("valid", False))
            for name in (
                f"{phase}_loss_soft",
                f"{phase}_loss_hard",
                f"{phase}_loss_feature",
                f"{phase}_loss_relation",
                f"{phase}_agreement",
            )
        ]
        return super()._default_callbacks + parts

    @property
    def epoch_(self) -> int:
        """The number of the epoch, counted from 0 over all trainings of this net."""
        return max(len(self.history) - 1, 0)

    def at_epoch_(self, name: str) -> float:
        """Return the temperature or alpha of the epoch."""
        objective = self.distillation_.objective
        return objective.at_epoch(name, self.epoch_, self.max_epochs)

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kw: Any) -> None:
        super().on_train_begin(net, X=X, y=y, **kw)
        objective = self.distillation_.objective
        loader = self.get_iterator(self.get_dataset(X, y), training=True).loader
        n_tried = min(loader.batch_size or _TRIED_ROWS, len(loader.dataset))
        if objective.loss and (callable(objective.alpha) or objective.alpha > 0):
            self._try_soft_term(n_tried)
        if objective.is_hidden:
            self._prepare_hidden(loader, n_tried)

    def _try_soft_term(self, n_tried: int) -> None:
        """Let a loss that would fail on the first batch fail before it."""
        known = self.distillation_
        teacher = known.logits[:n_tried]
        teacher = teacher.to(next(self.module_.parameters(), teacher).device)
        known.objective.soft(
            teacher.clone().requires_grad_(),  # some losses differentiate
            teacher,
            y=teacher.argmax(dim=1) if known.has_labels else None,
            temperature=self.at_epoch_("temperature"),
            sample_weight=None,
            epoch=self.epoch_,
        )

    def _prepare_hidden(self, loader: DataLoader, n_tried: int) -> None:
        known = self.distillation_
        self.hidden_ = HiddenTerms(
            known.objective, known.targets, known.learned, self.module_
        )
        X, _, rows = loader.collate_fn(list(range(n_tried)))
        self._set_training(False)
        outputs = _first(self.infer(X))
        features = self.hidden_.watch.take(len(outputs))
        like = next(self.module_.parameters(), features)
        self.hidden_.prepare(features, rows, loader.batch_size, like)
        wanted = dict(self.hidden_.named_parameters())
        if not self._optimized(wanted):
            self._hand_over(list(wanted.values()))
        if not self._optimized(wanted):
            self._initialize_optimizer("The optimizer starts anew, with projections.")
        if not self._optimized(wanted):
            raise ValueError(
                f"the student's optimizer does not train {list(wanted)}: its "
                "initialize_optimizer must take the parameters of "
                "get_all_learnable_params()"
            )

    def _optimized(self, wanted: dict[str, Any]) -> bool:
        groups = self.optimizer_.param_groups
        known = {id(p) for group in groups for p in group["params"]}
        return known.issuperset(map(id, wanted.values()))

    def _hand_over(self, wanted: list[nn.Parameter]) -> None:
        """Let the optimizer go on with what losses learn, where that was copied."""
        own = {id(parameter) for _, parameter in super().get_all_learnable_params()}
        groups, state = self.optimizer_.param_groups, self.optimizer_.state
        former = [p for group in groups for p in group["params"] if id(p) not in own]
        if [p.shape for p in former] != [p.shape for p in wanted]:
            return
        heirs = dict(zip(map(id, former), wanted, strict=True))
        for group in groups:
            group["params"] = [heirs.get(id(p), p) for p in group["params"]]
        for parameter in former:
            if parameter in state:
                state[heirs[id(parameter)]] = state.pop(parameter)

    def get_all_learnable_params(self) -> Iterator[tuple[str, Any]]:
        yield from super().get_all_learnable_params()
        if self.hidden_ is not None:
            yield from self.hidden_.named_parameters()

    def infer(self, x: Any, **fit_params: Any) -> Any:
        if self.hidden_ is None:
            return super().infer(x, **fit_params)
        with self.hidden_.watch:
            return super().infer(x, **fit_params)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        super().on_epoch_begin(net, **kwargs)
        for name in ("temperature", "alpha"):
            self.now_[name] = self.at_epoch_(name)
            if callable(getattr(self.distillation_.objective, name)):
                self.history.record(name, self.now_[name])

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        try:
            super().notify(method_name, **cb_kwargs)
        finally:  # also where a callback of the person's ends the training early
            for callback in self.distillation_.callbacks:
                getattr(callback, method_name)(self, **cb_kwargs)

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        dataset = super().get_dataset(X, y)
        if y is None:
            return dataset
        if len(dataset) != len(self.distillation_.logits):
            raise ValueError(
                f"the student's dataset has {len(dataset)} items for "
                f"{len(self.distillation_.logits)} samples: an item per sample is "
                "needed to find its soft labels"
            )
        return _NumberedRows(dataset)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        loader = super().get_iterator(dataset, training=training)
        while isinstance(dataset, Subset):
            dataset = dataset.dataset
        if not isinstance(dataset, _NumberedRows):
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
        loader.collate_fn = _Collate(dataset.dataset, loader.collate_fn)
        return _NumberedBatches(loader)

    def train_step_single(self, batch: Any, **fit_params: Any) -> Any:
        self.batch_ = ("train", getattr(batch, "rows", None))
        return super().train_step_single(batch, **fit_params)

    def validation_step(self, batch: Any, **fit_params: Any) -> Any:
        self.batch_ = ("valid", getattr(batch, "rows", None))
        return super().validation_step(batch, **fit_params)

    def on_batch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        super().on_batch_end(net, *args, **kwargs)
        batch = self.history[-1]["batches"][-1]
        if math.isfinite(batch.get("train_loss", 0.0)):
            return
        terms = {k: v for k, v in batch.items() if k.startswith("train_loss")}
        broken = {k: v for k, v in terms.items() if not math.isfinite(v)}
        raise ValueError(
            f"the student's loss is not finite in epoch {len(self.history)}, at "
            f"{_describe(self, self.distillation_)}: {broken}. Lower the learning rate "
            "or scale X"
        )

    def get_loss(self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any) -> Tensor:
        phase, rows = self.batch_
        if rows is None:  # a validation set of the person's own, without soft labels
            return super().get_loss(y_pred, y_true, *args, **kwargs)
        known = self.distillation_
        outputs = _first(y_pred)
        _check_outputs(self, outputs, known.logits.shape[1])
        teacher = known.logits[rows].to(outputs.device)
        weight = _rows_of(known.sample_weight, rows, outputs)
        alpha = self.now_["alpha"]

        terms, weights = {}, {"soft": alpha, "hard": 1 - alpha}
        if alpha > 0 and known.objective.loss:
            terms["soft"] = self._soft_term(outputs, teacher, y_true, rows, weight)
        if alpha < 1:
            if weight is None:
                terms["hard"] = super().get_loss(y_pred, y_true, *args, **kwargs)
            else:
                with _unreduced(self.criterion_):
                    losses = super().get_loss(y_pred, y_true, *args, **kwargs)
                terms["hard"] = _weighted_mean(self, losses, y_true, weight)
        if self.hidden_ is not None:
            terms |= self.hidden_(
                self.hidden_.watch.take(len(outputs)),
                rows,
                weight,
                epoch=self.epoch_,
                training=phase == "train",
            )
            weights |= self.hidden_.weights

        for name, term in terms.items():
            self.history.record_batch(f"{phase}_loss_{name}", term.item())
        agreement = (outputs.argmax(dim=1) == teacher.argmax(dim=1)).float().mean()
        self.history.record_batch(f"{phase}_agreement", agreement.item())
        return reduce(add, (weights[name] * term for name, term in terms.items()))

    def _soft_term(
        self,
        outputs: Tensor,
        teacher: Tensor,
        y_true: Tensor,
        rows: Tensor,
        weight: Tensor | None,
    ) -> Tensor:
        """Return the soft term; a row that the teacher cannot teach counts as zero."""
        known = self.distillation_
        student = _student_logits(self, outputs)
        y = y_true.to(outputs.device) if known.has_labels else None
        share = None
        if known.taught is not None:
            taught = known.taught[rows].to(outputs.device)
            everyone = torch.ones_like(student[:, 0]) if weight is None else weight
            share = everyone[taught].sum() / _positive(everyone.sum())
            student, teacher = student[taught], teacher[taught]
            y = None if y is None else y[taught]
            weight = None if weight is None else weight[taught]
            if not len(student):
                return 0 * outputs.sum()
        soft = known.objective.soft(
            student,
            teacher,
            y=y,
            temperature=self.now_["temperature"],
            sample_weight=weight,
            epoch=self.epoch_,
        )
        return soft if share is None else share * soft


def _itself(net: Any) -> Any:
    return net


class _NumberedRows(Dataset):
    """A net's dataset, whose batches can be told by their row numbers.

    A loader that asks for many items at once gets their numbers, also through
    :class:`torch.utils.data.Subset`; :class:`_Collate` fetches the items.
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


class _Collate:
    """Makes a batch of row numbers: inputs, targets, and the numbers themselves."""

    def __init__(self, dataset: Any, collate_fn: Any) -> None:
        self.dataset, self.collate_fn = dataset, collate_fn
        # Of plain arrays the tensors are made in one step; they are the same as row
        # by row.
        self.at_once = type(dataset) is Dataset and collate_fn is default_collate
        if self.at_once:
            self.X, self.y = dataset.X, torch.tensor(dataset.y)
            if not issparse(self.X):
                self.X = _to_tensor(self.X)

    def __call__(self, rows: list[int]) -> tuple[Any, Any, Tensor]:
        numbers = torch.tensor(rows)
        if self.at_once:
            X = _to_tensor(self.X[rows]) if issparse(self.X) else self.X[numbers]
            return X, self.y[numbers], numbers
        X, y = unpack_data(self.collate_fn([self.dataset[row] for row in rows]))
        return X, y, numbers


class _NumberedBatches:
    """The ordinary batches of a loader, each with its row numbers aside."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[_Batch]:
        for X, y, rows in self.loader:
            batch = _Batch((X, y))
            batch.rows = rows
            yield batch


class _Batch(tuple):
    """Inputs and targets, as skorch passes them around, and ``rows``."""

    rows: Tensor


def _weighted_mean(net: Any, losses: Tensor, y_true: Tensor, weight: Tensor) -> Tensor:
    if losses.shape != weight.shape:
        raise ValueError(
            "sample_weight needs a loss per sample, and the student's loss has shape "
            f"{tuple(losses.shape)} for {len(weight)} samples"
        )
    class_weight = getattr(net.criterion_, "weight", None)
    total = weight if class_weight is None else weight * class_weight[y_true.long()]
    return (losses * weight).sum() / _positive(total.sum())


def _positive(total: Tensor) -> Tensor:
    """Let a batch whose weights are all zero count as zero, not as NaN."""
    return total.clamp(min=torch.finfo(total.dtype).tiny)


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


def _student_logits(net: Any, outputs: Tensor) -> Tensor:
    if _learns_from_logits(net):
        return outputs
    proba = net._get_predict_nonlinearity()(outputs)
    return torch.log(proba + torch.finfo(proba.dtype).eps)


def _check_outputs(net: Any, outputs: Tensor, n_classes: int) -> None:
    if outputs.ndim != 2 or outputs.shape[1] != n_classes:
        raise ValueError(
            f"the student's module returns shape {tuple(outputs.shape)}, expected "
            f"(n_samples, {n_classes}), a column for each class: give the module a "
            "parameter n_classes, which is then set for you, or set its width"
        )
    if _learns_from_logits(net) or len(net.history) > 1:
        return
    proba = net._get_predict_nonlinearity()(outputs.detach())
    off = (proba.sum(dim=1) - 1).abs().max()
    if (proba < 0).any() or off > 1e-2:
        raise ValueError(
            f"the student's criterion {type(net.criterion_).__name__} takes "
            "probabilities, and its module returns something else. If these are "
            "logits, use criterion=torch.nn.CrossEntropyLoss; else set "
            "predict_nonlinearity to what makes probabilities of them"
        )


def _describe(net: Any, distillation: Distillation) -> str:
    rates = sorted({group["lr"] for group in net.optimizer_.param_groups})
    epoch = max(len(net.history) - 1, 0)
    temperature = distillation.objective.at_epoch("temperature", epoch, net.max_epochs)
    return (
        f"temperature {temperature:g} and learning rate "
        f"{', '.join(f'{float(rate):g}' for rate in rates)}"
    )


def _rows_of(values: Tensor | None, rows: Tensor, like: Tensor) -> Tensor | None:
    return None if values is None else values[rows].to(like.device)


def _first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def _to_tensor(X: Any) -> Tensor:
    # A copy: torch aligns it, and how a sum is rounded depends on the alignment.
    return torch.tensor(X.toarray() if issparse(X) else X)
