"""Rows of integers, which embeddings look up, and modules of several inputs."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder
from skorch.dataset import Dataset
from skorch.helper import SliceDict
from torch import nn

from skdistill import DistilledClassifier, TorchTeacher
from skdistill.deploy import OnnxClassifier, to_onnx
from skdistill.model_selection import GridSearchCV
from tests.conftest import distilled, small_student, tiny_net

X = np.random.default_rng(0).integers(0, 6, size=(120, 3))
y = X.max(axis=1) // 2
PROBA = np.eye(3)[y] * 0.7 + 0.1


class Bag(nn.Module):
    """Looks up a vector for each integer of a row."""

    def __init__(self):
        super().__init__()
        self.table, self.linear = nn.Embedding(6, 4), nn.Linear(12, 3)

    def forward(self, X):
        return self.linear(self.table(X).flatten(1))


class BagOfFloats(Bag):
    def forward(self, X):
        return super().forward(X.long())


class Own(Dataset):
    """A dataset of the person's own."""


def student(module=Bag, **params):
    return tiny_net(module=module, batch_size=30, **params)


def fitted(net, rows=X, **params):
    clf = DistilledClassifier(student=net, random_state=0, **params)
    return clf.fit(rows, y, teacher_proba=PROBA)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize("params", [{}, {"dataset": Own}], ids=["loop", "own dataset"])
def test_a_student_looks_integers_up(params, dtype):
    rows = X.astype(dtype)
    clf = fitted(student(**params), rows)
    assert clf.score(rows, y) > 0.6
    floats = fitted(student(BagOfFloats, **params), X.astype(float))
    assert_array_equal(clf.predict_proba(rows), floats.predict_proba(X.astype(float)))
    assert_allclose(clf.predict_proba(rows[:1]), clf.predict_proba(rows)[:1], atol=1e-6)
    clf.partial_fit(rows, y, teacher_proba=PROBA)


