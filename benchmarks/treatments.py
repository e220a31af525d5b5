"""The treatments around compression, each against plain and against the best of before: tables and pictures, 5 seeds.

One dense network a seed is pruned and trained again in every way; every line differs from the one that it is held
against in one thing only. Numbers are of the audit rows, in points: the equalized-odds gap, the gap among the rows of
one label, balanced accuracy of the worst group, and psi, what a group lost beyond all (against the same network before
pruning). The other columns are mean paired differences, seed by seed, with 95 % limits of Student's t; where they hold
0 no difference was shown. Every job is written to the file as it ends, and is not done again.

    python benchmarks/treatments.py [--quick] [--seeds N] [--results FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from debias_census import CENSUS
from machine import finish, print_machine
from pictures import EASIER, GLYPHS, NETWORKS
from scipy import stats

import edgefair
from edgefair.config import parse_config
from edgefair.measure.counts import GroupCounts
from edgefair.report.results.verification import Report

PLAIN, BEST = "plain", "best of before"
NUMBERS = ("gap", "one label", "worst", "psi")


@dataclass(frozen=True)
class Line:
    """One way.

    Attributes:
        before: methods of the dense training.
        after: methods of the training after pruning; BEST stands for that of the data, PENALTY for one of one label.
        compress: keys beside the ratio.
        against: the line that it differs from in one thing.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    compress: dict[str, Any] = field(default_factory=dict)
    against: str = PLAIN


@dataclass(frozen=True)
class Data:
    """A data set.

    Attributes:
        raw: its project.
        ratio: of the MACs that are pruned.
        best: the method that was the best in a fine-tune so far (benchmarks debias_census.py, debias_pruned.py).
        label: the one that a penalty of one label constrains.
    """

    raw: dict[str, Any]
    ratio: float
    best: str
    label: str


def distilled(method: str) -> dict[str, Any]:
    """Taught by the dense network."""
    return {"distill": {"teacher": "run", "method": method}}


PENALTY = "eo-penalty of one label"
LINES: dict[str, Line] = {
    PLAIN: Line(),
    BEST: Line(after=(BEST,)),
    "best + excess-loss": Line(after=(BEST, "excess-loss"), against=BEST),
    "best, taught: kd": Line(after=(BEST,), compress=distilled("kd"), against=BEST),
    "best, taught: dro": Line(after=(BEST,), compress=distilled("dro"), against="best, taught: kd"),
    "group-sam before, best": Line(before=("group-sam",), after=(BEST,), against=BEST),
    "fairgrape": Line(compress={"importance": "fairgrape"}),
    "group-effect": Line(compress={"importance": "group-effect"}, against="fairgrape"),
    "best, threshold after": Line(after=(BEST,), compress={"post": ["threshold"]}, against=BEST),
    "best + eo-penalty": Line(after=(BEST, "eo-penalty"), against=BEST),
    "best + eo-penalty of one label": Line(after=(BEST, PENALTY), against="best + eo-penalty"),
}
QUICK = (PLAIN, BEST, "best + excess-loss", "best, taught: kd", "best, taught: dro")
TABLE = {
    **CENSUS,
    "policy": {"min_balanced_accuracy": None, "attributes": {"sex": {"groups": ["Female", "Male"]}}},
    "data": {**CENSUS["data"], "keep": 8000},
    "train": {"epochs": 8, "batch_rows": 128},
}
SMALL_GLYPHS = {"rows": 3500, "audit_rows": 4000, "size": 16, "contrast": 0.5, "texture": 0.1, "share": 0.2}
PICTURES = {
    **GLYPHS,
    "data": {"source": "glyphs", "glyphs": SMALL_GLYPHS},
    "model": {**EASIER["model"], "network": "resnet-18", "options": NETWORKS["resnet-18"]},
}
DATA = {
    "census": Data(TABLE, 0.8, best="reweigh", label="50000+"),
    "glyphs": Data(PICTURES, 0.5, best="augment", label="ring"),
}


