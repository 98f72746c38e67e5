"""A picture of how close the numbers of a student are to those of its teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.utils import check_array, check_consistent_length

from skdistill.inspection._display import BLUE, GRAY, Display
from skdistill.inspection._models import said_by_both
from skdistill.utils._arrays import Floats


@dataclass(eq=False, repr=False, kw_only=True)
class PredictionDisplay(Display):
    """Show the numbers that a student predicts against those of its teacher.

    Make it with :meth:`from_estimator` or :meth:`from_predictions`. A point is a row;
    on the line, both predict the same.

    Parameters
    ----------
    teacher_pred : ndarray of shape (n_samples,)
        The predictions of the teacher.
    student_pred : ndarray of shape (n_samples,)
        The predictions of the student.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes that :meth:`plot` has drawn into.
    figure_ : matplotlib.figure.Figure
        Their figure.

    See Also
    --------
    FidelityDisplay : Does the same for classes and for labels.
    sklearn.metrics.PredictionErrorDisplay : Shows predictions against the targets.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from skdistill import DistilledRegressor, make_student
    >>> from skdistill.inspection import PredictionDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> forest = RandomForestRegressor(10, random_state=0).fit(X[::2], y[::2])
    >>> student = make_student((16,), task="regression", max_epochs=20)
    >>> reg = DistilledRegressor(forest, student, random_state=0).fit(X[::2], y[::2])
    >>> display = PredictionDisplay.from_estimator(reg, X[1::2])
    >>> print(display.alt_text)
    The student explains ... % of the variance of the teacher's predictions ...
    """

    teacher_pred: Floats
    student_pred: Floats

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        teacher: Any = None,
        column: int = 0,
        ax: Any = None,
    ) -> PredictionDisplay:
        """Compare a fitted student with its teacher on rows.

        Parameters
        ----------
        estimator : regressor
            A fitted :class:`~skdistill.DistilledRegressor`, a pipeline or a search that
            ends in one; or any regressor, if you pass ``teacher``.
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The rows. Pass rows that neither was fitted on.
        teacher : estimator or list of estimators, default=None
            The fitted teacher, which gets ``X``. None means that of ``estimator``.
        column : int, default=0
            Which one of several targets or quantiles to show.
        ax : matplotlib.axes.Axes, default=None
            See :meth:`plot`.

        Returns
        -------
        display : PredictionDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If ``estimator`` is a classifier.
        ValueError
            If ``teacher`` is None and ``estimator`` has no teacher, for example because
            it was loaded from a file.
        sklearn.exceptions.NotFittedError
            If ``teacher`` is not fitted.
        """
        task, *both = said_by_both(estimator, X, teacher)
        if task != "regression":
            raise TypeError(
                "PredictionDisplay shows numbers: use FidelityDisplay for classes"
            )
        columns = (said.reshape(len(said), -1)[:, column] for said in both)
        return cls.from_predictions(*columns, ax=ax)

    @classmethod
    def from_predictions(
        cls, teacher_pred: ArrayLike, student_pred: ArrayLike, *, ax: Any = None
    ) -> PredictionDisplay:
        """Compare predictions.

        Parameters
        ----------
        teacher_pred, student_pred : array-like of shape (n_samples,)
            The predictions of the teacher and of the student.
        ax : matplotlib.axes.Axes, default=None
            See :meth:`plot`.

        Returns
        -------
        display : PredictionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the two have different lengths, or are not finite numbers in one column.
        """
        given = {"teacher_pred": teacher_pred, "student_pred": student_pred}
        said = {
            name: check_array(
                np.ravel(pred) if np.shape(pred)[1:] == (1,) else pred,
                dtype=np.float64,
                ensure_2d=False,
                input_name=name,
            )
            for name, pred in given.items()
        }
        check_consistent_length(*said.values())
        if any(pred.ndim > 1 for pred in said.values()):
            raise ValueError("pass one column of several targets, such as pred[:, 0]")
        return cls(**said).plot(ax)

    def plot(self, ax: Any = None) -> PredictionDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            The axes to draw into. None makes a new figure.

        Returns
        -------
        display : PredictionDisplay
            The display itself.
        """
        ax = self._start(ax)
        ax.axline((self.teacher_pred[0],) * 2, slope=1, color=GRAY, linewidth=1)
        look = {"s": 16, "color": BLUE, "alpha": 0.4, "linewidths": 0}
        ax.scatter(self.teacher_pred, self.student_pred, rasterized=True, **look)
        ax.set(xlabel="teacher's prediction", ylabel="student's prediction")
        return self

    @property
    def alt_text(self) -> str:
        """A description for those who cannot see the picture."""
        both = self.teacher_pred, self.student_pred
        error, n_rows = root_mean_squared_error(*both), len(self.teacher_pred)
        share = 100 * r2_score(*both) if n_rows > 1 else 100 * (error == 0)
        return (
            f"The student explains {share:.1f} % of the variance of the teacher's "
            f"predictions for {n_rows:,} rows. The root of their mean squared "
            f"difference is {error:.3g}."
        )
