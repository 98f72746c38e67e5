"""The loop for nets, held against skorch's, and which nets it takes."""

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
from skorch.helper import predefined_split
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, RandomSampler, Subset, default_collate

from skdistill import make_student
from skdistill._students._student import net_of
from skdistill._training import _loop, _train
from skdistill.losses import KLLoss
from skdistill.schedules import CosineSchedule, LinearSchedule
from tests.conftest import TinyModule, tiny_net
from tests.training.conftest import Listens, lesson_of, train, weights_of


@pytest.fixture
def looped(monkeypatch):
    """Return a list of the nets that the loop has trained."""
    seen = []

    def spy(lessons):
        seen.extend(lesson.net for lesson in lessons)
        run(lessons)

    run = _train.run
    monkeypatch.setattr(_train, "run", spy)
    return seen


def own_net(**params):
    """Return a net whose steps do not magnify the rounding of its gradients."""
    defaults = {
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "batch_size": 32,
        "max_epochs": 3,
        "iterator_train__shuffle": False,  # each draws an order of its own
    }
    return tiny_net(**defaults | params)


# The same as skorch's


class Double(TinyModule):
    """Has weights in double precision."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)
        self.double()


class Normed(nn.Sequential):
    """Has statistics of its batches."""

    def __init__(self, n_features=2, n_classes=2):
        super().__init__(
            nn.Linear(n_features, 8),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.Linear(8, n_classes),
        )


class EndsBeforeEpoch(Callback):
    """Ends the training as skorch has it, before its third epoch."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt


def in_dtype(dtype):
    class Module(TinyModule):
        def forward(self, X):
            return self.to(dtype)[2](torch.relu(self[0](X.to(dtype))))

    return Module


def default_student(**params):
    student = make_student((8,), max_epochs=3, batch_size=32, **params)
    student.set_params(net__iterator_train__shuffle=False)
    # Without it, AdamW would make steps of the rounding of gradients that are zero.
    return student.set_params(net__optimizer__eps=1e-3)


WEIGHTS = np.linspace(0, 2, 90, dtype=np.float32)
EVERY_THIRD = (np.arange(90) % 3 == 0).astype(np.float32)
FIRST = (np.arange(90) >= 40).astype(np.float32)

