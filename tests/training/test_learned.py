"""What losses learn besides the student: by itself, and in training."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, clone
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn

from skdistill import DistilledClassifier
from skdistill._training._learned import LearnedLosses
from skdistill._training._objective import Objective
from skdistill.losses import ContrastiveLoss, HintLoss, VIDLoss
from tests.conftest import TinyModule, tiny_net
from tests.training.conftest import (
    Listens,
    Noisy,
    assert_same_weights,
    differ,
    distilled,
    weights_of,
)


class Own:
    """A loss of the person's own that learns."""

    def __init__(self, level=0.5):
        self.level = level

    def learned(self, n_student_features, n_teacher_features):
        return Quantile(n_student_features, n_teacher_features, self.level)


class Searched(Own, BaseEstimator):
    """A loss of the person's own with parameters as scikit-learn has them."""


class Quantile(nn.Module):
    def __init__(self, n_student_features, n_teacher_features, level):
        super().__init__()
        self.map, self.level = nn.Linear(n_student_features, n_teacher_features), level

    def forward(self, student, teacher):
        error = teacher - self.map(student)
        return torch.maximum(self.level * error, (self.level - 1) * error).mean()


# By itself


def learned(former=None, n_student=4, n_teacher=3, **params):
    params = params or {"feature_loss": HintLoss(), "relation_loss": ContrastiveLoss(5)}
    objective = Objective.of(DistilledClassifier(**params))
    features, targets = torch.zeros(2, n_student), torch.zeros(2, n_teacher)
    return LearnedLosses(objective, features, targets, former)


def test_each_loss_that_learns_has_a_module_for_both_widths():
    losses = [("cka", 1.0), ("vid", 0.0), ("hint", 1.0), ("vid", 1.0)]
    found = learned(feature_loss=losses, relation_loss=ContrastiveLoss(5)).losses
    assert list(found) == ["feature_loss_2", "feature_loss_3", "relation_loss_0"]
    student = found["feature_loss_2"].student
    assert (student.in_features, student.out_features) == (4, 3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_modules_are_of_the_dtype_of_the_students_features(dtype):
    objective = Objective.of(DistilledClassifier(feature_loss="vid"))
    features = torch.zeros(2, 4, dtype=dtype)
    made = LearnedLosses(objective, features, torch.zeros(2, 3), None)
    assert {p.dtype for p in made.parameters()} == {dtype}


def test_random_numbers_of_the_student_are_as_without():
    before = torch.get_rng_state()
    learned()
    assert torch.equal(torch.get_rng_state(), before)


def test_what_was_learned_goes_on_where_a_loss_is_the_same():
    first = learned()
    again = learned(first)
    assert again.losses["feature_loss_0"] is first.losses["feature_loss_0"]
    assert again.losses["relation_loss_0"] is first.losses["relation_loss_0"]


def test_a_loss_whose_parameters_changed_starts_anew_alone():
    loss = ContrastiveLoss(5)
    params = {"feature_loss": HintLoss(), "relation_loss": loss}
    first = learned(**params)
    loss.set_params(n_components=2)
    again = learned(first, **params)
    assert again.losses["feature_loss_0"] is first.losses["feature_loss_0"]
    assert again.losses["relation_loss_0"].student.out_features == 2


@pytest.mark.parametrize(
    "change",
    [
        {"n_student": 6},
        {"n_teacher": 6},
        {"feature_loss": HintLoss(), "student_layer": "0"},
        {"feature_loss": VIDLoss()},
        {"feature_loss": Own()},
    ],
    ids=["student's width", "teacher's width", "layer", "loss", "own loss"],
)
def test_other_features_or_another_loss_start_anew(change):
    first = learned(feature_loss=HintLoss())
    again = learned(first, **{"feature_loss": HintLoss()} | change)
    assert again.losses["feature_loss_0"] is not first.losses["feature_loss_0"]


def test_an_own_loss_stays_as_long_as_what_it_has_learned():
    # Another loss could get its address, and would go on with what this one learned.
    loss = Own()
    first = learned(feature_loss=loss)
    known = weakref.ref(loss)
    del loss
    gc.collect()
    assert first.losses
    assert known() is not None


def test_losses_with_equal_arrays_are_the_same():
    class Weighted(Searched):
        def __init__(self, weights):
            self.weights, self.level = weights, 0.5

    first = learned(feature_loss=Weighted(np.ones(3)))
    equal = learned(first, feature_loss=Weighted(np.ones(3)))
    other = learned(first, feature_loss=Weighted(np.zeros(3)))
    assert equal.losses["feature_loss_0"] is first.losses["feature_loss_0"]
    assert other.losses["feature_loss_0"] is not first.losses["feature_loss_0"]


def test_learned_must_return_a_module():
    class Wrong:
        def learned(self, n_student_features, n_teacher_features):
            return lambda student, teacher: student.mean()

    with pytest.raises(
        TypeError, match=r"learned\(\) of feature_loss Wrong must retur"
    ):
        learned(feature_loss=Wrong())


# In training

LEARNERS = {
    "hint": {"feature_loss": "hint"},
    "vid": {"feature_loss": VIDLoss()},
    "contrastive": {"relation_loss": ContrastiveLoss(3)},
    "own": {"feature_loss": Own()},
}
EACH_LEARNER = pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)


