"""Exports of a DistilledRegressor; those of classifiers are in the other files."""

import json

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetRegressor
from torch import nn

from skdistill import DistilledRegressor, make_student
from skdistill.deploy import (
    CompiledStudent,
    OnnxRegressor,
    to_c,
    to_onnx,
    to_sklearn,
)
from skdistill.deploy._outputs import NumberOutput
from tests.conftest import tiny_net
from tests.deploy.c_code import needs_compiler
from tests.deploy.conftest import changed, metadata_of, regressed


def student(**params):
    defaults = {"numeric": "standard", "max_epochs": 20, "batch_size": 16}
    return make_student((8, 6), task="regression", **defaults | params)


def own_net(module, **params):
    defaults = tiny_net(module=module, max_epochs=2, **params).get_params(deep=False)
    return NeuralNetRegressor(**{**defaults, "criterion": nn.MSELoss})


def fitted(X, y, net=None, **params):
    """Return a regressor that needs no teacher."""
    return regressed(X, y, student() if net is None else net, **params)


TARGETS = {
    "one": lambda X: X[:, 0] + X[:, 1] ** 2,
    "two": lambda X: np.stack([1e9 + X[:, 0], 1e-6 * X[:, 1]], axis=1),
    "constant": lambda X: np.full(len(X), 3.0),
}


@pytest.fixture(params=TARGETS)
def numbers(request, data):
    """Return rows, a student of numbers of several kinds, and its exports."""
    request.getfixturevalue("net_by_hand")
    X = data[0].copy()
    y = TARGETS[request.param](X)
    X[::9, 1] = np.nan
    return X, fitted(X, y)


def far_from(X):
    """Return rows at some of which predictions are bounded."""
    return np.concatenate([X, 50 * X, -50 * X])


def assert_close(found, expected, reg):
    """Assert that predictions are equal, in standard deviations of the targets.

    Rows far away have terms of tens of standard deviations, which round by as much.
    """
    assert found.shape == expected.shape
    assert found.dtype == np.float64
    difference = (found - expected).reshape(len(found), -1) / reg.y_scale_
    np.testing.assert_allclose(difference, 0, atol=1e-5)


def test_plain_regressor_predicts_the_same_without_bounds(numbers):
    X, reg = numbers
    plain = to_sklearn(reg)
    assert type(plain[-1]) is MLPRegressor
    far = far_from(X)
    for rows in (far, far[:1]):
        free = plain.predict(rows)
        assert_close(free.clip(*reg.y_bounds_), reg.predict(rows), reg)
    assert (plain.predict(far) > reg.y_bounds_[1]).any()


def test_file_of_numbers_predicts_the_same_within_the_bounds(numbers):
    X, reg = numbers
    made = to_onnx(reg)
    onnx.checker.check_model(onnx.load_from_string(made), full_check=True)
    far = far_from(X)
    assert_close(OnnxRegressor(made).predict(far), reg.predict(far), reg)
    session = onnxruntime.InferenceSession(made)
    (output,) = session.get_outputs()
    assert (output.name, output.type) == ("prediction", "tensor(double)")
    assert output.shape == ["batch", *reg.predict(X).shape[1:]]
    for rows in (far, far[:1]):
        (found,) = session.run(None, {"X": rows})
        assert_close(found, reg.predict(rows), reg)
    metadata = metadata_of(made)
    assert metadata["skdistill.task"] == "regression"
    assert metadata["skdistill.n_outputs"] == str(reg.n_outputs_)


@pytest.mark.usefixtures("net_by_hand")
def test_regressor_without_bounds(data):
    X = data[0]
    reg = fitted(X, X[:, 0], extrapolation=None)
    far = far_from(X)
    assert_close(to_sklearn(reg).predict(far), reg.predict(far), reg)
    made = to_onnx(reg)
    assert_close(OnnxRegressor(made).predict(far), reg.predict(far), reg)


@pytest.mark.usefixtures("net_by_hand")
def test_tables_with_strings_and_missing_values(table):
    X = table[0]
    y = X["1"].to_numpy(float)
    reg = fitted(X, y, student(numeric="piecewise"))
    file = OnnxRegressor(to_onnx(reg))
    outliers = X.iloc[:3].assign(**{"capital-gain": [np.nan, 1e9, -1e9]})
    for rows in (X, X.iloc[:1], outliers):
        assert_close(file.predict(rows), reg.predict(rows), reg)
    strings = ["home town", "variable", "empty"]
    X = X.assign(
        **{n: X[n].astype(object).where(X[n].notna(), np.nan) for n in strings}
    )
    assert_close(to_sklearn(reg).predict(X), reg.predict(X), reg)


