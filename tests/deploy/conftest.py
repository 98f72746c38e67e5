"""Students of each kind of input, and their files."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.pipeline import Pipeline
from torch import nn

from skdistill import DistilledClassifier, DistilledRegressor, make_student
from skdistill._students._net import MLP
from skdistill.deploy import CompiledStudent, OnnxClassifier, _to_onnx, to_onnx
from skdistill.deploy._converting import IR_VERSION, OPSET
from tests.conftest import tiny_net


def dates(n_rows=120):
    """Return dates with and without a zone, many of them before 1970, and labels."""
    rng = np.random.default_rng(0)
    seconds = rng.integers(-4_000_000_000, 3_000_000_000, n_rows).astype("M8[s]")
    X = pd.DataFrame({"when": seconds, "there": pd.DatetimeIndex(seconds, tz="UTC")})
    X["there"] = X["there"].dt.tz_convert("Asia/Tokyo")
    X.loc[::10, "when"] = pd.NaT
    X["size"] = rng.normal(size=n_rows)
    late = X["there"].dt.hour + 5 * X["size"] > 12
    return X, np.where(late, "late", "early")


def moments():
    """Return seconds since 1970 over centuries, and the parts of their dates."""
    days = np.arange(np.datetime64("1580-01-01"), np.datetime64("2420-01-01"), 3)
    more = ["-0044-03-15", "0000-02-29", "0001-01-01", "9999-12-31", "150000-06-07"]
    days = np.concatenate([days, np.array(more, "M8[D]")])
    times = days.astype("M8[s]") + np.arange(len(days)) * 7919 % 86400
    years, months = days.astype("M8[Y]"), days.astype("M8[M]")
    seconds = times.astype(int) + 0.25
    parts = [
        years.astype(int) + 1970,
        (months - years).astype(int) + 1,
        (days.astype(int) + 3) % 7,
        (times - days).astype(int) // 3600,
        seconds,
    ]
    return seconds, np.transpose(parts)


def proba_for(y):
    """Return soft labels that say what y says."""
    proba = np.where(np.unique(y) == np.asarray(y)[:, None], 0.8, 0.1)
    return proba / proba.sum(axis=1, keepdims=True)


def distilled(student, X, y):
    """Return a DistilledClassifier that needs no teacher."""
    clf = DistilledClassifier(student=student, random_state=0, alpha=0.5)
    return clf.fit(X, y, teacher_proba=proba_for(y))


def quick_student(**params):
    return make_student((16,), max_epochs=2, **{"numeric": "standard"} | params)


def in_pipeline(steps, student, X, y):
    """Return a fitted pipeline of steps and a classifier that needs no teacher."""
    last = DistilledClassifier(student=student, random_state=0)
    steps = [(f"step_{i}", step) for i, step in enumerate(steps)]
    return Pipeline([*steps, ("clf", last)]).fit(X, y, clf__teacher_proba=proba_for(y))


def regressed(X, y, student=None, **params):
    """Return a DistilledRegressor that needs no teacher."""
    net = student or make_student(
        (8,), task="regression", numeric="standard", max_epochs=2
    )
    reg = DistilledRegressor(None, net, alpha=0.5, random_state=0, **params)
    return reg.fit(X, y, teacher_pred=y)


def assert_same(made, clf, X):
    """Assert that an export says what was fitted, and how closely."""
    atol = 1e-5 if isinstance(made, Path) else 1e-6
    if isinstance(made, bytes):
        made = OnnxClassifier(made)
    elif isinstance(made, Path):
        made = CompiledStudent(made)
    expected = clf.predict_proba(X)
    assert len(X) < 9 or np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(made.predict_proba(X), expected, rtol=0, atol=atol)
    said = made.predict(X)
    np.testing.assert_array_equal(said, clf.predict(X))
    np.testing.assert_array_equal(made.classes_, clf.classes_)
    if hasattr(clf, "n_features_in_"):  # not if the first step is "passthrough"
        assert made.n_features_in_ == clf.n_features_in_
    assert said.dtype == made.classes_.dtype


def run(data, feed):
    session = onnxruntime.InferenceSession(data)
    return session.run(["label", "probabilities"], feed)


def metadata_of(data):
    props = onnx.load_from_string(data).metadata_props
    return {prop.key: prop.value for prop in props}


def changed(content, **metadata):
    """Return a file with other metadata; None removes an entry."""
    model = onnx.load_from_string(content)
    new = {f"skdistill.{name}": value for name, value in metadata.items()}
    new = metadata_of(content) | new
    del model.metadata_props[:]
    helper.set_model_props(model, {k: v for k, v in new.items() if v is not None})
    return model.SerializeToString()


_NODES = {nn.Linear: "Gemm", nn.ReLU: "Relu", nn.Tanh: "Tanh"}


@pytest.fixture
def net_by_hand(monkeypatch):
    """Save the second that torch takes, where the net is not what is tested.

    It is a stack of layers, with a softmax or sigmoids at the end.
    """
    honest = _to_onnx.convert_net

    def export(net, rows, output):
        leaves = [part for part in net.module_.modules() if not part._modules]
        is_stack = type(net.module_).forward in (nn.Sequential.forward, MLP.forward)
        if not is_stack or not {type(leaf) for leaf in leaves} <= _NODES.keys():
            return honest(net, rows, output)
        nodes, tensors, given = [], [], ["X"]
        for i, leaf in enumerate(leaves):
            for name, weights in leaf.named_parameters():
                given.append(f"{name}_{i}")
                array = weights.detach().numpy()
                tensors.append(numpy_helper.from_array(array, given[-1]))
            options = {"transB": 1} if len(given) > 1 else {}
            kind = _NODES[type(leaf)]
            nodes.append(helper.make_node(kind, given, [f"layer_{i}"], **options))
            given = [f"layer_{i}"]
        ends = {"classification": "Softmax", "multilabel": "Sigmoid"}
        end = ends.get(output.task, "Identity")
        nodes.append(helper.make_node(end, given, [output.of_net]))
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
            for name, width in (
                ("X", rows.shape[1]),
                (output.of_net, output.n_outputs),
            )
        ]
        graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], tensors)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)

    monkeypatch.setattr(_to_onnx, "convert_net", export)


@pytest.fixture(scope="session")
def table():
    """Return mixed columns under names that skl2onnx would change, and labels."""
    rng = np.random.default_rng(0)
    n = 120
    X = pd.DataFrame(
        {
            "capital-gain": np.where(rng.random(n) < 0.1, np.nan, rng.normal(50, 9, n)),
            "home town": rng.choice(["ä b", "it's", "c"], n),
            "1": rng.integers(0, 9, n),
            "variable": rng.choice(np.array(["u", "v", None], dtype=object), n),
            "empty": np.full(n, None, dtype=object),
            "flag": rng.random(n) < 0.5,
        }
    )
    return X, np.where(X["1"] > 4, "yes", "no")


@pytest.fixture(scope="session")
def frame_student(table):
    return distilled(quick_student(), *table)


@pytest.fixture(scope="session")
def frame_file(frame_student):
    return to_onnx(frame_student)


@pytest.fixture(scope="session")
def array_student(data):
    return distilled(quick_student(), *data)


@pytest.fixture(scope="session")
def array_file(array_student):
    return to_onnx(array_student)


@pytest.fixture(scope="session")
def net_student(data):
    """Return a bare net, which is exported soonest."""
    return distilled(tiny_net(max_epochs=2), *data)


@pytest.fixture(scope="session")
def net_file(net_student):
    return to_onnx(net_student)


class Images(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 32, 3),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 3),
        )


@pytest.fixture(scope="session")
def image_student(data):
    images = np.random.default_rng(0).normal(size=(90, 1, 8, 8)).astype(np.float32)
    return distilled(tiny_net(module=Images, max_epochs=1), images, data[1]), images


@pytest.fixture(scope="session")
def wide_student(data):
    student = make_student((96, 96), numeric="standard", max_epochs=5)
    return distilled(student, *data)
