"""Several labels for each row, each of which holds or not: what a classifier learns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, xlogy
from sklearn.ensemble import StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.utils import _safe_indexing
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import (
    _num_samples,
    assert_all_finite,
    check_consistent_length,
)

from skdistill._targets._answer import Answer
from skdistill._targets._base import BaseTarget
from skdistill._targets._calibration import (
    Calibration,
    calibration_on,
    labeled_temperature,
    matching_temperature,
)
from skdistill._targets._classes import Classes, check_classifier
from skdistill._targets._columns import dense, pairs, resolve_clip
from skdistill._targets._trust import share_of_classes
from skdistill._targets._uninformative import reason_of
from skdistill.utils._arrays import Array, Bools, Floats, Ints
from skdistill.utils._unwrap import is_search, last_step
from skdistill.utils._validation import require_target
from skdistill.utils._warnings import warn

# Below this area under the curve on rows that it is said to know, a teacher is
# suspicious, if there are so many of them.
_SUSPICIOUS, _ENOUGH_ROWS = 0.55, 20

# Soft labels that differ from the labels by less than this, in their mean, add nothing.
_EQUAL = 0.005

# Probabilities of classes sum to 1, but for rounding.
_OF_CLASSES = 1e-4


@dataclass(frozen=True)
class Labels(BaseTarget):
    """Several labels for each row, as a target: what is learned. See :class:`Classes`.

    Soft labels are the probabilities of the labels, a soft target is a row of their
    logits, and a hard target is a row of 0 and 1. Each label of a row is a choice of
    two classes. What is a mean over rows for classes is one over rows and labels here,
    but for the loss, which is the sum over the labels, in the mean over rows.

    Parameters
    ----------
    class_weight : list of dict, "balanced", ndarray or None, default=None
        The weights of 0 and 1 of each label, as scikit-learn has them for several
        labels; :meth:`with_weights_of` makes an array of shape (2, n_labels) of them.
    proba_clip : float, "auto" or None, default="auto"
        The smallest probability of a label, or of its absence; None for no bound.
    names : ndarray of shape (n_labels,), default=None
        The numbers of the labels. :meth:`reconcile` sets them.
    """

    class_weight: Any = None
    proba_clip: float | str | None = "auto"
    names: Any = None

    task: ClassVar[str] = "multilabel"
    of_columns: ClassVar[str] = "labels"

    def check_y(self, y: Any, X: Any) -> Ints:
        """Return labels as an indicator matrix, a row for each of ``X``."""
        y = check_indicator(y)
        check_consistent_length(X, y)
        return y

    def weighted(self, y: Any, sample_weight: Any) -> Any:
        """Return the weights of rows, multiplied by the means of those of labels."""
        if y is None or self.class_weight is None:
            return sample_weight
        by_row = self.with_weights_of(y).row_weights(y, y)
        return by_row if sample_weight is None else by_row * sample_weight

    def folds(self, cv: Any, X: Any, y: Array) -> list[tuple[Any, Any]]:
        """Return the training rows and the held-out rows of each fold.

        Those of an int are stratified by the rarest label of a row.
        """
        by_rows = cv is None or isinstance(cv, int | np.integer)
        return Classes().folds(cv, X, _rarest(y) if by_rows else y)

    def hold_out(self, y: Array, size: int) -> Bools:
        """Return which rows nets that learn the labels hold out, always the same."""
        return Classes().hold_out(_rarest(y), size)

    # Teachers

    def check_teacher(self, teacher: Any, y: Any = None) -> None:
        """Raise a TypeError for what cannot be a teacher."""
        check_classifier(
            teacher,
            "pass it as TorchTeacher(module, output='label_logits')",
            "pass MultiOutputClassifier(CalibratedClassifierCV(...))",
        )
        if isinstance(_inside(teacher), StackingClassifier):
            raise TypeError(
                "teacher StackingClassifier gives wrong probabilities of several "
                "labels: pass MultiOutputClassifier(StackingClassifier(...))"
            )

    def check_known(self, labels: Any, source: str) -> None:
        """Do nothing: ``y`` tells how many labels there are."""

    def describe(self, y: Array) -> str:
        constant = np.flatnonzero((y == y[0]).all(axis=0)).tolist()
        if constant:
            same = f"of which {constant[:6]} are the same in all rows"
            return f"{y.shape[1]} labels, {same}"
        return (
            f"{y.shape[1]} labels. Of a classifier of a single label, "
            "sklearn.multioutput.MultiOutputClassifier makes one of several"
        )

    def ask(self, teacher: Any, X: Any) -> Any:
        said = teacher.predict_proba(X)
        if may_be_classes(said) and _predicts_one(teacher, X):
            raise ValueError(
                f"teacher {type(teacher).__name__} gives the classes of one label, "
                "and y has several labels for each row: pass a teacher that was "
                "fitted on all of them, such as a MultiOutputClassifier"
            )
        return said

    def plain(self, said: Any, teacher: Any) -> Array:
        if not isinstance(said, list):
            return dense(said)
        classes = getattr(teacher, "classes_", [(0, 1)] * len(said))
        parts = zip(map(dense, said), map(np.asarray, classes), strict=True)
        return np.stack([_of_label(*part) for part in parts], axis=1)

    def checked(self, said: Any, teacher: Any, n_rows: int) -> Answer:
        name = f"teacher {type(teacher).__name__}"
        try:
            values = self.plain(said, teacher)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{name} gives no probabilities of labels: {error}"
            ) from error
        return _as_answer(values, n_rows, name)

    def out_of_bag(self, forest: Any) -> tuple[Floats, Bools]:
        proba = np.nan_to_num(forest.oob_decision_function_).astype(np.float32)
        return proba[:, 1], proba.sum(axis=1).min(axis=1) < 0.5

    def from_given(
        self, teacher_proba: ArrayLike, X: Any, y: Any, known: Any = None
    ) -> Answer:
        """Return precomputed soft labels, checked."""
        answer = _as_answer(dense(teacher_proba), _num_samples(X), "teacher_proba")
        self.reconcile(answer.columns, y)
        return answer

    def calibration(
        self, answer: Answer, y: Array, sample_weight: Any = None
    ) -> Calibration:
        """Find the temperature at which the labels of rows have the smallest log loss.

        All labels share one. With one for each, the log loss of other rows was less by
        another 0.1 to 1 % in a trial, which is little beside what the first one gains.
        """
        both = replace(answer, values=pairs(answer.values), columns=np.arange(2))
        if sample_weight is not None:
            sample_weight = np.repeat(sample_weight, y.shape[1])
        found = calibration_on(both, y.ravel(), sample_weight)
        return replace(found, of_labels=True)

    # Names

    def reconcile(
        self, columns: Any, y: Any, known: Any = None, fits_teacher: bool = False
    ) -> tuple[Array, Labels]:
        """Give the labels numbers; raise a ValueError if an answer has others."""
        if y is None:
            return columns, replace(self, names=columns)
        names = np.arange(y.shape[1])
        for source, found in (("the teacher", columns), ("classes=", known)):
            if found is not None and len(found) != len(names):
                raise ValueError(
                    f"{source} gives {len(found)} labels for each row, and y has "
                    f"{len(names)}: pass all labels of y, in their order"
                )
        return names, replace(self, names=names)

    def check_learnable(self, previous: Array | None) -> None:
        """Raise a ValueError if a student with warm_start knows other labels."""
        if previous is not None and len(previous) != len(self.names):
            raise ValueError(
                f"a student with warm_start must keep its labels: it had "
                f"{len(previous)}, and would get {len(self.names)}"
            )

    # The targets of a student

    def clipped(self, soft_labels: Floats) -> Floats:
        """Return soft labels that are not nearer to 0 and 1 than ``proba_clip``."""
        if self.proba_clip is None:
            return soft_labels
        proba: Floats = expit(self._logits(soft_labels))
        return proba

    def soft(self, answer: Answer) -> Floats:
        """Return the soft targets: logits, float32 of shape (n_samples, n_labels)."""
        self._check_width(answer.values)
        return self._logits(answer.values)

    def _logits(self, proba: Floats) -> Floats:
        """Return logits as those of two classes, of which each is clipped."""
        smallest = resolve_clip(self.proba_clip or "auto", 2)
        absence, presence = np.moveaxis(np.maximum(pairs(proba), smallest), -1, 0)
        logits: Array = np.log(presence) - np.log(absence)
        return logits.reshape(proba.shape).astype(np.float32)

    def hard(self, soft: Floats, y: Array | None) -> Floats:
        """Return the hard targets. Rows without any have what the teacher names."""
        hard = (soft > 0).astype(np.float32)
        if y is not None:
            self._check_width(y)
            hard[: len(y)] = y
        return hard

    def with_weights_of(self, y: Array | None) -> Labels:
        """Return the target with the weights of labels that "balanced" stands for."""
        given = self.class_weight
        if given is None or isinstance(given, np.ndarray):
            return self
        if isinstance(given, str):
            columns = require_target(y, f"class_weight={given!r}").T
            weights = np.stack([_balanced(column) for column in columns])
        else:
            n_labels = len(self.names) if y is None else y.shape[1]
            weights = _checked_weights(given, n_labels)
        return replace(self, class_weight=weights.T)

    def row_weights(self, soft: Floats, y: Array | None) -> Floats | None:
        """Return the mean weight of the labels of each row; None if all are equal.

        A label that nobody has given has the expected weight by its soft target.
        """
        if self.class_weight is None:
            return None
        hard = expit(soft).astype(np.float64)
        if y is not None:
            hard[: len(y)] = y
        by_row: Floats = self._weights(hard).mean(axis=1)
        return by_row

    def output_weights(self, hard: Floats) -> Floats | None:
        """Return the weights of the labels of a row, relative to their mean.

        None if all are equal.
        """
        if self.class_weight is None:
            return None
        weights = self._weights(hard)
        mean = weights.mean(axis=1, keepdims=True)
        ones = np.ones_like(weights)
        return np.divide(weights, mean, out=ones, where=mean > 0).astype(np.float32)

    def _weights(self, hard: Array) -> Floats:
        absence, presence = self.class_weight
        weights: Floats = (1 - hard) * absence + hard * presence
        return weights

    def matching_temperature(self, logits: Floats, proba: Floats) -> float:
        """Return the temperature at which a teacher is as confident as nets."""
        return matching_temperature(_pairs_of_logits(logits), pairs(proba))

    def labeled_temperature(
        self, soft: Any, hard: Any, weight: Any, suggested: float
    ) -> float:
        """Return the temperature that the labels of rows tell, near the suggested."""
        known = self._flat(hard, weight)
        return labeled_temperature(_pairs_of_logits(soft), *known, suggested)

    def share(self, first: Any, second: Any, hard: Any, weight: Any) -> float:
        """Return the share of a model in its best mixture with a second one."""
        known = self._flat(hard, weight)
        return share_of_classes(pairs(first), pairs(second), *known)

    def _flat(self, hard: Floats, weight: Array) -> tuple[Ints, Array]:
        """Return the class of each label of each row, and its weight."""
        flat = np.repeat(weight, hard.shape[1])
        by_output = self.output_weights(hard)
        flat = flat if by_output is None else flat * by_output.ravel()
        return hard.ravel().astype(np.int64), flat

    def most_trust(self, *said: Any) -> float:
        """Return a bound of the trust in a teacher of which no honest row is known.

        Probabilities tell none.
        """
        return 1.0

    def warn_if_uninformative(
        self, soft: Any, hard: Any, weight: Any, **how: bool
    ) -> None:
        """Warn about a teacher that does not tell the rows of a label from others.

        Also warn if it tells nothing but the labels.
        """
        varies = hard.min(axis=0, initial=1) < hard.max(axis=0, initial=0)
        if not varies.any():
            return
        if len(hard) >= _ENOUGH_ROWS:
            _warn_of_chance(soft[:, varies], hard[:, varies], **how)
        if how.get("alone", True) and np.abs(expit(soft) - hard).mean() < _EQUAL:
            warn(
                "SKD102",
                "the soft labels are equal to y, so that they add nothing: use "
                "soft_labels='out_of_fold' or 'out_of_bag', or other rows",
            )

    # What outputs of a net stand for, and the loss, on tensors with a column for each
    # row, and on arrays with a row for each

    def times(self, n_outputs: int) -> int:
        """Return how many times a loss of torch the loss of a row is.

        Those of torch are means over the labels.
        """
        return n_outputs

    def compared(self, student: Any, teacher: Any, y: Any, weight: Any) -> Any:
        """Return a batch as losses on logits compare it: each label in a row."""
        zeros = student.new_zeros(student.numel())
        student, teacher = (
            zeros.new_tensor([0.0, 1.0]) * z.flatten().unsqueeze(1)
            for z in (student, teacher)
        )
        if y is not None:
            y = (y.flatten() > 0.5).long()
        if weight is not None:
            n_outputs = len(student) // len(weight)
            weight = weight.reshape(len(weight), -1).expand(-1, n_outputs).flatten()
        return student, teacher, y, weight

    def best(self, soft: Any) -> Any:
        """Return which labels the teacher names."""
        return soft > 0

    def agrees(self, outputs: Any, best: Any) -> Any:
        """Return the share of the labels on which student and teacher agree, by row."""
        return ((outputs > 0) == best).float().mean(dim=1)

    def mean(self, outputs: Any) -> Any:
        return outputs.sigmoid()

    def deviance(self, outputs: Any, target: Any) -> Any:
        """Return the cross-entropy of each label."""
        return outputs.logaddexp(0 * outputs) - target * outputs

    def expected(self, outputs: Array) -> Floats:
        return np.asarray(expit(outputs), np.float32)

    def losses(self, said: Floats, hard: Floats) -> Floats:
        presence, absence = (
            np.maximum(p.astype(np.float64), 1e-30) for p in (said, 1 - said)
        )
        losses = -xlogy(hard, presence) - xlogy(1 - hard, absence)
        if (weights := self.output_weights(hard)) is not None:
            losses *= weights
        total: Floats = losses.sum(axis=1)
        return total

    # The outputs of a student

    def decode(self, soft_labels: Array) -> Ints:
        """Return what ``predict`` returns: an indicator matrix."""
        return (soft_labels > 0.5).astype(np.int64)


def are_labels(y: Any) -> bool:
    """Tell whether ``y`` is a matrix, with a column for each of several labels."""
    try:
        shape: Any = y.shape if hasattr(y, "shape") else np.asarray(y).shape
    except ValueError:  # numpy's, for lists of different lengths
        return False
    return len(shape) == 2 and shape[1] > 1


def check_indicator(y: Any) -> Ints:
    """Return an indicator matrix of int64; raise a ValueError for anything else."""
    y = dense(y)
    assert_all_finite(y, input_name="y")
    if type_of_target(y, input_name="y") == "multiclass-multioutput":
        raise ValueError(
            "y has several targets of several classes each: fit a student for each "
            "target, as sklearn.multioutput.MultiOutputClassifier does: "
            "MultiOutputClassifier(DistilledClassifier(...))"
        )
    if y.ndim != 2 or not np.isin(y, (0, 1)).all():
        raise ValueError(
            "several labels a row are an indicator matrix of 0 and 1, of shape "
            f"(n_samples, n_labels); y has the shape {y.shape} and the values "
            f"{np.unique(y)[:6].tolist()}. MultiLabelBinarizer makes one"
        )
    return y.astype(np.int64)


def names_labels(teacher: Any) -> bool:
    """Tell whether a fitted teacher says how likely each of several labels is."""
    inside = _inside(teacher)
    classes = getattr(inside, "classes_", None)
    if isinstance(classes, list) and len(classes) > 1:
        return all(np.ndim(one) == 1 for one in classes)
    if getattr(inside, "out_activation_", None) == "logistic":  # a perceptron
        return bool(inside.n_outputs_ > 1)
    return bool(getattr(inside, "multilabel_", False))


def _inside(teacher: Any) -> Any:
    """Return the estimator inside of pipelines and searches."""
    _, last = last_step(teacher)
    if isinstance(last, FrozenEstimator) or is_search(last):
        return _inside(getattr(last, "best_estimator_", last.estimator))
    return last


def _warn_of_chance(
    soft: Any, hard: Any, fitted_here: bool = False, **how: bool
) -> None:
    """Warn if a teacher does not rank the rows with a label above the others."""
    area = float(roc_auc_score(hard, soft, average="macro"))
    if area < _SUSPICIOUS:
        warn(
            "SKD101",
            f"the teacher's area under the ROC curve on (X, y) is {area:.3f} in the "
            f"mean of the labels, and 0.5 is chance: {reason_of(fitted_here)}",
        )


def _rarest(y: Array) -> Ints:
    """Return the rarest label of each row, by its number; -1 where there is none."""
    order = y.sum(axis=0).argsort(kind="stable")
    first = y[:, order].argmax(axis=1)
    return np.where(y.any(axis=1), order[first], -1)


def _of_label(proba: Array, classes: Array) -> Array:
    """Return how likely a label is, given the probabilities of its classes.

    There is one class if the label was the same in all rows.
    """
    if not np.isin(classes, (0, 1)).all():
        raise ValueError(
            f"of one of several targets, it knows the classes {classes.tolist()[:6]}, "
            "and a label is 0 or 1"
        )
    if len(classes) == 1:
        return np.full(len(proba), float(classes[0]))
    return proba @ (classes == 1)


def _balanced(label: Ints) -> Floats:
    """Return the weights with which both values of a label count as much."""
    present, weights = np.unique(label), np.ones(2)
    weights[present] = compute_class_weight("balanced", classes=present, y=label)
    return weights


def _checked_weights(given: Any, n_labels: int) -> Floats:
    """Return the weights of 0 and 1 of each label; raise a ValueError for others."""
    parts = given if isinstance(given, list | tuple) else ()
    sound = len(parts) == n_labels and all(
        isinstance(one, dict) and one.keys() <= {0, 1} for one in parts
    )
    if sound:
        weights = np.array([[one.get(0, 1.0), one.get(1, 1.0)] for one in parts])
        if (np.isfinite(weights) & (weights >= 0)).all():
            return weights
    raise ValueError(
        "class_weight of several labels is 'balanced' or a list with the finite "
        f"weights of 0 and 1 for each of the {n_labels} labels, such as "
        f"{[{0: 1, 1: 5}] * min(n_labels, 2)} of two, got {given!r:.80}"
    )


def _pairs_of_logits(logits: Array) -> Array:
    return np.stack([0 * logits, logits], axis=-1).reshape(-1, 2)


def _as_answer(values: Any, n_rows: int, name: str) -> Answer:
    """Return probabilities of shape (n_rows, n_labels), checked."""
    values = np.asarray(values)
    if values.ndim != 2 or len(values) != n_rows:
        raise ValueError(
            f"{name} gives soft labels of shape {values.shape}, expected ({n_rows}, "
            "n_labels): a probability for each label of each row"
        )
    if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        raise ValueError(f"{name} contains NaN, infinity or something but numbers")
    if values.min(initial=0) < 0 or values.max(initial=0) > 1 + 1e-6:
        raise ValueError(
            f"{name} contains values from {values.min():.3g} to {values.max():.3g}, "
            "which are no probabilities. Logits need a sigmoid first"
        )
    return Answer(values.astype(np.float32).clip(0, 1), np.arange(values.shape[1]))


def may_be_classes(said: Any) -> bool:
    """Tell whether rows sum to 1, as the probabilities of classes do."""
    if isinstance(said, list) and np.ndim(said[0]) == 2:  # an array for each label
        return False
    proba = np.asarray(dense(said))
    sums = proba.sum(axis=-1) if proba.dtype.kind in "biuf" else np.empty(0)
    return sums.size > 0 and bool(np.abs(sums - 1).max() < _OF_CLASSES)


def _predicts_one(teacher: Any, X: Any) -> bool:
    """Tell whether a teacher predicts one label for each row."""
    if not hasattr(teacher, "predict"):
        return False
    return np.ndim(teacher.predict(_safe_indexing(X, [0]))) == 1
