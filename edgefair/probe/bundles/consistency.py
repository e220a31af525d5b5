"""Does a report say one thing throughout? A verdict that its own numbers do not carry ships nothing.

The verdict is not taken again here, which needs more than numpy: nothing may claim more than the limits beside it show,
and the gap must be that of the counts.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edgefair.probe.bundles.gates import (
    ABSOLUTE,
    ALWAYS,
    ASKED,
    AT_LEAST,
    COLLAPSE,
    SIZE,
    TOO_FEW,
    UNDEFINED_CELL,
    comparison_code,
    direction_of,
    gate_id,
    name_of,
)

REPORT_SCHEMA = "edgefair.report/2"
PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"
EXIT_CODES = {PASS: 0, FAIL: 1, INCONCLUSIVE: 3}
# Gates of numbers that are known without limits.
EXACT = frozenset([COLLAPSE, SIZE])
JOIN = "*"
_DIGEST = re.compile("[0-9a-f]{64}$")
# Group -> [labels, decisions].
Rates = Dict[Tuple[str, ...], np.ndarray]
# Of a rate that was computed twice.
TOLERANCE = 1e-9


class ContradictionError(Exception):
    """A report that does not carry its verdict, and where it breaks."""


def check_report(
    report: Mapping[str, Any], *, outcome: str, sha256: str, size: int, classes: Optional[Sequence[str]] = None
) -> None:
    """Refuse a report that contradicts itself, does not ship, or is another file's.

    outcome: as the manifest says. sha256, size: of the model file. classes: of the model's spec, if it is known.

    Raises:
        ContradictionError: the first thing that does not fit.
        KeyError, TypeError, ValueError, AttributeError: not a report.
    """
    if report["schema"] != REPORT_SCHEMA:
        raise ContradictionError(
            f"its schema is '{report['schema']}', and this version reads '{REPORT_SCHEMA}': export the model again"
        )
    if report["outcome"] != outcome or report["exit_code"] != 0:
        raise ContradictionError(
            f"its verdict is {report['outcome']} (exit code {report['exit_code']}) and its manifest says "
            f"{outcome}: not a verdict that may ship"
        )
    if report["model"]["sha256"] != sha256 or report["model"]["bytes"] != size:
        raise ContradictionError("its verdict belongs to another model file")
    policy, targets = report["policy"], report["targets"]
    if not targets:
        raise ContradictionError("it was not judged on any target")
    for target in targets:
        try:
            _check_target(target, report, policy, classes)
        except ContradictionError as error:
            raise ContradictionError(f"on target '{target['target']}' {error}") from None
    _equal("its outcome", report["outcome"], worst([target["verdict"]["outcome"] for target in targets]))
    codes = {target["verdict"]["exit_code"] for target in targets}
    _equal("its exit code", report["exit_code"], EXIT_CODES[FAIL] if EXIT_CODES[FAIL] in codes else max(codes))


def policy_digest(policy: Any) -> str:
    """SHA-256 of a policy as a report holds it, in one canonical spelling."""
    text = json.dumps(policy, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def worst(outcomes: Sequence[str]) -> str:
    """FAIL before INCONCLUSIVE before PASS; nothing at all has shown nothing."""
    unknown = [outcome for outcome in outcomes if outcome not in EXIT_CODES]
    if unknown:
        raise ContradictionError(f"an outcome is {unknown[0]!r}")
    for outcome in (FAIL, INCONCLUSIVE):
        if outcome in outcomes:
            return outcome
    return PASS if outcomes else INCONCLUSIVE


def _check_target(
    target: Mapping[str, Any], report: Mapping[str, Any], policy: Mapping[str, Any], classes: Optional[Sequence[str]]
) -> None:
    verdict, counts = target["verdict"], target["counts"]
    gates: Dict[str, Any] = {gate_id(gate): gate for gate in verdict["gates"]}
    if len(gates) != len(verdict["gates"]):
        raise ContradictionError("a gate is listed twice")
    _equal("the verdict", verdict["outcome"], worst([gate["outcome"] for gate in gates.values()]))
    through = verdict["outcome"] == INCONCLUSIVE and policy["on_inconclusive"] == "warn"
    _equal("the exit code", verdict["exit_code"], 0 if through else EXIT_CODES[verdict["outcome"]])
    alpha, rows = _share(target, report, policy)
    _equal("alpha", verdict["alpha"], alpha)
    _equal("the policy's digest", verdict["policy_digest"], policy_digest(policy))
    for asked, threshold in _thresholds(policy, target["budgets"]).items():
        if asked not in gates:
            raise ContradictionError(f"the policy asks for the gate '{name_of(asked)}', which was not judged")
        if threshold is not None:
            _equal(f"the threshold of '{name_of(asked)}'", gates[asked]["threshold"], threshold)
    for known, gate in gates.items():
        _check_gate(known, gate, policy["rule"])
    table = _table(counts)
    if classes is not None:
        _equal("the classes", list(counts["classes"]), list(classes))
    _equal("the number of rows", int(table.sum()), rows)
    _equal("the number of classes decided", int(table.sum(axis=(0, 1)).astype(bool).sum()), gates[COLLAPSE]["estimate"])
    if SIZE in gates:
        _equal("the size", gates[SIZE]["estimate"], report["model"]["bytes"])
    _check_gap(gates[ABSOLUTE], _judged_rates(counts, target["evidence"]), policy)
    if target["evidence"].get("own_reference") and report["reference"]["sha256"] != report["model"]["sha256"]:
        raise ContradictionError("it says that nothing was compressed, and its reference is another file")


def seal_number(seal: Mapping[str, Any]) -> int:
    """The number of a verdict on sealed rows.

    Raises:
        ContradictionError: it is none, or the seal names no line of an account.
    """
    number, head = seal["verdict"], seal["head"]
    if type(number) is not int or number < 1 or not isinstance(head, str) or not _DIGEST.match(head):
        raise ContradictionError(f"its seal is verdict {number!r}, line {head!r}")
    return number


def _alpha(report: Mapping[str, Any], policy: Mapping[str, Any]) -> float:
    """The error probability of a verdict: the policy's, or what verdict k on sealed rows gets, alpha / (k (k + 1))."""
    seal = report.get("seal")
    if (seal is not None) != (policy.get("audit") == "sealed"):
        raise ContradictionError(f"its policy's audit is {policy.get('audit', 'open')}, and its seal is {seal}")
    alpha = _number(policy["alpha"])
    if seal is None:
        return alpha
    number = seal_number(seal)
    level = alpha / (number * (number + 1))
    _equal("the level of its seal", seal["level"], level)
    return level


