import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdistill.inspection import Comparison, ComparisonDisplay
from skdistill.inspection._comparison import METRICS


@pytest.fixture
def comparison():
    results = {
        model: {
            **dict.fromkeys(METRICS, np.full(4, 1.0)),
            "accuracy": np.array([0.8, 0.81, 0.82, 0.83]) + gain,
        }
        for model, gain in {
            "teacher": 0.1,
            "labels alone": 0.0,
            "student": 0.05,
        }.items()
    }
    results["teacher"]["bytes"] = np.full(4, 1e6)
    return Comparison(results, 1 / 3, False)


def test_splits_means_and_errors_are_drawn(comparison):
    display = ComparisonDisplay.from_comparison(comparison)
    ax = display.ax_
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["student", "labels alone", "teacher"]  # from the bottom upwards
    splits = [c for c in ax.collections if len(c.get_offsets()) == 4]
    for place, model in enumerate(labels):
        values = comparison.results[model]["accuracy"]
        assert_allclose(splits[place].get_offsets()[:, 0], values)
        mean, bar = ax.containers[place].lines[0], ax.containers[place].lines[2][0]
        assert_allclose(mean.get_xydata(), [[values.mean(), place]])
        error = np.sqrt(values.var(ddof=1) * (1 / 4 + 1 / 3))
        ends = bar.get_segments()[0][:, 0]
        assert_allclose(ends, [values.mean() - error, values.mean() + error])
    assert ax.get_xlabel() == "accuracy"
    assert ax.get_xscale() == "linear"


def test_the_title_tells_the_share_of_the_gap(comparison):
    display = ComparisonDisplay.from_comparison(comparison)
    title = display.ax_.get_title()
    assert title == "the student closes 50 % ± 0 % of the gap"
    without = ComparisonDisplay.from_comparison(comparison, metric="log_loss")
    assert without.ax_.get_title() == ""


def test_costs_have_a_logarithmic_axis(comparison):
    display = ComparisonDisplay.from_comparison(comparison, metric="bytes")
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_xlabel() == "bytes of the file"
    assert "Mean bytes: teacher 1e+06, labels alone 1, student 1." in display.alt_text
    assert display.alt_text.endswith(comparison.verdict)


def test_unknown_metric(comparison):
    with pytest.raises(ValueError, match=r"metric must be one of .*'x'"):
        ComparisonDisplay.from_comparison(comparison, metric="x")
