"""Compare the time of DistilledClassifier.fit with that of a loop in plain torch.

Both train the same module with the same batch size, number of epochs and soft labels,
once with Adam as it comes and once with its fused form. The loop makes its batches by
indexing shuffled tensors, the fastest way for data in memory. A second loop uses a
DataLoader. For reference, a plain skorch net is trained on the labels alone. The
contestants take turns in each repetition, because the speed of a machine drifts:

    python benchmarks/fit_time.py --dataset synthetic --batch-size 32 128 1024
"""

from functools import partial
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from _data import OPENML, load
from _report import argument_parser, median_range, report
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import LabelEncoder, StandardScaler
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from skdistill import DistilledClassifier

TEMPERATURE = 2.0
ALPHA = 0.5
PROBA_CLIP = 1e-4
LEARNING_RATE = 1e-3


class MLP(nn.Sequential):
    def __init__(self, n_features, n_classes, width=64):
        super().__init__(
            nn.Linear(n_features, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, n_classes),
        )


def main():
    args = parse_args()
    torch.set_num_threads(args.threads)
    X, y = synthetic() if args.dataset == "synthetic" else load(args.dataset)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    y = LabelEncoder().fit_transform(y)
    forest = RandomForestClassifier(random_state=0, max_samples=2000).fit(X, y)
    proba = forest.predict_proba(X).astype(np.float32)
    rows, columns = X.shape
    data = f"{args.dataset}, {rows} rows, {columns} columns"
    tables = {}
    for batch_size in args.batch_size:
        contestants = fits(X, y, proba, batch_size, args.epochs)
        seconds = {name: [] for name in contestants}
        for repetition in range(args.repetitions + 1):
            for name, fit in contestants.items():
                start = perf_counter()
                fit()
                if repetition > 0:  # the first repetition is a warm-up
                    seconds[name].append(perf_counter() - start)
        tables[f"{data}, batches of {batch_size}"] = table(seconds)
    note = (
        f"{args.epochs} epochs, {args.repetitions} repetitions, {args.threads} thread"
    )
    report(args.output, tables, note)


def parse_args():
    parser = argument_parser(__doc__)
    arrays = [name for name in OPENML if name != "adult_frame"]
    parser.add_argument(
        "--dataset", default="synthetic", choices=["synthetic", *arrays]
    )
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, nargs="+", default=[128])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def synthetic():
    return make_classification(
        20_000, 32, n_informative=12, n_classes=5, random_state=0
    )


def fits(X, y, proba, batch_size, epochs):
    """Return the contestants by name."""
    net = NeuralNetClassifier(
        MLP,
        module__n_features=X.shape[1],
        module__n_classes=proba.shape[1],
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        batch_size=batch_size,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )

    def distill(fused):
        DistilledClassifier(
            student=clone(net).set_params(optimizer__fused=fused),
            temperature=TEMPERATURE,
            alpha=ALPHA,
            proba_clip=PROBA_CLIP,
            random_state=0,
        ).fit(X, y, teacher_proba=proba)

    def by_hand(batches, fused):
        loop(X, y, proba, batches, batch_size, epochs, fused)

    return {
        "DistilledClassifier, fused": partial(distill, True),
        "loop, indexing, fused": partial(by_hand, indexed_batches, True),
        "DistilledClassifier": partial(distill, False),
        "loop, indexing": partial(by_hand, indexed_batches, False),
        "loop, DataLoader": partial(by_hand, loaded_batches, False),
        "skorch, labels alone": lambda: clone(net).fit(X, y),
    }


def loop(X, y, proba, batches, batch_size, epochs, fused):
    """Distill in plain torch."""
    module = MLP(X.shape[1], proba.shape[1])
    optimizer = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE, fused=fused)
    teacher = np.log(proba.clip(PROBA_CLIP, 1))
    data = TensorDataset(*map(torch.from_numpy, (X, y, teacher)))
    for _ in range(epochs):
        total = 0.0
        for rows, labels, teacher_logits in batches(data, batch_size):
            optimizer.zero_grad()
            logits = module(rows)
            soft = F.kl_div(
                F.log_softmax(logits / TEMPERATURE, dim=1),
                F.log_softmax(teacher_logits / TEMPERATURE, dim=1),
                reduction="batchmean",
                log_target=True,
            )
            hard = F.cross_entropy(logits, labels)
            loss = ALPHA * TEMPERATURE**2 * soft + (1 - ALPHA) * hard
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
    return module


def indexed_batches(data, batch_size):
    for rows in torch.randperm(len(data)).split(batch_size):
        yield data[rows]


def loaded_batches(data, batch_size):
    return DataLoader(data, batch_size=batch_size, shuffle=True)


def table(seconds):
    """Return the times, and the ratios to the loop with the same optimizer."""
    rows = []
    for name, values in seconds.items():
        fused = ", fused" * name.endswith("fused")
        ratio = np.array(values) / np.array(seconds[f"loop, indexing{fused}"])
        rows.append(
            {
                "fit": name,
                "seconds, median (min to max)": median_range(values),
                "ratio to the loop, median (min to max)": median_range(ratio),
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
