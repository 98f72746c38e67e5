"""The net of the default student, and how its learning rate falls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from skorch.callbacks import Callback
from torch import Tensor, nn

from skdistill.utils._activations import ACTIVATIONS


class LinearDecay(Callback):
    """Lower the learning rate by equal steps, over the epochs of a ``fit``.

    With ``max_epochs`` epochs, the first has the whole rate and the last
    ``1 / max_epochs`` of it. skorch's ``LRScheduler`` has to be told how many there
    are. Each ``partial_fit`` of one epoch has the whole rate.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.epoch_ = 0
        self.rates_ = [group["lr"] for group in net.optimizer_.param_groups]

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        share = max(1 - self.epoch_ / net.max_epochs, 0)
        for group, rate in zip(net.optimizer_.param_groups, self.rates_, strict=True):
            group["lr"] = share * rate
        self.epoch_ += 1

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        for group, rate in zip(net.optimizer_.param_groups, self.rates_, strict=True):
            group["lr"] = rate


class MLP(nn.Module):
    """A multilayer perceptron that returns logits.

    Parameters
    ----------
    n_features : int
        The width of the input.
    n_classes : int
        The width of the output.
    hidden_layer_sizes : int or sequence of int, default=(64, 64)
        The number of units in each hidden layer.
    activation : {"identity", "logistic", "relu", "tanh"}, default="relu"
        The function after each hidden layer, by the names of
        :class:`sklearn.neural_network.MLPClassifier`.
    dropout : float, default=0.0
        The share of hidden units dropped at random in training, in [0, 1).

    Attributes
    ----------
    layers : torch.nn.Sequential
        For each hidden layer a Linear, its activation and, where ``dropout`` is not
        0, a Dropout; then the Linear of the logits.

    Raises
    ------
    ValueError
        For an unknown activation, a layer without units, or a dropout out of range.

    Examples
    --------
    >>> import torch
    >>> from skdistill._students._net import MLP
    >>> mlp = MLP(n_features=3, n_classes=2, hidden_layer_sizes=(8,))
    >>> mlp(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        hidden_layer_sizes: int | Sequence[int] = (64, 64),
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = [int(size) for size in np.atleast_1d(hidden_layer_sizes)]
        if min(sizes, default=1) < 1 or not np.array_equal(
            sizes, np.atleast_1d(hidden_layer_sizes)
        ):
            raise ValueError(
                "hidden_layer_sizes must be positive integers, got "
                f"{hidden_layer_sizes!r}"
            )
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {sorted(ACTIVATIONS)}, got {activation!r}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout!r}")
        layers: list[nn.Module] = []
        for width in sizes:
            layers += [nn.Linear(n_features, width), ACTIVATIONS[activation]()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            n_features = width
        self.layers = nn.Sequential(*layers, nn.Linear(n_features, n_classes))

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits, of shape (n_samples, n_classes)."""
        logits: Tensor = self.layers(X)
        return logits
