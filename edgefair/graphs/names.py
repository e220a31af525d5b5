"""Names that are free in an ONNX graph: whoever adds a value or a node asks here."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Self

import onnx


def parts_of(model: onnx.ModelProto) -> Iterator[onnx.GraphProto | onnx.FunctionProto]:
    """Whatever of a model has nodes: its graph and functions, and the branches and loops in them."""
    waiting: list[onnx.GraphProto | onnx.FunctionProto] = [model.graph, *model.functions]
    while waiting:
        part = waiting.pop()
        yield part
        for attribute in (attribute for node in part.node for attribute in node.attribute):
            waiting += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


class Names:
    """Names that are taken, and those that are given since."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    @classmethod
    def of(cls, model: onnx.ModelProto) -> Self:
        """Those of a model's values and nodes.

        Both share one set, as tools make names of values from those of nodes. Branches and loops count: a value of
        theirs must not have the name of one outside.
        """
        return cls(name for part in parts_of(model) for name in _names(part))

    def fresh(self, wanted: str) -> str:
        """This name if it is free, else with a number; taken from now on."""
        if wanted in self._taken:
            return self.numbered(wanted)
        self._taken.add(wanted)
        return wanted

    def numbered(self, stem: str) -> str:
        """The stem with the first number, from 0 on, that makes it free; taken from now on."""
        name = next(name for number in itertools.count() if (name := f"{stem}_{number}") not in self._taken)
        self._taken.add(name)
        return name


def _names(part: onnx.GraphProto | onnx.FunctionProto) -> Iterator[str]:
    for node in part.node:
        yield from (node.name, *node.input, *node.output)
    if isinstance(part, onnx.FunctionProto):
        yield from (*part.input, *part.output)
        return
    named: list[Any] = [*part.input, *part.output, *part.initializer, *part.value_info]
    yield from (str(item.name) for item in named)
    yield from (str(item.values.name) for item in part.sparse_initializer)
