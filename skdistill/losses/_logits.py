"""Losses that compare a student's logits with a teacher's."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# Temperature up to which float32 is accurate to 1e-5. The rounding of the
# probabilities does not shrink as they near each other, and T^2 magnifies it.
_MAX_FLOAT32_TEMPERATURE = 4.0


def kl(
    student: Tensor,
    teacher: Tensor,
    temperature: float = 1.0,
    sample_weight: Tensor | None = None,
) -> Tensor:
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
    student : Tensor of shape (n_samples, n_classes)
        Finite logits of the student, of any floating dtype.

    teacher : Tensor of shape (n_samples, n_classes)
        Logits of the teacher; log-probabilities are logits too. An entry of -inf is
        a probability of exactly zero. No gradient flows into the teacher.

    temperature : float, default=1.0
        Temperature of both softmaxes, above 0.

    sample_weight : Tensor of shape (n_samples,), default=None
        Non-negative weights, which replace the mean over the samples by
        :math:`\sum_i w_i l_i / \sum_i w_i`. The loss of a batch whose weights are all
        zero is 0.

    Returns
    -------
    Tensor of shape ()
        The loss, never negative but for rounding. It has the dtype of `student`, or
        float32 if that is a 16-bit type.

    Raises
    ------
    ValueError
        If `student` and `teacher` differ in shape or aren't two-dimensional, if
        `sample_weight` doesn't have one weight per sample, or if `temperature` isn't
        positive and finite.

    See Also
    --------
    distillation : This loss blended with the cross-entropy on labels.

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
    >>> import torch
    >>> from skdistill.losses import kl
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> kl(student, teacher)
    tensor(1.1457)
    >>> kl(student, teacher, temperature=2.0)
    tensor(1.3372)
    """
    z_student, z_teacher = _soften(student, teacher, temperature)
    rows = _kl_rows(F.log_softmax(z_student, dim=1), F.softmax(z_teacher, dim=1))
    return _narrow(_mean(rows, sample_weight) * temperature**2, student)


