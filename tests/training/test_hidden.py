"""Losses on logits, features and relations, as a student meets them in training."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, Checkpoint, EarlyStopping
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from skdistill import DistilledClassifier, TorchTeacher, losses
from skdistill.losses import (
    CKALoss,
    ContrastiveLoss,
    DKDLoss,
    HintLoss,
    KLLoss,
    RKDLoss,
    VIDLoss,
)
from skdistill.schedules import CosineSchedule, LinearSchedule
from tests.conftest import TinyModule, tiny_net

LOGIT_LOSSES = ["kl", "logit_mse", "dkd", "dist", "nkd", "standardized", "jsd"]
FEATURE_LOSSES = ["hint", "cosine", "cka", "vid"]
RELATION_LOSSES = ["rkd", "similarity", "pkt", "contrastive"]
FAMILIES = [{"feature_loss": loss} for loss in FEATURE_LOSSES] + [
    {"relation_loss": loss} for loss in RELATION_LOSSES
]

CLIP = 1e-6


def name_of(params):
    """Return the id of a test: its losses and weights."""
    return "-".join(str(value) for value in params.values()) or "none"


def sgd_net(**params):
    """Return a net that takes one step on all rows, in their order, per epoch."""
    defaults = {
        "optimizer": torch.optim.SGD,
        "batch_size": -1,
        "max_epochs": 1,
        "iterator_train__shuffle": False,
    }
    return tiny_net(**defaults | params)


def distilled(teacher, net=None, **params):
    net = tiny_net(max_epochs=3) if net is None else net
    return DistilledClassifier(teacher, net, **{"random_state": 0} | params)


def weights_of(module):
    return [p.detach().numpy().copy() for p in module.parameters()]


def student_weights(clf):
    return weights_of(clf.student_.module_)


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        assert_array_equal(a, b)


def differ(one, other):
    return any((a != b).any() for a, b in zip(one, other, strict=True))


def column(clf, name):
    return [epoch[name] for epoch in clf.history_]


def assert_sound(clf, X):
    for name, value in [item for epoch in clf.history_ for item in epoch.items()]:
        if "loss" in name and not name.endswith("_best"):
            assert math.isfinite(value), name
    assert all(np.isfinite(weights).all() for weights in student_weights(clf))
    assert np.isfinite(clf.predict_proba(X)).all()


def tensor(values):
    return torch.tensor(np.asarray(values), dtype=torch.float32)


def logits_of(teacher, X):
    return np.log(np.maximum(teacher.predict_proba(X), CLIP))


def hidden_of(mlp, X):
    return np.maximum(X @ mlp.coefs_[0] + mlp.intercepts_[0], 0)


def first_module():
    """Return the student's module as random_state=0 begins it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TinyModule(n_features=4, n_classes=3)


def first_hidden(X):
    """Return the features of the student as random_state=0 begins it."""
    module = first_module()
    return module[1](module[0](tensor(X))).detach()


class Kept:
    """A loss with something to learn that keeps the modules it makes."""

    def __init__(self, loss=None):
        self.loss = HintLoss() if loss is None else loss
        self.modules, self.starts, self.widths = [], [], []

    def learned(self, n_student_features, n_teacher_features):
        module = self.loss.learned(n_student_features, n_teacher_features)
        self.modules.append(module)
        self.starts.append(copy.deepcopy(module))
        self.widths.append((n_student_features, n_teacher_features))
        return module


class Seen:
    """A loss that keeps what it is called with, and is nearly zero."""

    def __init__(self):
        self.student, self.teacher = [], []

    def __call__(self, student, teacher):
        self.student.append(student.detach().clone())
        self.teacher.append(teacher.detach().clone())
        return 1e-3 * student.square().mean()


@pytest.fixture(scope="module")
def mlp(data):
    """Return a fitted net of scikit-learn with six hidden units."""
    X, y = data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MLPClassifier((6,), max_iter=40, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def linear(data):
    return LogisticRegression().fit(*data)


@pytest.fixture
def begun():
    """Return a callback that counts the epochs that were begun, of any net."""

    class Begun(Callback):
        epochs = []

        def on_epoch_begin(self, net, **kwargs):
            self.epochs.append(len(net.history))

    return Begun


# What a step of training does


def kl_by_hand(student, teacher, T):
    log_s, log_t = (F.log_softmax(z / T, dim=1) for z in (student, teacher))
    return T**2 * (log_t.exp() * (log_t - log_s)).sum(dim=1).mean()


def similarity_by_hand(student, teacher):
    grams = [f @ f.T for f in (student, teacher)]
    s, t = (gram / gram.norm(dim=1, keepdim=True) for gram in grams)
    return (s - t).square().mean()


def dkd_by_hand(student, teacher, y, T):
    # In its first epoch the object has a twentieth of its weight.
    return DKDLoss()(student, teacher, y, temperature=T) / 20


SOFT_TERMS = {
    "kl": ("kl", lambda s, t, y, T: kl_by_hand(s, t, T)),
    "dkd": ("dkd", dkd_by_hand),
    "dist": ("dist", lambda s, t, y, T: losses.DISTLoss()(s, t, temperature=T)),
    "sum": (
        [("kl", 1), ("dist", 2)],
        lambda s, t, y, T: (
            kl_by_hand(s, t, T) + 2 * losses.DISTLoss()(s, t, temperature=T)
        ),
    ),
}


@pytest.mark.parametrize("soft", SOFT_TERMS)
@pytest.mark.parametrize("hidden", ["none", "feature", "relation", "both"])
def test_one_step_is_that_of_a_hand_written_loop(data, mlp, soft, hidden):
    X, y = data
    alpha, T, w_feature, w_relation = 0.3, 3.0, 0.7, 5.0
    loss, soft_by_hand = SOFT_TERMS[soft]
    kept = Kept()
    clf = distilled(
        mlp,
        sgd_net(lr=0.2),
        alpha=alpha,
        temperature=T,
        loss=loss,
        feature_loss=kept if hidden in ("feature", "both") else None,
        feature_weight=w_feature,
        relation_loss="similarity" if hidden in ("relation", "both") else None,
        relation_weight=w_relation,
        proba_clip=CLIP,
    ).fit(X, y)

    module, labels = first_module(), torch.tensor(y)
    teacher, known = tensor(logits_of(mlp, X)), tensor(hidden_of(mlp, X))
    features = module[1](module[0](tensor(X)))
    logits = module[2](features)
    parts = {
        "soft": (alpha, soft_by_hand(logits, teacher, labels, T)),
        "hard": (1 - alpha, F.cross_entropy(logits, labels)),
    }
    learned = []
    if hidden in ("feature", "both"):
        projection = copy.deepcopy(kept.starts[0].student)
        learned = [*projection.parameters()]
        hint = (projection(features) - known).square().mean()
        parts["feature"] = (w_feature, hint)
    if hidden in ("relation", "both"):
        parts["relation"] = (w_relation, similarity_by_hand(features, known))
    total = sum(weight * value for weight, value in parts.values())
    optimizer = torch.optim.SGD([*module.parameters(), *learned], lr=0.2)
    total.backward()
    optimizer.step()

    epoch = clf.history_[0]
    assert epoch["train_loss"] == pytest.approx(total.item(), rel=1e-5)
    for name in ("soft", "hard", "feature", "relation"):
        assert (f"train_loss_{name}" in epoch) == (name in parts)
    for name, (_, value) in parts.items():
        assert epoch[f"train_loss_{name}"] == pytest.approx(value.item(), rel=1e-5)
    trained = student_weights(clf)
    for own, by_hand in zip(trained, weights_of(module), strict=True):
        assert_allclose(own, by_hand, rtol=1e-4, atol=1e-6)
    if learned:
        for own, by_hand in zip(weights_of(kept.modules[0]), learned, strict=True):
            assert_allclose(own, by_hand.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("train_split", [None, ValidSplit(3, stratified=True)])
def test_the_parts_in_the_history_add_up_to_the_loss(data, mlp, alpha, train_split):
    clf = distilled(
        mlp,
        tiny_net(max_epochs=2, batch_size=20, train_split=train_split),
        alpha=alpha,
        feature_loss=[("hint", 1.0), ("cka", 0.5)],
        feature_weight=0.2,
        relation_loss="rkd",
        relation_weight=3.0,
    ).fit(*data)
    weights = {"soft": alpha, "hard": 1 - alpha, "feature": 0.2, "relation": 3.0}
    weights = {name: weight for name, weight in weights.items() if weight}
    for epoch in clf.history_:
        for phase in ("train",) if train_split is None else ("train", "valid"):
            parts = {n: epoch[f"{phase}_loss_{n}"] for n in weights}
            total = sum(weights[n] * value for n, value in parts.items())
            assert epoch[f"{phase}_loss"] == pytest.approx(total, rel=1e-5)
            assert min(parts.values()) > 0


def test_the_feature_term_is_the_weighted_sum_of_a_list(data, mlp):
    def term(spec):
        clf = distilled(mlp, sgd_net(), feature_loss=spec).fit(*data)
        return column(clf, "train_loss_feature")[0]

    both = term([("cka", 2.0), (losses.CKALoss(), 0.5)])
    assert both == pytest.approx(2.5 * term("cka"), rel=1e-5)


def test_a_validation_set_of_the_persons_own_has_the_hard_term_alone(data, mlp):
    X, y = data
    split = predefined_split(Dataset(X[:40].astype(np.float32), y[:40]))
    clf = distilled(
        mlp,
        tiny_net(max_epochs=1, batch_size=-1, train_split=split),
        feature_loss="hint",
        relation_loss="rkd",
    ).fit(X, y)
    log_proba = clf.predict_log_proba(X[:40])
    cross_entropy = -log_proba[np.arange(40), y[:40]].mean()
    epoch = clf.history_[0]
    assert epoch["valid_loss"] == pytest.approx(cross_entropy, rel=1e-5)
    assert "train_loss_feature" in epoch
    assert not {"valid_loss_feature", "valid_loss_relation"} & set(epoch)


@pytest.mark.parametrize(
    ("params", "plain"),
    [
        ({"feature_loss": "hint", "feature_weight": 0}, {}),
        ({"feature_loss": [("hint", 0), ("cka", 0)]}, {}),
        ({"relation_loss": "contrastive", "relation_weight": 0}, {}),
        ({"relation_loss": [("rkd", 0.0)]}, {}),
        ({"loss": [("kl", 1), ("dist", 0)]}, {"loss": "kl"}),
        (
            {"feature_loss": [("hint", 1), ("vid", 0)]},
            {"feature_loss": "hint"},
        ),
    ],
    ids=name_of,
)
def test_a_weight_of_0_is_bit_identical_to_leaving_the_loss_out(
    data, mlp, params, plain
):
    net = tiny_net(max_epochs=3, batch_size=32)
    one, other = (distilled(mlp, net, **p).fit(*data) for p in (params, plain))
    assert_same(student_weights(one), student_weights(other))
    assert set(one.history_[0]) == set(other.history_[0])


class Dropping(nn.Sequential):
    """A module with random numbers and with statistics of its batches."""

    def __init__(self, n_features=2, n_classes=2):
        super().__init__(
            nn.Linear(n_features, 8),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(8, n_classes),
        )


@pytest.mark.parametrize("family", FAMILIES, ids=name_of)
def test_a_further_loss_leaves_the_start_and_the_batches_as_they_are(data, mlp, family):
    net = tiny_net(
        module=Dropping,
        max_epochs=3,
        batch_size=32,
        train_split=ValidSplit(0.2, stratified=True),
    )
    tiny = {"feature_weight": 1e-30, "relation_weight": 1e-30}
    plain = distilled(mlp, net).fit(*data)
    more = distilled(mlp, net, **family, **tiny).fit(*data)
    assert_allclose(column(more, "valid_loss"), column(plain, "valid_loss"), rtol=1e-4)
    state, expected = (clf.student_.module_.state_dict() for clf in (more, plain))
    assert state.keys() == expected.keys()
    for name, value in state.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5)


# What losses learn

LEARNERS = {
    "hint": lambda: {"feature_loss": Kept()},
    "vid": lambda: {"feature_loss": Kept(VIDLoss())},
    "contrastive": lambda: {"relation_loss": Kept(ContrastiveLoss(n_components=3))},
}


def kept_of(params):
    (kept,) = params.values()
    return kept


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize(
    "net",
    [
        {},
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "lr": 0.01},
        {"optimizer": torch.optim.LBFGS, "lr": 0.1, "batch_size": -1},
        {"optimizer__param_groups": [("2.*", {"lr": 0.01})]},
        {"train_split": ValidSplit(3)},
    ],
    ids=["adam", "momentum", "lbfgs", "param_groups", "train_split"],
)
def test_what_a_loss_learns_is_in_the_optimizer_and_changes(data, mlp, learner, net):
    params = LEARNERS[learner]()
    clf = distilled(mlp, tiny_net(max_epochs=2, **net), **params).fit(*data)
    kept = kept_of(params)
    (module,) = kept.modules
    for before, now in zip(weights_of(kept.starts[0]), weights_of(module), strict=True):
        assert (before != now).any()
    groups = clf.student_.optimizer_.param_groups
    optimized = {id(p) for group in groups for p in group["params"]}
    assert optimized >= {id(p) for p in module.parameters()}
    assert optimized >= {id(p) for p in clf.student_.module_.parameters()}
    assert kept.widths == [(8, 6)]


