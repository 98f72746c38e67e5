import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline

from skdistill.deploy import to_onnx, to_sklearn

mlflow = pytest.importorskip("mlflow")
onnx = pytest.importorskip("onnx")
sio = pytest.importorskip("skops.io")


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    """Record runs in a folder of the test."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(tmp_path.as_uri())
    mlflow.set_experiment("students")
    with mlflow.start_run():
        yield


@pytest.fixture
def clf(iris, iris_forest, small):
    return small(iris_forest).fit(*iris)


def test_the_default_format_needs_the_types_that_skops_lists(clf, iris):
    with pytest.raises(mlflow.exceptions.MlflowException, match="skops_trusted_types"):
        mlflow.sklearn.log_model(clf, name="student", pip_requirements=[])
    types = sio.get_untrusted_types(data=sio.dumps(clf))
    info = mlflow.sklearn.log_model(
        clf, name="student", pip_requirements=[], skops_trusted_types=types
    )
    loaded = mlflow.sklearn.load_model(info.model_uri)
    assert_array_equal(loaded.predict_proba(iris[0]), clf.predict_proba(iris[0]))


def test_cloudpickle_needs_no_list(clf, iris):
    info = mlflow.sklearn.log_model(
        clf, name="student", pip_requirements=[], serialization_format="cloudpickle"
    )
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    assert_array_equal(loaded.predict(iris[0]), clf.predict(iris[0]))


def test_the_pipeline_of_to_sklearn_needs_one_type(clf, iris):
    pipeline = to_sklearn(clf)
    info = mlflow.sklearn.log_model(
        pipeline,
        name="student",
        pip_requirements=[],
        skops_trusted_types=["numpy.dtype"],
    )
    loaded = mlflow.sklearn.load_model(info.model_uri)
    assert_array_equal(loaded.predict_proba(iris[0]), pipeline.predict_proba(iris[0]))


def test_the_onnx_file_as_a_model(clf, iris):
    model = onnx.load_from_string(to_onnx(clf))
    info = mlflow.onnx.log_model(model, name="student", pip_requirements=[])
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    outputs = loaded.predict(iris[0].astype(np.float64))
    [proba] = (value for value in outputs.values() if np.ndim(value) == 2)
    assert_allclose(proba, clf.predict_proba(iris[0]), atol=1e-6)


def test_autolog_records_a_pipeline_around_the_student(iris, iris_forest, small):
    mlflow.end_run()
    mlflow.sklearn.autolog(log_models=False)
    try:
        make_pipeline(small(iris_forest, alpha=0.25)).fit(*iris)
    finally:
        mlflow.sklearn.autolog(disable=True)
    run = mlflow.last_active_run()
    assert run.data.params["distilledclassifier__alpha"] == "0.25"
    assert "training_accuracy_score" in run.data.metrics
