"""Numbers that become 0 are right also where numpy is set to raise at them."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.naive_bayes import GaussianNB

from skdistill import DistilledClassifier, TorchTeacher, make_student, soft_labels
from skdistill.augmentation import MUNGE
from skdistill.deploy import OnnxClassifier, to_onnx, to_sklearn
from skdistill.inspection import compare
from skdistill.metrics import kl_to_teacher

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
TINY = np.where(RNG.random(X.shape) < 0.3, 1e-60, X)
PROBA = np.array([[0.7, 0.3, 1e-60], [1e-60, 0.7, 0.3], [0.3, 1e-60, 0.7]])[Y]


@pytest.fixture(autouse=True)
def set_to_raise():
    with np.errstate(all="raise"):
        yield


def sure_teacher():
    module = torch.nn.Linear(3, 3)
    with torch.no_grad():
        module.weight.mul_(1e4)
    return TorchTeacher(module, classes=[0, 1, 2])


def student(**params):
    return make_student((4,), **{"max_epochs": 2, "numeric": "standard"} | params)


def sure_student(student):
    with torch.no_grad():
        for parameter in student.module_.parameters():
            parameter *= 100


def test_teacher_that_is_sure():
    teacher = sure_teacher()
    assert teacher.predict_log_proba(X).min() < -1000
    assert teacher.predict_proba(X).min() == 0
    labels = np.where(X[:, 2] > 0, teacher.predict(X), Y)
    assert soft_labels(teacher, X, labels).min() == 0
    for calibration in (None, (X, labels)):
        clf = DistilledClassifier(teacher, student(), alpha=0.5, augmenter=None)
        clf.set_params(calibrate_teacher=calibration, random_state=0).fit(X, labels)


def test_probabilities_and_rows_near_zero():
    clf = DistilledClassifier(student=student(numeric="piecewise"), random_state=0)
    clf.fit(TINY, Y, teacher_proba=PROBA)
    for rows in (TINY, np.full((2, 3), 1e-42)):
        expected = clf.predict_proba(np.where(abs(rows) < 1e-40, 0, rows))
        np.testing.assert_allclose(clf.predict_proba(rows), expected, atol=1e-12)
        clf.predict_log_proba(rows)
    assert kl_to_teacher(PROBA, clf.predict_proba(TINY)) > 0


def test_rows_of_a_bare_net_and_of_a_frame():
    frame = pd.DataFrame(TINY, columns=list("abc")).assign(d=np.where(Y > 0, "u", "v"))
    for net, rows in ((student()[-1], TINY), (student(), frame)):
        clf = DistilledClassifier(student=net, random_state=0)
        clf.fit(rows, Y, teacher_proba=PROBA).predict_proba(rows)


def test_exports_of_a_student_that_is_sure():
    clf = DistilledClassifier(student=student()[-1], random_state=0)
    clf.fit(X, Y, teacher_proba=PROBA)
    sure_student(clf.student_)
    assert to_sklearn(clf)["mlp"].hidden_layer_sizes == (4,)
    file = OnnxClassifier(to_onnx(clf))
    assert file.predict_proba(TINY).shape == (120, 3)


def test_made_rows_and_the_comparison():
    assert MUNGE().sample(TINY, 50, random_state=0).shape == (50, 3)
    with np.errstate(under="ignore"):
        teacher = GaussianNB().fit(30 * X, Y)
    clf = DistilledClassifier(teacher, student(), alpha=0.5, augmenter=None)
    compare(clf, 30 * X, Y, cv=2, random_state=0)
