"""The parts of a student, and what it leaves open."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from skorch import (
    NeuralNet,
    NeuralNetBinaryClassifier,
    NeuralNetClassifier,
    NeuralNetRegressor,
)

from skdistill._students._budget import shape_of, widths_within
from skdistill._students._pinball import PinballLoss

# How many times a student that leaves it open goes over as many rows as there are
# training rows, without and with rows beyond them.
PASSES, _PASSES_WITH_EXTRA = 60, 200

# It goes over no more rows than this in all, 20,000 batches of 256, so that the time of
# a training is bounded. With 20,000 training rows and 100,000 made ones, it is less.
_MAX_ROWS = 20_000 * 256

# With few rows it takes at least this many steps, as a pass is only a few.
_MIN_STEPS = 300


@dataclass(frozen=True)
class LeftOpen:
    """The values of parameters that a student leaves open.

    The defaults are for a training of which nothing else is known.

    Attributes
    ----------
    weight_decay : float
        The weight decay.
    numeric : {"standard", "piecewise"}
        The encoding of numbers.
    passes : int
        How many times a student goes over the training rows, if there are no others.
    """

    weight_decay: float = 0.1
    numeric: str = "piecewise"
    passes: int = PASSES


# By the task: which nets can be students, how a module becomes one, and what has an
# output.
_NETS = {
    "classification": (
        NeuralNetClassifier,
        "NeuralNetClassifier(module, criterion=torch.nn.CrossEntropyLoss)",
        "class",
    ),
    "regression": (NeuralNetRegressor, "NeuralNetRegressor(module)", "target"),
    "multilabel": (
        NeuralNet,
        "NeuralNetClassifier(module, criterion=torch.nn.BCEWithLogitsLoss)",
        "label",
    ),
}


def net_of(student: Any, task: str | None = None) -> Any:
    """Return the net in a student, or raise a TypeError that says what one is.

    With a ``task``, such as "classification", it must be a net for that.
    """
    net = student[-1] if isinstance(student, Pipeline) else student
    wanted, wrapped, of = _NETS[task or "classification"]
    if isinstance(net, torch.nn.Module):
        raise TypeError(
            f"the student is the torch module {type(net).__name__}; wrap it in a net: "
            f"skorch.{wrapped}"
        )
    kinds = wanted if task else tuple(kind for kind, *_ in _NETS.values())
    if isinstance(net, Pipeline):
        raise TypeError(
            "the student is a Pipeline in a Pipeline: make one of the steps of both, "
            "Pipeline([*outer.steps[:-1], *inner.steps])"
        )
    if isinstance(net, NeuralNetBinaryClassifier) or not isinstance(net, kinds):
        what = f"the class {net.__name__}" if isinstance(net, type) else type(net)
        call = "make_student(hidden_layer_sizes=...)"
        if task in ("regression", "multilabel"):
            call = f"make_student(task={task!r})"
        raise TypeError(
            f"the student must be None, a skorch.{wanted.__name__} with an output for "
            f"each {of}, or a Pipeline that ends in one, got {what}. {call} makes one"
        )
    of_labels = _takes_labels(net.criterion)
    if task == "multilabel" and not of_labels:
        raise TypeError(
            "the criterion of a student of several labels is "
            f"torch.nn.BCEWithLogitsLoss, got {net.criterion!r:.80}: "
            f"make_student(task='multilabel') makes one, or skorch.{wrapped}"
        )
    if task == "classification" and of_labels:
        raise TypeError(
            "the criterion BCEWithLogitsLoss is one of several labels, and there is a "
            f"class for each row: make_student() makes a student, or skorch.{wrapped}"
        )
    return net


def learns_labels(student: Any) -> bool:
    """Tell whether a student, such as the default, learns several labels a row."""
    net = student[-1] if isinstance(student, Pipeline) else student
    return net is None or _takes_labels(getattr(net, "criterion", None))


def _takes_labels(criterion: Any) -> bool:
    """Tell whether a criterion, or its class, compares a logit with each label."""
    return _is_kind(criterion, torch.nn.BCEWithLogitsLoss)


def _is_kind(criterion: Any, kind: type) -> bool:
    """Tell whether a criterion, or a class of them, is of a kind."""
    own = criterion if isinstance(criterion, type) else type(criterion)
    return issubclass(own, kind)


def takes_tables(student: Any) -> bool:
    """Tell whether a student takes tables of all kinds, as the default does."""
    if not isinstance(student, Pipeline):
        return student is None
    first = student.steps[0][1]
    if not hasattr(first, "__sklearn_tags__"):
        return False
    tags = get_tags(first).input_tags
    return bool(tags.categorical and tags.string and tags.allow_nan)


def numeric_of(student: Any) -> str | None:
    """Return how the first step of a student encodes numbers, if it says so."""
    if not isinstance(student, Pipeline):
        return None
    return getattr(student[0], "numeric", None)


def take_options(trained: Any, net: Any) -> None:
    """Give a net that is trained on the numbers and strings among another's options."""
    now = trained.get_params(deep=False)
    trained.set_params(
        **{
            name: value
            for name, value in net.get_params(deep=False).items()
            if isinstance(value, str | Real) and now.get(name) != value
        }
    )


