"""Soft labels of regressors: what they predict."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import make_regression
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

from skdistill import DistilledRegressor, make_student, soft_labels
from skdistill._targets._numbers import Numbers


@pytest.fixture(scope="module")
def rows():
    return make_regression(60, 3, noise=5, random_state=0)


def test_in_sample_and_averaged(rows):
    X, y = rows
    one, other = LinearRegression().fit(X, y), KNeighborsRegressor().fit(X, y)
    assert_allclose(soft_labels(one, X), one.predict(X))
    expected = (one.predict(X) + 3 * other.predict(X)) / 4
    found = soft_labels([one, other], X, teacher_weights=[1, 3])
    assert found.dtype == np.float64
    assert_allclose(found, expected)


def test_out_of_fold(rows):
    X, y = rows
    folds = Numbers().folds(4, X, y)
    expected = cross_val_predict(KNeighborsRegressor(), X, y, cv=folds)
    assert_allclose(soft_labels(KNeighborsRegressor(), X, y, cv=4), expected)


class TwoNumbers(LinearRegression):
    """Gives two numbers for one target, as a booster of several quantiles does."""

    def predict(self, X):
        return np.column_stack([super().predict(X)] * 2)


@pytest.mark.parametrize("soft_labels", ["auto", "out_of_fold"])
@pytest.mark.parametrize("augmenter", [None, "munge"])
def test_unfitted_teacher_of_other_numbers_is_refused(soft_labels, augmenter, rows):
    student = make_student((4,), task="regression", max_epochs=1)
    how = {"soft_labels": soft_labels, "augmenter": augmenter}
    reg = DistilledRegressor(TwoNumbers(), student, **how)
    with pytest.raises(ValueError, match=r"gives 2 numbers for each row, and y has 1"):
        reg.fit(*rows)


def test_out_of_bag(rows):
    X, y = rows
    forest = RandomForestRegressor(50, oob_score=True, random_state=0).fit(X, y)
    unfitted = RandomForestRegressor(50, random_state=0)
    found = soft_labels(unfitted, X, y, method="out_of_bag")
    assert_allclose(found, forest.oob_prediction_)


def test_several_targets_are_what_fit_takes(rows):
    X, y = rows
    targets = np.stack([y, -y], axis=1)
    teacher = LinearRegression().fit(X, targets)
    labels = soft_labels(teacher, X)
    assert labels.shape == (60, 2)
    student = make_student((4,), task="regression", max_epochs=2)
    reg = DistilledRegressor(student=student).fit(X, targets, teacher_pred=labels)
    assert reg.predict(X).shape == (60, 2)


def test_there_is_nothing_to_calibrate(rows):
    X, y = rows
    with pytest.raises(ValueError, match="about the probabilities of classes"):
        soft_labels(LinearRegression(), X, y, calibrate_teacher="out_of_fold")
