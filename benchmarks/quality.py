"""Compare distilled students with their teacher and with students of labels alone.

Settings of the package were chosen on some rows of each data set. The test rows are
among the others, which no choice has seen. Each seed gives other training rows,
teachers and initial weights; all models of a seed use the same rows.

The models are the teacher; nets that learn from the labels alone, for all epochs or
with the best epoch by 15 % of the rows held out ("labels, best epoch"); the default
student; and "recipe", a student with piecewise encoding and more weight decay, which
learns from ten more rows for each training row:

    python benchmarks/quality.py --teacher blend --max-rows 8000
    python benchmarks/quality.py --datasets letter magic --alpha 0.5 0.9 1.0

With options that take several values, there is a default student for each combination.
"fit s" includes soft labels and training; that of the teacher is in its own row.
"""

import argparse
from itertools import product
from time import perf_counter

import numpy as np
import pandas as pd
from _data import FOLDER_ONLY, OPENML, load
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils import _safe_indexing
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit

from skdistill import DistilledClassifier, make_student, soft_labels

BOOSTED = LGBMClassifier(n_estimators=300, learning_rate=0.05, verbose=-1, n_jobs=1)
TEACHERS = {
    "blend": VotingClassifier(
        [
            ("extra_trees", ExtraTreesClassifier(300)),
            ("forest", RandomForestClassifier(300)),
            ("boosted", BOOSTED),
        ],
        voting="soft",
    ),
    "boosted": BOOSTED,
    "extra_trees": ExtraTreesClassifier(200),
    "forest": RandomForestClassifier(200),
    "hist_gradient_boosting": HistGradientBoostingClassifier(),
}
HONEST = "labels, best epoch"
METRICS = ["accuracy", "log loss", "agreement", "fit s"]


def main():
    args = parse_args()
    results = []
    print_row("data", "model", *METRICS)
    print_row(*["---"] * (2 + len(METRICS)))
    for name in args.datasets:
        X, y = load(name)
        result = pd.DataFrame(
            {"data": name, "seed": seed, **record}
            for seed in range(args.seeds)
            for record in run(X, y, seed, args)
        )
        results.append(result)
        for model, group in result.groupby("model", sort=False):
            print_row(name, model, *(spread(group[metric]) for metric in METRICS))
    print_differences(pd.concat(results))


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [name for name in [*OPENML, *FOLDER_ONLY] if name != "mnist"]
    parser.add_argument("--datasets", nargs="+", default=names, choices=names)
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--max-rows", type=int, help="of training")
    parser.add_argument("--teacher", default="forest", choices=TEACHERS)
    parser.add_argument("--hidden", type=int, nargs="+", help="widths of the student")
    parser.add_argument("--temperature", type=float, nargs="+", default=[2.0])
    parser.add_argument("--alpha", type=float, nargs="+", default=[0.5])
    parser.add_argument(
        "--soft-labels",
        nargs="+",
        default=["in_sample"],
        choices=["in_sample", "out_of_fold", "out_of_bag"],
    )
    parser.add_argument("--proba-clip", type=clip, nargs="+", default=["auto"])
    return parser.parse_args()


def clip(text):
    return text if text == "auto" else float(text)


