import importlib
import io
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from torch import nn

from skdistill import (
    DistilledClassifier,
    TorchTeacher,
    make_student,
)
from skdistill.deploy import _footprint, to_onnx, to_sklearn
from skdistill.deploy._footprint import footprint
from skdistill.metrics import latency_scorer, size_scorer
from skdistill.utils import _costs
from tests.conftest import distilled, tiny_net
from tests.deploy.conftest import regressed
from tests.deploy.models import array_file

KEYS = [
    "bytes",
    "table_bytes",
    "parameters",
    "multiply_adds",
    "load_ms",
    "start_s",
    "peak_mb",
    "row_us",
    "row_p99_us",
    "rows_per_s",
]

# A net of 4-8-3: 4 * 8 + 8 * 3 weights, and 8 + 3 biases.
TINY = (67, 56)


class Recorder:
    """Counts as fitted, and writes down what it is asked."""

    def __init__(self):
        self.asked = set()

    def predict_proba(self, X):
        self.asked.add((type(X), np.shape(X) if isinstance(X, list) else X.shape))
        return np.ones((3, 1))


@pytest.fixture(autouse=True)
def few_calls(monkeypatch):
    """Time three calls of each kind: what the times are does not matter here."""
    monkeypatch.setattr(_footprint, "_ROW_SECONDS", 0)
    monkeypatch.setattr(_costs, "_MEDIAN_SECONDS", 0)


@pytest.fixture
def no_process(monkeypatch):
    """Leave out the new process, which takes seconds."""
    nothing = {"start_s": None, "peak_mb": None}
    monkeypatch.setattr(_footprint, "_in_new_process", lambda *a: (nothing, None))


@pytest.fixture(scope="module")
def student(data, forest):
    net = make_student(8, numeric="standard", max_epochs=2)
    return distilled(forest, net).fit(*data)


