"""The whole way from a row to its class in one ONNX file."""

from __future__ import annotations

import copy
import json
import logging
import numbers
import os
import tempfile
import threading
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.utils import column_or_1d
from torch import Tensor, nn

from skdistill import __version__
from skdistill._classifier import DistilledClassifier, _net_input, _transform
from skdistill._preprocessing import _native
from skdistill._training import _first, _gives_logits
from skdistill._validation import is_frame
from skdistill.deploy._onnx_classifier import OnnxClassifier
from skdistill.deploy._parts import Parts, parts_of
from skdistill.deploy._sample import sample_rows

if TYPE_CHECKING:
    import onnx

_OPSET = 21
_IR_VERSION = 10

# How far the file's probabilities may be from those of the estimator.
_TOLERANCE = 1e-5

# How many of the labels may change by int8 without a warning.
_AGREEMENT = 0.95

# The operators that have weights worth being int8.
_QUANTIZED = ["Conv", "Gather", "Gemm", "MatMul"]

_OUTPUTS = ("label", "probabilities")

# The filters of warnings and the levels of loggers, which the export sets for a while,
# are those of the process.
_EXPORTING = threading.Lock()


def to_onnx(
    estimator: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    quantize: Literal["int8"] | None = None,
    sample: Any = None,
    sample_y: ArrayLike | None = None,
) -> bytes:
    """Write a fitted student, with all of its preprocessing, as one ONNX file.

    The file needs no other one, and no torch: it runs by :class:`OnnxClassifier`, or
    by any runtime for ONNX in any language. It is run before it is returned, and
    refused if its probabilities are not those of the estimator.

    Parameters
    ----------
    estimator : DistilledClassifier, Pipeline that ends in one, or search over either
        A fitted estimator. Its student may be any torch module that torch can export;
        preprocessing must be known to skl2onnx, as that of the default student is.
    path : str or path-like, default=None
        Where to write the file. It appears there whole or not at all; a file that is
        there already is replaced. None writes nothing.
    quantize : {"int8"}, default=None
        Make the weights 8-bit integers, for a file of up to a quarter of the size, at
        some loss of accuracy that the file reports (see Notes). None keeps float32.
    sample : array-like or data frame of shape (n_samples, n_features), default=None
        Rows as ``estimator`` takes them. The file is checked on them, and int8 is
        judged, and its ranges may be set, by them. None makes up rows from what the
        student's preprocessing saw in its fit, or else standard normal ones. Needed
        where those are no rows at all, such as for images, and for preprocessing of
        one's own by column names.
    sample_y : array-like of shape (n_samples,), default=None
        The labels of ``sample``, so that int8 reports its accuracy, too.

    Returns
    -------
    data : bytes
        What is in the file.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is no ``DistilledClassifier``, pipeline or search.
    ValueError
        If torch cannot export the module or skl2onnx a preprocessing step, if the
        labels are neither integers nor strings, if some probability differs by more
        than 1e-5, or if int8 makes nothing smaller.
    ImportError
        If a package of ``pip install skdistill[onnx]`` is missing.
    OSError
        If the file cannot be written. None is left behind, and a former one is kept.

    Warns
    -----
    UserWarning
        If int8 changes the label of more than 5 % of the rows.

    See Also
    --------
    OnnxClassifier : Runs the file as a scikit-learn classifier.
    register_converter : The same for ``skl2onnx.to_onnx``.

    Notes
    -----
    *Inputs.* An estimator that was fitted on arrays has one, "X", float32 of shape
    (batch, n_features), or that of a batch of images. Where the preprocessing goes by
    the columns of a data frame, there is one input per column, of shape (batch, 1),
    in the order of ``feature_names_in_`` and under the same names: float32, with NaN
    for missing, or strings, with "nan" for missing. A column that the student does
    not use is an input all the same, of strings that are not read.

    *Outputs.* "label", of shape (batch,), int64 for labels that are integers or
    booleans (or floats without a fraction), else strings; "probabilities", float32 of
    shape (batch, n_classes).

    *Precision.* All numbers are float32. A step that computes in float64 and takes
    the difference of large numbers, such as a scaler of timestamps, can differ by more
    than 1e-5: cast its input to float32 in ``fit`` already.

    *int8.* Made with ranges of the activations that are measured at run time
    ("dynamic") and, if there is a ``sample``, with ranges that are fixed by it
    ("static"); the one with more labels unchanged is kept. "dynamic" measures over
    the batch, so that what a row gets depends a little on the rows beside it. Weights
    have 7 of the 8 bits, so that no processor overflows. In the file's metadata,
    "skdistill.quantization" is a JSON object with "kind", "bytes_int8" and
    "bytes_float32", "agreement" (the share of the rows that keep their label),
    "max_difference" (the largest difference of a probability), "n_rows", "sample"
    ("given" or "made up"), and with ``sample_y`` "accuracy_int8" and
    "accuracy_float32".

    *Metadata.* Further entries are "skdistill.version", "skdistill.classes",
    "skdistill.classes_dtype", "skdistill.n_features", and where they apply
    "skdistill.feature_names", "skdistill.kinds" (one "float" or "string" per column)
    and "skdistill.allow_nan" ("false" where the estimator refuses missing values).
    Nothing else of the machine that made the file is in it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.deploy import OnnxClassifier, to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0)
    >>> clf = DistilledClassifier(forest, random_state=0).fit(X, y)
    >>> data = to_onnx(clf)
    >>> bool((OnnxClassifier(data).predict(X) == clf.predict(X)).all())
    True
    """
    _require_onnx()
    if quantize not in (None, "int8"):
        raise ValueError(f"quantize must be 'int8' or None, got {quantize!r}")
    parts = parts_of(estimator)
    labels = _labels(parts.classes)
    tried = _sample(estimator, parts, sample)
    head = _head(estimator, parts, tried.rows)
    net = _export(parts.net, tried.net_rows)
    assemble = partial(_assemble, parts, head, labels)
    data = assemble(net)
    _check(data, tried)
    if quantize:
        right = _right_columns(parts.classes, sample_y, tried)
        data = _quantized(data, assemble, net, tried, right)
    if path is not None:
        _write(data, path)
    return data