def distillation(
    student: Tensor,
    teacher: Tensor | None,
    y: Tensor | None,
    temperature: float,
    alpha: float,
    sample_weight: Tensor | None = None,
) -> Tensor:
    r"""Blend of the teacher's soft labels, weighted by `alpha`, and hard labels.

    .. math::

        L = \alpha \, T^2 \, \mathrm{KL}(p_t^T \,\|\, p_s^T)
            + (1 - \alpha) \, \mathrm{CE}(y, p_s)

    The temperature :math:`T` softens the student and the teacher in the first term,
    which is :func:`kl`. The second is the cross-entropy of the student at temperature
    1.

    Parameters
    ----------
    student : Tensor of shape (n_samples, n_classes)
        Finite logits of the student, of any floating dtype.

    teacher : Tensor of shape (n_samples, n_classes) or None
        Logits of the teacher; log-probabilities are logits too. An entry of -inf is
        a probability of exactly zero. No gradient flows into the teacher. Not read,
        and may be None, if `alpha` is 0.

    y : Tensor of shape (n_samples,) and dtype int64, or None
        Class indices from 0 to n_classes - 1. Not read, and may be None, if `alpha`
        is 1.

    temperature : float
        Temperature of both softmaxes of the soft term, above 0.

    alpha : float
        Weight of the soft term, from 0 to 1. At 0 the loss is exactly
        :func:`torch.nn.functional.cross_entropy`.

    sample_weight : Tensor of shape (n_samples,), default=None
        Non-negative weights, which replace the mean over the samples of both terms by
        :math:`\sum_i w_i l_i / \sum_i w_i`. The loss of a batch whose weights are all
        zero is 0.

    Returns
    -------
    Tensor of shape ()
        The loss. It has the dtype of `student`, or float32 if that is a 16-bit type
        (unless `alpha` is 0, without weights: then its dtype is the student's).

    Raises
    ------
    ValueError
        If `alpha` is outside [0, 1] or `temperature` isn't positive and finite, if
        the shapes disagree, or if `y` or `teacher` is None where it is needed.

    See Also
    --------
    kl : The soft term alone.

    References
    ----------
    .. [1] G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural
       Network", 2015. https://arxiv.org/abs/1503.02531

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import distillation
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> y = torch.tensor([0, 2])
    >>> distillation(student, teacher, y, temperature=2.0, alpha=0.5)
    tensor(1.3308)
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha!r}.")
    _check_temperature(temperature)
    if alpha == 0:
        return _cross_entropy(student, y, sample_weight)
    if teacher is None:
        raise ValueError("teacher is None, but only alpha=0 needs no teacher.")
    soft = kl(student, teacher, temperature, sample_weight)
    if alpha == 1:
        return soft
    hard = _cross_entropy(_widen(student), y, sample_weight)
    return alpha * soft + (1 - alpha) * hard


def logit_mse(
    student: Tensor, teacher: Tensor, sample_weight: Tensor | None = None
) -> Tensor:
    r"""Mean squared error between the logits, each row centered first.

    .. math::

        L = \frac{1}{N K} \sum_{i=1}^{N} \sum_{k=1}^{K}
            (\tilde z_{s,ik} - \tilde z_{t,ik})^2,
        \qquad
        \tilde z_{ik} = z_{ik} - \frac{1}{K} \sum_{j=1}^{K} z_{ij}

    Logits are defined up to a constant per row, and those of a teacher known by its
    log-probabilities have an arbitrary one. Centering takes it out. This loss is twice
    the limit of :func:`kl` at high temperature.

    Parameters
    ----------
    student : Tensor of shape (n_samples, n_classes)
        Finite logits of the student, of any floating dtype.

    teacher : Tensor of shape (n_samples, n_classes)
        Finite logits of the teacher; log-probabilities are logits too. No gradient
        flows into the teacher.

    sample_weight : Tensor of shape (n_samples,), default=None
        Non-negative weights, which replace the mean over the samples by
        :math:`\sum_i w_i l_i / \sum_i w_i`. The loss of a batch whose weights are all
        zero is 0.

    Returns
    -------
    Tensor of shape ()
        The loss, never negative. It has the dtype of `student`, or float32 if that is
        a 16-bit type.

    Raises
    ------
    ValueError
        If `student` and `teacher` differ in shape or aren't two-dimensional, if
        `teacher` isn't finite, or if `sample_weight` doesn't have one weight per
        sample.

    See Also
    --------
    kl : The divergence of the softened probabilities.
    standardised : Discards the scale of the logits as well as their mean.

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
    >>> from skdistill.losses import logit_mse
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> logit_mse(student, teacher)
    tensor(2.9167)
    >>> logit_mse(student, torch.log_softmax(teacher, dim=1))
    tensor(2.9167)
    """
    _check_logits(student, teacher)
    _check_finite(teacher)
    difference = _widen(student) - _widen(teacher.detach())
    centered = difference - difference.mean(dim=1, keepdim=True)
    return _mean(centered.square().mean(dim=1), sample_weight)


def dkd(
    student: Tensor,
    teacher: Tensor,
    y: Tensor | None,
    target_weight: float = 1.0,
    nontarget_weight: float = 8.0,
    temperature: float = 4.0,
    sample_weight: Tensor | None = None,
) -> Tensor:
    r"""Decoupled knowledge distillation (DKD).

    It splits :func:`kl` into the divergence on the target class against all others
    (TCKD) and that among the other classes (NCKD), and weighs the two freely:

    .. math::

        L = \frac{T^2}{N} \sum_{i=1}^{N} \big[
            \alpha \, \mathrm{KL}(b_{t,i} \,\|\, b_{s,i})
            + \beta \, \mathrm{KL}(q_{t,i} \,\|\, q_{s,i}) \big]

    with the binary distribution :math:`b = (p_y^T, 1 - p_y^T)` and the distribution
    over the non-targets :math:`q_k = p_k^T / (1 - p_y^T)`, :math:`k \neq y`. In
    :func:`kl` the second term of a sample has the weight
    :math:`1 - p_{t,y}^T`, which vanishes where the teacher is confident.

    Parameters
    ----------
    student : Tensor of shape (n_samples, n_classes)
        Finite logits of the student, of any floating dtype.

    teacher : Tensor of shape (n_samples, n_classes)
        Logits of the teacher; log-probabilities are logits too. An entry of -inf is
        a probability of exactly zero. No gradient flows into the teacher.

    y : Tensor of shape (n_samples,) and dtype int64
        Class indices from 0 to n_classes - 1.

    target_weight : float, default=1.0
        Weight :math:`\alpha` of the divergence on the target class, at least 0.

    nontarget_weight : float, default=8.0
        Weight :math:`\beta` of the divergence among the non-targets, at least 0.

    temperature : float, default=4.0
        Temperature of both softmaxes, above 0.

    sample_weight : Tensor of shape (n_samples,), default=None
        Non-negative weights, which replace the mean over the samples by
        :math:`\sum_i w_i l_i / \sum_i w_i`. The loss of a batch whose weights are all
        zero is 0.

    Returns
    -------
    Tensor of shape ()
        The loss, never negative but for rounding. It has the dtype of `student`, or
        float32 if that is a 16-bit type.

    Raises
    ------
    ValueError
        If `y` is None or isn't one int64 label per sample, if a weight is negative or
        infinite, if `temperature` isn't positive and finite, if there are fewer than
        two classes, or if the shapes disagree.

    See Also
    --------
    kl : The loss that this one decouples.
    nkd : Another weighting of the target and the non-targets.

    Notes
    -----
    With two classes there is a single non-target, so the second term is 0 whatever its
    weight, and ``target_weight=1`` is :func:`kl`. The second term is also 0 in a row
    where the teacher gives every non-target a probability of exactly zero.

    The authors raise the weight of the loss linearly over the first 20 epochs.

    References
    ----------
    .. [1] B. Zhao, Q. Cui, R. Song, Y. Qiu, J. Liang, "Decoupled Knowledge
       Distillation", 2022. https://arxiv.org/abs/2203.08679

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import dkd
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> y = torch.tensor([0, 2])
    >>> dkd(student, teacher, y, nontarget_weight=0.0, temperature=1.0)
    tensor(1.0580)
    >>> dkd(student, teacher, y, target_weight=0.0, nontarget_weight=1.0, temperature=1)
    tensor(0.2424)
    """
    _check_weights(target_weight=target_weight, nontarget_weight=nontarget_weight)
    z_student, z_teacher = _soften(student, teacher, temperature)
    _check_n_classes(student, 2, "dkd")
    y = _check_labels(y, z_student)
    target = _kl_rows(_log_binary(z_student, y), _log_binary(z_teacher, y).exp())
    nontarget = _kl_rows(*_nontargets(z_student, z_teacher, y))
    rows = target_weight * target + nontarget_weight * nontarget
    return _narrow(_mean(rows, sample_weight) * temperature**2, student)


def dist(
    student: Tensor,
    teacher: Tensor,
    beta: float = 1.0,
    gamma: float = 1.0,
    temperature: float = 1.0,
    sample_weight: Tensor | None = None,
) -> Tensor:
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
    student : Tensor of shape (n_samples, n_classes)
        Finite logits of the student, of any floating dtype.

    teacher : Tensor of shape (n_samples, n_classes)
        Logits of the teacher; log-probabilities are logits too. An entry of -inf is
        a probability of exactly zero. No gradient flows into the teacher.

    beta : float, default=1.0
        Weight of the correlation within samples, at least 0.

    gamma : float, default=1.0
        Weight of the correlation within classes, at least 0.

    temperature : float, default=1.0
        Temperature of both softmaxes, above 0.

    sample_weight : Tensor of shape (n_samples,), default=None
        Non-negative weights. They weigh the mean over the samples of the first term
        and the correlations of the second, as if each row were there that many times.
        The loss of a batch whose weights are all zero is 0.

    Returns
    -------
    Tensor of shape ()
        The loss, never negative. It has the dtype of `student`, or float32 if that is
        a 16-bit type.

    Raises
    ------
    ValueError
        If a weight is negative or infinite, if `temperature` isn't positive and
        finite, if there are fewer than two classes, or if the shapes disagree.

    See Also
    --------
    kl : Asks for the teacher's very probabilities.

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

    References
    ----------
    .. [1] T. Huang, S. You, F. Wang, C. Qian, C. Xu, "Knowledge Distillation from A
       Stronger Teacher", 2022. https://arxiv.org/abs/2205.10536

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import dist
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> dist(student, teacher)
    tensor(2.2218)
    >>> dist(student, teacher, gamma=0.0)
    tensor(1.7218)
    """
    _check_weights(beta=beta, gamma=gamma)
    z_student, z_teacher = _soften(student, teacher, temperature)
    _check_n_classes(student, 2, "dist")
    p_student, p_teacher = F.softmax(z_student, dim=1), F.softmax(z_teacher, dim=1)
    within_samples = _decorrelation(p_student, p_teacher)
    within_classes = _decorrelation(p_student.T, p_teacher.T, sample_weight).mean()
    loss = _mean(beta * within_samples + gamma * within_classes, sample_weight)
    return _narrow(loss * temperature**2, student)


