"""Epochs without work around each batch: when, and the same as skorch's."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix
from skorch import NeuralNetClassifier
from skorch.callbacks import (
    BatchScoring,
    Callback,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
    LRScheduler,
    ProgressBar,
)
from skorch.dataset import Dataset, ValidSplit
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, RandomSampler, default_collate

from skdistill import make_student
from skdistill._training import _epoch, _hooks
from skdistill._training._train import net_of
from skdistill.losses import KLLoss
from skdistill.losses._base import LOSSES
from skdistill.schedules import CosineSchedule, LinearSchedule
from tests.conftest import TinyModule, tiny_net
from tests.training.conftest import Noisy, train, weights_of


@pytest.fixture
def fast_epochs(monkeypatch):
    """Return a list of the nets that trained for an epoch the fast way."""
    seen = []

    def spy(net, batches):
        seen.append(net)
        return run_epoch(net, batches)

    run_epoch = _hooks.run_epoch
    monkeypatch.setattr(_hooks, "run_epoch", spy)
    return seen


class Listens(Callback):
    def on_batch_end(self, net, **kwargs):
        pass


def own_net(**params):
    """Return a net whose steps do not magnify the rounding of its gradients."""
    defaults = {
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "batch_size": 32,
        "max_epochs": 3,
    }
    return tiny_net(**defaults | params)


# The same as skorch's


class Proba(TinyModule):
    def forward(self, X):
        return super().forward(X).softmax(dim=1)


class Double(TinyModule):
    """Has weights in double precision."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)
        self.double()


def in_dtype(dtype):
    class Module(TinyModule):
        def forward(self, X):
            return self.to(dtype)[2](torch.relu(self[0](X.to(dtype))))

    return Module


def default_student(**params):
    student = make_student((8,), max_epochs=3, batch_size=32, **params)
    # Without it, AdamW would make steps of the rounding of gradients that are zero.
    return student.set_params(net__optimizer__eps=1e-3)


WEIGHTS = np.linspace(0, 2, 90, dtype=np.float32)
EVERY_THIRD = (np.arange(90) % 3 == 0).astype(np.float32)
FIRST = (np.arange(90) >= 40).astype(np.float32)

STUDENTS = {
    "plain": own_net,
    "shuffle=False": lambda: own_net(iterator_train__shuffle=False),
    "drop_last": lambda: own_net(iterator_train__drop_last=True),
    "no device": lambda: own_net(device=None),
    "all rows": lambda: own_net(batch_size=-1),
    "own batch_size": lambda: own_net(iterator_train__batch_size=7),
    "noisy": lambda: own_net(module=Noisy),
    "Proba": lambda: own_net(module=Proba, criterion=nn.NLLLoss),
    "float64": lambda: own_net(module=in_dtype(torch.float64)),
    "float64 weights": lambda: own_net(module=Double),
    "class weights": lambda: own_net(criterion__weight=torch.tensor([1.0, 5.0, 0.5])),
    "label_smoothing": lambda: own_net(criterion__label_smoothing=0.1),
    "ignore_index": lambda: own_net(criterion__ignore_index=1),
    "reduction": lambda: own_net(criterion__reduction="sum", lr=1e-3),
    "validation": lambda: own_net(
        module=Noisy,
        train_split=ValidSplit(3, stratified=True),
        callbacks=[
            LRScheduler(StepLR, step_size=1, gamma=0.5),
            EarlyStopping("valid_loss", patience=1, threshold=0.2),
            EpochScoring("accuracy", on_train=False, name="score"),
        ],
    ),
    "standard": lambda: default_student(numeric="standard"),
    "piecewise": lambda: default_student(numeric="piecewise", weight_decay=0.2),
    "early_stopping": lambda: default_student(early_stopping=True),
    "periodic": lambda: default_student(numeric="periodic", dropout=0.2),
}


