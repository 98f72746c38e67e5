"""Rows without labels get those of a net, and the teacher is calibrated by them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from skdistill import make_student
from skdistill._targets._classes import Classes
from skdistill._targets._counts import Counts
from skdistill._targets._numbers import Numbers
from skdistill._targets._trust import USUAL
from skdistill._training import _pseudo_labels
from skdistill._training._pseudo_labels import HeldOutLabels, with_pseudo_labels
from skdistill._transfer._transfer_set import TransferSet

pytestmark = pytest.mark.all_steps

N_OWN, N_EXTRA = 120, 300


def transfer_set(scale=1.0, classes=(0, 1), hard_weight=1.0):
    """Return rows whose class is the sign of their first column, and logits of it.

    The teacher is right as often as its logits say, which are then multiplied.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_OWN + N_EXTRA, 3))
    logits = np.stack([-3 * X[:, 0], 3 * X[:, 0]], axis=1).astype(np.float32)
    is_second = rng.uniform(size=len(X)) < softmax(logits, axis=1)[:, 1]
    hard = np.where(is_second, classes[1], classes[0])
    weight = np.zeros(len(X), dtype=np.float32)
    weight[:N_OWN] = hard_weight
    soft = np.zeros((len(X), max(classes) + 1), dtype=np.float32)
    soft[:, list(classes)] = scale * logits
    return TransferSet(X[:N_OWN], soft, hard, 1.0, weight, extra=X[N_OWN:])


def pseudo_labeled(rows, student, honest=None, **params):
    """Hold out a part of the rows; the teacher has seen them if no ``honest`` ones."""
    n_own = len(rows.X)
    held = Classes().hold_out(rows.hard[:n_own], max(1, round(0.15 * n_own)))
    if honest is None:
        honest = rows.own().part(np.flatnonzero(held)).without_inputs()
        honest = replace(honest, soft=np.full_like(honest.soft, np.nan))
    kwargs = {"seed": 0, "calibrate": True, "remember": False}
    kwargs["held"] = held.astype(int)
    return with_pseudo_labels(rows, student, honest=honest, **kwargs | params)


@pytest.fixture(autouse=True)
def few_nets(monkeypatch):
    """Train one net for each encoding."""
    monkeypatch.setattr(_pseudo_labels, "_N_NETS", 2)


def completed(rows, max_epochs=None, **params):
    """Complete the rows; a few epochs do where it does not matter what nets learn."""
    student = make_student((8,), early_stopping=True, max_epochs=max_epochs)
    rows, measured = pseudo_labeled(rows, student, **params)
    return rows, measured.temperature


def left_open(rows, **params):
    student = make_student((16,), early_stopping=True)
    kwargs = {"calibrate": False} | params
    return pseudo_labeled(rows, student, **kwargs)[1].left_open


def test_extra_rows_get_the_probabilities_of_a_net_that_learned_the_labels():
    rows, _ = completed(transfer_set())
    assert rows.pseudo_labels.shape == (N_EXTRA, 2)
    assert rows.pseudo_labels.dtype == np.float32
    assert_allclose(rows.pseudo_labels.sum(axis=1), 1, rtol=1e-5)
    is_second = rows.pseudo_labels[:, 1] > 0.5
    assert np.mean(is_second == (rows.extra[:, 0] > 0)) > 0.9
    assert_array_equal(rows.hard_weight, 1)


def test_pseudo_labels_do_not_depend_on_the_teacher():
    one, other = (completed(transfer_set(scale), 2)[0] for scale in (1.0, -5.0))
    assert_array_equal(one.pseudo_labels, other.pseudo_labels)


def test_sample_weights_count():
    first_alone = np.ones(N_OWN)
    first_alone[transfer_set().hard[:N_OWN] == 1] = 0.01
    rows, _ = completed(transfer_set(hard_weight=first_alone))
    assert (rows.pseudo_labels[:, 0] > 0.5).mean() > 0.9
    assert_allclose(rows.hard_weight[:N_OWN], first_alone)


def test_teacher_becomes_as_confident_as_it_is_right():
    for scale in (0.5, 1.0, 2.0):
        given = transfer_set(scale)
        rows, temperature = completed(given, remember=True)
        assert temperature == pytest.approx(scale, rel=0.35)
        assert_allclose(rows.soft, given.soft / temperature, rtol=1e-6)


