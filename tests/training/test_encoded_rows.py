"""Rows that are encoded as they are needed do the same as an array of all of them."""

import itertools
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder
from skorch.dataset import Dataset

from skdistill import DistilledClassifier, TabularPreprocessor, make_student
from skdistill._students import _inputs
from skdistill._students._inputs import EncodedRows, net_rows
from skdistill._students._student import net_of
from skdistill._training._prediction import proba
from skdistill._training._train import train_all
from skdistill._transfer._transfer_set import TransferSet
from tests.conftest import tiny_net
from tests.training.conftest import Listens, assert_same_weights, lesson_of, train

N_OWN, N_EXTRA = 200, 80


def array(n_rows, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_rows, 4)).astype(np.float32)
    X[3, 1] = np.nan
    return X


def frame(n_rows, seed=0):
    X = pd.DataFrame(array(n_rows, seed)).add_prefix("x")
    X.insert(1, "job", np.resize(["cook", "clerk", None], n_rows))
    X["due"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n_rows), "D")
    return X


def polars_frame(n_rows, seed=0):
    return pytest.importorskip("polars").from_pandas(frame(n_rows, seed))


def arrow_table(n_rows, seed=0):
    return pytest.importorskip("pyarrow").table(frame(n_rows, seed))


KINDS = pytest.mark.parametrize("kind", [array, frame, polars_frame, arrow_table])


@pytest.fixture
def encode_as_needed(monkeypatch):
    """Return a function that has any number of rows encoded as needed."""

    def begin():
        monkeypatch.setattr(_inputs, "MAX_BYTES", 0)
        monkeypatch.setattr(_inputs, "_FRAME_ROWS", 64)

    return begin


@pytest.fixture
def made(monkeypatch):
    """Return a list of the EncodedRows that are made."""
    found = []

    class Spied(EncodedRows):
        def __init__(self, *args):
            super().__init__(*args)
            found.append(self)

    monkeypatch.setattr(_inputs, "EncodedRows", Spied)
    return found


def transfer_set(kind, has_extra):
    n_rows = N_OWN + N_EXTRA * has_extra
    soft = np.random.default_rng(2).normal(size=(n_rows, 3)).astype(np.float32)
    extra = kind(N_EXTRA, seed=1) if has_extra else None
    return TransferSet(kind(N_OWN), soft, soft.argmax(axis=1), extra=extra)


def student(**params):
    return make_student((8,), max_epochs=3, batch_size=48, **params)


# Training

EACH_WAY = [(array, *way) for way in itertools.product([False, True], repeat=3)]
OTHER_KINDS = [
    (kind, *way)
    for kind in (frame, polars_frame, arrow_table)
    for way in [(False, True, True), (True, False, False)]
]


@pytest.mark.parametrize(
    ("kind", "listens", "stops", "has_extra"), EACH_WAY + OTHER_KINDS
)
def test_weights_are_those_that_the_array_gives(
    kind, listens, stops, has_extra, encode_as_needed, made
):
    rows = transfer_set(kind, has_extra)
    one, other = student(early_stopping=stops), student(early_stopping=stops)
    if listens:
        for each in (one, other):
            net_of(each).callbacks.append(Listens())
    train(one, rows)
    assert not made
    encode_as_needed()
    train(other, rows)
    assert len(made) == 1
    assert_same_weights(net_of(one), net_of(other))
    for name in ["train_loss"] + ["valid_loss"] * stops:
        assert net_of(one).history[:, name] == net_of(other).history[:, name]


@KINDS
def test_a_further_epoch_is_the_same(kind, encode_as_needed, made):
    rows = transfer_set(kind, has_extra=False)
    one, other = train(student(), rows), train(student(), rows)
    train(one, rows, epochs=1)
    encode_as_needed()
    train(other, rows, epochs=1)
    assert made
    assert_same_weights(net_of(one), net_of(other))


def test_a_whole_fit_is_the_same(encode_as_needed, made):
    X = array(N_OWN)[4:]
    y = (X[:, 0] > 0).astype(int)
    teacher = LogisticRegression().fit(X, y)
    one, other = (
        DistilledClassifier(teacher, student(), random_state=seed) for seed in (0, 0)
    )
    one.fit(X, y)
    expected = one.predict_proba(X), one.predict_log_proba(X), one.predict(X)
    encode_as_needed()
    other.fit(X, y)
    assert_same_weights(net_of(one.student_), net_of(other.student_))
    found = other.predict_proba(X), other.predict_log_proba(X), other.predict(X)
    for a, b in zip(found, expected, strict=True):
        assert_array_equal(a, b, strict=True)


def test_rows_that_cannot_be_read_fail_before_the_training(encode_as_needed, begun):
    X = np.ones((N_OWN, 4))
    X[::2] = 0
    extra = X[:9].copy()
    extra[5, 2] = 1e300
    soft = np.zeros((N_OWN + 9, 2), np.float32)
    rows = TransferSet(X, soft, soft.argmax(axis=1), extra=extra)
    net = student()
    net_of(net).callbacks.append(begun)
    encode_as_needed()
    with pytest.raises(ValueError, match="infinity or a value too large") as error:
        train(net, rows)
    assert "Raised by the student, which gets X" in error.value.__notes__[0]
    assert begun.epochs == []


@pytest.mark.parametrize("as_needed", [False, True])
def test_arrays_together_are_smaller_than_all_encoded_rows(as_needed, encode_as_needed):
    X = np.random.default_rng(0).normal(size=(30_000, 16)).astype(np.float32)
    soft = np.stack([X[:, 0], -X[:, 0]], axis=1)
    rows = TransferSet(X, soft, soft.argmax(axis=1))
    if as_needed:
        encode_as_needed()
    tracemalloc.start()
    try:
        trained = train(make_student((8,), max_epochs=1), rows)
        proba(net_of(trained), net_rows(trained, [X]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    encoded = 4 * trained[0].transform(X[:1]).size * len(X)
    assert (peak < 0.75 * encoded) == as_needed


def test_such_a_net_is_trained_by_itself(encode_as_needed):
    encode_as_needed()
    rows = transfer_set(array, has_extra=False)
    lessons = train_all([lesson_of(student(), rows) for _ in range(2)])
    assert all("encoded batch by batch" in lesson.alone for lesson in lessons)
    assert all(len(lesson.net.history) == 3 for lesson in lessons)


# When


def target_encoded(net):
    return make_pipeline(TargetEncoder(cv=3), net)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda net: net,
        target_encoded,
        lambda net: make_pipeline(TabularPreprocessor(), StandardScaler(), net),
        lambda net: make_pipeline(
            TabularPreprocessor(),
            net.set_params(dataset=type("Own", (Dataset,), {})),
        ),
    ],
    ids=["net", "another transformer", "two steps", "own dataset"],
)
def test_other_students_get_an_array(wrap, encode_as_needed, made):
    encode_as_needed()
    X = array(N_OWN)[4:]
    soft = np.stack([X[:, 0], -X[:, 0]], axis=1)
    net = tiny_net(module__n_features=4, module__n_classes=2)
    trained = wrap(net)
    train(trained, TransferSet(X, soft, soft.argmax(axis=1)))
    assert isinstance(net_rows(trained, [X]), np.ndarray)
    assert not made


def test_few_rows_are_an_array(made):
    rows = transfer_set(array, has_extra=False)
    trained = train(student(), rows)
    assert isinstance(net_rows(trained, [rows.X]), np.ndarray)
    assert not made
