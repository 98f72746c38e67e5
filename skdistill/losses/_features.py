"""Losses that compare a student's features with a teacher's, row by row or whole."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skdistill.losses._base import LOSSES, Loss
from skdistill.losses._numerics import (
    rescaled,
    rounding,
    unit,
    unit_rows,
    weighted_mean,
    widened_pair,
    without_autocast,
)

# The variance that VIDLoss starts at, and the one that it keeps away from, as in its
# authors' code.
_VID_START, _VID_FLOOR = 5.0, 1e-5


class _ProjectedLoss(Loss):
    """Base of the losses that compare features of one width."""

    keywords = ("sample_weight",)
    learns = True

    def learned(self, n_student_features: int, n_teacher_features: int) -> nn.Module:
        """Return the loss with a learned linear map onto the teacher's width.

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


class HintLoss(_ProjectedLoss):
    r"""Mean squared difference of the features.

    For features :math:`f` of width :math:`D`:

    .. math::

        L = \frac{1}{N D} \sum_{i=1}^{N} \sum_{j=1}^{D} (f_{s,ij} - f_{t,ij})^2

    In training, a learned linear map brings the student's features to the teacher's
    width.

    See Also
    --------
    CosineLoss : Compares the directions of the features and not their lengths.
    CKALoss : Needs no projection.

    References
    ----------
    .. [1] A. Romero et al., "FitNets: Hints for Thin Deep Nets", 2015.
       https://arxiv.org/abs/1412.6550

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import HintLoss
    >>> student = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> teacher = torch.tensor([[1.0, 0.0], [3.0, 6.0]])
    >>> HintLoss()(student, teacher)
    tensor(2.)
    >>> from skdistill import DistilledClassifier
    >>> clf = DistilledClassifier(feature_loss=HintLoss(), feature_weight=0.1)
    """

    def __call__(
        self, student: Tensor, teacher: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        r"""Return the loss of a batch.

        Parameters
        ----------
        student : Tensor of shape (n_samples, n_features)
            Features of the student, of any floating dtype, projected to the teacher's
            width if their own is another.
        teacher : Tensor of shape (n_samples, n_features)
            Finite features of the teacher. No gradient flows into them.
        sample_weight : Tensor of shape (n_samples,), default=None
            Non-negative weights, which replace the mean over the samples by
            :math:`\sum_i w_i l_i / \sum_i w_i`. The loss of a batch whose weights are
            all zero is 0.

        Returns
        -------
        loss : Tensor of shape ()
            The loss, never negative. It has the dtype of ``student``, or float32 if
            that is a 16-bit type.

        Raises
        ------
        ValueError
            If ``student`` and ``teacher`` aren't two-dimensional, differ in shape or
            are empty, if ``teacher`` isn't finite, or if ``sample_weight`` doesn't have
            one weight per sample.
        """
        student, teacher = widened_pair(student, teacher, same_width=True)
        return weighted_mean((student - teacher).square().mean(dim=1), sample_weight)


class CosineLoss(_ProjectedLoss):
    r"""One minus the mean cosine between a row's features.

    .. math::

        L = 1 - \frac{1}{N} \sum_{i=1}^{N}
            \frac{f_{s,i} \cdot f_{t,i}}{\|f_{s,i}\| \, \|f_{t,i}\|}

    In training, a learned linear map brings the student's features to the teacher's
    width.

    See Also
    --------
    HintLoss : Compares the lengths of the features too.

    References
    ----------
    .. [1] V. Sanh et al., "DistilBERT, a distilled version of BERT: smaller, faster,
       cheaper and lighter", 2019. https://arxiv.org/abs/1910.01108

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import CosineLoss
    >>> student = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> teacher = torch.tensor([[5.0, 0.0], [3.0, 0.0]])
    >>> CosineLoss()(student, teacher)
    tensor(0.5000)
    """

    def __call__(
        self, student: Tensor, teacher: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        r"""Return the loss of a batch.

        Parameters
        ----------
        student : Tensor of shape (n_samples, n_features)
            Features of the student, of any floating dtype, projected to the teacher's
            width if their own is another. A row of zeros, which has no direction,
            counts as a cosine of 0; it receives the gradient of a row of length 1.
        teacher : Tensor of shape (n_samples, n_features)
            Finite features of the teacher. No gradient flows into them. A row of zeros
            counts as a cosine of 0.
        sample_weight : Tensor of shape (n_samples,), default=None
            Non-negative weights, which replace the mean over the samples by
            :math:`\sum_i w_i l_i / \sum_i w_i`. The loss of a batch whose weights are
            all zero is 0.

        Returns
        -------
        loss : Tensor of shape ()
            The loss, from 0 to 2 but for rounding. It has the dtype of ``student``, or
            float32 if that is a 16-bit type.

        Raises
        ------
        ValueError
            If ``student`` and ``teacher`` aren't two-dimensional, differ in shape or
            are empty, if ``teacher`` isn't finite, or if ``sample_weight`` doesn't have
            one weight per sample.
        """
        student, teacher = widened_pair(student, teacher, same_width=True)
        cosines = (unit_rows(student) * unit_rows(teacher)).sum(dim=1)
        return weighted_mean(1 - cosines, sample_weight)


class CKALoss(Loss):
    r"""One minus the linear centered kernel alignment, estimated without bias.

    With :math:`K = f f^\top`, the similarities between the rows, and
    :math:`\tilde K` those similarities centered without their diagonal,

    .. math::

        \tilde K_{ij} = K_{ij} - \frac{k_i + k_j}{N - 2}
            + \frac{\sum_l k_l}{(N - 1)(N - 2)}, \qquad
        k_i = \sum_{j \ne i} K_{ij}, \qquad \tilde K_{ii} = K_{ii} = 0,

    the loss is

    .. math::

        L = 1 - \frac{\langle \tilde K_s, \tilde K_t \rangle}
                     {\|\tilde K_s\|_F \, \|\tilde K_t\|_F}

    It is invariant to rotation, scale and translation of either side, so the widths
    may differ and no projection is needed.

    See Also
    --------
    SimilarityLoss : Compares similarities between rows too, around the origin.

    Notes
    -----
    The usual estimator, with the diagonal, is biased upwards in batches that are
    smaller than the features are wide: for independent features of width 256 in
    batches of 32 it finds an alignment of 0.9. Here each inner product is the unbiased
    one of [2]_, in the form of [3]_, in which the norms are never negative, hence the
    alignment lies between -1 and 1. It takes 4 samples.

    References
    ----------
    .. [1] S. Kornblith, M. Norouzi, H. Lee, G. Hinton, "Similarity of Neural Network
       Representations Revisited", 2019. https://arxiv.org/abs/1905.00414

    .. [2] L. Song, A. Smola, A. Gretton, J. Bedo, K. Borgwardt, "Feature Selection
       via Dependence Maximization", Journal of Machine Learning Research 13, 2012.

    .. [3] G. Székely, M. Rizzo, "Partial Distance Correlation with Methods for
       Dissimilarities", 2014. https://arxiv.org/abs/1310.2926

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import CKALoss
    >>> square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> print(f"{CKALoss()(square, 10 - 3 * square):.4f}")
    0.0000
    >>> CKALoss()(square, square[[0, 3, 2, 1]])
    tensor(1.5000)
    """

    min_rows = 4

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        student : Tensor of shape (n_samples, n_student_features)
            Features of the student, of any floating dtype.
        teacher : Tensor of shape (n_samples, n_teacher_features)
            Finite features of the teacher. No gradient flows into them.

        Returns
        -------
        loss : Tensor of shape ()
            The loss: 0 for features that are equal up to the invariances, about 1 for
            independent ones, at most 2. It is 1 without a gradient where there is
            nothing to compare: in batches of 2 or 3 samples, and where all rows of a
            side are equal. It has the dtype of ``student``, or float32 if that is a
            16-bit type.

        Raises
        ------
        ValueError
            If ``student`` and ``teacher`` aren't two-dimensional, differ in their
            number of rows or have fewer than 2, if one has no columns, or if
            ``teacher`` isn't finite.
        """
        student, teacher = widened_pair(student, teacher, min_rows=2)
        student, teacher = rescaled(student), rescaled(teacher)
        if len(student) < self.min_rows:
            return 1 + 0 * student.sum()
        with without_autocast(student):
            # Similarities are of the order of the squared spread of the features.
            floor = rounding(student) ** 2
            s, t = (unit(_alignable(f).flatten(), floor) for f in (student, teacher))
            return 1 - s.dot(t)


class VIDLoss(Loss):
    r"""Variational information distillation, which learns how far to trust a feature.

    A learned linear map :math:`m` predicts the teacher's features from the student's,
    and the loss is the negative log-likelihood of a Gaussian around it, with a learned
    variance :math:`\sigma_j^2` for each of the teacher's :math:`D` features:

    .. math::

        L = \frac{1}{2 N D} \sum_{i=1}^{N} \sum_{j=1}^{D} \left[
            \frac{(m(f_s)_{ij} - f_{t,ij})^2}{\sigma_j^2} + \log \sigma_j^2 \right]

    Features that the student cannot predict get a large variance and so a small
    weight. The loss can be negative. The object itself cannot be called: all that it
    does is learned, and so in the module that :meth:`learned` returns.

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

    keywords = ("sample_weight",)
    learns = True

    def learned(self, n_student_features: int, n_teacher_features: int) -> nn.Module:
        """Return the loss with its learned map and variances.

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


LOSSES["feature_loss"] |= {
    "hint": HintLoss,
    "cosine": CosineLoss,
    "cka": CKALoss,
    "vid": VIDLoss,
}


class _Projected(nn.Module):
    """A loss on the student's features after a learned map."""

    def __init__(self, loss: Loss, student: nn.Linear) -> None:
        super().__init__()
        self.loss, self.student = loss, student

    def forward(
        self, student: Tensor, teacher: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        return self.loss(self.student(student), teacher, sample_weight)


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
        return weighted_mean(0.5 * losses.mean(dim=1), sample_weight)


def _alignable(features: Tensor) -> Tensor:
    """Similarities between the rows, centered so that their products are unbiased."""
    n = len(features)
    # Not needed in exact arithmetic, but off center the products lose digits.
    features = features - features.detach().mean(dim=0)
    others = 1 - torch.eye(n, dtype=features.dtype, device=features.device)
    similarities = features @ features.T * others
    rows = similarities.sum(dim=1) / (n - 2)
    mean = rows.sum() / (n - 1)
    return (similarities - rows[:, None] - rows + mean) * others
