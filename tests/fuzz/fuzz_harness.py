"""Gives damaged inputs to every place where something from outside is read, and says what came of them.

    python -m tests.fuzz.fuzz_harness --inputs 20000 --seed 0

Every input is made from (seed, surface, number) alone: `--only SURFACE --first NUMBER --inputs 1` makes it again. Each
finding prints these, and its files are kept. A worker that is silent for longer than an input may take is ended.
"""

import argparse
import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz import fuzz_project

ROOT = Path(__file__).parent.parent.parent
# An input that is silent for so long hangs; the worker itself judges those that end.
HANGS_S = 15.0
# For a worker to begin: its imports on a busy machine.
STARTING_S = 120.0
# Inputs of one worker: what an input leaves behind in a process shall not be seen by many others.
AT_ONCE = 400
TALLY_LINE = "{:<12}{:>8}{:>9}{:>10}{:>10}{:>11}{:>10}"


@dataclass
class Tally:
    """What came of one surface."""

    surface: str
    inputs: int = 0
    refused: int = 0
    accepted: int = 0
    slowest: float = 0.0
    peak_mib: int = 0
    findings: list[str] = field(default_factory=list)

    def count(self, facts):
        """Add what a worker says of one input."""
        self.inputs += 1
        self.refused += facts["code"] in {2, 4}
        self.accepted += facts["code"] not in {2, 4}
        self.slowest = max(self.slowest, facts["seconds"])
        self.peak_mib = max(self.peak_mib, facts["mib"])

    def add(self, other):
        """Add another tally."""
        for name in ("inputs", "refused", "accepted", "findings"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.slowest = max(self.slowest, other.slowest)
        self.peak_mib = max(self.peak_mib, other.peak_mib)

    def line(self):
        """As the table prints it."""
        return TALLY_LINE.format(
            self.surface, f"{self.inputs:,}", f"{self.refused:,}", f"{self.accepted:,}", f"{self.slowest:.2f} s",
            f"{self.peak_mib:,} MiB", len(self.findings),
        )  # fmt: skip


def run(inputs, *, seed, base, kept):
    """Tallies by surface of (surface, number) pairs; a worker that dies or hangs is replaced behind its last input."""
    tallies = {surface: Tally(surface) for surface, _ in inputs}
    while inputs:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            done = _one_worker(tallies, Path(folder) / "case", inputs, seed, base, kept)
        inputs = inputs[done:]
    return tallies


def _one_worker(tallies, folder, inputs, seed, base, kept):
    """Run a worker until it ends; how many of the inputs are done with."""
    arguments = [sys.executable, "-m", "tests.fuzz.fuzz_worker", str(base), str(folder), str(seed)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(arguments, text=True, env=environment, cwd=ROOT, **pipes)
    process.stdin.write("".join(f"{surface} {number}\n" for surface, number in inputs))
    process.stdin.close()
    said, errors = queue.SimpleQueue(), []
    threading.Thread(target=_forward, args=(process, said), daemon=True).start()
    listener = threading.Thread(target=lambda: errors.append(process.stderr.read()), daemon=True)
    listener.start()
    done, patience, what = 0, STARTING_S, "its start"
    while True:
        try:
            facts = said.get(timeout=patience)
        except queue.Empty:
            process.kill()
            facts = None
        if facts is None:
            break
        patience, what = HANGS_S, facts.get("begins", what)
        if "surface" in facts:
            done += 1
            tallies[facts["surface"]].count(facts)
            if facts["wrong"] is not None:
                _keep(tallies, kept, Path(f"{folder}-kept"), (seed, facts["surface"], facts["number"]), facts)
    process.wait()
    listener.join()
    if done == len(inputs):
        return done
    surface, number = inputs[done]
    tallies[surface].inputs += 1
    why = f"the worker ended with {process.returncode}, or hung and was ended:\n{errors[0][-1500:]}"
    _keep(tallies, kept, folder, (seed, surface, number), {"wrong": why, "what": what})
    return done + 1


def _forward(process, said):
    for line in process.stdout:
        said.put(json.loads(line))
    said.put(None)


def _keep(tallies, kept, folder, source, facts):
    seed, surface, number = source
    text = f"--seed {seed} --only {surface} --first {number} --inputs 1\n{facts['wrong']}\nat: {facts['what']}"
    tallies[surface].findings.append(text)
    if kept is not None:
        place = kept / f"{surface}-{seed}-{number}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "finding.txt").write_text(f"{text}\n", errors="replace")
        if folder.is_dir():
            shutil.copytree(folder, place / "case", symlinks=True, ignore=lambda *_: ["pipe"], dirs_exist_ok=True)


def surfaces():
    """Surface -> share, without importing what the workers import."""
    text = Path(__file__).with_name("fuzz_surfaces.py").read_text()
    table = text.partition("SURFACES = {")[2].partition("}")[0]
    return {name.strip(): int(share) for name, share in (item.split(":") for item in table.split(",") if ":" in item)}


def fuzz(inputs, *, seed=0, only=(), first=0, kept=None, workers=2, told=lambda _: None):
    """Tallies of all surfaces, or of some; `told` hears each worker's."""
    chosen = {name: share for name, share in surfaces().items() if not only or name in only}
    whole = sum(chosen.values())
    counts = {name: max(1, round(inputs * share / whole)) for name, share in chosen.items()}
    listed = [(name, number) for name, count in counts.items() for number in range(first, first + count)]
    with tempfile.TemporaryDirectory(prefix="fuzz-base-") as folder:
        base = Path(folder) / "base"
        fuzz_project.make(base)
        # The first worker makes what edgefair itself makes of the project; others wait for it.
        begun = AT_ONCE if workers == 1 else 1
        parts = [listed[:begun], *(listed[start : start + AT_ONCE] for start in range(begun, len(listed), AT_ONCE))]
        total = {name: Tally(name) for name in chosen}
        with ThreadPoolExecutor(workers) as pool:
            once = run(parts[0], seed=seed, base=base, kept=kept)
            for tallies in itertools.chain(
                [once], pool.map(lambda part: run(part, seed=seed, base=base, kept=kept), parts[1:])
            ):
                for name, tally in tallies.items():
                    total[name].add(tally)
                    told(tally)
    return list(total.values())


def table(tallies):
    """One line per surface, and one for all."""
    whole = Tally("all")
    for item in tallies:
        whole.add(item)
    head = TALLY_LINE.format("surface", "inputs", "refused", "accepted", "slowest", "peak", "findings")
    return "\n".join([head, *(item.line() for item in [*tallies, whole])])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    given = parser.parse_args()

    def told(tally):
        for item in tally.findings:
            print(f"{tally.surface}: {item}\n".encode(errors="backslashreplace").decode(), flush=True)

    tallies = fuzz(
        given.inputs,
        seed=given.seed,
        only=given.only,
        first=given.first,
        kept=given.keep,
        workers=given.workers,
        told=told,
    )
    print(table(tallies))
    return any(item.findings for item in tallies)


if __name__ == "__main__":
    sys.exit(main())
