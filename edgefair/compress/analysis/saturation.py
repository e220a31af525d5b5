"""Where INT8 sums saturate on x86 without VNNI, and whose rows they strike: found without such a processor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.compress.analysis.dynamic_layers import dynamic_layers
from edgefair.compress.analysis.integer_layers import Integers, QuantizedLayer, quantized_layers
from edgefair.graphs.inner_values import inner_values
from edgefair.streams import Stream

LOWEST, HIGHEST = -(2**15), 2**15 - 1
UNSIGNED_MAX = 255
# Pair sums that are in memory at one time.
SUMS_AT_ONCE = 1 << 21


@dataclass(frozen=True, eq=False)
class Saturation:
    """How far one layer's pair sums leave 16 bits, cell by cell of the rows.

    Attributes:
        node: name of the layer.
        possible: whether the weights let any pair of activations saturate; if not, nothing was looked at.
        pairs: pair sums that were looked at, int64 [cells].
        beyond: of them outside of int16, int64 [cells].
        largest: the farthest one's distance from int16, int64 [cells].
        error: root mean square of what the layer's output loses, relative to that of the output before its bias,
            float64 [cells]; NaN where nothing was looked at.
    """

    node: str
    possible: bool
    pairs: NDArray[np.int64]
    beyond: NDArray[np.int64]
    largest: NDArray[np.int64]
    error: NDArray[np.float64]

    @property
    def share(self) -> NDArray[np.float64]:
        """Pair sums outside of int16, of all, float64 [cells]; NaN where a cell has no rows."""
        if not self.possible:
            return np.zeros(len(self.pairs))
        share: NDArray[np.float64] = np.divide(
            self.beyond, self.pairs, out=np.full(len(self.pairs), np.nan), where=self.pairs > 0
        )
        return share

    @property
    def saturates(self) -> bool:
        """Whether any pair sum does."""
        return bool(self.beyond.any())


def audit_saturation(
    model: onnx.ModelProto,
    batches: Iterable[dict[str, NDArray[Any]]],
    cell: NDArray[np.int64],
    cells: int,
    *,
    places: int = 16,
    seed: int,
) -> tuple[Saturation, ...]:
    """Saturation of every U8S8 layer of a QDQ graph, for the rows of every cell.

    Kernels without VNNI multiply by VPMADDUBSW, which adds the products of neighbours along K with saturation:
    sat16(x[2k] w[2k] + x[2k+1] w[2k+1]); the sums of two that follow are 32 bits wide. The products here are of the
    layer's true integer inputs, as they are where no layer before it saturates. Which layers cannot saturate
    (reduced range, unsigned weights, depthwise, float) is told from their weights alone.

    Args:
        batches: rows as graph inputs, in order.
        cell: index of every row's cell, int64 [rows], 0 <= cell < cells.
        places: output positions drawn from every row and layer.
        seed: draws them.

    Raises:
        ModelError: the graph cannot be run.
    """
    counts = {layer.node: _Counts(layer, cells) for layer in quantized_layers(model)}
    running = [item for item in counts.values() if item.can_saturate]
    rng = np.random.default_rng([seed, Stream.SATURATION_OPERANDS])
    for values, part in _values(model, [item.layer.values for item in running], batches, cell):
        for item in running:
            operands = item.layer.operands(values[item.layer.values], places, rng)
            if operands is not None and len(operands) == len(part):
                item.add(operands, part, np.full(len(part), item.layer.zero), np.ones(len(part)))
    return tuple(item.result() for item in counts.values())


def audit_dynamic_saturation(
    prepared: onnx.ModelProto,
    quantized: onnx.ModelProto,
    batches: Iterable[dict[str, NDArray[Any]]],
    cell: NDArray[np.int64],
    cells: int,
    *,
    places: int = 16,
    seed: int,
) -> tuple[Saturation, ...]:
    """As `audit_saturation`, for a dynamic INT8 graph, whose kernels saturate the same way.

    The activations are those of the FP32 graph, coded by the range of their row: a model of this kind is measured one
    row at a time.

    Args:
        prepared: the FP32 graph.
        quantized: what `quantize_dynamic` made of it.
    """
    layers = dynamic_layers(prepared, quantized)
    counts = {item.layer.node: _Counts(item.layer, cells) for item in layers}
    running = [item for item in layers if counts[item.layer.node].can_saturate]
    rng = np.random.default_rng([seed, Stream.SATURATION_OPERANDS])
    for values, part in _values(prepared, [item.layer.values for item in running], batches, cell):
        for item in running:
            value = values[item.layer.values]
            if len(value) != len(part):
                continue
            codes, zero, step = item.codes(value)
            operands = item.layer.operands(codes, places, rng)
            if operands is not None:
                counts[item.layer.node].add(operands, part, zero, step)
    return tuple(item.result() for item in counts.values())


def _values(
    model: onnx.ModelProto, names: list[str], batches: Iterable[dict[str, NDArray[Any]]], cell: NDArray[np.int64]
) -> Iterator[tuple[dict[str, NDArray[Any]], NDArray[np.int64]]]:
    """The named values of every batch, and the cells of its rows; nothing where there are no names."""
    start = 0
    for values in inner_values(model, list(dict.fromkeys(names)), batches) if names else ():
        part = cell[start : start + len(values[names[0]])]
        start += len(part)
        yield values, part


class _Counts:
    """Sums over the rows seen so far, per cell."""

    def __init__(self, layer: QuantizedLayer, cells: int) -> None:
        self.layer = layer
        weight = layer.weight
        if weight.shape[2] % 2:
            weight = np.pad(weight, [(0, 0), (0, 0), (0, 1)])
        pairs = weight.reshape(*weight.shape[:2], -1, 2)
        most = UNSIGNED_MAX * np.maximum(pairs, 0).sum(axis=3)
        least = UNSIGNED_MAX * np.minimum(pairs, 0).sum(axis=3)
        # Pairs whose sum can leave int16 at all: few, so only they are computed.
        self._suspects = np.argwhere((most > HIGHEST) | (least < LOWEST))
        self._pairs = pairs
        self._sums = np.zeros((4, cells))
        self._largest = np.zeros(cells, dtype=np.int64)

    @property
    def can_saturate(self) -> bool:
        return len(self._suspects) > 0

    def add(
        self, operands: Integers, cell: NDArray[np.int64], zero: NDArray[np.int64], step: NDArray[np.float64]
    ) -> None:
        """Operands int32 [rows, places, groups, K] of rows in these cells, with every row's zero point and step."""
        rows, places, _, depth = operands.shape
        groups, outputs = self.layer.weight.shape[:2]
        group, output, pair = self._suspects.T
        weight = self._pairs[group, output, pair]
        padded = np.pad(operands, [(0, 0), (0, 0), (0, 0), (0, depth % 2)])
        lost = np.zeros((rows, places, groups * outputs))
        beyond = np.zeros(rows)
        target = group * outputs + output
        at_once = max(1, SUMS_AT_ONCE // (places * len(pair)))
        for first in range(0, rows, at_once):
            part = padded[first : first + at_once]
            x = part.reshape(*part.shape[:3], -1, 2)[:, :, group, pair]
            total = (x * weight).sum(axis=-1)
            excess = total - np.clip(total, LOWEST, HIGHEST)
            where = excess != 0
            beyond[first : first + at_once] = where.sum(axis=(1, 2))
            np.maximum.at(self._largest, cell[first : first + at_once], np.abs(excess).max(axis=(1, 2)))
            row, place, suspect = np.nonzero(where)
            np.add.at(lost, (row + first, place, target[suspect]), excess[where])
        centred = np.moveaxis(operands - zero[:, None, None, None], 2, 0).reshape(groups, rows * places, depth)
        products = centred.astype(np.float64) @ self.layer.weight.transpose(0, 2, 1)
        exact = np.moveaxis(products.reshape(groups, rows, places, outputs), 0, 2).reshape(lost.shape)
        scale = self.layer.scale.reshape(-1) * step[:, None, None]
        per_row = (
            np.full(rows, places * self._pairs.size // 2),
            beyond,
            ((lost * scale) ** 2).sum(axis=(1, 2)),
            ((exact * scale) ** 2).sum(axis=(1, 2)),
        )
        for sums, values in zip(self._sums, per_row, strict=True):
            np.add.at(sums, cell, values)

    def result(self) -> Saturation:
        pairs, beyond, lost, exact = self._sums
        error = np.sqrt(np.divide(lost, exact, out=np.full(len(lost), np.nan), where=exact > 0))
        return Saturation(
            node=self.layer.node,
            possible=self.can_saturate,
            pairs=pairs.astype(np.int64),
            beyond=beyond.astype(np.int64),
            largest=self._largest,
            error=error,
        )
