"""Compare distilled students with other small models of the same tables.

The rows and the teachers are those of ``quality.py``. The models are, by ``--models``:

- "student": the teacher, its default student, another with two layers of 256 units that
  learns from the same soft labels, and LightGBM with as many trees as fit into the
  bytes of the default student, fitted on the labels and on the teacher's soft labels
  (each row once for each class, weighted with the probability);
- "mlp": scikit-learn's MLPClassifier with early stopping;
- "realmlp" and "tabm": RealMLP-TD-S and TabM, if pytabkit is installed. TabM has 128
  units a layer, as its default of 512 takes one core half an hour;
- "autogluon": AutoGluon's ensemble of LightGBM, forests and a net, and what its
  ``distill`` makes of it, if autogluon.tabular is installed. From the students it
  takes the one of the best validation score, which may be a blend of LightGBM and a
  net. Each is what ``clone_for_deployment`` leaves, loaded into memory.

Agreement is that with the teacher which the model was distilled from, and with the
first teacher for models that were not distilled. The seconds are those of the last fit:
without the teacher's, and without the search for a number of trees.

AutoGluon needs pandas < 3, so it has an environment of its own, of autogluon.tabular
1.6.3 with its extra "lightgbm", torch and skdistill. The others were measured with
pytabkit 1.8.0. Measurements are kept, so the same tables are made in both:

    python benchmarks/peers.py --datasets letter satimage phoneme --seeds 2
    python benchmarks/peers.py --datasets letter --seeds 2 --models autogluon
"""

import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from _classes import TEACHERS, by_model, make_teacher, measured, split
from _data import FOLDER_ONLY, OPENML
from _measures import size, timed
from _report import argument_parser, report, store
from lightgbm import LGBMClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledClassifier, make_student, soft_labels

KEY = ["teacher", "max rows", "data", "model", "seed"]
MODELS = [
    "teacher",
    "skdistill",
    "skdistill, 256-256",
    "LightGBM, labels",
    "LightGBM, soft labels",
    "MLPClassifier, labels",
    "RealMLP-TD-S, labels",
    "TabM, labels",
    "AutoGluon, ensemble",
    "AutoGluon, distilled",
]
AUTOGLUON_SECONDS = 200
NOTE = (
    f"AutoGluon had {AUTOGLUON_SECONDS} s for the ensemble and as many to distill it. "
    "The machine did other work too, so times are upper bounds. The versions above are "
    "those of the last run."
)


def main():
    args = parse_args()
    setting = {
        "teacher": args.teacher,
        "max rows": args.max_rows,
        "date": datetime.date.today(),
    }
    for data in args.datasets:
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            for record in run(data, seed, args):
                record |= {"data": data, "seed": seed}
                store(args.output, "peers", record | setting, KEY)
                print(data, seed, record["model"], flush=True)
    records = pd.read_csv(args.output / "results" / "peers.csv")
    groups = records.groupby(["teacher", "max rows"])
    tables = {
        f"models, {teacher}, {max_rows} rows": by_model(group, MODELS)
        for (teacher, max_rows), group in groups
    }
    report(args.output, tables, NOTE)


def parse_args():
    parser = argument_parser(__doc__)
    tables = [n for n in [*OPENML, *FOLDER_ONLY] if n not in ("mnist", "adult_frame")]
    parser.add_argument("--datasets", nargs="+", default=tables, choices=tables)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--max-rows", type=int, default=8000, help="of training")
    parser.add_argument("--teacher", default="blend", choices=TEACHERS)
    parser.add_argument("--models", nargs="+", default=[*FITTED], choices=FITTED)
    return parser.parse_args()


def run(data, seed, args):
    """Yield a record of metrics for each model of one split."""
    X, X_test, y, y_test = split(data, seed, args.max_rows)
    classes = np.unique(y)
    y, y_test = np.searchsorted(classes, y), np.searchsorted(classes, y_test)
    teacher = make_teacher(args.teacher, X, seed)
    _, seconds = timed(teacher.fit, X, y)
    teacher_pred = teacher.predict(X_test)
    if "student" in args.models:
        yield measured(X_test, y_test, teacher_pred, "teacher", teacher, seconds)
    for kind in args.models:
        for name, model, seconds in FITTED[kind](X, y, teacher, seed):
            pred = teacher_pred
            if name == "AutoGluon, distilled":
                pred = model.teacher.predict(X_test)
            yield measured(X_test, y_test, pred, name, model, seconds)


