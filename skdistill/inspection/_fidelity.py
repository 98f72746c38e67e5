"""A picture of how close a student is to its teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from skdistill._targets._columns import pairs
from skdistill.inspection._display import (
    BLUE,
    GRAY,
    VERMILION,
    Display,
    check_option,
    legend_above,
)
from skdistill.inspection._models import said_by_both
from skdistill.metrics import kl_to_teacher
from skdistill.utils._arrays import Array, Bools

_Kind = Literal["probability", "agreement"]


@dataclass(eq=False, repr=False, kw_only=True)
class FidelityDisplay(Display):
    """Show how close the probabilities of a student are to those of its teacher.

    Of several labels a row, each is shown as a row of two classes.

    Make it with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    teacher_proba : ndarray of shape (n_samples, n_classes)
        The probabilities of the teacher.
    student_proba : ndarray of shape (n_samples, n_classes)
        The probabilities of the student, with the columns in the same order.
    multilabel : bool, default=False
        Whether the columns are several labels, each of which holds or not.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes that :meth:`plot` has drawn into.
    figure_ : matplotlib.figure.Figure
        Their figure.

    See Also
    --------
    skdistill.metrics.agreement : The share of rows with the same prediction.
    skdistill.metrics.kl_to_teacher : The divergence of the probabilities.
    PredictionDisplay : Does the same for numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.inspection import FidelityDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, random_state=0).fit(X[::2], y[::2])
    >>> student = make_student((16,), max_epochs=20)
    >>> clf = DistilledClassifier(forest, student, random_state=0).fit(X[::2], y[::2])
    >>> display = FidelityDisplay.from_estimator(clf, X[1::2])
    >>> print(display.alt_text)
    Teacher and student predict the same class for 9... % of 75 rows. ...
    """

    teacher_proba: Array
    student_proba: Array
    multilabel: bool = False

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        teacher: Any = None,
        kind: _Kind = "probability",
        n_bins: int = 10,
        ax: Any = None,
    ) -> FidelityDisplay:
        """Compare a fitted student with its teacher on rows.

        Parameters
        ----------
        estimator : classifier
            A fitted :class:`~skdistill.DistilledClassifier`, a pipeline or a search
            that ends in one; or any classifier, if you pass ``teacher``.
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The rows. Pass rows that neither was fitted on.
        teacher : estimator or list of estimators, default=None
            The fitted teacher, which gets ``X``. None means the teacher of
            ``estimator``, without ``calibrate_teacher``.
        kind, n_bins, ax
            See :meth:`plot`.

        Returns
        -------
        display : FidelityDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If ``estimator`` is a regressor.
        ValueError
            If ``teacher`` is None and ``estimator`` has no teacher, for example because
            it was loaded from a file.
        sklearn.exceptions.NotFittedError
            If ``teacher`` is not fitted.
        """
        task, *both = said_by_both(estimator, X, teacher)
        if task == "regression":
            raise TypeError(
                "FidelityDisplay shows probabilities: use PredictionDisplay for numbers"
            )
        multilabel = task == "multilabel"
        return cls.from_predictions(
            *both, multilabel=multilabel, kind=kind, n_bins=n_bins, ax=ax
        )

    @classmethod
    def from_predictions(
        cls,
        teacher_proba: ArrayLike,
        student_proba: ArrayLike,
        *,
        multilabel: bool = False,
        kind: _Kind = "probability",
        n_bins: int = 10,
        ax: Any = None,
    ) -> FidelityDisplay:
        """Compare probabilities.

        Parameters
        ----------
        teacher_proba : array-like of shape (n_samples, n_classes)
            The probabilities of the teacher.
        student_proba : array-like of shape (n_samples, n_classes)
            The probabilities of the student, with the columns in the same order.
        multilabel : bool, default=False
            Whether the columns are several labels, each of which holds or not.
        kind, n_bins, ax
            See :meth:`plot`.

        Returns
        -------
        display : FidelityDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the two have different shapes, or are not probabilities.
        """
        # It checks them.
        kl_to_teacher(teacher_proba, student_proba, multilabel=multilabel)
        display = cls(
            teacher_proba=np.asarray(teacher_proba, dtype=np.float64),
            student_proba=np.asarray(student_proba, dtype=np.float64),
            multilabel=multilabel,
        )
        return display.plot(ax, kind=kind, n_bins=n_bins)

    def plot(
        self, ax: Any = None, *, kind: _Kind = "probability", n_bins: int = 10
    ) -> FidelityDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            The axes to draw into. None makes a new figure.
        kind : {"probability", "agreement"}, default="probability"
            What is drawn:

            - "probability": a point for each row. Its x is the probability of the class
              that the teacher predicts, its y the student's probability of this class.
              Crosses are rows for which the student predicts another class.
            - "agreement": the share of rows for which both predict the same class, by
              the probability of the class that the teacher predicts, with 95 %
              confidence intervals. The bars are the share of all rows in each bin.
        n_bins : int, default=10
            The number of bins of "agreement", of equal width.

        Returns
        -------
        display : FidelityDisplay
            The display itself.
        """
        check_option("kind", kind, get_args(_Kind))
        ax = self._start(ax)
        if kind == "probability":
            self._draw_probability(ax)
        else:
            self._draw_agreement(ax, n_bins)
        ax.set_xlabel("teacher's probability of the class it predicts")
        for handle in legend_above(ax).legend_handles:
            handle.set_alpha(1)
        return self

    @property
    def alt_text(self) -> str:
        """A description for those who cannot see the picture."""
        divergence = kl_to_teacher(
            self.teacher_proba, self.student_proba, multilabel=self.multilabel
        )
        what = "labels of rows" if self.multilabel else "rows"
        return (
            f"Teacher and student predict the same class for "
            f"{100 * self._agrees.mean():.1f} % of {len(self._agrees):,} {what}. The "
            f"mean Kullback-Leibler divergence is {divergence:.3g}."
        )

    @property
    def _both(self) -> list[Array]:
        """What teacher and student say, with a row for each choice of a class."""
        both = [self.teacher_proba, self.student_proba]
        return [*map(pairs, both)] if self.multilabel else both

    @property
    def _agrees(self) -> Bools:
        teacher, student = self._both
        return np.asarray(teacher.argmax(axis=1) == student.argmax(axis=1))

    def _draw_probability(self, ax: Any) -> None:
        teacher, student = self._both
        predicted = np.arange(len(teacher)), teacher.argmax(axis=1)
        x, y = teacher[predicted], student[predicted]
        ax.axline((0, 0), slope=1, color=GRAY, linewidth=1, zorder=0)
        looks = (
            (True, "student agrees", BLUE, "o", 0.3),
            (False, "student disagrees", VERMILION, "x", 0.9),
        )
        for agrees, label, color, marker, alpha in looks:
            shown = self._agrees == agrees
            ax.scatter(
                x[shown],
                y[shown],
                s=16,
                c=color,
                marker=marker,
                alpha=alpha,
                linewidths=1.2 if marker == "x" else 0,
                label=f"{label} ({100 * shown.mean():.1f} %)",
                rasterized=True,
            )
        ax.set(
            xlim=(x.min() - 0.02, 1.02),
            ylim=(-0.02, 1.02),
            ylabel="student's probability of this class",
        )

    def _draw_agreement(self, ax: Any, n_bins: int) -> None:
        teacher, _ = self._both
        confidence, lowest = teacher.max(axis=1), 1 / teacher.shape[1]
        edges = np.linspace(lowest, 1, n_bins + 1)
        bins = np.digitize(confidence, edges[1:-1])
        counts = np.bincount(bins, minlength=n_bins)
        agree = np.bincount(bins, weights=self._agrees, minlength=n_bins).astype(int)
        centers, width = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
        shares = counts / counts.sum()
        ax.bar(centers, shares, width * 0.92, color="0.85", label="share of all rows")
        there = counts > 0
        share = agree[there] / counts[there]
        bounds = [
            binomtest(k, n).proportion_ci(method="wilson")
            for k, n in zip(agree[there], counts[there], strict=True)
        ]
        low, high = np.array([(b.low, b.high) for b in bounds]).T
        errors = np.clip([share - low, high - share], 0, None)
        look = {"color": BLUE, "marker": "o", "capsize": 3}
        ax.errorbar(centers[there], share, errors, label="student agrees", **look)
        ax.set(xlim=(lowest, 1), ylim=(0, 1.05), ylabel="share of rows")