def nkd(
    student: Tensor,
    teacher: Tensor,
    y: Tensor | None,
    gamma: float = 1.5,
    temperature: float = 1.0,
    sample_weight: Tensor | None = None,
) -> Tensor:
    r"""Cross-entropies on the target and on the normalized non-targets (NKD).

    .. math::

        L = -\frac{1}{N} \sum_{i=1}^{N} \Big[
            p_{t,iy} \log p_{s,iy}
            + \gamma \, T^2 \sum_{k \neq y} q_{t,ik} \log q_{s,ik} \Big]

    with :math:`q_k = p_k^T / (1 - p_y^T)`, the distribution over the non-targets. The
    temperature softens the second term alone.

    Parameters
    ----------
    student : Tensor of shape (n_samples, n_classes)
        Finite logits of the student, of any floating dtype.

    teacher : Tensor of shape (n_samples, n_classes)
        Logits of the teacher; log-probabilities are logits too. An entry of -inf is
        a probability of exactly zero. No gradient flows into the teacher.

    y : Tensor of shape (n_samples,) and dtype int64
        Class indices from 0 to n_classes - 1.

    gamma : float, default=1.5
        Weight of the non-targets, at least 0.

    temperature : float, default=1.0
        Temperature of both softmaxes over the non-targets, above 0.

    sample_weight : Tensor of shape (n_samples,), default=None
        Non-negative weights, which replace the mean over the samples by
        :math:`\sum_i w_i l_i / \sum_i w_i`. The loss of a batch whose weights are all
        zero is 0.

    Returns
    -------
    Tensor of shape ()
        The loss, never negative. It has the dtype of `student`, or float32 if that is
        a 16-bit type.

    Raises
    ------
    ValueError
        If `y` is None or isn't one int64 label per sample, if `gamma` is negative or
        infinite, if `temperature` isn't positive and finite, if there are fewer than
        two classes, or if the shapes disagree.

    See Also
    --------
    dkd : Another weighting of the target and the non-targets.

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
    >>> from skdistill.losses import nkd
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> nkd(student, teacher, torch.tensor([0, 2]))
    tensor(2.0485)
    """
    _check_weights(gamma=gamma)
    z_student, z_teacher = _soften(student, teacher, temperature)
    _check_n_classes(student, 2, "nkd")
    y = _check_labels(y, z_student)
    p_target = F.softmax(z_teacher * temperature, dim=1)[_at(y)]
    target = -p_target * F.log_softmax(z_student * temperature, dim=1)[_at(y)]
    log_q_student, q_teacher = _nontargets(z_student, z_teacher, y)
    nontarget = -(q_teacher * log_q_student).sum(dim=1)
    rows = target + gamma * temperature**2 * nontarget
    return _narrow(_mean(rows, sample_weight), student)


