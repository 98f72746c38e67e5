"""Compare the time of DistilledClassifier.fit with that of a loop in plain torch.

Both train the same module with the same optimizer, batch size, number of epochs and
soft labels. The first loop makes its batches by indexing shuffled tensors, the fastest
way for data in memory. The second one uses a DataLoader. For reference, a plain skorch
net is trained on the labels alone. The contestants take turns in each repetition,
because the speed of a machine drifts:

    python benchmarks/fit_time.py --dataset letter --epochs 20
"""

import argparse
from time import perf_counter

import numpy as np
import torch
from _data import OPENML, load
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
    X, y = load(args.dataset)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    y = LabelEncoder().fit_transform(y)
    forest = RandomForestClassifier(random_state=0).fit(X, y)
    proba = forest.predict_proba(X).astype(np.float32)

    net = NeuralNetClassifier(
        MLP,
        module__n_features=X.shape[1],
        module__n_classes=proba.shape[1],
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        batch_size=args.batch_size,
        max_epochs=args.epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    distilled = DistilledClassifier(
        student=net,
        temperature=TEMPERATURE,
        alpha=ALPHA,
        proba_clip=PROBA_CLIP,
        random_state=0,
    )
    contestants = {
        "DistilledClassifier": lambda: distilled.fit(X, y, teacher_proba=proba),
        "loop, indexing": lambda: loop(X, y, proba, indexed_batches, args),
        "loop, DataLoader": lambda: loop(X, y, proba, loaded_batches, args),
        "skorch, labels alone": lambda: net.fit(X, y),
    }
    seconds = {name: [] for name in contestants}
    for repetition in range(args.repetitions + 1):
        for name, fit in contestants.items():
            start = perf_counter()
            fit()
            if repetition > 0:  # the first repetition is a warm-up
                seconds[name].append(perf_counter() - start)

    print_results(len(X), seconds, args)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arrays = [name for name in OPENML if name != "adult_frame"]
    parser.add_argument("--dataset", default="letter", choices=arrays)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def loop(X, y, proba, batches, args):
    """Distill in plain torch."""
    module = MLP(X.shape[1], proba.shape[1])
    optimizer = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE)
    teacher = np.log(proba.clip(PROBA_CLIP, 1))
    data = TensorDataset(*map(torch.from_numpy, (X, y, teacher)))
    for _ in range(args.epochs):
        total = 0.0
        for rows, labels, teacher_logits in batches(data, args.batch_size):
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


def print_results(n_samples, seconds, args):
    print(
        f"{args.dataset}: {n_samples} rows, {args.epochs} epochs, batches of "
        f"{args.batch_size}, {args.repetitions} repetitions, {args.threads} thread(s)\n"
    )
    print("| fit | seconds, median | ratio to the loop, median (min to max) |")
    print("| --- | --- | --- |")
    reference = np.array(seconds["loop, indexing"])
    for name, values in seconds.items():
        ratio = np.array(values) / reference
        print(
            f"| {name} | {np.median(values):.2f} | {np.median(ratio):.2f} "
            f"({ratio.min():.2f} to {ratio.max():.2f}) |"
        )


if __name__ == "__main__":
    main()
