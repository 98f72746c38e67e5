"""Losses that compare how rows relate to each other in a student and a teacher."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from skdistill.losses._base import LOSSES, NOT_NEGATIVE, POSITIVE, Loss
from skdistill.losses._numerics import (
    at_least_float32,
    rescaled,
    rounding,
    smallest_norm,
    unit,
    unit_rows,
    widened_pair,
    without_autocast,
)

# Numbers that the angles of one chunk may take per intermediate tensor: 8 MiB in
# float32.
_CHUNK_SIZE = 2**21

# Keeps the logarithms of PKTLoss finite; the value is that of its paper's code.
_PKT_EPS = 1e-7


class _RelationLoss(Loss):
    """Base of the losses that compare each row with the others."""

    min_rows = 2


class RKDLoss(_RelationLoss):
    r"""Relational distillation of the distances and angles between rows.

    With :math:`d_{ij} = \|f_i - f_j\|`, :math:`\mu` the mean of the positive ones
    among them, :math:`e_{ij} = (f_i - f_j) / d_{ij}` and :math:`\ell` the smooth L1
    loss (a parabola up to 1):

    .. math::

        L = \frac{w_d}{N^2} \sum_{i,j} \ell\left(
                \frac{d_{s,ij}}{\mu_s} - \frac{d_{t,ij}}{\mu_t} \right)
          + \frac{w_a}{N^3} \sum_{i,j,k} \ell\left(
                e_{s,ij} \cdot e_{s,kj} - e_{t,ij} \cdot e_{t,kj} \right)

    It is invariant to rotation, scale and translation of either side, and the widths
    may differ.

    Parameters
    ----------
    distance_weight : float, default=1.0
        Weight :math:`w_d` of the distances, at least 0.
    angle_weight : float, default=2.0
        Weight :math:`w_a` of the angles, at least 0. At 0 the angles, which take most
        of the time, aren't computed.
    block_size : int, default=16
        A batch of more rows is divided into blocks of at most so many, in their order,
        and the loss is the mean of those of the blocks, weighted by their rows: the
        time per row grows with the square of the rows that are compared.

    See Also
    --------
    SimilarityLoss : Compares inner products, which are cheaper.

    Notes
    -----
    Rows that differ by no more than rounding count as duplicates: their distance is 0
    and so is the cosine of every angle with their difference as a side.

    The angles of a block of :math:`N` rows take time in proportion to :math:`N^3`, but
    not memory: they and their gradient are computed for a few vertices at a time.
    Batches are drawn at random, so a block is a sample of the triplets; the paper
    compares all of those of a batch.

    References
    ----------
    .. [1] W. Park, D. Kim, Y. Lu, M. Cho, "Relational Knowledge Distillation", 2019.
       https://arxiv.org/abs/1904.05068

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import RKDLoss
    >>> student = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    >>> teacher = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> RKDLoss()(student, teacher)
    tensor(0.3310)
    >>> RKDLoss(angle_weight=0.0)(student, teacher)
    tensor(0.0717)
    >>> from skdistill import DistilledClassifier
    >>> clf = DistilledClassifier(relation_loss=RKDLoss())
    >>> clf.set_params(relation_loss__angle_weight=0.0).relation_loss
    RKDLoss(angle_weight=0.0)
    """

    _parameter_constraints = {
        "distance_weight": [NOT_NEGATIVE],
        "angle_weight": [NOT_NEGATIVE],
        "block_size": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        distance_weight: float = 1.0,
        angle_weight: float = 2.0,
        *,
        block_size: int = 16,
    ) -> None:
        self.distance_weight = distance_weight
        self.angle_weight = angle_weight
        self.block_size = block_size

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        student : Tensor of shape (n_samples, n_student_features)
            Features of the student, of any floating dtype.
        teacher : Tensor of shape (n_samples, n_teacher_features)
            Finite features (or logits) of the teacher. No gradient flows into them.

        Returns
        -------
        loss : Tensor of shape ()
            The loss, never negative. Two rows have nothing to compare: theirs is 0,
            unless those of one side are equal. It has the dtype of ``student``, or
            float32 if that is a 16-bit type.

        Raises
        ------
        ValueError
            If a parameter is out of its range, if ``student`` and ``teacher`` aren't
            two-dimensional, differ in their number of rows or have fewer than 2, if one
            has no columns, or if ``teacher`` isn't finite.
        """
        self._check_params()
        student, teacher = widened_pair(student, teacher, self.min_rows)
        student, teacher = rescaled(student), rescaled(teacher)
        loss = 0 * student.sum()
        blocks = (_blocks(side, self.block_size) for side in (student, teacher))
        for s, t in zip(*blocks, strict=True):
            share = s.shape[0] * s.shape[1] / len(student)
            loss = loss + share * self._of_blocks(s, t)
        return loss

    def _of_blocks(self, student: Tensor, teacher: Tensor) -> Tensor | float:
        """Return the mean loss of blocks of equally many rows."""
        loss: Tensor | float = 0.0
        if self.distance_weight > 0:
            s, t = _relative_distances(student), _relative_distances(teacher)
            loss = loss + self.distance_weight * F.smooth_l1_loss(s, t)
        if self.angle_weight > 0:
            loss = loss + self.angle_weight * _AngleLoss.apply(student, teacher)
        return loss


