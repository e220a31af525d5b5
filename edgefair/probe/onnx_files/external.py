"""Would a session of an ONNX file read bytes of other files, which the file's digest does not cover?"""

from __future__ import annotations

from typing import Optional

from edgefair.probe.onnx_files.protobuf import FIELDS, fields

# Messages in which something can be that lies in another file, or that lead to such.
LEADING = frozenset(
    ["Model", "Training", "Function", "Graph", "Node", "Attribute", "SparseTensor", "Tensor"],
)
NODE_NAME, NODE_OPERATOR = 3, 4
TENSOR_NAME, TENSOR_EXTERNAL_DATA, TENSOR_DATA_LOCATION = 8, 13, 14
# The operator of graphs that an execution provider compiled: its attributes name the file with the result.
COMPILED = b"EPContext"


def kept_elsewhere(content: bytes) -> Optional[str]:
    """What of the model lies in another file, in words; None if nothing does.

    Raises:
        ValueError: not a model in the canonical spelling of protobuf.
    """
    waiting = [("Model", memoryview(content))]
    while waiting:
        kind, message = waiting.pop()
        name, external, compiled = "", False, False
        for number, value in fields(kind, message):
            holds = FIELDS[kind][number].rstrip("*")
            if holds in LEADING and not isinstance(value, int):
                waiting.append((holds, value))
            elif kind == "Tensor":
                external |= number in (TENSOR_EXTERNAL_DATA, TENSOR_DATA_LOCATION) and value != 0
            elif kind == "Node" and number == NODE_OPERATOR:
                compiled = not isinstance(value, int) and value == COMPILED
            if (kind, number) in (("Tensor", TENSOR_NAME), ("Node", NODE_NAME)) and not isinstance(value, int):
                name = bytes(value).decode(errors="replace")
        if external:
            return f"it keeps its weights in other files ('{name}' is external data)"
        if compiled:
            return f"its node '{name}' is compiled for one execution provider (EPContext), and may be read from a file"
    return None