def test_teacher_is_calibrated_on_request_alone():
    given = transfer_set(4.0)
    rows, temperature = completed(given, 1, calibrate=False)
    assert temperature is None
    assert rows.soft is given.soft


def test_classes_that_no_row_has_get_next_to_nothing():
    rows, _ = completed(transfer_set(classes=(0, 3)))
    assert rows.pseudo_labels.shape == (N_EXTRA, 4)
    assert rows.pseudo_labels[:, [1, 2]].mean() < 0.05


@pytest.mark.parametrize("n_rows", [2, 5, 12])
def test_few_rows_of_a_class_are_enough(n_rows):
    rows = transfer_set()
    own = np.r_[np.flatnonzero(rows.hard[:N_OWN] == 1)[: n_rows - 1], 0]
    own[-1] = np.flatnonzero(rows.hard[:N_OWN] == 0)[0]
    kept = np.r_[own, np.arange(N_OWN, N_OWN + N_EXTRA)]
    few = TransferSet(
        rows.X[own],
        rows.soft[kept],
        rows.hard[kept],
        1.0,
        rows.hard_weight[kept],
        extra=rows.extra,
    )
    assert np.isfinite(completed(few, 2)[0].pseudo_labels).all()


def test_pseudo_labels_are_the_mean_of_nets_that_differ(monkeypatch):
    single = watched_outputs(monkeypatch)
    rows, _ = completed(transfer_set(), 2)
    probas = softmax(np.stack(single), axis=2)
    assert len(np.unique(probas[:, 0, 0])) == len(probas) > 1
    assert_allclose(rows.pseudo_labels, probas.mean(axis=0), rtol=1e-6)


def watched_outputs(monkeypatch):
    """Return a list that gets the outputs of each net for the extra rows."""
    single = []

    def watched(*args):
        single.append(outputs_of(*args))
        return single[-1]

    outputs_of = _pseudo_labels.outputs_of
    monkeypatch.setattr(_pseudo_labels, "outputs_of", watched)
    return single


def test_nets_of_numbers_weigh_as_much_as_they_are_right(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(400, 1))
    steps = np.sign(np.sin(25 * X)).astype(np.float32)  # bins alone can follow these
    held = (np.arange(300) % 5 == 0).astype(int)
    params = {"held": held, "seed": 0, "calibrate": False, "remember": False}
    weight = np.repeat(np.float32([1, 0]), [300, 100])
    targets = (steps, steps, 1.0, weight)
    rows = TransferSet(X[:300], *targets, extra=X[300:], target=Numbers())
    honest = rows.own().part(np.flatnonzero(held)).without_inputs()
    single = watched_outputs(monkeypatch)
    student = make_student((16,), task="regression", early_stopping=True)
    found, _ = with_pseudo_labels(rows, student, honest=honest, **params)
    bins, plain = (outputs.numpy() for outputs in single)
    assert np.abs(bins - steps[300:]).mean() < np.abs(plain - steps[300:]).mean() / 2
    labels = found.hard[300:]
    assert np.abs(labels - bins).mean() < np.abs(labels - plain).mean() / 5


@pytest.mark.parametrize(("remember", "n_trainings"), [(True, 1), (False, 2)])
def test_nets_are_trained_once_for_the_same_rows(remember, n_trainings, monkeypatch):
    calls = []

    def counted(*args, **kwargs):
        calls.append(args)
        return train(*args, **kwargs)

    train = _pseudo_labels.train
    monkeypatch.setattr(_pseudo_labels, "train", counted)
    one, other = (completed(transfer_set(), 1, remember=remember)[0] for _ in range(2))
    assert len(calls) == n_trainings
    assert_array_equal(one.pseudo_labels, other.pseudo_labels)


def test_changed_rows_are_labeled_anew():
    before, _ = completed(transfer_set(), 1, remember=True)
    for change in ("seed", "hard", "hard_weight", "X", "extra"):
        rows = transfer_set()
        if change in ("X", "extra"):
            getattr(rows, change)[0, 1] += 1
        elif change != "seed":
            getattr(rows, change)[0] = (
                2 if change == "hard_weight" else 1 - rows.hard[0]
            )
        seed = int(change == "seed")
        after, _ = completed(rows, 1, seed=seed, remember=True)
        assert (before.pseudo_labels != after.pseudo_labels).any(), change


