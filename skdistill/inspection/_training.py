"""A picture of a training: its loss, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from skdistill.inspection._display import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILION,
    Display,
    check_option,
)
from skdistill.utils._unwrap import unwrapped

_Kind = Literal["loss", "agreement"]

_PARTS = {
    "loss": ("weighted sum", GRAY, 2.5),
    "loss_soft": ("soft labels", VERMILION, 1.5),
    "loss_hard": ("labels", ORANGE, 1.5),
    "loss_feature": ("features", GREEN, 1.5),
    "loss_relation": ("relations", PURPLE, 1.5),
}
_AGREEMENT = {"agreement": ("agreement", BLUE, 1.5)}
_KINDS = {
    "loss": (_PARTS, "loss"),
    "agreement": (_AGREEMENT, "agreement with the teacher"),
}
_STYLES = {"train": "-", "valid": "--"}


@dataclass(eq=False, repr=False, kw_only=True)
class TrainingDisplay(Display):
    """Show the loss of a training by epoch, part by part.

    Make it with :meth:`from_estimator`.

    Parameters
    ----------
    history : sequence of dicts
        A row for each epoch, as ``history_`` of a
        :class:`~skdistill.DistilledClassifier` or
        :class:`~skdistill.DistilledRegressor`.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes that :meth:`plot` has drawn into.
    figure_ : matplotlib.figure.Figure
        Their figure.
    lines_ : dict
        The lines by the name of their column in the history.

    See Also
    --------
    skdistill.DistilledClassifier : Describes the columns of ``history_``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.inspection import TrainingDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    >>> student = make_student((16,), max_epochs=5)
    >>> clf = DistilledClassifier(forest, student, random_state=0).fit(X, y)
    >>> display = TrainingDisplay.from_estimator(clf)
    >>> list(display.lines_)
    ['train_loss', 'train_loss_soft', 'train_loss_hard']
    """

    history: Sequence[dict[str, Any]]

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, kind: _Kind = "loss", ax: Any = None
    ) -> TrainingDisplay:
        """Show the training of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted :class:`~skdistill.DistilledClassifier` or
            :class:`~skdistill.DistilledRegressor`, also at the end of a pipeline or a
            search.
        kind, ax
            See :meth:`plot`.

        Returns
        -------
        display : TrainingDisplay
            The display, drawn.
        """
        _, last = unwrapped(estimator)
        return cls(history=last.history_).plot(ax, kind=kind)

    def plot(self, ax: Any = None, *, kind: _Kind = "loss") -> TrainingDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            The axes to draw into. None makes a new figure.
        kind : {"loss", "agreement"}, default="loss"
            What is drawn: the loss and its terms, before they are multiplied by their
            weights; or the share of rows for which the student and the teacher predict
            the same class. Dashed lines are of rows that the student held out. The axis
            of the losses is logarithmic, unless one of them is not above 0.

        Returns
        -------
        display : TrainingDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there is no agreement, as numbers have none.
        """
        check_option("kind", kind, _KINDS)
        if kind == "agreement" and not self._points("train_agreement"):
            raise ValueError(
                "the history has no agreement, which classes and labels have, and "
                "numbers have not: use kind='loss', or PredictionDisplay"
            )
        ax = self._start(ax)
        parts, ylabel = _KINDS[kind]
        self.lines_ = {}
        for (rows, style), (part, look) in product(_STYLES.items(), parts.items()):
            points = self._points(f"{rows}_{part}")
            if points:
                label, color, width = look
                [self.lines_[f"{rows}_{part}"]] = ax.plot(
                    *zip(*points, strict=True),
                    linestyle=style,
                    color=color,
                    linewidth=width,
                    label=label if rows == "train" else None,
                )
        if any(name.startswith("valid") for name in self.lines_):
            ax.plot([], [], _STYLES["valid"], color=GRAY, label="on rows held out")
        if all(min(line.get_ydata()) > 0 for line in self.lines_.values()):
            ax.set_yscale("log" if kind == "loss" else "linear")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="epoch", ylabel=ylabel)
        ax.legend()
        return self

    @property
    def alt_text(self) -> str:
        """A description for those who cannot see the picture."""
        loss = self._points("train_loss")
        return (
            f"The loss of {len(loss)} epochs of training. It is {loss[0][1]:.3g} in "
            f"the first epoch and {loss[-1][1]:.3g} in the last one."
        )

    def _points(self, column: str) -> list[tuple[int, float]]:
        """Return the epochs in which there is a value, and the values."""
        return [
            (epoch, row[column])
            for epoch, row in enumerate(self.history, start=1)
            if column in row
        ]
