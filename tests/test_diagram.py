"""What a notebook shows of an estimator."""

import re

import pytest
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledClassifier, DistilledRegressor, make_student
from tests.conftest import tiny_net


def labels(estimator):
    """Return the names in the boxes of a diagram, from left to right."""
    page = estimator._repr_html_()
    found = re.findall(r"<label[^>]*>(?:<div>)*([^<]+)", page)
    return [label for label in found if "features" not in label]


@pytest.fixture(params=[False, True], ids=["not fitted", "fitted"])
def shown(request, data):
    """Return a function that fits an estimator, or leaves it."""
    return lambda estimator: estimator.fit(*data) if request.param else estimator


def test_teacher_and_student(shown, forest):
    clf = shown(DistilledClassifier(forest, tiny_net(max_epochs=1), random_state=0))
    assert labels(clf) == [
        "DistilledClassifier",
        "teacher: RandomForestClassifier",
        "RandomForestClassifier",
        "student: NeuralNetClassifier",
        "NeuralNetClassifier",
    ]


def test_steps_of_the_default_student():
    clf = DistilledClassifier(GaussianNB())
    student = ["student: Pipeline", "TabularPreprocessor", "StudentNet"]
    assert labels(clf)[-3:] == student
    assert clf.student is None
    assert labels(make_pipeline(StandardScaler(), clf))[-3:] == student


def test_several_teachers(shown):
    teachers = [GaussianNB(), make_pipeline(StandardScaler(), GaussianNB())]
    clf = shown(DistilledClassifier(teachers, tiny_net(max_epochs=1), augmenter=None))
    assert labels(clf)[1:6] == [
        "teacher: GaussianNB",
        "GaussianNB",
        "teacher: Pipeline",
        "StandardScaler",
        "GaussianNB",
    ]


def test_without_a_teacher_there_is_the_student():
    clf = DistilledClassifier(student=tiny_net())
    assert labels(clf)[1:] == ["student: NeuralNetClassifier", "NeuralNetClassifier"]


def test_what_was_fitted_is_shown(data):
    clf = DistilledClassifier(
        GaussianNB(), make_student((4,), max_epochs=1), augmenter=None
    ).fit(*data)
    shown = clf._sk_visual_block_().estimators
    assert list(shown) == [clf.teacher_, clf.student_]


def test_a_regressor_shows_its_own_default_student():
    page = DistilledRegressor(LinearRegression())._repr_html_()
    assert "RegressionNet" in page
    assert "StudentNet" not in page
