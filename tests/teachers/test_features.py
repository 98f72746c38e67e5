"""Teacher features: found by the kind of teacher, asked for with soft labels."""

from collections import Counter
from functools import partial

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import torch
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csc_array, csr_matrix
from scipy.spatial.distance import pdist
from scipy.special import expit, softmax
from scipy.stats import ortho_group
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skdistill import DistilledClassifier, TorchTeacher
from skdistill._teachers._features import (
    N_LEAF_FEATURES,
    FeatureQuestion,
    teacher_features,
)
from skdistill._transfer._soft_labels import ask
from skdistill._transfer._store import LabelCache, Labels, cache
from skdistill.utils._layers import NoFeaturesError
from tests.conftest import FittedTeacher, TinyModule, tiny_net

CALLS = Counter()
QUESTION = FeatureQuestion("auto", required=True)


class Counting(FittedTeacher):
    """Counts outside itself how often it is asked: it stays the same teacher."""

    def predict_proba(self, X):
        CALLS["labels"] += 1
        return softmax(X[:, :3], axis=1)


def first_columns(teacher, X):
    CALLS["features"] += 1
    return X[:, :2]


def last_columns(teacher, X):
    CALLS["features"] += 1
    return X[:, 2:]


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


@pytest.fixture(autouse=True)
def fresh():
    cache.clear()
    CALLS.clear()
    torch.manual_seed(0)


def features_of(teacher, X, how="auto", reduction=None):
    return teacher_features(teacher, X, how, reduction)[0]


def perceptron(**params):
    """Return an unfitted perceptron that stops soon, and does not mind."""
    defaults = {
        "hidden_layer_sizes": (8,),
        "learning_rate_init": 0.05,
        "tol": 1.0,
        "n_iter_no_change": 30,
        "random_state": 0,
    }
    return MLPClassifier(**defaults | params)


def small_forest(**params):
    defaults = {"n_estimators": 10, "min_samples_leaf": 3, "random_state": 0}
    return RandomForestClassifier(**defaults | params)


def scaled(*steps):
    return make_pipeline(StandardScaler(), *steps)


def binary(y):
    return (y > 0).astype(int)


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


@pytest.mark.parametrize(
    ("target", "to_proba"),
    [
        pytest.param(lambda y: y, lambda z: softmax(z, axis=1), id="multiclass"),
        pytest.param(
            binary, lambda z: np.hstack([1 - expit(z), expit(z)]), id="binary"
        ),
    ],
)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_last_layer_makes_the_probabilities_of_the_features(
    activation, target, to_proba, data
):
    X, y = data
    mlp = perceptron(activation=activation).fit(X, target(y))

    features = features_of(mlp, X)

    proba = to_proba(features @ mlp.coefs_[-1] + mlp.intercepts_[-1])
    assert_allclose(proba, mlp.predict_proba(X), atol=1e-5)


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
        pytest.param(scaled, lambda t: t[-1], id="pipeline"),
        pytest.param(
            lambda mlp: make_pipeline(MinMaxScaler(), scaled(mlp)),
            lambda t: t[-1][-1],
            id="nested pipelines",
        ),
        pytest.param(
            lambda mlp: make_pipeline("passthrough", scaled(mlp)),
            lambda t: t[-1][-1],
            id="passthrough",
        ),
        pytest.param(
            lambda mlp: make_pipeline(scaled(mlp)),
            lambda t: t[-1][-1],
            id="no step before the last",
        ),
        pytest.param(
            lambda mlp: search(scaled(mlp), "mlpclassifier__alpha"),
            lambda t: t.best_estimator_[-1],
            id="search",
        ),
        pytest.param(
            lambda mlp: scaled(search(mlp)),
            lambda t: t[-1].best_estimator_,
            id="search in a pipeline",
        ),
    ],
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


@pytest.mark.parametrize("layer", ["auto", "norm"])
def test_training_mode_of_each_part_is_restored(layer, X32):
    module = Switched().train()
    module.dropout.eval()
    modes = [part.training for part in module.modules()]

    features_of(torch_teacher(module, 16), X32, layer)

    assert [part.training for part in module.modules()] == modes
    assert len(set(modes)) == 2


@TORCH
def test_torch_module_keeps_no_hooks(make_teacher, X32):
    teacher = make_teacher(tiny_module(), 16)

    features_of(teacher, X32)
    features_of(teacher, X32, "0")

    for part in module_of(teacher).modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks


