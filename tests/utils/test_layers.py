"""What goes into a module, and what a layer makes of it, caught by Watch."""

import threading

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skdistill.utils._layers import NoFeaturesError, Watch, as_weights, dtype_of
from tests.conftest import hooks

N_ROWS = 5


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_input_gets_the_precision_of_the_weights(dtype):
    module = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2)).to(dtype)
    assert dtype_of(module) == dtype
    assert as_weights(module, torch.zeros(3)).dtype == dtype
    several = {"codes": torch.zeros(3, dtype=torch.int32), "numbers": torch.zeros(3)}
    dtypes = [one.dtype for one in as_weights(module, several).values()]
    assert dtypes == [torch.int64, dtype]


def test_input_of_a_module_without_weights_stays_as_it_is():
    assert as_weights(nn.ReLU(), torch.zeros(3).double()).dtype == torch.float64


@pytest.mark.parametrize("given", [torch.int64, torch.int32, torch.uint8, torch.bool])
@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (nn.Embedding(3, 2), torch.int64),
        (nn.EmbeddingBag(3, 2), torch.int64),
        (nn.Linear(3, 2).double(), torch.float64),
        (nn.ReLU(), torch.float32),
    ],
    ids=["Embedding", "EmbeddingBag", "Linear", "ReLU"],
)
def test_integers_stay_integers_where_they_are_looked_up(part, expected, given):
    found = as_weights(nn.Sequential(part), torch.ones(3, dtype=given))
    assert found.dtype == expected
    assert found.tolist() == [1, 1, 1]


class FirstDefinedLastCalled(nn.Module):
    """Its attributes are in another order than its calls."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.body = nn.Linear(4, 6)

    def forward(self, X):
        return self.head(torch.tanh(self.body(X)))


class Reused(nn.Module):
    """Calls one linear layer twice."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, X):
        return self.layer(torch.tanh(self.layer(X)))


class Bypassing(nn.Module):
    """Has a linear layer that it does not call."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Linear(4, 3)

    def forward(self, X):
        return X[:, :3]


class ByKeyword(nn.Module):
    """Hands its last layer the input by name."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, X):
        return self.head(input=torch.tanh(self.body(X)))


