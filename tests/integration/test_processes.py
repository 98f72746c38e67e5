"""What runs in two processes, which these tests share: to start one takes seconds."""

import os

import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB

from skdistill import model_selection
from skdistill.inspection import compare
from skdistill.metrics import latency_scorer, size_scorer
from tests.conftest import TinyModule, distilled, small_student, tiny_net

GRID = {"temperature": [1.0, 4.0], "alpha": [0.0, 1.0]}


def test_a_search_finds_what_it_finds_in_one_process(data, forest):
    clf = distilled(forest, small_student())
    one, two = (
        GridSearchCV(clf, GRID, cv=2, n_jobs=n_jobs, error_score="raise").fit(*data)
        for n_jobs in (1, 2)
    )
    scores = [search.cv_results_["mean_test_score"] for search in (one, two)]
    assert_array_equal(*scores)
    assert_array_equal(one.predict_proba(data[0]), two.predict_proba(data[0]))
    assert two.best_estimator_.teacher is forest


def test_a_comparison_scores_the_same_as_in_one_process(data, forest):
    clf = distilled(forest, tiny_net(max_epochs=3)).fit(*data)
    student = clf.student_
    one, two = (compare(clf, *data, cv=2, n_jobs=n_jobs) for n_jobs in (1, 2))
    for model, scores in one.results.items():
        for metric in ("accuracy", "log_loss", "brier", "agreement"):
            assert_array_equal(two.results[model][metric], scores[metric])
    assert clf.student_ is student


def test_scorers_of_costs_work_with_weights_of_the_rows(data):
    scoring = {"size": size_scorer, "latency": latency_scorer}
    search = GridSearchCV(
        GaussianNB(), {}, scoring=scoring, refit="size", cv=2, n_jobs=2
    ).fit(*data, sample_weight=[1.0] * 90)
    assert (search.cv_results_["mean_test_size"] < -100).all()
    assert (search.cv_results_["mean_test_latency"] < 0).all()


class Homebound(LogisticRegression):
    """Is in the process that made it, and nowhere else."""

    def __setstate__(self, state):
        os._exit(1)


def test_a_search_that_trains_together_hands_over_arrays_alone(data):
    clf = distilled(Homebound().fit(*data), tiny_net(max_epochs=3, batch_size=16))
    options = {"cv": 2, "scoring": "neg_log_loss", "refit": False}
    one, two = (
        model_selection.GridSearchCV(clf, GRID, n_jobs=n_jobs, **options).fit(*data)
        for n_jobs in (1, 2)
    )
    scores = [search.cv_results_["mean_test_score"] for search in (one, two)]
    assert_allclose(*scores)


class Fragile(TinyModule):
    """Ends every process but one."""

    def __init__(self, home, n_features=2, n_classes=2):
        super().__init__(n_features, n_classes)
        self.home = home

    def forward(self, X):
        if os.getpid() != self.home:
            os._exit(1)
        return super().forward(X)


def test_a_process_that_dies_ends_the_search(data, forest):
    net = tiny_net(module=Fragile, module__home=os.getpid())
    grid = {"student__batch_size": [32, 64]}  # two stacks, for two processes
    search = model_selection.GridSearchCV(distilled(forest, net), grid, cv=2, n_jobs=2)
    with pytest.raises(TerminatedWorkerError):
        search.fit(*data)
    search.set_params(n_jobs=1).fit(*data)
