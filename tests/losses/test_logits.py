import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.special import rel_entr, softmax
from scipy.stats import zscore
from torch.nn import functional as F

from skdistill.losses import (
    DISTLoss,
    DKDLoss,
    JSDLoss,
    KLLoss,
    LogitMSELoss,
    NKDLoss,
    StandardizedLoss,
    _base,
)
from tests.losses.conftest import gradient

N_CLASSES = [2, 3, 26, 100]

CLASSES = {
    name: loss
    for name, loss in _base.LOSSES["loss"].items()
    if loss.task == "classification"
}
LOSSES = list(CLASSES)
TEMPERED = [name for name in LOSSES if name != "logit_mse"]
# Their value and gradient are defined where the teacher has zeros.
TOLERANT = ["kl", "dkd", "dist", "nkd", "jsd"]
# 0 where the student equals its teacher and never below.
DIVERGENCES = ["kl", "logit_mse", "dkd", "dist", "standardized", "jsd"]
CASES = [(name, k) for name in LOSSES for k in N_CLASSES]
CASES.remove(("standardized", 2))

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


def loss_of(name, student, teacher, y, **given):
    """Return the value of a loss, called with those keywords that it takes."""
    given = {"y": y} | given
    keywords = CLASSES[name].keywords
    taken = {keyword: given[keyword] for keyword in keywords if keyword in given}
    return CLASSES[name]()(student, teacher, **taken)


def to_numpy(tensor):
    return tensor.detach().to(torch.float64).numpy()


def kl_numpy(student, teacher, y, temperature, weights=None):
    p_teacher = softmax(to_numpy(teacher) / temperature, axis=1)
    p_student = softmax(to_numpy(student) / temperature, axis=1)
    rows = rel_entr(p_teacher, p_student).sum(axis=1)
    return temperature**2 * np.average(rows, weights=weights)


logits = arrays(np.float64, (4, 3), elements=st.floats(-30, 30))


def kl_rows_numpy(p, q):
    return rel_entr(p, q).sum(axis=1)


def decoupled_numpy(z, y, temperature):
    """Return the binary distribution on the target and that over the non-targets."""
    p = softmax(to_numpy(z) / temperature, axis=1)
    rows = np.arange(len(p))
    others = np.array([np.delete(row, k) for row, k in zip(p, y.numpy(), strict=True)])
    total = others.sum(axis=1)
    return np.stack([p[rows, y.numpy()], total], 1), others / total[:, None]


def correlation_numpy(a, b, weights):
    covariance = np.cov(a, b, aweights=weights, ddof=0)
    return covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])


def logit_mse_numpy(student, teacher, y, temperature, weights):
    s, t = to_numpy(student), to_numpy(teacher)
    difference = (s - s.mean(1, keepdims=True)) - (t - t.mean(1, keepdims=True))
    return np.average((difference**2).mean(axis=1), weights=weights)


def dkd_numpy(student, teacher, y, temperature, weights):
    b_student, q_student = decoupled_numpy(student, y, temperature)
    b_teacher, q_teacher = decoupled_numpy(teacher, y, temperature)
    rows = kl_rows_numpy(b_teacher, b_student)
    rows = rows + 8 * kl_rows_numpy(q_teacher, q_student)
    return temperature**2 * np.average(rows, weights=weights)


def dist_numpy(student, teacher, y, temperature, weights):
    p_student, p_teacher = (
        softmax(to_numpy(z) / temperature, axis=1) for z in (student, teacher)
    )
    rows = [
        correlation_numpy(a, b, None) for a, b in zip(p_student, p_teacher, strict=True)
    ]
    columns = [
        correlation_numpy(a, b, weights)
        for a, b in zip(p_student.T, p_teacher.T, strict=True)
    ]
    total = (1 - np.average(rows, weights=weights)) + (1 - np.mean(columns))
    return temperature**2 * total


def nkd_numpy(student, teacher, y, temperature, weights):
    b_student, _ = decoupled_numpy(student, y, 1)
    b_teacher, _ = decoupled_numpy(teacher, y, 1)
    _, q_student = decoupled_numpy(student, y, temperature)
    _, q_teacher = decoupled_numpy(teacher, y, temperature)
    rows = -b_teacher[:, 0] * np.log(b_student[:, 0])
    rows -= 1.5 * temperature**2 * (q_teacher * np.log(q_student)).sum(axis=1)
    return np.average(rows, weights=weights)


