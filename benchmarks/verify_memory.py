"""Does the memory of `edgefair verify` depend on the number of pictures? 1,000,000 generated ones of 64 x 64.

The pictures are drawn batch by batch by the generator of the synthetic set `glyphs` (docs/glyphs.md); 1,000,000 of them
would be 12 GB. The number is the peak resident memory of the largest process, host or probe. A small network, because
inference is not what is measured here.

    python benchmarks/verify_memory.py [--quick | --rows N]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import finish, print_machine
from torch import nn

import edgefair
from edgefair.data.dataset import load
from edgefair.exporters.torch_module import export_classifier
from edgefair.training.build import build_classifier
from edgefair.training.features import spec_for

GOAL_MIB = 2048
SIDE = 64
CONFIG = """\
project: glyphs
data: {{source: glyphs, glyphs: {{rows: 2000, audit_rows: {rows}, size: 64}}}}
model: {{network: "verify_memory:network"}}
policy: {{max_eo_gap: 1.0, attributes: {{group: {{groups: [majority, minority]}}}}}}
"""


def network(*, features: tuple[int, ...], classes: int) -> nn.Module:
    """Two strided convolutions and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(features[0], 8, 5, stride=4), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, classes),
    )  # fmt: skip


def peak_of_verify(folder: Path, rows: int) -> tuple[float, float]:
    """Peak resident memory in MiB, and seconds, of `edgefair verify` over so many pictures."""
    (folder / "edgefair.yaml").write_text(CONFIG.format(rows=rows))
    config = edgefair.load_config(folder / "edgefair.yaml", {"data.glyphs.audit_rows": 8})
    data = load(config.data, base=folder, roles=["train", "audit"])
    spec = spec_for(data, config.model)
    export_classifier(build_classifier(spec, config.model, {}, seed=0), spec, {}, folder / "model.onnx")
    started = time.perf_counter()
    command = [sys.executable, "-m", "edgefair", "verify", "model.onnx", "--no-latency", "--json", "--report", "r.json"]
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1, 3):
        raise SystemExit(f"verify failed with {child.returncode}")
    judged = json.loads((folder / "r.json").read_text())["audit"]["rows"]
    if judged != rows:
        raise SystemExit(f"{judged} rows were judged instead of {rows}")
    return usage.ru_maxrss / 1024, time.perf_counter() - started


def main() -> None:
    """Run at a tenth and at the whole number of rows, and print both peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="40,000 pictures")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    rows = 40_000 if options.quick else options.rows
    sys.path.insert(0, str(Path(__file__).parent))
    print_machine("onnxruntime", "numpy", "pillow")
    for count in (rows // 10, rows):
        with tempfile.TemporaryDirectory() as name:
            peak, seconds = peak_of_verify(Path(name), count)
        print(f"{count:>9,} pictures of {SIDE} x {SIDE}: peak {peak:,.0f} MiB, {seconds:.0f} s")
    finish("verify_memory_mib", peak, GOAL_MIB, at_most=True)


if __name__ == "__main__":
    main()
