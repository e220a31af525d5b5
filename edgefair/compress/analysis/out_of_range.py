"""What share of a layer's values is beyond what low precision can hold, cell by cell of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.graphs.inner_values import inner_values

Shares = NDArray[np.float64]
# Of a layer's name and a batch of its values: which of them are beyond.
Beyond = Callable[[str, NDArray[Any]], NDArray[np.bool_]]

# 65504 is the largest number of FP16; what lies less than half a step of 32 above it is rounded down to it.
INFINITE_IN_HALF = 65520.0


def value_shares(
    prepared: onnx.ModelProto,
    read: Mapping[str, str],
    beyond: Beyond,
    batches: Iterable[dict[str, NDArray[Any]]],
    cell: NDArray[np.int64],
    cells: int,
) -> dict[str, Shares]:
    """Layer -> share of its values that are beyond, for the rows of every cell, float64 [cells]; NaN without rows.

    Args:
        prepared: the FP32 graph, whose values are looked at.
        read: layer -> name of the value that stands for it.
        batches: rows as graph inputs, in order.
        cell: index of every row's cell, int64 [rows], 0 <= cell < cells.

    Raises:
        ModelError: the graph cannot be run.
    """
    outside = {node: np.zeros(cells) for node in read}
    seen = {node: np.zeros(cells) for node in read}
    start = 0
    names = list(dict.fromkeys(read.values()))
    for values in inner_values(prepared, names, batches) if names else ():
        rows = len(values[names[0]])
        part = cell[start : start + rows]
        start += rows
        for node, name in read.items():
            value = values[name]
            if len(value) % rows:
                continue
            np.add.at(outside[node], part, beyond(node, value).reshape(rows, -1).sum(axis=1))
            np.add.at(seen[node], part, value.size / rows)
    return {
        node: np.divide(outside[node], seen[node], out=np.full(cells, np.nan), where=seen[node] > 0) for node in read
    }


def measure_overflow(
    prepared: onnx.ModelProto,
    nodes: Iterable[str],
    batches: Iterable[dict[str, NDArray[Any]]],
    cell: NDArray[np.int64],
    cells: int,
) -> dict[str, Shares]:
    """Share of every layer's output values that become infinite in FP16, for the rows of every cell."""
    wanted = set(nodes)
    read = {node.name: node.output[0] for node in prepared.graph.node if node.name in wanted}
    return value_shares(prepared, read, lambda _, value: np.abs(value) >= INFINITE_IN_HALF, batches, cell, cells)
