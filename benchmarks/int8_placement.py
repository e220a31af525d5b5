"""The speed of our INT8 and of onnxruntime's quantizer (per channel), times that of FP32, on published architectures.

Networks have random weights at their published sizes (`peers/architectures.py`), pictures of 224 pixels, texts of 128
tokens; batch 1. Ours is what `edgefair export --int8` writes: static for pictures, dynamic for texts. All files of a
network run in turns in one process with one thread, and what is compared is the processor time of that thread, whose
20th percentile other programs disturb little. Beside it, from the graph that onnxruntime runs: layers on integers, and
nodes that go between integers and floats.

FP32 files stay below the work folder, as exporting them takes minutes.

    python benchmarks/int8_placement.py [--quick] [--work FOLDER] [--only PART_OF_A_NAME] [--seconds S]
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from machine import Claim, finish_claims, print_machine
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from peers.architectures import ARCHITECTURES, Architecture
from peers.timing import one_thread, race

from edgefair.compress.quantization import dynamic
from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.placement import small_layers
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import open_recipe
from edgefair.compress.quantization.static import Precision, Quantizer
from edgefair.probe.device import fingerprint, saturates_int8

FP32, OURS, PEER = "fp32", "edgefair", "onnxruntime"
QUICK = ("mobilenet-v3-large",)
CALIBRATION_ROWS = 4
GOAL = 1.3
# Two files of equal speed differ by this factor between runs.
NOISE = 1.05
CONVERSIONS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
LAYERS = frozenset(
    {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "QLinearConv", "QGemm", "QLinearMatMul"}
) | {"MatMulIntegerToFloat", "DynamicQuantizeMatMul", "MatMulInteger", "ConvInteger"}

Feed = dict[str, NDArray[Any]]


class Rows(CalibrationDataReader):
    """The same rows for onnxruntime's quantizer, one at a time."""

    def __init__(self, batch: Feed) -> None:
        count = len(next(iter(batch.values())))
        self.rows = iter([{name: x[row : row + 1] for name, x in batch.items()} for row in range(count)])

    def get_next(self) -> Any:
        """The next row, or None."""
        return next(self.rows, None)


def feed(architecture: Architecture, rows: int) -> Feed:
    """Made-up rows as inputs of the graph."""
    return {name: x.numpy() for name, x in zip(architecture.names, architecture.example(rows), strict=True)}


def quantize_ours(model: onnx.ModelProto, architecture: Architecture, to: Path) -> None:
    """As `edgefair export --int8`."""
    reduce_range = saturates_int8(fingerprint())
    if architecture.text:
        onnx.save_model(dynamic.quantize_dynamic(model, reduce_range=reduce_range), to)
        return
    prepared, recipe = prepare_graph(model), open_recipe("int8-balanced")
    ranges = calibrate(prepared, [feed(architecture, CALIBRATION_ROWS)], method=recipe.method)
    precision = Precision(float_nodes=small_layers(prepared), reduced_nodes=None if reduce_range else frozenset())
    onnx.save_model(Quantizer(prepared, ranges, recipe).quantize(precision), to)


def quantize_peer(fp32: Path, architecture: Architecture, to: Path) -> None:
    """onnxruntime's quantizer as it is, with a scale for each channel."""
    logging.getLogger().setLevel(logging.ERROR)
    prepared = to.with_suffix(".prepared")
    quant_pre_process(str(fp32), str(prepared), skip_symbolic_shape=True)
    if architecture.text:
        quantize_dynamic(str(prepared), str(to), per_channel=True)
    else:
        quantize_static(str(prepared), str(to), Rows(feed(architecture, CALIBRATION_ROWS)), per_channel=True)


def opened(path: Path) -> tuple[onnxruntime.InferenceSession, Counter[str]]:
    """A session of one thread, and how often each operator is in the graph that it runs."""
    optimized = path.with_suffix(".optimized")
    session = one_thread(path, optimized=optimized)
    graph = onnx.load_model(str(optimized), load_external_data=False).graph
    return session, Counter(node.op_type for node in graph.node)


def measured(name: str, work: Path, seconds: float) -> list[Claim]:
    """Make the files of a network, time them, print its row of the table."""
    architecture = ARCHITECTURES[name]
    paths = {kind: work / f"{name}.{kind}.onnx" for kind in (FP32, OURS, PEER)}
    if not paths[FP32].exists():
        onnx.save_model(architecture.graph(), paths[FP32])
    quantize_ours(onnx.load_model(paths[FP32]), architecture, paths[OURS])
    quantize_peer(paths[FP32], architecture, paths[PEER])
    found = {kind: opened(path) for kind, path in paths.items()}
    times = race({kind: session for kind, (session, _) in found.items()}, feed(architecture, 1), seconds)
    ratios = {kind: times[FP32] / taken for kind, taken in times.items()}
    cells = [f"{times[FP32]:.1f}"]
    for kind in (OURS, PEER):
        operators = found[kind][1]
        layers = sum(count for operator, count in operators.items() if operator in LAYERS)
        floats = sum(operators[operator] for operator in LAYERS if operator in found[FP32][1])
        between = sum(operators[operator] for operator in CONVERSIONS)
        cells += [f"{ratios[kind]:.2f}", f"{layers - floats} of {layers}", str(between)]
    size = paths[FP32].stat().st_size / paths[OURS].stat().st_size
    print(f"| {name} | {' | '.join(cells)} | {size:.2f} |", flush=True)
    return [
        Claim(f"int8_times_fp32_{name}", ratios[OURS], GOAL),
        Claim(f"int8_over_onnxruntime_{name}", ratios[OURS] / ratios[PEER], 1 / NOISE),
    ]


def run(names: Sequence[str], work: Path, seconds: float) -> list[Claim]:
    """The table; what is claimed of it."""
    work.mkdir(parents=True, exist_ok=True)
    kinds = " | ".join(f"{kind}: times | on integers | between" for kind in (OURS, PEER))
    print(f"| network | FP32 ms | {kinds} | times smaller |")
    print("|---|---|---|---|---|---|---|---|---|")
    return [claim for name in names for claim in measured(name, work, seconds)]


def main() -> None:
    """Print the table and the claims; the last line is the last of them, or the first that does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{' and '.join(QUICK)} alone")
    parser.add_argument("--work", type=Path, default=Path("build/int8_placement"), help="what is kept between runs")
    parser.add_argument("--only", default="", help="networks whose name holds this")
    parser.add_argument("--seconds", type=float, default=10.0, help="of timing for each network")
    options = parser.parse_args()
    print_machine("onnxruntime", "onnx", "torch", "transformers")
    if options.quick:
        with tempfile.TemporaryDirectory() as folder:
            claims = run(QUICK, Path(folder), 4.0)
    else:
        claims = run([name for name in ARCHITECTURES if options.only in name], options.work, options.seconds)
    finish_claims(claims)


if __name__ == "__main__":
    main()
