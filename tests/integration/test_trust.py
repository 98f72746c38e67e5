"""alpha="auto" measures the teacher on rows that it has not seen."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    make_student,
    soft_labels,
)
from skdistill._transfer._store import store
from skdistill.augmentation import MUNGE
from tests.conftest import tiny_net


@pytest.fixture(scope="module")
def rows():
    """Return rows of which a tenth of the labels is wrong."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 2)).astype(np.float32)
    y = X[:, 0] > 0
    noisy = rng.uniform(size=800) < 0.1
    return X, np.where(noisy, ~y, y).astype(int)


def distilled(teacher, **params):
    """Return an estimator whose student takes no time; the teacher is measured."""
    student = make_student((2,), max_epochs=1)
    defaults = {"random_state": 0, "augmenter": MUNGE(n_copies=1)}
    return DistilledClassifier(teacher, student, **defaults | params)


class ByHeart(ClassifierMixin, BaseEstimator):
    """Is right, and sure, about the rows that it has seen; sure and mistaken else."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.seen_ = {tuple(row): label for row, label in zip(X, y, strict=True)}
        return self

    def predict_proba(self, X):
        rows = [tuple(row) for row in X]
        second = [self.seen_.get(row, row[1] > 0) for row in rows]
        second = np.clip(np.array(second, float), 0.05, 0.95)
        return np.stack([1 - second, second], axis=1)


HONEST = {
    "unfitted": {},
    "out of fold": {"cv": 3},
    "calibrated out of fold": {"calibrate_teacher": "out_of_fold"},
    "pair": {},
}


@pytest.mark.filterwarnings("ignore:SKD10[13]")
@pytest.mark.parametrize("case", HONEST)
def test_teacher_that_knows_its_rows_by_heart_is_not_trusted(case, rows):
    X, y = rows
    params = dict(HONEST[case])
    if case == "pair":
        params["calibrate_teacher"] = (X[500:], y[500:])
    clf = distilled(ByHeart(), **params).fit(X[:500], y[:500])
    assert clf.alpha_ < 0.3


@pytest.mark.filterwarnings("ignore:SKD10[13]")
def test_fitted_teacher_that_differs_from_nets_more_than_they_err_is_not_trusted(rows):
    X, y = (part[:500] for part in rows)
    clf = distilled(ByHeart().fit(X, y)).fit(X, y)
    assert clf.n_honest_rows_ == 0
    assert clf.alpha_ < 0.2


@pytest.mark.filterwarnings("ignore:SKD10[13]")
def test_soft_labels_that_were_made_out_of_fold_are_measured(rows):
    X, y = (part[:500] for part in rows)
    proba = soft_labels(ByHeart(), X, y, cv=3)
    clf = distilled(None, augmenter="auto")
    assert clf.fit(X, y, teacher_proba=proba).alpha_ == 0.7  # nobody has said so
    assert clf.n_honest_rows_ == 0
    clf.set_params(soft_labels="out_of_fold").fit(X, y, teacher_proba=proba)
    assert clf.alpha_ < 0.3
    assert clf.n_honest_rows_ == 150
    # The nets that learned the labels say what the student leaves open.
    assert clf.student_[-1].optimizer__weight_decay != 0.1
    numbers = DistilledRegressor(student=make_student((2,), task="regression"))
    numbers.set_params(soft_labels="out_of_fold", random_state=0)
    # A part of what it says is noise.
    assert numbers.fit(X, X[:, 0], teacher_pred=X @ [1, 0.5]).alpha_ < 0.1


FAIL_WITHOUT_SOME_ROWS = {
    "too few neighbors": (
        KNeighborsClassifier(95, weights="distance"),
        r"on \d+ rows.*Expected n_neighbors <= n_samples_fit",
    ),
    "unknown categories": (
        make_pipeline(OneHotEncoder(), LogisticRegression()),
        "unknown categories",
    ),
}


@pytest.mark.parametrize("case", FAIL_WITHOUT_SOME_ROWS)
def test_teacher_whose_clone_fails_without_some_rows_is_not_measured_on_them(
    case, rows
):
    teacher, error = FAIL_WITHOUT_SOME_ROWS[case]
    X, y = (part[:100] for part in rows)
    if case == "unknown categories":
        X = pd.DataFrame({"a": np.round(X[:, 0], 1).astype(str)})
    clf = distilled(teacher, augmenter="munge")
    with pytest.warns(UserWarning, match=f"(?s)SKD110.*{error}"):
        clf.fit(X, y)
    assert clf.n_honest_rows_ == 0
    assert clf.alpha_ <= 0.7
    assert clf.teacher_.score(X, y) > 0.8


@pytest.mark.filterwarnings("ignore:SKD102")
def test_better_teacher_gets_more_trust(rows):
    X, y = rows
    linear, tree = (
        distilled(teacher).fit(X, y).alpha_
        for teacher in (LogisticRegression(), DecisionTreeClassifier(random_state=0))
    )
    assert linear > 0.2 > tree


def test_fitted_forest_is_measured_by_trees_that_have_not_seen_a_row(rows):
    X, y = rows
    forest = RandomForestClassifier(30, random_state=0)
    forest.fit(X, y)
    inside = distilled(forest).fit(X, y)
    assert inside.alpha_ < 0.5
    out_of_bag = RandomForestClassifier(30, random_state=0)
    by_itself = distilled(out_of_bag, soft_labels="out_of_bag").fit(X, y)
    assert inside.alpha_ == pytest.approx(by_itself.alpha_, abs=0.15)
    # On other rows, nothing is known of it.
    assert distilled(forest).fit(X[:400], y[:400]).alpha_ == 0.7


@pytest.fixture
def asked(monkeypatch):
    """Return a list of the rows that linear teachers have seen, and are asked for."""
    found, fit, say = [], LogisticRegression.fit, LogisticRegression.predict_proba

    def watched_fit(self, X, y):
        self.rows_ = {tuple(row) for row in X}
        return fit(self, X, y)

    def watched_say(self, X):
        found.append((self.rows_, {tuple(row) for row in X}))
        return say(self, X)

    monkeypatch.setattr(LogisticRegression, "fit", watched_fit)
    monkeypatch.setattr(LogisticRegression, "predict_proba", watched_say)
    return found


def test_clones_are_not_fitted_on_the_rows_that_they_label(rows, asked):
    X, y = rows
    distilled(LogisticRegression()).fit(X, y)
    whole = {tuple(row) for row in X}
    honest = [(seen, rows) for seen, rows in asked if seen != whole]
    assert len(honest) == 2  # they are few, so there are two clones
    assert all(not seen & rows for seen, rows in honest)
    assert not honest[0][1] & honest[1][1]


def test_equal_rows_are_held_out_together(rows, asked):
    X, y = rows[0][:200], rows[1][:200]
    both = np.concatenate([X, X]), np.concatenate([y, y])
    distilled(LogisticRegression()).fit(*both)
    whole = {tuple(row) for row in X}
    honest = [(seen, rows) for seen, rows in asked if seen != whole]
    assert len(honest) == 2
    assert all(len(seen) == 170 and not seen & rows for seen, rows in honest)


def test_enough_honest_rows_take_one_clone(count_calls):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 2))
    calls = count_calls(LogisticRegression, "fit")
    clf = distilled(LogisticRegression(), augmenter=MUNGE(n_copies=0.1))
    clf.fit(X, (X[:, 0] > 0).astype(int))
    assert calls["fit"] == 2


def test_a_search_fits_the_clones_once(rows, count_calls):
    X, y = rows[0][:120], rows[1][:120]
    calls = count_calls(LogisticRegression, "fit")
    clf = distilled(LogisticRegression())
    grid = {"temperature": [1.0, 2.0], "alpha": [0.3, "auto"]}
    GridSearchCV(clf, grid, cv=2, refit=False, n_jobs=1).fit(X, y)
    assert calls["fit"] == 2 * 3


def test_it_is_what_the_student_learns_by(rows):
    X, y = rows
    measured = distilled(LogisticRegression()).fit(X, y)
    given = distilled(LogisticRegression(), alpha=measured.alpha_).fit(X, y)
    assert_array_equal(measured.predict_proba(X), given.predict_proba(X))
    assert not hasattr(given, "alpha_")


@pytest.mark.filterwarnings("ignore:SKD101")
def test_fitted_teacher_that_is_worse_than_nets_on_its_own_rows_is_not_trusted(rows):
    X, y = rows
    y = (X[:, 0] > 0).astype(int)
    wrong = LogisticRegression(C=100).fit(X, 1 - y)
    with pytest.warns(UserWarning, match="looks worse than nets that learned the lab"):
        assert distilled(wrong, calibrate_teacher=None).fit(X, y).alpha_ < 0.1
    right = LogisticRegression().fit(X, y)
    assert distilled(right).fit(X, y).alpha_ <= 0.7


@pytest.mark.parametrize(
    ("params", "y_is_there", "alpha"),
    [({"augmenter": None}, True, 0.7), ({}, False, 1.0)],
    ids=["no nets", "no labels"],
)
def test_what_it_is_where_nothing_can_be_measured(params, y_is_there, alpha, rows):
    X, y = rows
    clf = distilled(LogisticRegression().fit(X, y), **params)
    assert clf.fit(X, y if y_is_there else None).alpha_ == alpha


def test_temperature_that_is_left_open_is_one(rows):
    X, y = rows
    teacher = LogisticRegression().fit(X, y)
    clf = distilled(teacher, temperature="auto").fit(X, y)
    assert clf.temperature_ == 1
    assert_array_equal(
        clf.predict_proba(X), distilled(teacher).fit(X, y).predict_proba(X)
    )


@pytest.mark.filterwarnings("ignore:SKD101")
def test_further_chunks_keep_what_was_measured(rows):
    X, y = rows
    clf = distilled(RandomForestClassifier(20, random_state=0).fit(X, y)).fit(X, y)
    measured = clf.alpha_
    assert clf.partial_fit(X[:50], y[:50]).alpha_ == measured != 0.7
    fresh = distilled(LogisticRegression().fit(X, y)).partial_fit(X[:50], y[:50])
    assert fresh.alpha_ == 0.7


def test_students_without_made_rows_ask_for_no_clones(rows, count_calls):
    calls = count_calls(LogisticRegression, "fit")
    DistilledClassifier(LogisticRegression(), tiny_net(), random_state=0).fit(*rows)
    assert calls["fit"] == 1
    store.clear()


@pytest.mark.filterwarnings("ignore:SKD102")
@pytest.mark.parametrize("n_rows", [2, 3, 4, 7])
def test_few_rows_are_enough(n_rows):
    X = np.arange(2.0 * n_rows).reshape(n_rows, 2)
    clf = distilled(DecisionTreeClassifier(random_state=0))
    clf.fit(X, np.arange(n_rows) % 2)
    assert 0 < clf.alpha_ < 1
