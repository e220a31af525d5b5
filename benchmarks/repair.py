"""The repair on models that fail without it: what it gives back, and how much of the speed-up it keeps.

The synthetic glyphs, FP32 as the reference. Every case is a recipe that breaks the model: one scale for all weights of
a MobileNetV2's layer, 4-bit weights, most of the network pruned with hardly any fine-tune. It is exported with
`--no-repair` and then with the repair; both are judged on the audit rows, timed beside FP32 at batch 1.

    python benchmarks/repair.py [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from machine import finish, print_machine
from pictures import GLYPHS, NETWORKS

import edgefair
from edgefair.config import Config, parse_config
from edgefair.report.model import Report

COARSE = "name: coarse\nrows: 512\nbalance: group-label\nweights: per-tensor\nweight_bits: {bits}\n"
LITTLE = {"epochs": 1, "batch_rows": 128, "learning_rate": 1e-4}
# name: network, bits of a weight with one scale per layer, share of the MACs that is pruned, allowed moves.
CASES: dict[str, tuple[str, int, float | None, list[str]]] = {
    "MobileNetV2, weights per tensor": ("mobilenet-v2", 8, None, ["bias", "float"]),
    "ResNet-18, 4-bit weights per tensor": ("resnet-18", 4, None, ["bias", "float"]),
    "ResNet-18, pruned by 0.9": ("resnet-18", 8, 0.9, ["prune", "float"]),
}
GATES = {"max_eo_gap": 1.0, "max_accuracy_drop": 0.01, "max_eo_increase": 0.05}
KEPT = 0.7


def config_of(case: str, folder: Path, *, repair: bool) -> Config:
    """The project of one case."""
    network, bits, prune, moves = CASES[case]
    (folder / "coarse.yaml").write_text(COARSE.format(bits=bits))
    return parse_config(
        {
            **GLYPHS,
            "model": {**GLYPHS["model"], "network": network, "options": NETWORKS[network]},
            "finetune": LITTLE,
            "policy": {**GLYPHS["policy"], **GATES},
            "compress": {
                "prune": prune,
                "int8": "static",
                "calibration": "coarse.yaml",
                "repair": {"enabled": repair, "moves": moves, "max_trials": 60},
            },
        },
        base=folder,
    )


def line(case: str, name: str, report: Report) -> tuple[str, float]:
    """A row of the table, and the speed-up."""
    target = report.targets[0]
    drop, increase = (target.verdict.gate(gate) for gate in ("accuracy drop", "equalized-odds increase"))
    speed = target.speed_up.ratio if target.speed_up else float("nan")
    search: dict[str, Any] = report.settings.get("repair", {})
    choice = search.get("chosen", {}).get("choice", {})
    made = f"{len(choice.get('float_nodes', ()))} in float, pruned {choice.get('prune') or 0:g}" if search else "-"
    return (
        f"| {case} | {name} | {report.outcome} | {drop.estimate:.4f} | {increase.estimate:.4f} | {speed:.2f} | "
        f"{len(search.get('trials', ())) or '-'} | {made} |"
    ), speed


def main() -> None:
    """Print the table; the last line is the least share of the speed-up that a repair keeps, 0 where one ends badly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the second case only")
    options = parser.parse_args()
    print_machine("torch", "onnxruntime")
    print("| case | export | verdict | accuracy drop | growth of the gap | times FP32 | trials | what was given back |")
    print("|---|---|---|---|---|---|---|---|")
    kept = []
    for case in list(CASES)[1:2] if options.quick else CASES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            edgefair.train(config_of(case, folder, repair=False), name="run")
            before = edgefair.export(config_of(case, folder, repair=False))
            after = edgefair.export(config_of(case, folder, repair=True))
        rows = [line(case, "--no-repair", before), line(case, "repair", after)]
        print("\n".join(text for text, _ in rows), flush=True)
        good = before.outcome == "FAIL" and after.outcome == "PASS"
        kept.append(rows[1][1] / rows[0][1] if good else 0.0)
    finish("repair_kept_speed", min(kept), KEPT, at_most=False)


if __name__ == "__main__":
    main()
