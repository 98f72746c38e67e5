"""What a fitted DistilledClassifier is made of, for those that take it apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdistill._preprocessing import TabularPreprocessor


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
        A fitted estimator.

    Raises
    ------
    NotFittedError
        It is not fitted.
    TypeError
        It is something else.
    """
    from skdistill._classifier import DistilledClassifier

    check_is_fitted(estimator)
    before: list[tuple[str, Any]] = []
    classifier = estimator
    while not isinstance(classifier, DistilledClassifier):
        if isinstance(classifier, BaseSearchCV) and hasattr(
            classifier, "best_estimator_"
        ):
            classifier = classifier.best_estimator_
        elif isinstance(classifier, Pipeline):
            before += _transformers(classifier)
            classifier = classifier[-1]
        else:
            raise TypeError(
                "expected a fitted DistilledClassifier, a Pipeline that ends in one, "
                f"or a search that was refitted, got {type(classifier).__name__}"
            )
    student = classifier.student_
    if not isinstance(student, Pipeline):
        return Parts(classifier, before, [], student)
    is_default = isinstance(student[0], TabularPreprocessor)
    return Parts(classifier, before, _transformers(student), student[-1], is_default)


def _transformers(pipeline: Pipeline) -> list[tuple[str, Any]]:
    return [
        (name, step.transformer_ if isinstance(step, TabularPreprocessor) else step)
        for name, step in pipeline.steps[:-1]
        if step is not None and step != "passthrough"
    ]
