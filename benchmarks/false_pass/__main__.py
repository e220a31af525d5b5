"""Does the verdict keep its error probabilities? Every scenario of this folder, played, beside its bound.

    python -m benchmarks.false_pass [--quick] [--only NAME] [--seed S] [--processes N] [--seconds S] [--json FILE]

A file given with --json keeps every finished scenario as a line, and what it holds is not played again: a run that was
stopped goes on where it was. Scenarios are played in a mixed order, so that one that ends after --seconds has seen some
of every kind. The exit code is 1 where a bound is missed by more than three standard errors.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.false_pass.played import Key, Played, mixed, modules, play, scenarios_of
from edgefair.jsonl import append, entries


def main() -> None:
    """Play what is asked for and not yet kept, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.false_pass", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer scenarios and runs")
    parser.add_argument("--only", metavar="NAME", help="a file of this folder, or a part of scenarios' names")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no scenario after so long")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep finished scenarios, and do not play them again")
    asked = parser.parse_args()
    wanted = [
        Key(module, name)
        for module in modules()
        for name in scenarios_of(module, asked.quick)
        if asked.only is None or asked.only == module or asked.only in name
    ]
    if not wanted:
        parser.error(f"no scenario of the name '{asked.only}'; files: {', '.join(modules())}")
    done = {} if asked.json is None else kept(asked.json, wanted, quick=asked.quick, seed=asked.seed)
    left = sorted((key for key in wanted if key not in done), key=mixed)
    with shown() as progress:
        task = progress.add_task("", total=len(wanted), completed=len(done))
        for item in played(left, asked):
            done[item.key] = item
            progress.update(task, advance=1, description=f"{item.key.module}: {item.key.name}")
            if asked.json is not None:
                keep(asked.json, item, seed=asked.seed)
    found = [done[key] for key in wanted if key in done]
    Console(width=None if sys.stdout.isatty() else 140).print(table(found))
    missed = [item for item in found if not item.holds]
    if len(found) < len(wanted):
        print(f"{len(wanted) - len(found)} of {len(wanted)} scenarios were not played")
    print(f"false_pass: {len(missed)} of {len(found)} bounds missed (goal <= 0)")
    sys.exit(1 if missed else 0)


def played(keys: Sequence[Key], asked: argparse.Namespace) -> Iterator[Played]:
    """The scenarios, each as soon as it is played."""
    end = time.monotonic() + asked.seconds
    if asked.processes == 1:
        for key in keys:
            if time.monotonic() >= end:
                return
            yield play(key, asked.quick, asked.seed)
        return
    with ProcessPoolExecutor(asked.processes) as pool:
        futures = [pool.submit(play, key, asked.quick, asked.seed) for key in keys]
        for future in as_completed(futures):
            yield future.result()
            if time.monotonic() >= end:
                pool.shutdown(cancel_futures=True)
                return


def kept(file: Path, keys: Sequence[Key], *, quick: bool, seed: int) -> dict[Key, Played]:
    """What the file holds of these scenarios, played with this seed and as often."""
    found = {}
    for line in entries(file.read_bytes() if file.exists() else b""):
        key = Key(str(line.get("module")), str(line.get("name")))
        if key not in keys or line.get("seed") != seed:
            continue
        item = scenarios_of(key.module, quick)[key.name]
        if line.get("runs") == item.runs:
            found[key] = Played(key, item.at_most, item.at_least, item.runs, int(line["events"]), line["seconds"])
    return found


def keep(file: Path, item: Played, *, seed: int) -> None:
    """Add a finished scenario to the file."""
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        append(descriptor, {**item.to_json(), "seed": seed})
    finally:
        os.close(descriptor)


def shown() -> Progress:
    """How many scenarios are finished, on the error stream where a person looks at it."""
    console = Console(stderr=True)
    columns = (MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def table(found: Sequence[Played]) -> Table:
    """One line a scenario."""
    result = Table("scenario", "runs", "rate", "95 %", "bound", "ok", "s")
    for item in found:
        low, high = item.interval
        bounds = [f"<= {item.at_most:g}"] if item.at_most is not None else []
        bounds += [f">= {item.at_least:g}"] if item.at_least is not None else []
        result.add_row(
            f"{item.key.module}: {item.key.name}",
            f"{item.runs:,}",
            f"{item.rate:.4f}",
            f"{low:.4f} to {high:.4f}",
            ", ".join(bounds),
            "yes" if item.holds else "MISSED",
            f"{item.seconds:.1f}",
        )
    return result


if __name__ == "__main__":
    main()
