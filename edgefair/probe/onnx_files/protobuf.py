"""The bytes of an ONNX file, field by field, taken apart no more leniently than any runtime does.

A parser that accepts what another reads otherwise lets a file mean two things under one digest. So only the one
spelling that protobuf's own writers use is read: what is longer than it must be, given twice, of another type than
onnx.proto says, or unknown to it, is refused.

https://protobuf.dev/programming-guides/encoding, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from typing import Dict, Iterator, Set, Tuple, Union

Value = Union[int, memoryview]

# What the fields of each message hold, by their number: a number, `bytes` (texts, and messages that lead to no tensor),
# or another message of this table. A star marks a field that may come several times.
FIELDS: Dict[str, Dict[int, str]] = {
    "Model": {
        1: "int", 2: "bytes", 3: "bytes", 4: "bytes", 5: "int", 6: "bytes", 7: "Graph", 8: "bytes*", 14: "Entry*",
        20: "Training*", 25: "Function*", 26: "bytes*",
    },
    "Training": {1: "Graph", 2: "Graph", 3: "Entry*", 4: "Entry*"},
    "Function": {
        1: "bytes", 4: "bytes*", 5: "bytes*", 6: "bytes*", 7: "Node*", 8: "bytes", 9: "bytes*", 10: "bytes",
        11: "Attribute*", 12: "ValueInfo*", 13: "bytes", 14: "Entry*",
    },
    "Graph": {
        1: "Node*", 2: "bytes", 5: "Tensor*", 10: "bytes", 11: "ValueInfo*", 12: "ValueInfo*", 13: "ValueInfo*",
        14: "bytes*", 15: "SparseTensor*", 16: "Entry*",
    },
    "Node": {
        1: "bytes*", 2: "bytes*", 3: "bytes", 4: "bytes", 5: "Attribute*", 6: "bytes", 7: "bytes", 8: "bytes",
        9: "Entry*", 10: "bytes*",
    },
    "Attribute": {
        1: "bytes", 2: "float", 3: "int", 4: "bytes", 5: "Tensor", 6: "Graph", 7: "float*", 8: "int*", 9: "bytes*",
        10: "Tensor*", 11: "Graph*", 13: "bytes", 14: "Type", 15: "Type*", 20: "int", 21: "bytes", 22: "SparseTensor",
        23: "SparseTensor*",
    },
    "SparseTensor": {1: "Tensor", 2: "Tensor", 3: "int*"},
    "Tensor": {
        1: "int*", 2: "int", 3: "bytes", 4: "float*", 5: "int*", 6: "bytes*", 7: "int*", 8: "bytes", 9: "bytes",
        10: "double*", 11: "int*", 12: "bytes", 13: "Entry*", 14: "int", 16: "Entry*",
    },
    "ValueInfo": {1: "bytes", 2: "Type", 3: "bytes", 4: "Entry*"},
    "Type": {
        1: "TensorType", 4: "SequenceType", 5: "MapType", 6: "bytes", 7: "bytes", 8: "TensorType", 9: "SequenceType",
    },
    "TensorType": {1: "int", 2: "Shape"},
    "SequenceType": {1: "Type"},
    "MapType": {1: "int", 2: "Type"},
    "Shape": {1: "Dimension*"},
    "Dimension": {1: "int", 2: "bytes", 3: "bytes"},
    "Entry": {1: "bytes", 2: "bytes"},
}  # fmt: skip
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
WIRE = {"int": VARINT, "float": FIXED32, "double": FIXED64}
TAG_BITS, VALUE_BITS = 32, 64


def fields(kind: str, message: memoryview) -> Iterator[Tuple[int, Value]]:
    """Number and value of each field of a message of one kind: an integer, or the bytes of anything else.

    Raises:
        ValueError: not such a message in its one canonical spelling.
    """
    known, at = FIELDS[kind], 0
    seen: Set[int] = set()
    while at < len(message):
        tag, at = _varint(message, at, TAG_BITS)
        number, wire = tag >> 3, tag & 7
        if number not in known:
            raise ValueError(f"field {number} of a {kind} is not defined by onnx.proto")
        holds = known[number].rstrip("*")
        repeated = holds != known[number]
        if wire != WIRE.get(holds, BYTES) and not (repeated and holds in WIRE and wire == BYTES):
            raise ValueError(f"field {number} of a {kind} has wire type {wire}, which is not that of {holds}")
        if number in seen and not repeated:
            raise ValueError(f"field {number} of a {kind} is given twice")
        seen.add(number)
        if wire == VARINT:
            value, at = _varint(message, at, VALUE_BITS)
            yield number, value
            continue
        if wire == BYTES:
            size, at = _varint(message, at, VALUE_BITS)
        else:
            size = 8 if wire == FIXED64 else 4
        if size > len(message) - at:
            raise ValueError("a field is longer than its message")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int, bits: int) -> Tuple[int, int]:
    """The integer at a position, and the position after it."""
    value = shift = 0
    while True:
        if at >= len(message):
            raise ValueError("a number is truncated")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if value >> bits or shift >= bits:
            raise ValueError(f"a number has more than {bits} bits")
        if not byte & 0x80:
            if not byte and shift:
                raise ValueError("a number is written longer than it must be")
            return value, at
        shift += 7
