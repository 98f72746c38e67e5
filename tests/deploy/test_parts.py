import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skdistill import DistilledClassifier, DistilledRegressor, TabularPreprocessor
from skdistill.deploy import to_c, to_onnx, to_sklearn
from skdistill.deploy._footprint import _table_bytes
from skdistill.deploy._parts import parts_of
from tests.conftest import tiny_net
from tests.deploy.c_code import needs_compiler
from tests.deploy.conftest import (
    assert_same,
    dates,
    distilled,
    in_pipeline,
    metadata_of,
    proba_for,
    quick_student,
)


class Softmax(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 3), nn.Softmax(dim=1))


@pytest.mark.parametrize("convert", [to_onnx, to_sklearn])
@pytest.mark.parametrize(
    "estimator",
    [
        DistilledClassifier(),
        make_pipeline(StandardScaler(), DistilledClassifier()),
        GridSearchCV(DistilledClassifier(), {}),
        DistilledRegressor(),
    ],
)
def test_not_fitted(convert, estimator):
    with pytest.raises(NotFittedError):
        convert(estimator)


FITTED = LogisticRegression().fit([[0], [1]], [0, 1])


@pytest.mark.parametrize("given", [FITTED, "model.onnx", None, b"x"])
@pytest.mark.parametrize("convert", [to_onnx, to_sklearn])
def test_what_is_no_distilled_classifier(convert, given):
    message = f"expected a fitted Distilled.*Regressor, .* got {type(given).__name__}$"
    with pytest.raises(TypeError, match=message):
        convert(given)


@pytest.mark.parametrize("names", [["size", "when"], [0, 1]], ids=str)
def test_students_that_read_dates_name_the_columns(names):
    X = pd.DataFrame({"size": range(8), "when": pd.date_range("2020", periods=8)})
    X.columns = names
    proba = np.tile([[0.1, 0.9], [0.8, 0.2]], (4, 1))
    clf = DistilledClassifier(student=quick_student(), alpha=1, classes=[0, 1])
    clf.fit(X, teacher_proba=proba)
    with pytest.raises(ValueError, match=rf"in the columns \[{names[1]!r}\], .*before"):
        to_sklearn(clf)


@needs_compiler
@pytest.mark.parametrize("place", ["in front", "nested in front", "nested"])
def test_preprocessor_that_reads_dates_in_any_place(place, tmp_path):
    X, y = dates()
    steps, net = make_pipeline(TabularPreprocessor()), tiny_net(max_epochs=2)
    if place == "nested":
        clf = distilled(make_pipeline(steps, net), X, y)
    else:
        clf = in_pipeline([steps if "nested" in place else steps[0]], net, X, y)
    assert parts_of(clf).feature_names == X.columns.tolist()
    assert_same(to_c(clf, tmp_path / "student.c"), clf, X)
    assert_same(to_onnx(clf), clf, X)
    with pytest.raises(ValueError, match=r"reads dates, in the columns \['when'"):
        to_sklearn(clf)


class Halves(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)

    def forward(self, left, right):
        return super().forward(torch.cat([left, right], dim=1))


def test_students_of_several_inputs_are_refused_and_have_no_tables(data, tmp_path):
    X = {"left": data[0][:, :2], "right": data[0][:, 2:]}
    clf = distilled(tiny_net(module=Halves, max_epochs=1), X, data[1])
    for convert in (to_onnx, to_sklearn, partial(to_c, path=tmp_path / "student.c")):
        with pytest.raises(ValueError, match=r"several inputs, .* use joblib"):
            convert(clf)
    assert _table_bytes(clf) is None


def test_search_that_was_not_refitted(data):
    student = DistilledClassifier(GaussianNB(), quick_student(), augmenter=None)
    search = GridSearchCV(student, {"alpha": [0.5]}, refit=False, cv=2).fit(*data)
    with pytest.raises(TypeError, match="refit=True"):
        to_onnx(search)


@pytest.mark.usefixtures("net_by_hand")
@pytest.mark.parametrize("convert", [to_onnx, to_sklearn])
def test_preprocessor_of_tables_in_front_is_plain_scikit_learn(table, convert):
    X, y = table
    X = X.assign(**{"capital-gain": X["capital-gain"].astype(np.float32)})
    clf = in_pipeline([TabularPreprocessor()], tiny_net(max_epochs=2), X, y)
    strings = ["home town", "variable", "empty"]
    X[strings] = X[strings].astype(object).where(X[strings].notna(), np.nan)
    assert_same(convert(clf), clf, X)


@pytest.mark.parametrize(
    "through", [lambda c: c, lambda c: pickle.loads(pickle.dumps(c))]
)
@pytest.mark.parametrize(
    "net",
    [
        tiny_net(max_epochs=1),
        tiny_net(max_epochs=1, predict_nonlinearity=None),
        tiny_net(max_epochs=1, predict_nonlinearity=torch.sigmoid),
        tiny_net(max_epochs=1, module=Softmax, criterion=nn.NLLLoss),
    ],
    ids=["logits", "no nonlinearity", "nonlinearity", "softmax"],
)
def test_probabilities_of_a_net_are_those_of_the_classifier(data, net, through):
    clf = through(distilled(net, *data))
    X = data[0].astype(np.float32)
    np.testing.assert_allclose(parts_of(clf).said(X), clf.predict_proba(X))


class Holder(BaseEstimator):
    """Holds an estimator as searches that are not scikit-learn's do."""

    def fit(self, estimator):
        self.best_estimator_ = estimator
        return self

    def predict_proba(self, X):
        return self.best_estimator_.predict_proba(X)


@pytest.mark.parametrize("hold", [FrozenEstimator, lambda c: Holder().fit(c)])
def test_what_holds_a_student(net_student, net_file, hold):
    assert to_onnx(hold(net_student)) == net_file


@pytest.mark.usefixtures("net_by_hand")
def test_pipelines_and_searches(data):
    X, y = data
    last = DistilledClassifier(student=tiny_net(max_epochs=2), random_state=0)
    pipeline = Pipeline([("reduce", PCA(2)), ("scale", StandardScaler()), ("c", last)])
    search = GridSearchCV(pipeline, {"reduce__n_components": [2]}, cv=2)
    search.fit(X, y, c__teacher_proba=proba_for(y))
    made = to_onnx(search, sample=X)
    assert metadata_of(made)["skdistill.n_features"] == "4"
    assert_same(made, search, X)
