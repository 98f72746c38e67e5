"""What a fitted DistilledClassifier is made of, for those that take it apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdistill._students._tabular import TabularPreprocessor


@dataclass(frozen=True)
class Parts:
    """A student on its way from a row to its class.

    Attributes
    ----------
    classifier : DistilledClassifier
        The fitted estimator itself.
    before : list of (str, transformer)
        The fitted steps in front of it, where it is the end of a pipeline.
    preprocessing : list of (str, transformer)
        The fitted steps of its student.
    net : skorch.NeuralNetClassifier
        The fitted net.
    is_default : bool
        Whether the preprocessing begins as that of the default student. It is
        nevertheless given as what it fitted, which is plain scikit-learn.
    """

    classifier: Any
    before: list[tuple[str, Any]]
    preprocessing: list[tuple[str, Any]]
    net: Any
    is_default: bool = False

    @property
    def classes(self) -> NDArray[Any]:
        """The labels of the outputs."""
        return np.asarray(self.classifier.classes_)

    @property
    def steps(self) -> list[tuple[str, Any]]:
        """All that happens to a row before the net, under names that are unique."""
        steps = [*self.before, *self.preprocessing]
        names = [name for name, _ in steps]
        if len(set(names)) == len(names):
            return steps
        return [(f"{name}_{i}", step) for i, (name, step) in enumerate(steps)]


def parts_of(estimator: Any) -> Parts:
    """Take a fitted estimator apart.

    Parameters
    ----------
    estimator : DistilledClassifier, Pipeline that ends in one, or search over either
        A fitted estimator. A FrozenEstimator stands for what it holds.

    Raises
    ------
    NotFittedError
        It is not fitted.
    TypeError
        It is something else.
    """
    from skdistill._classifier import DistilledClassifier

    if not hasattr(estimator, "fit"):
        raise _other(estimator)
    check_is_fitted(estimator)
    before: list[tuple[str, Any]] = []
    classifier = estimator
    while not isinstance(classifier, DistilledClassifier):
        if isinstance(classifier, FrozenEstimator):
            classifier = classifier.estimator
        elif hasattr(classifier, "best_estimator_"):
            classifier = classifier.best_estimator_
        elif isinstance(classifier, BaseSearchCV):
            raise TypeError(
                f"this {type(classifier).__name__} has no best_estimator_, as it did "
                "not refit: search with refit=True"
            )
        elif isinstance(classifier, Pipeline):
            before += _transformers(classifier)
            classifier = classifier[-1]
        else:
            raise _other(classifier)
    student = classifier.student_
    if not isinstance(student, Pipeline):
        return Parts(classifier, before, [], student)
    is_default = isinstance(student[0], TabularPreprocessor)
    return Parts(classifier, before, _transformers(student), student[-1], is_default)


def active(steps: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the steps of a pipeline that do something."""
    return [
        (name, step)
        for name, step in steps
        if step is not None and not (isinstance(step, str) and step == "passthrough")
    ]


def _other(estimator: Any) -> TypeError:
    return TypeError(
        "expected a fitted DistilledClassifier, a Pipeline that ends in one, or a "
        f"search over either, got {type(estimator).__name__}"
    )


def _transformers(pipeline: Pipeline) -> list[tuple[str, Any]]:
    return [
        (name, step.transformer_ if isinstance(step, TabularPreprocessor) else step)
        for name, step in active(pipeline.steps[:-1])
    ]
