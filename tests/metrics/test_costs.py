import io

import joblib
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB

from skdistill import make_student
from skdistill.metrics import latency_scorer, size_scorer
from skdistill.utils import _costs
from tests.conftest import distilled

SCORING = {"accuracy": "accuracy", "size": size_scorer, "latency": latency_scorer}


@pytest.fixture(autouse=True)
def few_calls(monkeypatch):
    """Time three calls: what the times are does not matter here."""
    monkeypatch.setattr(_costs, "_MEDIAN_SECONDS", 0)


def n_bytes(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    return len(file.getvalue())


def test_size(data):
    bayes = GaussianNB().fit(*data)
    score = size_scorer(bayes, *data)
    assert score == -n_bytes(bayes)
    assert isinstance(score, float)


def test_the_size_is_that_of_any_estimator(data):
    assert size_scorer(Ridge().fit(*data), data[0]) < -100


def test_latency_is_in_microseconds(data, monkeypatch):
    clock = iter(range(0, 10**9, 2500))
    monkeypatch.setattr(_costs, "perf_counter_ns", lambda: next(clock))
    assert latency_scorer(GaussianNB().fit(*data), data[0]) == -2.5


def test_in_a_search(data, forest):
    search = GridSearchCV(
        distilled(forest, make_student(numeric="standard", max_epochs=1)),
        {"student__net__module__hidden_layer_sizes": [64, 8]},
        scoring=SCORING,
        refit="size",
        cv=2,
    ).fit(*data)
    small = search.best_estimator_
    assert small.student_[-1].module__hidden_layer_sizes == 8
    # Files of two folds differ by the digits of their histories.
    large, best = search.cv_results_["mean_test_size"]
    assert large < best < 0
    assert abs(best + n_bytes(small)) < 100
    assert (search.cv_results_["mean_test_latency"] < 0).all()
