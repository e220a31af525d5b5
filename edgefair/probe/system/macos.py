"""What macOS alone has."""

from __future__ import annotations

import ctypes
import platform
from typing import Optional

NAME = b"machdep.cpu.brand_string"
MOST_BYTES = 256


def mac_processor() -> Optional[str]:
    """The name of the processor, as `sysctl machdep.cpu.brand_string` prints it; None elsewhere."""
    if platform.system() != "Darwin":
        return None
    text, size = ctypes.create_string_buffer(MOST_BYTES), ctypes.c_size_t(MOST_BYTES)
    try:
        failed = ctypes.CDLL(None).sysctlbyname(NAME, text, ctypes.byref(size), None, 0)
    except AttributeError:
        return None
    if failed:
        return None
    return text.value.decode(errors="replace") or None
