"""The score of predicted quantiles. It needs no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import d2_pinball_score

from skdistill.utils._arrays import Floats


def quantile_score(
    y: ArrayLike, said: Floats, levels: ArrayLike, sample_weight: Any
) -> float:
    """Return the mean D2 of quantiles: 1 is best, and 0 is a constant.

    ``said`` has a column for each of the ``levels``.
    """
    columns = zip(said.T, np.asarray(levels), strict=True)
    scores = [
        d2_pinball_score(y, column, sample_weight=sample_weight, alpha=level)
        for column, level in columns
    ]
    return float(np.mean(scores))
