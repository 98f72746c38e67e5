"""Checks of the bytes of an ONNX file, before a runtime sees them."""

from __future__ import annotations

from collections.abc import Iterator

NOT_ONNX = "it is no ONNX file, or it is cut off or damaged"

# The places of tensors in an ONNX file: for each kind of message the messages in it, by
# their field numbers in onnx.proto.
_MESSAGES: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of TensorProto
_FUNCTIONS = 25  # of ModelProto


def refuse_pickle(content: bytes) -> None:
    """Raise a ValueError if a file looks like a pickle."""
    # A pickle begins with this byte and the number of its protocol, up to 5 today.
    if content[:1] == b"\x80" and content[1:2] <= b"\x0f":
        raise ValueError(f"{NOT_ONNX}. It looks like a pickle, for joblib.load")


def refuse_unsafe(content: bytes) -> None:
    """Raise a ValueError if a tensor is not in the file itself, or there are functions.

    onnxruntime would read such a tensor from any path that the file names, and would
    expand functions that call each other to a graph of any size. The package onnx could
    check this, but nothing else needs it here. Anything that a protobuf parser might
    read in another way than this function is refused.
    """
    todo = [("ModelProto", 0, len(content))]
    while todo:
        kind, start, end = todo.pop()
        for number, value, stop in _fields(content, start, end):
            if kind == "TensorProto" and (
                number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value)
            ):
                raise ValueError("it names data outside itself, in another file")
            if kind == "ModelProto" and number == _FUNCTIONS:
                raise ValueError(
                    "it has functions of its own, and to_onnx writes none: inline them "
                    "by onnx.inliner.inline_local_functions"
                )
            if stop is not None and number in _MESSAGES[kind]:
                todo.append((_MESSAGES[kind][number], value, stop))


def _fields(
    content: bytes, start: int, end: int
) -> Iterator[tuple[int, int, int | None]]:
    """Yield the fields of a protobuf message.

    A field is (number, value, None) if it is a number, and (number, start, end) if it
    is a string of bytes.
    """
    while start < end:
        tag, start = _varint(content, start, end)
        number, wire_type = divmod(tag, 8)
        stop = None
        value = start
        if wire_type == 0:
            value, start = _varint(content, start, end)
        elif wire_type in (1, 5):
            start += 8 if wire_type == 1 else 4
        elif wire_type == 2:
            length, value = _varint(content, start, end)
            start = stop = value + length
        else:
            raise ValueError(NOT_ONNX)
        if start > end or not 0 < number < 2**29:
            raise ValueError(NOT_ONNX)
        yield number, value, stop


def _varint(content: bytes, start: int, end: int) -> tuple[int, int]:
    """Return a number of up to ten bytes, seven bits in each, and where it ends."""
    value = 0
    for i, byte in enumerate(content[start : min(start + 10, end)]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, start + i + 1
    raise ValueError(NOT_ONNX)
