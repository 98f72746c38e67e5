"""What tests of the training share: estimators, nets, and looks into both."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import Callback
from torch import nn

from skdistill import DistilledClassifier
from skdistill._training import _train
from skdistill._training._objective import Objective
from skdistill._training._train import make_lesson
from skdistill._transfer._transfer_set import TransferSet
from tests import conftest
from tests.conftest import tiny_net


class Noisy(nn.Sequential):
    """Draws random numbers, and has statistics of its batches."""

    def __init__(self, n_features=2, n_classes=2):
        super().__init__(
            nn.Linear(n_features, 8),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(8, n_classes),
        )


class Listens(Callback):
    """Looks at each batch, so that skorch trains the net."""

    def on_batch_end(self, net, **kwargs):
        pass


def sgd_net(**params):
    """Return a net that takes one step on all rows, in their order, per epoch."""
    defaults = {
        "optimizer": torch.optim.SGD,
        "batch_size": -1,
        "max_epochs": 1,
        "iterator_train__shuffle": False,
    }
    return tiny_net(**defaults | params)


def distilled(teacher=None, student=None, **params):
    student = tiny_net(max_epochs=3) if student is None else student
    return conftest.distilled(teacher, student, **params)


def column(clf, name):
    """Return a column of the history."""
    return [epoch[name] for epoch in clf.history_]


def weights_of(trained):
    """Return copies of the weights of an estimator, a net or a module."""
    net = getattr(trained, "student_", trained)
    module = getattr(net, "module_", net)
    return [p.detach().numpy().copy() for p in module.parameters()]


def assert_same_weights(one, other):
    for a, b in zip(weights_of(one), weights_of(other), strict=True):
        assert_array_equal(a, b)


def differ(one, other):
    return any(
        (a != b).any() for a, b in zip(weights_of(one), weights_of(other), strict=True)
    )


def tensor(values):
    return torch.tensor(np.asarray(values), dtype=torch.float32)


def lesson_of(student, rows, seed=0, epochs=None, **params):
    """Return a lesson on a transfer set by the parameters of an estimator."""
    objective = Objective.of(DistilledClassifier(**params))
    return make_lesson(student, rows, objective, seed=seed, n_epochs=epochs)


def train(student, rows, seed=0, epochs=None, callbacks=(), **params):
    """Train a student on a transfer set by the parameters of an estimator."""
    lesson = lesson_of(student, rows, seed, epochs, **params)
    lesson.callbacks = callbacks
    _train.train([lesson])
    return student


@pytest.fixture(scope="session")
def rows(data):
    """Return a transfer set, with features, of 90 rows in 3 classes."""
    X, y = data
    soft = LogisticRegression().fit(X, y).decision_function(X).astype(np.float32)
    features = np.tanh(X @ np.arange(20).reshape(4, 5)).astype(np.float32)
    return TransferSet(
        X.astype(np.float32), soft, y.astype(np.int64), features=features
    )
