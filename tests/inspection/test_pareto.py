from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from skdistill import DistilledClassifier, DistilledRegressor, make_student
from skdistill.deploy import OnnxClassifier, to_onnx
from skdistill.inspection import ParetoDisplay
from skdistill.metrics import size_scorer
from skdistill.utils import _costs
from tests.conftest import distilled


@pytest.fixture(scope="module")
def models(forest, data):
    net = make_student((4,), numeric="standard", max_epochs=1)
    clf = distilled(forest, net).fit(*data)
    return {"forest": forest, "bayes": GaussianNB().fit(*data), "net": clf}


@pytest.mark.parametrize(
    ("costs", "scores", "on_front"),
    [
        ([1, 2, 3], [0.1, 0.2, 0.3], [True, True, True]),
        ([1, 2, 3], [0.3, 0.2, 0.3], [True, False, False]),
        ([1, 1, 2], [0.2, 0.3, 0.3], [False, True, False]),
        ([1, 1], [0.2, 0.2], [True, True]),
    ],
)
def test_the_front_is_what_no_model_beats(costs, scores, on_front):
    display = ParetoDisplay(scores=np.array(scores), costs=np.array(costs))
    assert_array_equal(display.on_front, on_front)


def test_the_line_goes_through_the_front_from_cheap_to_dear():
    display = ParetoDisplay(
        scores=np.array([0.9, 0.5, 0.6]), costs=np.array([30.0, 10.0, 40.0])
    ).plot()
    [line] = display.ax_.lines
    assert_array_equal(line.get_xydata(), [[10, 0.5], [30, 0.9]])
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_legend() is None
    assert display.alt_text.endswith("No other model beats: number 0, number 1.")


@pytest.mark.parametrize("costs", [[27e3, 42e4], [3e4, 29e4], [1e2, 1e8], [25e3, 29e3]])
def test_labels_of_costs_do_not_overlap(costs):
    display = ParetoDisplay(scores=np.array([0.5, 0.9]), costs=np.array(costs)).plot()
    display.figure_.canvas.draw()
    axis, (left, right) = display.ax_.xaxis, display.ax_.get_xlim()
    shown = [
        tick.label1.get_window_extent()
        for tick in axis.get_major_ticks() + axis.get_minor_ticks()
        if tick.label1.get_text() and left <= tick.get_loc() <= right
    ]
    shown.sort(key=lambda box: box.x0)
    assert len(shown) > 1
    assert all(one.x1 < other.x0 for one, other in pairwise(shown))


def test_estimators(models, data):
    display = ParetoDisplay.from_estimators(models, *data)
    names = list(models)
    assert [text.get_text() for text in display.ax_.texts] == names
    for text, model in zip(display.ax_.texts, models.values(), strict=True):
        x, y = text.xy
        assert x == -size_scorer(model, data[0])
        assert y == model.score(*data)
    assert display.groups == ["teacher", "model", "student"]
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == display.groups
    offsets = [points.get_offsets()[0] for points in display.ax_.collections]
    assert_allclose(offsets, np.column_stack([display.costs, display.scores]))
    assert display.ax_.get_ylabel() == "accuracy"
    assert display.ax_.get_xlabel() == "bytes of the file"


def test_a_student_at_the_end_of_a_pipeline_is_a_student(models, data):
    within = {**models, "net": make_pipeline(models["net"])}
    groups = ParetoDisplay.from_estimators(within, *data).groups
    assert groups == ["teacher", "model", "student"]


def test_a_teacher_that_was_fitted_inside_is_a_teacher(data):
    net = make_student((4,), max_epochs=1)
    clf = DistilledClassifier([GaussianNB(), GaussianNB()], net, alpha=0.5).fit(*data)
    models = {"net": clf, "one": clf.teacher_[0], "other": GaussianNB().fit(*data)}
    display = ParetoDisplay.from_estimators(models, *data)
    assert display.groups == ["student", "teacher", "model"]


def test_a_student_in_a_file_is_a_student(models, data):
    pytest.importorskip("onnxruntime")
    exported = OnnxClassifier(to_onnx(models["net"]))
    assert ParetoDisplay.from_estimators({"onnx": exported}, *data).groups == [
        "student"
    ]


def test_other_scores_costs_and_groups(models, data, monkeypatch):
    monkeypatch.setattr(_costs, "_MEDIAN_SECONDS", 0)
    scorer = make_scorer(recall_score, average="macro")
    display = ParetoDisplay.from_estimators(
        models, *data, scoring=scorer, cost="row_us", groups=["a", "b", "b"]
    )
    assert_allclose(display.scores, [scorer(m, *data) for m in models.values()])
    assert display.ax_.get_xlabel() == "microseconds for one row"
    assert len(display.ax_.collections) == 2
    named = ParetoDisplay.from_estimators(models, *data, scoring="neg_log_loss")
    assert named.ax_.get_ylabel() == "neg_log_loss"


def test_candidates_of_a_search(data):
    search = GridSearchCV(
        GaussianNB(),
        {"var_smoothing": [1e-9, 1.0]},
        scoring={"accuracy": "accuracy", "size": size_scorer},
        refit=False,
        cv=2,
    ).fit(*data)
    display = ParetoDisplay.from_cv_results(search.cv_results_)
    [points] = display.ax_.collections
    results = search.cv_results_
    expected = -results["mean_test_size"], results["mean_test_accuracy"]
    assert_array_equal(points.get_offsets(), np.column_stack(expected))
    assert not display.ax_.texts


def test_unknown_cost(models, data):
    with pytest.raises(ValueError, match="one of bytes, row_us, got 'watts'"):
        ParetoDisplay.from_estimators(models, *data, cost="watts")


def test_each_model_needs_a_group(models, data):
    with pytest.raises(ValueError, match="2 groups for 3 models"):
        ParetoDisplay.from_estimators(models, *data, groups=["a", "b"])


def test_regressors_are_scored_by_r2(data):
    X, y = data[0], data[0][:, 0]
    ridge = Ridge(100.0).fit(X, y)
    net = make_student((4,), task="regression", max_epochs=1)
    reg = DistilledRegressor(ridge, net, augmenter=None).fit(X, y)
    display = ParetoDisplay.from_estimators({"ridge": ridge, "net": reg}, X, y)
    assert_allclose(display.scores, [ridge.score(X, y), reg.score(X, y)])
    assert display.groups == ["teacher", "student"]
    assert display.score_name == "r2"
