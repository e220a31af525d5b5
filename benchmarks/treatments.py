"""The treatments around compression, each against plain and against the best of before: tables and pictures, 5 seeds.

One dense network a seed is pruned and trained again in every way; every line differs from the next in one thing only.
Numbers are of the audit rows, in points: the equalized-odds gap, balanced accuracy of the worst group, and psi, what a
group lost beyond all (against the same network before pruning). The last columns are mean paired differences, seed by
seed, with 95 % limits of Student's t; where they hold 0 no difference was shown. `best of before` of a line is named in
the table of lines below. Every job is written to the file as it ends, and is not done again.

    python benchmarks/treatments.py [--quick] [--seeds N] [--results FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from debias_census import CENSUS
from machine import finish, print_machine
from pictures import GLYPHS, NETWORKS
from scipy import stats

import edgefair
from edgefair.config import parse_config
from edgefair.measure.counts import GroupCounts
from edgefair.report.results.verification import Report

PLAIN = "plain"
NUMBERS = ("gap", "worst", "psi")


@dataclass(frozen=True)
class Line:
    """One way.

    Attributes:
        before: methods of the dense training.
        finetune: methods of the training after pruning; None for those of `before`.
        compress: keys beside the ratio.
        against: the line that was the best of before.
    """

    before: tuple[str, ...] = ()
    finetune: tuple[str, ...] | None = None
    compress: dict[str, Any] = field(default_factory=dict)
    against: str = PLAIN


def distilled(method: str) -> dict[str, Any]:
    """Taught by the dense network."""
    return {"distill": {"teacher": "run", "method": method}}


LINES: dict[str, Line] = {
    PLAIN: Line(),
    "reweigh": Line(finetune=("reweigh",)),
    "excess-loss": Line(finetune=("excess-loss",)),
    "reweigh + excess-loss": Line(finetune=("reweigh", "excess-loss"), against="reweigh"),
    "taught: kd": Line(compress=distilled("kd")),
    "taught: dro": Line(compress=distilled("dro"), against="taught: kd"),
    "reweigh, taught: kd": Line(finetune=("reweigh",), compress=distilled("kd"), against="reweigh"),
    "reweigh, taught: dro": Line(finetune=("reweigh",), compress=distilled("dro"), against="reweigh, taught: kd"),
    "group-sam before": Line(before=("group-sam",), finetune=()),
    "group-sam before and after": Line(before=("group-sam",)),
    "fairgrape": Line(compress={"importance": "fairgrape"}),
    "group-effect": Line(compress={"importance": "group-effect"}, against="fairgrape"),
    "threshold after": Line(compress={"post": ["threshold"]}),
    "reweigh, threshold after": Line(finetune=("reweigh",), compress={"post": ["threshold"]}, against="reweigh"),
}
QUICK = (PLAIN, "reweigh", "reweigh + excess-loss", "taught: kd", "taught: dro")
SEX = {"min_balanced_accuracy": None, "attributes": {"sex": {"groups": ["Female", "Male"]}}}
DATA: dict[str, tuple[dict[str, Any], float]] = {
    "census": (CENSUS | {"policy": SEX}, 0.8),
    "glyphs": (GLYPHS | {"model": {**GLYPHS["model"], "network": "resnet-18", "options": NETWORKS["resnet-18"]}}, 0.5),
}
SMALL: dict[str, tuple[dict[str, Any], float]] = {
    "census": (
        CENSUS | {"policy": SEX, "data": {**CENSUS["data"], "keep": 6000}, "train": {"epochs": 6, "batch_rows": 128}},
        0.8,
    )
}


def job(raw: dict[str, Any], ratio: float, line: Line, seed: int, folder: Path) -> dict[str, float]:
    """Train the dense network (once for all lines that begin alike), prune, train again, judge."""
    keys = {key: value for key, value in line.compress.items() if key != "post"}
    debias: dict[str, Any] = {"train": list(line.before), "post": line.compress.get("post", [])}
    if line.finetune is not None:
        debias["finetune"] = list(line.finetune)
    name = "+".join(line.before) or "run"
    if "distill" in keys:
        keys["distill"] = {**keys["distill"], "teacher": name}
    config = parse_config(
        {
            **raw,
            "seed": seed,
            "debias": debias,
            "compress": {"prune": ratio, "repair": {"enabled": False}, **keys},
        },
        base=folder,
    )
    edgefair.train(config, name=name)
    return measured(edgefair.export(config, run=name, latency=False))


def measured(report: Report) -> dict[str, float]:
    """The numbers of the exported file, in points."""
    target = report.targets[0]
    table = GroupCounts.from_json(target.counts).table
    rates = table / table.sum(axis=2, keepdims=True)
    worst = float(np.diagonal(rates, axis1=1, axis2=2).mean(axis=1).min())
    pairs = np.array(target.evidence["paired"]["table"])
    # [groups, labels, reference, candidate]: rows that only one of the two decides rightly.
    labels = np.arange(pairs.shape[1])
    before, after = (np.stack([pairs.sum(axis=axis)[:, y, y] for y in labels], axis=1).sum(axis=1) for axis in (3, 2))
    rows = pairs.sum(axis=(1, 2, 3))
    psi = float(((before - after) / rows).max() - (before - after).sum() / rows.sum())
    return {"gap": 100 * target.verdict.gates[0].estimate, "worst": 100 * worst, "psi": 100 * psi}


def difference(line: list[float], other: list[float]) -> str:
    """Mean of the paired differences with 95 % limits of Student's t."""
    paired = [a - b for a, b in zip(line, other, strict=True)]
    if len(paired) < 2:
        return f"{paired[0]:+.1f}"
    half = stats.t.ppf(0.975, len(paired) - 1) * statistics.stdev(paired) / len(paired) ** 0.5
    return f"{statistics.mean(paired):+.1f} ± {half:.1f}"


