"""What losses share: precision, weights, and what those on features refuse."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from numpy.testing import assert_allclose

from skdistill.losses import (
    CKALoss,
    ContrastiveLoss,
    CosineLoss,
    HintLoss,
    PKTLoss,
    RKDLoss,
    SimilarityLoss,
    _base,
)
from tests.losses.conftest import SIXTEEN_BITS, batch, call, features, gradient

HINT, COSINE, CKA = HintLoss(), CosineLoss(), CKALoss()
RKD, SIMILARITY, PKT, CONTRASTIVE = (
    RKDLoss(),
    SimilarityLoss(),
    PKTLoss(),
    ContrastiveLoss(),
)
LOSSES = [HINT, COSINE, CKA, RKD, SIMILARITY, PKT, CONTRASTIVE]
EACH_LOSS = pytest.mark.parametrize("loss", LOSSES, ids=repr)

# Those on logits, and those on features.
# The bounded one needs labels of the teacher's shape; test_numbers has its tests.
OUTPUTS = [cls() for name, cls in _base.LOSSES["loss"].items() if "bounded" not in name]
ALL = [*OUTPUTS, *LOSSES]
EACH_OF_ALL = pytest.mark.parametrize("loss", ALL, ids=repr)
EACH_WEIGHTED = pytest.mark.parametrize(
    "loss", [loss for loss in ALL if "sample_weight" in loss.keywords], ids=repr
)


ONES = torch.ones(4, 3)


# All losses


@EACH_OF_ALL
@pytest.mark.parametrize("dtype", SIXTEEN_BITS)
def test_sixteen_bits_lose_nothing_inside_the_loss(dtype, loss):
    student, teacher, _ = batch(dtype=dtype)
    exact = call(loss, student.double(), teacher.double())
    assert_allclose(call(loss, student, teacher).detach(), exact.detach(), rtol=1e-5)


@EACH_OF_ALL
def test_loss_is_the_same_under_autocast(loss):
    student, teacher, weights = batch(32, dtype=torch.float32)
    exact = call(loss, student, teacher, sample_weight=weights)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = call(loss, student, teacher, sample_weight=weights)
    assert_allclose(value.detach(), exact.detach(), rtol=1e-6)
    assert_allclose(gradient(value, student), gradient(exact, student), atol=1e-6)


@EACH_OF_ALL
def test_no_gradient_flows_into_the_teacher_and_the_inputs_stay_as_they_are(loss):
    student, teacher, weights = batch()
    before = [part.detach().clone() for part in (student, teacher, weights)]
    teacher.requires_grad_()
    call(loss, student, teacher, sample_weight=weights).backward()
    assert teacher.grad is None
    assert student.grad.abs().max() > 0
    assert all(map(torch.equal, (student, teacher, weights), before))


@EACH_WEIGHTED
@pytest.mark.parametrize("temperature", [1.0, 20.0])
def test_weight_counts_rows(temperature, loss):
    student, teacher, _ = batch()
    y, counts = torch.arange(8) % 5, torch.tensor([0, 1, 2, 3, 0, 1, 1, 2])
    given = {"y": y, "temperature": temperature}
    weighted = call(loss, student, teacher, sample_weight=counts, **given)
    given["y"] = y.repeat_interleave(counts)
    rows = (side.repeat_interleave(counts, dim=0) for side in (student, teacher))
    assert_allclose(weighted.detach(), call(loss, *rows, **given).detach(), rtol=1e-9)


@EACH_WEIGHTED
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batch_of_zero_weights_is_0(dtype, loss):
    student, teacher, _ = batch(dtype=dtype)
    value = call(loss, student, teacher, sample_weight=torch.zeros(8))
    assert value == 0
    assert (gradient(value, student) == 0).all()


@EACH_WEIGHTED
@pytest.mark.parametrize("shape", [(), (1,), (3,), (4, 1)])
def test_weights_of_other_shapes_are_refused(shape, loss):
    message = r"sample_weight must have shape \(4,\), one weight per "
    with pytest.raises(ValueError, match=message):
        call(loss, ONES, ONES, sample_weight=torch.ones(shape))


# Losses on features


@EACH_LOSS
@pytest.mark.parametrize("kind", ["spread", "duplicates", "collapsed", "zeros"])
def test_finite_in_every_dtype(kind, loss):
    for case in itertools.product(
        ["student", "teacher", "both"], [2, 32], [torch.float32, *SIXTEEN_BITS]
    ):
        assert_finite_with_spoiled_rows(loss, kind, *case)


def assert_finite_with_spoiled_rows(loss, kind, side, n_samples, dtype):
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
@pytest.mark.parametrize("n_samples", [2, 5])
def test_gradcheck(n_samples, loss):
    student, teacher, weights = batch(n_samples, 3, 3)
    assert torch.autograd.gradcheck(
        lambda f: 3 * call(loss, f, teacher, sample_weight=weights), student
    )


@EACH_LOSS
def test_no_gradient_is_needed(loss):
    student, teacher, _ = batch()
    expected = loss(student, teacher).detach()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert torch.equal(loss(student, teacher), expected)


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


@EACH_LOSS
@pytest.mark.parametrize("shape", [(4,), (4, 2, 3)])
def test_other_than_two_dimensions_are_refused(shape, loss):
    sides = torch.ones(shape), torch.ones(4, 6)
    for student, teacher in (sides, sides[::-1]):
        with pytest.raises(ValueError, match=r"call \.flatten\(1\)") as error:
            loss(student, teacher)
        shapes = f"got {tuple(student.shape)} and {tuple(teacher.shape)}"
        assert shapes in str(error.value)


@pytest.mark.parametrize(
    ("student", "teacher", "message"),
    [
        (ONES, ONES[:3], r"same number of rows, got \(4, 3\) and \(3, 3\)"),
        (ONES[:, :0], ONES[:, :0], "must have columns"),
    ],
)
@EACH_LOSS
def test_features_of_other_shapes_are_refused(student, teacher, message, loss):
    with pytest.raises(ValueError, match=message):
        loss(student, teacher)
    if loss in (HINT, COSINE, CONTRASTIVE):
        with pytest.raises(ValueError, match="project the student's features"):
            loss(ONES, ONES[:, :2])


@EACH_LOSS
def test_too_small_batches_are_refused(loss):
    least = 1 if loss in (HINT, COSINE) else 2
    for n_samples in range(least):
        few = ONES[:n_samples]
        with pytest.raises(ValueError, match=f"at least {least} rows, got {n_samples}"):
            loss(few, few)


@EACH_LOSS
@pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf])
def test_teacher_that_is_not_finite_is_refused(entry, loss):
    teacher = ONES.clone()
    teacher[1, 1] = entry
    with pytest.raises(ValueError, match="must have finite features"):
        loss(ONES, teacher)
