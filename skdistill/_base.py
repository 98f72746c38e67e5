"""The one algorithm of fit and partial_fit, for estimators that distill a teacher."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from skdistill._diagram import Diagram
from skdistill._params import TeacherParams
from skdistill._pickling import LEFT_OUT, SmallFile
from skdistill._progress import CallbackSupportMixin, FitTasks
from skdistill._questions import Given, held_out, question_of
from skdistill._state import TrainingState, begin, unchanged_by_errors
from skdistill._students._columns import StudentColumns, columns_of
from skdistill._students._inputs import chooses_columns, net_rows, plain_input
from skdistill._students._make_student import make_student
from skdistill._students._student import (
    net_of,
    numeric_of,
    take_options,
    takes_tables,
)
from skdistill._targets._answer import Answer
from skdistill._targets._columns import in_order_of
from skdistill._targets._target import Target
from skdistill._targets._trust import warn_of_little_trust
from skdistill._training._history import TrainingHistory
from skdistill._training._lesson import Lesson
from skdistill._training._objective import Objective
from skdistill._training._pseudo_labels import Measured, with_pseudo_labels
from skdistill._training._train import make_lesson, train_or_hold_back
from skdistill._transfer._extra import AUGMENTERS
from skdistill._transfer._honest import honest_rows
from skdistill._transfer._question import METHODS, Question
from skdistill._transfer._soft_labels import label
from skdistill._transfer._transfer_set import (
    TransferSet,
    make_transfer_set,
    warn_if_incomplete,
)
from skdistill.losses._base import LOSSES
from skdistill.utils._arrays import Array, Ints
from skdistill.utils._bars import progress_bar
from skdistill.utils._frames import is_frame
from skdistill.utils._params import is_auto
from skdistill.utils._several import is_several
from skdistill.utils._underflow import underflow_is_zero
from skdistill.utils._validation import (
    all_fitted,
    check_form,
    check_not_empty,
    check_source,
    check_weight,
    checked_inputs,
    explaining_strings,
    has_known_columns,
    plain_rows,
    require_target,
)
from skdistill.utils._warnings import warn

# The constraints of the parameters that all these estimators have.
CONSTRAINTS: dict[str, Any] = {
    # A teacher and a student are checked in fit, which says what to do about them. So
    # are the losses and calibrate_teacher, by the modules that know them.
    **dict.fromkeys(("teacher", "student", *LOSSES), "no_validation"),
    **dict.fromkeys(("calibrate_teacher", "memory"), "no_validation"),
    "alpha": [
        StrOptions({"auto"}),
        Interval(Real, 0, 1, closed="both"),
        callable,
        LEFT_OUT,
    ],
    "student_columns": ["array-like", None],
    "feature_weight": [Interval(Real, 0, None, closed="left")],
    "relation_weight": [Interval(Real, 0, None, closed="left")],
    "teacher_features": [str, callable, LEFT_OUT],
    "student_layer": [str, None],
    "soft_labels": [StrOptions(set(METHODS))],
    "cv": ["cv_object", LEFT_OUT],
    "teacher_weights": ["array-like", None],
    "augmenter": [
        StrOptions({"auto", *AUGMENTERS}),
        HasMethods("sample"),
        None,
        LEFT_OUT,
    ],
    "pickle_teacher": ["boolean"],
    "n_jobs": [Integral, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


class BaseDistiller(
    CallbackSupportMixin, MetaEstimatorMixin, TeacherParams, SmallFile, Diagram
):
    """Trains a student on what a teacher says of the rows.

    A subclass has the parameters of :class:`DistilledClassifier`, less those below if
    they make no sense for what it learns. It says what that is: ``_target`` and
    ``_learn``.
    """

    student_: Any
    _columns = StudentColumns()
    _calibrations: tuple[str, ...] = ()  # what calibrate_teacher may be by name
    temperature: Any = 1.0

    def _see(self, y: Any, given: Any = None) -> None:
        """Find out what is learned, if that depends on ``y`` or given soft labels."""

    def _target(self, *, learned: bool = False) -> Target:
        """Return what is learned, with its names if a student has ``learned`` it."""
        raise NotImplementedError

    def _learn(self, answer: Answer, given: Given, made: slice) -> Array:
        """Set the names of what is learned; return those of the answer's columns.

        ``made`` are the rows of the answer that an augmenter made.
        """
        raise NotImplementedError

    def _known(self, classes: Any) -> Any:
        """Return what the columns of a chunk's soft labels stand for, if known."""

    @config_context(array_api_dispatch=False)  # tensors become arrays
    @underflow_is_zero
    def _fit(self, given: Given) -> None:
        """Prepare what the student is to learn, train it, and set the attributes."""
        with FitTasks(self, given) as tasks, unchanged_by_errors(self):
            lesson, state = self._prepare(given, tasks.label)
            lesson.callbacks = tasks.train(lesson.student, lesson.net.max_epochs)
            train_or_hold_back(self, lesson, 0 if given.incremental else self.verbose)
            self._finish(lesson, state)

    def _prepare(
        self, given: Given, ask: Callable[[Callable[[], Answer]], Answer]
    ) -> tuple[Lesson, TrainingState]:
        """Check the data, ask the teacher, and return what the student is to learn."""
        is_new = not (given.incremental and hasattr(self, "student_"))
        if is_new:
            self._see(given.y, given.labels if given.classes is None else None)
        student = self._student_to_train(is_new, given.incremental)
        objective = self._objective(student, given)
        check_source(self, given.labels, given.X_transfer, self._target().given)
        if not is_new:
            self.__dict__.update(self._columns.seen)  # a chunk has all columns
        given = self._checked(given, reset=is_new)
        if is_new:
            self.__dict__.pop("_columns", None)
            if self.student_columns is not None:
                self._columns = columns_of(self, given.X)
        state, teacher_seed, seed = begin(self, student, is_new)
        if given.labels is None:
            about = (student, objective, state, teacher_seed)
            question, held = question_of(self, given, *about)
            answer = ask(lambda: label(self.teacher, question))
        else:
            question, held, answer = self._given_answer(given, objective)
        state.remember(answer, self.teacher)
        if is_new:
            n_own = _num_samples(given.X)
            made = slice(n_own, n_own + question.n_made)
            state.columns = self._learn(answer, given, made)
        answer = replace(answer, columns=state.columns)
        rows = self._transfer_set(given, question, answer)
        self._warn_about(rows, objective)
        left_open = None
        if held is not None:
            weight = given.sample_weight
            rows, measured = self._measured(
                rows, student, question, answer, held, weight, seed
            )
            left_open = measured.left_open
            state.temperature = measured.temperature or state.temperature
            state.n_honest = measured.n_honest
            if is_auto(self.alpha):
                objective = replace(objective, alpha=measured.trust)
        elif rows.n_extra and given.y is not None:
            warn_if_incomplete(rows)
        n = 1 if given.incremental else None
        with progress_bar(f"encoding {len(rows)} rows", self.verbose):
            lesson = make_lesson(
                student, rows, objective, seed=seed, n_epochs=n, left_open=left_open
            )
        self.__dict__.update(self._columns.read)  # that is what predict takes
        return lesson, state

    def _given_answer(
        self, given: Given, objective: Objective
    ) -> tuple[Question, Ints | None, Answer]:
        """Return soft labels that were computed before as if a teacher were asked."""
        target = self._target()
        known = self._known(given.classes) if given.incremental else None
        answer = target.from_given(given.labels, given.X, given.y, known)
        question = Question(given.X, given.y, target=target)
        is_honest = self.soft_labels in ("out_of_fold", "out_of_bag")
        is_comparable = not (self._columns.are_fewer or given.incremental)
        if not (is_honest and is_comparable and is_auto(self.alpha)):
            return question, None, answer
        held = held_out(self, given, objective)
        question = replace(question, held=held)
        return question, held, replace(answer, honest=answer.values[question.honest])

    def _transfer_set(
        self, given: Given, question: Question, answer: Answer
    ) -> TransferSet:
        """Return what the student learns from, in the columns that it reads."""
        rows = make_transfer_set(
            given.X,
            given.y,
            answer,
            target=self._target(learned=True),
            sample_weight=given.sample_weight,
            extra=question.extra,
        )
        of = self._columns.of
        return replace(rows, X=of(rows.X), extra=of(rows.extra))

    def _measured(
        self,
        rows: TransferSet,
        student: Any,
        question: Question,
        answer: Answer,
        held: Ints,
        sample_weight: Any,
        seed: int,
    ) -> tuple[TransferSet, Measured]:
        """Let nets learn the labels, and return what they tell of teacher and student.

        A teacher that reads more columns than the nets is not compared with them.
        """
        honest = None
        if not self._columns.are_fewer:
            honest = honest_rows(question, answer, rows.target, sample_weight)
        rows, measured = with_pseudo_labels(
            rows,
            make_student(task=rows.target.task, early_stopping=True),
            held=held,
            honest=honest,
            n_made=question.n_made,
            numeric=numeric_of(student),
            alpha=float(self.alpha) if isinstance(self.alpha, Real) else None,
            max_epochs=net_of(student).max_epochs,
            seed=seed,
            calibrate=is_auto(self.calibrate_teacher),
            remember=isinstance(self.random_state, Integral),
            verbose=self.verbose,
        )
        if is_auto(self.alpha) and honest is not None:
            warn_of_little_trust(measured.trust)
        return rows, measured

    def _finish(self, lesson: Lesson, state: TrainingState) -> None:
        """Set the attributes of a fitted estimator."""
        self.student_, self._state = lesson.student, state
        self.__dict__.pop("teacher_temperature_", None)
        for name in ("alpha", "temperature"):
            self.__dict__.pop(f"{name}_", None)
            if is_auto(getattr(self, name)):
                setattr(self, f"{name}_", getattr(lesson.objective, name))
        self.__dict__.pop("n_honest_rows_", None)
        if is_auto(self.alpha):
            self.n_honest_rows_ = state.n_honest
        if state.temperature is not None:
            self.teacher_temperature_ = state.temperature

    @property
    def teacher_(self) -> Any:
        """The teacher that was fitted inside ``fit``."""
        check_is_fitted(self)
        state = getattr(self, "_state", None)
        if state is None or state.fitted is None:
            raise AttributeError(
                f"this {type(self).__name__} has no teacher_: the last fit fitted no "
                "teacher, as the teacher was fitted before, or an earlier fit on the "
                "same rows with the same random_state has its soft labels; or it was "
                "loaded from a file, which holds no teacher"
            )
        return state.fitted

    @property
    def history_(self) -> Any:
        check_is_fitted(self)
        return TrainingHistory.of(net_of(self.student_))

    def _prepared(self, X: Any) -> tuple[Any, Any]:
        """Return the net and its input."""
        if not hasattr(self, "student_"):  # the check takes longer than a small net
            check_is_fitted(self)
        X = self._columns.of(X)
        rows = plain_input(self.student_, X)
        if rows is None:
            return self._checked_input(X)
        return self.student_.steps[-1][1], rows

    @underflow_is_zero
    def _checked_input(self, X: Any) -> tuple[Any, Any]:
        """Return the net and its input, for rows that need a check."""
        student, net = self.student_, net_of(self.student_)
        named = hasattr(self, "feature_names_in_")
        n_features = getattr(self, "n_features_in_", None)  # texts have none
        is_plain = not named and plain_rows(X, n_features) is not None
        if not (is_plain or has_known_columns(self, X) or chooses_columns(student, X)):
            X = self._check_X(X, reset=False)
        if named == is_frame(X):
            return net, net_rows(student, [X])
        with warnings.catch_warnings():  # the check of X has said so
            warnings.filterwarnings("ignore", "X (has|does not have valid) feature")
            return net, net_rows(student, [X])

    def _student_to_train(self, is_new: bool, incremental: bool) -> Any:
        """Return a clone of the person's student, or the one that is trained on."""
        self._check_complete(getattr(self, "student_", None) if not is_new else None)
        if not is_new:
            return self.student_
        task, prototype = self._target().task, self.student
        prototype = make_student(task=task) if prototype is None else prototype
        net = net_of(prototype, task)
        if incremental or not (net.warm_start and hasattr(self, "student_")):
            return clone(prototype)
        self._check_complete(self.student_)
        take_options(net_of(self.student_, task), net)
        return self.student_

    def _objective(self, student: Any, given: Given) -> Objective:
        """Return the terms of the loss, checked as far as they can be by now."""
        objective = Objective.of(self)
        if is_auto(self.alpha) and (given.y is None or not self._target().measures):
            objective = replace(objective, alpha=1.0)
        elif is_auto(self.alpha) and given.incremental:
            alpha = getattr(self, "alpha_", objective.alpha)
            objective = replace(objective, alpha=alpha)
        net = net_of(student)
        done = len(getattr(net, "history_", None) or ())
        max_epochs = net.max_epochs or 1
        n_epochs = max(done + (1 if given.incremental else max_epochs), max_epochs)
        objective.check(net, n_epochs, has_labels=given.y is not None)
        asks = objective.feature_loss or self.teacher_features != "auto"
        if given.labels is not None and objective.is_hidden and asks:
            raise ValueError(
                "feature_loss and teacher_features need a teacher to ask for features, "
                f"and there is {self._target().given} alone: pass teacher="
            )
        return objective

    @config_context(array_api_dispatch=False)
    def _check_X(self, X: Any, *, reset: bool) -> Any:
        """Check what the student would not, and leave the rest as it is.

        A pipeline takes what its first step takes. The teacher gets what this returns.
        """
        tabular = self._takes_tables()
        check_form(X, dense=tabular)
        if is_several(X):
            return checked_inputs(X)
        allow_nan = tabular and (reset or getattr(self, "_allow_nan", True))
        if is_frame(X) or (isinstance(self.student, Pipeline) and not tabular):
            check_not_empty(X)
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        if isinstance(X, list):  # scikit-learn would leave strings beside numbers
            X = np.asarray(X)
        with explaining_strings():
            X = validate_data(
                self,
                X,
                reset=reset,
                accept_sparse="csr",
                allow_nd=not tabular,
                ensure_all_finite="allow-nan" if allow_nan else True,
            )
        if reset:
            # The tags of some teachers, such as pipelines, do not tell all they take.
            self.__dict__.pop("_allow_nan", None)
            tags = get_tags(self).input_tags
            self._allow_nan = tags.allow_nan or (tabular and np.isnan(X.min()))
        return X

    def _fits_teacher(self) -> bool:
        return self.teacher is not None and not all_fitted(self.teacher)

    def _takes_tables(self) -> bool:
        return takes_tables(self.student)

    def _checked(self, given: Given, *, reset: bool) -> Given:
        X, y = self._check_X(given.X, reset=reset), given.y
        labels = in_order_of(y, given.labels)
        if y is not None:
            y = self._target().check_y(y, X)
        elif self._fits_teacher():
            require_target(y, f"{type(self).__name__} with an unfitted teacher")
        weight = check_weight(given.sample_weight, X)
        return replace(given, X=X, y=y, labels=labels, sample_weight=weight)

    def _warn_about(self, rows: TransferSet, objective: Objective) -> None:
        if not rows.has_labels and objective.alpha != 1:
            warn(
                "SKD107",
                f"there is no y, or no label has a weight: the student learns from the "
                f"teacher alone, and alpha={objective.alpha} is ignored. Set alpha=1",
            )
        taught, fitted_here = rows.taught, self._fits_teacher()
        # Students of such a teacher were no better with labels out of fold.
        says_more = objective.is_hidden or (fitted_here and rows.n_extra > 0)
        rows.target.warn_if_uninformative(
            rows.soft[taught],
            rows.hard[taught],
            rows.weight_of_labels[taught],
            fitted_here=fitted_here,
            alone=not says_more,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        teacher = None
        if isinstance(self.teacher, BaseEstimator):
            teacher = get_tags(self.teacher).input_tags
        tabular = self._takes_tables()
        bare_net = not tabular and not isinstance(self.student, Pipeline)
        allow_nan = tabular and (teacher is None or teacher.allow_nan)
        tags.input_tags.allow_nan = bool(getattr(self, "_allow_nan", allow_nan))
        tags.input_tags.sparse = bare_net and (teacher is None or teacher.sparse)
        return tags
