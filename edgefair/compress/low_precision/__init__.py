"""Low precisions: a new one is a class here and a line in `compress.names`.

Each owns its nodes, its conversion and its audit; the arithmetic is in `compress.quantization`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping

from edgefair.compress import names
from edgefair.compress.low_precision.base import Calibration, LowPrecision

LOW_PRECISIONS: Mapping[str, type[LowPrecision]] = {
    name: pkgutil.resolve_name(home) for name, home in names.LOW_PRECISIONS.items()
}

__all__ = ["LOW_PRECISIONS", "Calibration", "LowPrecision"]
