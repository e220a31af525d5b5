"""torch's exporter, as every kind of network here is given to it."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Iterator
from typing import Any

import torch


def torch_program(model: Any, args: tuple[Any, ...] = (), **how: Any) -> torch.onnx.ONNXProgram | None:
    """`torch.onnx.export` of a network or an exported program, in memory.

    Raises: whatever torch raises.
    """
    with _operators_read_once():
        return torch.onnx.export(model, args, dynamo=True, external_data=False, verbose=False, **how)


@contextlib.contextmanager
def _operators_read_once() -> Iterator[None]:
    """Exports of this block take copies of the table of ONNX operators that the first one of the process has read.

    Each would read it anew, which takes a second. It is no part of torch's public interface: a torch that keeps it
    elsewhere does so.
    """
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry
    except ImportError:
        yield
        return
    read = ONNXRegistry.__dict__.get("from_torchlib")
    if not isinstance(read, classmethod):
        yield
        return

    def copied(*args: Any, **named: Any) -> Any:
        table = copy.copy(_read(read, *args, **named))
        # An export may add operators to the lists in its table.
        table.functions = {name: [*known] for name, known in table.functions.items()}
        return table

    ONNXRegistry.from_torchlib = staticmethod(copied)  # type: ignore[method-assign]
    try:
        yield
    finally:
        ONNXRegistry.from_torchlib = read  # type: ignore[method-assign,assignment]


@functools.cache
def _read(read: Any, *args: Any, **named: Any) -> Any:
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    return read.__get__(None, ONNXRegistry)(*args, **named)
