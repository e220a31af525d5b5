"""torch's exporter, as every kind of network here is given to it."""

from __future__ import annotations

import contextlib
import copy
import functools
import pkgutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch

_one_at_a_time = threading.RLock()


def torch_program(model: Any, args: tuple[Any, ...] = (), **how: Any) -> torch.onnx.ONNXProgram | None:
    """`torch.onnx.export` of a network or an exported program, in memory.

    What torch does anew for every export and nobody needs is left out: a third of a small network's time. None of it is
    part of torch's public interface: a torch that does it elsewhere goes on doing so. torch itself replaces operators
    while it exports, for the whole process; one thread exports at a time.

    Raises: whatever torch raises.
    """
    with _one_at_a_time, _operators_read_once(), _operators_looked_up_once(), _no_lines_remembered():
        return torch.onnx.export(model, args, dynamo=True, external_data=False, verbose=False, **how)


def _operators_read_once() -> contextlib.AbstractContextManager[None]:
    """An export takes a copy of the table of ONNX operators that the first of the process has read: that takes 1 s."""
    return _replaced("torch.onnx._internal.exporter._registration:ONNXRegistry", "from_torchlib", _copied)


def _operators_looked_up_once() -> contextlib.AbstractContextManager[None]:
    """torch asks its dispatcher for all composite operators once, not twice for each library that it knows."""
    return _replaced("torch._export.utils", "_materialize_cpp_cia_ops", functools.cache)


def _no_lines_remembered() -> contextlib.AbstractContextManager[None]:
    """No node remembers which lines of Python made it: the file that is written does not tell them."""
    return _replaced("torch.fx.config", "do_not_emit_stack_traces", lambda _: True)


@contextlib.contextmanager
def _replaced(owner: str, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """In this block, what a module or class of torch has by that name is what `make` makes of it.

    Nothing is replaced where this torch has none.
    """
    try:
        there = pkgutil.resolve_name(owner)
        before = vars(there)[name]
    except (ImportError, AttributeError, KeyError):
        yield
        return
    setattr(there, name, make(before))
    try:
        yield
    finally:
        setattr(there, name, before)


def _copied(read: Any) -> Any:
    def copied(*args: Any, **named: Any) -> Any:
        table = copy.copy(_read(read, *args, **named))
        # An export may add operators to the lists in its table.
        table.functions = {name: [*known] for name, known in table.functions.items()}
        return table

    return staticmethod(copied)


@functools.cache
def _read(read: Any, *args: Any, **named: Any) -> Any:
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    return read.__get__(None, ONNXRegistry)(*args, **named)
