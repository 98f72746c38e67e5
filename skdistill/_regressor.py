"""The estimator that trains a small net to give the numbers of a large regressor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.metaestimators import available_if

from skdistill._base import CONSTRAINTS, BaseDistiller
from skdistill._questions import Given
from skdistill._state import may_train_on
from skdistill._students._student import net_of
from skdistill._targets._answer import Answer
from skdistill._targets._counts import Counts
from skdistill._targets._numbers import Numbers
from skdistill._targets._quantiles import Quantiles, check_levels
from skdistill._training._prediction import outputs_of
from skdistill._transfer._extra import Augmenter
from skdistill._transfer._question import Method
from skdistill.losses import PoissonLoss
from skdistill.losses._base import FeatureLoss, NumberLoss, RelationLoss
from skdistill.utils._params import check_params
from skdistill.utils._quantile_score import quantile_score
from skdistill.utils._validation import all_fitted


class DistilledRegressor(RegressorMixin, BaseDistiller):
    r"""Train a small net to give the predictions of a large regressor.

    The large regressor is the teacher. The student, a neural net, is trained on its
    predictions :math:`t` and on the targets ``y`` together. It minimizes

    .. math::

        L = \alpha \, (s - t)^2 + (1 - \alpha) \, (s - y)^2

    where :math:`s` are the predictions of the student. Up to a constant, this is the
    squared error to :math:`\alpha t + (1 - \alpha) y`. Other losses can replace it, and
    losses on hidden features and on the relations between rows can be added. By
    default, a pickle of the fitted estimator does not contain the teacher.

    By default, the student also learns from new rows, which are made from those of
    ``X`` and which the teacher labels. In their second term, the mean prediction of
    four nets that were trained on the targets alone takes the place of ``y``; nets with
    bins and nets without have the weights that are best for rows held out. The
    parameters are those of :class:`DistilledClassifier`, wherever they mean the same.

    Read more in the :ref:`user guide <regression>`.

    Parameters
    ----------
    teacher : estimator, list of estimators or None, default=None
        A regressor with ``predict``, or a list of them, whose predictions are averaged.
        A fitted teacher is used as it is, and clones refer to the same object. An
        unfitted teacher is cloned, and the clone is fitted on the training rows in
        ``fit``. The teacher gets a copy of ``X`` as it is passed to ``fit``. None if
        ``teacher_pred`` is passed to ``fit``.
    student : skorch.NeuralNetRegressor, Pipeline or None, default=None
        A net, or a pipeline whose last step is a net. A clone of it is trained and is
        available as ``student_``. None means ``make_student(task="regression")``, which
        accepts arrays and data frames. If the module of the net has parameters
        ``n_features`` and ``n_outputs``, they are set. The net learns targets that are
        scaled to a mean of 0 and a standard deviation of 1.
    alpha : float, callable or "auto", default="auto"
        The weight of the first term, from 0 (the student learns from ``y`` only) to 1
        (from the teacher only; ``y`` is not needed). A callable is a schedule: a
        function of the number of the epoch, counted from 0, and of the total number of
        epochs, such as :class:`skdistill.schedules.LinearSchedule`. "auto" measures how
        much the teacher can be trusted, if it is not fitted; see Notes.
    student_columns : array-like of str, int or bool, default=None
        The columns that the student reads, by names, by positions, or as a mask, if
        these are not all that the teacher reads, as in :class:`DistilledClassifier`.
    loss : str, callable or list of (loss, weight), default="squared_error"
        The loss of the first term: "squared_error", "absolute_error", "huber",
        "poisson", "teacher_bounded", an object of :mod:`skdistill.losses` with
        parameters, or a function of your own. A function is called with the student's
        and the teacher's scaled predictions, tensors of shape (n_rows, n_targets), and
        returns a tensor of shape (). It also gets the keywords ``y``, ``sample_weight``
        and ``epoch`` (counted from 0) if it has parameters with these names. A list is
        a weighted sum. The default student has the same loss in the second term if it
        is "absolute_error", "huber" or "poisson", and otherwise the squared error.
        "poisson" is for targets that are not negative, such as counts: the student
        learns the logarithm of their mean, and predicts positive numbers. No other loss
        can be added to it, and ``score`` is R2 still.
    feature_loss : str, callable, list of (loss, weight) or None, default=None
        A further term on hidden features: "hint", "cosine", "cka", "vid", an object, or
        a function of your own, as in :class:`DistilledClassifier`.
    feature_weight : float, default=1.0
        The weight of ``feature_loss``. 0 leaves the loss out.
    relation_loss : str, callable, list of (loss, weight) or None, default=None
        A further term on the relations between the rows of a batch: "rkd",
        "similarity", "pkt", "contrastive", an object, or a function as for
        ``feature_loss``. If the teacher has no features, its predictions are used.
    relation_weight : float, default=1.0
        The weight of ``relation_loss``. 0 leaves the loss out.
    teacher_features : "auto", str or callable, default="auto"
        The teacher's features for these two losses, as in :class:`DistilledClassifier`.
    student_layer : str, default=None
        The name of the submodule of the student's module whose output is used as the
        student's features. None means the input of its last linear layer.
    soft_labels : {"auto", "in_sample", "out_of_fold", "out_of_bag"}, default="auto"
        The teacher that labels a row: one that was fitted on all rows, a clone that was
        fitted on the other folds, or the trees of a forest whose bootstrap sample does
        not contain the row. "auto" means "out_of_fold" if ``cv`` is given, otherwise
        "in_sample". With ``teacher_pred``, it says how these were
        made: if "out_of_fold" or "out_of_bag", ``alpha="auto"`` is measured.
    cv : int, cross-validation splitter or None, default=None
        The folds of "out_of_fold". None means 5. The rows of an int are shuffled. For
        folds by groups, pass ``list(splitter.split(X, y, groups))``.
    teacher_weights : array-like of shape (n_teachers,), default=None
        The weights of a list of teachers. By default all are equal.
    quantiles : array-like of shape (n_quantiles,), default=None
        The levels of quantiles to learn, increasing, between 0 and 1; ``predict`` then
        returns a column for each, which never cross. The teacher is a regressor whose
        ``predict`` takes ``quantiles``, such as a quantile forest, or returns a column
        for each, or a list with a regressor for each. The first term is the squared
        error to the teacher's quantiles, the second one the pinball loss of ``y``, and
        ``alpha="auto"`` stands for 1. None learns the expected values.
    extrapolation : float or None, default=0.1
        How far predictions may lie beyond the range of the targets that were learned,
        as a share of this range. Trees predict no value beyond the targets that they
        have seen, and a net does, without bound, for rows far from those of ``X``. None
        means no bound.
    augmenter : {"auto", "munge", "mixup"}, object or None, default="auto"
        Makes further rows, which the teacher labels. "auto" means
        :class:`~skdistill.augmentation.MUNGE`, with 5 new rows for each of ``X`` and
        100,000 at most, if the student accepts tables and sets no rows aside. "munge",
        "mixup" and objects with a method ``sample`` are those of
        :class:`DistilledClassifier`. None means no further rows. Where the teacher is
        measured, made rows are left out on which it is more than three
        times as far from nets that learned ``y`` as on 99 % of the rows that measure
        it: far from the data, it may predict anything.
    calibrate_teacher : tuple (X_cal, y_cal) or None, default=None
        Rows that a fitted teacher has not seen, and their targets: ``alpha="auto"`` is
        measured on them. The parameter is that of :class:`DistilledClassifier`, but
        predictions have no temperature, and stay as they are. Without effect with
        ``quantiles``.
    memory : str, path, joblib.Memory or None, default=None
        A folder in which the teacher's predictions are kept for later processes.
    pickle_teacher : bool, default=False
        Whether a pickle of the fitted estimator contains the teacher.
    n_jobs : int, default=None
        The number of folds of "out_of_fold" that are fitted at the same time.
    random_state : int, RandomState instance or None, default=None
        Seeds the student, the made rows, and the ``random_state`` parameters of an
        unfitted teacher that are None. Pass an int for reproducible results.
    verbose : int, default=0
        If 1, shows a progress bar for each phase that takes more than a second.

    Attributes
    ----------
    student_ : skorch.NeuralNetRegressor or Pipeline
        The trained student. It predicts scaled targets; ``predict`` brings them back
        to the units of ``y``.
    teacher_ : estimator or list of estimators
        The teacher that the last ``fit`` fitted. It is missing if the teacher was
        passed fitted, if ``fit`` reused the predictions of an earlier fit, and after
        loading from a file.
    alpha_ : float
        What ``alpha="auto"`` stands for. It is missing if something else was passed.
    n_honest_rows_ : int
        With ``alpha="auto"``, the number of rows on which it was measured, which the
        teacher has not learned from. If it is 0, nothing is known of such rows.
    history_ : skorch.History
        The training, as in :class:`DistilledClassifier`, but without the agreement.
    n_outputs_ : int
        The number of targets.
    y_mean_, y_scale_ : ndarray of shape (`n_outputs_`,)
        What the student's scaled targets of 0 stand for, and their differences of 1.
        With the loss "poisson", 0 and the means of the targets.
    link_ : {"identity", "log"}
        What the student's module returns of a scaled prediction: with the loss
        "poisson", its logarithm.
    y_bounds_ : tuple of two ndarray of shape (`n_outputs_`,), or None
        The smallest and the largest predictions; see ``extrapolation``.
    n_features_in_ : int
        The number of columns of ``X`` in ``fit``, or of ``student_columns``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The names of these columns, if all names in ``fit`` are strings.

    See Also
    --------
    DistilledClassifier : Does the same for classes.
    make_student : The default student, and its parameters.
    soft_labels : Returns a teacher's predictions, for example to save them.
    skdistill.inspection.compare : Tells whether distilling was worth it.
    skdistill.losses : The losses, and their papers.

    Notes
    -----
    ``alpha="auto"`` is the share :math:`a` of the teacher in the mixture
    :math:`a t + (1 - a) n` with the predictions :math:`n` of the nets that has the
    smallest squared error on rows that neither has seen. Forests and boosted trees are
    often worse than a net if the target is a smooth function of the columns, and then
    the share is near 0. The nets learn from 85 % of the rows, and the others are
    honest rows

    - if the teacher is not fitted: one or two more clones of it are fitted on the rows
      that the nets learn from;
    - if ``soft_labels`` is "out_of_fold" or "out_of_bag": nothing more is fitted;
    - if the teacher is a :class:`~sklearn.ensemble.RandomForestRegressor` that was
      fitted on the rows of ``X``: a row is predicted by the trees whose bootstrap
      sample does not contain it.

    If ``calibrate_teacher`` is a pair, its rows are the honest ones. With any other
    fitted teacher, the share is at most 0.7, and at most the squared error of the nets
    on the rows that they hold out, divided by the mean squared difference of teacher
    and nets on the made rows: if both are far apart where the nets are known to be
    good, then it is the teacher that is wrong. So pass the teacher unfitted if it can
    be fitted twice, or rows that it has not seen.

    With ``student_columns``, the nets read the columns of the student. ``alpha="auto"``
    is then 0.7 times the share of the variance of the teacher's predictions that the
    nets explain, on the made rows: the rest is noise for a student of these columns.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from skdistill import DistilledRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> forest = RandomForestRegressor(random_state=0)
    >>> reg = DistilledRegressor(teacher=forest, random_state=0).fit(X, y)
    >>> reg.predict(X[:3]).shape
    (3,)
    >>> 0 <= reg.alpha_ <= 1
    True
    """

    student_: Any
    n_outputs_: int

    _parameter_constraints: dict = {
        **CONSTRAINTS,
        "quantiles": ["array-like", None],
        "extrapolation": [Interval(Real, 0, None, closed="left"), None],
    }

    def __init__(
        self,
        teacher: Any = None,
        student: Any = None,
        *,
        alpha: float | Literal["auto"] | Callable[[int, int], float] = "auto",
        student_columns: ArrayLike | None = None,
        loss: NumberLoss | object = "squared_error",
        feature_loss: FeatureLoss | object = None,
        feature_weight: float = 1.0,
        relation_loss: RelationLoss | object = None,
        relation_weight: float = 1.0,
        teacher_features: str | Callable[[Any, Any], ArrayLike] = "auto",
        student_layer: str | None = None,
        soft_labels: Method = "auto",
        cv: Any = None,
        teacher_weights: ArrayLike | None = None,
        quantiles: ArrayLike | None = None,
        extrapolation: float | None = 0.1,
        augmenter: Literal["auto"] | Augmenter | object = "auto",
        calibrate_teacher: Sequence[Any] | None = None,
        memory: Any = None,
        pickle_teacher: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.alpha = alpha
        self.student_columns = student_columns
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
        self.quantiles = quantiles
        self.extrapolation = extrapolation
        self.augmenter = augmenter
        self.calibrate_teacher = calibrate_teacher
        self.memory = memory
        self.pickle_teacher = pickle_teacher
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | float | None = None,
        teacher_pred: ArrayLike | None = None,
        X_transfer: Any = None,
    ) -> DistilledRegressor:
        """Label ``X`` with the teacher, and train the student.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The training rows, as for :class:`DistilledClassifier`.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            The targets. If None, the student learns from the teacher only, as with
            ``alpha=1``, and the teacher must be fitted.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            The weights of the rows in both terms of the loss. Only their ratios matter.
            A teacher that is fitted here gets them too, if its ``fit`` accepts them.
        teacher_pred : array-like of the shape of ``y``, default=None
            Precomputed predictions, instead of a teacher. Columns of a data frame that
            are named as those of ``y`` may be in any order. Searches and
            cross-validation split them together with ``X``.
        X_transfer : array-like or data frame, default=None
            Further rows without targets, of shape (n_unlabeled, n_features), as for
            :class:`DistilledClassifier`.

        Returns
        -------
        self : DistilledRegressor
            The fitted estimator.

        Raises
        ------
        TypeError
            If the teacher or the student has an unsupported type, such as that of a
            classifier.
        ValueError
            If there is neither a teacher nor ``teacher_pred``, or both; if the teacher
            gives another number of targets than ``y``; or if the loss is not finite
            during training. After an error, a fitted estimator stays as it was before
            the call. If the student has ``warm_start``, its net keeps what it learned
            before the error.
        KeyboardInterrupt
            If you press Ctrl-C.
        """
        self._fit(Given(X, y, sample_weight, teacher_pred, X_transfer))
        return self

    @available_if(may_train_on)
    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | float | None = None,
        teacher_pred: ArrayLike | None = None,
    ) -> DistilledRegressor:
        """Train the student for one epoch on a chunk of the data.

        The method exists if the teacher is fitted, or None. The student's
        preprocessing, the scale of the targets and the bounds of predictions are those
        of the first chunk, so this chunk must be representative of all rows.
        ``soft_labels`` and ``cv`` are ignored: a chunk is labeled by the fitted
        teacher.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The rows of the chunk.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            The targets of the chunk.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            The weights of the rows. Only their ratios within the chunk matter.
        teacher_pred : array-like of the shape of ``y``, default=None
            Predictions for the chunk, instead of a teacher.

        Returns
        -------
        self : DistilledRegressor
            The estimator, trained for one more epoch.

        Raises
        ------
        ValueError
            As in ``fit``, or if the chunk has another number of targets than earlier
            ones.
        """
        check_params(self)  # _fit_context leaves it out where there was a fit
        self._fit(Given(X, y, sample_weight, teacher_pred, incremental=True))
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the prediction for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets), float64
            The predictions, in the units and in the shape of the ``y`` of ``fit``. With
            ``quantiles``, a column for each.
        """
        outputs = outputs_of(*self._prepared(X))
        return self._target(learned=True).decode(outputs.numpy())

    def score(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return R2, or the mean D2 of ``quantiles``: 1 is best, and 0 is a constant.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The targets.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows.

        Returns
        -------
        score : float
            See :func:`sklearn.metrics.r2_score` and
            :func:`sklearn.metrics.d2_pinball_score`.
        """
        if self.quantiles is None:
            return super().score(X, y, sample_weight)
        return quantile_score(y, self.predict(X), self.quantiles, sample_weight)

    @property
    def y_mean_(self) -> NDArray[np.float64]:
        return np.array(self._numbers.location)

    @property
    def y_scale_(self) -> NDArray[np.float64]:
        return np.array(self._numbers.scale)

    @property
    def y_bounds_(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        bounds = self._numbers.bounds
        return None if bounds is None else (np.array(bounds[0]), np.array(bounds[1]))

    def _target(self, *, learned: bool = False) -> Numbers:
        if learned:
            return self._numbers
        logs = _compare_logs(self.loss)
        if any(logs):
            if not all(logs):
                raise ValueError(
                    f"loss={self.loss!r:.80} compares logarithms by 'poisson', and "
                    "numbers by others: use 'poisson' alone, or leave it out"
                )
            if self.quantiles is not None:
                raise ValueError(
                    "quantiles have a loss of their own: set loss='squared_error', or "
                    "quantiles=None"
                )
            return Counts(self.extrapolation)
        if self.quantiles is None:
            return Numbers(self.extrapolation)
        return Quantiles(self.extrapolation, levels=check_levels(self.quantiles))

    @property
    def link_(self) -> str:
        return self._numbers.link

    def _learn(self, answer: Answer, given: Given, made: slice) -> NDArray[Any]:
        """Set the scales of the targets, and return the numbers of the columns.

        On rows that were made, far from real ones, a teacher may say anything.
        """
        columns, target = self._target().reconcile(answer.columns, given.y)
        if not (hasattr(self, "student_") and net_of(self.student_).warm_start):
            values = np.delete(answer.values, made, axis=0)
            learned = target.learned(values, given.y, given.sample_weight)
            self._numbers, self.n_outputs_ = learned, len(columns)
        return columns

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = not all_fitted(self.teacher)
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = any(_compare_logs(self.loss))
        return tags


def _compare_logs(loss: Any) -> list[bool]:
    """Tell for each part of a loss whether it compares logarithms."""
    parts = loss if isinstance(loss, list | tuple) else [(loss, 1.0)]
    losses = [part[0] if isinstance(part, list | tuple) else part for part in parts]
    return [
        isinstance(one, PoissonLoss) or (isinstance(one, str) and one == "poisson")
        for one in losses
    ]