def standardized_numpy(student, teacher, y, temperature, weights):
    student, teacher = (
        torch.tensor(zscore(to_numpy(z), axis=1, ddof=1)) for z in (student, teacher)
    )
    return kl_numpy(student, teacher, y, temperature, weights)


def jsd_numpy(student, teacher, y, temperature, weights, beta=0.5):
    p_student, p_teacher = (
        softmax(to_numpy(z) / temperature, axis=1) for z in (student, teacher)
    )
    mixture = beta * p_teacher + (1 - beta) * p_student
    rows = beta * kl_rows_numpy(p_teacher, mixture)
    rows += (1 - beta) * kl_rows_numpy(p_student, mixture)
    return np.average(rows, weights=weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("temperature", [0.5, 20.0])
@pytest.mark.parametrize(("name", "n_classes"), CASES)
def test_loss_agrees_with_numpy(name, n_classes, temperature, weighted):
    student, teacher, y, weights = batch(n_classes)
    weights = weights if weighted else None
    loss = loss_of(
        name, student, teacher, y, temperature=temperature, sample_weight=weights
    )
    expected = globals()[f"{name}_numpy"](student, teacher, y, temperature, weights)
    assert loss.shape == ()
    assert_allclose(loss.detach(), expected, rtol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_defaults_are_those_of_the_paper(name):
    student, teacher, y, _ = batch(26)
    temperature = {"dkd": 4.0, "standardized": 2.0}.get(name, 1.0)
    expected = globals()[f"{name}_numpy"](student, teacher, y, temperature, None)
    assert_allclose(loss_of(name, student, teacher, y).detach(), expected, rtol=1e-8)


def log_rows(*rows):
    return torch.tensor(rows, dtype=torch.float64).log()


def test_dkd_of_probabilities_worked_out_by_hand():
    student, teacher = log_rows([0.5, 0.25, 0.25]), log_rows([0.75, 0.1875, 0.0625])
    y = torch.tensor([0])
    # Both are KL([.75, .25] || [.5, .5]).
    target = DKDLoss(1.0, 0.0, 1.0)(student, teacher, y)
    nontarget = DKDLoss(0.0, 2.0, 1.0)(student, teacher, y)
    assert_allclose(target, 0.1308120359, rtol=1e-9)
    assert_allclose(nontarget, 2 * 0.1308120359, rtol=1e-9)


def test_dist_worked_out_by_hand():
    # Rows correlate by 1/2; columns by -1, 1 and 0, of which one side is constant.
    student = log_rows([0.5, 0.25, 0.25], [0.25, 0.5, 0.25])
    teacher = log_rows([0.25, 0.25, 0.5], [0.5, 0.25, 0.25])
    rows = [1.5, 1.5]
    columns = [2.0, 0.5, 0.5]
    assert_allclose(DISTLoss(gamma=0.0)(student, teacher), np.mean(rows))
    assert_allclose(DISTLoss(beta=0.0)(student, teacher), np.mean(columns))
    assert_allclose(
        DISTLoss(beta=2.0, gamma=3.0)(student, teacher),
        2 * np.mean(rows) + 3 * np.mean(columns),
    )


def test_nkd_worked_out_by_hand():
    student, teacher = log_rows([0.5, 0.25, 0.25]), log_rows([0.75, 0.1875, 0.0625])
    y = torch.tensor([0])
    # 0.75 log 2 on the target and log 2 on the others.
    assert_allclose(NKDLoss()(student, teacher, y), (0.75 + 1.5) * np.log(2))
    assert_allclose(
        NKDLoss(0.5, 2.0)(student, teacher, y), (0.75 + 0.5 * 4) * np.log(2)
    )


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_nontargets_of_two_classes_are_void(temperature):
    student, teacher, y, weights = batch(2)
    options = {"temperature": temperature, "sample_weight": weights}
    loss = DKDLoss(nontarget_weight=8.0)(student, teacher, y, **options)
    alone = DKDLoss(nontarget_weight=0.0)(student, teacher, y, **options)
    assert torch.equal(loss, alone)
    assert torch.equal(gradient(loss, student), gradient(alone, student))
    expected = KLLoss()(student, teacher, **options)
    assert_allclose(loss.detach(), expected.detach(), rtol=1e-9)
    loss, alone = (NKDLoss(g)(student, teacher, y, **options) for g in (1.5, 0.0))
    assert torch.equal(loss, alone)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dist_within_samples_of_two_classes_has_no_gradient(dtype):
    student, teacher, _, _ = batch(2, dtype=dtype)
    loss = DISTLoss(gamma=0.0)(student, teacher)
    assert_allclose(gradient(loss, student), 0, atol=10 * torch.finfo(dtype).eps)
    loss = DISTLoss(beta=0.0)(student, teacher)
    assert gradient(loss, student).abs().max() > 1e-3


def test_dist_within_classes_of_one_sample_is_void():
    student, teacher, _, _ = batch(26, n_samples=1)
    loss = DISTLoss(beta=0.0)(student, teacher)
    assert loss == 0
    assert (gradient(loss, student) == 0).all()
    loss = DISTLoss(gamma=0.0)(student, teacher)
    assert gradient(loss, student).abs().max() > 1e-3


@pytest.mark.parametrize("beta", [0.1, 0.9])
@pytest.mark.parametrize("temperature", [0.5, 20.0])
def test_jsd_agrees_with_numpy_at_every_beta(temperature, beta):
    student, teacher, y, weights = batch(26)
    loss = JSDLoss(beta)(student, teacher, temperature, weights)
    expected = jsd_numpy(student, teacher, y, temperature, weights, beta)
    assert_allclose(loss.detach(), expected, rtol=1e-8)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_jsd_ends_in_the_forward_and_the_reverse_kl(temperature):
    student, teacher, _, weights = batch(3)
    for beta in (0, 1):
        loss = JSDLoss(beta, temperature)
        assert torch.autograd.gradcheck(
            lambda z, loss=loss: loss(z, teacher, sample_weight=weights), student
        )
    student = student.detach()
    forward, reverse = (JSDLoss(b, temperature)(student, teacher) for b in (0, 1))
    kl = KLLoss(temperature)
    assert_allclose(forward, kl(student, teacher) / temperature**2)
    assert_allclose(reverse, kl(teacher, student) / temperature**2)
    for beta, limit in ((1e-6, forward), (1 - 1e-6, reverse)):
        near = JSDLoss(beta, temperature)(student, teacher) / (beta * (1 - beta))
        assert_allclose(near, limit, rtol=1e-3)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("temperature", [0.5, 20.0])
@pytest.mark.parametrize(("name", "n_classes"), [c for c in CASES if c[1] < 26])
def test_loss_passes_gradcheck(name, n_classes, temperature, weighted):
    student, teacher, y, weights = batch(n_classes, n_samples=4)
    options = {"temperature": temperature}
    if weighted:
        options["sample_weight"] = weights
    assert torch.autograd.gradcheck(
        lambda z: loss_of(name, z, teacher, y, **options), student
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("temperature", [0.1, 4.0, 1000.0])
@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_finite_in_every_dtype(name, temperature, dtype):
    for scale, n_samples in itertools.product([0.0, 1.0, 1e4], [1, 8]):
        student, teacher, y, weight = batch(26, n_samples=n_samples)
        student = (scale * student.detach()).to(dtype).requires_grad_()
        loss = loss_of(
            name,
            student,
            teacher.to(dtype),
            y,
            temperature=temperature,
            sample_weight=weight,
        )
        grad = gradient(loss, student)
        assert loss.dtype == torch.float32
        assert grad.dtype == dtype
        assert loss.isfinite()
        assert grad.isfinite().all()


@pytest.mark.parametrize("temperature", [0.1, 4.0, 1000.0])
@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("n_classes", [2, 26])
@pytest.mark.parametrize("name", TOLERANT)
def test_loss_is_finite_where_the_teacher_is_zero(name, n_classes, scale, temperature):
    student, teacher, y, _ = batch(n_classes, dtype=torch.float32)
    student = (scale * student.detach()).requires_grad_()
    teacher[:, 0] = -torch.inf
    teacher[1:3] = -torch.inf  # one-hot, on the target and off it
    teacher[1, y[1]] = 0.0
    teacher[2, (y[2] + 1) % n_classes] = 0.0
    loss = loss_of(name, student, teacher, y, temperature=temperature)
    assert loss.isfinite()
    assert gradient(loss, student).isfinite().all()


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
@pytest.mark.parametrize("name", ["kl", "dkd", "nkd", "jsd"])
def test_exact_zeros_of_the_teacher_are_the_limit_of_small_ones(name, temperature):
    student, teacher, y, _ = batch(26)
    y = y.clamp_min(1)
    exact, nearly = teacher.clone(), teacher.clone()
    exact[:, 0] = -torch.inf
    nearly[:, 0] = -1e4
    losses = [
        loss_of(name, student, z, y, temperature=temperature) for z in (exact, nearly)
    ]
    assert_allclose(losses[0].detach(), losses[1].detach(), rtol=1e-12)
    grads = [gradient(loss, student) for loss in losses]
    assert_allclose(grads[0], grads[1], atol=1e-12)


def test_teacher_certain_of_its_target_voids_the_nontargets():
    student, teacher, y, _ = batch(26, n_samples=1)
    teacher[:] = -torch.inf
    teacher[0, y] = 0.0
    log_p = F.log_softmax(student, dim=1)[0, y[0]]
    for loss in (DKDLoss(temperature=1.0), NKDLoss(temperature=1.0)):
        loss = loss(student, teacher, y)
        assert_allclose(loss.detach(), -log_p.detach())


def test_nan_of_the_teacher_is_not_hidden():
    for name in TOLERANT:
        teacher = torch.full_like(TEACHER, torch.nan)
        assert loss_of(name, STUDENT, teacher, Y).isnan()


@pytest.mark.parametrize("name", ["dkd", "nkd"])
def test_saturated_student_still_learns(name):
    student = torch.tensor([[200.0, 0.0, -5.0]], requires_grad=True)
    teacher, y = torch.tensor([[0.0, 2.0, 1.0]]), torch.tensor([0])
    loss = loss_of(name, student, teacher, y, temperature=1.0)
    exact = loss_of(name, student.double(), teacher.double(), y, temperature=1.0)
    assert_allclose(loss.detach(), exact.detach(), rtol=1e-5)
    assert gradient(loss, student).abs().max() > 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["dist", "standardized"])
def test_constant_rows_get_no_exploding_gradient(name, dtype):
    student, teacher, y, _ = batch(26, dtype=dtype)
    for constant in (0.0, 0.1, 1e4):
        student = torch.full_like(teacher, constant).requires_grad_()
        loss = loss_of(name, student, teacher, y)
        assert loss.isfinite()
        assert (gradient(loss, student) == 0).all()


def test_dist_keeps_classes_of_tiny_probability():
    teacher, student = (
        torch.tensor([[0.0, -35.0 + i], [0.0, -35.0], [0.0, -36.0]]) for i in (1, -0.5)
    )
    student.requires_grad_()
    loss = DISTLoss(beta=0.0)(student, teacher)
    # In float32 the first class rounds to 1 in every row; the second is left.
    correlation = np.corrcoef(*(to_numpy(z[:, 1].exp()) for z in (student, teacher)))
    assert_allclose(loss.detach(), (1 - correlation[0, 1]) / 2, rtol=1e-4)
    assert gradient(loss, student)[:, 1].abs().max() > 1e-2


@pytest.mark.parametrize("logit", [-80.0, -90.0, -97.0, -103.0, -1e4])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_dist_survives_probabilities_that_underflow(temperature, logit):
    student = torch.tensor([[0.0, logit], [0.0, logit + 1]]) * temperature
    student.requires_grad_()
    loss = DISTLoss()(student, student.detach().flip(0), temperature)
    assert loss.isfinite()
    assert gradient(loss, student).isfinite().all()


@pytest.mark.parametrize("temperature", [1.0, 4.0, 4.01, 1000.0])
@pytest.mark.parametrize("n_classes", [3, 100])
@pytest.mark.parametrize("name", LOSSES)
def test_loss_keeps_its_digits_in_float32(name, n_classes, temperature):
    student, teacher, y, _ = batch(n_classes, n_samples=64, dtype=torch.float32)
    exact = student.detach().double().requires_grad_()
    loss, exact_loss = (
        loss_of(name, s, teacher.to(s.dtype), y, temperature=temperature)
        for s in (student, exact)
    )
    assert_allclose(loss.detach(), exact_loss.detach(), rtol=1e-5)
    expected = gradient(exact_loss, exact)
    assert_allclose(
        gradient(loss, student), expected, atol=5e-5 * expected.abs().max().item()
    )


some_temperatures = st.floats(0.5, 100)


def value(name, student, teacher, temperature):
    student, teacher = torch.as_tensor(student), torch.as_tensor(teacher)
    y = torch.tensor([0, 1, 2, 0])
    return loss_of(name, student, teacher, y, temperature=temperature)


@pytest.mark.parametrize("name", LOSSES)
@given(student=logits, teacher=logits, temperature=some_temperatures)
def test_loss_is_never_negative(name, student, teacher, temperature):
    loss = value(name, student, teacher, temperature)
    assert loss >= -1e-13 * max(temperature, 1) ** 2


@pytest.mark.parametrize("name", DIVERGENCES)
@given(student=logits, temperature=some_temperatures)
def test_loss_is_zero_where_equal(name, student, temperature):
    loss = value(name, student, student, temperature)
    assert_allclose(loss, 0, atol=1e-12 * max(temperature, 1) ** 2)


# Quarters stay exact under the shift and the scale, so that rounding makes no row of
# almost equal logits constant; and none saturates, which would void its correlations.
quarters = arrays(
    np.float64, (4, 3), elements=st.integers(-20, 20).map(lambda n: n / 4)
)
row_shifts = arrays(np.float64, (4, 1), elements=st.integers(-30, 30).map(float))


@pytest.mark.parametrize("name", LOSSES)
@given(
    student=quarters, teacher=quarters, shift=row_shifts, temperature=some_temperatures
)
def test_loss_is_invariant_to_a_shift_of_a_row(
    name, student, teacher, shift, temperature
):
    loss = value(name, student, teacher, temperature)
    # The correlation of a class that is all but constant amplifies the rounding.
    rtol = 1e-4 if name == "dist" else 1e-9
    atol = 1e-12 * max(temperature, 1) ** 2
    for pair in ((student + shift, teacher), (student, teacher + shift)):
        assert_allclose(value(name, *pair, temperature), loss, rtol, atol)


@given(quarters, quarters, st.sampled_from([0.25, 3.0, 1000.0]), some_temperatures)
def test_standardized_is_invariant_to_a_scale(student, teacher, scale, temperature):
    loss = value("standardized", student, teacher, temperature)
    scaled = value("standardized", scale * student, teacher, temperature)
    atol = 1e-12 * max(temperature, 1) ** 2
    assert_allclose(scaled, loss, rtol=1e-9, atol=atol)


@given(logits, logits, some_temperatures)
def test_jsd_is_symmetric_and_at_most_log_2(student, teacher, temperature):
    loss = value("jsd", student, teacher, temperature)
    assert loss <= np.log(2) + 1e-12
    assert_allclose(value("jsd", teacher, student, temperature), loss, atol=1e-12)


def test_jsd_of_disjoint_probabilities_is_log_2():
    student = torch.tensor([[1e4, 0.0], [0.0, 1e4]])
    teacher = torch.tensor([[0.0, 1e4], [-torch.inf, 0.0]])
    assert_allclose(JSDLoss()(student[:1], teacher[:1]), np.log(2), rtol=1e-6)
    assert_allclose(JSDLoss()(student, teacher), np.log(2) / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("student", "teacher"),
    [(STUDENT, TEACHER[:, :2]), (STUDENT, TEACHER[:1]), (STUDENT[0], TEACHER[0])],
)
@pytest.mark.parametrize("name", LOSSES)
def test_loss_refuses_logits_of_other_shapes(name, student, teacher):
    with pytest.raises(ValueError, match="must both be logits of shape") as error:
        loss_of(name, student, teacher, Y)
    assert f"got {tuple(student.shape)} and {tuple(teacher.shape)}" in str(error.value)


@pytest.mark.parametrize("name", ["dkd", "nkd"])
def test_missing_labels_of_a_loss_are_refused(name):
    with pytest.raises(ValueError, match=r"y is None, but (DKD|NKD)Loss needs labels"):
        loss_of(name, STUDENT, TEACHER, None)


@pytest.mark.parametrize(
    "y", [Y[:1], Y[:, None], torch.tensor(0), Y.float(), F.one_hot(Y, 3)]
)
@pytest.mark.parametrize("name", ["dkd", "nkd"])
def test_labels_of_other_shapes_and_dtypes_are_refused(name, y):
    message = "y must hold one int64 class index for each of the 2 samples"
    with pytest.raises(ValueError, match=message):
        loss_of(name, STUDENT, TEACHER, y)


@pytest.mark.parametrize(
    ("loss", "n_classes"),
    [(DKDLoss(), 1), (DISTLoss(), 1), (NKDLoss(), 1), (StandardizedLoss(), 2)],
)
def test_too_few_classes_are_refused(loss, n_classes):
    message = f"{type(loss).__name__} needs at least {n_classes + 1} classes"
    labels = (Y,) if loss.needs_labels else ()
    with pytest.raises(ValueError, match=message):
        loss(STUDENT[:, :n_classes], TEACHER[:, :n_classes], *labels)


@pytest.mark.parametrize("loss", [KLLoss(), LogitMSELoss(), JSDLoss()], ids=repr)
def test_loss_of_a_single_class_is_0(loss):
    assert loss(STUDENT[:, :1], TEACHER[:, :1]) == 0


@pytest.mark.parametrize("bad", [-torch.inf, torch.nan])
@pytest.mark.parametrize("loss", [LogitMSELoss(), StandardizedLoss(), JSDLoss(1.0)])
def test_infinite_teacher_is_refused_where_undefined(loss, bad):
    teacher = TEACHER.clone()
    teacher[0, 0] = bad
    with pytest.raises(ValueError, match="clip its probabilities away from 0"):
        loss(STUDENT, teacher)


@pytest.mark.parametrize("name", TEMPERED)
def test_temperature_of_the_call_counts_unless_the_loss_has_one(name):
    labels = (Y,) if CLASSES[name].needs_labels else ()
    own, called = CLASSES[name](temperature=1.5), CLASSES[name]()
    expected = called(STUDENT, TEACHER, *labels, temperature=1.5)
    assert own(STUDENT, TEACHER, *labels) == expected
    assert own(STUDENT, TEACHER, *labels, temperature=6.0) == expected
    assert called(STUDENT, TEACHER, *labels, temperature=6.0) != expected


@pytest.mark.parametrize("temperature", [0, -1.0, np.inf, np.nan, "2", None])
@pytest.mark.parametrize("name", TEMPERED)
def test_bad_temperature_of_the_call_is_refused(name, temperature):
    message = f"temperature that {CLASSES[name].__name__} is called with must be a pos"
    with pytest.raises(ValueError, match=message):
        loss_of(name, STUDENT, TEACHER, Y, temperature=temperature)


@pytest.mark.parametrize(
    ("warmup_epochs", "epoch", "share"),
    [
        (20, 0, 1 / 20),
        (20, 18, 19 / 20),
        (20, 19, 1),
        (20, 500, 1),
        (4, 2, 3 / 4),
        (0, 0, 1),
        (20, None, 1),
    ],
)
def test_dkd_rises_to_its_full_weight_over_20_epochs_by_default(
    warmup_epochs, epoch, share
):
    student, teacher, y, weights = batch(3)
    options = {} if warmup_epochs == 20 else {"warmup_epochs": warmup_epochs}
    value = DKDLoss(**options)(student, teacher, y, 4.0, weights, epoch)
    full = DKDLoss()(student, teacher, y, 4.0, weights)
    assert_allclose(value.detach(), share * full.detach(), rtol=1e-12)
