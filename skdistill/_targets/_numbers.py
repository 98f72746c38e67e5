"""One number, or several, for each row: what a regressor learns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, check_cv
from sklearn.utils import check_array
from sklearn.utils.validation import (
    _num_samples,
    check_consistent_length,
    column_or_1d,
)

from skdistill._targets._answer import Answer
from skdistill._targets._base import BaseTarget
from skdistill._targets._columns import dense
from skdistill._targets._trust import USUAL, most_trust, share_of_numbers
from skdistill._targets._uninformative import reason_of
from skdistill.utils._arrays import Array, Bools, Floats, Ints
from skdistill.utils._validation import is_fitted
from skdistill.utils._warnings import warn

# Below this R2 on the rows that it is said to know, a teacher is suspicious.
_SUSPICIOUS = 0.05

# The smallest share of the magnitude of a target that its spread has to be: less is
# rounding.
_ROUNDING = 16 * np.finfo(np.float64).eps


# A made row is left out if the squared difference of teacher and nets is more than so
# many times as large as in this share of the honest rows. If these are fewer than so
# many, they cannot tell it. Of 1, 4 and 9 times, the last leaves out no rows of tables
# on which they did no harm, and gains as much on energy (``benchmarks/quality.py``).
_TIMES, _USUAL_SHARE, _ENOUGH_HONEST = 9.0, 0.99, 50


@dataclass(frozen=True)
class Numbers(BaseTarget):
    """Numbers for each row, as a target: what is learned. See :class:`Classes`.

    Soft labels are the predictions of a teacher. The targets of a student are scaled:
    each has the mean 0 and the standard deviation 1, so that nothing depends on units.

    Parameters
    ----------
    extrapolation : float or None, default=None
        How far predictions may lie beyond the range of the targets, as a share of it.
    location, scale : ndarray of shape (n_targets,), default=None
        What a scaled target of 0, and a difference of 1, stand for. :meth:`learned`
        sets them.
    bounds : tuple of ndarray of shape (n_targets,), default=None
        The smallest and the largest value that is predicted.
    names : ndarray of shape (n_targets,), default=None
        The numbers of the targets. :meth:`reconcile` sets them.
    """

    extrapolation: float | None = None
    location: Any = None
    scale: Any = None
    bounds: Any = None
    names: Any = None

    task: ClassVar[str] = "regression"
    losses_for: ClassVar[str] = "regression"
    default_loss: ClassVar[str] = "squared_error"
    link: ClassVar[str] = "identity"  # from predictions to outputs of a net
    of_columns: ClassVar[str] = "targets"
    given: ClassVar[str] = "teacher_pred"
    dtype: ClassVar[type] = np.float64

    def check_y(self, y: Any, X: Any) -> Floats:
        """Return targets as a 1-D or 2-D array, a row for each of ``X``."""
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        return y

    def folds(self, cv: Any, X: Any, y: Array) -> list[tuple[Any, Any]]:
        """Return the training rows and the held-out rows of each fold.

        Rows of an int are shuffled, as tables are often sorted by what is predicted.
        """
        if cv is None or isinstance(cv, int | np.integer):
            n_splits = min(5 if cv is None else cv, len(y))
            cv = KFold(n_splits, shuffle=True, random_state=0)
        return list(check_cv(cv, y).split(X, y))

    def hold_out(self, y: Array, size: int) -> Bools:
        """Return which rows nets that learn the targets hold out, always the same."""
        is_held = np.zeros(len(y), bool)
        is_held[np.random.RandomState(0).choice(len(y), size, replace=False)] = True
        return is_held

    # Teachers

    def check_teacher(self, teacher: Any, y: Any = None) -> None:
        """Raise a TypeError for what cannot be a teacher."""
        name = type(teacher).__name__
        if isinstance(teacher, type):
            problem = f"is the class {teacher.__name__}; pass an instance of it"
        elif hasattr(teacher, "__array__"):
            problem = "is an array; pass predictions to fit(X, y, teacher_pred=...)"
        elif callable(teacher) and not hasattr(teacher, "predict"):
            problem = (
                f"{name} is a module or function: pass it as "
                "TorchTeacher(module, output='values')"
            )
        elif not (hasattr(teacher, "predict") or hasattr(teacher, "fit")):
            problem = f"must be a regressor, got {teacher!r:.80}"
        elif isinstance(teacher, BaseEstimator) and is_classifier(teacher):
            problem = (
                f"{name} is a classifier, and a teacher of DistilledRegressor is a "
                "regressor; use DistilledClassifier"
            )
        elif not hasattr(teacher, "predict") and is_fitted(teacher):
            problem = f"{name} has no predict"
        else:
            return
        raise TypeError(f"teacher {problem}")

    def describe(self, y: Array) -> str:
        if y.ndim == 1:
            return "a target"
        return (
            f"{y.shape[1]} targets. Of a regressor of a single target, "
            "sklearn.multioutput.MultiOutputRegressor makes one of several"
        )

    def ask(self, teacher: Any, X: Any) -> Any:
        return teacher.predict(X)

    def plain(self, said: Any, teacher: Any) -> Array:
        said = np.asarray(said)
        return said.reshape(len(said), -1)

    def checked(self, said: Any, teacher: Any, n_rows: int) -> Answer:
        return self._as_answer(said, n_rows, f"teacher {type(teacher).__name__}")

    def out_of_bag(self, forest: Any) -> tuple[Floats, Bools]:
        """Return the out-of-bag predictions of a forest, and which rows have none."""
        values = np.nan_to_num(forest.oob_prediction_.astype(np.float64))
        values = values.reshape(len(values), -1)
        seen_by_all = reduce(np.intersect1d, forest.estimators_samples_)
        return values, np.isin(np.arange(len(values)), seen_by_all)

    def from_given(
        self, teacher_pred: ArrayLike, X: Any, y: Any, known: Any = None
    ) -> Answer:
        """Return precomputed predictions, checked."""
        answer = self._as_answer(teacher_pred, _num_samples(X), "teacher_pred")
        self.reconcile(answer.columns, y)
        return answer

    def _as_answer(self, said: Any, n_rows: int, name: str) -> Answer:
        """Return predictions of shape (n_rows,) or (n_rows, n_targets), checked."""
        values = dense(said)
        if values.dtype.kind not in "biuf":
            try:
                values = np.asarray(values.tolist(), np.float64)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"{name} must give numbers, got {values.dtype}"
                ) from error
        if values.ndim not in (1, 2) or len(values) != n_rows:
            raise ValueError(
                f"{name} gives shape {values.shape}, expected ({n_rows},) or "
                f"({n_rows}, n_targets)"
            )
        values = values.reshape(n_rows, -1).astype(np.float64)
        if n_bad := (~np.isfinite(values)).any(axis=1).sum():
            raise ValueError(
                f"{name} gives NaN or infinity for {n_bad} of {n_rows} rows: leave "
                "these rows out, or use another teacher"
            )
        return Answer(values, np.arange(values.shape[1]))

    def calibration(self, *said: Any) -> Any:
        """Return None: predictions of numbers have no temperature."""

    matching_temperature = labeled_temperature = calibration

    # Names

    def reconcile(
        self, columns: Any, y: Any, known: Any = None, fits_teacher: bool = False
    ) -> tuple[Array, Numbers]:
        """Give the targets numbers; raise a ValueError if an answer has others."""
        if y is None:
            return columns, replace(self, names=columns)
        n_targets = 1 if y.ndim == 1 else y.shape[1]
        if columns is not None and len(columns) != n_targets:
            raise ValueError(
                f"the teacher gives {len(columns)} numbers for each row, and y has "
                f"{n_targets}: pass a teacher of the targets of y"
            )
        names = np.arange(n_targets)
        return names, replace(self, names=names)

    def learned(self, values: Array, y: Array | None, weight: Any) -> Numbers:
        """Return the target with the scales of what a student learns.

        These are those of ``y``, if there is one, and otherwise those of the values
        that the teacher gives. No prediction is beyond the range of both. Rows of the
        weight 0 do not count; the values of rows beyond these have none.
        """
        if weight is not None and weight.any():
            counts = np.flatnonzero(weight)
            values = np.concatenate([values[counts], values[len(weight) :]])
            y = None if y is None else y[counts]
            weight = weight[counts] / weight.max()  # their sum may be infinite
        own = values if y is None else y.reshape(len(y), -1)
        weight = None if y is None else weight
        largest = np.abs(own).max(axis=0)
        largest = np.where(largest > 0, largest, 1.0)
        share = own / largest  # squares of very large or small numbers have no place
        mean = np.average(share, axis=0, weights=weight)
        spread = np.sqrt(np.average((share - mean) ** 2, axis=0, weights=weight))
        location = mean * largest
        scale = np.where(spread > _ROUNDING, spread * largest, 1.0)
        low, high = (
            edge([edge(part, axis=0) for part in (own, values)], axis=0)
            for edge in (np.min, np.max)
        )
        bounds = None
        if self.extrapolation is not None:
            margin = self.extrapolation * (high - low)
            bounds = low - margin, high + margin
        return replace(
            self,
            location=location,
            scale=scale,
            bounds=bounds,
            names=np.arange(len(scale)),
        )

    # The targets of a student

    def clipped(self, soft_labels: Array) -> Array:
        """Return soft labels: numbers have no bound."""
        return soft_labels

    def soft(self, answer: Answer) -> Floats:
        """Return the soft targets, scaled, float32 of shape (n_samples, n_targets)."""
        return self._scaled(answer.values)

    def hard(self, soft: Floats, y: Array | None) -> Floats:
        """Return the hard targets, scaled; those of rows without any are the soft."""
        hard: Floats = soft.copy()
        if y is not None:
            hard[: len(y)] = self._scaled(y.reshape(len(y), -1))
        return hard

    def share(
        self, first: Any, second: Any, hard: Any, weight: Any, usual: float = USUAL
    ) -> float:
        """Return the share of a model in its best mixture with a second one."""
        return share_of_numbers(first - hard, second - hard, weight, usual)

    def share_of_nets(self, first: Any, second: Any, hard: Any, weight: Any) -> float:
        """Return the weight of one kind of nets in the mean with a second kind."""
        return self.share(first, second, hard, weight, usual=0.5)

    def most_trust(
        self, nets: Any, hard: Any, weight: Any, said_extra: Any, nets_extra: Any
    ) -> float:
        """Return a bound of the trust in a teacher of which no honest row is known.

        The errors are squared. Those of the nets are no smaller than they seem, as
        there is noise in the targets.
        """
        error = np.average(self.losses(nets, hard), weights=weight)
        difference = self.losses(said_extra, nets_extra).mean()
        return most_trust(float(error), float(difference))

    def far_apart(self, said: Any, nets: Any, said_made: Any, nets_made: Any) -> Ints:
        """Return the made rows that are unlike real ones, by their numbers.

        Teacher and nets are more than three times as far apart there as on 99 % of the
        honest rows, which neither has seen. Far from the data, a Gaussian process or a
        polynomial may say anything, and a squared error has no bound.
        """
        if len(said) < _ENOUGH_HONEST:
            return np.arange(0)
        usual = np.quantile(self.losses(said, nets), _USUAL_SHARE)
        return np.flatnonzero(self.losses(said_made, nets_made) > _TIMES * usual)

    def warn_if_uninformative(
        self, soft: Any, hard: Any, weight: Any, **how: bool
    ) -> None:
        """Warn about a teacher that is no better than the mean."""
        if len(soft) < 2 or not weight.any() or not hard.std(axis=0).any():
            return
        score = r2_score(hard, soft, sample_weight=weight)
        if score < _SUSPICIOUS:
            rows = "on targets of another scale, or the rows of teacher_pred"
            reason = reason_of(how.get("fitted_here", False), rows)
            warn("SKD101", f"the R2 of the teacher on (X, y) is {score:.3f}: {reason}")

    def _scaled(self, values: Array) -> Floats:
        self._check_width(values)
        scaled: Array = (values - self.location) / self.scale
        return scaled.astype(np.float32)

    # What outputs of a net stand for, and the loss, on tensors with a column for each
    # row, and on arrays with a row for each

    def best(self, soft: Any) -> None:
        """Return what the teacher names: there are no classes."""

    def agrees(self, outputs: Any, best: Any) -> Any:
        """Do nothing: nobody asks whether numbers agree."""

    def slope(self, n_outputs: int) -> float:
        """Return the factor of the gradient of :meth:`deviance`."""
        return 2 / n_outputs

    def mean(self, outputs: Any) -> Any:
        """Return the numbers that outputs stand for: themselves.

        The gradient of :meth:`deviance` in the outputs is this less the target, times
        the slope.
        """
        return outputs

    def deviance(self, outputs: Any, target: Any) -> Any:
        """Return the squared error of each target, divided by their number."""
        return (outputs - target) ** 2 / len(outputs)

    def expected(self, outputs: Array) -> Floats:
        """Return the scaled numbers that outputs, or soft targets, stand for."""
        return outputs.astype(np.float32)

    def losses(self, said: Floats, hard: Floats) -> Floats:
        return ((said - hard) ** 2).mean(axis=1, dtype=np.float64)

    # The outputs of a student

    def decode(self, outputs: Array) -> Array:
        y = outputs * self.scale + self.location
        if self.bounds is not None:
            y = y.clip(*self.bounds)
        return y[:, 0] if y.shape[1] == 1 else y
