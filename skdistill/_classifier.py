"""The estimator: a heavy classifier's small and fast double."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    _fit_context,
    clone,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, check_random_state, get_tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from skdistill._pickling import LeftOut, checked, slim
from skdistill._progress import CallbackSupportMixin, FitTasks, TrainingBar
from skdistill._students._make_student import make_student
from skdistill._teachers._features import FeatureQuestion
from skdistill._training._hooks import (
    Distillation,
    is_trimmed,
    log_proba,
    net_of,
    proba,
    set_widths,
    snapshot,
    train,
)
from skdistill._training._objective import Objective, object_name
from skdistill._transfer._soft_labels import (
    METHODS,
    ask,
    from_proba,
    reconcile,
    to_logits,
    warn_if_uninformative,
)
from skdistill._transfer._store import Labels
from skdistill.utils._frames import is_frame
from skdistill.utils._validation import (
    all_fitted,
    check_not_empty,
    check_target,
    is_fitted,
    noting,
    plain_rows,
    require_target,
)

_STUDENT_NOTE = (
    "(Raised by the student, which gets X just as it was given to fit. What it needs "
    "done to X goes into one pipeline with it; make_student() takes tables as they are)"
)

# Parameters that may be objects with parameters of their own.
_PARTS = ("loss", "feature_loss", "relation_loss", "temperature", "alpha")


def _may_learn_on(self: DistilledClassifier) -> bool:
    if isinstance(self.teacher, LeftOut | None) or all_fitted(self.teacher):
        return True
    raise AttributeError(
        "partial_fit needs a teacher that is fitted, or teacher_proba in its place"
    )


class DistilledClassifier(
    CallbackSupportMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator
):
    r"""A small, fast classifier that learns from a heavy one.

    The student, a neural net, is trained on the teacher's soft labels and on the
    labels at once:

    .. math::

        L = \alpha \, T^2 \, \mathrm{KL}(p_t^T \,\|\, p_s^T)
            + (1 - \alpha) \, \mathrm{CE}(y, p_s)

    where :math:`p_t^T` and :math:`p_s^T` are the teacher's and the student's
    probabilities, both softened by the temperature :math:`T`. Other losses can take the
    place of the first term, and losses on hidden features and on the relations between
    rows can be added. Once fitted, it is an ordinary classifier, and a pickle of it
    holds no teacher.

    Read more in the :ref:`user guide <user_guide>`.

    Parameters
    ----------
    teacher : estimator, list of estimators or None, default=None
        A classifier with ``predict_proba``, or several, whose probabilities are
        averaged. A fitted one is used as it is, never refitted nor changed, and kept
        by reference in clones; an unfitted one is cloned and fitted on the training
        rows inside ``fit``. It sees ``X`` just as it is given to ``fit``. None where
        ``fit`` gets ``teacher_proba``.
    student : skorch.NeuralNetClassifier, Pipeline or None, default=None
        A net, or a pipeline that ends in one. Trained as a clone, available as
        ``student_``. None stands for :func:`make_student`, which takes arrays and
        data frames as they are. Where the net's module has parameters ``n_features``
        and ``n_classes``, they are set. Preprocessing that belongs to the student
        goes into its pipeline.
    temperature : float or callable, default=2.0
        Softens the teacher and the student in the first term; above 0. Higher values
        bring out how the teacher ranks the classes it thinks wrong. A callable is a
        schedule: a function of the number of the epoch, from 0, and of how many there
        are, such as :class:`skdistill.schedules.LinearSchedule`.
    alpha : float or callable, default=0.5
        The weight of the soft term, from 0 (plain training on ``y``) to 1 (the
        teacher alone; ``y`` is not needed). Or a schedule.
    loss : str, callable or list of (loss, weight), default="kl"
        The soft term, on logits: "kl", "logit_mse", "dkd", "dist", "nkd",
        "standardised", "jsd", an object of :mod:`skdistill.losses` that holds their
        parameters, or a function of your own. It is called with the student's and the
        teacher's logits, tensors of shape (n_rows, n_classes), and gets the keywords
        ``y``, ``temperature``, ``sample_weight`` and ``epoch`` (from 0) if it has
        parameters of that name; it returns a tensor of shape (). A list is a weighted
        sum.
    feature_loss : str, callable, list of (loss, weight) or None, default=None
        A further term, on hidden features: "hint", "cosine", "cka", "vid", an object,
        or a function of your own, which is called with features of shape (n_rows,
        n_student_features) and (n_rows, n_teacher_features), and gets
        ``sample_weight`` and ``epoch``. An object with a method
        ``learned(n_student_features, n_teacher_features)`` is replaced by the torch
        module that the method returns, which the student's optimizer then trains.
    feature_weight : float, default=1.0
        The weight of ``feature_loss`` beside the two other terms. Features have no
        common scale, so search over it. 0 leaves the loss out.
    relation_loss : str, callable, list of (loss, weight) or None, default=None
        A further term, on how the rows of a batch relate to each other: "rkd",
        "similarity", "pkt", "contrastive", an object or a function as for
        ``feature_loss``. With a teacher without features, its logits serve.
    relation_weight : float, default=1.0
        The weight of ``relation_loss``. 0 leaves the loss out.
    teacher_features : "auto", str or callable, default="auto"
        Where the teacher's features come from, for these two losses. "auto" is the
        last hidden layer of :class:`~sklearn.neural_network.MLPClassifier`; the input
        of the last linear layer of a :class:`TorchTeacher` or a skorch net; and the
        leaves of trees, forests and boosted trees (scikit-learn, LightGBM, XGBoost),
        reduced to 64 features. Of pipelines and searches, it is that of their last
        step and best estimator; of a list, all side by side. A string names a layer
        of a torch module. A callable takes the fitted teacher and ``X`` and returns an
        array of shape (n_samples, n_teacher_features).
    student_layer : str, default=None
        The submodule of the student's module whose output are its features. None is
        the input of its last linear layer.
    soft_labels : {"auto", "in_sample", "out_of_fold", "out_of_bag"}, default="auto"
        Which teacher labels a row: one that was fitted on all rows, a clone that was
        fitted on other folds, or those trees of a forest that did not draw it.
        "auto" is "out_of_fold" where ``cv`` is given, else "in_sample". See
        :func:`soft_labels`.
    cv : int, cross-validation splitter or None, default=None
        The folds of "out_of_fold"; None means 5.
    teacher_weights : array-like of shape (n_teachers,), default=None
        The weights of a list of teachers. By default all weigh the same.
    classes : array-like of shape (n_classes,), default=None
        What the columns of ``teacher_proba`` stand for (by default the sorted labels
        of ``y``), or those of a fitted teacher (by default its ``classes_``). With an
        unfitted teacher, classes that ``classes_`` holds even if ``y`` lacks them.
    proba_clip : float or "auto", default="auto"
        Teachers' probabilities below it are raised to it, for their logarithm is
        taken. It acts as a temperature: a larger value softens. "auto" falls with the
        square of the number of classes, so that a one-hot row keeps 0.95 of its mass
        at temperature 2.
    memory : str, path, joblib.Memory or None, default=None
        Where soft labels are kept across processes and runs. Within one process they
        are kept anyway, so that a search asks the teacher once per training set.
    n_jobs : int, default=None
        How many folds are fitted at once for "out_of_fold".
    random_state : int, RandomState instance or None, default=None
        Seeds the student's weights and batches, and those ``random_state``
        parameters of an unfitted teacher that are None. An int makes two fits
        identical to the bit. The global generators of numpy and torch are left as
        they were; None draws one number from numpy's, as anywhere in scikit-learn.
    verbose : int, default=0
        1 shows the progress of labeling and of training.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The teacher's classes, and the labels of ``y`` that it lacks, sorted.
    student_ : skorch.NeuralNetClassifier or Pipeline
        The fitted student. It speaks in codes, positions in ``classes_``.
    teacher_ : estimator or list of estimators
        The teacher that was fitted inside, if one was. A pickle does not hold it, and
        there is none where the soft labels came from ``memory``, or the teacher was
        too large to be kept beside them.
    history_ : skorch.History
        A row per epoch: ``train_loss``, its parts ``train_loss_soft``,
        ``train_loss_hard``, ``train_loss_feature`` and ``train_loss_relation`` (those
        whose weight is not 0, before their weight), ``train_agreement`` (the share of
        rows where student and teacher name the same class), and the same with
        ``valid_`` where the student has a ``train_split``. Where they follow a
        schedule, ``temperature`` and ``alpha``.
    n_features_in_ : int
        The number of features of ``X`` in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The names of the features, where all of them are strings.

    See Also
    --------
    make_student : The default student, and its parameters.
    soft_labels : A teacher's soft labels, to compute them once and keep them.
    TorchTeacher : A torch module as a teacher.
    skdistill.losses : The losses, and the papers that they are from.

    References
    ----------
    .. [1] G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural
       Network", 2015. https://arxiv.org/abs/1503.02531

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.model_selection import train_test_split
    >>> from skdistill import DistilledClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> forest = RandomForestClassifier(random_state=0).fit(X_train, y_train)
    >>> clf = DistilledClassifier(teacher=forest, random_state=0)
    >>> clf.fit(X_train, y_train).score(X_test, y_test) > 0.95
    True
    """

    student_: Any

    _parameter_constraints: dict = {
        # A teacher and a student are checked in fit, which says what to do about them.
        "teacher": "no_validation",
        "student": "no_validation",
        "temperature": [Interval(Real, 0, None, closed="neither"), callable],
        "alpha": [Interval(Real, 0, 1, closed="both"), callable],
        # So are the losses, by the module that knows them.
        "loss": "no_validation",
        "feature_loss": "no_validation",
        "feature_weight": [Interval(Real, 0, None, closed="left")],
        "relation_loss": "no_validation",
        "relation_weight": [Interval(Real, 0, None, closed="left")],
        "teacher_features": [str, callable],
        "student_layer": [str, None],
        "soft_labels": [StrOptions(set(METHODS))],
        "cv": ["cv_object"],
        "teacher_weights": ["array-like", None],
        "classes": ["array-like", None],
        "proba_clip": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="neither")],
        "memory": "no_validation",
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        teacher: Any = None,
        student: Any = None,
        *,
        temperature: float | Callable[[int, int], float] = 2.0,
        alpha: float | Callable[[int, int], float] = 0.5,
        loss: Any = "kl",
        feature_loss: Any = None,
        feature_weight: float = 1.0,
        relation_loss: Any = None,
        relation_weight: float = 1.0,
        teacher_features: str | Callable[[Any, Any], ArrayLike] = "auto",
        student_layer: str | None = None,
        soft_labels: str = "auto",
        cv: Any = None,
        teacher_weights: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        proba_clip: float | str = "auto",
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.temperature = temperature
        self.alpha = alpha
        self.loss = loss
        self.feature_loss = feature_loss
        self.feature_weight = feature_weight
        self.relation_loss = relation_loss
        self.relation_weight = relation_weight
        self.teacher_features = teacher_features
        self.student_layer = student_layer
        self.soft_labels = soft_labels
        self.cv = cv
        self.teacher_weights = teacher_weights
        self.classes = classes
        self.proba_clip = proba_clip
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        teacher_proba: ArrayLike | None = None,
    ) -> DistilledClassifier:
        """Label ``X`` by the teacher, and train the student.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The training rows. The default student takes float arrays and data frames,
            with strings, categories, booleans and missing values; a bare net takes
            float arrays and sparse matrices; a pipeline takes what its first step
            takes.
        y : array-like of shape (n_samples,), default=None
            The labels. Without them, a fitted teacher or ``teacher_proba`` is all
            there is to learn from, and ``alpha`` counts as 1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in both terms of the loss, and of a teacher that is
            fitted here, if it takes them.
        teacher_proba : array-like of shape (n_samples, n_classes), default=None
            Soft labels made beforehand, in place of a teacher. The columns follow
            ``classes``, or the sorted labels of ``y``. Searches and cross-validation
            slice it along with ``X``.

        Returns
        -------
        self : DistilledClassifier
            The fitted estimator.

        Raises
        ------
        TypeError
            The teacher or the student is of a kind that cannot be one.
        ValueError
            There is no teacher, or two; teacher and data do not go together; or the
            loss became NaN while training. An estimator that was fitted before stays
            as it was.
        """
        with FitTasks(self, X, y) as tasks, _kept_on_error(self):
            student = self._new_student()
            if student is not getattr(self, "student_", None):
                self._forget()
            objective = self._objective(student, y, teacher_proba)
            X, y, sample_weight = self._check_data(X, y, sample_weight, teacher_proba)
            label_state, seed = self._seeds()
            labels = tasks.label(
                lambda: self._ask(
                    X, y, sample_weight, teacher_proba, objective, label_state
                )
            )
            self._set_classes(labels, y)
            distillation, codes = self._distillation(
                labels, objective, y, sample_weight
            )
            net = net_of(student)
            watchers = tasks.train(student, net.max_epochs)
            if self.verbose:
                watchers.append(TrainingBar())
            self._train(
                student,
                X,
                codes,
                replace(distillation, callbacks=watchers),
                seed=seed,
            )
        self.__dict__.pop("teacher_", None)
        if labels.teacher is not None:
            self.teacher_ = labels.teacher
        self._draws = check_random_state(seed)
        return self

    @available_if(_may_learn_on)
    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        teacher_proba: ArrayLike | None = None,
    ) -> DistilledClassifier:
        """Train the student for one epoch on a chunk of the data.

        There is one where the teacher is fitted, or ``teacher_proba`` stands for it.
        The student's preprocessing is fitted on the first chunk alone, which should
        look like the rest. Soft labels are in-sample, whatever ``soft_labels`` says,
        and not kept.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            A chunk of the rows.
        y : array-like of shape (n_samples,), default=None
            Its labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that any chunk of ``y`` may hold. Needed in the first call
            where there is no teacher to know them.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        teacher_proba : array-like of shape (n_samples, n_classes), default=None
            Soft labels of the chunk; the columns follow the parameter ``classes`` of
            the estimator, or else the sorted ``classes`` of the first call.

        Returns
        -------
        self : DistilledClassifier
            The estimator, trained for one epoch more.
        """
        with _kept_on_error(self):
            self._learn_on(X, y, classes, sample_weight, teacher_proba)
        return self

    def _learn_on(
        self,
        X: Any,
        y: ArrayLike | None,
        classes: ArrayLike | None,
        sample_weight: ArrayLike | None,
        teacher_proba: ArrayLike | None,
    ) -> None:
        first = not hasattr(self, "student_")
        if first and teacher_proba is not None and classes is self.classes is None:
            raise ValueError(
                "classes must be passed on the first call to partial_fit with "
                "teacher_proba"
            )
        if not first:
            self._check_can_go_on()
        student = self._new_student() if first else self.student_
        objective = self._objective(student, y, teacher_proba, epochs=1)
        X, y, sample_weight = self._check_data(
            X, y, sample_weight, teacher_proba, reset=first
        )
        if first:
            self._forget()
            seed = self._seeds()[1]
            self._draws = check_random_state(seed)
        else:
            seed = self._draws.randint(2**31 - 1)
        labels = self._ask_for_chunk(X, y, teacher_proba, objective, classes)
        if first:
            seen = [part for part in (y, classes) if part is not None]
            self._set_classes(labels, np.concatenate(seen) if seen else None)
        self._check_known(y)
        distillation, codes = self._distillation(labels, objective, y, sample_weight)
        self._train(student, X, codes, distillation, seed=seed, epochs=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels of ``classes_``.
        """
        net, rows = self._prepared(X)
        return self.classes_[proba(net, rows).argmax(dim=1).numpy()]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float64
            Rows sum to 1; columns in the order of ``classes_``.
        """
        return proba(*self._prepared(X)).numpy()

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes), float64
            Columns in the order of ``classes_``.
        """
        return log_proba(*self._prepared(X)).numpy()

    @property
    def history_(self) -> Any:
        check_is_fitted(self)
        return net_of(self.student_).history

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include those of the student, and of a teacher that is not
            fitted. A fitted teacher's are hidden: it is used as it is.

        Returns
        -------
        params : dict
            Parameter names mapped to their values.
        """
        params = super().get_params(deep=deep)
        if deep and is_fitted(self.teacher):
            params = {k: v for k, v in params.items() if not k.startswith("teacher__")}
        return params

    def set_params(self, **params: Any) -> DistilledClassifier:
        """Set the parameters of this estimator.

        Parameters
        ----------
        **params : dict
            Parameters by name; those of the student as ``student__name``.

        Returns
        -------
        self : DistilledClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            There is no such parameter, or it is one of a fitted teacher, of
            ``student=None``, of a loss given by its name, or of a number that is no
            schedule.
        """
        nested = [name for name in params if name.startswith("teacher__")]
        if nested and is_fitted(params.get("teacher", self.teacher)):
            raise ValueError(
                f"cannot set {nested[0]!r}: the teacher is fitted and used as it is. "
                "Pass an unfitted teacher to search over its parameters"
            )
        for part in _PARTS:
            nested = [name for name in params if name.startswith(f"{part}__")]
            value = params.get(part, getattr(self, part))
            if nested and not hasattr(value, "get_params"):
                raise ValueError(
                    f"cannot set {nested[0]!r} while {part} is {value!r}: pass "
                    f"{part}={object_name(part, value)}, to reach its parameters"
                )
        nested = [name for name in params if name.startswith("student__")]
        if nested and params.get("student", self.student) is None:
            raise ValueError(
                f"cannot set {nested[0]!r} while student is None: pass "
                "student=make_student(), which is the same student, to reach its "
                "parameters"
            )
        return super().set_params(**params)

    def _new_student(self) -> Any:
        """Return what ``fit`` trains: a clone, or the last one if it is warm."""
        if isinstance(self.teacher, LeftOut):
            raise ValueError(
                f"this DistilledClassifier was loaded from a file, which does not hold "
                f"its teacher ({self.teacher.name}). To fit it again, give it one: "
                "set_params(teacher=...)"
            )
        prototype = make_student() if self.student is None else self.student
        net = net_of(prototype)
        if not (net.warm_start and hasattr(self, "student_")):
            return clone(prototype)
        self._check_can_go_on()
        trained = net_of(self.student_)
        now = trained.get_params(deep=False)
        trained.set_params(
            **{
                name: value
                for name, value in net.get_params(deep=False).items()
                if isinstance(value, str | Real) and now.get(name) != value
            }
        )
        return self.student_

    def _objective(
        self, student: Any, y: Any, teacher_proba: Any, epochs: int | None = None
    ) -> Objective:
        """Return the terms of the loss, checked as far as they can be by now."""
        objective = Objective.of(self)
        net = net_of(student)
        done = len(getattr(net, "history_", None) or ())
        n_epochs = max(done + (epochs or net.max_epochs), net.max_epochs)
        objective.check(n_epochs, net.max_epochs, has_labels=y is not None)
        asks = objective.feature_loss or self.teacher_features != "auto"
        if teacher_proba is not None and objective.is_hidden and asks:
            raise ValueError(
                "feature_loss and teacher_features need a teacher to ask for features, "
                "and there is teacher_proba alone: pass teacher="
            )
        return objective

    def _forget(self) -> None:
        """Begin anew with what a training leaves for the next one."""
        self._learned: dict[Any, Any] = {}
        self._reduction: tuple[Any, Any] = (None, None)

    def _check_can_go_on(self) -> None:
        if is_trimmed(net_of(self.student_)):
            raise ValueError(
                "this DistilledClassifier was loaded from a file, which holds what "
                "prediction needs: it cannot be trained on. Fit another: "
                "clone(loaded).set_params(teacher=...)"
            )

    def _check_data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        teacher_proba: Any,
        reset: bool = True,
    ) -> tuple[Any, NDArray[Any] | None, NDArray[np.float64] | None]:
        if (self.teacher is None) == (teacher_proba is None):
            raise ValueError(
                "there is no teacher: pass teacher= to DistilledClassifier, or "
                "teacher_proba= to fit"
                if self.teacher is None
                else "pass either a teacher or teacher_proba, not both: it is not "
                "clear which of the two to learn from"
            )
        X = self._check_X(X, reset=reset)
        if y is not None:
            y = check_target(y, X)
        elif self._fits_teacher():
            require_target(y, "DistilledClassifier with an unfitted teacher")
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, X, ensure_non_negative=True
            )
        return X, y, sample_weight

    def _check_X(self, X: Any, *, reset: bool) -> Any:
        """Check what the student would not, and leave the rest as it is.

        A pipeline takes what its first step takes. The teacher gets what this returns.
        """
        tabular = self._takes_tables()
        allow_nan = tabular and (reset or getattr(self, "_allow_nan", True))
        if is_frame(X) or (isinstance(self.student, Pipeline) and not tabular):
            check_not_empty(X)
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        try:
            X = validate_data(
                self,
                X,
                reset=reset,
                accept_sparse=False if tabular else "csr",
                allow_nd=not tabular,
                ensure_all_finite="allow-nan" if allow_nan else True,
            )
        except ValueError as error:
            if "could not convert string" not in str(error):
                raise
            raise ValueError(
                f"{error}. An array has no columns of strings: pass a data frame"
            ) from error
        if reset:
            # The tags of some teachers, such as pipelines, do not tell all they take.
            self.__dict__.pop("_allow_nan", None)
            tags = get_tags(self).input_tags
            self._allow_nan = tags.allow_nan or (tabular and np.isnan(X).any())
        return X

    def _fits_teacher(self) -> bool:
        return self.teacher is not None and not all_fitted(self.teacher)

    def _takes_tables(self) -> bool:
        """Tell whether the student takes tables of all kinds, as the default does."""
        if not isinstance(self.student, Pipeline):
            return self.student is None
        first = self.student.steps[0][1]
        if not hasattr(first, "__sklearn_tags__"):
            return False
        tags = get_tags(first).input_tags
        return tags.categorical and tags.string and tags.allow_nan

    def _seeds(self) -> tuple[int | None, int]:
        """Return a random state for the teacher, and a seed for the training."""
        rng = check_random_state(self.random_state)
        if self.random_state is None:
            return None, rng.randint(2**31 - 1)
        if isinstance(self.random_state, Integral):
            return int(self.random_state), int(self.random_state)
        return rng.randint(2**31 - 1), rng.randint(2**31 - 1)

    def _ask(
        self,
        X: Any,
        y: NDArray[Any] | None,
        sample_weight: NDArray[np.float64] | None,
        teacher_proba: ArrayLike | None,
        objective: Objective,
        random_state: int | None,
    ) -> Labels:
        if teacher_proba is not None:
            return from_proba(teacher_proba, X, y, self.classes)
        if y is not None and self._fits_teacher() and len(np.unique(y)) < 2:
            raise ValueError(
                "DistilledClassifier needs at least 2 classes to fit its teacher, y "
                f"has 1 class: {y[:1].tolist()[0]!r}"
            )
        return ask(
            self.teacher,
            X,
            y,
            method=self.soft_labels,
            cv=self.cv,
            sample_weight=sample_weight,
            teacher_weights=self.teacher_weights,
            classes=self.classes,
            memory=self.memory,
            n_jobs=self.n_jobs,
            random_state=random_state,
            verbose=self.verbose,
            features=self._question(objective, self._fits_teacher()),
        )

    def _ask_for_chunk(
        self,
        X: Any,
        y: NDArray[Any] | None,
        teacher_proba: ArrayLike | None,
        objective: Objective,
        classes: ArrayLike | None,
    ) -> Labels:
        if teacher_proba is not None:
            columns: Any = getattr(self, "classes_", classes)
            columns = np.unique(columns) if self.classes is None else self.classes
            return from_proba(teacher_proba, X, y, columns)
        return ask(
            self.teacher,
            X,
            y,
            method="in_sample",
            teacher_weights=self.teacher_weights,
            classes=self.classes,
            verbose=self.verbose,
            features=self._question(objective),
            remember=False,
        )

    def _question(
        self, objective: Objective, new_teacher: bool = False
    ) -> FeatureQuestion | None:
        """Return what to ask a teacher besides labels, if a loss needs it."""
        if not objective.is_hidden:
            return None
        required = bool(objective.feature_loss) or self.teacher_features != "auto"
        # What the student has learned of its features goes on with the same ones.
        teacher, reduction = self._reduction
        if new_teacher or teacher is not self.teacher:
            reduction = None
        return FeatureQuestion(self.teacher_features, required, reduction)

    def _check_known(self, y: NDArray[Any] | None) -> None:
        if y is not None and not np.isin(y, self.classes_).all():
            raise ValueError(
                f"y has labels that are not in classes_: "
                f"{np.setdiff1d(y, self.classes_).tolist()}. The first call of "
                "partial_fit must be told of all of them by classes="
            )

    def _set_classes(self, labels: Labels, y: NDArray[Any] | None) -> None:
        """Set ``classes_``, and what the teacher's columns stand for among them."""
        self._columns, classes = reconcile(labels.classes, y)
        if self.classes is not None and self._fits_teacher():
            classes = reconcile(np.asarray(self.classes), y)[1]
        if len(classes) < 2:
            raise ValueError(
                f"DistilledClassifier needs at least 2 classes, there is 1 class: "
                f"{classes.tolist()[0]!r}"
            )
        previous = getattr(self, "classes_", classes)
        warm = hasattr(self, "student_") and net_of(self.student_).warm_start
        if warm and not np.array_equal(previous, classes):
            raise ValueError(
                f"a student with warm_start must keep its classes: it had "
                f"{previous.tolist()}, and would get {classes.tolist()}"
            )
        self.classes_ = classes

    def _distillation(
        self,
        labels: Labels,
        objective: Objective,
        y: NDArray[Any] | None,
        sample_weight: NDArray[np.float64] | None,
    ) -> tuple[Distillation, NDArray[np.int64]]:
        """Return what the net learns from, besides X: soft labels, and codes of y."""
        labels = replace(labels, classes=self._columns)
        logits = to_logits(labels, self.classes_, self.proba_clip)
        if labels.reduction is not None:
            self._reduction = (self.teacher, labels.reduction)
        alpha, taught = objective.alpha, None
        if y is None:
            if alpha != 1:
                warnings.warn(
                    f"there is no y: the student learns from the teacher alone, and "
                    f"alpha={alpha} is ignored. Set alpha=1",
                    UserWarning,
                    stacklevel=4,
                )
            alpha, codes = 1.0, logits.argmax(axis=1)
        else:
            codes = np.searchsorted(self.classes_, y)
            known = np.isin(y, self._columns)
            told = known if sample_weight is None else known & (sample_weight > 0)
            warn_if_uninformative(
                logits[told], codes[told], alone=not objective.is_hidden
            )
            taught = None if known.all() else known
        distillation = Distillation(
            torch.from_numpy(np.require(logits, requirements=["C", "W"])),
            replace(objective, alpha=alpha),
            features=_tensor(labels.features),
            sample_weight=_tensor(sample_weight),
            taught=None if taught is None else torch.from_numpy(taught),
            has_labels=y is not None,
            learned=self._learned,
        )
        return distillation, codes.astype(np.int64)

    def _train(
        self,
        student: Any,
        X: Any,
        codes: NDArray[np.int64],
        distillation: Distillation,
        *,
        seed: int,
        epochs: int | None = None,
    ) -> None:
        """Fit the student's preprocessing, unless it is, and train its net."""
        net = net_of(student)
        if isinstance(student, Pipeline) and len(student.steps) > 1:
            if net.initialized_:
                X = _transform(student, X)
            else:
                head = student[:-1]
                with noting(_STUDENT_NOTE):
                    X = head.fit_transform(X, codes)
                student.steps[:-1] = head.steps
        with noting(_STUDENT_NOTE):
            X = _net_input(X)
        if not net.initialized_:
            set_widths(net, X, len(self.classes_))
        train(net, X, codes, distillation, seed=seed, epochs=epochs)
        self.student_ = student

    def _prepared(self, X: Any) -> tuple[Any, Any]:
        """Return the net, and rows as it takes them."""
        if not hasattr(self, "student_"):  # the check takes longer than a small net
            check_is_fitted(self)
        student = self.student_
        named = hasattr(self, "feature_names_in_")
        plain = None if named else plain_rows(X, self.n_features_in_)
        if plain is None:
            X = self._check_X(X, reset=False)
        if not isinstance(student, Pipeline):
            return student, _net_input(X) if plain is None else plain
        return student.steps[-1][1], _net_input(_transform(student, X))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "student_")

    def __sklearn_clone__(self) -> DistilledClassifier:
        # A fitted teacher must not be cloned with the rest: the result would be
        # unfitted, or a deep copy of something heavy.
        stand_in = copy.copy(self)
        stand_in.teacher = None
        new = super(DistilledClassifier, stand_in).__sklearn_clone__()
        if isinstance(self.teacher, list | tuple):
            new.teacher = type(self.teacher)(map(_clone_unfitted, self.teacher))
        else:
            new.teacher = _clone_unfitted(self.teacher)
        return new

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        teacher = None
        if isinstance(self.teacher, BaseEstimator):
            teacher = get_tags(self.teacher).input_tags
        tabular = self._takes_tables()
        bare_net = not tabular and not isinstance(self.student, Pipeline)
        tags.target_tags.required = not all_fitted(self.teacher)
        allow_nan = tabular and (teacher is None or teacher.allow_nan)
        tags.input_tags.allow_nan = bool(getattr(self, "_allow_nan", allow_nan))
        tags.input_tags.sparse = bare_net and (teacher is None or teacher.sparse)
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what prediction does not need: above all, the teacher."""
        state = dict(super().__getstate__())
        return slim(state) if "student_" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(checked(state))

    def __copy__(self) -> DistilledClassifier:
        # Copies are for use in this process: they keep the teacher.
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        return new

    def __deepcopy__(self, memo: dict[int, Any]) -> DistilledClassifier:
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return new


def _clone_unfitted(teacher: Any) -> Any:
    return teacher if is_fitted(teacher) else clone(teacher, safe=False)


@contextmanager
def _kept_on_error(estimator: Any) -> Iterator[None]:
    """Put all back where a fit fails, so that nothing is half new."""
    before, put_back = dict(vars(estimator)), None
    if "student_" in before and not is_trimmed(net_of(estimator.student_)):
        put_back = snapshot(net_of(estimator.student_), estimator._learned)
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        if put_back is not None:
            put_back()
        raise


def _transform(student: Any, X: Any) -> Any:
    """Apply the fitted preprocessing of a student, if it has some."""
    if isinstance(student, Pipeline):
        # Step by step: Pipeline.transform costs as much as the net for a single row.
        for _, step in student.steps[:-1]:
            if step is not None and step != "passthrough":
                X = step.transform(X)
    return X


def _net_input(X: Any) -> Any:
    rows = plain_rows(X)
    if rows is not None:
        return rows
    with np.errstate(over="ignore"):  # what overflows is reported as infinite
        return check_array(
            X, dtype=np.float32, order="C", accept_sparse="csr", allow_nd=True
        )


def _tensor(values: NDArray[Any] | None) -> torch.Tensor | None:
    return None if values is None else torch.tensor(values, dtype=torch.float32)
