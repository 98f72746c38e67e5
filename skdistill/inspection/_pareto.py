"""A picture of the scores and the costs of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_regressor
from sklearn.metrics import check_scoring

from skdistill._base import BaseDistiller
from skdistill.deploy._loaded_estimator import LoadedEstimator
from skdistill.inspection._display import (
    GRAY,
    MODEL_COLORS,
    MODEL_MARKERS,
    Display,
    check_option,
    log_scale,
)
from skdistill.metrics import latency_scorer, size_scorer
from skdistill.utils._arrays import Bools, Floats
from skdistill.utils._unwrap import listed, unwrapped

_Cost = Literal["bytes", "row_us"]
_COSTS: dict[str, tuple[Callable[..., float], str]] = {
    "bytes": (size_scorer, "bytes of the file"),
    "row_us": (latency_scorer, "microseconds for one row"),
}


@dataclass(eq=False, repr=False, kw_only=True)
class ParetoDisplay(Display):
    """Show the scores of models against what they cost.

    Make it with :meth:`from_estimators` or :meth:`from_cv_results`. The line connects
    the models that no other model beats: each other one costs more or scores less.

    Parameters
    ----------
    scores : ndarray of shape (n_models,)
        More is better.
    costs : ndarray of shape (n_models,)
        Less is better; above 0.
    names : list of str or None, default=None
        The names of the models, which are written beside the points.
    groups : list of str or None, default=None
        The group of each model, such as "teacher" and "student". Each has a color and
        a marker of its own.
    score_name, cost_name : str
        The labels of the axes.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes that :meth:`plot` has drawn into.
    figure_ : matplotlib.figure.Figure
        Their figure.

    See Also
    --------
    skdistill.deploy.footprint : Measures all costs of models.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.inspection import ParetoDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, random_state=0).fit(X[::2], y[::2])
    >>> student = make_student((16,), max_epochs=5)
    >>> clf = DistilledClassifier(forest, student, random_state=0).fit(X[::2], y[::2])
    >>> models = {"forest": forest, "student": clf}
    >>> display = ParetoDisplay.from_estimators(models, X[1::2], y[1::2])
    >>> display.groups
    ['teacher', 'student']
    """

    scores: Floats
    costs: Floats
    names: list[str] | None = None
    groups: list[str] | None = None
    score_name: str = "score"
    cost_name: str = "cost"

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: Any,
        y: ArrayLike,
        *,
        scoring: Any = None,
        cost: _Cost = "bytes",
        groups: Sequence[str] | None = None,
        ax: Any = None,
    ) -> ParetoDisplay:
        """Score fitted models, and measure what they cost.

        Parameters
        ----------
        estimators : dict of str to estimator
            Fitted classifiers, or fitted regressors, by name.
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The rows. Pass rows that no model was fitted on.
        y : array-like of shape (n_samples,)
            Their labels or targets.
        scoring : str or callable, default=None
            A scorer of scikit-learn. None means the accuracy, or R2 of regressors. Of
            students of quantiles, pass a function that returns
            ``estimator.score(X, y)``.
        cost : {"bytes", "row_us"}, default="bytes"
            :func:`~skdistill.metrics.size_scorer` or
            :func:`~skdistill.metrics.latency_scorer`.
        groups : sequence of str, default=None
            The group of each model. None means "student" for one of
            :mod:`skdistill`, "teacher" for what is the fitted
            teacher of one of these, and "model" for all others.
        ax : matplotlib.axes.Axes, default=None
            See :meth:`plot`.

        Returns
        -------
        display : ParetoDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no such cost, or not one group for each model.
        """
        check_option("cost", cost, _COSTS)
        cost_scorer, cost_name = _COSTS[cost]
        models = list(estimators.values())
        if groups is not None and len(groups) != len(models):
            raise ValueError(
                f"there are {len(groups)} groups for {len(models)} models: pass one "
                "for each"
            )
        scoring = scoring or ("r2" if all(map(is_regressor, models)) else "accuracy")
        name = getattr(scoring, "__name__", "score")
        scores = [check_scoring(model, scoring)(model, X, y) for model in models]
        display = cls(
            scores=np.array(scores),
            costs=np.array([-cost_scorer(model, X) for model in models]),
            names=list(estimators),
            groups=_groups(models) if groups is None else list(groups),
            score_name=scoring if isinstance(scoring, str) else name,
            cost_name=cost_name,
        )
        return display.plot(ax)

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Any,
        *,
        score: str = "accuracy",
        cost: str = "size",
        ax: Any = None,
    ) -> ParetoDisplay:
        """Show the candidates of a search.

        Parameters
        ----------
        cv_results : dict
            ``cv_results_`` of a search with several metrics, one of which is
            :func:`~skdistill.metrics.size_scorer` or
            :func:`~skdistill.metrics.latency_scorer`.
        score : str, default="accuracy"
            The name of the score.
        cost : str, default="size"
            The name of the cost in ``scoring``.
        ax : matplotlib.axes.Axes, default=None
            See :meth:`plot`.

        Returns
        -------
        display : ParetoDisplay
            The display, drawn.

        Raises
        ------
        KeyError
            If the search has no such metric.
        """
        display = cls(
            scores=np.asarray(cv_results[f"mean_test_{score}"], dtype=np.float64),
            costs=-np.asarray(cv_results[f"mean_test_{cost}"], dtype=np.float64),
            score_name=f"mean {score}",
            cost_name=f"mean {cost}",
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> ParetoDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            The axes to draw into. None makes a new figure.

        Returns
        -------
        display : ParetoDisplay
            The display itself.
        """
        ax = self._start(ax)
        best = np.flatnonzero(self.on_front)
        best = best[np.argsort(self.costs[best])]
        ax.plot(
            self.costs[best],
            self.scores[best],
            drawstyle="steps-post",
            color=GRAY,
            linewidth=1,
            zorder=1,
        )
        groups = self.groups or ["model"] * len(self.scores)
        for group in dict.fromkeys(groups):
            shown = np.array([one == group for one in groups])
            ax.scatter(
                self.costs[shown],
                self.scores[shown],
                s=45,
                color=MODEL_COLORS.get(group, GRAY),
                marker=MODEL_MARKERS.get(group, "^"),
                label=group,
                zorder=2,
            )
        points = zip(self.costs, self.scores, strict=True)
        for name, point in zip(self.names or (), points, strict=False):
            ax.annotate(name, point, xytext=(6, -13), textcoords="offset points")
        log_scale(ax)
        ax.set(xlabel=self.cost_name, ylabel=self.score_name)
        ax.margins(x=0.2, y=0.12)
        if self.groups is not None:
            ax.legend()
        return self

    @property
    def on_front(self) -> Bools:
        """A mask of the models that no other model beats."""
        cheaper = self.costs[:, np.newaxis] <= self.costs
        better = self.scores[:, np.newaxis] >= self.scores
        beats = cheaper & better & ~(cheaper & better).T
        return np.logical_not(beats.any(axis=0))

    @property
    def alt_text(self) -> str:
        """A description for those who cannot see the picture."""
        names = self.names or [f"number {i}" for i in range(len(self.scores))]
        front = [names[i] for i in np.flatnonzero(self.on_front)]
        return (
            f"{self.score_name} against {self.cost_name} of {len(self.scores)} models. "
            f"No other model beats: {', '.join(front)}."
        )


def _groups(models: list[Any]) -> list[str]:
    """Return the group of each model."""
    groups = ["model"] * len(models)
    teachers: list[Any] = []
    for i, (_, one) in enumerate(map(unwrapped, models)):
        if isinstance(one, BaseDistiller | LoadedEstimator):
            groups[i] = "student"
            for name in ("teacher", "teacher_"):
                teachers += listed(getattr(one, name, None))
    for i, model in enumerate(models):
        if any(model is teacher for teacher in teachers):
            groups[i] = "teacher"
    return groups
