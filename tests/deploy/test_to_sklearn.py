import copy
import functools
import io
import itertools
import pickle
import subprocess
import sys

import joblib
import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pytest
import skl2onnx
import skops.io as sio
import torch
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import _stack, _to_sklearn
from skdistill.deploy._parts import parts_of
from skdistill.deploy._stack import layers_of
from skdistill.deploy._to_sklearn import to_sklearn
from tests.conftest import tiny_net
from tests.deploy.conftest import assert_same, distilled

N_FEATURES = 5


def data(n_classes=3, names=None, seed=0):
    X, y = make_classification(
        120,
        N_FEATURES,
        n_informative=4,
        n_redundant=0,
        n_classes=n_classes,
        random_state=seed,
    )
    X = X.astype(np.float32) * 3 + 20
    return X, y if names is None else np.array(names)[y]


def small(**kwargs):
    defaults = {"hidden_layer_sizes": (8, 6), "max_epochs": 2, "numeric": "standard"}
    return make_student(**defaults | kwargs)


def untaught(student):
    """Return an unfitted classifier, to be fitted in a pipeline or a search."""
    return DistilledClassifier(GaussianNB(), student, augmenter=None)


def fit_net(module, n_classes=3, **kwargs):
    """Fit a bare net around a module, with random weights that stay what they are."""
    net = tiny_net(module=module, max_epochs=1, lr=1e-3, **kwargs)
    return distilled(net, *data(n_classes))


def frame(n_rows=200, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "age": rng.normal(40, 10, n_rows).astype(np.float32),
            "job": rng.choice(np.array(["cook", "clerk", "a b", None], object), n_rows),
            "hours-per-week": rng.integers(0, 60, n_rows).astype(np.float32),
            "town": rng.choice(np.array(["x", "y"], object), n_rows),
        }
    )
    X.loc[::7, "age"] = np.nan
    X["job"] = with_nan(X["job"])
    y = np.where(X["job"].isin(["cook"]) | (X["hours-per-week"] > 40), "yes", "no")
    return X, y


def with_nan(column):
    return column.astype(object).where(column.notna(), np.nan)


@pytest.fixture(scope="module")
def fitted():
    X, y = data(3, ["a", "b", "c"])
    X = X.copy()
    X[::9, 1] = np.nan
    return distilled(small(), X, y), X


@pytest.fixture(scope="module")
def fitted_frame():
    X, y = frame()
    return distilled(small(), X, y), X


class TestPredictsTheSame:
    @pytest.mark.parametrize("dtype", [None, object])
    @pytest.mark.parametrize(
        "names",
        [
            [0, 1],
            [1, 3, 4],
            [False, True],
            ["no", "yes"],
            ["a", "bb", "ccc"],
            [1.0, 2.0],
        ],
        ids=str,
    )
    def test_labels(self, names, dtype):
        X, y = data(len(names))
        clf = distilled(small(), X, y)
        clf.classes_ = np.array(names, dtype)
        plain = to_sklearn(clf)
        assert_same(plain, clf, X)
        assert plain.predict(X).dtype == np.array(names).dtype

    @pytest.mark.parametrize(
        ("activation", "sizes", "n_classes"),
        [
            ("identity", (8, 6), 3),
            ("logistic", (8, 6), 2),
            ("relu", (8,), 3),
            ("tanh", (8, 6), 2),
            ("identity", (), 2),
            ("identity", (), 3),
        ],
    )
    def test_modules_of_the_default_student(self, activation, sizes, n_classes):
        X, y = data(n_classes)
        student = small(activation=activation, dropout=0.5, hidden_layer_sizes=sizes)
        clf = distilled(student, X, y)
        plain = to_sklearn(clf)
        assert_same(plain, clf, X)
        assert plain["mlp"].hidden_layer_sizes == sizes
        assert plain["mlp"].activation == activation

    @pytest.mark.parametrize("numeric", ["standard", "piecewise"])
    def test_missing_values_and_outliers(self, fitted, numeric):
        clf, X = fitted
        X = X.copy()
        if numeric == "piecewise":
            clf = distilled(small(numeric=numeric), X, clf.predict(X))
        X[0], X[1], X[2] = np.nan, 1e30, -1e30
        assert_same(to_sklearn(clf), clf, X)

    @pytest.mark.parametrize("numeric", ["standard", "piecewise"])
    @pytest.mark.parametrize("columns", [None, list("ab")])
    def test_float32_rows_of_large_numbers(self, numeric, columns):
        rng = np.random.default_rng(0)
        X = np.column_stack([2.0**30 + 300 * rng.normal(size=200), rng.random(200)])
        y = (X[:, 0] > 2**30).astype(int)
        X = X if columns is None else pd.DataFrame(X, columns=columns)
        clf = distilled(small(numeric=numeric), X, y)
        plain = to_sklearn(clf)
        for rows in (X, X.astype(np.float32)):
            assert_same(plain, clf, rows)

    def test_numpys_global_generator_is_left_alone(self, fitted):
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        to_sklearn(fitted[0])
        np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


