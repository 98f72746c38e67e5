"""The gradient of alpha T^2 KL + (1 - alpha) CE in the logits, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.nn import CrossEntropyLoss
from torch.nn import functional as F

from skdistill._training._loss import BatchLoss, agrees, positive
from skdistill.losses import KLLoss
from skdistill.losses._logits import MAX_FLOAT32_TEMPERATURE


def has_gradient(loss: BatchLoss, criterion: Any, device: Any = "cpu") -> bool:
    """Tell whether :class:`LogitGradient` knows the loss of an epoch."""
    terms = loss.objective.loss
    if len(terms) != 1 or type(terms[0].loss) is not KLLoss:
        return False
    temperature = _temperature(loss)
    return (
        isinstance(temperature, Real)
        and 0 < float(temperature) < math.inf
        # Apple's GPUs have no float64.
        and not (_is_high(float(temperature)) and torch.device(device).type == "mps")
        and type(criterion) is CrossEntropyLoss
        and criterion.weight is None
        and (criterion.reduction, criterion.ignore_index, criterion.label_smoothing)
        == ("mean", -100, 0.0)
    )


@dataclass(frozen=True)
class Targets:
    """What a student learns of some rows, in the order in which it meets them.

    Attributes
    ----------
    logits : Tensor of shape (n_rows, n_classes)
        The teacher's logits.
    labels : Tensor of shape (n_rows, n_classes), or None
        The hard targets as probabilities. None if alpha is 1.
    best : Tensor of shape (n_rows,)
        The class that the teacher names.
    soft_weight, hard_weight : Tensor of shape (n_rows,)
        The weights of the two targets.
    temperature, alpha, term_weight : float, or Tensor of shape (n_rows,)
        Those of the loss; the last one is the weight of its term.
    """

    logits: Tensor
    labels: Tensor | None
    best: Tensor
    soft_weight: Tensor
    hard_weight: Tensor
    temperature: float | Tensor
    alpha: float | Tensor
    term_weight: float | Tensor


def targets_of(
    loss: BatchLoss, rows: Tensor, y: Tensor, device: Any, *, labels: bool = False
) -> Targets:
    """Return what the rows of an epoch teach.

    Parameters
    ----------
    loss : BatchLoss
        The loss, in one of its epochs.
    rows : Tensor of shape (n_rows,)
        The numbers of the rows in the transfer set.
    y : Tensor of shape (n_rows,)
        Their hard targets.
    device : str, torch.device or None
        Where the student computes.
    labels : bool, default=False
        Whether to return the hard targets even if alpha is 1.
    """
    found = None
    if labels or loss.alpha < 1:
        found = loss.hard_targets(rows, y, loss.soft.shape[1]).to(device)
    soft_weight, hard_weight = (
        torch.as_tensor(weight).expand(len(loss.soft))[rows].to(device)
        for weight in (loss.soft_weight, loss.hard_weight)
    )
    return Targets(
        logits=loss.soft[rows].to(device),
        labels=found,
        best=loss.best[rows].to(device),
        soft_weight=soft_weight,
        hard_weight=hard_weight,
        temperature=float(_temperature(loss)),
        alpha=loss.alpha,
        term_weight=loss.objective.loss[0].weight,
    )


class LogitGradient:
    r"""The gradient of the loss of some batches, one step after the other.

    With the weights :math:`w` of a row and the sum :math:`W` of
    :math:`\alpha w_\mathrm{soft} + (1 - \alpha) w_\mathrm{hard}` over its batch, the
    gradient in the logits of the row is

    .. math::

        \frac{\alpha w_\mathrm{soft}}{W} T (p_s^T - p_t^T)
            + \frac{(1 - \alpha) w_\mathrm{hard}}{W} (p_s - p_y),

    where :math:`p_y` is 1 at the label, or the pseudo-label. The parts without
    :math:`p_s` are computed for all batches at once, and so are the values of the
    loss, in the end. All arrays have a column for each row: there, a softmax over few
    classes is several times as fast. Where the temperature is so high that float32 is
    too coarse for the difference of two softened probabilities, all is float64.

    Parameters
    ----------
    targets : Targets
        What the rows teach.
    batch_size : int
        How many rows a batch has; the last one may have fewer.
    n_batches : int, default=1
        How many batches a step has: one for each student that learns beside others.
    """

    def __init__(self, targets: Targets, batch_size: int, n_batches: int = 1) -> None:
        self.batch_size, self.n_rows = batch_size, batch_size * n_batches
        self.temperature, self.term_weight = targets.temperature, targets.term_weight
        self.dtype = torch.float64 if _is_high(self.temperature) else torch.float32
        self.labels = None
        if targets.labels is not None:
            self.labels = targets.labels.T.to(self.dtype).contiguous()
        logits = targets.logits.T.to(self.dtype)
        self.proba = torch.softmax(logits / self.temperature, dim=0)
        self.best = targets.best
        self.soft_weight, self.hard_weight = targets.soft_weight, targets.hard_weight
        soft = targets.alpha * self.soft_weight
        hard = (1 - targets.alpha) * self.hard_weight
        whole = positive(self._sums(soft + hard)).repeat_interleave(batch_size)
        whole = whole[: len(self.best)]
        self.soft, self.hard = soft / whole, hard / whole
        self.steps = self._prepare()
        self.logits: list[Tensor] = []

    def _prepare(self) -> list[tuple[Tensor, list[tuple[Any, Tensor]]]]:
        """Return the constants of each step.

        These are the part of the gradient without the student, and for each temperature
        the factor of the student's probabilities in each row.
        """
        factor = self.term_weight * self.temperature * self.soft
        constant = -factor * self.proba
        softmaxes = [(self.temperature, factor)]
        if self.labels is not None:
            constant = constant - self.hard * self.labels
            if isinstance(self.temperature, float) and self.temperature == 1:
                softmaxes = [(1.0, factor + self.hard)]
            else:
                softmaxes.append((1.0, self.hard))
        starts = range(0, len(self.best), self.n_rows)
        steps = [slice(start, start + self.n_rows) for start in starts]
        return [
            (constant[:, step], [(_of(t, step), f[step]) for t, f in softmaxes])
            for step in steps
        ]

    def backward(self, logits: Tensor) -> None:
        """Propagate the gradient of the next step from the student's logits."""
        gradient, softmaxes = self.steps[len(self.logits)]
        z = logits.detach()
        z = z.to(torch.promote_types(z.dtype, self.dtype)).T.contiguous()
        self.logits.append(z)
        for temperature, factor in softmaxes:
            p = torch.softmax(z / temperature, dim=0)
            gradient = torch.addcmul(gradient, factor, p)
        logits.backward(gradient.T.to(logits.dtype))

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


def _is_high(temperature: float | Tensor) -> bool:
    highest = temperature.max() if isinstance(temperature, Tensor) else temperature
    return bool(highest > MAX_FLOAT32_TEMPERATURE)


def _of(value: Any, step: slice) -> Any:
    return value[step] if isinstance(value, Tensor) else value


def _temperature(loss: BatchLoss) -> Any:
    own = loss.objective.loss[0].loss.temperature
    return loss.temperature if own is None else own
