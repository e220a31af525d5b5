"""A network of pictures pruned by half of its MACs: what a plain fine-tune, a debiased one and a new last layer leave.

The synthetic glyphs, ResNet-18 of 1/8 width trained plainly, pruned once, FP32, judged on 8,000 balanced audit rows.
Means with the standard error over seeds.

    python benchmarks/debias_pruned.py [--quick] [--seeds N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from debias_census import Job, judged, mean
from machine import finish, print_machine
from pictures import EASIER, GLYPHS, NETWORKS

import edgefair
from edgefair.config import Config, parse_config

PLAIN = "plain fine-tune"
# name: methods of the fine-tune, methods after it.
TREATMENTS: dict[str, tuple[list[str], list[str]]] = {
    PLAIN: ([], []),
    "fine-tune with reweigh": (["reweigh"], []),
    "fine-tune with augment": (["augment"], []),
    "plain fine-tune, then last-layer": ([], ["last-layer"]),
    "fine-tune with augment, then last-layer": (["augment"], ["last-layer"]),
}
RATIO, ACCURACY = 0.5, 0.01


def config_of(raw: dict[str, Any], treatment: str | None, seed: int, folder: Path) -> Config:
    """The project of one line; without a treatment the dense model."""
    train, post = TREATMENTS[treatment or PLAIN]
    return parse_config(
        {
            **raw,
            "seed": seed,
            "model": {**raw["model"], "network": "resnet-18", "options": NETWORKS["resnet-18"]},
            "finetune": raw["train"],
            "debias": {"finetune": train, "post": post},
            "compress": {"prune": None if treatment is None else RATIO, "repair": {"enabled": False}},
        },
        base=folder,
    )


def main() -> None:
    """Print the table; the last line is the best treated gap over the plain fine-tune's, 99 if it costs accuracy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer, easier glyphs, one seed")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    print_machine("torch", "torch-pruning", "onnxruntime")
    raw, seeds = (GLYPHS | EASIER, 1) if options.quick else (GLYPHS, options.seeds)
    jobs: dict[str, list[Job]] = {name: [] for name in ("not compressed", *TREATMENTS)}
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            edgefair.train(config_of(raw, None, seed, folder), name="run")
            for line, found in jobs.items():
                treatment = line if line in TREATMENTS else None
                report = edgefair.export(config_of(raw, treatment, seed, folder), latency=False)
                found.append(judged(report))
                print(f"seed {seed}, {line}: {found[-1]}", flush=True)
    print("| treatment after pruning by half of the MACs | gap | upper limit | accuracy |")
    print("|---|---|---|---|")
    for line, found in jobs.items():
        print(
            f"| {line} | {mean([job.gap for job in found])} | {mean([job.upper for job in found])} | "
            f"{mean([job.accuracy for job in found])} |"
        )
    gap = {line: statistics.mean(job.gap for job in found) for line, found in jobs.items()}
    accuracy = {line: statistics.mean(job.accuracy for job in found) for line, found in jobs.items()}
    able = [line for line in TREATMENTS if line != PLAIN and accuracy[line] >= accuracy[PLAIN] - ACCURACY]
    best = min(able, key=lambda line: gap[line], default=None)
    finish("debias_pruned_gap", 99.0 if best is None else gap[best] / gap[PLAIN], 0.5, at_most=True)


if __name__ == "__main__":
    main()
