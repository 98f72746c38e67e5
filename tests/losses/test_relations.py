import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from skdistill.losses import (
    ContrastiveLoss,
    PKTLoss,
    RKDLoss,
    SimilarityLoss,
    _relations,
)

RKD, SIMILARITY, PKT, CONTRASTIVE = LOSSES = [
    RKDLoss(),
    SimilarityLoss(),
    PKTLoss(),
    ContrastiveLoss(),
]
SIXTEEN_BITS = [torch.bfloat16, torch.float16]

STUDENT = torch.tensor([[0, 0], [3, 4], [6, 8]], dtype=torch.float64)
TEACHER = torch.tensor([[0, 0], [1, 0], [0, 1]], dtype=torch.float64)


def batch(n_samples=8, width=5, teacher_width=5, dtype=torch.float64):
    rng = np.random.default_rng(n_samples)
    student = rng.normal(size=(n_samples, width))
    teacher = rng.normal(size=(n_samples, teacher_width))
    return (
        torch.tensor(student, dtype=dtype, requires_grad=True),
        torch.tensor(teacher, dtype=dtype),
    )


def rotation(width, seed=0):
    normal = np.random.default_rng(seed).normal(size=(width, width))
    return torch.tensor(np.linalg.qr(normal)[0])


def gradient(loss, student):
    return torch.autograd.grad(loss, student)[0]


def smooth_l1(difference):
    size = np.abs(difference)
    return np.where(size < 1, size**2 / 2, size - 0.5).mean()


def direction(vector):
    norm = np.linalg.norm(vector)
    return vector / norm if norm > 0 else vector


def distances_numpy(features):
    distances = np.linalg.norm(features[:, None] - features, axis=2)
    return distances / distances[distances > 0].mean()


def cosines_numpy(features):
    return np.array(
        [
            [[direction(i - j) @ direction(k - j) for k in features] for i in features]
            for j in features
        ]
    )


def rkd_numpy(student, teacher, distance_weight=1.0, angle_weight=2.0):
    distance = smooth_l1(distances_numpy(student) - distances_numpy(teacher))
    angle = smooth_l1(cosines_numpy(student) - cosines_numpy(teacher))
    return distance_weight * distance + angle_weight * angle


def similarity_numpy(student, teacher):
    s, t = (
        np.array([direction(row) for row in features @ features.T])
        for features in (student, teacher)
    )
    return np.linalg.norm(s - t) ** 2 / len(s) ** 2


def pkt_numpy(student, teacher):
    probabilities = []
    for features in (student, teacher):
        units = np.array([direction(row) for row in features])
        affinities = (units @ units.T + 1) / 2
        probabilities.append(affinities / affinities.sum(axis=1, keepdims=True))
    q, p = probabilities
    return np.mean(p * np.log((p + 1e-7) / (q + 1e-7)))


def contrastive_numpy(student, teacher, temperature=0.07):
    rows = []
    for i, own in enumerate(student):
        scores = [direction(own) @ direction(t) / temperature for t in teacher]
        rows.append(np.log(np.sum(np.exp(scores))) - scores[i])
    return np.mean(rows)


def test_rkd_distance_worked_out_by_hand():
    assert_allclose(RKDLoss(angle_weight=0)(STUDENT, TEACHER), 0.0716991411, rtol=1e-9)


def test_rkd_angle_worked_out_by_hand():
    # Angles whose ends differ: at the two ends of the line cosines of 1, at its middle
    # -1; in the triangle 0 at the right angle, that is at the line's first end, and
    # sqrt(1/2) at the others. Each comes twice among the 27 triplets.
    root = np.sqrt(0.5)
    angles = 2 * (1 / 2 + (1 + root - 1 / 2) + (1 - root) ** 2 / 2) / 27
    assert_allclose(RKDLoss(0, 1)(STUDENT, TEACHER), angles)
    assert_allclose(RKD(STUDENT, TEACHER), 0.0716991411 + 2 * angles, rtol=1e-9)


def test_similarity_worked_out_by_hand():
    # Rows (1, 0) and (0, 1) against rows of sqrt(1/2).
    root = np.sqrt(0.5)
    loss = SIMILARITY(torch.eye(2).double(), torch.ones(2, 2).double())
    assert_allclose(loss, 2 * ((1 - root) ** 2 + root**2) / 4)
    # Not symmetric: (9, 12) / 15 and (12, 16) / 20 are both (0.6, 0.8).
    line = torch.tensor([[3.0], [4.0]], dtype=torch.float64)
    expected = (0.4**2 + 0.8**2 + 0.6**2 + 0.2**2) / 4
    assert_allclose(SIMILARITY(torch.eye(2).double(), line), expected)


