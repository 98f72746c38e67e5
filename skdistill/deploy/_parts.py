"""The parts of a fitted estimator with a student, for exports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdistill import DistilledClassifier, DistilledRegressor
from skdistill.deploy._outputs import Output, output_of
from skdistill.utils._layers import as_weights
from skdistill.utils._probabilities import first
from skdistill.utils._unwrap import active, unwrapped


@dataclass(frozen=True)
class Parts:
    """The fitted parts of an estimator, in the order in which a row passes them.

    Attributes
    ----------
    estimator : DistilledClassifier or DistilledRegressor
        The fitted estimator itself.
    output : ClassOutput or NumberOutput
        What it says of a row.
    before : list of (str, transformer)
        The fitted steps before the estimator, if it is the end of a pipeline. Neither
        these nor the following ones are pipelines.
    preprocessing : list of (str, transformer)
        The fitted steps of the student before its net.
    net : skorch.NeuralNet
        The fitted net.
    """

    estimator: Any
    output: Output
    before: list[tuple[str, Any]]
    preprocessing: list[tuple[str, Any]]
    net: Any

    @property
    def transformers(self) -> list[Any]:
        """All fitted steps before the net."""
        return [step for _, step in (*self.before, *self.preprocessing)]

    @property
    def steps(self) -> list[tuple[str, Any]]:
        """The steps before the net in plain scikit-learn, under unique names."""
        steps = [
            (name, getattr(step, "transformer_", step))
            for name, step in (*self.before, *self.preprocessing)
        ]
        names = [name for name, _ in steps]
        if len(set(names)) == len(names):
            return steps
        return [(f"{name}_{i}", step) for i, (name, step) in enumerate(steps)]

    @property
    def first(self) -> Any:
        """What takes a row: the first step before the estimator, or itself."""
        return self.before[0][1] if self.before else self.estimator

    @property
    def feature_names(self) -> list[str] | None:
        """The names of the columns of a row, or None if they have none."""
        names = getattr(self.first, "feature_names_in_", None)
        return None if names is None else [str(name) for name in names]

    def prepared(self, rows: Any) -> NDArray[np.float32]:
        """Return rows as the net takes them."""
        for step in self.transformers:
            rows = step.transform(rows)
        rows = rows.toarray() if hasattr(rows, "toarray") else rows
        return np.ascontiguousarray(rows, dtype=np.float32)

    def said(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what the estimator says of prepared rows."""
        net = self.net
        outputs = first(net.forward(as_weights(net.module_, torch.from_numpy(rows))))
        return self.output.decoded(
            np.asarray(self.output.ending(net)(outputs.double()))
        )


def parts_of(estimator: Any) -> Parts:
    """Take a fitted estimator apart.

    It may be a pipeline that ends in a DistilledClassifier or DistilledRegressor, a
    search over either, or a FrozenEstimator that holds one. Something else is a
    TypeError. Raise a NotFittedError if it is not fitted; and a ValueError if its
    student reads some of the columns that steps before it make, or takes several
    inputs.
    """
    if hasattr(estimator, "fit"):
        check_is_fitted(estimator)
        before, estimator = unwrapped(estimator)
        if isinstance(estimator, DistilledClassifier | DistilledRegressor):
            if before and estimator.student_columns is not None:
                raise ValueError(
                    "the steps before the estimator make all columns, of which its "
                    "student_columns are some: export the estimator alone, as "
                    "pipeline[-1], and prepare its columns elsewhere"
                )
            inner, net = unwrapped(estimator.student_)
            before, preprocessing = [*flat(before)], [*flat(inner)]
            if not (before or preprocessing or hasattr(estimator, "n_features_in_")):
                raise ValueError(
                    "the module of the student takes several inputs, and an export "
                    "takes one table: use joblib, or torch.onnx.export for the module_ "
                    "of its net"
                )
            return Parts(estimator, output_of(estimator), before, preprocessing, net)
    raise TypeError(
        "expected a fitted DistilledClassifier or DistilledRegressor, a Pipeline that "
        f"ends in one, or a search over either, got {type(estimator).__name__}"
    )


def check_no_dates(steps: Iterable[Any]) -> None:
    """Raise a ValueError if a step of a student reads columns of dates."""
    for step in steps:
        if dates := getattr(step, "dates_", None):
            names = getattr(step, "feature_names_in_", range(step.n_features_in_))
            raise ValueError(
                f"the student reads dates, in the columns {[names[i] for i in dates]}, "
                "and cannot be exported in this way: use skdistill.deploy.to_onnx for "
                "an estimator alone, to_c or joblib, or make numbers of the dates "
                "before fit"
            )


def flat(steps: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield steps, with each pipeline replaced by its steps."""
    for name, step in active(steps):
        if isinstance(step, Pipeline):
            yield from flat((f"{name}_{inner}", part) for inner, part in step.steps)
        else:
            yield name, step
