"""Labels of any kind for classifiers that take the codes 0..K-1 alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from skdistill.utils._arrays import Array


class OnCodes(ClassifierMixin, BaseEstimator):
    """Fits a classifier on the codes of labels, and gives it the labels as classes.

    Parameters
    ----------
    estimator : estimator
        The classifier, which is fitted in place.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: Array, **fit_params: Any) -> OnCodes:
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.estimator.fit(X, codes, **fit_params)
        return self

    def predict_proba(self, X: Any) -> Any:
        return self.estimator.predict_proba(X)

    def predict(self, X: Any) -> Any:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
