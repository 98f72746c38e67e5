"""What the benchmarks of quality have in common: seeds, sizes, times, intervals."""

import io
from time import perf_counter

import joblib
import numpy as np
import pandas as pd
from _report import spread
from scipy.stats import t as student_t
from sklearn.base import clone

HONEST = "labels alone"


def seeded(teacher, seed):
    """Return a clone of a teacher, with its random states set."""
    teacher = clone(teacher)
    states = [p for p in teacher.get_params() if p.endswith("random_state")]
    return teacher.set_params(**dict.fromkeys(states, seed))


def interval(values, form="{:+.3f}"):
    """Return the mean, and the interval of Student's t around it."""
    values = values.dropna()
    if values.empty:
        return ""
    mean = form.format(values.mean())
    if len(values) < 2:
        return mean
    half = student_t.ppf(0.975, len(values) - 1) * values.std() / len(values) ** 0.5
    bounds = (form.format(values.mean() + sign * half) for sign in (-1, 1))
    return f"{mean} ({' to '.join(bounds)})"


def known(values, form, mean="mean"):
    """Return the mean of those that were measured, or nothing."""
    return "" if values.isna().all() else form.format(values.agg(mean))


def points(differences):
    """Return the mean of differences between shares in points, and its interval."""
    return interval(100 * differences, "{:+.1f}")


def by_model(records, models, metrics):
    """Return metrics of each model: means and standard deviations over seeds."""
    records = records.astype({"model": pd.CategoricalDtype(models)})
    groups = records.groupby(["data", "model"], observed=True)
    return groups[metrics].agg(spread).assign(seeds=groups.size()).reset_index()


def percent(shares):
    """Return the mean of shares in percent, and its interval."""
    return interval(100 * shares, "{:.0f}").replace(" ", " % ", 1)


def size(model):
    """Return the bytes of a pickle of the model."""
    file = io.BytesIO()
    joblib.dump(model, file)
    return file.tell()


def one_row(model, X, repeats=20):
    """Return the median number of seconds that the prediction of a row takes."""
    row = X[:1]
    predict = getattr(model, "predict_proba", model.predict)
    seconds = [timed(predict, row)[1] for _ in range(repeats)]
    return np.median(seconds)


def timed(function, *args, **kwargs):
    start = perf_counter()
    result = function(*args, **kwargs)
    return result, perf_counter() - start


def costs(records, index):
    """Return the weight of the teacher, and how much less the student costs.

    Times that were left out have no column.
    """
    means = records.groupby(["model", *index])[["bytes", "row us", "alpha"]].mean()
    teacher, student = means.loc["teacher"], means.loc["student"]
    columns = {
        "alpha": student["alpha"].map("{:.2f}".format),
        "file, times smaller": (teacher["bytes"] / student["bytes"]).round(),
        "row, times faster": (teacher["row us"] / student["row us"]).round(),
    }
    return {title: column for title, column in columns.items() if column.notna().any()}
