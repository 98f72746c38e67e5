import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill.utils._unwrap import active, innermost, last_step, unwrapped

X, y = np.arange(12.0).reshape(6, 2) % 5, np.array([0, 1] * 3)


class Holder(BaseEstimator):
    """Holds an estimator as searches that are not scikit-learn's do."""

    def __init__(self, estimator):
        self.best_estimator_ = estimator


def search(estimator, **params):
    return GridSearchCV(estimator, {}, cv=2, **params).fit(X, y)


@pytest.mark.parametrize(
    "wrap",
    [lambda e: e, FrozenEstimator, make_pipeline, search, Holder],
    ids=["bare", "frozen", "pipeline", "search", "holder"],
)
def test_wrappers_without_steps(wrap):
    last = LogisticRegression().fit(X, y)
    for wrapped in (wrap(last), FrozenEstimator(wrap(last))):
        before, found = unwrapped(wrapped)
        assert before == []
        assert isinstance(found, LogisticRegression)
        np.testing.assert_allclose(found.coef_, last.coef_)


def test_steps_are_in_the_order_of_the_rows():
    inner = make_pipeline(PCA(1), "passthrough", LogisticRegression())
    whole = Pipeline(
        [("none", None), ("scale", StandardScaler()), ("in", search(inner))]
    )
    before, last = unwrapped(FrozenEstimator(whole.fit(X, y)))
    assert [name for name, _ in before] == ["scale", "pca"]
    rows = X
    for _, step in before:
        rows = step.transform(rows)
    np.testing.assert_array_equal(last.predict(rows), whole.predict(X))


class Sampler(BaseEstimator):
    """Changes the rows of fit alone, as those of imbalanced-learn."""

    def fit_resample(self, X, y):
        return X, y


def test_a_sampler_is_no_step_at_prediction():
    scaler, last = StandardScaler().fit(X), LogisticRegression().fit(X, y)
    steps = [("sample", Sampler()), ("scale", scaler), ("last", last)]
    assert unwrapped(Pipeline(steps)) == ([("scale", scaler)], last)


def test_search_that_was_not_refitted_is_refused():
    with pytest.raises(TypeError, match=r"this GridSearchCV .* search with refit=True"):
        unwrapped(search(LogisticRegression(), refit=False))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegressionCV(Cs=2, cv=2),
        TunedThresholdClassifierCV(LogisticRegression(), cv=2, store_cv_results=True),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_other_estimators_that_refit_are_no_searches(estimator):
    assert unwrapped(estimator.fit(X, y)) == ([], estimator)


def test_last_step_goes_by_the_prefix_of_its_parameters():
    last = LogisticRegression()
    nested = Pipeline([("pca", PCA()), ("in", Pipeline([("model", last)]))])
    assert last_step(nested) == ("in__model__", last)
    assert last_step(last) == ("", last)
    assert f"{last_step(nested)[0]}C" in nested.get_params()


def test_active_steps_do_something():
    scaler = StandardScaler()
    steps = [("a", None), ("b", scaler), ("c", "passthrough")]
    assert active(steps) == [("b", scaler)]


def test_innermost_is_what_searches_and_bags_clone():
    last = LogisticRegression()
    held = BaggingClassifier(GridSearchCV(make_pipeline(PCA(), last), {}))
    assert innermost(make_pipeline(PCA(), held)) is last
    assert innermost(last) is last
