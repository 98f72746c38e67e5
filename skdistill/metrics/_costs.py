"""Scorers by size and by time."""

from __future__ import annotations

from typing import Any

from skdistill.utils._costs import (
    check_fitted,
    dumped_bytes,
    median_microseconds,
    method_of,
    single_rows,
)
from skdistill.utils._validation import check_not_empty


def size_scorer(
    estimator: Any, X: Any, y: Any = None, sample_weight: Any = None
) -> float:
    """Return minus the size in bytes, so that a smaller estimator scores higher.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator. A :class:`~skdistill.DistilledClassifier` counts without
        its teacher, which is not saved with it.
    X, y, sample_weight : ignored
        Present for compatibility with scikit-learn's scorers.

    Returns
    -------
    score : float
        Minus the number of bytes that :func:`joblib.dump` writes, with the code that
        the file of a :class:`~skdistill.deploy.CompiledStudent` names.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    latency_scorer : Scores by time.
    skdistill.deploy.footprint : Measures all costs of models.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_validate
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skdistill.metrics import size_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> scoring = {"accuracy": "accuracy", "size": size_scorer}
    >>> scores = cross_validate(DecisionTreeClassifier(), X, y, scoring=scoring)
    >>> bool((scores["test_size"] < -1000).all())
    True
    """
    check_fitted(estimator)
    return -float(dumped_bytes(estimator))


def latency_scorer(
    estimator: Any, X: Any, y: Any = None, sample_weight: Any = None
) -> float:
    """Return minus the time for one row, so that a faster estimator scores higher.

    Parameters
    ----------
    estimator : classifier or regressor
        A fitted estimator. ``predict_proba`` is timed, or ``predict`` if there is none.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        At least one row. The first 100 rows are timed one by one, in turn.
    y, sample_weight : ignored
        Present for compatibility with scikit-learn's scorers.

    Returns
    -------
    score : float
        Minus the median time in microseconds. Rows are timed for 0.3 seconds.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is neither a classifier nor a regressor.
    ValueError
        If X has no rows.

    See Also
    --------
    size_scorer : Scores by bytes.
    skdistill.deploy.footprint : Measures all costs of models.

    Notes
    -----
    Parallel jobs slow each other down: use ``n_jobs=1`` in a search by time.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skdistill.metrics import latency_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> latency_scorer(DecisionTreeClassifier().fit(X, y), X) < 0
    True
    """
    check_not_empty(X)
    check_fitted(estimator)
    ask = getattr(estimator, method_of(estimator))
    return -median_microseconds(ask, single_rows(X))


# Searches with several metrics may pass weights of the rows.
for _scorer in (size_scorer, latency_scorer):
    _scorer._accept_sample_weight = lambda: True  # type: ignore[attr-defined]
