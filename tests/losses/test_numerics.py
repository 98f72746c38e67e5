"""What the losses on features share: precision, weights, and what they refuse."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from numpy.testing import assert_allclose

from skdistill.losses import (
    CKALoss,
    ContrastiveLoss,
    CosineLoss,
    HintLoss,
    PKTLoss,
    RKDLoss,
    SimilarityLoss,
)
from tests.losses.conftest import SIXTEEN_BITS, batch, features, gradient

HINT, COSINE, CKA = HintLoss(), CosineLoss(), CKALoss()
RKD, SIMILARITY, PKT, CONTRASTIVE = (
    RKDLoss(),
    SimilarityLoss(),
    PKTLoss(),
    ContrastiveLoss(),
)
LOSSES = [HINT, COSINE, CKA, RKD, SIMILARITY, PKT, CONTRASTIVE]
EACH_LOSS = pytest.mark.parametrize("loss", LOSSES, ids=repr)
EACH_WEIGHTED = pytest.mark.parametrize("loss", [HINT, COSINE], ids=repr)


ONES = torch.ones(4, 3)


@EACH_LOSS
@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN_BITS])
@pytest.mark.parametrize("n_samples", [2, 32])
@pytest.mark.parametrize("kind", ["spread", "duplicates", "collapsed", "zeros"])
@pytest.mark.parametrize("side", ["student", "teacher", "both"])
def test_finite_in_every_dtype(side, kind, n_samples, dtype, loss):
    student, teacher, _ = batch(n_samples, dtype=dtype)
    rows = student.detach().clone(), teacher
    for spoiled in {"student": rows[:1], "teacher": rows[1:], "both": rows}[side]:
        if kind == "duplicates":
            spoiled[::2] = spoiled[0].clone()
        elif kind == "collapsed":
            spoiled[:] = spoiled[0].clone()
        elif kind == "zeros":
            spoiled[:] = 0
    student = rows[0].requires_grad_()
    value = loss(student, teacher)
    grad = gradient(value, student)
    assert value.dtype == torch.float32
    assert grad.dtype == dtype
    assert value.isfinite()
    assert grad.isfinite().all()


@given(features, features)
def test_gradients_are_finite(student, teacher):
    assume(student.abs().max() > 0)
    student.requires_grad_()
    for loss in LOSSES:
        assert gradient(loss(student, teacher), student).isfinite().all()


@pytest.mark.parametrize("loss", LOSSES[1:], ids=repr)
@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_neither_overflows_nor_underflows_in_float32(scale, loss):
    student, teacher, _ = batch(dtype=torch.float32)
    expected = loss(student, teacher).detach()
    scaled = (scale * student.detach()).requires_grad_()
    value = loss(scaled, teacher)
    if scale > 1e-19:  # the square of a smaller number is not a normal one
        assert_allclose(value.detach(), expected, rtol=1e-5)
        assert_allclose(loss(student, scale * teacher).detach(), expected, rtol=1e-5)
    assert value.isfinite()
    assert gradient(value, scaled).isfinite().all()


@EACH_LOSS
@pytest.mark.parametrize("dtype", SIXTEEN_BITS)
def test_sixteen_bit_features_lose_nothing_inside_the_loss(dtype, loss):
    student, teacher, _ = batch(dtype=dtype)
    exact = loss(student.double(), teacher.double())
    assert_allclose(loss(student, teacher).detach(), exact.detach(), rtol=1e-5)


@EACH_LOSS
def test_loss_survives_autocast(loss):
    student, teacher, _ = batch(32, dtype=torch.float32)
    exact = loss(student, teacher)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(student, teacher)
    assert_allclose(value.detach(), exact.detach(), rtol=1e-6)
    assert_allclose(gradient(value, student), gradient(exact, student), atol=1e-6)


@EACH_LOSS
@pytest.mark.parametrize("n_samples", [2, 5])
def test_gradcheck(n_samples, loss):
    student, teacher, _ = batch(n_samples, 3, 3)
    assert torch.autograd.gradcheck(lambda f: 3 * loss(f, teacher), student)


@EACH_WEIGHTED
def test_gradcheck_with_weights(loss):
    student, teacher, weights = batch(5, 3, 3)
    assert torch.autograd.gradcheck(lambda f: loss(f, teacher, weights), student)


@EACH_LOSS
def test_no_gradient_is_needed(loss):
    student, teacher, _ = batch()
    expected = loss(student, teacher).detach()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert torch.equal(loss(student, teacher), expected)


@EACH_LOSS
def test_no_gradient_flows_into_the_teacher(loss):
    student, teacher, _ = batch()
    teacher.requires_grad_()
    loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().max() > 0


@EACH_LOSS
def test_teacher_takes_the_dtype_of_the_student(loss):
    student, teacher, _ = batch(dtype=torch.float32)
    assert loss(student, teacher.double()).dtype == torch.float32


@given(features, features)
def test_loss_stays_in_its_range(student, teacher):
    n = len(student)
    assert HINT(student, teacher) >= 0
    assert -1e-12 <= COSINE(student, teacher) <= 2 + 1e-12
    assert -1e-12 <= CKA(student, teacher) <= 2 + 1e-12
    assert RKD(student, teacher) >= 0
    assert 0 <= SIMILARITY(student, teacher) <= 4 / n + 1e-12
    assert PKT(student, teacher) > -1e-5
    assert -1e-12 <= CONTRASTIVE(student, teacher) <= 2 / 0.07 + np.log(n)


@given(features)
def test_zero_where_equal(student):
    for loss in (HINT, RKD, SIMILARITY, PKT):
        assert loss(student, student) == 0


@EACH_WEIGHTED
def test_weight_counts_rows(loss):
    student, teacher, _ = batch()
    counts = torch.tensor([0, 1, 2, 3, 0, 1, 1, 2])
    repeated = loss(*(f.repeat_interleave(counts, dim=0) for f in (student, teacher)))
    assert_allclose(loss(student, teacher, counts).detach(), repeated.detach())


@EACH_WEIGHTED
def test_batch_of_zero_weights_is_0(loss):
    student, teacher, _ = batch()
    value = loss(student, teacher, torch.zeros(8))
    assert value == 0
    assert (gradient(value, student) == 0).all()


@EACH_WEIGHTED
@pytest.mark.parametrize("shape", [(), (1,), (3,), (4, 1)])
def test_weights_of_other_shapes_are_refused(shape, loss):
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        loss(ONES, ONES, sample_weight=torch.ones(shape))


@EACH_LOSS
@pytest.mark.parametrize("shape", [(4,), (4, 2, 3)])
def test_other_than_two_dimensions_are_refused(shape, loss):
    sides = torch.ones(shape), torch.ones(4, 6)
    for student, teacher in (sides, sides[::-1]):
        with pytest.raises(ValueError, match=r"call \.flatten\(1\)") as error:
            loss(student, teacher)
        shapes = f"got {tuple(student.shape)} and {tuple(teacher.shape)}"
        assert shapes in str(error.value)


@EACH_LOSS
def test_other_numbers_of_rows_are_refused(loss):
    with pytest.raises(ValueError, match=r"same number of rows, got \(4, 3\) and \(3"):
        loss(ONES, ONES[:3])


@EACH_LOSS
def test_too_small_batches_are_refused(loss):
    least = 1 if loss in (HINT, COSINE) else 2
    for n_samples in range(least):
        few = ONES[:n_samples]
        with pytest.raises(ValueError, match=f"at least {least} rows, got {n_samples}"):
            loss(few, few)


@EACH_LOSS
def test_features_without_columns_are_refused(loss):
    with pytest.raises(ValueError, match="must have columns"):
        loss(ONES[:, :0], ONES[:, :0])


@pytest.mark.parametrize("loss", [HINT, COSINE, CONTRASTIVE], ids=repr)
def test_other_widths_are_refused(loss):
    with pytest.raises(ValueError, match="project the student's features"):
        loss(ONES, ONES[:, :2])


@EACH_LOSS
@pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf])
def test_teacher_that_is_not_finite_is_refused(entry, loss):
    teacher = ONES.clone()
    teacher[1, 1] = entry
    with pytest.raises(ValueError, match="must have finite features"):
        loss(ONES, teacher)
