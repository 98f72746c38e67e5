"""Warn about soft labels that teach nothing."""

from __future__ import annotations

import numpy as np

from skdistill.utils._arrays import Array, Floats, Ints
from skdistill.utils._warnings import warn

# A teacher that is wrong on most rows is suspicious if its recall is less than this
# share of the way from chance to 1, and classes have this many rows on average.
_SUSPICIOUS = 0.25
_ENOUGH_ROWS = 20

# If a teacher names classes other than 0 and 1 for more than this share of the rows,
# the labels 0 and 1 may stand for groups of its classes.
_SAYS_OTHERS = 0.1


def warn_if_uninformative(
    logits: Floats,
    codes: Ints,
    *,
    weight: Floats | None = None,
    fitted_here: bool = False,
    alone: bool = True,
    found: Array | None = None,
) -> None:
    """Warn if soft labels are no better than chance, or add nothing to the labels.

    Raise a ValueError if the labels 0 and 1 seem to stand for groups of classes.

    Parameters
    ----------
    logits : ndarray of shape (n_samples, n_classes)
        The soft labels of rows with a label.
    codes : ndarray of shape (n_samples,)
        The labels, as positions among the classes.
    weight : ndarray of shape (n_samples,), default=None
        The weights of the rows in the accuracy. By default, all classes count the same.
    fitted_here : bool, default=False
        Whether the teacher was fitted on these rows.
    alone : bool, default=True
        Whether the student learns nothing but these soft labels from the teacher.
        Otherwise, their being equal to the labels is no reason for a warning.
    found : ndarray of shape (n_classes,), default=None
        The classes, if they were found in y and in the teacher.
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
        way_out = ", or class_weight='balanced' if a class is rare"
        reason = reason_of(fitted_here, way_out=way_out)
        warn(
            "SKD101",
            f"the teacher's {kind} accuracy on (X, y) is {recall:.3f}, near the "
            f"chance level of {chance:.3f}: {reason}",
        )
    top = np.exp(logits.max(axis=1) - np.logaddexp.reduce(logits, axis=1))
    if alone and right.mean() > 0.999 and top.mean() > 0.995:
        unfitted = "" if fitted_here else "pass the teacher unfitted, or "
        warn(
            "SKD102",
            "the soft labels are one-hot and equal to y, so that they add nothing: "
            f"{unfitted}use soft_labels='out_of_fold' or 'out_of_bag', or other rows",
        )


def reason_of(
    fitted_here: bool,
    rows: str = "or the labels or the rows of teacher_proba",
    way_out: str = "",
) -> str:
    """Return why a teacher may be no better than chance, for warnings."""
    if fitted_here:
        return f"it has learned little from these rows. Try another teacher{way_out}"
    return (
        f"it was probably fitted on features prepared in another way, {rows} are in "
        "another order. A teacher gets the X given to fit as it is"
    )


def _refuse_groups(logits: Floats, found: Array) -> None:
    """Raise a ValueError if the labels 0 and 1 seem to stand for groups of classes.

    Then the teacher often names other classes.
    """
    n_classes = logits.shape[1]
    says_others = np.mean(logits.argmax(axis=1) > 1) > _SAYS_OTHERS
    if found.tolist() == list(range(n_classes)) and says_others:
        raise ValueError(
            f"y has the labels 0 and 1 alone, the teacher knows {n_classes} classes, "
            "and says others than y: y may be codes of groups of classes, as "
            "OneVsRestClassifier makes them. Pass an unfitted teacher; or, if 0 and 1 "
            "are two of its classes, name all with classes="
        )


def _is_suspicious(recall: float, chance: float, accuracy: float, counts: Ints) -> bool:
    """Tell whether a teacher is too inaccurate for rows like its training rows."""
    error = np.sqrt(np.sum(chance * (1 - chance) / counts)) / len(counts)
    # Few rows are little evidence: a recall far above chance raises no suspicion.
    if recall <= chance + min(error, 0.1 * (1 - chance)):
        return True
    # On rows that are scaled in another way, a teacher may do a little better.
    is_low = recall <= chance + _SUSPICIOUS * (1 - chance) and accuracy < 0.5
    return is_low and counts.mean() >= _ENOUGH_ROWS
