"""What does it cost to tell whether soft labels may be reused?

At each fit, a checksum of all bytes of the teacher and of the rows says whether an
earlier answer still holds. It is timed beside the answer itself, for teachers that are
large or that hold all their training rows:

    python benchmarks/checksum_time.py --dataset letter
"""

from time import perf_counter

import numpy as np
import pandas as pd
from _data import OPENML, load
from _report import argument_parser, median_range, report
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.neighbors import KNeighborsClassifier

from skdistill.utils._fingerprint import fingerprint

TEACHERS = {
    "500 extra trees": ExtraTreesClassifier(500, random_state=0),
    "1 nearest neighbor": KNeighborsClassifier(1),
    "1 nearest neighbor, k-d tree": KNeighborsClassifier(1, algorithm="kd_tree"),
}


def main():
    parser = argument_parser(__doc__)
    arrays = [name for name in OPENML if name != "adult_frame"]
    parser.add_argument("--dataset", default="letter", choices=arrays)
    parser.add_argument("--max-rows", type=int, default=16_000)
    parser.add_argument("--repetitions", type=int, default=5)
    args = parser.parse_args()

    X, y = (part[: args.max_rows] for part in load(args.dataset))
    rows = []
    for name, teacher in TEACHERS.items():
        teacher.fit(X, y)
        answer, checksum = np.transpose(
            [
                (
                    timed(teacher.predict_proba, X),
                    timed(fingerprint, teacher, X),
                )
                for _ in range(args.repetitions)
            ]
        )
        rows.append(
            {
                "teacher": name,
                "answer, s": median_range(answer),
                "checksum, s": median_range(checksum, 3),
                "ratio, median (min to max)": median_range(checksum / answer, 3),
            }
        )
    report(args.output, {f"{args.dataset}, {len(X)} rows": pd.DataFrame(rows)})


def timed(function, *args):
    start = perf_counter()
    function(*args)
    return perf_counter() - start


if __name__ == "__main__":
    main()
