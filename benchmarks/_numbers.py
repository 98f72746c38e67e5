"""The benchmark of quality for numbers, which ``quality.py`` runs.

Errors are root mean squared errors, divided by the standard deviation of each target.
diabetes is scikit-learn's own. It is small, and trials saw all of its rows. "rf1" has 8
targets, takes much longer, and is measured only if it is named.
"""

import warnings
from functools import partial

import numpy as np
import pandas as pd
from _data import NUMBERS, load_numbers
from _measures import HONEST, costs, one_row, percent, seeded, size, timed
from _report import spread
from lightgbm import LGBMRegressor
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesRegressor,
    RandomForestRegressor,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.metrics import root_mean_squared_error
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledRegressor, make_student

SETS = sorted([*NUMBERS, "diabetes"])
ON_REQUEST = ["rf1"]
BOOSTED = LGBMRegressor(n_estimators=300, learning_rate=0.05, verbose=-1, n_jobs=1)
TREES = [("forest", RandomForestRegressor(100)), ("boosted", BOOSTED)]
TEACHERS = {
    "blend": VotingRegressor([("extra_trees", ExtraTreesRegressor(200)), *TREES]),
    "boosted": BOOSTED,
    "stack": StackingRegressor(
        [*TREES, ("linear", make_pipeline(StandardScaler(), RidgeCV()))], cv=3
    ),
    # For small sets.
    "gaussian process": make_pipeline(
        StandardScaler(),
        GaussianProcessRegressor(
            ConstantKernel() * RBF(3.0) + WhiteKernel(0.1), normalize_y=True
        ),
    ),
}
ARMS = DEFAULT_ARMS = ["fitted teacher", "student"]
RECORDS = "quality_numbers"
KEY = ["teacher", "max rows", "data", "model", "seed"]

# Where the teacher is better than the honest net by less, there is no gap.
GAP = 0.03


def split(data, seed, max_rows):
    """Return training and test rows of a data set; no choice has seen the test rows.

    Choices were made on the first rows of this permutation: trials were trained on 60 %
    of all rows, or 2,500, and scored on half of the others, or 3,000.
    """
    X, y = load_numbers(data)
    if data == "diabetes":
        rows = np.random.default_rng(seed).permutation(len(y))
        n_test = len(y) // 5
        return X[rows[n_test:]], X[rows[:n_test]], y[rows[n_test:]], y[rows[:n_test]]
    rows = np.random.default_rng(1).permutation(len(y))
    n_trained = min(2500, int(0.6 * len(y)))
    n_seen = n_trained + min(3000, (len(y) - n_trained) // 2)
    n_unseen = min(10_000, (len(y) - n_seen) // 2 if n_seen < max_rows else len(y))
    unseen, others = rows[n_seen:][:n_unseen], rows[n_seen:][n_unseen:]
    seen = np.concatenate([rows[:n_seen], others])
    n_train = min(max_rows, int(0.8 * len(seen)))
    train = np.random.default_rng(seed).choice(seen, n_train, replace=False)
    return X[train], X[unseen], y[train], y[unseen]


def run(data, teacher_name, seed, args):
    """Yield a record of metrics for each model of one split."""
    # The net of the targets alone is given them as the predictions of a teacher.
    warnings.filterwarnings("ignore", "the teacher looks worse")
    X, X_test, y, y_test = split(data, seed, args.max_rows)
    teacher = make_teacher(teacher_name, y, seed)
    fitted = clone(teacher)
    _, seconds = timed(fitted.fit, X, y)
    scale = y.std(axis=0)
    record = partial(measured, X_test, y_test / scale, scale)
    yield record("teacher", fitted, seconds)
    student = make_student(
        task="regression",
        numeric="standard",
        early_stopping=True,
        validation_fraction=0.15,
    )
    honest = DistilledRegressor(student=student, alpha=0.0, random_state=seed)
    _, seconds = timed(honest.fit, X, y, teacher_pred=y)
    yield record(HONEST, honest, seconds)
    for name in args.arms:
        given = clone(teacher) if name == "student" else fitted
        distilled = DistilledRegressor(given, random_state=seed)
        _, seconds = timed(distilled.fit, X, y)
        yield record(name, distilled, seconds)


def make_teacher(name, y, seed):
    teacher = seeded(TEACHERS[name], seed)
    return teacher if y.ndim == 1 else MultiOutputRegressor(teacher)


def measured(X_test, y_test, scale, name, model, seconds):
    """Return the metrics of a model that took some seconds to fit."""
    return {
        "model": name,
        "rmse": root_mean_squared_error(y_test, model.predict(X_test) / scale),
        "fit s": seconds,
        "bytes": size(model),
        "row us": 1e6 * one_row(model, X_test),
        "alpha": getattr(model, "alpha_", np.nan),
    }


def tables(records):
    """Return the tables by title: a summary, and one for each teacher."""
    found = {}
    for max_rows, setting in records.groupby("max rows"):
        of_each = {name: summary(group) for name, group in setting.groupby("teacher")}
        table = pd.concat(of_each, names=["teacher"]).reset_index("teacher")
        found[f"numbers summary, {max_rows} rows"] = table
        for teacher, group in setting.groupby("teacher"):
            found[f"numbers errors, {teacher}, {max_rows} rows"] = errors(group)
    return found


def errors(records):
    """Return the error of each model, and what the student costs."""
    models = ["teacher", HONEST, *ARMS]
    wide = records.pivot_table("rmse", "data", "model", spread)
    table = wide[[model for model in models if model in wide]]
    return table.assign(**costs(records, ["data"])).reset_index()


def summary(records):
    """Compare the students with the honest net: means over seeds, then over data."""
    error = records.groupby(["data", "model"])["rmse"].mean().unstack("model")
    honest, teacher = error[HONEST], error["teacher"]
    wide = error.index[(honest - teacher) / honest >= GAP]
    rows = []
    for model in ARMS:
        if model not in error:
            continue
        closed = (honest - error[model])[wide] / (honest - teacher)[wide]
        ratio = error[model] / honest
        rows.append(
            {
                "model": model,
                "gap closed (95 % interval)": percent(closed),
                "sets with a gap of 3 %": f"{len(wide)} of {len(error)}",
                "error / honest error, mean": f"{ratio.mean():.3f}",
                "largest": f"{ratio.max():.3f} ({ratio.idxmax()})",
                "smaller than teacher and honest": (
                    error[model] < np.minimum(honest, teacher)
                ).sum(),
            }
        )
    return pd.DataFrame(rows)
