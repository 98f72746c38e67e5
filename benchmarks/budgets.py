"""What a student is worth that fits into so many bytes, beside boosted trees.

``make_student(max_bytes=...)`` learns from a blend of forests and boosted trees. Beside
it are LightGBM's trees of at most as many bytes, fitted to the labels, and to soft
labels of the same teacher: each row counts for each class, with its probability as
weight. The bytes of a student are those of its tables in C. Those of trees are counted
in their favor: 8 for an inner node (a threshold, a column and where to go) and 4 for a
leaf; LightGBM's own files take some ten times as many. The leaves of a tree, 4, 8 or
16, are those of the smallest log loss on 15 % of the rows, which are held out for that.

    python benchmarks/budgets.py --seeds 1
    python benchmarks/budgets.py --datasets letter --bytes 8000

The rows are those of ``quality.py``: the choices of the package have not seen the test
rows. ``--seeds 0`` makes the report again.
"""

from time import perf_counter

import numpy as np
import pandas as pd
from _classes import make_teacher, split
from _data import BUNDLED, FOLDER_ONLY, OPENML
from _report import argument_parser, report, spread, store
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils import _safe_indexing

from skdistill import DistilledClassifier, make_student
from skdistill.deploy._footprint import _table_bytes

LEAVES = (4, 8, 16)
STUDENT, ON_LABELS, ON_SOFT = "student", "LightGBM, labels", "LightGBM, soft labels"
MODELS = [STUDENT, ON_LABELS, ON_SOFT]


def main():
    parser = argument_parser(__doc__)
    known = [name for name in [*OPENML, *FOLDER_ONLY, *BUNDLED] if name != "mnist"]
    parser.add_argument("--datasets", nargs="+", default=known, choices=known)
    parser.add_argument("--bytes", nargs="+", type=int, default=[2, 8, 32, 128])
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--max-rows", type=int, default=8000, help="of training")
    args = parser.parse_args()
    for data in args.datasets:
        for seed in range(args.seeds):
            for record in run(data, seed, args):
                record |= {"data": data, "seed": seed, "max rows": args.max_rows}
                key = ["max rows", "data", "kB", "model", "seed"]
                store(args.output, "budgets", record, key)
                print(data, seed, record["kB"], record["model"], flush=True)
    records = pd.read_csv(args.output / "results" / "budgets.csv")
    report(args.output, tables(records))


def run(data, seed, args):
    """Yield a record for each model of each budget."""
    X, X_test, y, y_test = split(data, seed, args.max_rows)
    teacher = make_teacher("blend", X, seed).fit(X, y)
    yield measured("teacher", teacher, X_test, y_test) | {"kB": 0}
    soft = teacher.predict_proba(X)
    numbers, numbers_test = as_numbers(X, X_test)
    codes = np.searchsorted(teacher.classes_, y)
    on_soft = (
        np.repeat(numbers, soft.shape[1], axis=0),
        np.tile(np.arange(soft.shape[1]), len(soft)),
        soft.ravel(),
    )
    for budget in args.bytes:
        student = make_student(max_bytes=1000 * budget)
        clf = DistilledClassifier(teacher, student, random_state=seed)
        start = perf_counter()
        try:
            clf.fit(X, y)
        except ValueError as error:
            print(data, budget, error, flush=True)
            continue
        found = measured(STUDENT, clf, X_test, y_test)
        yield found | {
            "kB": budget,
            "bytes": _table_bytes(clf),
            "fit s": perf_counter() - start,
        }
        for name, rows in ((ON_LABELS, (numbers, codes, None)), (ON_SOFT, on_soft)):
            trees, n_bytes = boosted(*rows, 1000 * budget, seed)
            y_codes = np.searchsorted(teacher.classes_, y_test)
            found = measured(name, trees, numbers_test, y_codes)
            yield found | {"kB": budget, "bytes": n_bytes}


def as_numbers(X, X_test):
    """Return rows as trees take them: levels as codes."""
    if not isinstance(X, pd.DataFrame):
        return X, X_test
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
    )
    strings = make_column_selector(dtype_exclude="number")
    encode = make_pipeline(
        make_column_transformer((encoder, strings), remainder="passthrough")
    )
    return np.asarray(encode.fit_transform(X), float), np.asarray(
        encode.transform(X_test), float
    )


def measured(name, model, X_test, y_test):
    proba = model.predict_proba(X_test)
    pred = model.classes_[proba.argmax(axis=1)]
    return {
        "model": name,
        "accuracy": accuracy_score(y_test, pred),
        "log loss": log_loss(y_test, proba, labels=model.classes_),
    }


def boosted(X, y, weight, max_bytes, seed):
    """Return the best trees that take at most so many bytes, and their bytes."""
    train, held = train_test_split(np.arange(len(y)), test_size=0.15, random_state=seed)
    losses = []
    for n_leaves in LEAVES:
        some = None if weight is None else weight[train]
        model = fit_trees(
            _safe_indexing(X, train), y[train], some, n_leaves, max_bytes, seed
        )
        proba = np.zeros((len(held), y.max() + 1))
        proba[:, model.classes_] = model.predict_proba(_safe_indexing(X, held))
        likely = np.log(proba[np.arange(len(held)), y[held]].clip(1e-12))
        losses.append(
            -np.average(likely, weights=None if weight is None else weight[held])
        )
    best = LEAVES[int(np.argmin(losses))]
    model = fit_trees(X, y, weight, best, max_bytes, seed)
    return model, tree_bytes(model)


def fit_trees(X, y, weight, n_leaves, max_bytes, seed):
    """Return as many trees as fit, or the only ones that there can be."""
    n_classes = len(np.unique(y))
    each = 12 * n_leaves - 8
    n_trees = max(1, max_bytes // each // (n_classes if n_classes > 2 else 1))
    # More trees than 300 learn in smaller steps.
    model = LGBMClassifier(
        n_estimators=min(n_trees, 1000),
        num_leaves=n_leaves,
        learning_rate=float(np.clip(15 / n_trees, 0.05, 0.3)),
        random_state=seed,
        n_jobs=1,
        verbose=-1,
    )
    return model.fit(X, y, sample_weight=weight)


def tree_bytes(model):
    trees = model.booster_.dump_model()["tree_info"]
    return sum(12 * tree["num_leaves"] - 8 for tree in trees)


def tables(records):
    """Return the accuracy and the log loss of each size, and who is better where."""
    found = {}
    at_sizes = records[records["kB"] > 0]
    for metric, sign in (("accuracy", 1), ("log loss", -1)):
        wide = at_sizes.pivot_table(metric, ["data", "kB"], "model", spread)
        found[metric] = wide[MODELS].reset_index()
        mean = at_sizes.pivot_table(metric, ["data", "kB"], "model")
        rest = mean[[ON_LABELS, ON_SOFT]]
        ahead = (sign * (mean[STUDENT].to_numpy()[:, np.newaxis] - rest)) > 0
        counts = ahead.assign(both=ahead.all(axis=1)).groupby("kB").sum()
        counts = counts.rename(columns=lambda name: f"better than {name}")
        sizes = mean.groupby("kB").size().rename("data sets")
        means = mean.groupby("kB")[MODELS].mean().round(4)
        found[f"{metric} in the mean"] = means.join([sizes, counts]).reset_index()
    students = at_sizes[at_sizes["model"] == STUDENT]
    kept = (students["bytes"] <= 1000 * students["kB"]).groupby(students["kB"])
    found["kept"] = kept.agg(["sum", "size"]).reset_index()
    return found


if __name__ == "__main__":
    main()
