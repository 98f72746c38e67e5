"""The C code of a student beside boosted trees that are compiled.

LightGBM with 300 trees learns two classes of 16 columns. It is compiled by lleaves and
by tl2cgen, and is the teacher of a default student, which to_c writes as C code. All
run in one process on one thread, in turn and in several rounds: a time is the lowest of
the medians of the rounds, and a ratio is the median of the ratios of the rounds.

    pip install lleaves tl2cgen treelite
    OMP_NUM_THREADS=1 python benchmarks/compiled_trees.py
"""

import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter

import lleaves
import numpy as np
import pandas as pd
import tl2cgen
import torch
import treelite
from _report import argument_parser, report
from deploy import N_ROWS, ratio, raw_c, times
from lightgbm import LGBMClassifier
from sklearn.datasets import make_classification

from skdistill import DistilledClassifier
from skdistill.deploy import CompiledStudent, OnnxClassifier, to_c, to_onnx


def main():
    parser = argument_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(1)
    X, y = make_classification(5000, 16, n_informative=10, random_state=0)
    trees = LGBMClassifier(n_estimators=300, n_jobs=1, verbose=-1).fit(X, y)
    student = DistilledClassifier(trees, random_state=0).fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        calls, seconds, sizes = compiled(trees, student, Path(folder))
        one = times(calls, X[:1], args.rounds, n_calls=200)
        many = times(calls, X[:N_ROWS], args.rounds, n_calls=20)
    table = pd.DataFrame(
        {
            "model": name,
            "one row, us": f"{one[name].min():,.1f}",
            "over OnnxClassifier": ratio(one[name], one["OnnxClassifier"]),
            "over lleaves": ratio(one[name], one["lleaves"]),
            f"{N_ROWS} rows, us": f"{many[name].min():,.0f}",
            "1000 rows, over lleaves": ratio(many[name], many["lleaves"]),
            "seconds to compile": f"{seconds[name]:.1f}" if name in seconds else "",
            "bytes": f"{sizes[name]:,}" if name in sizes else "",
        }
        for name in calls
    )
    report(args.output, {"times": table})


def compiled(trees, student, folder):
    """Return functions of rows by name, the seconds to make them, and their bytes."""
    calls = {"LightGBM": trees.predict_proba, "student": student.predict_proba}
    seconds, sizes = {}, {}

    def made(name, make, file):
        start = perf_counter()
        calls[name] = make(file)
        seconds[name] = perf_counter() - start
        sizes[name] = file.stat().st_size

    written = folder / "trees.txt"
    trees.booster_.save_model(written)
    made("OnnxClassifier", partial(onnx, student), folder / "student.onnx")
    made("CompiledStudent", partial(by_ctypes, student), folder / "student.c")
    calls["C"] = raw_c(folder / "student.c")
    made("lleaves", partial(by_lleaves, written), folder / "lleaves.o")
    made("tl2cgen", partial(by_tl2cgen, written), folder / "trees.so")
    return calls, seconds, sizes


def onnx(student, file):
    to_onnx(student, file)
    return OnnxClassifier(file).predict_proba


def by_ctypes(student, file):
    model = CompiledStudent(to_c(student, file))
    model.predict_proba(np.zeros((1, student.n_features_in_)))  # compiles
    return model.predict_proba


def by_lleaves(written, file):
    model = lleaves.Model(model_file=str(written))
    model.compile(cache=str(file))
    return partial(model.predict, n_jobs=1)


def by_tl2cgen(written, file):
    model = treelite.frontend.load_lightgbm_model(str(written))
    tl2cgen.export_lib(model, toolchain="gcc", libpath=str(file), params={})
    predictor = tl2cgen.Predictor(str(file), nthread=1)
    return lambda X: predictor.predict(tl2cgen.DMatrix(X))


if __name__ == "__main__":
    main()
