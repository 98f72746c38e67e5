"""A picture of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skdistill.inspection._comparison import Comparison, percent
from skdistill.inspection._display import (
    MODEL_COLORS,
    MODEL_MARKERS,
    ORANGE,
    Display,
    check_option,
    log_scale,
)

_LABELS = {
    "log_loss": "log loss (less is better)",
    "brier": "Brier score (less is better)",
    "agreement": "agreement with the teacher",
    "rmse": "root mean squared error (less is better)",
    "rmse_to_teacher": "root mean squared difference to the teacher (less is better)",
    "bytes": "bytes of the file",
    "row_us": "microseconds for one row",
    "batch_ms": "milliseconds for 1,000 rows",
    "fit_s": "seconds of the training",
}
_LOGARITHMIC = ("bytes", "row_us", "batch_ms", "fit_s")


@dataclass(eq=False, repr=False, kw_only=True)
class ComparisonDisplay(Display):
    """Show what :func:`compare` has found for one metric.

    Make it with :meth:`from_comparison`. A small point is a split, a large one the mean
    over the splits, and the bars are its standard error, corrected for the training
    rows that the splits have in common.

    Parameters
    ----------
    comparison : Comparison
        What :func:`compare` has returned.
    metric : str, default=None
        One of the metrics of a :class:`Comparison`. None means the first one: the
        accuracy, or R2.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes that :meth:`plot` has drawn into.
    figure_ : matplotlib.figure.Figure
        Their figure.

    See Also
    --------
    compare : Scores a teacher, a net on labels and a student.
    ParetoDisplay : Shows scores against costs.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.inspection import ComparisonDisplay, compare
    >>> X, y = load_iris(return_X_y=True)
    >>> student = make_student((16,), max_epochs=5)
    >>> clf = DistilledClassifier(RandomForestClassifier(10), student, random_state=0)
    >>> comparison = compare(clf, X, y, cv=2)
    >>> display = ComparisonDisplay.from_comparison(comparison, metric="log_loss")
    >>> display.ax_.get_xlabel()
    'log loss (less is better)'
    """

    comparison: Comparison
    metric: str | None = None

    @classmethod
    def from_comparison(
        cls, comparison: Comparison, *, metric: str | None = None, ax: Any = None
    ) -> ComparisonDisplay:
        """Show one metric of a comparison.

        Parameters
        ----------
        comparison : Comparison
            What :func:`compare` has returned.
        metric : str, default=None
            One of the metrics of a :class:`Comparison`. None means the first one: the
            accuracy, or R2.
        ax : matplotlib.axes.Axes, default=None
            See :meth:`plot`.

        Returns
        -------
        display : ComparisonDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no such metric.
        """
        if metric is not None:
            check_option("metric", metric, comparison.metrics)
        return cls(comparison=comparison, metric=metric).plot(ax)

    @property
    def _metric(self) -> str:
        return self.metric or self.comparison.metrics[0]

    def plot(self, ax: Any = None) -> ComparisonDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            The axes to draw into. None makes a new figure.

        Returns
        -------
        display : ComparisonDisplay
            The display itself.
        """
        ax = self._start(ax)
        results = self.comparison.results
        for place, (model, result) in enumerate(reversed(results.items())):
            values = result[self._metric]
            color = MODEL_COLORS.get(model, ORANGE)
            ax.scatter(values, np.full(len(values), place - 0.18), s=12, color=color)
            mean, error = self.comparison.summary[model][self._metric]
            ax.errorbar(
                mean,
                place,
                xerr=error,
                color=color,
                marker=MODEL_MARKERS.get(model, "D"),
                markersize=8,
                capsize=4,
            )
        ax.set_yticks(range(len(results)), reversed(results))
        ax.set_xlabel(_LABELS.get(self._metric, self._metric))
        ax.set_ylim(-0.5, len(results) - 0.5)
        ax.grid(axis="x", alpha=0.3)
        if self._metric in _LOGARITHMIC:
            log_scale(ax)
        share = self.comparison.summary["gap closed"][self._metric]
        if not np.isnan(share[0]):
            ax.set_title(f"the student closes {percent(share)} of the gap")
        return self

    @property
    def alt_text(self) -> str:
        """A description for those who cannot see the picture."""
        means = [
            f"{model} {row[self._metric][0]:.3g}"
            for model, row in self.comparison.summary.items()
            if model != "gap closed"
        ]
        return f"Mean {self._metric}: {', '.join(means)}. {self.comparison.verdict}"
