"""Compare distilled students with their teacher and with a student of labels alone.

Each seed gives another split of a data set. All models of a seed use the same split,
and all students are the same net with the same initial weights. Some options take
several values. The script trains a student for each combination of them:

    python benchmarks/quality.py --datasets letter magic --alpha 0.5 0.9 1.0
    python benchmarks/quality.py --soft-labels in_sample out_of_fold out_of_bag

The time of a student ("fit s") includes its training and its soft labels. In-sample
soft labels come from the fitted teacher. The time of the teacher's fit is in the row of
the teacher.
"""

import argparse
from itertools import product
from time import perf_counter

import pandas as pd
from _data import OPENML, load
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from skdistill import DistilledClassifier, make_student, soft_labels

TEACHERS = {
    "extra_trees": ExtraTreesClassifier(200),
    "forest": RandomForestClassifier(200),
    "hist_gradient_boosting": HistGradientBoostingClassifier(),
}
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
    without_mnist = [name for name in OPENML if name != "mnist"]
    parser.add_argument("--datasets", nargs="+", default=without_mnist, choices=OPENML)
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--max-rows", type=int, help="take a sample of larger data")
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
    if args.max_rows is not None and args.max_rows < len(X):
        X, _, y, _ = train_test_split(
            X, y, train_size=args.max_rows, stratify=y, random_state=seed
        )
    X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=seed)

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
            hard = clone(student).set_params(alpha=0.0)
            _, seconds = timed(hard.fit, X, y, teacher_proba=proba)
            yield record("labels alone", hard, seconds)
        for variant in variants(args):
            distilled = clone(student).set_params(**variant)
            _, seconds = timed(distilled.fit, X, y, teacher_proba=proba)
            yield record(
                name_of({"soft_labels": method, **variant}, args),
                distilled,
                label_seconds + seconds,
            )


def variants(args):
    for values in product(args.temperature, args.alpha, args.proba_clip):
        yield dict(zip(("temperature", "alpha", "proba_clip"), values, strict=True))


def name_of(variant, args):
    """Return a name with the values of those options that have several."""
    crossed = [f"{k}={v}" for k, v in variant.items() if len(getattr(args, k)) > 1]
    return " ".join(["distilled", *crossed])


def make_teacher(name, X, seed):
    teacher = clone(TEACHERS[name]).set_params(random_state=seed)
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
    """Compare the models with the student of labels alone, split by split."""
    columns = ["accuracy", "log loss", "agreement"]
    table = results.set_index(["data", "seed", "model"])[columns].unstack("model")
    print("\nDifference to labels alone on the same split, over all data sets:\n")
    print_row("model", *columns)
    print_row(*["---"] * (1 + len(columns)))
    for model in results["model"].unique():
        differences = (
            table[metric, model] - table[metric, "labels alone"] for metric in columns
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
