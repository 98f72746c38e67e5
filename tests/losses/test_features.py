import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skdistill.losses import CKALoss, CosineLoss, HintLoss, VIDLoss
from tests.losses.conftest import batch, features, gradient, rotation, scales

HINT, COSINE, CKA = HintLoss(), CosineLoss(), CKALoss()


def cosine_numpy(student, teacher, weights=None):
    rows = zip(student, teacher, strict=True)
    cosines = [s @ t / (np.linalg.norm(s) * np.linalg.norm(t)) for s, t in rows]
    return 1 - np.average(cosines, weights=weights)


def hsic_numpy(k, m):
    """Return the unbiased estimator, as its paper writes it."""
    n = len(k)
    k, m = (a - np.diag(np.diag(a)) for a in (k, m))
    ends = k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ m).sum()
    return (np.trace(k @ m) + ends) / (n * (n - 3))


def cka_numpy(student, teacher):
    k, m = student @ student.T, teacher @ teacher.T
    return 1 - hsic_numpy(k, m) / np.sqrt(hsic_numpy(k, k) * hsic_numpy(m, m))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_samples", [1, 2, 8, 33])
def test_hint_and_cosine_agree_with_numpy(n_samples, weighted):
    student, teacher, weights = batch(n_samples)
    s, t = student.detach().numpy(), teacher.numpy()
    weights = weights if weighted else None
    squares = np.average(np.mean((s - t) ** 2, axis=1), weights=weights)
    assert_allclose(HINT(student, teacher, weights).detach(), squares)
    expected = cosine_numpy(s, t, weights)
    assert_allclose(COSINE(student, teacher, weights).detach(), expected)


@pytest.mark.parametrize("teacher_width", [1, 5, 40])
@pytest.mark.parametrize("n_samples", [4, 8, 33])
def test_cka_agrees_with_numpy(n_samples, teacher_width):
    student, teacher, _ = batch(n_samples, 5, teacher_width + 1)
    expected = cka_numpy(student.detach().numpy(), teacher.numpy())
    assert_allclose(CKA(student, teacher).detach(), expected, rtol=1e-9)


@pytest.mark.parametrize("n_samples", [2, 3])
def test_cka_of_too_few_rows_is_1_without_gradient(n_samples):
    student, teacher, _ = batch(n_samples)
    loss = CKA(student, teacher)
    assert loss == 1
    assert (gradient(loss, student) == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("side", ["student", "teacher", "both"])
def test_cka_of_collapsed_features_is_1(side, dtype):
    student, teacher, _ = batch(dtype=dtype)
    same = torch.full_like(teacher, 1 / 3)
    if side != "teacher":
        student = same.clone().requires_grad_()
    loss = CKA(student, same if side != "student" else teacher)
    assert_allclose(loss.detach(), 1, atol=1e-4)
    assert gradient(loss, student).abs().max() < 1e-3


@pytest.mark.parametrize("offset", [1.0, 100.0])
def test_cka_in_float32_keeps_its_digits_off_center(offset):
    student, teacher, _ = batch(64, dtype=torch.float32)
    student, teacher = student.detach() + offset, teacher - offset
    exact = CKA(student.double(), teacher.double())
    assert_allclose(CKA(student, teacher), exact, atol=2e-6)


@pytest.mark.parametrize("zero", ["student", "teacher", "both"])
def test_cosine_with_a_row_of_zeros_is_0(zero):
    student, teacher, _ = batch(2, dtype=torch.float32)
    rows = student.detach().clone(), teacher.clone()
    if zero != "teacher":
        rows[0][0] = 0
    if zero != "student":
        rows[1][0] = 0
    student = rows[0].requires_grad_()
    loss = COSINE(student, rows[1])
    other = cosine_numpy(*(f.detach().numpy()[1:] for f in rows))
    assert_allclose(loss.detach(), (1 + other) / 2, rtol=1e-6)
    assert gradient(loss, student).abs().max() < 10


@given(features, scales, scales)
def test_cosine_is_invariant_to_the_scale_of_a_row(student, scale, teacher_scale):
    _, teacher, _ = batch(6, 3, 3)
    scaled = student.clone()
    scaled[0] *= scale
    assert_allclose(
        COSINE(scaled, teacher_scale * teacher), COSINE(student, teacher), atol=1e-12
    )


@given(scales, st.floats(-30, 30), st.integers(0, 100))
def test_cka_is_invariant_to_rotation_scale_and_translation(scale, offset, seed):
    student, teacher, _ = batch(width=4, teacher_width=6)
    student = student.detach()
    moved = scale * student @ rotation(4, seed) + offset
    expected = CKA(student, teacher)
    assert_allclose(CKA(moved, teacher), expected, atol=1e-9)
    assert_allclose(CKA(teacher, moved), expected, atol=1e-9)
    assert_allclose(CKA(moved, student), 0, atol=1e-9)


def variances(module):
    raw = module.raw_variance.detach().double().numpy()
    return np.log1p(np.exp(raw)) + 1e-5


def set_variances(module, wanted):
    raw = np.log(np.expm1(np.asarray(wanted) - 1e-5))
    with torch.no_grad():
        module.raw_variance.copy_(torch.tensor(raw))


def vid(width=5, teacher_width=5, dtype=torch.float64):
    """Return the module that VIDLoss learns, with a variance for each feature."""
    module = VIDLoss().learned(width, teacher_width)
    set_variances(module, np.linspace(0.2, 3, teacher_width))
    return module.to(dtype)


def vid_numpy(module, student, teacher, weights=None):
    variance = variances(module)
    squares = (module.student(student) - teacher).detach().double().numpy() ** 2
    rows = np.mean(squares / variance + np.log(variance), axis=1) / 2
    return np.average(rows, weights=weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_samples", [1, 2, 33])
@pytest.mark.parametrize("widths", [(5, 3), (3, 5), (2, 6)], ids=str)
def test_vid_agrees_with_numpy(widths, n_samples, weighted):
    student, teacher, weights = batch(n_samples, *widths)
    module = vid(*widths)
    given = (weights,) if weighted else ()
    expected = vid_numpy(module, student, teacher, *given)
    assert_allclose(module(student, teacher, *given).detach(), expected, rtol=1e-9)


@pytest.mark.parametrize("precision", ["bfloat16", "autocast"])
def test_sixteen_bits_lose_nothing_behind_the_map_of_vid(precision):
    casts = precision == "autocast"
    dtype = torch.float32 if casts else torch.bfloat16
    student, teacher, _ = batch(dtype=dtype)
    module = vid(dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=casts):
        mean = module.student(student).detach()
        value = module(student, teacher)
    assert mean.dtype == torch.bfloat16
    assert value.dtype == torch.float32
    squares = (mean.double() - teacher.double()).numpy() ** 2
    variance = variances(module)
    expected = np.mean(squares / variance + np.log(variance)) / 2
    assert_allclose(value.detach(), expected, rtol=1e-5)


def test_vid_starts_at_a_variance_of_5_for_each_of_the_teachers_features():
    module = VIDLoss().learned(2, 3)
    assert module.raw_variance.shape == (3,)
    assert_allclose(variances(module), 5, rtol=1e-6)


def test_vid_keeps_its_variance_away_from_0():
    student, teacher, _ = batch(dtype=torch.float32)
    module = vid(dtype=torch.float32)
    torch.nn.init.constant_(module.raw_variance, -1e4)
    value = module(student, teacher)
    expected = vid_numpy(module, student, teacher)
    assert_allclose(value.detach(), expected, rtol=1e-5)
    assert gradient(value, student).isfinite().all()
