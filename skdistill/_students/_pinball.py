"""The loss of quantiles."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PinballLoss(nn.Module):
    r"""The loss that is smallest for the quantiles of a distribution, a criterion.

    For the quantile :math:`s` of the level :math:`\tau`, it is
    :math:`\max(\tau (y - s), (\tau - 1) (y - s))`.

    Parameters
    ----------
    quantiles : sequence of float
        The level of each output.
    reduction : {"mean", "none"}, default="mean"
        Whether to return the mean over rows and outputs, or all values.
    """

    def __init__(self, quantiles: Sequence[float], reduction: str = "mean") -> None:
        super().__init__()
        self.quantiles, self.reduction = tuple(quantiles), reduction

    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the loss of outputs for targets of the same shape."""
        errors = y - outputs
        levels = errors.new_tensor(self.quantiles)
        losses = torch.maximum(levels * errors, (levels - 1) * errors)
        return losses.mean() if self.reduction == "mean" else losses