@TORCH
def test_last_linear_layer_makes_the_logits_of_the_features(make_teacher, X32):
    teacher = make_teacher(tiny_module(), 16)
    head = module_of(teacher)[2]

    features = features_of(teacher, X32)

    logits = features @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    assert_allclose(softmax(logits, axis=1), teacher.predict_proba(X32), atol=1e-5)


@TORCH
def test_unknown_layer_lists_the_layers_there_are(make_teacher, X32):
    teacher = make_teacher(tiny_module(), 16)

    with pytest.raises(ValueError, match=r"no layer 'body'.*\['0', '1', '2'\]"):
        features_of(teacher, X32, "body")


def test_skorch_module_may_return_several_outputs(X32):
    net = tiny_net(module=WithHidden(4, 3), batch_size=16).initialize()

    features = features_of(net, X32)

    assert_allclose(
        features, without_gradients(first_layers(net.module_, 2), X32), atol=1e-5
    )


def test_images_are_flattened():
    images = np.random.default_rng(0).normal(size=(6, 1, 5, 5)).astype(np.float32)
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(18, 3))

    features = features_of(torch_teacher(module, 4), images, "0")

    assert_allclose(
        features, without_gradients(module[0], images).reshape(6, 18), atol=1e-5
    )


def test_double_precision_module_gives_single_precision_features(data):
    X, _ = data
    module = tiny_module().double()

    features = features_of(torch_teacher(module, 16), X)

    assert features.dtype == np.float32
    assert_allclose(features, without_gradients(first_layers(module, 2), X), rtol=1e-6)


# Leaves of trees


def lightgbm_classifier(**params):
    defaults = {"n_estimators": 10, "num_leaves": 6, "min_child_samples": 5}
    return lightgbm.LGBMClassifier(**defaults | params, n_jobs=1, verbose=-1)


def hist_boosting(**params):
    defaults = {"max_iter": 10, "max_leaf_nodes": 5, "min_samples_leaf": 5}
    return HistGradientBoostingClassifier(**defaults | params, random_state=0)


def apply(teacher, X):
    return np.asarray(teacher.apply(X)).reshape(len(X), -1)


def staged_values(teacher, X):
    """Return what each stage adds; where it differs, rows are in different leaves."""
    stages = np.array(list(teacher.staged_decision_function(X)))
    stages = stages.reshape(len(stages), len(X), -1)
    stages[1:] -= stages[:-1].copy()
    return np.concatenate(list(stages), axis=1)


def leaves_by_booster(teacher, X):
    return np.reshape(teacher.booster_.predict(X, pred_leaf=True), (len(X), -1))


TREES = {
    "RandomForest": (small_forest, apply),
    "ExtraTrees": (
        partial(
            ExtraTreesClassifier, n_estimators=10, min_samples_leaf=3, random_state=0
        ),
        apply,
    ),
    "DecisionTree": (
        partial(DecisionTreeClassifier, max_depth=4, random_state=0),
        apply,
    ),
    "GradientBoosting": (
        partial(
            GradientBoostingClassifier, n_estimators=10, max_depth=2, random_state=0
        ),
        apply,
    ),
    "HistGradientBoosting": (hist_boosting, staged_values),
    "LightGBM": (lightgbm_classifier, leaves_by_booster),
    "XGBoost": (
        partial(xgboost.XGBClassifier, n_estimators=10, max_depth=2, n_jobs=1),
        apply,
    ),
}


@pytest.fixture(
    scope="module",
    params=[(kind, n_classes) for kind in TREES for n_classes in (2, 3)],
    ids=lambda param: f"{param[0]}-{param[1]}",
)
def trees(request, data):
    """Return a fitted ensemble of trees, and a function for the leaves of rows."""
    kind, n_classes = request.param
    make_teacher, leaves_of = TREES[kind]
    X, y = data
    teacher = make_teacher().fit(X, y if n_classes == 3 else binary(y))
    return teacher, partial(leaves_of, teacher)


def shares(leaves):
    """Return the share of trees in which two rows meet, for all pairs."""
    return np.isclose(leaves[:, None], leaves[None], rtol=0, atol=1e-9).mean(axis=2)


def test_leaves_become_features_of_a_fixed_width_and_scale(trees, data):
    X, _ = data

    features, reduction = teacher_features(trees[0], X, "auto")

    assert features.shape == (len(X), N_LEAF_FEATURES)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.square(features).mean() == pytest.approx(1, rel=1e-3)
    assert reduction is not None


