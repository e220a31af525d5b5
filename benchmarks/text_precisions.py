"""Every low precision of a text model side by side: size, decisions changed, accuracy, gap, speed.

The network is that of `int8_peers.py`: a transformer of DistilBERT's size on synthetic texts of 128 tokens, in two
groups, short and long ones. One thread, batch 1; what is compared is the processor time of the thread, of which other
programs disturb the 20th percentile little. `a16w8` is for NPUs, and a CPU is no stand-in: its time is only printed.

    python benchmarks/text_precisions.py [--quick] [--work FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from machine import Claim, finish_claims, print_machine
from peers.cases import Case, Texts, case_of
from peers.judging import judge, open_model
from peers.rows import Rows

from edgefair.compress.low_precision import LOW_PRECISIONS, Calibration
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import open_recipe
from edgefair.compress.quantization.static import Precision

FP32 = "fp32"
KINDS = ("static", "dynamic", "a16w8", "w4")
QUERIES, PERCENTILE = 12, 20
# Four bits and a scale for every 32 of them, and a byte for every number of the embeddings.
SMALLER = 4.0


def made(case: Case, kind: str) -> Path:
    """The file in a low precision."""
    prepared = prepare_graph(onnx.load_model(case.fp32))

    def calibration() -> Calibration:
        with np.load(case.calibration) as arrays:
            batch = dict(arrays)
        recipe = open_recipe("int8-balanced").model_copy(update=dict(LOW_PRECISIONS[kind].recipe))
        few = {name: value[:4] for name, value in batch.items()}
        return Calibration(recipe, len(next(iter(batch.values()))), (), [batch], few, {})

    low = LOW_PRECISIONS[kind](prepared, calibration)
    to = case.folder / f"{kind}.onnx"
    onnx.save_model(low.convert(Precision(float_nodes=low.small)), to)
    return to


def milliseconds(path: Path, rows: Rows) -> float:
    """Of the thread, for one query."""
    model, taken = open_model(path), []
    for index in range(QUERIES + 2):
        query = {name: x[index : index + 1] for name, x in rows.inputs.items()}
        begin = time.thread_time_ns()
        model.session.run(["decision"], query)
        taken.append(time.thread_time_ns() - begin)
    return float(np.percentile(taken[2:], PERCENTILE)) / 1e6


def measured(case: Case) -> list[Claim]:
    """The table, and what is claimed of it."""
    rows = Rows.open(case.audit)
    print("| file | MB | times smaller | decisions changed | accuracy | gap | ms | times FP32 |")
    print("|---|---|---|---|---|---|---|---|")
    paths = {FP32: case.fp32} | {kind: made(case, kind) for kind in KINDS}
    found = {kind: judge(open_model(path), rows) for kind, path in paths.items()}
    sizes = {kind: path.stat().st_size for kind, path in paths.items()}
    times = {kind: milliseconds(path, rows) for kind, path in paths.items()}
    for kind, quality in found.items():
        changed = int((quality.decision != found[FP32].decision).sum())
        print(
            f"| {kind} | {sizes[kind] / 1e6:.1f} | {sizes[FP32] / sizes[kind]:.2f} | {changed} of {len(rows)} | "
            f"{quality.accuracy:.4f} | {quality.gap:.3f} | {times[kind]:.1f} | {times[FP32] / times[kind]:.2f} |",
            flush=True,
        )
    return [
        Claim("w4_times_smaller_than_int8", sizes["dynamic"] / sizes["w4"], 1.0),
        Claim("w4_times_smaller", sizes[FP32] / sizes["w4"], SMALLER),
    ]


def main() -> None:
    """Print the table and the claims."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a network of two layers of width 256")
    parser.add_argument("--work", type=Path, default=Path("build/int8_peers"), help="what is kept between runs")
    options = parser.parse_args()
    print_machine("onnxruntime", "onnx", "torch", "transformers")
    if options.quick:
        recipe = Texts("small text transformer", vocabulary=4000, width=256, depth=2, heads=4, length=64)
        with tempfile.TemporaryDirectory() as folder:
            claims = measured(case_of(recipe, Path(folder)))
    else:
        claims = measured(case_of(Texts("distilbert-size 128 tokens"), options.work.resolve()))
    finish_claims(claims)


if __name__ == "__main__":
    main()
