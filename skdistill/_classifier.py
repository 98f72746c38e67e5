"""The estimator: a heavy classifier's small and fast double."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdistill._base import BaseDistiller, may_train_on
from skdistill._teachers._answers import Answer
from skdistill._training._prediction import log_proba, proba
from skdistill._training._train import net_input, net_of, transform
from skdistill._transfer._labels import reconcile
from skdistill._transfer._methods import METHODS
from skdistill.utils._validation import all_fitted, plain_rows


class DistilledClassifier(ClassifierMixin, BaseDistiller):
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
        "standardized", "jsd", an object of :mod:`skdistill.losses` that holds their
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
        self._fit(X, y, sample_weight, teacher_proba)
        return self

    @available_if(may_train_on)
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
        self._validate_params()  # _fit_context leaves it out where there was a fit
        self._fit(X, y, sample_weight, teacher_proba, classes, incremental=True)
        return self

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

    def _name_classes(
        self, answer: Answer, y: NDArray[Any] | None, known: ArrayLike | None
    ) -> NDArray[Any]:
        """Set ``classes_``; return what the answer's columns stand for among them."""
        if known is not None:
            y = np.asarray(known) if y is None else np.concatenate([y, known])
        columns, classes = reconcile(answer.classes, y)
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
        return columns

    def _check_known(self, y: NDArray[Any] | None) -> None:
        if y is not None and not np.isin(y, self.classes_).all():
            raise ValueError(
                f"y has labels that are not in classes_: "
                f"{np.setdiff1d(y, self.classes_).tolist()}. The first call of "
                "partial_fit must be told of all of them by classes="
            )

    def _prepared(self, X: Any) -> tuple[Any, Any]:
        """Return the net, and rows as it takes them."""
        if not hasattr(self, "student_"):  # the check takes longer than a small net
            check_is_fitted(self)
        student = self.student_
        net = student.steps[-1][1] if isinstance(student, Pipeline) else student
        named = hasattr(self, "feature_names_in_")
        rows = None if named else plain_rows(X, self.n_features_in_)
        if rows is None:
            rows = self._check_X(X, reset=False)
        return net, net_input(transform(student, rows))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = not all_fitted(self.teacher)
        return tags
