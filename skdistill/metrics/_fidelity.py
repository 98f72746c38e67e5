"""How close the predictions of a student are to those of its teacher."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import rel_entr
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import _check_sample_weight

from skdistill._targets._columns import check_proba, pairs
from skdistill.utils._underflow import underflow_is_zero

# How far probabilities of half precision may lie beyond 0 and 1.
_ROUNDING = 1e-2

_OTHER_NUMBERS = (
    "agreement compares labels or probabilities, and there are other numbers: of a "
    "regressor, use sklearn.metrics.r2_score or root_mean_squared_error; logits need a "
    "softmax first, and probabilities need a column for each class"
)


def agreement(
    teacher_pred: ArrayLike,
    student_pred: ArrayLike,
    *,
    multilabel: str | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the share of rows for which teacher and student predict the same class.

    It is called top-1 agreement in [1]_. A student can be as accurate as its teacher
    and still agree with it on few rows, if they make different errors.

    Parameters
    ----------
    teacher_pred : array-like of shape (n_samples,) or (n_samples, n_classes)
        The labels that the teacher predicts, or its probabilities.
    student_pred : array-like of shape (n_samples,) or (n_samples, n_classes)
        The same of the student. The columns of probabilities must be in the same order.
        If there is one column, it holds labels.
    multilabel : {"labels", "rows"} or None, default=None
        Set it if rows have several labels, and the two are indicator matrices, or
        probabilities, of shape (n_samples, n_labels). "labels" counts labels, each of
        which holds if it is above 0.5, and "rows" the rows for which all labels agree.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the rows.

    Returns
    -------
    share : float
        From 0 to 1.

    Raises
    ------
    ValueError
        If the two have different shapes or no rows, or are numbers that are neither
        labels nor probabilities, or the labels of one are text and those of the other
        are not, or ``multilabel`` is something else.

    See Also
    --------
    kl_to_teacher : Compares the probabilities.
    fidelity_scorer : The agreement as a scorer, for a search.

    References
    ----------
    .. [1] S. Stanton, P. Izmailov, P. Kirichenko, A. A. Alemi, A. G. Wilson, "Does
       Knowledge Distillation Really Work?", NeurIPS 2021.
       https://arxiv.org/abs/2106.05945

    Examples
    --------
    >>> from skdistill.metrics import agreement
    >>> agreement(["cat", "dog", "dog", "cat"], ["cat", "dog", "cat", "cat"])
    0.75
    >>> agreement([[0.9, 0.1], [0.4, 0.6]], [[0.7, 0.3], [0.2, 0.8]])
    1.0
    >>> agreement([[1, 0], [1, 1]], [[1, 0], [0, 1]], multilabel="labels")
    0.75
    >>> agreement([[1, 0], [1, 1]], [[1, 0], [0, 1]], multilabel="rows")
    0.5
    """
    teacher, student = np.asarray(teacher_pred), np.asarray(student_pred)
    if multilabel is not None:
        return _agreement_of_labels(teacher, student, multilabel, sample_weight)
    _check_shapes(teacher, student, (1, 2))
    if teacher.shape[1:] == (1,):
        # Labels: probabilities of one class alone do not tell which is predicted.
        teacher, student = teacher.ravel(), student.ravel()
    if teacher.ndim == 2:
        shares = _shares(teacher), _shares(student)
        teacher, student = (share.argmax(axis=1) for share in shares)
    else:
        _check_labels(teacher, student)
    return _mean(teacher == student, sample_weight)


