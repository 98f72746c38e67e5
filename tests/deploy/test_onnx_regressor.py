import copy
import pickle
import subprocess
import sys

import numpy as np
import onnx
import pytest
from sklearn.base import clone, is_regressor

from skdistill.deploy import OnnxClassifier, OnnxRegressor, to_onnx
from tests.deploy.conftest import changed, regressed
from tests.deploy.models import array_file


@pytest.fixture(scope="module")
def made(data):
    """Return rows, a regressor of two targets that refuses NaN, and its file."""
    X = data[0]
    reg = regressed(X, X[:, :2] + [5, -5])
    return X, reg, to_onnx(reg)


def test_attributes(made):
    file = OnnxRegressor(content := made[2])
    assert is_regressor(file)
    assert file.n_features_in_ == 4
    assert file.n_outputs_ == 2
    assert not hasattr(file, "feature_names_in_")
    assert not hasattr(file, "classes_")
    assert file.metadata_["skdistill.task"] == "regression"
    assert repr(file) == f"OnnxRegressor(model=<{len(content)} bytes>)"


@pytest.mark.parametrize(
    "through", [clone, copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))]
)
def test_copies_predict_the_same(made, through):
    X, reg, content = made
    file = through(OnnxRegressor(content).fit())
    np.testing.assert_allclose(file.predict(X), reg.predict(X), rtol=0, atol=1e-5)
    assert file.score(X, reg.predict(X)) > 0.999


def test_file_of_the_other_kind_names_its_class(made, tmp_path):
    _, _, content = made
    path = tmp_path / "numbers.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"numbers\.onnx'.*\.OnnxRegressor, not O"):
        OnnxClassifier(path).predict(made[0])
    with pytest.raises(ValueError, match=r"for .*\.OnnxClassifier, not OnnxRegressor"):
        OnnxRegressor(array_file()).fit()


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"task": "clustering"}, "metadata are damaged.*unknown task 'clustering'"),
        ({"n_outputs": None}, "metadata are damaged.*n_outputs"),
        ({"n_outputs": "0"}, "metadata are damaged.*0 targets"),
        ({"n_outputs": "9" * 9}, "metadata are damaged.*targets"),
        ({"n_outputs": "3"}, "metadata do not fit"),
        ({"n_outputs": "1"}, "metadata do not fit"),
        ({"version": None}, "not written by skdistill"),
    ],
)
def test_damaged_metadata(made, metadata, message):
    X, _, content = made
    with pytest.raises(ValueError, match=message):
        OnnxRegressor(changed(content, **metadata)).predict(X)


def test_rows_without_a_prediction_are_refused(made):
    X, _, content = made
    model = onnx.load_from_string(content)
    node = [node for node in model.graph.node if node.op_type == "Add"][-1]
    node.op_type = "Pow"  # of negative numbers NaN
    with pytest.raises(ValueError, match=r"no prediction for row \d+: .* NaN"):
        OnnxRegressor(model.SerializeToString()).predict(X)


def test_needs_neither_torch_nor_skorch(made, tmp_path):
    X, reg, content = made
    tmp_path.joinpath("numbers.onnx").write_bytes(content)
    np.save(tmp_path / "rows.npy", X[:3])
    program = (
        "import sys, numpy\n"
        "from skdistill.deploy import OnnxRegressor\n"
        "file = OnnxRegressor('numbers.onnx')\n"
        "print(file.predict(numpy.load('rows.npy')).tolist())\n"
        "assert not {'torch', 'skorch', 'onnx'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert not done.stderr
    np.testing.assert_allclose(eval(done.stdout), reg.predict(X[:3]), atol=1e-5)