def test_what_a_loss_learns_can_have_a_learning_rate_of_its_own(data, mlp):
    groups = [("distillation.feature_loss.0.*", {"lr": 0.0})]
    kept = Kept()
    net = tiny_net(max_epochs=2, optimizer__param_groups=groups)
    distilled(mlp, net, feature_loss=kept).fit(*data)
    assert_same(weights_of(kept.modules[0]), weights_of(kept.starts[0]))


def test_an_optimizer_that_leaves_out_what_is_learned_is_an_error(data, mlp, begun):
    class Own(NeuralNetClassifier):
        def initialize_optimizer(self, *args, **kwargs):
            self.optimizer_ = torch.optim.SGD(self.module_.parameters(), lr=0.1)
            return self

    net = Own(**tiny_net(callbacks=[begun]).get_params(deep=False))
    with pytest.raises(ValueError, match="get_all_learnable_params"):
        distilled(mlp, net, feature_loss="hint").fit(*data)
    assert not begun.epochs
    distilled(mlp, net, feature_loss="cka").fit(*data)


@pytest.mark.parametrize("learner", LEARNERS)
def test_what_a_loss_learns_is_seeded(data, mlp, learner):
    def fit(seed):
        params = LEARNERS[learner]()
        clf = distilled(mlp, random_state=seed, **params).fit(*data)
        kept = kept_of(params)
        return weights_of(kept.starts[0]), weights_of(kept.modules[0]), clf

    one, again, other = fit(1), fit(1), fit(2)
    assert_same(one[0], again[0])
    assert_same(one[1], again[1])
    assert_same(student_weights(one[2]), student_weights(again[2]))
    assert differ(one[0], other[0])


@pytest.mark.parametrize("family", FAMILIES, ids=name_of)
def test_a_second_fit_begins_anew_to_the_bit(data, mlp, family):
    clf = distilled(mlp, **family).fit(*data)
    before = student_weights(clf)
    assert_same(student_weights(clf.fit(*data)), before)


def test_a_fit_that_fails_leaves_what_was_learned_as_it_was(data, mlp):
    class Fails(Callback):
        on = False

        def on_epoch_end(self, net, **kwargs):
            if self.on:
                raise RuntimeError("stop")

    kept = Kept()
    clf = distilled(mlp, tiny_net(callbacks=[Fails]), feature_loss=kept).fit(*data)
    before = weights_of(kept.modules[0])
    Fails.on = True
    with pytest.raises(RuntimeError, match="stop"):
        clf.fit(*data)
    assert_same(weights_of(kept.modules[0]), before)


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_a_training_that_fails_on_the_way_leaves_the_net_as_it_was(data, mlp, method):
    class Fails(Callback):
        on = False

        def on_epoch_end(self, net, **kwargs):
            if self.on:
                raise RuntimeError("stop")

    def student():
        return tiny_net(
            callbacks=[Fails], warm_start=True, optimizer=torch.optim.Adam, lr=0.01
        )

    clf = distilled(mlp, student(), feature_loss="hint", relation_loss="contrastive")
    clf.fit(*data)
    net, history = clf.student_, copy.deepcopy([*clf.history_])
    before = student_weights(clf)
    expected = copy.deepcopy(clf)
    Fails.on = True
    clf.set_params(student__lr=0.5, feature_loss="vid")
    with pytest.raises(RuntimeError, match="stop"):
        getattr(clf, method)(*data)
    Fails.on = False
    assert clf.student_ is net
    assert net.lr == 0.01
    assert_same(student_weights(clf), before)
    assert [*clf.history_] == history
    # Nor can it be told later on, of the optimizer or of what losses have learned.
    clf.set_params(student__lr=0.01, feature_loss="hint")
    clf._draws = copy.deepcopy(expected._draws)
    for one in (clf, expected):
        getattr(one, method)(*data)
    assert_same(student_weights(clf), student_weights(expected))


def test_a_first_chunk_that_fails_leaves_nothing(data, mlp):
    net = tiny_net(lr=1e38, optimizer=torch.optim.SGD)
    clf = distilled(mlp, net, feature_loss="hint")
    before = {*vars(clf)}
    with pytest.raises(ValueError, match="not finite"):
        clf.partial_fit(*data)
    assert {*vars(clf)} == before
    assert_sound(clf.set_params(student=tiny_net()).partial_fit(*data), data[0])


class Casting(TinyModule):
    """Computes in a floating type of its own."""

    def __init__(self, n_features=2, n_classes=2, dtype=torch.float64):
        super().__init__(n_features, n_classes)
        self.to(dtype)

    def forward(self, X):
        return super().forward(X.to(self[0].weight.dtype))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("learner", LEARNERS)
def test_what_a_loss_learns_is_of_the_type_of_the_net(data, mlp, learner, dtype):
    params = LEARNERS[learner]()
    net = tiny_net(module=Casting, module__dtype=dtype, max_epochs=2, lr=0.01)
    clf = distilled(mlp, net, **params).fit(*data)
    (module,) = kept_of(params).modules
    assert {p.dtype for p in module.parameters()} == {dtype}
    assert {p.dtype for p in clf.student_.module_.parameters()} == {dtype}
    assert np.isfinite(column(clf, "train_loss")).all()


