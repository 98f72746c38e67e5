"""Teacher features: what a teacher makes of a row before it names the classes."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csc_array, csr_matrix
from scipy.special import softmax
from scipy.stats import ortho_group
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn

from skdistill import TorchTeacher
from skdistill._teachers._features import (
    FeatureQuestion,
    teacher_features,
)
from skdistill.utils._layers import NoFeaturesError
from tests.conftest import TinyModule, tiny_net
from tests.kinds import (
    Tokens,
    features_of,
    hist_boosting,
    perceptron,
    scaled,
    small_forest,
)

QUESTION = FeatureQuestion("auto", required=True)


class Switched(nn.Module):
    """Works in another way while it is trained."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(8, 3)

    def forward(self, X):
        return self.head(self.dropout(self.norm(self.body(X))))


class WithHidden(TinyModule):
    """Returns its hidden layer beside the logits."""

    def forward(self, X):
        hidden = self[1](self[0](X))
        return self[2](hidden), hidden


class BareAttention(nn.Module):
    """Has linear layers whose weights are used, and which are not called."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(3, 1, batch_first=True)

    def forward(self, X):
        tokens = X[:, None, :3]
        return self.attention(tokens, tokens, tokens)[0][:, 0]


class OwnClassifier(TinyModule):
    """A module that is a classifier by itself."""

    classes_ = np.arange(3)

    def predict_proba(self, X):
        return self(torch.tensor(X, dtype=torch.float32)).softmax(1).detach().numpy()


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# Perceptrons


ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: np.where(z > 0, z, 0.0),
    "tanh": lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
}


def hidden_by_hand(mlp, X):
    """Return what the last layer of a perceptron multiplies."""
    hidden = X
    for layer in range(mlp.n_layers_ - 2):
        z = np.einsum("ni,ij->nj", hidden, mlp.coefs_[layer]) + mlp.intercepts_[layer]
        hidden = ACTIVATIONS[mlp.activation](z)
    return hidden


@pytest.mark.parametrize("hidden_layer_sizes", [(8,), (6, 5)], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_perceptron_gives_its_last_hidden_layer(activation, hidden_layer_sizes, data):
    X, y = data
    mlp = perceptron(activation=activation, hidden_layer_sizes=hidden_layer_sizes)
    mlp.fit(X, y)

    features, reduction = teacher_features(mlp, X, "auto")

    assert features.dtype == np.float32
    assert features.shape == (len(X), hidden_layer_sizes[-1])
    assert reduction is None
    assert_allclose(features, hidden_by_hand(mlp, X), atol=1e-5)


def test_perceptron_of_numbers_gives_its_last_hidden_layer(data):
    X, y = data
    mlp = MLPRegressor(hidden_layer_sizes=(8,), tol=1.0, random_state=0).fit(X, y)

    assert_allclose(features_of(mlp, X), hidden_by_hand(mlp, X), atol=1e-5)


@pytest.mark.parametrize(
    "container", [csr_matrix, csc_array, np.ndarray.tolist, pd.DataFrame]
)
def test_perceptron_takes_rows_in_any_container(container, data):
    X, y = data
    mlp = perceptron().fit(X, y)

    assert_allclose(features_of(mlp, container(X)), features_of(mlp, X), atol=1e-6)


# The teacher inside another


def search(estimator, parameter="alpha"):
    return GridSearchCV(estimator, {parameter: [1e-4]}, cv=2)


@pytest.mark.parametrize(
    ("wrap", "inside"),
    [
        (scaled, lambda t: t[-1]),
        (lambda mlp: make_pipeline(MinMaxScaler(), scaled(mlp)), lambda t: t[-1][-1]),
        (lambda mlp: make_pipeline("passthrough", scaled(mlp)), lambda t: t[-1][-1]),
        (lambda mlp: make_pipeline(scaled(mlp)), lambda t: t[-1][-1]),
        (
            lambda mlp: search(scaled(mlp), "mlpclassifier__alpha"),
            lambda t: t.best_estimator_[-1],
        ),
        (lambda mlp: scaled(search(mlp)), lambda t: t[-1].best_estimator_),
    ],
    ids=["pipeline", "nested", "passthrough", "alone", "search", "search inside"],
)
@pytest.mark.parametrize("frozen", [False, True])
def test_last_step_gives_the_features_of_what_reaches_it(wrap, inside, frozen, data):
    X, y = data
    X = 1000 * X + 5
    teacher = wrap(perceptron()).fit(X, y)
    mlp = inside(teacher)

    features = features_of(FrozenEstimator(teacher) if frozen else teacher, X)

    proba = softmax(features @ mlp.coefs_[-1] + mlp.intercepts_[-1], axis=1)
    assert_allclose(proba, teacher.predict_proba(X), atol=1e-5)


def test_frozen_last_step_of_a_pipeline_gives_its_features(data):
    X, y = data
    mlp = perceptron().fit(StandardScaler().fit_transform(X), y)
    teacher = scaled(FrozenEstimator(mlp)).fit(X, y)

    features = features_of(teacher, X)

    expected = hidden_by_hand(mlp, StandardScaler().fit_transform(X))
    assert_allclose(features, expected, atol=1e-5)


def test_pipeline_hands_a_frame_on_as_a_frame(data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcd"))
    teacher = scaled(perceptron()).fit(frame, y)

    features = features_of(teacher, frame)  # warns if it is asked without names

    expected = hidden_by_hand(teacher[-1], teacher[0].transform(frame))
    assert_allclose(features, expected, atol=1e-5)


# Torch modules


def torch_teacher(module, batch_size):
    return TorchTeacher(module, classes=[0, 1, 2], batch_size=batch_size)


def skorch_teacher(module, batch_size):
    net = tiny_net(module=module, batch_size=batch_size, max_epochs=1)
    X = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    return net.fit(X, np.arange(16) % 3)


TORCH = pytest.mark.parametrize(
    "make_teacher", [torch_teacher, skorch_teacher], ids=["TorchTeacher", "skorch"]
)


def module_of(teacher):
    return getattr(teacher, "module_", teacher.module)


def tiny_module():
    return TinyModule(4, 3)


def first_layers(module, n_layers):
    return nn.Sequential(*list(module)[:n_layers])


def without_gradients(function, X):
    with torch.no_grad():
        return function(torch.tensor(X)).numpy()


@pytest.fixture(scope="module")
def X32(data):
    return data[0].astype(np.float32)


@TORCH
@pytest.mark.parametrize(
    ("layer", "n_called"), [("0", 1), ("1", 2), ("2", 3), ("auto", 2)]
)
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_torch_module_gives_a_layer_in_batches_of_any_size(
    layer, n_called, batch_size, make_teacher, X32
):
    teacher = make_teacher(tiny_module(), batch_size)

    features, reduction = teacher_features(teacher, X32, layer)

    assert features.dtype == np.float32
    assert reduction is None
    expected = without_gradients(first_layers(module_of(teacher), n_called), X32)
    assert_allclose(features, expected, atol=1e-5)


@TORCH
def test_torch_module_is_asked_in_evaluation_mode(make_teacher, X32):
    module = Switched()
    teacher = make_teacher(module, 16)
    module = module_of(teacher)
    mean = module.norm.running_mean.clone()
    module.train()

    features = features_of(teacher, X32)

    module.eval()
    expected = without_gradients(lambda X: module.norm(module.body(X)), X32)
    assert_allclose(features, expected, atol=1e-5)
    assert_array_equal(module.norm.running_mean, mean)


@TORCH
def test_unknown_layer_lists_the_layers_there_are(make_teacher, X32):
    teacher = make_teacher(tiny_module(), 16)

    with pytest.raises(ValueError, match=r"no layer 'body'.*\['0', '1', '2'\]"):
        features_of(teacher, X32, "body")


def test_net_is_asked_without_a_trace_in_the_generator_of_torch(X32):
    teacher = skorch_teacher(tiny_module(), 10)
    state = torch.get_rng_state()

    features_of(teacher, X32)

    assert torch.equal(torch.get_rng_state(), state)


def test_skorch_module_may_return_several_outputs(X32):
    net = tiny_net(module=WithHidden(4, 3), batch_size=16).initialize()

    features = features_of(net, X32)

    assert_allclose(
        features, without_gradients(first_layers(net.module_, 2), X32), atol=1e-5
    )


def test_double_precision_module_gives_single_precision_features(data):
    module = tiny_module().double()

    features = features_of(torch_teacher(module, 16), data[0])

    assert features.dtype == np.float32
    assert_allclose(
        features, without_gradients(first_layers(module, 2), data[0]), rtol=1e-6
    )


def test_module_that_is_a_classifier_gives_its_layers(data):
    X, _ = data
    module = OwnClassifier(4, 3)

    first = nn.Sequential(module[0], module[1])
    hidden = without_gradients(first, X.astype(np.float32))
    assert_allclose(features_of(module, X), hidden, atol=1e-6)
    assert_allclose(features_of(module, X, "1"), hidden, atol=1e-6)
    assert_allclose(features_of(module, X, "2").shape, (90, 3))
    with pytest.raises(ValueError, match=r"no layer 'hidden'.*'0', '1', '2'"):
        features_of(module, X, "hidden")


def test_module_that_is_a_regressor_gives_its_layers(data):
    class OwnRegressor(TinyModule):
        predict = OwnClassifier.predict_proba

    torch.manual_seed(0)
    module = OwnRegressor(4, 3)
    torch.manual_seed(0)

    assert_allclose(
        features_of(module, data[0]), features_of(OwnClassifier(4, 3), data[0])
    )


# A function of the teacher and X


def test_function_is_called_with_the_teacher_and_the_rows(forest, data):
    frame = pd.DataFrame(data[0])
    seen = []

    def how(teacher, X):
        seen.append((teacher, X))
        return X.to_numpy()[:, :2]

    features, reduction = teacher_features(forest, frame, how)

    ((teacher, rows),) = seen
    assert teacher is forest
    assert rows is frame
    assert reduction is None
    assert features.dtype == np.float32
    assert_array_equal(features, data[0][:, :2].astype(np.float32))


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda Z: Z.reshape(-1, 2, 2), id="3-D"),
        pytest.param(lambda Z: Z.reshape(-1, 2, 1, 2), id="4-D"),
        pytest.param(np.ndarray.tolist, id="list"),
        pytest.param(pd.DataFrame, id="frame"),
        pytest.param(torch.tensor, id="tensor"),
        pytest.param(partial(torch.tensor, requires_grad=True), id="gradient"),
        pytest.param(np.asfortranarray, id="Fortran order"),
    ],
)
def test_function_may_return_rows_in_any_container(convert, forest, data):
    X, _ = data

    features = features_of(forest, X, lambda teacher, X: convert(X))

    assert_array_equal(features, X.astype(np.float32))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint32, np.float16])
def test_function_may_return_any_real_numbers(dtype, forest, data):
    X, _ = data

    features = features_of(forest, X, lambda teacher, X: (X > 0).astype(dtype))

    assert features.dtype == np.float32
    assert_array_equal(features, X > 0)


def with_a(value):
    def how(teacher, X):
        features = X.copy()
        features[3, 1] = value
        return features

    return how


@pytest.mark.parametrize(
    ("how", "message"),
    [
        pytest.param(lambda t, X: X[:-1], r"shape \(89, 4\) for 90 rows", id="fewer"),
        pytest.param(lambda t, X: csr_matrix(X), r"make it dense", id="sparse"),
        pytest.param(lambda t, X: X[:, 0], r"shape \(90,\) for 90 rows", id="1-D"),
        pytest.param(lambda t, X: X[:, :0], r"shape \(90, 0\)", id="no columns"),
        pytest.param(lambda t, X: None, r"shape \(\)", id="None"),
        pytest.param(with_a(np.nan), "NaN", id="NaN"),
        pytest.param(with_a(np.inf), "infinity", id="inf"),
        pytest.param(with_a(1e300), "infinity", id="infinite in float32"),
        pytest.param(lambda t, X: X.astype(str), "no numbers", id="strings"),
        pytest.param(lambda t, X: X.astype(object), "no numbers", id="objects"),
        pytest.param(lambda t, X: X.astype(complex), "no numbers", id="complex"),
    ],
)
def test_function_that_gives_no_features_is_refused(how, message, forest, data):
    with pytest.raises(ValueError, match=f"function teacher_features.*{message}"):
        features_of(forest, data[0], how)


# Teachers without features


WITHOUT_FEATURES = {
    "logistic regression": lambda X, y: LogisticRegression().fit(X, y),
    "pipeline": lambda X, y: scaled(LogisticRegression()).fit(X, y),
    "perceptron without hidden layer": lambda X, y: perceptron(
        hidden_layer_sizes=()
    ).fit(X, y),
    "function": lambda X, y: torch_teacher(lambda X: X[:, :3], 16),
    "module without linear layer": lambda X, y: torch_teacher(nn.Tanh(), 16),
    "module whose linear layer sees several rows for each": lambda X, y: torch_teacher(
        Tokens(), 16
    ),
    "linear boosting": lambda X, y: xgboost.XGBClassifier(
        booster="gblinear", n_estimators=2
    ).fit(X, y),
    "module that calls no linear layer": lambda X, y: torch_teacher(
        BareAttention(), 16
    ),
}


@pytest.mark.parametrize("kind", WITHOUT_FEATURES)
def test_teacher_without_features_asks_for_a_function_where_they_are_required(
    kind, data
):
    X, y = data
    teacher = WITHOUT_FEATURES[kind](X, y)

    with pytest.raises(NoFeaturesError, match="teacher_features="):
        QUESTION(teacher, X)
    assert FeatureQuestion("auto", required=False)(teacher, X) == (None, None)


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    "make_teacher", [small_forest, LogisticRegression, perceptron, hist_boosting]
)
def test_layer_of_what_is_no_torch_module_is_refused(make_teacher, required, data):
    teacher = make_teacher().fit(*data)
    question = FeatureQuestion("hidden", required)

    with pytest.raises(ValueError, match=r"'hidden' names a layer.*no torch module"):
        question(teacher, data[0])


# Features of folds


def turned(reference, seed):
    """Return a rotation and translation of features, exact but for rounding."""
    width = reference.shape[1]
    rotation = ortho_group.rvs(width, random_state=seed)
    shift = np.random.default_rng(seed).normal(size=width)
    return reference @ rotation + 10 * shift


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("width", [2, 5])
def test_held_out_undoes_a_rotation_and_translation(width, seed, data):
    X, _ = data
    mix = np.random.default_rng(9).normal(size=(4, width))
    reference = np.tanh(X @ mix).astype(np.float32)
    question = FeatureQuestion(lambda t, X: turned(np.tanh(X @ mix), seed), True)
    train, test = np.arange(60), np.arange(60, 90)

    features = question.held_out(None, X[train], X[test], reference[train])

    assert features.dtype == np.float32
    assert_allclose(features, reference[test], atol=1e-4)


def test_held_out_does_not_look_at_the_rows_held_out_to_turn_them(data):
    X, _ = data
    reference = X[:60].astype(np.float32)
    question = FeatureQuestion(lambda t, X: turned(X, 0), True)

    alone = question.held_out(None, X[:60], X[60:61], reference)

    among_others = question.held_out(None, X[:60], X[60:], reference)
    assert_allclose(among_others[:1], alone, atol=1e-5)
