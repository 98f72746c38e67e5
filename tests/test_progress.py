"""What a person sees while a fit runs."""

import re
import threading

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils.fixes import parse_version

from skdistill import model_selection
from skdistill.inspection import compare
from tests.conftest import distilled, small_student

X, y = load_iris(return_X_y=True)
TEACHER = LogisticRegression(C=0.1).fit(X, y)

has_callbacks = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="scikit-learn has callbacks since 1.9",
)


def make_classifier(**params):
    return distilled(TEACHER, small_student(max_epochs=4), **params)


class Recorder:
    """Records the tasks that begin and end; stops the training after some epochs."""

    max_propagation_depth = None

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.begun, self.ended, self.scores, self.torn_down = [], [], [], 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        self.torn_down += 1

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.ended.append(context.task_name)
        if context.task_name == "epoch":
            self.scores.append(fitted_estimator.score(X, y))
        return self.ended.count("epoch") == self.stop_after


def test_a_fit_is_silent_by_default(capfd):
    make_classifier(augmenter="auto").fit(X, y)
    assert capfd.readouterr() == ("", "")


def titles(written):
    """Return the titles of the bars that were drawn, in their order."""
    found = re.findall(r"([a-z0-9][\w ]*): +\d+[%:]", written.err)
    return list(dict.fromkeys(found))


def test_verbose_shows_each_phase_by_its_name(capfd, bars_at_once):
    clf = make_classifier(verbose=1).set_params(teacher=LogisticRegression(C=0.2))
    clf.set_params(augmenter="auto", soft_labels="out_of_fold").fit(X, y)
    written = capfd.readouterr()
    assert titles(written) == [
        "making 750 rows",
        "fitting the teacher",
        "fitting the teacher on folds",
        "asking the teacher",
        "4 label nets",
        "encoding 900 rows",
        "training",
    ]
    assert "making 750 rows: 00:00" in written.err  # a single call has no percentage
    assert "750/750" in written.err
    assert "4/4" in written.err
    assert "train_loss=" in written.err
    assert "\n" not in written.err  # bars vanish
    assert written.out == ""


def test_phase_of_one_long_call_is_shown_while_it_runs(monkeypatch, capfd):
    monkeypatch.setattr("skdistill.utils._bars._SECONDS", 0.01)
    shown = []

    class Slow(LogisticRegression):
        def fit(self, X, y):
            while not shown:
                shown.extend(titles(capfd.readouterr()))
            return super().fit(X, y)

    make_classifier(verbose=1).set_params(teacher=Slow(C=0.1)).fit(X, y)
    assert shown == ["fitting the teacher"]


def test_bar_of_an_interrupted_phase_vanishes(capfd, bars_at_once):
    class Stopped(LogisticRegression):
        def fit(self, X, y):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_classifier(verbose=1).set_params(teacher=Stopped(C=0.1)).fit(X, y)
    assert capfd.readouterr().err.endswith("\r")
    names = [thread.name for thread in threading.enumerate()]
    assert "progress bar" not in names


def test_compare_counts_its_splits(capfd, bars_at_once):
    compare(make_classifier(), X, y, cv=3, verbose=1)
    written = capfd.readouterr()
    assert titles(written) == ["comparing"]
    assert "3/3" in written.err
    compare(make_classifier(), X, y, cv=3)
    assert capfd.readouterr() == ("", "")


def test_search_counts_candidates_and_folds(capfd, bars_at_once):
    grid = {"alpha": [0.5, 1.0], "student__net__batch_size": [16, 32]}
    search = model_selection.GridSearchCV(make_classifier(), grid, cv=3)
    search.fit(X, y)
    assert capfd.readouterr() == ("", "")
    search.set_params(verbose=1).fit(X, y)
    written = capfd.readouterr().err
    assert "12/12" in written
    assert "preparing 12 of 12" in written
    assert "48/48" in written  # epochs


def test_the_trees_of_a_refit_are_no_fits_of_a_search(capfd, bars_at_once):
    clf = distilled(RandomForestClassifier(5), small_student(max_epochs=1))
    grid = {"alpha": [0.5, 1.0]}
    model_selection.GridSearchCV(clf, grid, cv=2, verbose=1).fit(X, y)
    written = capfd.readouterr().err
    assert "4/4" in written
    assert not re.search(r"[1-9]fit \[", written)  # more than there are
    assert not re.search("preparing . of 5", written)


