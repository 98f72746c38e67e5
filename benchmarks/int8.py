"""What weights of 8 bits cost the students of to_c in accuracy.

Students of make_student learn from a forest on ten data sets. Half of the rows are for
the test. Each student is written as C code in float32 and in int8, and both are
compiled.

    python benchmarks/int8.py
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from _data import load
from _report import argument_parser, report
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import CompiledStudent, to_c

DATASETS = (
    "adult",
    "breast_cancer",
    "digits",
    "letter",
    "magic",
    "phoneme",
    "satimage",
    "spambase",
    "texture",
    "wine",
)


def main():
    parser = argument_parser(__doc__)
    parser.add_argument("--max-rows", type=int, default=4000)
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    args = parser.parse_args()
    table = pd.DataFrame([measured(name, args.max_rows) for name in args.datasets])
    means = table.mean(numeric_only=True)
    table.loc[len(table)] = {"data set": "mean", **means}
    table["points lost"] = 100 * (table["float32"] - table["int8"])
    table["labels changed, %"] = 100 * table.pop("labels changed")
    for name in ("float32", "int8"):
        table[name] = table[name].map("{:.4f}".format)
    differences = table.pop("largest difference").map("{:.3f}".format)
    table["largest difference of a probability"] = differences
    for name in ("points lost", "labels changed, %"):
        table[name] = table[name].map("{:.2f}".format)
    for name in ("bytes", "bytes in int8"):
        table[name] = table[name].map("{:,.0f}".format)
    report(args.output, {"accuracy": table})


def measured(name, max_rows):
    X, y = load(name)
    rows = np.random.default_rng(0).permutation(len(X))[:max_rows]
    X_train, X_test, y_train, y_test = train_test_split(
        X[rows], y[rows], test_size=0.5, stratify=y[rows], random_state=0
    )
    forest = RandomForestClassifier(100, random_state=0)
    clf = DistilledClassifier(forest, make_student(), random_state=0)
    clf.fit(X_train, y_train)
    with tempfile.TemporaryDirectory() as folder:
        wide, narrow = (
            CompiledStudent(
                to_c(clf, Path(folder, f"{stem}.c"), quantize=quantize, sample=X_test)
            ).fit()
            for stem, quantize in (("wide", None), ("narrow", "int8"))
        )
    return {
        "data set": name,
        "bytes": wide.metadata_["report"]["bytes"],
        "bytes in int8": narrow.metadata_["report"]["bytes"],
        "float32": wide.score(X_test, y_test),
        "int8": narrow.score(X_test, y_test),
        "largest difference": narrow.metadata_["report"]["max_difference"],
        "labels changed": (wide.predict(X_test) != narrow.predict(X_test)).mean(),
    }


if __name__ == "__main__":
    main()
