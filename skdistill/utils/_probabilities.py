"""From the outputs of a net's module to probabilities: the one rule for all nets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def first(outputs: Any) -> Tensor:
    """Return the outputs that predictions use: the first item of a tuple."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


def returns_logits(net: Any) -> bool:
    """Tell whether the criterion of a net is one that takes logits.

    A net that was loaded from a file has no criterion.
    """
    return _of_criterion(net) is not identity


def nonlinearity_of(net: Any) -> Callable[[Tensor], Tensor]:
    """Return the function that makes probabilities of what an initialized net returns.

    It is the ``predict_nonlinearity`` of the net if that is callable; :func:`softmax`
    if the net was trained by cross-entropy, or :func:`sigmoid` if by that of several
    labels; otherwise :func:`identity`.
    """
    given = net.predict_nonlinearity
    return given if callable(given) else _of_criterion(net)


def _of_criterion(net: Any) -> Callable[[Tensor], Tensor]:
    criterion = net.criterion_
    criterion = getattr(criterion, "_orig_mod", criterion)  # torch.compile wraps it
    if isinstance(criterion, nn.CrossEntropyLoss):
        return softmax
    return sigmoid if isinstance(criterion, nn.BCEWithLogitsLoss) else identity


def to_proba(outputs: Any, nonlinearity: Callable[[Tensor], Tensor]) -> Tensor:
    """Return what a module returned as probabilities, by the function of its net.

    Their rows sum to 1, but for those of several labels.
    """
    outputs = first(outputs)
    if nonlinearity in (softmax, sigmoid):
        return nonlinearity(outputs)
    proba = nonlinearity(outputs)
    return proba / proba.sum(dim=1, keepdim=True)


def are_probabilities(outputs: Any) -> bool:
    """Tell whether all rows of a tensor or an array look like a softmax's."""
    return bool((outputs >= 0).all() and (abs(outputs.sum(1) - 1) < 1e-2).all())


def softmax(logits: Tensor) -> Tensor:
    """Return the softmax of each row."""
    return torch.softmax(logits, dim=1)


def sigmoid(logits: Tensor) -> Tensor:
    """Return the probability of each label."""
    return torch.sigmoid(logits)


def identity(outputs: Tensor) -> Tensor:
    """Return outputs that are probabilities already."""
    return outputs