class TestFrames:
    @pytest.mark.parametrize("numeric", ["standard", "piecewise"])
    def test_same(self, fitted_frame, numeric):
        clf, X = fitted_frame
        if numeric == "piecewise":
            clf = distilled(small(numeric=numeric), *frame())
        plain = to_sklearn(clf)
        assert_same(plain, clf, X)
        assert plain.feature_names_in_.tolist() == X.columns.tolist()
        assert_same(plain, clf, X.iloc[:1])

    def test_columns_are_found_by_name(self, fitted_frame):
        clf, X = fitted_frame
        other_order = X[X.columns[::-1]].assign(more=1)
        np.testing.assert_array_equal(
            to_sklearn(clf).predict_proba(other_order), to_sklearn(clf).predict_proba(X)
        )

    def test_levels_never_seen_and_rows_all_missing(self, fitted_frame):
        clf, X = fitted_frame
        X = X.iloc[:3].copy()
        X["job"] = np.array(["never", "seen", "cook"], object)
        X.loc[0] = [np.nan] * 4
        X = X.astype({"age": np.float32, "hours-per-week": np.float32})
        plain = to_sklearn(clf)
        with pytest.warns(UserWarning, match=r"unknown categories in columns \[0, 1\]"):
            proba = plain.predict_proba(X)
        np.testing.assert_allclose(proba, clf.predict_proba(X), rtol=0, atol=1e-6)
        encoder = plain["preprocess"].named_transformers_["categorical"]
        encoder.set_params(handle_unknown="ignore")
        assert_same(plain, clf, X)

    @pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
    @pytest.mark.parametrize("dtype", [object, "category", "string"])
    def test_forms_of_missing_strings(self, fitted_frame, missing, dtype):
        clf, X = fitted_frame
        values = X["job"].astype(object).where(X["job"].notna(), missing)
        X = X.assign(job=pd.Series(values, dtype=dtype))
        plain = to_sklearn(clf)
        assert_same(plain, clf, X.assign(job=with_nan(X["job"])))
        if dtype == "string" or (dtype is object and missing is pd.NA):
            with pytest.warns(UserWarning, match="unknown categories"):
                plain.predict_proba(X)
        else:
            assert_same(plain, clf, X)

    def test_null_of_polars(self, fitted_frame):
        clf, X = fitted_frame
        assert_same(to_sklearn(clf), clf, pl.from_pandas(X))

    @pytest.mark.parametrize(
        "levels",
        [
            pd.cut(np.arange(200), 3),
            pd.Categorical.from_codes(np.arange(200) % 2, [(1, 2), (3, 4)]),
            np.array(["a", 1] * 100, object),
        ],
        ids=["intervals", "tuples", "mixed"],
    )
    def test_levels_that_would_not_be_found_are_refused(self, levels):
        X, y = frame()
        clf = distilled(small(), X.assign(town=levels), y)
        with pytest.raises(ValueError, match=r"\['town'\] held .*to_onnx"):
            to_sklearn(clf)

    def test_numbers_of_any_type(self):
        rng = np.random.default_rng(0)
        X = pd.DataFrame(
            {
                "bool": rng.random(100) < 0.5,
                "nullable": pd.array([None, *range(99)], dtype="Int64"),
                "objects": np.array([1, 2.5] * 50, object),
                "f64": rng.normal(size=100),
            }
        )
        clf = distilled(small(), X, np.arange(100) % 2)
        plain = to_sklearn(clf)
        assert_same(plain, clf, X.astype(np.float32))
        assert_same(plain, clf, X)

    def test_numbers_as_categories_are_passed_as_strings(self):
        X = pd.DataFrame(
            {"x": np.arange(100.0, dtype=np.float32), "c": np.arange(100) % 3}
        ).astype({"c": "category"})
        clf = distilled(small(), X, np.arange(100) % 2)
        as_strings = X.astype({"c": str}).astype({"c": object})
        np.testing.assert_allclose(
            to_sklearn(clf).predict_proba(as_strings),
            clf.predict_proba(X),
            rtol=0,
            atol=1e-6,
        )

    @pytest.mark.parametrize(
        "changed",
        [
            lambda X: X[["job"]],
            lambda X: X[["age", "hours-per-week"]],
            lambda X: X.set_axis([5, 3, 7, 1], axis=1),
            lambda X: pl.from_pandas(X.fillna({"job": "missing"})),
        ],
        ids=["strings", "numbers", "numbered", "polars"],
    )
    def test_frames_of_other_columns(self, changed):
        X, y = frame()
        X = changed(X)
        clf = distilled(small(), X, y)
        assert_same(to_sklearn(clf), clf, X)