def standardised(
    student: Tensor,
    teacher: Tensor,
    temperature: float = 2.0,
    sample_weight: Tensor | None = None,
) -> Tensor:
    r"""Kullback-Leibler divergence on standardized logits.

    It is :func:`kl` after each row of logits, on both sides, was brought to mean 0 and
    standard deviation 1:

    .. math::

        z_{ik} \leftarrow (z_{ik} - \bar z_i) \Big/
            \sqrt{\tfrac{1}{K - 1} \sum_{j=1}^{K} (z_{ij} - \bar z_i)^2}

    So a small student need not grow logits as large as its teacher's: only their
    relative distances count.

    Parameters
    ----------
    student : Tensor of shape (n_samples, n_classes)
        Finite logits of the student, of any floating dtype.

    teacher : Tensor of shape (n_samples, n_classes)
        Finite logits of the teacher; log-probabilities are logits too. No gradient
        flows into the teacher.

    temperature : float, default=2.0
        Temperature of both softmaxes, above 0.

    sample_weight : Tensor of shape (n_samples,), default=None
        Non-negative weights, which replace the mean over the samples by
        :math:`\sum_i w_i l_i / \sum_i w_i`. The loss of a batch whose weights are all
        zero is 0.

    Returns
    -------
    Tensor of shape ()
        The loss, never negative but for rounding. It has the dtype of `student`, or
        float32 if that is a 16-bit type.

    Raises
    ------
    ValueError
        If there are fewer than three classes, if `teacher` isn't finite, if
        `temperature` isn't positive and finite, or if the shapes disagree.

    See Also
    --------
    kl : The loss without standardization.
    dist : Discards the scale of the probabilities.

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
    >>> from skdistill.losses import standardised
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> standardised(student, teacher)
    tensor(1.0813)
    >>> standardised(student, 10 * teacher + 1)
    tensor(1.0813)
    """
    _check_logits(student, teacher)
    _check_n_classes(student, 3, "standardised")
    _check_temperature(temperature)
    _check_finite(teacher)
    deviation = math.sqrt(student.shape[1] - 1)  # of a row of length 1 is 1 / this
    z_student, z_teacher = (
        deviation * _standardize(_widen(z, temperature))
        for z in (student, teacher.detach())
    )
    return _narrow(kl(z_student, z_teacher, temperature, sample_weight), student)


