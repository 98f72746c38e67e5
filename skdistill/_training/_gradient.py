"""The gradient of alpha T^2 KL + (1 - alpha) CE in closed form; of squared errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.nn import BCEWithLogitsLoss, CrossEntropyLoss

from skdistill._targets._target import Target
from skdistill._training._loss import BatchLoss, positive
from skdistill._training._objective import Objective
from skdistill.losses import KLLoss, PoissonLoss, SquaredErrorLoss
from skdistill.losses._logits import MAX_FLOAT32_TEMPERATURE


def has_gradient(objective: Objective, net: Any) -> bool:
    """Tell whether :class:`OutputGradient` knows the loss of a net."""
    if len(objective.loss) != 1:
        return False
    loss, criterion = objective.loss[0].loss, net.criterion_
    if type(loss) in (SquaredErrorLoss, PoissonLoss):
        is_stock = type(criterion) is loss.criterion and criterion.reduction == "mean"
        return is_stock or objective.alpha == 1
    if type(loss) is not KLLoss:
        return False
    own = loss.temperature
    return (
        (own is None or (isinstance(own, Real) and 0 < float(own) < math.inf))
        # Apple's GPUs have no float64, in which the loss at high temperatures is.
        and torch.device(net.device or "cpu").type != "mps"
        and type(criterion) in (CrossEntropyLoss, BCEWithLogitsLoss)
        and _is_stock(criterion)
    )


def _is_stock(criterion: Any) -> bool:
    """Tell whether a criterion is the plain cross-entropy of a class, or of labels."""
    if criterion.weight is not None or criterion.reduction != "mean":
        return False
    if type(criterion) is BCEWithLogitsLoss:
        return criterion.pos_weight is None
    return (criterion.ignore_index, criterion.label_smoothing) == (-100, 0.0)


@dataclass(frozen=True)
class Targets:
    """What a student learns of some rows, in the order in which it meets them.

    Attributes
    ----------
    soft : Tensor of shape (n_rows, n_classes)
        The teacher's logits.
    hard : Tensor of shape (n_rows, n_classes)
        The hard targets as probabilities.
    best : Tensor of shape (n_rows,) or (n_rows, n_labels), or None
        The class that the teacher names, or whether it names a label, if there are any.
    soft_weight, hard_weight : Tensor of shape (n_rows,)
        The weights of the two targets.
    output_weight : Tensor of shape (n_rows, n_labels), or None
        The weights of the labels in each row, if they differ.
    temperature, alpha, term_weight : float, or Tensor of shape (n_rows,)
        Those of the loss; the last one is the weight of its term.
    kind : Target
        What is learned.
    """

    soft: Tensor
    hard: Tensor
    best: Tensor | None
    soft_weight: Tensor
    hard_weight: Tensor
    output_weight: Tensor | None
    temperature: float | Tensor
    alpha: float | Tensor
    term_weight: float | Tensor
    kind: Target


def targets_of(loss: BatchLoss, rows: Tensor, device: Any) -> Targets:
    """Return what rows teach in an epoch of a loss, given their numbers.

    They are on the device where the student computes.
    """
    soft_weight, hard_weight = (
        torch.as_tensor(weight).expand(len(loss.soft))[rows].to(device)
        for weight in (loss.soft_weight, loss.hard_weight)
    )
    term = loss.objective.loss[0]
    own = getattr(term.loss, "temperature", None)
    return Targets(
        soft=loss.soft[rows].to(device),
        hard=loss.hard_targets(rows).to(device),
        best=None if loss.best is None else loss.best[rows].to(device),
        soft_weight=soft_weight,
        hard_weight=hard_weight,
        output_weight=loss.output_weight_of(rows, device),
        temperature=float(loss.temperature if own is None else own),
        alpha=loss.alpha,
        term_weight=term.weight,
        kind=loss.target,
    )


def side_by_side(targets: list[Targets], batch_size: int) -> Targets:
    """Return the targets of several nets batch by batch, and in a batch net by net."""
    if len(targets) == 1:
        return targets[0]

    def interleaved(name: str) -> Any:
        parts = [getattr(one, name) for one in targets]
        if name == "output_weight" and any(part is not None for part in parts):
            pairs = zip(targets, parts, strict=True)
            parts = [torch.ones_like(t.hard) if w is None else w for t, w in pairs]
        if not isinstance(parts[0], Tensor):
            if name == "kind" or parts[0] is None or len(set(parts)) == 1:
                return parts[0]
            like = targets[0].soft_weight
            parts = [torch.full_like(like, part) for part in parts]
        both = torch.stack([part.unflatten(0, (-1, batch_size)) for part in parts])
        return both.transpose(0, 1).flatten(0, 2)

    return Targets(**{name: interleaved(name) for name in vars(targets[0])})


class OutputGradient:
    r"""The gradient of the loss of some batches, one step after the other.

    With the weights :math:`w` of a row and the sum :math:`W` of
    :math:`\alpha w_\mathrm{soft} + (1 - \alpha) w_\mathrm{hard}` over its batch, the
    gradient in the outputs for the row is

    .. math::

        \frac{\alpha w_\mathrm{soft}}{W} T (p_s^T - p_t^T)
            + \frac{(1 - \alpha) w_\mathrm{hard}}{W} (p_s - p_y),

    where :math:`p` is what outputs stand for (``mean`` of the target: a softmax for
    classes), and :math:`p_y` the hard target or the pseudo-label. The parts without
    :math:`p_s` are computed for all batches at once, and so are the values of the
    loss, in the end. All arrays have a column for each row: there, a softmax over few
    classes is several times as fast. Where the temperature is so high that float32 is
    too coarse for the difference of two softened probabilities, all is float64.

    Parameters
    ----------
    targets : Targets
        What the rows teach.
    batch_size : int
        How many rows a batch has.
    n_batches : int, default=1
        How many batches a step has: one for each student that learns beside others.
    """

    def __init__(self, targets: Targets, batch_size: int, n_batches: int = 1) -> None:
        self.batch_size, self.n_batches, self.kind = batch_size, n_batches, targets.kind
        self.temperature, self.term_weight = targets.temperature, targets.term_weight
        is_high = torch.as_tensor(self.temperature).max() > MAX_FLOAT32_TEMPERATURE
        self.dtype = torch.float64 if is_high else torch.float32
        self.hard = targets.hard.T.to(self.dtype).contiguous()
        self.teacher = targets.soft.T.to(self.dtype) / self.temperature
        self.soft = self.kind.mean(self.teacher)
        self.best = targets.best
        self.output_weight: Any = 1.0
        if targets.output_weight is not None:
            self.output_weight = targets.output_weight.T.to(self.dtype)
        self.soft_weight, self.hard_weight = targets.soft_weight, targets.hard_weight
        soft_share = targets.alpha * self.soft_weight
        hard_share = (1 - targets.alpha) * self.hard_weight
        whole = positive(self._sums(soft_share + hard_share))
        whole = whole.repeat_interleave(batch_size)
        self.soft_share, self.hard_share = soft_share / whole, hard_share / whole
        self.steps = self._prepare()
        self.kept: list[Tensor] = []

    def _prepare(self) -> list[tuple[Tensor, list[tuple[Any, Tensor]]]]:
        """Return the constants of each step.

        These are the part of the gradient without the student, and for each temperature
        the factor of the student's probabilities in each row.
        """
        factor = self.term_weight * self.temperature * self.soft_share
        slope = self.kind.slope(len(self.soft))
        slope = slope * self.output_weight
        factor, hard_share = slope * factor, slope * self.hard_share
        constant = -factor * self.soft - hard_share * self.hard
        softmaxes = [(self.temperature, factor), (1.0, hard_share)]
        if isinstance(self.temperature, float) and self.temperature == 1:
            softmaxes = [(1.0, factor + hard_share)]
        n_rows = self.batch_size * self.n_batches
        starts = range(0, factor.shape[-1], n_rows)
        steps = [slice(start, start + n_rows) for start in starts]
        return [
            (
                constant[:, step],
                [
                    (t[step] if isinstance(t, Tensor) else t, factor[..., step])
                    for t, factor in softmaxes
                ],
            )
            for step in steps
        ]

    def backward(self, outputs: Tensor) -> None:
        """Propagate the gradient of the next step from the student's outputs."""
        gradient, softmaxes = self.steps[len(self.kept)]
        z = self.keep(outputs)
        for temperature, factor in softmaxes:
            mean = self.kind.mean(z / temperature)
            gradient = torch.addcmul(gradient, factor, mean)
        outputs.backward(gradient.T.to(outputs.dtype))

    def keep(self, outputs: Tensor) -> Tensor:
        """Keep outputs of the next batches for the values; return them transposed."""
        z = outputs.detach()
        z = z.to(torch.promote_types(z.dtype, self.dtype)).T.contiguous()
        self.kept.append(z)
        return z

    def outputs(self) -> Tensor:
        """Return the outputs, of shape (n_batches, n_rows, n_classes)."""
        z = torch.cat(self.kept, dim=1).unflatten(
            1, (-1, self.n_batches, self.batch_size)
        )
        return z.permute(2, 1, 3, 0).flatten(1, 2)

    def values(self) -> dict[str, Tensor]:
        """Return the loss of each batch, and what :class:`BatchLoss` shows of it."""
        z = torch.cat(self.kept, dim=1)

        def deviance(outputs: Tensor, target: Tensor) -> Tensor:
            parts = self.kind.deviance(outputs, target)
            return (self.output_weight * parts).sum(dim=0)

        soft = deviance(z / self.temperature, self.soft)
        soft = soft - deviance(self.teacher, self.soft)
        soft = self.term_weight * self.temperature**2 * soft
        hard = deviance(z, self.hard)
        values = {
            "loss_soft": self._means(soft, self.soft_weight),
            "loss_hard": self._means(hard, self.hard_weight),
            "loss": self._sums(self.soft_share * soft + self.hard_share * hard),
        }
        if self.best is not None:
            same = self.kind.agrees(z.T, self.best).float()
            values["agreement"] = self._means(same, torch.ones_like(same))
        return values

    def _means(self, values: Tensor, weight: Tensor) -> Tensor:
        return self._sums(weight * values) / positive(self._sums(weight))

    def _sums(self, values: Tensor) -> Tensor:
        """Return the sum of each batch."""
        return values.view(-1, self.batch_size).sum(dim=1)
