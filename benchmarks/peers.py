"""Compare distilled students with other small models of the same tables.

The rows and the teachers are those of ``quality.py``. The others are

- LightGBM with as many trees as fit into the bytes of the student, fitted on the labels
  and on the teacher's soft labels (each row once for each class, weighted with the
  probability);
- scikit-learn's MLPClassifier with early stopping;
- RealMLP-TD-S, if pytabkit is installed.

For example:

    python benchmarks/peers.py --datasets letter satimage phoneme --seeds 2
"""

import datetime
from functools import partial

import numpy as np
import pandas as pd
from _data import FOLDER_ONLY, OPENML, load
from _report import argument_parser, report, store
from lightgbm import LGBMClassifier
from quality import TEACHERS, by_model, make_teacher, measured, size, split, timed
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledClassifier, soft_labels

KEY = ["teacher", "max rows", "data", "model", "seed"]
MODELS = [
    "skdistill",
    "LightGBM, labels",
    "LightGBM, soft labels",
    "MLPClassifier, labels",
    "RealMLP-TD-S, labels",
]


def main():
    args = parse_args()
    setting = {
        "teacher": args.teacher,
        "max rows": args.max_rows,
        "date": datetime.date.today(),
    }
    for data in args.datasets:
        X, y = load(data)
        y = np.unique(y, return_inverse=True)[1]
        for seed in range(args.seeds):
            for record in run(X, y, seed, args):
                record |= {"data": data, "seed": seed}
                store(args.output, "peers", record | setting, KEY)
                print(data, seed, record["model"], flush=True)
    records = pd.read_csv(args.output / "results" / "peers.csv")
    groups = records.groupby(["teacher", "max rows"])
    report(
        args.output,
        {
            f"models, {teacher}, {max_rows} rows": by_model(group, MODELS)
            for (teacher, max_rows), group in groups
        },
    )


def parse_args():
    parser = argument_parser(__doc__)
    tables = [n for n in [*OPENML, *FOLDER_ONLY] if n not in ("mnist", "adult_frame")]
    parser.add_argument("--datasets", nargs="+", default=tables, choices=tables)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--max-rows", type=int, default=8000, help="of training")
    parser.add_argument("--teacher", default="blend", choices=TEACHERS)
    return parser.parse_args()


def run(X, y, seed, args):
    """Yield a record of metrics for each model of one split."""
    X, X_test, y, y_test = split(X, y, seed, args.max_rows)
    teacher = make_teacher(args.teacher, X, seed).fit(X, y)
    teacher_pred = teacher.predict(X_test)

    record = partial(measured, X_test, y_test, teacher_pred)
    student = DistilledClassifier(teacher, random_state=seed)
    _, seconds = timed(student.fit, X, y)
    yield record("skdistill", student, seconds)
    n_bytes = size(student)
    boosted, seconds = timed(same_bytes, X, y, None, n_bytes, seed)
    yield record("LightGBM, labels", boosted, seconds)
    soft = soft_labels(teacher, X)
    rows = np.repeat(X, soft.shape[1], axis=0)
    classes = np.tile(teacher.classes_, len(X))
    boosted, seconds = timed(same_bytes, rows, classes, soft.ravel(), n_bytes, seed)
    yield record("LightGBM, soft labels", boosted, seconds)
    net = MLPClassifier(early_stopping=True, max_iter=200, random_state=seed)
    net = make_pipeline(StandardScaler(), net)
    _, seconds = timed(net.fit, X, y)
    yield record("MLPClassifier, labels", net, seconds)
    real_mlp = make_real_mlp(seed)
    if real_mlp is not None:
        _, seconds = timed(real_mlp.fit, X, y)
        yield record("RealMLP-TD-S, labels", real_mlp, seconds)


def same_bytes(X, y, sample_weight, n_bytes, seed):
    """Return boosted trees whose pickle takes at most so many bytes."""
    fit = partial(fit_boosted, X, y, sample_weight, seed)
    few, many = 1, 512
    while few < many:
        middle = (few + many + 1) // 2
        if size(fit(middle)) <= n_bytes:
            few = middle
        else:
            many = middle - 1
    return fit(few)


def fit_boosted(X, y, sample_weight, seed, n_trees):
    # So few trees learn most with short trees and a high rate.
    model = LGBMClassifier(
        n_estimators=n_trees,
        num_leaves=8,
        learning_rate=0.2,
        verbose=-1,
        n_jobs=1,
        random_state=seed,
    )
    return model.fit(X, y, sample_weight=sample_weight)


def make_real_mlp(seed):
    try:
        from pytabkit import RealMLP_TD_S_Classifier
    except ImportError:
        return None
    return RealMLP_TD_S_Classifier(device="cpu", random_state=seed, verbosity=0)


if __name__ == "__main__":
    main()