def assert_fast_is_the_same(student, rows, fast_epochs, exact=False, **params):
    """Assert that a student learns the same where a callback listens to batches."""
    fast, slow = student(), student()
    fast_epochs.clear()
    net = net_of(slow)
    net.set_params(callbacks=[*(net.callbacks or []), ("listens", Listens())])
    train(fast, rows, **params)
    n_fast = len(fast_epochs)
    assert n_fast == len(net_of(fast).history)
    train(slow, rows, **params)
    assert len(fast_epochs) == n_fast
    tolerance = {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-4, "atol": 1e-6}
    pairs = zip(weights_of(net_of(fast)), weights_of(net), strict=True)
    for own, expected in pairs:
        assert_allclose(own, expected, **tolerance)
    for own, expected in zip(net_of(fast).history, net.history, strict=True):
        _assert_same_columns(own, expected, tolerance)
        for one, other in zip(own["batches"], expected["batches"], strict=True):
            _assert_same_columns(one, other, tolerance)


def _assert_same_columns(own, expected, tolerance):
    names = set(expected) - {"dur", "batches"}
    assert set(own) - {"dur", "batches"} == names
    for name in names:
        assert_allclose(own[name], expected[name], **tolerance, err_msg=name)


@pytest.mark.parametrize("student", STUDENTS.values(), ids=STUDENTS)
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_a_student_learns_the_same(rows, fast_epochs, student, alpha):
    exact = alpha == 0
    assert_fast_is_the_same(student, rows, fast_epochs, alpha=alpha, exact=exact)


@pytest.mark.parametrize(
    "params",
    [
        *({"loss": loss} for loss in sorted(LOSSES["loss"])),
        {"loss": [("kl", 0.3), ("logit_mse", 2.0)]},
        {"loss": [("kl", 0.3)]},
        {"loss": [("kl", 0)]},
        {"loss": KLLoss(temperature=2.5)},
        {"loss": KLLoss(temperature=8.0)},
        {"temperature": 1.0},
        {"temperature": 1.0, "alpha": 1.0},
        {"alpha": 1.0},
        {"temperature": LinearSchedule(8, 1), "alpha": CosineSchedule(1, 0)},
    ],
    ids=str,
)
def test_each_loss_teaches_the_same(rows, fast_epochs, params):
    exact = isinstance(params.get("loss"), str) and params["loss"] != "kl"
    assert_fast_is_the_same(own_net, rows, fast_epochs, exact=exact, **params)


@pytest.mark.parametrize("loss", ["kl", "logit_mse"])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize(
    "weights",
    [
        {"soft_weight": WEIGHTS, "hard_weight": WEIGHTS},
        {"soft_weight": WEIGHTS, "hard_weight": WEIGHTS * EVERY_THIRD},
        {"soft_weight": EVERY_THIRD},
        {"hard_weight": EVERY_THIRD},
        {"hard_weight": FIRST},
        {"hard_weight": 0.0},
        {"soft_weight": WEIGHTS, "hard_weight": 0.0},
        {"soft_weight": FIRST, "hard_weight": FIRST},
    ],
    ids=[
        "both",
        "unlike",
        "some soft",
        "some hard",
        "batch without labels",
        "no labels",
        "no labels, weights",
        "batch without weight",
    ],
)
def test_weights_of_the_rows_count_the_same(
    rows, fast_epochs, weights, temperature, loss
):
    def student():
        return own_net(iterator_train__shuffle=False)

    rows = replace(rows, **weights)
    params = {"loss": loss, "temperature": temperature, "exact": loss != "kl"}
    assert_fast_is_the_same(student, rows, fast_epochs, alpha=0.3, **params)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_pseudo_labels_teach_the_same(rows, fast_epochs, temperature):
    labels = np.random.default_rng(0).dirichlet([1, 1, 1], 50).astype(np.float32)
    rows = rows.with_pseudo_labels(labels)
    assert_fast_is_the_same(
        own_net, rows, fast_epochs, temperature=temperature, alpha=0.3
    )


def test_sparse_rows_are_learned_the_same(rows, fast_epochs):
    sparse = replace(rows, X=csr_matrix(rows.X))
    assert_fast_is_the_same(own_net, sparse, fast_epochs)


