"""The costs of a model: its size, memory and time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from skdistill.utils._costs import (
    BATCH_SIZE,
    batch_of,
    check_fitted,
    median_microseconds,
    method_of,
    microseconds,
    named_bytes,
    single_rows,
)
from skdistill.utils._text import aligned, html_table
from skdistill.utils._unwrap import unwrapped
from skdistill.utils._validation import check_not_empty
from skdistill.utils._warnings import warn

# The seconds that single rows are timed; a p99 needs hundreds of calls.
_ROW_SECONDS = 1.0

# Peak memory and the time of imports can be measured only in a new process. The new
# process gets the search path of this one, to find the same modules. On Linux,
# ru_maxrss would include the memory of the parent process.
_NEW_PROCESS = """
import time
start = time.perf_counter()
import json, os, sys
folder, method, sys.path[:] = json.loads(sys.argv[1])
import joblib
model = joblib.load(folder + "/model.joblib")
getattr(model, method)(joblib.load(folder + "/row.joblib"))
result = {"start_s": time.perf_counter() - start, "peak_mb": None}
if sys.platform == "darwin":
    import resource
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
elif os.path.exists("/proc/self/status"):
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    if "VmHWM" in fields:
        result["peak_mb"] = int(fields["VmHWM"].split()[0]) * 1024 / 1e6
with open(folder + "/result.json", "w") as file:
    json.dump(result, file)