def _share(target: Mapping[str, Any], report: Mapping[str, Any], policy: Mapping[str, Any]) -> Tuple[float, int]:
    """The error that the verdict may spend, and its rows: less than all where the rows were looked at in steps."""
    alpha, rows, looks = _alpha(report, policy), report["audit"]["rows"], target.get("looks")
    if looks is None:
        return alpha, rows
    if report.get("seal") is not None:
        raise ContradictionError("sealed rows were looked at in steps")
    taken, levels = looks["taken"], looks["levels"]
    level = levels[taken - 1] if 1 <= taken <= len(levels) else None
    if level is None or not 0 < level <= alpha or not 0 < looks["rows"] <= rows:
        raise ContradictionError(f"look {taken} spends {level} of {alpha} on {looks['rows']} of {rows} rows")
    return level, looks["rows"]


def _thresholds(policy: Mapping[str, Any], budgets: Mapping[str, Any]) -> Dict[str, Optional[float]]:
    """Gates that must be there, and their thresholds where one key says them."""
    found: Dict[str, Optional[float]] = dict.fromkeys(ALWAYS)
    for key, gate in ASKED.items():
        asked = [value for value in (policy.get(key), budgets.get(key)) if value is not None]
        if asked:
            found[gate] = min(asked)
    own = [attribute.get("metrics", {}) for attribute in policy["attributes"].values()]
    found.update(dict.fromkeys(name for metrics in (policy["metrics"], *own) for name in metrics))
    return found


def _check_gate(known: str, gate: Mapping[str, Any], rule: str) -> None:
    """No gate claims more than its limits show; a gate of comparisons no more than the comparison that decided."""
    binding = gate["binding"]
    lacks_rows = binding is not None and comparison_code(binding) in (TOO_FEW, UNDEFINED_CELL)
    if gate["outcome"] == FAIL:
        return
    judged = gate if binding is None else {**binding, "estimate": _magnitude(binding["difference"])}
    if binding is not None and not binding["waived"]:
        _equal(f"the outcome of '{gate['name']}'", gate["outcome"], binding["outcome"])
    sign = -1.0 if direction_of(known) == AT_LEAST else 1.0
    near, far = (judged["lower"], judged["upper"]) if sign > 0 else (judged["upper"], judged["lower"])
    tie = 0.0
    if rule == "point" or known in EXACT:
        near = far = judged["estimate"]
        tie = TOLERANCE
    if gate["outcome"] == PASS:
        if far is None or not sign * _number(far) <= sign * _number(judged["threshold"]) + tie:
            raise ContradictionError(f"'{gate['name']}' is PASS, with {far} at a threshold of {judged['threshold']}")
    elif near is not None and not lacks_rows and sign * _number(near) > sign * _number(judged["threshold"]):
        raise ContradictionError(f"'{gate['name']}' is {gate['outcome']}, with {near} beyond {judged['threshold']}")


