import numpy as np
import onnxruntime
import pandas as pd
import pytest
import skl2onnx
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skdistill.deploy import register_converter
from tests.conftest import TinyModule, tiny_net
from tests.deploy.conftest import distilled, in_pipeline, quick_student, regressed, run


@pytest.fixture(autouse=True)
def registered(request):
    """Register the converter, and save the second that torch takes for a net."""
    request.getfixturevalue("net_by_hand")
    register_converter()
    register_converter()


def convert(estimator, X, **options):
    options = {"options": {"zipmap": False}} | options
    return skl2onnx.to_onnx(estimator, X[:1], **options).SerializeToString()


def assert_says(model, feed, clf, X):
    label, proba = run(model, feed)
    np.testing.assert_array_equal(label, clf.predict(X))
    np.testing.assert_allclose(proba, clf.predict_proba(X), atol=1e-6)


@pytest.fixture(scope="module")
def scaled_student(data):
    X, y = data
    names = np.array(["a", "b", "c"])[y]
    return in_pipeline([StandardScaler()], tiny_net(max_epochs=2), X, names)


@pytest.mark.parametrize("opset", [None, 22])
def test_converter_in_a_pipeline(scaled_student, data, opset):
    X = data[0].astype(np.float32)
    model = convert(scaled_student, X, target_opset=opset)
    assert_says(model, {"X": X}, scaled_student, X)


def test_converter_with_zipmap(scaled_student, data):
    X = data[0].astype(np.float32)
    model = convert(scaled_student, X, options=None)
    label, rows = onnxruntime.InferenceSession(model).run(None, {"X": X[:2]})
    assert label.tolist() == scaled_student.predict(X[:2]).tolist()
    proba = [[row[name] for name in "abc"] for row in rows]
    np.testing.assert_allclose(
        proba, scaled_student.predict_proba(X[:2]), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(
    ("numeric", "dtype"), [("standard", np.float64), ("piecewise", np.float32)]
)
def test_converter_of_the_default_student(numeric, dtype, data):
    X = data[0].astype(dtype)
    clf = distilled(quick_student(numeric=numeric), *data)
    assert_says(convert(clf, X), {"X": X}, clf, X)


def test_converter_of_columns(frame_student, table):
    X = table[0].drop(columns="flag").assign(flag=table[0]["flag"].astype(np.int64))
    X["empty"] = "nothing"
    text = ["home town", "variable"]
    X[text] = X[text].astype(object)  # pandas' own strings are unknown to skl2onnx
    model = convert(frame_student, X)
    nodes = onnxruntime.InferenceSession(model).get_inputs()
    feed = {}
    for node, name in zip(nodes, X, strict=True):
        column = X[[name]]
        if column.dtypes.iloc[0].kind not in "fi":
            column = column.astype(object).where(column.notna(), "nan")
        feed[node.name] = column.to_numpy()
    assert_says(model, feed, frame_student, X)


def test_converter_puts_columns_side_by_side(net_student, data):
    X = data[0].astype(np.float32)
    frame = pd.DataFrame(X, columns=list("abcd"))
    feed = {name: frame[[name]].to_numpy() for name in frame}
    assert_says(convert(net_student, frame), feed, net_student, X)


def test_converter_of_images(image_student):
    clf, images = image_student
    assert_says(convert(clf, images), {"X": images}, clf, images)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_converter_of_regressors(data, n_targets):
    X = data[0].astype(np.float32)
    y = X[:, :n_targets].squeeze() + 1e6
    scaler = StandardScaler().fit(X)
    reg = make_pipeline(scaler, regressed(scaler.transform(X), y))
    model = skl2onnx.to_onnx(reg, X[:1])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {"X": X})
    expected = reg.predict(X).reshape(90, n_targets)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


class Lookup(TinyModule):
    """Takes no rows but those of small whole numbers."""

    def forward(self, X):
        return super().forward(nn.functional.one_hot(X[:, 0].long(), 4)[:, :4].float())


def test_converter_names_the_way_out_for_rows_that_cannot_be_made_up(data):
    X = np.abs(data[0]).round().clip(0, 3).astype(np.float32)
    clf = distilled(tiny_net(module=Lookup, max_epochs=1), X, data[1])
    with pytest.raises(ValueError, match=r"pass sample= to skdistill\.deploy\.to_onnx"):
        skl2onnx.to_onnx(clf, X[:1])


def test_converter_needs_a_recent_opset(net_student, data):
    with pytest.raises(ValueError, match="pass target_opset=21"):
        skl2onnx.to_onnx(net_student, data[0][:1].astype(np.float32), target_opset=20)


def test_converter_needs_an_input_for_each_column(frame_student):
    X = np.zeros((1, 6), np.float32)
    with pytest.raises(ValueError, match="one per column"):
        skl2onnx.to_onnx(frame_student, X)
