import numpy as np
import onnxruntime
import pandas as pd
import pytest
import skl2onnx
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skdistill import DistilledClassifier, DistilledRegressor, make_student
from skdistill.deploy import register_converter
from tests.conftest import TinyModule, tiny_net
from tests.deploy.conftest import distilled, proba_for, quick_student, run


@pytest.fixture
def registered():
    register_converter()
    register_converter()


@pytest.fixture(scope="module")
def scaled_student(data):
    X, y = data
    names = np.array(["a", "b", "c"])[y]
    last = DistilledClassifier(student=tiny_net(max_epochs=2), random_state=0)
    pipeline = Pipeline([("scale", StandardScaler()), ("clf", last)])
    return pipeline.fit(X, names, clf__teacher_proba=proba_for(y))


@pytest.mark.usefixtures("registered", "net_by_hand")
@pytest.mark.parametrize("opset", [None, 22])
def test_converter_in_a_pipeline(scaled_student, data, opset):
    X = data[0].astype(np.float32)
    model = skl2onnx.to_onnx(
        scaled_student, X[:1], options={"zipmap": False}, target_opset=opset
    )
    label, proba = run(model.SerializeToString(), {"X": X})
    assert label.tolist() == scaled_student.predict(X).tolist()
    np.testing.assert_allclose(proba, scaled_student.predict_proba(X), atol=1e-5)


@pytest.mark.usefixtures("registered", "net_by_hand")
def test_converter_with_zipmap(scaled_student, data):
    X = data[0].astype(np.float32)
    model = skl2onnx.to_onnx(scaled_student, X[:1])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    label, rows = session.run(None, {"X": X[:2]})
    assert label.tolist() == scaled_student.predict(X[:2]).tolist()
    proba = [[row[name] for name in "abc"] for row in rows]
    np.testing.assert_allclose(
        proba, scaled_student.predict_proba(X[:2]), rtol=0, atol=1e-5
    )


@pytest.mark.usefixtures("registered", "net_by_hand")
@pytest.mark.parametrize(
    ("numeric", "dtype"), [("standard", np.float64), ("piecewise", np.float32)]
)
def test_converter_of_the_default_student(numeric, dtype, data):
    X = data[0].astype(dtype)
    clf = distilled(quick_student(numeric=numeric), *data)
    model = skl2onnx.to_onnx(clf, X[:1], options={"zipmap": False})
    label, proba = run(model.SerializeToString(), {"X": X})
    np.testing.assert_array_equal(label, clf.predict(X))
    np.testing.assert_allclose(proba, clf.predict_proba(X), atol=1e-6)


@pytest.mark.usefixtures("registered", "net_by_hand")
def test_converter_of_columns(frame_student, table):
    X = table[0].drop(columns="flag").assign(flag=table[0]["flag"].astype(np.int64))
    X["empty"] = "nothing"
    text = ["home town", "variable"]
    X[text] = X[text].astype(object)  # pandas' own strings are unknown to skl2onnx
    types = {"f": "float", "i": "int64"}
    model = skl2onnx.to_onnx(frame_student, X[:1], options={"zipmap": False})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    feed = {}
    for node, name in zip(session.get_inputs(), X, strict=True):
        strings = types.get(X[name].dtype.kind) is None
        column = (
            X[name].astype(object).where(X[name].notna(), "nan") if strings else X[name]
        )
        feed[node.name] = column.to_numpy(object if strings else None)[:, np.newaxis]
    _, proba = session.run(None, feed)
    np.testing.assert_allclose(proba, frame_student.predict_proba(X), atol=1e-6)


@pytest.mark.usefixtures("registered", "net_by_hand")
def test_converter_puts_columns_side_by_side(net_student, data):
    X = data[0].astype(np.float32)
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = skl2onnx.to_onnx(net_student, frame[:1], options={"zipmap": False})
    feed = {name: frame[[name]].to_numpy() for name in frame}
    _, proba = run(model.SerializeToString(), feed)
    np.testing.assert_allclose(proba, net_student.predict_proba(X), atol=1e-6)


@pytest.mark.usefixtures("registered")
def test_converter_of_images(image_student):
    clf, images = image_student
    model = skl2onnx.to_onnx(clf, images[:1], options={"zipmap": False})
    _, proba = run(model.SerializeToString(), {"X": images})
    np.testing.assert_allclose(proba, clf.predict_proba(images), atol=1e-6)


@pytest.mark.usefixtures("registered", "net_by_hand")
@pytest.mark.parametrize("n_targets", [1, 2])
def test_converter_of_regressors(data, n_targets):
    X = data[0].astype(np.float32)
    y = X[:, :n_targets].squeeze() + 1e6
    student = make_student((8,), task="regression", numeric="standard", max_epochs=2)
    last = DistilledRegressor(student=student, alpha=0.5, random_state=0)
    reg = Pipeline([("scale", StandardScaler()), ("reg", last)])
    reg.fit(X, y, reg__teacher_pred=y)
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


def test_converter_names_the_way_out_for_rows_that_cannot_be_made_up(data, registered):
    X = np.abs(data[0]).round().clip(0, 3).astype(np.float32)
    clf = distilled(tiny_net(module=Lookup, max_epochs=1), X, data[1])
    with pytest.raises(ValueError, match=r"pass sample= to skdistill\.deploy\.to_onnx"):
        skl2onnx.to_onnx(clf, X[:1])


def test_converter_needs_a_recent_opset(net_student, data):
    with pytest.raises(ValueError, match="pass target_opset=21"):
        skl2onnx.to_onnx(net_student, data[0][:1].astype(np.float32), target_opset=20)


@pytest.mark.usefixtures("registered")
def test_converter_needs_an_input_for_each_column(frame_student):
    X = np.zeros((1, 6), np.float32)
    with pytest.raises(ValueError, match="one per column"):
        skl2onnx.to_onnx(frame_student, X)