def _check_gap(gate: Mapping[str, Any], rates: Callable[[str], Rates], policy: Mapping[str, Any]) -> None:
    """The gap of the counts is the gate's, and a PASS keeps the threshold of every attribute."""
    gaps = {attribute: _gap(rates(attribute)) for attribute in policy["attributes"]}
    name = gate["name"]
    known = [gap for gap in gaps.values() if gap is not None]
    found, said = max(known, default=None), gate["estimate"]
    if (found is None) != (said is None) or (found is not None and abs(found - _number(said)) > TOLERANCE):
        raise ContradictionError(f"'{name}' is {said}, and {found} by the counts")
    if gate["outcome"] != PASS or policy["waivers"]:
        return
    for attribute, gap in gaps.items():
        own = policy["attributes"][attribute].get("max_eo_gap")
        threshold = _number(policy["max_eo_gap"] if own is None else own)
        if gap is not None and gap > threshold + TOLERANCE:
            beyond = f"'{attribute}' has {gap:.4f} by the counts, beyond {threshold}"
            raise ContradictionError(f"'{name}' is PASS, and {beyond}")


def _gap(rates: Rates) -> Optional[float]:
    """Largest difference of P(decision | label) between two groups of an attribute that have such rows."""
    rate = np.stack(list(rates.values()))
    known = ~np.isnan(rate[:, :, 0])
    gaps = [
        float(np.ptp(rate[filled, label], axis=0).max()) for label, filled in enumerate(known.T) if filled.sum() > 1
    ]
    return max(gaps, default=None)


def _judged_rates(counts: Mapping[str, Any], evidence: Mapping[str, Any]) -> Callable[[str], Rates]:
    """The rates whose gap is judged, by attribute: those counted, or where the reference was audited on rows of its own
    those that it had there and what compression changed on these.

    Raises:
        KeyError, TypeError, ValueError: no such evidence.
    """
    table, audited = _table(counts), evidence.get("reference_audit")
    if audited is None:
        return lambda name: _rates(counts, table, name)
    paired = evidence["paired"]
    if (paired["attributes"], paired["groups"]) != (counts["attributes"], counts["groups"]):
        raise ContradictionError("its pairs of decisions are those of other groups")
    own, before = audited["counts"], np.asarray(paired["table"]).sum(axis=3)
    if before.shape != table.shape or (before.sum(axis=2) != table.sum(axis=2)).any():
        raise ContradictionError("its pairs of decisions are those of other rows")
    first = _table(own)

    def joined(name: str) -> Rates:
        reference, was, now = _rates(own, first, name), _rates(counts, before, name), _rates(counts, table, name)
        return {group: reference[group] + now[group] - was[group] for group in now if group in reference}

    return joined


def _rates(counts: Mapping[str, Any], table: np.ndarray, name: str) -> Rates:
    """P(decision | label) of the groups of an attribute, [labels, decisions that are compared]; NaN without rows."""
    attributes: List[str] = list(counts["attributes"])
    parts = [name] if name in attributes else name.split(JOIN)
    chosen = [attributes.index(part) for part in parts]
    joint = [tuple(group[index] for index in chosen) for group in counts["groups"]]
    position = {group: index for index, group in enumerate(sorted(set(joint)))}
    merged = np.zeros((len(position), *table.shape[1:]), dtype=np.int64)
    np.add.at(merged, [position[group] for group in joint], table)
    rows = merged.sum(axis=2)[:, :, None]
    decisions = merged[:, :, 1:2] if table.shape[2] == 2 else merged
    rate = np.where(rows > 0, decisions / np.maximum(rows, 1), np.nan)
    return {group: rate[index] for group, index in position.items()}


def _table(counts: Mapping[str, Any]) -> np.ndarray:
    """Counts int64 [groups, labels, decisions].

    Raises:
        ValueError: they are none.
    """
    table, classes = np.asarray(counts["table"]), len(counts["classes"])
    if table.shape != (len(counts["groups"]), classes, classes) or table.dtype.kind not in "iu" or (table < 0).any():
        raise ValueError(f"counts of shape {table.shape}")
    return table.astype(np.int64)


def _magnitude(value: Any) -> Any:
    return None if value is None else abs(_number(value))


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _equal(what: str, said: Any, other: Any) -> None:
    if said != other:
        raise ContradictionError(f"{what} is {said}, where {other} follows from the rest of the report")