@pytest.mark.parametrize("family", FAMILIES, ids=name_of)
def test_each_loss_trains_a_net_in_double_precision_as_one_in_single(data, mlp, family):
    def first(dtype):
        net = sgd_net(module=Casting, module__dtype=dtype, max_epochs=2, lr=0.01)
        clf = distilled(mlp, net, **family).fit(*data)
        return column(clf, "train_loss")

    assert_allclose(first(torch.float64), first(torch.float32), rtol=1e-4)


@pytest.fixture
def watching():
    """Return a callback that copies a module's weights as each epoch begins."""

    class Watching(Callback):
        kept, seen = None, []

        def on_epoch_begin(self, net, **kwargs):
            self.seen.append(weights_of(self.kept.modules[-1]))

    return Watching


@pytest.mark.parametrize("learner", LEARNERS)
def test_partial_fit_goes_on_with_what_was_learned(data, mlp, learner, watching):
    params = LEARNERS[learner]()
    kept = watching.kept = kept_of(params)
    clf = distilled(mlp, tiny_net(callbacks=[watching]), **params)
    after = []
    for start in (0, 30, 60):
        X, y = (values[start : start + 30] for values in data)
        clf.partial_fit(X, y)
        after.append(weights_of(kept.modules[-1]))
        if start == 0:
            optimizer = clf.student_.optimizer_
    assert len(kept.modules) == 1
    assert_same(watching.seen[0], weights_of(kept.starts[0]))
    assert_same(watching.seen[1], after[0])
    assert_same(watching.seen[2], after[1])
    assert differ(after[0], after[1])
    assert clf.student_.optimizer_ is optimizer  # with its momentum


def test_partial_fit_goes_on_from_a_fit(data, mlp, watching):
    kept = watching.kept = Kept()
    clf = distilled(
        mlp, tiny_net(callbacks=[watching], max_epochs=2), feature_loss=kept
    )
    fitted = weights_of(clf.fit(*data) and kept.modules[0])
    clf.partial_fit(*data)
    assert len(kept.modules) == 1
    assert_same(watching.seen[2], fitted)


@pytest.mark.parametrize("lr", [None, 0.03])
def test_a_warm_start_goes_on_with_what_was_learned(data, mlp, watching, lr):
    kept = watching.kept = Kept()
    net = tiny_net(callbacks=[watching], warm_start=True, max_epochs=2)
    clf = distilled(mlp, net, feature_loss=kept).fit(*data)
    first = weights_of(kept.modules[0])
    if lr is not None:
        clf.set_params(student__lr=lr)
    clf.fit(*data)
    assert len(kept.modules) == 1
    assert len(clf.history_) == 4
    assert_same(watching.seen[2], first)
    assert differ(weights_of(kept.modules[0]), first)
    groups = clf.student_.optimizer_.param_groups
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert {rates[id(p)] for p in kept.modules[0].parameters()} == {lr or 0.1}


def test_other_widths_make_another_map(data, mlp):
    X, y = data
    kept = Kept()
    clf = distilled(mlp, feature_loss=kept).partial_fit(X, y)
    first = weights_of(kept.modules[0])
    clf.set_params(teacher_features=lambda teacher, X: X[:, :2]).partial_fit(X, y)
    assert kept.widths == [(8, 6), (8, 2)]
    assert_same(weights_of(kept.modules[0]), first)
    assert differ(weights_of(kept.modules[1]), weights_of(kept.starts[1]))


def test_a_loss_that_a_warm_start_meets_first_is_learned_too(data, mlp):
    kept = Kept()
    net = tiny_net(warm_start=True, max_epochs=1)
    clf = distilled(mlp, net).fit(*data)
    clf.set_params(feature_loss=kept).fit(*data)
    assert differ(weights_of(kept.modules[0]), weights_of(kept.starts[0]))
    assert len(clf.history_) == 2


def wide_features(teacher, X):
    return np.tile(X, (1, 1000))


def test_what_a_loss_learned_is_no_part_of_the_student_nor_of_a_file(data, forest):
    plain = distilled(forest).fit(*data)
    clf = distilled(
        forest,
        feature_loss="hint",
        relation_loss="contrastive",
        teacher_features=wide_features,
    ).fit(*data)
    student, module = clf.student_, clf.student_.module_
    assert type(student) is NeuralNetClassifier
    assert vars(student).keys() == vars(plain.student_).keys()
    assert module.state_dict().keys() == plain.student_.module_.state_dict().keys()
    assert len([*student.get_all_learnable_params()]) == 4

    file = pickle.dumps(clf)
    assert len(file) < len(pickle.dumps(plain)) + 4096
    assert b"_Projected" not in file
    assert b"_Contrast" not in file
    loaded = pickle.loads(file)
    added = vars(loaded).keys() - vars(clf).keys()
    assert not added
    assert not {"_learned", "_reduction"} & vars(loaded).keys()
    assert_array_equal(loaded.predict_proba(data[0]), clf.predict_proba(data[0]))
    assert not hasattr(clone(clf), "_learned")
    assert clone(clf).feature_loss == "hint"


def test_a_loaded_copy_learns_again_from_a_new_teacher(data, forest):
    clf = distilled(forest, feature_loss="hint").fit(*data)
    loaded = pickle.loads(pickle.dumps(clf)).set_params(teacher=forest).fit(*data)
    assert_same(student_weights(loaded), student_weights(clf))


class Own:
    """A loss of one's own that neither compares nor prints as anything but itself."""

    def __init__(self, level=0.5):
        self.level = level

    def learned(self, n_student_features, n_teacher_features):
        return _Quantile(n_student_features, n_teacher_features, self.level)


class Searched(Own, BaseEstimator):
    """The same loss, with parameters as scikit-learn has them."""


class _Quantile(nn.Module):
    def __init__(self, n_student_features, n_teacher_features, level):
        super().__init__()
        self.map, self.level = nn.Linear(n_student_features, n_teacher_features), level

    def forward(self, student, teacher):
        error = teacher - self.map(student)
        return torch.maximum(self.level * error, (self.level - 1) * error).mean()


@pytest.mark.parametrize("loss", [HintLoss, Searched, Own])
def test_a_deep_copy_goes_on_from_what_was_learned_by_itself(data, mlp, loss):
    modules, begins = [], []

    class Begins(Callback):
        def on_epoch_begin(self, net, **kwargs):
            (term,) = net.hidden_.terms["feature"]
            modules.append(term.learned)
            begins.append(weights_of(term.learned))

    net = tiny_net(max_epochs=2, callbacks=[Begins])
    clf = distilled(mlp, net, feature_loss=loss()).fit(*data)
    before = weights_of(modules[0])
    copy.deepcopy(clf).partial_fit(*data)
    assert modules[-1] is not modules[0]
    assert_same(weights_of(modules[0]), before)
    assert_same(begins[-1], before)


@pytest.mark.parametrize("learner", ["cka", *LEARNERS])
def test_a_deep_copy_is_trained_on_as_the_first_is(data, mlp, learner):
    params = LEARNERS[learner]() if learner in LEARNERS else {"feature_loss": learner}
    net = tiny_net(optimizer=torch.optim.Adam, lr=0.01)
    clf = distilled(mlp, net, **params).fit(*data)
    copied = copy.deepcopy(clf).partial_fit(*data)
    assert_same(student_weights(copied), student_weights(clf.partial_fit(*data)))


@pytest.mark.parametrize("loss", [Searched, Own])
def test_another_object_of_ones_own_learns_by_its_own_parameters(data, mlp, loss):
    levels = []

    class Levels(Callback):
        def on_epoch_begin(self, net, **kwargs):
            (term,) = net.hidden_.terms["feature"]
            levels.append(term.learned.level)

    net = tiny_net(max_epochs=1, callbacks=[Levels])
    clf = distilled(mlp, net)
    # Python soon gives an object the address of an earlier one.
    asked = [n / 10 for n in range(1, 9)]
    for level in asked:
        clf.set_params(feature_loss=loss(level)).partial_fit(*data)
    assert levels == asked


def test_other_parameters_of_the_same_object_make_a_new_start(data, mlp):
    modules = []

    class Modules(Callback):
        def on_epoch_begin(self, net, **kwargs):
            (term,) = net.hidden_.terms["relation"]
            modules.append(term.learned)

    net = tiny_net(max_epochs=1, callbacks=[Modules])
    clf = distilled(mlp, net, relation_loss=ContrastiveLoss(n_components=8))
    clf.partial_fit(*data).partial_fit(*data)
    clf.set_params(relation_loss__n_components=4, relation_loss__temperature=1.0)
    clf.partial_fit(*data)
    assert modules[1] is modules[0]
    assert modules[2].student.out_features == 4
    assert modules[2].temperature == 1.0


def test_equal_objects_with_arrays_go_on_with_what_was_learned(data, mlp):
    modules = []

    class Weighted(BaseEstimator):
        def __init__(self, weights):
            self.weights = weights

        def learned(self, n_student_features, n_teacher_features):
            modules.append(_Quantile(n_student_features, n_teacher_features, 0.5))
            return modules[-1]

    clf = distilled(mlp, feature_loss=Weighted(np.ones(3))).partial_fit(*data)
    clf.set_params(feature_loss=Weighted(np.ones(3))).partial_fit(*data)
    assert len(modules) == 1
    clf.set_params(feature_loss=Weighted(np.zeros(3))).partial_fit(*data)
    assert len(modules) == 2


# A student that is trained on compares with the features that it has learned of


