"""The range of every activation on calibration rows, streamed: memory does not grow with the number of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgefair.compress.histogram import Histogram
from edgefair.compress.placement import Graph, pairable
from edgefair.errors import DataError, ModelError
from edgefair.exporters.conversion import first_line

Method = Literal["minmax", "entropy", "percentile"]
Ranges = dict[str, tuple[float, float]]
Batch = Mapping[str, NDArray[Any]]

# Bytes of activations that one run may give.
RUN_BYTES = 64 << 20


def calibrate(
    prepared: onnx.ModelProto, batches: Iterable[Batch], *, method: Method, percentile: float = 99.99
) -> Ranges:
    """Value name -> (low, high) with low <= high, for every activation that a placement may put a pair on.

    `minmax`: the smallest and the largest value. `percentile`: what lies between cuts (100 - percentile) / 2 percent of
    the values on either side. `entropy`: the symmetric threshold T, then cut to the smallest and the largest value,
    that minimises KL(values || values clipped to [-T, T] and coded in 128 steps) (Migacz, "8-bit inference with
    TensorRT", GTC 2017).

    Args:
        prepared: a graph of `prepare_graph`.
        batches: graph inputs, read once, any number of rows each. A batch is run in parts where its activations are
            large and the graph takes any number of rows.
        percentile: above 0, at most 100; for the method of that name.

    Raises:
        DataError: no rows.
        ModelError: an activation that is not finite on calibration rows, or a graph that cannot be run.
    """
    if not 0 < percentile <= 100:
        raise DataError(f"the calibration percentile is {percentile}", expected="above 0, at most 100")
    names = pairable(Graph(prepared))
    seen: dict[str, Statistic] = {name: MinMax() if method == "minmax" else Histogram() for name in names}
    for values in _runs(prepared, names, batches):
        for name, value in zip(names, values, strict=True):
            if not value.size:
                continue
            low, high = float(value.min()), float(value.max())
            if not np.isfinite(low) or not np.isfinite(high):
                raise ModelError(
                    f"activation '{name}' is not finite on calibration rows",
                    expected="numbers",
                    fix="check the training rows and the FP32 model for NaN and overflow",
                )
            seen[name].add(value, low, high)
    if not all(item.filled for item in seen.values()):
        raise DataError("there is no calibration row", expected="rows that the ranges of activations are taken from")
    return {name: _range(item, method, percentile) for name, item in seen.items()}


class Statistic(Protocol):
    """What is kept of the values of one activation."""

    low: float
    high: float

    @property
    def filled(self) -> bool:
        """Whether any value was added."""
        ...

    def add(self, value: NDArray[Any], low: float, high: float) -> None:
        """Take in finite values, with the smallest and the largest of them."""
        ...


class MinMax:
    """The smallest and the largest value."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf

    @property
    def filled(self) -> bool:
        """Whether any value was added."""
        return self.low <= self.high

    def add(self, value: NDArray[Any], low: float, high: float) -> None:  # noqa: ARG002
        """Take in finite values, with the smallest and the largest of them."""
        self.low, self.high = min(self.low, low), max(self.high, high)


def _range(item: Statistic, method: Method, percentile: float) -> tuple[float, float]:
    if isinstance(item, Histogram):
        return item.percentile(percentile) if method == "percentile" else item.entropy()
    return item.low, item.high


def _runs(prepared: onnx.ModelProto, names: tuple[str, ...], batches: Iterable[Batch]) -> Iterator[list[NDArray[Any]]]:
    """The named values on every row, few rows at a time."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False
    try:
        session = onnxruntime.InferenceSession(
            _exposed(prepared, names).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        free = all(not isinstance(item.shape[0] if item.shape else None, int) for item in session.get_inputs())
        rows_at_once = 1 if free else None
        for batch in batches:
            rows = min(len(value) for value in batch.values())
            first = 0
            while first < rows:
                last = rows if rows_at_once is None else min(rows, first + rows_at_once)
                part = {name: value[first:last] for name, value in batch.items()}
                values = session.run(list(names), part)
                if free:
                    size = sum(value.nbytes for value in values)
                    rows_at_once = max(1, RUN_BYTES * (last - first) // max(size, 1))
                yield values
                first = last
    except (ModelError, DataError):
        raise
    except Exception as error:
        raise ModelError(f"calibration cannot run the graph: {first_line(error)}") from error


def _exposed(prepared: onnx.ModelProto, names: tuple[str, ...]) -> onnx.ModelProto:
    """The graph with these values as its outputs, which also keeps the optimizer from fusing them away."""
    shown = onnx.ModelProto()
    shown.CopyFrom(prepared)
    del shown.graph.output[:]
    shown.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    return shown
