import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdistill.inspection import ComparisonDisplay
from tests.inspection.conftest import accuracies, comparison


@pytest.fixture
def result():
    n_bytes = np.outer([1e6, 1.0, 1.0], np.ones(5))
    return comparison(accuracy=accuracies(0.1, 0.05, spread=0.0), bytes=n_bytes)


def test_splits_means_and_errors_are_drawn(result):
    display = ComparisonDisplay.from_comparison(result)
    ax = display.ax_
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["student", "labels alone", "teacher"]  # from the bottom upwards
    splits = [c for c in ax.collections if len(c.get_offsets()) == 5]
    for place, model in enumerate(labels):
        values = result.results[model]["accuracy"]
        assert_allclose(splits[place].get_offsets()[:, 0], values)
        mean, bar = ax.containers[place].lines[0], ax.containers[place].lines[2][0]
        assert_allclose(mean.get_xydata(), [[values.mean(), place]])
        error = np.sqrt(values.var(ddof=1) * (1 / 5 + 1 / 4))
        ends = bar.get_segments()[0][:, 0]
        assert_allclose(ends, [values.mean() - error, values.mean() + error])
    assert ax.get_xlabel() == "accuracy"
    assert ax.get_xscale() == "linear"


def test_the_title_tells_the_share_of_the_gap(result):
    display = ComparisonDisplay.from_comparison(result)
    title = display.ax_.get_title()
    assert title == "the student closes 50 % ± 0 % of the gap"
    without = ComparisonDisplay.from_comparison(result, metric="log_loss")
    assert without.ax_.get_title() == ""


def test_costs_have_a_logarithmic_axis(result):
    display = ComparisonDisplay.from_comparison(result, metric="bytes")
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_xlabel() == "bytes of the file"
    assert "Mean bytes: teacher 1e+06, labels alone 1, student 1." in display.alt_text
    assert display.alt_text.endswith(result.verdict)


def test_unknown_metric(result):
    with pytest.raises(ValueError, match=r"metric must be one of .*'x'"):
        ComparisonDisplay.from_comparison(result, metric="x")
