"""Streaming calibration beside onnxruntime's own: peak memory over rows, and how far the ranges are apart.

A ResNet-18 (random weights) and glyphs of 64 pixels. Every line is a process of its own, which reads the graph, draws
the rows batch by batch and calibrates; its peak is what it has above that of a process that only draws. onnxruntime's
entropy and percentile calibrators hold every activation, so it gets only as many rows as fit. On those both sides have
seen the same values: the distance between their ranges is given in bins of onnxruntime's 2,048 over an activation's
range. The allocator gives large blocks back as soon as they are freed: a peak is what is held, without the holes that
it would keep for later.

The last line is our peak with the most rows over that with a quarter of them, of the method for which it is larger.

    python benchmarks/calibration_memory.py [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from machine import finish, print_machine
from numpy.typing import NDArray

from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.data.images.glyphs import SHAPES, GlyphConfig, draw, glyph_rows
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, PictureSpec, Reading
from edgefair.training.settings import ModelConfig, PictureConfig

SIDE, BATCH, BINS = 64, 32, 2048
PERCENTILE = 99.9
GOAL = 1.1
LARGE_BLOCK = 1 << 20
# One bin, and what the last bits of the activations do to its ends: the two sides run batches of different sizes.
WITHIN = 1.01
OURS, PEER = "edgefair", "onnxruntime"
OPTIONS = {
    "entropy": {"num_bins": BINS, "num_quantized_bins": 128},
    "percentile": {"num_bins": BINS, "percentile": PERCENTILE, "symmetric": False},
}


class Batches:
    """Pictures, drawn when they are needed: whenever they are read, and the same ones."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        """Batch by batch."""
        config = GlyphConfig(rows=max(self.rows, 100), size=SIDE, audit_rows=8)
        drawn = glyph_rows(config)
        for start in range(0, self.rows, BATCH):
            part = slice(start, min(start + BATCH, self.rows))
            yield {"picture": draw(config, drawn.shape[part], drawn.group[part], drawn.seed[part])}


def ranges_of_onnxruntime(path: Path, method: str, rows: int) -> dict[str, tuple[float, float]]:
    """The ranges that onnxruntime's calibrator finds."""
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    class Reader:
        def __init__(self) -> None:
            self.rest = iter(Batches(rows))

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return next(self.rest, None)

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        calibrator = create_calibrator(
            str(path),
            None,
            str(Path(folder) / "augmented.onnx"),
            getattr(CalibrationMethod, method.capitalize()),
            extra_options=OPTIONS[method],
        )
        calibrator.collect_data(Reader())
        found = calibrator.compute_data()
    names = list(found.keys())
    return {name: tuple(float(np.squeeze(end)) for end in found[name].range_value) for name in names}


def peak_mib() -> float:
    """The most that this process has held; getrusage would count what the process held that started it."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def child(path: Path, side: str, method: str, rows: int) -> None:
    """Calibrate once and print ranges, seconds and peak."""
    for _ in Batches(min(rows, 2 * BATCH)):
        pass
    before = peak_mib()
    started = time.perf_counter()
    if side == OURS:
        found = calibrate(onnx.load(path), Batches(rows), method=method, percentile=PERCENTILE)
    else:
        found = ranges_of_onnxruntime(path, method, rows)
    seconds = time.perf_counter() - started
    print(json.dumps({"ranges": found, "seconds": seconds, "peak": peak_mib() - before}))


def measured(path: Path, side: str, method: str, rows: int) -> dict[str, Any]:
    """What a child printed; its row of the table is printed here."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", str(path), side, method, str(rows)],
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": str(LARGE_BLOCK)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"| {method} | {side} | {rows:,} | {found['peak']:.0f} | {found['seconds']:.1f} |", flush=True)
    return found


def write_graph(path: Path) -> None:
    """A prepared ResNet-18 for pictures of SIDE pixels."""
    from edgefair.exporters.torch_module import export_classifier
    from edgefair.training.build import build_classifier

    spec = ModelSpec(
        inputs=(InputSpec("picture", "uint8", picture=PictureSpec("picture", SIDE, SIDE)),),
        reading=Reading(output="decision", kind="label", threshold=0.5, score="score"),
        classes=SHAPES[:2],
    )
    model = ModelConfig(
        network="resnet-18", options={"stem": "imagenet"}, picture=PictureConfig(height=SIDE, width=SIDE)
    )
    classifier = build_classifier(spec, model, {}, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        exported = export_classifier(classifier.eval(), spec, {}, Path(folder) / "fp32.onnx")
    onnx.save_model(prepare_graph(exported), path)


def bins_apart(ours: dict[str, Any], theirs: dict[str, Any], widest: dict[str, Any]) -> NDArray[np.float64]:
    """The larger distance between two ends of every activation's range, in bins, float64 [activations]."""
    apart = []
    for name, ends in ours.items():
        bin_width = 2 * max(map(abs, widest[name])) / BINS
        if bin_width:
            apart.append(float(np.abs(np.subtract(ends, theirs[name])).max()) / bin_width)
    return np.array(apart)


def main() -> None:
    """Print the table, the distances, and the growth of our peak."""
    if sys.argv[1:2] == ["--child"]:
        path, side, method, rows = sys.argv[2:]
        child(Path(path), side, method, int(rows))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="percentile only, fewer rows")
    quick = parser.parse_args().quick
    methods = ["percentile"] if quick else ["percentile", "entropy"]
    fitting, more = (64, (64, 128, 512)) if quick else (256, (256, 1024, 4096))
    print_machine("onnxruntime", "numpy")
    print("| method | side | rows | peak MiB | s |")
    print("|---|---|---|---|---|")
    apart, growth = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prepared.onnx"
        write_graph(path)
        widest = calibrate(onnx.load(path), Batches(fitting), method="minmax")
        for method in methods:
            theirs = [measured(path, PEER, method, rows) for rows in (fitting // 2, fitting)]
            ours = [measured(path, OURS, method, rows) for rows in more]
            apart.append(bins_apart(ours[0]["ranges"], theirs[-1]["ranges"], widest))
            growth.append(ours[-1]["peak"] / ours[1]["peak"])
    for method, bins in zip(methods, apart, strict=True):
        print(
            f"{method}: ranges of {fitting} rows are at most {bins.max():.3f} bins from onnxruntime's"
            f"{' (goal <= 1)' if method == 'percentile' else ''}, "
            f"{(bins <= WITHIN).sum()} of {len(bins)} activations within one"
        )
    # Of entropy no range is kept that loses more than the whole one, so it may lie far from onnxruntime's.
    worst = max(float(bins.max()) for method, bins in zip(methods, apart, strict=True) if method == "percentile")
    if worst > WITHIN:
        finish("calibration_bins", worst, 1.0, at_most=True)
    finish("calibration_memory_growth", max(growth), GOAL, at_most=True)


if __name__ == "__main__":
    main()
