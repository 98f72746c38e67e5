"""The loss of a batch: alpha T^2 KL + (1 - alpha) CE, and terms on hidden features."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, reduce
from operator import add
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skdistill._training._learned import LearnedLosses
from skdistill._training._objective import Objective, Term
from skdistill._transfer._transfer_set import TransferSet
from skdistill.utils._arrays import Array, Floats


class BatchLoss:
    r"""Computes the loss of a batch from the transfer set's rows.

    .. math::

        L = \alpha \, T^2 \, \mathrm{KL}(p_t^T \,\|\, p_s^T)
            + (1 - \alpha) \, \mathrm{CE}(y, p_s)
            + w_f L_\mathrm{feature} + w_r L_\mathrm{relation}

    The first term may be another loss on logits. It is a mean over the batch by the
    transfer set's soft weights, the second one by the hard weights. Some rows may have
    no label, or one that the teacher does not know. Then the soft term has the factor
    :math:`\alpha \sum w_\mathrm{soft}` and the hard one
    :math:`(1 - \alpha) \sum w_\mathrm{hard}`, each divided by the sum of both, so that
    all targets weigh as alpha says. Without any label, the soft term stands alone.
    Where a row has a pseudo-label, the class probabilities take the place of y.

    Parameters
    ----------
    objective : Objective
        The terms.
    rows : TransferSet
        All rows that batches are made of.

    Attributes
    ----------
    temperature, alpha : float
        Those of the epoch; without labels, alpha is 1.
    epoch : int
        The epoch, counted from 0.
    best : Tensor of shape (n_rows,) or (n_rows, n_labels), or None
        The class that the teacher names, for each row of the transfer set, or whether
        it names a label; None for numbers.
    times : int
        How many times a loss of torch the loss of a row is.
    """

    def __init__(self, objective: Objective, rows: TransferSet) -> None:
        self.objective, self.target = objective, rows.target
        self.soft, self.hard = from_numpy(rows.soft), from_numpy(rows.hard)
        self.best = self.target.best(self.soft)
        self.times = self.target.times(self.soft.shape[1])
        self.soft_weight = _tensor(rows.soft_weight)
        self.hard_weight = _tensor(rows.hard_weight)
        by_output = self.target.output_weights(rows.hard)
        self.output_weight = None if by_output is None else torch.from_numpy(by_output)
        self.has_labels = rows.has_labels
        self.pseudo_labels = None
        if rows.pseudo_labels is not None:
            self.pseudo_labels = from_numpy(rows.pseudo_labels)
            self.n_own = len(rows) - len(rows.pseudo_labels)
        self.features = None if rows.features is None else torch.tensor(rows.features)

    def train_with(self, learned: LearnedLosses) -> None:
        """Compute the terms of losses that learn by their modules."""
        self._learned = {
            term.place: learned.of(term) for term in self.objective.learning
        }

    @cached_property
    def targets(self) -> Tensor:
        """What the student's features are compared with."""
        if self.features is not None:
            return self.features
        return self.target.centered(self.soft)

    def weigh(self, rows: Tensor) -> bool:
        """Tell whether any of some rows has a weight above 0."""
        weights = (self.soft_weight, self.hard_weight)
        parts = (w[rows] if isinstance(w, Tensor) else torch.tensor(w) for w in weights)
        return any(bool(part.any()) for part in parts)

    def begin_epoch(self, epoch: int, max_epochs: int) -> None:
        """Set the temperature and alpha of an epoch."""
        self.epoch = epoch
        self.temperature = self.objective.at_epoch("temperature", epoch, max_epochs)
        self.alpha = 1.0
        if self.has_labels:
            self.alpha = self.objective.at_epoch("alpha", epoch, max_epochs)

    def __call__(
        self,
        student: Tensor,
        y: Tensor,
        rows: Tensor,
        hard_loss: Callable[[Tensor | None], Tensor],
        features: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and what the history shows of it.

        Parameters
        ----------
        student : Tensor of shape (n_rows, n_classes)
            The student's logits.
        y : Tensor of shape (n_rows,)
            The hard targets.
        rows : Tensor of shape (n_rows,)
            The numbers of the rows in the transfer set.
        hard_loss : callable
            Returns the student's loss on the hard targets, given weights of shape
            (n_rows,) or (n_rows, n_labels), or None for a plain mean.
        features : Tensor of shape (n_rows, n_features), default=None
            The student's hidden features, if the objective looks at them.

        Returns
        -------
        loss : Tensor of shape ()
            The loss.
        shown : dict
            The terms, before their weights: "loss_soft", "loss_hard", "loss_feature"
            and "loss_relation"; and "agreement", the share of rows where student and
            teacher name the same class.
        """
        soft_weight = _rows_of(self.soft_weight, rows, student)
        hard_weight = _rows_of(self.hard_weight, rows, student)
        shares = self._shares(soft_weight, hard_weight, len(rows))
        weight = None  # of the rows themselves: the larger of their two weights
        if isinstance(soft_weight, Tensor) or isinstance(hard_weight, Tensor):
            weight = torch.maximum(*map(torch.as_tensor, (soft_weight, hard_weight)))
        by_output = self.output_weight_of(rows, student.device)
        if by_output is not None:
            soft_weight, hard_weight = (
                by_output * (w.unsqueeze(1) if isinstance(w, Tensor) else w)
                for w in (soft_weight, hard_weight)
            )
        terms: dict[str, Tensor] = {}
        if shares["soft"] is not None:
            teacher = self.soft[rows].to(student.device)
            terms["soft"] = self._soft(student, teacher, y, soft_weight)
        if shares["hard"] is not None:
            terms["hard"] = self._hard(student, rows, hard_weight, hard_loss)
        if features is not None:
            terms |= self._hidden(features, rows, weight)
        shares["feature"] = self.objective.feature_weight
        shares["relation"] = self.objective.relation_weight
        loss = _sum(shares[name] * term for name, term in terms.items())
        shown = {f"loss_{name}": term for name, term in terms.items()}
        if self.best is not None:
            same = self.target.agrees(student, self.best[rows].to(student.device))
            shown["agreement"] = same.float().mean()
        return loss, shown

    def output_weight_of(self, rows: Tensor, device: Any) -> Tensor | None:
        """Return the weights of the labels of rows, or None if they are equal."""
        weight = self.output_weight
        return None if weight is None else weight[rows].to(device)

    def _shares(
        self, soft_weight: Tensor | float, hard_weight: Tensor | float, n_rows: int
    ) -> dict[str, Any]:
        """Return the factors of the soft and the hard term; None leaves a term out."""
        soft: Any = self.alpha
        hard: Any = 1 - self.alpha
        if isinstance(soft_weight, Tensor) or isinstance(hard_weight, Tensor):
            soft = soft * _total(soft_weight, n_rows)
            hard = hard * _total(hard_weight, n_rows)
            whole = positive(soft + hard)
            soft, hard = soft / whole, hard / whole
        return {
            "soft": soft if self.alpha > 0 and self.objective.loss else None,
            "hard": hard if self.alpha < 1 else None,
        }

    def _soft(
        self, student: Tensor, teacher: Tensor, y: Tensor, weight: Tensor | float
    ) -> Tensor:
        labels = y.to(student.device) if self.has_labels else None
        student, teacher, labels, weights = self.target.compared(
            student, teacher, labels, _vector(weight)
        )
        offered = {
            "y": labels,
            "temperature": self.temperature,
            "sample_weight": weights,
            "epoch": self.epoch,
        }
        terms = self.objective.loss
        loss = _sum(term(term.loss, student, teacher, **offered) for term in terms)
        return loss if self.times == 1 else self.times * loss

    def hard_targets(self, rows: Tensor) -> Tensor:
        """Return the hard targets of rows, of the shape of the soft ones."""
        targets: Tensor = self.target.means(self.hard[rows], self.soft[rows])
        if self.pseudo_labels is not None:
            extra = rows >= self.n_own
            targets[extra] = self.pseudo_labels[rows[extra] - self.n_own]
        return targets

    def _hard(
        self,
        student: Tensor,
        rows: Tensor,
        weight: Tensor | float,
        hard_loss: Callable[[Tensor | None], Tensor],
    ) -> Tensor:
        if self.pseudo_labels is None or not isinstance(weight, Tensor):
            loss = hard_loss(_vector(weight))
            return loss if self.times == 1 else self.times * loss
        own = (rows < self.n_own).to(student.device)
        labels = self.pseudo_labels[(rows - self.n_own).clamp(min=0)].to(student)
        losses = self.target.deviance(student.T, labels.T).sum(dim=0)
        total = hard_loss(weight * own) * (weight * own).sum()
        total = total + (losses * weight * ~own).sum()
        return total / positive(weight.sum())

    def _hidden(
        self, features: Tensor, rows: Tensor, weight: Tensor | None
    ) -> dict[str, Tensor]:
        targets = self.targets[rows].to(features.device)
        offered = {"sample_weight": weight, "epoch": self.epoch}
        found = {}
        for name, terms in (
            ("feature", self.objective.feature_loss),
            ("relation", self.objective.relation_loss),
        ):
            if terms:
                found[name] = _sum(
                    self._value(term, features, targets, offered) for term in terms
                )
        return found

    def _value(
        self, term: Term, features: Tensor, targets: Tensor, offered: dict[str, Any]
    ) -> Tensor:
        if not term.loss.learns:
            return term(term.loss, features, targets, **offered)
        loss, dtype = self._learned[term.place]
        return term(loss, features.to(dtype), targets.to(dtype), **offered)


def weighted_mean(
    losses: Tensor, weight: Tensor, y: Tensor, class_weight: Tensor | None = None
) -> Tensor:
    """Return the mean of the rows' losses, which are already times their class weights.

    Weights are those of the rows, or of a row's targets. The weights of the classes
    ``y``, by which the mean is divided too, are of shape (n_classes,).
    """
    if losses.ndim == 2 and weight.ndim == 1 and losses.shape == y.shape:
        losses = losses.mean(dim=1)
    if losses.shape != weight.shape:
        raise ValueError(
            "sample_weight needs a loss per sample, and the student's loss has shape "
            f"{tuple(losses.shape)} for {len(weight)} samples"
        )
    total = weight if class_weight is None else weight * class_weight[y.long()]
    return (losses * weight).sum() / positive(total.sum())


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return reduce(add, terms)


def _total(weight: Tensor | float, n_rows: int) -> Tensor | float:
    return weight.sum() if isinstance(weight, Tensor) else weight * n_rows


def positive(total: Tensor) -> Tensor:
    """Let a batch whose weights are all zero count as zero, not as NaN."""
    return total.clamp(min=torch.finfo(total.dtype).tiny)


def from_numpy(values: Array) -> Tensor:
    """Return an array as a tensor, without a copy if torch may write to it."""
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


def _tensor(weight: Floats | float) -> Tensor | float:
    return torch.tensor(weight) if isinstance(weight, np.ndarray) else float(weight)


def _rows_of(weight: Tensor | float, rows: Tensor, like: Tensor) -> Tensor | float:
    return weight[rows].to(like.device) if isinstance(weight, Tensor) else weight


def _vector(weight: Tensor | float) -> Tensor | None:
    return weight if isinstance(weight, Tensor) else None