def settle(student: Any, left_open: LeftOpen) -> None:
    """Set what a student leaves open of its encoding and its weight decay."""
    net = net_of(student)
    # Of the optimizers of torch, it suits AdamW alone: to others, most of which add it
    # to the gradient, the same number is another decay.
    is_open = getattr(net, "optimizer__weight_decay", 0.0) is None
    if is_open and net.optimizer is torch.optim.AdamW:
        net.set_params(optimizer__weight_decay=left_open.weight_decay)
    if numeric_of(student) == "auto":
        student[0].set_params(numeric=left_open.numeric)


def settle_criterion(
    net: Any, loss: Any, quantiles: Sequence[float] | None = None
) -> None:
    """Set the criterion of a net that leaves it open: that of a loss, if it has one.

    That of quantiles is the pinball loss of their levels. Raise a TypeError for a
    person's own criterion on logarithms if the loss is on numbers, or if it is the
    other way round.
    """
    criterion = getattr(loss, "criterion", None)
    takes_logs = _is_kind(criterion, torch.nn.PoissonNLLLoss)
    if net.criterion is not None:
        if takes_logs != _is_kind(net.criterion, torch.nn.PoissonNLLLoss):
            raise TypeError(
                "a student of loss='poisson' returns logarithms, for the criterion "
                "torch.nn.PoissonNLLLoss, and one of another loss does not: set both, "
                f"or neither. The criterion is {net.criterion!r:.80}"
            )
        return
    if takes_logs:
        net.set_params(predict_nonlinearity=torch.exp)
    params = {} if criterion is None else loss.criterion_params()
    if quantiles is not None:
        criterion, params = PinballLoss, {"quantiles": quantiles}
    net.set_params(
        criterion=criterion or torch.nn.MSELoss,
        **{f"criterion__{name}": value for name, value in params.items()},
    )


def settle_epochs(net: Any, n_own: int, n_rows: int, passes: int = PASSES) -> None:
    """Set the number of epochs of a net that leaves it open.

    There are as many steps as ``passes`` over the ``n_own`` training rows alone would
    take: further rows bear more of them before a student overfits. Of very many rows,
    one pass is enough.
    """
    if net.max_epochs is not None:
        return
    passes = passes if n_rows == n_own else _PASSES_WITH_EXTRA
    n_batches = math.ceil(n_rows / net.batch_size) if net.batch_size > 0 else 1
    n_epochs = min(round(passes * n_own / n_rows), _MAX_ROWS // n_rows)
    net.set_params(max_epochs=max(n_epochs, math.ceil(_MIN_STEPS / n_batches)))


def settle_layers(student: Any, n_features: int, n_outputs: int) -> None:
    """Set the largest hidden layers that a net with ``max_bytes`` may have."""
    net = net_of(student)
    if getattr(net, "max_bytes", None) is None:
        return
    first = student[0] if isinstance(student, Pipeline) else None
    widths = widths_within(net.max_bytes, shape_of(first, n_features), n_outputs)
    net.set_params(module__hidden_layer_sizes=widths)


def settle_widths(student: Any, X: Any, n_outputs: int) -> None:
    """Tell a net's module its widths, where it asks and the person has not told it."""
    net = net_of(student)
    if isinstance(net.module, torch.nn.Module):  # it has its widths already
        return
    asked = inspect.signature(net.module).parameters
    told = net.get_params_for("module")
    widths = {"n_outputs": n_outputs, "n_classes": n_outputs}
    if getattr(X, "ndim", None) == 2:
        widths["n_features"] = X.shape[1]
        settle_layers(student, X.shape[1], n_outputs)
    if isinstance(student, Pipeline) and hasattr(student[0], "n_numeric_"):
        widths["n_numeric"] = student[0].n_numeric_
    missing = {k: v for k, v in widths.items() if k in asked and k not in told}
    net.set_params(**{f"module__{name}": width for name, width in missing.items()})