class SimilarityLoss(_RelationLoss):
    r"""Squared difference of the rows' normalized similarities.

    With :math:`G` the matrix :math:`f f^\top` of inner products between the rows,
    each of its own rows divided by its norm:

    .. math::

        L = \frac{1}{N^2} \|G_s - G_t\|_F^2

    It is invariant to rotation and scale of either side, and the widths may differ.
    Its paper gives it a weight of 3000 beside the cross-entropy.

    See Also
    --------
    PKTLoss : Compares cosines as probabilities.

    References
    ----------
    .. [1] F. Tung, G. Mori, "Similarity-Preserving Knowledge Distillation", 2019.
       https://arxiv.org/abs/1907.09682

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import SimilarityLoss
    >>> student = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> teacher = torch.tensor([[3.0, 4.0], [4.0, -3.0]])
    >>> SimilarityLoss()(student, teacher)
    tensor(0.)
    >>> SimilarityLoss()(student, torch.tensor([[3.0, 4.0], [3.0, 4.0]]))
    tensor(0.2929)
    """

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        student : Tensor of shape (n_samples, n_student_features)
            Features of the student, of any floating dtype.
        teacher : Tensor of shape (n_samples, n_teacher_features)
            Finite features (or logits) of the teacher. No gradient flows into them.

        Returns
        -------
        loss : Tensor of shape ()
            The loss, from 0 to ``4 / n_samples``. It has the dtype of ``student``, or
            float32 if that is a 16-bit type.

        Raises
        ------
        ValueError
            If ``student`` and ``teacher`` aren't two-dimensional, differ in their
            number of rows or have fewer than 2, if one has no columns, or if
            ``teacher`` isn't finite.
        """
        student, teacher = widened_pair(student, teacher, self.min_rows)
        with without_autocast(student):
            return F.mse_loss(_similarities(student), _similarities(teacher))


class PKTLoss(_RelationLoss):
    r"""Probabilistic knowledge transfer: divergence of the rows' similarities.

    The cosines :math:`c_{ij}` between the rows, moved to :math:`(c_{ij} + 1) / 2` and
    scaled to sum to 1 over :math:`j`, are the probabilities :math:`p` of the teacher
    and :math:`q` of the student in

    .. math::

        L = \frac{1}{N^2} \sum_{i,j} p_{ij}
            \left( \log(p_{ij} + \epsilon) - \log(q_{ij} + \epsilon) \right),
        \qquad \epsilon = 10^{-7}

    It is invariant to rotation of either side and to the scale of any row, and the
    widths may differ. A mean over all pairs is small: a weight of 30000 beside the
    cross-entropy is common.

    See Also
    --------
    SimilarityLoss : Compares inner products, which know the lengths of the rows.

    References
    ----------
    .. [1] N. Passalis, A. Tefas, "Learning Deep Representations with Probabilistic
       Knowledge Transfer", 2018. https://arxiv.org/abs/1803.10837

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import PKTLoss
    >>> student = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> teacher = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> PKTLoss()(student, teacher)
    tensor(0.0294)
    """

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        r"""Return the loss of a batch.

        Parameters
        ----------
        student : Tensor of shape (n_samples, n_student_features)
            Features of the student, of any floating dtype. A row of zeros counts as a
            cosine of 0 with every row.
        teacher : Tensor of shape (n_samples, n_teacher_features)
            Finite features (or logits) of the teacher. No gradient flows into them.

        Returns
        -------
        loss : Tensor of shape ()
            The loss, never negative but for rounding and :math:`\epsilon`. It has the
            dtype of ``student``, or float32 if that is a 16-bit type.

        Raises
        ------
        ValueError
            If ``student`` and ``teacher`` aren't two-dimensional, differ in their
            number of rows or have fewer than 2, if one has no columns, or if
            ``teacher`` isn't finite.
        """
        student, teacher = widened_pair(student, teacher, self.min_rows)
        with without_autocast(student):
            p, q = _affinities(teacher), _affinities(student)
        return (p * ((p + _PKT_EPS).log() - (q + _PKT_EPS).log())).mean()


class ContrastiveLoss(_RelationLoss):
    r"""Contrast of a row's own teacher features with those of the other rows.

    This is InfoNCE inside the batch: the cross-entropy of finding the row that a
    student's features belong to, by their cosines :math:`c_{ij}` with the teacher's:

    .. math::

        L = -\frac{1}{N} \sum_{i=1}^{N} \log
            \frac{\exp(c_{ii} / \tau)}{\sum_{j=1}^{N} \exp(c_{ij} / \tau)},
        \qquad c_{ij} = \frac{f_{s,i} \cdot f_{t,j}}{\|f_{s,i}\| \, \|f_{t,j}\|}

    In training, two learned linear maps bring the features of both sides to one width.

    Parameters
    ----------
    temperature : float, default=0.07
        Temperature :math:`\tau` of the softmax over the rows, above 0. It has nothing
        to do with that of the estimator.
    n_components : int, default=128
        The width that both sides are brought to in training.

    See Also
    --------
    CosineLoss : Draws rows to their own teacher features without contrast.

    Notes
    -----
    All negatives come from the batch, so a large batch makes a sharper loss. The
    paper has a memory of the features of all samples instead.

    References
    ----------
    .. [1] Y. Tian, D. Krishnan, P. Isola, "Contrastive Representation Distillation",
       2020. https://arxiv.org/abs/1910.10699

    .. [2] A. van den Oord, Y. Li, O. Vinyals, "Representation Learning with
       Contrastive Predictive Coding", 2018. https://arxiv.org/abs/1807.03748

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import ContrastiveLoss
    >>> student = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> teacher = torch.tensor([[5.0, 0.0], [0.0, 2.0]])
    >>> ContrastiveLoss(temperature=0.5)(student, teacher)
    tensor(0.1269)
    >>> ContrastiveLoss()(student, torch.ones(2, 2))
    tensor(0.6931)
    >>> from skdistill import DistilledClassifier
    >>> clf = DistilledClassifier(relation_loss=ContrastiveLoss(n_components=32))
    """

    learns = True

    _parameter_constraints = {
        "temperature": [POSITIVE],
        "n_components": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, temperature: float = 0.07, n_components: int = 128) -> None:
        self.temperature = temperature
        self.n_components = n_components

    def __call__(self, student: Tensor, teacher: Tensor) -> Tensor:
        r"""Return the loss of a batch.

        Parameters
        ----------
        student : Tensor of shape (n_samples, n_features)
            Features of the student, of any floating dtype, projected to the teacher's
            width if their own is another. A row of zeros counts as a cosine of 0 with
            every row.
        teacher : Tensor of shape (n_samples, n_features)
            Finite features of the teacher. No gradient flows into them.

        Returns
        -------
        loss : Tensor of shape ()
            The loss, never negative: near 0 where each row is told from all the others,
            :math:`\log N` where all look the same. It has the dtype of ``student``, or
            float32 if that is a 16-bit type.

        Raises
        ------
        ValueError
            If a parameter is out of its range, if ``student`` and ``teacher`` aren't
            two-dimensional, differ in shape or have fewer than 2 rows, or if
            ``teacher`` isn't finite.
        """
        self._check_params()
        pair = widened_pair(student, teacher, self.min_rows, same_width=True)
        return _info_nce(*pair, self.temperature)

    def learned(self, n_student_features: int, n_teacher_features: int) -> nn.Module:
        """Return the loss with a learned linear map for each side.

        Parameters
        ----------
        n_student_features, n_teacher_features : int
            The widths of the two sides.

        Returns
        -------
        loss : torch.nn.Module
            Called as this loss is, in its place.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        self._check_params()
        return _Contrast(
            nn.Linear(n_student_features, self.n_components),
            nn.Linear(n_teacher_features, self.n_components),
            self.temperature,
        )


