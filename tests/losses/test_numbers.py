import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.metrics import mean_poisson_deviance

from skdistill.losses import (
    AbsoluteErrorLoss,
    HuberLoss,
    PoissonLoss,
    SquaredErrorLoss,
    TeacherBoundedLoss,
)
from tests.losses.conftest import gradient

LOSSES = [SquaredErrorLoss(), AbsoluteErrorLoss(), HuberLoss(0.7)]


def batch():
    rng = np.random.default_rng(0)
    student, teacher, y = (torch.tensor(rng.normal(size=(6, 2))) for _ in range(3))
    return student.requires_grad_(), teacher, y, torch.tensor(rng.uniform(size=6))


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_unweighted_loss_is_that_of_the_criterion(loss):
    student, teacher, _, _ = batch()
    criterion = loss.criterion(**loss.criterion_params())
    assert_allclose(
        loss(student, teacher).item(), criterion(student, teacher).item(), rtol=1e-6
    )


def test_poisson_loss_is_half_the_deviance_of_scikit_learn():
    student, teacher, _, weight = batch()
    said, t = (part.detach().exp().flatten() for part in (student, teacher))
    by_number = weight.repeat_interleave(2)
    expected = mean_poisson_deviance(t, said, sample_weight=by_number)
    found = PoissonLoss()(student, teacher, sample_weight=weight).item()
    assert_allclose(2 * found, expected, rtol=1e-6)


def test_criterion_of_the_poisson_loss_is_0_at_best():
    _, _, y, _ = batch()
    y = y.abs()
    y[0] = 0
    criterion = PoissonLoss.criterion()
    assert criterion(y.clamp(min=1e-12).log(), y).item() == pytest.approx(0, abs=1e-6)
    each = PoissonLoss.criterion(reduction="none")(y, y)
    assert_allclose(each.mean().item(), criterion(y, y).item())
    torch_s = torch.nn.PoissonNLLLoss(reduction="none")
    assert_allclose((each - torch_s(y, y)).numpy(), y.xlogy(y) - y, atol=1e-6)


@pytest.mark.parametrize("loss", [*LOSSES, PoissonLoss()], ids=repr)
def test_weights_replace_the_mean_over_rows(loss):
    student, teacher, _, weight = batch()
    alone = [loss(student[[i]], teacher[[i]]).item() for i in range(6)]
    found = loss(student, teacher, sample_weight=weight).item()
    assert_allclose(found, np.average(alone, weights=weight), rtol=1e-6)
    assert loss(student, teacher, sample_weight=0 * weight) == 0


@pytest.mark.parametrize("loss", [*LOSSES, PoissonLoss()], ids=repr)
def test_no_gradient_flows_into_the_teacher(loss):
    student, teacher, _, _ = batch()
    teacher.requires_grad_()
    loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


def test_bounded_loss_is_that_of_rows_where_the_student_is_worse():
    student, teacher, y, weight = batch()
    ours, theirs = (student - y) ** 2, (teacher - y) ** 2
    for margin in (0.0, 0.5):
        expected = torch.where(ours + margin > theirs, ours, 0).mean(dim=1)
        found = TeacherBoundedLoss(margin)(student, teacher, y, weight)
        assert_allclose(
            found.item(), np.average(expected.detach(), weights=weight), rtol=1e-6
        )


def test_a_student_that_is_better_than_its_teacher_is_left_alone():
    student, teacher, y, _ = batch()
    loss = TeacherBoundedLoss()
    assert not gradient(loss(student, teacher + 100, y), student).any()
    assert gradient(loss(student, y, y), student).any()


@pytest.mark.parametrize("loss", [*LOSSES, TeacherBoundedLoss()], ids=repr)
def test_shapes_must_be_the_same(loss):
    y = {"y": torch.zeros(3, 1)} if loss.needs_labels else {}
    with pytest.raises(ValueError, match="n_targets"):
        loss(torch.zeros(3, 1), torch.zeros(3, 2), **y)
    with pytest.raises(ValueError, match="n_targets"):
        loss(torch.zeros(3), torch.zeros(3), **y)


def test_bounded_loss_needs_labels():
    with pytest.raises(ValueError, match="needs labels"):
        TeacherBoundedLoss()(torch.zeros(3, 1), torch.zeros(3, 1), None)
    with pytest.raises(ValueError, match="y must have shape"):
        TeacherBoundedLoss()(torch.zeros(3, 1), torch.zeros(3, 1), torch.zeros(3))


@pytest.mark.parametrize(
    "loss", [HuberLoss(0.0), HuberLoss("a"), TeacherBoundedLoss(-1.0)], ids=repr
)
def test_parameters_are_checked(loss):
    with pytest.raises(ValueError, match="must be"):
        loss(*[torch.zeros(3, 1)] * (3 if loss.needs_labels else 2))


def test_half_precision_is_widened():
    student = torch.full((2, 1), 300.0, dtype=torch.float16)
    loss = SquaredErrorLoss()(student, torch.zeros(2, 1))
    assert loss.dtype == torch.float32
    assert loss == 90_000
