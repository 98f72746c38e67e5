import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.special import log_softmax, rel_entr, softmax
from torch.nn import functional as F

from skdistill.losses import distillation, kl

N_CLASSES = [2, 3, 26, 100]
TEMPERATURES = [0.1, 0.5, 1.0, 2.0, 4.0, 20.0, 100.0, 1000.0]

STUDENT = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
TEACHER = torch.tensor([[3.0, 2.0, 1.0], [1.0, 0.0, -1.0]])
Y = torch.tensor([0, 2])


def batch(n_classes, n_samples=8, dtype=torch.float64):
    rng = np.random.default_rng(n_classes)
    student = rng.normal(scale=2, size=(n_samples, n_classes))
    teacher = rng.normal(scale=3, size=(n_samples, n_classes))
    y = rng.integers(n_classes, size=n_samples)
    return (
        torch.tensor(student, dtype=dtype, requires_grad=True),
        torch.tensor(teacher, dtype=dtype),
        torch.tensor(y),
        torch.tensor(rng.uniform(0, 2, size=n_samples), dtype=dtype),
    )


def to_numpy(tensor):
    return tensor.detach().to(torch.float64).numpy()


def kl_numpy(student, teacher, temperature, weights=None):
    p_teacher = softmax(to_numpy(teacher) / temperature, axis=1)
    p_student = softmax(to_numpy(student) / temperature, axis=1)
    rows = rel_entr(p_teacher, p_student).sum(axis=1)
    return temperature**2 * np.average(rows, weights=weights)


def cross_entropy_numpy(student, y, weights=None):
    log_p = log_softmax(to_numpy(student), axis=1)
    return np.average(-log_p[np.arange(len(log_p)), y.numpy()], weights=weights)


def gradient(loss, student):
    return torch.autograd.grad(loss, student)[0]


@pytest.mark.parametrize(
    ("temperature", "value"), [(1, 1.1456916634), (2, 1.3371903937)]
)
def test_kl_worked_out_by_hand(temperature, value):
    loss = kl(STUDENT.double(), TEACHER.double(), temperature)
    assert loss.shape == ()
    assert_allclose(loss, value, rtol=1e-10)


