"""One ONNX model of the preprocessing, the net and the labels."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skdistill import __version__
from skdistill.deploy._converting import IR_VERSION, add_prefix
from skdistill.deploy._onnx_steps import Head

if TYPE_CHECKING:
    import onnx


def onnx_labels(classes: NDArray[Any]) -> NDArray[Any]:
    """Return classes in a dtype of ONNX: int64, or object for strings.

    Raises
    ------
    ValueError
        If the classes are neither integers nor strings.
    """
    values = classes.tolist()
    if all(isinstance(value, str) for value in values):
        return np.array(values, dtype=object)
    with suppress(OverflowError, TypeError, ValueError):
        integers = np.array(values, dtype=object).astype(np.int64)
        if integers.tolist() == values:
            return integers
    raise ValueError(
        f"labels in ONNX are integers or strings, and classes_ holds {values}: fit on "
        "labels of one of these kinds"
    )


def assembled(head: Head, classes: NDArray[Any], net: onnx.ModelProto) -> bytes:
    """Join the steps, the net and the labels to one model.

    Parameters
    ----------
    head : Head
        The inputs and the model of the preprocessing.
    classes : ndarray of shape (n_classes,)
        The labels, in the dtype of the estimator.
    net : onnx.ModelProto
        The model of the net, from "X" to "probabilities".
    """
    from onnx import TensorProto, helper

    prefix = head.prefix
    net = copy.deepcopy(net)
    kept = {"probabilities"} if head.model else {"X", "probabilities"}
    add_prefix(net, f"{prefix}net/", {name: name for name in kept})
    models, nodes = [net], list(net.graph.node)
    if head.model is not None:
        made, wanted = head.model.graph.output[0].name, net.graph.input[0].name
        cast = helper.make_node(
            "Cast", [made], [wanted], name=f"{prefix}cast", to=TensorProto.FLOAT
        )
        models, nodes = [head.model, net], [*head.model.graph.node, cast, *nodes]
    label_nodes, outputs, tensor = _label(prefix, onnx_labels(classes))
    tensors = [tensor for model in models for tensor in model.graph.initializer]
    opsets = {
        opset.domain: opset.version for model in models for opset in model.opset_import
    }
    model = helper.make_model(
        helper.make_graph(
            [*nodes, *label_nodes], "student", head.inputs, outputs, [*tensors, tensor]
        ),
        opset_imports=[helper.make_opsetid(*opset) for opset in opsets.items()],
        ir_version=IR_VERSION,
        producer_name="skdistill",
        producer_version=__version__,
    )
    helper.set_model_props(model, _metadata(head, classes))
    return bytes(model.SerializeToString())


def _label(prefix: str, labels: NDArray[Any]) -> tuple[list[Any], list[Any], Any]:
    """Return the nodes from probabilities to labels, both outputs, and the labels."""
    from onnx import TensorProto, helper, numpy_helper

    code, classes = f"{prefix}code", f"{prefix}classes"
    nodes = [
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
    return nodes, outputs, numpy_helper.from_array(labels, name=classes)


def _metadata(head: Head, classes: NDArray[Any]) -> dict[str, str]:
    metadata = {
        "version": __version__,
        "classes": json.dumps(classes.tolist(), default=np.generic.item),
        "classes_dtype": classes.dtype.str,
        "n_features": str(head.n_features),
    }
    if head.feature_names is not None:
        metadata["feature_names"] = json.dumps(head.feature_names)
    if head.kinds is not None:
        metadata["kinds"] = json.dumps(head.kinds)
    if not head.allow_nan:
        metadata["allow_nan"] = "false"
    return {f"skdistill.{name}": value for name, value in metadata.items()}