class TestAnyPlace:
    def test_persons_steps(self):
        X, y = data()
        student = make_pipeline(StandardScaler(), small().steps[-1][1])
        pipeline = Pipeline(
            [
                ("mlp", StandardScaler()),
                ("none", "passthrough"),
                ("pca", PCA(3)),
                ("clf", untaught(student)),
            ]
        ).fit(X, y)
        plain = to_sklearn(pipeline)
        assert list(plain.named_steps) == ["mlp", "pca", "standardscaler", "mlp_"]
        assert_same(plain, pipeline, X)

    def test_steps_are_copies(self):
        X, y = data()
        clf = untaught(small())
        pipeline = make_pipeline(StandardScaler(), clf).fit(X, y)
        plain = to_sklearn(pipeline)
        expected = plain.predict_proba(X)
        pipeline[0].mean_ += 1
        clf = pipeline[-1]
        clf.student_[0].offsets_ += 1
        with torch.no_grad():
            for parameter in clf.student_[-1].module_.parameters():
                parameter += 1
        np.testing.assert_array_equal(plain.predict_proba(X), expected)

    def test_the_estimator_is_left_as_it_is(self, fitted):
        clf, _ = fitted
        clf = copy.deepcopy(clf)
        before = pickle.dumps(clf)
        to_sklearn(clf)
        assert pickle.dumps(clf) == before

    def test_search(self):
        X, y = data()
        clf = untaught(small())
        search = GridSearchCV(clf, {"alpha": [0.1, 0.9]}, cv=2).fit(X, y)
        assert_same(to_sklearn(search), search, X)

    def test_bare_net_on_a_frame(self):
        X, y = data()
        X = pd.DataFrame(StandardScaler().fit_transform(X), columns=list("vwxyz"))
        clf = distilled(tiny_net(module=nn.Linear(N_FEATURES, 3)), X, y)
        plain = to_sklearn(clf)
        assert list(plain.named_steps) == ["mlp"]
        assert plain.feature_names_in_.tolist() == list("vwxyz")
        assert_same(plain, clf, X)

    def test_persons_column_transformer(self):
        X, y = frame()
        X["age"] = X["age"].fillna(40)
        transformer = ColumnTransformer(
            [
                ("scale", StandardScaler(), ["age"]),
                ("one_hot", OneHotEncoder(handle_unknown="ignore"), ["job", "town"]),
            ],
            remainder="passthrough",
        )
        student = make_pipeline(transformer, small().steps[-1][1])
        clf = distilled(student, X, y)
        assert_same(to_sklearn(clf), clf, X)

    def test_sparse_output(self):
        X, y = data()
        student = make_pipeline(OneHotEncoder(), small().steps[-1][1])
        clf = distilled(student, X.round(-1), y)
        assert_same(to_sklearn(clf), clf, X.round(-1))

    def test_steps_that_give_frames(self):
        X, y = data()
        scaler = StandardScaler().set_output(transform="pandas")
        student = make_pipeline(scaler, small().steps[-1][1])
        before = StandardScaler().set_output(transform="pandas")
        for pipeline in (
            make_pipeline(untaught(student)),
            make_pipeline(before, untaught(small())),
            make_pipeline(before, untaught(student[1])),
        ):
            pipeline.fit(X, y)
            assert_same(to_sklearn(pipeline), pipeline, X)