def test_leaves_are_reduced_alike_each_time(trees, data):
    X, _ = data

    assert_array_equal(features_of(trees[0], X), features_of(trees[0], X))


def test_rows_that_share_all_leaves_have_equal_features(trees, data):
    teacher, leaves_of = trees
    X, _ = data
    X = np.vstack([X, X + 1e-3])
    together = shares(leaves_of(X)) == 1
    np.fill_diagonal(together, False)

    features = features_of(teacher, X)

    first, second = np.nonzero(together)
    assert len(first) > 50
    assert_allclose(features[first], features[second], atol=1e-6)
    assert not together.all()


def test_inner_products_follow_the_share_of_trees_in_which_rows_meet(trees, data):
    teacher, leaves_of = trees
    X, _ = data
    pairs = np.triu_indices(len(X), 1)
    share = shares(leaves_of(X))[pairs]

    features = features_of(teacher, X)

    products = (features @ features.T)[pairs]
    assert np.corrcoef(products, share)[0, 1] > 0.9


def test_reduction_of_other_rows_gives_a_row_the_same_features(trees, data):
    teacher, _ = trees
    X, _ = data
    before, reduction = teacher_features(teacher, X[:60], "auto")

    after, same = teacher_features(teacher, X[:29:-1], "auto", reduction)

    assert same is reduction
    assert after.shape == (60, N_LEAF_FEATURES)
    assert_allclose(after[30:], before[:29:-1], atol=1e-6)


def test_reduction_of_other_rows_matters(forest, data):
    X, _ = data
    _, reduction = teacher_features(forest, X[:60], "auto")

    own, given = features_of(forest, X), features_of(forest, X, reduction=reduction)

    assert np.abs(own - given).max() > 0.1


@pytest.mark.parametrize(
    "n_rows", [2, 5, N_LEAF_FEATURES - 1, N_LEAF_FEATURES, N_LEAF_FEATURES + 1]
)
def test_few_rows_get_the_full_width(n_rows, forest, data):
    X, _ = data

    features, reduction = teacher_features(forest, X[:n_rows], "auto")

    assert features.shape == (n_rows, N_LEAF_FEATURES)
    assert np.square(features).mean() == pytest.approx(1, rel=1e-3)
    assert features_of(forest, X, reduction=reduction).shape[1] == N_LEAF_FEATURES


@pytest.mark.parametrize(
    "make_teacher",
    [
        pytest.param(lambda X, y: small_forest().fit(X, y), id="rows alike"),
        # 90 rows are too few to be split with as many in each leaf.
        pytest.param(
            lambda X, y: hist_boosting(min_samples_leaf=50).fit(X, y), id="no split"
        ),
    ],
)
@pytest.mark.parametrize("n_rows", [1, 4])
def test_rows_that_all_share_their_leaves_have_finite_features(
    make_teacher, n_rows, data
):
    X, y = data
    teacher = make_teacher(X, y)

    features = features_of(teacher, X[[0] * n_rows])  # any warning is an error

    assert features.shape == (n_rows, N_LEAF_FEATURES)
    assert np.isfinite(features).all()
    assert_allclose(features, features[[0] * n_rows], atol=1e-6)


