"""Hidden features of the teacher, from the question to the loss of the student."""

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from torch import nn

from skdistill import TorchTeacher
from tests.conftest import Seen, tiny_net
from tests.training.conftest import column, distilled, sgd_net, tensor

CLIP = 1e-6


class TeacherNet(nn.Module):
    """A module with names for its layers."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 7)
        self.out = nn.Linear(7, 3)

    def forward(self, X):
        return self.out(torch.tanh(self.hidden(X)))


def mlp_on(X, y, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MLPClassifier((6,), max_iter=30, random_state=0, **params).fit(X, y)


def module_on(X, y):
    net = tiny_net(module=TeacherNet).fit(X, y)
    return TorchTeacher(net.module_, classes=[0, 1, 2])


def without_gradients(layer, X):
    with torch.no_grad():
        return layer(tensor(X)).numpy()


def hidden_of(mlp, X):
    return np.maximum(X @ mlp.coefs_[0] + mlp.intercepts_[0], 0)


def centered_logits(teacher, X):
    logits = np.log(np.maximum(teacher.predict_proba(X), CLIP))
    return logits - logits.mean(axis=1, keepdims=True)


TEACHERS = {
    "mlp": (mlp_on, "auto", hidden_of),
    "mlp, own function": (
        mlp_on,
        lambda teacher, X: teacher.predict_proba(X)[:, :2],
        lambda mlp, X: mlp.predict_proba(X)[:, :2],
    ),
    "module, layer": (
        module_on,
        "hidden",
        lambda teacher, X: without_gradients(teacher.module.hidden, X),
    ),
    "two": (
        lambda X, y: [mlp_on(X, y), mlp_on(X, y, alpha=1.0)],
        "auto",
        lambda both, X: np.hstack([hidden_of(mlp, X) for mlp in both]),
    ),
    "logits": (lambda X, y: LogisticRegression().fit(X, y), "auto", centered_logits),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("teacher", TEACHERS)
def test_the_student_is_compared_with_the_features_of_the_teacher(
    data, teacher, method
):
    X, y = data[0].astype(np.float32), data[1]
    make, how, expected = TEACHERS[teacher]
    fitted, seen = make(X, y), Seen()
    clf = distilled(
        fitted, sgd_net(), relation_loss=seen, teacher_features=how, proba_clip=CLIP
    )
    getattr(clf, method)(X, y)
    assert_allclose(seen.teacher[-1], expected(fitted, X), rtol=1e-4, atol=1e-5)


RELATIONS = pytest.mark.parametrize("relation", ["rkd", "similarity", "pkt"])


@RELATIONS
def test_relations_can_be_learned_from_teacher_proba(data, relation):
    linear = LogisticRegression().fit(*data)
    told = distilled(relation_loss=relation, proba_clip=CLIP)
    told.fit(*data, teacher_proba=linear.predict_proba(data[0]))
    asked = distilled(linear, relation_loss=relation, proba_clip=CLIP).fit(*data)
    name = "train_loss_relation"
    assert_allclose(column(told, name), column(asked, name), rtol=1e-4)