def test_halving_counts_the_fits_of_each_round(capfd, bars_at_once):
    search = model_selection.HalvingGridSearchCV(
        make_classifier(), {"alpha": [0.1, 0.5, 1.0]}, cv=2, verbose=1, random_state=0
    )
    search.fit(X, y)
    written = capfd.readouterr().err
    assert "6/6" in written
    assert "2/2" in written


def test_short_fits_of_a_search_show_no_bars(capfd, monkeypatch):
    monkeypatch.setattr("skdistill.utils._bars._SECONDS", 60)
    GridSearchCV(make_classifier(verbose=1), {"alpha": [0.5, 1]}, cv=2).fit(X, y)
    assert capfd.readouterr().err == ""


@has_callbacks
def test_callbacks_see_labeling_and_every_epoch():
    recorder = Recorder()
    clf = make_classifier(augmenter="auto").set_callbacks(recorder).fit(X, y)
    assert recorder.begun == ["fit", "label", "train"] + 4 * ["epoch"]
    assert recorder.ended == ["label"] + 4 * ["epoch"] + ["train", "fit"]
    assert recorder.torn_down == 1
    assert recorder.scores[-1] == clf.score(X, y)


def test_bars_and_callbacks_leave_the_training_as_it_is():
    plain, watched = make_classifier(), make_classifier(verbose=1)
    if hasattr(watched, "set_callbacks"):
        watched.set_callbacks(Recorder())
    proba = [clf.fit(X, y).predict_proba(X) for clf in (plain, watched)]
    np.testing.assert_array_equal(*proba)


@has_callbacks
def test_a_callback_can_end_the_training():
    clf = make_classifier().set_callbacks(Recorder(stop_after=2)).fit(X, y)
    assert len(clf.history_) == 2


@has_callbacks
def test_an_error_tears_callbacks_down():
    recorder = Recorder()
    clf = make_classifier().set_callbacks(recorder)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.fit(X, y[:-1])
    assert recorder.torn_down == 1


@has_callbacks
def test_callbacks_reach_through_a_search():
    recorder = Recorder()
    search = GridSearchCV(make_classifier(), {"alpha": [0.5, 1.0]}, cv=2)
    search.set_callbacks(recorder).fit(X, y)
    assert recorder.ended.count("epoch") == 4 * (2 * 2 + 1)


class OfOneFit:
    """Watches one estimator's fit, as scikit-learn's ScoringMonitor does."""

    def __init__(self):
        self.watched, self.scores, self.at_end = [], [], []

    def setup(self, estimator, context):
        self.watched.append(estimator)

    def teardown(self, estimator, context):
        self.watched.remove(estimator)

    def on_fit_task_begin(self, estimator, context):
        assert estimator in self.watched

    def on_fit_task_end(
        self, estimator, context, *, X, y, metadata=None, fitted_estimator=None
    ):
        assert estimator in self.watched
        if context.task_name in ("epoch", "fit"):
            scores = self.scores if context.task_name == "epoch" else self.at_end
            scores.append(fitted_estimator.score(X, y, **metadata or {}))


@has_callbacks
def test_callbacks_of_candidates_outlast_the_training_of_their_nets():
    watch = OfOneFit()
    clf = make_classifier().set_callbacks(watch)
    search = model_selection.GridSearchCV(clf, {"alpha": [0.5, 1.0]}, cv=2)
    with pytest.warns(UserWarning, match=r"4 of the fits .*callbacks \(4\)"):
        search.fit(X, y)
    assert len(watch.scores) == 4 * (2 * 2 + 1)


@has_callbacks
def test_callbacks_score_a_student_of_fewer_columns():
    frame, watch = pd.DataFrame(X, columns=["a", "b", "c", "d"]), OfOneFit()
    clf = distilled(LogisticRegression(C=0.1), small_student(max_epochs=4))
    clf.set_params(student_columns=["a", "c"]).set_callbacks(watch).fit(frame, y)
    assert clf.score(frame, y) == watch.scores[-1]


@has_callbacks
def test_callbacks_get_the_weights_of_rows_and_the_fitted_estimator():
    watch, weight = OfOneFit(), np.linspace(0, 1, len(X))
    clf = make_classifier().set_callbacks(watch).fit(X, y, sample_weight=weight)
    score = clf.score(X, y, weight)
    assert score != clf.score(X, y)
    assert score == watch.scores[-1] == watch.at_end[0]
    clf.fit(X, y, sample_weight=1.0)
    assert watch.at_end[1] == clf.score(X, y)
