import numpy as np
import pytest
import torch
from hypothesis import given
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
from tests.losses.conftest import batch, gradient, rotation, scales

RKD, SIMILARITY, PKT, CONTRASTIVE = LOSSES = [
    RKDLoss(block_size=32),  # more rows than any batch here
    SimilarityLoss(),
    PKTLoss(),
    ContrastiveLoss(),
]


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


@pytest.mark.parametrize("teacher_width", [1, 5, 20])
@pytest.mark.parametrize("n_samples", [2, 3, 8, 17])
@pytest.mark.parametrize(
    ("loss", "reference"),
    [(RKD, rkd_numpy), (SIMILARITY, similarity_numpy), (PKT, pkt_numpy)],
)
def test_loss_agrees_with_numpy(loss, reference, n_samples, teacher_width):
    student, teacher, _ = batch(n_samples, 5, teacher_width)
    expected = reference(student.detach().numpy(), teacher.numpy())
    assert_allclose(loss(student, teacher).detach(), expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("weights", [(1, 0), (0, 1), (0.3, 25)])
def test_rkd_weighs_distances_and_angles(weights):
    student, teacher, _ = batch()
    expected = rkd_numpy(student.detach().numpy(), teacher.numpy(), *weights)
    assert_allclose(RKDLoss(*weights)(student, teacher).detach(), expected)


@pytest.mark.parametrize(
    ("n_rows", "sizes"), [(8, [4, 4]), (10, [4, 4, 2]), (9, [3, 3, 3]), (5, [3, 2])]
)
def test_rkd_of_a_large_batch_is_the_mean_of_its_blocks(n_rows, sizes):
    student, teacher, _ = batch(n_rows, 5, 7)
    loss = RKDLoss(block_size=4)(student, teacher)
    parts = zip(student.split(sizes), teacher.split(sizes), strict=True)
    expected = sum(len(s) / n_rows * RKDLoss()(s, t) for s, t in parts)
    assert_allclose(loss.detach(), expected.detach())
    assert_allclose(gradient(loss, student), gradient(expected, student), atol=1e-14)


def test_gradient_of_angles_is_that_of_differences():
    student, teacher, _ = batch(6, 3, 4)
    loss = RKDLoss(0.0, 1.0, block_size=3)
    assert torch.autograd.gradcheck(lambda s: loss(s, 3 * teacher), student)


def test_rkd_of_zero_weights_is_0():
    student, teacher, _ = batch()
    loss = RKDLoss(0, 0)(student, teacher)
    assert loss == 0
    assert (gradient(loss, student) == 0).all()


@pytest.mark.parametrize("temperature", [0.01, 0.07, 1.0, 10.0])
@pytest.mark.parametrize("n_samples", [2, 8, 17])
def test_contrastive_agrees_with_numpy(n_samples, temperature):
    student, teacher, _ = batch(n_samples)
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
    student, teacher, _ = batch(8, 5, 7)
    whole, pair = RKD(student, teacher), (student[None], teacher[None])
    assert len(_relations._vertex_chunks(*pair)) == 1
    monkeypatch.setattr(_relations, "_CHUNK_SIZE", chunk_size)
    assert len(_relations._vertex_chunks(*pair)) > 1
    chunked = RKD(student, teacher)
    assert_allclose(chunked.detach(), whole.detach(), rtol=1e-12)
    expected = gradient(whole, student)
    assert_allclose(gradient(chunked, student), expected, atol=1e-14)


@pytest.mark.parametrize("teacher_duplicates", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1 / 3, 1000.0])
def test_gradient_of_rkd_stays_small_at_duplicates(offset, teacher_duplicates):
    student, teacher, _ = batch(16, dtype=torch.float32)
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
    student, teacher, _ = batch()
    rows = student.detach().clone()
    rows[4:6] = rows[:2]
    teacher[3] = teacher[4]
    expected = rkd_numpy(rows.numpy(), teacher.numpy())
    assert_allclose(RKD(rows, teacher), expected)


def test_rkd_takes_a_remote_row_for_no_reason_to_merge_the_others():
    student, teacher, _ = batch(dtype=torch.float32)
    rows = student.detach().clone()
    rows[0] = 1e7
    loss = RKDLoss(0, 1)(rows, teacher)
    exact = rkd_numpy(rows.double().numpy(), teacher.double().numpy(), 0, 1)
    assert_allclose(loss, exact, rtol=1e-4)


@pytest.mark.parametrize("offset", [1.0, 1000.0])
def test_rkd_in_float32_keeps_its_digits_off_center(offset):
    student, teacher, _ = batch(64, dtype=torch.float32)
    student, teacher = student.detach() + offset, teacher - offset
    exact = RKD(student.double(), teacher.double())
    assert_allclose(RKD(student, teacher), exact, rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_opposite_rows_have_finite_gradients(loss):
    student = torch.tensor([[1.0, 3.0], [-1.0, -3.0]], requires_grad=True)
    value = loss(student, torch.ones(2, 2))
    assert value.isfinite()
    assert gradient(value, student).isfinite().all()


seeds = st.integers(0, 100)


@given(scales, st.floats(-30, 30), seeds)
def test_rkd_is_invariant_to_rotation_scale_and_translation(scale, offset, seed):
    student, teacher, _ = batch(width=4, teacher_width=6)
    student = student.detach()
    moved = scale * student @ rotation(4, seed) + offset
    expected = RKD(student, teacher)
    assert_allclose(RKD(moved, teacher), expected, rtol=1e-9)
    assert_allclose(RKD(teacher, moved), expected, rtol=1e-9)
    assert_allclose(RKD(moved, student), 0, atol=1e-12)


@given(scales, seeds)
def test_similarity_and_pkt_are_invariant_to_rotation_and_scale(scale, seed):
    student, teacher, _ = batch(width=4, teacher_width=6)
    student = student.detach()
    moved = scale * student @ rotation(4, seed)
    for loss in (SIMILARITY, PKT):
        expected = loss(student, teacher)
        assert_allclose(loss(moved, teacher), expected, rtol=1e-9)
        assert_allclose(loss(moved, student), 0, atol=1e-12)


@given(arrays(np.float64, (6, 1), elements=scales).map(torch.tensor))
def test_pkt_and_contrastive_are_invariant_to_the_scale_of_a_row(scale):
    student, teacher, _ = batch(6)
    student = student.detach()
    for loss in (PKT, CONTRASTIVE):
        expected = loss(student, teacher)
        assert_allclose(loss(scale * student, teacher), expected, rtol=1e-9)
        assert_allclose(loss(student, scale * teacher), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("loss", "n_components"),
    [(ContrastiveLoss(n_components=7), 7), (ContrastiveLoss(), 128)],
)
def test_contrastive_brings_both_sides_to_its_width(loss, n_components):
    module = loss.learned(5, 3)
    student, teacher, _ = batch(8, 5, 3, torch.float32)
    assert module.student(student).shape == (8, n_components)
    assert module.teacher(teacher).shape == (8, n_components)


@pytest.mark.parametrize("collapsed", ["teacher", "both"])
def test_learned_contrast_of_identical_rows_is_log_n(collapsed):
    student, teacher, _ = batch(16, 5, 3, torch.float32)
    teacher = teacher[:1].expand(16, 3)
    if collapsed == "both":
        student = student.detach()[:1].expand(16, 5)
    value = ContrastiveLoss().learned(5, 3)(student, teacher)
    assert_allclose(value.detach(), np.log(16), rtol=1e-5)
