"""Fair sub-networks of random networks: masks over single weights against masks over whole channels.

The plain convolutional network `fer-cnn` at a share of its width with random weights, of which none is ever trained;
what stays is learned in a game against an adversary that guesses the group from the decision (parity), with weight
lambda. `weights` keeps 30 % of the single weights (edge-popup scores, signed constants), `channels` whole channels, as
many as half of the MACs. On synthetic glyphs of much noise, whose minority has another base rate, judged FP32 on audit
rows that have both as training does: the parity gap |P(decision | group)| of the labels themselves is 0.40.

The claims, from the logs of Fair Scratch Tickets (Tang et al., CVPR 2023): masks over weights are far more accurate
than masks over whole channels, and the parity gap falls with lambda. A line is a mean over seeds,
with its 95 % interval.

    python benchmarks/random_tickets.py [--quick] [--seeds N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import Claim, finish_claims, print_machine
from scipy import stats

import edgefair
from edgefair.config import parse_config
from edgefair.measure.counts import GroupCounts

RAW: dict[str, Any] = {
    "project": "random-tickets",
    "data": {
        "source": "glyphs",
        "glyphs": {
            "rows": 8000,
            "audit_rows": 8,
            "size": 16,
            "contrast": 1.0,
            "stroke": 1.0,
            "share": 0.4,
            "base_rates": [0.7, 0.3],
            "noise": 0.3,
        },
        # Audit rows of the generator are balanced; those of a drawn split have the rates of training.
        "where": {"split": ["train"]},
        "split": {"audit_fraction": 0.5},
    },
    "model": {"network": "fer-cnn", "picture": {"height": 16, "width": 16, "channels": 1}},
    "train": {"epochs": 1, "batch_rows": 128, "learning_rate": 1e-3},
    "policy": {"max_eo_gap": 0.05, "attributes": {"group": {"groups": ["majority", "minority"]}}},
}
KINDS = ("weights", "channels")


@dataclass(frozen=True)
class Size:
    """How much is run: lambdas, steps of the game, the network's width, seeds."""

    weights: tuple[float, ...]
    steps: int
    width: float
    seeds: int


FULL = Size((0.0, 2.0, 5.0, 10.0), 1500, 0.25, 5)
QUICK = Size((0.0, 10.0), 250, 0.125, 1)


def asked(kind: str, weight: float, steps: int) -> dict[str, Any]:
    """The section `compress:` of one line."""
    game = {"target": "parity", "weight": weight, "steps": steps}
    if kind == "weights":
        return {"ticket": {"keep": 0.3, **game}}
    return {"prune": 0.5, "importance": "adversarial-frozen", "round_to": 1, "adversary": game}


def outcome(size: Size, kind: str, weight: float, seed: int, folder: Path) -> tuple[float, float]:
    """Accuracy, and the difference of the groups' rates of the second decision."""
    compress = {**asked(kind, weight, size.steps), "repair": {"enabled": False}}
    options = {"width": size.width, "dropout": 0.0}
    model = {**RAW["model"], "options": options}
    config = parse_config({**RAW, "seed": seed, "model": model, "compress": compress}, base=folder)
    if not config.run_path("run").exists():
        edgefair.train(config, name="run")
    report = edgefair.export(config, run="run", latency=False)
    table = np.asarray(GroupCounts.from_json(report.targets[0].counts).table, dtype=float)
    decided = table.sum(1)
    rates = decided[:, 1] / decided.sum(1)
    return float(np.trace(table.sum(0)) / table.sum()), float(np.ptp(rates))


def means(found: Mapping[tuple[str, float], list[tuple[float, float]]], kind: str, weight: float) -> tuple[float, ...]:
    """Mean accuracy and gap of a line."""
    return tuple(statistics.mean(values) for values in zip(*found[kind, weight], strict=True))


def interval(values: Sequence[float]) -> str:
    """Mean and half the width of Student's 95 % interval over seeds; of one seed the value alone."""
    mean, seeds = statistics.mean(values), len(values)
    if seeds < 2:
        return f"{mean:.3f}"
    half = stats.t.ppf(0.975, seeds - 1) * statistics.stdev(values) / seeds**0.5
    return f"{mean:.3f} +- {half:.3f}"


def main() -> None:
    """Print the table, and whether the claims hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer steps, a narrower network, one seed")
    parser.add_argument("--seeds", type=int)
    options = parser.parse_args()
    print_machine("torch", "torch-pruning", "onnxruntime")
    size = QUICK if options.quick else FULL
    found: dict[tuple[str, float], list[tuple[float, float]]] = {(k, w): [] for k in KINDS for w in size.weights}
    for seed in range(options.seeds or size.seeds):
        with tempfile.TemporaryDirectory() as name:
            for (kind, weight), values in found.items():
                values.append(outcome(size, kind, weight, seed, Path(name)))
                print(f"seed {seed}, {kind}, lambda {weight:g}: {values[-1]}", flush=True)
    print("| masks over | lambda | accuracy | parity gap |")
    print("|---|---|---|---|")
    for (kind, weight), values in found.items():
        accuracies, parity = zip(*values, strict=True)
        print(f"| {kind} | {weight:g} | {interval(accuracies)} | {interval(parity)} |")
    first, last = size.weights[0], size.weights[-1]
    accuracy = {kind: means(found, kind, first)[0] for kind in KINDS}
    gaps = [means(found, "weights", weight)[1] for weight in (first, last)]
    finish_claims(
        [
            Claim("accuracy of masks over weights minus channels", accuracy["weights"] - accuracy["channels"], 0.1),
            Claim("parity gap without the adversary minus with it", gaps[0] - gaps[1], 0.05),
        ]
    )


if __name__ == "__main__":
    main()
