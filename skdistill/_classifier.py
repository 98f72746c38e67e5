"""The estimator that trains a small net to give a teacher's probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import get_tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from skdistill._base import CONSTRAINTS, BaseDistiller
from skdistill._pickling import LEFT_OUT
from skdistill._questions import Given
from skdistill._state import may_train_on
from skdistill._students._student import learns_labels, net_of
from skdistill._targets._answer import Answer
from skdistill._targets._classes import Classes
from skdistill._targets._labels import Labels, check_indicator, may_be_classes
from skdistill._targets._target import has_labels, of_classifier
from skdistill._training._prediction import log_proba, proba
from skdistill._transfer._extra import Augmenter
from skdistill._transfer._question import Method
from skdistill.losses._base import ClassLoss, FeatureLoss, RelationLoss
from skdistill.utils._params import check_params
from skdistill.utils._unwrap import listed
from skdistill.utils._validation import all_fitted

Calibration = Literal["auto", "out_of_fold"]


class DistilledClassifier(ClassifierMixin, BaseDistiller):
    r"""Train a small net to give the probabilities of a large classifier.

    The large classifier is the teacher. It predicts class probabilities, the soft
    labels, for the training rows. The student, a neural net, is trained on the soft
    labels and on the labels ``y`` together. It minimizes

    .. math::

        L = \alpha \, T^2 \, \mathrm{KL}(p_t^T \,\|\, p_s^T)
            + (1 - \alpha) \, \mathrm{CE}(y, p_s)

    where :math:`p_t^T` and :math:`p_s^T` are the probabilities of the teacher and of
    the student, both softened by the temperature :math:`T` [1]_. Other losses can
    replace the first term, and losses on hidden features and on the relations between
    rows can be added. By default, a pickle of the fitted estimator does not contain the
    teacher.

    If ``y`` is an indicator matrix of several labels a row, the student gives the
    probability of each label. The loss is then the sum over the labels, each of which
    is a choice of two classes. See :ref:`several_labels`.

    By default, the student also learns from new rows, which are made from those of
    ``X`` and which the teacher labels. In their second term, the mean probabilities of
    four nets that were trained on the labels alone take the place of ``y``
    (pseudo-labels [3]_). These nets also determine the weight decay and the encoding of
    numbers, unless the student sets them (see :func:`make_student`). With many rows,
    the nets learn from 100,000 of them at random, and the student learns for fewer
    epochs, so that the time for both is bounded.

    Set ``teacher``, ``student``, ``temperature`` and ``alpha`` first. The parameters
    after them are about the columns that the student reads (``student_columns``), the
    losses (``loss`` to ``student_layer``), the soft labels (``soft_labels`` to
    ``classes``), further rows (``augmenter``), the teacher's probabilities
    (``calibrate_teacher``, ``proba_clip``) and how ``fit`` runs (``memory`` to
    ``verbose``).

    Read more in the :ref:`user guide <user_guide>`.

    Parameters
    ----------
    teacher : estimator, list of estimators or None, default=None
        A classifier with ``predict_proba``, or a list of them, whose probabilities are
        averaged. A fitted teacher is used as it is, and clones refer to the same
        object. An unfitted teacher is cloned, and the clone is fitted on the training
        rows in ``fit``. The teacher gets a copy of ``X`` as it is passed to ``fit``.
        None if ``teacher_proba`` is passed to ``fit``.
    student : skorch.NeuralNetClassifier, Pipeline or None, default=None
        A net, or a pipeline whose last step is a net. A clone of it is trained and is
        available as ``student_``. None means :func:`make_student`, which accepts arrays
        and data frames. If the module of the net has parameters ``n_features`` and
        ``n_classes``, they are set. For several labels a row, its criterion is
        :class:`torch.nn.BCEWithLogitsLoss`. Put the student's preprocessing into its
        pipeline.
    temperature : float, callable or "auto", default=1.0
        Softens the teacher and the student in the first term; above 0. At higher
        temperatures, the student also learns how the teacher ranks the unlikely
        classes. With made rows and a calibrated teacher, 1 was as good as any other. A
        callable is a schedule: a function of the number of the epoch, counted from 0,
        and of the total number of epochs, such as
        :class:`skdistill.schedules.LinearSchedule`. "auto" stands for 1: how soft the
        teacher's probabilities have to be is measured by ``calibrate_teacher``.
    alpha : float, callable or "auto", default="auto"
        The weight of the first term, from 0 (the student learns from ``y`` only) to 1
        (from the teacher only; ``y`` is not needed). A callable is a schedule. "auto"
        measures how much the teacher can be trusted, if it is not fitted; see Notes.
    student_columns : array-like of str, int or bool, default=None
        The columns that the student reads, if the teacher reads further ones that are
        expensive or not there when predicting: names of a data frame's columns,
        positions, or a mask of all columns. None means all. Rows for ``fit`` and
        ``X_transfer`` have all columns. Rows for ``predict`` have those of the student
        alone, in the order given here, or all; a data frame may have any others
        besides. The exports, ``n_features_in_`` and ``feature_names_in_`` have the
        student's columns alone.
    loss : str, callable or list of (loss, weight), default="kl"
        The loss on logits in the first term: "kl", "logit_mse", "dkd", "dist", "nkd",
        "standardized", "jsd", an object of :mod:`skdistill.losses` with parameters, or
        a function of your own. A function is called with the student's and the
        teacher's logits, tensors of shape (n_rows, n_classes), and returns a tensor of
        shape (). It also gets the keywords ``y``, ``temperature``, ``sample_weight``
        and ``epoch`` (counted from 0) if it has parameters with these names. A list is
        a weighted sum. Of several labels a row, each is compared in a row of its own,
        as a choice of two classes.
    feature_loss : str, callable, list of (loss, weight) or None, default=None
        A further term on hidden features: "hint", "cosine", "cka", "vid", an object, or
        a function of your own. A function is called with features of shape (n_rows,
        n_student_features) and (n_rows, n_teacher_features), and with
        ``sample_weight`` and ``epoch`` if it has these parameters. If an object has a
        method ``learned(n_student_features, n_teacher_features)``, the torch module
        that the method returns is called instead, and trained with the student.
    feature_weight : float, default=1.0
        The weight of ``feature_loss``. The best value depends on the scale of the
        features, so search over it. 0 leaves the loss out.
    relation_loss : str, callable, list of (loss, weight) or None, default=None
        A further term on the relations between the rows of a batch: "rkd",
        "similarity", "pkt", "contrastive", an object, or a function as for
        ``feature_loss``. If the teacher has no features, its logits are used.
    relation_weight : float, default=1.0
        The weight of ``relation_loss``. 0 leaves the loss out.
    teacher_features : "auto", str or callable, default="auto"
        The teacher's features for these two losses. "auto" means the last hidden layer
        of :class:`~sklearn.neural_network.MLPClassifier`, the input of the last linear
        layer of a :class:`TorchTeacher` or a skorch net, and the leaves of trees,
        forests and boosted trees (scikit-learn, LightGBM, XGBoost), reduced to 64
        features. For a pipeline, the last step is used, and for a search the best
        estimator. For a list of teachers, the features are concatenated. A string is
        the name of a layer of a torch module. A callable gets the fitted teacher and
        ``X``, and returns an array of shape (n_samples, n_teacher_features).
    student_layer : str, default=None
        The name of the submodule of the student's module whose output is used as the
        student's features. None means the input of its last linear layer.
    soft_labels : {"auto", "in_sample", "out_of_fold", "out_of_bag"}, default="auto"
        The teacher that labels a row: one that was fitted on all rows, a clone that was
        fitted on the other folds, or the trees of a forest whose bootstrap sample does
        not contain the row. "auto" means "out_of_fold" if ``cv`` is given, otherwise
        "in_sample". See :func:`soft_labels`. With ``teacher_proba``, it says how these
        were made: if "out_of_fold" or "out_of_bag", ``alpha="auto"`` is measured.
    cv : int, cross-validation splitter or None, default=None
        The folds of "out_of_fold". None means 5. For folds by groups, pass
        ``list(splitter.split(X, y, groups))``.
    teacher_weights : array-like of shape (n_teachers,), default=None
        The weights of a list of teachers. By default all are equal.
    classes : array-like of shape (n_classes,), default=None
        The labels of the columns of ``teacher_proba`` (by default the sorted labels of
        ``y``), or of a fitted teacher (by default its ``classes_``). Some of a fitted
        teacher's ``classes_`` make a student of these alone: the other columns are left
        out, the rows still sum to 1, and ``y`` must not have other labels. With an
        unfitted teacher, labels that are added to ``classes_`` even if ``y`` lacks
        them. Not for several labels a row.
    class_weight : dict, list of dict, "balanced" or None, default=None
        The weights of the classes, in both terms: a dict of weights by class, where a
        class that is not named has the weight 1; or "balanced", in inverse proportion
        to the number of rows of the class in ``y``. Use it if errors in a rare class
        are worse than others. For a row of ``X`` with a label, it multiplies
        ``sample_weight``, also where a teacher is fitted. A row without a label, such
        as one that the augmenter made, has the mean of the weights by the teacher's
        probabilities, so that a class weighs as much among these rows. The soft labels
        do not change: if a fitted teacher ignores a rare class, the first term makes
        the student do so too. Fit the teacher with class weights as well, or choose a
        smaller ``alpha``. For several labels a row, a list with a dict of the weights
        of 0 and 1 for each label, such as ``[{0: 1, 1: 5}, {}]``, or "balanced" by
        label. Each label of a row has its weight in the loss, and a teacher that is
        fitted here gets the mean over the labels of a row.
    augmenter : {"auto", "munge", "mixup"}, None or object, default="auto"
        Makes new rows from the training rows. The teacher labels them, and the student
        learns from these soft labels too. "auto" means
        :class:`~skdistill.augmentation.MUNGE`, with 5 new rows for each training row,
        or fewer if there are more than 20,000 training rows: 100,000 in all, of 100,000
        training rows at random if there are more. It makes rows if the
        student accepts all tables, as :func:`make_student` does, and not if ``alpha``
        is 0, if ``teacher_proba`` is passed, if ``X`` is sparse, or if the student sets
        rows aside for validation. With it, the student comes much closer to the
        teacher, and ``fit`` takes several times as long. "munge" and "mixup",
        which is :class:`~skdistill.augmentation.Mixup`, make as many rows, also for a
        student that sets rows aside. Your own object must have a method
        ``sample(X, n_rows, random_state)``. Its attribute ``n_copies``, by
        default 5, is the number of new rows for each training row.
    calibrate_teacher : "auto", None, "out_of_fold" or pair, default="auto"
        Calibrates the teacher by temperature scaling [2]_: its logits are divided by
        one number. A teacher is often too sure, or not sure enough, and most of all on
        the rows that it was fitted on. "auto" compares the teacher with nets that are
        trained on the labels, on rows that are in no training set: those of
        ``augmenter`` and ``X_transfer``. It does nothing if there are none, if there is
        no ``y``, or if the student has its own preprocessing. The others minimize the
        log loss of labeled rows that the teacher was not fitted on, and are more exact.
        "out_of_fold" uses the training rows and ``sample_weight``: clones of the
        teacher are fitted on the folds of ``cv``, and each row is labeled by a clone
        that was not fitted on it. Out-of-fold soft
        labels are used for this as well, so nothing is fitted twice. If you pass ``cv``
        and want in-sample soft labels, also pass ``soft_labels="in_sample"``. A pair
        (X_cal, y_cal) contains rows that the teacher has not seen, in the form of
        ``X``, and their labels. Each teacher of a list is calibrated before the
        average, but with "auto" the average is calibrated. None leaves the
        probabilities as they are.
    proba_clip : float or "auto", default="auto"
        The lower bound of the teacher's probabilities, whose logarithms are taken as
        logits. Like a temperature, a larger value makes the soft labels softer. "auto"
        decreases with the square of the number of classes, such that a one-hot row
        keeps 0.95 of its mass at temperature 2.
    memory : str, path, joblib.Memory or None, default=None
        A folder in which soft labels are kept across processes and runs. Soft labels
        of a teacher with code of your own, such as a class of a notebook, are not
        written to it. Within one process, soft labels are reused without it.
    pickle_teacher : bool, default=False
        Whether a pickle of the fitted estimator contains the teacher and the state of
        the training. By default it contains what prediction needs, so that it is small.
        Set it to True if the estimator is pickled between calls of ``partial_fit``, as
        by ``dask_ml.wrappers.Incremental`` on a cluster, or if you want to train a
        saved estimator further.
    n_jobs : int, default=None
        The number of folds that are fitted at the same time for "out_of_fold".
    random_state : int, RandomState instance or None, default=None
        Seeds the student's weights and batches, and the ``random_state`` parameters of
        an unfitted teacher that are None. Pass an int for reproducible results. With
        None, each ``fit`` fits an unfitted teacher again and its soft labels are not
        reused. The global generators of numpy and torch are not changed, except that
        None draws one number from numpy's, as in scikit-learn.
    verbose : int, default=0
        If 1, shows a progress bar for each phase that takes more than a second.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The sorted classes of the teacher and labels of ``y``; of several labels a row,
        their numbers.
    multilabel_ : bool
        Whether the student predicts several labels for each row.
    student_ : skorch.NeuralNetClassifier or Pipeline
        The fitted student. It predicts codes, which are indices into ``classes_``.
    teacher_ : estimator or list of estimators
        The teacher that the last ``fit`` fitted. It is missing if the teacher was
        passed fitted, if ``fit`` reused the soft labels of an earlier fit, and after
        loading from a file.
    teacher_temperature_ : float or list of floats
        What the teacher's logits were divided by: a number from 0.05 to 20, or one for
        each teacher of a list; with ``calibrate_teacher="auto"`` a number from 1/3 to 3
        if there are no honest rows (see Notes). Above 1, the teacher was overconfident,
        and below 1, underconfident. It is missing if the teacher was not calibrated.
    alpha_, temperature_ : float
        What ``alpha="auto"`` and ``temperature="auto"`` stand for. They are missing if
        something else was passed.
    n_honest_rows_ : int
        With ``alpha="auto"``, the number of honest rows on which it was measured (see
        Notes). If it is 0, nothing is known of the teacher on rows that it has not
        learned from.
    history_ : skorch.History
        The training, without its batches. It prints as a table, and ``to_frame``
        returns a data frame. A row is an epoch, with ``train_loss``; its terms
        ``train_loss_soft``, ``train_loss_hard``, ``train_loss_feature`` and
        ``train_loss_relation``, before they are multiplied by their weights, if these
        are not 0; and ``train_agreement``, the share of rows for which the student and
        the teacher predict the same class. If the student has a ``train_split``, there
        are the same columns with ``valid_``. If they follow a schedule, there are
        ``temperature`` and ``alpha``.
    n_features_in_ : int
        The number of features of ``X`` in ``fit``, or of ``student_columns``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The names of these features, if all names in ``fit`` are strings.

    See Also
    --------
    DistilledRegressor : Does the same for numbers.
    make_student : The default student, and its parameters.
    skdistill.inspection.compare : Tells whether distilling was worth it.
    soft_labels : Returns a teacher's soft labels, for example to save them.
    TorchTeacher : Makes a teacher of a torch module.
    skdistill.losses : The losses, and their papers.

    Notes
    -----
    ``alpha="auto"`` compares the teacher with the nets that are trained on the labels,
    on honest rows: rows that neither has learned from. It is the share :math:`a` for
    which the mixture :math:`a \, p_t + (1 - a) \, p_n` of their probabilities has the
    smallest log loss there. With few of these rows, it is near 0.7. The nets learn from
    85 % of the rows. What the teacher says of the others is honest

    - if the teacher is not fitted: one or two more clones of it are fitted on the rows
      that the nets learn from;
    - if ``soft_labels`` or ``calibrate_teacher`` is "out_of_fold", or ``soft_labels``
      is "out_of_bag", also of ``teacher_proba``: nothing more is fitted;
    - if the teacher is a :class:`~sklearn.ensemble.RandomForestClassifier` that was
      fitted on the rows of ``X``: a row is labeled by the trees whose bootstrap sample
      does not contain it.

    If ``calibrate_teacher`` is a pair, its rows are the honest ones. The temperature of
    ``calibrate_teacher="auto"`` is found on honest rows as well. If there are none, as
    with another fitted teacher, or if no nets are trained, because there are no rows
    beyond those of ``X`` or because the student has its own preprocessing, then
    ``alpha="auto"`` stands for 0.7; or for less, if the teacher is worse than the nets
    on rows that it may have learned, or differs from them on further rows more often
    than they err. So pass the teacher unfitted if it can be fitted twice, or rows that
    it has not seen.

    With ``student_columns``, the nets read the columns of the student, as they stand
    for what it can learn. No row is honest then: its label would credit the teacher
    with what no student of these columns can know. ``alpha="auto"`` is 0.7 times the
    share of the variance of the teacher's probabilities that the nets explain, on the
    rows beyond those of ``X``. The rest is noise for a student, which it would learn by
    heart. For the same reason, ``calibrate_teacher="auto"`` makes the teacher as
    confident as the nets.

    References
    ----------
    .. [1] G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural
       Network", 2015. https://arxiv.org/abs/1503.02531
    .. [2] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural
       Networks", 2017. https://arxiv.org/abs/1706.04599
    .. [3] D.-H. Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning
       Method for Deep Neural Networks", ICML workshop, 2013.

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
    _calibrations = get_args(Calibration)

    _parameter_constraints: dict = {
        **CONSTRAINTS,
        "temperature": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="neither"),
            callable,
            LEFT_OUT,
        ],
        "classes": ["array-like", None],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "proba_clip": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        teacher: Any = None,
        student: Any = None,
        *,
        temperature: float | Literal["auto"] | Callable[[int, int], float] = 1.0,
        alpha: float | Literal["auto"] | Callable[[int, int], float] = "auto",
        student_columns: ArrayLike | None = None,
        loss: ClassLoss | object = "kl",
        feature_loss: FeatureLoss | object = None,
        feature_weight: float = 1.0,
        relation_loss: RelationLoss | object = None,
        relation_weight: float = 1.0,
        teacher_features: str | Callable[[Any, Any], ArrayLike] = "auto",
        student_layer: str | None = None,
        soft_labels: Method = "auto",
        cv: Any = None,
        teacher_weights: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        class_weight: dict[Any, float] | list[Any] | Literal["balanced"] | None = None,
        augmenter: Literal["auto"] | Augmenter | object = "auto",
        calibrate_teacher: Calibration | Sequence[Any] | None = "auto",
        proba_clip: float | Literal["auto"] = "auto",
        memory: Any = None,
        pickle_teacher: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.temperature = temperature
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
        self.classes = classes
        self.class_weight = class_weight
        self.augmenter = augmenter
        self.calibrate_teacher = calibrate_teacher
        self.proba_clip = proba_clip
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
        teacher_proba: ArrayLike | None = None,
        X_transfer: Any = None,
    ) -> DistilledClassifier:
        """Label ``X`` with the teacher, and train the student.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The training rows. The default student accepts float arrays, and data
            frames with strings, categories, booleans, dates and missing values. A net
            without a pipeline accepts float arrays and sparse matrices, or a dict of
            arrays for a module of several inputs. A pipeline accepts what its first
            step accepts.
        y : array-like of shape (n_samples,) or (n_samples, n_labels), default=None
            The labels, or an indicator matrix of several labels a row, which may be
            sparse. If None, the student learns from the soft labels only, as with
            ``alpha=1``, and the teacher must be fitted. Rows with a label that the
            teacher does not know count in the second term only.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            The weights of the rows in both terms of the loss. Only their ratios matter.
            ``class_weight`` multiplies them. A teacher that is fitted here gets them
            too, if its ``fit`` accepts them.
        teacher_proba : array-like or sparse matrix, default=None
            Precomputed soft labels, of shape (n_samples, n_classes), instead of a
            teacher; or of shape (n_samples, n_labels) if ``y`` has several labels.
            Without ``y`` and ``classes``, there are several labels if the student
            learns them, or is None and not all rows sum to 1. The columns correspond
            to ``classes``, or to the sorted labels of ``y``; those of a data frame may
            be in any order if they are named by the classes, or of several labels as
            the columns of ``y``. Searches and cross-validation split it together with
            ``X``.
        X_transfer : array-like or data frame, default=None
            Further rows without labels, of shape (n_unlabeled, n_features). The teacher
            labels them, and the student learns from these soft labels too. If there are
            as many rows as in ``X``, wrap them in :class:`TransferRows`: a search would
            split them, and ``fit`` warns.

        Returns
        -------
        self : DistilledClassifier
            The fitted estimator.

        Raises
        ------
        TypeError
            If the teacher or the student has an unsupported type.
        ValueError
            If there is neither a teacher nor ``teacher_proba``, or both; if the teacher
            and the data do not match; or if the loss is not finite during training.
            After an error, a fitted estimator stays as it was before the call. If the
            student has ``warm_start``, its net keeps what it learned before the error.
        KeyboardInterrupt
            If you press Ctrl-C.
        """
        self._fit(Given(X, y, sample_weight, teacher_proba, X_transfer))
        return self

    @available_if(may_train_on)
    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | float | None = None,
        teacher_proba: ArrayLike | None = None,
    ) -> DistilledClassifier:
        """Train the student for one epoch on a chunk of the data.

        The method exists if the teacher is fitted, or None. The student's
        preprocessing is fitted on the first chunk only, so this chunk must be
        representative of all rows. ``soft_labels`` and ``cv`` are ignored: a chunk is
        labeled by the fitted teacher. Its soft labels are not remembered, and the pair
        ``calibrate_teacher`` is labeled in each call. If a call fails, the net keeps
        what it learned before the error.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The rows of the chunk.
        y : array-like of shape (n_samples,) or (n_samples, n_labels), default=None
            The labels of the chunk.
        classes : array-like of shape (n_classes,), default=None
            All labels that can occur in any chunk. Required in the first call if there
            is no teacher, or if the teacher does not know all labels. Later calls add
            none. Ignored for several labels a row, whose number ``y`` tells.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            The weights of the rows. Only their ratios within the chunk matter.
        teacher_proba : array-like of shape (n_samples, n_classes), default=None
            Soft labels of the chunk, instead of a teacher. The columns correspond to
            the parameter ``classes`` of the estimator, or to the sorted ``classes`` of
            the first call.

        Returns
        -------
        self : DistilledClassifier
            The estimator, trained for one more epoch.

        Raises
        ------
        ValueError
            As in ``fit``, or if ``calibrate_teacher`` is "out_of_fold", or
            ``class_weight`` is "balanced".
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported for partial_fit, which does "
                "not see all labels: count them, and pass a dict of weights by class"
            )
        if self.calibrate_teacher == "out_of_fold":
            raise ValueError(
                "partial_fit fits no clones of the teacher on a chunk: pass rows that "
                "the teacher has not seen, calibrate_teacher=(X_cal, y_cal)"
            )
        check_params(self)  # _fit_context leaves it out where there was a fit
        if classes is not None and hasattr(self, "student_"):
            self._target(learned=True).check_known(classes, "classes")
        self._fit(Given(X, y, sample_weight, teacher_proba, None, classes, True))
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            The predicted labels. Of several labels a row, an indicator matrix, int64,
            with 1 where the probability is above 0.5.
        """
        net, rows = self._prepared(X)
        return self._target(learned=True).decode(proba(net, rows).numpy())

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float64
            Rows sum to 1. The columns are in the order of ``classes_``. Of several
            labels a row, the probability of each.
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
            The columns are in the order of ``classes_``. Of several labels a row, the
            logarithm of the probability of each.
        """
        return log_proba(*self._prepared(X)).numpy()

    classes_: NDArray[Any]

    def _see(self, y: Any, given: Any = None) -> None:
        """Find out from ``y``, or else from the teacher, what is learned."""
        self.multilabel_ = has_labels(self.teacher, y)
        if y is None and given is not None and self.classes is None:
            # The classes of given soft labels have names, and the labels have not.
            says_so = self.student is not None or not may_be_classes(given)
            self.multilabel_ = says_so and learns_labels(self.student)
        if self.multilabel_ and y is not None:
            check_indicator(y)  # before what is wrong with the student

    def _target(self, *, learned: bool = False) -> Classes | Labels:
        several = getattr(self, "multilabel_", False)
        names = self.classes_ if learned else None
        return of_classifier(
            several, self.classes, self.class_weight, self.proba_clip, names
        )

    def _learn(self, answer: Answer, given: Given, made: slice) -> NDArray[Any]:
        """Set ``classes_``, and return the labels of the answer's columns."""
        columns, target = self._target().reconcile(
            answer.columns, given.y, given.classes, fits_teacher=self._fits_teacher()
        )
        warm = hasattr(self, "student_") and net_of(self.student_).warm_start
        target.check_learnable(self.classes_ if warm else None)
        self.classes_ = target.names
        return columns

    def _known(self, classes: ArrayLike | None) -> Any:
        """Return what the columns of a chunk's ``teacher_proba`` stand for."""
        known = getattr(self, "classes_", classes)
        if self.multilabel_:
            return None  # y tells how many labels there are
        if self.classes is None and known is None:
            raise ValueError(
                "classes must be passed on the first call to partial_fit with "
                "teacher_proba"
            )
        return known

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = not all_fitted(self.teacher)
        tags.classifier_tags.multi_label = learns_labels(self.student) and all(
            map(_learns_labels, listed(self.teacher))
        )
        return tags


def _learns_labels(teacher: Any) -> bool:
    """Tell whether a teacher says of itself that it learns several labels a row."""
    if not isinstance(teacher, BaseEstimator):
        return teacher is None
    tags = get_tags(teacher).classifier_tags
    return tags is not None and tags.multi_label
