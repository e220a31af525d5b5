"""Our INT8 beside that of onnxruntime's quantizer with its defaults, NNCF and Olive: size, latency, accuracy, gap.

Every toolkit gets the same FP32 file and the same calibration rows, and all files are run by one process of
onnxruntime: one thread, batch 1, in turns of 8 queries whose order is drawn anew in every round. p50 and p90 are those
of a model that runs on and on, as on a device: of all queries of a turn but the first. The first one finds the caches
full of another model's weights; its median is beside them (`cold`). NNCF and Olive quantize in environments of their
own. Texts are quantized dynamically by everybody but NNCF, which is static only.

The networks (`peers/cases.py`) are made so that accuracy means something at little cost:

- ResNet-18 and MobileNetV2 with the published stems, trained on glyphs (synthetic) of 64 pixels; for 224 pixels the
  same weights, with the statistics of batch normalization and the last layer fitted on pictures of that size;
- a small ViT that tells the looks of glyphs apart (shapes would take it many more pictures);
- a transformer of DistilBERT's size (6 layers, width 768, 30,522 ids, 128 tokens) on synthetic texts, whose class is
  the one that most of their speaking words are for: random weights, but for a direction that is planted in the
  embeddings of these words, and a fitted last layer. Groups are short and long texts;
- the MLP of tables (128-64), trained on Census-Income (real rows; groups are the sexes).

Networks, peers' files and environments stay below the work folder: a second run only judges and times. Delete it after
changes to training or export. Our INT8 file is made anew every time.

    python benchmarks/int8_peers.py [--quick] [--work FOLDER] [--only PART_OF_A_NAME] [--seconds S]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import Claim, finish_claims, print_machine
from peers.cases import QUICK, RECIPES, Case, Recipe, case_of
from peers.judging import judge, open_model, race
from peers.rows import Rows
from peers.tools import PEERS, Peer, UnavailableError, quantize_ours

from edgefair.measure.latency import SpeedUp, speed_up, summarize

FP32, OURS = "fp32", "edgefair"
# Two files of equal speed differ by this factor between runs.
NOISE = 1.03
POINTS = 0.5
LEAST_TIMES_FP32 = {"mobilenet-v2": 1.5, "resnet-18": 3.0}
LEVEL = 0.05


@dataclass(frozen=True)
class Result:
    """One network: what is claimed of it.

    Attributes:
        points: accuracy of ours less that of FP32, in percent.
        times_fp32: median of FP32 over ours.
        best: the fastest peer, and its median over ours; None where no peer made a file.
    """

    name: str
    points: float
    times_fp32: SpeedUp
    best: tuple[str, SpeedUp] | None


def install(peer: Peer, work: Path) -> Path | None:
    """The interpreter of a peer, or None, which is said."""
    try:
        return peer.python(work)
    except UnavailableError as error:
        print(f"{peer.name} does not install: {error}", flush=True)
        return None


def quantize(peer: Peer, case: Case, python: Future[Path | None]) -> Path | None:
    """The INT8 file of a peer, or None, which is said."""
    interpreter = python.result()
    if interpreter is None:
        return None
    try:
        return peer.quantize(case, interpreter)
    except UnavailableError as error:
        print(f"{peer.name} fails on {case.name}: {error}", flush=True)
        return None


def measured(case: Case, files: dict[str, Path], seconds: float) -> Result:
    """Judge and time the files of a network; print their rows of the table."""
    models = {name: open_model(path) for name, path in files.items()}
    rows = Rows.open(case.audit)
    with ThreadPoolExecutor(2) as pool:
        quality = dict(zip(models, pool.map(lambda model: judge(model, rows), models.values()), strict=True))
    times = race(models, rows, seconds=seconds, most_seconds=4 * seconds)
    compared = {name: speed_up(times[FP32].warm, item.warm, level=LEVEL) for name, item in times.items()}
    for name, model in models.items():
        latency = summarize(times[name].warm, level=LEVEL)
        cold = float(np.median(times[name].cold)) / 1e6
        cold_times = float(np.median(times[FP32].cold)) / 1e6 / cold
        ratio, found = compared[name], quality[name]
        same = (found.decision == quality[FP32].decision).mean()
        print(
            f"| {case.name} | {name} | {model.bytes / 1e6:.2f} | {latency.p50_ms:.3f} | "
            f"{'-' if latency.p90_ms is None else f'{latency.p90_ms:.3f}'} | "
            f"{ratio.ratio:.2f} ({ratio.lower:.2f} to {ratio.upper:.2f}) | {cold:.3f} | {cold_times:.2f} | "
            f"{found.accuracy:.4f} | {same:.4f} | {found.gap:.3f} | {len(rows):,} |",
            flush=True,
        )
    peers = [name for name in models if name not in {FP32, OURS}]
    best = max(peers, key=lambda name: compared[name].ratio, default=None)
    over = None if best is None else (best, speed_up(times[best].warm, times[OURS].warm, level=LEVEL))
    right = {name: int((quality[name].decision == rows.label).sum()) for name in (FP32, OURS)}
    points = 100 * (right[OURS] - right[FP32]) / len(rows)
    return Result(case.name.replace(" ", "_"), points, compared[OURS], over)


def claims(results: Sequence[Result]) -> list[Claim]:
    """Everything that is claimed; the least ratio to a best peer is the last."""
    found = [Claim(f"int8_points_{result.name}", result.points, -POINTS) for result in results]
    for result in results:
        goal = next((goal for network, goal in LEAST_TIMES_FP32.items() if result.name.startswith(network)), None)
        if goal is not None:
            found.append(Claim(f"int8_times_fp32_{result.name}", result.times_fp32.ratio, goal))
    ratios = []
    for result in results:
        if result.best is not None:
            peer, over = result.best
            ratios.append(over.ratio)
            found.append(Claim(f"int8_{peer}_over_ours_{result.name}", over.ratio, 1 / NOISE))
    if not ratios:
        raise SystemExit("no peer made a file: there is nothing to compare with")
    return [*found, Claim("int8_peers", min(ratios), 1 / NOISE)]


def run(work: Path, recipes: Sequence[Recipe], peers: Sequence[Peer], *, seconds: float) -> list[Result]:
    """Make what is not there, side by side, then judge and time with nothing beside it."""
    work.mkdir(parents=True, exist_ok=True)
    print("peers:", ", ".join(peer.version for peer in peers), flush=True)
    waiting: list[tuple[Case, dict[str, Future[Path | None]]]] = []
    with ThreadPoolExecutor(2) as pool:
        pythons = {peer.name: pool.submit(install, peer, work) for peer in peers}
        for recipe in recipes:
            case = case_of(recipe, work)
            waiting.append((case, {p.name: pool.submit(quantize, p, case, pythons[p.name]) for p in peers}))
    print(
        "| network | file | MB | p50 ms | p90 ms | times FP32 (95 %) | cold ms | times | accuracy | same | gap | rows |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    results = []
    for case, made in waiting:
        files = {name: future.result() for name, future in made.items()}
        every = {FP32: case.fp32, OURS: quantize_ours(case), **{name: path for name, path in files.items() if path}}
        results.append(measured(case, every, seconds))
    return results


def main() -> None:
    """Print the table and the claims; the last line is `int8_peers`, or the first claim that does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="MobileNetV2 at 64 pixels beside onnxruntime's quantizer")
    parser.add_argument("--work", type=Path, default=Path("build/int8_peers"), help="what is kept between runs")
    parser.add_argument("--only", default="", help="networks whose name holds this")
    parser.add_argument("--seconds", type=float, default=10.0, help="of timing for each network")
    options = parser.parse_args()
    print_machine("onnxruntime", "onnx", "torch", "transformers")
    if options.quick:
        with tempfile.TemporaryDirectory() as folder:
            results = run(Path(folder), [QUICK], PEERS[:1], seconds=4.0)
    else:
        chosen = [recipe for recipe in RECIPES if options.only in recipe.name]
        results = run(options.work.resolve(), chosen, PEERS, seconds=options.seconds)
    finish_claims(claims(results))


if __name__ == "__main__":
    main()
