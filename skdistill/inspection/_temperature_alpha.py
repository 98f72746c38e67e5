"""A picture of a search over temperature and alpha."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import sem

from skdistill.inspection._display import VERMILION, Display, legend_above
from skdistill.utils._arrays import Bools, Floats

_NAMES = ("temperature", "alpha")


@dataclass(eq=False, repr=False, kw_only=True)
class TemperatureAlphaDisplay(Display):
    """Show the scores of a search over temperature and alpha as a heat map.

    Make it with :meth:`from_cv_results`. The best cell has a solid frame. The cells
    with a dashed frame are within one standard error of it: the search does not show
    that they are worse.

    Parameters
    ----------
    temperatures : list of shape (n_temperatures,)
        The temperatures, from the bottom upwards.
    alphas : list of shape (n_alphas,)
        The values of alpha, from left to right.
    scores : ndarray of shape (n_temperatures, n_alphas)
        The mean scores. NaN where a pair was not tried.
    error : float
        The standard error of the best score; NaN if it is not known.
    metric : str, default="score"
        The name of the score.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes that :meth:`plot` has drawn into.
    figure_ : matplotlib.figure.Figure
        Their figure.
    im_ : matplotlib.image.AxesImage
        The cells.
    text_ : ndarray of shape (n_temperatures, n_alphas), dtype=matplotlib Text
        The numbers in the cells; None where there are none.

    See Also
    --------
    skdistill.model_selection.GridSearchCV : Trains the candidates of a search together.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.inspection import TemperatureAlphaDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> student = make_student((8,), max_epochs=5)
    >>> clf = DistilledClassifier(RandomForestClassifier(10), student, random_state=0)
    >>> grid = {"temperature": [1, 4], "alpha": [0.4, 1.0]}
    >>> search = GridSearchCV(clf, grid, cv=2).fit(X, y)
    >>> display = TemperatureAlphaDisplay.from_cv_results(search.cv_results_)
    >>> display.scores.shape
    (2, 2)
    """

    temperatures: list[Any]
    alphas: list[Any]
    scores: Floats
    error: float
    metric: str = "score"

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Any,
        *,
        metric: str = "score",
        values_format: str = ".3f",
        ax: Any = None,
    ) -> TemperatureAlphaDisplay:
        """Show the results of a search.

        Parameters
        ----------
        cv_results : dict
            ``cv_results_`` of a search over parameters whose names are, or end in,
            "temperature" and "alpha". If there are further parameters, a cell shows the
            best of its candidates.
        metric : str, default="score"
            The name of the score, if the search has several.
        values_format, ax
            See :meth:`plot`.

        Returns
        -------
        display : TemperatureAlphaDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the search has no such parameters, or no such score.
        """
        if f"mean_test_{metric}" not in cv_results:
            known = [k[10:] for k in cv_results if k.startswith("mean_test_")]
            raise ValueError(
                f"the search has no score {metric!r}, but {known}: pass metric="
            )
        means = np.asarray(cv_results[f"mean_test_{metric}"], dtype=np.float64)
        pairs = [
            tuple(_value(params, n) for n in _NAMES) for params in cv_results["params"]
        ]
        temperatures, alphas = (_ordered(values) for values in zip(*pairs, strict=True))
        scores = np.full((len(temperatures), len(alphas)), np.nan)
        for (temperature, alpha), mean in zip(pairs, means, strict=True):
            cell = temperatures.index(temperature), alphas.index(alpha)
            scores[cell] = np.fmax(scores[cell], mean)
        display = cls(
            temperatures=temperatures,
            alphas=alphas,
            scores=scores,
            error=_standard_error(cv_results, metric, int(np.nanargmax(means))),
            metric=metric,
        )
        return display.plot(ax, values_format=values_format)

    def plot(
        self, ax: Any = None, *, values_format: str = ".3f"
    ) -> TemperatureAlphaDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            The axes to draw into. None makes a new figure.
        values_format : str, default=".3f"
            The format of the numbers in the cells.

        Returns
        -------
        display : TemperatureAlphaDisplay
            The display itself.
        """
        ax = self._start(ax)
        self.im_ = ax.imshow(self.scores, cmap="cividis", origin="lower", aspect="auto")
        self.figure_.colorbar(self.im_, ax=ax, label=f"mean {self.metric}")
        ax.set_xticks(range(len(self.alphas)), map(_text, self.alphas))
        ax.set_yticks(range(len(self.temperatures)), map(_text, self.temperatures))
        ax.set(xlabel="alpha (weight of the teacher)", ylabel="temperature")
        self.text_ = np.full(self.scores.shape, None, dtype=object)
        for cell in zip(*np.nonzero(np.isfinite(self.scores)), strict=True):
            background = self.im_.cmap(self.im_.norm(self.scores[cell]))
            self.text_[cell] = ax.text(
                *reversed(cell),
                format(self.scores[cell], values_format),
                ha="center",
                va="center",
                color="black" if np.mean(background[:3]) > 0.5 else "white",
            )
        self._frame_cells(ax)
        return self

    @property
    def best_cell(self) -> tuple[int, int]:
        """The row and the column of the best score."""
        row, column = np.unravel_index(np.nanargmax(self.scores), self.scores.shape)
        return int(row), int(column)

    @property
    def near_cells(self) -> Bools:
        """A mask of the other cells within one standard error of the best one."""
        near = self.scores >= self.scores[self.best_cell] - self.error
        near[self.best_cell] = False
        return near

    @property
    def alt_text(self) -> str:
        """A description for those who cannot see the picture."""
        row, column = self.best_cell
        return (
            f"The mean {self.metric} by temperature and alpha. The best one is "
            f"{self.scores[row, column]:.3g}, at temperature "
            f"{_text(self.temperatures[row])} and alpha {_text(self.alphas[column])}. "
            f"Further pairs within one standard error of it: {self.near_cells.sum()} "
            f"of {np.isfinite(self.scores).sum() - 1}."
        )

    def _frame_cells(self, ax: Any) -> None:
        from matplotlib.patches import Rectangle

        near = zip(*np.nonzero(self.near_cells), strict=True)
        for cells, style, label in (
            ([self.best_cell], "-", "best"),
            (near, "--", "within one standard error"),
        ):
            for number, (row, column) in enumerate(cells):
                frame = Rectangle(
                    (column - 0.44, row - 0.42),
                    0.88,
                    0.84,
                    fill=False,
                    edgecolor=VERMILION,
                    linestyle=style,
                    linewidth=2.5,
                    label=label if number == 0 else None,
                )
                ax.add_patch(frame)
        legend_above(ax)


def _value(params: dict[str, Any], name: str) -> Any:
    """Return the value of the parameter whose name ends in ``name``.

    Of several, it is the outermost one.
    """
    found = [key for key in params if key.rpartition("__")[2] == name]
    if found:
        return params[min(found, key=len)]
    raise ValueError(
        f"the search has no parameter {name!r}: a heat map needs a search over "
        f"'temperature' and 'alpha', and this one is over {list(params)}"
    )


def _text(value: Any) -> str:
    """Return a value for the axes: of a float, the four leading digits."""
    return str(float(f"{value:.4g}") if isinstance(value, float) else value)


def _ordered(values: Any) -> list[Any]:
    """Return distinct values, sorted if they can be."""
    try:
        return sorted(set(values))
    except TypeError:
        return list(dict.fromkeys(values))


def _standard_error(cv_results: Any, metric: str, candidate: int) -> float:
    """Return the standard error of a mean over the splits of a search, or NaN."""
    splits = [
        values[candidate]
        for key, values in cv_results.items()
        if key.startswith("split") and key.endswith(f"_test_{metric}")
    ]
    return float(sem(splits)) if len(splits) > 1 else np.nan