def modules_of(clf):
    """Return what the losses of a fitted estimator have learned."""
    return clf.student_.learned_losses_


@pytest.fixture
def starts():
    """Return a callback that copies what losses have learned as each epoch begins."""

    class Starts(Callback):
        seen = []

        def on_epoch_begin(self, net, **kwargs):
            self.seen.append(copy.deepcopy(net.learned_losses_))

    return Starts


@EACH_LEARNER
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "lr": 0.01},
        {"optimizer": torch.optim.LBFGS, "lr": 0.1, "batch_size": -1},
        {"optimizer__param_groups": [("2.*", {"lr": 0.01})]},
        {"train_split": ValidSplit(3)},
    ],
    ids=["adam", "momentum", "lbfgs", "param_groups", "train_split"],
)
def test_the_students_optimizer_trains_it(data, forest, starts, learner, params):
    net = tiny_net(max_epochs=2, callbacks=[starts], **params)
    clf = distilled(forest, net, **learner).fit(*data)
    start, end = weights_of(starts.seen[0]), weights_of(modules_of(clf))
    assert all((a != b).any() for a, b in zip(start, end, strict=True))


def test_it_can_have_a_learning_rate_of_its_own(data, forest, starts):
    groups = [("losses.feature_loss_0.*", {"lr": 0.0})]
    net = tiny_net(callbacks=[starts], optimizer__param_groups=groups)
    clf = distilled(forest, net, feature_loss="hint").fit(*data)
    assert_same_weights(modules_of(clf), starts.seen[0])


def test_an_optimizer_that_leaves_it_out_is_refused(data, forest, begun):
    class Leaving(NeuralNetClassifier):
        def initialize_optimizer(self, *args, **kwargs):
            self.optimizer_ = torch.optim.SGD(self.module_.parameters(), lr=0.1)
            return self

    net = Leaving(**tiny_net(callbacks=[begun]).get_params(deep=False))
    with pytest.raises(ValueError, match="get_all_learnable_params"):
        distilled(forest, net, feature_loss="hint").fit(*data)
    assert not begun.epochs
    distilled(forest, net, feature_loss="cka").fit(*data)


@EACH_LEARNER
def test_the_students_start_and_batches_are_as_without(data, forest, learner):
    # Adam would make steps of the rounding of gradients that are zero.
    sgd = {"optimizer": torch.optim.SGD}
    net = tiny_net(module=Noisy, max_epochs=3, batch_size=32, **sgd)
    tiny = {"feature_weight": 1e-30, "relation_weight": 1e-30}
    looked_at = clone(net).set_params(callbacks=[Listens()])  # skorch trains it too
    plain = distilled(forest, looked_at).fit(*data)
    more = distilled(forest, net, **learner, **tiny).fit(*data)
    state, expected = (clf.student_.module_.state_dict() for clf in (more, plain))
    torch.testing.assert_close(state, expected, rtol=1e-4, atol=1e-5)


@EACH_LEARNER
def test_it_is_seeded_and_a_second_fit_begins_anew(data, forest, learner):
    clf = distilled(forest, **learner).fit(*data)
    first, module = copy.deepcopy(clf), copy.deepcopy(modules_of(clf))
    clf.fit(*data)
    assert_same_weights(clf, first)
    assert_same_weights(modules_of(clf), module)
    other = distilled(forest, random_state=1, **learner).fit(*data)
    assert differ(modules_of(other), module)