def test_counts_of_zero_get_no_labels_of_equal_numbers():
    student = make_student(task="regression", early_stopping=True, max_epochs=1)
    for target in (Numbers(), Counts()):  # whose nets return logarithms
        rows = transfer_set()
        zeros = np.zeros((len(rows), 1), np.float32)
        rows = replace(rows, soft=zeros, hard=zeros, target=target)
        held = (np.arange(N_OWN) % 5 == 0).astype(int)
        params = {"held": held, "honest": None, "seed": 0, "calibrate": False}
        found, _ = with_pseudo_labels(rows, student, remember=True, **params)
    assert (found.hard[N_OWN:] > 0).all()


def test_noisy_labels_ask_for_more_weight_decay():
    noisy, clean = transfer_set(), transfer_set()
    rng = np.random.default_rng(0)
    noisy.hard[:N_OWN] = rng.integers(0, 2, size=N_OWN)
    clean.hard[:N_OWN] = clean.X[:, 0] > 0
    decays = [left_open(rows).weight_decay for rows in (clean, noisy)]
    assert 0.05 <= decays[0] < 0.2 < decays[1] <= 1


def smooth_and_stepped():
    """Return rows whose labels a line separates, and others with many steps."""
    smooth, stepped = transfer_set(), transfer_set()
    smooth.hard[:N_OWN] = smooth.X.sum(axis=1) > 0
    stepped.hard[:N_OWN] = np.abs(stepped.X[:, 0]) > 0.7
    return {"standard": smooth, "piecewise": stepped}


def test_encoding_is_the_one_that_predicts_labels_better_unless_it_is_set():
    for better, rows in smooth_and_stepped().items():
        for numeric in ("auto", "standard", "piecewise"):
            found = left_open(rows, numeric=numeric, alpha=0.7, remember=True).numeric
            assert found == (better if numeric == "auto" else numeric)


@pytest.mark.parametrize(("alpha", "share"), [(0.09, 1.0), (0.1, 0.6), (0.7, 0.6)])
def test_labels_decide_the_encoding_where_the_teacher_has_hardly_a_share(alpha, share):
    def numeric(plain):
        loss = {"piecewise": 1.0, "standard": plain}
        labels = _pseudo_labels.PseudoLabels(None, None, loss, loss)
        return labels.left_open("auto", alpha).numeric

    assert numeric(share - 0.01) == "standard"
    assert numeric(share) == "piecewise"


def test_share_that_is_set_counts_more_than_what_is_measured(monkeypatch):
    monkeypatch.setattr(_pseudo_labels.PseudoLabels, "left_open", lambda *args: args[2])
    # Nothing can be measured of a teacher that has seen all rows.
    assert 0.1 < left_open(transfer_set()) <= USUAL
    assert left_open(transfer_set(), alpha=0.0) == 0


# Many rows


@pytest.fixture
def learned(monkeypatch):
    """Return a list of the rows that each net learned from."""
    found = []

    def watched(student, own, *args, **kwargs):
        found.append(own)
        return make_lesson(student, own, *args, **kwargs)

    make_lesson = _pseudo_labels.make_lesson
    monkeypatch.setattr(_pseudo_labels, "make_lesson", watched)
    monkeypatch.setattr(_pseudo_labels, "_MAX_ROWS", 50)
    return found


def test_nets_learn_from_some_of_many_rows(learned):
    given = transfer_set(classes=(0, 3))
    rows, _ = completed(given)
    some = learned[0]
    n_held = round(0.15 * N_OWN)
    assert [len(own) for own in learned] == [50 + n_held] * _pseudo_labels._N_NETS
    numbers = [np.flatnonzero((row == given.X).all(axis=1)).item() for row in some.X]
    assert len(set(numbers)) == len(numbers)
    assert numbers[:50] == sorted(numbers[:50]) != list(range(50))
    assert_array_equal(some.hard, given.hard[numbers])
    assert rows.pseudo_labels.shape == (N_EXTRA, 4)
    is_second = rows.pseudo_labels[:, 3] > 0.5
    assert np.mean(is_second == (rows.extra[:, 0] > 0)) > 0.8


def test_the_seed_says_which_rows(learned):
    for seed in (0, 0, 1):
        completed(transfer_set(), 1, seed=seed)
    one, same, other = (own.X for own in learned[:: _pseudo_labels._N_NETS])
    assert_array_equal(one, same)
    assert (one != other).any()


