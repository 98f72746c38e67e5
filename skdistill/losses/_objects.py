"""The losses as objects: their parameters bound, so that a search can tune them.

An object is called as its function is. What a loss has to learn besides the student,
such as a projection, is a module that its method `learned` makes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.nn import functional as F

from ._features import cka, cosine, hint
from ._logits import (
    _at_least_float32,
    _mean,
    dist,
    dkd,
    jsd,
    kl,
    logit_mse,
    nkd,
    standardised,
)
from ._pairs import widened_pair
from ._relations import _info_nce, contrastive, pkt, rkd, similarity

# The variance that `vid` starts at, and the one that it keeps away from, of its
# authors' code.
_VID_START, _VID_FLOOR = 5.0, 1e-5


class _Tempered(BaseEstimator):
    """A loss with a temperature, by default that of whoever calls it."""

    temperature: float | None

    def _at(self, temperature: float) -> float:
        return temperature if self.temperature is None else self.temperature


class KLLoss(_Tempered):
    """Kullback-Leibler divergence of the student from the teacher: :func:`kl`.

    Parameters
    ----------
    temperature : float, default=None
        Softens both sides, above 0. None is the temperature of the estimator.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import KLLoss
    >>> clf = DistilledClassifier(loss=KLLoss(temperature=4.0))
    >>> clf.set_params(loss__temperature=8.0).loss
    KLLoss(temperature=8.0)
    """

    def __init__(self, temperature: float | None = None) -> None:
        self.temperature = temperature

    def __call__(
        self,
        student: Tensor,
        teacher: Tensor,
        temperature: float = 1.0,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of logits of shape (n_samples, n_classes)."""
        return kl(student, teacher, self._at(temperature), sample_weight)


