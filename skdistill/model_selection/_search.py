"""scikit-learn's searches, which train candidates that share a step together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from joblib import effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend
from sklearn import model_selection
from sklearn.experimental import enable_halving_search_cv  # noqa: F401

from skdistill._training._lockstep import Lockstep
from skdistill._training._stacking import MAX_NETS
from skdistill.model_selection._backend import LockstepBackend
from skdistill.utils._fingerprint import unchanged
from skdistill.utils._validation import is_fitted
from skdistill.utils._warnings import warn


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
        """
        with _in_lockstep(self):
            return super().fit(X, y, **params)


@contextmanager
def _in_lockstep(search: Any) -> Iterator[None]:
    backend, n_jobs = get_active_backend()
    lockstep = Lockstep(n_jobs if search.n_jobs is None else search.n_jobs, backend)
    n_tasks = 2 * MAX_NETS * effective_n_jobs(lockstep.n_jobs)
    nested = get_active_backend(prefer="threads")
    own = LockstepBackend(lockstep, n_tasks, nested)
    with unchanged(_fitted_teachers(search.estimator)), parallel_config(backend=own):
        yield
    if lockstep.alone:
        reasons = ", ".join(f"{why} ({n})" for why, n in lockstep.alone.most_common())
        warn(
            f"{lockstep.alone.total()} of the fits trained their students one by one: "
            f"{reasons}"
        )


def _fitted_teachers(estimator: Any) -> list[Any]:
    params = estimator.get_params() if hasattr(estimator, "get_params") else {}
    teachers = []
    for name, value in params.items():
        if name.rpartition("__")[2] == "teacher":
            teachers += value if isinstance(value, list | tuple) else [value]
    return [teacher for teacher in teachers if is_fitted(teacher)]


class GridSearchCV(_TrainsTogether, model_selection.GridSearchCV):
    """GridSearchCV"""


class RandomizedSearchCV(_TrainsTogether, model_selection.RandomizedSearchCV):
    """RandomizedSearchCV"""


class HalvingGridSearchCV(_TrainsTogether, model_selection.HalvingGridSearchCV):
    """HalvingGridSearchCV"""