def register_converter() -> None:
    """Let skl2onnx convert a DistilledClassifier, also inside of pipelines.

    After it, ``skl2onnx.to_onnx(pipeline, X[:1].astype(np.float32),
    target_opset=21)`` works, with the options "zipmap" (True, False or "columns") and
    an opset from 21 on. To call it again changes nothing. Importing skdistill does
    not register it, for that would import skl2onnx.

    Raises
    ------
    ImportError
        If a package of ``pip install skdistill[onnx]`` is missing.

    See Also
    --------
    to_onnx : Checks the whole file, names its inputs by the columns, and can quantize.

    Notes
    -----
    skl2onnx converts other steps of the pipeline by itself. The classifier, with the
    preprocessing of its student, is converted and checked by :func:`to_onnx` on rows
    that are made up.

    Examples
    --------
    >>> import numpy as np
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.deploy import register_converter
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = DistilledClassifier(RandomForestClassifier(random_state=0))
    >>> pipeline = make_pipeline(StandardScaler(), clf).fit(X, y)
    >>> register_converter()
    >>> options = {"zipmap": False}
    >>> model = skl2onnx.to_onnx(pipeline, X[:1].astype(np.float32), options=options)
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    _require_onnx()
    from skl2onnx import update_registered_converter

    update_registered_converter(
        DistilledClassifier,
        "SkdistillDistilledClassifier",
        _set_output_types,
        _convert,
        options={"zipmap": [True, False, "columns"], "nocl": [False]},
    )


def _require_onnx() -> None:
    try:
        for name in ("onnx", "onnxruntime", "onnxscript", "skl2onnx"):
            import_module(name)
    except ImportError as error:
        raise ImportError(
            f"the way to ONNX needs {name}: pip install skdistill[onnx]"
        ) from error


def _labels(classes: NDArray[Any]) -> NDArray[Any]:
    """Return classes as ONNX has them: int64, or strings as objects."""
    values = classes.tolist()
    if all(isinstance(value, str) for value in values):
        return np.array(values, dtype=object)
    if all(_is_int64(value) for value in values):
        return np.array([int(value) for value in values], dtype=np.int64)
    raise ValueError(
        f"labels in ONNX are integers or strings, and classes_ holds {values}: fit on "
        "labels of one of these kinds"
    )


def _is_int64(value: Any) -> bool:
    return (
        isinstance(value, numbers.Real)
        and float(value).is_integer()
        and -(2.0**63) <= float(value) < 2.0**63
    )


@dataclass(frozen=True)
class _Sample:
    """Rows, what the net sees of them, and what the estimator says of them."""

    rows: Any
    net_rows: NDArray[np.float32]
    proba: NDArray[np.float64]
    given: bool


def _sample(estimator: Any, parts: Parts, sample: Any) -> _Sample:
    if sample is not None:
        if is_frame(sample):
            rows = _native(sample)
        else:
            rows = sample if issparse(sample) else np.asarray(sample)
        proba = estimator.predict_proba(rows)
        return _Sample(_dense(rows), _net_rows(parts, rows), proba, given=True)
    try:
        rows = sample_rows(parts)
        names = _feature_names(parts)
        if names is not None and not is_frame(rows):
            import pandas as pd

            rows = pd.DataFrame(rows, columns=names)
        proba = estimator.predict_proba(rows)
        return _Sample(rows, _net_rows(parts, rows), proba, given=False)
    except Exception as error:
        raise ValueError(
            "the file cannot be checked on rows that are made up "
            f"({_reason(error)}): pass sample=, some rows "
            "as the estimator takes them"
        ) from error


def _net_rows(parts: Parts, rows: Any) -> NDArray[np.float32]:
    for _, step in parts.before:
        rows = step.transform(rows)
    net_rows: NDArray[np.float32] = _dense(
        _net_input(_transform(parts.classifier.student_, rows))
    )
    return net_rows


def _dense(X: Any) -> Any:
    return X.toarray() if issparse(X) else X


def _feature_names(parts: Parts) -> list[str] | None:
    first = next((step for _, step in _flat(parts.before)), parts.classifier)
    names = getattr(first, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


@dataclass(frozen=True)
class _Head:
    """What is before the net: the inputs, and a model of the steps, if there are some.

    ``kinds`` is None where there is one input "X" in place of one per column.
    """

    model: Any
    n_features: int
    feature_names: list[str] | None
    kinds: list[str] | None
    inputs: list[Any]
    allow_nan: bool


def _head(estimator: Any, parts: Parts, rows: Any) -> _Head:
    from onnx import TensorProto, helper

    names, shape = _feature_names(parts), rows.shape
    steps = list(_flat(parts.steps))
    kinds = _kinds(steps, rows, names)
    if kinds:
        steps[0] = (steps[0][0], _columns(steps[0][1], shape[1]))
    steps = [
        (name, _by_position(step) if _goes_by_column(step) else step)
        for name, step in steps
    ]
    if kinds is None:
        X = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", *shape[1:]])
        model = _convert_steps(steps, [("X", "float", shape[1])]) if steps else None
        return _Head(model, shape[1], names, None, [X], _takes_nan(estimator, rows))
    columns = names or [str(i) for i in range(shape[1])]
    _check_names(columns)
    inner = [f"column_{i}" for i in range(shape[1])]
    model = _convert_steps(
        steps, [(name, kind, 1) for name, kind in zip(inner, kinds, strict=True)]
    )
    _rename_inputs(model, dict(zip(inner, columns, strict=True)))
    types = {"float": TensorProto.FLOAT, "string": TensorProto.STRING}
    inputs = [
        helper.make_tensor_value_info(name, types[kind], ["batch", 1])
        for name, kind in zip(columns, kinds, strict=True)
    ]
    return _Head(model, shape[1], names, kinds, inputs, allow_nan=True)


def _takes_nan(estimator: Any, rows: Any) -> bool:
    # Asked by trying, as what the steps of a person's own take is nowhere to be read.
    try:
        estimator.predict_proba(rows[:1] * np.nan)
    except ValueError:
        return False
    return True


def _check_names(names: list[str]) -> None:
    for name in names:
        if not name or name in _OUTPUTS:
            raise ValueError(
                f"a column is named {name!r}, which cannot be the name of an input in "
                "ONNX beside the outputs 'label' and 'probabilities': rename the "
                "column and fit again"
            )


def _flat(steps: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the steps, and those of pipelines in place of the pipelines."""
    for name, step in steps:
        if isinstance(step, Pipeline):
            yield from _flat((f"{name}_{inner}", part) for inner, part in step.steps)
        elif step is not None and step != "passthrough":
            yield name, step


