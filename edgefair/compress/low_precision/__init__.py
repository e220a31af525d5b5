"""Low precisions by name: a new one is a class here and a line in this table.

Each owns its nodes, its conversion and its audit; the arithmetic is in `compress.quantization`.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgefair.compress.low_precision.a16w8 import A16W8
from edgefair.compress.low_precision.base import Calibration, LowPrecision
from edgefair.compress.low_precision.dynamic import DynamicInt8
from edgefair.compress.low_precision.fp16 import Fp16
from edgefair.compress.low_precision.static import StaticInt8
from edgefair.compress.low_precision.w4 import FourBits

LOW_PRECISIONS: Mapping[str, type[LowPrecision]] = {
    "static": StaticInt8,
    "dynamic": DynamicInt8,
    "a16w8": A16W8,
    "w4": FourBits,
    "fp16": Fp16,
}

__all__ = ["LOW_PRECISIONS", "Calibration", "LowPrecision"]