class Targets:
    """A loss that keeps what it is told of the teacher."""

    def __init__(self):
        self.seen = []

    def __call__(self, student, teacher):
        self.seen.append(teacher)
        return student.square().mean()


def whole_batches(**params):
    return tiny_net(
        batch_size=-1, max_epochs=1, iterator_train__shuffle=False, lr=1e-3, **params
    )


def test_a_warm_start_keeps_the_basis_of_the_leaves(data, forest):
    X, y = data
    targets = Targets()
    clf = distilled(forest, whole_batches(warm_start=True), relation_loss=targets)
    clf.fit(X[:60], y[:60])
    clf.fit(X[30:], y[30:])
    assert_allclose(targets.seen[-1][:30], targets.seen[0][30:], atol=1e-5)


def test_a_chunk_without_a_loss_on_features_keeps_the_basis_of_the_leaves(data, forest):
    X, y = data
    targets = Targets()
    clf = distilled(forest, whole_batches(), relation_loss=targets)
    clf.partial_fit(X[:60], y[:60])
    clf.set_params(relation_weight=0.0).partial_fit(X, y)
    clf.set_params(relation_weight=1.0).partial_fit(X[30:], y[30:])
    assert_allclose(targets.seen[-1][:30], targets.seen[0][30:], atol=1e-5)


def test_another_teacher_has_a_basis_of_its_own(data, forest):
    X, y = data
    targets = Targets()
    clf = distilled(forest, whole_batches(), relation_loss=targets).partial_fit(X, y)
    other = RandomForestClassifier(20, random_state=7).fit(X, y)
    clf.set_params(teacher=other).partial_fit(X, y)
    assert targets.seen[-1].square().mean() == pytest.approx(1, rel=1e-3)
    clf.set_params(teacher=[forest, other]).partial_fit(X, y)
    assert targets.seen[-1].shape == (90, 128)


# Guests in the net: hooks and callbacks


def hooks_of(module):
    return [
        hook
        for part in module.modules()
        for hooks in (part._forward_hooks, part._forward_pre_hooks)
        for hook in hooks.values()
    ]


@pytest.mark.parametrize("layer", ["auto", "hidden"])
def test_no_hooks_stay_on_either_module(data, layer):
    teacher = torch_teacher(*data)
    own = None if layer == "auto" else "1"
    clf = distilled(
        teacher, feature_loss="hint", teacher_features=layer, student_layer=own
    ).fit(*data)
    assert not hooks_of(clf.student_.module_)
    assert not hooks_of(teacher.module)


@pytest.mark.parametrize(
    "event", ["on_train_begin", "on_batch_begin", "on_batch_end", "on_grad_computed"]
)
def test_no_hooks_stay_where_a_callback_fails(data, mlp, event):
    nets = []

    def fail(self, net, *args, **kwargs):
        nets.append(net)
        raise RuntimeError("stop")

    Fails = type("Fails", (Callback,), {event: fail})
    net = tiny_net(callbacks=[Fails])
    with pytest.raises(RuntimeError, match="stop"):
        distilled(mlp, net, feature_loss="hint").fit(*data)
    assert not hooks_of(nets[0].module_)
    assert type(nets[0]) is NeuralNetClassifier
    assert not {"hidden_", "distillation_", "batch_"} & vars(nets[0]).keys()


def test_no_hooks_stay_where_the_forward_pass_fails(data, mlp):
    modules = []

    class Fails(TinyModule):
        def forward(self, X):
            if len(X) > 4:
                modules.append(self)
                raise RuntimeError("stop")
            return super().forward(X)

    with pytest.raises(RuntimeError, match="stop"):
        distilled(mlp, tiny_net(module=Fails), relation_loss="rkd").fit(*data)
    assert not hooks_of(modules[0])


def test_checkpoints_restore_the_best_epoch_and_pickle_the_plain_class(
    data, mlp, tmp_path
):
    checkpoint = Checkpoint(
        monitor="valid_loss_best",
        dirname=tmp_path,
        f_pickle="net.pkl",
        load_best=True,
    )
    net = tiny_net(
        max_epochs=15,
        lr=0.5,
        train_split=ValidSplit(3, stratified=True),
        callbacks=[checkpoint],
    )
    clf = distilled(mlp, net, feature_loss="hint", relation_loss="contrastive")
    clf.fit(*data)
    best = pickle.loads((tmp_path / "net.pkl").read_bytes())
    assert type(best) is NeuralNetClassifier
    assert not {"hidden_", "distillation_", "batch_"} & vars(best).keys()
    assert_same(weights_of(best.module_), student_weights(clf))
    assert len(clf.history_) == int(np.argmin(best.history[:, "valid_loss"])) + 1


@pytest.mark.parametrize("monitor", ["valid_loss", "valid_loss_feature"])
def test_early_stopping_works(data, mlp, monitor):
    net = tiny_net(
        max_epochs=300,
        train_split=ValidSplit(3, stratified=True),
        callbacks=[EarlyStopping(monitor=monitor, patience=2, threshold=1e-2)],
    )
    clf = distilled(mlp, net, feature_loss="cosine").fit(*data)
    assert 3 <= len(clf.history_) < 300


def test_a_net_that_prints_its_epochs_can_gain_and_lose_a_term(data, mlp, capsys):
    net = tiny_net(max_epochs=4, verbose=1)
    schedule = CosineSchedule(1, 0)
    distilled(mlp, net, alpha=schedule, feature_loss="hint").fit(*data)
    lines = capsys.readouterr().out.splitlines()
    assert any("train_loss_feature" in line for line in lines)
    assert len([line for line in lines if line.strip()[:1].isdigit()]) == 4


# Where features come from