def _kinds(
    steps: list[tuple[str, Any]], rows: Any, names: list[str] | None
) -> list[str] | None:
    """Return the type of each column, or None if all are one tensor of floats."""
    if not steps:
        return None
    kinds: list[str | None] = [None] * rows.shape[1]
    for _, step, columns in _columns(steps[0][1], rows.shape[1]).transformers_:
        for i, kind in zip(columns, _kinds_of(step, columns), strict=True):
            kinds[i] = "string" if "string" in (kind, kinds[i]) else kind
    unknown = is_frame(rows) and None in kinds
    goes_by_column = isinstance(steps[0][1], ColumnTransformer)
    if "string" in kinds or (goes_by_column and (names or unknown)):
        # What a column without any use holds is not known; all can be told as strings.
        return [kind or "string" for kind in kinds]
    return None


def _kinds_of(step: Any, columns: list[int]) -> list[str]:
    """Return the types of a fitted step's columns: strings where it encodes them."""
    while isinstance(step, Pipeline):
        step = step[0]
    levels = getattr(step, "categories_", None)
    if levels is None:
        return ["float"] * len(columns)
    for known in levels:
        if known.dtype.kind == "O" and "nan" in known and known[-1] != known[-1]:
            raise ValueError(
                "a column has the label 'nan' as well as missing values, which in ONNX "
                "are one: give the label another name and fit again"
            )
    return ["float" if known.dtype.kind in "biuf" else "string" for known in levels]


