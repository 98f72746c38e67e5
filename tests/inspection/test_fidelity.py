import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binomtest
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import make_student
from skdistill.inspection import FidelityDisplay
from tests.conftest import distilled

TEACHER = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.35, 0.65]])
STUDENT = np.array([[0.8, 0.2], [0.6, 0.4], [0.9, 0.1], [0.45, 0.55]])


@pytest.fixture(scope="module")
def net():
    return make_student((4,), numeric="standard", max_epochs=2)


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_a_point_is_the_probability_of_the_class_that_the_teacher_predicts():
    display = FidelityDisplay.from_predictions(TEACHER, STUDENT)
    agrees, differs = display.ax_.collections
    assert_allclose(agrees.get_offsets(), [[0.9, 0.8], [0.7, 0.9], [0.65, 0.55]])
    assert_allclose(differs.get_offsets(), [[0.8, 0.4]])
    assert texts(display.ax_.get_legend()) == [
        "student agrees (75.0 %)",
        "student disagrees (25.0 %)",
    ]
    [diagonal] = display.ax_.lines
    assert diagonal.get_slope() == 1
    assert diagonal.get_xy1() == (0, 0)


def test_agreement_by_confidence():
    display = FidelityDisplay.from_predictions(
        TEACHER, STUDENT, kind="agreement", n_bins=2
    )
    bars, curve = display.ax_.containers
    assert_allclose([bar.get_height() for bar in bars], [0.5, 0.5])
    centers = [bar.get_x() + bar.get_width() / 2 for bar in bars]
    assert_allclose(centers, [0.625, 0.875])
    assert_allclose(curve.lines[0].get_xydata(), [[0.625, 1.0], [0.875, 0.5]])
    [[_, interval]] = [lines.get_segments() for lines in curve.lines[2]]
    exact = binomtest(1, 2).proportion_ci(method="wilson")
    assert_allclose(interval[:, 1], exact)
    # Bins without rows have no point.
    display = FidelityDisplay.from_predictions(
        TEACHER[3:], STUDENT[3:], kind="agreement", n_bins=5
    )
    _, curve = display.ax_.containers
    assert_allclose(curve.lines[0].get_xydata(), [[0.65, 1.0]])


def test_alt_text():
    text = FidelityDisplay(teacher_proba=TEACHER, student_proba=STUDENT).alt_text
    assert text.startswith("Teacher and student predict the same class for 75.0 % of 4")
    assert "divergence is 0.1" in text


@pytest.mark.parametrize("fitted", [True, False])
def test_the_teacher_of_an_estimator_is_found(forest, net, data, fitted):
    teacher = forest if fitted else RandomForestClassifier(5)
    clf = distilled(teacher, net).fit(*data)
    display = FidelityDisplay.from_estimator(clf, data[0])
    known = forest if fitted else clf.teacher_
    assert_allclose(display.teacher_proba, known.predict_proba(data[0]), atol=1e-7)
    assert_array_equal(display.student_proba, clf.predict_proba(data[0]))


def test_both_see_what_comes_before_them_in_a_pipeline(net, data):
    clf = distilled(GaussianNB(), net)
    pipeline = make_pipeline(StandardScaler(), clf).fit(*data)
    display = FidelityDisplay.from_estimator(pipeline, data[0])
    scaled = pipeline[0].transform(data[0])
    teacher = pipeline[-1].teacher_
    assert_allclose(display.teacher_proba, teacher.predict_proba(scaled), atol=1e-6)
    assert_array_equal(display.student_proba, pipeline.predict_proba(data[0]))


def test_several_teachers_have_their_weights(forest, net, data):
    bayes = GaussianNB().fit(*data)
    clf = distilled([forest, bayes], net, teacher_weights=[1, 3]).fit(*data)
    display = FidelityDisplay.from_estimator(clf, data[0])
    one, other = (model.predict_proba(data[0]) for model in (forest, bayes))
    assert_allclose(display.teacher_proba, (one + 3 * other) / 4, atol=1e-6)


def test_classes_name_the_columns_of_a_teacher_beside_a_search(forest, net, data):
    X, names = data[0], np.array(["a", "b", "c"])[data[1]]
    clf = distilled(forest, net, classes=["a", "b", "c"])
    search = GridSearchCV(clf, {"alpha": [0.5]}, cv=2).fit(X, names)
    display = FidelityDisplay.from_estimator(search, X, teacher=forest)
    assert_allclose(display.teacher_proba, forest.predict_proba(X), atol=1e-7)


def test_any_classifier_beside_a_teacher(forest, data):
    bayes = GaussianNB().fit(*data)
    display = FidelityDisplay.from_estimator(bayes, data[0], teacher=forest)
    assert_array_equal(display.student_proba, bayes.predict_proba(data[0]))


def test_a_teacher_that_is_passed_must_be_fitted(forest, data):
    for teacher in (GaussianNB(), [forest, GaussianNB()]):
        with pytest.raises(NotFittedError, match="not fitted"):
            FidelityDisplay.from_estimator(forest, data[0], teacher=teacher)


def test_an_estimator_without_its_teacher(forest, net, data, tmp_path):
    clf = distilled(forest, net).fit(*data)
    joblib.dump(clf, tmp_path / "clf.joblib")
    loaded = joblib.load(tmp_path / "clf.joblib")
    for estimator in (loaded, forest):
        with pytest.raises(ValueError, match=r"no fitted teacher.*teacher="):
            FidelityDisplay.from_estimator(estimator, data[0])
    display = FidelityDisplay.from_estimator(loaded, data[0], teacher=forest)
    assert_array_equal(display.student_proba, loaded.predict_proba(data[0]))


def test_an_estimator_that_reused_soft_labels_has_no_teacher(net, data):
    clf = distilled(GaussianNB(), net)
    clf.fit(*data).fit(*data)
    with pytest.raises(ValueError, match=r"no fitted teacher.*teacher="):
        FidelityDisplay.from_estimator(clf, data[0])


def test_what_is_not_probabilities_is_refused():
    with pytest.raises(ValueError, match="must sum to 1"):
        FidelityDisplay.from_predictions(TEACHER * 2, STUDENT)


def test_labels_are_shown_as_choices_of_two_classes():
    teacher, student = np.array([[0.9, 0.2]]), np.array([[0.8, 0.6]])
    display = FidelityDisplay.from_predictions(teacher, student, multilabel=True)
    agrees, differs = display.ax_.collections
    assert_allclose(agrees.get_offsets(), [[0.9, 0.8]])
    assert_allclose(differs.get_offsets(), [[0.8, 0.4]])
    assert "50.0 % of 2 labels of rows" in display.alt_text
    _, curve = display.plot(kind="agreement", n_bins=2).ax_.containers
    assert_allclose(curve.lines[0].get_xydata(), [[0.875, 0.5]])


def test_the_teacher_of_labels_is_found():
    X, y = make_multilabel_classification(40, 4, n_classes=3, random_state=0)
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    net = make_student((4,), task="multilabel", max_epochs=1)
    clf = distilled(forest, net).fit(X, y)
    for model, teacher in ((clf, None), (forest, forest)):
        display = FidelityDisplay.from_estimator(model, X, teacher=teacher)
        assert display.multilabel
        said = np.stack([proba[:, 1] for proba in forest.predict_proba(X)], axis=1)
        assert_allclose(display.teacher_proba, said, atol=1e-6)


def test_numbers_have_a_display_of_their_own(data):
    ridge = Ridge().fit(data[0], data[0][:, 0])
    with pytest.raises(TypeError, match="use PredictionDisplay"):
        FidelityDisplay.from_estimator(ridge, data[0], teacher=ridge)
