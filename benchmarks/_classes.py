"""The benchmark of quality for classes, which ``quality.py`` runs.

The other students differ from the default in one part each, to show what that part
does.
"""

import warnings
from collections import Counter
from functools import partial

import numpy as np
import pandas as pd
from _data import BUNDLED, FOLDER_ONLY, KEEL, OPENML, QUARTERS, load
from _measures import (
    HONEST,
    by_model,
    interval,
    known,
    one_row,
    percent,
    points,
    seeded,
    size,
    timed,
)
from _report import spread
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from sklearn.utils import _safe_indexing

from skdistill import DistilledClassifier, make_student

BOOSTED = LGBMClassifier(n_estimators=300, learning_rate=0.05, verbose=-1, n_jobs=1)
TREES = [("forest", RandomForestClassifier(300)), ("boosted", BOOSTED)]
TEACHERS = {
    "blend": VotingClassifier(
        [("extra_trees", ExtraTreesClassifier(300)), *TREES], voting="soft"
    ),
    "boosted": BOOSTED,
    "forest": RandomForestClassifier(500),
    "stack": StackingClassifier(
        [
            *TREES,
            ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
        ],
        LogisticRegression(),
        cv=3,
    ),
    # Knows the labels of its rows by heart, as models in context do.
    "neighbors": make_pipeline(
        StandardScaler(), KNeighborsClassifier(15, weights="distance")
    ),
    "nets": make_pipeline(
        StandardScaler(),
        BaggingClassifier(MLPClassifier((128, 128), early_stopping=True), 10),
    ),
    # Of the student's own size, as in born-again networks.
    "net": make_pipeline(
        StandardScaler(), MLPClassifier((64, 64), early_stopping=True)
    ),
}

# By name: the parameters of DistilledClassifier, and those of make_student.
ARMS = {
    "default": ({}, {}),
    "no made rows": ({"augmenter": None}, {}),
    "not calibrated": ({"calibrate_teacher": None}, {}),
    "calibrated on folds": ({"calibrate_teacher": "out_of_fold"}, {}),
    "soft labels alone": ({"alpha": 1.0}, {}),
    "standard input": ({}, {"numeric": "standard"}),
    "piecewise input": ({}, {"numeric": "piecewise"}),
    "periodic input": ({}, {"numeric": "periodic"}),
    "temperature 2": ({"temperature": 2.0}, {}),
    "unfitted teacher": ({}, {}),
    "unfitted teacher, alpha 0.7": ({"alpha": 0.7}, {}),
    "unfitted teacher, out of fold": ({"soft_labels": "out_of_fold"}, {}),
    "plain": (
        {
            "temperature": 2.0,
            "alpha": 0.5,
            "augmenter": None,
            "calibrate_teacher": None,
        },
        {"numeric": "standard"},
    ),
}
METRICS = ["accuracy", "log loss", "AUC", "agreement", "fit s", "bytes", "row us"]

# How the README calls the teacher, the honest net and the student.
NAMES = ["teacher", HONEST, "student"]

# Of these there is a summary; the other students are compared with the default.
COMPARED = ["teacher", HONEST, "default", "unfitted teacher", "plain"]

_ALL = [*OPENML, *FOLDER_ONLY, *BUNDLED, *QUARTERS]
SETS = [name for name in _ALL if name != "mnist"]
ON_REQUEST = KEEL
DEFAULT_ARMS = ["default", "unfitted teacher", "plain"]
RECORDS = "quality"
KEY = ["teacher", "hidden", "max rows", "data", "model", "seed"]


def run(data, teacher_name, seed, args):
    """Yield a record of metrics for each model of one split."""
    # The net of labels alone is given a "teacher" that knows nothing.
    warnings.filterwarnings("ignore", "the teacher's balanced accuracy")
    X, X_test, y, y_test = split(data, seed, args.max_rows)
    teacher = make_teacher(teacher_name, X, seed)
    _, seconds = timed(teacher.fit, X, y)
    teacher_pred = teacher.predict(X_test)

    record = partial(measured, X_test, y_test, teacher_pred)
    yield record("teacher", teacher, seconds)
    student = make_student(
        args.hidden, numeric="standard", early_stopping=True, validation_fraction=0.15
    )
    honest = DistilledClassifier(student=student, alpha=0.0, random_state=seed)
    # With alpha=0, nothing is learned from the soft labels.
    nothing = np.full((len(y), len(np.unique(y))), 1 / len(np.unique(y)))
    _, seconds = timed(honest.fit, X, y, teacher_proba=nothing)
    yield record(HONEST, honest, seconds)
    for name in args.arms:
        params, of_student = ARMS[name]
        distilled = DistilledClassifier(
            teacher,
            make_student(args.hidden, **of_student),
            random_state=seed,
            **params,
        )
        if name.startswith("unfitted"):  # which can be measured
            distilled.set_params(teacher=clone(teacher))
        _, seconds = timed(distilled.fit, X, y)
        yield record(name, distilled, seconds)


