"""Rows that occur several times are the same data as rows with a weight."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss

from skdistill import DistilledClassifier, make_student
from skdistill.augmentation import MUNGE

# A fixture of the module trains with all steps.
pytestmark = pytest.mark.all_steps

X, y = make_classification(400, 6, n_informative=4, random_state=1, flip_y=0.1)
X, Y, X_TEST, Y_TEST = X[:150], y[:150], X[150:], y[150:]


@pytest.fixture(scope="module")
def fitted():
    forest = RandomForestClassifier(30, random_state=0).fit(X, Y)

    def fit(X, y, n_copies, max_epochs, **params):
        student = make_student((16,), max_epochs=max_epochs, batch_size=64)
        augmenter = MUNGE(n_copies=n_copies)
        clf = DistilledClassifier(forest, student, augmenter=augmenter, random_state=0)
        clf.fit(X, y, **params)
        proba = clf.predict_proba(X_TEST)
        return clf, log_loss(Y_TEST, proba), proba

    return fit, fit(X, Y, 4, 12)


def test_the_same_weight_for_all_rows_changes_nothing(fitted):
    fit, (once, _, proba) = fitted
    clf, _, weighted = fit(X, Y, 4, 12, sample_weight=np.full(len(X), 2.0))
    assert clf.teacher_temperature_ == pytest.approx(once.teacher_temperature_)
    np.testing.assert_allclose(weighted, proba, atol=1e-6)


@pytest.mark.parametrize("difference", [0.0, 1e-9])
def test_rows_that_occur_twice_are_the_same_data(difference, fitted):
    fit, (once, loss, proba) = fitted
    rows = np.concatenate([X, X + difference])
    clf, twice, repeated = fit(rows, np.tile(Y, 2), 2, 10)  # as many steps
    assert clf.teacher_temperature_ == pytest.approx(once.teacher_temperature_, rel=0.2)
    assert twice == pytest.approx(loss, abs=0.05)
    assert np.abs(repeated - proba).mean() < 0.05
