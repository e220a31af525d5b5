"""Whose activations the calibrated ranges cut off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgefair.compress.analysis.out_of_range import value_shares
from edgefair.compress.quantization.prepare import STATIC_OPS
from edgefair.graphs.producers import decoder, producers


@dataclass(frozen=True, eq=False)
class Clipping:
    """What of one layer's input lies outside of its range, cell by cell of the rows.

    Attributes:
        node: name of the layer.
        low: smallest number that the input's codes stand for.
        high: the largest one.
        share: of the values beyond them, by more than rounding does, float64 [cells]; NaN where a cell has no rows.
    """

    node: str
    low: float
    high: float
    share: NDArray[np.float64]


@dataclass(frozen=True)
class InputRange:
    """The numbers that the codes of a layer's input stand for, from low to high in steps."""

    low: float
    high: float
    step: float


def input_ranges(quantized: onnx.ModelProto) -> dict[str, InputRange]:
    """Layer -> range of its quantized input, for the layers of a QDQ graph that have one."""
    made_by = producers(quantized.graph.node)
    constants = {item.name: item for item in quantized.graph.initializer}
    found = {}
    for node in quantized.graph.node:
        source = decoder(made_by, node.input[0]) if node.op_type in STATIC_OPS else None
        if source is None or source.input[1] not in constants:
            continue
        step = float(numpy_helper.to_array(constants[source.input[1]]).reshape(-1)[0])
        zero = numpy_helper.to_array(constants[source.input[2]]) if len(source.input) > 2 else np.zeros(1, np.uint8)
        if zero.dtype not in (np.uint8, np.int8, np.uint16):
            continue
        codes, at = np.iinfo(zero.dtype), int(zero.reshape(-1)[0])
        found[node.name] = InputRange(low=(codes.min - at) * step, high=(codes.max - at) * step, step=step)
    return found


def measure_clipping(
    prepared: onnx.ModelProto,
    quantized: onnx.ModelProto,
    batches: Iterable[dict[str, NDArray[Any]]],
    cell: NDArray[np.int64],
    cells: int,
) -> tuple[Clipping, ...]:
    """Share of every INT8 layer's input values that the layer's range cuts off, for the rows of every cell.

    The values are those of the FP32 graph. Beyond the range means beyond it by more than half a step, where cutting
    loses more than rounding may.

    Args:
        prepared: the FP32 graph.
        quantized: the QDQ graph made from it, whose layers have the same names.
        batches: rows as graph inputs, in order.
        cell: index of every row's cell, int64 [rows], 0 <= cell < cells.

    Raises:
        ModelError: the graph cannot be run.
    """
    ranges = input_ranges(quantized)
    read = {node.name: node.input[0] for node in prepared.graph.node if node.name in ranges}

    def beyond(node: str, value: NDArray[Any]) -> NDArray[np.bool_]:
        limit = ranges[node]
        found: NDArray[np.bool_] = (value < limit.low - limit.step / 2) | (value > limit.high + limit.step / 2)
        return found

    shares = value_shares(prepared, read, beyond, batches, cell, cells)
    return tuple(
        Clipping(node=node, low=ranges[node].low, high=ranges[node].high, share=share) for node, share in shares.items()
    )
