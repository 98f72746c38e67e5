"""One class of several for each row: what a classifier learns."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn import model_selection
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import (
    _num_samples,
    assert_all_finite,
    check_consistent_length,
    column_or_1d,
)

from skdistill._targets import _columns
from skdistill._targets._answer import Answer
from skdistill._targets._base import BaseTarget
from skdistill._targets._calibration import (
    calibration_on,
    labeled_temperature,
    matching_temperature,
)
from skdistill._targets._columns import align, check_classes
from skdistill._targets._incomplete import Incomplete, Part
from skdistill._targets._on_codes import OnCodes
from skdistill._targets._trust import most_trust, share_of_classes
from skdistill._targets._uninformative import warn_if_uninformative
from skdistill.utils._arrays import Array, Bools, Floats, Ints
from skdistill.utils._frames import column_names, is_frame
from skdistill.utils._unwrap import innermost, is_search, last_step
from skdistill.utils._validation import is_fitted, require_target

# Packages whose classifiers accept only the codes 0..K-1 as labels.
_PACKAGES = ("xgboost",)


@dataclass(frozen=True)
class Classes(BaseTarget):
    """One class of several for each row, as a target: what is learned.

    A target is a plain value that knows all that is particular to the labels. Another
    kind of target, such as numbers, is a class with these attributes and methods, and a
    public estimator that makes it; all other modules are the same for all kinds.

    Here, soft labels are class probabilities, a soft target is a row of logits, and a
    hard target is the position of a label among the classes.

    Parameters
    ----------
    columns : array-like of shape (n_columns,), default=None
        What the columns of a fitted teacher or of ``teacher_proba`` stand for, if the
        person says so: the parameter ``classes`` of the estimator.
    class_weight : dict, "balanced" or None, default=None
        The weights of the classes, as in scikit-learn.
    proba_clip : float, "auto" or None, default="auto"
        The smallest probability; None for no bound.
    names : ndarray of shape (n_classes,), default=None
        What the outputs of a student stand for: all classes, sorted. :meth:`reconcile`
        sets them. The methods below it need them.
    """

    columns: Any = None
    class_weight: Any = None
    proba_clip: float | str | None = "auto"
    names: Any = None

    task: ClassVar[str] = "classification"

    def check_y(self, y: Any, X: Any) -> Array:
        """Return labels as a 1-D array, one for each row of ``X``."""
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        check_consistent_length(X, y)
        return y

    def are_known(self, y: Array, labels: Array) -> Bools:
        """Tell which of ``y`` can be given by a model that was fitted on ``labels``."""
        return np.isin(y, labels)

    def weighted(self, y: Array | None, sample_weight: Any) -> Any:
        """Return the weights of rows, multiplied by those of their labels."""
        if y is None or self.class_weight is None:
            return sample_weight
        names = np.unique(y) if self.names is None else self.names
        by_row = self._weights(names, y)[np.searchsorted(names, y)]
        return by_row if sample_weight is None else by_row * sample_weight

    def folds(self, cv: Any, X: Any, y: Array) -> list[tuple[Any, Any]]:
        """Return the training rows and the held-out rows of each fold.

        Folds are stratified. A class may have fewer rows than there are folds.
        """
        if cv is None or isinstance(cv, int | np.integer):
            n_splits = min(5 if cv is None else cv, len(y))
            largest = np.unique(y, return_counts=True)[1].max()
            cv = model_selection.KFold(n_splits) if largest < n_splits else n_splits
        with warnings.catch_warnings():
            # Another teacher labels the rows of a class that a clone does not know.
            warnings.filterwarnings("ignore", message="The least populated class")
            splitter = model_selection.check_cv(cv, y, classifier=True)
            return list(splitter.split(X, y))

    def hold_out(self, y: Array, size: int) -> Bools:
        """Return which rows nets that learn the labels hold out, always the same.

        Rows are stratified if that is possible. If not, the others have at least one
        row of each class, if there are enough of them.
        """
        _, firsts, counts = np.unique(y, return_index=True, return_counts=True)
        is_held = np.zeros(len(y), bool)
        how: Any = {"n_splits": 1, "test_size": size, "random_state": 0}
        if counts.min() >= 2 and min(size, len(y) - size) >= len(counts):
            split = model_selection.StratifiedShuffleSplit(**how).split(y, y)
            is_held[next(split)[1]] = True
            return is_held
        others = np.setdiff1d(np.arange(len(y)), firsts)
        others = others if len(others) >= size else np.arange(1, len(y))
        is_held[np.random.RandomState(0).choice(others, size, replace=False)] = True
        return is_held

    # Teachers

    def check_teacher(self, teacher: Any, y: Array | None = None) -> None:
        """Raise a TypeError for what cannot be a teacher.

        Raise a ValueError if ``columns`` are malformed, or leave out a class of ``y``;
        or before a teacher is fitted, if weights are those of other classes.
        """
        columns = () if self.columns is None else check_classes(self.columns)
        self._check_left_out(teacher, y)
        if y is not None and not is_fitted(teacher):
            known = [*np.unique(y).tolist(), *np.asarray(columns).tolist()]
            self._check_weighted(list(dict.fromkeys(known)))
        check_classifier(
            teacher,
            "pass it with the classes of its columns, "
            "TorchTeacher(module, classes=[...])",
            "wrap it in sklearn.calibration.CalibratedClassifierCV",
        )

    def _check_left_out(self, teacher: Any, y: Array | None) -> None:
        if y is None or not is_fitted(teacher) or not self._are_some_of(teacher):
            return
        if others := np.setdiff1d(y, self.columns).tolist():
            raise ValueError(
                f"y has the labels {others[:6]}, which classes= leaves out of the "
                "teacher's classes: leave out these rows, or add their classes"
            )

    def _are_some_of(self, teacher: Any) -> bool:
        """Tell whether ``columns`` are some of a teacher's classes, and not all."""
        if self.columns is None:
            return False
        given = np.asarray(getattr(teacher, "classes_", ())).tolist()
        return set(np.asarray(self.columns).tolist()) < set(given)

    def check_fittable(self, y: Array) -> None:
        """Raise a ValueError if no teacher can be fitted on ``y``."""
        if not self.is_fittable(y):
            raise ValueError(
                "a teacher needs at least 2 classes to be fitted, y has 1 class: "
                f"{y[:1].tolist()[0]!r}"
            )

    def is_fittable(self, y: Array) -> bool:
        """Tell whether a teacher can be fitted on ``y``."""
        return len(np.unique(y)) > 1

    def describe(self, y: Array) -> str:
        """Describe ``y``, for an error of a teacher's ``fit``."""
        return f"{len(np.unique(y))} classes"

    def to_fit(self, teacher: Any, y: Array) -> Any:
        """Return a teacher, or a wrapper of it that can be fitted on ``y``."""
        package = type(innermost(teacher)).__module__.partition(".")[0]
        codes = list(range(len(np.unique(y))))
        wants_codes = package in _PACKAGES and np.unique(y).tolist() != codes
        return OnCodes(teacher) if wants_codes else teacher

    def ask(self, teacher: Any, X: Any) -> Any:
        """Return what a fitted teacher says of some rows."""
        if getattr(teacher, "gives_logits", False):
            return teacher.predict_log_proba(X)
        return teacher.predict_proba(X)

    def plain(self, said: Any, teacher: Any) -> Array:
        """Return what :meth:`ask` returned as an array, a row for each row."""
        return np.asarray(said)

    def checked(self, said: Any, teacher: Any, n_rows: int) -> Answer:
        """Return what :meth:`ask` returned, checked."""
        name = f"teacher {type(teacher).__name__}"
        are_logits = getattr(teacher, "gives_logits", False)
        check = _columns.check_log_proba if are_logits else _columns.check_proba
        values = _columns.one_output(said, n_rows, name)
        n_columns = values.shape[1]
        columns = np.asarray(getattr(teacher, "classes_", np.arange(n_columns)))
        if len(columns) != n_columns:
            raise ValueError(
                f"{name} has {len(columns)} classes and gives {n_columns} columns"
            )
        values = check(values, name)
        if is_frame(said):  # whose columns have names, in an order of their own
            names = column_names(said)
            leaves_out = self._are_some_of(teacher)
            known = columns if leaves_out else self.columns_of(teacher)
            values = values[:, _columns.order_by_name(names, known, name)]
        return Answer(values, columns, are_logits)

    def without_columns(self) -> Classes:
        """Return the target for a teacher whose columns are its own classes."""
        return replace(self, columns=None)

    def columns_of(self, teacher: Any) -> Array:
        """Return what the columns of a teacher stand for that was fitted before."""
        if self.columns is not None:
            return np.asarray(self.columns)
        if not hasattr(teacher, "classes_"):
            raise ValueError(
                f"teacher {type(teacher).__name__} has no classes_: say with classes= "
                "what the columns of its predict_proba stand for"
            )
        return np.asarray(teacher.classes_)

    def named(self, answer: Answer, teacher: Any) -> Answer:
        """Return the answer of such a teacher with the columns that it stands for.

        Those of classes that ``columns`` leave out are gone: rows still sum to 1.
        """
        columns, n_columns = self.columns_of(teacher), answer.values.shape[1]
        if columns.shape == (n_columns,):
            return replace(answer, columns=columns)
        if not self._are_some_of(teacher):
            raise ValueError(
                f"classes= has {len(columns)} labels, teacher {type(teacher).__name__} "
                f"gives {n_columns} columns: name all of them, or some of its classes_"
            )

        def some(values: Floats) -> Floats:
            given = np.asarray(teacher.classes_)
            return _columns.some_of(values, given, columns, answer.are_logits)

        honest = answer.honest
        # Honest rows that a pair gave are named already.
        if honest is not None and honest.shape[1] == n_columns:
            honest = some(honest)
        return replace(
            answer, values=some(answer.values), columns=columns, honest=honest
        )

    def out_of_bag(self, forest: Any) -> tuple[Floats, Bools]:
        """Return the out-of-bag soft labels of a forest, and which rows have none."""
        proba = np.nan_to_num(forest.oob_decision_function_).astype(np.float32)
        return proba, proba.sum(axis=1) < 0.5

    def from_given(
        self, teacher_proba: ArrayLike, X: Any, y: Any, known: Any = None
    ) -> Answer:
        """Return precomputed soft labels, checked.

        The columns of a data frame that are named by the classes may have any order.
        Other columns are those of ``columns``, else the sorted labels that are
        ``known`` beforehand, else those of ``y``.
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
                "teacher_proba without y: pass classes=, what its columns stand for; "
                "or student=make_student(task='multilabel') for several labels a row"
            )
        proba = _columns.dense(teacher_proba)
        expected = (_num_samples(X), len(columns))
        if proba.shape != expected:
            raise ValueError(
                f"teacher_proba has shape {proba.shape}, expected {expected}: a row "
                f"per sample, a column for each of {source}. Name them by classes="
            )
        if is_frame(teacher_proba):
            names = column_names(teacher_proba)
            order = _columns.order_by_name(names, columns, "teacher_proba")
            proba = proba[:, order]
        return Answer(_columns.check_proba(proba, "teacher_proba"), columns)

    def average(self, answers: Sequence[Answer], weights: Array) -> Answer:
        """Return the average of the answers of several teachers."""
        columns = [answer.columns for answer in answers]
        try:
            classes = unique_labels(*columns)
        except ValueError as error:
            raise ValueError(
                "the teachers have classes of different kinds: "
                f"{[labels.tolist() for labels in columns]}"
            ) from error

        def mean(name: str) -> Any:
            parts = [getattr(answer, name) for answer in answers]
            if any(part is None for part in parts):
                return None
            total = np.zeros((len(parts[0]), len(classes)), dtype=np.float32)
            for part, labels, weight in zip(parts, columns, weights, strict=True):
                total += np.float32(weight) * align(part, labels, classes)
            return total

        whole = Answer(mean("proba"), classes, honest=mean("honest_proba"))
        known = [np.isin(classes, answer.known_columns) for answer in answers]
        if all(knows.all() for knows in known):
            return whole
        parts = []
        for answer, weight, knows in zip(answers, weights, known, strict=True):
            values, honest = align(answer.proba, answer.columns, classes), None
            if (proba := answer.honest_proba) is not None:
                honest = align(proba, answer.columns, classes)
            part = Answer(values, classes, honest=honest, knows=knows)
            parts.append((float(weight), part))
        return replace(whole, parts=tuple(parts))

    calibration = staticmethod(calibration_on)

    # Names

    def reconcile(
        self, columns: Any, y: Any, known: Any = None, fits_teacher: bool = False
    ) -> tuple[Array, Classes]:
        """Name the columns of an answer as ``y`` does; return a target with all names.

        ``columns`` are None for a teacher that was fitted on ``y``. ``known`` are
        further labels, which occur later. If the teacher was fitted on ``y`` here, its
        columns are those of ``y``, and ``self.columns`` only adds names.

        Raises
        ------
        ValueError
            The names cannot be told, or -1 is one that the teacher does not know:
            semi-supervised teachers take it for "no label", and others may have learned
            0 in its place.
        """
        if known is not None:
            known = check_classes(known)
            y = known if y is None else np.concatenate([y, known])
        columns = np.unique(y) if columns is None else columns
        columns, names = _columns.reconcile(columns, y)
        is_new = -1 in set(names.tolist()) - set(columns.tolist())
        if is_new and self.columns is None:
            raise ValueError(
                "y has the label -1, which the teacher does not know. If it means that "
                "a row has no label, fit the teacher first, and pass these rows as "
                "X_transfer, without a label. If it is a class, say with classes= what "
                "the teacher's columns stand for in y"
            )
        if self.columns is not None and fits_teacher:
            _, names = _columns.reconcile(np.asarray(self.columns), y)
        return columns, replace(self, names=names)

    def check_learnable(self, previous: Array | None) -> None:
        """Raise a ValueError if no student can learn the target.

        ``previous`` are the names that a student with warm_start knows.
        """
        if len(self.names) < 2:
            raise ValueError(
                f"DistilledClassifier needs at least 2 classes, there is 1 class: "
                f"{self.names.tolist()[0]!r}"
            )
        if previous is not None and not np.array_equal(previous, self.names):
            raise ValueError(
                f"a student with warm_start must keep its classes: it had "
                f"{previous.tolist()}, and would get {self.names.tolist()}. Name all "
                "of them by classes=, from its first fit on"
            )

    # The targets of a student

    def aligned(self, answer: Answer) -> Floats:
        """Return soft labels with a column for each name."""
        return align(answer.proba, answer.columns, self.names)

    def clipped(self, soft_labels: Floats) -> Floats:
        """Return soft labels that are not below ``proba_clip``."""
        if self.proba_clip is None:
            return soft_labels
        proba = np.maximum(soft_labels, self._smallest)
        proba /= proba.sum(axis=1, keepdims=True)
        return proba

    def soft(self, answer: Answer) -> Floats:
        """Return the soft targets: logits, float32 of shape (n_samples, n_classes).

        They are log(clip(p)) for a teacher that gives probabilities. The logits of a
        teacher that gives logits are not clipped.
        """
        floor = self._floor
        if answer.are_logits:
            logits = align(answer.values, answer.columns, self.names, fill=-np.inf)
            return np.where(np.isneginf(logits), floor, logits)
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(self.aligned(answer)), floor)

    def incomplete(self, answer: Answer) -> Incomplete | None:
        """Return what teachers say if one of them does not know all names."""
        parts = []
        for weight, part in answer.parts or ((1.0, answer),):
            # An answer may have got other names for its columns, and its parts not.
            part = replace(part, columns=answer.columns)
            knows = np.isin(self.names, part.known_columns)
            parts.append(Part(weight, self.aligned(part), knows))
        if all(part.knows.all() for part in parts):
            return None
        return Incomplete(parts, self._floor)

    @property
    def _floor(self) -> np.float32:
        return np.float32(np.log(self._smallest))

    @property
    def _smallest(self) -> float:
        return _columns.resolve_clip(self.proba_clip or "auto", len(self.names))

    def hard(self, soft: Floats, y: Array | None) -> Ints:
        """Return the hard targets. Rows without a label have the likeliest class."""
        hard = soft.argmax(axis=1)
        if y is None:
            return hard
        self.check_known(y, "y")
        hard[: len(y)] = np.searchsorted(self.names, y)
        return hard

    def check_known(self, labels: Any, source: str) -> None:
        """Raise a ValueError for labels that are no names; ``source`` has them."""
        if unknown := np.setdiff1d(labels, self.names).tolist():
            raise ValueError(
                f"{source} has labels that are not in classes_: {unknown}. Tell the "
                "first partial_fit of all of them by classes="
            )

    def row_weights(self, soft: Floats, y: Array | None) -> Floats | None:
        """Return the weights of the labels of all rows; None if they are equal.

        A row without a label has the expected weight by its soft target.
        """
        if self.class_weight is None:
            return None
        self._check_weighted(self.names.tolist())
        weights = self._weights(self.names, y)
        by_row: Floats = softmax(soft, axis=1) @ weights
        if y is not None:
            by_row[: len(y)] = weights[np.searchsorted(self.names, y)]
        return by_row

    def _weights(self, names: Array, y: Any) -> Floats:
        """Return the weights of the classes; 1 for a class that has none or no rows."""
        given = self.class_weight
        if isinstance(given, str):
            present = np.unique(require_target(y, f"class_weight={given!r}"))
            weights = np.ones(len(names))
            weights[np.searchsorted(names, present)] = compute_class_weight(
                given, classes=present, y=y
            )
            return weights
        weights = np.array([given.get(name, 1.0) for name in names.tolist()], float)
        if not (np.isfinite(weights) & (weights >= 0)).all():
            raise ValueError(
                f"class_weight must be finite and not negative, got {given}"
            )
        return weights

    def _check_weighted(self, known: list[Any]) -> None:
        """Raise a ValueError if weights are not those of the classes, all known."""
        if not isinstance(self.class_weight, dict):
            return
        unknown = [label for label in self.class_weight if label not in known]
        if unknown and not set(known) <= self.class_weight.keys():
            raise ValueError(
                f"class_weight has weights of {unknown}, which are no classes: name "
                f"the classes as they are in y, {known}"
            )

    matching_temperature = staticmethod(matching_temperature)

    labeled_temperature = staticmethod(labeled_temperature)

    share = staticmethod(share_of_classes)

    def most_trust(
        self, nets: Any, hard: Any, weight: Any, said_extra: Any, nets_extra: Any
    ) -> float:
        """Return a bound of the trust in a teacher of which no honest row is known.

        A teacher that is always right differs from the nets where these are wrong. One
        that differs from them more often is wrong itself. To the errors of the nets,
        one is added, as the rows may be few.

        ``nets`` are what these say of rows that they have not seen, with the classes
        ``hard``; the other two what the teacher and the nets say of rows that none of
        them has seen.
        """
        weight = weight / weight.mean()
        errors = weight @ (nets.argmax(axis=1) != hard)
        error = (1 + errors) / (1 + len(hard))
        differs = (said_extra.argmax(axis=1) != nets_extra.argmax(axis=1)).mean()
        return most_trust(error, differs)

    def warn_if_uninformative(
        self, soft: Any, hard: Any, weight: Any, **how: bool
    ) -> None:
        """Warn about soft targets that teach nothing, as the function does."""
        weight = None if self.class_weight is None else weight
        found = self.names if self.columns is None else None
        warn_if_uninformative(soft, hard, weight=weight, found=found, **how)

    # What outputs of a net stand for, and the loss, on tensors with a column for each
    # row, and on arrays with a row for each

    def best(self, soft: Any) -> Any:
        """Return the class that the teacher names, for each row; None for numbers."""
        return soft.argmax(dim=1)

    def agrees(self, outputs: Any, best: Any) -> Any:
        """Tell for each row whether the class ``best`` has the largest output.

        This takes a small part of the time of an argmax.
        """
        return outputs.gather(1, best.unsqueeze(1)).squeeze(1) == outputs.amax(dim=1)

    def mean(self, outputs: Any) -> Any:
        """Return the probabilities that outputs stand for.

        The gradient of :meth:`deviance` in the outputs is this less the target.
        """
        return outputs.softmax(dim=0)

    def deviance(self, outputs: Any, target: Any) -> Any:
        """Return the part of each class in the cross-entropy of a row."""
        return -target * outputs.log_softmax(dim=0)

    def means(self, hard: Any, soft: Any) -> Any:
        """Return hard targets as probabilities, of the shape of the soft targets."""
        return soft.new_zeros(soft.shape).scatter_(1, hard.unsqueeze(1), 1.0)

    def centered(self, soft: Any) -> Any:
        """Return soft targets as features of rows.

        Logits have an arbitrary offset in each row, which is no relation.
        """
        return soft - soft.mean(dim=1, keepdim=True)

    def expected(self, outputs: Array) -> Floats:
        """Return the probabilities that outputs, or soft targets, stand for."""
        return softmax(outputs, axis=1).astype(np.float32)

    def losses(self, said: Floats, hard: Ints) -> Floats:
        """Return the loss of each row of what nets say."""
        of_label = said[np.arange(len(hard)), hard]
        losses: Floats = -np.log(np.maximum(of_label, 1e-30))
        return losses

    # The outputs of a student

    def decode(self, soft_labels: Array) -> Any:
        """Return what ``predict`` returns."""
        return self.names[soft_labels.argmax(axis=1)]


def check_classifier(teacher: Any, of_torch: str, with_proba: str) -> None:
    """Raise a TypeError for what cannot be a teacher of classes or of labels.

    Parameters
    ----------
    teacher : object
        What the person has passed.
    of_torch, with_proba : str
        What to do with a module of torch, and with a classifier without predict_proba.
    """
    name = type(teacher).__name__
    has_proba = hasattr(teacher, "predict_proba")
    # A stack, for example, is checked again when it is fitted.
    may_have_later = hasattr(type(teacher), "predict_proba")
    if isinstance(teacher, type):
        problem = f"is the class {teacher.__name__}; pass an instance of it"
    elif callable(teacher) and not has_proba:
        problem = f"{name} is a module or function: {of_torch}"
    elif hasattr(teacher, "__array__"):
        problem = "is an array; pass soft labels to fit(X, y, teacher_proba=...)"
    elif not (has_proba or hasattr(teacher, "fit") or hasattr(teacher, "predict")):
        problem = f"must be a classifier, got {teacher!r:.80}"
    elif isinstance(teacher, BaseEstimator) and is_regressor(teacher):
        problem = f"{name} is a regressor; use DistilledRegressor"
    elif not has_proba and (is_fitted(teacher) or not may_have_later):
        way_out = _way_to_proba(teacher) or with_proba
        problem = f"{name} has no predict_proba, so no soft labels; {way_out}"
    else:
        return
    raise TypeError(f"teacher {problem}")


def _way_to_proba(teacher: Any) -> str | None:
    """Return what to do with what cannot be calibrated as a classifier can."""
    _, last = last_step(teacher)
    if getattr(last, "voting", None) == "hard":
        return "set voting='soft'"
    if is_search(last) and not last.refit:
        return "set refit=True"
    if not hasattr(teacher, "fit"):
        return "if its predict gives them, pass TorchTeacher(teacher.predict, ...)"
    return None
