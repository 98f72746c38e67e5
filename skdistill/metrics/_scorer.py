"""A scorer that compares students with their teacher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.utils._param_validation import StrOptions, validate_params

from skdistill._targets._classes import Classes
from skdistill._targets._columns import align
from skdistill._targets._labels import Labels
from skdistill._targets._numbers import Numbers
from skdistill._targets._quantiles import Quantiles
from skdistill._targets._target import Target, target_of
from skdistill._transfer._question import Question
from skdistill._transfer._soft_labels import label
from skdistill.metrics._fidelity import agreement, kl_to_teacher
from skdistill.utils._arrays import Array, Floats
from skdistill.utils._underflow import underflow_is_zero
from skdistill.utils._unwrap import listed, unwrapped
from skdistill.utils._validation import all_fitted

# By the task, the first one being that of "auto".
_METRICS: dict[str, dict[str, Callable[..., float]]] = {
    "classification": {
        "agreement": agreement,
        "neg_kl": lambda *proba, **weight: -kl_to_teacher(*proba, **weight),
    },
    "multilabel": {
        "agreement": partial(agreement, multilabel="labels"),
        "row_agreement": partial(agreement, multilabel="rows"),
        "neg_kl": lambda *both, **how: -kl_to_teacher(*both, multilabel=True, **how),
    },
    "regression": {
        "r2": r2_score,
        "neg_rmse": lambda *pred, **weight: -root_mean_squared_error(*pred, **weight),
    },
}
_Metric = Literal["auto", "agreement", "neg_kl", "row_agreement", "r2", "neg_rmse"]


class FidelityScorer:
    """What :func:`fidelity_scorer` returns: a callable ``scorer(estimator, X, y)``."""

    def __init__(self, teacher: Any, metric: str | Callable[..., float]) -> None:
        self.teacher = teacher
        self.metric = metric

    def __call__(
        self,
        estimator: Any,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Score a fitted estimator; ``y`` is ignored."""
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        task, metric = target_of(self.teacher).task, self.metric
        if isinstance(metric, str):
            metric = _metric(task, metric)
        classes = named_by(estimator, self.teacher)
        said, _ = said_by_all(self.teacher, [estimator], X, task=task, classes=classes)
        return float(metric(*said, **weight))

    def __repr__(self) -> str:
        return f"fidelity_scorer({self.teacher!r}, metric={self.metric!r})"

    def __deepcopy__(self, memo: dict[int, Any]) -> FidelityScorer:
        # A clone of a search copies its scorers; the teacher is used as it is.
        return self

    def _accept_sample_weight(self) -> bool:
        """Tell scikit-learn's searches that weights can be passed."""
        return True


@validate_params(
    {
        "teacher": "no_validation",
        "metric": [StrOptions(set(get_args(_Metric))), callable],
    },
    prefer_skip_nested_validation=True,
)
def fidelity_scorer(
    teacher: Any, metric: _Metric | Callable[..., float] = "auto"
) -> FidelityScorer:
    """Make a scorer that compares a fitted student with its teacher.

    Pass it as ``scoring`` to :class:`~sklearn.model_selection.GridSearchCV` or
    :func:`~sklearn.model_selection.cross_validate`. It needs no labels. Within a
    process, the teacher labels the same rows only once.

    Parameters
    ----------
    teacher : estimator, or list of estimators
        A fitted classifier with ``predict_proba``, or a fitted regressor. The
        probabilities, or predictions, of a list are averaged. Clones of a search refer
        to the same object.
    metric : str or callable, default="auto"
        What is computed on the rows. For classifiers, "agreement" is :func:`agreement`,
        and "neg_kl" is minus :func:`kl_to_teacher`. Of several labels a row,
        "agreement" counts labels, and "row_agreement" rows. For regressors, "r2" is
        :func:`sklearn.metrics.r2_score` with the predictions of the teacher in place of
        the true ones, and "neg_rmse" minus
        :func:`sklearn.metrics.root_mean_squared_error`. A student of quantiles is
        compared with the teacher's quantiles. "auto" means "agreement", or "r2". A
        callable is a function of the probabilities of the teacher and of the
        student, arrays of shape (n_samples, n_classes), or of their predictions, of
        which more must be better. If weights of the rows are passed to the scorer, the
        function gets them as ``sample_weight``.

    Returns
    -------
    scorer : callable
        A function ``scorer(estimator, X, y=None, sample_weight=None)`` that returns a
        float. The larger it is, the closer is the student.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the teacher is not fitted.
    ValueError
        If ``metric`` is another string, or one for the other kind of teacher.

    See Also
    --------
    skdistill.inspection.FidelityDisplay : Shows which rows they disagree on.

    Notes
    -----
    A pickle of the scorer contains the teacher, and so does a pickle of a search with
    this scorer. The columns of the teacher and of the student are matched by their
    ``classes_``, or those of the teacher by the parameter ``classes`` of its student. A
    class that only one of them knows has a probability of 0 in the other.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.model_selection import cross_validate
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.metrics import fidelity_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, random_state=0).fit(X[::2], y[::2])
    >>> student = make_student((16,), max_epochs=3)
    >>> clf = DistilledClassifier(forest, student, random_state=0)
    >>> scoring = {"accuracy": "accuracy", "fidelity": fidelity_scorer(forest)}
    >>> scores = cross_validate(clf, X[1::2], y[1::2], scoring=scoring, cv=2)
    >>> scores["test_fidelity"].shape
    (2,)
    """
    if not all_fitted(teacher):
        raise NotFittedError(
            "fidelity_scorer takes a fitted teacher, which all candidates are compared "
            "with: call teacher.fit first"
        )
    if isinstance(metric, str):
        _metric(target_of(teacher).task, metric)
    return FidelityScorer(teacher, metric)


