"""What teachers would say that also knew the classes that they do not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skdistill.utils._arrays import Array, Bools, Floats, Ints


@dataclass(frozen=True)
class Part:
    """What one of several teachers says.

    Attributes
    ----------
    weight : float
        Its share of the mean; the weights sum to 1.
    proba : ndarray of shape (n_samples, n_classes), float32
        Its probabilities.
    knows : ndarray of shape (n_classes,), bool
        The classes that it knows.
    """

    weight: float
    proba: Floats
    knows: Bools

    def completed(self, rows: Ints, labels: Floats) -> Floats:
        """Return the probabilities of rows, of all classes."""
        said = np.where(self.knows, self.proba[rows], 0)
        total = said.sum(axis=1, keepdims=True)
        # That a row is of none of its classes tells nothing of them.
        said = np.where(total == 0, self.knows / self.knows.sum(), said)
        said = said / np.where(total == 0, 1, total)
        known = labels[:, self.knows].sum(axis=1, keepdims=True)
        both: Floats = np.where(self.knows, known * said, labels)
        return both


@dataclass(frozen=True)
class Incomplete:
    r"""What teachers say of which at least one does not know all classes.

    A teacher tells how likely its classes are, given that it is one of them. How likely
    that is, and what the other classes are, only labels tell. So a teacher of the
    classes :math:`K` stands for :math:`p(K) p_t(c)` where it knows :math:`c`, and for
    :math:`p(c)` where not; :math:`p` are the labels of the row.

    Attributes
    ----------
    parts : sequence of Part
        What each of them says.
    floor : float
        The smallest logit.
    """

    parts: Sequence[Part]
    floor: np.float32

    def completed(self, rows: Ints, labels: Array) -> Floats:
        """Return the logits of the mean of the teachers, with the classes they lack.

        They are of some rows, whose ``labels`` are the probabilities of all classes by
        other models, or positions of labels. They are NaN where a teacher says NaN.
        """
        if labels.ndim == 1:
            n_classes = len(self.parts[0].knows)
            labels = labels[:, np.newaxis] == np.arange(n_classes)
        labels = labels.astype(np.float32)
        mean = sum(part.weight * part.completed(rows, labels) for part in self.parts)
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(mean), self.floor).astype(np.float32)
