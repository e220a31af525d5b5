"""The fingerprint of the machine that the probe runs on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np

# The instruction sets that choose onnxruntime's kernels, and so its numerics.
DECISIVE = (
    "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "avx_vnni", "amx_int8", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip


def fingerprint() -> Dict[str, Any]:
    """Machine, processor, decisive instruction sets, cores, governor, temperature, system and versions.

    What cannot be read is absent.
    """
    import onnxruntime

    flags = _cpu_flags()
    found: Dict[str, Any] = {
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "flags": sorted(set(flags) & set(DECISIVE)),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "temperature_c": _temperature(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "providers": onnxruntime.get_available_providers(),
    }
    return {name: value for name, value in found.items() if value is not None}


def saturates_int8(device: Dict[str, Any]) -> bool:
    """Whether INT8 kernels add U8S8 products in 16 bits and may saturate: x86 without VNNI (see targets.md)."""
    if device.get("machine") not in ("x86_64", "AMD64", "i686"):
        return False
    return not set(device.get("flags", ())) & {"avx512_vnni", "avx_vnni", "amx_int8"}


def _cpu_flags() -> List[str]:
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return value.split()
    return []


def _cpu_model() -> Optional[str]:
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "Hardware"):
            return value.strip()
    return platform.processor() or None


def _temperature() -> Optional[float]:
    value = _read("/sys/class/thermal/thermal_zone0/temp")
    return None if value is None or not value.lstrip("-").isdigit() else int(value) / 1000.0


def _read(path: str) -> Optional[str]:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
