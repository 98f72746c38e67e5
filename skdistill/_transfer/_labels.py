"""Soft labels: their columns, their logits, and warnings if they teach nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import _num_samples

from skdistill._teachers._answers import Answer, align
from skdistill.utils._frames import column_names, is_frame
from skdistill.utils._validation import check_classes, check_proba
from skdistill.utils._warnings import warn

# proba_clip="auto" leaves a one-hot row this much of its mass at temperature 2.
_KEPT_MASS = 0.95

# A teacher that is wrong on most rows is suspicious if it goes less than this share of
# the way from chance to a perfect recall, and classes have so many rows on average.
_SUSPICIOUS = 0.25
_ENOUGH_ROWS = 20

# A teacher that names classes which y lacks for more than this share of the rows may
# know the classes that labels 0 and 1 stand for groups of.
_SAYS_OTHERS = 0.1


def from_proba(
    teacher_proba: ArrayLike,
    X: Any,
    y: NDArray[Any] | None,
    classes: ArrayLike | None,
) -> Answer:
    """Return precomputed soft labels, checked.

    The columns of a data frame that are named by the classes may have any order.
    """
    if classes is not None:
        columns = check_classes(classes)
    elif y is not None:
        columns = np.unique(y)
    else:
        raise ValueError(
            "teacher_proba without y: pass classes= to DistilledClassifier to say "
            "what its columns stand for"
        )
    proba = np.asarray(teacher_proba)
    n_samples = _num_samples(X)
    if proba.shape != (n_samples, len(columns)):
        source = "the distinct labels of y" if classes is None else "classes="
        raise ValueError(
            f"teacher_proba has shape {proba.shape}, expected "
            f"{(n_samples, len(columns))}: a row per sample and a column for each of "
            f"{source}; say with classes= what its columns stand for"
        )
    if is_frame(teacher_proba):
        proba = proba[:, _order_by_name(column_names(teacher_proba), columns)]
    return Answer(check_proba(proba, "teacher_proba"), columns)


def _order_by_name(names: list[Any], classes: NDArray[Any]) -> list[int]:
    """Return where in a data frame the column of each class is."""
    positions = list(range(len(names)))
    # Where nobody named them, pandas and polars do.
    if names in (positions, [f"column_{i}" for i in positions]):
        return positions
    found, wanted = (list(map(str, labels)) for labels in (names, classes.tolist()))
    if sorted(found) != sorted(wanted):
        raise ValueError(
            f"the columns of teacher_proba are named {found}, and the classes are "
            f"{wanted}: name each column by its class, or pass an array, "
            "teacher_proba.to_numpy(), with a column for each class in this order"
        )
    return [found.index(name) for name in wanted]


def reconcile(
    columns: NDArray[Any], y: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Name a teacher's columns as ``y`` does, and return all classes of both, sorted.

    Meta-estimators such as VotingClassifier hand over codes 0..K-1 for the labels:
    where ``y`` can only be such codes, the columns count by position.

    Returns
    -------
    columns : ndarray of shape (n_columns,)
        What each column stands for.
    classes : ndarray of shape (n_classes,)
        The columns' names and the labels of ``y``, sorted and distinct.

    Raises
    ------
    ValueError
        No class is shared, or ``y`` may be codes as well as labels.
    """
    if y is None:
        return columns, np.unique(columns)
    labels = np.unique(y)
    known, found = set(columns.tolist()), set(labels.tolist())
    if found <= known:
        return columns, np.unique(columns)
    are_codes = labels.dtype.kind in "iu" and found <= set(range(len(columns)))
    if are_codes and not found & known:
        # As LabelEncoder has it, a code is a position among the sorted classes.
        return np.searchsorted(np.unique(columns), columns), np.arange(len(columns))
    if are_codes:
        raise ValueError(
            f"y has the labels {_few(found)} and the teacher the classes "
            f"{_few(known)}: y may be codes 0..{len(columns) - 1} that stand for the "
            "teacher's classes by position, as VotingClassifier makes them, or labels "
            "of its own. Say with classes= what the teacher's columns stand for in y"
        )
    if not found & known:
        raise ValueError(
            f"y has the labels {_few(found)}, the teacher knows the classes "
            f"{_few(known)}: they share no class. Encode y as the teacher's y was, or "
            "say with classes= what the teacher's columns stand for in y"
        )
    return columns, unique_labels(columns, labels)


def to_logits(
    answer: Answer, classes: NDArray[Any], proba_clip: float | str
) -> NDArray[np.float32]:
    """Return the teacher's logits, float32 of shape (n_samples, n_classes).

    For a teacher that gives probabilities they are log(clip(p)). The logits of a
    teacher that has some are left alone.
    """
    floor = np.float32(np.log(resolve_clip(proba_clip, len(classes))))
    if answer.are_logits:
        logits = align(answer.values, answer.classes, classes, fill=-np.inf)
        return np.where(np.isneginf(logits), floor, logits)
    proba = align(answer.values, answer.classes, classes)
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(proba), floor)


