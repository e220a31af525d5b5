"""How long `edgefair --help` takes, and `edgefair verify --no-latency` of a bundle: every use pays for its imports.

Wall time of both; of the latter also processor time, with that of the probes that it starts, which other things that
run hardly change.

python benchmarks/startup.py [--quick] [--bundle examples/census/demo/dist/fair]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import finish, print_machine


def seconds(command: list[str]) -> float:
    """Wall time of a command."""
    started = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - started


def both_seconds(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall time of a command, and processor time of it and of the processes that it has waited for."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, capture_output=True, check=False, cwd=folder)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Interleave `python -c pass` with `edgefair --help`, and judge the median of the latter; then a verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 rounds instead of 40")
    parser.add_argument(
        "--bundle",
        type=Path,
        help="judge this one too; its edgefair.yaml lies two folders above, as `make demo` has it",
    )
    asked = parser.parse_args()
    rounds = 10 if asked.quick else 40
    print_machine("click")
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(seconds([sys.executable, "-c", "pass"]))
        ours.append(seconds([sys.executable, "-m", "edgefair", "--help"]))
    print(f"python -c pass    {statistics.median(bare):.3f} s")
    print(f"edgefair --help   {statistics.median(ours):.3f} s")
    if asked.bundle is not None:
        verify = [sys.executable, "-m", "edgefair", "verify", str(asked.bundle.resolve()), "--no-latency"]
        each = [both_seconds(verify, asked.bundle.resolve().parents[1]) for _ in range(rounds // 4)]
        wall, processor = (statistics.median(part) for part in zip(*each, strict=True))
        print(f"edgefair verify --no-latency   {wall:.2f} s (goal < 2), {processor:.2f} s of processor time")
    finish("help_seconds", statistics.median(ours), 0.2, at_most=True)


if __name__ == "__main__":
    main()