class InOrder(nn.Module):
    def __init__(self, *modules):
        super().__init__()
        self.first = modules[0]
        self.rest = nn.ModuleList(modules[1:])

    def forward(self, X):
        X = self.first(X)
        for module in self.rest:
            X = module(X)
        return X


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(N_FEATURES, 4), nn.Linear(4, 3)

    def forward(self, X):
        return self.two(torch.relu(self.one(X)))


class Clamped(nn.Module):
    """What it does besides its layers shows on outliers only."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(N_FEATURES, 3)

    def forward(self, X):
        return self.linear(X.clamp(-9, 9))


def stack(*middle, width=4, n_classes=3):
    return nn.Sequential(
        nn.Linear(N_FEATURES, width), *middle, nn.Linear(width, n_classes)
    )


def shared_activation():
    act = nn.ReLU()
    return nn.Sequential(
        nn.Linear(N_FEATURES, 4), act, nn.Linear(4, 4), act, nn.Linear(4, 3)
    )


class TestModules:
    @pytest.mark.parametrize(
        "module",
        [
            nn.Linear(N_FEATURES, 3),
            nn.Linear(N_FEATURES, 3, bias=False),
            stack(nn.ReLU()),
            stack(nn.ReLU()).double(),
            stack(nn.Dropout(0.5), nn.Sigmoid(), nn.Identity(), nn.AlphaDropout(0.5)),
            nn.Sequential(nn.Identity(), stack(nn.ReLU()), nn.Identity()),
            nn.Sequential(stack(nn.Tanh(), n_classes=4), nn.Tanh(), nn.Linear(4, 3)),
            InOrder(nn.Linear(N_FEATURES, 6), nn.ReLU(), nn.Linear(6, 3)),
            shared_activation(),
            nn.utils.parametrizations.weight_norm(nn.Linear(N_FEATURES, 3)),
            nn.Sequential(stack(nn.ReLU()), nn.LogSoftmax(dim=1)),
        ],
    )
    def test_same(self, module):
        clf = fit_net(module)
        assert_same(to_sklearn(clf), clf, data()[0] - 20)

    @pytest.mark.parametrize("n_classes", [2, 3])
    @pytest.mark.parametrize("dim", [1, -1])
    def test_softmax_at_the_end_of_the_module_or_of_the_net(self, n_classes, dim):
        logits = stack(nn.ReLU(), n_classes=n_classes)
        module = nn.Sequential(logits, nn.Softmax(dim=dim))
        X = data(n_classes)[0] - 20
        for clf in (
            fit_net(module, n_classes, criterion=nn.NLLLoss),
            fit_net(
                logits,
                n_classes,
                predict_nonlinearity=functools.partial(torch.softmax, dim=dim),
            ),
        ):
            assert_same(to_sklearn(clf), clf, X)

    @pytest.mark.parametrize(
        ("module", "name"),
        [
            (stack(nn.BatchNorm1d(4)), r"1 \(BatchNorm1d\)"),
            (nn.Sequential(stack(nn.GELU())), r"0\.1 \(GELU\)"),
            (stack(nn.LeakyReLU()), "LeakyReLU"),
            (stack(nn.Flatten(), nn.ReLU()), "Flatten"),
            (InOrder(nn.Linear(N_FEATURES, 3), nn.LayerNorm(3)), r"rest\.0"),
        ],
    )
    def test_layer_of_another_kind(self, module, name):
        with pytest.raises(TypeError, match=f"{name}.*to_onnx"):
            to_sklearn(fit_net(module))

    def test_periodic_embedding_names_the_encoding_that_is_taken(self):
        clf = distilled(small(numeric="periodic"), *data())
        with pytest.raises(TypeError, match=r"to_onnx takes .*numeric='piecewise'"):
            to_sklearn(clf)

    @pytest.mark.parametrize(
        ("module", "message"),
        [
            (stack(nn.ReLU(), nn.Linear(4, 4), nn.Tanh()), "'relu', 'tanh'"),
            (stack(nn.ReLU(), nn.Linear(4, 4)), "'identity', 'relu'"),
            (stack(nn.ReLU(), nn.Tanh()), r"2 \(Tanh\) stands"),
            (nn.Sequential(nn.Tanh(), *stack(nn.ReLU())), r"0 \(Tanh\) stands"),
            (nn.Sequential(*stack(nn.ReLU()), nn.ReLU()), r"3 \(ReLU\) stands"),
            (stack(nn.Softmax(dim=1)), r"1 \(Softmax\) stands"),
        ],
    )
    def test_layers_in_another_order(self, module, message):
        with pytest.raises(ValueError, match=f"{message}.*to_onnx"):
            to_sklearn(fit_net(module))

    @pytest.mark.parametrize(
        ("module", "kwargs"),
        [
            (Functional(), {}),
            (Clamped(), {}),
            (nn.Sequential(*stack(nn.ReLU()), nn.Softmax(dim=1)), {}),
            (stack(nn.ReLU()), {"predict_nonlinearity": torch.sigmoid}),
        ],
    )
    @pytest.mark.filterwarnings("ignore:SKD201")
    def test_forward_that_does_something_else(self, module, kwargs):
        X, y = data()
        X = (X - 20) / 3
        net = tiny_net(module=module, max_epochs=1, lr=1e-3, **kwargs)
        clf = distilled(net, X, y)
        with torch.no_grad():
            for parameter in clf.student_.module_.parameters():
                parameter *= 5
        with pytest.raises(ValueError, match=r"does something else.*to_onnx"):
            to_sklearn(clf)


class TestRefuses:
    def test_preprocessing_that_differs_is_refused(self, fitted, monkeypatch):
        clf, _ = fitted
        steps = clf.student_[0].transformer_
        steps["clip"].scale_ *= 1.001
        monkeypatch.setattr(type(clf.student_[0]), "transformer_", steps)
        with pytest.raises(ValueError, match=r"differs .* more than 1e-06.*to_onnx"):
            to_sklearn(clf)


class TestLargeLogits:
    """What torch rounds in float32 grows with the terms of the logits."""

    @pytest.fixture(params=[2, 3])
    def sure(self, request):
        X, y = data(request.param)
        clf = distilled(small(hidden_layer_sizes=(64, 64)), X, y)
        module = clf.student_[-1].module_
        with torch.no_grad():
            for parameter in module.parameters():
                parameter *= 12
        return clf, X

    def test_rounding_is_no_difference(self, sure):
        clf, X = sure
        plain = to_sklearn(clf)
        difference = plain.predict_proba(X) - clf.predict_proba(X)
        assert abs(difference).max() < 1e-4

    def test_a_result_that_differs_is_refused(self, sure, monkeypatch):
        honest = _stack.as_array
        monkeypatch.setattr(_stack, "as_array", lambda t: honest(t) * 1.001)
        with pytest.raises(ValueError, match=r"differs .* more than .*to_onnx"):
            to_sklearn(sure[0])

    def test_on_small_logits_the_tolerance_is_that_of_the_promise(self, fitted):
        clf, X = fitted
        layers = layers_of(clf.student_[-1].module_, parts_of(clf), "it")
        rows = np.zeros((3, X.shape[1]), np.float32)
        exact = parts_of(clf).said(rows)
        _to_sklearn._check_equal(exact + 9e-7, parts_of(clf), layers, rows)
        with pytest.raises(ValueError, match="more than 1e-06"):
            _to_sklearn._check_equal(exact + 2e-6, parts_of(clf), layers, rows)


def both(fitted, fitted_frame, kind):
    clf, X = fitted if kind == "array" else fitted_frame
    return to_sklearn(clf), X


@pytest.mark.parametrize("kind", ["array", "frame"])
class TestLeavesTheBuilding:
    def test_skops(self, fitted, fitted_frame, kind):
        plain, X = both(fitted, fitted_frame, kind)
        file = sio.dumps(plain)
        untrusted = sio.get_untrusted_types(data=file)
        assert set(untrusted) <= {"numpy.dtype"}
        loaded = sio.loads(file, trusted=untrusted)
        np.testing.assert_array_equal(loaded.predict_proba(X), plain.predict_proba(X))

    def test_skl2onnx(self, fitted, fitted_frame, kind):
        plain, X = both(fitted, fitted_frame, kind)
        model = skl2onnx.to_onnx(plain, X[:1], options={"zipmap": False})
        session = onnxruntime.InferenceSession(model.SerializeToString())
        rows = [X]
        if kind == "frame":
            strings = X.astype({"job": str, "town": str}).astype({"job": object})
            rows = [strings[[name]].to_numpy() for name in X]
        names = [node.name for node in session.get_inputs()]
        labels, proba = session.run(None, dict(zip(names, rows, strict=True)))
        np.testing.assert_allclose(proba, plain.predict_proba(X), rtol=0, atol=1e-5)
        np.testing.assert_array_equal(labels, plain.predict(X))


WITHOUT_TORCH = """
import pickle, sys
import numpy as np
for plain, X, proba in pickle.load(open(sys.argv[1], "rb")):
    assert np.array_equal(plain.predict_proba(X), proba)
