import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

from skdistill import make_student
from skdistill.inspection import TrainingDisplay
from tests.conftest import distilled


@pytest.fixture(scope="module")
def clf(forest, data):
    net = make_student((4,), early_stopping=True, max_epochs=3)
    return distilled(forest, net, relation_loss="rkd").fit(*data)


def test_a_line_for_each_part_of_the_loss(clf):
    display = TrainingDisplay.from_estimator(clf)
    parts = ["loss", "loss_soft", "loss_hard", "loss_relation"]
    assert list(display.lines_) == [
        f"{rows}_{part}" for rows in ("train", "valid") for part in parts
    ]
    for name, line in display.lines_.items():
        assert_array_equal(line.get_ydata(), clf.history_[:, name])
        assert_array_equal(line.get_xdata(), [1, 2, 3])
        assert line.get_linestyle() == ("--" if name.startswith("valid") else "-")
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    labels = ["weighted sum", "soft labels", "labels", "relations"]
    assert legend == [*labels, "on rows held out"]


def test_agreement(clf):
    display = TrainingDisplay.from_estimator(clf, kind="agreement")
    assert list(display.lines_) == ["train_agreement", "valid_agreement"]
    assert display.ax_.get_yscale() == "linear"
    assert display.ax_.get_ylabel() == "agreement with the teacher"


@pytest.mark.parametrize(("last", "scale"), [(0.5, "log"), (0.0, "linear")])
def test_the_axis_is_logarithmic_where_it_can_be(last, scale):
    history = [{"train_loss": 1.0}, {"train_loss": last}]
    assert TrainingDisplay(history=history).plot().ax_.get_yscale() == scale


def test_of_a_search(forest, data):
    clf = distilled(forest, make_student((4,), max_epochs=2))
    search = GridSearchCV(clf, {"temperature": [1]}, cv=2).fit(*data)
    display = TrainingDisplay.from_estimator(search)
    assert display.history == search.best_estimator_.history_
    text = display.alt_text
    assert text.startswith("The loss of 2 epochs of training. It is ")
    assert f"{display.history[-1]['train_loss']:.3g} in the last one" in text


def test_epochs_without_a_value_are_left_out():
    history = [{"train_loss": 3.0}, {}, {"train_loss": 2.0}]
    [line] = TrainingDisplay(history=history).plot().lines_.values()
    assert_array_equal(line.get_xydata(), np.array([[1, 3.0], [3, 2.0]]))


def test_numbers_have_no_agreement():
    display = TrainingDisplay(history=[{"train_loss": 1.0}])
    with pytest.raises(ValueError, match="use kind='loss', or PredictionDisplay"):
        display.plot(kind="agreement")
