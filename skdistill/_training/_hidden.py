"""Losses on what is inside: a student's features beside its teacher's, in training."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import joblib
import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from skdistill._training._objective import Objective, Term
from skdistill.utils._layers import Watch


class HiddenTerms:
    """Computes the terms on features and relations while a net trains.

    Parameters
    ----------
    objective : Objective
        Which losses there are.
    targets : Tensor of shape (n_samples, n_teacher_features)
        The teacher's features, or its logits where it has none to give.
    learned : dict
        What losses have learned in earlier trainings: a mark of the loss, and its
        module. Those that are new to it are added.
    module : torch.nn.Module
        The student.
    """

    def __init__(
        self,
        objective: Objective,
        targets: Tensor,
        learned: dict[Any, tuple[Any, nn.Module]],
        module: nn.Module,
    ) -> None:
        self.objective, self.targets, self.learned = objective, targets, learned
        self.watch = Watch(
            module, objective.student_layer, "the student", "student_layer"
        )
        self.weights = {
            "feature": objective.feature_weight,
            "relation": objective.relation_weight,
        }
        self.terms: dict[str, list[Term]] = {}

    def prepare(
        self, features: Tensor, rows: Tensor, batch_size: int | None, like: Tensor
    ) -> None:
        """Make the modules that learn, and try the losses on a batch.

        Parameters
        ----------
        features : Tensor of shape (n_tried, n_features)
            The student's features of some rows.
        rows : Tensor of shape (n_tried,)
            The numbers of these rows.
        batch_size : int or None
            How many rows a batch has, if that is known.
        like : Tensor
            A parameter of the student, whose device and dtype the modules get.
        """
        if not features.requires_grad:
            raise ValueError(
                f"{self.watch.what} does not depend on any of its weights, so losses "
                "on features and relations cannot teach it: give it a hidden layer, "
                "or name another layer with student_layer="
            )
        families = {
            "feature": self.objective.feature_loss,
            "relation": self.objective.relation_loss,
        }
        widths = (features.shape[1], self.targets.shape[1])
        for name, terms in families.items():
            self.terms[name] = [
                self._ready(term, (name, i, self.objective.student_layer), widths, like)
                for i, term in enumerate(terms)
            ]
            for term in self.terms[name]:
                _check_batch_size(term, batch_size)
        features = features.detach().requires_grad_()  # some losses differentiate
        self(features, rows, None, epoch=0, training=False)

    def __call__(
        self,
        features: Tensor,
        rows: Tensor,
        weight: Tensor | None,
        *,
        epoch: int,
        training: bool,
    ) -> dict[str, Tensor]:
        """Return the terms of a batch by name: "feature" and "relation"."""
        targets = self.targets[rows].to(features.device)
        found: dict[str, Tensor] = {}
        for name, terms in self.terms.items():
            for term in terms:
                if term.learned is not None:
                    term.learned.train(training)
                value = term(features, targets, sample_weight=weight, epoch=epoch)
                value = term.weighted(value)
                found[name] = found[name] + value if name in found else value
        return found

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield what the losses learn."""
        for name, terms in self.terms.items():
            for i, term in enumerate(terms):
                if term.learned is not None:
                    for key, parameter in term.learned.named_parameters():
                        yield f"distillation.{name}_loss.{i}.{key}", parameter

    def _ready(
        self, term: Term, place: Any, widths: tuple[int, int], like: Tensor
    ) -> Term:
        """Return a term with its module, as it was left by an earlier training."""
        if not term.learns:
            return term
        key, mark = (place, widths), _mark(term.loss)
        known, module = self.learned.get(key, (None, None))
        if module is None or not _same(known, mark):
            # The student's own random numbers are the same with and without.
            with torch.random.fork_rng():
                module = term.loss.learned(*widths)
            if not isinstance(module, nn.Module):
                raise TypeError(
                    f"learned() of {term.family} {term.name} must return a "
                    f"torch.nn.Module, got {type(module).__name__}"
                )
            self.learned[key] = (mark, module)
        return replace(term, learned=module.to(like.device, like.dtype))


def _check_batch_size(term: Term, batch_size: int | None) -> None:
    """Raise where a loss would never have rows to compare."""
    if batch_size is not None and batch_size < term.min_rows:
        raise ValueError(
            f"{term.family} {term.name} compares the rows of a batch, and the "
            f"student's batch_size is {batch_size}: it takes {term.min_rows}, better "
            "64 or more"
        )


def _mark(loss: Any) -> Any:
    """Return what tells whether a loss goes on with what it has learned.

    Of an estimator, its parameters by now, as they may be set; else the object itself.
    """
    if not isinstance(loss, BaseEstimator):
        return loss
    try:
        return joblib.hash((type(loss).__qualname__, loss.get_params()))
    except (pickle.PicklingError, TypeError, AttributeError):
        return loss


def _same(mark: Any, other: Any) -> bool:
    return mark is other or (isinstance(mark, str) and mark == other)
