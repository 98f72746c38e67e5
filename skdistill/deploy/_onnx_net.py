"""From a fitted net to an ONNX model, by torch."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skdistill.deploy._converting import OPSET, all_graphs, inlined, quiet, reason
from skdistill.deploy._outputs import Output
from skdistill.utils._layers import as_weights

if TYPE_CHECKING:
    import onnx


def convert_net(net: Any, rows: NDArray[np.float32], output: Output) -> onnx.ModelProto:
    """Convert a fitted net: from its input "X" to ``output.of_net``.

    Raises
    ------
    ValueError
        If torch cannot export its module for rows of this shape.
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