@EACH_LEARNER
@pytest.mark.parametrize("lr", [0.1, 0.03])
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_partial_fit_and_warm_starts_go_on_with_it(
    data, forest, starts, learner, method, lr
):
    net = tiny_net(callbacks=[starts], warm_start=True, max_epochs=1)
    clf = distilled(forest, net, **learner)
    train = getattr(clf, method)
    module = modules_of(train(*data))
    first, optimizer = copy.deepcopy(module), clf.student_.optimizer_
    clf.set_params(student__lr=lr)
    train(*data)
    assert_same_weights(starts.seen[1], first)
    assert differ(modules_of(clf), first)
    assert_same_weights(modules_of(clf), module)  # it is the same
    if method == "partial_fit" or lr == 0.1:
        assert clf.student_.optimizer_ is optimizer  # with its momentum
    else:
        groups = clf.student_.optimizer_.param_groups
        assert {group["lr"] for group in groups} == {lr}


def test_a_loss_that_a_warm_start_meets_first_is_trained_too(data, forest, starts):
    net = tiny_net(warm_start=True, max_epochs=1)
    clf = distilled(forest, net).fit(*data)
    clf.set_params(feature_loss="hint", student__callbacks=[starts]).fit(*data)
    fresh = distilled(forest, tiny_net(max_epochs=1, callbacks=[starts]))
    fresh.set_params(feature_loss="hint").fit(*data)
    assert len(clf.history_) == 2
    assert differ(modules_of(clf), starts.seen[-1])


@pytest.mark.parametrize(
    "learner",
    [
        {"feature_loss": "cka"},
        {"feature_loss": "hint"},
        {"relation_loss": "contrastive"},
        {"feature_loss": Searched()},
    ],
    ids=str,
)
def test_a_deep_copy_is_trained_on_as_the_first_is(data, forest, learner):
    clf = distilled(forest, tiny_net(lr=0.01), **learner).fit(*data)
    before = copy.deepcopy(weights_of(clf))
    copied = copy.deepcopy(clf).partial_fit(*data)
    assert_array_equal(weights_of(clf)[0], before[0])
    assert_same_weights(copied, clf.partial_fit(*data))


@EACH_LEARNER
def test_a_deep_copy_has_learned_by_itself(data, forest, learner):
    clf = distilled(forest, **learner).fit(*data)
    before = copy.deepcopy(modules_of(clf))
    copied = copy.deepcopy(clf).partial_fit(*data)
    assert_same_weights(modules_of(clf), before)
    assert differ(modules_of(copied), before)


def wide_features(teacher, X):
    return np.tile(X, (1, 1000))


def test_it_is_in_no_file(data, forest):
    plain = distilled(forest).fit(*data)
    clf = distilled(
        forest,
        feature_loss="hint",
        relation_loss="contrastive",
        teacher_features=wide_features,
    ).fit(*data)
    assert clf.student_.learned_losses_.losses
    file = pickle.dumps(clf)
    assert len(file) < len(pickle.dumps(plain)) + 4096
    assert b"learned" not in file
    loaded = pickle.loads(file)
    assert_array_equal(loaded.predict_proba(data[0]), clf.predict_proba(data[0]))
    assert not hasattr(clone(clf), "student_")


@EACH_LEARNER
def test_a_module_that_finds_its_widths_itself_is_trained(data, forest, learner):
    class Lazy(nn.Sequential):
        def __init__(self, n_classes=2):
            super().__init__(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(n_classes))

    clf = distilled(forest, tiny_net(module=Lazy), **learner).fit(*data)
    assert modules_of(clf).n_features == 8


class Casting(TinyModule):
    """Computes in a floating type of its own."""

    def __init__(self, n_features=2, n_classes=2, dtype=torch.float64):
        super().__init__(n_features, n_classes)
        self.to(dtype)

    def forward(self, X):
        return super().forward(X.to(self[0].weight.dtype))


@EACH_LEARNER
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_nets_of_other_dtypes_are_trained(data, forest, learner, dtype):
    net = tiny_net(module=Casting, module__dtype=dtype, max_epochs=2, lr=0.01)
    clf = distilled(forest, net, **learner).fit(*data)
    assert {p.dtype for p in modules_of(clf).parameters()} == {dtype}
