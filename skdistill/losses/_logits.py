"""Losses that compare a student's logits with a teacher's."""

from __future__ import annotations

import math
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor
from torch.nn import functional as F

from skdistill.losses._base import LOSSES, NOT_NEGATIVE, POSITIVE, Loss
from skdistill.losses._numerics import at_least_float32, shares, weighted_mean

# Temperature up to which float32 is accurate to 1e-5. The rounding of the
# probabilities does not shrink as they near each other, and T^2 magnifies it.
MAX_FLOAT32_TEMPERATURE = 4.0


class _LogitLoss(Loss):
    """Base of the losses on logits, most of which have a temperature."""

    keywords: tuple[str, ...] = ("temperature", "sample_weight")
    task = "classification"
    min_classes = 1
    temperature: float | None

    def _checked_temperature(self, temperature: float) -> float:
        """Return the temperature of the loss, or else that of its call."""
        self._check_params()
        if self.temperature is not None:
            return self.temperature
        if not POSITIVE.is_satisfied_by(temperature):
            raise ValueError(
                f"The temperature that {self.name} is called with must be a positive "
                f"finite number, got {temperature!r}."
            )
        return temperature

    def _check_logits(self, student: Tensor, teacher: Tensor) -> None:
        if student.ndim != 2 or student.shape != teacher.shape:
            raise ValueError(
                "student and teacher must both be logits of shape (n_samples, "
                f"n_classes), got {tuple(student.shape)} and {tuple(teacher.shape)}."
            )
        if student.shape[1] < self.min_classes:
            classes = f"{self.min_classes} classes, got {student.shape[1]}"
            raise ValueError(f"{self.name} needs at least {classes}.")

    def _check_labels(self, y: Tensor | None, logits: Tensor) -> Tensor:
        if y is None:
            raise ValueError(f"y is None, but {self.name} needs labels.")
        if y.shape != logits.shape[:1] or y.dtype != torch.int64:
            raise ValueError(
                f"y must hold one int64 class index for each of the {len(logits)} "
                f"samples, got shape {tuple(y.shape)} and dtype {y.dtype}."
            )
        return y.to(logits.device)

    def _softened(
        self, student: Tensor, teacher: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor, float]:
        """Return both logits divided by the temperature, and the temperature.

        No gradient flows into the teacher's.
        """
        T = self._checked_temperature(temperature)
        self._check_logits(student, teacher)
        z_student, z_teacher = (_widened(z, T) / T for z in (student, teacher.detach()))
        return z_student, z_teacher, T