def job(data: Data, line: Line, seed: int, folder: Path) -> dict[str, float]:
    """Train the dense network (once for all lines that begin alike), prune, train again, judge."""
    keys = {key: value for key, value in line.compress.items() if key != "post"}
    penalty = {"method": "eo-penalty", "options": {"labels": [data.label]}}
    after = [{BEST: data.best, PENALTY: penalty}.get(method, method) for method in line.after]
    name = "+".join(line.before) or "run"
    if "distill" in keys:
        keys["distill"] = {**keys["distill"], "teacher": name}
    config = parse_config(
        {
            **data.raw,
            "seed": seed,
            "debias": {"train": list(line.before), "finetune": after, "post": line.compress.get("post", [])},
            "compress": {"prune": data.ratio, "repair": {"enabled": False}, **keys},
        },
        base=folder,
    )
    edgefair.train(config, name=name)
    return measured(edgefair.export(config, run=name, latency=False), data.label)


def measured(report: Report, label: str) -> dict[str, float]:
    """The numbers of the exported file, in points."""
    target = report.targets[0]
    counts = GroupCounts.from_json(target.counts)
    rates = counts.table / counts.table.sum(axis=2, keepdims=True)
    # [groups, labels]: the rows of a label that are decided rightly.
    recalls = np.diagonal(rates, axis1=1, axis2=2)
    worst = float(recalls.mean(axis=1).min())
    one_label = float(np.ptp(recalls[:, list(counts.classes).index(label)]))
    pairs = np.array(target.evidence["paired"]["table"])
    # [groups, labels, reference, candidate]: rows that only one of the two decides rightly.
    labels = np.arange(pairs.shape[1])
    before, after = (np.stack([pairs.sum(axis=axis)[:, y, y] for y in labels], axis=1).sum(axis=1) for axis in (3, 2))
    rows = pairs.sum(axis=(1, 2, 3))
    psi = float(((before - after) / rows).max() - (before - after).sum() / rows.sum())
    gap = target.verdict.gates[0].estimate
    return {"gap": 100 * gap, "one label": 100 * one_label, "worst": 100 * worst, "psi": 100 * psi}


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
    parser.add_argument("--quick", action="store_true", help="five lines, the table alone, one seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--results", type=Path, help="JSON lines; a file of its own for each version of edgefair")
    options = parser.parse_args()
    print_machine("torch", "torch-pruning", "onnxruntime")
    names, seeds = (QUICK, 1) if options.quick else (tuple(LINES), options.seeds)
    path = options.results or Path(tempfile.mkdtemp()) / "treatments.jsonl"
    found = done_before(path)
    sources = dict(list(DATA.items())[: 1 if options.quick else None])
    # A seed is a block: a run that was stopped has the first seeds of every line.
    for seed in range(seeds):
        for source, data in sources.items():
            with tempfile.TemporaryDirectory() as folder:
                for name in names:
                    key = _key(source, name, seed)
                    if key in found:
                        continue
                    found[key] = job(data, LINES[name], seed, Path(folder))
                    with path.open("a") as stream:
                        stream.write(json.dumps({"key": key, "found": found[key]}) + "\n")
    least = min(_print(source, data, names, seeds, found) for source, data in sources.items())
    print(f"all jobs: {path}; {time.process_time():.0f} s of processor time")
    finish("best_gap_minus_plain_points", least, 0.0, at_most=True)


def _key(source: str, name: str, seed: int) -> str:
    return json.dumps([source, name, seed])


def _print(source: str, data: Data, names: tuple[str, ...], seeds: int, found: dict[str, dict[str, float]]) -> float:
    """A table; the least mean difference of the gap from plain, of lines whose worst group is no worse than plain's.

    A model that decides one class for everybody has no gap.
    """

    def of(name: str, number: str) -> list[float]:
        return [found[_key(source, name, seed)][number] for seed in range(seeds)]

    network = data.raw["model"]["network"]
    print(f"{source}, {network}, pruned by {data.ratio:g} of the MACs, {seeds} seeds, in points")
    print(f"best of before: {data.best}; one label: {data.label}")
    columns = ["line", *NUMBERS, "gap - plain", "worst - plain", "against", *NUMBERS]
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for name in names:
        against = LINES[name].against
        shown = [f"{statistics.mean(of(name, number)):.1f}" for number in NUMBERS]
        plain = [difference(of(name, number), of(PLAIN, number)) for number in ("gap", "worst")]
        best = [difference(of(name, number), of(against, number)) for number in NUMBERS]
        print(f"| {name} | {' | '.join([*shown, *plain, against, *best])} |", flush=True)
    means = {name: [statistics.mean(of(name, number)) for number in ("gap", "worst")] for name in names}
    gap, worst = means[PLAIN]
    return min(its_gap - gap for its_gap, its_worst in means.values() if its_worst >= worst)


if __name__ == "__main__":
    main()
