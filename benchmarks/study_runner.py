"""What carrying out a study costs beyond its work, and what several processes gain.

    python benchmarks/study_runner.py [--quick] [--workers N] [--rounds N]

A study on drawn people, in rounds of which every claim takes the median. One core has S seeds of it to do: as bare work
(a loop over its tasks, nothing kept but what the steps keep themselves), and by the runner in its own process. N cores
have N times S seeds: as N such loops at once that know nothing of each other, by the runner in N processes, and, where
Ray is installed, by N of its workers. Everything has one thread. Each way is timed from the start of its process to its
end, and its processor time is that of all processes that it started. Every other round goes backwards.

- What the runner adds is told in processor time, which other work on the machine moves little: goal 1.05x of the loop.
- What several processes gain can only be told by the clock, and no more can be gained than the machine gives: cores
  that are busy at the same time may slow each other down. The ceiling, N loops at once over one of them, is measured
  in the same rounds. Goal: two processes are 1.7x as fast as the runner in one, 0.85 N. Where the ceiling is lower
  than 0.975 N, which for two cores is 1.95, the goal is 0.85 of the ceiling instead: of what the independent loops do.
- Ray: its node takes seconds to start and to end however large a study is, so the time before the first row and after
  the last is told apart. Goal for a row: 1.15x of the time that the processes take. The ratio of the whole times is
  printed too. It hangs on what is installed: each of the node's processes imports all that Ray and its packages find.

The quick form is one round of a study of seconds, most of which is the start: it only asks that nothing is far slower.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from machine import Claim, finish_claims, print_machine

from edgefair.data.files.lazy import cores
from edgefair.study.executors.base import ONE_THREAD

if TYPE_CHECKING:
    from edgefair.study.run.tasks import Task

PROJECT = """
project: people
data:
  source: people.csv
  label: hired
  positive: "yes"
  sensitive: [sex]
  split: {column: part, train: [train], validation: [validation], audit: [audit]}
model: {network: mlp, options: {hidden: [64, 32]}}
train: {batch_rows: 64}
policy: {attributes: {sex: {groups: [F, M]}}}
"""
PLAN = """
study: people
config: edgefair.yaml
factors:
  extent: EXTENTS
  treatment: [none, during]
