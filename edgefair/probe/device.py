"""The fingerprint of the machine that the probe runs on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Union

import numpy as np

from edgefair.probe.runtimes import NAMES, runtime_named
from edgefair.probe.system.linux import core_count, proc_text
from edgefair.probe.system.macos import mac_processor

# The instruction sets that choose onnxruntime's kernels, and so its numerics.
DECISIVE = (
    "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "avx_vnni", "amx_int8", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip

SYS = Path("/sys")
# Kinds of processors whose INT8 kernels depend on their instruction sets, as Linux, macOS and Windows name them.
X86 = ("x86_64", "AMD64", "i686")
# Bits of the Raspberry Pi firmware's get_throttled: frequency capped, throttled, soft temperature limit; now, and at
# any time since it was started.
CAPPED_NOW, CAPPED_EVER = 0b1110, 0b1110 << 16
# Parts of the names of thermal zones that are the processor's, and of cooling devices that slow it or the GPU down.
PROCESSOR_ZONES = ("cpu", "pkg", "soc")
SLOWING = ("Processor", "cpufreq", "devfreq")
# What an emulator shows of the machine that it runs on.
OF_THE_HOST = ("cores", "governor", "temperature_c", "system")


def fingerprint(emulated: Optional[str] = None) -> Dict[str, Any]:
    """Machine, processor, decisive instruction sets, cores, governor, temperature, system and versions.

    What cannot be read is absent, and so is a runtime that is not installed; under an emulator also what would tell of
    the machine that it runs on.

    Args:
        emulated: what emulates this device.
    """
    flags = _cpu_flags()
    found: Dict[str, Any] = {
        "emulated": emulated,
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "flags": None if flags is None else sorted(set(flags) & set(DECISIVE)),
        "cores": core_count(),
        "governor": read_text(SYS / "devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "temperature_c": _temperature(SYS),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        **{key: value for name in NAMES for key, value in runtime_named(name).facts().items()},
    }
    hidden = () if emulated is None else OF_THE_HOST
    return {name: value for name, value in found.items() if value is not None and name not in hidden}


def conditions(core: int = 0, root: Path = SYS) -> Dict[str, Any]:
    """What decides how fast the device is at this moment, as far as it can be read; asked before and after timing.

    temperature_c, of the hottest of the processor's zones; mhz of the core; throttle_count, how often its processor
    slowed itself down since it was started (x86); capped, whether the clock is held down now, by the firmware for heat
    or a weak power supply (Raspberry Pi) or by the kernel for heat; was_capped, whether the firmware held it down at
    any time since it was started (Raspberry Pi).

    Layout: Linux, Documentation/driver-api/thermal/sysfs-api.rst; the counter: arch/x86 thermal throttling.
    """
    cpu = root / f"devices/system/cpu/cpu{core}"
    khz = read_number(cpu / "cpufreq/scaling_cur_freq")
    firmware = next(iter(root.glob("devices/platform/soc*/soc*firmware/get_throttled")), None)
    bits = None if firmware is None else read_number(firmware, 16)
    caps = [*_slowing(root), *([] if bits is None else [bool(bits & CAPPED_NOW)])]
    found: Dict[str, Any] = {
        "temperature_c": _temperature(root),
        "mhz": None if khz is None else khz // 1000,
        "throttle_count": read_number(cpu / "thermal_throttle/package_throttle_count"),
        "capped": any(caps) if caps else None,
        "was_capped": None if bits is None else bool(bits & CAPPED_EVER),
    }
    return {name: value for name, value in found.items() if value is not None}


def slowed_down(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the device says that it slowed itself down between two `conditions`."""
    more = [after.get(name, 0) > before.get(name, 0) for name in ("throttle_count", "was_capped")]
    return bool(after.get("capped")) or any(more)


def saturates_int8(device: Mapping[str, Any]) -> bool:
    """Whether INT8 kernels add U8S8 products in 16 bits and may saturate: x86 that is not known to have VNNI
    (see targets.md)."""
    if device.get("machine") not in X86:
        return False
    return not set(device.get("flags", ())) & {"avx512_vnni", "avx_vnni", "amx_int8"}


def unknown_processor(device: Mapping[str, Any]) -> Optional[str]:
    """The name of an x86 processor whose instruction sets no system tells; only one of that name computes alike."""
    return str(device.get("cpu")) if device.get("machine") in X86 and "flags" not in device else None


def read_text(path: Union[str, Path]) -> Optional[str]:
    """A small file's text without the blanks around it; None where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def read_number(path: Path, base: int = 10) -> Optional[int]:
    """The whole number in a file; None where there is none."""
    try:
        return int(read_text(path) or "", base)
    except ValueError:
        return None


def _cpu_flags() -> Optional[List[str]]:
    """The instruction sets that Linux tells; None where no Linux does."""
    said = proc_text("cpuinfo")
    if said is None:
        return None
    for line in said.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return value.split()
    return []


def _cpu_model() -> Optional[str]:
    for line in (proc_text("cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "Hardware"):
            return value.strip()
    return mac_processor() or platform.processor() or None


def _temperature(root: Path) -> Optional[float]:
    """Of the hottest zone of the processor; of the first zone where none has such a name."""
    zones = sorted(root.glob("class/thermal/thermal_zone*"))
    own = [zone for zone in zones if any(part in (read_text(zone / "type") or "").lower() for part in PROCESSOR_ZONES)]
    read = [read_number(zone / "temp") for zone in own or zones[:1]]
    return max((value / 1000.0 for value in read if value is not None), default=None)


def _slowing(root: Path) -> List[bool]:
    """Of each device of the kernel that cools by slowing down: whether it does so now."""
    states = [
        read_number(device / "cur_state")
        for device in root.glob("class/thermal/cooling_device*")
        if any(part in (read_text(device / "type") or "") for part in SLOWING)
    ]
    return [state > 0 for state in states if state is not None]
