"""Losses on what is inside: a student's features beside its teacher's, in training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from skdistill._layers import Watch
from skdistill._objective import Objective, Term


class HiddenTerms:
    """Computes the terms on features and relations while a net trains.

    Parameters
    ----------
    objective : Objective
        Which losses there are.
    targets : Tensor of shape (n_samples, n_teacher_features)
        The teacher's features, or its logits where it has none to give.
    learned : dict
        The losses that have learned in earlier trainings, and their modules; those
        that are new to it are added.
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

    def check_batch_size(self, batch_size: int) -> None:
        """Raise where a loss would never have rows to compare."""
        for terms in self.terms.values():
            for term in terms:
                if batch_size < term.min_rows:
                    raise ValueError(
                        f"{term.family} {term.name} compares the rows of a batch, and "
                        f"the student's batch_size is {batch_size}: it takes "
                        f"{term.min_rows}, better 64 or more"
                    )

    def prepare(self, features: Tensor, like: Tensor) -> None:
        """Make the modules that learn, and try the losses on a few rows.

        Parameters
        ----------
        features : Tensor of shape (n_tried, n_features)
            The student's features of the first rows.
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
                self._ready(term, (name, i, *widths), like)
                for i, term in enumerate(terms)
            ]
        rows = torch.arange(len(features))
        self(features.detach(), rows, None, epoch=0, training=False)

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

    def _ready(self, term: Term, key: Any, like: Tensor) -> Term:
        """Return a term with its module, as it was left by an earlier training."""
        if not term.learns:
            return term
        loss, module = self.learned.get(key, (None, None))
        if module is None or not _same(loss, term.loss):
            # The student's own random numbers are the same with and without.
            with torch.random.fork_rng():
                module = term.loss.learned(*key[-2:])
            self.learned[key] = (term.loss, module)
        return replace(term, learned=module.to(like.device, like.dtype))


def _same(loss: Any, other: Any) -> bool:
    """Tell whether a loss goes on: the very object, or an equal one made by name."""
    if isinstance(loss, BaseEstimator) and type(loss) is type(other):
        return loss.get_params() == other.get_params()
    return loss is other