def test_without_a_teacher_it_learns_what_skorch_teaches():
    net = student(iterator_train__shuffle=False)
    clf = fitted(net, alpha=0.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = net.fit(X, y).predict_proba(X)
    assert_allclose(clf.predict_proba(X), expected, atol=1e-5)


def test_integers_of_a_pipeline_stay_integers():
    codes = np.array(list("abcdef"))[X]
    encoder = OrdinalEncoder(dtype=np.int64)
    clf = distilled(student=make_pipeline(encoder, student()))
    assert clf.fit(codes, y, teacher_proba=PROBA).score(codes, y) > 0.6


@pytest.mark.parametrize("dataset", [Dataset, Own])
def test_other_modules_get_integers_as_floats(dataset):
    net = student(nn.Linear(3, 3), dataset=dataset)
    found = fitted(net).predict_proba(X)
    assert_array_equal(found, fitted(net, X.astype(float)).predict_proba(X))


def test_students_of_integers_are_trained_together():
    clf = distilled(student=student(), alpha=1.0)
    grid = {"temperature": [1.0, 4.0]}
    search = GridSearchCV(clf, grid, cv=2, error_score="raise")
    search.fit(X, y, teacher_proba=PROBA)
    alone = fitted(student(), alpha=1.0, temperature=search.best_params_["temperature"])
    assert_allclose(search.predict_proba(X), alone.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
@pytest.mark.filterwarnings("ignore:SKD101")
def test_a_teacher_looks_integers_up(dtype):
    module, rows = Bag(), X.astype(dtype)
    teacher = TorchTeacher(module, [0, 1, 2])
    expected = module(torch.tensor(X)).softmax(dim=1).detach()
    assert_allclose(teacher.predict_proba(rows), expected, rtol=1e-5)
    assert teacher.hidden_features(rows).shape == (120, 12)
    for net in (student(), small_student()):
        distilled(teacher, net).fit(rows, y).predict_proba(rows)


def test_an_onnx_file_takes_the_integers_of_a_module_that_makes_them():
    clf = fitted(student(BagOfFloats))
    file = OnnxClassifier(to_onnx(clf, sample=X))
    assert_allclose(file.predict_proba(X), clf.predict_proba(X), atol=1e-6)
    with pytest.raises(ValueError, match=r"a module that .* does so by X.long\(\)"):
        to_onnx(fitted(student()), sample=X)


def in_two(X):
    return SliceDict(left=X[:, :1], right=X[:, 1:])


class Two(nn.Module):
    """Has two inputs, of which one is looked up."""

    def __init__(self):
        super().__init__()
        self.table, self.linear = nn.Embedding(6, 4), nn.Linear(10, 3)

    def forward(self, left, right):
        looked_up = self.table(left.long()).flatten(1)
        return self.linear(torch.cat([looked_up, right, right**2, right > 3], dim=1))


@pytest.mark.parametrize("params", [{}, {"dataset": Own}], ids=["stock", "own dataset"])
@pytest.mark.parametrize("kind", [dict, SliceDict])
def test_a_student_has_several_inputs(kind, params):
    rows = kind(**in_two(X))
    clf = fitted(student(Two, **params), rows)
    assert clf.score(rows, y) > 0.6
    few = clf.predict_proba({name: one[:2] for name, one in rows.items()})
    assert_allclose(few, clf.predict_proba(rows)[:2], atol=1e-6)
    clf.partial_fit(rows, y, teacher_proba=PROBA)
    assert_array_equal(rows["left"], X[:, :1])


def test_a_student_of_several_inputs_learns_what_skorch_teaches():
    net, rows = student(Two, iterator_train__shuffle=False), in_two(X)
    clf = fitted(net, rows, alpha=0.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        rows["right"] = rows["right"].astype("f4")
        expected = net.fit(rows, y).predict_proba(rows)
    assert_allclose(clf.predict_proba(rows), expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:SKD101")
@pytest.mark.parametrize("params", [{}, {"relation_loss": "similarity"}], ids=str)
def test_a_teacher_has_several_inputs(params):
    module, rows = Two(), in_two(X)
    teacher = TorchTeacher(module, [0, 1, 2], batch_size=50)
    left, right = map(torch.tensor, (X[:, :1], X[:, 1:]))
    with torch.no_grad():
        expected = module(left, right.float()).softmax(dim=1)
    assert_allclose(teacher.predict_proba(rows), expected, rtol=1e-5)
    assert teacher.hidden_features(rows).shape == (120, 10)
    taught = distilled(teacher, student(Two), **params).fit(
        rows, y, X_transfer=rows[:9]
    )
    assert taught.predict_proba(rows).shape == (120, 3)
    by_function = TorchTeacher(lambda X: X["right"][:, [0, 1, 1]], [0, 1, 2])
    assert by_function.predict_proba(rows).shape == (120, 3)


def test_rows_of_several_inputs_are_searched_over():
    clf = distilled(student=student(Two))
    search = GridSearchCV(clf, {"temperature": [1.0, 4.0]}, cv=2, error_score="raise")
    with pytest.warns(UserWarning, match="one by one: .* has several inputs"):
        search.fit(in_two(X), y, teacher_proba=PROBA)
    assert search.predict(in_two(X)).shape == (120,)


def test_several_inputs_of_a_pipeline_reach_its_net():
    clf = fitted(make_pipeline(FunctionTransformer(in_two), student(Two)))
    assert clf.score(X, y) > 0.6


def test_the_default_student_refuses_several_inputs_with_the_way_out():
    with pytest.raises(TypeError, match=r"several inputs.* pass one array .* a skorch"):
        fitted(small_student(), in_two(X))


@pytest.mark.parametrize(
    ("rows", "error", "match"),
    [
        ({"left": X[:, :1]}, TypeError, "right"),
        ({"left": X[:, :1], "right": X[1:, 1:]}, ValueError, "different lengths"),
        ({"left": X[:, :1], "right": X[:, 1:] * np.nan}, ValueError, "NaN"),
    ],
    ids=["one is missing", "lengths differ", "not finite"],
)
def test_inputs_that_do_not_suit_are_explained(rows, error, match):
    clf = fitted(student(Two), in_two(X))
    with pytest.raises(error, match=match):
        clf.predict(rows)


@pytest.mark.filterwarnings("ignore:SKD101")
def test_further_rows_have_the_same_inputs():
    clf = distilled(TorchTeacher(Two(), [0, 1, 2]), student(Two))
    for others in (X[:9], {"left": X[:9]}):
        with pytest.raises(ValueError, match=r"X is a dict of the inputs .*left"):
            clf.fit(in_two(X), y, X_transfer=others)
