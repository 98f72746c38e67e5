"""What a teacher is asked, what it does to the rows, and what the student learns."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import TorchTeacher, soft_labels
from tests.conftest import NAMES, distilled, small_student, tiny_net
from tests.kinds import WithoutFitWithClasses, scaled


def doubled(X):
    X *= 2
    return X[:, :3]


def doubled_features(teacher, X):
    return doubled(X)


IN_PLACE = make_pipeline(StandardScaler(copy=False), LogisticRegression())


@pytest.mark.parametrize(
    ("overwriting", "plain"),
    [
        (
            {"teacher": IN_PLACE, "cv": 3},
            {"teacher": scaled(LogisticRegression()), "cv": 3},
        ),
        (
            {"teacher": TorchTeacher(doubled, [0, 1, 2])},
            {"teacher": TorchTeacher(lambda X: 2 * X[:, :3], [0, 1, 2])},
        ),
        (
            {"teacher_features": doubled_features, "cv": 3},
            {"teacher_features": lambda teacher, X: 2 * X[:, :3], "cv": 3},
        ),
    ],
    ids=["pipeline", "function", "features"],
)
@pytest.mark.filterwarnings("ignore:SKD101")
def test_teacher_that_overwrites_rows_teaches_what_a_well_behaved_one_does(
    overwriting, plain, data32
):
    X, y = data32
    kept = X.copy()
    common = {"teacher": LogisticRegression(), "relation_loss": "pkt", "alpha": 1.0}

    proba = distilled(**common | overwriting).fit(X, y).predict_proba(X)

    assert_array_equal(X, kept)
    assert_array_equal(proba, distilled(**common | plain).fit(X, y).predict_proba(X))


# Classes


class Predictor:
    """A fitted predictor of AutoML: its fit takes a table, and its answer is one."""

    def __init__(self, forest):
        self.forest = forest

    def fit(self, table):
        raise AssertionError

    def predict_proba(self, X):
        proba = pd.DataFrame(self.forest.predict_proba(X), columns=NAMES)
        return proba[NAMES[::-1]]


@pytest.mark.parametrize("several", [False, True])
def test_a_predictor_that_cannot_be_cloned_is_fitted(several, data, named_forest):
    X, codes = data
    teacher = [Predictor(named_forest)] * 2 if several else Predictor(named_forest)
    clf, expected = (
        distilled(one, alpha=1.0, **classes).fit(X, NAMES[codes])
        for one, classes in ((teacher, {"classes": NAMES}), (named_forest, {}))
    )

    assert clone(clf).teacher is teacher or several
    assert_allclose(clf.predict_proba(X), expected.predict_proba(X), atol=1e-5)
    with pytest.raises(
        ValueError, match="Predictor has no classes_: say with classes="
    ):
        distilled(teacher).fit(X, NAMES[codes])
    with pytest.raises(ValueError, match="Predictor cannot be fitted again"):
        distilled(teacher, cv=3, classes=NAMES).fit(X, NAMES[codes])


HOW = {
    "in_sample": {},
    "made rows": {"augmenter": "auto", "student": small_student(max_epochs=1)},
    "out_of_fold": {"soft_labels": "out_of_fold", "cv": 3},
    "calibrated": {"calibrate_teacher": "pair"},
    "both": {"calibrate_teacher": "pair", "augmenter": "auto"}
    | {"student": small_student(max_epochs=1)},
    "several": {"teacher_weights": [2, 1]},
}


@pytest.mark.parametrize("how", HOW)
def test_a_student_of_some_of_the_classes_of_a_fitted_teacher(how, data, named_forest):
    X, y = data[0], NAMES[data[1]]
    some = ["cedar", "ash"]
    rows = np.isin(y, some)
    params = HOW[how] | {"classes": some, "random_state": 0}
    if params.get("calibrate_teacher") == "pair":
        params["calibrate_teacher"] = (X[rows] + 0.1, y[rows])
    teacher = [named_forest] * 2 if how == "several" else named_forest
    clf = distilled(teacher, **params).fit(X[rows], y[rows])

    assert clf.classes_.tolist() == ["ash", "cedar"]
    if how == "in_sample":
        proba = named_forest.predict_proba(X[rows])[:, [0, 2]]
        expected = proba / proba.sum(axis=1, keepdims=True)
        found = soft_labels(named_forest, X[rows], y[rows], classes=some)
        assert_allclose(found, expected, rtol=1e-5)
        assert soft_labels(named_forest, X[rows]).shape[1] == 3
    with pytest.raises(ValueError, match=r"labels \['birch'\], which classes= leaves"):
        clf.fit(X, y)


def test_labels_that_are_no_classes_of_the_teacher_are_not_some_of_them(data, forest):
    with pytest.raises(ValueError, match=r"2 labels.*3 columns: name all of them, or"):
        distilled(forest, classes=["a", "b"]).fit(data[0])


def test_the_teacher_gets_the_rows_as_they_came(data, forest):
    seen = []

    class Spy(WithoutFitWithClasses):
        def predict_proba(self, X):
            seen.append(X)
            return super().predict_proba(X)

    student = make_pipeline(StandardScaler(), tiny_net())
    distilled(Spy(forest), student).fit(*data)
    assert_array_equal(seen[0], data[0])


def test_a_distilled_student_agrees_more_with_its_teacher_than_one_of_labels():
    X, y = make_moons(300, noise=0.2, random_state=0)
    noisy = np.where(np.random.RandomState(0).uniform(size=300) < 0.3, 1 - y, y)
    teacher = RandomForestClassifier(20, min_samples_leaf=10, random_state=0)
    teacher.fit(X, noisy)
    student = tiny_net(module__n_hidden=64, max_epochs=100)

    def agreement(alpha):
        clf = distilled(teacher, student, alpha=alpha).fit(X[:100], noisy[:100])
        return np.mean(clf.predict(X[100:]) == teacher.predict(X[100:]))

    assert agreement(1.0) > agreement(0.0) + 0.05
