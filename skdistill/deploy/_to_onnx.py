"""The whole way from a row to its class in one ONNX file."""

from __future__ import annotations

import copy
import errno
import json
import numbers
import os
import stat
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from torch import Tensor, nn

from skdistill import __version__
from skdistill._classifier import _net_input, _transform
from skdistill._training._hooks import _first, _gives_logits
from skdistill.deploy._converting import quiet, reason, require_onnx
from skdistill.deploy._int8 import quantized, right_columns
from skdistill.deploy._onnx_classifier import OnnxClassifier
from skdistill.deploy._parts import Parts, active, parts_of
from skdistill.deploy._sample import Sample, difference_of, sample_rows, to_frame
from skdistill.utils._frames import floats, is_frame, native

if TYPE_CHECKING:
    import onnx

OPSET = 21
_IR_VERSION = 10

# How far the file's probabilities may be from those of the estimator.
_TOLERANCE = 1e-5

_OUTPUTS = ("label", "probabilities")

# What the names inside of a file begin with.
_PREFIX = "skdistill/"


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
        there already is replaced, and keeps its permissions. None writes nothing.
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
        The labels of ``sample``, so that int8 reports its accuracy, too. Without
        ``sample`` or ``quantize`` it is refused.

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
        labels are neither integers nor strings, if a level of a column is the string
        "nan", if some probability differs by more than 1e-5, or if int8 makes nothing
        smaller.
    ImportError
        If a package of ``pip install skdistill[onnx]`` is missing.
    OSError
        If the file cannot be written, or what is there is no regular file. None is left
        behind, and a former one is kept.

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
    require_onnx("to_onnx")
    if quantize not in (None, "int8"):
        raise ValueError(f"quantize must be 'int8' or None, got {quantize!r}")
    if sample_y is not None and (quantize is None or sample is None):
        raise ValueError("sample_y is of use with both sample= and quantize='int8'")
    parts = parts_of(estimator)
    labels = onnx_labels(parts.classes)
    tried = _sample(estimator, parts, sample)
    head = _head(estimator, parts, tried.rows)
    net = _export(parts.net, tried.net_rows)
    assemble = partial(_assemble, parts, head, labels)
    data = assemble(net)
    _check(data, tried, net)
    if quantize:
        right = right_columns(parts.classes, sample_y, tried)
        data = quantized(data, assemble, net, tried, right)
    if path is not None:
        _write(data, path)
    return data


def onnx_labels(classes: NDArray[Any]) -> NDArray[Any]:
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
    if isinstance(value, numbers.Integral):
        return -(2**63) <= int(value) < 2**63
    return (
        isinstance(value, numbers.Real)
        and float(value).is_integer()
        and -(2.0**63) <= float(value) < 2.0**63
    )


