"""Pruning by half of the MACs, INT8, and both together: ResNet-18 at 64 pixels, one thread, batch 1, interleaved.

The weights are random: how long a kernel takes does not depend on them. What pruning and INT8 do to accuracy and gap is
measured in `debias_pruned.py` and `int8_peers.py`.

    python benchmarks/prune_speed.py [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from machine import finish, print_machine

from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import open_recipe
from edgefair.compress.quantization.static import quantize_static
from edgefair.compress.steps.base import Context
from edgefair.compress.steps.pruning.step import Prune
from edgefair.debias import Cells
from edgefair.exporters.torch_module import export_classifier
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, PictureSpec, Reading
from edgefair.progress import silent
from edgefair.training.build import build_classifier
from edgefair.training.classifier import Classifier
from edgefair.training.rows import TrainingRows
from edgefair.training.settings import ModelConfig, PictureConfig

SIDE = 64
SPEC = ModelSpec(
    (InputSpec("picture", "uint8", picture=PictureSpec("path", SIDE, SIDE, 3)),),
    Reading("decision", "label", 0.5, "score"),
    ("no", "yes"),
)
MODEL = ModelConfig(network="resnet-18", picture=PictureConfig(height=SIDE, width=SIDE))


def pictures(rows: int) -> np.ndarray:
    """Noise, uint8 [rows, height, width, channels]."""
    return np.random.default_rng(0).integers(0, 256, (rows, SIDE, SIDE, 3), dtype=np.uint8)


def pruned(scope: str) -> Classifier:
    """The network without half of its MACs."""
    classifier = build_classifier(SPEC, MODEL, {}, seed=0).eval()
    cells = Cells(torch.zeros(4, dtype=torch.int64), torch.arange(4) % 2, ("all",), SPEC.classes)
    rows = TrainingRows.held((torch.from_numpy(pictures(4)),), cells)
    step = Prune(0.5, scope=scope)  # type: ignore[arg-type]
    step.apply(classifier, step.plan(classifier, Context(rows, 0, silent)))
    return classifier


def files(folder: Path) -> dict[str, Path]:
    """The graphs that are timed."""
    networks = {"dense": build_classifier(SPEC, MODEL, {}, seed=0).eval()}
    networks |= {f"pruned by half, {scope}": pruned(scope) for scope in ("local", "global")}
    found = {}
    for name, network in networks.items():
        path = folder / f"{len(found)}.onnx"
        export_classifier(network, SPEC, {}, path)
        found[f"{name}, FP32"] = path
        prepared = prepare_graph(onnx.load_model(path))
        ranges = calibrate(prepared, [{"picture": pictures(64)}], method="minmax")
        quantized = folder / f"{len(found)}.onnx"
        onnx.save_model(quantize_static(prepared, ranges, open_recipe("int8-balanced")), quantized)
        found[f"{name}, INT8"] = quantized
    return found


def main() -> None:
    """Print the table; the last line is the least of the speed-up by pruning over 1.6 and that of both over 5."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args()
    print_machine("onnxruntime", "torch", "torch-pruning")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    row = {"picture": pictures(1)}
    with tempfile.TemporaryDirectory() as name:
        made = files(Path(name))
        sizes = {line: path.stat().st_size for line, path in made.items()}
        sessions = {
            line: onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
            for line, path in made.items()
        }
    times: dict[str, list[float]] = {line: [] for line in sessions}
    for _ in range(40 if options.quick else 200):
        for line, session in sessions.items():
            session.run(["decision"], row)
            for _ in range(4):
                started = time.perf_counter()
                session.run(["decision"], row)
                times[line].append(time.perf_counter() - started)
    base = statistics.median(times["dense, FP32"])
    print("| ResNet-18, 64 px | MB | p50 ms | p90 ms | times dense FP32 |")
    print("|---|---|---|---|---|")
    speed = {}
    for line, found in times.items():
        speed[line] = base / statistics.median(found)
        p90 = float(np.quantile(found, 0.9))
        print(
            f"| {line} | {sizes[line] / 1e6:.2f} | {1e3 * statistics.median(found):.2f} | {1e3 * p90:.2f} | "
            f"{speed[line]:.2f} |"
        )
    worst = min(
        min(speed[f"pruned by half, {scope}, FP32"] / 1.6, speed[f"pruned by half, {scope}, INT8"] / 5.0)
        for scope in ("local", "global")
    )
    finish("prune_speed", worst, 1.0, at_most=False)


if __name__ == "__main__":
    main()
