"""What the probe must know of an ONNX file, read from its bytes, so that no runtime's version decides it.

Does it keep weights in other files? What does its metadata say?
"""

from __future__ import annotations

from typing import Dict, Iterator, Optional, Tuple, Union

# Numbers of the fields that lead to tensors (onnx.proto), by message; what a field leads to.
MESSAGES: Dict[str, Dict[int, str]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
TENSOR_NAME, TENSOR_EXTERNAL_DATA, TENSOR_DATA_LOCATION = 8, 13, 14
MODEL_METADATA, KEY, VALUE = 14, 1, 2
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def external_tensor(content: bytes) -> Optional[str]:
    """Name of a tensor of the model whose bytes lie in another file, or None.

    Raises:
        ValueError: not a protobuf message.
    """
    waiting = [("Model", memoryview(content))]
    while waiting:
        kind, message = waiting.pop()
        name, external = "", False
        for number, value in _fields(message):
            if kind == "Tensor" and number == TENSOR_NAME and not isinstance(value, int):
                name = bytes(value).decode(errors="replace")
            elif kind == "Tensor" and number in (TENSOR_EXTERNAL_DATA, TENSOR_DATA_LOCATION) and value != 0:
                external = True
            elif number in MESSAGES[kind] and not isinstance(value, int):
                waiting.append((MESSAGES[kind][number], value))
        if external:
            return name
    return None


def metadata(content: bytes) -> Dict[str, str]:
    """The model's own metadata.

    Raises:
        ValueError: not a protobuf message, or text that is not UTF-8.
    """
    found = {}
    for number, entry in _fields(memoryview(content)):
        if number == MODEL_METADATA and not isinstance(entry, int):
            parts = {part: bytes(text).decode() for part, text in _fields(entry) if not isinstance(text, int)}
            found[parts.get(KEY, "")] = parts.get(VALUE, "")
    return found


def _fields(message: memoryview) -> Iterator[Tuple[int, Union[int, memoryview]]]:
    """Number and value of each field: an integer, or the bytes of a string or message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if wire == BYTES:
            size, at = _varint(message, at)
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"unknown wire type {wire}")
        if at + size > len(message):
            raise ValueError("a field is longer than its message")
        if wire == BYTES:
            yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> Tuple[int, int]:
    """The integer at a position, and the position after it."""
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("a number is cut off")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        shift += 7
        at += 1
        if not byte & 0x80:
            return value, at