def _sample(estimator: Any, parts: Parts, sample: Any) -> Sample:
    if sample is not None:
        if is_frame(sample):
            rows = native(sample)
        else:
            rows = sample if issparse(sample) else np.asarray(sample)
        proba = estimator.predict_proba(rows)
        return Sample(_dense(rows), _net_rows(parts, rows), proba, given=True)
    try:
        rows = sample_rows(parts)
        names = _feature_names(parts)
        if names is not None and not is_frame(rows):
            rows = to_frame(dict(zip(names, rows.T, strict=True)))
        proba = estimator.predict_proba(rows)
        return Sample(rows, _net_rows(parts, rows), proba, given=False)
    except Exception as error:
        raise ValueError(
            "the file cannot be checked on rows that are made up "
            f"({reason(error)}): pass sample= to skdistill.deploy.to_onnx, "
            "some rows as the estimator takes them"
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

    ``kinds`` is None where there is one input "X" in place of one per column. All
    names inside the file begin with ``prefix``, as no input does.
    """

    model: Any
    n_features: int
    feature_names: list[str] | None
    kinds: list[str] | None
    inputs: list[Any]
    allow_nan: bool
    prefix: str


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
        allow_nan = _takes_nan(estimator, rows)
        return _Head(model, shape[1], names, None, [X], allow_nan, _PREFIX)
    columns = names or [str(i) for i in range(shape[1])]
    _check_names(columns)
    inner = [f"column_{i}" for i in range(shape[1])]
    model = _convert_steps(
        steps, [(name, kind, 1) for name, kind in zip(inner, kinds, strict=True)]
    )
    prefix = _PREFIX
    while any(name.startswith(prefix) for name in columns):
        prefix = f"_{prefix}"
    _rename_inputs(model, dict(zip(inner, columns, strict=True)), prefix)
    types = {"float": TensorProto.FLOAT, "string": TensorProto.STRING}
    inputs = [
        helper.make_tensor_value_info(name, types[kind], ["batch", 1])
        for name, kind in zip(columns, kinds, strict=True)
    ]
    return _Head(model, shape[1], names, kinds, inputs, True, prefix)


def _takes_nan(estimator: Any, rows: Any) -> bool:
    """Tell whether NaN may be in some column of floats.

    Asked by trying, as what the steps of a person's own take is nowhere to be read.
    """
    row = _float_rows(rows[:1])
    if _accepts(estimator, rows, np.full_like(row, np.nan)):
        return True
    if row.ndim > 2:
        return False
    probes = np.repeat(np.nan_to_num(row), row.shape[1], axis=0)
    np.fill_diagonal(probes, np.nan)
    return any(_accepts(estimator, rows, probe[np.newaxis]) for probe in probes)


def _float_rows(rows: Any) -> NDArray[np.float32]:
    if is_frame(rows):
        return floats(rows, list(range(rows.shape[1])))
    return np.asarray(rows, dtype=np.float32)


def _accepts(estimator: Any, rows: Any, probe: NDArray[np.float32]) -> bool:
    """Tell whether the estimator takes a row, as one of a data frame if ``rows`` is."""
    if is_frame(rows):
        probe = type(rows)(dict(zip(rows.columns, probe.T, strict=True)))
    try:
        estimator.predict_proba(probe)
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
    for name, step in active(steps):
        if isinstance(step, Pipeline):
            yield from _flat((f"{name}_{inner}", part) for inner, part in step.steps)
        else:
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
    """Return the types of a fitted step's columns: strings where it takes levels."""
    for _, part in _flat([("", step)]):
        if hasattr(part, "categories_"):
            for known in part.categories_:
                _check_levels(known)
            return [
                "float" if known.dtype.kind in "biuf" else "string"
                for known in part.categories_
            ]
        # A SimpleImputer of strings, which an encoder follows.
        statistics = np.asarray(getattr(part, "statistics_", 0.0))
        if statistics.dtype.kind in "OU":
            _check_levels(statistics)
            return ["string"] * len(columns)
    return ["float"] * len(columns)


def _check_levels(levels: NDArray[Any]) -> None:
    if levels.dtype.kind in "OU" and "nan" in levels.tolist():
        raise ValueError(
            "a column has the label 'nan', which in ONNX stands for a missing value: "
            "give the label another name and fit again"
        )


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
    models = [_convert_group(steps[: stops[0]], inputs)]
    for start, stop in zip(starts[1:], stops[1:], strict=True):
        group = steps[start:stop]
        model = _convert_group(group, [("X", "float", group[0][1].n_features_in_)])
        models.append(compose.add_prefix(model, f"{start}/"))
    _label_alike(models)
    whole = models[0]
    for model in models[1:]:
        ends = [(whole.graph.output[0].name, model.graph.input[0].name)]
        whole = compose.merge_models(whole, model, io_map=ends)
    return whole


def _label_alike(models: list[onnx.ModelProto]) -> None:
    """Let models say the same versions, so that they can be merged.

    skl2onnx converts all for one version of the operators, and then writes down the
    oldest that has what is there.
    """
    newest: dict[str, int] = {}
    for opset in (opset for model in models for opset in model.opset_import):
        newest[opset.domain] = max(opset.version, newest.get(opset.domain, 0))
    for model in models:
        model.ir_version = _IR_VERSION
        for opset in model.opset_import:
            opset.version = newest[opset.domain]


def _goes_by_column(step: Any) -> bool:
    return isinstance(step, ColumnTransformer)


def _convert_group(
    steps: list[tuple[str, Any]], inputs: list[tuple[str, str, int]]
) -> onnx.ModelProto:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    types = {"float": FloatTensorType, "string": StringTensorType}
    try:
        with quiet():
            return convert_sklearn(
                Pipeline(steps),
                initial_types=[
                    (name, types[kind]([None, width])) for name, kind, width in inputs
                ],
                target_opset={"": OPSET},
            )
    except Exception as error:
        raise ValueError(
            f"skl2onnx cannot convert the preprocessing {[name for name, _ in steps]} "
            f"({reason(error)})"
        ) from error


def _rename_inputs(model: onnx.ModelProto, names: dict[str, str], prefix: str) -> None:
    """Name the inputs as the columns, which skl2onnx would not, and nothing else so."""
    from onnx import compose

    compose.add_prefix(model, f"{prefix}columns/", rename_inputs=False, inplace=True)
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
        with quiet():
            program = torch.onnx.export(
                wrapped,
                (example,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=["X"],
                output_names=["probabilities"],
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:
        raise ValueError(
            f"torch cannot export the student's module {type(net.module_).__name__} "
            f"for rows of shape {rows.shape[1:]} ({reason(error)}). If the rows have "
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


def _assemble(
    parts: Parts, head: _Head, labels: NDArray[Any], net: onnx.ModelProto
) -> bytes:
    """Join the steps, the net and the labels to one model."""
    from onnx import TensorProto, compose, helper, numpy_helper

    prefix = head.prefix
    net = compose.add_prefix(
        net,
        f"{prefix}net/",
        rename_inputs=head.model is not None,
        rename_outputs=False,
    )
    models, nodes = [net], [*net.graph.node]
    if head.model is not None:
        made, wanted = head.model.graph.output[0].name, net.graph.input[0].name
        cast = helper.make_node(
            "Cast", [made], [wanted], name=f"{prefix}cast", to=TensorProto.FLOAT
        )
        models, nodes = [head.model, net], [*head.model.graph.node, cast, *nodes]
    code, classes = f"{prefix}code", f"{prefix}classes"
    nodes += [
        helper.make_node(
            "ArgMax", ["probabilities"], [code], name=code, axis=1, keepdims=0
        ),
        helper.make_node("Gather", [classes, code], ["label"], name=f"{prefix}label"),
    ]
    kind = TensorProto.STRING if labels.dtype == object else TensorProto.INT64
    outputs = [
        helper.make_tensor_value_info("label", kind, ["batch"]),
        helper.make_tensor_value_info(
            "probabilities", TensorProto.FLOAT, ["batch", len(labels)]
        ),
    ]
    tensors = [tensor for model in models for tensor in model.graph.initializer]
    tensors.append(numpy_helper.from_array(labels, name=classes))
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


def _check(data: bytes, sample: Sample, net: onnx.ModelProto) -> None:
    """Raise unless the file says what the estimator says, also of a single row."""
    try:
        predict_proba = OnnxClassifier(data).predict_proba
        proba, first = predict_proba(sample.rows), predict_proba(sample.rows[:1])
    except Exception as error:
        raise ValueError(
            f"the ONNX file does not run on the sample: {reason(error)}"
        ) from error
    differences = np.abs(proba - sample.proba).max(axis=1)
    differences[0] = np.maximum(differences[0], difference_of(first, sample.proba[:1]))
    if differences.max() <= _TOLERANCE:
        return
    row = int(differences.argmax())
    raise ValueError(
        f"the ONNX file is not what was fitted: in row {row} of the rows that were "
        f"{'given as sample' if sample.given else 'made up'} some probability differs "
        f"by {differences[row]:.3g}, more than {_TOLERANCE:g}. "
        + (_NET_DIFFERS if _net_differs(net, sample) else _STEPS_DIFFER)
        + ("" if sample.given else ". If only rows unlike yours differ, pass sample=")
    )


_NET_DIFFERS = (
    "The file leaves out what a net does beside its module, in its dataset or in "
    "methods of its own, and whether a module goes by the number of rows"
)

_STEPS_DIFFER = (
    "The preprocessing of the file computes in float32: cast columns of large numbers "
    "to float32 before a scaler subtracts from them"
)


def _net_differs(net: onnx.ModelProto, sample: Sample) -> bool:
    """Tell whether the net alone differs, given the very rows that it was given."""
    from onnxruntime import InferenceSession

    session = InferenceSession(
        net.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for n_rows in (len(sample.proba), 1):
        (proba,) = session.run(["probabilities"], {"X": sample.net_rows[:n_rows]})
        if not difference_of(proba, sample.proba[:n_rows]) <= _TOLERANCE:
            return True
    return False


def _write(data: bytes, path: str | os.PathLike[str]) -> None:
    """Put a whole file in place of what is there, with the permissions it had."""
    target = Path(os.path.realpath(path))  # the file, not a link to it, is replaced
    temporary = target.with_name(f".{uuid.uuid4().hex}")
    try:
        mode = _replaceable_mode(path)
        try:
            # Nobody may read a file, for as short as it may be, who might not before.
            temporary.touch(0o666 if mode is None else 0o600)
            temporary.write_bytes(data)
            if mode is not None:
                temporary.chmod(mode)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot write the ONNX file: {error.strerror}", str(path)
        ) from error


def _replaceable_mode(path: str | os.PathLike[str]) -> int | None:
    """Return the permissions of the file that is there, or None if there is none."""
    if os.fspath(path).endswith(("/", os.sep)):  # realpath drops it
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "what is there is no regular file")
    return stat.S_IMODE(status.st_mode)