class Linear(nn.Sequential):
    def __init__(self, n_features=2):
        super().__init__(nn.Linear(n_features, 5), nn.Tanh(), nn.Linear(5, 1))


class Tripled(Linear):
    def forward(self, X):
        return 3 * super().forward(X)


class Softmax(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 2), nn.Softmax(dim=1))


@pytest.mark.usefixtures("net_by_hand")
@pytest.mark.parametrize("convert", [to_sklearn, to_onnx])
def test_own_net_in_pipelines_and_searches(data, convert):
    X = data[0]
    y = X[:, 0] + 5
    net = make_pipeline(StandardScaler(), own_net(Linear))
    reg = DistilledRegressor(None, net, alpha=0.5, random_state=0)
    pipeline = Pipeline([("reduce", PCA(3)), ("reg", reg)])
    search = GridSearchCV(pipeline, {"reduce__n_components": [2]}, cv=2)
    search.fit(X, y, reg__teacher_pred=y)
    made = convert(search)
    made = OnnxRegressor(made) if convert is to_onnx else made
    expected, reg = search.predict(X), search.best_estimator_[-1]
    low, high = reg.y_bounds_
    inside = (expected > low) & (expected < high)
    assert inside.mean() > 0.5
    assert_close(made.predict(X)[inside], expected[inside], reg)


def test_plain_regressor_of_a_net_that_computes_more_is_refused(data):
    X = data[0]
    with pytest.raises(ValueError, match=r"Tripled .* something else than its layers"):
        to_sklearn(fitted(X, X[:, 0], own_net(Tripled)))
    with pytest.raises(ValueError, match=r"Softmax.* where scikit-learn's MLP has no"):
        to_sklearn(fitted(X, X[:, :2], own_net(Softmax)))


class ScaledNet(NeuralNetRegressor):
    def infer(self, x, **fit_params):
        return super().infer(3 * x, **fit_params)


@pytest.mark.usefixtures("net_by_hand")
def test_file_that_says_something_else_is_refused(data):
    X = data[0]
    net = ScaledNet(**own_net(Linear).get_params(deep=False))
    reg = fitted(X, 1e6 * X[:, 0], net)
    message = r"a prediction \(in standard deviations\) differs .* module of the net"
    with pytest.raises(ValueError, match=message):
        to_onnx(reg, sample=X)


@pytest.mark.usefixtures("net_by_hand")
def test_names_of_columns_are_those_that_the_outputs_leave(data):
    X = pd.DataFrame(data[0], columns=["label", "probabilities", "scaled", "d"])
    X["d"] = np.where(X["d"] > 0, "u", "v")
    reg = fitted(X, X["scaled"].to_numpy())
    assert_close(OnnxRegressor(to_onnx(reg)).predict(X), reg.predict(X), reg)
    X = X.rename(columns={"d": "prediction"})
    with pytest.raises(ValueError, match="a column is named 'prediction'"):
        to_onnx(fitted(X, X["scaled"].to_numpy()))


@pytest.fixture(scope="module")
def wide(data):
    X = data[0]
    y = 100 * X[:, :2]
    net = make_student((64, 64), numeric="standard", max_epochs=3, task="regression")
    return X, y, fitted(X, y, net)


@pytest.fixture(scope="module", params=[3, 1])
def quantiles(request, data):
    """Return rows and a student of quantiles, which cross in the middle."""
    X, levels = data[0], (0.1, 0.5, 0.9)[: request.param]
    given = 1e3 + X[:, :1] * np.array([-1, 0.1, 1])[: len(levels)]
    reg = DistilledRegressor(None, student(), quantiles=levels, random_state=0)
    reg.set_params(alpha=1.0).fit(X, given[:, 0], teacher_pred=given)
    return X, reg


