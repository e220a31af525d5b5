"""The gap of drawn people and its physical cause: black lines on dark skin.

A small convolutional network tells upset from pleased `peeps` of five skin tones, 48 pixels: 8,000 rows to train and
validate with, 8,000 balanced audit rows, FP32. Once with as many people of each tone, once with the two darkest thinned
to 10 %. Accuracy by tone and the equalized-odds gap; a line is a seed. Each picture is drawn once (about 10 ms, kept in
the user's cache).

    python benchmarks/peeps_gap.py [--quick] [--seeds N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from machine import Claim, finish_claims, print_machine

import edgefair
from edgefair.config import parse_config
from edgefair.data.images.peeps import TONES
from edgefair.measure.counts import GroupCounts
from edgefair.probe.bundles.gates import ABSOLUTE

THIN = [{"where": {"tone": tone}, "keep": 0.1} for tone in ("dark", "darkest")]
CASES: dict[str, list[dict[str, Any]]] = {"as many of each tone": [], "dark tones thinned to 10 %": THIN}


def network(*, features: tuple[int, ...], classes: int) -> Any:
    """Five convolutions and a linear layer: pictures -> logits [rows, classes]."""
    from torch import nn

    layers: list[nn.Module] = []
    channels = features[0]
    for out, stride in ((16, 2), (32, 1), (64, 2), (64, 1), (96, 2)):
        layers += [nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
        channels = out
    return nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(9 * channels, classes))


def judged(thin: list[dict[str, Any]], rows: int, epochs: int, seed: int, folder: Path) -> tuple[np.ndarray, float]:
    """Accuracy of every tone [tones], and the gap."""
    config = parse_config(
        {
            "project": "peeps",
            "seed": seed,
            "data": {"source": "peeps", "peeps": {"rows": rows, "audit_rows": rows}, "thin": thin},
            "model": {"network": "peeps_gap:network", "picture": {"height": 48, "width": 48}},
            "train": {"epochs": epochs, "batch_rows": 64, "learning_rate": 3e-3, "keep": "last"},
            "policy": {"max_eo_gap": 0.05, "attributes": {"tone": {"groups": list(TONES)}}},
        },
        base=folder,
    )
    edgefair.train(config, name="run", overwrite=True)
    target = edgefair.export(config, run="run", latency=False).targets[0]
    counts = GroupCounts.from_json(target.counts)
    table = np.asarray(counts.table, dtype=float)
    order = [counts.groups.index((tone,)) for tone in TONES]
    right = np.trace(table, axis1=1, axis2=2) / table.sum((1, 2))
    gap = target.verdict.gate(ABSOLUTE).estimate
    if gap is None:
        raise SystemExit("a cell has too few rows to say the gap")
    return right[order], gap


def main() -> None:
    """Print a line for every case and seed, and whether the cause shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 rows, four epochs, one seed")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print_machine("torch", "onnxruntime", "dicebear-styles", "resvg-py")
    rows, epochs, seeds = (2000, 4, 1) if options.quick else (8000, 8, options.seeds)
    gaps: dict[str, list[float]] = {name: [] for name in CASES}
    darkest: list[float] = []
    print(f"| training | seed | {' | '.join(TONES)} | gap |")
    print("|---|---|" + "---|" * (len(TONES) + 1))
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            for name, thin in CASES.items():
                right, gap = judged(thin, rows, epochs, seed, Path(folder))
                gaps[name].append(gap)
                darkest += [float(right.max() - right[-1])] if not thin else []
                print(f"| {name} | {seed} | {' | '.join(f'{value:.3f}' for value in right)} | {gap:.3f} |", flush=True)
    even, thinned = (statistics.mean(values) for values in gaps.values())
    finish_claims(
        [
            Claim("accuracy that the darkest tone lacks, as many of each", statistics.mean(darkest), 0.01),
            Claim("gap that thinning adds", thinned - even, 0.02),
        ]
    )


if __name__ == "__main__":
    main()