@pytest.mark.parametrize(
    "make_teacher", [hist_boosting, lightgbm_classifier, small_forest]
)
def test_frame_gives_the_features_of_the_array_in_it(make_teacher, data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcd"))

    features = features_of(make_teacher().fit(frame, y), frame)

    assert_allclose(features, features_of(make_teacher().fit(X, y), X), atol=1e-5)


@pytest.mark.parametrize("make_teacher", [hist_boosting, lightgbm_classifier])
def test_categories_of_a_frame_reach_the_trees(make_teacher, data):
    X, y = data
    frame = pd.DataFrame(X[:, :3], columns=list("abc"))
    frame["word"] = pd.Categorical(np.array(["x", "y", "z"])[y])  # tells the class
    teacher = make_teacher().fit(frame, y)

    features = features_of(teacher, frame)

    closeness = features @ features.T
    same = y[:, None] == y
    assert closeness[same].mean() > 2 * abs(closeness[~same].mean())


def test_pipeline_hands_transformed_rows_to_trees(data):
    X, y = data
    teacher = scaled(small_forest()).fit(X, y)

    features = features_of(teacher, X)

    inside = features_of(teacher[-1], StandardScaler().fit_transform(X))
    assert_array_equal(features, inside)


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


def test_function_gets_the_whole_pipeline_and_raw_rows(data):
    X, y = data
    teacher = scaled(LogisticRegression()).fit(X, y)

    features = features_of(teacher, X, lambda model, rows: model[:-1].transform(rows))

    assert_allclose(features, StandardScaler().fit_transform(X), atol=1e-5)


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda Z: Z.reshape(-1, 2, 2), id="3-D"),
        pytest.param(lambda Z: Z.reshape(-1, 2, 1, 2), id="4-D"),
        pytest.param(np.ndarray.tolist, id="list"),
        pytest.param(pd.DataFrame, id="frame"),
        pytest.param(torch.tensor, id="tensor"),
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
        pytest.param(
            lambda t, X: np.vstack([X, X]), r"\(180, 4\) for 90 rows", id="more"
        ),
        pytest.param(lambda t, X: csr_matrix(X), r"make it dense", id="sparse"),
        pytest.param(lambda t, X: X[:, 0], r"shape \(90,\) for 90 rows", id="1-D"),
        pytest.param(lambda t, X: X.T, r"shape \(4, 90\)", id="transposed"),
        pytest.param(lambda t, X: X[:, :0], r"shape \(90, 0\)", id="no columns"),
        pytest.param(lambda t, X: [], r"shape \(0,\)", id="empty"),
        pytest.param(lambda t, X: None, r"shape \(\)", id="None"),
        pytest.param(lambda t, X: 1.0, r"shape \(\)", id="a number"),
        pytest.param(with_a(np.nan), "NaN", id="NaN"),
        pytest.param(with_a(np.inf), "infinity", id="inf"),
        pytest.param(with_a(-np.inf), "infinity", id="-inf"),
        pytest.param(with_a(1e300), "infinity", id="infinite in float32"),
        pytest.param(lambda t, X: X.astype(str), "no numbers", id="strings"),
        pytest.param(lambda t, X: X.astype(object), "no numbers", id="objects"),
        pytest.param(lambda t, X: X.astype(complex), "no numbers", id="complex"),
    ],
)
def test_function_that_gives_no_features_is_refused(how, message, forest, data):
    with pytest.raises(ValueError, match=f"function teacher_features.*{message}"):
        features_of(forest, data[0], how)


def test_errors_of_the_function_come_through(forest, data):
    def how(teacher, X):
        raise LookupError("of its own")

    with pytest.raises(LookupError, match="of its own"):
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
    "module that calls no linear layer": lambda X, y: torch_teacher(
        BareAttention(), 16
    ),
}


@pytest.mark.parametrize("kind", WITHOUT_FEATURES)
def test_teacher_without_features_asks_for_a_function_or_layer(kind, data):
    X, y = data
    teacher = WITHOUT_FEATURES[kind](X, y)

    with pytest.raises(NoFeaturesError, match="teacher_features="):
        features_of(teacher, X)
    with pytest.raises(NoFeaturesError, match="teacher_features="):
        FeatureQuestion("auto", required=True)(teacher, X)


@pytest.mark.parametrize("kind", WITHOUT_FEATURES)
def test_question_that_is_not_required_gets_none(kind, data):
    X, y = data
    teacher = WITHOUT_FEATURES[kind](X, y)

    assert FeatureQuestion("auto", required=False)(teacher, X) == (None, None)


def test_question_that_is_not_required_gets_what_there_is(forest, data):
    X, _ = data

    features, reduction = FeatureQuestion("auto", required=False)(forest, X)

    assert_array_equal(features, features_of(forest, X))
    assert reduction is not None


class OwnClassifier(TinyModule):
    """A module that is a classifier by itself."""

    classes_ = np.arange(3)

    def predict_proba(self, X):
        return self(torch.tensor(X, dtype=torch.float32)).softmax(1).detach().numpy()


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
    clf = DistilledClassifier(module, tiny_net(), relation_loss="pkt", random_state=0)
    clf.fit(X, module.predict_proba(X).argmax(axis=1))
    assert np.isfinite(clf.history_[-1, "train_loss_relation"])


