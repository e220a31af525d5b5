"""Static INT8: the file has the ranges of its activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import onnx

from edgefair.compress.analysis.clipping import measure_clipping
from edgefair.compress.analysis.saturation import audit_saturation
from edgefair.compress.low_precision.base import ActivationHarm, Calibration, Look, LowPrecision
from edgefair.compress.quantization.agreement import check_agreement, disagreements
from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.placement import small_layers
from edgefair.compress.quantization.prepare import STATIC, unquantizable_nodes
from edgefair.compress.quantization.static import Precision, Quantizer
from edgefair.compress.search.search import FREE

NO_GAIN = (
    "every layer is so small that INT8 makes the file smaller and, on a CPU, not faster: omit --int8 where only "
    "latency counts"
)


class StaticInt8(LowPrecision):
    """See `quantization.static`. Layers that are wrong on calibration rows stay in float."""

    needs = STATIC
    called = "static INT8"
    saturates = True
    free = FREE
    name: ClassVar[str] = "static"

    def __init__(self, prepared: onnx.ModelProto, calibration: Callable[[], Calibration]) -> None:
        super().__init__(prepared, calibration)
        on = self.calibration()
        found = calibrate(prepared, on.batches, method=on.recipe.method, percentile=on.recipe.percentile)
        self._quantizer, self._few = Quantizer(prepared, found | on.learned, on.recipe), on.few
        layers, small = self._quantizer.nodes, self._slow(prepared)
        tiny = small >= set(layers)
        self.small = frozenset() if tiny else small
        self._quantizer.hold(Precision(float_nodes=self.small), self._few)
        self.left, self.held, self.notes = (
            unquantizable_nodes(prepared),
            self._quantizer.held,
            on.notes + (NO_GAIN,) * tiny,
        )
        self.nodes = tuple(name for name in (*self._quantizer.embeddings, *layers) if name not in self.held)
        recipe = on.recipe.model_dump(mode="json")
        self.settings = {"int8": self.name, "reduce_range": False, "calibration": recipe, "calibration_rows": on.rows}

    def _slow(self, prepared: onnx.ModelProto) -> frozenset[str]:
        """Names of the layers that are no faster so."""
        return small_layers(prepared)

    def convert(self, precision: Precision) -> onnx.ModelProto:
        """See `LowPrecision`."""
        return self._quantizer.quantize(precision)

    def check_made(self, made: onnx.ModelProto) -> None:
        """See `LowPrecision`."""
        check_agreement(disagreements(self.prepared, made, self._few))

    def audit(self, look: Look) -> ActivationHarm:
        """Saturation and clipping."""
        look.tell("checking for saturation")
        sums = audit_saturation(look.made, look.batches, look.cell, look.cells, seed=look.seed)
        look.tell("checking for clipping")
        clipped = measure_clipping(self.prepared, look.calibrated, look.batches, look.cell, look.cells)
        return ActivationHarm({item.node: item for item in sums}, {item.node: item.share for item in clipped})