def jsd(
    student: Tensor,
    teacher: Tensor,
    beta: float = 0.5,
    temperature: float = 1.0,
    sample_weight: Tensor | None = None,
) -> Tensor:
    r"""Generalized Jensen-Shannon divergence.

    .. math::

        L = \frac{1}{N} \sum_{i=1}^{N} \big[
            \beta \, \mathrm{KL}(p_{t,i}^T \,\|\, m_i)
            + (1 - \beta) \, \mathrm{KL}(p_{s,i}^T \,\|\, m_i) \big],
        \qquad
        m = \beta \, p_t^T + (1 - \beta) \, p_s^T

    A small `beta` makes the student cover all that the teacher finds likely, as
    :func:`kl` does; a large one lets it settle on what the teacher finds likeliest.

    Parameters
    ----------
    student : Tensor of shape (n_samples, n_classes)
        Finite logits of the student, of any floating dtype.

    teacher : Tensor of shape (n_samples, n_classes)
        Logits of the teacher; log-probabilities are logits too. An entry of -inf is
        a probability of exactly zero, and refused if `beta` is 1. No gradient flows
        into the teacher.

    beta : float, default=0.5
        Weight of the teacher in the mixture, from 0 to 1. At 0 the loss is
        :math:`\mathrm{KL}(p_t^T \| p_s^T)` and at 1 :math:`\mathrm{KL}(p_s^T \|
        p_t^T)`, the limits of :math:`L / (\beta (1 - \beta))`.

    temperature : float, default=1.0
        Temperature of both softmaxes, above 0.

    sample_weight : Tensor of shape (n_samples,), default=None
        Non-negative weights, which replace the mean over the samples by
        :math:`\sum_i w_i l_i / \sum_i w_i`. The loss of a batch whose weights are all
        zero is 0.

    Returns
    -------
    Tensor of shape ()
        The loss, never negative but for rounding. For `beta` strictly between 0 and 1
        it is at most :math:`-\beta \log \beta - (1 - \beta) \log (1 - \beta)`, which is
        :math:`\log 2` at 0.5. It has the dtype of `student`, or float32 if that is a
        16-bit type.

    Raises
    ------
    ValueError
        If `beta` is outside [0, 1], if it is 1 and `teacher` isn't finite, if
        `temperature` isn't positive and finite, or if the shapes disagree.

    See Also
    --------
    kl : The divergence at `beta` 0, times :math:`T^2`.

    Notes
    -----
    Unlike :func:`kl`, this loss has no factor :math:`T^2`, so its gradient shrinks as
    the temperature grows. It also shrinks as `beta` nears 0 or 1, and jumps there.

    References
    ----------
    .. [1] R. Agarwal et al., "On-Policy Distillation of Language Models: Learning from
       Self-Generated Mistakes", 2024. https://arxiv.org/abs/2306.13649

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import jsd
    >>> student = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    >>> teacher = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
    >>> jsd(student, teacher)
    tensor(0.2618)
    >>> jsd(student, teacher, beta=0.0)
    tensor(1.1457)
    """
    if not 0 <= beta <= 1:
        raise ValueError(f"beta must be between 0 and 1, got {beta!r}.")
    z_student, z_teacher = _soften(student, teacher, temperature)
    if beta == 1:
        _check_finite(teacher)
    rows = _jsd_rows(
        F.log_softmax(z_student, dim=1), F.log_softmax(z_teacher, dim=1), beta
    )
    return _narrow(_mean(rows, sample_weight), student)


