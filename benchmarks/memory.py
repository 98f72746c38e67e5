"""Measure the peak memory of a fit on many rows, above the data that it is given.

There are a float32 array of 1,000,000 x 50, or one that is mapped from a file, a fitted
teacher, and no made rows. Each fit runs in a process of its own, for one epoch:

    python benchmarks/memory.py --numeric standard piecewise
"""

import json
import resource
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import pandas as pd
from _report import argument_parser, report

MIB = 2**20


def main():
    args = parse_args()
    if args.one:
        measure(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for numeric in args.numeric:
            for kind in ("array", "memmap"):
                command = [sys.executable, __file__, *sys.argv[1:]]
                command += ["--one", kind, numeric, folder]
                rows.append(json.loads(subprocess.check_output(command)))
    title = f"{args.rows} rows, {args.columns} columns"
    report(args.output, {title: pd.DataFrame(rows)})


def measure(args):
    from sklearn.linear_model import LogisticRegression

    from skdistill import DistilledClassifier, make_student

    kind, numeric, folder = args.one
    X = rows(args, kind, Path(folder))
    y = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(np.int64)
    teacher = LogisticRegression().fit(X[:1000], y[:1000])
    student = make_student(numeric=numeric, max_epochs=1, batch_size=1024)
    clf = DistilledClassifier(
        teacher,
        student,
        augmenter=None,
        random_state=0,
    )
    clf.fit(X[:5000], y[:5000])  # loads what is loaded once
    data = resident()
    peak = Peak()
    start = perf_counter()
    with peak:
        clf.fit(X, y)
    seconds = perf_counter() - start
    above = peak.value - data
    row = {
        "data": kind,
        "numeric": numeric,
        "data, MiB": f"{X.nbytes / MIB:.0f}",
        "peak above the data, MiB": f"{above / MIB:.0f}",
        "seconds": f"{seconds:.1f}",
    }
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
    parser.add_argument("--one", nargs=3, metavar=("KIND", "NUMERIC", "FOLDER"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
