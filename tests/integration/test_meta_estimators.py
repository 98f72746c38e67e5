"""Meta-estimators of scikit-learn around the student."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    BaggingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledClassifier
from tests.conftest import tiny_net

NAMES = np.array(["ash", "birch", "cedar"])


def distilled(teacher=None, student=None, **params):
    """Return an unfitted classifier, by default with a small and quick student."""
    student = tiny_net() if student is None else student
    return DistilledClassifier(teacher, student, **{"random_state": 0} | params)


@pytest.fixture(scope="module")
def named_forest(data):
    """Return a forest that was fitted on names of the classes."""
    X, y = data
    return RandomForestClassifier(10, min_samples_leaf=3, random_state=0).fit(
        X, NAMES[y]
    )


def meta_estimators():
    return {
        "calibrated": lambda t: CalibratedClassifierCV(distilled(t), cv=2),
        "calibrated on all": lambda t: CalibratedClassifierCV(
            distilled(t), cv=2, ensemble=False
        ),
        "stack": lambda t: StackingClassifier(
            [("student", distilled(t)), ("bayes", GaussianNB())], cv=2
        ),
        "vote": lambda t: VotingClassifier(
            [("student", distilled(t)), ("bayes", GaussianNB())], voting="soft"
        ),
        "bag": lambda t: BaggingClassifier(
            distilled(t), n_estimators=3, random_state=0
        ),
    }


@pytest.mark.parametrize("meta", [OneVsRestClassifier, OneVsOneClassifier])
@pytest.mark.parametrize("names", [NAMES, np.arange(3)], ids=["names", "numbers"])
def test_fitted_teacher_of_all_classes_is_refused_for_two_groups_of_them(
    data, meta, names
):
    X, y = data[0], names[data[1]]
    teacher = RandomForestClassifier(10, min_samples_leaf=3, random_state=0)

    with pytest.raises(ValueError, match=r"groups of classes.*an unfitted teacher"):
        meta(distilled(clone(teacher).fit(X, y))).fit(X, y)

    clf = meta(distilled(teacher)).fit(X, y)
    assert clf.score(X, y) > 0.8


def test_it_is_a_step_of_a_pipeline(data):
    X, y = data
    model = make_pipeline(StandardScaler(), distilled(GaussianNB()))
    model.set_params(distilledclassifier__alpha=0.25)
    model.fit(X, y)
    assert model[-1].alpha == 0.25
    assert model.score(X, y) > 0.6
    assert_array_equal(model.classes_, [0, 1, 2])


@pytest.mark.parametrize("names", [True, False], ids=["names", "codes"])
@pytest.mark.parametrize("fitted", [True, False], ids=["fitted", "unfitted"])
@pytest.mark.parametrize("meta", meta_estimators().values(), ids=meta_estimators())
def test_meta_estimators_around_it_predict_the_labels(
    meta, fitted, names, data, forest, named_forest
):
    X, y = data[0], NAMES[data[1]] if names else data[1]
    teacher = GaussianNB()
    if fitted:
        teacher = named_forest if names else forest
    before = joblib.hash(teacher)
    model = meta(teacher).fit(X, y)
    assert_array_equal(model.classes_, np.unique(y))
    assert model.score(X, y) > 0.7
    assert model.predict_proba(X).shape == (90, 3)
    # Bagging and others set every random_state that they find.
    assert joblib.hash(teacher) == before


def test_bagged_students_share_one_fitted_teacher(data, forest):
    bag = BaggingClassifier(distilled(forest), n_estimators=3, random_state=0)
    members = bag.fit(*data).estimators_
    assert all(member.teacher is forest for member in members)
    assert len({member.random_state for member in members}) == 3


@pytest.mark.parametrize("labels", [np.array([1, 2, 3]), np.array([0, 1, 3])])
def test_codes_that_may_be_labels_are_refused_with_a_way_out(labels, data):
    X, y = data[0], labels[data[1]]
    clf = distilled(GaussianNB().fit(X, y))
    with pytest.raises(ValueError, match=r"VotingClassifier makes them.*classes="):
        VotingClassifier([("student", clf)]).fit(X, y)
    clf.set_params(classes=[0, 1, 2])
    assert VotingClassifier([("student", clf)]).fit(X, y).score(X, y) > 0.7


def test_a_fitted_student_can_be_calibrated(data, forest):
    X, y = data
    clf = distilled(forest).fit(X, y)
    model = CalibratedClassifierCV(FrozenEstimator(clf), cv=2).fit(X, y)
    assert model.score(X, y) > 0.6
    assert_array_equal(model.classes_, clf.classes_)


def test_permutation_importance_finds_the_column_that_counts(forest, data):
    X = np.random.RandomState(0).normal(size=(90, 2))
    y = (X[:, 1] > 0).astype(int)
    teacher = LogisticRegression().fit(X, y)
    clf = distilled(teacher).fit(X, y)
    result = permutation_importance(clf, X, y, n_repeats=3, random_state=0)
    assert result.importances_mean[1] > 0.2 > result.importances_mean[0]
