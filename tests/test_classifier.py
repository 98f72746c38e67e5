"""Labels and classes in and out, and what is predicted."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from tests.conftest import NAMES, distilled, small_student, tiny_net

TEXTS = ["good fine nice", "bad awful poor", "nice good", "poor bad"] * 10
OPINIONS = ["pro", "con"] * 20


@pytest.mark.parametrize(
    "container",
    [list, np.array, lambda t: np.array(t, dtype=object), pd.Series, pl.Series],
    ids=["list", "array", "objects", "pandas", "polars"],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_texts_are_classified(container, method):
    texts = container(TEXTS)
    teacher = make_pipeline(TfidfVectorizer(), LogisticRegression())
    student = make_pipeline(TfidfVectorizer(), tiny_net())
    clf = distilled(teacher.fit(TEXTS, OPINIONS), student)

    for _ in range(10 if method == "partial_fit" else 1):
        getattr(clf, method)(texts, OPINIONS)

    assert not hasattr(clf, "n_features_in_")
    expected = clf.predict_proba(texts)
    assert clf.score(texts, OPINIONS) == 1
    loaded = pickle.loads(pickle.dumps(clf))
    assert_array_equal(loaded.predict_proba(texts), expected)
    assert_allclose(clf.predict_proba(texts[:1]), expected[:1], atol=1e-6)


def test_texts_are_classified_in_the_folds_of_a_cross_validation():
    teacher = make_pipeline(TfidfVectorizer(), LogisticRegression())
    student = make_pipeline(TfidfVectorizer(), tiny_net())
    clf = distilled(teacher, student, soft_labels="out_of_fold")

    assert cross_val_score(clf, TEXTS, OPINIONS, cv=2, error_score="raise").min() == 1


@pytest.mark.parametrize("fitted", ["array", "frame"])
def test_names_at_prediction_alone_or_in_fit_alone_warn_once(fitted, data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcd"))
    first, later = (X, frame) if fitted == "array" else (frame, X)
    clf = distilled(GaussianNB().fit(first, y), small_student()).fit(first, y)

    with pytest.warns(UserWarning, match="feature names") as caught:
        clf.predict(later)

    assert len(caught) == 1
    assert "DistilledClassifier" in str(caught[0].message)


# Classes


@pytest.mark.parametrize(
    "labels",
    [
        NAMES,
        NAMES.astype(object),
        np.array([0, 1, 2]),
        np.array([-5, 7, 100]),
        np.array([0.0, 1.0, 2.0]),
        np.array([False, True, True]),
    ],
    ids=["str", "object", "int", "gaps", "float", "bool"],
)
@pytest.mark.parametrize("fitted", [True, False])
def test_labels_of_any_kind_come_back_as_they_were(labels, fitted, data):
    X, y = data[0], labels[data[1]]
    teacher = LogisticRegression()
    clf = distilled(teacher.fit(X, y) if fitted else teacher).fit(X, y)
    assert_array_equal(clf.classes_, np.unique(labels))
    predicted = clf.predict(X)
    assert predicted.dtype == labels.dtype
    assert np.mean(predicted == y) > 0.7
    assert clf.score(X, y) == np.mean(predicted == y)
    assert_array_equal(clf.classes_[clf.predict_proba(X).argmax(axis=1)], predicted)


def test_rows_of_a_class_that_the_teacher_lacks_teach_by_their_labels(data):
    X, y = data
    teacher = GaussianNB().fit(X[y < 2], y[y < 2])
    clf = distilled(teacher, tiny_net(max_epochs=30)).fit(X, y)
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert np.mean(clf.predict(X)[y == 2] == 2) > 0.7


def test_one_class_is_enough_where_the_teacher_knows_more(data, forest):
    X, y = data
    clf = distilled(forest, alpha=0.0).fit(X[y == 1], y[y == 1])
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert (clf.predict(X) == 1).mean() > 0.9


# Codes


def test_classes_tell_codes_and_labels_apart(data, forest):
    X, y = data
    teacher = clone(forest).fit(X, y + 1)
    clf = distilled(teacher, classes=[0, 1, 2], alpha=1.0).fit(X, y)
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert np.mean(clf.predict(X) + 1 == teacher.predict(X)) > 0.85


@pytest.mark.parametrize("unfitted", [True, False], ids=["teacher", "proba"])
def test_classes_in_words_stand_for_codes_by_position_too(unfitted, data, forest):
    if unfitted:
        clf = distilled(GaussianNB(), classes=NAMES).fit(*data)
    else:
        clf = distilled(classes=NAMES)
        clf.fit(*data, teacher_proba=forest.predict_proba(data[0]))
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert clf.score(*data) > 0.7


# Soft labels made beforehand


# Classes of chunks


@pytest.mark.parametrize("classes", ["argument", "parameter"])
def test_chunks_of_teacher_proba_learn_once_classes_are_told(classes, data, forest):
    X, y = data
    proba = forest.predict_proba(X)
    told = {"classes": NAMES}
    clf = distilled(student=tiny_net(batch_size=15))
    if classes == "parameter":
        clf.set_params(**told)
    first = y < 2
    clf.partial_fit(
        X[first],
        NAMES[y[first]],
        teacher_proba=proba[first],
        **(told if classes == "argument" else {}),
    )
    for _ in range(20):
        clf.partial_fit(X, NAMES[y], teacher_proba=proba)
    assert_array_equal(clf.classes_, NAMES)
    assert clf.score(X, NAMES[y]) > 0.7


def test_partial_fit_with_teacher_proba_needs_classes_at_first(data, forest):
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        distilled().partial_fit(*data, teacher_proba=forest.predict_proba(data[0]))


def test_labels_that_no_chunk_may_hold_are_refused_at_first_too(data, forest):
    X, y = data
    clf = distilled(forest)
    clf.partial_fit(X, y, classes=[0, 1, 2, 3])
    assert_array_equal(clf.classes_, [0, 1, 2, 3])
    clf.partial_fit(X, np.where(y == 2, 3, y))
    assert clf.predict_proba(X).shape == (90, 4)


@pytest.mark.parametrize("teacher", [True, False], ids=["teacher", "teacher_proba"])
def test_classes_that_come_too_late_are_refused(teacher, data, forest):
    X, y = data
    said = {} if teacher else {"teacher_proba": forest.predict_proba(X)}
    clf = distilled(forest if teacher else None)
    clf.partial_fit(X, y, classes=[0, 1, 2], **said)
    before = clf.predict_proba(X)

    with pytest.raises(ValueError, match=r"classes_: \[3\]. Tell the first"):
        clf.partial_fit(X, y, classes=[0, 1, 2, 3], **said)

    assert_array_equal(clf.predict_proba(X), before)
    clf.partial_fit(X, y, classes=[2, 0, 1], **said)


# Predictions


def test_probabilities_are_float64_and_agree_with_the_rest(data, forest):
    X, y = data
    clf = distilled(forest).fit(X, y)
    proba = clf.predict_proba(X)
    assert proba.dtype == np.float64
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    assert_allclose(clf.predict_log_proba(X), np.log(proba), rtol=1e-9)


def test_there_is_no_history_before_fit(forest):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        distilled(forest).history_  # noqa: B018