def test_pkt_worked_out_by_hand():
    # Cosines of 0 become 1/2, so the student's rows are (2/3, 1/3) and (1/3, 2/3).
    loss = PKT(torch.eye(2).double(), torch.ones(2, 2).double())
    expected = (np.log(0.5 / (2 / 3)) + np.log(0.5 / (1 / 3))) / 4
    assert_allclose(loss, expected, rtol=1e-5)


def test_contrastive_worked_out_by_hand():
    teacher = 3 * torch.eye(2, dtype=torch.float64)
    loss = ContrastiveLoss(0.5)(torch.eye(2).double(), teacher)
    assert_allclose(loss, np.log(1 + np.exp(-2)))


@pytest.mark.parametrize("teacher_width", [1, 5, 20])
@pytest.mark.parametrize("n_samples", [2, 3, 8, 17])
@pytest.mark.parametrize(
    ("loss", "reference"),
    [(RKD, rkd_numpy), (SIMILARITY, similarity_numpy), (PKT, pkt_numpy)],
)
def test_loss_agrees_with_numpy(loss, reference, n_samples, teacher_width):
    student, teacher = batch(n_samples, 5, teacher_width)
    expected = reference(student.detach().numpy(), teacher.numpy())
    assert_allclose(loss(student, teacher).detach(), expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("weights", [(1, 0), (0, 1), (0.3, 25)])
def test_rkd_weighs_distances_and_angles(weights):
    student, teacher = batch()
    expected = rkd_numpy(student.detach().numpy(), teacher.numpy(), *weights)
    assert_allclose(RKDLoss(*weights)(student, teacher).detach(), expected)


def test_rkd_of_zero_weights_is_0():
    student, teacher = batch()
    loss = RKDLoss(0, 0)(student, teacher)
    assert loss == 0
    assert (gradient(loss, student) == 0).all()


@pytest.mark.parametrize("temperature", [0.01, 0.07, 1.0, 10.0])
@pytest.mark.parametrize("n_samples", [2, 8, 17])
def test_contrastive_agrees_with_numpy(n_samples, temperature):
    student, teacher = batch(n_samples)
    expected = contrastive_numpy(student.detach().numpy(), teacher.numpy(), temperature)
    loss = ContrastiveLoss(temperature)(student, teacher)
    assert_allclose(loss.detach(), expected, rtol=1e-9)


def test_contrastive_of_separated_rows_is_0_and_of_identical_ones_log_n():
    separate, same = torch.eye(16), torch.ones(16, 16)
    assert CONTRASTIVE(separate, 2 * separate) < 2e-5
    for pair in [(separate, same), (same, separate), (same, same)]:
        assert_allclose(CONTRASTIVE(*pair), np.log(16), rtol=1e-6)


@pytest.mark.parametrize("chunk_size", [1, 200, 500])
def test_angles_do_not_depend_on_the_size_of_their_chunks(monkeypatch, chunk_size):
    student, teacher = batch(8, 5, 7)
    whole = RKD(student, teacher)
    assert len(_relations._vertex_chunks(student, teacher)) == 1
    monkeypatch.setattr(_relations, "_CHUNK_SIZE", chunk_size)
    assert len(_relations._vertex_chunks(student, teacher)) > 1
    chunked = RKD(student, teacher)
    assert_allclose(chunked.detach(), whole.detach(), rtol=1e-12)
    expected = gradient(whole, student)
    assert_allclose(gradient(chunked, student), expected, atol=1e-14)


@pytest.mark.parametrize("teacher_duplicates", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1 / 3, 1000.0])
def test_gradient_of_rkd_stays_small_at_duplicates(offset, teacher_duplicates):
    student, teacher = batch(16, dtype=torch.float32)
    rows = student.detach() + offset
    rows[8:] = rows[:8]
    rows[12:] *= 1 + 2**-23  # nearly a duplicate
    if teacher_duplicates:
        teacher[8:] = teacher[:8]
    student = rows.requires_grad_()
    loss = RKD(student, teacher)
    assert loss.isfinite()
    assert gradient(loss, student).abs().max() < 1


def test_rkd_of_duplicates_agrees_with_numpy():
    student, teacher = batch()
    rows = student.detach().clone()
    rows[4:6] = rows[:2]
    teacher[3] = teacher[4]
    expected = rkd_numpy(rows.numpy(), teacher.numpy())
    assert_allclose(RKD(rows, teacher), expected)


def test_rkd_takes_a_remote_row_for_no_reason_to_merge_the_others():
    student, teacher = batch(dtype=torch.float32)
    rows = student.detach().clone()
    rows[0] = 1e7
    loss = RKDLoss(0, 1)(rows, teacher)
    exact = rkd_numpy(rows.double().numpy(), teacher.double().numpy(), 0, 1)
    assert_allclose(loss, exact, rtol=1e-4)


