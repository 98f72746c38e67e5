"""Where does a second thread of torch pay, and where does the time of a step go?

The first table compares training steps in plain torch with one thread and with all, for
nets of two hidden layers. The second compares a step of ``DistilledClassifier.fit``, in
one thread, with the matrix products that it needs, for a net of 64-64 units. The
contestants take turns:

    python benchmarks/threads.py
"""

import os
from itertools import product
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from _report import argument_parser, median_range, report
from fit_time import MLP, fits, synthetic
from torch.nn import functional as F

N_FEATURES, N_CLASSES = 32, 5


def main():
    parser = argument_parser(__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument(
        "--batch-size", type=int, nargs="+", default=[32, 128, 256, 1024, 8192]
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repetitions", type=int, default=7)
    args = parser.parse_args()
    cases = product(args.widths, args.batch_size)
    threads = [threads_row(width, batch_size, args) for width, batch_size in cases]
    steps = [
        step_row(batch_size, args.repetitions)
        for batch_size in args.batch_size
        if batch_size <= 1024
    ]
    report(
        args.output,
        {
            f"1 and {args.threads} threads": pd.DataFrame(threads),
            "step of 64-64 units": pd.DataFrame(steps),
        },
    )


def threads_row(width, batch_size, args):
    module = MLP(N_FEATURES, N_CLASSES, width)
    optimizer = torch.optim.Adam(module.parameters(), fused=True)
    X = torch.randn(batch_size, N_FEATURES)
    y = torch.randint(N_CLASSES, (batch_size,))

    def step():
        optimizer.zero_grad()
        F.cross_entropy(module(X), y).backward()
        optimizer.step()

    seconds = {1: [], args.threads: []}
    for _ in range(args.repetitions):
        for n_threads, times in seconds.items():
            torch.set_num_threads(n_threads)
            times.append(per_call(step))
    n_weights = sum(weight.numel() for weight in module.parameters())
    one, many = map(np.array, seconds.values())
    return {
        "width": width,
        "batch": batch_size,
        "products of a pass, log2": f"{np.log2(n_weights * batch_size):.1f}",
        "one thread, us": f"{1e6 * np.median(one):,.0f}",
        f"{args.threads} threads, us": f"{1e6 * np.median(many):,.0f}",
        "ratio, median (min to max)": median_range(many / one),
    }


def step_row(batch_size, repetitions, epochs=2):
    torch.set_num_threads(1)
    X, y = synthetic()
    X = X.astype(np.float32)
    proba = np.full((len(X), N_CLASSES), 0.1, np.float32)
    proba[np.arange(len(X)), y] = 0.6
    fit = fits(X, y, proba, batch_size, epochs)["DistilledClassifier, fused"]
    n_steps = epochs * -(-len(X) // batch_size)
    step, products = [], []
    for repetition in range(repetitions + 1):
        start = perf_counter()
        fit()
        took = (perf_counter() - start) / n_steps
        multiply = per_call(matrix_products(batch_size))
        if repetition > 0:  # the first one is a warm-up
            step.append(took)
            products.append(multiply)
    return {
        "batch": batch_size,
        "step of fit, us": f"{1e6 * np.median(step):,.0f}",
        "matrix products, us": f"{1e6 * np.median(products):,.0f}",
        "ratio, median (min to max)": median_range(np.divide(step, products), 1),
    }


def matrix_products(batch_size):
    """Return a function that computes the products of a forward and a backward pass."""
    sizes = [N_FEATURES, 64, 64, N_CLASSES]
    inputs = [torch.randn(batch_size, size) for size in sizes[:-1]]
    outputs = [torch.randn(batch_size, size) for size in sizes[1:]]
    weights = [
        torch.randn(n_out, x.shape[1])
        for n_out, x in zip(sizes[1:], inputs, strict=True)
    ]

    def multiply():
        for number, (x, g, w) in enumerate(zip(inputs, outputs, weights, strict=True)):
            x @ w.T
            g.T @ x
            if number > 0:  # nobody needs the gradient of the data
                g @ w

    return multiply


def per_call(function, seconds=0.1):
    """Return the mean time of a call, over a time that a clock can tell."""
    function()
    start, n_calls = perf_counter(), 0
    while perf_counter() - start < seconds:
        function()
        n_calls += 1
    return (perf_counter() - start) / n_calls


if __name__ == "__main__":
    main()
