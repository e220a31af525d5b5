"""Verdicts of fixed counts and reports of fixed models, as JSON: whole numbers go in, so that no kernel decides."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper
from pin_commands import edgefair as command

import edgefair

# Of a report: what a clock or the machine says.
LEFT_OUT = frozenset({"created", "version", "device", "timings_s"})
TODAY = datetime.date(2030, 1, 1)
# Every gate that needs no clock.
EVERY_GATE: Mapping[str, Any] = {
    "max_eo_increase": 0.1,
    "max_accuracy_drop": 0.05,
    "max_group_accuracy_drop": 0.08,
    "max_excess_loss": 0.08,
    "min_balanced_accuracy": 0.6,
    "min_group_accuracy": 0.6,
    "max_size_bytes": 10_000,
    "metrics": {
        "equal_opportunity_difference": 0.1,
        "false_positive_rate_difference": 0.1,
        "demographic_parity_difference": 0.2,
        "predictive_parity_difference": 0.2,
        "accuracy_difference": 0.1,
    },
}
# [groups][labels][reference decisions][candidate decisions]
ALIKE = [[[[1790, 10], [12, 188]], [[180, 20], [15, 1785]]], [[[1780, 14], [9, 197]], [[196, 11], [18, 1775]]]]
APART = [[[[1790, 10], [12, 188]], [[180, 20], [15, 1785]]], [[[1780, 14], [9, 197]], [[196, 11], [718, 1075]]]]
FEW = [[[[41, 1], [0, 8]], [[6, 0], [1, 33]]], [[[40, 0], [1, 7]], [[8, 1], [0, 31]]]]
THREE_CLASSES = [[[300, 10, 5], [12, 280, 9], [4, 20, 310]], [[290, 15, 6], [14, 270, 20], [8, 9, 300]]]
CROSSED = [[[90, 10], [15, 85]], [[88, 12], [20, 80]], [[92, 8], [12, 88]], [[80, 20], [40, 60]]]
CROSSED_GROUPS = (("F", "old"), ("F", "young"), ("M", "old"), ("M", "young"))
WAIVER = {"comparison": "sex: TPR, F / M", "reason": "known", "owner": "somebody", "expires": "2030-12-31"}


def verdicts() -> dict[str, Any]:
    """The JSON of `decide` for counts of every kind: [case] -> verdict."""
    alike, apart, few = (paired(table) for table in (ALIKE, APART, FEW))
    three = edgefair.GroupCounts(("sex",), (("F",), ("M",)), ("a", "b", "c"), np.array(THREE_CLASSES))
    crossed = edgefair.GroupCounts(("sex", "age"), CROSSED_GROUPS, ("0", "1"), np.array(CROSSED))
    ages = {"sex": {"groups": ["F", "M"]}, "age": {"groups": ["old", "young"]}, "sex*age": {}}
    found = {
        "pass": edgefair.decide(alike.candidate, policy()),
        "pass, every gate": edgefair.decide(evidence(alike), policy(**EVERY_GATE)),
        "fail": edgefair.decide(apart.candidate, policy()),
        "fail, every gate": edgefair.decide(evidence(apart), policy(**EVERY_GATE)),
        "fail, size": edgefair.decide(evidence(alike), policy(max_size_bytes=1)),
        "inconclusive": edgefair.decide(few.candidate, policy()),
        "inconclusive, every gate": edgefair.decide(evidence(few), policy(**EVERY_GATE)),
        "inconclusive, no reference": edgefair.decide(alike.candidate, policy(**EVERY_GATE)),
        "inconclusive, warned of": edgefair.decide(few.candidate, policy(on_inconclusive="warn")),
        "inconclusive, a group without rows": edgefair.decide(
            alike.candidate, policy(attributes={"sex": {"groups": ["F", "M", "X"]}})
        ),
        "its own reference": edgefair.decide(
            edgefair.Evidence(counts=alike.candidate, size_bytes=500, own_reference=True), policy(**EVERY_GATE)
        ),
        "by estimates": edgefair.decide(few.candidate, policy(rule="point")),
        "waived": edgefair.decide(apart.candidate, policy(waivers=[WAIVER]), today=TODAY),
        "three classes": edgefair.decide(three, policy()),
        "intersections": edgefair.decide(crossed, policy(attributes=ages)),
    }
    return {name: json.loads(json.dumps(verdict.to_json())) for name, verdict in found.items()}


def paired(table: Any) -> edgefair.PairedCounts:
    """Counts of reference and candidate from [groups][labels][reference][candidate]."""
    return edgefair.PairedCounts(("sex",), (("F",), ("M",)), ("no", "yes"), np.array(table, dtype=np.int64))


def evidence(counts: edgefair.PairedCounts) -> edgefair.Evidence:
    """What was measured of a file of 500 bytes beside its reference."""
    return edgefair.Evidence(counts=counts.candidate, paired=counts, size_bytes=500)


def policy(**changes: Any) -> edgefair.Policy:
    """A policy for two groups at a gap of 0.05."""
    return edgefair.Policy.model_validate({"attributes": {"sex": {"groups": ["F", "M"]}}, **changes})


def reports(folder: Path) -> dict[str, Any]:
    """What the commands say of models whose decisions are the fixed counts: [case] -> command -> JSON or lines."""
    found: dict[str, Any] = {}
    for name, table in (("pass", ALIKE), ("fail", APART), ("inconclusive", FEW)):
        project = folder / f"report-{name}"
        project.mkdir()
        write_project(project, table)
        asked = ("verify", "candidate.onnx", "--reference", "reference.onnx", "--no-latency")
        called = edgefair.verify(
            edgefair.load_config(project / "edgefair.yaml"), project / "candidate.onnx", latency=False
        )
        found[name] = {
            "verify --json": without_machine(json.loads(command(*asked, "--json", folder=project))),
            "verify": [line for line in command(*asked, folder=project).splitlines() if "local: " not in line],
            "edgefair.verify": without_machine(json.loads(json.dumps(called.to_json()))),
            "plan --json": json.loads(command("plan", "--json", folder=project)),
            "data describe --json": json.loads(command("data", "describe", "--json", folder=project)),
        }
    return found


def without_machine(item: Any) -> Any:
    """JSON without the keys of `LEFT_OUT`, at any depth."""
    if isinstance(item, dict):
        return {key: without_machine(value) for key, value in item.items() if key not in LEFT_OUT}
    return [without_machine(value) for value in item] if isinstance(item, list) else item


def write_project(folder: Path, table: Any) -> None:
    """Rows, a config with every gate, and two models that decide by the sign of one column each."""
    cells = np.array(table)
    group, label, reference, candidate = (
        np.repeat(values, cells.ravel()) for values in (axis.ravel() for axis in np.indices(cells.shape))
    )
    x = np.stack([2 * reference - 1, 2 * candidate - 1], axis=1).astype(np.float32)
    part = np.full(len(x), "test")
    np.savez(folder / "rows.npz", x=x, y=np.array(["no", "yes"])[label], sex=np.array(["F", "M"])[group], part=part)
    for column, name in enumerate(("reference", "candidate")):
        weight = np.zeros((2, 2), dtype=np.float32)
        weight[column] = (-1, 1)
        onnx.save_model(sign_of(weight), folder / f"{name}.onnx")
    config = {
        "project": "pins",
        "data": {
            "source": "rows.npz",
            "label": "y",
            "positive": "yes",
            "sensitive": ["sex"],
            "equal_rows": "people",
            "split": {"column": "part", "train": [], "audit": ["test"]},
        },
        "model": {"output": {"kind": "logits"}},
        "policy": {"attributes": {"sex": {"groups": ["F", "M"]}}, **EVERY_GATE},
    }
    (folder / "edgefair.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def sign_of(weight: np.ndarray[Any, np.dtype[np.float32]]) -> onnx.ModelProto:
    """A model of one matrix product, float32 [rows, 2] -> logits [rows, 2]."""
    rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 2]) for name in ("x", "logits")]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weight"], ["logits"], "sign")],
        "pins",
        rows[:1],
        rows[1:],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="pins")
