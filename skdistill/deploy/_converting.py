"""What all conversions to ONNX share: the versions, silence, and short errors."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from skdistill.utils._locks import ForkSafeLock
from skdistill.utils._optional import require

if TYPE_CHECKING:
    import onnx

# torch and skl2onnx must write for the same version of the operators. Neither
# has an option for the version of the format.
OPSET = 21
IR_VERSION = 10

# An export changes the warning filters and a logger of the whole process for a while,
# so that one thread exports at a time.
_EXPORTING = ForkSafeLock()


def require_onnx(function: str) -> None:
    """Raise an ImportError if a package that ``function`` needs is missing."""
    for name in ("onnx", "onnxruntime", "onnxscript", "skl2onnx"):
        require(name, function, "skdistill[onnx]")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the messages of the converters."""
    logger = logging.getLogger("torch.onnx")
    with _EXPORTING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with nodes in place of functions of its own."""
    from onnx import inliner

    domains = {function.domain for function in model.functions}
    model = inliner.inline_local_functions(model)
    opsets = [one for one in model.opset_import if one.domain not in domains]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    return model


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph, and the graphs in the attributes of its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from all_graphs(inner)


def add_prefix(
    model: onnx.ModelProto, prefix: str, names: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Put a prefix before all names in a model, except for those that have a new name.

    The function of onnx forgets the weights that are used in graphs in attributes.
    """

    def renamed(name: str) -> str:
        return names.get(name, f"{prefix}{name}") if name else ""

    for graph in all_graphs(model.graph):
        for node in graph.node:
            node.name = renamed(node.name)
            node.input[:] = map(renamed, node.input)
            node.output[:] = map(renamed, node.output)
        for value in (*graph.input, *graph.output, *graph.initializer):
            value.name = renamed(value.name)


def reason(error: BaseException | None) -> str:
    """Return the first cause of an error, in one line."""
    while error is not None and error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"
