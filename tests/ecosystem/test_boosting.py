"""Teachers of other libraries, with labels and columns of strings."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal


@pytest.fixture
def named(iris):
    return iris[0], np.array(["setosa", "versicolor", "virginica"])[iris[1]]


def test_xgboost_is_fitted_to_codes_of_strings(named, small):
    xgboost = pytest.importorskip("xgboost")
    clf = small(xgboost.XGBClassifier(n_estimators=5)).fit(*named)
    assert_array_equal(clf.classes_, np.unique(named[1]))
    assert clf.score(*named) > 0.6
    assert_array_equal(clf.teacher_.predict(named[0][:1]), named[1][:1])


def test_a_fitted_xgboost_says_what_to_do_with_strings(iris, named, small):
    xgboost = pytest.importorskip("xgboost")
    teacher = xgboost.XGBClassifier(n_estimators=5).fit(*iris)
    with pytest.raises(ValueError, match="say with classes= what the teacher's"):
        small(teacher).fit(*named)
    clf = small(teacher, classes=np.unique(named[1])).fit(*named)
    assert clf.score(*named) > 0.6


@pytest.mark.parametrize("fitted", [True, False])
def test_catboost_with_a_column_of_strings(people, small, fitted):
    catboost = pytest.importorskip("catboost")
    frame = people[0].assign(job=people[0].job.astype("category"))
    teacher = catboost.CatBoostClassifier(
        iterations=20, verbose=0, cat_features=("job",), allow_writing_files=False
    )
    if fitted:
        teacher.fit(frame, people[1])
    clf = small(teacher, alpha=1.0).fit(frame, people[1])
    assert_array_equal(clf.classes_, ["no", "yes"])
    known = teacher if fitted else clf.teacher_
    difference = np.abs(clf.predict_proba(frame) - known.predict_proba(frame))
    assert difference.mean() < 0.3
    assert_allclose(clf.predict_proba(frame).sum(axis=1), 1)
