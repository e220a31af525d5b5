"""Static INT8: the file has the ranges of its activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import onnx

from edgefair.compress.analysis.clipping import measure_clipping
from edgefair.compress.analysis.saturation import audit_saturation
from edgefair.compress.low_precision.base import ActivationHarm, Calibration, Look, LowPrecision
from edgefair.compress.low_precision.treated import treat
from edgefair.compress.quantization.agreement import check_agreement, disagreements
from edgefair.compress.quantization.placement import small_layers
from edgefair.compress.quantization.prepare import STATIC, quantizable_nodes, unquantizable_nodes
from edgefair.compress.quantization.static import Precision
from edgefair.compress.search.search import FREE

UNTREATED = "weights and biases stay as they are, as they were trained for INT8 with the ranges that go with them"
NO_GAIN = (
    "every layer is so small that INT8 makes the file smaller and, on a CPU, not faster: omit --int8 where only "
    "latency counts"
)


class StaticInt8(LowPrecision):
    """See `quantization.static`. Layers that are wrong on calibration rows stay in float."""

    needs = STATIC
    called = "static INT8"
    unsaturated: ClassVar[str | None] = "7-bit or unsigned weights in these layers"
    free = FREE
    name: ClassVar[str] = "static"

    def __init__(self, prepared: onnx.ModelProto, calibration: Callable[[], Calibration]) -> None:
        super().__init__(prepared, calibration)
        on = self.calibration()
        small = self._slow(prepared)
        tiny = small >= set(quantizable_nodes(prepared))
        self.small = frozenset() if tiny else small
        self._few, self.notes = on.few, on.notes + (NO_GAIN,) * tiny
        if on.learned and (on.recipe.equalize or on.recipe.correct_biases):
            self.notes += (f"calibration '{on.recipe.name}': {UNTREATED}",)
        self._treated, self._quantizer = treat(prepared, on, self.small)
        self.left, self.held = unquantizable_nodes(prepared), self._quantizer.held
        names = (*self._quantizer.embeddings, *self._quantizer.nodes)
        self.nodes = tuple(name for name in names if name not in self.held)
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
        check_agreement(disagreements(self._treated, made, self._few))

    def audit(self, look: Look) -> ActivationHarm:
        """Saturation and clipping."""
        look.tell("checking for saturation")
        sums = audit_saturation(look.made, look.batches, look.cell, look.cells, seed=look.seed)
        look.tell("checking for clipping")
        clipped = measure_clipping(self._treated, look.calibrated, look.batches, look.cell, look.cells)
        return ActivationHarm({item.node: item for item in sums}, {item.node: item.share for item in clipped})
