"""Compare distilled students of numbers with their teacher and with a net of y alone.

As ``quality.py`` does for classes: settings were chosen on the first rows of each data
set, the test rows are among the others, and all models of a seed use the same rows. The
data sets are read from the folder that the environment variable SKDISTILL_DATA names,
files reg_NAME.npz (X, y); diabetes is scikit-learn's own. It is small, and trials saw
all of its rows. "rf1" has 8 targets, takes much longer, and is measured only if it is
named.

The models are the teacher; an honest net of the targets alone, of the student's widths,
with standardized inputs, 15 % of the rows held out and the best epoch kept; and
``DistilledRegressor(teacher)`` with a fitted ("fitted teacher") and with an unfitted
teacher ("student"), whose weight is measured. Errors are root mean squared errors,
divided by the standard deviation of each target:

    python benchmarks/quality_numbers.py --teachers blend boosted --seeds 3

Each measurement is added to ``results/quality_numbers.csv``, in place of an earlier one
of the same model, and the report is made from all of them. ``--seeds 0`` measures
nothing and only makes the report.
"""

import datetime
import os
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from _report import argument_parser, report, spread, store
from lightgbm import LGBMRegressor
from quality import HONEST, interval, one_row, size, timed
from sklearn.base import clone
from sklearn.datasets import load_diabetes
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

SETS = [
    "airfoil",
    "california",
    "diabetes",
    "elevators",
    "energy",
    "kin40k",
    "parkinsons",
    "pol",
    "protein",
    "pumadyn32nm",
    "wine_quality",
]
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
ARMS = ["fitted teacher", "student"]
KEY = ["teacher", "max rows", "data", "model", "seed"]

# Where the teacher is better than the honest net by less, there is no gap.
GAP = 0.03


def main():
    args = parse_args()
    # The net of the targets alone is given them as the predictions of a teacher.
    warnings.filterwarnings("ignore", "the teacher looks worse")
    setting = {"max rows": args.max_rows, "date": datetime.date.today()}
    for teacher in args.teachers:
        for data in args.datasets:
            for seed in range(args.first_seed, args.first_seed + args.seeds):
                for record in run(data, teacher, seed, args):
                    record |= {"teacher": teacher, "data": data, "seed": seed}
                    store(args.output, "quality_numbers", record | setting, KEY)
                    print(teacher, data, seed, record["model"], flush=True)
    records = pd.read_csv(args.output / "results" / "quality_numbers.csv")
    report(args.output, tables(records))


def parse_args():
    parser = argument_parser(__doc__)
    parser.add_argument("--datasets", nargs="+", default=SETS, choices=[*SETS, "rf1"])
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--max-rows", type=int, default=8000, help="of training")
    parser.add_argument("--teachers", nargs="+", default=["blend"], choices=TEACHERS)
    parser.add_argument("--arms", nargs="+", default=ARMS, choices=ARMS)
    return parser.parse_args()


def load(name):
    """Return X and y, in which rows without all values are left out."""
    if name == "diabetes":
        return load_diabetes(return_X_y=True)
    folder = os.environ.get("SKDISTILL_DATA")
    if folder is None:
        raise SystemExit(f"{name} is no data set of a package: set SKDISTILL_DATA")
    with np.load(Path(folder) / f"reg_{name}.npz") as data:
        X, y = data["X"], data["y"]
    known = np.isfinite(y.reshape(len(y), -1)).all(axis=1)
    return X[known], y[known]


def split(data, seed, max_rows):
    """Return training and test rows of a data set; no choice has seen the test rows.

    Choices were made on the first rows of this permutation: trials were trained on 60 %
    of all rows, or 2,500, and scored on half of the others, or 3,000.
    """
    X, y = load(data)
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
    teacher = clone(TEACHERS[name])
    open_states = [p for p in teacher.get_params() if p.endswith("random_state")]
    teacher.set_params(**dict.fromkeys(open_states, seed))
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
        found[f"summary, {max_rows} rows"] = table
        for teacher, group in setting.groupby("teacher"):
            found[f"errors, {teacher}, {max_rows} rows"] = errors(group)
    return found


def errors(records):
    """Return the error of each model, and what the student costs."""
    models = ["teacher", HONEST, *ARMS]
    wide = records.pivot_table("rmse", "data", "model", spread)
    table = wide[[model for model in models if model in wide]]
    means = records.groupby(["model", "data"])[["bytes", "row us", "alpha"]].mean()
    teacher, student = means.loc["teacher"], means.loc["student"]
    return table.assign(
        alpha=student["alpha"].map("{:.2f}".format),
        **{
            "file, times smaller": (teacher["bytes"] / student["bytes"]).round(),
            "row, times faster": (teacher["row us"] / student["row us"]).round(),
        },
    ).reset_index()


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
                "gap closed (95 % interval)": interval(closed),
                "sets with a gap of 3 %": f"{len(wide)} of {len(error)}",
                "error / honest error, mean": f"{ratio.mean():.3f}",
                "largest": f"{ratio.max():.3f} ({ratio.idxmax()})",
                "smaller than teacher and honest": (
                    error[model] < np.minimum(honest, teacher)
                ).sum(),
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
