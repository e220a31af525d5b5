"""How long `edgefair --help` takes: every use of the command pays for its imports.

python benchmarks/startup.py [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from machine import finish, print_machine


def seconds(command: list[str]) -> float:
    """Wall time of a command."""
    started = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Interleave `python -c pass` with `edgefair --help`, and judge the median of the latter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 rounds instead of 40")
    rounds = 10 if parser.parse_args().quick else 40
    print_machine("click")
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(seconds([sys.executable, "-c", "pass"]))
        ours.append(seconds([sys.executable, "-m", "edgefair", "--help"]))
    print(f"python -c pass    {statistics.median(bare):.3f} s")
    print(f"edgefair --help   {statistics.median(ours):.3f} s")
    finish("help_seconds", statistics.median(ours), 0.2, at_most=True)


if __name__ == "__main__":
    main()
