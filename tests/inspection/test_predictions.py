import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, QuantileRegressor, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledRegressor, make_student
from skdistill.inspection import PredictionDisplay


@pytest.fixture(scope="module")
def table():
    X, y = load_diabetes(return_X_y=True)
    return X[:60, :4], y[:60]


def distilled(teacher, **params):
    net = make_student((4,), task="regression", max_epochs=2)
    return DistilledRegressor(teacher, net, augmenter=None, random_state=0, **params)


def test_a_point_is_what_both_predict():
    teacher, student = np.array([1.0, 2.0, 4.0]), np.array([[1.0], [3.0], [4.0]])
    display = PredictionDisplay.from_predictions(teacher, student)
    [points] = display.ax_.collections
    assert_allclose(points.get_offsets(), [[1, 1], [2, 3], [4, 4]])
    [diagonal] = display.ax_.lines
    assert (diagonal.get_slope(), np.ptp(diagonal.get_xy1())) == (1, 0)
    assert "78.6 % of the variance" in display.alt_text
    assert display.alt_text.endswith(
        "for 3 rows. The root of their mean squared difference is 0.577."
    )


@pytest.mark.parametrize("fitted", [True, False])
def test_the_teachers_of_an_estimator_are_found(table, fitted):
    X, y = table
    teachers = [Ridge(), LinearRegression()]
    if fitted:
        teachers = [teacher.fit(X, y) for teacher in teachers]
    reg = distilled(teachers, teacher_weights=[1, 3]).fit(X, y)
    display = PredictionDisplay.from_estimator(reg, X)
    one, other = (m.predict(X) for m in (teachers if fitted else reg.teacher_))
    assert_allclose(display.teacher_pred, (one + 3 * other) / 4)
    assert_array_equal(display.student_pred, reg.predict(X))


def test_both_see_what_comes_before_them_in_a_pipeline(table):
    X, y = table
    pipeline = make_pipeline(StandardScaler(), distilled(Ridge())).fit(X, y)
    display = PredictionDisplay.from_estimator(pipeline, X)
    scaled = pipeline[0].transform(X)
    assert_allclose(display.teacher_pred, pipeline[-1].teacher_.predict(scaled))
    assert_array_equal(display.student_pred, pipeline.predict(X))


def test_one_of_several_columns_is_shown(table):
    X, y = table
    both = np.stack([y, -y], axis=1)
    ridge = Ridge().fit(X, both)
    display = PredictionDisplay.from_estimator(
        distilled(ridge).fit(X, both), X, column=1
    )
    assert_allclose(display.teacher_pred, ridge.predict(X)[:, 1])
    levels = [0.2, 0.8]
    pair = [QuantileRegressor(quantile=level, alpha=0).fit(X, y) for level in levels]
    reg = distilled(pair, quantiles=levels).fit(X, y)
    display = PredictionDisplay.from_estimator(reg, X, column=1)
    assert_allclose(display.teacher_pred, pair[1].predict(X))


def test_any_regressor_beside_a_teacher(table):
    X, y = table
    ridge, linear = Ridge().fit(X, y), LinearRegression().fit(X, y)
    display = PredictionDisplay.from_estimator(ridge, X, teacher=linear)
    assert_allclose(display.teacher_pred, linear.predict(X))
    with pytest.raises(ValueError, match=r"no fitted teacher.*teacher="):
        PredictionDisplay.from_estimator(ridge, X)


def test_what_is_no_column_of_numbers_is_refused(table):
    X, y = table
    forest = RandomForestClassifier(2).fit(X, y > 100)
    with pytest.raises(TypeError, match="use FidelityDisplay"):
        PredictionDisplay.from_estimator(forest, X, teacher=forest)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        PredictionDisplay.from_predictions([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="student_pred contains NaN"):
        PredictionDisplay.from_predictions([1.0], [np.nan])
    with pytest.raises(ValueError, match="one column of several targets"):
        PredictionDisplay.from_predictions([[1.0, 2.0]], [[1.0, 2.0]])
