"""The models of classes that ``peers.py`` compares."""

import numpy as np
from _classes import METRICS, TEACHERS, make_teacher, measured, split
from _data import FOLDER_ONLY, OPENML
from _measures import size, timed
from _peers import SMALL_TREES, Deployed, as_frame, autogluon, from_pytabkit, same_bytes
from lightgbm import LGBMClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledClassifier, make_student, soft_labels

__all__ = ["FITTED", "METRICS", "MODELS", "RECORDS", "SETS", "TEACHERS", "TITLE", "run"]

SETS = [n for n in [*OPENML, *FOLDER_ONLY] if n not in ("mnist", "adult_frame")]
RECORDS = "peers"
TITLE = "models"
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
    yield "LightGBM, labels", *boosted(X, y, None, n_bytes, seed)
    soft = soft_labels(teacher, X)
    rows = np.repeat(X, soft.shape[1], axis=0)
    classes = np.tile(teacher.classes_, len(X))
    yield (
        "LightGBM, soft labels",
        *boosted(rows, classes, soft.ravel(), n_bytes, seed),
    )


def boosted(X, y, sample_weight, n_bytes, seed):
    """Return boosted trees that take at most so many bytes, and the seconds of fit."""

    def fit(n_trees):
        model = LGBMClassifier(n_estimators=n_trees, random_state=seed, **SMALL_TREES)
        return model.fit(X, y, sample_weight=sample_weight)

    return same_bytes(fit, n_bytes)


def mlp(X, y, teacher, seed):
    net = MLPClassifier(early_stopping=True, max_iter=200, random_state=seed)
    net = make_pipeline(StandardScaler(), net)
    yield "MLPClassifier, labels", *timed(net.fit, X, y)


def real_mlp(X, y, teacher, seed):
    return from_pytabkit("RealMLP_TD_S_Classifier", "RealMLP-TD-S, labels", X, y, seed)


def tabm(X, y, teacher, seed):
    # Its default of 512 units takes one core half an hour.
    return from_pytabkit("TabM_D_Classifier", "TabM, labels", X, y, seed, d_block=128)


def of_autogluon(X, y, teacher, seed):
    return autogluon(X, y, DeployedClassifier)


class DeployedClassifier(Deployed):
    """A classifier of AutoGluon's."""

    @property
    def classes_(self):
        return self.predictor.class_labels

    def predict_proba(self, X):
        # Distilled binary LightGBM is a regression, which may leave 0 to 1.
        return self.predictor.predict_proba(as_frame(X), as_pandas=False).clip(0, 1)


FITTED = {
    "student": student_and_boosted,
    "mlp": mlp,
    "realmlp": real_mlp,
    "tabm": tabm,
    "autogluon": of_autogluon,
}
