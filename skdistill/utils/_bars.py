"""Progress bars."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import time
from typing import Any

from sklearn.utils.parallel import Parallel

# The seconds until a bar appears, and between two drawings. A log, and a notebook
# without ipywidgets, get a line for each drawing.
_SECONDS = 1.0


@contextmanager
def progress_bar(title: str, verbose: int, **look: Any) -> Iterator[Any]:
    """Show a bar of tqdm after a second, which vanishes at the end of the work.

    Without a total, it shows the time alone: a single call, such as the fit of a
    teacher, does not tell how far it is. A thread draws the bar where nothing else
    does, as such a call can take minutes. Without ``verbose``, the bar is never drawn.
    """
    if not verbose:
        from tqdm import tqdm

        yield tqdm(disable=True, **look)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a notebook without ipywidgets
        from tqdm.auto import tqdm
    if "total" not in look:
        look["bar_format"] = "{desc}: {elapsed}"
    bar = tqdm(desc=title, leave=False, delay=_SECONDS, mininterval=_SECONDS, **look)
    done = Event()

    def draw() -> None:
        while not done.wait(max(_SECONDS, 0.1)):
            if time() - bar.last_print_t > _SECONDS:
                bar.refresh()

    thread = Thread(target=draw, name="progress bar", daemon=True)
    thread.start()
    try:
        yield bar
    finally:
        done.set()
        thread.join()
        bar.close()


class ParallelWithBar(Parallel):
    """scikit-learn's Parallel, which moves a bar by ``step`` for each finished task."""

    def __init__(self, bar: Any, step: int = 1, **params: Any) -> None:
        self.bar, self.step = bar, step
        super().__init__(**params)

    def print_progress(self) -> None:
        """Move the bar; joblib calls this when tasks have finished."""
        self.bar.update(self.step * self.n_completed_tasks - self.bar.n)
