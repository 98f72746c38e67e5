"""A fitted student as C code: from raw values to what it predicts."""

from __future__ import annotations

import os
import re
import tempfile
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

import skdistill
from skdistill.deploy._c_library import STRICT, compiled, compiler
from skdistill.deploy._c_names import comment
from skdistill.deploy._c_source import Source
from skdistill.deploy._c_tables import Reading, tables_of
from skdistill.deploy._compiled_student import CompiledStudent
from skdistill.deploy._outputs import ClassOutput, LabelOutput, Output
from skdistill.deploy._parts import parts_of
from skdistill.deploy._sample import Sample, sample_of
from skdistill.deploy._writing import write_whole
from skdistill.utils._underflow import underflow_is_zero
from skdistill.utils._warnings import warn

_Report = dict[str, Any]


@underflow_is_zero
def to_c(
    estimator: Any,
    path: str | os.PathLike[str],
    *,
    quantize: Literal["int8"] | None = None,
    sample: Any = None,
) -> Path:
    """Write a fitted student, with all of its preprocessing, as C code.

    The code takes raw values and returns probabilities or numbers. It is C99 (and C++),
    needs nothing but ``<math.h>``, allocates no memory, and changes no globals, so that
    any number of threads may call it. Where a C compiler is found, the code is compiled
    and run before it is written, and refused if its answers differ from those of the
    estimator.

    Parameters
    ----------
    estimator : DistilledClassifier, DistilledRegressor, Pipeline or search
        A fitted estimator, a pipeline that ends in one, or a search. Its net must be a
        stack of ``torch.nn.Linear`` with activations between them (ReLU, Tanh, Sigmoid
        or none), or that of :func:`skdistill.make_student`. Its preprocessing must be a
        :class:`~skdistill.TabularPreprocessor`; or scalers
        (:class:`~sklearn.preprocessing.StandardScaler`, RobustScaler, MinMaxScaler or
        MaxAbsScaler) and :class:`~sklearn.impute.SimpleImputer` of numbers, in any
        order; or none.
    path : str or path-like
        Where to write the code: a name that ends in ".c". A header of the same name,
        which ends in ".h", is written beside it. The name without the end is what all
        functions begin with, so it must be letters, digits and underscores. Existing
        files are replaced, each at once.
    quantize : {"int8"}, default=None
        Store the weights in 8 bits, at about a quarter of the bytes. All is computed in
        float32. None keeps float32.
    sample : array-like or data frame of shape (n_samples, n_features), default=None
        Rows as ``estimator`` takes them, on which the code is compared. None makes up
        rows like those that the default preprocessing saw in ``fit``, with outliers,
        missing values and unknown levels, or else standard normal ones.

    Returns
    -------
    path : pathlib.Path
        The file of the code.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is none of these, or the net has other layers.
    ValueError
        If the preprocessing has other steps, or the module several inputs; if ``path``
        has another form; if a probability, or a number in standard deviations of the
        targets, differs by more than 1e-5; or if the compiler fails. Nothing is written
        then, and files that are there are kept.
    OSError
        If a file cannot be written.

    Warns
    -----
    UserWarning
        If there is no C compiler, so that the code was not compared; or if
        ``quantize`` changes the class of more than 5 % of the rows, or adds an error of
        more than a tenth of the standard deviation of the targets.

    See Also
    --------
    CompiledStudent : Runs the code as a scikit-learn estimator.
    to_onnx : Takes any net.
    footprint : Measures the bytes and the time of the other forms.

    Notes
    -----
    *Rows.* The student of an array takes ``const double *``, or ``const float *`` if it
    was fitted on float32. That of a data frame takes a structure of the header, with a
    member for each column that it reads. Its name is that of the column, where that is
    an identifier of C. NAN is a missing number. A level is the code that
    ``student_level_...`` returns for a string, its position in ``student_levels_...``;
    or ``STUDENT_MISSING``; or ``STUDENT_UNKNOWN``. A date is a time in seconds since
    1970, by the clock of the time zone that the column had in ``fit``.

    *Functions.* ``student_predict_proba(row, proba)`` and ``student_predict(row)`` of a
    classifier, ``student_predict(row, labels)`` of several labels a row,
    ``student_predict(row, y)`` of a regressor, also of quantiles, and a function for
    many rows. The header says what they return.

    *Names.* With the macro ``STUDENT_NO_NAMES``, the strings of classes and levels are
    left out, and so are the functions that look them up and those that only
    :class:`CompiledStudent` calls.

    *Compiler.* It is cc, or what the environment variable ``CC`` names. You may compile
    the code by any other, but not with ``-ffast-math``, which does not know NaN. The
    macro ``STUDENT_TABLE`` says how tables are stored: ``const``, and on an AVR (as GNU
    C, which is avr-gcc's default, not as strict C99 or C++) ``const __flash``. An AVR's
    ``double`` has 4 bytes, so that dates and large numbers lose their small differences
    there.

    *Speed.* A number with bins adds two rows to the first layer, however many bins it
    has: what it adds is piecewise linear, and the code has the values at the edges of
    the bins. A unit of a hidden layer that is zero adds none.

    *int8.* Each row of the weights, an input of a layer, has a scale of its own. The
    weights of layers with one output, and of a periodic embedding, stay float32.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.deploy import to_c
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, random_state=0)
    >>> net = make_student((16,), max_epochs=5)
    >>> clf = DistilledClassifier(forest, net, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = to_c(clf, Path(folder, "student.c"))
    ...     sorted(found.name for found in Path(folder).iterdir())
    ['student.c', 'student.h']
    """
    if quantize not in (None, "int8"):
        raise ValueError(f"quantize must be 'int8' or None, got {quantize!r}")
    file = _checked_path(path)
    parts = parts_of(estimator)
    tables = tables_of(parts)
    output = parts.output
    source = Source(file.stem, tables, output, _metadata(tables.reading, output))
    report: _Report = {}
    if compiler() is None:
        warn(
            "SKD302",
            "there is no C compiler, so that the code was not compared with the "
            "student: install one as cc, or name one in the environment variable CC",
        )
        source = _narrow(source) if quantize else source
    else:
        tried = sample_of(estimator, parts, sample)
        said = _said(source, tried)
        if problem := tried.problem("the code", tried.differences(said)):
            raise ValueError(
                f"{problem}The code computes in float32; skdistill.deploy.to_onnx "
                "takes any net"
            )
        report = tried.report(said)
        if quantize:
            source = _narrow(source)
            report = tried.judged(_said(source, tried), quantize)
    report |= {"bytes": source.tables.n_bytes, "stack_bytes": source.stack_bytes}
    report["multiply_adds"] = source.tables.multiply_adds
    source = replace(source, metadata={**source.metadata, "report": report})
    header = source.header(_about(source, report, output))
    write_whole(
        {file: source.code().encode(), file.with_suffix(".h"): header.encode("utf-8")}
    )
    return file