class TeacherNet(nn.Module):
    """A module with names for its layers."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 7)
        self.out = nn.Linear(7, 3)

    def forward(self, X):
        return self.out(torch.tanh(self.hidden(X)))


def torch_teacher(X, y):
    net = tiny_net(module=TeacherNet, max_epochs=30).fit(X.astype(np.float32), y)
    return TorchTeacher(net.module_, classes=[0, 1, 2])


def mlp_on(X, y, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MLPClassifier((6,), max_iter=30, random_state=0, **params).fit(X, y)


def net_hidden(module, X):
    with torch.no_grad():
        return module.hidden(tensor(X)).numpy()


TEACHERS = {
    "mlp": (mlp_on, "auto", hidden_of),
    "mlp, own function": (
        mlp_on,
        lambda teacher, X: teacher.predict_proba(X)[:, :2],
        lambda mlp, X: mlp.predict_proba(X)[:, :2],
    ),
    "pipeline": (
        lambda X, y: make_pipeline(StandardScaler(), mlp_on(X, y)).fit(X, y),
        "auto",
        lambda pipe, X: hidden_of(pipe[-1], pipe[0].transform(X)),
    ),
    "module": (
        torch_teacher,
        "auto",
        lambda teacher, X: np.tanh(net_hidden(teacher.module, X)),
    ),
    "module, layer": (
        torch_teacher,
        "hidden",
        lambda teacher, X: net_hidden(teacher.module, X),
    ),
    "net": (
        lambda X, y: tiny_net(module=TeacherNet).fit(X, y),
        "auto",
        lambda net, X: np.tanh(net_hidden(net.module_, X)),
    ),
    "net, layer": (
        lambda X, y: tiny_net(module=TeacherNet).fit(X, y),
        "hidden",
        lambda net, X: net_hidden(net.module_, X),
    ),
    "two": (
        lambda X, y: [mlp_on(X, y), mlp_on(X, y, alpha=1.0)],
        "auto",
        lambda both, X: np.hstack([hidden_of(mlp, X) for mlp in both]),
    ),
    "linear": (
        lambda X, y: LogisticRegression().fit(X, y),
        "auto",
        lambda teacher, X: (
            logits_of(teacher, X) - logits_of(teacher, X).mean(axis=1, keepdims=True)
        ),
    ),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("teacher", TEACHERS)
def test_the_student_is_compared_with_the_features_of_the_teacher(data, teacher):
    X, y = data[0].astype(np.float32), data[1]
    make, how, expected = TEACHERS[teacher]
    fitted, seen = make(X, y), Seen()
    distilled(
        fitted,
        sgd_net(),
        relation_loss=seen,
        teacher_features=how,
        proba_clip=CLIP,
    ).fit(X, y)
    wanted = expected(fitted, X)
    assert_allclose(seen.teacher[-1].numpy(), wanted, rtol=1e-4, atol=1e-5)
    assert_allclose(seen.student[-1], first_hidden(X), atol=1e-5)


def test_rows_that_share_leaves_of_a_forest_have_similar_features(data, forest):
    X, y = data
    seen = Seen()
    distilled(forest, sgd_net(), feature_loss=seen).fit(X, y)
    features = seen.teacher[-1].numpy()
    leaves = forest.apply(X)
    shared = (leaves[:, None] == leaves[None]).mean(axis=2)
    assert features.shape == (90, 64)
    assert np.corrcoef((features @ features.T).ravel(), shared.ravel())[0, 1] > 0.95


def test_later_chunks_have_leaf_features_that_go_with_the_first(data, forest):
    X, y = data
    seen = Seen()
    clf = distilled(forest, sgd_net(), feature_loss=seen).partial_fit(X, y)
    whole = seen.teacher[-1]
    clf.partial_fit(X[20:50], y[20:50])
    assert_allclose(seen.teacher[-1], whole[20:50], atol=1e-4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("soft_labels", ["in_sample", "out_of_fold"])
def test_a_teacher_that_is_fitted_inside_gives_features(data, soft_labels):
    seen = Seen()
    teacher = MLPClassifier((6,), max_iter=40, random_state=0)
    clf = distilled(teacher, sgd_net(), feature_loss=seen, soft_labels=soft_labels)
    clf.fit(*data)
    own = hidden_of(clf.teacher_, data[0]).astype(np.float32)
    found = seen.teacher[-1].numpy()
    assert found.shape == (90, 6)
    # Other folds see a row otherwise, but not in another space.
    assert np.corrcoef(found.ravel(), own.ravel())[0, 1] > 0.8
    assert np.allclose(found, own, atol=1e-5) == (soft_labels == "in_sample")


def test_features_are_asked_for_also_where_labels_are_known_already(data, linear):
    seen, other = Seen(), Seen()
    distilled(linear).fit(*data)
    how = {"relation_loss": seen, "teacher_features": lambda t, X: X[:, :1]}
    distilled(linear, sgd_net(), **how).fit(*data)
    how = {"relation_loss": other, "teacher_features": lambda t, X: X[:, 1:]}
    distilled(linear, sgd_net(), **how).fit(*data)
    assert_allclose(seen.teacher[-1], data[0][:, :1], rtol=1e-6)
    assert_allclose(other.teacher[-1], data[0][:, 1:], rtol=1e-6)


def test_the_logits_of_a_teacher_without_features_serve_for_relations(data, linear):
    X, y = data

    def logits(teacher, X):
        found = logits_of(teacher, X)
        return found - found.mean(axis=1, keepdims=True)

    auto, own = (
        distilled(
            linear,
            sgd_net(max_epochs=2),
            relation_loss="similarity",
            relation_weight=10.0,
            teacher_features=how,
            proba_clip=CLIP,
        ).fit(X, y)
        for how in ("auto", logits)
    )
    assert_allclose(
        column(auto, "train_loss_relation"),
        column(own, "train_loss_relation"),
        rtol=1e-5,
    )
    features = first_hidden(X)
    expected = similarity_by_hand(features, tensor(logits(linear, X))).item()
    assert column(auto, "train_loss_relation")[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("relation", RELATION_LOSSES)
def test_a_shift_of_all_logits_of_a_row_is_no_relation(data, linear, relation):
    X, y = data

    def term(shift):
        def module(X):
            offset = shift * np.arange(len(X))[:, None]
            return linear.decision_function(X) + offset

        teacher = TorchTeacher(module, classes=[0, 1, 2])
        clf = distilled(teacher, sgd_net(max_epochs=2), relation_loss=relation)
        return column(clf.fit(X, y), "train_loss_relation")

    assert_allclose(term(3.0), term(0.0), rtol=1e-4)


@pytest.mark.parametrize("relation", RELATION_LOSSES)
def test_relations_can_be_learned_from_teacher_proba(data, linear, relation):
    X, y = data
    P = linear.predict_proba(X)
    precomputed = distilled(None, relation_loss=relation, proba_clip=CLIP)
    precomputed.fit(X, y, teacher_proba=P)
    asked = distilled(linear, relation_loss=relation, proba_clip=CLIP).fit(X, y)
    assert_allclose(
        column(precomputed, "train_loss_relation"),
        column(asked, "train_loss_relation"),
        rtol=1e-4,
    )


class Branches(nn.Module):
    """Has layers of all kinds of output."""

    class Pair(nn.Module):
        def forward(self, X):
            return X, X

    def __init__(self, n_features=2, n_classes=2):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_features, 8), nn.ReLU())
        self.pair = self.Pair()
        self.image = nn.Unflatten(1, (2, 4))
        self.summary = nn.Linear(8, 1)
        self.unused = nn.Linear(8, 8)
        self.out = nn.Linear(8, n_classes)

    def forward(self, X):
        hidden, _ = self.pair(self.body(X))
        self.summary(self.image(hidden).flatten(1).mean(dim=0))
        return self.out(hidden)


@pytest.mark.parametrize(
    ("layer", "width"),
    [(None, 8), ("body", 8), ("body.0", 8), ("image", 8), ("out", 3)],
)
def test_student_layer_names_the_layer_whose_output_is_compared(
    data, mlp, layer, width
):
    X, y = data
    seen = Seen()
    net = sgd_net(module=Branches)
    clf = distilled(mlp, net, feature_loss=seen, student_layer=layer).fit(X, y)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = Branches(4, 3)
    hidden = start.body[0](tensor(X))
    if layer != "body.0":
        hidden = start.body[1](hidden)
    expected = start.out(hidden) if layer == "out" else hidden
    assert seen.student[-1].shape == (90, width)
    assert_allclose(seen.student[-1], expected.detach(), atol=1e-5)
    assert column(clf, "train_loss_feature")[0] > 0


@pytest.mark.parametrize(
    ("layer", "match"),
    [
        (
            "bdy",
            r"no layer 'bdy'.*student_layer=.*'body', 'body\.0', 'body\.1', 'pair'",
        ),
        ("pair", "layer 'pair' is a tuple"),
        ("unused", "'unused' is not called"),
        ("summary", "for 90 rows"),
    ],
)
def test_a_student_layer_without_features_is_an_error(data, mlp, begun, layer, match):
    net = tiny_net(module=Branches, callbacks=[begun])
    clf = distilled(mlp, net, feature_loss="hint", student_layer=layer)
    with pytest.raises((ValueError, TypeError), match=match):
        clf.fit(*data)
    assert not begun.epochs
    assert not hasattr(clf, "student_")


@pytest.mark.parametrize("family", FAMILIES, ids=name_of)
def test_a_student_without_a_hidden_layer_is_an_error(data, mlp, begun, family):
    net = tiny_net(
        module=nn.Linear,
        module__in_features=4,
        module__out_features=3,
        callbacks=[begun],
    )
    with pytest.raises(ValueError, match=r"hidden layer.*student_layer="):
        distilled(mlp, net, **family).fit(*data)
    assert not begun.epochs


def test_sparse_rows_are_compared_as_dense_ones(data, mlp):
    X, y = data
    dense, thin = (
        distilled(mlp, feature_loss="hint", relation_loss="rkd").fit(rows, y)
        for rows in (X, csr_matrix(X))
    )
    for one, other in zip(student_weights(dense), student_weights(thin), strict=True):
        assert_allclose(one, other, rtol=1e-4, atol=1e-6)


class Lazy(nn.Sequential):
    """Learns its widths from the first rows."""

    def __init__(self, n_classes=2):
        super().__init__(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(n_classes))


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_module_that_finds_its_widths_itself_is_trained(data, mlp, learner):
    params = LEARNERS[learner]()
    clf = distilled(mlp, tiny_net(module=Lazy), **params).fit(*data)
    assert_sound(clf, data[0])
    assert kept_of(params).widths == [(8, 6)]
    assert not hooks_of(clf.student_.module_)


def test_images_have_flat_features(data):
    class Conv(nn.Sequential):
        def __init__(self, n_classes=2):
            super().__init__(
                nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, n_classes)
            )

    images = data[0][:, :1, None, None] * np.ones((90, 1, 6, 6))
    kept = Kept()
    clf = distilled(
        None,
        tiny_net(module=Conv, max_epochs=2),
        feature_loss=kept,
        student_layer="0",
        teacher_features=lambda teacher, X: X.mean(axis=(2, 3)),
    )
    P = np.eye(3)[data[1]] * 0.7 + 0.1
    clf.set_params(teacher=TorchTeacher(lambda X: np.log(P), classes=[0, 1, 2]))
    clf.fit(images, data[1])
    assert kept.widths == [(32, 1)]
    assert_sound(clf, images)


# Errors come before the training


def vector(student, teacher):
    return (student**2).mean(dim=1)


ERRORS = {
    "loss": ({"loss": "klx"}, "'klx' is not known.*'kl'"),
    "feature_loss": ({"feature_loss": "rkd"}, "'rkd' is not known.*'hint'"),
    "relation_loss": ({"relation_loss": "hint"}, "'hint' is not known.*'rkd'"),
    "no loss": ({"loss": None}, "alpha=0"),
    "in a list": ({"loss": [("kl", 1), ("dst", 1)]}, "'dst' is not known"),
    "empty list": ({"relation_loss": []}, "empty list"),
    "no pairs": ({"loss": ["kl", "dist"]}, r"pairs \(loss, weight\)"),
    "class": ({"feature_loss": HintLoss}, r"pass an instance of it: HintLoss\(\)"),
    "feature_weight": ({"feature_loss": "cka", "feature_weight": -1}, "feature_weight"),
    "NaN": ({"feature_loss": "cka", "feature_weight": np.nan}, "feature_weight"),
    "infinity": (
        {"relation_loss": "rkd", "relation_weight": np.inf},
        "relation_weight",
    ),
    "weight": ({"relation_loss": [("rkd", -0.5)]}, "weight of 'rkd'.*-0.5"),
    "weight NaN": ({"loss": [("kl", np.nan)]}, "weight of 'kl'.*nan"),
    "nothing": ({"loss": [("kl", 0)], "alpha": 1.0}, "nothing to learn from"),
    "NaN features": (
        {
            "feature_loss": "cka",
            "teacher_features": lambda t, X: np.full((len(X), 2), np.nan),
        },
        "NaN",
    ),
    "missing rows": (
        {"relation_loss": "rkd", "teacher_features": lambda t, X: X[1:]},
        r"shape \(89, 4\) for 90 rows",
    ),
    "teacher without layers": (
        {"feature_loss": "cka", "teacher_features": "hidden"},
        "'hidden' names a layer.*no torch module",
    ),
    "student_layer": ({"relation_loss": "rkd", "student_layer": "9"}, "no layer '9'"),
    "batch of one, rkd": (
        {"relation_loss": "rkd", "student__batch_size": 1},
        "batch_size is 1",
    ),
    "batch of one, cka": (
        {"feature_loss": "cka", "student__batch_size": 1},
        "batch_size is 1",
    ),
    "batch of one, own": (
        {"relation_loss": lambda s, t: s.mean(), "student__batch_size": 1},
        "batch_size is 1",
    ),
    "no scalar": ({"feature_loss": vector}, "scalar"),
    "no tensor": ({"relation_loss": lambda s, t: 1.0}, "scalar tensor, got float"),
    "temperature": ({"temperature": LinearSchedule(2, 0)}, "temperature must be above"),
    "alpha": ({"alpha": lambda epoch, n: 0.6 * epoch}, "alpha must be from 0 to 1"),
    "alpha NaN": ({"alpha": lambda epoch, n: math.nan}, "alpha must be from 0 to 1"),
    "alpha number": ({"alpha": 1.5}, "alpha"),
    "temperature number": ({"temperature": 0.0}, "temperature"),
    "no number": ({"temperature": lambda epoch, n: "2"}, "temperature must be above"),
    "schedule of one": (
        {"temperature": lambda epoch: 2.0},
        "called with the number of the epoch and how many",
    ),
    "n_components": (
        {"relation_loss": ContrastiveLoss(n_components=0)},
        "'n_components' parameter of ContrastiveLoss must be an int",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_come_before_the_training_and_leave_a_fitted_one_alone(
    data, mlp, begun, case
):
    params, match = ERRORS[case]
    clf = distilled(mlp, tiny_net(max_epochs=3, callbacks=[begun])).fit(*data)
    before, proba = dict(vars(clf)), clf.predict_proba(data[0])
    history = copy.deepcopy([*clf.history_])
    weights = student_weights(clf)
    begun.epochs.clear()
    clf.set_params(**params)
    with pytest.raises((ValueError, TypeError), match=match):
        clf.fit(*data)
    assert not begun.epochs
    after = vars(clf)
    assert after.keys() == before.keys()
    for name in before.keys() - clf.get_params(deep=False).keys():
        assert after[name] is before[name]
    assert_array_equal(clf.predict_proba(data[0]), proba)
    assert_same(student_weights(clf), weights)
    assert [*clf.history_] == history


# A student that is trained on keeps its own parameters.
@pytest.mark.parametrize("case", [c for c in ERRORS if "batch" not in c])
def test_partial_fit_finds_the_same_errors_before_the_training(data, mlp, begun, case):
    params, match = ERRORS[case]
    clf = distilled(mlp, tiny_net(max_epochs=3, callbacks=[begun]))
    clf.partial_fit(*data)
    weights = student_weights(clf)
    begun.epochs.clear()
    clf.set_params(**params)
    with pytest.raises((ValueError, TypeError), match=match):
        clf.partial_fit(*data)
    assert not begun.epochs
    assert len(clf.history_) == 1
    assert_same(student_weights(clf), weights)
    # The way out is to take it back.
    clf.set_params(**{name: PLAIN.get_params()[name] for name in params})
    assert len(clf.partial_fit(*data).history_) == 2


PLAIN = DistilledClassifier()


def test_a_feature_loss_needs_a_teacher_with_features(data, linear, begun):
    net = tiny_net(callbacks=[begun])
    with pytest.raises(ValueError, match=r"LogisticRegression.*teacher_features="):
        distilled(linear, net, feature_loss="hint").fit(*data)
    with pytest.raises(ValueError, match=r"teacher_proba.*pass teacher="):
        distilled(None, net, feature_loss="hint").fit(
            *data, teacher_proba=linear.predict_proba(data[0])
        )
    assert not begun.epochs


@pytest.mark.parametrize("loss", ["dkd", "nkd", [("kl", 1), ("dkd", 1)]], ids=str)
def test_a_loss_on_labels_needs_labels(data, forest, begun, loss):
    clf = distilled(forest, tiny_net(callbacks=[begun]), loss=loss, alpha=1.0)
    with pytest.raises(ValueError, match="needs labels, but the target y is None"):
        clf.fit(data[0])
    assert not begun.epochs


@pytest.mark.filterwarnings("ignore:there is no y")
def test_without_labels_and_without_a_weighted_loss_there_is_nothing_to_learn(
    data, forest, begun
):
    clf = distilled(forest, tiny_net(callbacks=[begun]), loss=[("kl", 0)])
    with pytest.raises(ValueError, match="nothing to learn from"):
        clf.fit(data[0])
    assert not begun.epochs


def test_standardized_logits_of_two_classes_are_an_error(data):
    X, y = data
    teacher = LogisticRegression().fit(X, y > 0)
    with pytest.raises(ValueError, match="at least 3 classes"):
        distilled(teacher, loss="standardized").fit(X, y > 0)


@pytest.mark.parametrize(
    ("family", "loss", "parameter", "object_"),
    [
        ("loss", "kl", "temperature", "KLLoss"),
        ("loss", "dkd", "warmup_epochs", "DKDLoss"),
        ("relation_loss", "rkd", "angle_weight", "RKDLoss"),
        ("relation_loss", "contrastive", "n_components", "ContrastiveLoss"),
    ],
)
@pytest.mark.parametrize("by_search", [False, True])
def test_parameters_of_a_loss_given_by_name_are_an_error_that_names_the_object(
    data, forest, family, loss, parameter, object_, by_search
):
    clf, name = distilled(forest, **{family: loss}), f"{family}__{parameter}"

    def set_it():
        if by_search:
            GridSearchCV(clf, {name: [3, 4]}, cv=2).fit(*data)
        else:
            clf.set_params(**{name: 3})

    with pytest.raises(ValueError, match=rf"{object_}\(\)"):
        set_it()


# Rows, batches and weights


# A handful of rows are few to judge a teacher by.
@pytest.mark.filterwarnings("ignore:the teacher's balanced accuracy")
@pytest.mark.parametrize("family", FAMILIES, ids=name_of)
@pytest.mark.parametrize(("n_rows", "batch_size"), [(9, 4), (9, 8), (10, 2), (2, 2)])
def test_small_and_last_batches_are_trained_on(data, mlp, family, n_rows, batch_size):
    X, y = (values[:n_rows] for values in data)
    net = tiny_net(max_epochs=2, batch_size=batch_size, lr=0.01)
    clf = distilled(mlp, net, **family)
    if family.get("feature_loss") == "cka" and batch_size < 4:
        with pytest.raises(ValueError, match="takes 4"):
            clf.fit(X, y)
        return
    clf.fit(X, y)
    assert_sound(clf, X)
    term = f"train_loss_{next(iter(family)).removesuffix('_loss')}"
    assert len(column(clf, term)) == 2


@pytest.mark.filterwarnings("ignore:the teacher's balanced accuracy")
def test_a_last_batch_of_one_row_counts_as_zero_in_relations(data, mlp):
    X, y = (values[:9] for values in data)
    net = sgd_net(batch_size=4, lr=1e-20)
    clf = distilled(mlp, net, relation_loss="similarity").fit(X, y)
    student, teacher = first_hidden(X), tensor(hidden_of(mlp, X))
    parts = [
        4 * similarity_by_hand(student[rows], teacher[rows]).item()
        for rows in (slice(0, 4), slice(4, 8))
    ]
    found = column(clf, "train_loss_relation")[0]
    assert found == pytest.approx(sum(parts) / 9, rel=1e-4)


@pytest.mark.parametrize(
    "params", [{"loss": loss} for loss in LOGIT_LOSSES] + FAMILIES, ids=name_of
)
def test_rows_of_zero_weight_do_not_count(data, mlp, params):
    X, y = data
    weight = np.r_[np.ones(60), np.zeros(30)]
    clf = distilled(mlp, sgd_net(max_epochs=3), **params)
    weighted = clone(clf).fit(X, y, sample_weight=weight)
    fewer = clone(clf).fit(X[:60], y[:60])
    # Agreement is a share of all rows.
    names = [name for name in fewer.history_[0] if name.startswith("train_loss")]
    for name in names:
        assert_allclose(column(weighted, name), column(fewer, name), rtol=1e-4)
    for one, other in zip(
        student_weights(weighted), student_weights(fewer), strict=True
    ):
        assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES, ids=name_of)
def test_a_batch_without_weight_counts_as_zero(data, mlp, family):
    X, y = (values[:60] for values in data)
    weight = np.r_[np.ones(30), np.zeros(30)]
    net = sgd_net(batch_size=30, lr=1e-20)
    both = distilled(mlp, net, **family).fit(X, y, sample_weight=weight)
    first = distilled(mlp, net, **family).fit(X[:30], y[:30])
    half = column(both, "train_loss")[0]
    assert half == pytest.approx(column(first, "train_loss")[0] / 2, rel=1e-4)


@pytest.mark.parametrize(
    ("loss", "by_hand"),
    [("hint", "square"), ("cosine", "cosine")],
    ids=["hint", "cosine"],
)
def test_weights_weigh_rows_in_losses_by_row(data, mlp, loss, by_hand):
    X, y = data
    weight = np.linspace(0, 2, 90)
    kept = Kept(losses.HintLoss() if loss == "hint" else losses.CosineLoss())
    clf = distilled(mlp, sgd_net(), feature_loss=kept)
    clf.fit(X, y, sample_weight=weight)
    known = tensor(hidden_of(mlp, X))
    guess = kept.starts[0].student(first_hidden(X))
    if by_hand == "square":
        per_row = (guess - known).square().mean(dim=1)
    else:
        per_row = 1 - F.cosine_similarity(guess, known, dim=1)
    expected = np.average(per_row.detach().numpy(), weights=weight)
    found = column(clf, "train_loss_feature")[0]
    assert found == pytest.approx(expected, rel=1e-4)


# Losses of one's own


def nearest(student, teacher):
    """Compare a row with the 6 that are nearest to the teacher."""
    near = torch.cdist(teacher, teacher).topk(6, largest=False).indices
    return torch.cdist(student, student).gather(1, near).mean()


@pytest.mark.parametrize("family", ["loss", "feature_loss", "relation_loss"])
def test_a_loss_may_need_as_many_rows_as_a_batch_has(data, mlp, family):
    net = tiny_net(batch_size=45)
    assert_sound(distilled(mlp, net, **{family: nearest}).fit(*data), data[0])


@pytest.mark.parametrize("family", ["loss", "feature_loss", "relation_loss"])
def test_a_loss_may_differentiate(data, mlp, family):
    def sloped(student, teacher):
        value = (student.mean(dim=1) - teacher.mean(dim=1)).square().mean()
        (slope,) = torch.autograd.grad(value, student, create_graph=True)
        return value + slope.square().mean()

    assert_sound(distilled(mlp, **{family: sloped}).fit(*data), data[0])


def test_losses_are_tried_where_the_loader_drops_what_is_left_over(data, mlp):
    net = tiny_net(iterator_valid__drop_last=True)
    assert_sound(distilled(mlp, net, feature_loss="hint").fit(*data), data[0])


class Pairs(DataLoader):
    """Batches by a sampler of one's own, of two rows each."""

    def __init__(self, dataset, **kwargs):
        sampler = [[i, i + 1] for i in range(0, len(dataset) - 1, 2)]
        super().__init__(dataset, batch_sampler=sampler)


