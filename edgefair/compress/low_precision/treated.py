"""A graph treated as its recipe says, and the quantizer of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.compress.low_precision.base import Calibration
from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.static import Precision, Quantizer
from edgefair.compress.quantization.treatments.equalize import equalize
from edgefair.compress.quantization.treatments.reconstruct import reconstruct

# Calibration rows whose activations are held in memory, at most: every cell gives equally many.
HELD_ROWS = 64


def treat(prepared: onnx.ModelProto, on: Calibration, in_float: frozenset[str]) -> tuple[onnx.ModelProto, Quantizer]:
    """The float graph whose numbers become codes, and its quantizer; what is wrong as codes is held in float.

    A network that was trained for INT8 has the weights and the ranges that go together: it is only calibrated.

    Args:
        in_float: layers that stay so in any case.

    Raises:
        ModelError, DataError: see `calibrate` and `Quantizer`.
    """
    recipe, floats = on.recipe, Precision(float_nodes=in_float)
    graph, trained = prepared, bool(on.learned)
    if recipe.equalize and not trained:
        graph = equalize(graph, on.batches, per_channel=recipe.weights == "per-channel")
    found = calibrate(
        graph,
        on.batches,
        method=recipe.method,
        percentile=recipe.percentile,
        activations=recipe.activations,
        cell=on.cell,
    )
    ranges = found | on.learned
    quantizer = Quantizer(graph, ranges, recipe)
    quantizer.hold(floats, on.few)
    if not recipe.correct_biases or trained:
        return graph, quantizer
    rows, cell = _held(on)
    reduced = None if on.bits == 7 else frozenset[str]()
    integers = quantizer.quantize(Precision(float_nodes=in_float, reduced_nodes=reduced))
    graph = reconstruct(graph, integers, rows, cell, rounds=recipe.rounding == "adaptive", bits=on.bits)
    quantizer = Quantizer(graph, ranges, recipe)
    quantizer.hold(floats, on.few)
    return graph, quantizer


def _held(on: Calibration) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
    """Some rows of every cell, as graph inputs, and their cells."""
    if on.takes is not None:
        return dict(on.few), np.zeros(on.takes, dtype=np.int64)
    cell = np.zeros(on.rows, dtype=np.int64) if on.cell is None else on.cell
    filled = np.unique(cell)
    each = max(1, HELD_ROWS // len(filled))
    chosen = np.sort(np.concatenate([np.flatnonzero(cell == index)[:each] for index in filled]))
    parts: dict[str, list[NDArray[Any]]] = {}
    first = 0
    for batch in on.batches:
        count = min(len(value) for value in batch.values())
        inside = chosen[(chosen >= first) & (chosen < first + count)] - first
        for name, value in batch.items():
            parts.setdefault(name, []).append(value[inside])
        first += count
    return {name: np.concatenate(values) for name, values in parts.items()}, cell[chosen]