def dump_of(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    return file.getvalue()


def weights_of(model, X):
    costs = footprint(model, X)
    return costs["parameters"], costs["multiply_adds"]


def test_all_of_a_student_is_measured(student, data):
    costs = footprint(student, data[0])
    assert list(costs) == KEYS
    assert costs["bytes"] == len(dump_of(student))
    assert (costs["parameters"], costs["multiply_adds"]) == TINY
    assert all(costs[key] > 0 for key in KEYS if key != "peak_mb")
    assert costs["peak_mb"] is None or costs["peak_mb"] > 10
    assert costs["row_p99_us"] >= costs["row_us"]


def test_the_new_process_finds_what_this_one_finds_and_nothing_that_it_holds(
    tmp_path, monkeypatch, data
):
    source = "from sklearn.naive_bayes import GaussianNB\nclass Mine(GaussianNB): pass"
    Path(tmp_path, "a_module_of_mine.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    mine = importlib.import_module("a_module_of_mine").Mine().fit(*data)
    held = np.ones(500_000_000, np.uint8)
    costs = footprint(mine, data[0])
    assert costs["start_s"] > 0
    assert costs["peak_mb"] is None or costs["peak_mb"] < held.nbytes / 1e6


def test_what_a_new_process_cannot_load_is_told(monkeypatch, data):
    class Mine(GaussianNB):
        pass

    monkeypatch.setattr("__main__.Mine", Mine, raising=False)
    Mine.__module__, Mine.__qualname__ = "__main__", "Mine"
    mine = Mine().fit(*data)
    with pytest.warns(UserWarning, match="cannot load this Mine, .*'Mine'") as caught:
        costs = footprint(mine, data[0])
    assert caught[0].filename == __file__
    assert costs["start_s"] is None
    assert costs["peak_mb"] is None
    assert costs["load_ms"] > 0


@pytest.mark.usefixtures("no_process", "net_by_hand")
@pytest.mark.parametrize(("task", "n_outputs"), [("regression", 1), ("multilabel", 3)])
def test_students_of_other_targets(data, tmp_path, task, n_outputs):
    X = data[0]
    net = make_student((8,), task=task, numeric="standard", max_epochs=2)
    if task == "regression":
        model = regressed(X, X[:, 0], net)
    else:
        y = (X[:, :3] > X[:, :3].mean(axis=0)).astype(int)
        model = DistilledClassifier(student=net, alpha=0.5, random_state=0)
        model.fit(X, y, teacher_proba=(y + 0.5) / 2)
    path = tmp_path / "student.onnx"
    to_onnx(model, path)
    costs = footprint({"student": model, "plain": to_sklearn(model), "file": path}, X)
    for name in ("student", "plain"):
        assert costs[name]["parameters"] == 5 * 8 + 9 * n_outputs
        assert costs[name]["multiply_adds"] == 4 * 8 + 8 * n_outputs
    assert costs["file"]["bytes"] == path.stat().st_size
    assert latency_scorer(model, X) < 0


@pytest.mark.usefixtures("no_process")
class TestWeights:
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.parametrize(
        ("model", "expected"),
        [
            (tiny_net(module__n_features=4, module__n_classes=3, max_epochs=1), TINY),
            (MLPClassifier(8, max_iter=2), TINY),
            (
                GridSearchCV(
                    make_pipeline(MLPClassifier(max_iter=2)),
                    {"mlpclassifier__hidden_layer_sizes": [8]},
                    cv=2,
                ),
                TINY,
            ),
            (LogisticRegression(max_iter=5), (15, 12)),
            (Ridge(), (5, 4)),
            (LinearSVC(), (15, 12)),
            (SGDClassifier(), (15, 12)),  # which has no predict_proba
            (RandomForestClassifier(3), (None, None)),
            (SVC(kernel="linear"), (None, None)),  # it multiplies support vectors
            (GaussianNB(), (None, None)),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_are_counted_by_hand(self, model, expected, data):
        X, y = data[0].astype(np.float32), data[1].astype(np.int64)
        assert weights_of(model.fit(X, y), X) == expected

    def test_of_a_frozen_pipeline(self, student, data):
        pipeline = make_pipeline(FunctionTransformer(), FrozenEstimator(student))
        assert weights_of(FrozenEstimator(pipeline), data[0]) == TINY

    @pytest.mark.parametrize(
        ("module", "expected"),
        [
            (nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), (21, 12)),
            (nn.Sequential(nn.Linear(4, 3, bias=False), nn.PReLU()), (13, 12)),
            (
                nn.Sequential(
                    nn.Unflatten(1, (1, 4)),
                    nn.Conv1d(1, 2, 2),
                    nn.Flatten(),
                    nn.Linear(6, 3),
                ),
                (27, None),
            ),
        ],
        ids=["norm", "activation", "convolution"],
    )
    def test_of_a_torch_teacher(self, module, expected, data):
        for weights in module.parameters():  # random ones may look like probabilities
            nn.init.constant_(weights, 2.0)
        teacher = TorchTeacher(module, classes=[0, 1, 2])
        assert weights_of(teacher, data[0]) == expected

    def test_of_an_embedding(self):
        class Lookup(nn.Module):
            def __init__(self):
                super().__init__()
                self.table, self.linear = nn.Embedding(5, 4), nn.Linear(8, 3)

            def forward(self, X):
                return self.linear(self.table(X.long()).flatten(1))

        # Local, so no file can refer to it: its parts are counted by themselves.
        teacher = TorchTeacher(Lookup(), classes=[0, 1, 2])
        assert _footprint._weights(teacher) == (20 + 24 + 3, 24)

    def test_of_a_callable_are_unknown(self):
        teacher = TorchTeacher(np.exp, classes=[0, 1])
        assert weights_of(teacher, np.zeros((3, 2))) == (None, None)


@pytest.mark.usefixtures("no_process")
class TestInput:
    @pytest.mark.parametrize(
        "X",
        [
            np.zeros((5, 4)),
            np.zeros((1, 4)),
            np.zeros((2000, 4)),
            [[0.0] * 4] * 3,
            csr_array(np.eye(4)),
            pd.DataFrame(np.zeros((5, 4)), index=list("vwxyz")),
            pl.DataFrame(np.zeros((5, 4))),
        ],
        ids=["array", "one row", "many rows", "list", "sparse", "pandas", "polars"],
    )
    def test_rows_and_batches_are_of_the_kind_of_X(self, X):
        model = Recorder()
        footprint(model, X)
        assert model.asked == {(type(X), (1, 4)), (type(X), (1000, 4))}

    def test_an_onnx_file(self, tmp_path):
        path = tmp_path / "student.ONNX"
        path.write_bytes(array_file())
        for form in (path, str(path)):
            costs = footprint(form, np.zeros((3, 2)))
            assert costs["bytes"] == path.stat().st_size
            assert costs["parameters"] is None
            assert costs["multiply_adds"] is None

    def test_a_damaged_onnx_file_is_named(self, tmp_path):
        path = tmp_path / "damaged.onnx"
        path.write_bytes(b"not onnx")
        with pytest.raises(ValueError, match=r"cannot load '.*damaged\.onnx'"):
            footprint(path, [[0.0]])

    @pytest.mark.parametrize("name", ["student.c", "student.so"])
    def test_path_of_code(self, name):
        with pytest.raises(ValueError, match=rf"footprint\(CompiledStudent\('{name}"):
            footprint(name, [[0.0]])

    @pytest.mark.parametrize("name", ["student.joblib", "student"])
    def test_other_files_are_not_opened(self, name, data, tmp_path):
        path = tmp_path / name
        path.write_bytes(b"no pickle")
        with pytest.raises(ValueError, match=f"load it first: .*'{name}'"):
            footprint(path, data[0])

    @pytest.mark.parametrize("measure", [footprint, latency_scorer])
    @pytest.mark.parametrize(
        ("model", "message"),
        [
            (KMeans(2, n_init=1), "a classifier or .* 'clusterer'"),
            (IsolationForest(n_estimators=5), "a classifier or .* 'outlier_detector'"),
            (StandardScaler(), "StandardScaler, which has no predict"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_other_estimators(self, measure, model, message, data):
        with pytest.raises(TypeError, match=message):
            measure(clone(model).fit(*data), data[0])

    @pytest.mark.parametrize("measure", [footprint, size_scorer, latency_scorer])
    @pytest.mark.parametrize(
        ("model", "error", "match"),
        [
            (GaussianNB(), NotFittedError, "this GaussianNB is not fitted"),
            (DistilledClassifier(), NotFittedError, "this DistilledClassifier"),
            (GridSearchCV(GaussianNB(), {}), NotFittedError, "this GridSearchCV"),
            (make_pipeline(GaussianNB()), NotFittedError, "this Pipeline"),
            (GaussianNB, TypeError, "the class GaussianNB"),
            (nn.Linear(4, 3), TypeError, "got Linear.*TorchTeacher"),
            (None, TypeError, "got NoneType"),
        ],
        ids=lambda value: getattr(value, "__name__", type(value).__name__),
    )
    def test_what_is_no_fitted_classifier(self, measure, model, error, match, data):
        with pytest.raises(error, match=match):
            measure(model, data[0])

    @pytest.mark.parametrize("measure", [footprint, latency_scorer])
    def test_no_rows(self, measure, forest):
        with pytest.raises(ValueError, match=r"0 sample\(s\)"):
            measure(forest, np.zeros((0, 4)))

    def test_nothing_is_changed(self, student, data):
        before = dump_of(student), data[0].copy()
        teacher, state = student.teacher, set(vars(student))
        footprint(student, data[0])
        assert dump_of(student) == before[0]
        assert_array_equal(data[0], before[1])
        assert student.teacher is teacher
        assert set(vars(student)) == state


@pytest.mark.usefixtures("no_process")
class TestPrint:
    @pytest.fixture
    def costs(self, student, forest, data):
        return footprint({"forest": forest, "student": student}, data[0])

    def test_a_row_per_model_or_a_line_per_quantity(self, costs, student):
        header, *rows = str(costs).splitlines()
        assert header.split() == KEYS
        assert [row.split()[0] for row in rows] == ["forest", "student"]
        assert rows[0].split()[2:5] == ["-", "-", "-"]
        n_bytes = f"{len(dump_of(student)):,}"
        assert rows[1].split()[1:5] == [n_bytes, "340", "67", "56"]
        assert len({len(line) for line in (header, *rows)}) == 1
        lines = [line.split() for line in str(costs["student"]).splitlines()]
        assert [name for name, _ in lines] == KEYS
        assert lines[2] == ["parameters", "67"]

    def test_a_notebook_shows_tables(self, costs):
        for shown, head in ((costs, "forest"), (costs["student"], "parameters")):
            assert f"<tr><th>{head}</th><td>" in shown._repr_html_()
        assert "<td>67</td>" in costs["student"]._repr_html_()

    @pytest.mark.parametrize(
        ("value", "cell"),
        [
            (None, "-"),
            (0, "0"),
            (12345, "12,345"),
            (0.01234, "0.0123"),
            (99.94, "99.9"),
            (12345.6, "12,346"),
        ],
    )
    def test_cells(self, value, cell):
        assert _footprint._cell(value) == cell