def _columns(step: Any, n_features: int) -> ColumnTransformer:
    """Return a step as one that goes by the positions of the columns."""
    if isinstance(step, ColumnTransformer):
        return _by_position(step)
    everything = ColumnTransformer([])
    everything.transformers_ = [("all", step, list(range(n_features)))]
    return everything


def _by_position(step: ColumnTransformer) -> ColumnTransformer:
    """Return a fitted transformer in the one form that skl2onnx always takes."""
    positions = getattr(step, "_transformer_to_input_indices", None)
    if positions is None:  # it is one from here
        return step
    transformer = ColumnTransformer([], transformer_weights=step.transformer_weights)
    transformer.n_features_in_ = step.n_features_in_
    transformer.transformers_ = [
        (name, _plain(part), list(positions[name]))
        for name, part, _ in step.transformers_
        if not (isinstance(part, str) and part == "drop")
    ]
    return transformer


def _plain(step: Any) -> Any:
    """Return a step without steps that do nothing, which skl2onnx cannot convert."""
    return Pipeline([*_flat([("", step)])]) if isinstance(step, Pipeline) else step


def _convert_steps(
    steps: list[tuple[str, Any]], inputs: list[tuple[str, str, int]]
) -> onnx.ModelProto:
    """Convert fitted steps for inputs of the names, types and widths given."""
    from onnx import compose

    # A transformer of columns has to know how many there are, and skl2onnx does not
    # after another step: there, it begins a model of its own.
    later = [i for i, (_, step) in enumerate(steps) if i and _goes_by_column(step)]
    starts, stops = [0, *later], [*later, len(steps)]
    whole = _convert_group(steps[: stops[0]], inputs)
    for start, stop in zip(starts[1:], stops[1:], strict=True):
        group = steps[start:stop]
        model = _convert_group(group, [("X", "float", group[0][1].n_features_in_)])
        compose.add_prefix(model, f"{start}/", inplace=True)
        ends = [(whole.graph.output[0].name, model.graph.input[0].name)]
        whole = compose.merge_models(whole, model, io_map=ends)
    return whole


def _goes_by_column(step: Any) -> bool:
    return isinstance(step, ColumnTransformer)


def _convert_group(
    steps: list[tuple[str, Any]], inputs: list[tuple[str, str, int]]
) -> onnx.ModelProto:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    types = {"float": FloatTensorType, "string": StringTensorType}
    try:
        with _quiet():
            return convert_sklearn(
                Pipeline(steps),
                initial_types=[
                    (name, types[kind]([None, width])) for name, kind, width in inputs
                ],
                target_opset={"": _OPSET},
            )
    except Exception as error:
        raise ValueError(
            f"skl2onnx cannot convert the preprocessing {[name for name, _ in steps]} "
            f"({_reason(error)})"
        ) from error


def _rename_inputs(model: onnx.ModelProto, names: dict[str, str]) -> None:
    """Name the inputs as the columns, which skl2onnx would not, and nothing else so."""
    from onnx import compose

    compose.add_prefix(model, "columns/", rename_inputs=False, inplace=True)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