STUDENTS = {
    "plain": own_net,
    "drop_last": lambda: own_net(iterator_train__drop_last=True),
    "no device": lambda: own_net(device=None),
    "all rows": lambda: own_net(batch_size=-1),
    "normed": lambda: own_net(module=Normed),
    "ended": lambda: own_net(callbacks=[EndsBeforeEpoch()]),
    "float64": lambda: own_net(module=in_dtype(torch.float64)),
    "float64 weights": lambda: own_net(module=Double),
    "validation": lambda: own_net(
        module=Normed,
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
    "periodic": lambda: default_student(numeric="periodic"),
}


def assert_loop_is_the_same(student, rows, looped, **params):
    """Assert that a student learns the same where a callback listens to batches."""
    own, by_skorch = student(), student()
    net = net_of(by_skorch)
    net.set_params(callbacks=[*(net.callbacks or []), ("listens", Listens())])
    for one in (own, by_skorch):
        train(one, rows, **params)
    assert looped == [net_of(own)]
    pairs = zip(weights_of(net_of(own)), weights_of(net), strict=True)
    for found, expected in pairs:
        assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    for found, expected in zip(net_of(own).history, net.history, strict=True):
        names = set(expected) - {"dur", "batches"}
        assert set(found) - {"dur", "batches"} == names
        for name in names:
            assert_allclose(
                found[name], expected[name], rtol=1e-4, atol=1e-6, err_msg=name
            )


@pytest.mark.parametrize("student", STUDENTS.values(), ids=STUDENTS)
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_a_student_learns_the_same(rows, looped, student, alpha):
    assert_loop_is_the_same(student, rows, looped, alpha=alpha)


@pytest.mark.parametrize(
    "params",
    [
        {"loss": [("kl", 0.3)]},
        {"loss": KLLoss(temperature=2.5)},
        {"loss": KLLoss(temperature=8.0)},
        {"temperature": 1.0},
        {"temperature": 1.0, "alpha": 1.0},
        {"alpha": 1.0},
        {"temperature": LinearSchedule(8, 1), "alpha": CosineSchedule(1, 0)},
    ],
    ids=str,
)
def test_each_temperature_teaches_the_same(rows, looped, params):
    assert_loop_is_the_same(own_net, rows, looped, **params)


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
def test_weights_of_the_rows_count_the_same(rows, looped, weights, temperature):
    rows = replace(rows, **weights)
    assert_loop_is_the_same(own_net, rows, looped, alpha=0.3, temperature=temperature)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_pseudo_labels_teach_the_same(rows, looped, temperature):
    labels = np.random.default_rng(0).dirichlet([1, 1, 1], 50).astype(np.float32)
    rows = rows.with_pseudo_labels(labels)
    assert_loop_is_the_same(own_net, rows, looped, temperature=temperature, alpha=0.3)


def test_sparse_rows_are_learned_the_same(rows, looped):
    sparse = replace(rows, X=csr_matrix(rows.X))
    assert_loop_is_the_same(own_net, sparse, looped)


@pytest.mark.parametrize("n_rows", [1, 64, 70])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_rows_that_are_made_ready_one_after_the_other_are_the_same(
    rows, looped, alpha, n_rows, monkeypatch
):
    def student():
        return own_net(batch_size=16)

    monkeypatch.setattr(_loop, "_ROWS_AT_ONCE", n_rows)
    assert_loop_is_the_same(student, rows, looped, alpha=alpha)


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
def test_an_epoch_that_breaks_the_net_is_undone(rows, looped, alpha):
    net = train(tiny_net(batch_size=30), rows, alpha=alpha)
    before = weights_of(net)
    with pytest.raises(ValueError, match="not finite"):
        train(net.set_params(lr=1e30), rows, epochs=1, alpha=alpha)
    assert looped == [net, net]
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
    "criterion": lambda: own_net(criterion__label_smoothing=0.1),
    "batch_size": lambda: own_net(iterator_train__batch_size=7),
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
def test_what_might_look_at_batches_sees_each(rows, looped, student):
    net = train(student(), rows)
    assert not looped
    assert len(net.history[-1, "batches"]) == net.history[-1, "train_batch_count"]


@pytest.mark.parametrize("name", sorted(_loop._REPLACED))
def test_own_methods_are_used(rows, looped, name):
    train(derived(name), rows)
    assert not looped


class Lazy(nn.Sequential):
    """Finds the shapes of its weights in its first batch."""

    def __init__(self, n_features=2, n_classes=2):
        norm = nn.LazyBatchNorm1d(affine=False)
        super().__init__(nn.LazyLinear(8), norm, nn.ReLU(), nn.LazyLinear(n_classes))


@pytest.mark.parametrize("together", [False, True])
def test_modules_that_find_their_shapes_themselves_are_trained(rows, looped, together):
    nets = [own_net(module=Lazy, max_epochs=1) for _ in range(1 + together)]
    _train.train([lesson_of(net, rows) for net in nets])
    assert not looped
    assert weights_of(nets[-1])[0].shape == (8, 4)


def test_callbacks_of_the_estimator_may_listen(rows, looped):
    train(own_net(), rows, callbacks=[Listens()])
    assert not looped


@pytest.mark.parametrize("wrap", [lambda held_out: held_out, lambda d: Subset(d, [1])])
def test_rows_from_elsewhere_are_held_out_by_skorch(rows, looped, wrap):
    held_out = Dataset(rows.X[:9], rows.hard[:9])
    net = train(own_net(train_split=predefined_split(wrap(held_out))), rows)
    assert not looped
    assert np.isfinite(net.history[:, "valid_loss"]).all()


@pytest.mark.parametrize(
    "params",
    [{"relation_loss": "rkd"}, {"loss": "jsd"}, {"loss": [("kl", 1.0), ("jsd", 1.0)]}],
    ids=str,
)
def test_other_losses_are_of_batches(rows, looped, params):
    train(own_net(), rows, **params)
    assert not looped


@pytest.mark.parametrize(
    "callback",
    [
        LRScheduler(StepLR, step_size=1),
        EpochScoring("accuracy", on_train=False),
        EarlyStopping("train_loss"),
        listening("on_epoch_end"),
    ],
    ids=lambda callback: getattr(type(callback), "__name__", "own"),
)
def test_callbacks_that_do_nothing_at_training_batches_cost_nothing(
    rows, looped, callback
):
    net = train(own_net(callbacks=[callback]), rows)
    assert looped == [net]
    assert len(net.history) == 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_the_same_student(rows):
    nets = [net_of(train(default_student(device=d), rows)) for d in ("cpu", "cuda")]
    expected, found = (net.predict_proba(rows.X) for net in nets)
    assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("device", "free", "moves"),
    [
        ("cuda", 200, True),
        ("cuda:1", 199, False),
        ("cpu", 200, False),
        (None, 9, False),
    ],
)
def test_inputs_move_to_a_gpu_of_twice_their_size(device, free, moves, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**9))
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: device)
    X = np.zeros((5, 5), dtype=np.float32)
    found = _loop._resident(X, device)
    assert found == device if moves else isinstance(found, torch.Tensor)
