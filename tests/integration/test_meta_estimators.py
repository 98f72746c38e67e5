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
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB

from tests.conftest import NAMES, distilled


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
