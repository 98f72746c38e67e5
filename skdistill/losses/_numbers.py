"""Losses that compare a student's numbers with a teacher's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skdistill.losses._base import LOSSES, NOT_NEGATIVE, POSITIVE, Loss
from skdistill.losses._numerics import at_least_float32, weighted_mean


class _NumberLoss(Loss):
    """Base of the losses on numbers: the mean over rows and targets.

    A training calls them with scaled targets, of which each has the mean 0 and the
    standard deviation 1.
    """

    keywords: tuple[str, ...] = ("sample_weight",)
    task = "regression"
    _parameter_constraints: dict[str, Any] = {}
    # The same loss of the labels: a criterion of torch, and its parameters.
    criterion: type[nn.Module] = nn.MSELoss

    def criterion_params(self) -> dict[str, Any]:
        """Return the parameters of the criterion."""
        return {}

    def __call__(
        self, student: Tensor, teacher: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        student, teacher : Tensor of shape (n_samples, n_targets)
            The numbers of student and teacher. No gradient flows into the teacher.
        sample_weight : Tensor of shape (n_samples,), default=None
            Non-negative weights of the samples in the mean. The loss of a batch whose
            weights are all zero is 0.

        Returns
        -------
        loss : Tensor of shape ()
            The loss.

        Raises
        ------
        ValueError
            If a parameter is out of range, or the shapes differ.
        """
        student, teacher = self._checked(student, teacher)
        return weighted_mean(self._errors(student, teacher).mean(dim=1), sample_weight)

    def _checked(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        self._check_params()
        if student.ndim != 2 or student.shape != teacher.shape:
            raise ValueError(
                "student and teacher must both be of shape (n_samples, n_targets), got "
                f"{tuple(student.shape)} and {tuple(teacher.shape)}."
            )
        dtype = at_least_float32(student.dtype)
        return student.to(dtype), teacher.detach().to(student.device, dtype)

    def _errors(self, student: Tensor, teacher: Tensor) -> Tensor:
        raise NotImplementedError


class SquaredErrorLoss(_NumberLoss):
    r"""Squared error, in the mean over samples and targets.

    .. math::

        L = \frac{1}{N K} \sum_{i=1}^{N} \sum_{k=1}^{K} (s_{ik} - t_{ik})^2

    With the weight :math:`\alpha`, and the same loss of the labels with the weight
    :math:`1 - \alpha`, it is, up to a constant, the squared error to
    :math:`\alpha t + (1 - \alpha) y`.

    See Also
    --------
    AbsoluteErrorLoss : Outliers count less.
    TeacherBoundedLoss : Counts the rows where the student is worse than the teacher.

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import SquaredErrorLoss
    >>> student, teacher = torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [4.0]])
    >>> SquaredErrorLoss()(student, teacher)
    tensor(2.)
    """

    def _errors(self, student: Tensor, teacher: Tensor) -> Tensor:
        return (student - teacher) ** 2


class AbsoluteErrorLoss(_NumberLoss):
    """Absolute error, in the mean over samples and targets.

    A student that minimizes it predicts medians. Outliers count less than in the
    squared error.

    See Also
    --------
    HuberLoss : Squared for small errors.
    SquaredErrorLoss : A student that minimizes it predicts means.

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import AbsoluteErrorLoss
    >>> student, teacher = torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [4.0]])
    >>> AbsoluteErrorLoss()(student, teacher)
    tensor(1.)
    """

    criterion = nn.L1Loss

    def _errors(self, student: Tensor, teacher: Tensor) -> Tensor:
        return (student - teacher).abs()


class HuberLoss(_NumberLoss):
    r"""Huber's loss: half the squared error of small errors, linear in large ones.

    .. math::

        l(e) = \begin{cases}
            e^2 / 2 & |e| \le \delta \\
            \delta \, (|e| - \delta / 2) & \text{otherwise}
        \end{cases}

    Parameters
    ----------
    delta : float, default=1.0
        The error from which on the loss is linear, above 0. In a training, the unit is
        the standard deviation of the target.

    See Also
    --------
    AbsoluteErrorLoss : Linear for all errors.
    SquaredErrorLoss : Squared for all errors.

    References
    ----------
    .. [1] P. J. Huber, "Robust Estimation of a Location Parameter", Annals of
       Mathematical Statistics 35, 1964.

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import HuberLoss
    >>> student, teacher = torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [4.0]])
    >>> HuberLoss()(student, teacher)
    tensor(0.7500)
    """

    criterion = nn.HuberLoss
    _parameter_constraints = {"delta": [POSITIVE]}

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    def criterion_params(self) -> dict[str, Any]:
        return {"delta": self.delta}

    def _errors(self, student: Tensor, teacher: Tensor) -> Tensor:
        return F.huber_loss(student, teacher, reduction="none", delta=self.delta)


class PoissonDeviance(nn.PoissonNLLLoss):
    """Half the Poisson deviance of targets, a criterion.

    It is that of torch, less its smallest value, so that 0 is best.
    """

    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the loss of outputs, the logarithms of predictions, for targets."""
        losses = outputs.exp() - y * outputs - y + y.xlogy(y)
        return losses.mean() if self.reduction == "mean" else losses


class PoissonLoss(_NumberLoss):
    r"""Half the Poisson deviance, for numbers that are not negative, such as counts.

    .. math::

        L = \frac{1}{N K} \sum_{i=1}^{N} \sum_{k=1}^{K}
            t_{ik} \log \frac{t_{ik}}{s_{ik}} - t_{ik} + s_{ik}

    The loss is called with :math:`\log s` and :math:`\log t`. In a training, the unit
    of a target is its mean.

    See Also
    --------
    SquaredErrorLoss : For numbers of any sign.

    References
    ----------
    .. [1] P. McCullagh, J. A. Nelder, "Generalized Linear Models", 2nd edition, 1989.

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import PoissonLoss
    >>> student, teacher = torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [4.0]])
    >>> PoissonLoss()(student.log(), teacher.log())
    tensor(0.3863)
    """

    criterion = PoissonDeviance

    def _errors(self, student: Tensor, teacher: Tensor) -> Tensor:
        return PoissonDeviance(reduction="none")(student, teacher.exp())


class TeacherBoundedLoss(_NumberLoss):
    r"""Squared error to the labels, where the student is worse than the teacher.

    The teacher's numbers are an upper bound of the student's error, and no target:

    .. math::

        l = \begin{cases}
            (s - y)^2 & (s - y)^2 + m > (t - y)^2 \\
            0 & \text{otherwise}
        \end{cases}

    Parameters
    ----------
    margin : float, default=0.0
        The margin :math:`m`, from 0 on. In a training, the unit is the variance of the
        target.

    See Also
    --------
    SquaredErrorLoss : The squared error to the teacher, on all rows.

    References
    ----------
    .. [1] G. Chen, W. Choi, X. Yu, T. Han, M. Chandraker, "Learning Efficient Object
       Detection Models with Knowledge Distillation", NeurIPS 2017.

    Examples
    --------
    >>> import torch
    >>> from skdistill.losses import TeacherBoundedLoss
    >>> student, teacher = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [2.5]])
    >>> TeacherBoundedLoss()(student, teacher, y=torch.tensor([[0.0], [3.0]]))
    tensor(0.5000)
    """

    keywords = ("y", "sample_weight")
    needs_labels = True
    _parameter_constraints = {"margin": [NOT_NEGATIVE]}

    def __init__(self, margin: float = 0.0) -> None:
        self.margin = margin

    def __call__(  # type: ignore[override]
        self,
        student: Tensor,
        teacher: Tensor,
        y: Tensor,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        student, teacher : Tensor of shape (n_samples, n_targets)
            The numbers of student and teacher. No gradient flows into the teacher.
        y : Tensor of shape (n_samples, n_targets)
            The labels.
        sample_weight : Tensor of shape (n_samples,), default=None
            Non-negative weights of the samples in the mean.

        Returns
        -------
        loss : Tensor of shape ()
            The loss.

        Raises
        ------
        ValueError
            If ``y`` is None, a parameter is out of range, or the shapes differ.
        """
        if y is None:
            raise ValueError(f"y is None, but {self.name} needs labels.")
        student, teacher = self._checked(student, teacher)
        if y.shape != student.shape:
            raise ValueError(
                f"y must have shape {tuple(student.shape)}, got {tuple(y.shape)}."
            )
        y = y.to(student)
        ours, theirs = (student - y) ** 2, (teacher - y) ** 2
        worse = torch.where(ours + self.margin > theirs, ours, 0.0)
        return weighted_mean(worse.mean(dim=1), sample_weight)


LOSSES["loss"] |= {
    "squared_error": SquaredErrorLoss,
    "absolute_error": AbsoluteErrorLoss,
    "huber": HuberLoss,
    "poisson": PoissonLoss,
    "teacher_bounded": TeacherBoundedLoss,
}
