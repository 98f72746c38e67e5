"""Ctrl-C stops what the person has started, whatever is around the student."""

import os
import signal

import pytest
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, EarlyStopping

from skdistill import DistilledClassifier
from tests.conftest import TinyModule, tiny_net


@pytest.fixture(autouse=True)
def heeds_ctrl_c():
    """Heed SIGINT, which a shell has processes in the background ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupted(TinyModule):
    """Is interrupted by the person in the second step of a training."""

    steps = 0

    def forward(self, X):
        self.steps += 1
        if self.steps == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return super().forward(X)


@pytest.fixture
def trainings():
    """Return a callback that counts the trainings that were begun."""

    class Trainings(Callback):
        n = 0

        def on_train_begin(self, net, **kwargs):
            type(self).n += 1

    return Trainings


WAYS = {
    "pipeline": lambda clf, X, y: make_pipeline(StandardScaler(), clf).fit(X, y),
    "search": lambda clf, X, y: GridSearchCV(clf, {"alpha": [0.2, 0.8]}).fit(X, y),
    "cross_validate": lambda clf, X, y: cross_validate(clf, X, y),
}


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_stops_it(data, forest, trainings, way):
    net = tiny_net(module=Interrupted, callbacks=[trainings])
    clf = DistilledClassifier(forest, net)
    with pytest.raises(KeyboardInterrupt):
        WAYS[way](clf, *data)
    assert trainings.n == 1
    assert not hasattr(clf, "student_")


def test_early_stopping_goes_on_with_the_search(data, forest, trainings):
    stop = EarlyStopping("train_loss", patience=1, threshold=1.0)
    net = tiny_net(callbacks=[stop, trainings])
    search = GridSearchCV(DistilledClassifier(forest, net), {"alpha": [0.2, 0.8]}, cv=2)
    search.fit(*data)
    assert trainings.n == 5
    assert len(search.best_estimator_.history_) < 10