class _Probabilities(nn.Module):
    """A net's module and what makes probabilities of its outputs."""

    def __init__(self, module: nn.Module, nonlinearity: Any) -> None:
        super().__init__()
        self.module, self.nonlinearity = module, nonlinearity

    def forward(self, X: Tensor) -> Tensor:
        outputs = _first(self.module(X))
        if self.nonlinearity is None:
            return torch.softmax(outputs, dim=1)
        proba: Tensor = self.nonlinearity(outputs)
        return proba / proba.sum(dim=1, keepdim=True)


def _export(net: Any, rows: NDArray[np.float32]) -> onnx.ModelProto:
    """Convert a fitted net: from its input "X" to "probabilities"."""
    from onnx import inliner

    nonlinearity = None if _gives_logits(net) else net._get_predict_nonlinearity()
    # A batch of one would be taken for a constant.
    example = torch.from_numpy(np.concatenate([rows, rows])[:4])
    try:
        module = copy.deepcopy(net.module_)
        module = getattr(module, "_orig_mod", module)  # what torch.compile was given
        wrapped = _Probabilities(module.cpu(), nonlinearity).eval()
        with _quiet():
            program = torch.onnx.export(
                wrapped,
                (example,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=["X"],
                output_names=["probabilities"],
                opset_version=_OPSET,
                verbose=False,
            )
    except Exception as error:
        raise ValueError(
            f"torch cannot export the student's module {type(net.module_).__name__} "
            f"for rows of shape {rows.shape[1:]} ({_reason(error)}). If the rows have "
            "another shape, pass some as sample="
        ) from error
    assert program is not None
    model: onnx.ModelProto = inliner.inline_local_functions(program.model_proto)
    _strip(model.graph.node)
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("metadata_props")
        value.ClearField("doc_string")
    del model.graph.metadata_props[:], model.graph.value_info[:]
    return model


def _strip(nodes: Any) -> None:
    """Remove what torch notes of the code, with the paths of the machine."""
    for node in nodes:
        del node.metadata_props[:]
        node.ClearField("doc_string")
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                _strip(graph.node)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the converters say about themselves."""
    logger = logging.getLogger("torch.onnx")
    with _EXPORTING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


def _reason(error: BaseException | None) -> str:
    """Return what is at the bottom of an error, in one line."""
    while error is not None and error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def _assemble(
    parts: Parts, head: _Head, labels: NDArray[Any], net: onnx.ModelProto
) -> bytes:
    """Join the steps, the net and the labels to one model."""
    from onnx import TensorProto, compose, helper, numpy_helper

    net = compose.add_prefix(
        net, "net/", rename_inputs=head.model is not None, rename_outputs=False
    )
    models, nodes = [net], [*net.graph.node]
    if head.model is not None:
        made, wanted = head.model.graph.output[0].name, net.graph.input[0].name
        cast = helper.make_node(
            "Cast", [made], [wanted], name="net_input", to=TensorProto.FLOAT
        )
        models, nodes = [head.model, net], [*head.model.graph.node, cast, *nodes]
    nodes += [
        helper.make_node(
            "ArgMax", ["probabilities"], ["code"], name="code", axis=1, keepdims=0
        ),
        helper.make_node("Gather", ["classes", "code"], ["label"], name="label"),
    ]
    kind = TensorProto.STRING if labels.dtype == object else TensorProto.INT64
    outputs = [
        helper.make_tensor_value_info("label", kind, ["batch"]),
        helper.make_tensor_value_info(
            "probabilities", TensorProto.FLOAT, ["batch", len(labels)]
        ),
    ]
    tensors = [tensor for model in models for tensor in model.graph.initializer]
    tensors.append(numpy_helper.from_array(labels, name="classes"))
    opsets = {
        opset.domain: opset.version for model in models for opset in model.opset_import
    }
    model = helper.make_model(
        helper.make_graph(nodes, "student", head.inputs, outputs, tensors),
        opset_imports=[helper.make_opsetid(*opset) for opset in opsets.items()],
        ir_version=_IR_VERSION,
        producer_name="skdistill",
        producer_version=__version__,
    )
    helper.set_model_props(model, _metadata(parts, head))
    data: bytes = model.SerializeToString()
    return data


def _metadata(parts: Parts, head: _Head) -> dict[str, str]:
    classes = [v.item() if isinstance(v, np.generic) else v for v in parts.classes]
    metadata = {
        "version": __version__,
        "classes": json.dumps(classes),
        "classes_dtype": parts.classes.dtype.str,
        "n_features": str(head.n_features),
    }
    if head.feature_names is not None:
        metadata["feature_names"] = json.dumps(head.feature_names)
    if head.kinds is not None:
        metadata["kinds"] = json.dumps(head.kinds)
    if not head.allow_nan:
        metadata["allow_nan"] = "false"
    return {f"skdistill.{name}": value for name, value in metadata.items()}


def _check(data: bytes, sample: _Sample) -> None:
    """Raise unless the file says what the estimator says, also of a single row."""
    try:
        predict_proba = OnnxClassifier(data).predict_proba
        difference = max(
            _difference(predict_proba(rows), sample.proba[: rows.shape[0]])
            for rows in (sample.rows, sample.rows[:1])
        )
    except Exception as error:
        raise ValueError(
            f"the ONNX file does not run on the sample: {_reason(error)}"
        ) from error
    if not difference <= _TOLERANCE:
        raise ValueError(
            f"the ONNX file is not what was fitted: some probability differs by "
            f"{difference:.3g}, more than {_TOLERANCE:g}. It computes in float32: cast "
            "columns of large numbers to float32 before a scaler subtracts from them. "
            "It leaves out what a net does beside its module, in its dataset or in "
            "methods of its own"
        )


def _difference(proba: NDArray[Any], expected: NDArray[Any]) -> float:
    return float(np.max(np.abs(proba - expected)))


def _right_columns(
    classes: NDArray[Any], sample_y: ArrayLike | None, sample: _Sample
) -> NDArray[np.intp] | None:
    """Return which column of the probabilities is the right one for each row."""
    if sample_y is None:
        return None
    y = column_or_1d(sample_y)
    if len(y) != len(sample.proba) or not np.isin(y, classes).all():
        raise ValueError(
            f"sample_y must have a label of classes_ for each of the "
            f"{len(sample.proba)} rows of sample, got {len(y)}"
        )
    return np.searchsorted(classes, y)


def _quantized(
    data: bytes,
    assemble: Callable[[onnx.ModelProto], bytes],
    net: onnx.ModelProto,
    sample: _Sample,
    right: NDArray[np.intp] | None,
) -> bytes:
    """Return the file with weights of int8, made in the way that changes least."""
    tried: list[tuple[float, float, str, bytes, NDArray[np.intp]]] = []
    failure: Exception | None = None
    for kind in ("dynamic", "static") if sample.given else ("dynamic",):
        try:
            int8 = assemble(_int8_net(net, kind, sample.net_rows))
            proba = OnnxClassifier(int8).predict_proba(sample.rows)
        except Exception as error:
            failure = error
            continue
        labels = proba.argmax(axis=1)
        same = labels == sample.proba.argmax(axis=1)
        difference = _difference(proba, sample.proba)
        tried.append((float(same.mean()), -difference, kind, int8, labels))
    if not tried:
        raise ValueError(
            f"onnxruntime cannot make int8 of this net ({_reason(failure)}): use "
            "quantize=None"
        ) from failure
    agreement, difference, kind, int8, labels = max(tried, key=itemgetter(0, 1))
    report = {
        "kind": kind,
        "bytes_int8": len(int8),
        "bytes_float32": len(data),
        "agreement": agreement,
        "max_difference": -difference,
        "n_rows": len(sample.proba),
        "sample": "given" if sample.given else "made up",
    }
    if right is not None:
        float32_labels = sample.proba.argmax(axis=1)
        report["accuracy_int8"] = float((labels == right).mean())
        report["accuracy_float32"] = float((float32_labels == right).mean())
    int8 = _with_report(int8, report)
    if len(int8) >= len(data):
        raise ValueError(
            f"int8 makes this file no smaller: {len(int8):,} bytes, and {len(data):,} "
            "in float32. Use quantize=None"
        )
    if agreement < _AGREEMENT:
        warnings.warn(
            f"int8 changes the label of {1 - agreement:.1%} of the {len(sample.proba)} "
            f"rows of the sample ({report['sample']}). Use quantize=None, or pass "
            "other rows as sample=",
            UserWarning,
            stacklevel=3,
        )
    return int8


def _int8_net(
    net: onnx.ModelProto, kind: str, rows: NDArray[np.float32]
) -> onnx.ModelProto:
    import onnx
    from onnxruntime import quantization

    net = copy.deepcopy(net)
    # What onnxruntime's own preparation leaves; without it, it advises to run that.
    onnx.helper.set_model_props(net, {"onnx.quant.pre_process": "onnxruntime.quant"})
    options = {
        "op_types_to_quantize": _QUANTIZED,
        "weight_type": quantization.QuantType.QInt8,
        "per_channel": True,
        "reduce_range": True,
    }
    with tempfile.TemporaryDirectory() as folder, _quiet():
        file = os.path.join(folder, "net.onnx")
        if kind == "dynamic":
            quantization.quantize_dynamic(net, file, **options)
        else:
            options["activation_type"] = quantization.QuantType.QUInt8
            quantization.quantize_static(net, file, _Feed(rows), **options)
        return onnx.load(file)


class _Feed:
    """Gives onnxruntime the rows that it measures ranges on, all at once."""

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self.feeds = iter([{"X": rows}])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self.feeds, None)


def _with_report(data: bytes, report: dict[str, Any]) -> bytes:
    """Put a report into the metadata that holds the size of the file with itself."""
    import onnx

    model = onnx.load_from_string(data)
    entry = model.metadata_props.add(key="skdistill.quantization")
    entry.value = json.dumps(report)
    while (size := model.ByteSize()) != report["bytes_int8"]:
        report["bytes_int8"] = size
        entry.value = json.dumps(report)
    final: bytes = model.SerializeToString()
    return final


def _write(data: bytes, path: str | os.PathLike[str]) -> None:
    target = Path(os.path.realpath(path))  # the file, not a link to it, is replaced
    temporary = target.with_name(f".{uuid.uuid4().hex}")
    try:
        try:
            temporary.write_bytes(data)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot write the ONNX file: {error.strerror}", str(path)
        ) from error


def _set_output_types(operator: Any) -> None:
    """Tell skl2onnx what the converter will return."""
    from skl2onnx.common.data_types import (
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    labels = _labels(operator.raw_operator.classes_)
    kind = StringTensorType if labels.dtype == object else Int64TensorType
    operator.outputs[0].type = kind([None])
    operator.outputs[1].type = FloatTensorType([None, len(labels)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Give skl2onnx the nodes of a classifier."""
    import onnx

    if container.target_opset < _OPSET:
        raise ValueError(
            f"DistilledClassifier needs opset {_OPSET} or later, got "
            f"{container.target_opset}: pass target_opset={_OPSET}"
        )
    shape = operator.inputs[0].type.shape
    sample = None
    if len(shape) > 2:
        rng = np.random.default_rng(0)
        sample = rng.standard_normal((8, *shape[1:])).astype(np.float32)
    model = onnx.load_from_string(to_onnx(operator.raw_operator, sample=sample))
    # skl2onnx's own way to add a model mixes up names of nodes and of tensors.
    prefix = f"{scope.get_unique_operator_name('student')}/"
    graph = onnx.compose.add_prefix(model, prefix).graph
    _feed_from(operator.inputs, graph.input, container, prefix)
    container.nodes.extend(graph.node)
    container.initializers.extend(graph.initializer)
    container.node_domain_version_pair_sets.update(
        (opset.domain, opset.version) for opset in model.opset_import
    )
    for made, variable in zip(graph.output, operator.outputs, strict=True):
        container.add_node(
            "Identity", made.name, variable.full_name, name=f"{made.name}_out"
        )


def _feed_from(variables: list[Any], inputs: Any, container: Any, prefix: str) -> None:
    """Cast what skl2onnx has to what the model takes, one by one or side by side."""
    from onnx import TensorProto

    given = [variable.full_name for variable in variables]
    types = [value.type.tensor_type.elem_type for value in inputs]
    names = [value.name for value in inputs]
    if len(names) == 1 and len(given) > 1:
        names = [f"{prefix}column_{i}" for i in range(len(given))]
        types = [TensorProto.FLOAT] * len(given)
        container.add_node(
            "Concat", names, inputs[0].name, name=f"{prefix}concat", axis=1
        )
    elif len(names) != len(given):
        raise ValueError(
            f"DistilledClassifier was fitted on a data frame of {len(names)} columns, "
            f"and gets {len(given)} inputs: pass initial_types with one per column"
        )
    for source, name, kind in zip(given, names, types, strict=True):
        container.add_node("Cast", source, name, name=f"{name}_in", to=kind)