@pytest.mark.parametrize("n_rows", [1, 64, 70])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_rows_that_are_made_ready_one_after_the_other_are_the_same(
    rows, fast_epochs, alpha, n_rows, monkeypatch
):
    def student():
        return own_net(batch_size=16)

    monkeypatch.setattr(_epoch, "_ROWS_AT_ONCE", n_rows)
    assert_fast_is_the_same(student, rows, fast_epochs, alpha=alpha)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_the_errors_are_the_same(rows, alpha):
    messages = []
    for callbacks in ([], [Listens()]):
        net = own_net(lr=1e30, callbacks=callbacks)
        with pytest.raises(ValueError, match="not finite in epoch 1, at") as error:
            train(net, rows, alpha=alpha)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_an_epoch_that_breaks_the_net_is_undone(rows, fast_epochs, alpha):
    net = train(tiny_net(batch_size=30), rows, alpha=alpha)
    before = weights_of(net)
    with pytest.raises(ValueError, match="not finite"):
        train(net.set_params(lr=1e30), rows, epochs=1, alpha=alpha)
    assert len(fast_epochs) == 11
    for own, expected in zip(weights_of(net), before, strict=True):
        assert_allclose(own, expected, rtol=0)
    train(net.set_params(lr=0.1), rows, epochs=1, alpha=alpha)
    assert np.isfinite(net.history[-1, "train_loss"])


# When


class OwnLoader(DataLoader):
    """A loader of the person's own."""


class OwnDataset(Dataset):
    """A dataset of the person's own."""


class OwnSGD(torch.optim.SGD):
    """An optimizer of the person's own."""


def own_collate(items):
    return default_collate(items)


def generated(shuffle):
    generator = torch.Generator()
    return own_net(iterator_train__generator=generator, iterator_train__shuffle=shuffle)


def sampled(**params):
    sampler = RandomSampler(range(90), **params)
    return own_net(iterator_train__sampler=sampler, iterator_train__shuffle=False)


def derived(name):
    """Return a net with a method of its own in place of one of skorch's."""

    def own(self, *args, **kwargs):
        return getattr(NeuralNetClassifier, name)(self, *args, **kwargs)

    cls = type("Own", (NeuralNetClassifier,), {name: own})
    return cls(**own_net().get_params(deep=False))


class TwoOptimizers(NeuralNetClassifier):
    """Trains the first layer by an optimizer of its own."""

    def initialize_optimizer(self, triggered_directly=None):
        first, _, last = self.module_
        self.optimizer_ = torch.optim.SGD(last.parameters(), lr=0.1)
        self.second_ = torch.optim.SGD(first.parameters(), lr=0.1)
        return self


def patched(name):
    net = own_net()
    setattr(net, name, getattr(net, name))
    return net


def listening(hook):
    return type("Own", (Callback,), {hook: lambda self, net, *args, **kwargs: None})


UNLIKE = {
    "loader": lambda: own_net(iterator_train=OwnLoader),
    "workers": lambda: own_net(iterator_train__num_workers=1),
    "pin_memory": lambda: own_net(iterator_train__pin_memory=True),
    "generator": lambda: generated(shuffle=True),
    "generator, no shuffle": lambda: generated(shuffle=False),
    "sampler's generator": lambda: sampled(generator=torch.Generator()),
    "replacement": lambda: sampled(replacement=True),
    "num_samples": lambda: sampled(num_samples=60),
    "sampler": lambda: own_net(
        iterator_train__sampler=list(range(90)), iterator_train__shuffle=False
    ),
    "batch_sampler": lambda: own_net(
        iterator_train__batch_sampler=[[1, 0], [2, 3]],
        iterator_train__batch_size=1,
        iterator_train__shuffle=False,
    ),
    "collate_fn": lambda: own_net(iterator_train__collate_fn=own_collate),
    "dataset": lambda: own_net(dataset=OwnDataset),
    "no batch": lambda: own_net(iterator_train__drop_last=True, batch_size=100),
    "two optimizers": lambda: TwoOptimizers(**own_net().get_params(deep=False)),
    "optimizer": lambda: own_net(optimizer=OwnSGD),
    "LBFGS": lambda: tiny_net(optimizer=torch.optim.LBFGS, batch_size=-1),
    "on_batch_begin": lambda: own_net(callbacks=[listening("on_batch_begin")]),
    "on_batch_end": lambda: own_net(callbacks=[listening("on_batch_end")]),
    "on_grad_computed": lambda: own_net(callbacks=[listening("on_grad_computed")]),
    "GradientNormClipping": lambda: own_net(callbacks=[GradientNormClipping(1.0)]),
    "ProgressBar": lambda: own_net(callbacks=[ProgressBar()]),
    "LRScheduler": lambda: own_net(
        callbacks=[LRScheduler(StepLR, step_size=1, step_every="batch")]
    ),
    "EpochScoring": lambda: own_net(
        callbacks=[EpochScoring("accuracy", on_train=True)]
    ),
    "BatchScoring": lambda: own_net(
        callbacks=[BatchScoring("accuracy", on_train=True)]
    ),
    "instance": lambda: patched("train_step"),
}


