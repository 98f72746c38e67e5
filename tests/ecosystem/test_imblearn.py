import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skdistill.deploy import to_sklearn

imblearn = pytest.importorskip("imblearn")


@pytest.fixture
def imbalanced(iris):
    rows = np.r_[:50, 50:70]
    return iris[0][rows], iris[1][rows]


def test_a_sampler_before_the_student_in_a_search(imbalanced, iris_forest, small):
    pipeline = imblearn.pipeline.make_pipeline(
        imblearn.over_sampling.RandomOverSampler(random_state=0), small(iris_forest)
    )
    grid = {"distilledclassifier__alpha": [0.5, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(*imbalanced)
    assert search.score(*imbalanced) > 0.9
    assert to_sklearn(search).score(*imbalanced) == search.score(*imbalanced)


def test_a_balanced_forest_teaches(imbalanced, small):
    forest = imblearn.ensemble.BalancedRandomForestClassifier(20, random_state=0)
    clf = small(forest).fit(*imbalanced)
    assert clf.score(*imbalanced) > 0.9
