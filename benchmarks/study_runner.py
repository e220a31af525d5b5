"""What carrying out a study costs beyond its work, and what several processes gain.

    python benchmarks/study_runner.py [--quick] [--workers N]

The same small study on drawn people several times: as bare work (a loop over its tasks, nothing kept but what the steps
keep themselves), by the runner in this process, in N processes, and, where Ray is installed, by N of its workers. Each
is a process of its own, so that imports count alike. What the runner adds is told in processor time, which other work
on the machine moves little: goal 1.05x of the bare work. What several processes gain can only be told by the clock: on
two idle cores two at least 1.7x as fast as one, Ray within 1.15x of the time of the processes, in a study of minutes:
the start of two processes takes some seconds, that of Ray's node ten more. The quick form is a study of ten cells, in
which that is a large part: it only asks that they are not far slower.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from machine import Claim, finish_claims, print_machine

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


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of all processors, of this process and those that it waited for."""

    clock: float
    processor: float


def write_study(folder: Path, *, rows: int, updates: int, seeds: int, extents: str) -> None:
    """Project and plan."""
    rng = np.random.default_rng(0)
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
    (folder / "plan.yaml").write_text(
        PLAN.replace("UPDATES", str(updates)).replace("SEEDS", str(seeds)).replace("EXTENTS", extents)
    )


def work(folder: Path, kind: str, workers: int) -> Spent:
    """What one way to do all cells takes."""
    from edgefair.study.executors import Settings
    from edgefair.study.run.given import open_plan
    from edgefair.study.run.prepared import rows_digest, rows_of
    from edgefair.study.run.store import Store
    from edgefair.study.run.study import run_study, setup_of
    from edgefair.study.run.tasks import tasks_of
    from edgefair.study.run.work import Workshop

    given, output = open_plan(str(folder / "plan.yaml")), folder / f"{kind}-{workers}"
    started = time.perf_counter()
    if kind == "bare":
        Store(output).prepare()
        setup = setup_of(given, output, rows_digest(rows_of(given)))
        carry_out = Workshop(setup)
        for task in _in_order(tasks_of(given.plan.cells, [*setup.rows], rows=setup.rows, trainings=setup.trainings)):
            error = carry_out(task).error
            if error is not None:
                raise RuntimeError(error)
        carry_out.close()
    else:
        done = run_study(given, output, executor=kind, settings=Settings(workers))
        if done.failed:
            raise RuntimeError(str(done.failed))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Spent(time.perf_counter() - started, sum(item.ru_utime + item.ru_stime for item in used))


def _in_order(tasks: list) -> list:
    """Every task behind what it needs."""
    done, left = [], list(tasks)
    while left:
        names = {task.name for task in left}
        ready = [task for task in left if names.isdisjoint(task.needs)]
        done += ready
        left = [task for task in left if task not in ready]
    return done


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "KIND", "WORKERS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        folder, kind, workers = arguments.one
        print(json.dumps(asdict(work(Path(folder), kind, int(workers)))))
        return
    from edgefair.data.files.lazy import cores

    workers = arguments.workers or min(2, cores())
    print_machine("torch", "onnxruntime")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows, updates, seeds = (1500, 60, 2) if arguments.quick else (6000, 600, 24)
        extents = (
            "[none, finetune-only, prune 0.5 + int8]" if arguments.quick else "[none, finetune-only, int8, prune 0.5]"
        )
        write_study(folder, rows=rows, updates=updates, seeds=seeds, extents=extents)
        print(f"{rows:,} rows, {updates} steps, {seeds} seeds")
        kinds = [("bare", 1), ("serial", 1), ("processes", workers)]
        kinds += [("ray", workers)] if importlib.util.find_spec("ray") is not None else []
        spent = {}
        for kind, number in kinds:
            command = [sys.executable, __file__, "--one", str(folder), kind, str(number)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            spent[kind] = Spent(**json.loads(done.stdout.splitlines()[-1]))
            said = f"{spent[kind].clock:7.1f} s by the clock"
            # The workers of Ray are no children of the process that waits for them.
            said += f", {spent[kind].processor:7.1f} s of processors" if kind != "ray" else ""
            print(f"{kind:10} {number} at a time  {said}")
    claims = [
        Claim(
            "bare work over the runner's, processor time", spent["bare"].processor / spent["serial"].processor, 1 / 1.05
        ),
        # Of seconds of work, the start of the processes is a large part.
        Claim(
            f"{workers} processes over one",
            spent["serial"].clock / spent["processes"].clock,
            0.5 if arguments.quick or workers < 2 else 0.85 * workers,
        ),
    ]
    if "ray" in spent:
        clock = spent["processes"].clock / spent["ray"].clock
        claims.append(Claim(f"{workers} processes over Ray", clock, 0.2 if arguments.quick else 1 / 1.15))
    finish_claims(claims)


if __name__ == "__main__":
    main()
