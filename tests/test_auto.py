"""Temperature and alpha are chosen by the log loss of rows that are held out."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB

from skdistill import DistilledClassifier, TransferRows
from skdistill._targets import _classes
from tests.conftest import FittedTeacher, tiny_net

FOREST = RandomForestClassifier(10, min_samples_leaf=3, random_state=0)


class Sure(FittedTeacher):
    """Takes the border of two classes to be at 0.7, and is sure of it."""

    def predict_proba(self, X):
        is_second = np.asarray(X)[:, 0] > 0.7
        return np.where(is_second[:, np.newaxis], [0.01, 0.99], [0.99, 0.01])


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2)).astype(np.float32)
    return X, (X[:, 0] > 0).astype(int)


def auto(teacher=FOREST, **params):
    defaults = {"temperature": "auto", "alpha": "auto", "random_state": 0}
    return DistilledClassifier(teacher, tiny_net(max_epochs=3), **defaults | params)


def test_the_candidates_show_as_a_table(data):
    results = auto(alpha=0.5).fit(*data).auto_results_
    head, *rows = [line.split() for line in str(results).splitlines()]
    assert head == ["rank", "temperature", "log", "loss"]
    assert [row[:2] for row in rows] == [
        [str(rank), str(params["temperature"])]
        for rank, params in zip(
            results["rank_test_score"], results["params"], strict=True
        )
    ]
    assert float(rows[0][2]) == pytest.approx(-results["mean_test_score"][0], rel=1e-3)
    assert f"<td>{rows[0][2]}</td>" in results._repr_html_()


@pytest.mark.parametrize(
    ("params", "candidates"),
    [
        ({"alpha": 0.5}, [{"temperature": T} for T in (1.0, 2.0, 4.0)]),
        ({"temperature": 3.0}, [{"alpha": a} for a in (0.0, 0.4, 0.7, 1.0)]),
        (
            {},
            [
                {"temperature": T, "alpha": a}
                for T, a in [(1, 0), (1, 0.4), (1, 0.7), (1, 1), (2, 0.7), (4, 0.7)]
            ],
        ),
    ],
    ids=["temperature", "alpha", "both"],
)
def test_the_best_candidate_is_that_of_the_student(data, params, candidates):
    clf = auto(**params).fit(*data)
    tried = clf.auto_results_["params"]
    assert sorted(map(str, map(sorted_items, tried))) == sorted(
        map(str, map(sorted_items, candidates))
    )
    best = tried[np.argmax(clf.auto_results_["mean_test_score"])]
    assert {name: getattr(clf, f"{name}_") for name in best} == best
    plain = clone(clf).set_params(**best).fit(*data)
    assert_array_equal(clf.predict_proba(data[0]), plain.predict_proba(data[0]))
    assert clf.get_params()["alpha"] == params.get("alpha", "auto")


def test_candidates_are_scored_by_the_weighted_log_loss_of_a_fifth(data, monkeypatch):
    seen = []

    def spy(y, proba, **params):
        seen.append(params["sample_weight"])
        return log_loss(y, proba, **params)

    monkeypatch.setattr(_classes, "log_loss", spy)
    weight = np.arange(1.0, 91.0)
    clf = auto(temperature=1.0).fit(*data, sample_weight=weight)
    assert [len(np.unique(held_out)) for held_out in seen] == [90 // 5] * 4
    results = clf.auto_results_
    best = results["mean_test_score"].argmax()
    assert results["rank_test_score"][best] == 1
    assert results["rank_test_score"].max() > 1


def sorted_items(candidate):
    return sorted((name, float(value)) for name, value in candidate.items())


def test_a_teacher_that_is_wrong_is_not_learned_from(rows):
    with pytest.warns(UserWarning, match="may have been fitted on the rows"):
        clf = auto(Sure([0, 1]), temperature=1.0).fit(*rows)
    assert clf.alpha_ == 0


def test_rows_of_the_calibration_decide(rows):
    X, y = rows
    X_seen = X[:50]
    y_seen = (X_seen[:, 0] > 0.7).astype(int)  # by these, the teacher is right
    clf = auto(Sure([0, 1]), temperature=1.0, calibrate_teacher=(X_seen, y_seen))
    assert clf.fit(X, y).alpha_ == 1
    best = clone(clf).set_params(alpha=1.0).fit(X, y)
    expected = -log_loss(y_seen, best.predict_proba(X_seen))
    assert clf.auto_results_["mean_test_score"].max() == pytest.approx(expected)


def test_an_unfitted_teacher_is_fitted_without_the_rows_that_are_held_out(
    data, count_calls
):
    calls = count_calls(RandomForestClassifier, "fit", "predict_proba")
    auto().fit(*data)
    # Once on the rows that are not held out, and once on all rows.
    assert calls == {"fit": 2, "predict_proba": 2}


@pytest.mark.parametrize("wrap", [TransferRows, lambda X: X], ids=["wrapped", "plain"])
def test_rows_without_labels_are_handed_on_whole(rows, wrap):
    X, y = rows
    further = X[:160] + 1  # as many as are not held out
    with pytest.warns(UserWarning, match="may have been fitted"):
        clf = auto(Sure([0, 1]), alpha=0.5).fit(X, y, X_transfer=wrap(further))
    assert clf.history_[-1]["train_batch_count"] == 3  # 360 rows, 128 in a batch


def test_weights_and_soft_labels_are_split_with_the_rows(rows):
    X, y = rows
    P = np.eye(2)[y] * 0.8 + 0.1
    clf = auto(None).fit(X, y, sample_weight=np.arange(200), teacher_proba=P)
    assert clf.alpha_ in (0, 0.4, 0.7, 1)


@pytest.mark.filterwarnings("ignore:the soft labels are one-hot")
def test_rare_classes_and_few_rows_are_held_out_as_they_come():
    X = np.arange(24, dtype=np.float32).reshape(12, 2)
    y = np.array([0] * 9 + [1, 1, 2])
    clf = auto(GaussianNB()).fit(X, y)
    assert np.isfinite(clf.auto_results_["mean_test_score"]).all()


@pytest.mark.filterwarnings("ignore:the soft labels are one-hot")
@pytest.mark.parametrize("seed", range(5))
def test_a_teacher_is_fitted_by_the_only_row_of_a_class(seed):
    X = np.arange(24, dtype=np.float32).reshape(12, 2)
    y = np.array([0] * 11 + [1])
    forest = RandomForestClassifier(3, bootstrap=False)
    clf = auto(forest, random_state=seed).fit(X, y)
    assert clf.classes_.tolist() == [0, 1]


def test_a_choice_without_rows_to_hold_out_is_refused():
    X = np.arange(8, dtype=np.float32).reshape(4, 2)
    with pytest.raises(
        ValueError, match="temperature='auto' holds rows out, and y has"
    ):
        auto(FOREST).fit(X, np.array([0, 1, 2, 2]))


def test_nothing_is_chosen_where_nothing_is_open(data):
    clf = auto(temperature=1.0, alpha=0.5).fit(*data)
    assert not {"temperature_", "alpha_", "auto_results_"} & vars(clf).keys()


def test_a_refit_forgets_what_was_chosen(data):
    clf = auto(temperature=1.0).fit(*data)
    clf.set_params(alpha=0.5).fit(*data)
    assert not hasattr(clf, "alpha_")


def test_chunks_are_learned_with_what_fit_has_chosen(data, forest):
    with pytest.warns(UserWarning, match="may have been fitted"):
        clf = auto(forest).fit(*data)
    chosen = clf.temperature_, clf.alpha_
    clf.partial_fit(*data)
    assert (clf.temperature_, clf.alpha_) == chosen


def test_a_chunk_is_not_enough_to_choose(data, forest):
    with pytest.raises(ValueError, match="partial_fit cannot choose temperature"):
        auto(forest).partial_fit(*data)


def test_labels_are_needed_to_choose(data, forest):
    with pytest.raises(ValueError, match="temperature='auto'"):
        auto(forest).fit(data[0])


def test_other_words_are_refused(data):
    with pytest.raises(ValueError, match="'alpha' parameter"):
        auto(alpha="best").fit(*data)


def test_a_file_keeps_the_choice(data):
    clf = auto(random_state=None).fit(*data)
    loaded = pickle.loads(pickle.dumps(clf))
    assert (loaded.temperature_, loaded.alpha_) == (clf.temperature_, clf.alpha_)
    assert not hasattr(loaded, "auto_results_")


def test_a_failed_fit_keeps_the_former_choice(data):
    clf = auto().fit(*data)
    before = dict(vars(clf))
    with pytest.raises(ValueError, match="NaN"):
        clf.fit(np.full_like(data[0], np.nan), data[1])
    assert vars(clf) == before