@pytest.mark.usefixtures("net_by_hand")
class TestQuantiles:
    def assert_same(self, made, reg, X):
        far = far_from(X)
        assert_close(made.predict(far), reg.predict(far), reg)
        assert made.predict(X[:1]).shape == (1, reg.n_outputs_)
        assert made.n_outputs_ == reg.n_outputs_
        y = X[:, 0] + 1e3
        weight = np.arange(1, 1 + len(X))
        assert made.score(X, y, weight) == pytest.approx(reg.score(X, y, weight))

    def test_file(self, quantiles):
        X, reg = quantiles
        made = to_onnx(reg)
        onnx.checker.check_model(onnx.load_from_string(made), full_check=True)
        self.assert_same(OnnxRegressor(made), reg, X)
        assert json.loads(metadata_of(made)["skdistill.quantiles"]) == list(
            reg.quantiles
        )

    @needs_compiler
    def test_code(self, quantiles, tmp_path):
        X, reg = quantiles
        self.assert_same(CompiledStudent(to_c(reg, tmp_path / "student.c")), reg, X)

    def test_student_sorts_some_rows(self, quantiles):
        X, reg = quantiles
        outputs = reg.student_.predict(X).reshape(len(X), -1)
        is_crossed = (np.diff(outputs, axis=1) < 0).any()
        assert is_crossed == (reg.n_outputs_ > 1)
        assert (np.diff(reg.predict(X), axis=1) >= 0).all()

    def test_perceptrons_of_scikit_learn_do_not_sort(self, quantiles):
        with pytest.raises(ValueError, match=r"student of quantiles sorts .*to_onnx"):
            to_sklearn(quantiles[1])

    def test_metadata_of_other_quantiles_do_not_fit(self, quantiles):
        damaged = changed(to_onnx(quantiles[1]), quantiles=json.dumps([0.1] * 4))
        with pytest.raises(ValueError, match="damaged"):
            OnnxRegressor(damaged).predict(quantiles[0])


@pytest.mark.usefixtures("net_by_hand")
class TestNarrowWeights:
    @pytest.mark.parametrize("dtype", ["int8", "float16"])
    def test_report_is_in_standard_deviations(self, wide, dtype):
        X, y, reg = wide
        made = to_onnx(reg, quantize=dtype, sample=X, sample_y=y)
        report = json.loads(metadata_of(made)["skdistill.quantization"])
        assert report[f"bytes_{dtype}"] == len(made) < 0.8 * report["bytes_float32"]
        found = OnnxRegressor(made).predict(X)
        difference = (found - reg.predict(X)) / y.std(axis=0)
        assert report["error"] == pytest.approx(np.sqrt((difference**2).mean()))
        assert report["max_difference"] == pytest.approx(np.abs(difference).max())
        assert 0 < report["error"] < report["max_difference"] < 0.1
        for name, said in ((dtype, found), ("float32", reg.predict(X))):
            rmse = np.sqrt((((said - y) / y.std(axis=0)) ** 2).mean())
            assert report[f"rmse_{name}"] == pytest.approx(rmse)
        assert "agreement" not in report

    def test_warns_of_a_large_error(self, wide, monkeypatch):
        X, _, reg = wide
        monkeypatch.setattr(NumberOutput, "least", 0.0)
        with pytest.warns(UserWarning, match="int8 adds an error of 0.0.* deviations"):
            to_onnx(reg, quantize="int8", sample=X)

    def test_refuses_targets_of_another_shape(self, wide):
        X, y, reg = wide
        for wrong in (y[1:], y[:, 0]):
            with pytest.raises(
                ValueError, match=r"sample_y must have the shape .*90, 2"
            ):
                to_onnx(reg, quantize="float16", sample=X, sample_y=wrong)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_plain_regressor_has_what_a_fit_sets_and_trains_on(data, n_targets):
    X = data[0]
    y = X[:, 0] if n_targets == 1 else X[:, :2]
    plain = to_sklearn(fitted(X, y))
    ours, rows = plain[-1], plain[:-1].transform(X)
    theirs = MLPRegressor(hidden_layer_sizes=(8, 6), random_state=0).partial_fit(
        rows, y
    )
    left_out = {"_optimizer", "_random_state", "loss_"}
    assert set(vars(theirs)) - set(vars(ours)) <= left_out | {
        "_best_coefs",
        "_best_intercepts",
    }
    assert set(vars(ours)) <= set(vars(theirs))
    for name in ("n_features_in_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert [c.shape for c in ours.coefs_] == [c.shape for c in theirs.coefs_]
    assert [b.shape for b in ours.intercepts_] == [b.shape for b in theirs.intercepts_]
    before = ours.score(rows, y)
    for _ in range(100):
        ours.partial_fit(rows, y)
    assert ours.score(rows, y) > before
