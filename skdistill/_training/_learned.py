"""What losses learn besides the student: projections, variances, and the like."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from skdistill._training._objective import Objective, Term
from skdistill.losses._base import Loss, as_loss
from skdistill.utils._fingerprint import fingerprint


class LearnedLosses(nn.Module):
    """The modules of losses that learn, which the student's optimizer trains.

    It is one of the modules of the student's net, so that skorch switches its training
    mode and keeps it in step with the optimizer. A trimmed net does without.

    Parameters
    ----------
    objective : Objective
        The terms; of those that learn, the modules are made.
    features, targets : Tensor of shape (n_rows, n_features)
        The student's and the teacher's features, for their widths.
    former : LearnedLosses or None
        That of an earlier training. A loss that has not changed goes on with what it
        has learned.
    """

    def __init__(
        self,
        objective: Objective,
        features: Tensor,
        targets: Tensor,
        former: LearnedLosses | None,
    ) -> None:
        super().__init__()
        widths = (features.shape[1], targets.shape[1])
        self.marks = _marks(objective, *widths)
        self.losses = nn.ModuleDict()
        for term in objective.learning:
            place = term.place
            if former is not None and former.marks.get(place) == self.marks[place]:
                self.losses[place] = former.losses[place]
            else:
                self.losses[place] = _new_module(term, widths)
        self.n_features = features.shape[1]
        self.to(features)

    def of(self, term: Term) -> tuple[Loss, torch.dtype]:
        """Return the module of a term as a loss, and the dtype that it computes in."""
        module = self.losses[term.place]
        parameter = next(module.parameters(), None)
        dtype = torch.get_default_dtype() if parameter is None else parameter.dtype
        return as_loss(term.parameter, module), dtype

    def suits(self, objective: Objective, targets: Tensor) -> bool:
        """Tell whether a training can go on with these modules."""
        marks = _marks(objective, self.n_features, targets.shape[1])
        return marks.items() <= self.marks.items()


def _marks(objective: Objective, *widths: int) -> dict[str, Any]:
    """Return what tells whether losses go on with what they have learned.

    Of an estimator, its parameters, as they may be set in place; of other losses, the
    object itself.
    """
    return {
        term.place: (objective.student_layer, *widths, _mark(term.loss.given))
        for term in objective.learning
    }


def _mark(loss: Any) -> Any:
    if isinstance(loss, BaseEstimator):
        mark = fingerprint(type(loss).__qualname__, loss.get_params())
        if mark is not None:
            return mark.checksum
    return loss


def _new_module(term: Term, widths: tuple[int, int]) -> nn.Module:
    # The student's own random numbers are the same with and without.
    with torch.random.fork_rng():
        module = term.loss.learned(*widths)
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"learned() of {term.parameter} {term.loss.name} must return a "
            f"torch.nn.Module, got {type(module).__name__}"
        )
    return module
