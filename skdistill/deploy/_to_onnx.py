"""A fitted student as one ONNX file: from raw rows to what it predicts."""

from __future__ import annotations

import copy
import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from skdistill import __version__
from skdistill.deploy._converting import (
    IR_VERSION,
    OPSET,
    add_prefix,
    all_graphs,
    inlined,
    quiet,
    reason,
    require_onnx,
)
from skdistill.deploy._onnx_steps import Head, head_of
from skdistill.deploy._outputs import Output
from skdistill.deploy._parts import check_no_dates, parts_of
from skdistill.deploy._quantized import quantized
from skdistill.deploy._sample import TOLERANCE, Sample, sample_of
from skdistill.deploy._writing import write_whole
from skdistill.utils._layers import as_weights
from skdistill.utils._underflow import underflow_is_zero

if TYPE_CHECKING:
    import onnx


@underflow_is_zero
def to_onnx(
    estimator: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    quantize: Literal["int8", "float16"] | None = None,
    sample: Any = None,
    sample_y: ArrayLike | None = None,
) -> bytes:
    """Write a fitted student, with all of its preprocessing, as one ONNX file.

    The file needs no other file and no torch. :class:`OnnxClassifier` or
    :class:`OnnxRegressor` runs it, and so does any ONNX runtime in any language. Before
    it is returned, it is run, and refused if its probabilities or numbers are not those
    of the estimator.

    Parameters
    ----------
    estimator : DistilledClassifier, DistilledRegressor, Pipeline or search
        A fitted estimator, a pipeline that ends in one, or a search. The module of its
        student must be one that torch can export, and the preprocessing one that
        skl2onnx can convert, as that of the default student.
    path : str or path-like, default=None
        Where to write the file. An existing file is replaced at once, and is kept if an
        error occurs. None writes nothing.
    quantize : {"int8", "float16"}, default=None
        Make the weights 8-bit integers, or floats of 16 bits. The file is up to four
        times smaller, or up to two times at less loss of accuracy. It reports the loss
        (see Notes). None keeps float32.
    sample : array-like or data frame of shape (n_samples, n_features), default=None
        Rows as ``estimator`` takes them. The file is checked on them, and int8 is
        chosen by them. None makes up rows: like those that the default preprocessing
        saw in ``fit``, or else standard normal ones. Pass some where made-up rows make
        no sense, such as for images, and for your own preprocessing by column names.
    sample_y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
        The labels or the targets of ``sample``, for the report of the accuracy or of
        the error. It is refused without ``sample`` or ``quantize``.

    Returns
    -------
    data : bytes
        The content of the file.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is none of these, or a search with ``refit=False``.
    ValueError
        If torch cannot export the module, or skl2onnx cannot convert a step; if the
        module takes several inputs, or a step makes dates that the student reads; if
        the labels are neither integers nor strings; if a level of a column is the
        string "nan"; if a probability, or a number in standard deviations of the
        targets, differs by more than 1e-5; or if ``quantize`` makes the file no
        smaller.
    ImportError
        If a package of ``pip install skdistill[onnx]`` is missing.
    OSError
        If the file cannot be written. A file that is there is kept.

    Warns
    -----
    UserWarning
        If ``quantize`` changes the label of more than 5 % of the rows, or adds an error
        of more than a tenth of the standard deviation of the targets.

    See Also
    --------
    OnnxClassifier : Runs the file as a scikit-learn classifier.
    OnnxRegressor : Runs the file of a regressor.
    register_converter : The same for ``skl2onnx.to_onnx``.

    Notes
    -----
    *Inputs.* If the estimator was fitted on an array, there is one input, "X", of shape
    (batch, n_features), or of the shape of a batch of images. If the preprocessing goes
    by the columns of a data frame, there is one input for each column, of shape
    (batch, 1), in the order of ``feature_names_in_`` and under the same names: numbers,
    with NaN for missing, or strings, with "nan" for missing. A date is a float64: the
    seconds since the beginning of 1970 by the clock of the time zone that the column
    had in ``fit``, with NaN for missing. A column that the student
    does not use is an input too, of strings that are not read. Numbers are float64 if
    the first step is a :class:`~skdistill.TabularPreprocessor` that was fitted on
    float64 or on a data frame, and float32 if not.

    *Outputs of a classifier.* "label", of shape (batch,), int64 for labels that are
    integers or booleans (or floats without a fraction), else strings; "probabilities",
    float32 of shape (batch, n_classes). If rows have several labels, both are of shape
    (batch, n_labels), and "label" is an indicator matrix, int64.

    *Output of a regressor.* "prediction", float64 of shape (batch,), or
    (batch, n_targets) if there are several, within the bounds of ``extrapolation``. The
    net computes in float32, and the scale of the targets is put back in float64, so
    that targets with a large offset keep their precision.

    *Precision.* A :class:`~skdistill.TabularPreprocessor` scales its columns in the
    precision of the input. All else is computed in float32. Another step that takes the
    difference of large numbers in float64, such as a scaler of timestamps, can differ
    by more than 1e-5: cast its input to float32 before ``fit``.

    *int8.* Two ways are tried. "dynamic" measures the ranges of the activations at run
    time. "static" fixes them by ``sample``, and is tried only if there is one. The way
    that keeps more labels, or adds less error, is chosen. With "dynamic", the
    answer for a row depends a little on the other rows of the batch. The weights use 7
    of the 8 bits, so that no processor overflows.

    *float16.* The weights of linear, convolutional and embedding layers are stored in
    float16, if a layer has more than 64, and cast to float32 when the file is loaded.
    All is computed in float32, as fast as before.

    *Report.* With ``quantize``, the metadata entry "skdistill.quantization" is a JSON
    object with "kind" ("dynamic", "static", or "weights" for float16), "bytes_int8" or
    "bytes_float16", "bytes_float32", "agreement" (the share of the rows that keep their
    label), "max_difference" (the largest difference of a probability), "n_rows",
    "sample" ("given" or "made up"), and with ``sample_y`` "accuracy_int8" or
    "accuracy_float16", and "accuracy_float32". Of several labels, "agreement" counts
    labels, and "subset_accuracy" takes the place of "accuracy". For a regressor, all
    errors are in standard deviations of the targets, "error" (the root of the mean
    squared difference from the estimator) takes the place of "agreement", and "rmse"
    that of "accuracy".

    *Metadata.* Further entries are "skdistill.version", "skdistill.task"
    ("classification", "multilabel" or "regression"), "skdistill.classes" and
    "skdistill.classes_dtype", or "skdistill.n_outputs" and of quantiles
    "skdistill.quantiles", "skdistill.n_features", and where they apply
    "skdistill.feature_names", "skdistill.kinds" ("float", "double", "string" or "date"
    for each column), "skdistill.zones" (the time zone, or null, of each column of
    dates) and "skdistill.allow_nan" ("false" if the estimator
    refuses missing values). The file holds no paths, names or dates of the machine that
    made it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.deploy import OnnxClassifier, to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, random_state=0)
    >>> net = make_student((16,), max_epochs=5)
    >>> clf = DistilledClassifier(forest, net, random_state=0).fit(X, y)
    >>> data = to_onnx(clf)
    >>> bool((OnnxClassifier(data).predict(X) == clf.predict(X)).all())
    True
    """
    require_onnx("to_onnx")
    if quantize not in (None, "int8", "float16"):
        raise ValueError(
            f"quantize must be 'int8', 'float16' or None, got {quantize!r}"
        )
    if sample_y is not None and (quantize is None or sample is None):
        raise ValueError("sample_y is of use with both sample= and quantize=")
    parts = parts_of(estimator)
    check_no_dates(parts.transformers[1:])
    output = parts.output
    output.of_file()  # may refuse labels before anything is converted
    tried = sample_of(estimator, parts, sample)
    head = head_of(estimator, parts, tried.rows)
    net = convert_net(parts.net, tried.net_rows, output)
    assemble = partial(_assembled, head, output)
    data = assemble(net)
    _check(data, tried, net)
    if quantize:
        y = None if sample_y is None else output.known(sample_y, tried.said)
        data = quantized(data, assemble, net, tried, y, quantize)
    if path is not None:
        write_whole({path: data})
    return data


