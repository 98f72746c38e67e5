"""The result of a comparison: numbers, a table and a verdict."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from scipy.stats import t

from skdistill.metrics import gap_closed
from skdistill.utils._arrays import Floats
from skdistill.utils._optional import require
from skdistill.utils._text import aligned, html_table

# 1 for scores of which more is better, -1 for the others. Costs have no gap.
_SIGNS_OF_CLASSES = {"accuracy": 1, "log_loss": -1, "brier": -1, "agreement": 1}
_SIGNS_OF_NUMBERS = {"r2": 1, "rmse": -1, "rmse_to_teacher": -1}
_SIGNS_OF_QUANTILES = {"d2_pinball": 1, "pinball": -1}
_SIGNS_OF_LABELS = {"average_precision": 1, "subset_accuracy": 1}
_SIGNS = _SIGNS_OF_CLASSES | _SIGNS_OF_LABELS | _SIGNS_OF_NUMBERS | _SIGNS_OF_QUANTILES

# The probability with which a difference by chance alone is called clear.
_LEVEL = 0.05

# The standard errors of fewer splits say too little to call a difference clear.
_FEWEST_SPLITS = 5

_WIDTH = 80

# The beginning of a verdict if distilling clearly helped (1) or clearly did not (-1).
_HEADS = {
    1: "distilling helped, although there is no clear gap to close",
    -1: "distilling did not help",
}
# The beginning otherwise, if the teacher is clearly better (1) or worse (-1) or not.
_HEADS_IF_NOT_CLEAR = {
    1: "it is not clear that distilling helped",
    0: "there is no clear gap to close",
    -1: "there is no gap to close",
}

# The main scores that are shares, and how a model with more, or less, is called.
_POINTS = {
    "accuracy": ("more accurate", "less accurate"),
    "average_precision": (
        "higher in average precision",
        "lower in average precision",
    ),
}

# The other main scores, which are errors, and how they are called.
_ERRORS = {"pinball": "pinball loss", "rmse": "error (rmse)"}

# The next step if distilling clearly helped or did not, or it is not clear and the
# teacher is clearly better than the net on labels or not.
_EXPORT = "fit it on all rows, and export it, such as by skdistill.deploy.to_onnx"
_LABELS = "use a net on the labels, which needs no teacher, {}"
_MORE = (
    "search over alpha and temperature, or pass more splits; a net on the labels may "
    "be as good, {}"
)

# What a verdict says of costs.
_SAVINGS = {
    "bytes": "the student's file is {} the teacher's",
    "row_us": "one row takes {} its time",
}


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    r"""A teacher, a net trained on labels alone and a distilled student, compared.

    :func:`compare` returns it. It prints as a table of means and standard errors, in
    which a column is a model, and with the verdict below.

    Attributes
    ----------
    results : dict of dicts of ndarray of shape (n_splits,)
        The value of each metric on each split, ``results[model][metric]``. The models
        are "teacher", "labels alone" and "student". The metrics of a classifier are:

        - "accuracy".
        - "log_loss": see :func:`sklearn.metrics.log_loss`. Less is better.
        - "brier": the squared distance of the probabilities from the one-hot label,
          from 0 to 2, as :func:`sklearn.metrics.brier_score_loss` computes it with
          ``scale_by_half=False``. Less is better. As the log loss, it is small if the
          probabilities are calibrated and the predictions right, but a probability of
          0 for the right class does not dominate it.
        - "agreement": the share of rows for which a model predicts the same class as
          the teacher.

        Those of several labels a row are:

        - "average_precision": see :func:`sklearn.metrics.average_precision_score`, in
          the mean of the labels that occur in the test rows.
        - "subset_accuracy": the share of rows whose labels are all right.
        - "log_loss": the sum of the log losses of the labels, in the mean over rows.
          Less is better.
        - "agreement": the share of the labels that a model predicts as the teacher.

        Those of a regressor, in the mean of the targets, are:

        - "r2": see :func:`sklearn.metrics.r2_score`.
        - "rmse": see :func:`sklearn.metrics.root_mean_squared_error`. Less is better.
        - "rmse_to_teacher": the same with the predictions of the teacher in place of
          the true numbers.

        Those of a regressor of quantiles are, in place of the first two:

        - "d2_pinball": see :func:`sklearn.metrics.d2_pinball_score`, in the mean of the
          quantiles.
        - "pinball": see :func:`sklearn.metrics.mean_pinball_loss`, in the same mean.
          Less is better.
        - "coverage": the share of rows from the lowest quantile to the highest. It
          should be the difference of their levels.

        Those of all are:

        - "bytes": the size of the file that :func:`joblib.dump` writes without
          compression, or NaN if the model cannot be pickled. The file of a net includes
          its history, which is longer if rows are held out.
        - "row_us": microseconds for one row, the median of 20 calls of
          ``predict_proba``, or of ``predict`` of a regressor.
        - "batch_ms": milliseconds for 1,000 rows, the median of 5 calls. The test rows
          are repeated if there are fewer.
        - "fit_s": seconds of the training. That of the student includes the soft
          labels, and the teacher only if it must be fitted inside of ``fit``, for
          ``soft_labels="out_of_bag"``, or for ``alpha="auto"`` if that is measured. The
          teacher's is NaN if it was fitted before.

        Steps of a pipeline in front of the estimator count in the sizes and times of
        all models, except "fit_s".
    test_share : float
        The number of test rows of a split divided by its training rows, on average.
    has_fitted_teacher : bool
        Whether a teacher was fitted before. Then its scores and those of the student
        are too high if it was fitted on these rows.
    alpha, n_honest_rows : ndarray of shape (n_splits,)
        The weight of the teacher, and on how many honest rows it was measured, for each
        split; see :class:`~skdistill.DistilledClassifier`. NaN if alpha was not
        measured, because ``clf`` has a number or a schedule.

    See Also
    --------
    compare : Returns a comparison.
    ComparisonDisplay : Shows one metric.

    Notes
    -----
    The training sets of cross-validation overlap, so that the scores on the splits are
    not independent, and their standard deviation over the root of the number of splits
    is too small an error. The standard errors here are corrected [1]_: with :math:`J`
    splits, the variance over the splits is multiplied by
    :math:`1 / J + n_\text{test} / n_\text{train}` instead of :math:`1 / J`. A
    difference is called clear if it is larger than its standard error times the 95 %
    quantile of Student's t-distribution with :math:`J - 1` degrees of freedom. The
    verdict on fewer than 5 splits is that these are too few.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine
       Learning 52, 2003. https://doi.org/10.1023/A:1024068626366
    """

    results: dict[str, dict[str, Floats]]
    test_share: float
    has_fitted_teacher: bool
    alpha: Floats
    n_honest_rows: Floats

    @property
    def gap_closed(self) -> dict[str, tuple[float, float]]:
        """The share of the gap to the teacher that the student closes.

        For each score, it is the difference between the student and the net trained on
        labels alone, divided by the difference between the teacher and this net, and
        the standard error of this ratio. Both are NaN if the teacher is not clearly
        better than the net.
        """
        return {
            metric: self._share(metric) for metric in self.metrics if metric in _SIGNS
        }

    @property
    def summary(self) -> dict[str, dict[str, tuple[float, float]]]:
        """The mean and standard error of each metric, ``summary[model][metric]``.

        Under "gap closed" are the pairs of :attr:`gap_closed`, and NaN for costs.
        """
        summary = {
            model: {metric: self._spread(values) for metric, values in result.items()}
            for model, result in self.results.items()
        }
        nothing = dict.fromkeys(self.metrics, (np.nan, np.nan))
        return {**summary, "gap closed": nothing | self.gap_closed}

    @property
    def verdict(self) -> str:
        """Whether distilling was worth it, how the teacher was trusted, what to do."""
        said = f"{self._judgment()}{self._savings()}.{self._trust()} {self._next()}"
        if self.has_fitted_teacher:
            return f"If the teacher was not fitted on these rows, {said}"
        return said[0].upper() + said[1:]

    def to_frame(self) -> Any:
        """Return the means and standard errors as a data frame of pandas.

        Returns
        -------
        frame : pandas.DataFrame
            A row for each model, and the row "gap closed". The columns have two levels:
            the metric, and "mean" or "error".

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = require("pandas", "Comparison.to_frame", "pandas")
        summary = self.summary
        return pandas.DataFrame(
            {
                (metric, part): {name: row[metric][i] for name, row in summary.items()}
                for metric in self.metrics
                for i, part in enumerate(("mean", "error"))
            }
        )

    def __repr__(self) -> str:
        return f"{aligned(self._table())}\n\n{textwrap.fill(self._note, _WIDTH)}"

    def _repr_html_(self) -> str:
        return f"{html_table(self._table())}<p>{escape(self._note)}</p>"

    @property
    def _note(self) -> str:
        return f"Mean ± standard error over {self._n_splits} splits. {self.verdict}"

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics."""
        return tuple(self.results["student"])

    @property
    def _n_splits(self) -> int:
        return len(self.results["student"]["bytes"])

    def _spread(self, values: Floats) -> tuple[float, float]:
        """Return the mean over splits, and its corrected standard error."""
        factor = 1 / self._n_splits + self.test_share
        return float(values.mean()), float(np.sqrt(factor * values.var(ddof=1)))

    def _ahead(self, model: str, metric: str) -> Floats:
        """Return by how much a model is better than the net trained on labels alone."""
        own, other = (self.results[name][metric] for name in (model, "labels alone"))
        return _SIGNS[metric] * (own - other)

    def _sign(self, differences: Floats) -> int:
        """Return 1 or -1 where the mean is clearly above or below 0, else 0."""
        mean, error = self._spread(differences)
        bound = t.ppf(1 - _LEVEL, self._n_splits - 1) * error
        return int(mean > bound) - int(mean < -bound)

    def _share(self, metric: str) -> tuple[float, float]:
        gain, gap = (self._ahead(model, metric) for model in ("student", "teacher"))
        if self._sign(gap) < 1:
            return np.nan, np.nan
        share = gap_closed(gap, gain, 0)
        # The error of a ratio of means, to first order.
        _, error = self._spread((gain - share * gap) / gap.mean())
        return share, error

    def _table(self) -> list[list[str]]:
        summary = self.summary
        table = [["", *summary]]
        for metric in self.metrics:
            cells = (_cell(name, metric, row[metric]) for name, row in summary.items())
            table.append([metric, *cells])
        return table

    @property
    def _main(self) -> str:
        """The score by which a verdict is given."""
        return next(name for name in (*_POINTS, *_ERRORS) if name in self.metrics)

    @property
    def _has_few_splits(self) -> bool:
        return self._n_splits < _FEWEST_SPLITS

    @property
    def _found(self) -> tuple[int, int]:
        """The signs of the student's gain and of the gap to the teacher."""
        gain, gap = (self._ahead(model, self._main) for model in ("student", "teacher"))
        return self._sign(gain), self._sign(gap)

    @property
    def _is_undefined(self) -> bool:
        """Whether a split lacks the main score; see "average_precision"."""
        return bool(np.isnan(self.results["student"][self._main]).any())

    def _judgment(self) -> str:
        main, (helped, better) = self._main, self._found
        if self._is_undefined:
            return (
                f"{_HEADS_IF_NOT_CLEAR[1]}: some splits have no {main}, as none of the "
                "labels is in their test rows"
            )
        head = _HEADS[helped] if helped else _HEADS_IF_NOT_CLEAR[better]
        if self._has_few_splits:
            head = f"{self._n_splits} splits are too few to tell if distilling helped"
        elif helped == better == 1:
            return (
                f"distilling closes {percent(self._share(main))} of the gap in "
                f"{main} between the net trained on labels alone and the teacher"
            )
        gain, gap = (self._ahead(model, main) for model in ("student", "teacher"))
        if main in _POINTS:
            of_teacher, of_student = (
                _points(main, *self._shown(d)) for d in (gap, gain)
            )
            return (
                f"{head}: the teacher is {of_teacher}, and the student {of_student}, "
                "than the same net trained on labels alone"
            )
        unit = self.results["labels alone"][main].mean()
        if unit == 0:  # no error is a share of it
            return (
                f"{head}: the {_ERRORS[main]} of the same net trained on labels alone "
                "is 0"
            )
        of_teacher, of_student = (_errors(*self._shown(d / unit)) for d in (gap, gain))
        return (
            f"{head}: the {_ERRORS[main]} of the teacher is {of_teacher}, and that of "
            f"the student {of_student}, than that of the same net trained on labels "
            "alone"
        )

    def _shown(self, differences: Floats) -> tuple[float, str]:
        """Return the mean, and its size in hundredths, with an error if it tells."""
        mean, error = self._spread(differences)
        size = f"{100 * abs(mean):.1f}"
        return mean, size if self._has_few_splits else f"{size} ± {100 * error:.1f}"

    def _next(self) -> str:
        """Return what to do."""
        if self._is_undefined:
            return "Next, pass splits with labels in the test rows."
        if self._has_few_splits:
            return f"Next, pass cv={_FEWEST_SPLITS}, or more."
        helped, better = self._found
        step = _LABELS if helped < 0 or better < 1 else _MORE
        step = _EXPORT if helped > 0 else step
        return f"Next, {step.format(self._net_on_labels)}."

    @property
    def _net_on_labels(self) -> str:
        """The call that makes such a net of the default student."""
        if self._main == "pinball":
            return "alpha=0"
        tasks = {"rmse": "'regression'", "average_precision": "'multilabel'"}
        task = f"task={tasks[self._main]}, " if self._main in tasks else ""
        return f"make_student({task}early_stopping=True).fit(X, y)"

    def _trust(self) -> str:
        if np.isnan(self.alpha).any():
            return ""
        weight = f" The weight of the teacher, alpha = {self.alpha.mean():.2f},"
        if self.n_honest_rows.all():
            return f"{weight} was measured on rows that it has not learned from."
        if not self.has_fitted_teacher:
            return f"{weight} was not measured."
        return (
            f"{weight} is a guess, as the teacher may have learned from all rows: pass "
            "it unfitted, or rows that it has not seen, "
            "calibrate_teacher=(X_cal, y_cal), for a better student."
        )

    def _savings(self) -> str:
        student, teacher = self.results["student"], self.results["teacher"]
        parts = []
        for metric, text in _SAVINGS.items():
            ratio = student[metric].mean() / teacher[metric].mean()
            if np.isfinite(ratio):
                inverse, times = f"1/{1 / ratio:,.0f} of", f"{ratio:.2g} times"
                parts.append(text.format(inverse if ratio < 2 / 3 else times))
        return "; " + ", and ".join(parts) if parts else ""


def _cell(model: str, metric: str, spread: tuple[float, float]) -> str:
    if np.isnan(spread[0]):
        return "-"
    if model == "gap closed":
        return percent(spread)
    has_no_unit = metric in _SIGNS and metric not in {*_ERRORS, "rmse_to_teacher"}
    if has_no_unit or metric == "coverage":
        return "{:.4f} ± {:.4f}".format(*spread)
    mean, error = spread
    return f"{mean:,.0f} ± {error:,.0f}" if mean >= 100 else f"{mean:.3g} ± {error:.2g}"


def percent(spread: tuple[float, float]) -> str:
    """Return a share and its error in percent."""
    return " ± ".join(f"{100 * share:.0f} %" for share in spread)


def _errors(mean: float, size: str) -> str:
    return f"{size} % {'less' if mean >= 0 else 'more'}"


def _points(metric: str, mean: float, size: str) -> str:
    more, less = _POINTS[metric]
    return f"{size} points {more if mean >= 0 else less}"