def resolve_clip(proba_clip: float | str, n_classes: int) -> float:
    """Return the smallest probability that a teacher is taken to mean.

    The clip acts as a temperature of its own: at temperature T a one-hot row keeps
    1 / (1 + (K - 1) clip^(1/T)) of its mass. So "auto" falls with the square of the
    number of classes K: at T = 2 the row keeps 0.95, whatever K.
    """
    if proba_clip != "auto":
        return float(proba_clip)
    lost = (1 - _KEPT_MASS) / _KEPT_MASS
    return (lost / max(n_classes - 1, 1)) ** 2


def warn_if_uninformative(
    logits: NDArray[np.float32],
    codes: NDArray[np.int64],
    *,
    weight: NDArray[np.float32] | None = None,
    fitted_here: bool = False,
    alone: bool = True,
    found: NDArray[Any] | None = None,
) -> None:
    """Warn if soft labels are no better than chance, or add nothing to the labels.

    The second warning is given only if they are ``alone``: the teacher gives nothing
    else. Raise a ValueError if the labels 0 and 1 seem to stand for groups of classes,
    and the classes were ``found`` in y and in the teacher. ``fitted_here`` tells
    whether the teacher was fitted on these rows. With ``weight``, the weights of the
    rows, the accuracy is weighted by them, and otherwise each class counts the same.
    """
    present, counts = np.unique(codes, return_counts=True)
    if len(present) < 2:
        return
    right = logits.argmax(axis=1) == codes
    recalls = [right[codes == code].mean() for code in present]
    kind, recall = "balanced", np.mean(recalls)
    if weight is not None:
        kind, recall = "weighted", np.average(right, weights=weight)
    chance = 1 / len(present)
    if _is_suspicious(recall, chance, right.mean(), counts):
        if found is not None and present.tolist() == [0, 1]:
            _refuse_groups(logits, found)
        warn(
            f"the teacher's {kind} accuracy on (X, y) is {recall:.3f}, near the "
            f"chance level of {chance:.3f}: {_reason(fitted_here)}"
        )
    top = np.exp(logits.max(axis=1) - np.logaddexp.reduce(logits, axis=1))
    if alone and right.mean() > 0.999 and top.mean() > 0.995:
        warn(
            "the soft labels are one-hot and equal to y: the teacher has nothing to "
            "add on the rows that it was trained on. Use "
            "soft_labels='out_of_fold' or 'out_of_bag', or other rows"
        )


def _refuse_groups(logits: NDArray[np.float32], found: NDArray[Any]) -> None:
    """Raise a ValueError where the labels 0 and 1 seem to stand for groups of classes.

    Then the teacher, whose classes are all ``found``, often names another of them.
    """
    n_classes = logits.shape[1]
    says_others = np.mean(logits.argmax(axis=1) > 1) > _SAYS_OTHERS
    if found.tolist() == list(range(n_classes)) and says_others:
        raise ValueError(
            f"y has the labels 0 and 1 alone, the teacher knows {n_classes} classes, "
            "and says others than y: y may be the codes that OneVsRestClassifier or "
            "OneVsOneClassifier makes of groups of classes, which a fitted teacher of "
            "all classes cannot label. Pass an unfitted teacher. If 0 and 1 are two of "
            "its classes, name all with classes="
        )


def _reason(fitted_here: bool) -> str:
    """Return why a teacher may be no better than chance, and what to do."""
    if fitted_here:
        return (
            "it has learned little from these rows. Try another teacher, or "
            "class_weight='balanced' if a class is rare"
        )
    return (
        "it was probably fitted on features prepared in another way, or the labels or "
        "the rows of teacher_proba are in another order. A teacher gets the X given to "
        "fit as it is"
    )


def _is_suspicious(
    recall: float, chance: float, accuracy: float, counts: NDArray[np.intp]
) -> bool:
    """Tell whether a teacher is too bad for rows like those it was fitted on."""
    error = np.sqrt(np.sum(chance * (1 - chance) / counts)) / len(counts)
    # Few rows tell little: a recall far above chance is not held against the teacher.
    if recall <= chance + min(error, 0.1 * (1 - chance)):
        return True
    # On rows that are scaled in another way a teacher may be a little better.
    is_low = recall <= chance + _SUSPICIOUS * (1 - chance) and accuracy < 0.5
    return is_low and counts.mean() >= _ENOUGH_ROWS


def _few(labels: set[Any]) -> str:
    shown = sorted(labels, key=str)[:6]
    return f"{shown}{' and more' if len(labels) > 6 else ''}"
