"""Data frames, from the columns to the predictions."""

import pickle
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    TabularPreprocessor,
    make_student,
)
from tests.conftest import distilled, small_student, tiny_net

STUDENTS = pytest.mark.parametrize(
    "student", [small_student(), tiny_net()], ids=["default", "net"]
)


@pytest.mark.parametrize("output", ["pandas", "polars"])
@STUDENTS
def test_set_output_upstream_hands_over_a_frame(output, student, data):
    X, y = data
    clf = distilled(GaussianNB(), student)
    scaler = StandardScaler().set_output(transform=output)
    model = make_pipeline(scaler, clf).fit(pd.DataFrame(X, columns=list("abcd")), y)
    assert_array_equal(clf.feature_names_in_, list("abcd"))
    plain = make_pipeline(StandardScaler(), clone(clf)).fit(X, y)
    frame = pd.DataFrame(X, columns=list("abcd"))
    assert_allclose(model.predict_proba(frame), plain.predict_proba(X), atol=1e-5)


@STUDENTS
def test_the_global_output_setting_does_not_reach_the_net(student, data):
    X, y = data
    expected = distilled(GaussianNB(), student).fit(X, y).predict_proba(X)
    with sklearn.config_context(transform_output="pandas"):
        clf = distilled(GaussianNB(), student).fit(X, y)
        assert_array_equal(clf.predict_proba(X), expected)


def test_the_default_student_takes_strings_and_missing_values():
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(
        {
            "size": np.where(rng.uniform(size=80) < 0.2, np.nan, rng.normal(size=80)),
            "color": rng.choice(["red", "blue", None], size=80),
        }
    )
    y = np.where(frame["color"] == "red", "yes", "no")
    teacher = make_pipeline(TabularPreprocessor(), LogisticRegression())
    clf = distilled(teacher, small_student(max_epochs=30)).fit(frame, y)
    assert clf.score(frame, y) == 1.0
    assert_array_equal(
        clf.predict(pl.from_pandas(frame.iloc[:10])), clf.predict(frame.iloc[:10])
    )


def test_a_teacher_of_named_columns_gets_them(data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcd"))
    teacher = GaussianNB().fit(frame, y)  # it would warn of columns without names
    clf = distilled(teacher).fit(frame, y)
    plain = distilled(GaussianNB().fit(X, y)).fit(X, y)
    assert_array_equal(clf.predict_proba(frame), plain.predict_proba(X))


def test_chunks_of_a_frame_may_hold_levels_that_the_first_lacks():
    first = pd.DataFrame({"color": ["red", "blue"] * 10, "size": np.arange(20.0)})
    later = first.assign(color=["green", None] * 10)
    proba = np.where(first[["color"]] == "red", [[0.1, 0.9]], [[0.9, 0.1]])
    clf = distilled(student=small_student(), classes=["no", "yes"], alpha=1.0)
    for _ in range(10):
        clf.partial_fit(first, teacher_proba=proba)
        clf.partial_fit(later, teacher_proba=np.full((20, 2), 0.5))
    assert_array_equal(clf.predict(first), ["yes", "no"] * 10)
    assert clf.predict_proba(later).max() < 0.8


# Dates


def frame_of_dates(n_rows=240):
    """Return opening times, one missing, and labels by hour and weekday."""
    hours = np.random.RandomState(0).randint(0, 24 * 365, n_rows)
    when = pd.Series(pd.Timestamp("2021-01-01") + pd.to_timedelta(hours, unit="h"))
    y = np.where((when.dt.hour < 12) & (when.dt.day_of_week < 5), "open", "closed")
    when[0] = pd.NaT
    return pd.DataFrame({"when": when.astype("datetime64[s]"), "size": hours % 7}), y


def parts_of_dates(X):
    """Return what a teacher reads of dates."""
    when = pd.to_datetime(X["when"].to_numpy())
    parts = {
        "hour": when.hour,
        "weekday": when.day_of_week,
        "size": X["size"].to_numpy(),
    }
    return pd.DataFrame(parts)


def teacher_of_dates():
    return make_pipeline(
        FunctionTransformer(parts_of_dates),
        HistGradientBoostingClassifier(max_iter=20, random_state=0),
    )


@pytest.mark.parametrize(
    ("fitted", "augmenter"), [(True, "auto"), (False, None)], ids=str
)
def test_the_default_student_learns_from_dates(fitted, augmenter):
    X, y = frame_of_dates()
    teacher = teacher_of_dates()
    teacher = teacher.fit(X, y) if fitted else teacher
    student = make_student((16,), lr=0.03, max_epochs=30)
    clf = distilled(teacher, student, augmenter=augmenter).fit(X, y)
    assert clf.score(X, y) > 0.9
    proba = clf.predict_proba(X)
    assert_array_equal(clf.predict_proba(pl.from_pandas(X)), proba)
    assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), proba)
    with pytest.raises(ValueError, match="Column 'when' holds no dates"):
        clf.predict(X.assign(when="2020-01-01"))
    assert_allclose(clf.predict_proba(X[:1]), proba[:1], atol=1e-6)


@pytest.mark.parametrize("as_given", [list, partial(np.array, dtype=object)])
def test_rows_of_numbers_beside_strings_that_are_no_frame_are_refused(as_given):
    rows = [[1.0, "a"], [2.0, "b"], [3.0, None], [4.0, "a"]]
    clf = DistilledClassifier(DummyClassifier())
    with pytest.raises(ValueError, match="An array has no columns of strings"):
        clf.fit(as_given(rows), [0, 1, 0, 1])


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("cls", "task", "keyword"),
    [
        (DistilledClassifier, "multilabel", "teacher_proba"),
        (DistilledRegressor, "regression", "teacher_pred"),
    ],
)
def test_given_columns_have_the_order_or_the_names_of_y(
    library, method, cls, task, keyword
):
    rng = np.random.default_rng(0)
    values = rng.random((40, 3))
    X = values + rng.normal(size=(40, 3)) / 9
    named = library.DataFrame(dict(zip("abc", values.T, strict=True)))
    y = library.DataFrame(dict(zip("abc", (values > 0.5).T * 1, strict=True)))
    unnamed = library.DataFrame(dict(zip("xyz", values.T, strict=True)))
    student = make_student((8,), task=task, max_epochs=2)
    estimator = cls(student=student, alpha=0.5, random_state=0)
    expected, *others = [
        getattr(clone(estimator), method)(X, y, **{keyword: given}).predict(X)
        for given in (values, named, named[list("cab")], unnamed)
    ]
    for found in others:
        assert_array_equal(found, expected)
