import copy
import json
import os

import numpy as np
import onnx
import pytest

from skdistill.deploy import to_onnx
from tests.conftest import tiny_net
from tests.deploy.conftest import assert_same, distilled, metadata_of, run


def test_frame_metadata(frame_file, table):
    assert {
        name: json.loads(value)
        for name, value in metadata_of(frame_file).items()
        if not name.endswith(("version", "dtype", "task"))
    } == {
        "skdistill.classes": ["no", "yes"],
        "skdistill.n_features": 6,
        "skdistill.feature_names": list(table[0].columns),
        "skdistill.kinds": ["double", "string", "double", "string", "string", "double"],
    }


def test_array_metadata(array_file):
    metadata = metadata_of(array_file)
    assert metadata.pop("skdistill.version")
    assert metadata == {
        "skdistill.task": "classification",
        "skdistill.classes": "[0, 1, 2]",
        "skdistill.classes_dtype": "<i8",
        "skdistill.n_features": "4",
    }


@pytest.mark.parametrize("file", ["frame_file", "array_file", "net_file"])
def test_file_is_of_one_format_and_keeps_to_itself(request, file):
    data = request.getfixturevalue(file)
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    assert opsets.pop("") == 21
    assert set(opsets) <= {"ai.onnx.ml"}
    assert len(opsets) == len(model.opset_import) - 1
    assert model.ir_version == 10
    assert not model.functions
    assert not any(t.external_data for t in model.graph.initializer)
    for trace in (b"stack_trace", b".py", b"torch", os.getcwd().encode()):
        assert trace not in data


def test_weights_are_most_of_the_file(array_file, array_student):
    weights = array_student.student_[-1].module_.parameters()
    assert len(array_file) < 4 * sum(w.numel() for w in weights) + 2500


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (np.array([3, 5, 200], dtype=np.uint8), [3, 5, 200]),
        (np.array([-1.0, 0.0, 2.0]), [-1, 0, 2]),
        (np.array([-(2**63), 0, 2**63 - 1]), [-(2**63), 0, 2**63 - 1]),
        (np.array(["a", "ö", "c c"]), ["a", "ö", "c c"]),
        (np.array(["a", "b", "c"], dtype=object), ["a", "b", "c"]),
        (np.array([1, 2, 3], dtype=object), [1, 2, 3]),
    ],
)
def test_labels(net_student, data, classes, labels):
    clf = copy.copy(net_student)
    clf.classes_ = classes
    made = to_onnx(clf)
    assert_same(made, clf, data[0])
    label, proba = run(made, {"X": data[0].astype(np.float32)})
    assert label.dtype == (object if isinstance(labels[0], str) else np.int64)
    assert label.tolist() == [labels[i] for i in proba.argmax(axis=1)]


@pytest.mark.usefixtures("net_by_hand")
def test_labels_that_are_booleans(data):
    clf = distilled(tiny_net(max_epochs=2), data[0], data[1] > 0)
    made = to_onnx(clf)
    assert_same(made, clf, data[0])
    label, _ = run(made, {"X": data[0].astype(np.float32)})
    assert label.dtype == np.int64
    np.testing.assert_array_equal(label, clf.predict(data[0]))


@pytest.mark.parametrize(
    "classes",
    [
        np.array([0.5, 1.0, 2.0]),
        np.array([0.0, 1.0, np.inf]),
        np.array([1, "a", "b"], dtype=object),
        np.array([b"a", b"b", b"c"]),
        np.array([0, 1, 2**63], dtype=np.uint64),
        np.array(["2020", "2021", "2022"], dtype="datetime64[Y]"),
    ],
)
def test_refuses_labels_of_other_kinds(net_student, classes):
    clf = copy.copy(net_student)
    clf.classes_ = classes
    with pytest.raises(ValueError, match="integers or strings"):
        to_onnx(clf)
