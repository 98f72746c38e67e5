"""The levels of a plain pipeline: what to scikit-learn's encoder is another level."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder

from skdistill.deploy._parts import Parts
from skdistill.deploy._sample import to_frame


def check_levels(parts: Parts) -> None:
    """Raise a ValueError if the student made strings of levels of another kind."""
    for step in parts.transformers:
        if mixed := getattr(step, "mixed_columns_", None):
            names = getattr(step, "feature_names_in_", range(step.n_features_in_))
            raise ValueError(
                f"in fit, the columns {[names[i] for i in mixed]} held something else "
                "than strings, such as intervals, or numbers and strings, and plain "
                "scikit-learn would not find their levels: make strings of them before "
                "fit, or use skdistill.deploy.to_onnx"
            )


def take_levels(parts: Parts, steps: list[tuple[str, Any]], mlp: Any) -> None:
    """Let plain steps take None and NaN for one level, and report unknown levels."""
    for original, (_, step) in zip(parts.transformers, steps, strict=True):
        if not hasattr(original, "levels_") or not isinstance(step, ColumnTransformer):
            continue
        if encoder := step.named_transformers_.get("categorical"):
            encoder.set_params(handle_unknown="warn")
            if step is steps[-1][1]:
                _take_none(encoder, mlp)


def _take_none(encoder: OneHotEncoder, mlp: Any) -> None:
    """Give None an output of its own, which the net weighs as that of NaN."""
    categories, repeats = [], []
    for known in map(list, encoder.categories_):
        missing = [] if isinstance(known[-1], str) else [None]  # beside NaN, the last
        categories.append(np.array([*known[:-1], *missing, known[-1]], object))
        repeats += [1] * (len(known) - 1) + [1 + len(missing)]
    names = getattr(encoder, "feature_names_in_", None)
    row: Any = np.full((1, len(categories)), "", object)
    row = row if names is None else to_frame(dict(zip(names, row.T, strict=True)))
    encoder.set_params(categories=categories).fit(row)
    # The outputs of the encoder are the last ones.
    weights = mlp.coefs_[0]
    ones = [1] * (len(weights) - len(repeats))
    mlp.coefs_[0] = np.repeat(weights, [*ones, *repeats], axis=0)
    mlp.n_features_in_ = len(mlp.coefs_[0])