@pytest.mark.parametrize("offset", [1.0, 1000.0])
def test_rkd_in_float32_keeps_its_digits_off_center(offset):
    student, teacher = batch(64, dtype=torch.float32)
    student, teacher = student.detach() + offset, teacher - offset
    exact = RKD(student.double(), teacher.double())
    assert_allclose(RKD(student, teacher), exact, rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN_BITS])
@pytest.mark.parametrize("n_samples", [2, 3, 32])
@pytest.mark.parametrize("kind", ["spread", "duplicates", "collapsed", "zeros"])
@pytest.mark.parametrize("side", ["student", "teacher", "both"])
def test_finite_in_every_dtype(side, kind, n_samples, dtype, loss):
    student, teacher = batch(n_samples, dtype=dtype)
    rows = student.detach().clone(), teacher
    for features in {"student": rows[:1], "teacher": rows[1:], "both": rows}[side]:
        if kind == "duplicates":
            features[::2] = features[0].clone()
        elif kind == "collapsed":
            features[:] = features[0].clone()
        elif kind == "zeros":
            features[:] = 0
    student = rows[0].requires_grad_()
    value = loss(student, teacher)
    grad = gradient(value, student)
    assert value.dtype == torch.float32
    assert grad.dtype == dtype
    assert value.isfinite()
    assert grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_neither_overflows_nor_underflows_in_float32(scale, loss):
    student, teacher = batch(dtype=torch.float32)
    expected = loss(student, teacher).detach()
    scaled = (scale * student.detach()).requires_grad_()
    value = loss(scaled, teacher)
    if scale > 1e-19:  # the square of a smaller number is not a normal one
        assert_allclose(value.detach(), expected, rtol=1e-4)
        assert_allclose(loss(student, scale * teacher).detach(), expected, rtol=1e-4)
    assert value.isfinite()
    assert gradient(value, scaled).isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_opposite_rows_have_finite_gradients(loss):
    student = torch.tensor([[1.0, 3.0], [-1.0, -3.0]], requires_grad=True)
    value = loss(student, torch.ones(2, 2))
    assert value.isfinite()
    assert gradient(value, student).isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", SIXTEEN_BITS)
