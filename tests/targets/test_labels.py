"""Several labels a row as a target: what teachers say, losses, trust, temperatures."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, logit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from torch.nn import functional as F

from skdistill import DistilledClassifier
from skdistill._targets._answer import Answer
from skdistill._targets._calibration import calibration_on
from skdistill._targets._classes import Classes
from skdistill._targets._labels import Labels, are_labels, names_labels
from skdistill._targets._target import target_of
from skdistill._training._gradient import OutputGradient, targets_of
from skdistill._training._loss import BatchLoss, weighted_mean
from skdistill._training._objective import Objective
from skdistill._transfer._transfer_set import TransferSet
from tests.kinds import perceptron

Y = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
NAMED = Labels(names=np.arange(3))
LINEAR = LogisticRegression(max_iter=1000)


@pytest.fixture(scope="module")
def table():
    X, y = make_multilabel_classification(
        80, 6, n_classes=3, n_labels=1, random_state=0
    )
    return X, y


@pytest.mark.parametrize("kind", [list, np.asarray, sparse.csr_matrix, np.float64])
def test_indicator_matrices_of_all_forms_are_checked(kind):
    y = kind(Y.tolist()) if kind is list else kind(Y)
    assert are_labels(y)
    checked = Labels().check_y(y, range(4))
    assert_array_equal(checked, Y)
    assert checked.dtype == np.int64


@pytest.mark.parametrize(
    ("y", "problem"),
    [
        (2 * Y, "indicator matrix of 0 and 1"),
        (Y - 1, "indicator matrix of 0 and 1"),
        (0.5 * Y, "indicator matrix of 0 and 1"),
        (Y[:, 0], "indicator matrix of 0 and 1"),
        (Y + np.arange(3), "MultiOutputClassifier"),
        (np.array([["a", "b"]] * 4), "MultiOutputClassifier"),
        (Y[:3], "inconsistent numbers of samples"),
        (np.where(Y, np.nan, 0), "NaN"),
    ],
)
def test_other_targets_are_refused(y, problem):
    with pytest.raises(ValueError, match=problem):
        Labels().check_y(y, range(4))


@pytest.mark.parametrize("y", [Y[:, :1], Y[:, 0], [[1], [1, 2]], ["a", "b"]])
def test_what_is_no_matrix_has_no_several_labels(y):
    assert not are_labels(y)


@pytest.mark.parametrize(
    "teacher",
    [
        RandomForestClassifier(5, random_state=0),
        KNeighborsClassifier(),
        MultiOutputClassifier(LINEAR),
        OneVsRestClassifier(LINEAR),
        ClassifierChain(LINEAR),
        perceptron(),
        make_pipeline(perceptron()),
        GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [3]}, cv=2),
    ],
    ids=lambda teacher: type(teacher).__name__,
)
def test_teachers_of_labels_are_recognized_and_give_a_column_for_each(teacher, table):
    X, y = table
    assert not names_labels(teacher)
    teacher.fit(X, y)
    assert names_labels(teacher)
    assert isinstance(target_of([teacher]), Labels)
    answer = Labels().checked(Labels().ask(teacher, X), teacher, len(X))
    assert answer.values.shape == y.shape
    assert answer.values.dtype == np.float32
    assert ((answer.values > 0.5) == teacher.predict(X)).mean() > 0.98  # no ties


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "teacher",
    [
        RandomForestClassifier(5),
        OneVsRestClassifier(LINEAR),
        LogisticRegressionCV(Cs=2, cv=2),
        perceptron(),
    ],
    ids=lambda teacher: type(teacher).__name__,
)
def test_teachers_of_a_class_are_no_teachers_of_labels(teacher, data):
    assert not names_labels(teacher.fit(*data))
    assert isinstance(target_of(teacher), Classes)


def test_y_says_what_is_learned_if_there_is_one():
    assert isinstance(target_of(LINEAR, Y), Labels)
    assert isinstance(target_of(LINEAR, Y[:, 0]), Classes)
    with pytest.raises(ValueError, match="classes is about a class for each row"):
        target_of(LINEAR, Y, columns=[0, 1])


def test_a_label_that_a_teacher_knows_as_constant_has_that_probability():
    said = [np.array([[0.2, 0.8]]), np.array([[1.0]]), np.array([[1.0]])]
    teacher = SimpleNamespace(classes_=[np.arange(2), np.array([0]), np.array([1])])
    assert_allclose(Labels().checked(said, teacher, 1).values, [[0.8, 0, 1]])
    reverse = SimpleNamespace(classes_=[np.array([1, 0]), np.array([0]), np.array([1])])
    assert_allclose(Labels().checked(said, reverse, 1).values[0, 0], 0.2)
    without = SimpleNamespace()
    assert_allclose(Labels().checked(said[:1] * 2, without, 1).values, [[0.8, 0.8]])


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (np.ones((4, 3)) * 1.5, "Logits need a sigmoid"),
        (-np.ones((4, 3)), "Logits need a sigmoid"),
        (np.full((4, 3), np.nan), "NaN"),
        (np.ones((3, 3)), r"shape \(3, 3\)"),
        (np.ones(4), r"shape \(4,\)"),
        ([np.ones((4, 3)) / 3] * 3, r"knows the classes \[0, 1, 2\]"),
        ([np.ones((4, 2)), np.ones((3, 2))], "no probabilities of labels"),
    ],
)
def test_answers_that_are_no_probabilities_of_labels_are_refused(said, problem):
    teacher = SimpleNamespace(classes_=[np.arange(3)] * 3)
    with pytest.raises(ValueError, match=problem):
        Labels().checked(said, teacher, 4)


def test_a_stack_is_refused_as_it_gives_the_opposite():
    stack = StackingClassifier([("lr", LINEAR)])
    with pytest.raises(TypeError, match="MultiOutputClassifier"):
        Labels().check_teacher(stack)
    Labels().check_teacher(MultiOutputClassifier(stack))


def test_what_makes_a_teacher_of_an_svm_is_named():
    svm = MultiOutputClassifier(LinearSVC()).fit(np.eye(4), Y)
    way_out = r"pass MultiOutputClassifier\(CalibratedClassifierCV\(\.\.\.\)\)$"
    with pytest.raises(TypeError, match=way_out):
        Labels().check_teacher(svm)
    Labels().check_teacher(MultiOutputClassifier(CalibratedClassifierCV(LinearSVC())))


def test_what_makes_a_teacher_of_a_module_is_named():
    with pytest.raises(
        TypeError, match=r"TorchTeacher\(module, output='label_logits'\)"
    ):
        Labels().check_teacher(torch.nn.Linear(2, 2))


def test_means_of_teachers_are_weighted():
    answers = [Answer(np.full((2, 3), p, np.float32), np.arange(3)) for p in (0.2, 0.8)]
    mean = Labels().average(answers, np.array([0.25, 0.75]))
    assert_allclose(mean.values, 0.65, rtol=1e-6)
    assert mean.values.dtype == np.float32
    answers[0] = Answer(np.ones((2, 2)), np.arange(2))
    with pytest.raises(ValueError, match=r"different numbers of labels: \[2, 3\]"):
        Labels().average(answers, np.ones(2))


def test_soft_targets_are_clipped_as_those_of_two_classes():
    p = np.array([[0.0, 0.3, 1.0]], np.float32)
    soft = NAMED.soft(Answer(p, np.arange(3)))
    pairs = np.stack([1 - p[0], p[0]], axis=1)
    two = Classes(names=np.arange(2)).soft(Answer(pairs, np.arange(2)))
    assert_allclose(soft[0], two[:, 1] - two[:, 0], rtol=1e-5)
    assert_allclose(Labels(proba_clip=0.1).clipped(p)[0], [1 / 11, 0.3, 10 / 11])
    assert Labels(proba_clip=None).clipped(p) is p


def test_rows_without_labels_have_those_that_the_teacher_names():
    soft = np.array([[2, -1, 0.1], [-2, 1, -3]], np.float32)
    assert_array_equal(NAMED.hard(soft, Y[:1]), [Y[0], [0, 1, 0]])
    with pytest.raises(ValueError, match="there are 2 labels, and the student has l"):
        NAMED.hard(soft, Y[:1, :2])
    with pytest.raises(ValueError, match="there are 2 labels, and the student has l"):
        NAMED.soft(Answer(np.ones((1, 2)), np.arange(2)))


def test_out_of_bag_labels_are_those_of_the_forest(table):
    X, y = table
    forest = RandomForestClassifier(5, oob_score=True, random_state=0)
    with pytest.warns(UserWarning, match="Some inputs do not have OOB"):
        forest.fit(X, y)
    proba, never = Labels().out_of_bag(forest)
    assert proba.shape == y.shape
    assert 0 < never.sum() < 20
    assert (((proba > 0.5) == y)[~never]).mean() > 0.6
    assert_allclose(proba[~never], forest.oob_decision_function_[~never, 1], rtol=1e-6)


def test_a_rare_label_is_in_every_training_part():
    y = np.zeros((100, 2), int)
    y[:3, 0], y[::2, 1] = 1, 1
    for train, _ in Labels().folds(3, y, y):
        assert y[train, 0].sum() == 2
    assert y[~Labels().hold_out(y, 20), 0].sum() > 0
    alone = np.eye(2, dtype=int)[[0, 1, 1, 1, 1]]
    assert not Labels().hold_out(alone, 1)[0]


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperatures_of_teachers_are_found(temperature):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4000, 2))
    y = (rng.uniform(size=z.shape) < expit(z)).astype(int)
    answer = Answer(expit(z * temperature).astype(np.float32), np.arange(2))
    calibration = Labels().calibration(answer, y)
    assert calibration.temperature == pytest.approx(temperature, rel=0.15)
    done = calibration(answer)
    assert done.temperature == calibration.temperature
    soft = logit(done.values) * calibration.temperature
    assert_allclose(soft, z * temperature, rtol=1e-3, atol=1e-6)
    hard, weight = y.astype(np.float32), np.ones(len(y))
    found = Labels().labeled_temperature(z * temperature, hard, weight, 1.0)
    assert found == pytest.approx(temperature, rel=0.15)
    matched = Labels().matching_temperature(z * temperature, expit(z))
    assert matched == pytest.approx(temperature / 1.3, rel=0.05)


def test_calibration_of_one_label_is_that_of_two_classes():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=(50, 1)).astype(np.float32)
    y, weight = (p > rng.uniform(size=p.shape)).astype(int), rng.uniform(size=50)
    ours = Labels().calibration(Answer(p, np.arange(1)), y, weight)
    pairs = Answer(np.concatenate([1 - p, p], axis=1), np.arange(2))
    assert ours.temperature == calibration_on(pairs, y[:, 0], weight).temperature


def test_share_is_that_of_the_best_mixture():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2000, 2)).astype(np.float32)
    y = (rng.uniform(size=z.shape) < expit(z)).astype(np.float32)
    weight, noise = np.ones(len(y)), expit(rng.normal(size=z.shape))
    assert Labels().share(expit(z), noise, y, weight) > 0.95
    assert Labels().share(noise, expit(z), y, weight) < 0.05


def test_loss_of_what_nets_say_is_the_sum_over_the_labels():
    said = np.array([[0.25, 0.5, 1.0], [0.5, 0.5, 1.0]], np.float32)
    hard = np.array([[0, 1, 1], [0.5, 1, 0]], np.float32)
    losses = Labels().losses(said, hard)
    assert losses[0] == pytest.approx(-np.log(0.75) - np.log(0.5))
    assert np.isfinite(losses[1])


def warnings_of(soft, hard, **how):
    NAMED.warn_if_uninformative(soft, hard, np.ones(len(hard)), **how)


def test_a_teacher_that_does_not_rank_rows_is_reported():
    rng = np.random.default_rng(0)
    hard = rng.integers(0, 2, (60, 3)).astype(np.float32)
    hard[:, 2] = 0
    soft = np.where(hard > 0, 1, -1) + rng.normal(size=hard.shape)
    warnings_of(soft, hard)
    with pytest.warns(UserWarning, match="prepared in another way"):
        warnings_of(-soft, hard)
    with pytest.warns(UserWarning, match="learned little"):
        warnings_of(-soft, hard, fitted_here=True)
    warnings_of(-soft[:10], hard[:10])  # too few rows to tell
    warnings_of(soft[:0], hard[:0])


def test_soft_labels_that_are_the_labels_are_reported():
    soft = np.where(np.tile(Y, (10, 1)), 5.9, -5.9)
    hard = np.tile(Y, (10, 1)).astype(np.float32)
    with pytest.warns(UserWarning, match="equal to y, so that they add nothing"):
        warnings_of(soft, hard)
    warnings_of(soft, hard, alone=False)
    warnings_of(0 * soft[:10] - 5.9, 0 * hard[:10])  # no label occurs


def batch_loss(n_rows=10, **params):
    rng = np.random.default_rng(0)
    rows = {name: params.pop(name, 1.0) for name in ("soft_weight", "hard_weight")}
    target = replace(NAMED, class_weight=params.pop("weights", None))
    soft = rng.normal(size=(n_rows, 3)).astype(np.float32)
    hard = rng.integers(0, 2, (n_rows, 3)).astype(np.float32)
    clf = DistilledClassifier(**params)
    clf.multilabel_ = True
    loss = BatchLoss(
        Objective.of(clf), TransferSet(soft, soft, hard, **rows, target=target)
    )
    loss.begin_epoch(0, 3)
    return loss


def hard_loss(z, y, weight):
    losses = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    if weight is None:
        return losses.mean()
    return weighted_mean(losses, weight, y)


RISING = np.arange(10, dtype=np.float32)
WEIGHTS = np.array([[1.0, 1.0, 0.5], [5.0, 1.0, 0.0]])


@pytest.mark.parametrize(
    "params",
    [
        {"alpha": 0.4},
        {"alpha": 1.0, "temperature": 3.0},
        {"alpha": 0.0},
        {"alpha": 0.4, "temperature": 16.0},
        {"alpha": 0.4, "soft_weight": RISING, "hard_weight": RISING[::-1].copy()},
        {"alpha": 0.4, "weights": WEIGHTS},
        {"alpha": 0.4, "weights": WEIGHTS, "hard_weight": RISING, "temperature": 2.0},
    ],
    ids=str,
)
def test_gradient_and_values_are_those_of_the_loss(params):
    loss = batch_loss(**params)
    rows = torch.arange(10)
    gradient = OutputGradient(targets_of(loss, rows, "cpu"), 10)
    z = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    own, by_loss = (z.clone().requires_grad_() for _ in range(2))
    gradient.backward(own)
    value, shown = loss(
        by_loss, loss.hard, rows, partial(hard_loss, by_loss, loss.hard)
    )
    value.backward()
    torch.testing.assert_close(own.grad, by_loss.grad, rtol=1e-4, atol=1e-6)
    values = gradient.values()
    for name, expected in (shown | {"loss": value}).items():
        found = values[name].squeeze().float()
        torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-5)


def test_loss_is_the_sum_over_labels_of_divergences_of_two_classes():
    T, alpha = 2.0, 0.4
    loss = batch_loss(temperature=T, alpha=alpha)
    z, y = torch.randn(10, 3).double(), loss.hard.double()
    p, q = (torch.sigmoid(x / T) for x in (loss.soft.double(), z))
    kl = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    ce = F.binary_cross_entropy(z.sigmoid(), y, reduction="none")
    expected = alpha * T**2 * kl.sum(dim=1) + (1 - alpha) * ce.sum(dim=1)
    value, shown = loss(z.float(), y, torch.arange(10), partial(hard_loss, z, y))
    assert float(value) == pytest.approx(float(expected.mean()), rel=1e-5)
    agree = ((z > 0) == (loss.soft > 0)).float().mean()
    torch.testing.assert_close(shown["agreement"], agree)


def test_labels_of_a_row_have_their_weights_relative_to_the_mean():
    target = replace(NAMED, class_weight=WEIGHTS)
    hard = np.array([[1, 0, 0], [0, 0, 1]], np.float32)
    rows, by_output = target.row_weights(hard, hard), target.output_weights(hard)
    assert_allclose(rows, [6.5 / 3, 2 / 3])
    assert_allclose(rows[:, None] * by_output, [[5, 1, 0.5], [1, 1, 0]], rtol=1e-6)
    unlabeled = np.zeros((1, 3), np.float32)  # the logits of one half
    assert_allclose(target.row_weights(unlabeled, None), [4.25 / 3])
    weightless = replace(NAMED, class_weight=np.zeros((2, 3)))
    assert_allclose(weightless.output_weights(hard), np.ones((2, 3)))
    said = np.full((2, 3), 0.5, np.float32)
    assert_allclose(target.losses(said, hard), np.log(2) * by_output.sum(axis=1))


def test_losses_on_logits_compare_each_label_in_a_row():
    seen = []

    def own(student, teacher, y, sample_weight):
        seen.append((student, teacher, y, sample_weight))
        return student.sum()

    loss = batch_loss(n_rows=2, loss=own, alpha=1.0, soft_weight=RISING[1:3])
    rows, z = torch.arange(2), torch.randn(2, 3)
    loss(z, loss.hard, rows, None)
    student, teacher, y, weight = seen[0]
    assert_allclose(student[:, 0], 0)
    assert_allclose(student[:, 1].reshape(2, 3), z)
    assert_allclose(teacher[:, 1].reshape(2, 3), loss.soft)
    assert_array_equal(y.reshape(2, 3), loss.hard)
    assert_allclose(weight.reshape(2, 3), [[1] * 3, [2] * 3])
