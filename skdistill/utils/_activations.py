"""The activations of scikit-learn's multilayer perceptron, as torch has them."""

from __future__ import annotations

from typing import Literal

from torch import nn

Activation = Literal["identity", "logistic", "relu", "tanh"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
}