assert not {"torch", "skorch", "skdistill"} & set(sys.modules)
"""


def test_predicts_without_torch(fitted, fitted_frame, tmp_path):
    made = [
        (plain := to_sklearn(clf), X, plain.predict_proba(X))
        for clf, X in (fitted, fitted_frame)
    ]
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps(made))
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH, str(path)], check=True)


@pytest.mark.parametrize("names", [list("abcde"), range(5)])
def test_column_left_out(names):
    """One without any level that is frequent enough to be known."""
    X, y = frame()
    X.insert(0, "name", [f"name {i}" for i in range(len(X))])
    X.columns = names
    clf = distilled(small(), X, y)
    plain = to_sklearn(clf)
    assert_same(plain, clf, X)
    untrusted = sio.get_untrusted_types(data=sio.dumps(plain))
    assert set(untrusted) <= {"numpy.dtype"}


@pytest.mark.parametrize("n_classes", [2, 3])
def test_file_is_small(n_classes):
    X, y = data(n_classes)
    plain = to_sklearn(distilled(small(hidden_layer_sizes=(64, 64)), X, y))
    widths = [N_FEATURES, 64, 64, 1 if n_classes == 2 else 3]
    weights = sum(4 * (a + 1) * b for a, b in itertools.pairwise(widths))
    file = io.BytesIO()
    joblib.dump(plain, file)
    assert len(file.getvalue()) < weights + 8 * 1024


# What MLPClassifier has after a fit that ours has not.
TRAINING = {"_best_coefs", "_best_intercepts", "_optimizer", "_random_state", "loss_"}


class TestFittedAttributes:
    """A scikit-learn whose MLPClassifier has other attributes must show here."""

    @pytest.fixture(params=[(2, (8, 6)), (3, (8, 6)), (2, ()), (3, ())])
    def pair(self, request):
        n_classes, sizes = request.param
        X, y = data(n_classes, ["a", "b", "c"])
        ours = to_sklearn(distilled(small(hidden_layer_sizes=sizes), X, y))["mlp"]
        theirs = MLPClassifier(sizes, activation=ours.activation, random_state=0)
        for _ in range(3):
            theirs.partial_fit(X, y, classes=np.unique(y))
        return ours, theirs, X

    def test_names_types_and_shapes(self, pair):
        ours, theirs, _ = pair
        assert set(vars(theirs)) - set(vars(ours)) == TRAINING
        assert set(vars(ours)) <= set(vars(theirs))
        for name, value in vars(ours).items():
            expected = getattr(theirs, name)
            if name in ("t_", "best_loss_"):
                assert np.isscalar(value)
                assert np.isscalar(expected)
            elif name != "random_state":
                assert type(value) is type(expected), name
            if name in ("coefs_", "intercepts_"):
                assert [a.shape for a in value] == [a.shape for a in expected]
                assert {a.dtype for a in [*value, *expected]} == {np.dtype(np.float32)}
                assert all(a.flags.c_contiguous and a.flags.writeable for a in value)

    def test_what_is_not_learned_is_equal(self, pair):
        ours, theirs, _ = pair
        for name in ("n_features_in_", "n_layers_", "n_outputs_", "out_activation_"):
            assert getattr(ours, name) == getattr(theirs, name)
        assert ours.get_params() == {**theirs.get_params(), "random_state": None}
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        ours, theirs = ours._label_binarizer, theirs._label_binarizer
        assert vars(ours).keys() == vars(theirs).keys()
        for name, value in vars(theirs).items():
            np.testing.assert_array_equal(getattr(ours, name), value)

    def test_trains_on(self, pair):
        ours, _, X = pair
        y = np.resize(ours.classes_, len(X))
        before = [c.copy() for c in ours.coefs_]
        ours.partial_fit(X, y)
        assert ours.n_iter_ == 1
        moved = [np.abs(a - b).max() for a, b in zip(before, ours.coefs_, strict=True)]
        assert 0 < max(moved) < 0.1
