from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score
from skorch import NeuralNetClassifier
from skorch.dataset import Dataset

from skdistill import DistilledClassifier, make_student
from tests.conftest import table


def test_arguments_reach_the_net_under_their_names():
    student = make_student(
        (8,),
        activation="tanh",
        dropout=0.1,
        lr=0.5,
        max_epochs=3,
        batch_size=7,
        weight_decay=0.2,
        device="meta",
    )
    expected = {
        "net__module__hidden_layer_sizes": (8,),
        "net__module__activation": "tanh",
        "net__module__dropout": 0.1,
        "net__lr": 0.5,
        "net__max_epochs": 3,
        "net__batch_size": 7,
        "net__optimizer__weight_decay": 0.2,
        "net__device": "meta",
    }
    parameters = student.get_params()
    assert {name: parameters[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("device", "fused"), [("cpu", True), (torch.device("cuda:1"), True), ("mps", None)]
)
def test_steps_are_fused_where_each_version_of_torch_can(device, fused):
    assert make_student(device=device).get_params()["net__optimizer__fused"] is fused


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("net__lr", 0.1),
        ("net__max_epochs", 1),
        ("net__module__hidden_layer_sizes", (3,)),
        ("net__module__n_features", 4),
        ("net__module__periodic", True),
        ("net__module__sigma", 0.5),
        ("preprocess__numeric", "piecewise"),
        ("preprocess__n_bins", 8),
        ("preprocess__min_frequency", 2),
        ("preprocess__max_categories", 20),
    ],
)
def test_parameters_survive_set_params_and_clone(name, value):
    student = clone(make_student()).set_params(**{name: value})
    assert clone(student).get_params()[name] == value


def test_trains_on_all_rows_in_random_order():
    net = make_student()["net"]
    assert net.train_split is None
    assert net.get_params()["iterator_train__shuffle"] is True


def test_widths_are_left_open():
    parameters = make_student().get_params()
    assert "net__module__n_features" not in parameters
    assert "net__module__n_outputs" not in parameters


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("hidden_layer_sizes", ["x", 0, -1, 2.5]),
        ("numeric", ["fourier", None]),
        ("activation", ["swish", None]),
        ("dropout", [-0.1, 1.0]),
        ("lr", [0, -1, "x"]),
        ("max_epochs", [0, -1, 2.5]),
        ("batch_size", [0, -2, 2.5]),
        ("weight_decay", [-0.1]),
        ("device", [None, 0]),
    ],
)
def test_wrong_arguments_are_refused_by_name(name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"The '{name}' parameter of make_student"):
            make_student(**{name: value})


@pytest.mark.parametrize(
    "arguments",
    [
        {"hidden_layer_sizes": 1},
        {"hidden_layer_sizes": np.array([4, 3])},
        {"hidden_layer_sizes": ()},
        {"dropout": 0, "weight_decay": 0, "max_epochs": 1, "batch_size": 1},
        {"batch_size": -1, "device": torch.device("cpu")},
    ],
    ids=str,
)
def test_extreme_arguments_are_taken(arguments):
    make_student(**arguments)


@pytest.mark.parametrize(
    ("student", "net"),
    [
        (
            make_student(),
            "StudentNet(max_epochs=None, module__hidden_layer_sizes=(64, 64), "
            "optimizer__weight_decay=None)",
        ),
        (
            make_student(8, lr=0.1, max_epochs=9).set_params(net__verbose=1),
            "StudentNet(lr=0.1, max_epochs=9, module__hidden_layer_sizes=8, "
            "optimizer__weight_decay=None, verbose=1)",
        ),
        (
            make_student(max_bytes=4000),
            "StudentNet(max_bytes=4000, max_epochs=None, "
            "module__hidden_layer_sizes=None, optimizer__weight_decay=None)",
        ),
        (
            make_student(early_stopping=True),
            "StudentNet(callbacks=[('decay', WarmupDecay()), ('early_stopping', "
            "EarlyStopping(patience=10, load_best=True))], max_epochs=None, "
            "module__hidden_layer_sizes=(64, 64), optimizer__weight_decay=None, "
            "train_split=ValidSplit(0.1, stratified=True))",
        ),
    ],
    ids=["default", "set", "bytes", "early stopping"],
)
def test_repr_says_what_it_is_and_what_is_open(student, net):
    assert "".join(repr(clone(student)[-1:]).split()) == "".join(
        f"Pipeline(steps=[('net', {net})])".split()
    )


def test_nets_share_no_callbacks():
    first, second = make_student()[-1], make_student(early_stopping=True)[-1]
    assert len(first.callbacks) == 1
    assert first.callbacks[0][1] is not second.callbacks[0][1]


@pytest.mark.parametrize(
    ("numeric", "preprocessed", "periodic"),
    [
        ("standard", "standard", False),
        ("piecewise", "piecewise", False),
        ("periodic", "standard", True),
    ],
)
def test_an_encoding_is_set_in_the_step_that_computes_it(
    numeric, preprocessed, periodic
):
    parameters = make_student(numeric=numeric).get_params()
    assert parameters["preprocess__numeric"] == preprocessed
    assert parameters["net__module__periodic"] == periodic


