"""Checks of what a student's module returns in training, and its logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skdistill.utils._probabilities import nonlinearity_of, returns_logits


def check_outputs(net: Any, outputs: Tensor) -> None:
    """Raise if the outputs are not one column for each class."""
    n_classes = net.distillation_.n_classes
    if outputs.ndim != 2 or outputs.shape[1] != n_classes:
        raise ValueError(
            f"the student's module returns shape {tuple(outputs.shape)}, expected "
            f"(n_samples, {n_classes}), a column for each class: give the module a "
            "parameter n_classes, which is then set for you, or set its width"
        )
    if returns_logits(net) or len(net.history) > 1:
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
