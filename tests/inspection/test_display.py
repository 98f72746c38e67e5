"""What all displays have in common."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skdistill.inspection import (
    ComparisonDisplay,
    FidelityDisplay,
    ParetoDisplay,
    PredictionDisplay,
    TemperatureAlphaDisplay,
    TrainingDisplay,
)
from tests.inspection.conftest import comparison

DISPLAYS = [
    ComparisonDisplay(comparison=comparison()),
    FidelityDisplay(teacher_proba=np.eye(2), student_proba=np.eye(2)),
    ParetoDisplay(scores=np.array([0.5, 1.0]), costs=np.array([1.0, 2.0])),
    PredictionDisplay(teacher_pred=np.arange(3.0), student_pred=np.ones(3)),
    TemperatureAlphaDisplay(
        temperatures=[1], alphas=[0, 1], scores=np.array([[0.5, 1.0]]), error=0.1
    ),
    TrainingDisplay(history=[{"train_loss": 1.0}, {"train_loss": 0.5}]),
]
each_display = pytest.mark.parametrize(
    "display", DISPLAYS, ids=lambda display: type(display).__name__
)


@each_display
def test_plot_returns_the_display_with_its_axes_and_figure(display):
    assert display.plot() is display
    assert display.figure_.axes[0] is display.ax_
    assert display.ax_.get_xlabel()


@each_display
def test_plot_draws_into_given_axes(display):
    figure, axes = plt.subplots(1, 2)
    display.plot(axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert not axes[0].has_data()
    assert plt.get_fignums() == [figure.number]


@each_display
def test_a_text_stands_in_for_the_picture(display):
    assert display.alt_text.endswith(".")
    assert "nan" not in display.alt_text


@each_display
def test_without_matplotlib_an_error_says_how_to_install_it(display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    name = type(display).__name__
    with pytest.raises(
        ImportError, match=rf"{name}\.plot .*pip install skdistill\[plot\]"
    ):
        display.plot()


@pytest.mark.parametrize(
    "display", [DISPLAYS[1], DISPLAYS[-1]], ids=["fidelity", "training"]
)
def test_unknown_kind(display):
    with pytest.raises(
        ValueError, match=r"kind must be one of \w+, agreement, got 'x'"
    ):
        display.plot(kind="x")
    assert not plt.get_fignums()
