"""A backend of joblib whose fits have their nets trained together."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from joblib import parallel_config
from joblib.parallel import ParallelBackendBase

from skdistill._training._lesson import Lesson
from skdistill._training._train import holding_back, train_all
from skdistill.utils._unwrap import last_step

# What a fit is asked for, while its net waits to be trained: nothing but the fit.
_FIT_ALONE = {
    "scorer": lambda estimator, X, y=None, **params: 0.0,
    "error_score": "raise",
    "return_train_score": False,
    "verbose": 0,
    "callback_ctx": None,
}


class TogetherBackend(ParallelBackendBase):
    """Runs the fits of a search in waves, and trains the nets of a wave together.

    scikit-learn's searches call a function that fits and scores an estimator, for each
    candidate and each fold. A wave calls it twice for each of them: first the students
    are prepared, and are not trained; then, with all of them trained, ``fit`` of the
    estimators returns what is there, and they are scored.

    Parameters
    ----------
    n_tasks : int
        How many fits a wave has, 2 or more.
    processes : tuple
        The backend and the number of jobs for the training of nets.
    nested : tuple
        The backend and the number of jobs for what the fits themselves run in parallel.
    bar : tqdm
        Counts the fits that are done: those of each round of a successive halving.
    verbose : int
        Whether to show a bar of each training.

    Attributes
    ----------
    alone : Counter of str
        Why nets were trained by themselves.
    """

    supports_sharedmem = True
    uses_threads = True

    def __init__(
        self, n_tasks: int, processes: Any, nested: Any, bar: Any, verbose: int
    ) -> None:
        super().__init__(nesting_level=0)
        self.n_tasks, self.processes, self.nested = n_tasks, processes, nested
        self.bar, self.verbose = bar, verbose
        self.queue: deque[_Submitted] = deque()
        self.alone: Counter[str] = Counter()

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many fits are in a wave."""
        return self.n_tasks

    def submit(self, func: Any, callback: Any = None) -> _Submitted:
        """Put a task into the queue."""
        self.queue.append(_Submitted(self, func, callback))
        for fit in self.queue[-1].fits:
            if fit.n_announced:
                self.bar.reset(fit.n_announced)
        return self.queue[-1]

    apply_async = submit  # its name before joblib 1.5

    def run_until(self, submitted: _Submitted) -> None:
        """Run all waves up to that of a task."""
        while submitted.results is None:
            n_tasks = min(self.n_tasks, len(self.queue))
            self._run([self.queue.popleft() for _ in range(n_tasks)])

    def _run(self, wave: Sequence[_Submitted]) -> None:
        backend, n_jobs = self.nested
        with parallel_config(backend=backend, n_jobs=n_jobs):
            for number, one in enumerate(wave, 1):
                self._say(wave, f"preparing {number} of {len(wave)}")
                one.prepare()
        self._say(wave, "training")
        lessons = [lesson for one in wave for lesson in one.lessons]
        seconds = self._train(lessons) / max(1, len(lessons))
        with parallel_config(backend=backend, n_jobs=n_jobs):
            for one in wave:
                one.finish(seconds)
                self.bar.update(sum(fit.is_scored for fit in one.fits))
        for one in wave:
            one.callback(one)

    def _say(self, wave: Sequence[_Submitted], text: str) -> None:
        """Say what is done with the fits of a search, or nothing of other tasks."""
        if any(fit.is_scored for one in wave for fit in one.fits):
            self.bar.set_postfix_str(text)

    def _train(self, lessons: list[Lesson]) -> float:
        """Train the nets; return the time."""
        start = perf_counter()
        backend, n_jobs = self.processes
        with parallel_config(backend=backend, n_jobs=n_jobs):
            train_all(lessons, n_jobs, verbose=self.verbose)
        self.alone.update(one.alone for one in lessons if one.alone is not None)
        return perf_counter() - start

    def get_nested_backend(self) -> Any:
        """Return the person's own backend."""
        return self.nested


