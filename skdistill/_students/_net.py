"""The net of the default student, and how its learning rate falls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback, LRScheduler
from torch import Tensor, nn

from skdistill.utils._activations import ACTIVATIONS, Activation

# How many inputs of the first layer the encodings of all numeric columns may make.
_MAX_INPUTS = 256


class WarmupDecay(Callback):
    """Raise the learning rate over the first steps, then lower it to 0.

    It rises by equal steps over the first tenth of ``max_epochs`` epochs, and falls by
    equal steps over the others: the slanted triangular learning rates of `Howard and
    Ruder, 2018 <https://arxiv.org/abs/1801.06146>`__. skorch's ``LRScheduler`` has to
    be told how many steps there are. Each ``partial_fit`` goes on where the last one
    stopped. After ``max_epochs`` epochs in all, the rate stays at a tenth, such that
    further chunks of data add to what the net has learned and do not undo it.

    Beside a schedule of the person, or once another callback has set the rate, it does
    nothing.
    """

    WARMUP, AFTERWARDS = 0.1, 0.1

    def initialize(self) -> WarmupDecay:
        self.epoch_, self.is_idle_ = -1, False
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.rates_ = self.set_ = [group["lr"] for group in net.optimizer_.param_groups]
        self.is_idle_ |= any(isinstance(c, LRScheduler) for _, c in net.callbacks_)

    def on_epoch_begin(self, net: Any, dataset_train: Any, **kwargs: Any) -> None:
        n_rows, size = len(dataset_train), net.batch_size
        self.n_batches_ = math.ceil(n_rows / size) if size > 0 else 1
        self.epoch_ += 1
        self.batch_ = 0

    def on_batch_begin(self, net: Any, training: bool = True, **kwargs: Any) -> None:
        if training:
            self._set(net, self._share(net.max_epochs))
            self.batch_ += 1

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        self._set(net, 1.0)

    def _set(self, net: Any, share: float) -> None:
        """Set the rates to a share of the largest, unless somebody else sets them."""
        groups = net.optimizer_.param_groups
        self.is_idle_ = self.is_idle_ or any(
            # Schedules of torch leave a mark.
            "initial_lr" in group or group["lr"] != rate
            for group, rate in zip(groups, self.set_, strict=True)
        )
        if not self.is_idle_:
            self.set_ = [share * rate for rate in self.rates_]
            for group, rate in zip(groups, self.set_, strict=True):
                group["lr"] = rate

    def _share(self, max_epochs: int) -> float:
        """Return the share of the rate, in the middle of the step that comes."""
        done = (self.epoch_ + (self.batch_ + 0.5) / self.n_batches_) / max_epochs
        if done >= 1:
            return self.AFTERWARDS
        return min(done / self.WARMUP, (1 - done) / (1 - self.WARMUP))


class PeriodicEmbedding(nn.Module):
    """Three outputs for each column, of its sines and cosines at learned frequencies.

    For the value x of a column they are ``relu(W [cos(f), sin(f)] + b)`` with
    ``f = 2 pi c x``, where the column has its own frequencies c, weights W and b. See
    section 3.4 of `arXiv:2203.05556 <https://arxiv.org/abs/2203.05556>`__.

    Parameters
    ----------
    n_columns : int
        The number of columns.
    sigma : float
        The standard deviation of the initial frequencies.

    Attributes
    ----------
    frequencies : torch.nn.Parameter of shape (n_columns, 8)
        The frequencies.
    weight : torch.nn.Parameter of shape (n_columns, 16, 3)
        The weights.
    bias : torch.nn.Parameter of shape (n_columns, 3)
        The biases.
    """

    N_FREQUENCIES, N_OUTPUTS = 8, 3

    # What a person may do whose tools have no such layer.
    instead = "make_student(numeric='piecewise') makes a student without it"

    def __init__(self, n_columns: int, sigma: float) -> None:
        super().__init__()
        n_waves = 2 * self.N_FREQUENCIES
        bound = n_waves**-0.5  # as in nn.Linear
        self.frequencies = nn.Parameter(
            sigma * torch.randn(n_columns, self.N_FREQUENCIES)
        )
        self.weight, self.bias = (
            nn.Parameter(torch.empty(n_columns, *shape).uniform_(-bound, bound))
            for shape in ((n_waves, self.N_OUTPUTS), (self.N_OUTPUTS,))
        )

    def forward(self, X: Tensor) -> Tensor:
        """Return the outputs, of shape (n_samples, n_columns * 3)."""
        # By column, then by row: each column has weights of its own.
        angles = X.T.unsqueeze(2) * (2 * math.pi * self.frequencies.unsqueeze(1))
        waves = torch.cat([angles.cos(), angles.sin()], dim=2)
        outputs = torch.baddbmm(self.bias.unsqueeze(1), waves, self.weight)
        return torch.relu(outputs).transpose(0, 1).flatten(1)


class MLP(nn.Module):
    """A multilayer perceptron that returns logits, or numbers.

    Parameters
    ----------
    n_features : int
        The width of the input.
    n_outputs : int
        The width of the output: the number of classes, or of targets.
    hidden_layer_sizes : int or sequence of int, default=(64, 64)
        The number of units in each hidden layer.
    activation : {"identity", "logistic", "relu", "tanh"}, default="relu"
        The function after each hidden layer, by the names of
        :class:`sklearn.neural_network.MLPClassifier`.
    dropout : float, default=0.0
        The share of hidden units dropped at random in training, in [0, 1).
    periodic : bool, default=False
        Whether the numeric columns go into the first layer a second time, by a
        :class:`PeriodicEmbedding`. More than 85 columns do not, so that the net stays
        small for a wide table: they would add more than 256 inputs to its first layer.
    sigma : float, default=0.1
        The standard deviation of the initial frequencies of the embedding. Larger ones
        let the net learn functions with more bends, and overfit more.
    n_numeric : int, default=None
        The number of numeric columns, which are the first of the input. None means all.

    Attributes
    ----------
    embedding : PeriodicEmbedding or None
        The embedding, if there is one.
    layers : torch.nn.Sequential
        For each hidden layer a Linear, its activation and, where ``dropout`` is not
        0, a Dropout; then the Linear of the logits.

    Raises
    ------
    ValueError
        For an unknown activation, a layer without units, or a dropout or sigma out of
        range.

    Examples
    --------
    >>> import torch
    >>> from skdistill._students._net import MLP
    >>> mlp = MLP(n_features=3, n_outputs=2, hidden_layer_sizes=(8,))
    >>> mlp(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        hidden_layer_sizes: int | Sequence[int] = (64, 64),
        activation: Activation = "relu",
        dropout: float = 0.0,
        periodic: bool = False,
        sigma: float = 0.1,
        n_numeric: int | None = None,
    ) -> None:
        super().__init__()
        given = np.atleast_1d(hidden_layer_sizes)
        sizes = [int(size) for size in given]
        if min(sizes, default=1) < 1 or not np.array_equal(sizes, given):
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
        if not sigma > 0:
            raise ValueError(f"sigma must be positive, got {sigma!r}")
        self.n_numeric = n_features if n_numeric is None else n_numeric
        self.embedding = None
        most = _MAX_INPUTS // PeriodicEmbedding.N_OUTPUTS
        if periodic and 0 < self.n_numeric <= most:
            self.embedding = PeriodicEmbedding(self.n_numeric, sigma)
            n_features += self.n_numeric * PeriodicEmbedding.N_OUTPUTS
        layers: list[nn.Module] = []
        for width in sizes:
            layers += [nn.Linear(n_features, width), ACTIVATIONS[activation]()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            n_features = width
        self.layers = nn.Sequential(*layers, nn.Linear(n_features, n_outputs))

    def forward(self, X: Tensor) -> Tensor:
        """Return the outputs, of shape (n_samples, n_outputs)."""
        if self.embedding is not None:
            X = torch.cat([X, self.embedding(X[:, : self.n_numeric])], dim=1)
        logits: Tensor = self.layers(X)
        return logits
