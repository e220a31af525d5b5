"""Energy of a query, from a counter or a power meter that the device has, block after block of one model's queries.

Layouts, all below /sys/class:
    powercap/intel-rapl:N/{name,energy_uj,max_energy_range_uj}: Linux, Documentation/power/powercap/powercap.rst.
        AMD processors have it too.
    hwmon/hwmonN/{name,powerN_input,energyN_input} in uW and uJ: Documentation/hwmon/sysfs-interface.rst.
    hwmon/hwmonN/{inN_label,inN_input,currN_input} in mV and mA: Documentation/hwmon/ina3221.rst, the meter of a Jetson.
A Raspberry Pi 5 tells voltage and current of its rails through `vcgencmd pmic_read_adc`.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from edgefair.probe.device import SYS, read_number, read_text

# Blocks per model, seconds of each, and seconds of the same queries before it that are left out: meters average.
BLOCKS, BLOCK_S, SETTLING_S = 4, 1.0, 0.25
SAMPLE_S = 0.1
VCGENCMD_S = 2.0
# Rails of a Jetson that add up to the module's input: Orin NX and Nano, Xavier NX, TX2 and Nano, AGX Orin.
JETSON = (("VDD_IN",), ("POM_5V_IN",), ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"))
MODULE = "the whole module, idle included"
MACHINE = "the whole machine, idle included"
FED = "all that this meter feeds, idle included"
RAIL = re.compile(r"^\s*(\w+)_([AV]) \w+\(\d+\)=([0-9.]+)[AV]\s*$", re.MULTILINE)

# What a meter raises that cannot be read.
FAILURES = (OSError, ValueError, subprocess.SubprocessError)

Query = Callable[[], Any]


class Meter:
    """Something that knows what energy was used. source: its name; covers: of what."""

    def __init__(self, source: str, covers: str) -> None:
        self.source = source
        self.covers = covers

    def joules(self, query: Query, seconds: float) -> Tuple[float, int]:
        """Energy of queries one after the other for some seconds, and how many there were.

        Raises:
            OSError, ValueError, SubprocessError: it cannot be read.
        """
        raise NotImplementedError


class Counter(Meter):
    """Counters of uJ, each with the value after which it begins again; None: it never does."""

    def __init__(self, source: str, covers: str, files: Sequence[Tuple[Path, Optional[int]]]) -> None:
        super().__init__(source, covers)
        self._files = files

    def joules(self, query: Query, seconds: float) -> Tuple[float, int]:
        """See `Meter`."""
        before = self.read()
        queries, _ = _repeat(query, seconds)
        used = 0
        for (_, most), first, last in zip(self._files, before, self.read()):
            if last < first and most is None:
                raise ValueError("the counter was reset")
            used += last - first if last >= first else last - first + (most or 0)
        return used / 1e6, queries

    def read(self) -> List[int]:
        """What each counter says now, uJ."""
        return [int(path.read_text()) for path, _ in self._files]


class Power(Meter):
    """A meter of power, read ten times a second beside the queries."""

    def __init__(self, source: str, covers: str, watts: Callable[[], float]) -> None:
        super().__init__(source, covers)
        self.watts = watts

    def joules(self, query: Query, seconds: float) -> Tuple[float, int]:
        """See `Meter`: mean power times the time."""
        samples = [self.watts()]
        done = threading.Event()

        def sample() -> None:
            with contextlib.suppress(*FAILURES):
                while not done.wait(SAMPLE_S):
                    samples.append(self.watts())

        beside = threading.Thread(target=sample, daemon=True)
        beside.start()
        try:
            queries, took = _repeat(query, seconds)
        finally:
            done.set()
            beside.join()
        return sum(samples) / len(samples) * took, queries


def find_meter(root: Path = SYS) -> Optional[Meter]:
    """The meter that covers most of the device, of those that can be read; None without one."""
    for look in (_jetson, _board, lambda _: _raspberry_pi(), _rapl):
        try:
            meter = look(root / "class")
            if meter is not None:
                meter.joules(lambda: None, 0.0)
                return meter
        except FAILURES:
            continue
    return None


def per_query(
    meter: Meter, queries: Mapping[str, Query], block_s: float = BLOCK_S, settling_s: float = SETTLING_S
) -> Optional[Dict[str, Any]]:
    """Energy of a query of every model in blocks A B A B ...; None where the meter fails or did not move.

    source and covers as the meter's; mj: per model, mJ per query of each block.
    """
    blocks: Dict[str, List[float]] = {name: [] for name in queries}
    try:
        for _ in range(BLOCKS):
            for name, query in queries.items():
                _repeat(query, settling_s)
                joules, count = meter.joules(query, block_s)
                blocks[name].append(joules * 1e3 / count)
    except FAILURES:
        return None
    if min(min(block) for block in blocks.values()) <= 0:
        return None
    return {"source": meter.source, "covers": meter.covers, "mj": blocks}


def _repeat(query: Query, seconds: float) -> Tuple[int, float]:
    """Run a query again and again, once at least; how often, and the seconds that it took."""
    started = time.perf_counter()
    count = 0
    while True:
        query()
        count += 1
        took = time.perf_counter() - started
        if took >= seconds:
            return count, took


def _jetson(root: Path) -> Optional[Meter]:
    rails: Dict[str, Tuple[Path, Path]] = {}
    for chip in sorted(root.glob("hwmon/hwmon*")):
        if read_text(chip / "name") == "ina3221":
            for channel in "123":
                label = read_text(chip / f"in{channel}_label")
                if label is not None:
                    rails[label] = chip / f"in{channel}_input", chip / f"curr{channel}_input"
    for names in JETSON:
        if set(names) <= set(rails):
            return Power(f"INA3221 {' + '.join(names)}", MODULE, _product([rails[name] for name in names]))
    return None


def _product(rails: Sequence[Tuple[Path, Path]]) -> Callable[[], float]:
    """Watts of rails, from files with mV and mA."""
    return lambda: sum(int(volts.read_text()) * int(amps.read_text()) for volts, amps in rails) / 1e6


def _board(root: Path) -> Optional[Meter]:
    """The one meter that a machine has for itself: ACPI's, or an INA2xx. Of several INA2xx none is the whole board."""
    chips = [(read_text(chip / "name") or "", chip) for chip in sorted(root.glob("hwmon/hwmon*"))]
    for kind, covers in (("power_meter", MACHINE), ("ina2", FED)):
        found = [(name, chip) for name, chip in chips if name.startswith(kind)]
        if len(found) != 1:
            continue
        name, chip = found[0]
        if (chip / "energy1_input").exists():
            return Counter(f"{name} energy1", covers, [(chip / "energy1_input", None)])
        for file in ("power1_average", "power1_input"):
            if (chip / file).exists():
                return _power(f"{name} {file}", covers, chip / file)
    return None