def test_net_embeds_the_numeric_columns_alone(frame):
    X, y = frame(table()), np.arange(60) % 2
    clf = DistilledClassifier(student=make_student(numeric="periodic", max_epochs=1))
    clf.fit(X, y, teacher_proba=np.eye(2)[y] * 0.8 + 0.1)
    assert len(clf.student_[-1].module_.embedding.frequencies) == 3


@pytest.mark.parametrize("numeric", ["standard", "piecewise", "periodic"])
def test_student_learns_from_a_frame_in_silence(frame, capsys, numeric):
    X = frame(table())
    y = np.array([town == "Ulm" for town in table()["town"]]).astype(np.int64)
    student = make_student(
        numeric=numeric, lr=0.01, max_epochs=40, batch_size=16, weight_decay=0.1
    )
    width = student[0].fit_transform(X).shape[1]
    student.set_params(net__module__n_features=width, net__module__n_outputs=2)
    torch.manual_seed(0)
    with config_context(transform_output="pandas"):
        student.fit(X, y)
        assert (student.predict(X) == y).mean() > 0.95
    assert isinstance(student["net"], NeuralNetClassifier)
    assert capsys.readouterr().out == ""


def test_early_stopping_keeps_the_best_epoch(data):
    X, y = data
    noise = np.random.default_rng(0).permutation(y)  # nothing to learn: overfits
    student = make_student(early_stopping=True, validation_fraction=0.3, batch_size=16)
    proba = np.eye(3)[noise] * 0.7 + 0.1
    clf = DistilledClassifier(student=student, alpha=0.0, random_state=0)
    clf.fit(X, noise, teacher_proba=proba)
    losses = clf.history_[:, "valid_loss"]
    assert len(losses) == np.argmin(losses) + 1 + 10
    held_out = student["net"].train_split(Dataset(X, noise), noise)[1].indices
    assert len(held_out) == round(0.3 * len(X))
    expected = log_loss(noise[held_out], clf.predict_proba(X[held_out]))
    assert min(losses) == pytest.approx(expected, rel=1e-5)


def test_early_stopping_holds_copies_of_a_row_out_together(data):
    X, y = data
    student = make_student(early_stopping=True, validation_fraction=0.3, max_epochs=1)
    split = student["net"].train_split
    X, y = np.tile(X, (3, 1)).astype("f4"), np.tile(y, 3)
    train, valid = (set(part.indices.tolist()) for part in split(Dataset(X, y), y))
    assert len(train) + len(valid) == len(X)
    assert 0.2 < len(valid) / len(X) < 0.4
    assert not {row.tobytes() for row in X[[*train]]} & {
        row.tobytes() for row in X[[*valid]]
    }


def test_early_stopping_holds_out_rows_that_are_equal_by_chance_one_by_one():
    rng = np.random.default_rng(0)
    X = rng.integers(2, size=(200, 2)).astype("f4")  # four different rows
    y = (X[:, 0] + (rng.random(200) < 0.3)) % 2
    student = make_student(early_stopping=True, validation_fraction=0.3, max_epochs=1)
    train, valid = student["net"].train_split(Dataset(X, y), y)
    assert len(valid) == 60
    for part in (train, valid):
        assert len(np.unique(X[part.indices], axis=0)) == 4


@pytest.mark.parametrize("y", [[0] * 39 + [1], [0, 1] * 2, range(5)], ids=str)
def test_early_stopping_holds_rows_of_few_classes_out_as_they_come(y):
    X, proba = np.arange(2.0 * len(y)).reshape(-1, 2), np.eye(max(y) + 1)[y] * 0.8
    student = make_student(early_stopping=True, max_epochs=2)
    clf = DistilledClassifier(student=student, random_state=0)
    clf.fit(X, np.array(y), teacher_proba=proba + 0.2 / proba.shape[1])
    assert np.isfinite(clf.history_[:, "valid_loss"]).all()
    alone = clone(student).fit(X, np.array(y))
    assert np.isfinite(alone["net"].history[:, "valid_loss"]).all()
    assert alone["net"].train_split.stratified


def test_rows_are_held_out_on_request_alone():
    assert make_student(validation_fraction=0.3)["net"].train_split is None
    for wrong in (0.0, 1.0, 2):
        with pytest.raises(ValueError, match="The 'validation_fraction' parameter"):
            make_student(early_stopping=True, validation_fraction=wrong)


@pytest.mark.parametrize("labels", [[0, 1, 2], ["ash", "birch", "cedar"], [7, 3, 5]])
def test_a_student_can_be_fitted_by_itself(data, labels):
    X, y = data
    y = np.array(labels)[y]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        student = make_student((8,)).fit(X, y)
    assert student.score(X, y) > 0.8
    assert student.classes_.tolist() == sorted(labels)
    assert_array_equal(
        student.predict(X), student.classes_[student.predict_proba(X).argmax(axis=1)]
    )
    student.fit(X[:, :2], y == labels[0])  # once more, on other columns and classes
    assert student.predict(X[:, :2]).dtype == bool


def test_a_student_is_cross_validated_as_any_classifier(data):
    student = make_student((8,), max_epochs=30, early_stopping=True)
    assert cross_val_score(student, *data, cv=2).shape == (2,)
