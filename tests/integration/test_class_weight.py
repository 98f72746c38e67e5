"""Class weights, from the parameter to the student and its teacher."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.utils.class_weight import compute_sample_weight

from skdistill import inspection
from skdistill._questions import Given, held_out
from skdistill._training._objective import Objective
from tests.training.conftest import distilled


class FailingTeacher(GaussianNB):
    def fit(self, X, y, sample_weight=None):
        raise AssertionError("it should not have been fitted")


CLASS_WEIGHT = {"a": 1.0, "b": 4.0, "c": 0.5}


@pytest.fixture
def rows():
    rng = np.random.RandomState(0)
    y = rng.choice(["a", "b", "c"], size=90, p=[0.6, 0.1, 0.3])
    X = rng.normal(size=(90, 3)) + (y[:, np.newaxis] == ["a", "b", "c"])
    return X.astype(np.float32), y


def test_rows_of_a_class_without_weight_measure_no_teacher(rows):
    X, y = rows
    weight = {"a": 0.0, "b": 0.0, "c": 1.0}
    clf = distilled(GaussianNB().fit(X, y), class_weight=weight)
    clf.set_params(student=None)
    held = held_out(clf, Given(X, y, None, None), Objective.of(clf))
    assert set(y[held > 0]) == {"c"}


@pytest.fixture
def rare():
    """Rows of two classes that overlap, one of which is rare."""
    rng = np.random.RandomState(0)
    y = (rng.uniform(size=600) < 0.1).astype(int)
    return rng.normal(size=(600, 2)) + 1.5 * y[:, np.newaxis], y


@pytest.mark.parametrize(
    "params",
    [
        {"alpha": 0.0},
        {"alpha": 0.5, "cv": 3},
        {"alpha": 1.0},
        {"calibrate_teacher": "out_of_fold"},
        {"teacher": "fitted", "alpha": 0.7},
    ],
    ids=str,
)
@pytest.mark.parametrize("class_weight", ["balanced", CLASS_WEIGHT], ids=type)
def test_labeled_rows_have_the_sample_weights_of_their_classes(
    rows, params, class_weight
):
    X, y = rows
    teacher = GaussianNB().fit(X, y) if "teacher" in params else LogisticRegression()
    params = params | {"teacher": teacher}
    weight = np.random.RandomState(1).randint(1, 5, len(y)).astype(float)
    by_class = compute_sample_weight(class_weight, y)
    clf = distilled(**params, class_weight=class_weight).fit(X, y, weight)
    expected = distilled(**params).fit(X, y, weight * by_class)
    np.testing.assert_allclose(
        clf.predict_proba(X), expected.predict_proba(X), atol=1e-5
    )
    assert not np.allclose(
        clf.predict_proba(X), distilled(**params).fit(X, y, weight).predict_proba(X)
    )


def test_chunks_have_the_sample_weights_of_their_classes(rows):
    X, y = rows
    teacher = GaussianNB().fit(X, y)
    weight = compute_sample_weight(CLASS_WEIGHT, y)
    clf, expected = distilled(teacher, class_weight=CLASS_WEIGHT), distilled(teacher)
    for chunk in (slice(50), slice(50, None)):
        clf.partial_fit(X[chunk], y[chunk])
        expected.partial_fit(X[chunk], y[chunk], sample_weight=weight[chunk])
    assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))


def test_rows_without_a_class_that_has_a_weight(rows):
    X, y = rows
    teacher = GaussianNB().fit(X, y)
    some = np.flatnonzero(y != "b")
    both = [
        distilled(teacher, class_weight=weight).fit(X[some], y[some])
        for weight in ({"b": 4.0}, None)
    ]
    for clf in both:
        clf.partial_fit(X[some], y[some])
        clf.partial_fit(
            X, y, sample_weight=None if clf.class_weight else 1 + 3 * (y == "b")
        )
    assert_array_equal(*[clf.classes_ for clf in both])
    np.testing.assert_allclose(*[clf.predict_proba(X) for clf in both], atol=1e-5)


@pytest.mark.parametrize("fitted", [False, True])
def test_weights_of_unknown_classes_are_refused(rows, fitted):
    X, y = rows
    teacher = GaussianNB().fit(X, y) if fitted else FailingTeacher()
    clf = distilled(teacher, class_weight={"d": 4.0})
    with pytest.raises(ValueError, match=r"\['d'\], which are no classes"):
        clf.fit(X, y)


def test_a_class_that_only_the_parameter_names_may_have_a_weight(rows):
    params = {"classes": ["a", "b", "c", "d"], "class_weight": {"d": 4.0}}
    clf = distilled(GaussianNB(), **params).fit(*rows)
    assert clf.classes_.tolist() == ["a", "b", "c", "d"]


def test_chunks_cannot_be_balanced(rows):
    clf = distilled(GaussianNB().fit(*rows), class_weight="balanced")
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        clf.partial_fit(*rows)


def test_a_teacher_is_fitted_again_for_other_class_weights(rare):
    X, y = rare
    proba = [
        distilled(LogisticRegression(), class_weight={1: weight}).fit(X, y).teacher_
        for weight in (1, 2, 3)
    ]
    coefficients = np.array([teacher.intercept_[0] for teacher in proba])
    assert (np.diff(coefficients) > 0.2).all()


def test_comparison_weighs_all_models(rare):
    X, y = rare
    tables = [
        inspection.compare(
            distilled(LogisticRegression(), class_weight=class_weight), X, y, cv=2
        )
        for class_weight in (None, "balanced")
    ]
    for model in ("teacher", "labels alone", "student"):
        before, after = (table.results[model]["log_loss"] for table in tables)
        assert (after > before).all()