def _power(source: str, covers: str, file: Path) -> Meter:
    return Power(source, covers, lambda: int(file.read_text()) / 1e6)


def _raspberry_pi() -> Optional[Meter]:
    return Power("PMIC (vcgencmd)", "all rails of the board's PMIC, without its 5 V outputs, idle included", _pmic)


def _pmic() -> float:
    command = ["vcgencmd", "pmic_read_adc"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=VCGENCMD_S, check=True)
    return rails_power(done.stdout.decode(errors="replace"))


def rails_power(text: str) -> float:
    """Watts of the rails of which `vcgencmd pmic_read_adc` says both voltage and current.

    Raises:
        ValueError: there is none.
    """
    read: Dict[str, Dict[str, float]] = {"A": {}, "V": {}}
    for rail, kind, value in RAIL.findall(text):
        read[kind][rail] = float(value)
    both = sorted(set(read["A"]) & set(read["V"]))
    if not both:
        raise ValueError("no rail with voltage and current")
    return sum(read["A"][rail] * read["V"][rail] for rail in both)


def _rapl(root: Path) -> Optional[Meter]:
    zones = [
        (read_text(zone / "name") or "", zone)
        for zone in sorted(root.glob("powercap/intel-rapl:*"))
        if zone.name.count(":") == 1
    ]
    packages = [(name, zone) for name, zone in zones if name.startswith("package")]
    if not packages:
        return None
    return Counter(
        f"RAPL {' + '.join(name for name, _ in packages)}",
        "the processor alone, all its cores, idle included",
        [(zone / "energy_uj", read_number(zone / "max_energy_range_uj")) for _, zone in packages],
    )
