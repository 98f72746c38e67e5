"""Temperature scaling: one temperature for all answers of a teacher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from skdistill._targets._answer import Answer
from skdistill._targets._columns import pairs
from skdistill.utils._arrays import Array, Floats, Ints

# If a teacher is right on all rows, a lower temperature is always better.
BOUNDS = (0.05, 20.0)

# The bounds of a temperature that nets, and not labels, determine: it is less certain.
_MATCHED_BOUNDS = (1 / 3, 3.0)

# The temperature of the smallest cross-entropy relative to another model is too high by
# this factor: see matching_temperature.
_EXCESS = 1.3

# The standard deviation of the logarithm of the temperature that nets suggest, relative
# to that of the labels.
_DEVIATION = 0.3

_LOG_2 = np.log(2.0)


@dataclass(frozen=True)
class Calibration:
    """The temperature scaling that was found on some rows.

    Attributes
    ----------
    temperature : float
        The divisor of the logits.
    floor : float
        The logarithm of the value that takes the place of a probability of 0. A forest
        of 100 trees gives 0 for less than 1/100, so the value is half the smallest
        probability above 0 in the rows of the calibration, or in the row itself, if
        that is smaller.
    of_labels : bool, default=False
        Whether it is about the probabilities of labels, each of which holds or not.
    """

    temperature: float
    floor: float
    of_labels: bool = False

    def __call__(self, answer: Answer) -> Answer:
        """Return an answer of the same teacher with calibrated probabilities."""
        honest = answer.honest
        if honest is not None:
            honest = self._scaled(honest, answer.are_logits)
        values = self._scaled(answer.values, answer.are_logits)
        return replace(answer, values=values, honest=honest, calibration=self)

    def _scaled(self, values: Floats, are_logits: bool) -> Floats:
        given = pairs(values) if self.of_labels else values
        logits = _with_floor(_logits(given, are_logits), self.floor)
        scaled = log_softmax(logits / self.temperature, axis=1)
        scaled = scaled if are_logits else np.exp(scaled)
        scaled = scaled[:, 1].reshape(values.shape) if self.of_labels else scaled
        return np.asarray(scaled, np.float32)


def calibration_on(
    answer: Answer, y: Array, sample_weight: ArrayLike | None = None
) -> Calibration:
    """Find the temperature at which the labels of rows have the smallest log loss.

    The teacher that gave the answer was not fitted on the rows. The columns of the
    answer are named as the classes are in ``y``.
    """
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
    weight = weight / (weight.max(initial=0.0) or 1.0)  # their sum may be infinite
    counts = weight > 0
    labels = np.unique(y[counts])
    unknown = np.setdiff1d(labels, answer.columns)
    if len(unknown):
        raise ValueError(
            f"the rows that calibrate the teacher have labels that it does not know: "
            f"{unknown[:6].tolist()}. Leave them out, or name its columns by classes="
        )
    if len(labels) < 2:
        raise ValueError(
            "the rows that calibrate the teacher must be of at least 2 classes, not "
            f"{labels.tolist()}: pass calibrate_teacher=(X_cal, y_cal), or another cv"
        )
    logits = _logits(answer.values, answer.are_logits)[counts]
    floor = float(_smallest(logits).min()) - _LOG_2
    logits = _with_floor(logits, floor)
    column = {label: number for number, label in enumerate(answer.columns.tolist())}
    target = np.array([column[label] for label in y[counts].tolist()])[:, np.newaxis]

    def log_loss(log_proba: Floats) -> float:
        of_label = np.take_along_axis(log_proba, target, axis=1)[:, 0]
        return -float(np.average(of_label, weights=weight[counts]))

    return Calibration(_best_temperature(logits, log_loss), floor)


def matching_temperature(logits: Floats, proba: Floats) -> float:
    """Return the temperature at which a teacher is as confident as another model.

    It is meant for rows without labels. On the training rows a teacher is more
    confident than on others. The temperature that minimizes the cross-entropy of the
    teacher's probabilities relative to those of nets that were trained on the labels,
    ``proba``, also pays for what the two disagree in. On eleven data sets, it was 1.2
    to 1.9 times the temperature that the labels of other rows give. It is divided by
    1.3: with 1.45 and 1.6, students were no better.
    """

    def cross_entropy(log_proba: Floats) -> float:
        return -float(np.vdot(proba, log_proba)) / len(proba)

    found = _best_temperature(logits.astype(np.float64), cross_entropy)
    return float(np.clip(found / _EXCESS, *_MATCHED_BOUNDS))


def labeled_temperature(
    logits: Floats, labels: Ints, weight: Floats, suggested: float
) -> float:
    """Return the temperature at which rows that a teacher has not seen are likeliest.

    ``labels`` are the positions of the right columns. Where the rows are few, the
    temperature is near the one that is ``suggested`` by another measure.
    """
    rows = np.arange(len(labels))

    def loss(log_proba: Floats) -> float:
        return -float(weight @ log_proba[rows, labels])

    def prior(log_temperature: float) -> float:
        distance = (log_temperature - np.log(suggested)) / _DEVIATION
        return float(distance**2 / 2)

    return _best_temperature(logits.astype(np.float64), loss, prior)


def _best_temperature(
    logits: Floats,
    loss: Callable[[Floats], float],
    prior: Callable[[float], float] = lambda log_temperature: 0.0,
) -> float:
    """Return the temperature at which log-probabilities have the smallest loss."""
    found = minimize_scalar(
        lambda log: prior(log) + loss(log_softmax(logits / np.exp(log), axis=1)),
        bounds=np.log(BOUNDS),
        method="bounded",
    )
    return float(np.exp(found.x))


def _logits(values: Floats, are_logits: bool) -> Floats:
    logits = values.astype(np.float64)
    if are_logits:
        return logits
    with np.errstate(divide="ignore"):
        return np.log(logits)


def _smallest(logits: Floats) -> Floats:
    """Return the smallest finite logit of each row, as a column."""
    return logits.min(axis=1, keepdims=True, where=np.isfinite(logits), initial=0.0)


def _with_floor(logits: Floats, floor: float) -> Floats:
    """Replace the logarithms of 0, and keep the order of the classes in a row."""
    floors = np.minimum(floor, _smallest(logits) - _LOG_2)
    return np.where(np.isneginf(logits), floors, logits)