def _check(data: bytes, sample: Sample, net: onnx.ModelProto) -> None:
    """Raise a ValueError if the file says something else, also of a single row."""
    output = sample.output
    try:
        file = output.runner(data)
        said = sample.asked(file)
        first = getattr(file, output.method)(sample.rows[:1])
    except Exception as error:
        raise ValueError(
            f"the ONNX file does not run on the sample: {reason(error)}"
        ) from error
    differences = sample.differences(said)
    of_one = output.differences(first, sample.said[:1])
    differences[:1] = np.maximum(differences[:1], of_one)
    if problem := sample.problem("the ONNX file", differences):
        guess = _NET_DIFFERS if _net_differs(net, sample) else _STEPS_DIFFER
        raise ValueError(problem + guess + ("" if sample.given else _PASS_SAMPLE))


_NET_DIFFERS = (
    "The file holds the module of the net alone, which may not depend on the number of "
    "rows. It lacks what the net does in its dataset or in its own methods"
)

_STEPS_DIFFER = (
    "The preprocessing of the file computes in float32: cast columns of large numbers "
    "to float32 before a scaler subtracts from them"
)

_PASS_SAMPLE = ". If only rows unlike yours differ, pass sample="


def _net_differs(net: onnx.ModelProto, sample: Sample) -> bool:
    """Tell whether the net differs on rows that the estimator prepared."""
    from onnxruntime import InferenceSession

    output = sample.output
    session = InferenceSession(
        net.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for n_rows in (len(sample.said), 1):
        (said,) = session.run([output.of_net], {"X": sample.net_rows[:n_rows]})
        found = output.differences(output.decoded(said), sample.said[:n_rows])
        if not found.max() <= TOLERANCE:
            return True
    return False


def _assembled(head: Head, output: Output, net: onnx.ModelProto) -> bytes:
    """Join the steps, the net from "X" on and what follows it to one model."""
    from onnx import TensorProto, helper

    prefix, of_file = head.prefix, output.of_file()
    net = copy.deepcopy(net)
    kept = [*of_file, *([] if head.model else ["X"])]
    add_prefix(net, f"{prefix}net/", dict(zip(kept, kept, strict=True)))
    models, nodes = [net], list(net.graph.node)
    if head.model is not None:
        made, wanted = head.model.graph.output[0].name, net.graph.input[0].name
        cast = helper.make_node(
            "Cast", [made], [wanted], name=f"{prefix}cast", to=TensorProto.FLOAT
        )
        models, nodes = [head.model, net], [*head.model.graph.node, cast, *nodes]
    tail, own = output.tail(net.graph.output[0].name, prefix)
    nodes += tail
    tensors = [tensor for model in models for tensor in model.graph.initializer]
    outputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(dtype), ["batch", *shape]
        )
        for name, (dtype, shape) in of_file.items()
    ]
    opsets = {
        opset.domain: opset.version for model in models for opset in model.opset_import
    }
    model = helper.make_model(
        helper.make_graph(nodes, "student", head.inputs, outputs, [*tensors, *own]),
        opset_imports=[helper.make_opsetid(*opset) for opset in opsets.items()],
        ir_version=IR_VERSION,
        producer_name="skdistill",
        producer_version=__version__,
    )
    metadata = {
        "version": __version__,
        "task": output.task,
        **output.metadata(),
        **head.metadata(),
    }
    texts = {
        f"skdistill.{name}": value
        if isinstance(value, str)
        else json.dumps(value, default=np.generic.item)
        for name, value in metadata.items()
    }
    helper.set_model_props(model, texts)
    return bytes(model.SerializeToString())


