"""scikit-learn's searches, with the candidates trained together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from joblib import effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend
from sklearn import model_selection
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.utils.validation import _num_samples

from skdistill._training._train import MAX_NETS
from skdistill.model_selection._backend import TogetherBackend
from skdistill.utils._bars import progress_bar
from skdistill.utils._fingerprint import unchanged
from skdistill.utils._validation import fitted_teachers
from skdistill.utils._warnings import warn

# Each of the fits that wait for each other holds its rows. Together they may have this
# many values, 512 MiB of float32.
_MAX_VALUES = 2**27


class _TrainsTogether:
    """Lets the fits of a search train their nets together."""

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit the estimator with each candidate on each fold.

        Parameters
        ----------
        X, y, **params
            As in the search of scikit-learn with the same name.

        Returns
        -------
        self : object
            The fitted search.

        Warns
        -----
        UserWarning
            If students were trained one by one, with the reasons.
        """
        with _together(self, X):
            return super().fit(X, y, **params)  # type: ignore[misc]


@contextmanager
def _together(search: Any, X: Any) -> Iterator[None]:
    backend, n_jobs = get_active_backend()
    n_jobs = n_jobs if search.n_jobs is None else search.n_jobs
    if n_jobs is None:  # as in joblib: one process here, or all workers of a cluster
        n_jobs = backend.default_n_jobs
    # Two stacks for each process, as they may be of unequal size.
    n_tasks = 2 * MAX_NETS * effective_n_jobs(n_jobs)
    n_values = _num_samples(X) * np.prod(getattr(X, "shape", (1,))[1:], dtype=int)
    n_tasks = max(2, min(n_tasks, _MAX_VALUES // max(1, n_values)))
    nested = get_active_backend(prefer="threads")
    teachers, verbose = fitted_teachers(search.estimator), search.verbose
    with progress_bar("fits", verbose, total=0, unit="fit") as bar, unchanged(teachers):
        waves = TogetherBackend(n_tasks, (backend, n_jobs), nested, bar, verbose)
        with parallel_config(backend=waves):
            yield
    if waves.alone:
        reasons = "; ".join(f"{why} ({n})" for why, n in waves.alone.most_common())
        warn(
            "SKD202",
            f"{waves.alone.total()} of the fits trained their students one by one: "
            f"{reasons}",
        )


class GridSearchCV(_TrainsTogether, model_selection.GridSearchCV):
    """scikit-learn's grid search, with the students of all candidates trained together.

    It has the parameters, the attributes and the results of
    :class:`sklearn.model_selection.GridSearchCV`. Students that differ in
    ``temperature``, ``alpha``, ``random_state``, in the weight of the loss, the rows
    or the options of the optimizer, such as ``student__net__lr`` and
    ``student__net__optimizer__weight_decay``, are trained together: their weights are
    slices of the same arrays, and a step for all of them takes much less time than a
    step for each. Equal students, such as those of ``alpha=0`` at several
    temperatures, are trained once. The scores are those of scikit-learn's search but
    for rounding, which grows over the thousands of steps of a training.

    The teacher is asked, and fitted if it is not fitted, in this process. Processes
    that ``n_jobs`` starts get arrays alone, so that a heavy teacher does not travel.

    Notes
    -----
    Some students are trained one by one, as in scikit-learn's search: those with
    ``feature_loss`` or ``relation_loss``, with another ``loss`` than "kl" (or than
    "squared_error" and "poisson" of a regressor), with dropout or batch normalization,
    with ``warm_start``, with callbacks of your own that look at batches or may set the
    learning rate, or with callbacks of scikit-learn that are set on the estimator and
    not on the search. The search then warns, and says why.

    Set an integer ``random_state`` of the classifier, so that soft labels, made rows
    and pseudo-labels are computed once for each fold.

    ``mean_fit_time`` in ``cv_results_`` includes a share of the time in which the
    students of several fits were trained together.

    See Also
    --------
    DistilledClassifier : With ``alpha="auto"`` it measures alpha without folds.
    RandomizedSearchCV : Draws candidates.
    HalvingGridSearchCV : Fits bad candidates on few rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.model_selection import GridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, random_state=0)
    >>> student = make_student((16,), max_epochs=3)
    >>> clf = DistilledClassifier(forest, student, random_state=0)
    >>> grid = {"temperature": [1, 4], "alpha": [0.5, 1.0]}
    >>> search = GridSearchCV(clf, grid, cv=2, scoring="neg_log_loss").fit(X, y)
    >>> sorted(search.best_params_)
    ['alpha', 'temperature']
    """


class RandomizedSearchCV(_TrainsTogether, model_selection.RandomizedSearchCV):
    """scikit-learn's randomized search, with all students trained together.

    It has the parameters, the attributes and the results of
    :class:`sklearn.model_selection.RandomizedSearchCV`; see :class:`GridSearchCV` for
    which students are trained together.

    See Also
    --------
    GridSearchCV : Tries all combinations.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.model_selection import RandomizedSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, random_state=0)
    >>> student = make_student((16,), max_epochs=3)
    >>> clf = DistilledClassifier(forest, student, random_state=0)
    >>> ranges = {"student__net__lr": loguniform(1e-3, 1e-1)}
    >>> search = RandomizedSearchCV(clf, ranges, n_iter=4, cv=2, random_state=0)
    >>> search = search.fit(X, y)
    >>> len(search.cv_results_["params"])
    4
    """


class HalvingGridSearchCV(_TrainsTogether, model_selection.HalvingGridSearchCV):
    """scikit-learn's successive halving, with the students of a round trained together.

    It has the parameters, the attributes and the results of
    :class:`sklearn.model_selection.HalvingGridSearchCV`, which is experimental in
    scikit-learn; see :class:`GridSearchCV` for which students are trained together.

    See Also
    --------
    GridSearchCV : Fits all candidates on all rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.model_selection import HalvingGridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, random_state=0)
    >>> student = make_student((16,), max_epochs=3)
    >>> clf = DistilledClassifier(forest, student, random_state=0)
    >>> grid = {"temperature": [1, 2, 4]}
    >>> search = HalvingGridSearchCV(clf, grid, cv=2, random_state=0).fit(X, y)
    >>> search.n_candidates_
    [3, 1]
    """