class _Submitted:
    """A task of joblib's: calls of the function that fits and scores."""

    def __init__(self, backend: TogetherBackend, func: Any, callback: Any) -> None:
        self.backend, self.callback = backend, callback
        self.fits = [_Fit(*call) for call in func.items]
        self.results: list[Any] | None = None
        self.error: BaseException | None = None

    @property
    def lessons(self) -> list[Lesson]:
        return [lesson for fit in self.fits for lesson in fit.lessons]

    def prepare(self) -> None:
        for fit in self.fits:
            fit.prepare()
            if fit.has_callbacks:
                self.backend.alone["the estimator has callbacks"] += 1

    def finish(self, seconds: float) -> None:
        self.results = []
        try:
            self.results = [fit.finish(seconds) for fit in self.fits]
        except Exception as error:
            self.error = error

    def get(self) -> Any:
        """Return the results, by which joblib starts to wait for them."""
        self.backend.run_until(self)
        if self.error is not None:
            raise self.error
        return self.results


class _Fit:
    """A call of the function that fits an estimator and scores it.

    Parameters
    ----------
    function : callable
        The function.
    args : tuple
        The estimator, and the rows and labels of all folds.
    kwargs : dict
        How to fit and score.
    """

    def __init__(
        self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]
    ) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self.lessons: list[Lesson] = []
        self.fit_time: float | None = None  # once the estimator is fitted

    @property
    def n_announced(self) -> int:
        """The number of fits of a search's round, of which this is the first; or 0."""
        names = ("candidate_progress", "split_progress")
        (i, n_candidates), (j, n_splits) = (
            self.kwargs.get(name, (1, 0)) for name in names
        )
        return n_candidates * n_splits if i == j == 0 else 0

    @property
    def is_scored(self) -> bool:
        """Whether a search scores it; the refit's teacher may run tasks here, too."""
        return "scorer" in self.kwargs

    @property
    def has_callbacks(self) -> bool:
        """Whether scikit-learn's callbacks watch the fit, until it ends."""
        watched = (self.args[0], last_step(self.args[0])[1]) if self.is_scored else ()
        return any(getattr(one, "_skl_callbacks", None) for one in watched)

    def prepare(self) -> None:
        """Fit the estimator, but for the training of its net.

        An error is left to the second call, which meets it again. So is a fit that asks
        its student, whose net is not there before it is trained, and one that callbacks
        watch. Other functions than that of searches run once, by the second call.
        """
        if not self.is_scored or self.has_callbacks:
            return
        _, last = last_step(self.args[0])
        alone = {k: v for k, v in _FIT_ALONE.items() if k in self.kwargs}
        try:
            with holding_back(last) as lessons:
                done = self.function(*self.args, **self.kwargs | alone)
        except Exception:
            return
        self.lessons, self.fit_time = lessons, done["fit_time"]

    def finish(self, seconds: float) -> Any:
        """Score the estimator, whose net is trained now."""
        if self.fit_time is None:
            return self.function(*self.args, **self.kwargs)
        estimator = self.args[0]
        error = next((one.error for one in self.lessons if one.error), None)
        methods = {
            "set_params": lambda **params: estimator,
            "fit": lambda *args, **params: _given(estimator, error),
        }
        for name, method in methods.items():
            setattr(estimator, name, _once(estimator, name, method))
        try:
            result = self.function(*self.args, **self.kwargs)
        finally:
            for name in methods:
                vars(estimator).pop(name, None)
        result["fit_time"] += self.fit_time + seconds * len(self.lessons)
        return result


def _given(estimator: Any, error: BaseException | None) -> Any:
    if error is not None:
        raise error
    return estimator


def _once(estimator: Any, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method in place of that of an estimator, which has its own afterwards.

    Scorers see the estimator as it is, which may pickle it.
    """

    def call(*args: Any, **params: Any) -> Any:
        vars(estimator).pop(name, None)
        return method(*args, **params)

    return call