compress: {round_to: 1}
updates: UPDATES
seeds: SEEDS
"""
FEATURES = 12
# Of prctl(2): processes whose parent has ended become children of this one, which can then tell what they used.
PR_SET_CHILD_SUBREAPER = 36
# Share of N cores below which they are said to slow each other down.
UNDISTURBED = 0.975
GAIN = 0.85


@dataclass(frozen=True)
class Spent:
    """What one way to do the cells took, from the start of its process.

    Attributes:
        clock: seconds to its end.
        around: of these, seconds before the first row and after the last.
        processor: seconds of all processors, of every process that it started and that was waited for.
        cells: rows that were made.
    """

    clock: float
    around: float
    processor: float
    cells: int

    @property
    def each(self) -> float:
        """Seconds by the clock for a row after the first."""
        return (self.clock - self.around) / (self.cells - 1)


@dataclass(frozen=True)
class Size:
    """How much there is to do: rows, steps of a training, seeds for each core, and levels of `extent`."""

    rows: int
    updates: int
    seeds: int
    extents: str
    rounds: int


FULL = Size(6000, 600, 5, "[none, finetune-only, int8, prune 0.5]", 3)
QUICK = Size(1500, 60, 2, "[none, prune 0.5 + int8]", 1)


def write_study(folder: Path, size: Size, workers: int) -> None:
    """Project; a plan for each core, and one of all their seeds."""
    rng, rows = np.random.default_rng(0), size.rows
    x = rng.normal(size=(rows, FEATURES))
    hired = x[:, :3].sum(axis=1) + rng.normal(size=rows) > 0
    sex, part = rng.choice(["F", "M"], rows), rng.choice(["train", "validation", "audit"], rows)
    header = ",".join([*(f"x{index}" for index in range(FEATURES)), "sex", "hired", "part"])
    lines = [
        ",".join([*(f"{value:.5f}" for value in row), s, "yes" if h else "no", p])
        for row, s, h, p in zip(x, sex, hired, part, strict=True)
    ]
    (folder / "people.csv").write_text("\n".join([header, *lines]) + "\n")
    (folder / "edgefair.yaml").write_text(PROJECT)
    seeds = {f"core-{core}": [*range(core * size.seeds, (core + 1) * size.seeds)] for core in range(workers)}
    for name, own in {**seeds, "all": [*range(workers * size.seeds)]}.items():
        text = PLAN.replace("UPDATES", str(size.updates)).replace("SEEDS", str(own)).replace("EXTENTS", size.extents)
        (folder / f"{name}.yaml").write_text(text)


def work(plan: Path, output: Path, kind: str, workers: int) -> None:
    """Do all cells of a plan in one way; a file beside the output says when each row was there."""
    from edgefair.progress import Progress
    from edgefair.study.executors import Settings
    from edgefair.study.run.given import open_plan
    from edgefair.study.run.prepared import rows_digest, rows_of
    from edgefair.study.run.store import Store
    from edgefair.study.run.study import run_study, setup_of
    from edgefair.study.run.tasks import tasks_of
    from edgefair.study.run.work import Workshop

    given, made = open_plan(str(plan)), {}
    if kind == "bare":
        Store(output).prepare()
        setup = setup_of(given, output, rows_digest(rows_of(given)))
        carry_out = Workshop(setup)
        for task in _in_order(tasks_of(given.plan.cells, [*setup.rows], rows=setup.rows, trainings=setup.trainings)):
            error = carry_out(task).error
            if error is not None:
                raise RuntimeError(error)
            if task.kind == "row":
                made[len(made) + 1] = time.time()
        carry_out.close()
    else:
        progress = Progress(lambda done, total, _: made.setdefault(done, time.time()) if total and done else None)
        run = run_study(given, output, executor=kind, settings=Settings(workers), progress=progress)
        if run.failed:
            raise RuntimeError(str(run.failed))
    _said(output).write_text(" ".join(str(moment) for moment in made.values()))


def _said(output: Path) -> Path:
    return output.with_suffix(".txt")


def _in_order(tasks: Sequence[Task]) -> Iterator[Task]:
    """Every task behind what it needs, else in the order of the plan."""
    left = [*tasks]
    while left:
        names = {task.name for task in left}
        task = next(task for task in left if names.isdisjoint(task.needs))
        left.remove(task)
        yield task


def spent(folder: Path, name: str, plans: Sequence[str], kind: str, workers: int) -> Spent:
    """Do some plans at once, each in a process of its own, and wait for all that they started.

    Raises:
        RuntimeError: one of them failed.
    """
    outputs = [folder / f"{name}-{plan}" for plan in plans]
    started = ended = time.time()
    left, processor = set(), 0.0
    for plan, output in zip(plans, outputs, strict=True):
        arguments = ["--one", str(folder / f"{plan}.yaml"), str(output), kind, str(workers)]
        left.add(os.posix_spawn(sys.executable, [sys.executable, __file__, *arguments], os.environ | ONE_THREAD))
    while True:
        try:
            process, status, used = os.wait4(-1, 0)
        except ChildProcessError:
            break
        processor += used.ru_utime + used.ru_stime
        if process in left:
            left.remove(process)
            ended = time.time()
            if status:
                raise RuntimeError(f"{name} failed with exit code {os.waitstatus_to_exitcode(status)}")
    made = [float(moment) for output in outputs for moment in _said(output).read_text().split()]
    clock = ended - started
    return Spent(clock, clock - (max(made) - min(made)), processor, len(made))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--one", nargs=4, metavar=("PLAN", "OUTPUT", "KIND", "WORKERS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        plan, output, kind, number = arguments.one
        work(Path(plan), Path(output), kind, int(number))
        return
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    workers, size = arguments.workers or min(2, cores()), QUICK if arguments.quick else FULL
    print_machine("torch", "onnxruntime")
    print(f"{size.rows:,} rows, {size.updates} steps, {size.seeds} seeds for each of {workers} cores")
    each = [f"core-{core}" for core in range(workers)]
    kinds = {"bare": (each[:1], "bare", 1), "serial": (each[:1], "serial", 1), "loops": (each, "bare", 1)}
    kinds |= {"processes": (["all"], "processes", workers)}
    kinds |= {"ray": (["all"], "ray", workers)} if importlib.util.find_spec("ray") is not None else {}
    rounds = []
    print("               cells  seconds  before the first row and after the last  each row  of processors")
    for number in range(arguments.rounds or size.rounds):
        found = {}
        with tempfile.TemporaryDirectory() as name:
            write_study(Path(name), size, workers)
            for kind in [*kinds] if number % 2 == 0 else [*reversed(kinds)]:
                found[kind] = spent(Path(name), kind, *kinds[kind])
                print(_line(kind, found[kind]), flush=True)
        rounds.append(found)
    print("medians")
    for kind in kinds:
        columns = zip(*(astuple(found[kind]) for found in rounds), strict=True)
        print(_line(kind, Spent(*(median(column) for column in columns))))
    finish_claims(_claims(rounds, workers, quick=arguments.quick))


def _line(kind: str, one: Spent) -> str:
    # A node of Ray does not count what its workers used.
    processor = "" if kind == "ray" else f"{one.processor:15.1f}"
    return f"{kind:10}{one.cells:10}{one.clock:9.1f}{one.around:40.1f}{one.each:10.3f}{processor}"


def _claims(rounds: Sequence[dict[str, Spent]], workers: int, *, quick: bool) -> list[Claim]:
    """What is claimed of the medians; what is not is printed."""

    def middle(ratio: Callable[[dict[str, Spent]], float]) -> float:
        return median(ratio(found) for found in rounds)

    added = middle(lambda found: found["bare"].processor / found["serial"].processor)
    ceiling = middle(lambda found: workers * found["bare"].clock / found["loops"].clock)
    gain = middle(lambda found: workers * found["serial"].clock / found["processes"].clock)
    beside = middle(lambda found: found["loops"].clock / found["processes"].clock)
    print(f"{workers} independent loops at once over one (the ceiling): {ceiling:.3f}")
    print(f"{workers} processes over one: {gain:.3f}; over {workers} independent loops: {beside:.3f}")
    claims = [Claim("bare work over the runner's, processor time", added, 0.5 if quick else 1 / 1.05)]
    if ceiling >= UNDISTURBED * workers and not quick:
        claims.append(Claim(f"{workers} processes over one", gain, GAIN * workers))
    else:
        claims.append(Claim(f"{workers} processes over independent loops", beside, 0.4 if quick else GAIN))
    if "ray" in rounds[0]:
        whole = middle(lambda found: found["ray"].clock / found["processes"].clock)
        around = middle(lambda found: found["ray"].around - found["processes"].around)
        print(
            f"Ray over {workers} processes, the whole time: {whole:.3f}; before and after the rows {around:.1f} s more"
        )
        row = middle(lambda found: found["processes"].each / found["ray"].each)
        claims.append(Claim(f"{workers} processes over Ray, a row", row, 0.2 if quick else 1 / 1.15))
    return claims


if __name__ == "__main__":
    main()
