"""An emulated processor: the probe run by user-mode QEMU on this machine."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from edgefair.errors import MeasurementError
from edgefair.progress import Progress
from edgefair.targets.transports.base import HERE, Ending, Reached, Section, Transport
from edgefair.targets.transports.emulation import EmulatedCpu, emulated_cpu, find_emulator
from edgefair.targets.transports.local import process_ending, start_zipapp
from edgefair.targets.transports.prefix import PYTHON, WHEELS, build_system, open_prefix, system_path


class QemuTransport(Transport):
    """Runs the zipapp unchanged under `qemu-MACHINE -cpu CPU -L PREFIX PYTHON`, without this process's environment."""

    section = Section("cpu", str, "Processor that QEMU emulates: haswell, cortex-a72, ...")
    shares_files = True
    machine_key = HERE

    def __init__(self, profile: Reached) -> None:
        super().__init__(profile)
        self._cpu = emulated_cpu(self.settings)

    @staticmethod
    def emulates(settings: str) -> str:
        """QEMU."""
        return f"QEMU, -cpu {settings}"

    def prepare(self, progress: Progress) -> None:
        """Build the foreign system, where one is needed.

        Raises:
            MeasurementError: QEMU or a tool is missing, or the archives cannot be reached.
        """
        find_emulator(self._cpu)
        if self._cpu.foreign:
            build_system(self._cpu.machine, progress)

    def lacks(self) -> str | None:
        """QEMU, or the foreign system."""
        try:
            find_emulator(self._cpu)
            open_prefix(self._cpu)
        except MeasurementError as error:
            return error.found
        return None

    def start(self) -> subprocess.Popen[bytes]:
        """Start the probe in the emulator.

        Raises:
            MeasurementError: QEMU is not installed, or the target is not prepared.
        """
        command, environment = self.python()
        return start_zipapp(command, target=self.profile.name, environment=environment)

    def python(self) -> tuple[list[str], dict[str, str]]:
        """The emulator running a Python, as a command to which a program can be added, and its environment.

        Raises:
            MeasurementError: as `start`.
        """
        emulator = find_emulator(self._cpu)
        prefix = open_prefix(self._cpu)
        python, packages = _python(self._cpu)
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PYTHONPATH": os.pathsep.join(packages)}
        return [emulator, "-cpu", self._cpu.option, "-L", str(prefix), str(python), "-s", "-P"], environment

    def ended(self, code: int, said: str) -> Ending:
        """A signal or an exit code; QEMU ends as the emulated process does."""
        return process_ending(code, said)


TRANSPORT = QemuTransport


def _python(cpu: EmulatedCpu) -> tuple[Path, list[str]]:
    """A Python that the processor can run, and the folders with its numpy and onnxruntime."""
    if cpu.foreign:
        system = system_path(cpu.machine)
        return system / "root" / "usr" / "bin" / f"python{PYTHON}", [str(system / "site")]
    found = [importlib.util.find_spec(name) for name in WHEELS]
    folders = [str(Path(spec.origin).parent.parent) for spec in found if spec is not None and spec.origin is not None]
    if len(folders) < len(WHEELS):
        raise MeasurementError("this Python lacks numpy or onnxruntime", fix="install edgefair again")
    return Path(sys.executable).resolve(), list(dict.fromkeys(folders))
