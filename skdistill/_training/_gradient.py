"""The gradient of alpha T^2 KL + (1 - alpha) CE in the logits, in closed form."""

from __future__ import annotations

from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.nn import CrossEntropyLoss
from torch.nn import functional as F

from skdistill._training._loss import BatchLoss, agrees, positive
from skdistill.losses import KLLoss
from skdistill.losses._logits import MAX_FLOAT32_TEMPERATURE
from skdistill.losses._numerics import at_least_float32


def has_gradient(loss: BatchLoss, criterion: Any) -> bool:
    """Tell whether :class:`LogitGradient` knows the loss of an epoch.

    With alpha = 0 it does not: then the student learns bit for bit as by itself.
    """
    terms = loss.objective.loss
    if loss.alpha == 0 or len(terms) != 1 or type(terms[0].loss) is not KLLoss:
        return False
    temperature = _temperature(loss)
    return (
        isinstance(temperature, Real)
        and 0 < float(temperature) <= MAX_FLOAT32_TEMPERATURE
        and type(criterion) is CrossEntropyLoss
        and criterion.weight is None
        and (criterion.reduction, criterion.ignore_index, criterion.label_smoothing)
        == ("mean", -100, 0.0)
    )


class LogitGradient:
    r"""The gradient of the loss of some batches, one after the other.

    With the weights :math:`w` of a row and the sum :math:`W` of
    :math:`\alpha w_\mathrm{soft} + (1 - \alpha) w_\mathrm{hard}` over its batch, the
    gradient in the logits of the row is

    .. math::

        \frac{\alpha w_\mathrm{soft}}{W} T (p_s^T - p_t^T)
            + \frac{(1 - \alpha) w_\mathrm{hard}}{W} (p_s - p_y),

    where :math:`p_y` is 1 at the label, or the pseudo-label. The parts without
    :math:`p_s` are computed for all batches at once, and so are the values of the
    loss, in the end. All arrays have a column for each row: there, a softmax over few
    classes is several times as fast.

    Parameters
    ----------
    loss : BatchLoss
        The loss, in one of its epochs.
    rows : Tensor of shape (n_rows,)
        The numbers of the rows in the transfer set.
    y : Tensor of shape (n_rows,)
        Their hard targets.
    batch_size : int
        How many rows a batch has; the last one may have fewer.
    device : str, torch.device or None
        Where the student computes.
    """

    def __init__(
        self, loss: BatchLoss, rows: Tensor, y: Tensor, batch_size: int, device: Any
    ) -> None:
        self.batch_size = batch_size
        teacher = loss.soft[rows].to(device).T
        self.temperature = float(_temperature(loss))
        self.term_weight = loss.objective.loss[0].weight
        self.labels = None
        if loss.alpha < 1:
            labels = loss.hard_targets(rows, y, len(teacher)).to(device)
            self.labels = labels.T.contiguous()
        self.proba = torch.softmax(teacher / self.temperature, dim=0)
        self.best = loss.best[rows].to(device)
        self.soft_weight, self.hard_weight = (
            torch.as_tensor(weight).expand(len(loss.soft))[rows].to(device)
            for weight in (loss.soft_weight, loss.hard_weight)
        )
        soft, hard = loss.alpha * self.soft_weight, (1 - loss.alpha) * self.hard_weight
        whole = positive(self._sums(soft + hard)).repeat_interleave(batch_size)
        whole = whole[: len(rows)]
        self.soft, self.hard = soft / whole, hard / whole
        self.temperatures, self.batches = self._prepare()
        self.logits: list[Tensor] = []

    def _prepare(self) -> tuple[list[float], list[tuple[Tensor, ...]]]:
        """Return the temperatures of the softmaxes, and the constants of each batch.

        These are the part of the gradient without the student, and for each temperature
        the factor of the student's probabilities in each row.
        """
        factors = {self.temperature: self.term_weight * self.temperature * self.soft}
        constant = -factors[self.temperature] * self.proba
        if self.labels is not None:
            factors[1.0] = factors.get(1.0, 0) + self.hard
            constant = constant - self.hard * self.labels
        parts = (constant, *factors.values())
        split = (part.split(self.batch_size, dim=-1) for part in parts)
        return list(factors), list(zip(*split, strict=True))

    def backward(self, logits: Tensor) -> None:
        """Propagate the gradient of the next batch from the student's logits."""
        gradient, *factors = self.batches[len(self.logits)]
        z = logits.detach().to(at_least_float32(logits.dtype)).T.contiguous()
        self.logits.append(z)
        for temperature, factor in zip(self.temperatures, factors, strict=True):
            p = torch.softmax(z / temperature, dim=0)
            gradient = torch.addcmul(gradient, factor, p)
        logits.backward(gradient.T)

    def values(self) -> dict[str, Tensor]:
        """Return the loss of each batch, and what :class:`BatchLoss` shows of it."""
        z = torch.cat(self.logits, dim=1)
        log_p = torch.log_softmax(z / self.temperature, dim=0)
        soft = F.kl_div(log_p, self.proba, reduction="none").sum(dim=0)
        soft = self.term_weight * self.temperature**2 * soft
        same = agrees(z.T, self.best).float()
        found = {"loss_soft": self._means(soft, self.soft_weight)}
        total = self._sums(self.soft * soft)
        if self.labels is not None:
            hard = -(self.labels * torch.log_softmax(z, dim=0)).sum(dim=0)
            found["loss_hard"] = self._means(hard, self.hard_weight)
            total = total + self._sums(self.hard * hard)
        agreement = self._means(same, torch.ones_like(same))
        return found | {"agreement": agreement, "loss": total}

    def _means(self, values: Tensor, weight: Tensor) -> Tensor:
        return self._sums(weight * values) / positive(self._sums(weight))

    def _sums(self, values: Tensor) -> Tensor:
        """Return the sum of each batch."""
        whole = F.pad(values, (0, -len(values) % self.batch_size))
        return whole.view(-1, self.batch_size).sum(dim=1)


def _temperature(loss: BatchLoss) -> Any:
    own = loss.objective.loss[0].loss.temperature
    return loss.temperature if own is None else own
