"""Classifiers that take codes alone get codes, and name their classes by the labels."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skdistill._targets._classes import Classes
from skdistill._targets._on_codes import OnCodes
from tests.kinds import scaled, xgboost_classifier


@pytest.mark.parametrize(
    ("teacher", "labels", "expected"),
    [
        (xgboost_classifier(), ["a", "b"], True),
        (xgboost_classifier(), [1, 2, 3], True),
        (xgboost_classifier(), [0, 2], True),
        (scaled(xgboost_classifier()), ["a", "b"], True),
        (xgboost_classifier(), [2, 0, 1], False),
        (LogisticRegression(), ["a", "b"], False),
    ],
    ids=lambda value: str(value) if isinstance(value, list | bool) else "",
)
def test_codes_are_wanted_where_labels_are_none(teacher, labels, expected):
    to_fit = Classes().to_fit(teacher, np.array(labels))

    assert (to_fit is not teacher) == isinstance(to_fit, OnCodes) == expected


def test_predictions_are_labels_again(data):
    X, y = data
    names = np.array(["c", "a", "b"])[y]

    teacher = OnCodes(LogisticRegression()).fit(X, names, sample_weight=np.ones(len(y)))

    plain = LogisticRegression().fit(X, names)
    np.testing.assert_array_equal(teacher.classes_, plain.classes_)
    np.testing.assert_array_equal(teacher.predict(X), plain.predict(X))
    np.testing.assert_allclose(teacher.predict_proba(X), plain.predict_proba(X))