class _SoftenedLoss(_LogitLoss):
    """Base of the losses on logits that are divided by a temperature."""

    # Whether the square of the temperature is a factor.
    grows = True
    _parameter_constraints: dict = {"temperature": [POSITIVE, None]}

    def __init__(self, temperature: float | None = None) -> None:
        self.temperature = temperature

    def __call__(
        self,
        student: Tensor,
        teacher: Tensor,
        temperature: float = 1.0,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        r"""Return the loss of a batch.

        Parameters
        ----------
        student : Tensor of shape (n_samples, n_classes)
            Finite logits of the student, of any floating dtype.
        teacher : Tensor of shape (n_samples, n_classes)
            Logits of the teacher; log-probabilities are logits too. An entry of -inf is
            a probability of exactly zero. No gradient flows into the teacher.
        temperature : float, default=1.0
            Replaces a temperature of None.
        sample_weight : Tensor of shape (n_samples,), default=None
            Non-negative weights, which replace the mean over the samples by
            :math:`\sum_i w_i l_i / \sum_i w_i`. The loss of a batch whose weights are
            all zero is 0.

        Returns
        -------
        loss : Tensor of shape ()
            The loss, never negative but for rounding. It has the dtype of ``student``,
            or float32 if that is a 16-bit type.

        Raises
        ------
        ValueError
            If a parameter is out of its range, if the temperature isn't positive and
            finite, if the logits differ in shape or aren't two-dimensional or of too
            few classes, or if ``sample_weight`` doesn't have one weight per sample.
        """
        z_student, z_teacher, T = self._softened(student, teacher, temperature)
        rows = self._rows(z_student, z_teacher, sample_weight)
        loss = weighted_mean(rows, sample_weight)
        return _narrowed(loss * T**2 if self.grows else loss, student)

    def _rows(
        self, z_student: Tensor, z_teacher: Tensor, weight: Tensor | None
    ) -> Tensor:
        """Return the loss of each row, given softened logits."""
        raise NotImplementedError


class KLLoss(_SoftenedLoss):
    r"""Kullback-Leibler divergence of the student from the teacher.

    Both sides are softened by the temperature :math:`T`, with
    :math:`p^T = \mathrm{softmax}(z / T)` for logits :math:`z`:

    .. math::

        L = \frac{T^2}{N} \sum_{i=1}^{N} \sum_{k=1}^{K}
            p_{t,ik}^T \, (\log p_{t,ik}^T - \log p_{s,ik}^T)

    The factor :math:`T^2` keeps the gradient,
    :math:`\partial L / \partial z_s = T (p_s^T - p_t^T) / N`, on the same scale at
    every temperature. As :math:`T` grows, a row's loss nears half the variance of
    :math:`z_s - z_t` over the classes.

    Parameters
    ----------
    temperature : float, default=None
        Temperature of both softmaxes, above 0. None is that of the call: in training
        the estimator's, otherwise 1.

    See Also
    --------
    JSDLoss : Also the divergence of the teacher from the student.
    DKDLoss : The divergence in two parts with weights of their own.

    Notes
    -----
    The loss is computed in float32 or better, and in float64 for temperatures above
    4, where float32 would lose too many digits.

    References
    ----------
    .. [1] G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural
       Network", 2015. https://arxiv.org/abs/1503.02531

    Examples
    --------
    In a training loop of your own:

    >>> import torch
    >>> from skdistill.losses import KLLoss
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> KLLoss(temperature=2.0)(student, teacher)
    tensor(1.3372)

    In an estimator, where a search can tune it:

    >>> from skdistill import DistilledClassifier
    >>> clf = DistilledClassifier(loss=KLLoss(temperature=4.0))
    >>> clf.set_params(loss__temperature=8.0).loss
    KLLoss(temperature=8.0)
    """

    def _rows(
        self, z_student: Tensor, z_teacher: Tensor, weight: Tensor | None
    ) -> Tensor:
        return _softmax_kl_rows(z_student, z_teacher)


class LogitMSELoss(_LogitLoss):
    r"""Mean squared error between the logits, each row centered first.

    .. math::

        L = \frac{1}{N K} \sum_{i=1}^{N} \sum_{k=1}^{K}
            (\tilde z_{s,ik} - \tilde z_{t,ik})^2,
        \qquad
        \tilde z_{ik} = z_{ik} - \frac{1}{K} \sum_{j=1}^{K} z_{ij}

    Logits are defined up to a constant per row, and those of a teacher known by its
    log-probabilities have an arbitrary one. Centering takes it out. This loss is twice
    the limit of :class:`KLLoss` at high temperature.

    See Also
    --------
    KLLoss : The divergence of the softened probabilities.
    StandardizedLoss : Discards the scale of the logits as well as their mean.

    References
    ----------
    .. [1] J. Ba, R. Caruana, "Do Deep Nets Really Need to be Deep?", 2014.
       https://arxiv.org/abs/1312.6184

    .. [2] T. Kim, J. Oh, N. Kim, S. Cho, S.-Y. Yun, "Comparing Kullback-Leibler
       Divergence and Mean Squared Error Loss in Knowledge Distillation", 2021.
       https://arxiv.org/abs/2105.08919

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import LogitMSELoss
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> LogitMSELoss()(student, teacher)
    tensor(2.9167)
    >>> LogitMSELoss()(student, torch.log_softmax(teacher, dim=1))
    tensor(2.9167)
    """

    keywords = ("sample_weight",)

    def __call__(
        self, student: Tensor, teacher: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        r"""Return the loss of a batch.

        Parameters
        ----------
        student : Tensor of shape (n_samples, n_classes)
            Finite logits of the student, of any floating dtype.
        teacher : Tensor of shape (n_samples, n_classes)
            Finite logits of the teacher; log-probabilities are logits too. No gradient
            flows into the teacher.
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
            If the logits differ in shape or aren't two-dimensional, if ``teacher``
            isn't finite, or if ``sample_weight`` doesn't have one weight per sample.
        """
        self._check_logits(student, teacher)
        _check_finite(teacher)
        difference = _widened(student) - _widened(teacher.detach())
        centered = difference - difference.mean(dim=1, keepdim=True)
        return weighted_mean(centered.square().mean(dim=1), sample_weight)


class DKDLoss(_LogitLoss):
    r"""Decoupled knowledge distillation (DKD).

    It splits :class:`KLLoss` into the divergence on the target class against all
    others (TCKD) and that among the other classes (NCKD), and weighs the two freely:

    .. math::

        L = \frac{T^2}{N} \sum_{i=1}^{N} \big[
            \alpha \, \mathrm{KL}(b_{t,i} \,\|\, b_{s,i})
            + \beta \, \mathrm{KL}(q_{t,i} \,\|\, q_{s,i}) \big]

    with the binary distribution :math:`b = (p_y^T, 1 - p_y^T)` and the distribution
    over the non-targets :math:`q_k = p_k^T / (1 - p_y^T)`, :math:`k \neq y`. In
    :class:`KLLoss` the second term of a sample has the weight
    :math:`1 - p_{t,y}^T`, which vanishes where the teacher is confident.

    Parameters
    ----------
    target_weight : float, default=1.0
        Weight :math:`\alpha` of the divergence on the target class, at least 0.
    nontarget_weight : float, default=8.0
        Weight :math:`\beta` of the divergence among the non-targets, at least 0.
    temperature : float, default=None
        Temperature of both softmaxes, above 0. None is that of the call: in training
        the estimator's, otherwise 4, which the authors use.
    warmup_epochs : int, default=20
        The loss rises linearly to its full weight over this many epochs, as in the
        paper, which trains for 240. Use fewer in a training of 30.

    See Also
    --------
    KLLoss : The loss that this one decouples.
    NKDLoss : Another weighting of the target and the non-targets.

    Notes
    -----
    With two classes there is a single non-target, so the second term is 0 whatever its
    weight, and ``target_weight=1`` is :class:`KLLoss`. The second term is also 0 in a
    row where the teacher gives every non-target a probability of exactly zero.

    References
    ----------
    .. [1] B. Zhao, Q. Cui, R. Song, Y. Qiu, J. Liang, "Decoupled Knowledge
       Distillation", 2022. https://arxiv.org/abs/2203.08679

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import DKDLoss
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> y = torch.tensor([0, 2])
    >>> DKDLoss(nontarget_weight=0.0, temperature=1.0)(student, teacher, y)
    tensor(1.0580)
    >>> from skdistill import DistilledClassifier
    >>> clf = DistilledClassifier(loss=DKDLoss(warmup_epochs=5), temperature=4.0)
    """

    keywords = ("y", "temperature", "sample_weight", "epoch")
    needs_labels = True
    min_classes = 2

    _parameter_constraints = {
        "target_weight": [NOT_NEGATIVE],
        "nontarget_weight": [NOT_NEGATIVE],
        "temperature": [POSITIVE, None],
        "warmup_epochs": [Interval(Integral, 0, None, closed="left")],
    }

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
        r"""Return the loss of a batch.

        Parameters
        ----------
        student : Tensor of shape (n_samples, n_classes)
            Finite logits of the student, of any floating dtype.
        teacher : Tensor of shape (n_samples, n_classes)
            Logits of the teacher; log-probabilities are logits too. An entry of -inf is
            a probability of exactly zero. No gradient flows into the teacher.
        y : Tensor of shape (n_samples,) and dtype int64
            Class indices from 0 to n_classes - 1.
        temperature : float, default=4.0
            Replaces a temperature of None.
        sample_weight : Tensor of shape (n_samples,), default=None
            Non-negative weights, which replace the mean over the samples by
            :math:`\sum_i w_i l_i / \sum_i w_i`. The loss of a batch whose weights are
            all zero is 0.
        epoch : int, default=None
            The number of the epoch, counted from 0. None means after the warm-up.

        Returns
        -------
        loss : Tensor of shape ()
            The loss, never negative but for rounding. It has the dtype of ``student``,
            or float32 if that is a 16-bit type.

        Raises
        ------
        ValueError
            If a parameter is out of its range, if ``y`` is None or isn't one int64
            label per sample, if there are fewer than two classes, or if the shapes
            disagree.
        """
        z_student, z_teacher, T = self._softened(student, teacher, temperature)
        y = self._check_labels(y, z_student)
        target = _kl_rows(_log_binary(z_student, y), _log_binary(z_teacher, y).exp())
        nontarget = _kl_rows(*_nontargets(z_student, z_teacher, y))
        rows = self.target_weight * target + self.nontarget_weight * nontarget
        loss = _narrowed(weighted_mean(rows, sample_weight) * T**2, student)
        if epoch is None or epoch + 1 >= self.warmup_epochs:
            return loss
        return (epoch + 1) / self.warmup_epochs * loss


class DISTLoss(_SoftenedLoss):
    r"""Pearson correlation within samples and within classes (DIST).

    .. math::

        L = T^2 \Big[
            \beta \Big(1 - \frac{1}{N} \sum_{i=1}^{N} \rho(p_{s,i:}^T, p_{t,i:}^T)\Big)
            + \gamma \Big(1 - \frac{1}{K} \sum_{k=1}^{K}
                \rho(p_{s,:k}^T, p_{t,:k}^T)\Big) \Big]

    The first term correlates the probabilities of a sample over the classes, the
    second those of a class over the batch. The student need not match the teacher's
    probabilities, only their order and relative distances, which suits a teacher much
    stronger than its student.

    Parameters
    ----------
    beta : float, default=1.0
        Weight of the correlation within samples, at least 0.
    gamma : float, default=1.0
        Weight of the correlation within classes, at least 0.
    temperature : float, default=None
        Temperature of both softmaxes, above 0. None is that of the call: in training
        the estimator's, otherwise 1.

    See Also
    --------
    KLLoss : Matches the teacher's probabilities themselves.

    Notes
    -----
    A row or column that is constant up to rounding has no correlation and gets no
    gradient: it adds 0 to the mean of :math:`1 - \rho` if it is constant on both
    sides, and 1/2 if on one.

    - A single sample makes every column constant: only the first term is left.
    - Two classes make every correlation within a sample 1 or -1: the first term is
      constant almost everywhere, and only the second teaches.
    - Correlations don't shrink as the temperature grows, so :math:`T^2` isn't a
      compensation here: it raises the weight of the loss.
    - Weights of rows also weigh the correlations of the second term, as if each row
      were there that many times.

    References
    ----------
    .. [1] T. Huang, S. You, F. Wang, C. Qian, C. Xu, "Knowledge Distillation from A
       Stronger Teacher", 2022. https://arxiv.org/abs/2205.10536

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import DISTLoss
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> DISTLoss()(student, teacher)
    tensor(2.2218)
    >>> DISTLoss(gamma=0.0)(student, teacher)
    tensor(1.7218)
    """

    min_classes = 2

    _parameter_constraints = {
        "beta": [NOT_NEGATIVE],
        "gamma": [NOT_NEGATIVE],
        "temperature": [POSITIVE, None],
    }

    def __init__(
        self, beta: float = 1.0, gamma: float = 1.0, temperature: float | None = None
    ) -> None:
        self.beta = beta
        self.gamma = gamma
        self.temperature = temperature

    def _rows(
        self, z_student: Tensor, z_teacher: Tensor, weight: Tensor | None
    ) -> Tensor:
        p_student, p_teacher = F.softmax(z_student, dim=1), F.softmax(z_teacher, dim=1)
        within_samples = _decorrelation(p_student, p_teacher)
        within_classes = _decorrelation(p_student.T, p_teacher.T, weight).mean()
        return self.beta * within_samples + self.gamma * within_classes


class NKDLoss(_LogitLoss):
    r"""Cross-entropies on the target and on the normalized non-targets (NKD).

    .. math::

        L = -\frac{1}{N} \sum_{i=1}^{N} \Big[
            p_{t,iy} \log p_{s,iy}
            + \gamma \, T^2 \sum_{k \neq y} q_{t,ik} \log q_{s,ik} \Big]

    with :math:`q_k = p_k^T / (1 - p_y^T)`, the distribution over the non-targets. The
    temperature softens the second term alone.

    Parameters
    ----------
    gamma : float, default=1.5
        Weight of the non-targets, at least 0.
    temperature : float, default=None
        Temperature of both softmaxes over the non-targets, above 0. None is that of
        the call: in training the estimator's, otherwise 1, which the authors use.

    See Also
    --------
    DKDLoss : Another weighting of the target and the non-targets.

    Notes
    -----
    Both terms are cross-entropies, so the loss of a student that equals its teacher
    isn't 0, and that student isn't its minimum: the first term drives
    :math:`p_{s,y}` to 1, as labels do.

    With two classes there is a single non-target, so the second term is 0. It is also
    0 in a row where the teacher gives every non-target a probability of exactly zero.

    References
    ----------
    .. [1] Z. Yang, A. Zeng, Z. Li, T. Zhang, C. Yuan, Y. Li, "From Knowledge
       Distillation to Self-Knowledge Distillation: A Unified Approach with Normalized
       Loss and Customized Soft Labels", 2023. https://arxiv.org/abs/2303.13005

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import NKDLoss
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> NKDLoss()(student, teacher, torch.tensor([0, 2]))
    tensor(2.0485)
    """

    keywords = ("y", "temperature", "sample_weight")
    needs_labels = True
    min_classes = 2

    _parameter_constraints = {"gamma": [NOT_NEGATIVE], "temperature": [POSITIVE, None]}

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
        r"""Return the loss of a batch.

        Parameters
        ----------
        student : Tensor of shape (n_samples, n_classes)
            Finite logits of the student, of any floating dtype.
        teacher : Tensor of shape (n_samples, n_classes)
            Logits of the teacher; log-probabilities are logits too. An entry of -inf is
            a probability of exactly zero. No gradient flows into the teacher.
        y : Tensor of shape (n_samples,) and dtype int64
            Class indices from 0 to n_classes - 1.
        temperature : float, default=1.0
            Replaces a temperature of None.
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
            If a parameter is out of its range, if ``y`` is None or isn't one int64
            label per sample, if there are fewer than two classes, or if the shapes
            disagree.
        """
        z_student, z_teacher, T = self._softened(student, teacher, temperature)
        y = self._check_labels(y, z_student)
        p_target = F.softmax(z_teacher * T, dim=1)[_at(y)]
        target = -p_target * F.log_softmax(z_student * T, dim=1)[_at(y)]
        log_q_student, q_teacher = _nontargets(z_student, z_teacher, y)
        nontarget = -(q_teacher * log_q_student).sum(dim=1)
        rows = target + self.gamma * T**2 * nontarget
        return _narrowed(weighted_mean(rows, sample_weight), student)


class StandardizedLoss(_LogitLoss):
    r"""Kullback-Leibler divergence on standardized logits.

    It is :class:`KLLoss` after each row of logits, on both sides, was brought to mean
    0 and standard deviation 1:

    .. math::

        z_{ik} \leftarrow (z_{ik} - \bar z_i) \Big/
            \sqrt{\tfrac{1}{K - 1} \sum_{j=1}^{K} (z_{ij} - \bar z_i)^2}

    So a small student need not grow logits as large as its teacher's: only their
    relative distances count.

    Parameters
    ----------
    temperature : float, default=None
        Temperature of both softmaxes, above 0. None is that of the call: in training
        the estimator's, otherwise 2, which the authors use.

    See Also
    --------
    KLLoss : The loss without standardization.
    DISTLoss : Discards the scale of the probabilities.

    Notes
    -----
    Standardized, two logits are always :math:`\pm 1 / \sqrt 2`: nothing is left to
    learn from, and two classes are refused.

    A row of logits that is constant up to rounding becomes zeros and gets no gradient,
    where the 1e-7 that the authors add to the deviation would give it one of the order
    of 1e7.

    The authors add this loss with a weight of 9 to a cross-entropy with 0.1.

    References
    ----------
    .. [1] S. Sun, W. Ren, J. Li, R. Wang, X. Cao, "Logit Standardization in Knowledge
       Distillation", 2024. https://arxiv.org/abs/2403.01427

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import StandardizedLoss
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> StandardizedLoss()(student, teacher)
    tensor(1.0813)
    >>> StandardizedLoss()(student, 10 * teacher + 1)
    tensor(1.0813)
    >>> from skdistill import DistilledClassifier
    >>> clf = DistilledClassifier(loss=[(StandardizedLoss(), 9.0)], alpha=0.9)
    """

    _parameter_constraints: dict = {"temperature": [POSITIVE, None]}
    min_classes = 3

    def __init__(self, temperature: float | None = None) -> None:
        self.temperature = temperature

    def __call__(
        self,
        student: Tensor,
        teacher: Tensor,
        temperature: float = 2.0,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        r"""Return the loss of a batch.

        Parameters
        ----------
        student : Tensor of shape (n_samples, n_classes)
            Finite logits of the student, of any floating dtype.
        teacher : Tensor of shape (n_samples, n_classes)
            Finite logits of the teacher; log-probabilities are logits too. No gradient
            flows into the teacher.
        temperature : float, default=2.0
            Replaces a temperature of None.
        sample_weight : Tensor of shape (n_samples,), default=None
            Non-negative weights, which replace the mean over the samples by
            :math:`\sum_i w_i l_i / \sum_i w_i`. The loss of a batch whose weights are
            all zero is 0.

        Returns
        -------
        loss : Tensor of shape ()
            The loss, never negative but for rounding. It has the dtype of ``student``,
            or float32 if that is a 16-bit type.

        Raises
        ------
        ValueError
            If the temperature isn't positive and finite, if there are fewer than three
            classes, if ``teacher`` isn't finite, or if the shapes disagree.
        """
        temperature = self._checked_temperature(temperature)
        self._check_logits(student, teacher)
        _check_finite(teacher)
        deviation = math.sqrt(student.shape[1] - 1)  # of a row of length 1 is 1 / this
        z_student, z_teacher = (
            deviation * _standardized(_widened(z, temperature)) / temperature
            for z in (student, teacher.detach())
        )
        loss = weighted_mean(_softmax_kl_rows(z_student, z_teacher), sample_weight)
        return _narrowed(loss * temperature**2, student)


class JSDLoss(_SoftenedLoss):
    r"""Generalized Jensen-Shannon divergence.

    .. math::

        L = \frac{1}{N} \sum_{i=1}^{N} \big[
            \beta \, \mathrm{KL}(p_{t,i}^T \,\|\, m_i)
            + (1 - \beta) \, \mathrm{KL}(p_{s,i}^T \,\|\, m_i) \big],
        \qquad
        m = \beta \, p_t^T + (1 - \beta) \, p_s^T

    A small ``beta`` makes the student cover all that the teacher finds likely, as
    :class:`KLLoss` does; a large one lets it settle on what the teacher finds
    likeliest.

    Parameters
    ----------
    beta : float, default=0.5
        Weight of the teacher in the mixture, from 0 to 1. At 0 the loss is
        :math:`\mathrm{KL}(p_t^T \| p_s^T)` and at 1 :math:`\mathrm{KL}(p_s^T \|
        p_t^T)`, the limits of :math:`L / (\beta (1 - \beta))`.
    temperature : float, default=None
        Temperature of both softmaxes, above 0. None is that of the call: in training
        the estimator's, otherwise 1.

    See Also
    --------
    KLLoss : The divergence at ``beta=0``, times :math:`T^2`.

    Notes
    -----
    For ``beta`` strictly between 0 and 1, the loss is at most :math:`-\beta \log
    \beta - (1 - \beta) \log (1 - \beta)`, which is :math:`\log 2` at 0.5. A teacher's
    logit of -inf is refused if ``beta`` is 1.

    Unlike :class:`KLLoss`, this loss has no factor :math:`T^2`, so its gradient
    shrinks as the temperature grows. It also shrinks as ``beta`` nears 0 or 1, and
    jumps there.

    References
    ----------
    .. [1] R. Agarwal et al., "On-Policy Distillation of Language Models: Learning from
       Self-Generated Mistakes", 2024. https://arxiv.org/abs/2306.13649

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import JSDLoss
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> JSDLoss()(student, teacher)
    tensor(0.2618)
    >>> JSDLoss(beta=0.0)(student, teacher)
    tensor(1.1457)
    """

    _parameter_constraints = {
        "beta": [Interval(Real, 0, 1, closed="both")],
        "temperature": [POSITIVE, None],
    }
    grows = False

    def __init__(self, beta: float = 0.5, temperature: float | None = None) -> None:
        self.beta = beta
        self.temperature = temperature

    def _rows(
        self, z_student: Tensor, z_teacher: Tensor, weight: Tensor | None
    ) -> Tensor:
        if self.beta == 1:
            _check_finite(z_teacher)
        log_p_student, log_p_teacher = (
            F.log_softmax(z, dim=1) for z in (z_student, z_teacher)
        )
        p_teacher = log_p_teacher.exp()
        if self.beta == 0:
            return _kl_rows(log_p_student, p_teacher)
        if self.beta == 1:
            return _reverse_kl_rows(log_p_student, log_p_teacher)
        log_mixture = torch.logaddexp(
            log_p_teacher + math.log(self.beta), log_p_student + math.log1p(-self.beta)
        )
        from_teacher = _kl_rows(log_mixture, p_teacher)
        from_student = _reverse_kl_rows(log_p_student, log_mixture)
        return self.beta * from_teacher + (1 - self.beta) * from_student


LOSSES["loss"] |= {
    "kl": KLLoss,
    "logit_mse": LogitMSELoss,
    "dkd": DKDLoss,
    "dist": DISTLoss,
    "nkd": NKDLoss,
    "standardized": StandardizedLoss,
    "jsd": JSDLoss,
}


def _softmax_kl_rows(z_student: Tensor, z_teacher: Tensor) -> Tensor:
    return _kl_rows(F.log_softmax(z_student, dim=1), F.softmax(z_teacher, dim=1))


def _kl_rows(log_p_student: Tensor, p_teacher: Tensor) -> Tensor:
    # Not log_target=True: that makes 0 * log(0) a NaN.
    return F.kl_div(log_p_student, p_teacher, reduction="none").sum(dim=1)


def _reverse_kl_rows(log_p_student: Tensor, log_p_other: Tensor) -> Tensor:
    # Not kl_div: its gradient in a target that underflows to 0 is NaN.
    return (log_p_student.exp() * (log_p_student - log_p_other)).sum(dim=1)


def _log_binary(z: Tensor, y: Tensor) -> Tensor:
    """Log-probabilities of the target and of all other classes together."""
    log_p = F.log_softmax(z, dim=1)
    # Not log(1 - p): that is -inf where p rounds to 1.
    others = torch.logsumexp(_drop_target(log_p, y), dim=1)
    return torch.stack([log_p[_at(y)], others], dim=1)


def _nontargets(
    z_student: Tensor, z_teacher: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """Student's log-probabilities and teacher's probabilities of the non-targets."""
    q_teacher = F.softmax(_drop_target(z_teacher, y), dim=1)
    # A teacher certain of its target has no non-targets: zeros, so that they void
    # the term of that row.
    return F.log_softmax(_drop_target(z_student, y), dim=1), q_teacher.nan_to_num(0.0)


def _drop_target(z: Tensor, y: Tensor) -> Tensor:
    classes = torch.arange(z.shape[1] - 1, device=z.device)
    return z.gather(1, classes + (classes >= y[:, None]))


def _at(y: Tensor) -> tuple[Tensor, Tensor]:
    return torch.arange(len(y), device=y.device), y


def _decorrelation(
    student: Tensor, teacher: Tensor, weight: Tensor | None = None
) -> Tensor:
    """One minus the Pearson correlation of each row; the columns can have weights."""
    # For rows of length 1 that is half their squared distance, which unlike 1 - cosine
    # keeps its digits where they are almost equal.
    difference = _standardized(student, weight) - _standardized(teacher, weight)
    return difference.square().sum(dim=1) / 2


def _standardized(rows: Tensor, weight: Tensor | None = None) -> Tensor:
    """Bring rows to mean 0 and length 1, or to zeros where they are constant."""
    if weight is None:
        weight = rows.new_ones(rows.shape[1])
    share = shares(weight, rows[0])
    root = share.sqrt()
    centered = (rows - (share * rows).sum(dim=1, keepdim=True)) * root
    # Rows are scaled before their length is taken, lest the squares underflow.
    scale = centered.detach().abs().amax(dim=1, keepdim=True)
    finfo = torch.finfo(rows.dtype)
    rounding = 16 * finfo.eps * (rows.detach() * root).abs().amax(dim=1, keepdim=True)
    constant = scale <= rounding.clamp_min(math.sqrt(finfo.tiny))
    scaled = (centered / scale.masked_fill(constant, 1)).masked_fill(constant, 0)
    length = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    return scaled / length.masked_fill(constant, 1)


def _narrowed(loss: Tensor, student: Tensor) -> Tensor:
    return loss.to(student.device, at_least_float32(student.dtype))


def _widened(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Cast logits to a dtype in which their loss at this temperature is accurate."""
    if temperature <= MAX_FLOAT32_TEMPERATURE:
        return logits.to(at_least_float32(logits.dtype))
    if logits.device.type == "mps":  # which has no float64
        logits = logits.cpu()
    return logits.to(torch.float64)


def _check_finite(teacher: Tensor) -> None:
    if not teacher.isfinite().all():
        raise ValueError(
            "teacher must have finite logits; clip its probabilities away from 0 first."
        )
