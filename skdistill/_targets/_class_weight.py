"""The weights of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from skdistill.utils._validation import require_target


def weights_of_classes(
    class_weight: Any, classes: NDArray[Any], y: NDArray[Any] | None
) -> NDArray[np.float64]:
    """Return the weight of each class.

    Parameters
    ----------
    class_weight : dict or "balanced"
        As scikit-learn has it: weights by class, 1 for a class that is not named; or
        "balanced", in inverse proportion to the number of rows of a class. A class
        without rows has the weight 1.
    classes : ndarray of shape (n_classes,)
        All classes, sorted.
    y : ndarray of shape (n_samples,) or None
        Labels, all of them among the classes.

    Raises
    ------
    ValueError
        If there is no ``y`` to balance; or if a weight is negative or not finite, or of
        a label that is no class while a class has no weight.
    """
    if isinstance(class_weight, str):
        y = np.asarray(require_target(y, f"class_weight={class_weight!r}"))
        present = np.unique(y)
        weights = np.ones(len(classes))
        weights[np.searchsorted(classes, present)] = compute_class_weight(
            class_weight, classes=present, y=y
        )
        return weights
    known = classes.tolist()
    unknown = [label for label in class_weight if label not in known]
    if unknown and not set(known) <= class_weight.keys():
        raise ValueError(
            f"class_weight has weights of {unknown}, which are no classes: name the "
            f"classes as they are in y, {known}"
        )
    weights = np.array([class_weight.get(label, 1.0) for label in known], np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(
            f"class_weight must be finite and not negative, got {class_weight}"
        )
    return weights