LOSSES["relation_loss"] |= {
    "rkd": RKDLoss,
    "similarity": SimilarityLoss,
    "pkt": PKTLoss,
    "contrastive": ContrastiveLoss,
}


class _Contrast(nn.Module):
    """The contrast of features, each side after a learned map."""

    def __init__(
        self, student: nn.Linear, teacher: nn.Linear, temperature: float
    ) -> None:
        super().__init__()
        self.student, self.teacher = student, teacher
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        _, teacher = widened_pair(student, teacher, ContrastiveLoss.min_rows)
        dtype = at_least_float32(student.dtype)
        teacher = self.teacher(teacher.to(self.teacher.weight.dtype))
        student = self.student(student)
        return _info_nce(student.to(dtype), teacher.to(dtype), self.temperature)


def _info_nce(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding each row's other side; both sides get a gradient."""
    with without_autocast(student):
        logits = unit_rows(student) @ unit_rows(teacher).T / temperature
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def _blocks(rows: Tensor, block_size: int) -> list[Tensor]:
    """Return the blocks of equally many rows below each other, and the last one."""
    n_blocks = math.ceil(len(rows) / block_size)
    size = math.ceil(len(rows) / n_blocks)
    n_whole = len(rows) // size * size
    last = rows[n_whole:]
    return [rows[:n_whole].unflatten(0, (-1, size))] + [last[None]] * bool(len(last))


def _relative_distances(features: Tensor) -> Tensor:
    """Distances between the rows of blocks, divided by the mean of the positive ones.

    The blocks are (n_blocks, n_rows, n_features).
    """
    # Neither the matrix product, which loses digits off center, nor a root of our
    # own, whose gradient is infinite at 0: that of cdist is 0 there.
    distances = torch.cdist(
        features, features, compute_mode="donot_use_mm_for_euclid_dist"
    )
    positive = distances > _shortest_side(features, features)
    distances = torch.where(positive, distances, 0)
    sums = distances.sum(dim=(1, 2), keepdim=True)
    mean = sums / positive.sum(dim=(1, 2), keepdim=True).clamp_min(1)
    return distances / torch.where(mean > 0, mean, 1)


class _AngleLoss(torch.autograd.Function):
    """Mean smooth L1 loss between the cosines of all triplets' angles in blocks.

    The gradient is taken chunk by chunk along with the loss, or autograd would keep
    the cosines of all N^3 triplets for it; and in closed form, as that takes a fourth
    of the time.
    """

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the loss, and the gradient if it is needed."""
        loss, grad = student.new_zeros(()), torch.zeros_like(student)
        with without_autocast(student):
            for vertices in _vertex_chunks(student, teacher):
                s, length = _unit_sides(student, vertices)
                t, _ = _unit_sides(teacher, vertices)
                difference = s @ s.transpose(2, 3) - t @ t.transpose(2, 3)
                loss += F.smooth_l1_loss(
                    difference, torch.zeros_like(difference), reduction="sum"
                )
                if not ctx.needs_input_grad[0]:
                    continue
                # Each side is in two cosines of the same vertex.
                of_sides = 2 * difference.clamp(-1, 1) @ s
                along = (of_sides * s).sum(dim=-1, keepdim=True) * s
                of_sides = torch.where(length > 0, of_sides - along, of_sides)
                of_sides = of_sides / torch.where(length > 0, length, 1)
                grad += of_sides.sum(dim=1)
                grad[:, vertices] -= of_sides.sum(dim=2)
        n_triplets = len(student) * student.shape[1] ** 3
        ctx.save_for_backward(grad / n_triplets)
        return loss / n_triplets

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        """Scale the gradient that `forward` took."""
        (grad,) = ctx.saved_tensors
        return grad_output * grad, None


def _vertex_chunks(student: Tensor, teacher: Tensor) -> tuple[Tensor, ...]:
    """Return the indices of the rows of blocks, in chunks that fit into memory."""
    n_blocks, n, _ = student.shape
    width = max(student.shape[2], teacher.shape[2])
    size = max(1, _CHUNK_SIZE // (n_blocks * n * (n + width)))
    return torch.arange(n, device=student.device).split(size)


def _unit_sides(features: Tensor, vertices: Tensor) -> tuple[Tensor, Tensor]:
    """Directions from each vertex to the rows of its block, and the distances.

    Rows that count as duplicates have a distance of 0, and their difference as it is.
    """
    at = features[:, vertices]
    sides = features[:, None] - at[:, :, None]
    length = torch.linalg.vector_norm(sides, dim=-1, keepdim=True)
    length = torch.where(length > _shortest_side(at, features)[..., None], length, 0)
    return sides / torch.where(length > 0, length, 1), length


def _shortest_side(features: Tensor, others: Tensor) -> Tensor:
    """Differences between rows up to which the rows count as duplicates."""
    sizes, other_sizes = (f.detach().abs().amax(dim=2) for f in (features, others))
    return rounding(features) * torch.maximum(sizes[:, :, None], other_sizes[:, None])


def _similarities(features: Tensor) -> Tensor:
    """Inner products between the rows, each row of them scaled to norm 1."""
    features = rescaled(features)
    return unit(features @ features.T, smallest_norm(features))


def _affinities(features: Tensor) -> Tensor:
    """Cosines between the rows as probabilities, which sum to 1 in each row."""
    units = unit_rows(features)
    # Rounding can take a cosine below -1.
    affinities = (1 + units @ units.T).clamp_min(0) / 2
    return affinities / affinities.sum(dim=1, keepdim=True)
