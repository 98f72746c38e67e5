"""Score a distilled student beside its teacher, and beside the net without one."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import validate_params
from sklearn.utils.parallel import delayed

from skdistill._base import BaseDistiller
from skdistill._pickling import LeftOut
from skdistill._targets._target import Target
from skdistill.inspection._comparison import Comparison
from skdistill.inspection._measures import costs, scores
from skdistill.inspection._models import Rows, fit_models
from skdistill.utils._arrays import Array, Floats
from skdistill.utils._bars import ParallelWithBar, progress_bar
from skdistill.utils._underflow import underflow_is_zero
from skdistill.utils._unwrap import active, listed
from skdistill.utils._validation import check_weight, explaining_groups, is_fitted


@validate_params(
    {
        "clf": "no_validation",  # the error says what to pass
        "X": "no_validation",
        "y": ["array-like", "sparse matrix"],
        "cv": ["cv_object"],
        "sample_weight": ["array-like", Real, None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
@underflow_is_zero
def compare(
    clf: Any,
    X: Any,
    y: ArrayLike,
    *,
    cv: Any = 5,
    sample_weight: ArrayLike | float | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
) -> Comparison:
    """Tell whether distilling is worth it, by cross-validation.

    On the training rows of each split, a clone of ``clf`` is fitted. Three models are
    scored on the test rows:

    - "teacher": the teacher as it is, without ``calibrate_teacher``. An unfitted
      teacher is fitted on the training rows, once for each split. Of a list of
      teachers, the probabilities, or predictions, are averaged.
    - "labels alone": the net of the student, with the same preprocessing, trained on
      the labels only: ``alpha=0``, without other losses and without further rows. It
      holds out 15 % of the training rows, and keeps the weights of the epoch with the
      lowest loss on these. A net with a ``train_split`` of its own keeps it.
    - "student": the distilled student.

    Parameters
    ----------
    clf : DistilledClassifier or DistilledRegressor, or Pipeline that ends in one
        Fitted or not. It is cloned and stays as it is.
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        The rows, in the form that ``clf`` accepts. If the teacher is fitted, pass rows
        that it was not fitted on, because otherwise the scores of the teacher and of
        the student are too high. The verdict reminds you of this.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        The labels, an indicator matrix of several labels a row, or the numbers.
    cv : int, cross-validation splitter or iterable of (train, test), default=5
        The splits, at least 2. An int gives stratified folds without shuffling, as in
        :func:`sklearn.model_selection.cross_validate`, or by the rarest label of a row;
        for numbers, by which tables are often sorted, it gives shuffled folds. For
        folds by groups, pass ``list(splitter.split(X, y, groups))``.
    sample_weight : array-like of shape (n_samples,) or float, default=None
        The weights of the rows in the trainings and in the scores.
    n_jobs : int, default=None
        The number of splits at the same time. Parallel jobs slow each other down: if
        you need reliable times, use None.
    random_state : int, RandomState instance or None, default=None
        Gives a seed for each split, which sets the ``random_state`` of ``clf`` and the
        ``random_state`` parameters of an unfitted teacher that are None. None means
        the ``random_state`` of ``clf``. Pass an int for reproducible results.
    verbose : int, default=0
        If 1, shows a progress bar of the splits. ``clf`` shows bars of its own, if its
        ``verbose`` is 1.

    Returns
    -------
    comparison : Comparison
        It prints as a table with a verdict.

    Raises
    ------
    TypeError
        If ``clf`` is neither a :class:`~skdistill.DistilledClassifier` or
        :class:`~skdistill.DistilledRegressor` nor a pipeline that ends in one.
    ValueError
        If ``clf`` has no teacher, or there are fewer than 2 splits.

    See Also
    --------
    skdistill.deploy.footprint : Measures the costs of fitted models in more detail.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.inspection import compare
    >>> X, y = load_iris(return_X_y=True)
    >>> student = make_student((16,), max_epochs=15)
    >>> clf = DistilledClassifier(RandomForestClassifier(10), student, random_state=0)
    >>> comparison = compare(clf, X, y, cv=2)
    >>> print(comparison)
                       teacher     labels alone          student  gap closed
    accuracy   0.9... ± 0...    0.9... ± 0...    0.9... ± 0...             -
    ...
    >>> comparison.results["student"]["accuracy"].shape
    (2,)
    """
    steps, clf = _taken_apart(clf)
    _check_teachers(clf)
    clf = clone(clf)
    clf._see(y)
    target = clf._target()
    labels: Array = target.check_y(y, X)
    sample_weight = check_weight(sample_weight, X)
    rows, known = (X, labels, sample_weight), np.unique(labels)
    splits = _splits(cv, X, labels, target)
    rng = check_random_state(clf.random_state if random_state is None else random_state)
    seeds = rng.randint(2**31 - 1, size=len(splits)).tolist()
    with progress_bar("comparing", verbose, total=len(splits), unit="split") as bar:
        records = ParallelWithBar(bar, n_jobs=n_jobs)(
            delayed(_on_split)(
                clone(clf), steps, _part(rows, train), _part(rows, test), known, seed
            )
            for (train, test), seed in zip(splits, seeds, strict=True)
        )
    shares = [len(labels[test]) / len(labels[train]) for train, test in splits]
    results, measured = zip(*records, strict=True)
    return Comparison(
        _joined(results),
        float(np.mean(shares)),
        any(map(is_fitted, listed(clf.teacher))),
        *np.array(measured).T,
    )


def _taken_apart(clf: Any) -> tuple[list[Any], BaseDistiller]:
    """Return the steps in front of an estimator that distills, and itself."""
    steps: list[Any] = []
    while isinstance(clf, Pipeline):
        steps += [step for _, step in active(clf.steps[:-1])]
        clf = clf.steps[-1][1]
    if not isinstance(clf, BaseDistiller):
        raise TypeError(
            "compare takes a DistilledClassifier or DistilledRegressor, or a Pipeline "
            f"that ends in one, got {clf!r:.80}. Of a fitted search, pass its "
            "best_estimator_"
        )
    return steps, clf


def _check_teachers(clf: BaseDistiller) -> None:
    if isinstance(clf.teacher, LeftOut | None):
        raise ValueError(
            f"compare scores the teacher, and this {type(clf).__name__} has none: "
            "set_params(teacher=...)"
        )
    for teacher in listed(clf.teacher):
        clf._target().without_columns().check_teacher(teacher)


def _splits(cv: Any, X: Any, y: Array, target: Target) -> list[Any]:
    with explaining_groups():
        if target.task == "classification":
            splits = list(check_cv(cv, y, classifier=True).split(X, y))
        else:
            splits = target.folds(cv, X, y)
    if len(splits) < 2:
        raise ValueError(
            f"compare needs at least 2 splits, and cv has {len(splits)}: pass cv=5"
        )
    return splits


def _part(rows: Rows, which: Any) -> Rows:
    X, y, weight = rows
    part = _safe_indexing(X, which)
    return part, y[which], None if weight is None else weight[which]


def _on_split(
    clf: BaseDistiller,
    steps: list[Any],
    train: Rows,
    test: Rows,
    known: Array,
    seed: int,
) -> tuple[dict[str, dict[str, float]], list[float]]:
    """Return the metrics of each model, and how much the teacher was trusted.

    ``known`` are the labels of all rows.
    """
    clf._see(train[1])
    X, y, weight = test
    rows, steps = X, [clone(step) for step in steps]
    for step in steps:
        train = (step.fit_transform(train[0], train[1]), *train[1:])
        rows = step.transform(rows)
    models, seconds = fit_models(clf, train, seed)
    scored = scores(clf, models, (rows, y, weight), known)
    metrics = {
        name: {**scored[name], **costs(steps, model, X), "fit_s": seconds[name]}
        for name, model in models.items()
    }
    names = ("alpha_", "n_honest_rows_")
    (student,) = models["student"]
    return metrics, [getattr(student, name, np.nan) for name in names]


def _joined(
    records: Sequence[dict[str, dict[str, float]]],
) -> dict[str, dict[str, Floats]]:
    return {
        model: {
            metric: np.array([record[model][metric] for record in records])
            for metric in records[0][model]
        }
        for model in records[0]
    }
