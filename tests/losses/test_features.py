import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from skdistill.losses import CKALoss, CosineLoss, HintLoss, VIDLoss

HINT, COSINE, CKA = HintLoss(), CosineLoss(), CKALoss()
LOSSES = [HINT, COSINE, CKA]
SIXTEEN_BITS = [torch.bfloat16, torch.float16]

SQUARE = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=torch.float64)


def batch(n_samples=8, width=5, teacher_width=5, dtype=torch.float64):
    rng = np.random.default_rng(n_samples)
    student = rng.normal(size=(n_samples, width))
    teacher = rng.normal(size=(n_samples, teacher_width))
    teacher[:, :2] += student[:, :2]
    return (
        torch.tensor(student, dtype=dtype, requires_grad=True),
        torch.tensor(teacher, dtype=dtype),
        torch.tensor(rng.uniform(0, 2, size=n_samples), dtype=dtype),
    )


def rotation(width, seed=0):
    normal = np.random.default_rng(seed).normal(size=(width, width))
    return torch.tensor(np.linalg.qr(normal)[0])


def gradient(loss, student):
    return torch.autograd.grad(loss, student)[0]


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
def test_hint_worked_out_by_hand(weighted):
    student = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    teacher = torch.tensor([[1.0, 0.0], [3.0, 8.0]])
    weights = torch.tensor([3.0, 1.0]) if weighted else None
    assert HINT(student, teacher, weights) == ((3 * 2 + 8) / 4 if weighted else 5)