def test_a_sampler_of_ones_own_makes_the_batches(data, mlp):
    rows = []

    def counting(student, teacher):
        rows.append(len(student))
        return student.square().mean()

    net = tiny_net(iterator_train=Pairs, max_epochs=1)
    distilled(mlp, net, relation_loss=counting).fit(*data)
    assert rows[1:] == [2] * 45


def optional(student, teacher, y=None):
    return (student - teacher).square().mean() + (0 if y is None else math.nan)


def anything(student, teacher, **offered):
    assert offered["y"] is None
    return (student - teacher).square().mean()


@pytest.mark.parametrize("loss", [optional, anything])
def test_labels_that_a_loss_can_do_without_are_none_where_there_are_none(
    data, mlp, loss
):
    assert_sound(distilled(mlp, loss=loss, alpha=1.0).fit(data[0]), data[0])


def test_learned_must_return_a_module(data, mlp, begun):
    class Wrong:
        def learned(self, n_student_features, n_teacher_features):
            return lambda student, teacher: student.mean()

    clf = distilled(mlp, tiny_net(callbacks=[begun]), feature_loss=Wrong())
    with pytest.raises(TypeError, match=r"learned\(\) of .* Wrong must return a torch"):
        clf.fit(*data)
    assert not begun.epochs


class Big:
    """A function of features that holds something heavy."""

    def __init__(self):
        self.table = np.zeros(10**6)

    def __call__(self, teacher, X):
        return X


