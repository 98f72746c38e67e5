import matplotlib.pyplot as plt
import numpy as np
import pytest

from skdistill.inspection import Comparison

# Those of classifiers, in the order of the table.
SCORES = ("accuracy", "log_loss", "brier", "agreement")
METRICS = (*SCORES, "bytes", "row_us", "batch_ms", "fit_s")
MODELS = ["teacher", "labels alone", "student"]


@pytest.fixture(autouse=True)
def closed_figures():
    """Close the figures of a test."""
    yield
    plt.close("all")


def comparison(has_fitted_teacher=False, alpha=np.nan, n_honest=0, **values):
    """Return a comparison in which a metric has values (teacher, labels, student)."""
    given = {metric: np.array(by_model) for metric, by_model in values.items()}
    n_splits = max((array.shape[1] for array in given.values()), default=5)
    filled = {**dict.fromkeys(METRICS, np.ones((3, n_splits))), **given}
    results = {
        model: {metric: array[i] for metric, array in filled.items()}
        for i, model in enumerate(MODELS)
    }
    trusted = (np.full(n_splits, value) for value in (alpha, n_honest))
    return Comparison(results, 1 / (n_splits - 1), has_fitted_teacher, *trusted)


def accuracies(teacher, student, spread=0.001):
    """Return the accuracies of a teacher and a student that are so much better."""
    labels = np.array([0.8, 0.81, 0.82, 0.83, 0.84])
    noise = spread * np.array([-1, 1, 0, 1, -1])
    return [labels + teacher + noise, labels, labels + student - noise]
