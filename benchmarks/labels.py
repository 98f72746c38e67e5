"""Compare students of several labels a row with their teacher and a net of the labels.

The models are the teacher; an honest net of the labels alone, of the student's widths,
with 15 % of the rows held out and the best epoch kept; and ``DistilledClassifier`` with
a fitted ("fitted teacher") and with an unfitted teacher ("student"), whose weight is
measured. Scores are average precisions, in the mean of the labels that occur in the
test rows, which are 30 % of the rows:

    python benchmarks/labels.py --teachers forest --seeds 3

"birds" is read from the folder that the environment variable SKDISTILL_DATA names, a
file multilabel_birds.npz (X, y). The others are made by scikit-learn's
``make_multilabel_classification``, with 8 labels (2,000 rows) and with 20 (1,000).
"""

import warnings

import numpy as np
import pandas as pd
from _data import from_file
from _measures import HONEST, costs, one_row, seeded, size, timed
from _report import argument_parser, report, spread
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.metrics import accuracy_score, average_precision_score
from sklearn.model_selection import train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skdistill import DistilledClassifier, make_student

MADE = {"made, 8": (2000, 8, 2), "made, 20": (1000, 20, 3)}
TEACHERS = {
    "forest": RandomForestClassifier(300),
    "extra trees": ExtraTreesClassifier(300),
    "SVM": make_pipeline(StandardScaler(), OneVsRestClassifier(SVC(probability=True))),
}
MODELS = ["teacher", HONEST, "fitted teacher", "student"]


def main():
    args = parse_args()
    # A label that a fold or a test set lacks, and a teacher that nets excel.
    for message in ("the teacher looks worse", "Label not", "No positive class"):
        warnings.filterwarnings("ignore", message)
    records = []
    for teacher in args.teachers:
        for data in args.datasets:
            for seed in range(args.seeds):
                for record in run(data, teacher, seed):
                    about = {"distilled": teacher, "data": data, "seed": seed}
                    records.append(about | record)
                    print(*records[-1].values(), flush=True)
    report(args.output, {"average precision": table(pd.DataFrame(records))})


def parse_args():
    parser = argument_parser(__doc__)
    sets = ["birds", *MADE]
    parser.add_argument("--datasets", nargs="+", default=sets, choices=sets)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    names = list(TEACHERS)
    parser.add_argument("--teachers", nargs="+", default=names[:2], choices=names)
    return parser.parse_args()


def load(name, seed):
    """Return X and y, an indicator matrix."""
    if name in MADE:
        n_rows, n_labels, often = MADE[name]
        return make_multilabel_classification(
            n_rows, n_classes=n_labels, n_labels=often, random_state=seed
        )
    return from_file(f"multilabel_{name}")


def run(data, teacher_name, seed):
    """Yield a record of metrics for each model of one split."""
    rows = train_test_split(*load(data, seed), test_size=0.3, random_state=seed)
    X, X_test, y, y_test = rows
    teacher = seeded(TEACHERS[teacher_name], seed)
    fitted = clone(teacher)
    _, seconds = timed(fitted.fit, X, y)
    yield measured("teacher", fitted, seconds, X_test, y_test)
    net = make_student(task="multilabel", early_stopping=True, validation_fraction=0.15)
    honest = DistilledClassifier(student=net, alpha=0.0, random_state=seed)
    honest.set_params(calibrate_teacher=None)
    # It is given the labels, but not as soft labels that would cause a warning.
    _, seconds = timed(honest.fit, X, y, teacher_proba=(y + 0.5) / 2)
    yield measured(HONEST, honest, seconds, X_test, y_test)
    for name, given in (("fitted teacher", fitted), ("student", teacher)):
        distilled = DistilledClassifier(given, random_state=seed)
        _, seconds = timed(distilled.fit, X, y)
        yield measured(name, distilled, seconds, X_test, y_test)


def measured(name, model, seconds, X_test, y_test):
    """Return the metrics of a model that took some seconds to fit."""
    said = model.predict_proba(X_test)
    if isinstance(said, list):
        pairs = zip(said, model.classes_, strict=True)
        said = np.stack([proba @ (classes == 1) for proba, classes in pairs], axis=1)
    occurs = y_test.any(axis=0)
    return {
        "model": name,
        "AP": average_precision_score(y_test[:, occurs], said[:, occurs]),
        "subset accuracy": accuracy_score(y_test, said > 0.5),
        "fit s": seconds,
        "bytes": size(model),
        "row us": 1e6 * one_row(model, X_test),
        "alpha": getattr(model, "alpha_", np.nan),
    }


def table(records):
    """Return the score of each model, and what the student costs, by data set."""
    wide = records.pivot_table("AP", ["distilled", "data"], "model", spread)[MODELS]
    return wide.assign(**costs(records, ["distilled", "data"])).reset_index()


if __name__ == "__main__":
    main()
