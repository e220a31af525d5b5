"""The processors that user-mode QEMU can stand in for. Numerics are the device's, the clock is not."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from edgefair.errors import MeasurementError, UsageError, did_you_mean

X86_FLAGS = (
    "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 syscall nx rdtscp "
    "lm pni pclmulqdq ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt aes xsave avx f16c rdrand lahf_lm abm bmi1 avx2 bmi2 "
    "erms"
)
ARM_V8 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
ARM_V8_2 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


@dataclass(frozen=True)
class EmulatedCpu:
    """A processor as QEMU emulates it.

    Attributes:
        machine: `uname -m` of such a device.
        option: value of QEMU's `-cpu`, without the features that its emulation lacks and would warn about.
        cpuinfo: /proc/cpuinfo of such a device. QEMU shows the guest the host's, which would claim instructions that
            are not there (VNNI), and on ARM makes onnxruntime's cpuinfo fail. Its flags must agree with `option`:
            a claim too many ends in an illegal instruction.
    """

    name: str
    machine: str
    option: str
    cpuinfo: str

    @property
    def emulator(self) -> str:
        """Name of the QEMU program."""
        return f"qemu-{self.machine}"

    @property
    def foreign(self) -> bool:
        """Whether this machine's own Python is for another kind of processor."""
        return platform.machine() != self.machine


def _x86(name: str, option: str, model: str, flags: str) -> EmulatedCpu:
    fields = {"processor": "0", "vendor_id": "GenuineIntel", "cpu family": "6", "model name": model, "flags": flags}
    return EmulatedCpu(name, "x86_64", option, _cpuinfo(fields))


def _arm(name: str, model: str, part: str, features: str) -> EmulatedCpu:
    fields = {
        "processor": "0",
        "model name": model,
        "Features": features,
        "CPU implementer": "0x41",
        "CPU architecture": "8",
        "CPU variant": "0x0",
        "CPU part": part,
        "CPU revision": "3",
    }
    return EmulatedCpu(name, "aarch64", name, _cpuinfo(fields))


def _cpuinfo(fields: Mapping[str, str]) -> str:
    return "".join(f"{name}\t: {value}\n" for name, value in fields.items()) + "\n"


CPUS: Mapping[str, EmulatedCpu] = {
    cpu.name: cpu
    for cpu in (
        _x86(
            "haswell",
            "Haswell-noTSX,-pcid,-x2apic,-tsc-deadline,-invpcid",
            "Intel Core Processor (Haswell, emulated)",
            X86_FLAGS,
        ),
        _arm("cortex-a53", "Cortex-A53 (emulated)", "0xd03", ARM_V8),
        _arm("cortex-a72", "Cortex-A72 (emulated)", "0xd08", ARM_V8),
        _arm("cortex-a76", "Cortex-A76 (emulated)", "0xd0b", ARM_V8_2),
    )
}


def emulated_cpu(name: str) -> EmulatedCpu:
    """A processor by its name.

    Raises:
        UsageError: it is not among those that can be emulated.
    """
    if name not in CPUS:
        raise UsageError(
            f"processor '{name}' is not emulated{did_you_mean(name, CPUS)}",
            expected=f"one of {', '.join(CPUS)} (QEMU has no AVX-512 and no VNNI)",
        )
    return CPUS[name]


def find_emulator(cpu: EmulatedCpu) -> str:
    """Path of the QEMU program for a processor.

    Raises:
        MeasurementError: it is not installed.
    """
    for program in (f"{cpu.emulator}-static", cpu.emulator):
        path = shutil.which(program)
        if path is not None:
            return path
    raise MeasurementError(
        f"target 'qemu:{cpu.name}': {cpu.emulator} is not installed",
        expected=f"{cpu.emulator}-static or {cpu.emulator} on the PATH",
        fix="on Debian or Ubuntu: apt-get install qemu-user-static",
    )
