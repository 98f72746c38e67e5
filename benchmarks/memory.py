"""Measure the peak memory of a fit on many rows, above the data that it is given.

There are a float32 array of 1,000,000 x 50, or one that is mapped from a file, and a
fitted teacher. Each fit runs in a process of its own, either for one epoch and without
made rows, or the default fit, with made rows, nets that learn the labels, and as many
epochs as the student takes by itself. Then all rows are predicted:

    python benchmarks/memory.py --fits one-epoch default --numeric standard piecewise
"""

import json
import resource
import subprocess
import sys
import tempfile
import threading
from functools import partial
from itertools import product
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import pandas as pd
from _report import argument_parser, report

MIB = 2**20

FITS, KINDS = ("one-epoch", "default"), ("array", "memmap")


def main():
    args = parse_args()
    if args.one:
        measure(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        for fit in args.fits:
            rows = []
            for numeric, kind in product(args.numeric, args.data):
                command = [sys.executable, __file__, *sys.argv[1:]]
                command += ["--one", fit, numeric, kind, folder]
                rows.append(json.loads(subprocess.check_output(command)))
            title = f"{fit}, {args.rows} rows, {args.columns} columns"
            report(args.output, {title: pd.DataFrame(rows)}, variant=fit)


def measure(args):
    from sklearn.linear_model import LogisticRegression

    from skdistill import DistilledClassifier, make_student

    fit, numeric, kind, folder = args.one
    X = rows(args, kind, Path(folder))
    y = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(np.int64)
    teacher = LogisticRegression().fit(X[:1000], y[:1000])
    clf = DistilledClassifier(teacher, make_student(numeric=numeric), random_state=0)
    if fit == "one-epoch":
        clf.set_params(augmenter=None)
        clf.set_params(student__net__max_epochs=1, student__net__batch_size=1024)
    clf.fit(X[:2000], y[:2000])  # loads what is loaded once
    data = resident()
    row = {
        "numeric": numeric,
        "data": kind,
        "data, MiB": f"{X.nbytes / MIB:.0f}",
    }
    for step in (partial(clf.fit, X, y), partial(clf.predict_proba, X)):
        name = "fit" if step.func == clf.fit else "predict"
        start, peak = perf_counter(), Peak()
        with peak:
            step()
        row[f"{name}: peak above the data, MiB"] = f"{(peak.value - data) / MIB:.0f}"
        row[f"{name}: seconds"] = f"{perf_counter() - start:.1f}"
    row["epochs"] = len(clf.history_)
    print(json.dumps(row))


def rows(args, kind, folder):
    file = folder / "X.npy"
    if not file.exists():
        rng = np.random.default_rng(0)
        np.save(file, rng.normal(size=(args.rows, args.columns)).astype(np.float32))
    return np.load(file, mmap_mode="r" if kind == "memmap" else None)


class Peak:
    """The largest resident memory of this process while it lasts, in bytes."""

    def __enter__(self):
        self.value, self.done = resident(), False
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def __exit__(self, *error):
        self.done = True
        self.thread.join()

    def _watch(self):
        while not self.done:
            self.value = max(self.value, resident())
            sleep(0.005)


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def parse_args():
    parser = argument_parser(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--numeric", nargs="+", default=["standard", "piecewise"])
    parser.add_argument("--fits", nargs="+", choices=FITS, default=FITS[:1])
    parser.add_argument("--data", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument(
        "--one", nargs=4, metavar=("FIT", "NUMERIC", "DATA", "FOLDER"), help="a fit"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
