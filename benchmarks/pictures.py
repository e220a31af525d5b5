"""Train, debias, compress and judge on pictures: the synthetic glyphs and the emoji people, two networks each.

Every line is the whole job (train, export --int8, verify on this machine): gap of the INT8 file with the limits of its
verdict, accuracy, seconds. The emoji people are skewed on purpose: 10 % of the dark tones are kept in training.

    python benchmarks/pictures.py [--quick] [--seeds N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import finish, print_machine

import edgefair
from edgefair.config import parse_config
from edgefair.measure.counts import GroupCounts

GLYPHS = {
    "data": {"source": "glyphs"},
    "model": {"picture": {"height": 24, "width": 24, "channels": 1}},
    "train": {"epochs": 4, "batch_rows": 128, "learning_rate": 3e-3},
    "policy": {"max_eo_gap": 0.05, "attributes": {"group": {"groups": ["majority", "minority"]}}},
}
EASIER = {
    "data": {
        "source": "glyphs",
        "glyphs": {"rows": 5000, "audit_rows": 4000, "size": 16, "contrast": 0.5, "texture": 0.1, "share": 0.2},
    },
    "model": {"picture": {"height": 16, "width": 16, "channels": 1}},
}
EMOJI = {
    "data": {
        "source": "emoji-people",
        "positive": "woman",
        "where": {"presentation": ["man", "woman"]},
        "merge": {"skin_tone": {"light": ["1", "2", "3"], "dark": ["4", "5"]}},
        "thin": [{"where": {"skin_tone": "dark"}, "keep": 0.1}],
        "split": {"audit_fraction": 0.5},
    },
    "model": {"picture": {"height": 48, "width": 48}},
    "train": {"epochs": 12, "batch_rows": 32, "learning_rate": 3e-3},
    "policy": {"max_eo_gap": 0.05, "attributes": {"skin_tone": {"groups": ["light", "dark"]}}},
}
NETWORKS = {"resnet-18": {"width": 0.125}, "mobilenet-v2": {"width": 0.35, "dropout": 0.0}}
TREATMENTS = {"plain": [], "reweigh": ["reweigh"]}


def judged(raw: dict[str, Any], network: str, treatment: str, seed: int, folder: Path) -> tuple[Any, float, float]:
    """The report of the INT8 file, its accuracy, and the seconds of the whole job."""
    config = parse_config(
        {
            **raw,
            "seed": seed,
            "model": {**raw["model"], "network": network, "options": NETWORKS[network]},
            "debias": {"train": TREATMENTS[treatment]},
        },
        base=folder,
    )
    started = time.perf_counter()
    edgefair.train(config, name="run", overwrite=True)
    report = edgefair.export(config, int8="auto", latency=False)
    counts = GroupCounts.from_json(report.targets[0].counts)
    classes = np.arange(len(counts.classes))
    accuracy = float(counts.table[..., classes, classes].sum() / counts.table.sum())
    return report, accuracy, time.perf_counter() - started


def main() -> None:
    """Print the table; the last line is the debiased gap over the plain one on the glyphs, ResNet-18."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one network on fewer, easier glyphs")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    print_machine("torch", "onnxruntime", "transformers")
    sets = {"glyphs": GLYPHS, "emoji people": EMOJI}
    networks = list(NETWORKS)
    if options.quick:
        sets, networks = {"glyphs": GLYPHS | EASIER}, ["resnet-18"]
    gaps: dict[str, list[float]] = {name: [] for name in TREATMENTS}
    print("| data | network | treatment | seed | verdict at 0.05 | gap (limits) | accuracy | whole job |")
    print("|---|---|---|---|---|---|---|---|")
    for data, raw in sets.items():
        for network in networks:
            for treatment in TREATMENTS:
                for seed in range(options.seeds):
                    with tempfile.TemporaryDirectory() as name:
                        report, accuracy, seconds = judged(raw, network, treatment, seed, Path(name))
                    gate = report.targets[0].verdict.gates[0]
                    print(
                        f"| {data} | {network} | {treatment} | {seed} | {gate.outcome} | {gate.estimate:.3f} "
                        f"({gate.lower:.3f} to {gate.upper:.3f}) | {accuracy:.3f} | {seconds:.0f} s |",
                        flush=True,
                    )
                    if data == "glyphs" and network == "resnet-18":
                        gaps[treatment].append(gate.estimate)
    finish(
        "pictures_debiased_gap", statistics.mean(gaps["reweigh"]) / statistics.mean(gaps["plain"]), 0.9, at_most=True
    )


if __name__ == "__main__":
    main()
