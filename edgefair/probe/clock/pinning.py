"""Cores of its own for the time of a measurement: no migration from one core, or kind of core, to another."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Dict, FrozenSet, Iterable, Iterator, List, Mapping, Optional, Set, Tuple

from edgefair.probe.device import SYS, read_number, read_text
from edgefair.probe.system.linux import allow_cores, allowed_cores, proc_text, thread_ids

CPU = "devices/system/cpu/cpu{}"
# How long the load of the cores is looked at, seconds: ten ticks, which tell it to a tenth.
LOOK_S = 0.1


def fastest(allowed: Iterable[int], count: int, idle: Mapping[int, float], root: Path = SYS) -> List[int]:
    """The `count` fastest of the allowed logical processors, each of another physical core as long as there is one.

    Speed is cpu_capacity (big.LITTLE), then cpufreq/cpuinfo_max_freq. Of equal ones the idlest (another measurement may
    be pinned here), to a tenth, then the last: the first serves interrupts.
    Layout: Linux, Documentation/ABI/testing/sysfs-devices-system-cpu.
    """

    def speed(cpu: int) -> List[float]:
        place = root / CPU.format(cpu)
        capacity, khz = (read_number(place / name) or 0 for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"))
        return [capacity, khz, round(idle.get(cpu, 1.0), 1), cpu]

    ordered = sorted(allowed, key=speed, reverse=True)
    first: List[int] = []
    siblings: List[int] = []
    seen: Set[FrozenSet[int]] = set()
    for cpu in ordered:
        core = _siblings(cpu, root)
        (siblings if core in seen else first).append(cpu)
        seen.add(core)
    return sorted([*first, *siblings][:count])


@contextlib.contextmanager
def pinned(threads: int) -> Iterator[Optional[List[int]]]:
    """Every thread of this process on as many cores as there are threads; as before afterwards.

    Gives the cores, or None where the system does not let a process choose them.
    """
    try:
        cores = fastest(allowed_cores(), threads, idle_shares(LOOK_S))
        before = _place(cores)
    except OSError:
        yield None
        return
    try:
        yield cores
    finally:
        _restore(before)


def idle_shares(seconds: float) -> Dict[int, float]:
    """Share of the next moment that each logical processor is idle, 0 to 1; empty where the system does not say."""
    before = _ticks(proc_text("stat") or "")
    time.sleep(seconds)
    after = _ticks(proc_text("stat") or "")
    return {
        cpu: (idle - before[cpu][0]) / (total - before[cpu][1])
        for cpu, (idle, total) in after.items()
        if cpu in before and total > before[cpu][1]
    }


def _ticks(stat: str) -> Dict[int, Tuple[int, int]]:
    """Idle and all ticks of each `cpuN` line: user, nice, system, idle, iowait, irq, softirq, steal (proc(5))."""
    found = {}
    for line in stat.splitlines():
        name, *numbers = line.split()
        if name.startswith("cpu") and name[3:].isdigit():
            ticks = [int(number) for number in numbers[:8]]
            found[int(name[3:])] = sum(ticks[3:5]), sum(ticks)
    return found


def _place(cores: List[int]) -> Dict[int, Set[int]]:
    """Move the threads; where each was allowed to run before."""
    before: Dict[int, Set[int]] = {}
    try:
        for thread in thread_ids():
            with contextlib.suppress(ProcessLookupError):  # it has ended
                was = allowed_cores(thread)
                allow_cores(thread, cores)
                before[thread] = was
    except OSError:
        _restore(before)
        raise
    return before


def _restore(before: Dict[int, Set[int]]) -> None:
    for thread, cores in before.items():
        with contextlib.suppress(OSError):
            allow_cores(thread, cores)


def _siblings(cpu: int, root: Path) -> FrozenSet[int]:
    """The logical processors of one physical core, from a list as `0,4` or `0-1`; itself where it is not said."""
    found: Set[int] = set()
    for part in (read_text(root / CPU.format(cpu) / "topology/thread_siblings_list") or str(cpu)).split(","):
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return frozenset(found)
