"""W4: weights of 4 bits, packed, and activations in float: the smallest file of a text model."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from edgefair.compress.low_precision.base import ActivationHarm, Calibration, Look, LowPrecision
from edgefair.compress.low_precision.packing import packable_nodes, to_four_bits
from edgefair.compress.quantization.prepare import Needs, embedding_nodes, unquantizable_nodes
from edgefair.compress.quantization.static import Precision


class FourBits(LowPrecision):
    """See `low_precision.packing`."""

    needs = Needs(
        "4-bit weights",
        11,
        ("MatMul", "Gemm"),
        "the graph has no matrix product to pack in 4 bits",
        "convolutions are quantized by --int8 static",
    )
    uncalibrated = "4-bit weights have no ranges to find"
    called = "4-bit weights (W4)"
    short = "W4"

    def __init__(self, prepared: onnx.ModelProto, calibration: Callable[[], Calibration]) -> None:
        super().__init__(prepared, calibration)
        self.nodes, self.left = (*embedding_nodes(prepared), *packable_nodes(prepared)), unquantizable_nodes(prepared)
        self.settings = {"int8": "w4"}

    def convert(self, precision: Precision) -> onnx.ModelProto:
        """See `LowPrecision`."""
        return to_four_bits(self.prepared, precision.float_nodes)

    def audit(self, look: Look) -> ActivationHarm:
        """Nothing: activations stay as they are."""
        look.tell("looking for harm to activations")
        return ActivationHarm(
            notes=("4-bit weights leave activations in float: nothing is clipped, nothing saturates",)
        )
