"""One ONNX model of the preprocessing, the net and what its outputs stand for."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

from skdistill import __version__
from skdistill.deploy._converting import IR_VERSION, add_prefix
from skdistill.deploy._onnx_steps import Head
from skdistill.deploy._outputs import Output

if TYPE_CHECKING:
    import onnx


def assembled(head: Head, output: Output, net: onnx.ModelProto) -> bytes:
    """Join the steps, the net and what follows it to one model.

    Parameters
    ----------
    head : Head
        The inputs and the model of the preprocessing.
    output : ClassOutput or NumberOutput
        What the estimator says.
    net : onnx.ModelProto
        The model of the net, from "X" on.
    """
    from onnx import TensorProto, helper

    prefix = head.prefix
    net = copy.deepcopy(net)
    kept = {*output.names, *(() if head.model else ("X",))}
    add_prefix(net, f"{prefix}net/", {name: name for name in kept})
    models, nodes = [net], list(net.graph.node)
    if head.model is not None:
        made, wanted = head.model.graph.output[0].name, net.graph.input[0].name
        cast = helper.make_node(
            "Cast", [made], [wanted], name=f"{prefix}cast", to=TensorProto.FLOAT
        )
        models, nodes = [head.model, net], [*head.model.graph.node, cast, *nodes]
    tail, outputs, own = output.tail(net.graph.output[0].name, prefix)
    tensors = [tensor for model in models for tensor in model.graph.initializer]
    opsets = {
        opset.domain: opset.version for model in models for opset in model.opset_import
    }
    model = helper.make_model(
        helper.make_graph(
            [*nodes, *tail], "student", head.inputs, outputs, [*tensors, *own]
        ),
        opset_imports=[helper.make_opsetid(*opset) for opset in opsets.items()],
        ir_version=IR_VERSION,
        producer_name="skdistill",
        producer_version=__version__,
    )
    helper.set_model_props(model, _metadata(head, output))
    return bytes(model.SerializeToString())


def _metadata(head: Head, output: Output) -> dict[str, str]:
    metadata = {
        "version": __version__,
        "task": output.task,
        **output.metadata(),
        "n_features": str(head.n_features),
    }
    if head.feature_names is not None:
        metadata["feature_names"] = json.dumps(head.feature_names)
    if head.kinds is not None:
        metadata["kinds"] = json.dumps(head.kinds)
    if head.zones:
        metadata["zones"] = json.dumps(head.zones)
    if not head.allow_nan:
        metadata["allow_nan"] = "false"
    return {f"skdistill.{name}": value for name, value in metadata.items()}