def _jsd_rows(log_p_student: Tensor, log_p_teacher: Tensor, beta: float) -> Tensor:
    p_teacher = log_p_teacher.exp()
    if beta == 0:
        return _kl_rows(log_p_student, p_teacher)
    if beta == 1:
        return _reverse_kl_rows(log_p_student, log_p_teacher)
    log_mixture = torch.logaddexp(
        log_p_teacher + math.log(beta), log_p_student + math.log1p(-beta)
    )
    from_teacher = _kl_rows(log_mixture, p_teacher)
    from_student = _reverse_kl_rows(log_p_student, log_mixture)
    return beta * from_teacher + (1 - beta) * from_student


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
    difference = _standardize(student, weight) - _standardize(teacher, weight)
    return difference.square().sum(dim=1) / 2


def _standardize(rows: Tensor, weight: Tensor | None = None) -> Tensor:
    """Bring rows to mean 0 and length 1, or to zeros where they are constant."""
    if weight is None:
        weight = rows.new_ones(rows.shape[1])
    share = _shares(weight, rows[0])
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


def _cross_entropy(
    student: Tensor, y: Tensor | None, sample_weight: Tensor | None
) -> Tensor:
    if y is None:
        raise ValueError("y is None, but only alpha=1 needs no labels.")
    if sample_weight is None:
        return F.cross_entropy(student, y)
    return _mean(F.cross_entropy(student, y, reduction="none"), sample_weight)


def _mean(per_row: Tensor, sample_weight: Tensor | None) -> Tensor:
    """Mean over the samples, weighted if there are weights."""
    if sample_weight is None:
        return per_row.mean()
    return (_shares(sample_weight, per_row) * per_row).sum()


def _shares(sample_weight: Tensor, per_row: Tensor) -> Tensor:
    """Weights that sum to 1, or are all 0."""
    if sample_weight.shape != per_row.shape:
        raise ValueError(
            f"sample_weight must have shape {tuple(per_row.shape)}, one weight per "
            f"sample, got {tuple(sample_weight.shape)}."
        )
    dtype = _at_least_float32(per_row.dtype)
    weight = sample_weight.to(per_row.device, dtype)
    # The clamp makes 0 / 0 a 0 without asking the device for the sum.
    return weight / weight.sum().clamp_min(torch.finfo(dtype).tiny)


def _soften(
    student: Tensor, teacher: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Check both logits, cut the teacher's gradient and divide by the temperature."""
    _check_logits(student, teacher)
    _check_temperature(temperature)
    z_student, z_teacher = (
        _widen(z, temperature) / temperature for z in (student, teacher.detach())
    )
    return z_student, z_teacher


def _narrow(loss: Tensor, student: Tensor) -> Tensor:
    return loss.to(student.device, _at_least_float32(student.dtype))


def _widen(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Cast logits to a dtype in which their loss at this temperature is accurate."""
    if temperature <= _MAX_FLOAT32_TEMPERATURE:
        return logits.to(_at_least_float32(logits.dtype))
    if logits.device.type == "mps":  # which has no float64
        logits = logits.cpu()
    return logits.to(torch.float64)


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _check_logits(student: Tensor, teacher: Tensor) -> None:
    if student.ndim != 2 or student.shape != teacher.shape:
        raise ValueError(
            "student and teacher must both be logits of shape (n_samples, n_classes), "
            f"got {tuple(student.shape)} and {tuple(teacher.shape)}."
        )


def _check_temperature(temperature: float) -> None:
    if not 0 < temperature < math.inf:
        raise ValueError(
            f"temperature must be a positive finite number, got {temperature!r}."
        )


def _check_finite(teacher: Tensor) -> None:
    if not teacher.isfinite().all():
        raise ValueError(
            "teacher must have finite logits here; clip its probabilities away from 0 "
            "before taking their logarithm."
        )


def _check_n_classes(student: Tensor, least: int, name: str) -> None:
    if student.shape[1] < least:
        raise ValueError(
            f"{name} needs at least {least} classes, got logits of shape "
            f"{tuple(student.shape)}."
        )


def _check_weights(**weights: float) -> None:
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(
                f"{name} must be a non-negative finite number, got {weight!r}."
            )


def _check_labels(y: Tensor | None, logits: Tensor) -> Tensor:
    if y is None:
        raise ValueError("y is None, but this loss needs labels.")
    if y.shape != logits.shape[:1] or y.dtype != torch.int64:
        raise ValueError(
            f"y must hold one int64 class index for each of the {len(logits)} samples, "
            f"got shape {tuple(y.shape)} and dtype {y.dtype}."
        )
    return y.to(logits.device)
