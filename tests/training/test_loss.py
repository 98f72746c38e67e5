"""The loss of a batch, against torch.nn.functional by hand, without any net."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from skdistill import DistilledClassifier
from skdistill._training._learned import LearnedLosses
from skdistill._training._loss import BatchLoss, weighted_mean
from skdistill._training._objective import Objective
from skdistill._transfer._transfer_set import TransferSet
from skdistill.losses import CKALoss, HintLoss, RKDLoss
from skdistill.schedules import LinearSchedule

# A batch holds some rows of the transfer set, in an order of its own.
ROWS = torch.tensor([7, 0, 3, 4, 2])
WEIGHT = np.array([2, 9, 0.5, 0, 1, 9, 9, 3], dtype=np.float32)
SOME = np.array([1, 1, 0, 0, 1, 1, 1, 1], dtype=np.float32)

rng = np.random.default_rng(0)
SOFT = rng.normal(size=(8, 3)).astype(np.float32)
HARD = rng.integers(0, 3, size=8)
KNOWN = rng.normal(size=(8, 4)).astype(np.float32)
STUDENT = torch.tensor(rng.normal(size=(5, 3)), dtype=torch.float32)
FEATURES = torch.tensor(rng.normal(size=(5, 6)), dtype=torch.float32)


def transfer_set(soft_weight=1.0, hard_weight=1.0, features=None):
    return TransferSet(None, SOFT, HARD, soft_weight, hard_weight, features)


def begun(rows, epoch=0, max_epochs=1, **params):
    """Return the loss of batches of some rows, in an epoch."""
    loss = BatchLoss(Objective.of(DistilledClassifier(**params)), rows)
    loss.begin_epoch(epoch, max_epochs)
    return loss


def of_batch(loss, student=STUDENT, features=None):
    """Return the loss of the batch, and what the history shows of it."""
    y = torch.tensor(HARD)[ROWS]

    def hard_loss(weight):
        if weight is None:
            return F.cross_entropy(student, y)
        return weighted_mean(F.cross_entropy(student, y, reduction="none"), weight, y)

    return loss(student, y, ROWS, hard_loss, features)


def soft_by_hand(student=STUDENT, T=1.0):
    """Return T^2 KL of each row."""
    s, t = (F.log_softmax(z / T, 1) for z in (student, torch.tensor(SOFT)[ROWS]))
    return T**2 * F.kl_div(s, t, log_target=True, reduction="none").sum(1)


def hard_by_hand(student=STUDENT):
    return F.cross_entropy(student, torch.tensor(HARD)[ROWS], reduction="none")


def batch_of(weight):
    return torch.tensor(np.broadcast_to(np.float32(weight), 8))[ROWS]


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("T", [1.0, 4.0])
def test_loss_is_that_of_the_paper(alpha, T):
    student = STUDENT.clone().requires_grad_()
    loss, shown = of_batch(begun(transfer_set(), alpha=alpha, temperature=T), student)
    soft, hard = soft_by_hand(student, T).mean(), hard_by_hand(student).mean()
    expected = alpha * soft + (1 - alpha) * hard
    assert_close(loss, expected)
    assert_close(*(torch.autograd.grad(v, student) for v in (loss, expected)))
    shown.pop("agreement")
    wanted = {"loss_soft": soft} if alpha > 0 else {}
    assert_close(shown, wanted | ({"loss_hard": hard} if alpha < 1 else {}))


def test_a_term_without_a_share_is_not_computed():
    def refuse(*args, **kwargs):
        raise AssertionError

    of_batch(begun(transfer_set(), alpha=0.0, loss=refuse))
    y = torch.tensor(HARD)[ROWS]
    begun(transfer_set(), alpha=1.0)(STUDENT, y, ROWS, refuse)


@pytest.mark.parametrize("hard_weight", [1.0, WEIGHT])
def test_pseudo_labels_take_the_place_of_y(hard_weight):
    # The last four rows of the transfer set have no labels; their soft weight counts.
    labels = rng.dirichlet(np.ones(3), size=4).astype(np.float32)
    rows = transfer_set(WEIGHT, hard_weight).with_pseudo_labels(labels)
    student = STUDENT.clone().requires_grad_()
    loss, shown = of_batch(begun(rows, alpha=0.3, temperature=2.0), student)

    targets = F.one_hot(torch.tensor(HARD), 3).float()
    targets[4:] = torch.tensor(labels)
    hard = F.cross_entropy(student, targets[ROWS], reduction="none")
    w_hard = np.broadcast_to(np.float32(hard_weight), 8).copy()
    w_hard[4:] = WEIGHT[4:]
    soft = soft_by_hand(student, T=2.0)
    w_soft, w_hard = batch_of(WEIGHT), batch_of(w_hard)
    expected = (0.3 * w_soft * soft + 0.7 * w_hard * hard).sum()
    expected = expected / (0.3 * w_soft + 0.7 * w_hard).sum()
    assert_close(loss, expected)
    assert_close(*(torch.autograd.grad(v, student) for v in (loss, expected)))
    assert_close(shown["loss_hard"], (w_hard * hard).sum() / w_hard.sum())


@pytest.mark.parametrize("epoch", [0, 1, 4])
def test_schedules_give_the_temperature_and_alpha_of_the_epoch(epoch):
    loss = begun(
        transfer_set(),
        epoch=epoch,
        max_epochs=5,
        temperature=LinearSchedule(9.0, 1.0),
        alpha=LinearSchedule(0.0, 1.0),
    )
    alpha, T = epoch / 4, 9.0 - 2 * epoch
    assert (loss.epoch, loss.alpha, loss.temperature) == (epoch, alpha, T)
    expected = alpha * soft_by_hand(T=T).mean() + (1 - alpha) * hard_by_hand().mean()
    assert_close(of_batch(loss)[0], expected)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("soft_weight", "hard_weight"),
    [
        pytest.param(WEIGHT, WEIGHT, id="sample weights"),
        pytest.param(1.0, SOME, id="rows without label"),
        pytest.param(SOME, 1.0, id="rows whose class the teacher does not know"),
        pytest.param(WEIGHT, WEIGHT * SOME, id="sample weights, some without label"),
    ],
)
def test_targets_weigh_as_alpha_and_their_weights_say(alpha, soft_weight, hard_weight):
    loss, shown = of_batch(begun(transfer_set(soft_weight, hard_weight), alpha=alpha))
    soft, hard = alpha * batch_of(soft_weight), (1 - alpha) * batch_of(hard_weight)
    whole = (soft + hard).sum()
    total = (soft * soft_by_hand() + hard * hard_by_hand()).sum()
    assert_close(loss, total / whole)
    if alpha > 0:  # the terms are means by their own weights
        assert_close(shown["loss_soft"], (soft * soft_by_hand()).sum() / soft.sum())
    if alpha < 1:
        assert_close(shown["loss_hard"], (hard * hard_by_hand()).sum() / hard.sum())


@pytest.mark.parametrize("soft_weight", [1.0, WEIGHT], ids=["plain", "weighted"])
def test_without_labels_the_soft_term_stands_alone(soft_weight):
    seen = {}

    def own(student, teacher, y, **given):
        seen["y"] = y
        return student.sum()

    rows = transfer_set(soft_weight, hard_weight=0.0)
    weight = batch_of(soft_weight)
    loss, shown = of_batch(begun(rows, alpha=0.3))
    assert_close(loss, (weight * soft_by_hand()).sum() / weight.sum())
    assert list(shown) == ["loss_soft", "agreement"]
    of_batch(begun(rows, loss=own))
    assert seen == {"y": None}


def test_without_labels_alpha_is_1_in_every_epoch():
    rows = transfer_set(hard_weight=0.0)
    assert begun(rows, alpha=0.3).alpha == 1
    assert begun(rows, alpha=LinearSchedule(0.5, 0.0)).alpha == 1


@pytest.mark.parametrize(
    "hidden", [{}, {"feature_loss": "hint"}, {"relation_loss": "similarity"}], ids=str
)
def test_a_batch_whose_weights_are_all_zero_counts_0(hidden):
    nothing = np.where(np.isin(np.arange(8), ROWS), 0, 1).astype(np.float32)
    loss = begun(transfer_set(nothing, nothing, KNOWN), **hidden)
    loss.train_with(LearnedLosses(loss.objective, FEATURES, loss.targets, None))
    student, features = (x.clone().requires_grad_() for x in (STUDENT, FEATURES))
    value, _ = of_batch(loss, student, features if hidden else None)
    assert value == 0
    value.backward()
    assert (student.grad == 0).all()
    assert features.grad is None or (features.grad == 0).all()


def test_losses_get_the_labels_temperature_weights_and_epoch():
    seen = {}

    def own(student, teacher, *, y, temperature, sample_weight, epoch):
        seen.update(y=y, T=temperature, weight=sample_weight, epoch=epoch)
        seen.update(student=student, teacher=teacher)
        return student.sum()

    rows = transfer_set(WEIGHT, WEIGHT)
    of_batch(begun(rows, epoch=3, max_epochs=5, loss=own, temperature=7.0))
    assert_close(seen["y"], torch.tensor(HARD)[ROWS])
    assert_close(seen["weight"], torch.tensor(WEIGHT)[ROWS])
    assert (seen["T"], seen["epoch"]) == (7.0, 3)
    assert seen["student"] is STUDENT
    assert_close(seen["teacher"], torch.tensor(SOFT)[ROWS])


def test_losses_on_logits_are_summed_by_their_weights():
    def double(student, teacher):  # of another dtype than the rest
        return student.double().square().mean()

    loss = begun(transfer_set(), alpha=1.0, loss=[("kl", 0.5), (double, 3.0)])
    expected = 0.5 * soft_by_hand().mean() + 3 * STUDENT.double().square().mean()
    assert_close(of_batch(loss)[0], expected)


def test_terms_on_features_are_added_by_their_weights():
    loss = begun(
        transfer_set(features=KNOWN),
        feature_loss=[("cka", 2.0)],
        feature_weight=0.7,
        relation_loss="rkd",
        relation_weight=5.0,
    )
    value, shown = of_batch(loss, features=FEATURES)
    known = torch.tensor(KNOWN)[ROWS]
    feature = 2 * CKALoss()(FEATURES, known)
    relation = RKDLoss()(FEATURES, known)
    assert_close(shown["loss_feature"], feature)
    assert_close(shown["loss_relation"], relation)
    plain, _ = of_batch(begun(transfer_set()))
    assert_close(value, plain + 0.7 * feature + 5 * relation)


def test_losses_on_features_weigh_rows_as_the_larger_of_both_weights():
    seen = []

    def own(student, teacher, sample_weight):
        seen.append(sample_weight)
        return student.sum()

    for soft, hard in [(1.0, 1.0), (WEIGHT, SOME), (1.0, SOME)]:
        loss = begun(transfer_set(soft, hard, KNOWN), relation_loss=own)
        of_batch(loss, features=FEATURES)
    assert seen[0] is None
    assert_close(seen[1], torch.tensor(np.maximum(WEIGHT, SOME))[ROWS])
    assert_close(seen[2], torch.ones(5))


def test_centered_logits_stand_for_features_that_are_missing():
    loss = begun(transfer_set(), relation_loss="rkd")
    centered = torch.tensor(SOFT - SOFT.mean(axis=1, keepdims=True))
    assert_close(loss.targets, centered)
    _, shown = of_batch(loss, features=FEATURES)
    assert_close(shown["loss_relation"], RKDLoss()(FEATURES, centered[ROWS]))


@pytest.mark.parametrize("weight", [1.0, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_module_that_learns_stands_in_for_its_loss(dtype, weight):
    rows = transfer_set(weight, weight, KNOWN)
    loss = begun(rows, feature_loss=[(HintLoss(), 3.0)])
    learned = LearnedLosses(loss.objective, FEATURES.to(dtype), loss.targets, None)
    loss.train_with(learned)
    _, shown = of_batch(loss, features=FEATURES)
    module = learned.losses["feature_loss_0"]
    guess = module.student(FEATURES.to(dtype))
    per_row = (guess - torch.tensor(KNOWN)[ROWS].to(dtype)).square().mean(1)
    weight = batch_of(weight)
    assert_close(
        shown["loss_feature"],
        3 * (weight * per_row).sum() / weight.sum(),
        check_dtype=False,
    )
    shown["loss_feature"].backward()
    assert all(p.grad.abs().max() > 0 for p in module.parameters())


def test_a_module_without_parameters_may_stand_in_for_a_loss():
    class Plain(nn.Module):
        def forward(self, student, teacher):
            return student.sum() + teacher.sum()

    class Own:
        def learned(self, n_student_features, n_teacher_features):
            return Plain()

    loss = begun(transfer_set(features=KNOWN), relation_loss=Own())
    loss.train_with(LearnedLosses(loss.objective, FEATURES, loss.targets, None))
    _, shown = of_batch(loss, features=FEATURES)
    assert_close(
        shown["loss_relation"], FEATURES.sum() + torch.tensor(KNOWN)[ROWS].sum()
    )


def test_agreement_is_the_share_of_rows_that_both_name_alike():
    teacher = torch.tensor(SOFT)[ROWS]
    other = -teacher
    for student, share in [
        (teacher, 1.0),
        (other, 0.0),
        (torch.cat([teacher[:3], other[3:]]), 0.6),
    ]:
        _, shown = of_batch(begun(transfer_set()), student)
        assert shown["agreement"] == pytest.approx(share)


def test_soft_labels_that_cannot_be_written_are_taken():
    locked = SOFT.copy()
    locked.flags.writeable = False
    with warnings.catch_warnings(action="error"):
        loss = begun(TransferSet(None, locked, HARD))
    assert_close(of_batch(loss)[0], of_batch(begun(transfer_set()))[0])


@pytest.mark.parametrize("class_weight", [None, torch.tensor([1.0, 5.0, 0.5])])
@pytest.mark.parametrize("weight", [torch.ones(5), torch.arange(5.0)])
def test_weighted_mean_goes_with_the_weights_of_classes(weight, class_weight):
    # A row counts as often as its weight says.
    y = torch.tensor([0, 1, 2, 2, 1])
    losses = F.cross_entropy(STUDENT, y, class_weight, reduction="none")
    repeats = weight.int()
    expected = F.cross_entropy(
        STUDENT.repeat_interleave(repeats, 0),
        y.repeat_interleave(repeats),
        class_weight,
    )
    assert_close(weighted_mean(losses, weight, y, class_weight), expected)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e3])
def test_weighted_mean_does_not_depend_on_the_scale_of_the_weights(scale):
    y, losses = torch.zeros(5), torch.arange(5.0)
    expected = weighted_mean(losses, torch.arange(5.0), y)
    assert_close(weighted_mean(losses, scale * torch.arange(5.0), y), expected)


def test_weighted_mean_needs_a_loss_per_row():
    with pytest.raises(ValueError, match=r"shape \(\) for 5 samples"):
        weighted_mean(torch.tensor(1.0), torch.ones(5), torch.zeros(5))


def test_arrays_that_may_not_be_written_to_are_taken_without_a_warning():
    rows = TransferSet(
        None,
        soft=np.zeros((3, 2), np.float32),
        hard=np.zeros(3, np.int64),
        pseudo_labels=np.zeros((1, 2), np.float32),
    )
    for array in (rows.soft, rows.hard, rows.pseudo_labels):
        array.flags.writeable = False  # as joblib does to large ones
    torch.set_warn_always(True)
    try:
        BatchLoss(Objective(1.0, 0.5, ()), rows)
    finally:
        torch.set_warn_always(False)
