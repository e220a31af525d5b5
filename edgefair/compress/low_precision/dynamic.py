"""Dynamic INT8: ranges of activations are found while the file runs."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from edgefair.compress.analysis.saturation import audit_dynamic_saturation
from edgefair.compress.low_precision.base import ActivationHarm, Calibration, Look, LowPrecision
from edgefair.compress.quantization.dynamic import quantize_dynamic
from edgefair.compress.quantization.prepare import DYNAMIC, dynamic_nodes, unquantizable_nodes
from edgefair.compress.quantization.static import Precision


class DynamicInt8(LowPrecision):
    """See `quantization.dynamic`."""

    needs = DYNAMIC
    uncalibrated = "dynamic INT8 finds its ranges at run time"
    called = "dynamic INT8"
    unsaturated = "7-bit weights (reduce_range of the target)"

    def __init__(self, prepared: onnx.ModelProto, calibration: Callable[[], Calibration]) -> None:
        super().__init__(prepared, calibration)
        self.nodes, self.left = dynamic_nodes(prepared), unquantizable_nodes(prepared)
        self.settings = {"int8": "dynamic", "reduce_range": False}

    def convert(self, precision: Precision) -> onnx.ModelProto:
        """See `LowPrecision`."""
        reduced = precision.reduced_nodes is None
        return quantize_dynamic(self.prepared, reduce_range=reduced, float_nodes=precision.float_nodes)

    def audit(self, look: Look) -> ActivationHarm:
        """Saturation."""
        look.tell("checking for saturation")
        sums = audit_dynamic_saturation(self.prepared, look.made, look.batches, look.cell, look.cells, seed=look.seed)
        notes = (f"{self.uncalibrated}, row by row: it clips nothing",)
        return ActivationHarm({item.node: item for item in sums}, notes=notes)
