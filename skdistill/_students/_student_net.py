"""The skorch net of the default student, which prints what differs from the default."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from skorch import NeuralNetClassifier, callbacks, dataset
from torch import nn

from skdistill._students._net import MLP, WarmupDecay

DEFAULTS = {
    "module": MLP,
    "module__hidden_layer_sizes": (64, 64),
    "module__activation": "relu",
    "module__dropout": 0.0,
    "module__periodic": False,
    "criterion": nn.CrossEntropyLoss,
    "optimizer": torch.optim.AdamW,
    # In a training of a few thousand steps, a shorter memory of the squared gradients
    # than torch's 0.999 gives better students, as in RealMLP (arXiv:2407.04491).
    "optimizer__betas": (0.9, 0.95),
    # Steps of one kernel.
    "optimizer__fused": True,
    "optimizer__weight_decay": None,
    "lr": 0.015,
    "max_epochs": None,
    "batch_size": 256,
    "callbacks": [("decay", WarmupDecay())],
    "iterator_train__shuffle": True,
    "train_split": None,
    "verbose": 0,
}


class StudentNet(NeuralNetClassifier):
    """A :class:`skorch.NeuralNetClassifier` with the defaults of :func:`make_student`.

    scikit-learn prints the parameters that differ from those of the signature.
    """

    def __init__(self, **params: Any) -> None:
        super().__init__(**{**copy.deepcopy(DEFAULTS), **params})

    def get_params(self, deep: bool = True, **kwargs: Any) -> dict[str, Any]:
        """Return the parameters, without a set that skorch keeps for itself."""
        params = super().get_params(deep=deep, **kwargs)
        return {k: v for k, v in params.items() if k != "_params_to_validate"}


def _signature() -> inspect.Signature:
    """Return the signature of skorch's net, with the defaults of the student."""
    defaults = NeuralNetClassifier(**DEFAULTS).get_params(deep=False)
    named = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        for name, default in defaults.items()
        if name != "_params_to_validate"
    ]
    own, rest = inspect.signature(StudentNet.__init__).parameters.values()
    return inspect.Signature([own, *named, rest])


StudentNet.__init__.__signature__ = _signature()  # type: ignore[attr-defined]


class EarlyStopping(callbacks.EarlyStopping):
    """skorch's early stopping, which prints its parameters."""

    def __repr__(self) -> str:
        return f"EarlyStopping(patience={self.patience}, load_best={self.load_best})"


class ValidSplit(dataset.ValidSplit):
    """skorch's validation set, which prints its share of the rows."""

    def __repr__(self) -> str:
        return f"ValidSplit({self.cv}, stratified={self.stratified})"