@pytest.mark.parametrize("weighted", [False, True])
def test_cosine_worked_out_by_hand(weighted):
    student = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    teacher = torch.tensor([[5.0, 0.0], [3.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    weights = torch.tensor([1.0, 1.0, 2.0]) if weighted else None
    rows = [0, 1, 1.8]
    expected = np.average(rows, weights=weights)
    assert_allclose(COSINE(student, teacher, weights), expected)


def test_cka_worked_out_by_hand():
    # In batches of 4 the centered similarities are those of the three perfect
    # matchings: (1, 1, -2) / 3 for a square, by its sides, sides and diagonals. So
    # swapping a side with the diagonals has (1, -2, 1) / 3, a cosine of -1/2 with it.
    assert_allclose(CKA(SQUARE, SQUARE[[0, 3, 2, 1]]), 1.5)
    # The mean squared distances of the matchings of a rectangle of sides 1 and 2 are
    # 1, 4 and 5, or (7, -2, -5) / 3 centered: the cosine is 15 / sqrt(6 * 78).
    rectangle = SQUARE * torch.tensor([1, 2])
    assert_allclose(CKA(SQUARE, rectangle), 1 - 15 / np.sqrt(468))


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


def test_cka_of_independent_features_is_about_1():
    rng = np.random.default_rng(0)
    losses = [
        CKA(*(torch.tensor(rng.normal(size=(32, 256))) for _ in range(2)))
        for _ in range(50)
    ]
    assert abs(np.mean(losses) - 1) < 0.02


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


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN_BITS])
@pytest.mark.parametrize("n_samples", [2, 4, 32])
@pytest.mark.parametrize("kind", ["spread", "duplicates", "collapsed", "zeros"])
def test_finite_in_every_dtype(kind, n_samples, dtype, loss):
    student, teacher, _ = batch(n_samples, dtype=dtype)
    rows = student.detach().clone()
    if kind == "duplicates":
        rows[::2] = rows[0].clone()
    elif kind == "collapsed":
        rows[:] = rows[0].clone()
    elif kind == "zeros":
        rows[:] = 0
    student = rows.requires_grad_()
    value = loss(student, teacher)
    grad = gradient(value, student)
    assert value.dtype == torch.float32
    assert grad.dtype == dtype
    assert value.isfinite()
    assert grad.isfinite().all()


@pytest.mark.parametrize("loss", [COSINE, CKA])
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


@pytest.mark.parametrize("loss", LOSSES)
def test_sixteen_bit_features_lose_nothing_inside_the_loss(loss):
    for dtype in SIXTEEN_BITS:
        student, teacher, _ = batch(dtype=dtype)
        exact = loss(student.double(), teacher.double())
        assert_allclose(
            loss(student, teacher).detach(), exact.detach(), 1e-5, atol=1e-6
        )


@pytest.mark.parametrize("loss", LOSSES)
def test_loss_survives_autocast(loss):
    student, teacher, _ = batch(32, dtype=torch.float32)
    exact = loss(student, teacher)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_allclose(loss(student, teacher).detach(), exact.detach(), rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradcheck(loss):
    student, teacher, _ = batch(5, 3, 3)
    assert torch.autograd.gradcheck(lambda f: loss(f, teacher), student)


@pytest.mark.parametrize("loss", [HINT, COSINE])
def test_gradcheck_with_weights(loss):
    student, teacher, weights = batch(5, 3, 3)
    assert torch.autograd.gradcheck(lambda f: loss(f, teacher, weights), student)


@pytest.mark.parametrize("loss", LOSSES)
def test_no_gradient_flows_into_the_teacher(loss):
    student, teacher, _ = batch()
    teacher.requires_grad_()
    loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().max() > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_down_the_gradient_nears_the_teacher(loss):
    student, teacher, _ = batch()
    before = loss(student, teacher)
    assert loss(student - 0.1 * gradient(before, student), teacher) < before


@pytest.mark.parametrize("loss", LOSSES)
def test_teacher_takes_the_dtype_of_the_student(loss):
    student, teacher, _ = batch(dtype=torch.float32)
    assert loss(student, teacher.double()).dtype == torch.float32


@pytest.mark.parametrize("loss", [HINT, COSINE])
def test_weight_counts_rows(loss):
    student, teacher, _ = batch()
    counts = torch.tensor([0, 1, 2, 3, 0, 1, 1, 2])
    repeated = loss(*(f.repeat_interleave(counts, dim=0) for f in (student, teacher)))
    assert_allclose(loss(student, teacher, counts).detach(), repeated.detach())


@pytest.mark.parametrize("loss", [HINT, COSINE])
def test_batch_of_zero_weights_is_0(loss):
    student, teacher, _ = batch()
    value = loss(student, teacher, torch.zeros(8))
    assert value == 0
    assert (gradient(value, student) == 0).all()


# Rounded, so that no squares of differences underflow.
entries = st.floats(-30, 30).map(lambda x: round(x, 3))
features = arrays(np.float64, (6, 3), elements=entries).map(torch.tensor)
scales = st.floats(0.01, 100)
fast = settings(max_examples=50, deadline=None)


@fast
@given(features, features)
def test_loss_stays_in_its_range(student, teacher):
    assert HINT(student, teacher) >= 0
    assert -1e-12 <= COSINE(student, teacher) <= 2 + 1e-12
    assert -1e-12 <= CKA(student, teacher) <= 2 + 1e-12


@fast
@given(features, features)
def test_hint_and_cka_are_symmetric(student, teacher):
    for loss in (HINT, CKA):
        assert_allclose(
            loss(student, teacher), loss(teacher, student), rtol=1e-9, atol=1e-12
        )


@fast
@given(features, scales)
def test_zero_where_equal_up_to_the_invariances(student, scale):
    assert HINT(student, student) == 0
    directed = student[student.abs().amax(dim=1) > 0]
    if len(directed) > 0:
        assert_allclose(COSINE(directed, scale * directed), 0, atol=1e-12)


@fast
@given(features, scales, scales)
def test_cosine_is_invariant_to_the_scale_of_a_row(student, scale, teacher_scale):
    _, teacher, _ = batch(6, 3, 3)
    scaled = student.clone()
    scaled[0] *= scale
    assert_allclose(
        COSINE(scaled, teacher_scale * teacher), COSINE(student, teacher), atol=1e-12
    )


@fast
@given(scales, st.floats(-30, 30), st.integers(0, 100))
def test_cka_is_invariant_to_rotation_scale_and_translation(scale, offset, seed):
    student, teacher, _ = batch(width=4, teacher_width=6)
    student = student.detach()
    moved = scale * student @ rotation(4, seed) + offset
    expected = CKA(student, teacher)
    assert_allclose(CKA(moved, teacher), expected, atol=1e-9)
    assert_allclose(CKA(teacher, moved), expected, atol=1e-9)
    assert_allclose(CKA(moved, student), 0, atol=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(4,), (4, 2, 3)])
def test_other_than_two_dimensions_are_refused(shape, loss):
    with pytest.raises(ValueError, match=r"call \.flatten\(1\)") as error:
        loss(torch.ones(shape), torch.ones(4, 6))
    assert f"got {shape} and (4, 6)" in str(error.value)


@pytest.mark.parametrize("loss", LOSSES)
def test_other_numbers_of_rows_are_refused(loss):
    with pytest.raises(ValueError, match=r"same number of rows, got \(4, 2\) and \(3"):
        loss(SQUARE, SQUARE[:3])


@pytest.mark.parametrize("loss", [HINT, COSINE])
def test_other_widths_are_refused(loss):
    with pytest.raises(ValueError, match="project the student's features"):
        loss(SQUARE, torch.ones(4, 3))


@pytest.mark.parametrize(("loss", "least"), [(HINT, 1), (COSINE, 1), (CKA, 2)])
def test_too_small_batches_are_refused(loss, least):
    few = torch.ones(least - 1, 2)
    with pytest.raises(ValueError, match=f"at least {least} rows, got {least - 1}"):
        loss(few, few)


@pytest.mark.parametrize("loss", LOSSES)
def test_features_without_columns_are_refused(loss):
    with pytest.raises(ValueError, match="must have columns"):
        loss(torch.ones(4, 0), torch.ones(4, 0))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf])