def measured(X_test, y_test, teacher_pred, name, model, seconds):
    """Return the metrics of a model that took some seconds to fit."""
    pred, proba = model.predict(X_test), model.predict_proba(X_test)
    return {
        "model": name,
        "accuracy": accuracy_score(y_test, pred),
        "log loss": log_loss(y_test, proba, labels=model.classes_),
        "AUC": auc(y_test, proba, model.classes_),
        "agreement": accuracy_score(teacher_pred, pred),
        "fit s": seconds,
        "bytes": size(model),
        "row us": 1e6 * one_row(model, X_test),
    } | chosen(model)


def auc(y, proba, classes):
    """Return the area under the ROC curve, in the mean of the classes."""
    if len(classes) == 2:
        return roc_auc_score(y, proba[:, 1])
    return roc_auc_score(y, proba, labels=classes, multi_class="ovr")


def chosen(model):
    """Return what a distilled student chose by itself."""
    if not isinstance(model, DistilledClassifier):
        return {}
    names = {
        "teacher temperature": "teacher_temperature_",
        "alpha": "alpha_",
    }
    found = {title: getattr(model, name, np.nan) for title, name in names.items()}
    return found | {"encoding": model.student_[0].numeric}


def split(data, seed, max_rows):
    """Return training and test rows of a data set; no choice has seen the test rows.

    Choices were made on the first rows of this permutation: trials were trained on 60 %
    of all rows, or 6,000, and scored on half of the others, or 3,000. Of scikit-learn's
    own data sets, which are small, and of KEEL's, no row was used for choices, so each
    seed has other test rows.
    """
    X, y = load(data)
    if data in [*BUNDLED, *KEEL]:
        share = 0.2 if data in BUNDLED else 0.4
        return train_test_split(X, y, test_size=share, stratify=y, random_state=seed)
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


def make_teacher(name, X, seed):
    teacher = seeded(TEACHERS[name], seed)
    if not isinstance(X, pd.DataFrame):
        return teacher
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
    )
    strings = make_column_selector(dtype_exclude="number")
    return make_pipeline(
        make_column_transformer((encoder, strings), remainder="passthrough"), teacher
    )


def tables(records):
    """Return the tables by title: a summary of all teachers, and some for each."""
    is_held_back = records["data"].isin(KEEL)
    found = {
        f"held back, {title}": table
        for title, table in _tables(records[is_held_back]).items()
        if title.startswith(("summary", "default"))
    }
    return found | _tables(records[~is_held_back])


def _tables(records):
    found = {}
    for (hidden, max_rows), setting in records.groupby(["hidden", "max rows"]):
        title = f"{hidden}, {max_rows} rows"
        teachers = dict(list(setting.groupby("teacher")))
        of_each = {teacher: summary(group) for teacher, group in teachers.items()}
        table = pd.concat(of_each, names=["teacher"]).reset_index("teacher")
        found[f"summary, {title}"] = table
        for teacher, group in teachers.items():
            found[f"default, {teacher}, {title}"] = default_student(group)
            found[f"costs, {teacher}, {title}"] = costs(group)
            found[f"models, {teacher}, {title}"] = by_model(
                group, ["teacher", HONEST, *ARMS], METRICS
            )
            found[f"differences, {teacher}, {title}"] = differences(group)
            found[f"choices, {teacher}, {title}"] = choices(group)
            if (table := parts(group)) is not None:
                found[f"parts, {teacher}, {title}"] = table
    return found


def default_student(records):
    """Return accuracy and log loss of the teacher, the honest net and the student."""
    columns = {}
    for metric in ("accuracy", "log loss"):
        wide = records.pivot_table(metric, "data", "model", spread)
        for model, name in zip(("teacher", HONEST, "default"), NAMES, strict=True):
            columns[f"{metric}: {name}"] = wide[model]
    return pd.DataFrame(columns).reset_index()


