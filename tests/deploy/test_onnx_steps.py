import json
from decimal import Decimal

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import StackingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from skdistill.deploy import OnnxClassifier, to_onnx, to_sklearn
from tests.conftest import TinyModule, tiny_net
from tests.deploy.conftest import (
    assert_same,
    distilled,
    in_pipeline,
    metadata_of,
    quick_student,
)

pytestmark = pytest.mark.usefixtures("net_by_hand")


class Doubled(TransformerMixin, BaseEstimator):
    """A transformer that skl2onnx has never heard of."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return 2 * X


def test_step_that_cannot_be_converted_is_named_with_a_way_out(data):
    X, y = data
    clf = distilled(tiny_net(max_epochs=1), X, y)
    pipeline = make_pipeline(Doubled().fit(X), clf)
    with pytest.raises(ValueError, match=r"'doubled' .*to_onnx\(pipeline\[-1") as info:
        to_onnx(pipeline)
    assert info.value.__cause__ is not None
    file = OnnxClassifier(to_onnx(pipeline[-1]))
    expected = pipeline.predict_proba(X)
    np.testing.assert_allclose(file.predict_proba(2 * X), expected, atol=1e-6)


def test_step_of_a_student_that_cannot_be_converted_has_a_way_out(data):
    step = FunctionTransformer(np.abs)
    clf = distilled(make_pipeline(step, tiny_net(max_epochs=1)), *data)
    with pytest.raises(ValueError, match=r"'functiontransformer'.*use .*to_sklearn"):
        to_onnx(clf)
    assert to_sklearn(clf)


def with_gaps():
    X = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32)
    X[::7, 1] = X[::11, 2] = np.nan
    return X, np.arange(90) % 3


@pytest.mark.parametrize("names", [None, list("abcd")])
def test_functions_of_skl2onnx_become_nodes(names):
    X, y = with_gaps()
    step = KNNImputer()
    if names:
        X = pd.DataFrame(X, columns=names)
        step = ColumnTransformer(
            [("near", step, ["a", "b"]), ("mean", SimpleImputer(), ["c"])]
        )
    clf = distilled(make_pipeline(step, tiny_net(max_epochs=2)), X, y)
    made = to_onnx(clf, sample=X)
    model = onnx.load_from_string(made)
    onnx.checker.check_model(model, full_check=True)
    assert {opset.domain for opset in model.opset_import} <= {"", "ai.onnx.ml"}
    assert_same(made, clf, X)


@pytest.mark.parametrize(
    "step",
    [
        LinearDiscriminantAnalysis(),
        LinearDiscriminantAnalysis(solver="eigen", n_components=1),
        KMeans(5, n_init=1, random_state=0),
        MiniBatchKMeans(5, n_init=1, random_state=0),
    ],
    ids=str,
)
@pytest.mark.parametrize("place", ["alone", "union", "columns"])
def test_steps_that_also_predict(data, step, place):
    X, y = data
    if place == "union":
        step = make_union(StandardScaler(), step)
    elif place == "columns":
        parts = [("scale", StandardScaler(), [0]), ("step", step, [3, 1])]
        step = ColumnTransformer(parts)
    step = step.fit(X, y)
    before = vars(step).copy()
    clf = distilled(tiny_net(max_epochs=2), step.transform(X).astype(np.float32), y)
    pipeline = make_pipeline(step, clf)
    assert_same(to_onnx(pipeline, sample=X), pipeline, X)
    assert vars(step).keys() == before.keys()


def test_predictions_of_a_step_are_not_taken_for_its_output(data):
    X, y = data
    step = StackingClassifier([("tree", DecisionTreeClassifier(max_depth=2))], cv=2)
    rows = step.fit(X, y).transform(X).astype(np.float32)
    pipeline = make_pipeline(step, distilled(tiny_net(max_epochs=1), rows, y))
    with pytest.raises(ValueError, match=r"of StackingClassifier, it converts predict"):
        to_onnx(pipeline)


def test_refuses_rows_of_one_text_each():
    texts, y = np.array(["a cook", "a clerk"] * 9), np.array([0, 1] * 9)
    clf = distilled(make_pipeline(TfidfVectorizer(), tiny_net(max_epochs=1)), texts, y)
    with pytest.raises(ValueError, match=r"single values.*to_sklearn takes"):
        to_onnx(clf, sample=texts)


def test_frame_has_an_input_for_each_column(frame_file, table):
    session = onnxruntime.InferenceSession(frame_file)
    inputs = [(node.name, node.type, node.shape) for node in session.get_inputs()]
    text = {"home town", "variable", "empty"}
    assert inputs == [
        (name, "tensor(string)" if name in text else "tensor(double)", ["batch", 1])
        for name in table[0].columns
    ]


@pytest.mark.parametrize(
    ("names", "step"),
    [
        (None, ColumnTransformer([("scale", StandardScaler(), [3, 1])])),
        (range(4), StandardScaler()),
        (["a-b", "label", "c", "d"], StandardScaler()),
    ],
    ids=["array", "numbered", "named"],
)
def test_columns_of_numbers_are_one_tensor(data, names, step):
    X = data[0] if names is None else pd.DataFrame(data[0], columns=names)
    student = Pipeline([("step", step), ("net", tiny_net(max_epochs=2))])
    clf = distilled(student, X, data[1])
    made = to_onnx(clf)
    assert [node.name for node in onnx.load_from_string(made).graph.input] == ["X"]
    if isinstance(names, list):
        assert OnnxClassifier(made).feature_names_in_.tolist() == names
    assert_same(made, clf, X)


@pytest.mark.parametrize("name", ["label", "probabilities", ""])
def test_refuses_columns_named_as_an_output(table, name):
    X = table[0][["home town", "1"]].set_axis([name, "other"], axis=1)
    with pytest.raises(ValueError, match="rename the column"):
        to_onnx(distilled(quick_student(), X, table[1]))


@pytest.mark.parametrize("sample", [False, True])
def test_refuses_the_label_nan_where_nothing_was_missing(table, sample):
    X, y = table
    X = X[["1"]].assign(job=np.resize(["nan", "cook"], len(X)))
    clf = distilled(quick_student(), X, y)
    with pytest.raises(ValueError, match="has the label 'nan', which in ONNX stands"):
        to_onnx(clf, sample=X if sample else None)


def test_string_nan_at_prediction_is_a_level_never_seen():
    rng = np.random.default_rng(0)
    levels = rng.choice(np.array(["u", "v", None], dtype=object), 60)
    X = pd.DataFrame({"a": rng.normal(size=60), "b": levels})
    clf = distilled(quick_student(), X, np.where(X["b"].isna(), "yes", "no"))
    rows, missing = X.assign(b="nan"), X.assign(b=None)
    assert abs(clf.predict_proba(rows) - clf.predict_proba(missing)).max() > 1e-3
    assert_same(to_onnx(clf), clf, rows)
    assert_same(to_onnx(clf), clf, missing)


@pytest.mark.parametrize(
    ("number", "string"),
    [
        ("code", "X"),
        ("net/X", "classes"),
        ("column_0", "columns/variable"),
        ("skdistill/code", "column_3"),
        ("columns/variable", "skdistill/code"),
    ],
)
def test_columns_may_be_named_as_what_is_inside(table, number, string):
    X, y = table
    X = X.rename(columns={"1": number, "variable": string})
    clf = distilled(quick_student(), X, y)
    assert_same(to_onnx(clf), clf, X)


@pytest.mark.parametrize(
    "values",
    [[f"id {i}" for i in range(120)], [None] * 120, pd.Categorical([None] * 120)],
    ids=["ids", "missing", "category"],
)
def test_column_without_any_known_level(table, values):
    X, y = table
    X = X[["1"]].assign(extra=values)  # numbers alone, once it is all missing
    clf = distilled(quick_student(), X, y)
    assert_same(to_onnx(clf), clf, X)


def test_unnamed_frame_of_numbers_as_objects(data):
    X, y = pd.DataFrame(data[0]), data[1]
    X[1] = X[1].round(1).astype(str).map(Decimal)
    X[2] = X[2].gt(0).astype("boolean")
    clf = distilled(quick_student(), X, y)
    assert_same(to_onnx(clf, sample=X), clf, X)


class NanIsZero(TinyModule):
    def forward(self, X):
        return super().forward(X.nan_to_num())


def test_missing_values_are_refused_where_the_estimator_refuses_them(data):
    X = data[0].copy()
    X[0, 0] = np.nan
    strict = distilled(tiny_net(module=NanIsZero, max_epochs=1), *data)
    with pytest.raises(ValueError, match="NaN"):
        strict.predict_proba(X)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        OnnxClassifier(to_onnx(strict)).predict_proba(X)


def test_missing_values_are_taken_where_some_column_takes_them(data):
    steps = ColumnTransformer(
        [("some", SimpleImputer(), [1]), ("other", StandardScaler(), [0, 2, 3])]
    )
    clf = distilled(make_pipeline(steps, tiny_net(max_epochs=2)), *data)
    rows = data[0].copy()
    rows[0, 1] = np.nan
    made = to_onnx(clf)
    assert_same(made, clf, rows)
    rows[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        OnnxClassifier(made).predict(rows)


def own_columns():
    return ColumnTransformer(
        [
            ("text", OneHotEncoder(handle_unknown="ignore"), [1]),
            (
                "numbers",
                make_pipeline(StandardScaler(), "passthrough"),
                lambda X: [name for name in X.columns if name == "1"],
            ),
            ("left out", "drop", ["capital-gain"]),
        ],
        sparse_threshold=0,
    )


@pytest.mark.parametrize("place", ["before", "student", "nested"])
def test_columns_of_ones_own(table, place):
    X, y = table
    X = X.drop(columns=["empty", "variable"])
    net = tiny_net(max_epochs=2)
    if place == "student":
        clf = distilled(make_pipeline(own_columns(), net), X, y)
    else:
        head = own_columns()
        if place == "nested":
            head = make_pipeline(make_pipeline("passthrough", head), StandardScaler())
        clf = in_pipeline([head], net, X, y)
    made = to_onnx(clf, sample=X)
    kinds = json.loads(metadata_of(made)["skdistill.kinds"])
    assert kinds == ["string", "string", "float", "string"]
    assert_same(made, clf, X)
    with pytest.raises(ValueError, match="pass sample="):
        to_onnx(clf)


def encoded(strategy):
    """Return a step that scales numbers, and encodes a column with imputed strings."""
    imputer = SimpleImputer(missing_values="?", strategy=strategy)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps = [("level", make_pipeline(imputer, encoder), ["job"])]
    return ColumnTransformer([("number", StandardScaler(), ["1"]), *steps])


STEPS = {
    "two steps for a column": ColumnTransformer(
        [
            ("hot", OneHotEncoder(), ["home town"]),
            ("hot numbers", OneHotEncoder(handle_unknown="ignore"), ["1"]),
            ("code", OrdinalEncoder(), ["home town"]),
        ],
        sparse_threshold=0,
        transformer_weights={"hot": 0.5},
    ),
    "strings alone": OneHotEncoder(sparse_output=False, handle_unknown="ignore"),
    "codes alone": OrdinalEncoder(),
    "most frequent": encoded("most_frequent"),
    "constant": encoded("constant"),
}


@pytest.mark.parametrize("kind", STEPS)
def test_steps_of_a_student_on_frames(table, kind):
    X, y = table[0][["1", "home town"]], table[1]
    if kind.endswith("alone"):
        X = X[["home town"]]
    jobs = np.resize(np.array(["?", "cook", "clerk"], object), len(X))
    X = X.assign(job=jobs).astype({"job": object})
    clf = distilled(make_pipeline(STEPS[kind], tiny_net(max_epochs=2)), X, y)
    assert_same(to_onnx(clf, sample=X), clf, X)


def test_frame_on_the_way(data):
    X, y = pd.DataFrame(data[0], columns=["a-b", "c", "d", "e"]), data[1]
    head = StandardScaler().set_output(transform="pandas")
    clf = in_pipeline([head], quick_student(), X, y)
    assert_same(to_onnx(clf), clf, X)


@pytest.mark.parametrize(
    ("encoder", "output"),
    [(OneHotEncoder(sparse_output=False), "pandas"), (OrdinalEncoder(), "default")],
)
def test_columns_in_front_of_the_default_student(table, encoder, output):
    X, y = table
    X = X[["1", "home town"]]
    steps = ColumnTransformer(
        [("number", StandardScaler(), ["1"]), ("level", encoder, ["home town"])],
        verbose_feature_names_out=False,
    ).set_output(transform=output)
    clf = in_pipeline([steps], quick_student(), X, y)
    assert_same(to_onnx(clf, sample=X), clf, X)


def test_columns_after_another_step_in_front_of_the_default_student(data):
    X, y = data[0].round(), data[1]
    steps = ColumnTransformer(
        [("level", OrdinalEncoder(), [0])], remainder="passthrough"
    )
    clf = in_pipeline([SimpleImputer(), steps], quick_student(), X, y)
    assert_same(to_onnx(clf, sample=X), clf, X)


@pytest.mark.parametrize("named", [True, False])
def test_columns_after_another_step_inside_of_columns(named):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
    X.iloc[::7, 1] = np.nan
    X = X if named else X.to_numpy()
    columns = ["c", "b"] if named else [2, 1]
    repeat = ColumnTransformer([("repeat", "passthrough", [0, 1, 1])])
    inner = make_pipeline(SimpleImputer(), repeat, StandardScaler())
    steps = ColumnTransformer([("numbers", inner, columns)])
    clf = distilled(make_pipeline(steps, tiny_net(max_epochs=2)), X, np.arange(60) % 3)
    assert_same(to_onnx(clf, sample=X), clf, X)
