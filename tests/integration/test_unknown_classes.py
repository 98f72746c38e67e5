"""Classes that a teacher does not know are learned, with further rows and without."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import SelfTrainingClassifier

from skdistill import DistilledClassifier, make_student
from skdistill.augmentation import Mixup
from tests.conftest import tiny_net

X, codes = load_iris(return_X_y=True)
Y = np.array(["a", "b", "c"])[codes]
MANY = np.repeat(X, 5, axis=0)


def rows_of(classes):
    known = np.isin(Y, list(classes))
    return X[known], Y[known]


def teacher_of(classes):
    return LogisticRegression(C=0.1).fit(*rows_of(classes))


def recalls(teacher, X_transfer=None, **params):
    student = make_student((16,), max_epochs=10)
    params = {"student": student, "random_state": 0} | params
    clf = DistilledClassifier(teacher, **params).fit(X, Y, X_transfer=X_transfer)
    return [np.mean(clf.predict(rows_of(label)[0]) == label) for label in "abc"]


WAYS = {
    "alpha": ("a", {"alpha": 0.7}),
    "Mixup": ("c", {"augmenter": Mixup()}),
    "calibrated on its classes": ("a", {"calibrate_teacher": rows_of("bc")}),
    "out of fold": ("a", {"calibrate_teacher": "out_of_fold", "cv": 2}),
    "labels out of fold": ("c", {"soft_labels": "out_of_fold", "cv": 2, "alpha": 0.7}),
    "X_transfer": ("c", {"augmenter": None, "X_transfer": MANY, "alpha": 0.7}),
    "teacher alone": ("a", {"alpha": 1.0}),
}


@pytest.mark.parametrize("way", WAYS)
def test_class_that_the_teacher_does_not_know_is_found(way):
    unknown, params = WAYS[way]
    assert min(recalls(teacher_of({*"abc"} - {unknown}), **params)) > 0.7


@pytest.mark.parametrize("augmenter", ["auto", None])
def test_teachers_that_know_different_classes_teach_all(augmenter):
    teachers = [teacher_of("ab"), teacher_of("bc")]
    student = make_student((16,), max_epochs=20, batch_size=16)
    params = {"augmenter": augmenter, "student": student, "alpha": 1.0}
    assert min(recalls(teachers, **params)) > 0.7


def test_teacher_is_trusted_in_the_classes_that_it_knows():
    forest = RandomForestClassifier(20, random_state=0).fit(*rows_of("bc"))
    student = make_student((4,), max_epochs=1)
    clf = DistilledClassifier(forest, student, random_state=0).fit(X, Y)
    assert clf.alpha_ > 0.4
    assert clf.teacher_temperature_ < 1


def test_warning_where_no_nets_tell_the_rows_of_an_unknown_class():
    clf = DistilledClassifier(teacher_of("bc"), tiny_net(max_epochs=1), alpha=0.7)
    with pytest.warns(UserWarning, match=r"know the classes \['a'\], and labels rows"):
        clf.fit(X.astype("f4"), Y, X_transfer=MANY.astype("f4"))


SEMI_SUPERVISED = SelfTrainingClassifier(LogisticRegression(C=0.1))
SOME = np.where(np.arange(150) % 3, codes, -1)  # -1 is no label


@pytest.mark.parametrize(
    ("teacher", "y"),
    [
        pytest.param(SEMI_SUPERVISED, SOME, id="semi-supervised"),
        pytest.param(clone(SEMI_SUPERVISED).fit(X, SOME), SOME, id="fitted"),
        pytest.param(
            LogisticRegression().fit(X, codes == 0),
            np.where(codes == 0, 1, -1),
            id="0 and 1",
        ),
    ],
)
def test_minus_one_is_no_class_that_a_teacher_does_not_know(teacher, y):
    clf = DistilledClassifier(teacher, make_student((4,), max_epochs=1))
    with pytest.raises(ValueError, match=r"the label -1.*X_transfer.*classes="):
        clf.fit(X, y)


def test_ways_out_of_an_unknown_minus_one():
    has_label, student = SOME >= 0, make_student((4,), max_epochs=1)
    teacher = clone(SEMI_SUPERVISED).fit(X, SOME)
    clf = DistilledClassifier(teacher, student, random_state=0)
    clf.fit(X[has_label], SOME[has_label], X_transfer=X[~has_label])
    assert clf.classes_.tolist() == [0, 1, 2]

    teacher, signs = LogisticRegression().fit(X, codes == 0), 2 * (codes == 0) - 1
    clf = DistilledClassifier(teacher, student, classes=[-1, 1], random_state=0)
    assert clf.fit(X, signs).classes_.tolist() == [-1, 1]

    teacher, y = LogisticRegression(C=0.1).fit(X, codes), codes.copy()
    y[::7] = -1
    clf = DistilledClassifier(teacher, student, classes=[0, 1, 2], random_state=0)
    assert clf.fit(X, y).classes_.tolist() == [-1, 0, 1, 2]
