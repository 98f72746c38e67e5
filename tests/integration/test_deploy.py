import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from skdistill import TabularPreprocessor
from skdistill.deploy import OnnxClassifier, to_onnx
from tests.conftest import distilled, small_student


@pytest.fixture(scope="module", params=["array", "frame"])
def exported(request, data):
    """Return a fitted student, its file, and rows."""
    rows, y = data
    labels = np.array(["ant", "bee", "cow"])[y]
    if request.param != "array":
        rows = pd.DataFrame(rows.copy(), columns=["a-b", "c d", "é", "label 1"])
        labels = y == 1
        rows["job"] = np.resize(["cook", None, "clerk", "7"], len(rows))
        rows.loc[::9, "a-b"] = None
    forest = RandomForestClassifier(n_estimators=5, random_state=0)
    teacher = make_pipeline(TabularPreprocessor(), forest)
    student = distilled(teacher, small_student()).fit(rows, labels)
    return student, to_onnx(student, sample=rows), rows


def test_says_what_the_exported_student_says(exported):
    student, content, rows = exported
    onnx_student = OnnxClassifier(content)

    np.testing.assert_array_equal(onnx_student.classes_, student.classes_)
    assert onnx_student.classes_.dtype == student.classes_.dtype
    assert onnx_student.n_features_in_ == student.n_features_in_
    assert list(getattr(onnx_student, "feature_names_in_", [])) == list(
        getattr(student, "feature_names_in_", [])
    )
    np.testing.assert_allclose(
        onnx_student.predict_proba(rows), student.predict_proba(rows), atol=1e-6
    )
    np.testing.assert_array_equal(onnx_student.predict(rows), student.predict(rows))


def test_exported_student_takes_other_tables(exported):
    student, content, rows = exported
    named = isinstance(rows, pd.DataFrame)
    proba = OnnxClassifier(content).predict_proba(
        pl.from_pandas(rows) if named else rows.tolist()
    )

    np.testing.assert_allclose(proba, student.predict_proba(rows), atol=1e-6)


def test_polars_without_pandas():
    code = """
import sys
from importlib.machinery import PathFinder


class WithoutPandas:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] != "pandas":
            return PathFinder.find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutPandas
import numpy as np
import polars as pl
from skdistill import DistilledClassifier, make_student
from skdistill.deploy import OnnxClassifier, to_onnx, to_sklearn
rng = np.random.default_rng(0)
y = rng.integers(0, 2, 90)
X = pl.DataFrame({
    "a": rng.normal(size=90).astype(np.float32),
    "b": rng.choice(["u", "v"], 90).tolist(),
    "c": [f"id {i}" for i in range(90)],
})
student = make_student((8,), max_epochs=1)
clf = DistilledClassifier(student=student, random_state=0)
clf.fit(X, y, teacher_proba=np.eye(2)[y] * 0.8 + 0.1)
expected = clf.predict_proba(X)
for made in (OnnxClassifier(to_onnx(clf)), to_sklearn(clf)):
    assert np.abs(made.predict_proba(X) - expected).max() < 1e-6
"""
    subprocess.run([sys.executable, "-c", code], check=True)
