"""Uncompressed models: each is its own reference, and lost nothing."""

from __future__ import annotations

from pathlib import Path

from edgefair.errors import UsageError
from edgefair.probe.formats import format_of
from edgefair.probe.formats.onnx import FORMAT as ONNX
from edgefair.probe.regular import read_regular


def is_original(path: Path, *, claimed: bool = False) -> bool:
    """Whether a model file that can be loaded can be its own reference: nothing in it is of few bits.

    Args:
        claimed: whether the user says that it never was compressed.

    Raises:
        UsageError: that is claimed, and its own operators say the opposite.
    """
    operator = _low_precision(path)
    if operator is not None and claimed:
        raise UsageError(
            f"'{path}' was passed with --uncompressed, but contains the {operator}",
            expected="a float model",
            fix="pass the model before compression with --reference",
        )
    return operator is None


def _low_precision(path: Path) -> str | None:
    """What shows that a model was quantized: the first such operator or tensor; None where there is none."""
    content = read_regular(path)
    kind = format_of(content)
    if kind is not ONNX:
        return kind.read(content).few_bits
    # A bundle that says that it was compressed is not looked into.
    import onnx

    from edgefair.graphs.names import parts_of
    from edgefair.graphs.quantized import is_quantized

    for part in parts_of(onnx.load_model(path, load_external_data=False)):
        for node in part.node:
            if is_quantized(node):
                return f"operator {node.op_type}"
    return None