@underflow_is_zero
def kl_to_teacher(
    teacher_proba: ArrayLike,
    student_proba: ArrayLike,
    *,
    multilabel: bool = False,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Return the mean Kullback-Leibler divergence of a student from its teacher.

    For a row, it is :math:`\sum_k p_k \log(p_k / q_k)`, where :math:`p` are the
    probabilities of the teacher and :math:`q` those of the student. It is what the loss
    "kl" minimizes at temperature 1, and 0 if all probabilities are equal.

    Parameters
    ----------
    teacher_proba : array-like of shape (n_samples, n_classes)
        The probabilities of the teacher.
    student_proba : array-like of shape (n_samples, n_classes)
        The probabilities of the student, with the columns in the same order. They are
        clipped at 2.2e-16, as in :func:`sklearn.metrics.log_loss`.
    multilabel : bool, default=False
        Whether the columns are several labels, each of which holds or not. The
        divergence of a row is then the sum of those of its labels.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the rows.

    Returns
    -------
    divergence : float
        In nats, at least 0. Less is better.

    Raises
    ------
    ValueError
        If the two have different shapes or no rows, or are not probabilities.

    See Also
    --------
    agreement : Compares the predicted classes.
    sklearn.metrics.log_loss : Compares probabilities with labels.

    Examples
    --------
    >>> from skdistill.metrics import kl_to_teacher
    >>> round(kl_to_teacher([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    >>> round(kl_to_teacher([[0.5, 0.0]], [[0.25, 0.0]], multilabel=True), 4)
    0.1438
    """
    teacher, student = (np.asarray(p) for p in (teacher_proba, student_proba))
    _check_shapes(teacher, student, (2,))
    if multilabel:
        both = map(pairs, (teacher, student))
        n_labels = teacher.shape[1]
        if sample_weight is not None:
            of_rows = _check_sample_weight(sample_weight, teacher)
            sample_weight = np.repeat(of_rows, n_labels)
        return n_labels * kl_to_teacher(*both, sample_weight=sample_weight)
    p = _normalized(teacher, "teacher_proba")
    q = _normalized(student, "student_proba").clip(np.finfo(np.float64).eps)
    return _mean(rel_entr(p, q).sum(axis=1), sample_weight)


@validate_params(
    {
        "teacher_score": ["array-like", Real],
        "student_score": ["array-like", Real],
        "baseline_score": ["array-like", Real],
        "greater_is_better": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def gap_closed(
    teacher_score: float | ArrayLike,
    student_score: float | ArrayLike,
    baseline_score: float | ArrayLike,
    *,
    greater_is_better: bool = True,
) -> float:
    """Return the share of the gap to the teacher that distillation closes.

    The gap is the difference between the score of the teacher and that of a baseline,
    usually the same net trained on the labels alone. It is called performance gap
    recovered in [1]_.

    Parameters
    ----------
    teacher_score, student_score, baseline_score : float or array-like of floats
        The scores of the teacher, of the distilled student, and of the baseline. Of
        several scores, such as those of the splits of a cross-validation, the means are
        compared.
    greater_is_better : bool, default=True
        False for losses.

    Returns
    -------
    share : float
        1 if the student is as good as the teacher, 0 if it is only as good as the
        baseline, and negative if it is worse than that. It can be above 1. NaN if the
        teacher is not better than the baseline, so that there is no gap.

    See Also
    --------
    skdistill.inspection.compare : Finds the three scores, and the error of the share.

    References
    ----------
    .. [1] C. Burns et al., "Weak-to-Strong Generalization: Eliciting Strong
       Capabilities With Weak Supervision", ICML 2024. https://arxiv.org/abs/2312.09390

    Examples
    --------
    >>> from skdistill.metrics import gap_closed
    >>> round(gap_closed(0.95, 0.94, 0.90), 2)
    0.8
    >>> gap_closed([0.2, 0.3], [0.3, 0.4], [0.6, 0.7], greater_is_better=False)
    0.75
    """
    teacher, student, baseline = (
        float(np.asarray(score, dtype=np.float64).mean())
        for score in (teacher_score, student_score, baseline_score)
    )
    gap = teacher - baseline if greater_is_better else baseline - teacher
    if not gap > 0:
        return np.nan
    return (student - baseline) / (teacher - baseline)


def _agreement_of_labels(
    teacher: NDArray[Any], student: NDArray[Any], multilabel: str, sample_weight: Any
) -> float:
    _check_shapes(teacher, student, (2,))
    same = (_shares(teacher) > 0.5) == (_shares(student) > 0.5)
    if multilabel not in ("labels", "rows"):
        raise ValueError(
            f"multilabel must be 'labels', 'rows' or None, got {multilabel!r}"
        )
    of_rows = same.mean(axis=1) if multilabel == "labels" else same.all(axis=1)
    return _mean(of_rows, sample_weight)


def _check_shapes(
    teacher: NDArray[Any], student: NDArray[Any], n_dims: tuple[int, ...]
) -> None:
    if teacher.shape != student.shape or teacher.ndim not in n_dims:
        shapes = " or ".join(("(n_samples,)", "(n_samples, n_classes)")[-len(n_dims) :])
        raise ValueError(
            f"teacher and student must have the same shape, {shapes}, got "
            f"{teacher.shape} and {student.shape}"
        )
    if not len(teacher):
        raise ValueError("teacher and student have no rows to compare")


def _shares(said: NDArray[Any]) -> NDArray[np.float64]:
    """Return probabilities, or an indicator matrix, as floats; refuse others."""
    shares = said.astype(np.float64)
    if not (np.abs(shares - 0.5) <= 0.5 + _ROUNDING).all():
        raise ValueError(_OTHER_NUMBERS)
    return shares


def _check_labels(teacher: NDArray[Any], student: NDArray[Any]) -> None:
    """Raise a ValueError for what cannot be labels, or is never equal."""
    for labels in (teacher, student):
        if labels.dtype.kind == "f" and (labels != labels.round()).any():
            raise ValueError(_OTHER_NUMBERS)
    are_text = [
        all(isinstance(label, str) for label in said) for said in (teacher, student)
    ]
    if len(set(are_text)) > 1:
        raise ValueError(
            "the labels of one are text, and those of the other numbers, which never "
            "agree: convert one of them, such as by astype(str)"
        )


def _normalized(proba: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return probabilities in double precision, without errors of rounding."""
    check_proba(proba, name)
    values = proba.astype(np.float64)
    return values / values.sum(axis=1, keepdims=True)


def _mean(values: NDArray[Any], sample_weight: Any) -> float:
    if sample_weight is not None:
        sample_weight = _check_sample_weight(
            sample_weight, values, ensure_non_negative=True
        )
    return float(np.average(values, weights=sample_weight))