def test_sixteen_bit_features_lose_nothing_inside_the_loss(dtype, loss):
    student, teacher = batch(dtype=dtype)
    exact = loss(student.double(), teacher.double())
    assert_allclose(loss(student, teacher).detach(), exact.detach(), rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_loss_survives_autocast(loss):
    student, teacher = batch(32, dtype=torch.float32)
    exact = loss(student, teacher)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(student, teacher)
    assert_allclose(value.detach(), exact.detach(), rtol=1e-6)
    assert_allclose(gradient(value, student), gradient(exact, student), atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_samples", [2, 5])
def test_gradcheck(n_samples, loss):
    student, teacher = batch(n_samples, 3, 3)
    assert torch.autograd.gradcheck(lambda f: loss(f, teacher), student)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_scaled_by_what_follows(loss):
    student, teacher = batch()
    expected = 3 * gradient(loss(student, teacher), student)
    assert_allclose(gradient(3 * loss(student, teacher), student), expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_no_gradient_is_needed(loss):
    student, teacher = batch()
    expected = loss(student, teacher).detach()
    with torch.no_grad():
        assert torch.equal(loss(student, teacher), expected)
    with torch.inference_mode():
        assert torch.equal(loss(student, teacher), expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_no_gradient_flows_into_the_teacher(loss):
    student, teacher = batch()
    teacher.requires_grad_()
    loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().max() > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_down_the_gradient_nears_the_teacher(loss):
    student, teacher = batch()
    before = loss(student, teacher)
    assert loss(student - 0.01 * gradient(before, student), teacher) < before


# Rounded, so that no squares of differences underflow.
entries = st.floats(-30, 30).map(lambda x: round(x, 3))
features = arrays(np.float64, (6, 3), elements=entries).map(torch.tensor)
scales = st.floats(0.01, 100)
seeds = st.integers(0, 100)
fast = settings(max_examples=50, deadline=None)


@fast
@given(features, features)
def test_loss_stays_in_its_range(student, teacher):
    n = len(student)
    assert RKD(student, teacher) >= 0
    assert 0 <= SIMILARITY(student, teacher) <= 4 / n + 1e-12
    assert PKT(student, teacher) > -1e-5
    assert -1e-12 <= CONTRASTIVE(student, teacher) <= 2 / 0.07 + np.log(n)


@fast
@given(features)
def test_zero_where_equal(student):
    for loss in (RKD, SIMILARITY, PKT):
        assert loss(student, student) == 0


@fast
@given(features, features)
def test_rkd_and_similarity_are_symmetric(student, teacher):
    for loss in (RKD, SIMILARITY):
        assert_allclose(
            loss(student, teacher), loss(teacher, student), rtol=1e-9, atol=1e-12
        )


@fast
@given(features, features, st.permutations(range(6)))
def test_order_of_the_rows_does_not_matter(student, teacher, order):
    for loss in LOSSES:
        assert_allclose(
            loss(student[order], teacher[order]),
            loss(student, teacher),
            rtol=1e-9,
            atol=1e-9,
        )


@fast
@given(scales, st.floats(-30, 30), seeds)
def test_rkd_is_invariant_to_rotation_scale_and_translation(scale, offset, seed):
    student, teacher = batch(width=4, teacher_width=6)
    student = student.detach()
    moved = scale * student @ rotation(4, seed) + offset
    expected = RKD(student, teacher)
    assert_allclose(RKD(moved, teacher), expected, rtol=1e-9)
    assert_allclose(RKD(teacher, moved), expected, rtol=1e-9)
    assert_allclose(RKD(moved, student), 0, atol=1e-12)


@fast
@given(scales, seeds)
def test_similarity_and_pkt_are_invariant_to_rotation_and_scale(scale, seed):
    student, teacher = batch(width=4, teacher_width=6)
    student = student.detach()
    moved = scale * student @ rotation(4, seed)
    for loss in (SIMILARITY, PKT):
        expected = loss(student, teacher)
        assert_allclose(loss(moved, teacher), expected, rtol=1e-9)
        assert_allclose(loss(moved, student), 0, atol=1e-12)


@fast
@given(arrays(np.float64, (6, 1), elements=scales).map(torch.tensor))
def test_pkt_and_contrastive_are_invariant_to_the_scale_of_a_row(scale):
    student, teacher = batch(6)
    student = student.detach()
    for loss in (PKT, CONTRASTIVE):
        expected = loss(student, teacher)
        assert_allclose(loss(scale * student, teacher), expected, rtol=1e-9)
        assert_allclose(loss(student, scale * teacher), expected, rtol=1e-9)


@fast
@given(features, features)
def test_gradients_are_finite(student, teacher):
    assume(student.abs().max() > 0)
    student.requires_grad_()
    for loss in LOSSES:
        assert gradient(loss(student, teacher), student).isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_samples", [0, 1])
def test_batch_of_less_than_2_is_refused(n_samples, loss):
    few = torch.ones(n_samples, 3)
    with pytest.raises(ValueError, match=f"at least 2 rows, got {n_samples}"):
        loss(few, few)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(4,), (4, 2, 3)])
def test_other_than_two_dimensions_are_refused(shape, loss):
    with pytest.raises(ValueError, match=r"call \.flatten\(1\)") as error:
        loss(torch.ones(4, 6), torch.ones(shape))
    assert f"got (4, 6) and {shape}" in str(error.value)


@pytest.mark.parametrize("loss", LOSSES)
def test_other_numbers_of_rows_are_refused(loss):
    with pytest.raises(ValueError, match=r"same number of rows, got \(3, 2\) and \(2"):
        loss(STUDENT, TEACHER[:2])


def test_other_widths_are_refused_by_contrastive():
    with pytest.raises(ValueError, match="project the student's features"):
        CONTRASTIVE(STUDENT, torch.ones(3, 5))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("entry", [np.nan, np.inf, -np.inf])
def test_teacher_that_is_not_finite_is_refused(entry, loss):
    teacher = TEACHER.clone()
    teacher[1, 1] = entry
    with pytest.raises(ValueError, match="clip those away from 0"):
        loss(STUDENT, teacher)


@pytest.mark.parametrize("n_components", [1, 7])
def test_contrastive_brings_both_sides_to_its_width(n_components):
    module = ContrastiveLoss(n_components=n_components).learned(5, 3)
    student, teacher = batch(8, 5, 3, torch.float32)
    assert module.student(student).shape == (8, n_components)
    assert module.teacher(teacher).shape == (8, n_components)


def test_contrastive_has_128_components_by_default():
    module = ContrastiveLoss().learned(5, 3)
    assert (module.student.out_features, module.teacher.out_features) == (128, 128)


@pytest.mark.parametrize("collapsed", ["teacher", "both"])
def test_learned_contrast_of_identical_rows_is_log_n(collapsed):
    student, teacher = batch(16, 5, 3, torch.float32)
    teacher = teacher[:1].expand(16, 3)
    if collapsed == "both":
        student = student.detach()[:1].expand(16, 5)
    value = ContrastiveLoss().learned(5, 3)(student, teacher)
    assert_allclose(value.detach(), np.log(16), rtol=1e-5)
