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
    filled = {
        **dict.fromkeys(METRICS, np.ones((3, 4))),
        **{metric: np.array(by_model) for metric, by_model in values.items()},
    }
    results = {
        model: {metric: array[i] for metric, array in filled.items()}
        for i, model in enumerate(MODELS)
    }
    trusted = (np.full(4, value) for value in (alpha, n_honest))
    return Comparison(results, 1 / 3, has_fitted_teacher, *trusted)


def accuracies(teacher, student, spread=0.001):
    """Return the accuracies of a teacher and a student that are so much better."""
    labels = np.array([0.8, 0.81, 0.82, 0.83])
    noise = spread * np.array([-1, 1, 1, -1])
    return [labels + teacher + noise, labels, labels + student - noise]
