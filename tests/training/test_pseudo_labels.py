"""Rows without labels get those of a net, and the teacher is calibrated by them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from skdistill import make_student
from skdistill._training import _pseudo_labels
from skdistill._training._pseudo_labels import with_pseudo_labels
from skdistill._transfer._transfer_set import TransferSet

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


def completed(rows, **params):
    student = make_student((8,), early_stopping=True, validation_fraction=0.15)
    defaults = {"seed": 0, "calibrate": True, "remember": False}
    rows, temperature, _ = with_pseudo_labels(rows, student, **defaults | params)
    return rows, temperature


def left_open(rows, **params):
    student = make_student((16,), early_stopping=True, validation_fraction=0.5)
    kwargs = {"seed": 0, "calibrate": False, "remember": False}
    return with_pseudo_labels(rows, student, **kwargs | params)[2]


def test_extra_rows_get_the_probabilities_of_a_net_that_learned_the_labels():
    rows, _ = completed(transfer_set())
    assert rows.pseudo_labels.shape == (N_EXTRA, 2)
    assert rows.pseudo_labels.dtype == np.float32
    assert_allclose(rows.pseudo_labels.sum(axis=1), 1, rtol=1e-5)
    is_second = rows.pseudo_labels[:, 1] > 0.5
    assert np.mean(is_second == (rows.extra[:, 0] > 0)) > 0.9
    assert_array_equal(rows.hard_weight, 1)


def test_pseudo_labels_do_not_depend_on_the_teacher():
    one, other = (completed(transfer_set(scale))[0] for scale in (1.0, -5.0))
    assert_array_equal(one.pseudo_labels, other.pseudo_labels)


def test_sample_weights_count():
    first_alone = np.ones(N_OWN)
    first_alone[transfer_set().hard[:N_OWN] == 1] = 0.01
    rows, _ = completed(transfer_set(hard_weight=first_alone))
    assert (rows.pseudo_labels[:, 0] > 0.5).mean() > 0.9
    assert_allclose(rows.hard_weight[:N_OWN], first_alone)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_teacher_becomes_as_confident_as_it_is_right(scale):
    given = transfer_set(scale)
    rows, temperature = completed(given)
    assert temperature == pytest.approx(scale, rel=0.35)
    assert_allclose(rows.soft, given.soft / temperature, rtol=1e-6)


def test_teacher_is_calibrated_on_request_alone():
    given = transfer_set(4.0)
    rows, temperature = completed(given, calibrate=False)
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
    assert np.isfinite(completed(few)[0].pseudo_labels).all()


def test_pseudo_labels_are_the_mean_of_nets_that_differ(monkeypatch):
    single = []

    def watched(*args):
        single.append(labels_of(*args))
        return single[-1]

    labels_of = _pseudo_labels._labels_of
    monkeypatch.setattr(_pseudo_labels, "_labels_of", watched)
    rows, _ = completed(transfer_set())
    probas = np.stack([proba for proba, *_ in single])
    assert len(np.unique(probas[:, 0, 0])) == len(probas) > 1
    assert_allclose(rows.pseudo_labels, probas.mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize(("remember", "n_trainings"), [(True, 1), (False, 2)])
def test_nets_are_trained_once_for_the_same_rows(remember, n_trainings, monkeypatch):
    calls = []

    def counted(*args, **kwargs):
        calls.append(args)
        return train(*args, **kwargs)

    train = _pseudo_labels.train
    monkeypatch.setattr(_pseudo_labels, "train", counted)
    one, other = (completed(transfer_set(), remember=remember)[0] for _ in range(2))
    assert len(calls) == n_trainings
    assert_array_equal(one.pseudo_labels, other.pseudo_labels)


@pytest.mark.parametrize("change", ["seed", "hard", "hard_weight", "X", "extra"])
def test_changed_rows_are_labeled_anew(change):
    before, _ = completed(transfer_set(), remember=True)
    rows, seed = transfer_set(), 0
    if change == "seed":
        seed = 1
    elif change == "hard":
        rows.hard[0] = 1 - rows.hard[0]
    elif change == "hard_weight":
        rows.hard_weight[0] = 2
    else:
        getattr(rows, change)[0, 1] += 1
    after, _ = completed(rows, seed=seed, remember=True)
    assert (before.pseudo_labels != after.pseudo_labels).any()


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
    return smooth, stepped


def test_encoding_that_is_left_open_is_standard_where_it_predicts_labels_better():
    smooth, stepped = smooth_and_stepped()
    assert left_open(smooth).numeric == "standard"
    assert left_open(stepped).numeric == "piecewise"


@pytest.mark.parametrize("numeric", ["standard", "piecewise"])
def test_encoding_that_is_set_is_kept(numeric):
    for rows in smooth_and_stepped():
        assert left_open(rows, numeric=numeric).numeric == numeric


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
    assert [len(own) for own in learned] == [50] * _pseudo_labels._N_NETS
    numbers = [np.flatnonzero((row == given.X).all(axis=1)).item() for row in some.X]
    assert numbers == sorted(set(numbers)) != list(range(50))
    assert_array_equal(some.hard, given.hard[numbers])
    assert rows.pseudo_labels.shape == (N_EXTRA, 4)
    is_second = rows.pseudo_labels[:, 3] > 0.5
    assert np.mean(is_second == (rows.extra[:, 0] > 0)) > 0.8


def test_the_seed_says_which_rows(learned):
    for seed in (0, 0, 1):
        completed(transfer_set(), seed=seed)
    one, same, other = (own.X for own in learned[:: _pseudo_labels._N_NETS])
    assert_array_equal(one, same)
    assert (one != other).any()


def test_rows_that_weigh_nothing_are_not_among_them(learned):
    weight = np.zeros(N_OWN)
    weight[::4] = 1
    completed(transfer_set(hard_weight=weight))
    assert len(learned[0]) == N_OWN // 4
    assert_array_equal(learned[0].hard_weight, 1)


def test_a_pass_over_some_rows_counts_as_a_pass_over_all(learned, monkeypatch):
    given = transfer_set()
    monkeypatch.setattr(
        _pseudo_labels,
        "_labels_of",
        lambda lesson, extra: (np.full((N_EXTRA, 2), 0.5), 20, 0.3),
    )
    assert left_open(given).weight_decay == pytest.approx(3 / 20)
