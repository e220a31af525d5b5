"""A16W8: activations of 16 bits and weights of 8, for NPUs, whose floats are slow or not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import onnx

from edgefair.compress.analysis.clipping import measure_clipping
from edgefair.compress.low_precision.base import ActivationHarm, Look
from edgefair.compress.low_precision.static import StaticInt8
from edgefair.compress.search.search import Move


class A16W8(StaticInt8):
    """As static INT8, with 65,536 steps between the ends of an activation's range, and every layer in low precision.

    Sums have 32 bits and more wherever 16-bit kernels exist, so nothing saturates. A CPU has none: onnxruntime computes
    convolutions in float, and (1.32) matrix products with activations in 8 bits by block, as MatMulNBits, unless the
    session entry `session.qdq_matmulnbits_accuracy_level` is 1.
    """

    called = "16-bit activations (A16W8)"
    short = "A16W8"
    unsaturated = None
    name = "a16w8"
    recipe: ClassVar[Mapping[str, Any]] = {"activations": "uint16", "runtime": "npu"}
    free = frozenset[Move]({"bias", "calibration"})

    def _slow(self, prepared: onnx.ModelProto) -> frozenset[str]:  # noqa: ARG002
        """None: an NPU gains from the small ones too, as nothing goes back and forth between integers and floats."""
        return frozenset()

    def audit(self, look: Look) -> ActivationHarm:
        """Clipping."""
        look.tell("checking for clipping")
        clipped = measure_clipping(self._treated, look.calibrated, look.batches, look.cell, look.cells)
        note = "A16W8 adds up in 32 bits and more: its sums do not saturate"
        return ActivationHarm(clipping={item.node: item.share for item in clipped}, notes=(note,))
