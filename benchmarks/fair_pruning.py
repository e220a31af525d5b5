"""Fair against plain importance: the same network, pruned to the same MACs, with the same fine-tune.

The synthetic glyphs (a minority that is rarer and harder to see), ResNet-18 of a quarter of its width trained plainly,
pruned globally, FP32, judged on 8,000 balanced audit rows. A line is a mean over seeds with its 95 % interval
(Student's t). `worst group` is its accuracy. `against magnitude` is the same of the differences within a seed, without
what a seed's data and weights do to all importances alike: an interval that holds 0 is no difference to speak of.

    python benchmarks/fair_pruning.py [--quick] [--seeds N] [--importance NAME ...]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import finish, print_machine
from pictures import EASIER, GLYPHS
from scipy import stats

import edgefair
from edgefair.config import parse_config
from edgefair.measure.counts import GroupCounts
from edgefair.probe.bundles.gates import ABSOLUTE
from edgefair.report.results.verification import Report

BASELINE = "magnitude"
IMPORTANCES = (BASELINE, "taylor", "random", "fairgrape", "fairprune", "adversarial")
FAIR = ("fairgrape", "fairprune", "adversarial")
# Leaves random weights as they are: to be asked for by name.
FROZEN = "adversarial-frozen"
RATIOS = (0.5, 0.8)
NETWORK = {"network": "resnet-18", "options": {"width": 0.25}}
FINETUNE_EPOCHS = 2


@dataclass(frozen=True)
class Line:
    """What one seed gave: gap and accuracy of the worst group on the audit rows, share of the MACs that is left."""

    gap: float
    worst: float
    macs: float


def line_of(report: Report) -> Line:
    """The numbers of one export."""
    target = report.targets[0]
    table = np.asarray(GroupCounts.from_json(target.counts).table, dtype=float)
    classes = np.arange(table.shape[-1])
    accuracy = table[..., classes, classes].sum(-1) / table.sum((-2, -1))
    gap = target.verdict.gate(ABSOLUTE).estimate
    if gap is None:
        raise SystemExit("a cell has too few rows to say the gap")
    before, after = report.settings.get("prune", {}).get("macs", (1, 1))
    return Line(gap, float(accuracy.min()), after / before)


def exported(raw: dict[str, Any], prune: dict[str, Any], seed: int, folder: Path) -> Line:
    """Prune the run in the folder, fine-tune, and judge; without `prune` the run as it is."""
    config = parse_config(
        {
            **raw,
            "seed": seed,
            "model": {**raw["model"], **NETWORK},
            "finetune": {**raw["train"], "epochs": FINETUNE_EPOCHS},
            "compress": {**prune, "repair": {"enabled": False}},
        },
        base=folder,
    )
    if not prune:
        edgefair.train(config, name="run")
    return line_of(edgefair.export(config, latency=False))


def interval(values: Sequence[float]) -> str:
    """Mean and half the width of its 95 % interval."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:+.4f}"
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.4f} ± {half:.4f}"


def differences(found: list[Line], baseline: list[Line], field: str) -> str:
    """Interval of the differences within a seed."""
    return interval([getattr(a, field) - getattr(b, field) for a, b in zip(found, baseline, strict=True)])


def main() -> None:
    """Print the table; the last line is the least mean gap of a fair importance over that of magnitude."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer, easier glyphs, one ratio, one seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--importance", nargs="+", choices=(*IMPORTANCES, FROZEN), help="these only, beside magnitude")
    options = parser.parse_args()
    print_machine("torch", "torch-pruning", "onnxruntime")
    raw, seeds, ratios = GLYPHS, options.seeds, RATIOS
    if options.quick:
        raw, seeds, ratios = GLYPHS | EASIER, 1, RATIOS[:1]
    asked = options.importance or (["fairgrape"] if options.quick else IMPORTANCES)
    importances = tuple(dict.fromkeys([BASELINE, *asked]))
    dense: list[Line] = []
    jobs: dict[tuple[float, str], list[Line]] = {(ratio, name): [] for ratio in ratios for name in importances}
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            dense.append(exported(raw, {}, seed, folder))
            for (ratio, importance), found in jobs.items():
                prune = {"prune": ratio, "scope": "global", "importance": importance}
                found.append(exported(raw, prune, seed, folder))
                print(f"seed {seed}, {ratio:g} by {importance}: {found[-1]}", flush=True)
    print("| pruned by | importance | MACs left | gap | worst group | gap against magnitude | worst group against it |")
    print("|---|---|---|---|---|---|---|")
    print(f"| 0 | | 1.00 | {interval([line.gap for line in dense])} | {interval([line.worst for line in dense])} | | |")
    for (ratio, importance), found in jobs.items():
        baseline = jobs[ratio, BASELINE]
        against = "| |"
        if importance != BASELINE:
            against = f"{differences(found, baseline, 'gap')} | {differences(found, baseline, 'worst')} |"
        print(
            f"| {ratio:g} | {importance} | {statistics.mean(line.macs for line in found):.2f} | "
            f"{interval([line.gap for line in found])} | {interval([line.worst for line in found])} | {against}"
        )
    gap = {name: statistics.mean(line.gap for ratio in ratios for line in jobs[ratio, name]) for name in importances}
    best = min((name for name in importances if name in FAIR), key=lambda name: gap[name], default=BASELINE)
    finish(f"fair_pruning_gap ({best})", gap[best] / gap[BASELINE], 1.0, at_most=True)


if __name__ == "__main__":
    main()
