"""The fingerprint of the machine that the probe runs on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

# The instruction sets that choose onnxruntime's kernels, and so its numerics.
DECISIVE = (
    "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "avx_vnni", "amx_int8", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip


# Bits of the Raspberry Pi firmware's get_throttled: frequency capped, throttled, soft temperature limit, now.
CAPPED_NOW = 0b1110
# What an emulator shows of the machine that it runs on.
OF_THE_HOST = ("cores", "governor", "temperature_c", "system")


def fingerprint(emulated: Optional[str] = None) -> Dict[str, Any]:
    """Machine, processor, decisive instruction sets, cores, governor, temperature, system and versions.

    What cannot be read is absent; so is, under an emulator, what would tell of the machine that it runs on.

    Args:
        emulated: what emulates this device.
    """
    import onnxruntime

    flags = _cpu_flags()
    found: Dict[str, Any] = {
        "emulated": emulated,
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
    hidden = () if emulated is None else OF_THE_HOST
    return {name: value for name, value in found.items() if value is not None and name not in hidden}


def conditions() -> Dict[str, Any]:
    """What decides how fast the device is at this moment, as far as it can be read; asked before and after timing.

    temperature_c; mhz of the first core; throttle_count, how often the processor slowed itself down since it was
    started (x86); capped, whether the firmware holds the clock down now, for heat or a weak power supply (Raspberry
    Pi).
    """
    mhz = _number("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", 10)
    throttled = _number("/sys/devices/platform/soc/soc:firmware/get_throttled", 16)
    found: Dict[str, Any] = {
        "temperature_c": _temperature(),
        "mhz": None if mhz is None else mhz // 1000,
        "throttle_count": _number("/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", 10),
        "capped": None if throttled is None else bool(throttled & CAPPED_NOW),
    }
    return {name: value for name, value in found.items() if value is not None}


def slowed_down(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the device says that it slowed itself down between two `conditions`."""
    return bool(after.get("capped")) or after.get("throttle_count", 0) > before.get("throttle_count", 0)


def saturates_int8(device: Mapping[str, Any]) -> bool:
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


def _number(path: str, base: int) -> Optional[int]:
    try:
        return int(_read(path) or "", base)
    except ValueError:
        return None


def _read(path: str) -> Optional[str]:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