def costs(records):
    """Return what the teacher, the honest net and the student achieve, and cost."""
    groups = records.groupby(["model", "data"])
    means = groups[["accuracy", "bytes"]].mean()
    means["row us"] = groups["row us"].median()  # others' work disturbs some
    columns = {}
    for model, name in zip(("teacher", HONEST, "default"), NAMES, strict=True):
        columns[f"accuracy: {name}"] = means.loc[model]["accuracy"].map("{:.3f}".format)
    teacher, student = means.loc["teacher"], means.loc["default"]
    for title, values, form in (
        ("file: teacher", teacher["bytes"] / 1e6, "{:,.1f} MB"),
        ("file: student", student["bytes"] / 1e3, "{:,.0f} kB"),
        ("row: teacher", teacher["row us"] / 1e3, "{:,.1f} ms"),
        ("row: student", student["row us"] / 1e3, "{:.2f} ms"),
    ):
        if values.notna().any():
            columns[title] = values.map(form.format, na_action="ignore")
    return pd.DataFrame(columns).reset_index()


def paired(records, metric, baseline=HONEST):
    """Return the differences to a model: a row for each data set and seed."""
    wide = records.set_index(["data", "seed", "model"])[metric].unstack("model")
    return wide.drop(columns=baseline).sub(wide[baseline], axis=0)


def differences(records):
    """Return the mean paired differences over seeds, with intervals of 95 %."""
    columns = {
        f"{title}: {model}": values.groupby("data").agg(shown)
        for metric, title, shown in (
            ("accuracy", "accuracy in points", points),
            ("log loss", "log loss", interval),
        )
        for model, values in paired(records, metric).items()
    }
    return pd.DataFrame(columns).reset_index()


def parts(records):
    """Compare the other students with the default: means over seeds, then over data.

    Return None where there are none.
    """
    others = [arm for arm in ARMS if arm in set(records["model"]) - {*COMPARED}]
    if not others:
        return None
    accuracy, loss = (
        paired(records, metric, "default")[others].groupby("data").mean()
        for metric in ("accuracy", "log loss")
    )
    return pd.DataFrame(
        {
            "student": others,
            "data sets": [accuracy[arm].count() for arm in others],
            "accuracy in points": [points(accuracy[arm]) for arm in others],
            "log loss": [interval(loss[arm]) for arm in others],
            "log loss smaller on": [(loss[arm] < 0).sum() for arm in others],
        }
    )


def choices(records):
    """Return what students chose by themselves, and in how many fits."""
    rows = []
    for data, group in records.groupby("data"):
        default = group[group["model"] == "default"]
        rows.append(
            {
                "data": data,
                "encoding": counted(default["encoding"].dropna()),
                "teacher temperature": spread(default["teacher temperature"]),
            }
        )
    return pd.DataFrame(rows)


def counted(values):
    """Return values, each with the number of times that it is there."""
    return ", ".join(f"{value} ({n})" for value, n in Counter(values).most_common())


def summary(records):
    """Compare the models with the honest net: means over seeds, then over data sets."""
    records = records[records["model"].isin(COMPARED)]
    accuracy, loss = (
        paired(records, metric).groupby("data").mean()
        for metric in ("accuracy", "log loss")
    )
    means = records.groupby(["data", "model"])[["fit s", "AUC"]].mean()
    seconds, auc = (means[name].unstack("model") for name in ("fit s", "AUC"))
    gap = accuracy["teacher"]
    wide = gap.index[gap >= 0.01]
    rows = []
    for model, difference in accuracy.items():
        closed = difference[wide] / gap[wide]
        rows.append(
            {
                "model": model,
                "gap closed (95 % interval)": percent(closed),
                "median": known(100 * closed, "{:.0f} %", "median"),
                "sets with a gap of a point": f"{len(wide)} of {len(gap)}",
                "accuracy, difference in points": points(difference),
                "smallest": f"{100 * difference.min():+.1f} ({difference.idxmin()})",
                "log loss smaller on": (loss[model] < 0).sum(),
                "AUC / the teacher's": known(auc[model] / auc["teacher"], "{:.1%}"),
                "fit s, median": known(seconds[model], "{:.1f}", "median"),
            }
        )
    return pd.DataFrame(rows)