@pytest.mark.filterwarnings("ignore:.*pin_memory")
@pytest.mark.parametrize("student", UNLIKE.values(), ids=UNLIKE)
def test_what_might_look_at_batches_sees_each(rows, fast_epochs, student):
    net = train(student(), rows)
    assert not fast_epochs
    assert len(net.history[-1, "batches"]) == net.history[-1, "train_batch_count"]


@pytest.mark.parametrize("name", sorted(_epoch._STOCK))
def test_own_methods_are_used(rows, fast_epochs, name):
    train(derived(name), rows)
    assert not fast_epochs


@pytest.mark.parametrize("own", ["step", "batches"])
def test_steps_and_batches_of_an_own_loop_are_used(rows, fast_epochs, own):
    class Own(NeuralNetClassifier):
        def fit_loop(self, X, y, **kwargs):
            batches = self.get_iterator(self.get_dataset(X, y), training=True)
            self.notify("on_epoch_begin", dataset_train=None, dataset_valid=None)
            if own == "step":
                self.run_single_epoch(batches, True, "train", self.own_step)
            else:
                self.run_single_epoch(list(batches), True, "train", self.train_step)

        def own_step(self, batch, **params):
            return self.train_step(batch, **params)

    net = train(Own(**own_net().get_params(deep=False)), rows)
    assert not fast_epochs
    assert net.history[-1, "train_batch_count"] == 3


def test_parameters_of_the_forward_pass_reach_it(rows, fast_epochs):
    class Scaled(TinyModule):
        def forward(self, X, scale):
            return scale * super().forward(X)

    class Own(NeuralNetClassifier):
        def fit(self, X, y):
            return super().fit(X, y, scale=2.0)

    own = Own(**own_net(module=Scaled).get_params(deep=False))
    with pytest.raises(TypeError, match="scale"):  # at prediction
        train(own, rows)
    assert not fast_epochs
    assert len(own.history) == 3


def test_callbacks_of_the_estimator_may_listen(rows, fast_epochs):
    train(own_net(), rows, callbacks=[Listens()])
    assert not fast_epochs


def test_losses_on_features_are_of_batches(rows, fast_epochs):
    train(own_net(), rows, relation_loss="rkd")
    assert not fast_epochs


@pytest.mark.parametrize(
    "callback",
    [
        LRScheduler(StepLR, step_size=1),
        EpochScoring("accuracy", on_train=False),
        BatchScoring("accuracy", on_train=False),
        EarlyStopping("train_loss"),
        listening("on_epoch_end"),
    ],
    ids=lambda callback: getattr(type(callback), "__name__", "own"),
)
def test_callbacks_that_do_nothing_at_training_batches_cost_nothing(
    rows, fast_epochs, callback
):
    net = train(own_net(callbacks=[callback]), rows)
    assert len(fast_epochs) == len(net.history) == 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_the_same_student(rows):
    nets = [net_of(train(default_student(device=d), rows)) for d in ("cpu", "cuda")]
    expected, found = (net.predict_proba(rows.X) for net in nets)
    assert_allclose(found, expected, atol=1e-3)
