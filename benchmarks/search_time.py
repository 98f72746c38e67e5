"""Compare the time of searches over temperature and alpha.

The baseline is what a person writes today: scikit-learn's GridSearchCV over a skorch
net whose ``fit`` asks the teacher and whose ``get_loss`` adds the KL term. All its fits
take the same time, so only some candidates are fitted, and the time is scaled to all of
them. The others are scikit-learn's GridSearchCV over DistilledClassifier, scaled as
well, and skdistill's GridSearchCV, which is run in full:

    python benchmarks/search_time.py --dataset letter --n-jobs 1 2
"""

import warnings
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from _data import OPENML, load
from _report import argument_parser, median_range, report
from fit_time import MLP
from joblib import Parallel, delayed
from sklearn import model_selection
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import LabelEncoder, StandardScaler
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional as F

from skdistill import DistilledClassifier
from skdistill.model_selection import GridSearchCV

TEMPERATURES = [1.0, 1.5, 2.0, 3.0, 4.0]
ALPHAS = [0.1, 0.3, 0.5, 0.7, 0.9]


class HandWritten(NeuralNetClassifier):
    """The hand-written estimator; the soft labels of a row travel in its input."""

    def __init__(self, *args, teacher=None, temperature=1.0, alpha=0.5, **kwargs):
        super().__init__(*args, **kwargs)
        self.teacher = teacher
        self.temperature = temperature
        self.alpha = alpha

    def fit(self, X, y=None, **fit_params):
        proba = np.clip(self.teacher.predict_proba(X), 1e-4, None)
        soft = np.log(proba).astype(np.float32)
        return super().fit({"X": X, "soft": soft}, y, **fit_params)

    def infer(self, x, **fit_params):
        if isinstance(x, dict):
            self.soft_ = x["soft"]
            x = x["X"]
        return super().infer(x, **fit_params)

    def get_loss(self, y_pred, y_true, X=None, *args, **kwargs):
        hard = super().get_loss(y_pred, y_true, X, *args, **kwargs)
        T = self.temperature
        soft = F.kl_div(
            F.log_softmax(y_pred / T, dim=1),
            F.log_softmax(self.soft_ / T, dim=1),
            reduction="batchmean",
            log_target=True,
        )
        return self.alpha * T**2 * soft + (1 - self.alpha) * hard


def main():
    args = parse_args()
    # Extra trees know the labels of their own rows: it is the time that counts here.
    warnings.filterwarnings("ignore", "the soft labels are one-hot")
    torch.set_num_threads(1)
    X, y = load(args.dataset)
    rows = np.random.default_rng(0).permutation(len(X))[: args.rows]
    X = StandardScaler().fit_transform(X[rows]).astype(np.float32)
    y = LabelEncoder().fit_transform(y[rows])
    teacher = ExtraTreesClassifier(args.trees, random_state=0, n_jobs=1).fit(X, y)
    grid = {"temperature": TEMPERATURES, "alpha": ALPHAS}
    few = {"temperature": TEMPERATURES[: args.scaled_candidates], "alpha": [0.5]}
    n_candidates = len(TEMPERATURES) * len(ALPHAS)
    hand_written, distilled = estimators(args, X.shape[1], len(np.unique(y)), teacher)
    searches = {
        "hand-written": (model_selection.GridSearchCV, hand_written, few),
        "scikit-learn": (model_selection.GridSearchCV, distilled, few),
        "skdistill": (GridSearchCV, distilled, grid),
    }
    searches = {
        (name, n_jobs): search
        for n_jobs in args.n_jobs
        for name, search in searches.items()
    }
    seconds = {name: [] for name in searches}
    for repetition in range(args.repetitions):
        for (name, n_jobs), (search_class, estimator, candidates) in searches.items():
            n = len(model_selection.ParameterGrid(candidates))
            # Other rows each time: soft labels of the last time do not serve.
            keep = np.random.default_rng(repetition).permutation(len(X))[:-1]
            search = search_class(
                clone(estimator), candidates, cv=5, n_jobs=n_jobs, refit=False
            )
            # The processes start, and import torch, before the clock does.
            Parallel(n_jobs)(delayed(clone)(estimator) for _ in range(n_jobs))
            start = perf_counter()
            search.fit(X[keep], y[keep])
            took = (perf_counter() - start) * n_candidates / n
            seconds[name, n_jobs].append(took)
            print(f"{name:13} {n_jobs} {took:8.1f} s", flush=True)
    rows = [
        {
            "search": name,
            "n_jobs": n_jobs,
            "seconds, median (min to max)": median_range(own, 1),
            "share of the hand-written": median_range(
                np.divide(own, seconds["hand-written", n_jobs])
            ),
        }
        for (name, n_jobs), own in seconds.items()
    ]
    title = f"{args.dataset}, {len(X)} rows, {n_candidates} candidates, 5 folds"
    report(args.output, {title: pd.DataFrame(rows)})


def estimators(args, n_features, n_classes, teacher):
    shared = {
        "module__n_features": n_features,
        "module__n_classes": n_classes,
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "optimizer__fused": True,
        "lr": 1e-3,
        "max_epochs": args.epochs,
        "batch_size": args.batch_size,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    hand_written = HandWritten(MLP, teacher=FrozenEstimator(teacher), **shared)
    student = NeuralNetClassifier(MLP, **shared)
    return hand_written, DistilledClassifier(teacher, student, random_state=0)


def parse_args():
    parser = argument_parser(__doc__)
    parser.add_argument("--dataset", choices=OPENML, default="letter")
    parser.add_argument("--rows", type=int, default=16_000)
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--n-jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--scaled-candidates", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