def run(X, y, seed, args):
    """Yield a record of metrics for each model of one split."""
    X, X_test, y, y_test = split(X, y, seed, args.max_rows)

    teacher = make_teacher(args.teacher, X, seed)
    _, seconds = timed(teacher.fit, X, y)
    teacher_pred = teacher.predict(X_test)

    def record(name, model, seconds):
        pred, proba = model.predict(X_test), model.predict_proba(X_test)
        return {
            "model": name,
            "accuracy": accuracy_score(y_test, pred),
            "log loss": log_loss(y_test, proba, labels=model.classes_),
            "agreement": accuracy_score(teacher_pred, pred),
            "fit s": seconds,
        }

    yield record("teacher", teacher, seconds)
    hidden = {} if args.hidden is None else {"hidden_layer_sizes": tuple(args.hidden)}
    student = DistilledClassifier(student=make_student(**hidden), random_state=seed)
    for i, method in enumerate(args.soft_labels):
        asked = teacher if method == "in_sample" else clone(teacher)
        proba, label_seconds = timed(
            soft_labels, asked, X, y, method=method, random_state=seed
        )
        if i == 0:
            for name, hard in label_only(student, seed).items():
                _, seconds = timed(hard.fit, X, y, teacher_proba=proba)
                yield record(name, hard, seconds)
        for variant in variants(args):
            distilled = clone(student).set_params(**variant)
            _, seconds = timed(distilled.fit, X, y, teacher_proba=proba)
            yield record(
                name_of({"soft_labels": method, **variant}, args),
                distilled,
                label_seconds + seconds,
            )

    recipe = make_student(numeric="piecewise", weight_decay=0.2, **hidden)
    distilled = DistilledClassifier(
        teacher, recipe, temperature=1.0, augmenter="auto", random_state=seed
    )
    _, seconds = timed(distilled.fit, X, y)
    yield record("recipe", distilled, seconds)


def split(X, y, seed, max_rows):
    """Return training and test rows; no choice has seen the test rows.

    Choices were made on the first rows of this permutation: trials were trained on 60 %
    of all rows, or 6,000, and scored on half of the others, or 3,000.
    """
    rows = np.random.default_rng(1).permutation(len(y))
    n_trained = min(6000, int(0.6 * len(y)))
    n_seen = n_trained + min(3000, (len(y) - n_trained) // 2)
    seen, unseen = rows[:n_seen], rows[n_seen:][:10_000]
    share = min(0.8, 1.0 if max_rows is None else max_rows / n_seen)
    train, _ = train_test_split(
        seen, train_size=share, stratify=y[seen], random_state=seed
    )
    return (
        _safe_indexing(X, train),
        _safe_indexing(X, unseen),
        y[train],
        y[unseen],
    )


def label_only(student, seed):
    """Return students of labels alone: as they come, and with the best epoch kept."""
    plain = clone(student).set_params(alpha=0.0)
    best = clone(plain)
    stop = EarlyStopping(patience=30, load_best=True, sink=lambda text: None)
    best.set_params(
        student__net__train_split=ValidSplit(0.15, stratified=True, random_state=seed),
        student__net__callbacks=[*best.student["net"].callbacks, ("stop", stop)],
    )
    return {"labels alone": plain, HONEST: best}


def variants(args):
    for values in product(args.temperature, args.alpha, args.proba_clip):
        yield dict(zip(("temperature", "alpha", "proba_clip"), values, strict=True))


def name_of(variant, args):
    """Return a name with the values of those options that have several."""
    crossed = [f"{k}={v}" for k, v in variant.items() if len(getattr(args, k)) > 1]
    return " ".join(["distilled", *crossed])


def make_teacher(name, X, seed):
    teacher = clone(TEACHERS[name])
    open_states = [p for p in teacher.get_params() if p.endswith("random_state")]
    teacher.set_params(**dict.fromkeys(open_states, seed))
    if not isinstance(X, pd.DataFrame):
        return teacher
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
    )
    strings = make_column_selector(dtype_exclude="number")
    return make_pipeline(
        make_column_transformer((encoder, strings), remainder="passthrough"), teacher
    )


def print_differences(results):
    """Compare the models with the honest student of labels alone, split by split."""
    columns = ["accuracy", "log loss", "agreement"]
    table = results.set_index(["data", "seed", "model"])[columns].unstack("model")
    print(
        "\nDifference to labels, best epoch, on the same split, over all data sets:\n"
    )
    print_row("model", *columns)
    print_row(*["---"] * (1 + len(columns)))
    for model in results["model"].unique():
        differences = (
            table[metric, model] - table[metric, "labels, best epoch"]
            for metric in columns
        )
        print_row(model, *map(spread, differences))


def spread(values):
    return f"{values.mean():.4f} ± {values.std(ddof=0):.4f}"


def print_row(*cells):
    print("|", " | ".join(cells), "|", flush=True)


def timed(function, *args, **kwargs):
    start = perf_counter()
    result = function(*args, **kwargs)
    return result, perf_counter() - start


if __name__ == "__main__":
    main()