def convert_net(net: Any, rows: NDArray[np.float32], output: Output) -> onnx.ModelProto:
    """Convert a fitted net: from its input "X" to ``output.of_net``.

    Raise a ValueError if torch cannot export its module for rows of this shape.
    """
    try:
        program = _exported(net, rows, output)
    except Exception as error:
        raise ValueError(
            f"torch cannot export the module {type(net.module_).__name__} for rows of "
            f"shape {rows.shape[1:]} ({reason(error)}): pass some rows as sample=. The "
            "file takes floats; a module that looks integers up does so by X.long()"
        ) from error
    model = inlined(program.model_proto)
    # torch's notes about the code contain paths of the machine.
    for node in (node for graph in all_graphs(model.graph) for node in graph.node):
        del node.metadata_props[:]
        node.ClearField("doc_string")
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("metadata_props")
        value.ClearField("doc_string")
    del model.graph.metadata_props[:], model.graph.value_info[:]
    return model


def _exported(net: Any, rows: NDArray[np.float32], output: Output) -> Any:
    # torch takes a batch size of one for a constant.
    example = torch.from_numpy(np.concatenate([rows, rows])[:4])
    with quiet():
        return torch.onnx.export(
            _Predictor(net, output).eval(),
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=["X"],
            output_names=[output.of_net],
            opset_version=OPSET,
            verbose=False,
        )


class _Predictor(nn.Module):
    """From prepared rows to outputs in float32, with weights of any precision."""

    def __init__(self, net: Any, output: Output) -> None:
        super().__init__()
        module = copy.deepcopy(net.module_)
        self.module = getattr(module, "_orig_mod", module).cpu()  # without its compiler
        self.ending = output.ending(net)

    def forward(self, X: Tensor) -> Tensor:
        outputs = self.module(as_weights(self.module, X))
        return self.ending(outputs).float()
