import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

shap = pytest.importorskip("shap")


def test_explanations_add_up_to_the_probabilities(iris, iris_forest, small):
    X = iris[0]
    clf = small(iris_forest).fit(*iris)
    explained = shap.Explainer(clf.predict_proba, X[::10])(X[:3])
    assert explained.values.shape == (3, 4, 3)
    total = explained.values.sum(axis=1) + explained.base_values
    assert_allclose(total, clf.predict_proba(X[:3]), atol=1e-6)


def test_columns_of_strings_are_explained_as_codes(people, small):
    # The maskers of shap subtract values: strings go through codes and back.
    frame, labels = people
    encode = make_column_transformer(
        (OneHotEncoder(), ["job"]), remainder="passthrough"
    )
    teacher = make_pipeline(encode, RandomForestClassifier(20, random_state=0))
    clf = small(teacher).fit(frame, labels)
    jobs = frame.job.astype("category").cat
    coded = frame.assign(job=jobs.codes.astype(float))

    def predict_proba(rows):
        rows = pd.DataFrame(rows, columns=coded.columns)
        names = jobs.categories.to_numpy()[rows.job.astype(int)]
        return clf.predict_proba(rows.assign(job=names).astype(frame.dtypes))

    explained = shap.Explainer(predict_proba, coded[::10])(coded[:3])
    assert explained.values.shape == (3, 3, 2)
    total = explained.values.sum(axis=1) + explained.base_values
    assert_allclose(total, clf.predict_proba(frame[:3]), atol=1e-6)
