"""What a report says beside its verdict, compared with what its evidence gives.

Rates of groups, comparisons, other metrics, the gap's interval, flips and notes of the clock follow from the evidence
and are taken again. What does not follow (other notes, AUC and calibration but for their rows) is covered by digest and
signature alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from edgefair._version import __version__
from edgefair.decision.cells import declared_table
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.summary import gap_interval
from edgefair.decision.verdict import EARLIER_SCHEMA
from edgefair.errors import ModelError
from edgefair.measure.flips import cell_flips
from edgefair.measure.latency import SpeedUp, notes_of
from edgefair.measure.pooled import PoolDevice, said_of_loss
from edgefair.probe.bundles.gates import ABSOLUTE, gate_id, name_of

# Between the same limits computed by two versions of the special functions.
TOLERANCE = 1e-6
# Of a verdict, what is information; of the comparison that decided a gate, what names it and what it was decided by.
BESIDE = ("accuracy", "attributes", "metrics", "failing_total", "comparisons_total")
LISTS = ("comparisons", "failing")
KEY = ("attribute", "measure", "group_a", "group_b")
NAMES = (*KEY, "rate_a", "rate_b", "n_a", "n_b", "difference")
DECIDED = (*NAMES, "lower", "upper", "threshold", "outcome", "waived")
LISTED = (*DECIDED, "code", "joined", "corrected_threshold")


def compare_numbers(name: str, said: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """What a verdict says beside its gates, as far as the report has it: rates, other metrics, and what decided.

    Args:
        said, found: the verdict of the report, and the one that its evidence gives.

    Raises:
        ModelError: they differ.
    """
    for key in BESIDE:
        if key in said and not _alike(said[key], found[key]):
            raise contradiction(f"the {key} of target '{name}' are {said[key]}", f"{found[key]}")
    for gate, other in zip(said["gates"], found["gates"], strict=True):
        one, again = gate.get("binding"), other["binding"]
        # Of comparisons that are equally bad, another version may name another.
        tied = {**(again or {}), **{key: (one or {}).get(key) for key in NAMES}} if gate_id(gate) != ABSOLUTE else again
        listed = [again, *found["comparisons"]] if gate_id(gate) == ABSOLUTE else [again, tied]
        numbers = None if one is None else {key: one[key] for key in one if key in DECIDED}
        if one is None and again is None:
            continue
        if numbers is None or not any(item is not None and _alike(numbers, item) for item in listed):
            raise contradiction(f"target '{name}': '{name_of(gate_id(gate))}' was decided by {one}", f"{again}")
    for key in LISTS:
        _compare_list(f"the {key} of target '{name}'", said[key], found[key], whole=found[f"{key}_total"])


def _compare_list(what: str, said: Sequence[Any], found: Sequence[Any], *, whole: int) -> None:
    """The same comparisons, however those that are equally bad are ordered, or cut off at the end of a long list.

    Args:
        whole: how many there are; more than are listed where the list was cut.
    """
    if len(said) != len(found):
        raise contradiction(f"{what} are {len(said)}", f"{len(found)}")
    left = {_key(item): item for item in found}
    for one, at in zip(said, found, strict=True):
        cut = {**at, **{key: one[key] for key in NAMES}} if len(found) < whole else None
        other = left.pop(_key(one), cut)
        if other is None or not _alike({key: one[key] for key in one if key in LISTED}, other):
            raise contradiction(f"{what} hold {one}", f"{other or at}")


def _key(comparison: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(comparison[key] for key in KEY)


def compare_shown(target: Mapping[str, Any], evidence: Evidence, policy: Policy) -> None:
    """What a target's report shows beside its verdict: flips, the gap's interval, and whose scores were looked at.

    Raises:
        ModelError: it is not what the evidence gives.
    """
    name, shown = target["target"], target.get("information")
    if target["verdict"].get("schema") == EARLIER_SCHEMA:
        return
    counted = evidence.paired is not None and evidence.strata is None
    flips = [asdict(cell) for cell in cell_flips(evidence.paired)] if counted and evidence.paired else []
    # Reports of before have other words for corrected and broken.
    known = [{key: cell[key] for key in cell if not flips or key in flips[0]} for cell in target["flips"]]
    if not _alike(known, flips):
        raise contradiction(f"the flips of target '{name}' are {target['flips']}", f"{flips}")
    if shown is None:
        return
    gaps = {attribute: gap_interval(evidence, policy, attribute) for attribute in policy.attributes}
    again = {attribute: None if gap is None else asdict(gap) for attribute, gap in gaps.items()}
    if not _alike(shown["gaps"], again):
        raise contradiction(f"the interval of the gap of target '{name}' is {shown['gaps']}", f"{again}")
    for attribute, groups in shown["scores"].items():
        rows = declared_table(evidence.counts, policy, attribute).sum(axis=2)
        of = dict(zip(policy.group_names(attribute), np.flip(rows, axis=1).tolist(), strict=True))
        judged = {group["group"]: [group["positives"], group["negatives"]] for group in groups}
        if judged != of:
            raise contradiction(f"the scores of target '{name}' are of {judged} rows", f"{of}")


def compare_notes(report: Mapping[str, Any], evidence: Sequence[Evidence]) -> None:
    """The notes that follow from the clock's numbers are there, and what is noted of a lost device is so; another
    version may have other words for them.

    Raises:
        ModelError: one is missing.
    """
    if report["version"] != __version__:
        return
    for target, measured in zip(report["targets"], evidence, strict=True):
        speed = None if target["speed_up"] is None else SpeedUp(**target["speed_up"])
        wanted = notes_of(target["target"], target["device"], measured.latency, speed)
        for device in measured.pool:
            wanted += notes_of(device.name, dict(device.device), device.latency, None)
            _compare_loss(device, target["target"], report["notes"])
        for note in wanted:
            if note not in report["notes"]:
                raise contradiction(f"its notes lack what is so of target '{target['target']}'", f"'{note}'")


def _compare_loss(device: PoolDevice, target: str, notes: Sequence[str]) -> None:
    """A lost device decided as many rows as its note says. How many the others did is evidence, as counts are."""
    said = said_of_loss(device.name, target, device.rows)
    begins, _, _ = said.rpartition(" after ")
    for note in notes:
        if note.startswith(begins) and not note.startswith(said):
            raise contradiction(f"'{device.name}' of target '{target}' decided {device.rows:,} rows", f"'{note}'")


def _alike(one: Any, other: Any) -> bool:
    """Whether two parts of a report say the same; what the first does not say is not missed."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return all(key in other and _alike(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return close(one, other)
    return bool(one == other)


def close(one: float | None, other: float | None) -> bool:
    """Whether two numbers are one, computed twice."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def contradiction(found: str, expected: str) -> ModelError:
    """The refusal of a report that does not carry what it says."""
    return ModelError(
        f"its report contradicts itself: {found}",
        expected=f"{expected}, by its own counts and policy",
        fix="export it again: a modified report is not a verdict",
    )
