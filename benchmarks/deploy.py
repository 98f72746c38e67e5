"""The size and speed of deployed students, compared with heavy classifiers.

A bare net of 32-64-64-5, and students of make_student with each encoding of numeric
columns, are measured in all their forms. They are compared with a forest of 500 trees,
boosted trees, and scikit-learn's MLPClassifier and a plain skorch net of the same
shape. All run in one process, in turn and in several rounds, so that the ratios hold on
a noisy machine: a time is the lowest of the medians of the rounds, and a ratio is the
median of the ratios of the rounds. Then a new process loads each model and predicts one
row.

"C" is the code of to_c, compiled by cc -O2 and called by ctypes, whose own time is that
of "an empty call". Its bytes are compared with those of the weights and the
preprocessing in the student.

    python benchmarks/deploy.py
"""

import ctypes
import io
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter_ns

import joblib
import numpy as np
import onnxruntime
import pandas as pd
import torch
from _report import argument_parser, report
from lightgbm import LGBMClassifier
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import (
    CompiledStudent,
    OnnxClassifier,
    footprint,
    to_c,
    to_onnx,
    to_sklearn,
)

N_FEATURES, N_CLASSES, HIDDEN = 32, 5, (64, 64)
N_ROWS = 1000
ENCODINGS = ("standard", "piecewise", "periodic")
WEIGHT_BYTES = 4 * sum(
    (n_in + 1) * n_out
    for n_in, n_out in zip((N_FEATURES, *HIDDEN), (*HIDDEN, N_CLASSES), strict=True)
)


class Net(torch.nn.Sequential):
    """The shape of the default student, as a person might write it."""

    def __init__(self):
        super().__init__(
            torch.nn.Linear(N_FEATURES, HIDDEN[0]),
            torch.nn.ReLU(),
            torch.nn.Linear(HIDDEN[0], HIDDEN[1]),
            torch.nn.ReLU(),
            torch.nn.Linear(HIDDEN[1], N_CLASSES),
        )


def main():
    args = parse_args()
    torch.set_num_threads(1)
    X, y = make_classification(
        3000, N_FEATURES, n_informative=12, n_classes=N_CLASSES, random_state=0
    )
    X = X.astype(np.float32)
    models = fitted(X, y, args.forest_trees)
    with tempfile.TemporaryDirectory() as folder:
        codes = {}
        calls = {name: model.predict_proba for name, model in models.items()}
        for form in ("bare", *ENCODINGS):
            path = Path(folder, f"{form}.onnx")
            content = to_onnx(models[f"student, {form}"], path)
            onnx = OnnxClassifier(path)
            calls[f"OnnxClassifier, {form}"] = onnx.predict_proba
            calls[f"onnxruntime, {form}"] = raw_onnxruntime(content)
            models[f"OnnxClassifier, {form}"] = onnx
            for quantize in (None, "int8"):
                name = form if quantize is None else f"{form} in {quantize}"
                stem = f"{form}_{quantize}"
                file = to_c(
                    models[f"student, {form}"],
                    Path(folder, f"{stem}.c"),
                    quantize=quantize,
                )
                codes[name] = compiled = CompiledStudent(file)
                calls[f"CompiledStudent, {name}"] = compiled.predict_proba
                calls[f"C, {name}"] = raw_c(file)
            if form != "periodic":  # which scikit-learn cannot compute
                plain = to_sklearn(models[f"student, {form}"])
                calls[f"to_sklearn, {form}"] = plain.predict_proba
                models[f"to_sklearn, {form}"] = plain
        calls["an empty call"] = raw_c(file, n_rows=0)
        calls["raw torch"] = raw_torch(models["student, bare"].student_.module_)
        one = times(calls, X[:1], args.rounds, n_calls=200)
        many = times(calls, X[:N_ROWS], args.rounds, n_calls=20)
        tables = {
            "sizes": sizes(models),
            "times": time_table(one, many),
            "C code": code_table(codes, models),
            "new processes": processes(models, X, folder),
        }
    report(args.output, tables, f"The weights are {WEIGHT_BYTES:,} bytes of float32.")


def parse_args():
    parser = argument_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--forest-trees", type=int, default=500)
    return parser.parse_args()


def fitted(X, y, n_trees):
    teacher = RandomForestClassifier(n_trees, random_state=0).fit(X, y)
    net = NeuralNetClassifier(
        Net,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        max_epochs=5,
        train_split=None,
        verbose=0,
    )
    students = {"bare": net} | {
        name: make_student(HIDDEN, numeric=name, max_epochs=5) for name in ENCODINGS
    }
    return {
        "forest": teacher,
        "HistGradientBoosting": HistGradientBoostingClassifier(max_iter=200).fit(X, y),
        "LightGBM": LGBMClassifier(n_estimators=200, n_jobs=1, verbose=-1).fit(X, y),
        "MLPClassifier": MLPClassifier(HIDDEN, max_iter=1000).fit(X, y),
        "skorch": net.fit(X, y),
    } | {
        f"student, {name}": DistilledClassifier(teacher, student, random_state=0).fit(
            X, y
        )
        for name, student in students.items()
    }