def test_a_file_is_free_of_code_that_training_alone_needs(data, mlp):
    own = {
        "loss": [(lambda s, t: (s - t).square().mean(), 1.0), ("kl", 0.5)],
        "relation_loss": own_loss,
        "teacher_features": Big(),
        "temperature": lambda epoch, n_epochs: 2.0,
    }
    clf = distilled(mlp, **own, alpha=LinearSchedule(0.5, 1.0)).fit(*data)
    plain = distilled(mlp).fit(*data)
    file = pickle.dumps(clf)
    assert len(file) < len(pickle.dumps(plain)) + 4096
    assert b"own_loss" in file  # its name, for the person, and no reference to it
    loaded = pickle.loads(file)
    assert_array_equal(loaded.predict_proba(data[0]), clf.predict_proba(data[0]))
    assert loaded.alpha.stop == 1.0
    assert loaded.loss[1] == ("kl", 0.5)
    assert repr(loaded.relation_loss) == "<own_loss, left out of the file>"
    assert clf.relation_loss is own_loss

    again = clone(loaded).set_params(teacher=mlp)
    with pytest.raises(ValueError, match=r"<Big, left out of the file>"):
        again.fit(*data)
    again.set_params(temperature=2.0, teacher_features="auto")
    with pytest.raises(TypeError, match=r"loss must be .* left out of the file>"):
        again.fit(*data)


def own_loss(student, teacher):
    return (student.mean(dim=1) - teacher.mean(dim=1)).square().mean()


@pytest.mark.parametrize("family", ["loss", "feature_loss", "relation_loss"])
def test_a_function_of_ones_own_is_trained_on(data, mlp, family):
    X, y = data
    clf = distilled(mlp, sgd_net(), proba_clip=CLIP, **{family: own_loss}).fit(X, y)
    features = first_hidden(X)
    pair = features, tensor(hidden_of(mlp, X))
    if family == "loss":
        pair = first_module()(tensor(X)), tensor(logits_of(mlp, X))
    term = {"loss": "soft"}.get(family, family.removesuffix("_loss"))
    found = column(clf, f"train_loss_{term}")[0]
    assert found == pytest.approx(own_loss(*pair).item(), rel=1e-4)


@pytest.mark.parametrize("family", ["loss", "feature_loss", "relation_loss"])
def test_a_function_gets_what_it_has_parameters_for(data, mlp, family):
    seen = []

    def loss(student, teacher, *, epoch, sample_weight):
        seen.append((epoch, None if sample_weight is None else len(sample_weight)))
        return (student**2).mean()

    clf = distilled(mlp, sgd_net(max_epochs=3), **{family: loss})
    clf.fit(*data, sample_weight=np.r_[np.ones(80), np.zeros(10)])
    assert list(dict(seen)) == [0, 1, 2]
    assert seen[-1] == (2, 90)
    clf.partial_fit(*data)
    assert seen[-1] == (3, None)


def test_a_function_with_any_keywords_gets_all(data, mlp):
    seen = {}

    def soft(student, teacher, **kwargs):
        seen["soft"] = set(kwargs)
        return (student**2).mean()

    def hidden(student, teacher, **kwargs):
        seen["hidden"] = set(kwargs)
        return (student**2).mean()

    distilled(mlp, loss=soft, feature_loss=hidden).fit(*data)
    assert seen["soft"] == {"y", "temperature", "sample_weight", "epoch"}
    assert seen["hidden"] == {"sample_weight", "epoch"}


@pytest.mark.parametrize("family", ["loss", "feature_loss", "relation_loss"])
def test_a_function_without_weights_gets_the_rows_that_have_one(data, mlp, family):
    seen = Seen()
    clf = distilled(mlp, sgd_net(), **{family: seen})
    clf.fit(*data, sample_weight=np.r_[np.ones(70), np.zeros(20)])
    assert len(seen.student[-1]) == len(seen.teacher[-1]) == 70


def test_an_object_of_ones_own_can_learn_and_be_searched(data, forest):
    clf = distilled(forest, feature_loss=Searched())
    search = GridSearchCV(clf, {"feature_loss__level": [0.1, 0.9]}, cv=2).fit(*data)
    best = search.best_estimator_
    assert best.feature_loss.level == search.best_params_["feature_loss__level"]
    assert clf.feature_loss.level == 0.5
    low, high = (
        clone(clf).set_params(feature_loss__level=level).fit(*data)
        for level in (0.1, 0.9)
    )
    assert differ(student_weights(low), student_weights(high))


@pytest.mark.parametrize(
    ("params", "name", "values"),
    [
        ({"relation_loss": RKDLoss()}, "relation_loss__angle_weight", [0.0, 2.0]),
        ({"loss": KLLoss()}, "loss__temperature", [1.0, 8.0]),
        ({"loss": DKDLoss()}, "loss__warmup_epochs", [0, 40]),
        ({"relation_loss": "rkd"}, "relation_weight", [0.0, 2.0]),
        ({"feature_loss": "hint"}, "feature_loss", [None, CKALoss()]),
    ],
    ids=["angle_weight", "temperature", "warmup_epochs", "relation_weight", "loss"],
)
def test_a_search_tunes_losses(data, forest, params, name, values):
    clf = distilled(forest, **params)
    search = GridSearchCV(clf, {name: values}, cv=2, error_score="raise").fit(*data)
    assert search.best_params_[name] in values
    assert clf.get_params()[name] == distilled(forest, **params).get_params()[name]
    fits = [clone(clf).set_params(**{name: value}).fit(*data) for value in values]
    assert differ(student_weights(fits[0]), student_weights(fits[1]))


