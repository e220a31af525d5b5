"""What every benchmark says of the machine it ran on, and how it ends."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Claim(NamedTuple):
    """A number that shall be at least the goal."""

    name: str
    value: float
    goal: float


def print_machine(*packages: str) -> None:
    """Processor, cores and versions, on one line each."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    print(f"machine: {cpu}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}")
    print("versions:", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages))


def finish(name: str, value: float, goal: float, *, at_most: bool) -> None:
    """Print the last line of a benchmark and leave with 0 only where the goal holds."""
    print(f"{name}: {value:.3f} (goal {'<=' if at_most else '>='} {goal:g})")
    sys.exit(0 if (value <= goal if at_most else value >= goal) else 1)


def finish_claims(claims: Sequence[Claim]) -> None:
    """Print every claim but the last, and finish with the first that does not hold, else with the last."""
    for claim in claims[:-1]:
        print(f"{claim.name}: {claim.value:.3f} (goal >= {claim.goal:.3f})")
    last = next((claim for claim in claims if claim.value < claim.goal), claims[-1])
    finish(last.name, last.value, last.goal, at_most=False)