class LogitMSELoss(BaseEstimator):
    """Mean squared error between the centered logits: :func:`logit_mse`.

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import LogitMSELoss
    >>> LogitMSELoss()(torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0, 2.0]]))
    tensor(1.)
    """

    def __call__(
        self, student: Tensor, teacher: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Return the loss of logits of shape (n_samples, n_classes)."""
        return logit_mse(student, teacher, sample_weight)


class DKDLoss(_Tempered):
    """Decoupled knowledge distillation: :func:`dkd`.

    Parameters
    ----------
    target_weight : float, default=1.0
        Weight of the divergence on the target class, at least 0.
    nontarget_weight : float, default=8.0
        Weight of the divergence among the other classes, at least 0.
    temperature : float, default=None
        Softens both sides, above 0. None is the temperature of the estimator; the
        authors use 4.
    warmup_epochs : int, default=20
        Over so many epochs the loss rises to its full weight, as its authors have it
        do. They train for 240 epochs: in a training of 30, lower it.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import DKDLoss
    >>> loss = DKDLoss(nontarget_weight=2.0, warmup_epochs=5)
    >>> clf = DistilledClassifier(loss=loss, temperature=4.0)
    """

    def __init__(
        self,
        target_weight: float = 1.0,
        nontarget_weight: float = 8.0,
        temperature: float | None = None,
        warmup_epochs: int = 20,
    ) -> None:
        self.target_weight = target_weight
        self.nontarget_weight = nontarget_weight
        self.temperature = temperature
        self.warmup_epochs = warmup_epochs

    def __call__(
        self,
        student: Tensor,
        teacher: Tensor,
        y: Tensor,
        temperature: float = 4.0,
        sample_weight: Tensor | None = None,
        epoch: int | None = None,
    ) -> Tensor:
        """Return the loss; without an ``epoch``, counted from 0, in full weight."""
        if self.warmup_epochs < 0:
            raise ValueError(
                f"warmup_epochs must not be negative, got {self.warmup_epochs!r}."
            )
        loss = dkd(
            student,
            teacher,
            y,
            self.target_weight,
            self.nontarget_weight,
            self._at(temperature),
            sample_weight,
        )
        if epoch is None or epoch + 1 >= self.warmup_epochs:
            return loss
        return (epoch + 1) / self.warmup_epochs * loss


class DISTLoss(_Tempered):
    """Correlation within samples and within classes: :func:`dist`.

    Parameters
    ----------
    beta : float, default=1.0
        Weight of the correlation within samples, at least 0.
    gamma : float, default=1.0
        Weight of the correlation within classes, at least 0.
    temperature : float, default=None
        Softens both sides, above 0. None is the temperature of the estimator.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import DISTLoss
    >>> clf = DistilledClassifier(loss=DISTLoss(gamma=2.0))
    """

    def __init__(
        self,
        beta: float = 1.0,
        gamma: float = 1.0,
        temperature: float | None = None,
    ) -> None:
        self.beta = beta
        self.gamma = gamma
        self.temperature = temperature

    def __call__(
        self,
        student: Tensor,
        teacher: Tensor,
        temperature: float = 1.0,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of logits of shape (n_samples, n_classes)."""
        temperature = self._at(temperature)
        return dist(student, teacher, self.beta, self.gamma, temperature, sample_weight)


class NKDLoss(_Tempered):
    """Cross-entropies on the target and on the other classes: :func:`nkd`.

    Parameters
    ----------
    gamma : float, default=1.5
        Weight of the other classes, at least 0.
    temperature : float, default=None
        Softens both sides among the other classes, above 0. None is the temperature
        of the estimator; the authors use 1.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import NKDLoss
    >>> clf = DistilledClassifier(loss=NKDLoss(temperature=1.0))
    """

    def __init__(self, gamma: float = 1.5, temperature: float | None = None) -> None:
        self.gamma = gamma
        self.temperature = temperature

    def __call__(
        self,
        student: Tensor,
        teacher: Tensor,
        y: Tensor,
        temperature: float = 1.0,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of logits of shape (n_samples, n_classes)."""
        temperature = self._at(temperature)
        return nkd(student, teacher, y, self.gamma, temperature, sample_weight)


class StandardisedLoss(_Tempered):
    """Divergence on standardized logits, of 3 classes or more: :func:`standardised`.

    Parameters
    ----------
    temperature : float, default=None
        Softens both sides, above 0. None is the temperature of the estimator.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import StandardisedLoss
    >>> clf = DistilledClassifier(loss=[(StandardisedLoss(), 9.0)], alpha=0.9)
    """

    def __init__(self, temperature: float | None = None) -> None:
        self.temperature = temperature

    def __call__(
        self,
        student: Tensor,
        teacher: Tensor,
        temperature: float = 2.0,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of logits of shape (n_samples, n_classes)."""
        return standardised(student, teacher, self._at(temperature), sample_weight)


class JSDLoss(_Tempered):
    """Generalized Jensen-Shannon divergence: :func:`jsd`.

    Parameters
    ----------
    beta : float, default=0.5
        Weight of the teacher in the mixture, from 0 to 1.
    temperature : float, default=None
        Softens both sides, above 0. None is the temperature of the estimator.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import JSDLoss
    >>> clf = DistilledClassifier(loss=JSDLoss(beta=0.9), temperature=1.0)
    """

    def __init__(self, beta: float = 0.5, temperature: float | None = None) -> None:
        self.beta = beta
        self.temperature = temperature

    def __call__(
        self,
        student: Tensor,
        teacher: Tensor,
        temperature: float = 1.0,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of logits of shape (n_samples, n_classes)."""
        temperature = self._at(temperature)
        return jsd(student, teacher, self.beta, temperature, sample_weight)


class _OntoTeacher(BaseEstimator):
    """A loss on features, of which the student's are brought to the teacher's width."""

    def learned(self, n_student_features: int, n_teacher_features: int) -> nn.Module:
        """Return the loss behind a linear map onto the teacher's width.

        Parameters
        ----------
        n_student_features, n_teacher_features : int
            The widths of the two sides.

        Returns
        -------
        loss : torch.nn.Module
            Called as this loss is, in its place.
        """
        return _Projected(self, nn.Linear(n_student_features, n_teacher_features))


class HintLoss(_OntoTeacher):
    """Squared difference of the features: :func:`hint`.

    In training, a learned linear map brings the student's features to the teacher's
    width.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import HintLoss
    >>> clf = DistilledClassifier(feature_loss=HintLoss(), feature_weight=0.1)
    """

    def __call__(
        self, student: Tensor, teacher: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Return the loss of features of shape (n_samples, n_features)."""
        return hint(student, teacher, sample_weight)


class CosineLoss(_OntoTeacher):
    """One minus the cosine between a row's features: :func:`cosine`.

    In training, a learned linear map brings the student's features to the teacher's
    width.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import CosineLoss
    >>> clf = DistilledClassifier(feature_loss=CosineLoss())
    """

    def __call__(
        self, student: Tensor, teacher: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Return the loss of features of shape (n_samples, n_features)."""
        return cosine(student, teacher, sample_weight)


class CKALoss(BaseEstimator):
    """One minus the centered kernel alignment, without bias: :func:`cka`.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import CKALoss
    >>> clf = DistilledClassifier(feature_loss=CKALoss())
    """

    min_rows = 4

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss of features of shape (n_samples, n_features)."""
        return cka(student, teacher)


class VIDLoss(BaseEstimator):
    r"""Variational information distillation, which learns how far to trust a feature.

    A learned linear map :math:`m` predicts the teacher's features from the student's,
    and the loss is the negative log-likelihood of a Gaussian around it, with a learned
    variance :math:`\sigma_j^2` for each of the teacher's :math:`D` features:

    .. math::

        L = \frac{1}{2 N D} \sum_{i=1}^{N} \sum_{j=1}^{D} \left[
            \frac{(m(f_s)_{ij} - f_{t,ij})^2}{\sigma_j^2} + \log \sigma_j^2 \right]

    Features that the student cannot predict get a large variance and so a small
    weight. The loss can be negative. There is no function of it, as it learns.

    See Also
    --------
    HintLoss : Trusts all features alike.

    References
    ----------
    .. [1] S. Ahn, S. X. Hu, A. Damianou, N. D. Lawrence, Z. Dai, "Variational
       Information Distillation for Knowledge Transfer", 2019.
       https://arxiv.org/abs/1904.05835

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import VIDLoss
    >>> clf = DistilledClassifier(feature_loss=VIDLoss(), feature_weight=0.1)
    """

    def learned(self, n_student_features: int, n_teacher_features: int) -> nn.Module:
        """Return the module that maps, holds the variances, and is the loss.

        Parameters
        ----------
        n_student_features, n_teacher_features : int
            The widths of the two sides.

        Returns
        -------
        loss : torch.nn.Module
            Called with the features of both sides, and ``sample_weight``.
        """
        return _Variational(n_student_features, n_teacher_features)


class RKDLoss(BaseEstimator):
    """Distances and angles between rows: :func:`rkd`.

    Parameters
    ----------
    distance_weight : float, default=1.0
        Weight of the distances, at least 0.
    angle_weight : float, default=2.0
        Weight of the angles, at least 0. They take time in proportion to the cube of
        the batch size.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import RKDLoss
    >>> clf = DistilledClassifier(relation_loss=RKDLoss())
    >>> clf.set_params(relation_loss__angle_weight=0.0).relation_loss
    RKDLoss(angle_weight=0.0)
    """

    min_rows = 2

    def __init__(self, distance_weight: float = 1.0, angle_weight: float = 2.0) -> None:
        self.distance_weight = distance_weight
        self.angle_weight = angle_weight

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss of features of shape (n_samples, n_features)."""
        return rkd(student, teacher, self.distance_weight, self.angle_weight)


class SimilarityLoss(BaseEstimator):
    """Difference of the rows' normalized similarities: :func:`similarity`.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import SimilarityLoss
    >>> clf = DistilledClassifier(relation_loss=SimilarityLoss(), relation_weight=3000)
    """

    min_rows = 2

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss of features of shape (n_samples, n_features)."""
        return similarity(student, teacher)


class PKTLoss(BaseEstimator):
    """Divergence of the rows' similarities as probabilities: :func:`pkt`.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import PKTLoss
    >>> clf = DistilledClassifier(relation_loss=PKTLoss(), relation_weight=30_000)
    """

    min_rows = 2

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss of features of shape (n_samples, n_features)."""
        return pkt(student, teacher)


class ContrastiveLoss(BaseEstimator):
    """A row's own teacher features against the other rows': :func:`contrastive`.

    In training, two learned linear maps bring the features of both sides to one width.

    Parameters
    ----------
    temperature : float, default=0.07
        Temperature of the softmax over the rows, above 0; it has nothing to do with
        that of the estimator.
    n_components : int, default=128
        The width that both sides are brought to.

    Examples
    --------
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.losses import ContrastiveLoss
    >>> clf = DistilledClassifier(relation_loss=ContrastiveLoss(n_components=32))
    """

    min_rows = 2

    def __init__(self, temperature: float = 0.07, n_components: int = 128) -> None:
        self.temperature = temperature
        self.n_components = n_components

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss of features of shape (n_samples, n_features)."""
        return contrastive(student, teacher, self.temperature)

    def learned(self, n_student_features: int, n_teacher_features: int) -> nn.Module:
        """Return the loss behind a linear map of either side.

        Parameters
        ----------
        n_student_features, n_teacher_features : int
            The widths of the two sides.

        Returns
        -------
        loss : torch.nn.Module
            Called as this loss is, in its place.
        """
        if self.n_components < 1:
            raise ValueError(
                f"n_components must be at least 1, got {self.n_components!r}."
            )
        return _Contrast(
            nn.Linear(n_student_features, self.n_components),
            nn.Linear(n_teacher_features, self.n_components),
            self.temperature,
        )


class _Projected(nn.Module):
    """A loss on the student's features after a learned map."""

    def __init__(self, loss: Callable[..., Tensor], student: nn.Linear) -> None:
        super().__init__()
        self.loss, self.student = loss, student

    def forward(
        self, student: Tensor, teacher: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        return self.loss(self.student(student), teacher, sample_weight)


class _Contrast(nn.Module):
    """The contrast of features, each side after a learned map."""

    def __init__(
        self, student: nn.Linear, teacher: nn.Linear, temperature: float
    ) -> None:
        super().__init__()
        self.student, self.teacher = student, teacher
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        _, teacher = widened_pair(student, teacher, min_rows=2)
        dtype = _at_least_float32(student.dtype)
        teacher = self.teacher(teacher.to(self.teacher.weight.dtype))
        student = self.student(student)
        return _info_nce(student.to(dtype), teacher.to(dtype), self.temperature)


class _Variational(nn.Module):
    """A Gaussian around a learned map, with a learned variance for each feature."""

    def __init__(self, n_student_features: int, n_teacher_features: int) -> None:
        super().__init__()
        self.student = nn.Linear(n_student_features, n_teacher_features)
        start = math.log(math.expm1(_VID_START - _VID_FLOOR))
        self.raw_variance = nn.Parameter(torch.full((n_teacher_features,), start))

    def forward(
        self, student: Tensor, teacher: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        mean, teacher = widened_pair(self.student(student), teacher, same_width=True)
        variance = F.softplus(self.raw_variance.to(mean.dtype)) + _VID_FLOOR
        losses = (mean - teacher).square() / variance + variance.log()
        return _mean(0.5 * losses.mean(dim=1), sample_weight)


LOGIT_LOSSES: dict[str, type] = {
    "kl": KLLoss,
    "logit_mse": LogitMSELoss,
    "dkd": DKDLoss,
    "dist": DISTLoss,
    "nkd": NKDLoss,
    "standardised": StandardisedLoss,
    "jsd": JSDLoss,
}
FEATURE_LOSSES: dict[str, type] = {
    "hint": HintLoss,
    "cosine": CosineLoss,
    "cka": CKALoss,
    "vid": VIDLoss,
}
RELATION_LOSSES: dict[str, type] = {
    "rkd": RKDLoss,
    "similarity": SimilarityLoss,
    "pkt": PKTLoss,
    "contrastive": ContrastiveLoss,
}