def test_teacher_that_is_not_finite_is_refused(entry, loss):
    teacher = SQUARE.clone()
    teacher[1, 1] = entry
    with pytest.raises(ValueError, match="teacher must have finite features"):
        loss(SQUARE, teacher)


@pytest.mark.parametrize("loss", [HINT, COSINE])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (4, 1)])
def test_weights_of_other_shapes_are_refused(shape, loss):
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        loss(SQUARE, SQUARE, sample_weight=torch.ones(shape))


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


@pytest.mark.parametrize(
    ("variance", "expected"),
    [
        ([1.0, 1.0], (1 + 4) / 4),
        ([1.0, 4.0], (1 + (1 + math.log(4))) / 4),
        ([5.0, 5.0], (1 / 5 + 4 / 5 + 2 * math.log(5)) / 4),
        ([0.5, 0.5], (2 + 8 - 2 * math.log(2)) / 4),
    ],
    ids=str,
)
def test_vid_worked_out_by_hand(variance, expected):
    module = VIDLoss().learned(2, 2).double()
    with torch.no_grad():
        # Swaps the two features and moves the second.
        module.student.weight.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        module.student.bias.copy_(torch.tensor([0.0, 2.0]))
    set_variances(module, variance)
    student = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    teacher = torch.tensor([[1.0, 5.0]], dtype=torch.float64)
    assert_allclose(module(student, teacher).detach(), expected, rtol=1e-9)


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


def test_vid_of_a_good_prediction_is_negative():
    student, _, _ = batch()
    module = vid()
    set_variances(module, 5 * [0.1])
    value = module(student, module.student(student)).detach()
    assert_allclose(value, math.log(0.1) / 2, rtol=1e-9)


def test_vid_keeps_its_variance_away_from_0():
    student, teacher, _ = batch(dtype=torch.float32)
    module = vid(dtype=torch.float32)
    torch.nn.init.constant_(module.raw_variance, -1e4)
    value = module(student, teacher)
    expected = vid_numpy(module, student, teacher)
    assert_allclose(value.detach(), expected, rtol=1e-5)
    assert gradient(value, student).isfinite().all()


def test_vid_learns_which_features_cannot_be_predicted():
    rng = np.random.default_rng(64)
    student, noise = (torch.tensor(rng.normal(size=(64, n))) for n in (3, 1))
    predictable = student @ torch.tensor([[1.0], [-2.0], [0.5]]).double()
    teacher = torch.cat([predictable, noise], dim=1)
    module = VIDLoss().learned(3, 2).double()
    with torch.no_grad():
        module.student.weight.zero_()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        module(student, teacher).backward()
        optimizer.step()
    known, unknown = variances(module)
    assert known < 0.1 < 0.5 < unknown
    # The best variance is that of what the map leaves unexplained.
    left = (module.student(student) - teacher).square().mean(dim=0)
    assert_allclose(unknown, left[1].item(), rtol=0.1)