def raw_onnxruntime(content):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        content, options, providers=["CPUExecutionProvider"]
    )
    return lambda X: session.run(["probabilities"], {"X": X})[0]


def raw_c(file, n_rows=None):
    """Return a function that asks a library, without anything around it."""
    library = file.with_suffix(".so")
    command = ["cc", "-O2", "-shared", "-fPIC", str(file), "-o", str(library), "-lm"]
    subprocess.run(command, check=True)
    ask = getattr(ctypes.CDLL(str(library)), f"{file.stem}_predict_proba_batch")
    ask.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    proba = np.empty((N_ROWS, N_CLASSES), np.float32)
    said = proba.ctypes.data

    def call(X):
        rows = X.__array_interface__["data"][0]
        ask(rows, len(X) if n_rows is None else n_rows, said)
        return proba  # without this name here, the array would be gone

    return call


def code_table(codes, models):
    """Return the costs that to_c reports, beside the bytes in the student."""
    rows = []
    for name, compiled in codes.items():
        student = models[f"student, {name.partition(' in ')[0]}"].student_
        net = student[-1] if hasattr(student, "steps") else student
        own = sum(4 * weights.numel() for weights in net.module_.parameters())
        if net is not student:
            own += student[0].offsets_.nbytes + student[0].scales_.nbytes
            own += student[0].medians_.nbytes
        report = compiled.metadata_["report"]
        rows.append(
            {
                "student": name,
                "bytes of tables": f"{report['bytes']:,}",
                "over the student's own": f"{report['bytes'] / own:.2f}",
                "bytes of stack": f"{report['stack_bytes']:,}",
                "multiply-adds": f"{report['multiply_adds']:,}",
                "largest difference": f"{report['max_difference']:.0e}",
            }
        )
    return pd.DataFrame(rows)


def raw_torch(module):
    module.eval()

    def ask(X):
        with torch.inference_mode():
            return torch.softmax(module(torch.from_numpy(X)), dim=1).numpy()

    return ask


def times(calls, X, rounds, n_calls):
    """Return microseconds by name, a number for each round."""
    found = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begun, spent = perf_counter_ns(), []
            # The heavy ones need fewer calls: a round takes them half a second.
            while len(spent) < 3 or (
                len(spent) < n_calls and perf_counter_ns() - begun < 5e8
            ):
                start = perf_counter_ns()
                call(X)
                spent.append(perf_counter_ns() - start)
            found[name].append(np.median(spent) / 1000)
    return {name: np.array(values) for name, values in found.items()}


def sizes(models):
    rows = []
    for name, model in models.items():
        file = io.BytesIO()
        joblib.dump(model, file)
        n_bytes = file.getbuffer().nbytes
        share = n_bytes / (1.5 * WEIGHT_BYTES + 16 * 1024)
        rows.append((name, f"{n_bytes:,}", f"{share:.2f}"))
    return pd.DataFrame(rows, columns=["model", "bytes", "over 1.5 x weights + 16 KiB"])


def time_table(one, many):
    rows = []
    for name in one:
        form = name.rpartition(", ")[2].partition(" in ")[0]
        session = many.get(f"onnxruntime, {form}")
        rows.append(
            {
                "model": name,
                "one row, us": f"{one[name].min():,.1f}",
                "over MLPClassifier": ratio(one[name], one["MLPClassifier"]),
                "over OnnxClassifier": ""
                if session is None
                else ratio(one[name], one[f"OnnxClassifier, {form}"]),
                f"{N_ROWS} rows, us": f"{many[name].min():,.0f}",
                "over raw torch": ratio(many[name], many["raw torch"]),
                "over onnxruntime": ""
                if session is None
                else ratio(many[name], session),
            }
        )
    return pd.DataFrame(rows)


def ratio(values, others):
    return f"{np.median(values / others):.2f}"


def processes(models, X, folder):
    """Measure new processes that load a model and answer one row."""
    files = {
        "OnnxClassifier, standard": Path(folder, "standard.onnx"),
        "to_sklearn, standard": models["to_sklearn, standard"],
        "student, standard": models["student, standard"],
        "MLPClassifier": models["MLPClassifier"],
        "forest": models["forest"],
    }
    rows = [
        (name, f"{cost['start_s']:.2f}", f"{cost['peak_mb']:.0f}")
        for name, cost in footprint(files, X).items()
    ]
    return pd.DataFrame(rows, columns=["model", "seconds", "peak MB"])


if __name__ == "__main__":
    main()
