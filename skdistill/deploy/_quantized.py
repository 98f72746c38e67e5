"""Weights of 8 or 16 bits in an ONNX file, and a report of what they change."""

from __future__ import annotations

import copy
import json
import os
import tempfile
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skdistill.deploy._converting import quiet, reason
from skdistill.deploy._sample import Sample

if TYPE_CHECKING:
    import onnx

# The operators with large weights.
_QUANTIZED = ["Conv", "Gather", "Gemm", "MatMul"]

# The cast of fewer weights takes more bytes than float16 saves.
_FEW_WEIGHTS = 64


def quantized(
    data: bytes,
    assemble: Callable[[onnx.ModelProto], bytes],
    net: onnx.ModelProto,
    sample: Sample,
    y: NDArray[Any] | None,
    dtype: str,
) -> bytes:
    """Return the file with narrow weights, in the way that changes least.

    ``data`` is the file in float32, of ``net``, and ``assemble`` makes a file of a net.
    ``y`` is what is right for each row of the sample, as ``output.known`` returns it.
    ``dtype`` is "int8" or "float16". Raise a ValueError if the net cannot be quantized,
    or the file gets no smaller.
    """
    kind, small, said = _best(assemble, net, sample, dtype)
    report: dict[str, Any] = {
        "kind": kind,
        f"bytes_{dtype}": len(small),
        "bytes_float32": len(data),
        **sample.judged(said, dtype),
    }
    output = sample.output
    if y is not None:
        report[f"{output.score}_{dtype}"] = output.scored(said, y)
        report[f"{output.score}_float32"] = output.scored(sample.said, y)
    small = _with_report(small, report, f"bytes_{dtype}")
    if len(small) >= len(data):
        raise ValueError(
            f"{dtype} makes this file no smaller: {len(small):,} bytes, and "
            f"{len(data):,} in float32. Use quantize=None"
        )
    return small


def _best(
    assemble: Callable[[onnx.ModelProto], bytes],
    net: onnx.ModelProto,
    sample: Sample,
    dtype: str,
) -> tuple[str, bytes, NDArray[np.float64]]:
    """Return the way that changes least: its kind, its file, and what that says."""
    tried: list[tuple[float, float, str, bytes, NDArray[np.float64]]] = []
    failure: Exception | None = None
    for kind in _kinds(dtype, sample):
        try:
            narrow = _float16_net if kind == "weights" else _int8_net
            small = assemble(narrow(net, kind, sample.net_rows))
            said = sample.asked(sample.output.runner(small))
        except Exception as error:
            failure = error
            continue
        closeness = sample.output.closeness(said, sample.said)
        difference = sample.differences(said).max()
        tried.append((closeness, -difference, kind, small, said))
    if not tried:
        problem = f"{dtype} is not possible for this net ({reason(failure)})"
        raise ValueError(f"{problem}: use quantize=None") from failure
    return max(tried, key=itemgetter(0, 1))[2:]


def _kinds(dtype: str, sample: Sample) -> list[str]:
    """Return the ways to make the weights narrow."""
    if dtype == "float16":
        return ["weights"]
    return ["dynamic", "static"] if sample.given else ["dynamic"]


def _float16_net(net: onnx.ModelProto, *_: Any) -> onnx.ModelProto:
    """Return a net whose large weights are float16, and are cast before they are used.

    Runtimes make this cast once, when they load the file.
    """
    from onnx import TensorProto, helper, numpy_helper

    net = copy.deepcopy(net)
    graph = net.graph
    used = {name for n in graph.node if n.op_type in _QUANTIZED for name in n.input}
    for weights in graph.initializer:
        values, name = numpy_helper.to_array(weights), weights.name
        if name not in used or values.dtype != "f4" or values.size <= _FEW_WEIGHTS:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ValueError("a weight is too large")
        small = numpy_helper.from_array(values.astype(np.float16), f"{name}_16")
        weights.CopyFrom(small)
        cast = helper.make_node("Cast", [small.name], [name], to=TensorProto.FLOAT)
        graph.node.insert(0, cast)
    return net


def _int8_net(
    net: onnx.ModelProto, kind: str, rows: NDArray[np.float32]
) -> onnx.ModelProto:
    import onnx
    from onnxruntime import quantization

    net = copy.deepcopy(net)
    # Without this mark, onnxruntime says that its own preparation was left out.
    onnx.helper.set_model_props(net, {"onnx.quant.pre_process": "onnxruntime.quant"})
    options = {
        "op_types_to_quantize": _QUANTIZED,
        "weight_type": quantization.QuantType.QInt8,
        "nodes_to_exclude": _stacks_of_matrices(net),
        "per_channel": True,
        "reduce_range": True,
    }
    with tempfile.TemporaryDirectory() as folder, quiet():
        file = os.path.join(folder, "net.onnx")
        if kind == "dynamic":
            quantization.quantize_dynamic(net, file, **options)
        else:
            options["activation_type"] = quantization.QuantType.QUInt8
            quantization.quantize_static(net, file, _Feed(rows), **options)
        return onnx.load(file)


def _stacks_of_matrices(net: onnx.ModelProto) -> list[str]:
    """Return the nodes that multiply by more than one matrix, as a periodic embedding.

    onnxruntime has no product of int8 by channels for these.
    """
    n_dims = {weights.name: len(weights.dims) for weights in net.graph.initializer}
    return [
        node.name
        for node in net.graph.node
        if node.op_type == "MatMul" and any(n_dims.get(n, 0) > 2 for n in node.input)
    ]


class _Feed:
    """Gives onnxruntime the rows to measure ranges on, all at once."""

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self.feeds = iter([{"X": rows}])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self.feeds, None)


def _with_report(data: bytes, report: dict[str, Any], size_name: str) -> bytes:
    """Put a report into the metadata, with the size of the file that holds it."""
    import onnx

    model = onnx.load_from_string(data)
    entry = model.metadata_props.add(key="skdistill.quantization")
    entry.value = json.dumps(report)
    while (size := model.ByteSize()) != report[size_name]:
        report[size_name] = size
        entry.value = json.dumps(report)
    return bytes(model.SerializeToString())