class Tokens(nn.Module):
    """Its linear layer sees several rows for each row."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, X):
        return self.layer(X.reshape(-1, 2)).reshape(len(X), 2, 3).mean(dim=1)


@pytest.mark.parametrize(
    "make_teacher",
    [
        lambda X, y: torch_teacher(Tokens(), 16),
        lambda X, y: xgboost.XGBClassifier(booster="gblinear", n_estimators=2).fit(
            X, y
        ),
    ],
    ids=["tokens", "linear boosting"],
)
def test_relations_fall_back_on_logits(make_teacher, data):
    X, y = data
    teacher = make_teacher(X, y)

    with pytest.raises(NoFeaturesError, match="teacher_features="):
        features_of(teacher, X)
    clf = DistilledClassifier(
        teacher, tiny_net(), relation_loss="pkt", random_state=0
    ).fit(X, teacher.predict(X))
    assert np.isfinite(clf.history_[-1, "train_loss_relation"])


def test_error_names_the_teacher(data):
    teacher = scaled(LogisticRegression()).fit(*data)

    with pytest.raises(NoFeaturesError, match="teacher LogisticRegression has no"):
        features_of(teacher, data[0])


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    "make_teacher",
    [small_forest, LogisticRegression, perceptron, hist_boosting],
)
def test_layer_of_what_is_no_torch_module_is_refused(make_teacher, required, data):
    X, y = data
    teacher = make_teacher().fit(X, y)
    question = FeatureQuestion("hidden", required)

    with pytest.raises(ValueError, match=r"'hidden' names a layer.*no torch module"):
        question(teacher, X)


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


def test_held_out_keeps_distances(forest, data):
    X, _ = data
    unlike = np.random.default_rng(0).normal(size=(60, N_LEAF_FEATURES))
    _, reduction = teacher_features(forest, X[:60], "auto")
    before = features_of(forest, X[60:], reduction=reduction)

    after = QUESTION.held_out(forest, X[:60], X[60:], unlike.astype(np.float32))

    assert np.abs(after - before).max() > 0.1
    assert_allclose(pdist(after), pdist(before), rtol=1e-4, atol=1e-4)


def test_held_out_does_not_look_at_the_rows_held_out_to_turn_them(data):
    X, _ = data
    reference = X[:60].astype(np.float32)
    question = FeatureQuestion(lambda t, X: turned(X, 0), True)

    alone = question.held_out(None, X[:60], X[60:61], reference)

    among_others = question.held_out(None, X[:60], X[60:], reference)
    assert_allclose(among_others[:1], alone, atol=1e-5)


def test_width_that_differs_between_folds_is_refused(data):
    X, y = data
    # A teacher of 90 rows has three features, those of 60 have two.
    question = FeatureQuestion(
        lambda teacher, X: X[:, : teacher.n_samples_fit_ // 30], True
    )

    with pytest.raises(ValueError, match="width 2 in a fold and 3 for all rows"):
        ask(
            KNeighborsClassifier(),
            X,
            y,
            method="out_of_fold",
            cv=KFold(3),
            features=question,
        )


# Asked for with the soft labels


FITTABLE = pytest.mark.parametrize(
    "teacher",
    [perceptron(), small_forest(), scaled(perceptron())],
    ids=["perceptron", "forest", "pipeline"],
)


@FITTABLE
@pytest.mark.parametrize("fitted", [False, True])
def test_in_sample_features_are_those_of_the_fitted_teacher(teacher, fitted, data):
    X, y = data
    teacher = clone(teacher).fit(X, y) if fitted else clone(teacher)

    labels = ask(teacher, X, y, method="in_sample", features=QUESTION)

    teacher = teacher if fitted else labels.teacher
    assert_array_equal(labels.features, features_of(teacher, X))
    assert_allclose(labels.values, teacher.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("method", ["in_sample", "out_of_fold", "out_of_bag"])
def test_no_features_come_unasked(method, data):
    labels = ask(small_forest(), *data, method=method)

    assert labels.features is None
    assert labels.reduction is None


@pytest.mark.parametrize("method", ["in_sample", "out_of_fold", "out_of_bag"])
def test_labels_are_the_same_with_features(method, data):
    plain = ask(small_forest(n_estimators=30), *data, method=method)

    asked = ask(small_forest(n_estimators=30), *data, method=method, features=QUESTION)

    assert asked.features.shape == (90, N_LEAF_FEATURES)
    assert_array_equal(asked.values, plain.values)
    assert_array_equal(asked.classes, plain.classes)


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(
    "cv",
    [
        KFold(3, shuffle=True, random_state=0),
        RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
        ShuffleSplit(3, test_size=0.3, random_state=0),
    ],
    ids=lambda cv: type(cv).__name__,
)
def test_out_of_fold_features_are_turned_and_averaged(cv, fitted, data):
    X, y = data
    whole = perceptron().fit(X, y)
    like = hidden_by_hand(whole, X)
    total, times = np.zeros_like(like), np.zeros((len(X), 1))
    for train, test in cv.split(X):
        fold = perceptron().fit(X[train], y[train])
        center = hidden_by_hand(fold, X[train]).mean(axis=0)
        target = like[train].mean(axis=0)
        seen = hidden_by_hand(fold, X[train]) - center
        left, _, right = np.linalg.svd(seen.T @ (like[train] - target))
        unseen = hidden_by_hand(fold, X[test]) - center
        total[test] += unseen @ left @ right + target
        times[test] += 1
    expected = np.where(times, total / np.maximum(times, 1), like)

    labels = ask(
        whole if fitted else perceptron(),
        X,
        y,
        method="out_of_fold",
        cv=cv,
        features=QUESTION,
    )

    assert labels.features.dtype == np.float32
    assert_allclose(labels.features, expected, atol=1e-3)


@FITTABLE
def test_out_of_fold_features_resemble_those_in_sample(teacher, data):
    X, y = data
    cv = KFold(3, shuffle=True, random_state=0)
    inside = ask(teacher, X, y, method="in_sample", features=QUESTION).features

    held_out = ask(teacher, X, y, method="out_of_fold", cv=cv, features=QUESTION)

    assert held_out.features.shape == inside.shape
    assert (np.abs(held_out.features - inside).max(axis=1) > 1e-3).all()
    assert np.corrcoef(held_out.features.ravel(), inside.ravel())[0, 1] > 0.6


def test_rows_never_held_out_have_the_features_of_the_whole_teacher(data):
    X, y = data
    never = np.arange(len(X)) % 3 == 0
    cv = PredefinedSplit(np.where(never, -1, np.arange(len(X)) % 2))

    labels = ask(perceptron(), X, y, method="out_of_fold", cv=cv, features=QUESTION)

    like = features_of(labels.teacher, X)
    assert_array_equal(labels.features[never], like[never])
    assert (np.abs(labels.features - like)[~never].max(axis=1) > 1e-3).all()


def test_out_of_fold_reduction_takes_further_rows_to_the_same_features(data):
    X, y = data
    never = np.arange(len(X)) % 3 == 0
    cv = PredefinedSplit(np.where(never, -1, np.arange(len(X)) % 2))
    labels = ask(small_forest(), X, y, method="out_of_fold", cv=cv, features=QUESTION)

    # As partial_fit asks after a fit.
    later = features_of(labels.teacher, X[never][:20], reduction=labels.reduction)

    assert_allclose(later, labels.features[never][:20], atol=1e-5)


def test_folds_in_which_a_teacher_cannot_be_fitted_have_no_say(data):
    X, y = data
    y = np.where(np.arange(len(y)) < 30, 1, 0)  # held out by the first of three folds

    labels = ask(
        perceptron(), X, y, method="out_of_fold", cv=KFold(3), features=QUESTION
    )

    like = features_of(labels.teacher, X)
    assert_array_equal(labels.features[:30], like[:30])
    assert (np.abs(labels.features - like)[30:].max(axis=1) > 1e-3).all()


@pytest.mark.parametrize("method", ["in_sample", "out_of_fold"])
def test_features_that_are_not_required_may_be_missing(method, data):
    question = FeatureQuestion("auto", required=False)

    labels = ask(LogisticRegression(), *data, method=method, features=question)

    plain = ask(LogisticRegression(), *data, method=method)
    assert labels.features is None
    assert_array_equal(labels.values, plain.values)


@pytest.mark.parametrize("method", ["in_sample", "out_of_fold"])
def test_features_that_are_required_may_not_be_missing(method, data):
    with pytest.raises(NoFeaturesError, match="teacher_features="):
        ask(LogisticRegression(), *data, method=method, features=QUESTION)


@pytest.mark.parametrize(
    "teacher",
    [small_forest(n_estimators=30), scaled(small_forest())],
    ids=["forest", "pipeline"],
)
def test_out_of_bag_features_are_those_of_the_forest_fitted_inside(teacher, data):
    X, y = data

    labels = ask(teacher, X, y, method="out_of_bag", features=QUESTION)

    assert_array_equal(labels.features, features_of(labels.teacher, X))
    again = features_of(labels.teacher, X[:20], reduction=labels.reduction)
    assert_allclose(again, labels.features[:20], atol=1e-6)


# Several teachers


def test_features_of_several_teachers_are_side_by_side(forest, data):
    X, y = data
    mlp = perceptron().fit(X, y)

    labels = ask([mlp, forest], X, y, method="in_sample", features=QUESTION)

    assert labels.features.shape == (90, 8 + N_LEAF_FEATURES)
    assert_array_equal(labels.features[:, :8], features_of(mlp, X))
    assert_array_equal(labels.features[:, 8:], features_of(forest, X))


def test_each_of_several_teachers_gets_its_own_reduction_back(forest, data):
    X, y = data
    other = ExtraTreesClassifier(5, max_depth=3, random_state=1).fit(X, y)
    teachers = [forest, perceptron().fit(X, y), other]
    first = ask(teachers, X, y, method="in_sample", features=QUESTION)

    later = ask(
        teachers,
        X[:20],
        y[:20],
        method="in_sample",
        features=FeatureQuestion("auto", True, first.reduction),
    )

    assert_allclose(later.features, first.features[:20], atol=1e-6)


def test_weights_of_several_teachers_leave_their_features(forest, data):
    X, y = data
    params = {"method": "in_sample", "features": QUESTION}
    teachers = [perceptron().fit(X, y), forest]
    even = ask(teachers, X, y, **params)

    uneven = ask(teachers, X, y, teacher_weights=[1, 9], **params)

    assert_array_equal(uneven.features, even.features)
    assert np.any(uneven.values != even.values)


@pytest.mark.parametrize("position", [0, 1])
def test_one_teacher_without_features_leaves_all_without(position, forest, data):
    X, y = data
    teachers = [forest]
    teachers.insert(position, LogisticRegression().fit(X, y))
    params = {"method": "in_sample"}

    labels = ask(teachers, X, y, features=FeatureQuestion("auto", False), **params)

    assert labels.features is None
    assert labels.reduction is None
    assert_array_equal(labels.values, ask(teachers, X, y, **params).values)
    with pytest.raises(NoFeaturesError, match="LogisticRegression"):
        ask(teachers, X, y, features=QUESTION, **params)


# The cache


def counted(X, how=first_columns, **params):
    question = None if how is None else FeatureQuestion(how, True)
    return ask(Counting(), X, None, method="in_sample", features=question, **params)


def test_same_question_is_asked_once(data):
    X, _ = data
    first = counted(X)

    again = counted(X.copy())

    assert CALLS == {"labels": 1, "features": 1}
    assert_array_equal(again.features, first.features)
    assert_array_equal(again.features, X[:, :2].astype(np.float32))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda X: {"X": X, "how": last_columns}, id="function"),
        pytest.param(lambda X: {"X": X[::-1].copy()}, id="rows"),
    ],
)
def test_other_question_is_asked_anew(change, data):
    X, _ = data
    counted(X)
    params = change(X)

    labels = counted(**params)

    assert CALLS == {"labels": 2, "features": 2}
    expected = params.get("how", first_columns)(None, params["X"])
    assert_array_equal(labels.features, expected.astype(np.float32))


def test_other_layers_are_asked_anew(data):
    X, _ = data
    module = tiny_module()
    teacher = torch_teacher(module, 32)

    widths = [
        ask(
            teacher, X, None, method="in_sample", features=FeatureQuestion(how, True)
        ).features.shape[1]
        for how in ("auto", "0", "2", "auto")
    ]

    assert widths == [8, 8, 3, 8]


def test_other_reduction_is_asked_anew(forest, data):
    X, _ = data
    _, reduction = teacher_features(forest, X[:60], "auto")

    plain, reduced = (
        ask(forest, X, None, method="in_sample", features=question).features
        for question in (QUESTION, FeatureQuestion("auto", True, reduction))
    )

    assert_array_equal(plain, features_of(forest, X))
    assert_array_equal(reduced, features_of(forest, X, reduction=reduction))
    assert np.any(plain != reduced)


@pytest.mark.parametrize("first_how", [None, first_columns])
def test_questions_with_and_without_features_are_kept_apart(first_how, data):
    X, _ = data
    hows = [first_how, first_columns if first_how is None else None] * 2

    answers = [counted(X, how) for how in hows]

    assert [labels.features is None for labels in answers] == [
        how is None for how in hows
    ]
    assert CALLS == {"labels": 2, "features": 1}


def test_functions_that_cannot_be_told_apart_are_not_kept(data):
    X, _ = data

    answers = [
        counted(X, lambda teacher, X, column=column: X[:, [column]])
        for column in range(3)
    ]

    features = np.hstack([labels.features for labels in answers])
    assert_array_equal(features, X[:, :3].astype(np.float32))


def test_function_of_a_notebook_is_asked_once(data):
    X, _ = data
    how = lambda teacher, X: first_columns(teacher, X)  # noqa: E731

    for _ in range(3):
        counted(X, how)

    assert CALLS == {"labels": 1, "features": 1}


def test_function_of_a_notebook_is_not_kept_beyond_the_process(data, tmp_path):
    X, _ = data

    for column in (0, 1):  # as a cell that is run again after a change
        cache.clear()
        labels = counted(
            X, lambda teacher, X, c=column: X[:, [c]], memory=str(tmp_path)
        )

    assert_array_equal(labels.features, X[:, 1:2].astype(np.float32))


def test_question_of_another_loss_is_asked_once(forest, data):
    X, _ = data
    asked = [
        ask(
            forest, X, None, method="in_sample", features=FeatureQuestion("auto", need)
        ).features
        for need in (False, True)
    ]
    assert asked[0] is asked[1]


def test_features_that_were_missing_are_still_an_error_where_required(data):
    X, y = data
    teacher = LogisticRegression().fit(X, y)
    ask(teacher, X, y, method="in_sample", features=FeatureQuestion("auto", False))

    with pytest.raises(NoFeaturesError, match=r"Logistic.*teacher_features="):
        ask(teacher, X, y, method="in_sample", features=QUESTION)


def test_unremembered_question_is_asked_each_time(data):
    X, _ = data

    for _ in range(2):
        counted(X, remember=False)

    assert CALLS == {"labels": 2, "features": 2}
    assert cache.nbytes == 0


@pytest.mark.parametrize("memorize", [str, lambda path: path, joblib.Memory])
def test_memory_keeps_features_beyond_the_process(memorize, data, tmp_path):
    X, _ = data
    memory = memorize(tmp_path)
    if isinstance(memory, joblib.Memory):
        memory.verbose = 0
    first = counted(X, memory=memory)
    cache.clear()  # as in a new process

    again = counted(X, memory=memory)

    assert CALLS == {"labels": 1, "features": 1}
    assert_array_equal(again.features, first.features)
    assert again.features.dtype == np.float32


def test_memory_keeps_the_reduction(forest, data, tmp_path):
    X, _ = data
    params = {"method": "in_sample", "features": QUESTION, "memory": tmp_path}
    first = ask(forest, X, None, **params)
    cache.clear()

    again = ask(forest, X, None, **params)

    assert again.reduction is not first.reduction
    later = features_of(forest, X[:20], reduction=again.reduction)
    assert_allclose(later, first.features[:20], atol=1e-6)


def test_memory_keeps_questions_with_and_without_features_apart(data, tmp_path):
    X, _ = data
    for how in (None, first_columns):
        counted(X, how, memory=tmp_path)
    cache.clear()

    answers = [counted(X, how, memory=tmp_path) for how in (None, first_columns)]

    assert [labels.features is None for labels in answers] == [True, False]
    assert CALLS == {"labels": 2, "features": 1}


def labels_of(n_rows, width):
    values = np.full((n_rows, 2), 0.5, np.float32)
    features = np.zeros((n_rows, width), np.float32) if width else None
    return Labels(values, np.arange(2), features=features)


def test_bytes_of_features_count():
    plain, with_features = labels_of(10, 0), labels_of(10, 7)

    assert with_features.nbytes == plain.nbytes + 10 * 7 * 4


def test_bytes_of_a_reduction_count(forest, data):
    labels = ask(forest, data[0], None, method="in_sample", features=QUESTION)

    assert labels.nbytes > labels.reduction.svd.components_.nbytes
    assert cache.nbytes == labels.nbytes


def test_cache_keeps_no_labels_whose_features_exceed_it():
    small = LabelCache(max_bytes=labels_of(10, 0).nbytes)
    computed = []

    for width in (7, 7, 0, 0):
        labels = small.get(
            str(width),
            lambda width=width: computed.append(width) or labels_of(10, width),
        )
        assert (labels.features is None) == (width == 0)

    assert computed == [7, 7, 0]
    assert small.nbytes <= small.max_bytes