def _checked_path(path: str | os.PathLike[str]) -> Path:
    file = Path(path)
    if file.suffix != ".c" or not re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,39}", file.stem):
        raise ValueError(
            "path must end in '.c', after a name of at most 40 letters, digits and "
            f"underscores that begins with a letter, such as 'student.c', got "
            f"{file.name!r:.100}: all functions begin with this name"
        )
    return file


def _narrow(source: Source) -> Source:
    return replace(source, tables=source.tables.quantized())


def _metadata(reading: Reading, output: Output) -> dict[str, Any]:
    """Return what CompiledStudent has to know."""
    return {
        "version": skdistill.__version__,
        "task": output.task,
        "n_outputs": output.n_outputs,
        "dtype": np.dtype(reading.dtype).name,
        "allow_nan": reading.medians is not None,
        "is_array": reading.is_array,
        "feature_names": reading.names,
        "kinds": reading.kinds,
        "zones": reading.zones,
        "levels": reading.level_names,
        **output.metadata(),
    }


def _said(source: Source, sample: Sample) -> NDArray[np.float64]:
    """Compile the code, and return what it says of the sample."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = Path(folder, f"{source.prefix}.c")
        file.write_text(source.code(), encoding="utf-8")
        file.with_suffix(".h").write_text(source.header(" *"), encoding="utf-8")
        return sample.asked(CompiledStudent(compiled(file, folder, *STRICT)))


def _about(source: Source, report: _Report, output: Output) -> str:
    """Return the comment at the top of the header."""
    kinds = {table.weights.dtype.name for table in source.tables.layers}
    lines = [
        f"{source.prefix}: a student of skdistill {skdistill.__version__} (torch "
        f"{torch.__version__}) in C99.",
        f"Flash: {report['bytes']:,} bytes of tables, with weights of "
        f"{' and '.join(sorted(kinds))}, and besides these the code and its strings, "
        f"which {source.prefix.upper()}_NO_NAMES leaves out.",
        f"Stack: {report['stack_bytes']:,} bytes of arrays, and what the compiler "
        "adds. Heap: none.",
        f"Multiply-adds for a row: {report['multiply_adds']:,} at most.",
    ]
    if isinstance(output, ClassOutput) and not isinstance(output, LabelOutput):
        labels = [comment(str(label)) for label in output.classes.tolist()[:50]]
        lines.append(f"Classes: {', '.join(labels)}.")
    compared = "It was not compared with the student, as there was no C compiler."
    if "n_rows" in report:
        compared = (
            f"Compared with the student on {report['n_rows']} rows that were "
            f"{report['sample']}: the largest difference of {output.measured} is "
            f"{report['max_difference']:.2g}."
        )
    lines.append(compared)
    return "\n".join(
        wrapped
        for line in lines
        for wrapped in textwrap.wrap(
            line, 84, initial_indent=" * ", subsequent_indent=" *   "
        )
    )
