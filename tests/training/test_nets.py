"""Several nets that are trained at once, held against each by itself."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.checkpoint import checkpoint

from skdistill._students._net import MLP
from skdistill._training import _train
from skdistill._training._nets import plain_layers, stacked_outputs
from skdistill._training._train import train_all
from tests.conftest import TinyModule, tiny_net
from tests.training.conftest import lesson_of, weights_of

NET = {"max_epochs": 3, "batch_size": 32, "optimizer": torch.optim.SGD, "lr": 0.1}


@pytest.fixture
def stacks(monkeypatch):
    """Return the numbers of nets that are trained at once."""
    sizes = []

    def spy(lessons):
        sizes.append(len(lessons))
        run(lessons)

    run = _train.run
    monkeypatch.setattr(_train, "run", spy)
    return sizes


def lessons_of(rows, many):
    """Return a lesson for each set of parameters of a net and of an estimator."""
    return [lesson_of(tiny_net(**NET | net), rows, **params) for net, params in many]


def assert_learned_as_alone(rows, many, stacks, sizes):
    together = train_all(lessons_of(rows, many))
    assert sorted(stacks) == sizes
    for lesson, alone in zip(together, lessons_of(rows, many), strict=True):
        train_all([alone])
        assert lesson.error is alone.error is None
        pairs = zip(weights_of(lesson.net), weights_of(alone.net), strict=True)
        for found, expected in pairs:
            assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
        assert len(lesson.net.history) == len(alone.net.history)
        for name in set(alone.net.history[-1]) - {"dur", "batches"}:
            found, expected = (one.net.history[:, name] for one in (lesson, alone))
            assert_allclose(found, expected, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "many",
    [
        [({}, {"seed": seed}) for seed in (0, 1, 2)],
        [({}, {"temperature": t, "alpha": 0.4}) for t in (1.0, 3.0, 9.0)],
        [({}, {"alpha": alpha}) for alpha in (0.0, 0.5, 1.0)],
        [({"lr": lr}, {}) for lr in (0.1, 0.01, 0.3)],
        [
            ({"train_split": ValidSplit(3, stratified=True)}, {"seed": seed})
            for seed in (0, 1, 2)
        ],
    ],
    ids=["seed", "temperature", "alpha", "rate", "validation"],
)
def test_nets_learn_together_what_each_learns_alone(rows, many, stacks):
    assert_learned_as_alone(rows, many, stacks, [3])


OPTIONS = {
    "SGD": {"momentum": 0.8, "dampening": 0.1, "weight_decay": 0.1, "maximize": True},
    "RMSprop": {"alpha": 0.5, "eps": 1e-2, "momentum": 0.8, "centered": True},
    "Adam": {"betas": (0.5, 0.6), "eps": 1e-2, "weight_decay": 0.1, "amsgrad": True},
    "AdamW": {"betas": (0.5, 0.6), "eps": 1e-2, "weight_decay": 0.1, "amsgrad": True},
    "NAdam": {"betas": (0.5, 0.6), "momentum_decay": 0.1, "weight_decay": 0.1},
    "RAdam": {"betas": (0.5, 0.6), "eps": 1e-2, "decoupled_weight_decay": True},
    "Adagrad": {"initial_accumulator_value": 1.0, "lr_decay": 0.1},
    "Adadelta": {"rho": 0.5, "eps": 1e-2},
    "Adamax": {"betas": (0.5, 0.6), "eps": 1e-2},
    "ASGD": {"lambd": 0.1, "alpha": 0.5, "t0": 1.0},
    "Rprop": {"etas": (0.6, 1.1), "step_sizes": (1e-3, 0.1)},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_of_an_optimizer_counts(name, rows, stacks):
    net = {"optimizer": getattr(torch.optim, name), "lr": 0.01}
    options = {f"optimizer__{key}": value for key, value in OPTIONS[name].items()}
    many = [(net, {}), (net | options, {})]
    together = name in {kind.__name__ for kind in _train._ELEMENTWISE}
    assert_learned_as_alone(rows, many, stacks, [2] if together else [1, 1])


def test_nets_with_callbacks_of_their_own_learn_apart(rows, stacks):
    class Falls(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.optimizer_.param_groups[0]["lr"] /= 10

    many = [({"callbacks": [Falls()]}, {"seed": seed}) for seed in (0, 1)]
    assert_learned_as_alone(rows, many, stacks, [1, 1])


def halve(weight):
    """Halve the gradient of a weight, where it is kept."""
    weight.grad.mul_(0.5)


class Hooked(TinyModule):
    """Changes its gradients by hooks on its weights."""

    def __init__(self, n_features=2, n_classes=2, hook="register_hook"):
        super().__init__(n_features, n_classes)
        change = halve if "post" in hook else torch.zeros_like
        getattr(self[0].weight, hook)(change)


HOOKS = ["register_hook", "register_post_accumulate_grad_hook"]


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_of_weights_change_their_gradients(hook, rows, stacks):
    net = {"module": Hooked, "module__hook": hook}
    assert_learned_as_alone(rows, [(net, {}), (net, {"alpha": 0.3})], stacks, [1, 1])


class Checkpointed(TinyModule):
    """Computes its outputs a second time for its gradients."""

    def forward(self, X):
        return checkpoint(super().forward, X, use_reentrant=False)


def turn_around(layer, of_inputs, of_outputs):
    return (-of_inputs[0],)


class Reversed(TinyModule):
    """Turns the gradients of its first layer around."""

    def __init__(self, n_features=2, n_classes=2):
        super().__init__(n_features, n_classes)
        self[2].register_full_backward_hook(turn_around)


@pytest.mark.parametrize(
    ("module", "why"),
    [(Checkpointed, "cannot be stacked"), (Reversed, "something else in a stack")],
)
def test_modules_with_gradients_of_their_own_learn_apart(module, why, rows):
    many = [({"module": module}, {"alpha": alpha}) for alpha in (0.3, 0.7)]
    for lesson in train_all(lessons_of(rows, many)):
        assert lesson.error is None
        assert lesson.alone.endswith(why)


def test_nets_may_stop_at_different_epochs(rows, stacks):
    def net(patience):
        stop = EarlyStopping("train_loss", patience=patience, threshold=1.0)
        return {"callbacks": [stop], "max_epochs": 8}

    many = [(net(patience), {"seed": patience}) for patience in (1, 2, 4)]
    assert_learned_as_alone(rows, many, stacks, [3])
    lessons = train_all(lessons_of(rows, many))
    assert len({len(lesson.net.history) for lesson in lessons}) == 3


def test_nets_of_other_shapes_are_apart(rows, stacks):
    many = [({"module__n_hidden": n}, {"seed": s}) for n in (4, 8) for s in (0, 1)]
    assert_learned_as_alone(rows, many, stacks, [2, 2])


def test_of_equal_nets_one_is_trained(rows, stacks):
    many = [({}, {"alpha": 0.0, "temperature": t}) for t in (1.0, 2.0, 4.0)]
    lessons = train_all(lessons_of(rows, many))
    assert stacks == [1]
    first, *others = (weights_of(lesson.net) for lesson in lessons)
    for other in others:
        for found, expected in zip(other, first, strict=True):
            assert_allclose(found, expected, rtol=0)
    assert len({id(lesson.net.module_) for lesson in lessons}) == 3


class Scaled(TinyModule):
    """Says nothing of a number that it multiplies by."""

    def __init__(self, n_features=2, n_classes=2, factor=1.0):
        super().__init__(n_features, n_classes)
        self.factor = factor

    def forward(self, X):
        return self.factor * super().forward(X)


def test_nets_that_compute_something_else_are_not_equal(rows, stacks):
    nets = [{"module": Scaled, "module__factor": factor} for factor in (1.0, 5.0)]
    assert_learned_as_alone(rows, [(net, {}) for net in nets], stacks, [1, 1])


def test_a_net_that_breaks_leaves_the_others_alone(rows, stacks):
    lessons = train_all(lessons_of(rows, [({"lr": 1e30}, {}), ({"lr": 0.1}, {})]))
    assert stacks == [2]
    broken, sound = sorted(lessons, key=lambda lesson: lesson.error is None)
    assert "not finite in epoch 1" in str(broken.error)
    assert sound.error is None
    assert np.isfinite(np.concatenate(weights_of(sound.net), axis=None)).all()


class Breaks(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise RuntimeError("broken callback")


def test_an_error_of_a_callback_is_that_of_its_net(rows):
    nets = [{"callbacks": [Breaks()]}, {}]
    broken, sound = train_all(lessons_of(rows, [(net, {"seed": 1}) for net in nets]))
    assert "broken callback" in str(broken.error)
    assert sound.error is None
    assert len(sound.net.history) == 3


class Sometimes(TinyModule):
    """Takes batches of two rows alone, as its check in a stack has."""

    def forward(self, X):
        if len(X) > 2:
            raise RuntimeError("broken module")
        return super().forward(X)


def test_an_error_of_a_step_is_that_of_all_nets(rows, stacks):
    many = [({"module": Sometimes}, {"seed": seed}) for seed in (0, 1, 2)]
    lessons = train_all(lessons_of(rows, many))
    assert stacks == [3]
    assert ["broken module" in str(lesson.error) for lesson in lessons] == 3 * [True]


def test_a_pickle_of_one_net_does_not_hold_the_others(rows):
    many = [({}, {"seed": seed}) for seed in range(12)]
    one = len(pickle.dumps(train_all(lessons_of(rows, many[:1]))[0].net.module_))
    of_many = len(pickle.dumps(train_all(lessons_of(rows, many))[0].net.module_))
    assert of_many < 1.1 * one


class Tied(nn.Sequential):
    """Has a weight that is that of two layers."""

    def __init__(self):
        super().__init__(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        self[2].weight = self[0].weight


MODULES = {
    "MLP": lambda: MLP(4, 3, (8, 8)),
    "linear": lambda: MLP(4, 3, ()),
    "periodic": lambda: MLP(4, 3, (8,), periodic=True),
    "Sequential": lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)),
    "no bias": lambda: nn.Sequential(nn.Linear(4, 3, bias=False)),
    "own": lambda: Scaled(4, 3, factor=3.0),
    "tied": Tied,
}


@pytest.mark.parametrize("name", MODULES)
def test_outputs_of_a_stack_are_those_of_its_modules(name):
    modules = [MODULES[name]() for _ in range(3)]
    weights = {
        key: torch.stack([dict(one.named_parameters())[key] for one in modules])
        for key, _ in modules[0].named_parameters()
    }
    X = torch.randn(3, 7, 4)
    found = stacked_outputs(modules[0], weights, X, plain_layers(modules[0]))
    for own, module, inputs in zip(found, modules, X, strict=True):
        torch.testing.assert_close(own, module(inputs))


@pytest.mark.parametrize(
    ("name", "n_layers"),
    [
        ("MLP", 5),
        ("linear", 1),
        ("Sequential", 3),
        ("periodic", 0),
        ("own", 0),
        ("tied", 0),
    ],
)
def test_layers_are_found_where_there_is_nothing_else(name, n_layers):
    assert len(plain_layers(MODULES[name]()) or []) == n_layers