def student_and_boosted(X, y, teacher, seed):
    student = DistilledClassifier(teacher, random_state=seed)
    _, seconds = timed(student.fit, X, y)
    yield "skdistill", student, seconds
    wide = DistilledClassifier(teacher, make_student((256, 256)), random_state=seed)
    _, seconds = timed(wide.fit, X, y)  # the teacher is not asked again
    yield "skdistill, 256-256", wide, seconds
    n_bytes = size(student)
    yield "LightGBM, labels", *same_bytes(X, y, None, n_bytes, seed)
    soft = soft_labels(teacher, X)
    rows = np.repeat(X, soft.shape[1], axis=0)
    classes = np.tile(teacher.classes_, len(X))
    boosted = same_bytes(rows, classes, soft.ravel(), n_bytes, seed)
    yield "LightGBM, soft labels", *boosted


def same_bytes(X, y, sample_weight, n_bytes, seed):
    """Return boosted trees that take at most so many bytes, and the seconds of fit."""

    def fit(n_trees):
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

    many = 2
    while many < 512 and size(fit(many)) <= n_bytes:
        many *= 2
    few = many // 2
    while many - few > 1:
        middle = (few + many) // 2
        if size(fit(middle)) <= n_bytes:
            few = middle
        else:
            many = middle
    return timed(fit, few)


def mlp(X, y, teacher, seed):
    net = MLPClassifier(early_stopping=True, max_iter=200, random_state=seed)
    net = make_pipeline(StandardScaler(), net)
    yield "MLPClassifier, labels", *timed(net.fit, X, y)


def real_mlp(X, y, teacher, seed):
    try:
        from pytabkit import RealMLP_TD_S_Classifier
    except ImportError:
        return
    net = RealMLP_TD_S_Classifier(device="cpu", random_state=seed, n_threads=1)
    yield "RealMLP-TD-S, labels", *timed(net.fit, X, y)


def tabm(X, y, teacher, seed):
    try:
        from pytabkit import TabM_D_Classifier
    except ImportError:
        return
    net = TabM_D_Classifier(device="cpu", random_state=seed, n_threads=1, d_block=128)
    yield "TabM, labels", *timed(net.fit, X, y)


def autogluon(X, y, teacher, seed):
    try:
        from autogluon.tabular import TabularPredictor
    except ImportError:
        return
    one_core = {"ag_args_fit": {"num_cpus": 1, "num_gpus": 0}}
    limit = {"time_limit": AUTOGLUON_SECONDS}
    with TemporaryDirectory() as folder:
        predictor = TabularPredictor("class", path=f"{folder}/all", verbosity=0)
        _, seconds = timed(
            predictor.fit,
            as_frame(X).assign(**{"class": y}),
            hyperparameters=dict.fromkeys(["GBM", "RF", "XT", "NN_TORCH"], one_core),
            num_cpus=1,
            **limit,
        )
        ensemble = Deployed(predictor, predictor.model_best, f"{folder}/ensemble")
        yield "AutoGluon, ensemble", ensemble, seconds
        students, seconds = timed(
            predictor.distill,
            hyperparameters=dict.fromkeys(["GBM", "NN_TORCH"], one_core),
            **limit,
        )
        scores = predictor.leaderboard().set_index("model")["score_val"]
        best = scores[students].idxmax()
        student = Deployed(predictor, best, f"{folder}/student", teacher=ensemble)
        yield "AutoGluon, distilled", student, seconds


class Deployed:
    """A model of AutoGluon's predictor, cloned for deployment, that reads arrays."""

    def __init__(self, predictor, model, folder, teacher=None):
        self.folder, self.teacher = Path(folder), teacher
        self.classes_ = predictor.class_labels
        self.predictor = predictor.clone_for_deployment(
            folder, model=model, return_clone=True
        )
        self.predictor.persist()

    def predict(self, X):
        return self.predictor.predict(as_frame(X), as_pandas=False)

    def predict_proba(self, X):
        # Distilled binary LightGBM is a regression, which may leave 0 to 1.
        return self.predictor.predict_proba(as_frame(X), as_pandas=False).clip(0, 1)

    def __getstate__(self):
        # size() counts what is pickled, and these files are what gets deployed.
        return [file.read_bytes() for file in self.folder.rglob("*") if file.is_file()]


def as_frame(X):
    return pd.DataFrame(X).rename(columns=str)


FITTED = {
    "student": student_and_boosted,
    "mlp": mlp,
    "realmlp": real_mlp,
    "tabm": tabm,
    "autogluon": autogluon,
}


if __name__ == "__main__":
    main()