def _metric(task: str, name: str) -> Callable[..., float]:
    """Return the metric of a name, for what is learned."""
    known = _METRICS[task]
    if name == "auto":
        return next(iter(known.values()))
    if name not in known:
        raise ValueError(f"metric={name!r} is none for {task}: use one of {[*known]}")
    return known[name]


def named_by(student: Any, teacher: Any) -> Any:
    """Return what the columns of a teacher stand for, if a student of it says so."""
    _, last = unwrapped(student)
    own = listed(getattr(last, "teacher", None))
    is_own = any(one is other for one in own for other in listed(teacher))
    return getattr(last, "classes", None) if is_own else None


@underflow_is_zero
def said_by_all(
    teacher: Any,
    students: Sequence[Any],
    X: Any,
    *,
    task: str,
    known: Sequence[Array] = (),
    classes: Any = None,
    **asked: Any,
) -> tuple[list[Floats], Any]:
    """Return what a teacher and students say of rows, and the names of the columns.

    Parameters
    ----------
    teacher : estimator, or list of estimators
        Fitted. Earlier soft labels of the same rows are reused. That of a student of
        quantiles is asked for these.
    students : sequence of estimators
        Fitted.
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        The rows.
    task : {"classification", "multilabel", "regression"}
        What they learn.
    known, classes : sequence of ndarray, array-like or None
        Further classes, and those of the teacher's columns, if the person says so.
    **asked : dict
        Further parts of the question, such as ``teacher_weights``.
    """
    target: Target = Classes(classes)
    if task == "regression":
        target = _numbers_of(students[0])
    elif task == "multilabel":
        target = Labels()
    answer = label(teacher, Question(X, target=target, **asked))
    if task == "regression":
        pred = [np.asarray(one.predict(X), np.float64) for one in students]
        if answer.values.size != pred[0].size:
            raise ValueError(
                f"the prediction of the teacher is of shape {answer.values.shape}, and "
                f"that of the student {pred[0].shape}: both must predict the same "
                "targets or quantiles"
            )
        return [answer.values.reshape(pred[0].shape), *pred], None
    said: list[Any] = [answer.proba]
    said += [target.plain(one.predict_proba(X), one) for one in students]
    names = answer.columns
    if task == "classification":
        own = [one.classes_ for one in students]
        columns, target = target.reconcile(names, np.concatenate([*own, *known]))
        names, columns_of_all = target.names, [columns, *own]
        parts = zip(said, columns_of_all, strict=True)
        said = [align(proba, columns, names) for proba, columns in parts]
    return [proba.astype(np.float64) for proba in said], names


def _numbers_of(student: Any) -> Target:
    """Return what a student of numbers, or its export, predicts."""
    _, last = unwrapped(student)
    if hasattr(last, "_target"):
        target: Target = last._target()
        return target
    levels = getattr(last, "quantiles_", None)
    return Numbers() if levels is None else Quantiles(levels=tuple(levels))
