"""Compare the time of ``import skdistill`` with that of ``import sklearn.base``.

Each import runs in a new process, in turn, less the time of a process that imports
nothing. None of them may load torch:

    python benchmarks/import_time.py
"""

import subprocess
import sys
from time import perf_counter

import numpy as np
import pandas as pd
from _report import argument_parser, median_range, report

NOTHING, BASELINE = "pass", "import sklearn.base"
STATEMENTS = [
    NOTHING,
    BASELINE,
    "import skdistill",
    "from skdistill.deploy import OnnxClassifier",
]


def main():
    parser = argument_parser(__doc__)
    parser.add_argument("--repetitions", type=int, default=11)
    args = parser.parse_args()
    seconds = {statement: [] for statement in STATEMENTS}
    for repetition in range(args.repetitions + 1):
        for statement, times in seconds.items():
            took = seconds_of(statement)
            if repetition > 0:  # the first one fills the caches of the disk
                times.append(took)
    nothing = np.array(seconds.pop(NOTHING))
    baseline = seconds[BASELINE] - nothing
    rows = [
        {
            "statement": statement,
            "seconds, median (min to max)": median_range(times - nothing),
            "ratio, median (min to max)": median_range((times - nothing) / baseline),
        }
        for statement, times in seconds.items()
    ]
    report(args.output, {"imports": pd.DataFrame(rows)})


def seconds_of(statement):
    check = "import sys; assert 'torch' not in sys.modules"
    start = perf_counter()
    subprocess.run([sys.executable, "-c", f"{statement}; {check}"], check=True)
    return perf_counter() - start


if __name__ == "__main__":
    main()