def test_a_pass_over_some_rows_counts_as_a_pass_over_all(learned, monkeypatch):
    def learned_until_the_20th_epoch(lessons, *shown):
        train(lessons)
        for lesson in lessons:
            for number, epoch in enumerate(lesson.net.history):
                epoch["valid_loss"] = abs(number - 19)

    train = _pseudo_labels.train
    monkeypatch.setattr(_pseudo_labels, "train", learned_until_the_20th_epoch)
    assert left_open(transfer_set()).weight_decay == pytest.approx(3 / 20)


@pytest.mark.parametrize(
    ("max_epochs", "n_epochs"),
    [(None, 60), (2, 7), (30, 60)],
    ids=["not known", "a short training", "a long training"],
)
def test_nets_go_over_no_more_rows_than_the_student(max_epochs, n_epochs, monkeypatch):
    trained, train = [], _pseudo_labels.train

    def watched(lessons, *shown):
        trained.extend(lessons)
        train(lessons)

    monkeypatch.setattr(_pseudo_labels, "train", watched)
    student = make_student((8,), early_stopping=True, batch_size=2)
    pseudo_labeled(transfer_set(), student, max_epochs=max_epochs)
    assert {lesson.net.max_epochs for lesson in trained} == {n_epochs}


# Honest rows


def honest_rows(scale, n_rows=2000):
    """Return rows of their own, and their soft labels by the same teacher."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n_rows, 3))
    logits = np.stack([-3 * X[:, 0], 3 * X[:, 0]], axis=1).astype(np.float32)
    hard = (rng.uniform(size=n_rows) < softmax(logits, axis=1)[:, 1]).astype(int)
    return TransferSet(X, np.float32(scale) * logits, hard)


def test_labels_of_honest_rows_tell_the_temperature():
    for scale in (0.5, 3.0):
        kwargs = {"honest": honest_rows(scale), "remember": True}
        _, temperature = completed(transfer_set(scale), **kwargs)
        assert temperature == pytest.approx(scale, rel=0.1)


def test_trust_is_high_in_a_teacher_that_is_right_and_low_in_one_that_is_not():
    student = make_student((8,), early_stopping=True)
    for scale, low, high in [(1.0, 0.8, 1.0), (-1.0, 0.0, 0.1)]:
        kwargs = {"calibrate": False, "honest": honest_rows(scale), "remember": True}
        _, measured = pseudo_labeled(transfer_set(scale), student, **kwargs)
        assert low <= measured.trust <= high


def test_heavy_honest_rows_count_more():
    good, bad = honest_rows(1.0, 300), honest_rows(-1.0, 300)
    student = make_student((8,), early_stopping=True)
    found = []
    for weight in ([1.9, 0.1], [0.1, 1.9]):
        both = TransferSet(
            np.concatenate([good.X, bad.X]),
            np.concatenate([good.soft, bad.soft]),
            np.concatenate([good.hard, bad.hard]),
            hard_weight=np.repeat(np.float32(weight), 300),
        )
        kwargs = {"calibrate": False, "honest": both, "remember": True}
        found.append(pseudo_labeled(transfer_set(), student, **kwargs)[1].trust)
    assert found[0] > found[1] + 0.2


def test_on_rows_that_the_teacher_may_have_seen_it_is_at_most_the_usual():
    student = make_student((8,), early_stopping=True)
    right = transfer_set()
    right.soft[:N_OWN] = 9 * np.eye(2)[right.hard[:N_OWN]]
    assert pseudo_labeled(right, student, remember=True)[1].trust == USUAL
    kwargs = {"calibrate": False, "remember": True}
    assert pseudo_labeled(transfer_set(-1.0), student, **kwargs)[1].trust < 0.2


def test_a_net_is_measured_at_the_best_epoch_for_other_rows():
    held_out = HeldOutLabels(Classes(), np.ones(4, np.float32))
    y = np.zeros(4, int)
    # The best epoch for rows 0 and 2 is the first one, for rows 1 and 3 the last one.
    for epoch, likely in enumerate([(0.9, 0.1), (0.5, 0.5), (0.1, 0.9)]):
        of_label = np.array([likely[0], likely[1]] * 2) + 0.01 * epoch
        net = SimpleNamespace(
            predict_proba=lambda X, p=of_label: np.stack([p, 1 - p], axis=1)
        )
        held_out(net, None, y)
    assert_allclose(held_out.labels[:, 0], [0.12, 0.1, 0.12, 0.1])