def done_before(path: Path) -> dict[str, dict[str, float]]:
    """The jobs in the file, but for a line that was cut off."""
    found = {}
    for text in path.read_text().splitlines() if path.exists() else ():
        try:
            entry = json.loads(text)
        except ValueError:
            continue
        found[entry["key"]] = entry["found"]
    return found


def main() -> None:
    """Print a table for each data set; the last line is by how many points the best new line's gap is above plain's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="five lines, one small table, one seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--results", type=Path, help="JSON lines; a file of its own for each version of edgefair")
    options = parser.parse_args()
    print_machine("torch", "torch-pruning", "onnxruntime")
    data, names, seeds = (SMALL, QUICK, 1) if options.quick else (DATA, tuple(LINES), options.seeds)
    path = options.results or Path(tempfile.mkdtemp()) / "treatments.jsonl"
    found = done_before(path)
    least = 0.0
    for source, (raw, ratio) in data.items():
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                for name in names:
                    key = json.dumps([source, ratio, options.quick, name, seed])
                    if key in found:
                        continue
                    found[key] = job(raw, ratio, LINES[name], seed, Path(folder))
                    with path.open("a") as stream:
                        stream.write(json.dumps({"key": key, "found": found[key]}) + "\n")
        least = min(least, _print(source, raw, ratio, names, seeds, found, quick=options.quick))
    print(f"all jobs: {path}")
    finish("best_gap_minus_plain_points", least, 0.0, at_most=True)


def _print(
    source: str,
    raw: dict[str, Any],
    ratio: float,
    names: tuple[str, ...],
    seeds: int,
    found: dict[str, dict[str, float]],
    *,
    quick: bool,
) -> float:
    """A table; the least mean difference of the gap from plain."""

    def of(name: str, number: str) -> list[float]:
        return [found[json.dumps([source, ratio, quick, name, seed])][number] for seed in range(seeds)]

    print(f"{source}, {raw['model'].get('network', 'mlp')}, pruned by {ratio:g} of the MACs, {seeds} seeds, in points")
    print("| line | gap | worst group | psi | gap - plain | worst - plain | against | gap | worst group | psi |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in names:
        against = LINES[name].against
        shown = [f"{statistics.mean(of(name, number)):.1f}" for number in NUMBERS]
        plain = [difference(of(name, number), of(PLAIN, number)) for number in NUMBERS[:2]]
        best = [difference(of(name, number), of(against, number)) for number in NUMBERS]
        print(f"| {name} | {' | '.join([*shown, *plain, against, *best])} |", flush=True)
    return min(statistics.mean(of(name, "gap")) - statistics.mean(of(PLAIN, "gap")) for name in names)


if __name__ == "__main__":
    main()
