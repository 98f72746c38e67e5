"""Compare the losses by the quality of the students and the time of a training step.

A student with two hidden layers is trained, without made rows, on the labels alone,
with each loss on logits, and with "kl" plus each loss on features or relations. The
weights are chosen such that each term is about as large as the others at the start of
the training. The weights of the papers (--paper-weights) are for images and much larger
nets; here they make these terms much larger than the others. The metrics are means and
standard deviations over seeds, on rows that neither the teacher nor the student has
seen. The time of a step is the time of an epoch divided by the number of batches, so it
includes the loading of a batch.

    python benchmarks/losses.py --teacher forest
    python benchmarks/losses.py --teacher mlps --datasets letter --seeds 1
"""

import math

import pandas as pd
import torch
from _data import OPENML, load
from _report import argument_parser, report, spread
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledClassifier, make_student, soft_labels
from skdistill.losses import DKDLoss, NKDLoss, RKDLoss

LOSSES = {
    "labels alone": {"alpha": 0.0},
    "kl": {},
    "logit_mse": {"loss": "logit_mse"},
    "dkd": {"loss": DKDLoss(temperature=4.0, warmup_epochs=5)},
    "dist": {"loss": "dist"},
    "nkd": {"loss": NKDLoss(temperature=1.0)},
    "standardized": {"loss": [("standardized", 9.0)]},
    "jsd": {"loss": "jsd"},
    "kl + hint": {"feature_loss": "hint"},
    "kl + cosine": {"feature_loss": "cosine"},
    "kl + cka": {"feature_loss": "cka"},
    "kl + vid": {"feature_loss": "vid"},
    "kl + rkd": {"relation_loss": "rkd", "relation_weight": 5.0},
    "kl + rkd, distances": {
        "relation_loss": RKDLoss(angle_weight=0.0),
        "relation_weight": 5.0,
    },
    "kl + similarity": {"relation_loss": "similarity", "relation_weight": 100.0},
    "kl + pkt": {"relation_loss": "pkt", "relation_weight": 3000.0},
    "kl + contrastive": {"relation_loss": "contrastive", "relation_weight": 0.1},
}
PAPER_WEIGHTS = {
    "kl + rkd": 25.0,
    "kl + rkd, distances": 25.0,
    "kl + similarity": 3000.0,
    "kl + pkt": 30000.0,
    "kl + contrastive": 0.8,
}
METRICS = ["accuracy", "log loss", "agreement"]
COLUMNS = [*METRICS, "ms a step", "over kl"]
# Without made rows, and with the inputs and the temperature of most papers.
STUDENT = make_student(
    numeric="standard", lr=0.01, max_epochs=30, batch_size=128, weight_decay=0.03
)
SETTINGS = {"temperature": 2.0, "alpha": 0.5, "augmenter": None}


def main():
    args = parse_args()
    torch.set_num_threads(args.threads)
    records = []
    for name in args.datasets:
        X, y = load(name)
        for seed in range(args.seeds):
            for record in run(X, y, seed, args):
                records.append({"data": name, "seed": seed, **record})
                print(name, seed, record["model"], flush=True)
    records = pd.DataFrame(records)
    groups = records.groupby(["data", "model"], sort=False)
    title = f"{args.teacher}, paper weights" if args.paper_weights else args.teacher
    report(
        args.output,
        {
            f"models, {title}": groups[COLUMNS].agg(spread).reset_index(),
            f"differences to kl, {title}": differences(records),
        },
        variant=title,
    )


def parse_args():
    parser = argument_parser(__doc__)
    names = ["letter", "satimage", "adult", "mnist"]
    parser.add_argument("--datasets", nargs="+", default=names, choices=OPENML)
    parser.add_argument("--teacher", default="forest", choices=["forest", "mlps"])
    parser.add_argument("--losses", nargs="+", default=list(LOSSES), choices=LOSSES)
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--max-rows", type=int, help="take a sample of larger data")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--paper-weights", action="store_true")
    return parser.parse_args()


def run(X, y, seed, args):
    """Yield a record of metrics for each model of one split."""
    if args.max_rows is not None and args.max_rows < len(X):
        X, _, y, _ = train_test_split(
            X, y, train_size=args.max_rows, stratify=y, random_state=seed
        )
    X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=seed)
    teacher = make_teacher(args.teacher, seed)
    for one in teacher:
        one.fit(X, y)
    classes = teacher[0].classes_
    teacher_proba = soft_labels(teacher, X_test)
    teacher_pred = classes[teacher_proba.argmax(axis=1)]

    def record(name, proba):
        pred = classes[proba.argmax(axis=1)]
        return {
            "model": name,
            "accuracy": accuracy_score(y_test, pred),
            "log loss": log_loss(y_test, proba, labels=classes),
            "agreement": accuracy_score(teacher_pred, pred),
        }

    yield record("teacher", teacher_proba)
    kl_step = math.nan
    for name in args.losses:
        if name == "standardized" and len(classes) < 3:
            continue  # two standardized logits carry no information
        student = DistilledClassifier(teacher, STUDENT, random_state=seed, **SETTINGS)
        student.set_params(**clone(LOSSES[name], safe=False))
        if args.paper_weights and name in PAPER_WEIGHTS:
            student.set_params(relation_weight=PAPER_WEIGHTS[name])
        student.fit(X, y)
        step = milliseconds_per_step(student, len(X))
        if name == "kl":
            kl_step = step
        yield {
            **record(name, student.predict_proba(X_test)),
            "ms a step": step,
            "over kl": step / kl_step,
        }


def make_teacher(name, seed):
    """Return a list of teachers: three large nets, or one forest."""
    if name == "forest":
        return [RandomForestClassifier(200, random_state=seed)]
    return [
        make_pipeline(
            StandardScaler(),
            MLPClassifier((256, 256), early_stopping=True, random_state=number),
        )
        for number in range(3 * seed, 3 * seed + 3)
    ]


def milliseconds_per_step(student, n_rows):
    epochs = student.history_[:, "dur"]
    n_steps = len(epochs) * math.ceil(n_rows / student.student_[-1].batch_size)
    return 1000 * sum(epochs) / n_steps


def differences(records):
    """Compare each loss with "kl", split by split."""
    table = records.set_index(["data", "seed", "model"]).unstack("model")
    columns = {
        metric: table[metric].sub(table[metric, "kl"], axis=0).agg(spread)
        for metric in METRICS
    }
    columns["over kl, median"] = table["over kl"].median().map("{:.2f}".format)
    models = records["model"].unique()
    return pd.DataFrame(columns).loc[models].reset_index(names="model")


if __name__ == "__main__":
    main()
