"""The default student: column-aware preprocessing and a small net."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import Tensor, nn

from skdistill._students._tabular import TabularPreprocessor

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
}


def make_student(
    hidden_layer_sizes: int | Sequence[int] = (64, 64),
    *,
    activation: str = "relu",
    dropout: float = 0.0,
    lr: float = 0.01,
    max_epochs: int = 30,
    batch_size: int = 128,
    weight_decay: float = 0.03,
    device: str | torch.device = "cpu",
) -> Pipeline:
    """Make the default student: preprocessing of tables, and a small net.

    Every argument is the start value of a parameter of the net, and can be searched
    over or set later under the name given here.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(64, 64)
        How many units each hidden layer has; empty for a linear model
        (``net__module__hidden_layer_sizes``).
    activation : {"identity", "logistic", "relu", "tanh"}, default="relu"
        What follows each hidden layer (``net__module__activation``).
    dropout : float, default=0.0
        The share of hidden units dropped at random in training, in [0, 1)
        (``net__module__dropout``).
    lr : float, default=0.01
        The learning rate of AdamW in the first epoch (``net__lr``). It falls by equal
        steps towards 0, so that no late step leaves the student worse than before.
    max_epochs : int, default=30
        How many times the training goes over all rows (``net__max_epochs``).
    batch_size : int, default=128
        How many rows make a training step (``net__batch_size``).
    weight_decay : float, default=0.03
        The weight decay of AdamW: each step shrinks the weights by
        ``lr * weight_decay`` (``net__optimizer__weight_decay``).
    device : str or torch.device, default="cpu"
        Where torch computes, such as "cuda" (``net__device``).

    Returns
    -------
    student : sklearn.pipeline.Pipeline
        An unfitted pipeline of two steps. "preprocess" takes arrays and data frames
        of any library, with strings and missing values, and makes standardized
        float32 columns of them. "net" is a :class:`skorch.NeuralNetClassifier` around
        a multilayer perceptron that returns logits. It trains on all rows: no part is
        set aside for validation.

    See Also
    --------
    DistilledClassifier : Trains the student to behave like a teacher.

    Notes
    -----
    In a data frame, columns of numbers and of booleans are numeric: missing values
    become the median, then the column is standardized and clipped to 10 standard
    deviations. Columns of strings and of categories are one-hot encoded, with missing
    as one more level. A level is known if at least ``preprocess__min_frequency`` rows
    have it (default 10, or 1 % of the rows where that is less), up to the
    ``preprocess__max_categories`` (default 50) most frequent ones of a column. Any
    other level, rare or unseen, is zero in all columns. Dates are refused.

    The net's input and output widths are left open: ``DistilledClassifier`` sets
    ``net__module__n_features`` and ``net__module__n_classes`` when it fits.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> student = make_student(hidden_layer_sizes=(16,), batch_size=32)
    >>> list(student.named_steps)
    ['preprocess', 'net']
    >>> clf = DistilledClassifier(forest, student, random_state=0).fit(X, y)
    >>> bool(clf.score(X, y) > 0.9)
    True
    """
    net = NeuralNetClassifier(
        MLP,
        module__hidden_layer_sizes=hidden_layer_sizes,
        module__activation=activation,
        module__dropout=dropout,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=weight_decay,
        lr=lr,
        max_epochs=max_epochs,
        batch_size=batch_size,
        callbacks=[("decay", LinearDecay())],
        iterator_train__shuffle=True,
        train_split=None,
        device=device,
        verbose=0,
    )
    # A net takes arrays alone, also where scikit-learn is set to give data frames.
    preprocess = TabularPreprocessor().set_output(transform="default")
    return Pipeline([("preprocess", preprocess), ("net", net)])


class LinearDecay(Callback):
    """Lowers the learning rate by equal steps, over the epochs of a ``fit``.

    Of ``max_epochs`` epochs the first has the whole rate, and the last a share of
    ``1 / max_epochs``; skorch's ``LRScheduler`` would have to be told how many there
    are. Each ``partial_fit`` of one epoch has the whole rate.
    """

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
        How many units each hidden layer has.
    activation : {"identity", "logistic", "relu", "tanh"}, default="relu"
        What follows each hidden layer, under the names of
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
    >>> from skdistill._students._make_student import MLP
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
        if activation not in _ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {sorted(_ACTIVATIONS)}, got {activation!r}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout!r}")
        layers: list[nn.Module] = []
        for width in sizes:
            layers += [nn.Linear(n_features, width), _ACTIVATIONS[activation]()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            n_features = width
        self.layers = nn.Sequential(*layers, nn.Linear(n_features, n_classes))

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits, of shape (n_samples, n_classes)."""
        logits: Tensor = self.layers(X)
        return logits
