"""What columns that say which numbers are missing are worth to a default student.

Values of four data sets are taken away: a fifth of all, at random or, in "not at
random", half of the largest 40 % of each column, so that a missing value says that it
was large. LightGBM, which knows missing values, is the teacher, and is fitted by the
student. "with columns" has a further column for each that lacks values.

    python benchmarks/missing.py
"""

import warnings

import numpy as np
import pandas as pd
from _data import load
from _report import argument_parser, report, spread
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

from skdistill import DistilledClassifier

DATASETS = ("magic", "phoneme", "satimage", "spambase")
WAYS = ("at random", "not at random")


def main():
    parser = argument_parser(__doc__)
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--max-rows", type=int, default=2000, help="for training")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    args = parser.parse_args()
    records = [
        {"data": name, "missing": way} | scores
        for name in args.datasets
        for way in WAYS
        for seed in range(args.seeds)
        for scores in [measured(name, way, args.max_rows, seed)]
    ]
    table = pd.DataFrame(records).groupby(["data", "missing"]).agg(spread)
    report(args.output, {"students": table.reset_index()})


def measured(name, way, max_rows, seed):
    X, y = load(name)
    X = without_some(X, way, np.random.default_rng(seed))
    X, X_test, y, y_test = train_test_split(
        X, y, train_size=max_rows, stratify=y, random_state=seed
    )
    teacher = LGBMClassifier(n_jobs=1, verbose=-1, random_state=seed)
    said = {"teacher": teacher.fit(X, y).predict_proba(X_test)}
    student = DistilledClassifier(clone(teacher), random_state=seed)
    said["student"] = student.fit(X, y).predict_proba(X_test)
    student.fit(with_columns(X), y)
    said["with columns"] = student.predict_proba(with_columns(X_test))
    labels = student.classes_
    scores = {
        f"accuracy: {model}": accuracy_score(y_test, labels[proba.argmax(axis=1)])
        for model, proba in said.items()
    }
    return scores | {
        f"log loss: {model}": log_loss(y_test, proba, labels=labels)
        for model, proba in said.items()
    }


def without_some(X, way, draws):
    """Return rows with NaN in a fifth of all values."""
    ranks = X.argsort(axis=0).argsort(axis=0) / len(X)
    rate = 0.2 if way == "at random" else np.where(ranks > 0.6, 0.5, 0)
    return np.where(draws.random(X.shape) < rate, np.nan, X)


def with_columns(X):
    return np.hstack([X, np.isnan(X)])


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "X does not have valid feature names")
    main()
