"""What a person sees while a fit runs."""

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils.fixes import parse_version

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


def test_verbose_shows_labeling_and_training(capfd, bars_at_once):
    make_classifier(verbose=1).set_params(teacher=LogisticRegression(C=0.2)).fit(X, y)
    shown = capfd.readouterr().err
    assert "soft labels: 100%" in shown
    assert "training: 100%" in shown
    assert "4/4" in shown
    assert "train_loss=" in shown
    assert "\n" not in shown  # bars vanish


def test_short_fits_of_a_search_show_no_bars(capfd):
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