def test_kl_of_probabilities_worked_out_by_hand():
    student = torch.tensor([[0.5, 0.5]], dtype=torch.float64).log()
    teacher = torch.tensor([[0.75, 0.25]], dtype=torch.float64).log()
    assert_allclose(kl(student, teacher), 0.1308120359, rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("n_classes", N_CLASSES)
def test_distillation_agrees_with_numpy(n_classes, temperature, alpha, weighted):
    student, teacher, y, weights = batch(n_classes)
    weights = weights if weighted else None
    loss = distillation(student, teacher, y, temperature, alpha, weights)
    soft = kl_numpy(student, teacher, temperature, weights)
    hard = cross_entropy_numpy(student, y, weights)
    assert_allclose(loss.detach(), alpha * soft + (1 - alpha) * hard, rtol=1e-8)


@pytest.mark.parametrize("temperature", [*TEMPERATURES, 4.01, 10.0])
@pytest.mark.parametrize("n_classes", N_CLASSES)
def test_float32_keeps_five_digits(n_classes, temperature):
    student, teacher, _, _ = batch(n_classes, n_samples=128, dtype=torch.float32)
    exact = student.detach().double().requires_grad_()
    loss, exact_loss = (kl(s, teacher, temperature) for s in (student, exact))
    assert loss.dtype == torch.float32
    assert_allclose(loss.detach(), exact_loss.detach(), rtol=1e-5)
    expected = gradient(exact_loss, exact)
    assert_allclose(
        gradient(loss, student), expected, atol=1e-5 * expected.abs().max().item()
    )


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("n_classes", N_CLASSES)
def test_teacher_may_be_exactly_zero_somewhere(n_classes, temperature):
    student, teacher, _, _ = batch(n_classes)
    teacher[:, 0] = -torch.inf
    teacher[0, 1:-1] = -torch.inf  # one-hot
    loss = kl(student, teacher, temperature)
    assert_allclose(loss.detach(), kl_numpy(student, teacher, temperature), rtol=1e-8)
    assert gradient(loss, student).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_finite_in_every_dtype_even_if_saturated(scale, temperature, dtype):
    student, teacher, y, weights = batch(26)
    student = (scale * student.detach()).to(dtype).requires_grad_()
    loss = distillation(
        student, teacher.to(dtype), y, temperature, alpha=0.5, sample_weight=weights
    )
    grad = gradient(loss, student)
    assert loss.dtype == torch.float32
    assert grad.dtype == dtype
    assert loss.isfinite()
    assert grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bit_logits_lose_nothing_inside_the_loss(dtype):
    student, teacher, y, _ = batch(26, dtype=dtype)
    loss = distillation(student, teacher, y, temperature=2.0, alpha=0.5)
    exact = distillation(student.double(), teacher.double(), y, 2.0, alpha=0.5)
    assert_allclose(loss.detach(), exact.detach(), rtol=1e-6)


def test_loss_survives_autocast():
    student, teacher, y, _ = batch(26, dtype=torch.float32)
    exact = distillation(student, teacher, y, temperature=20.0, alpha=0.5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = distillation(student, teacher, y, temperature=20.0, alpha=0.5)
    assert_allclose(loss.detach(), exact.detach(), rtol=1e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_gradient_is_the_difference_of_probabilities(temperature):
    student, teacher, _, weights = batch(26)
    for weight in (None, weights):
        share = torch.ones(8) / 8 if weight is None else weight / weight.sum()
        p_student, p_teacher = (
            F.softmax(z.detach() / temperature, dim=1) for z in (student, teacher)
        )
        grad = gradient(kl(student, teacher, temperature, weight), student)
        assert_allclose(
            grad, share[:, None] * temperature * (p_student - p_teacher), atol=1e-12
        )


@pytest.mark.parametrize("temperature", [0.5, 2.0, 20.0])
def test_gradcheck(temperature):
    student, teacher, y, weights = batch(3)

    def loss(z):
        return distillation(z, teacher, y, temperature, 0.3, weights)

    assert torch.autograd.gradcheck(loss, student)


def test_no_gradient_flows_into_the_teacher():
    student, teacher, y, _ = batch(3)
    teacher.requires_grad_()
    distillation(student, teacher, y, temperature=2.0, alpha=0.5).backward()
    assert teacher.grad is None


def test_a_step_down_the_gradient_nears_the_teacher():
    student, teacher, _, _ = batch(26)
    before = kl(student, teacher, 2.0)
    nearer = student - gradient(before, student)
    assert kl(nearer, teacher, 2.0) < before


@pytest.mark.parametrize("n_classes", N_CLASSES)
def test_high_temperature_limit_is_the_variance_of_the_difference(n_classes):
    student, teacher, _, _ = batch(n_classes, dtype=torch.float32)
    difference = to_numpy(student) - to_numpy(teacher)
    limit = difference.var(axis=1).mean() / 2
    assert_allclose(kl(student, teacher, 1e4).detach(), limit, rtol=2e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_alpha_0_is_bit_identical_to_cross_entropy(weighted):
    student, teacher, y, _ = batch(26, dtype=torch.float32)
    weights = torch.ones(8) if weighted else None
    plain = F.cross_entropy(student, y)
    loss = distillation(student, teacher, y, 2.0, alpha=0.0, sample_weight=weights)
    if weighted:
        assert_allclose(loss.detach(), plain.detach(), rtol=1e-6)
    else:
        assert torch.equal(loss, plain)
        assert torch.equal(gradient(loss, student), gradient(plain, student))


def test_alpha_0_needs_no_teacher():
    loss = distillation(STUDENT, None, Y, temperature=2.0, alpha=0)
    assert torch.equal(loss, F.cross_entropy(STUDENT, Y))


def test_alpha_1_needs_no_labels():
    loss = distillation(STUDENT, TEACHER, None, temperature=2.0, alpha=1)
    assert torch.equal(loss, kl(STUDENT, TEACHER, 2.0))


@pytest.mark.parametrize("end", [0.0, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_continuous_in_alpha(temperature, end):
    student, teacher, y, weights = batch(26)
    nearly = abs(end - 1e-9)
    for weight in (None, weights):
        at, beside = (
            distillation(student, teacher, y, temperature, alpha, weight).detach()
            for alpha in (end, nearly)
        )
        assert_allclose(at, beside, rtol=1e-7)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_weight_counts_rows(alpha):
    student, teacher, y, _ = batch(3)
    counts = torch.tensor([0, 1, 2, 3, 0, 1, 1, 2])
    weighted = distillation(student, teacher, y, 2.0, alpha, counts)
    rows = [z.repeat_interleave(counts, dim=0) for z in (student, teacher, y)]
    repeated = distillation(*rows, 2.0, alpha)
    assert_allclose(weighted.detach(), repeated.detach(), rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_batch_of_zero_weights_is_0(alpha, temperature, dtype):
    student, teacher, y, _ = batch(3, dtype=dtype)
    loss = distillation(
        student, teacher, y, temperature, alpha, sample_weight=torch.zeros(8)
    )
    assert loss == 0
    assert (gradient(loss, student) == 0).all()


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_alpha_1_reproduces_the_teacher(temperature):
    teacher = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64).log()
    student = torch.zeros_like(teacher).requires_grad_()
    for _ in range(2000):
        student = student - gradient(kl(student, teacher, temperature), student)
        student = student.detach().requires_grad_()
    assert_allclose(F.softmax(student.detach(), 1), teacher.exp(), atol=1e-6)


logits = arrays(np.float64, (4, 3), elements=st.floats(-30, 30))
temperatures = st.floats(0.1, 1000)
fast = settings(max_examples=50, deadline=None)


@fast
@given(logits, logits, temperatures)
def test_kl_is_never_negative(student, teacher, temperature):
    loss = kl(torch.tensor(student), torch.tensor(teacher), temperature)
    assert loss >= -1e-14 * max(temperature, 1) ** 2
    if np.abs(log_softmax(student, 1) - log_softmax(teacher, 1)).max() > 0.1:
        assert kl(torch.tensor(student), torch.tensor(teacher), 1e3) > 0


@fast
@given(logits, arrays(np.float64, (4, 1), elements=st.floats(-30, 30)), temperatures)
def test_kl_is_zero_where_equal_up_to_a_shift(student, shift, temperature):
    teacher = torch.tensor(student + shift)
    loss = kl(torch.tensor(student), teacher, temperature)
    assert_allclose(loss, 0, atol=1e-13 * max(temperature, 1) ** 2)


@fast
@given(logits, logits, st.floats(-100, 100), temperatures)
def test_kl_is_invariant_to_a_shift_of_a_row(student, teacher, shift, temperature):
    student, teacher = torch.tensor(student), torch.tensor(teacher)
    loss = kl(student, teacher, temperature)
    atol = 1e-13 * max(temperature, 1) ** 2
    assert_allclose(kl(student + shift, teacher, temperature), loss, 1e-9, atol)
    assert_allclose(kl(student, teacher + shift, temperature), loss, 1e-9, atol)


@fast
@given(logits, logits, temperatures, st.floats(0, 1))
def test_distillation_lies_between_its_terms(student, teacher, temperature, alpha):
    student, teacher = torch.tensor(student), torch.tensor(teacher)
    y = torch.tensor([0, 1, 2, 0])
    loss = distillation(student, teacher, y, temperature, alpha)
    ends = kl(student, teacher, temperature), F.cross_entropy(student, y)
    assert min(ends) - 1e-9 <= loss <= max(ends) + 1e-9


@pytest.mark.parametrize("temperature", [0, -1.0, np.inf, np.nan])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_bad_temperature_is_refused(alpha, temperature):
    message = "temperature must be a positive finite number"
    with pytest.raises(ValueError, match=message):
        distillation(STUDENT, TEACHER, Y, temperature, alpha)
    with pytest.raises(ValueError, match=message):
        kl(STUDENT, TEACHER, temperature)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, np.nan, np.inf])
def test_alpha_outside_0_to_1_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be between 0 and 1"):
        distillation(STUDENT, TEACHER, Y, temperature=2.0, alpha=alpha)


@pytest.mark.parametrize(
    ("student", "teacher"),
    [(STUDENT, TEACHER[:, :2]), (STUDENT, TEACHER[:1]), (STUDENT[0], TEACHER[0])],
)
def test_logits_of_other_shapes_are_refused(student, teacher):
    with pytest.raises(ValueError, match="must both be logits of shape") as error:
        kl(student, teacher)
    assert f"got {tuple(student.shape)} and {tuple(teacher.shape)}" in str(error.value)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1)])
def test_weights_of_other_shapes_are_refused(shape, alpha):
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        distillation(STUDENT, TEACHER, Y, 2.0, alpha, sample_weight=torch.ones(shape))


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_missing_labels_are_refused_where_needed(alpha):
    with pytest.raises(ValueError, match="y is None, but only alpha=1"):
        distillation(STUDENT, TEACHER, None, temperature=2.0, alpha=alpha)


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_missing_teacher_is_refused_where_needed(alpha):
    with pytest.raises(ValueError, match="teacher is None, but only alpha=0"):
        distillation(STUDENT, None, Y, temperature=2.0, alpha=alpha)
