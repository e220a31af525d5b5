"""The range of every activation on calibration rows, streamed: memory does not grow with the number of rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.compress.quantization.placement import Graph, pairable
from edgefair.compress.quantization.prepare import unquantizable_nodes
from edgefair.compress.quantization.ranges.cells import CellHistograms
from edgefair.compress.quantization.ranges.coding import Coding
from edgefair.compress.quantization.recipe import Activations, Method
from edgefair.errors import DataError, ModelError
from edgefair.exporters.conversion import first_line
from edgefair.graphs.outputs import exposed

Ranges = dict[str, tuple[float, float]]
Batch = Mapping[str, NDArray[Any]]

# Bytes of activations that one run may give.
RUN_BYTES = 64 << 20
# Methods that look for the smallest squared error.
SQUARED = frozenset({"mse", "group-mse"})
# Of an activation: twice as much is not a float32 number any more.
LARGEST = float(np.finfo(np.float32).max) / 2


def calibrate(
    prepared: onnx.ModelProto,
    batches: Iterable[Batch],
    *,
    method: Method,
    percentile: float = 99.999,
    activations: Activations = "uint8",
    cell: NDArray[np.int64] | None = None,
) -> Ranges:
    """Value name -> (low, high) with low <= high, for every activation that a placement may put a pair on.

    The ranges are those of onnxruntime's calibrators with 2,048 bins on the same values, to one bin, but for what
    entropy must not choose. These hold every value and know the largest one; here the rows are read once for the
    extremes and once more to fill bins over them.

    `minmax`: the smallest and the largest value. `percentile`: what lies between cuts (100 - percentile) / 2 percent of
    the values on either side. `entropy`: the symmetric threshold T, then cut to the smallest and the largest value,
    that minimises KL(values || values clipped to [-T, T] and coded in 128 steps) (Migacz, "8-bit inference with
    TensorRT", GTC 2017), among those whose squared error as codes is no larger than that of `minmax`. Divergence alone
    looks at how often a value occurs and not at how large it is: of a ReLU that is zero nearly always it keeps next to
    nothing. `mse`: the range of the smallest squared error as codes. `group-mse`: the one whose largest error of a cell
    is smallest, each in units of the cell's mean square, so that no cell pays for the others' resolution.

    Args:
        prepared: a graph of `prepare_graph`.
        batches: graph inputs, any number of rows each; iterated over twice unless the method is `minmax`. A batch is
            run in parts where its activations are large and the graph takes any number of rows.
        percentile: above 0, at most 100; for the method of that name.
        activations: the codes that ranges are for.
        cell: of every row, int64 [rows], 0 <= cell; for `group-mse`. None: all rows are of one.

    Raises:
        DataError: no rows, or other ones in the second reading.
        ModelError: nothing to quantize, an activation that is not finite on calibration rows, or a graph that cannot be
            run.
    """
    if not 0 < percentile <= 100:
        raise DataError(f"the calibration percentile is {percentile}", expected="above 0, at most 100")
    names = pairable(Graph(prepared))
    if not names:
        raise ModelError(
            "the graph has nothing to quantize: no Conv, Gemm or MatMul has a constant FP32 weight"
            + "".join(f"; '{name}': {why}" for name, why in list(unquantizable_nodes(prepared).items())[:3]),
            expected="an FP32 model, whose weights are matrices on the right of a product",
            fix="omit --int8",
        )
    runner = Runner(prepared, names)
    seen = {name: _Extremes() for name in names}
    runs = 0
    for _, values in runner.values(batches):
        runs += 1
        for name, value in zip(names, values, strict=True):
            if value.size:
                _add_extremes(seen[name], name, value)
    if not runs:
        raise DataError("there are no calibration rows", expected="rows that the ranges of activations are taken from")
    # An activation with an axis of length 0 has no values, whatever the rows.
    empty = {name: (0.0, 0.0) for name, item in seen.items() if not item.values}
    if method == "minmax":
        return empty | {name: (item.low, item.high) for name, item in seen.items() if name not in empty}
    cell = cell if method == "group-mse" else None
    sampled = method in SQUARED
    counted = {
        name: CellHistograms(item.low, item.high, cell, sampled=sampled)
        for name, item in seen.items()
        if name not in empty
    }
    first = 0
    for rows, values in runner.values(batches):
        for name, value in zip(names, values, strict=True):
            if name in counted:
                counted[name].add(value, slice(first, first + rows))
        first += rows
    for name, item in counted.items():
        if item.values != seen[name].values:
            raise DataError(
                f"calibration rows gave {seen[name].values:,} values of '{name}' and {item.values:,} when they were "
                f"read again, as `method: {method}` does",
                expected="batches that are the same on every iteration",
                fix="give a list, or an object whose __iter__ restarts, instead of a generator",
            )
    coding = Coding.of(activations)
    return empty | {name: item.range(method, percentile, coding) for name, item in counted.items()}


@dataclass(slots=True)
class _Extremes:
    """What is kept of the values of one activation in the first reading."""

    low: float = np.inf
    high: float = -np.inf
    values: int = 0


def _add_extremes(to: _Extremes, name: str, value: NDArray[Any]) -> None:
    low, high = float(value.min()), float(value.max())
    if not max(-low, high) <= LARGEST:
        raise ModelError(
            f"activation '{name}' is not finite on calibration rows, or near the largest float",
            expected=f"numbers up to {LARGEST:.1e}",
            fix="check the training rows and the FP32 model for NaN and overflow",
        )
    to.low, to.high, to.values = min(to.low, low), max(to.high, high), to.values + value.size


class Runner:
    """Gives the named values on every row, few rows at a time.

    Raises:
        ModelError: onnxruntime cannot run the graph.
    """

    def __init__(self, prepared: onnx.ModelProto, names: Sequence[str]) -> None:
        import onnxruntime

        self._names = list(names)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = False
        with _as_model_errors():
            self._session = onnxruntime.InferenceSession(
                exposed(prepared, names).SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        inputs = self._session.get_inputs()
        self._free = all(not isinstance(item.shape[0] if item.shape else None, int) for item in inputs)

    def values(self, batches: Iterable[Batch]) -> Iterator[tuple[int, list[NDArray[Any]]]]:
        """Number of rows and every value, run by run.

        Equal batches are cut the same way, so a second reading gives the same numbers.
        """
        rows_at_once = 1 if self._free else None
        for batch in batches:
            rows = min(len(value) for value in batch.values())
            first = 0
            while first < rows:
                last = rows if rows_at_once is None else min(rows, first + rows_at_once)
                with _as_model_errors():
                    values = self._session.run(self._names, {name: value[first:last] for name, value in batch.items()})
                if self._free:
                    size = sum(value.nbytes for value in values)
                    rows_at_once = max(1, RUN_BYTES * (last - first) // max(size, 1))
                yield last - first, values
                first = last


@contextlib.contextmanager
def _as_model_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise ModelError(f"calibration cannot run the graph: {first_line(error)}") from error