"""


class Footprint(dict[str, Any]):
    """The costs of one model: a dict that prints as a list."""

    def __str__(self) -> str:
        return aligned(self._table())

    def _repr_html_(self) -> str:
        return html_table([["", "cost"], *self._table()])

    def _table(self) -> list[list[str]]:
        return [[name, _cell(value)] for name, value in self.items()]


class Footprints(dict[str, Footprint]):
    """The costs of several models: a dict of dicts that prints as a table."""

    def __str__(self) -> str:
        return aligned(self._table())

    def _repr_html_(self) -> str:
        return html_table(self._table())

    def _table(self) -> list[list[str]]:
        header = ["", *next(iter(self.values()), {})]
        rows = [[str(name), *map(_cell, row.values())] for name, row in self.items()]
        return [header, *rows]


def footprint(model: Any, X: Any) -> Footprint | Footprints:
    """Measure the costs of a classifier or regressor: bytes, memory and time.

    Parameters
    ----------
    model : fitted classifier or regressor, path of an ONNX file, or dict of these
        Any of them: a student, a teacher, a pipeline, a search. A path that ends in
        ".onnx" is opened by :class:`OnnxClassifier` or :class:`OnnxRegressor`. A dict
        of names and models is measured one by one.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        At least one row, as the model takes them. The first 100 rows are timed one by
        one, in turn. Batches of 1,000 repeat the rows if there are fewer.

    Returns
    -------
    footprint : dict
        It prints as a list. For a dict of models it is a dict of such dicts, which
        prints as a table. ``pandas.DataFrame.from_dict(footprint, orient="index")``
        makes a data frame of it. The entries are:

        - "bytes" : int. The size of the ONNX file, or of the file that
          :func:`joblib.dump` writes without compression, with the code that the file
          of a :class:`CompiledStudent` names.
        - "table_bytes" : int or None. The bytes of a student without Python and without
          names: its weights in float32 and the tables of its preprocessing, as in the
          code of :func:`to_c`. It is what :func:`~skdistill.make_student` bounds by
          ``max_bytes``. Of a :class:`CompiledStudent`, which may be of int8, those of
          its own code. None for all others, and for students that ``to_c`` does not
          take.
        - "parameters" : int or None. The number of trained parameters, without
          preprocessing. It is known for torch modules (skorch nets,
          :class:`~skdistill.TorchTeacher`), for
          :class:`~sklearn.neural_network.MLPClassifier`, its regressor and for linear
          models, also inside of a student's estimator, a pipeline or a search. It is
          None for all others, such as trees and ONNX files.
        - "multiply_adds" : int or None. The number of multiplications with a weight
          for one row, without preprocessing. It is None where "parameters" is, and for
          torch modules with weights in other layers than Linear, norms and Embedding.
          Each Linear counts once.
        - "load_ms" : float. Milliseconds to load the file and predict the first row, in
          this process, without imports; the median of several times.
        - "start_s" : float or None. Seconds from the first line of a new Python process
          until the first row is predicted, with the imports that the model needs.
          Measured once.
        - "peak_mb" : float or None. The peak memory of that process in 10**6 bytes,
          with Python and all libraries. None if the system does not report it, such as
          Windows.
        - "row_us", "row_p99_us" : float. Microseconds for one row: the median and the
          99th percentile over one second, or over three calls where they take longer.
        - "rows_per_s" : float. Rows per second in batches of 1,000.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    TypeError
        If the model is neither a classifier nor a regressor.
    ValueError
        If X has no rows, or the path does not end in ".onnx". Load a pickle or C code
        yourself and pass the model, as loading can run any code.

    Warns
    -----
    UserWarning
        If a new process cannot load the model, for example because a notebook defines
        its class. Then "start_s" and "peak_mb" are None.

    See Also
    --------
    skdistill.metrics.size_scorer : The bytes, for a search.
    skdistill.metrics.latency_scorer : The time for one row, for a search.

    Notes
    -----
    ``predict_proba`` is timed, or ``predict`` if there is none. Times depend on the
    machine, its load, and the number of threads of numpy and torch. Compare only times
    that were measured together. Each model takes a few seconds. A search counts with
    everything it holds; to leave that out, measure its best estimator.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdistill.deploy import footprint
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    >>> linear = LogisticRegression(max_iter=1000).fit(X, y)
    >>> costs = footprint({"forest": forest, "linear": linear}, X)
    >>> print(costs)
            bytes  table_bytes  parameters  multiply_adds  load_ms  start_s ...
    forest    ...            -           -              -      ...
    linear    ...            -          15             12      ...
    >>> costs["forest"]["row_us"] > costs["linear"]["row_us"]
    True
    """
    check_not_empty(X)
    if not isinstance(model, Mapping):
        return _measured(model, X)
    return Footprints({name: _measured(one, X) for name, one in model.items()})


def _measured(model: Any, X: Any) -> Footprint:
    model, n_bytes = _opened(model)
    check_fitted(model)
    method = method_of(model)
    ask = getattr(model, method)
    rows = single_rows(X)
    parameters, multiply_adds = _weights(model)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.joblib")
        joblib.dump(model, file)
        joblib.dump(rows[0], Path(folder, "row.joblib"))
        if n_bytes is None:
            n_bytes = file.stat().st_size + named_bytes(model)
        load = median_microseconds(
            lambda row: getattr(joblib.load(file), method)(row), rows
        )
        started, problem = _in_new_process(folder, method)
    if problem:
        warn(
            "SKD304",
            f"start_s and peak_mb are None, as a new process cannot load this "
            f"{type(model).__name__}, {problem}: move its code to an importable module",
        )
    row = microseconds(ask, rows, _ROW_SECONDS)
    return Footprint(
        bytes=n_bytes,
        table_bytes=_table_bytes(model),
        parameters=parameters,
        multiply_adds=multiply_adds,
        load_ms=load / 1e3,
        **started,
        row_us=float(np.median(row)),
        row_p99_us=float(np.percentile(row, 99)),
        rows_per_s=BATCH_SIZE / median_microseconds(ask, [batch_of(X)]) * 1e6,
    )


def _table_bytes(model: Any) -> int | None:
    """Return the bytes of the tables of a student, if it can be one in C."""
    report = getattr(model, "metadata_", {}).get("report")
    if isinstance(report, dict):  # of a CompiledStudent
        return int(report["bytes"])
    _, last = unwrapped(model)
    if not hasattr(last, "student_"):
        return None
    from skdistill.deploy._c_tables import tables_of
    from skdistill.deploy._parts import parts_of

    try:
        return tables_of(parts_of(model)).n_bytes
    except (TypeError, ValueError):
        return None


def _opened(model: Any) -> tuple[Any, int | None]:
    """Return the model, and the size of its file if ``model`` is a path."""
    if not isinstance(model, str | os.PathLike):
        return model, None
    path = Path(model)
    if path.suffix.lower() != ".onnx":
        is_c = path.suffix.lower() in (".c", ".so", ".dylib", ".dll")
        load_by = "CompiledStudent" if is_c else "joblib.load"
        raise ValueError(
            "footprint opens ONNX files alone, as any other file can run any code. If "
            f"you trust it, load it first: footprint({load_by}({path.name!r}), X)"
        )
    from skdistill import deploy
    from skdistill.deploy._onnx_file import load

    file = load(path)
    return getattr(deploy, file.runner)(file.content), len(file.content)


def _in_new_process(folder: str, method: str) -> tuple[dict[str, Any], str | None]:
    """Return the measurements of a new process, and the error if it failed."""
    search_path = [entry for entry in sys.path if isinstance(entry, str)]
    told = json.dumps([folder, method, search_path])
    done = subprocess.run(
        [sys.executable, "-c", _NEW_PROCESS, told],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return {"start_s": None, "peak_mb": None}, lines[-1]
    return json.loads(Path(folder, "result.json").read_text()), None


def _weights(model: Any) -> tuple[int | None, int | None]:
    """Count parameters and multiply-adds, without preprocessing."""
    _, model = unwrapped(model)
    if hasattr(model, "student_"):
        _, model = unwrapped(model.student_)
    if hasattr(model, "coefs_"):  # a multilayer perceptron of scikit-learn
        n_weights = sum(weights.size for weights in model.coefs_)
        return n_weights + sum(bias.size for bias in model.intercepts_), n_weights
    # Not hasattr: the coef_ of SVC is a property, and SVC multiplies support vectors.
    if {"coef_", "intercept_"} <= vars(model).keys():
        return model.coef_.size + np.size(model.intercept_), model.coef_.size
    module: Any = getattr(model, "module_", getattr(model, "module", None))
    if not hasattr(type(module), "named_buffers"):  # no torch module
        return None, None
    return sum(p.numel() for p in module.parameters()), _multiply_adds(module)


def _multiply_adds(module: Any) -> int | None:
    """Count the weights of linear layers, or return None if other layers multiply."""
    from torch import nn

    parts = list(module.modules())
    linear = [part for part in parts if isinstance(part, nn.Linear)]
    looked_up = [part for part in parts if isinstance(part, nn.Embedding)]
    known = {id(part.weight) for part in [*linear, *looked_up]}
    if any(p.ndim > 1 and id(p) not in known for p in module.parameters()):
        return None
    return sum(part.weight.numel() for part in linear)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
