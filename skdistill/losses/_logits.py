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
    _check_logits(student, teacher)
    _check_temperature(temperature)
    log_p_student = F.log_softmax(_widen(student, temperature) / temperature, dim=1)
    p_teacher = F.softmax(_widen(teacher.detach(), temperature) / temperature, dim=1)
    # Not log_target=True: that makes 0 * log(0) a NaN.
    per_class = F.kl_div(log_p_student, p_teacher, reduction="none")
    loss = _mean(per_class.sum(dim=1), sample_weight) * temperature**2
    return loss.to(student.device, _at_least_float32(student.dtype))


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
    if sample_weight.shape != per_row.shape:
        raise ValueError(
            f"sample_weight must have shape {tuple(per_row.shape)}, one weight per "
            f"sample, got {tuple(sample_weight.shape)}."
        )
    dtype = _at_least_float32(per_row.dtype)
    weight = sample_weight.to(per_row.device, dtype)
    # The clamp makes 0 / 0 a 0 without asking the device for the sum.
    share = weight / weight.sum().clamp_min(torch.finfo(dtype).tiny)
    return (share * per_row).sum()


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