class Refusing(nn.Module):
    """Raises after its layer was called."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, X):
        self.layer(X)
        raise RuntimeError("no forward pass today")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def X():
    return torch.randn(N_ROWS, 4)


def perceptron(inplace=False):
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=inplace), nn.Linear(6, 3))


def watch(module, layer=None):
    return Watch(module, layer, "the teacher", "teacher_features")


def caught(module, X, layer=None):
    watching = watch(module, layer)
    with watching:
        module(X)
    return watching.take(len(X))


# What is caught


@pytest.mark.parametrize(
    ("layer", "by_hand"),
    [
        ("0", lambda net, X: X @ net[0].weight.T + net[0].bias),
        ("1", lambda net, X: (X @ net[0].weight.T + net[0].bias).clamp(min=0)),
        ("2", lambda net, X: net(X)),
    ],
    ids=["first", "hidden", "last"],
)
def test_named_layer_gives_its_output(layer, by_hand, X):
    module = perceptron()

    assert_close(caught(module, X, layer), by_hand(module, X))


def test_layer_inside_another_is_named_with_a_dot(X):
    module = nn.Sequential(perceptron(), nn.Linear(3, 2))

    assert_close(caught(module, X, "0.1"), module[0][:2](X))


@pytest.mark.parametrize(
    ("make_module", "by_hand"),
    [
        pytest.param(perceptron, lambda net, X: torch.relu(net[0](X)), id="sequential"),
        pytest.param(
            FirstDefinedLastCalled,
            lambda net, X: torch.tanh(net.body(X)),
            id="defined first, called last",
        ),
        pytest.param(
            Reused, lambda net, X: torch.tanh(net.layer(X)), id="called twice"
        ),
        pytest.param(
            ByKeyword, lambda net, X: torch.tanh(net.body(X)), id="called by keyword"
        ),
        pytest.param(lambda: nn.Linear(4, 3), lambda net, X: X, id="nothing but it"),
    ],
)
def test_default_is_the_input_of_the_last_linear_layer_called(make_module, by_hand, X):
    module = make_module()

    assert_close(caught(module, X), by_hand(module, X))


def test_named_layer_that_is_called_twice_gives_its_last_output(X):
    module = Reused()

    assert_close(caught(module, X, "layer"), module(X))


@pytest.mark.parametrize("layer", ["0", None])
def test_further_dimensions_are_flattened(layer):
    images = torch.randn(N_ROWS, 1, 6, 6)
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 3))

    features = caught(module, images, layer)

    assert features.shape == (N_ROWS, 32)
    assert_close(features, module[0](images).reshape(N_ROWS, 32))


def test_work_in_place_after_the_layer_leaves_what_was_caught(X):
    module = perceptron(inplace=True)

    features = caught(module, X, "0")

    assert_close(features, module[0](X))
    assert (features < 0).any()


def test_the_last_pass_counts_and_a_watch_can_be_used_again(X):
    module = perceptron()
    watching = watch(module)

    for rows in (X, 2 * X[:3]):
        with watching:
            module(rows + 1)
            module(rows)
        assert_close(watching.take(len(rows)), module[:2](rows))


@pytest.mark.parametrize(
    ("layer", "by_hand"),
    [("0", lambda net, X: net[0](X)), (None, lambda net, X: net[:2](X))],
)
@pytest.mark.parametrize("inplace", [False, True])
def test_gradient_flows_through_what_was_caught(layer, by_hand, inplace, X):
    module = perceptron(inplace)
    first = module[0].weight
    (expected,) = torch.autograd.grad(by_hand(module, X).square().sum(), first)

    (gradient,) = torch.autograd.grad(caught(module, X, layer).square().sum(), first)

    assert gradient.abs().max() > 0
    assert_close(gradient, expected)


def test_output_of_the_module_is_left_as_it_was(X):
    module = perceptron(inplace=True)
    expected = module(X)

    with watch(module, "0"), watch(module):
        watched = module(X)

    assert_close(watched, expected, rtol=0, atol=0)


# Hooks


@pytest.mark.parametrize("layer", ["0", None])
def test_hooks_last_as_long_as_the_context(layer, X):
    module = perceptron()
    watching = watch(module, layer)
    assert not hooks(module)

    with watching:
        assert hooks(module)
        module(X)

    assert not hooks(module)


@pytest.mark.parametrize("layer", ["layer", None])
def test_failing_forward_pass_leaves_no_hooks(layer, X):
    module = Refusing()

    with pytest.raises(RuntimeError, match="today"), watch(module, layer):
        module(X)

    assert not hooks(module)


def test_hooks_of_others_stay(X):
    module, calls = perceptron(), []
    module[0].register_forward_hook(lambda *call: calls.append("output"))
    module[2].register_forward_pre_hook(lambda *call: calls.append("input"))

    with watch(module), watch(module, "0"):
        pass
    module(X)

    assert calls == ["output", "input"]


# What cannot be caught


@pytest.mark.parametrize("name", ["body", ""])
def test_unknown_name_lists_the_layers_there_are(name):
    module = nn.Sequential(perceptron(), nn.Linear(3, 2))

    with pytest.raises(ValueError, match=f"has no layer '{name}'") as error:
        watch(module, name)

    assert not isinstance(error.value, NoFeaturesError)
    assert "teacher_features=" in str(error.value)
    assert str(["0", "0.0", "0.1", "0.2", "1"]) in str(error.value)


@pytest.mark.parametrize("parameter", ["teacher_features", "student_layer"])
def test_module_without_linear_layer_asks_for_a_name(parameter):
    module = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU())

    with pytest.raises(NoFeaturesError, match=f"the net has no .*{parameter}=.*'0'"):
        Watch(module, None, "the net", parameter)


def test_layer_that_returns_a_tuple_is_refused():
    module = nn.Sequential(nn.LSTM(4, 3, batch_first=True))

    with pytest.raises(TypeError, match=r"'0' is a tuple.*teacher_features="):
        caught(module, torch.randn(N_ROWS, 2, 4), "0")


# As with a module that has no linear layer, only a name can help the default.
@pytest.mark.parametrize(
    ("layer", "error"), [("unused", ValueError), (None, NoFeaturesError)]
)
def test_layer_that_is_not_called_is_refused(layer, error, X):
    with pytest.raises(error, match=r"is not called.*teacher_features="):
        caught(Bypassing(), X, layer)


@pytest.mark.parametrize("then", [lambda w: w.take(N_ROWS), lambda w: w.__enter__()])
def test_features_are_taken_once_and_not_from_a_pass_before(then, X):
    module = perceptron()
    watching = watch(module)
    with watching:
        module(X)
    then(watching)

    with pytest.raises(ValueError, match="is not called"):
        watching.take(N_ROWS)


@pytest.mark.parametrize(
    ("reshape", "shape"),
    [
        (nn.Flatten(0), r"\(20,\)"),
        (nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (10, 2))), r"\(10, 2\)"),
        (nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (1, 20))), r"\(1, 20\)"),
    ],
    ids=["flat", "two for each row", "one for all rows"],
)
def test_output_must_have_a_row_for_each(reshape, shape, X):
    module = nn.Sequential(reshape)

    with pytest.raises(ValueError, match=f"has shape {shape} for {N_ROWS} rows"):
        caught(module, X, "0")


def test_rows_of_another_thread_are_not_caught():
    module = FirstDefinedLastCalled()
    mine, others = torch.randn(N_ROWS, 4), torch.randn(N_ROWS, 4)
    watch = Watch(module, "body", "the teacher", "teacher_features")

    def ask_others():
        with Watch(module, "body", "the teacher", "teacher_features") as other:
            module(others)
            seen.append(other.take(N_ROWS))

    seen = []
    with watch:
        module(mine)
        thread = threading.Thread(target=ask_others)
        thread.start()
        thread.join()
    assert_close(watch.take(N_ROWS), module.body(mine))
    assert_close(seen[0], module.body(others))


def test_a_compiled_module_has_the_names_of_the_one_inside():
    module = FirstDefinedLastCalled()
    compiled = torch.compile(module, backend="eager")
    X = torch.randn(N_ROWS, 4)
    with Watch(compiled, "body", "the student", "student_layer") as watch:
        module(X)
    assert_close(watch.take(N_ROWS), module.body(X))
