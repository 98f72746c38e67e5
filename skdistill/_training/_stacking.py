"""Which nets can be trained together."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from skorch.callbacks import (
    EpochScoring,
    EpochTimer,
    PassthroughScoring,
    PrintLog,
)
from torch.utils.data import DataLoader

from skdistill._students._encoded_rows import EncodedRows
from skdistill._training._epoch import PACERS, is_unobserved
from skdistill._training._gradient import has_gradient
from skdistill._training._loss import BatchLoss
from skdistill._training._order import EpochOrder
from skdistill._training._prediction import first
from skdistill._training._stack import Trainee, outputs_of
from skdistill._transfer._transfer_set import TransferSet
from skdistill.utils._fingerprint import fingerprint

# On a CPU, a larger stack takes more time for each of its nets.
MAX_NETS = 12

# Optimizers that treat each weight by itself.
_ELEMENTWISE = {
    getattr(torch.optim, name)
    for name in ("Adagrad", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "SGD")
}

# Callbacks of skorch that only write down what happens.
_BYSTANDERS = (EpochTimer, PassthroughScoring, PrintLog)


class Alone(Exception):
    """Says why a net is trained by itself."""


def trainee_of(net: Any, X: Any, rows: TransferSet) -> Trainee:
    """Return a net that waits to be trained with others, or raise :class:`Alone`.

    Parameters
    ----------
    net : skorch.NeuralNetClassifier
        Is initialized here; with the hooks of the training in front of its class.
    X : ndarray or EncodedRows
        The inputs of the rows.
    rows : TransferSet
        What the net is to learn.
    """
    if isinstance(X, EncodedRows):
        raise Alone("the rows are so many that they are encoded batch by batch")
    if net.warm_start:
        raise Alone("the student has warm_start")
    if "batch_size" in net.get_params_for("iterator_train"):
        # What sets the learning rate goes by that of the net.
        raise Alone("the student's iterator_train has a batch_size of its own")
    net.initialize()
    kind = _check_module(net)
    _check_training(net)
    train, valid = net.get_split_datasets(X, rows.hard)
    batches = net.get_iterator(train, training=True)
    generator = torch.get_rng_state()
    if not is_unobserved(net, batches):
        raise Alone("a callback or a method of the student looks at each batch")
    if valid is not None and net.iterator_valid is not DataLoader:
        raise Alone("the student has an iterator_valid of its own")
    (settings,) = net.optimizer_.param_groups
    callbacks = [callback for _, callback in net.callbacks_]
    return Trainee(
        module=net.module_,
        kind=kind,
        optimizer=type(net.optimizer_),
        settings={k: v for k, v in settings.items() if k != "params"},
        pacers=[c for c in callbacks if type(c).on_batch_begin in PACERS],
        X=X,
        rows=replace(rows, X=None, extra=None, features=None),
        objective=net.distillation_.loss.objective,
        order=EpochOrder.of(batches.loader),
        generator=generator,
        batch_size=batches.loader.batch_size,
        max_epochs=net.max_epochs,
        validates=valid is not None,
        device=str(net.device),
    )


def _check_module(net: Any) -> str:
    """Return the kind of a module; raise if it cannot share a step with others."""
    module, X = net.module_, net.distillation_.example
    if not isinstance(X, np.ndarray):
        raise Alone("the student's input is sparse")
    parameters = list(module.parameters())
    if not all(p.requires_grad and p.dtype == torch.float32 for p in parameters):
        raise Alone("the student has weights that are fixed, or not float32")
    if not parameters or any(True for _ in module.buffers()):
        raise Alone("the student's module has no weights, or keeps statistics")
    module.train()
    example = torch.tensor(X).to(net.device)
    weights = {name: w.detach()[None] for name, w in module.named_parameters()}
    try:
        outputs = first(outputs_of(module, weights, example[None]))[0]
    except (RuntimeError, NotImplementedError) as error:
        raise Alone("the student's module draws, or cannot be stacked") from error
    with torch.no_grad():
        expected = first(module(example))
    if not torch.allclose(outputs, expected, rtol=1e-4, atol=1e-5, equal_nan=True):
        raise Alone("the student's module gives something else in a stack")
    skeleton = copy.deepcopy(module)
    with torch.no_grad():
        for weight in skeleton.parameters():
            weight.zero_()
    kind = fingerprint(skeleton)
    if kind is None:
        raise Alone("the student's module cannot be pickled")
    return kind.checksum


def _check_training(net: Any) -> None:
    """Raise where a training does more than steps of a known kind."""
    groups = net.optimizer_.param_groups
    if type(net.optimizer_) not in _ELEMENTWISE or len(groups) > 1:
        raise Alone("the student's optimizer does not treat each weight by itself")
    loss: BatchLoss = net.distillation_.loss
    if loss.objective.is_hidden:
        raise Alone("a loss compares features")
    for epoch in range(net.max_epochs):
        loss.begin_epoch(epoch, net.max_epochs)
        if not has_gradient(loss, net.criterion_, net.device):
            raise Alone("loss is not 'kl', or the criterion is not CrossEntropyLoss()")
    if net.distillation_.callbacks:
        raise Alone("each epoch is reported")
    for _, callback in net.callbacks_:
        is_scoring = type(callback) is EpochScoring and not callback.on_train
        is_pacer = type(callback).on_batch_begin in PACERS
        if not (is_scoring or is_pacer or type(callback) in _BYSTANDERS):
            raise Alone(f"the student has the callback {type(callback).__name__}")


def sorted_into_stacks(
    trainees: Sequence[Trainee],
) -> tuple[list[list[int]], list[int]]:
    """Sort nets into stacks.

    Parameters
    ----------
    trainees : sequence of Trainee
        Changed such that equal arrays are one array.

    Returns
    -------
    stacks : list of list of int
        The numbers of the nets in each stack; of equal nets the first alone.
    first_of : list of int
        For each net, the number of the first one that is equal to it.
    """
    _share_arrays(trainees)
    first_of: list[int] = []
    seen: dict[Any, int] = {}
    for number, trainee in enumerate(trainees):
        first_of.append(seen.setdefault(_identity(trainee), number))
    groups: dict[Any, list[int]] = defaultdict(list)
    for number in dict.fromkeys(first_of):
        groups[_shape(trainees[number])].append(number)
    stacks = []
    for numbers in groups.values():
        on_cpu = torch.device(trainees[numbers[0]].device).type == "cpu"
        n_stacks = math.ceil(len(numbers) / MAX_NETS) if on_cpu else 1
        parts = np.array_split(np.array(numbers), n_stacks)
        stacks += [[int(number) for number in part] for part in parts]
    return stacks, first_of


def _share_arrays(trainees: Sequence[Trainee]) -> None:
    known: list[np.ndarray] = []

    def shared(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        for one in known:
            if one is value or (
                (one.shape, one.dtype) == (value.shape, value.dtype)
                and np.array_equal(one, value, equal_nan=True)
            ):
                return one
        known.append(value)
        return value

    for trainee in trainees:
        trainee.X = shared(trainee.X)
        arrays = {name: shared(value) for name, value in vars(trainee.rows).items()}
        trainee.rows = replace(trainee.rows, **arrays)


def _rows(trainee: Trainee) -> tuple[Any, ...]:
    """Return the identities of the shared arrays."""
    parts = (trainee.X, *vars(trainee.rows).values())
    return tuple(id(part) if isinstance(part, np.ndarray) else part for part in parts)


def _identity(trainee: Trainee) -> Any:
    """Return what two nets have in common that become equal."""
    loss = BatchLoss(trainee.objective, trainee.rows)
    schedule = []
    for epoch in range(trainee.max_epochs):
        loss.begin_epoch(epoch, trainee.max_epochs)
        soft = (loss.temperature, *trainee.objective.loss) if loss.alpha > 0 else ()
        schedule.append((loss.alpha, soft))
    weights = [w.detach().cpu().numpy().tobytes() for w in trainee.module.parameters()]
    return (
        _shape(trainee),
        _rows(trainee),
        tuple(schedule),
        repr(trainee.settings),
        trainee.generator.numpy().tobytes(),
        trainee.order.rows.numpy().tobytes(),
        *weights,
    )


def _shape(trainee: Trainee) -> Any:
    """Return what nets have in common that can be trained in one stack."""
    return (
        trainee.kind,
        trainee.optimizer,
        trainee.X.shape,
        trainee.rows.soft.shape,
        (len(trainee.order.rows), trainee.order.n_drawn),
        trainee.order.shuffles,
        trainee.validates,
        trainee.batch_size,
        trainee.max_epochs,
        tuple(map(type, trainee.pacers)),
        trainee.device,
    )