def test_the_temperature_of_a_loss_comes_before_that_of_the_estimator(data, forest):
    own = distilled(forest, loss=KLLoss(temperature=5.0), temperature=2.0).fit(*data)
    stock = distilled(forest, temperature=5.0).fit(*data)
    assert_same(student_weights(own), student_weights(stock))


# Schedules


def test_a_schedule_is_in_the_history_and_acts(data, forest):
    clf = distilled(
        forest,
        tiny_net(max_epochs=4),
        temperature=LinearSchedule(8, 2),
        alpha=CosineSchedule(1, 0),
    ).fit(*data)
    assert column(clf, "temperature") == [8, 6, 4, 2]
    alphas = column(clf, "alpha")
    assert_allclose(alphas, [1, 0.75, 0.25, 0], atol=1e-12)
    for alpha, epoch in zip(alphas, clf.history_, strict=True):
        soft = epoch["train_loss_soft"] if alpha > 0 else 0.0
        hard = epoch["train_loss_hard"] if alpha < 1 else 0.0
        total = alpha * soft + (1 - alpha) * hard
        assert epoch["train_loss"] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("name", ["temperature", "alpha"])
def test_numbers_leave_no_column(data, forest, name):
    clf = distilled(forest, **{name: 0.5}).fit(*data)
    assert name not in clf.history_[0]


@pytest.mark.parametrize(
    ("name", "number", "schedule"),
    [
        ("temperature", 3.0, lambda epoch, n: 3),
        ("temperature", 3.0, LinearSchedule(3.0, 3.0)),
        ("alpha", 0.25, lambda epoch, n: np.float64(0.25)),
        ("alpha", 0.0, LinearSchedule(0, 0)),
    ],
    ids=["function", "linear", "numpy", "zero"],
)
def test_a_constant_schedule_is_bit_identical_to_its_number(
    data, forest, name, number, schedule
):
    one, other = (
        distilled(forest, **{name: value}).fit(*data) for value in (number, schedule)
    )
    assert_same(student_weights(one), student_weights(other))
    assert column(other, name) == [number] * 3


def test_the_temperature_of_an_epoch_is_that_of_its_loss(data, forest):
    schedule = LinearSchedule(8, 2)
    net = sgd_net(max_epochs=3, lr=1e-20)
    clf = distilled(forest, net, temperature=schedule, proba_clip=CLIP).fit(*data)
    student, teacher = first_module()(tensor(data[0])), logits_of(forest, data[0])
    expected = [kl_by_hand(student, tensor(teacher), T).item() for T in (8, 5, 2)]
    assert_allclose(column(clf, "train_loss_soft"), expected, rtol=1e-4)


def test_partial_fit_goes_on_counting(data, forest):
    clf = distilled(
        forest,
        tiny_net(max_epochs=3),
        temperature=LinearSchedule(8, 2),
        alpha=lambda epoch, n: epoch / 10,
    )
    for _ in range(5):
        clf.partial_fit(*data)
    assert column(clf, "temperature") == [8, 5, 2, 2, 2]
    assert column(clf, "alpha") == [0, 0.1, 0.2, 0.3, 0.4]


def test_a_warm_start_goes_on_counting(data, forest):
    net = tiny_net(max_epochs=2, warm_start=True)
    schedule = LinearSchedule(8, 2, n_epochs=4)
    clf = distilled(forest, net, temperature=schedule).fit(*data).fit(*data)
    assert column(clf, "temperature") == [8, 6, 4, 2]


@pytest.mark.parametrize("train_on", ["partial_fit", "warm_start"])
def test_a_schedule_that_runs_out_of_range_is_found_before_the_training(
    data, forest, begun, train_on
):
    # Sound for the epochs of one fit, and no further.
    net = tiny_net(max_epochs=2, warm_start=True, callbacks=[begun])
    clf = distilled(forest, net, alpha=lambda epoch, n: 1 - epoch / n).fit(*data)
    if train_on == "partial_fit":
        clf.partial_fit(*data)  # alpha is 0 now
    epochs, weights = list(begun.epochs), student_weights(clf)
    train = clf.partial_fit if train_on == "partial_fit" else clf.fit
    with pytest.raises(ValueError, match="alpha must be from 0 to 1"):
        train(*data)
    assert begun.epochs == epochs
    assert len(clf.history_) == len(epochs)
    assert_same(student_weights(clf), weights)


def test_without_labels_a_schedule_of_alpha_counts_as_1(data, forest):
    X, _ = data
    clf = distilled(forest, alpha=CosineSchedule(0.5, 0))
    with pytest.warns(UserWarning, match="learns from the teacher alone"):
        clf.fit(X)
    alone = distilled(forest, alpha=1.0).fit(X)
    assert_same(student_weights(clf), student_weights(alone))
    assert "alpha" not in clf.history_[0]
    assert column(clf, "train_loss") == column(clf, "train_loss_soft")


def test_schedules_are_cloned_searched_and_pickled(data, forest):
    clf = distilled(
        forest, temperature=LinearSchedule(8, 2), alpha=LinearSchedule(1, 0)
    )
    copied = clone(clf)
    assert copied.temperature is not clf.temperature
    assert copied.get_params()["temperature__start"] == 8
    copied.set_params(temperature__start=4)
    assert clf.temperature.start == 8
    loaded = pickle.loads(pickle.dumps(copied.fit(*data)))
    assert loaded.temperature.start == 4
    assert column(loaded, "temperature") == [4, 3, 2]
    grid = {"temperature": [2.0, LinearSchedule(6, 2)], "alpha__stop": [0.0, 0.5]}
    search = GridSearchCV(clf, grid, cv=2, error_score="raise").fit(*data)
    assert search.best_params_["alpha__stop"] in (0.0, 0.5)


# Numerics


@pytest.fixture(scope="module")
def sure_forest(data):
    """Return a forest with zeros among its probabilities."""
    forest = RandomForestClassifier(10, random_state=0).fit(*data)
    assert (forest.predict_proba(data[0]) == 0).mean() > 0.3
    return forest


@pytest.mark.parametrize("loss", LOGIT_LOSSES)
@pytest.mark.parametrize("temperature", [0.1, 1, 20, 1000])
def test_losses_are_finite_at_any_temperature(data, sure_forest, loss, temperature):
    clf = distilled(sure_forest, loss=loss, temperature=temperature)
    assert_sound(clf.fit(*data), data[0])


@pytest.mark.parametrize("n_distinct", [1, 10])
@pytest.mark.parametrize("family", FAMILIES, ids=name_of)
def test_losses_are_finite_where_rows_are_duplicates(data, mlp, family, n_distinct):
    X = np.repeat(data[0][:n_distinct], 90 // n_distinct, axis=0)
    clf = distilled(mlp, tiny_net(batch_size=20, max_epochs=3), alpha=1.0, **family)
    assert_sound(clf.fit(X), X)


@pytest.mark.parametrize(
    "params",
    [{"loss": loss} for loss in LOGIT_LOSSES if loss != "standardized"] + FAMILIES,
    ids=name_of,
)
def test_two_classes_will_do(data, params):
    X, y = data[0], data[1] > 0
    teacher = RandomForestClassifier(5, random_state=0).fit(X, y)
    clf = distilled(teacher, **params).fit(X, y)
    assert_sound(clf, X)
    assert clf.score(X, y) > 0.5


class Autocast(TinyModule):
    """Computes in 16 bits, with weights of 32."""

    def forward(self, X):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(X)


@pytest.mark.parametrize(
    "params", [{"loss": loss} for loss in LOGIT_LOSSES] + FAMILIES, ids=name_of
)
def test_a_net_under_autocast_is_trained(data, mlp, params):
    net = tiny_net(module=Autocast, max_epochs=10, lr=0.02)
    if params == {"loss": "dkd"}:
        params = {"loss": DKDLoss(warmup_epochs=0)}
    clf = distilled(mlp, net, **params).fit(*data)
    assert_sound(clf, data[0])
    losses_ = column(clf, "train_loss")
    assert losses_[-1] < losses_[0]
    assert student_weights(clf)[0].dtype == np.float32


@pytest.mark.parametrize("family", FAMILIES, ids=name_of)
def test_each_loss_falls_where_it_is_all_there_is_to_learn(data, mlp, family):
    net = tiny_net(max_epochs=25, lr=0.02)
    clf = distilled(mlp, net, loss=[("kl", 0)], alpha=0.0, **family)
    clf.set_params(feature_weight=1e3, relation_weight=1e3).fit(*data)
    term = f"train_loss_{next(iter(family)).removesuffix('_loss')}"
    values = column(clf, term)
    assert values[-1] < values[0]
    assert values[-1] == pytest.approx(min(values), rel=0.2)


def test_alpha_0_does_not_try_a_loss_that_two_classes_cannot_have(data):
    X, y = data[0], data[1] % 2
    teacher = LogisticRegression().fit(X, y)
    clf = distilled(teacher, loss="standardized", alpha=0.0).fit(X, y)
    assert "train_loss_soft" not in clf.history_[-1]


def test_one_hot_soft_labels_draw_no_warning_where_there_are_features(data):
    teacher = DecisionTreeClassifier(random_state=0).fit(*data)
    with pytest.warns(UserWarning, match="one-hot and equal to y"):
        distilled(teacher).fit(*data)
    distilled(teacher, feature_loss="hint").fit(*data)
