"""What `edgefair verify` adds to the bare runtime, on the 99,762 audit rows of Census-Income and on picture files.

Two sides, interleaved in one run, on the same model file, rows, batch size and threads:

- bare: an onnxruntime loop over batches that are encoded already, and nothing else, in a process of its own;
- edgefair: rows encoded, sent to the probe, decided, checked, counted by group, and judged.

Session creation and the latency phase are left out on both sides. Beside it: how long the thread that runs the network
was ready and had no processor, because host and probe share this machine's (Linux); where the whole command's time
goes; and the same for decoding and inference of 10,000 JPEG files of 224 x 224 (`image_rows.py`).

    python benchmarks/verify_overhead.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bare_loop import bare_loop
from image_rows import image_ratio
from machine import finish, print_machine

import edgefair
from edgefair.data.dataset import load
from edgefair.data.rows import TableRows
from edgefair.decision.decide import decide
from edgefair.measure.counts import GroupCounts
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.targets import LoadedModel, Probe, load_profile, open_target
from edgefair.training.run import load_run
from edgefair.workflow.measurement.decide_rows import BATCH_ROWS
from edgefair.workflow.project.init import write_config

GOAL = 1.05
WHOLE_COMMAND_GOAL_S = 5.0


def prepare(folder: Path) -> edgefair.Config:
    """A trained and shipped Census model; the gates are wide open, because only time is measured here."""
    write_config(folder / "edgefair.yaml", source="census-income", given={"sensitive": ["sex"]})
    wide = {"policy.max_eo_gap": 1.0, "policy.min_balanced_accuracy": 0.0, "train.epochs": 1}
    config = edgefair.load_config(folder / "edgefair.yaml", wide)
    edgefair.train(config, name="plain")
    edgefair.export(config, run="plain", int8="auto", latency=False)
    return config


def with_edgefair(probe: Probe, model: LoadedModel, rows: TableRows, spec: ModelSpec, policy: edgefair.Policy) -> float:
    """Seconds from the first row to the verdict."""
    started = time.perf_counter()
    decisions = [
        read_decisions(batch, spec.reading, 2)[0]
        for batch in probe.run(model, rows.inputs(spec, BATCH_ROWS), ["decision", "score"], inputs=spec.inputs)
    ]
    counts = GroupCounts.from_rows(
        {"sex": rows.sensitive["sex"]}, label=rows.label, decision=np.concatenate(decisions), classes=spec.classes
    )
    decide(counts, policy)
    return time.perf_counter() - started


def waited_s(pid: int) -> float:
    """Seconds that the first thread of a process was ready without a processor; NaN where the system does not say.

    Linux, Documentation/scheduler/sched-stats.rst: /proc/PID/schedstat.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return math.nan


def whole_command(folder: Path) -> tuple[float, dict[str, float]]:
    """Wall time of `edgefair verify --no-latency`, and its own account of its phases."""
    flags = ["--json", "--no-latency", "--set", "policy.max_eo_gap=1.0", "--set", "policy.min_balanced_accuracy=0.0"]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "edgefair", "verify", *flags], cwd=folder, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - started, json.loads(done.stdout)["targets"][0]["timings_s"]


def main() -> None:
    """Run, print both sides, their ratio, and the whole command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and pictures")
    quick = parser.parse_args().quick
    rounds = 7 if quick else 25
    print_machine("onnxruntime", "numpy")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = prepare(folder)
        rows = load(config.data, base=folder, roles=["audit"]).audit
        spec = load_run(config.run_path("plain")).spec
        model_path = config.bundle_path / "model.onnx"
        profile = load_profile("local")
        batches = list(rows.inputs(spec, BATCH_ROWS))
        ours, theirs, waited = [], [], []
        with open_target(profile) as probe, bare_loop(model_path, batches, profile.threads) as bare:
            model = probe.load(model_path, name="candidate")
            for _ in range(rounds + 1):
                theirs.append(bare())
                before = waited_s(probe._connection._process.pid)
                ours.append(with_edgefair(probe, model, rows, spec, config.policy))
                waited.append(waited_s(probe._connection._process.pid) - before)
        ratio = statistics.median(a / b for a, b in zip(ours[1:], theirs[1:], strict=True))
        print(
            f"rows {len(rows):,}, batch {BATCH_ROWS}, threads {profile.threads}, {rounds} interleaved rounds, medians:"
        )
        print(f"  bare onnxruntime loop        {statistics.median(theirs[1:]):.3f} s")
        print(f"  edgefair, row to verdict     {statistics.median(ours[1:]):.3f} s   ratio {ratio:.3f}")
        print(f"  of it without a processor    {statistics.median(waited[1:]):.3f} s")
        wall, phases = min(whole_command(folder) for _ in range(3))
        accounted = sum(phases.values())
        print(f"whole command without latency phase: {wall:.2f} s (goal <= {WHOLE_COMMAND_GOAL_S:g} s)")
        print(f"  {'python and imports':<20} {wall - accounted:.3f} s")
        for phase, seconds in phases.items():
            print(f"  {phase:<20} {seconds:.3f} s")
    with tempfile.TemporaryDirectory() as name:
        images = image_ratio(Path(name), rows=300 if quick else 10_000, rounds=3 if quick else 5)
    if images > GOAL:
        finish("verify_overhead_images", images, GOAL, at_most=True)
    print(f"verify_overhead_images: {images:.3f} (goal <= {GOAL:g})")
    if wall > WHOLE_COMMAND_GOAL_S:
        finish("verify_whole_command_s", wall, WHOLE_COMMAND_GOAL_S, at_most=True)
    finish("verify_overhead", ratio, GOAL, at_most=True)


if __name__ == "__main__":
    main()
