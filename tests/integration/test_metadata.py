"""Sample weights and soft labels that are passed on by scikit-learn."""

import numpy as np
import pytest
import sklearn
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline

from tests.conftest import distilled


def permuted(proba):
    """Return soft labels that tell another story than y does."""
    return proba[:, [1, 2, 0]]


@pytest.fixture(params=[False, True], ids=["routing off", "routing on"])
def routing(request):
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


def requesting(clf, routing):
    if not routing:
        return clf
    clf.set_fit_request(sample_weight=True, teacher_proba=True)
    return clf.set_score_request(sample_weight=True)


# The soft labels here are meant to differ from y.
@pytest.mark.filterwarnings("ignore:SKD101")
@pytest.mark.parametrize("search", [False, True], ids=["pipeline", "search"])
def test_teacher_proba_reaches_the_student(search, routing, data, forest):
    X, y = data
    taught = permuted(forest.predict_proba(X))
    clf = requesting(distilled(alpha=1.0), routing)
    model = Pipeline([("clf", clf)])
    name = "teacher_proba" if routing else "clf__teacher_proba"
    if search:
        model = GridSearchCV(
            model, {"clf__temperature": [1.0, 2.0]}, cv=3, error_score="raise"
        )
    model.fit(X, y, **{name: taught})
    assert np.mean(model.predict(X) == taught.argmax(axis=1)) > 0.8
    if search:
        # Each fold learned from its own rows of the soft labels, not from y.
        assert (model.cv_results_["mean_test_score"] < 0.2).all()


@pytest.mark.parametrize("search", [False, True], ids=["pipeline", "search"])
def test_sample_weight_reaches_student_and_teacher(search, routing, data):
    X, y = data
    # A teacher of a new seed is fitted each time, and never remembered.
    clf = requesting(distilled(GaussianNB(), random_state=None), routing)
    scorer = get_scorer("accuracy")
    if routing:
        scorer.set_score_request(sample_weight=False)
    model = Pipeline([("clf", clf)])
    name = "sample_weight" if routing else "clf__sample_weight"
    if search:
        model = GridSearchCV(
            model,
            {"clf__temperature": [1.0, 2.0]},
            scoring=scorer,
            cv=3,
            error_score="raise",
        )
    model.fit(X, y, **{name: np.where(y == 0, 1e-6, 1.0)})
    best = model.best_estimator_ if search else model
    assert not (model.predict(X) == 0).any()
    assert best["clf"].teacher_.class_prior_[0] < 1e-5


@pytest.mark.parametrize("meta", ["bag", "vote"])
@pytest.mark.filterwarnings("ignore:SKD101")
def test_ensembles_pass_teacher_proba_on_row_by_row(meta, data, forest):
    X, y = data
    taught = permuted(forest.predict_proba(X))
    with sklearn.config_context(enable_metadata_routing=True):
        clf = distilled(alpha=1.0)
        clf.set_fit_request(teacher_proba=True, sample_weight=True)
        if meta == "bag":
            model = BaggingClassifier(clf, n_estimators=3, random_state=0)
        else:
            model = VotingClassifier([("clf", clf)])
        model.fit(X, y, teacher_proba=taught)
    assert np.mean(model.predict(X) == taught.argmax(axis=1)) > 0.8
