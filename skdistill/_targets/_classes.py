"""One class of several for each row: what a classifier learns."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, is_regressor
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    KFold,
    ShuffleSplit,
    StratifiedShuffleSplit,
    check_cv,
)
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import (
    _num_samples,
    assert_all_finite,
    check_consistent_length,
    column_or_1d,
)

from skdistill._targets._answer import Answer
from skdistill._targets._calibration import (
    Calibration,
    calibration_on,
    matching_temperature,
)
from skdistill._targets._class_names import (
    align,
    check_classes,
    order_by_name,
    reconcile,
)
from skdistill._targets._class_weight import weights_of_classes
from skdistill._targets._on_codes import OnCodes, wants_codes
from skdistill._targets._proba import (
    check_log_proba,
    check_proba,
    one_output,
    resolve_clip,
)
from skdistill._targets._uninformative import warn_if_uninformative
from skdistill.utils._frames import column_names, is_frame
from skdistill.utils._validation import is_fitted


@dataclass(frozen=True)
class Classes:
    """One class of several for each row: a :class:`Target`.

    Soft labels are class probabilities. A soft target is a row of logits, and a hard
    target the position of a label among the classes.

    Parameters
    ----------
    columns : array-like of shape (n_columns,), default=None
        The classes of the columns of a fitted teacher or of ``teacher_proba``, if the
        person says so: the parameter ``classes`` of the estimator.
    class_weight : dict, "balanced" or None, default=None
        The weights of the classes.
    proba_clip : float, "auto" or None, default="auto"
        The smallest probability; None for no bound.
    names : ndarray of shape (n_classes,), default=None
        All classes, sorted. :meth:`reconcile` sets them.
    """

    columns: Any = None
    class_weight: Any = None
    proba_clip: float | str | None = "auto"
    names: Any = None

    def check_params(self) -> None:
        if self.columns is not None:
            check_classes(self.columns)

    def check_y(self, y: Any, X: Any) -> NDArray[Any]:
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        check_consistent_length(X, y)
        return y

    def reconcile(
        self,
        columns: NDArray[Any] | None,
        y: NDArray[Any] | None,
        known: ArrayLike | None = None,
        *,
        fits_teacher: bool = False,
    ) -> tuple[NDArray[Any], Classes]:
        if known is not None:
            known = check_classes(known)
            y = known if y is None else np.concatenate([y, known])
        if columns is None:
            columns = np.unique(np.asarray(y))
        columns, names = reconcile(columns, y)
        if self.columns is not None and fits_teacher:
            names = reconcile(np.asarray(self.columns), y)[1]
        return columns, replace(self, names=names)

    def check_learnable(self, previous: NDArray[Any] | None) -> None:
        if len(self.names) < 2:
            raise ValueError(
                f"DistilledClassifier needs at least 2 classes, there is 1 class: "
                f"{self.names.tolist()[0]!r}"
            )
        if previous is not None and not np.array_equal(previous, self.names):
            raise ValueError(
                f"a student with warm_start must keep its classes: it had "
                f"{previous.tolist()}, and would get {self.names.tolist()}"
            )

    def encode(self, y: NDArray[Any]) -> NDArray[np.int64]:
        if not self.are_known(y, self.names).all():
            raise ValueError(
                f"y has labels that are not in classes_: "
                f"{np.setdiff1d(y, self.names).tolist()}. The first call of "
                "partial_fit must be told of all of them by classes="
            )
        return np.searchsorted(self.names, y)

    def decode(self, soft_labels: NDArray[Any]) -> NDArray[Any]:
        labels: NDArray[Any] = self.names[soft_labels.argmax(axis=1)]
        return labels

    def are_known(self, y: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.bool_]:
        return np.isin(y, labels)

    def check_teacher(self, teacher: Any) -> None:
        if isinstance(teacher, type):
            raise TypeError(
                f"teacher is the class {teacher.__name__}; pass an instance of it"
            )
        name = type(teacher).__name__
        has_proba = hasattr(teacher, "predict_proba")
        if callable(teacher) and not has_proba:
            raise TypeError(
                f"teacher {name} is a module or function, which does not say what "
                "classes its columns stand for; wrap it: TorchTeacher(module, "
                "classes=[...])"
            )
        if hasattr(teacher, "__array__"):
            raise TypeError(
                "teacher is an array; soft labels made beforehand go to fit: "
                "fit(X, y, teacher_proba=...)"
            )
        if not (has_proba or hasattr(teacher, "fit") or hasattr(teacher, "predict")):
            raise TypeError(f"teacher must be a classifier, got {teacher!r:.80}")
        if isinstance(teacher, BaseEstimator) and is_regressor(teacher):
            raise TypeError(f"teacher {name} is a regressor; a teacher is a classifier")
        # A stack, say, can only tell once it is fitted: it is checked again then.
        may_have_later = hasattr(type(teacher), "predict_proba")
        if not has_proba and (is_fitted(teacher) or not may_have_later):
            way_out = "wrap it in sklearn.calibration.CalibratedClassifierCV"
            if getattr(teacher, "voting", None) == "hard":
                way_out = "set voting='soft'"
            raise TypeError(
                f"teacher {name} has no predict_proba, so it has no soft labels "
                f"to give; {way_out}"
            )

    def check_fittable(self, y: NDArray[Any]) -> None:
        if not self.is_fittable(y):
            raise ValueError(
                "a teacher needs at least 2 classes to be fitted, y has 1 class: "
                f"{y[:1].tolist()[0]!r}"
            )

    def is_fittable(self, y: NDArray[Any]) -> bool:
        return len(np.unique(y)) > 1

    def to_fit(self, teacher: Any, y: NDArray[Any]) -> Any:
        return OnCodes(teacher) if wants_codes(teacher, y) else teacher

    def describe(self, y: NDArray[Any]) -> str:
        return f"{len(np.unique(y))} classes"

    def width(self, teacher: Any) -> int:
        return len(getattr(teacher, "classes_", ())) or 1000

    def ask(self, teacher: Any, X: Any) -> Any:
        gives_logits = getattr(teacher, "gives_logits", False)
        return (teacher.predict_log_proba if gives_logits else teacher.predict_proba)(X)

    def checked(self, said: Any, teacher: Any, n_rows: int) -> Answer:
        name = f"teacher {type(teacher).__name__}"
        are_logits = getattr(teacher, "gives_logits", False)
        check = check_log_proba if are_logits else check_proba
        values = check(one_output(said, n_rows, name), name)
        n_columns = values.shape[1]
        columns = np.asarray(getattr(teacher, "classes_", np.arange(n_columns)))
        if len(columns) != n_columns:
            raise ValueError(
                f"{name} has {len(columns)} classes and gives {n_columns} columns"
            )
        return Answer(values, columns, are_logits)

    def columns_of(self, teacher: Any, *, fitted_here: bool) -> NDArray[Any]:
        if self.columns is not None and not fitted_here:
            return np.asarray(self.columns)
        if not hasattr(teacher, "classes_"):
            raise ValueError(
                f"teacher {type(teacher).__name__} has no classes_: say with classes= "
                "what the columns of its predict_proba stand for"
            )
        return np.asarray(teacher.classes_)

    def named(self, answer: Answer, teacher: Any) -> Answer:
        columns = self.columns_of(teacher, fitted_here=False)
        if columns.shape != (answer.values.shape[1],):
            raise ValueError(
                f"classes= has {len(columns)} labels, teacher "
                f"{type(teacher).__name__} gives {answer.values.shape[1]} columns"
            )
        return replace(answer, columns=columns)

    def from_given(
        self,
        teacher_proba: ArrayLike,
        X: Any,
        y: NDArray[Any] | None,
        known: ArrayLike | None = None,
    ) -> Answer:
        """Return precomputed soft labels, checked.

        The columns of a data frame that are named by the classes may have any order.
        The columns of an array correspond to ``columns``, or else to the sorted labels
        that are ``known``, or else to those of ``y``.
        """
        source = "classes="
        if self.columns is not None:
            columns = check_classes(self.columns)
        elif known is not None:
            columns = np.unique(check_classes(known))
        elif y is not None:
            columns, source = np.unique(y), "the distinct labels of y"
        else:
            raise ValueError(
                "teacher_proba without y: pass classes= to DistilledClassifier to say "
                "what its columns stand for"
            )
        proba, expected = np.asarray(teacher_proba), (_num_samples(X), len(columns))
        if proba.shape != expected:
            raise ValueError(
                f"teacher_proba has shape {proba.shape}, expected {expected}: a row "
                f"per sample and a column for each of {source}; say with classes= what "
                "its columns stand for"
            )
        if is_frame(teacher_proba):
            proba = proba[:, order_by_name(column_names(teacher_proba), columns)]
        return Answer(check_proba(proba, "teacher_proba"), columns)

    def average(self, answers: Sequence[Answer], weights: NDArray[Any]) -> Answer:
        columns = [answer.columns for answer in answers]
        try:
            classes = unique_labels(*columns)
        except ValueError as error:
            raise ValueError(
                "the teachers have classes of different kinds: "
                f"{[labels.tolist() for labels in columns]}"
            ) from error
        mean = np.zeros((len(answers[0].values), len(classes)), dtype=np.float32)
        for answer, weight in zip(answers, weights, strict=True):
            mean += np.float32(weight) * align(answer.proba, answer.columns, classes)
        return Answer(mean, classes)

    def folds(self, cv: Any, X: Any, y: NDArray[Any]) -> list[tuple[Any, Any]]:
        """Return stratified folds; a class may have fewer rows than there are folds."""
        if cv is None or isinstance(cv, int | np.integer):
            n_splits = min(5 if cv is None else cv, len(y))
            largest = np.unique(y, return_counts=True)[1].max()
            cv = KFold(n_splits) if largest < n_splits else n_splits
        with warnings.catch_warnings():
            # Rows of a class that a clone does not know have another teacher.
            warnings.filterwarnings("ignore", message="The least populated class")
            return list(check_cv(cv, y, classifier=True).split(X, y))

    def out_of_bag(self, forest: Any) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        proba = np.nan_to_num(forest.oob_decision_function_).astype(np.float32)
        return proba, proba.sum(axis=1) < 0.5

    def hold_out(
        self, y: NDArray[Any], size: float, seed: int, name: str
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return training rows and held-out rows, stratified if that is possible.

        Otherwise, the training rows have at least one row of each class, as a teacher
        is fitted on them.
        """
        _, firsts, counts = np.unique(y, return_index=True, return_counts=True)
        if counts.min() >= 2 and size * len(y) >= len(counts):
            split = StratifiedShuffleSplit(1, test_size=size, random_state=seed)
            return next(split.split(y, y))
        others = np.setdiff1d(np.arange(len(y)), firsts)
        if len(others) < 2:
            raise ValueError(
                f"{name}='auto' holds rows out, and y has a single row of nearly every "
                f"class: pass more rows, or a number as {name}"
            )
        split = ShuffleSplit(1, test_size=size, random_state=seed)
        train, test = next(split.split(others))
        return np.concatenate([firsts, others[train]]), others[test]

    def aligned(self, answer: Answer) -> NDArray[np.float32]:
        return align(answer.proba, answer.columns, self.names)

    def clipped(self, soft_labels: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.proba_clip is None:
            return soft_labels
        proba = np.maximum(soft_labels, resolve_clip(self.proba_clip, len(self.names)))
        proba /= proba.sum(axis=1, keepdims=True)
        return proba

    def soft(self, answer: Answer) -> NDArray[np.float32]:
        """Return the teacher's logits, float32 of shape (n_samples, n_classes).

        They are log(clip(p)) for a teacher that gives probabilities. The logits of a
        teacher that gives logits are not clipped.
        """
        clip = resolve_clip(self.proba_clip or "auto", len(self.names))
        floor = np.float32(np.log(clip))
        if answer.are_logits:
            logits = align(answer.values, answer.columns, self.names, fill=-np.inf)
            return np.where(np.isneginf(logits), floor, logits)
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(self.aligned(answer)), floor)

    def hard(
        self, soft: NDArray[np.float32], y: NDArray[Any] | None
    ) -> NDArray[np.int64]:
        """Return the positions of the labels; without one, of the likeliest class."""
        hard = soft.argmax(axis=1)
        if y is not None:
            hard[: len(y)] = self.encode(y)
        return hard

    def calibration(
        self, answer: Answer, y: NDArray[Any], sample_weight: ArrayLike | None = None
    ) -> Calibration:
        return calibration_on(answer, y, sample_weight)

    def matched(
        self, soft: NDArray[np.float32], pseudo_labels: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float]:
        own = soft[len(soft) - len(pseudo_labels) :]
        temperature = matching_temperature(own, pseudo_labels)
        return soft / np.float32(temperature), temperature

    def warn_if_uninformative(
        self,
        soft: NDArray[np.float32],
        hard: NDArray[np.int64],
        weight: NDArray[np.float32],
        *,
        fitted_here: bool,
        alone: bool,
    ) -> None:
        warn_if_uninformative(
            soft,
            hard,
            weight=None if self.class_weight is None else weight,
            fitted_here=fitted_here,
            alone=alone,
            found=self.names if self.columns is None else None,
        )

    def weighted(self, y: NDArray[Any] | None, sample_weight: Any) -> Any:
        """Return the weights of rows, multiplied by those of their classes.

        Before the classes are known, they are those of ``y``.
        """
        if y is None or self.class_weight is None:
            return sample_weight
        names = np.unique(y) if self.names is None else self.names
        weights = weights_of_classes(self.class_weight, names, y)
        by_class = weights[np.searchsorted(names, y)]
        return by_class if sample_weight is None else by_class * sample_weight

    def row_weights(
        self, soft: NDArray[np.float32], y: NDArray[Any] | None
    ) -> NDArray[np.float64] | None:
        if self.class_weight is None:
            return None
        weights = weights_of_classes(self.class_weight, self.names, y)
        by_row: NDArray[np.float64] = softmax(soft, axis=1) @ weights
        if y is not None:
            by_row[: len(y)] = weights[self.encode(y)]
        return by_row

    def score(
        self, y: ArrayLike, soft_labels: NDArray[Any], sample_weight: Any
    ) -> float:
        """Return the negative log loss of the rows with a label that is known."""
        y = np.asarray(y)
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
        known = self.are_known(y, self.names)
        y, proba = y[known], soft_labels[known]
        weight = self.weighted(y, weight[known])
        return -float(log_loss(y, proba, labels=self.names, sample_weight=weight))
