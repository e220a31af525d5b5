"""Uncompressed models: each is its own reference, and lost nothing."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgefair.errors import UsageError
from edgefair.graphs.names import parts_of
from edgefair.graphs.quantized import is_quantized


def is_original(path: Path, *, claimed: bool = False) -> bool:
    """Whether an ONNX file, which onnxruntime loads, can be its own reference: nothing in it is of few bits.

    Args:
        claimed: whether the user says that it never was compressed.

    Raises:
        UsageError: that is claimed, and its own operators say the opposite.
    """
    operator = _low_precision(path)
    if operator is not None and claimed:
        raise UsageError(
            f"'{path}' was passed with --uncompressed, but contains the operator {operator}",
            expected="a float model",
            fix="pass the model before compression with --reference",
        )
    return operator is None


def _low_precision(path: Path) -> str | None:
    """The first operator that shows that a graph was quantized; None where there is none."""
    for part in parts_of(onnx.load_model(path, load_external_data=False)):
        for node in part.node:
            if is_quantized(node):
                return str(node.op_type)
    return None
