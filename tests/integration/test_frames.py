"""Data frames, from the columns to the predictions."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledClassifier, make_student
from tests.conftest import tiny_net


def distilled(teacher=None, student=None, **params):
    """Return an unfitted classifier, by default with a small and quick student."""
    student = tiny_net() if student is None else student
    return DistilledClassifier(teacher, student, **{"random_state": 0} | params)


def small_student():
    return make_student(hidden_layer_sizes=(8,), max_epochs=5, batch_size=32, lr=0.03)


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("student", [None, tiny_net()], ids=["default", "net"])
def test_set_output_upstream_hands_over_a_frame(output, student, data):
    X, y = data
    clf = DistilledClassifier(GaussianNB(), student, random_state=0)
    scaler = StandardScaler().set_output(transform=output)
    model = make_pipeline(scaler, clf).fit(pd.DataFrame(X, columns=list("abcd")), y)
    assert_array_equal(clf.feature_names_in_, list("abcd"))
    plain = make_pipeline(StandardScaler(), clone(clf)).fit(X, y)
    frame = pd.DataFrame(X, columns=list("abcd"))
    assert_allclose(model.predict_proba(frame), plain.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    "student", [small_student(), tiny_net()], ids=["default", "net"]
)
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
    teacher = make_pipeline(
        sklearn.compose.make_column_transformer(
            (sklearn.preprocessing.OrdinalEncoder(), ["color"]), remainder="passthrough"
        ),
        HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5),
    )
    clf = DistilledClassifier(teacher, random_state=0).fit(frame, y)
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
