"""The models of numbers that ``peers.py`` compares.

Errors are root mean squared errors, divided by the standard deviation of the target.
"""

import numpy as np
from _measures import size, timed
from _numbers import SETS, TEACHERS, make_teacher, measured, split
from _peers import SMALL_TREES, Deployed, autogluon, from_pytabkit, same_bytes
from lightgbm import LGBMRegressor
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledRegressor, make_student
from skdistill.augmentation import MUNGE

__all__ = ["FITTED", "METRICS", "MODELS", "RECORDS", "SETS", "TEACHERS", "TITLE", "run"]

RECORDS = "peers_numbers"
TITLE = "numbers models"
METRICS = ["rmse", "fit s", "bytes", "row us"]
MODELS = [
    "teacher",
    "skdistill",
    "skdistill, 256-256",
    "LightGBM, labels",
    "LightGBM, predictions",
    "LightGBM, predictions and made rows",
    "MLPRegressor, labels",
    "RealMLP-TD-S, labels",
    "AutoGluon, ensemble",
    "AutoGluon, distilled",
]


def run(data, seed, args):
    """Yield a record of metrics for each model of one split."""
    X, X_test, y, y_test = split(data, seed, args.max_rows)
    teacher = make_teacher(args.teacher, y, seed)
    scale = y.std()
    for kind in args.models:
        for name, model, seconds in FITTED[kind](X, y, teacher, seed):
            yield measured(X_test, y_test / scale, scale, name, model, seconds)


def student_and_boosted(X, y, teacher, seed):
    """Yield the fitted teacher, students of an unfitted one, and boosted trees."""
    fitted = clone(teacher)
    yield "teacher", *timed(fitted.fit, X, y)
    student = DistilledRegressor(teacher, random_state=seed)
    yield "skdistill", *timed(student.fit, X, y)
    net = make_student((256, 256), task="regression")
    wide = DistilledRegressor(teacher, net, random_state=seed)
    yield "skdistill, 256-256", *timed(wide.fit, X, y)  # the teacher is asked once
    n_bytes = size(student)
    yield "LightGBM, labels", *boosted(X, y, n_bytes, seed)
    said = fitted.predict(X)
    yield "LightGBM, predictions", *boosted(X, said, n_bytes, seed)
    # As many as the student's, and made in the same way.
    made = MUNGE().sample(X, 5 * len(X), seed)
    rows, said = np.concatenate([X, made]), np.append(said, fitted.predict(made))
    yield "LightGBM, predictions and made rows", *boosted(rows, said, n_bytes, seed)


def boosted(X, y, n_bytes, seed):
    """Return boosted trees that take at most so many bytes, and the seconds of fit."""

    def fit(n_trees):
        model = LGBMRegressor(n_estimators=n_trees, random_state=seed, **SMALL_TREES)
        return model.fit(X, y)

    return same_bytes(fit, n_bytes)


def mlp(X, y, teacher, seed):
    net = MLPRegressor(early_stopping=True, max_iter=200, random_state=seed)
    net = TransformedTargetRegressor(net, transformer=StandardScaler())
    net = make_pipeline(StandardScaler(), net)
    yield "MLPRegressor, labels", *timed(net.fit, X, y)


def real_mlp(X, y, teacher, seed):
    return from_pytabkit("RealMLP_TD_S_Regressor", "RealMLP-TD-S, labels", X, y, seed)


def of_autogluon(X, y, teacher, seed):
    return autogluon(X, y, Deployed)


FITTED = {
    "student": student_and_boosted,
    "mlp": mlp,
    "realmlp": real_mlp,
    "autogluon": of_autogluon,
}
