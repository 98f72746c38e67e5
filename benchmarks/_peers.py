"""What the small models beside students of classes and of numbers have in common."""

import importlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from _measures import size, timed

AUTOGLUON_SECONDS = 200
# So few trees as fit into the bytes of a student learn most with short trees and a high
# rate.
SMALL_TREES = {"num_leaves": 8, "learning_rate": 0.2, "verbose": -1, "n_jobs": 1}


def same_bytes(fit, n_bytes):
    """Return what ``fit(n_trees)`` makes of at most so many bytes, and its seconds."""
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


def from_pytabkit(name, title, X, y, seed, **params):
    """Yield a fitted net of pytabkit, if that is installed."""
    try:
        nets = importlib.import_module("pytabkit")
    except ImportError:
        return
    net = getattr(nets, name)(device="cpu", random_state=seed, n_threads=1, **params)
    yield title, *timed(net.fit, X, y)


def autogluon(X, y, deployed):
    """Yield AutoGluon's ensemble and its distilled student, if it is installed."""
    try:
        from autogluon.tabular import TabularPredictor
    except ImportError:
        return
    one_core = {"ag_args_fit": {"num_cpus": 1, "num_gpus": 0}}
    limit = {"time_limit": AUTOGLUON_SECONDS}
    with TemporaryDirectory() as folder:
        predictor = TabularPredictor("target", path=f"{folder}/all", verbosity=0)
        _, seconds = timed(
            predictor.fit,
            as_frame(X).assign(target=y),
            hyperparameters=dict.fromkeys(["GBM", "RF", "XT", "NN_TORCH"], one_core),
            num_cpus=1,
            **limit,
        )
        ensemble = deployed(predictor, predictor.model_best, f"{folder}/ensemble")
        yield "AutoGluon, ensemble", ensemble, seconds
        students, seconds = timed(
            predictor.distill,
            hyperparameters=dict.fromkeys(["GBM", "NN_TORCH"], one_core),
            **limit,
        )
        scores = predictor.leaderboard().set_index("model")["score_val"]
        best = scores[students].idxmax()
        student = deployed(predictor, best, f"{folder}/student", teacher=ensemble)
        yield "AutoGluon, distilled", student, seconds


class Deployed:
    """A model of AutoGluon's predictor, cloned for deployment, that reads arrays."""

    def __init__(self, predictor, model, folder, teacher=None):
        self.folder, self.teacher = Path(folder), teacher
        self.predictor = predictor.clone_for_deployment(
            folder, model=model, return_clone=True
        )
        self.predictor.persist()

    def predict(self, X):
        return self.predictor.predict(as_frame(X), as_pandas=False)

    def __getstate__(self):
        # size() counts what is pickled, and these files are what gets deployed.
        return [file.read_bytes() for file in self.folder.rglob("*") if file.is_file()]


def as_frame(X):
    return pd.DataFrame(X).rename(columns=str)
