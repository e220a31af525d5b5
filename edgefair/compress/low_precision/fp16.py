"""FP16: half the bits of every number."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from edgefair.compress.analysis.out_of_range import measure_overflow
from edgefair.compress.low_precision.base import ActivationHarm, Calibration, Look, LowPrecision
from edgefair.compress.quantization.fp16 import fp16_products, to_float16
from edgefair.compress.quantization.prepare import MARKS
from edgefair.compress.quantization.static import Precision
from edgefair.graphs.metadata import take_metadata


class Fp16(LowPrecision):
    """See `quantization.fp16`."""

    called = short = "FP16"
    uncalibrated = "FP16 has no ranges to find"

    def __init__(self, prepared: onnx.ModelProto, calibration: Callable[[], Calibration]) -> None:
        super().__init__(prepared, calibration)
        self.nodes, self.settings = fp16_products(prepared), {"fp16": True}

    def convert(self, precision: Precision) -> onnx.ModelProto:
        """See `LowPrecision`."""
        made = to_float16(self.prepared, float_nodes=precision.float_nodes)
        take_metadata(made, made, without=MARKS)
        return made

    def alone(self, node: str) -> onnx.ModelProto:
        """What lies between the products is in float as well."""
        return self.convert(Precision(float_nodes=frozenset(item.name for item in self.prepared.graph.node) - {node}))

    def audit(self, look: Look) -> ActivationHarm:
        """Overflow."""
        look.tell("checking for overflow")
        shares = measure_overflow(self.prepared, self.nodes, look.batches, look.cell, look.cells)
        return ActivationHarm(overflow=shares)
