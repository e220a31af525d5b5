"""Does a report say one thing throughout? A verdict that its own numbers do not carry ships nothing.

The verdict is not taken again here, which needs more than numpy: nothing may claim more than the limits beside it show,
and the gap must be that of the counts.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from edgefair.probe.bundles.gates import (
    ABSOLUTE,
    ALWAYS,
    ASKED,
    AT_LEAST,
    COLLAPSE,
    MEMORY,
    SIZE,
    TOO_FEW,
    UNDEFINED_CELL,
    comparison_code,
    direction_of,
    gate_id,
    name_of,
)
from edgefair.probe.bundles.judged_rates import judged_rates, table_of
from edgefair.probe.bundles.strata import audited_rows, decided_classes, labelled_table

REPORT_SCHEMA = "edgefair.report/2"
PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"
EXIT_CODES = {PASS: 0, FAIL: 1, INCONCLUSIVE: 3}
# Gates of numbers that are known without limits.
EXACT = frozenset([COLLAPSE, SIZE, MEMORY])
_DIGEST = re.compile("[0-9a-f]{64}$")
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
    if report.get("decisions") is not None:
        raise ContradictionError("its decisions were brought, and nothing shows that this file made them")
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
    table = table_of(counts)
    if classes is not None:
        _equal("the classes", list(counts["classes"]), list(classes))
    strata = _strata(target, report, table)
    decided = int(table.sum(axis=(0, 1)).astype(bool).sum()) if strata is None else decided_classes(strata)
    _equal("the number of rows", int(table.sum()) if strata is None else audited_rows(strata), rows)
    _equal("the number of classes decided", decided, gates[COLLAPSE]["estimate"])
    if SIZE in gates:
        _equal("the size", gates[SIZE]["estimate"], report["model"]["bytes"])
    _check_gap(gates[ABSOLUTE], judged_rates(counts, table, target["evidence"]), policy)
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


def _strata(target: Mapping[str, Any], report: Mapping[str, Any], table: np.ndarray) -> Optional[Mapping[str, Any]]:
    """The strata of a label design, whose labelled rows are those of the counts; None without a design."""
    strata: Optional[Mapping[str, Any]] = target["evidence"].get("strata")
    named = report["data"]["section"].get("label_design") is not None
    _equal("that its rows were chosen by a label design", strata is not None, named)
    if strata is not None:
        same = all(list(strata[key]) == list(target["counts"][key]) for key in ("attributes", "groups", "classes"))
        if not same or not np.array_equal(labelled_table(strata), table):
            raise ContradictionError("the strata of its label design hold other labelled rows than its counts")
    return strata


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


def _check_gap(gate: Mapping[str, Any], rates: Callable[[str], np.ndarray], policy: Mapping[str, Any]) -> None:
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


def _gap(rate: np.ndarray) -> Optional[float]:
    """Largest difference of P(decision | label) between two groups of an attribute that have such rows."""
    known = ~np.isnan(rate[:, :, 0])
    gaps = [
        float(np.ptp(rate[filled, label], axis=0).max()) for label, filled in enumerate(known.T) if filled.sum() > 1
    ]
    return max(gaps, default=None)


def _magnitude(value: Any) -> Any:
    return None if value is None else abs(_number(value))


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _equal(what: str, said: Any, other: Any) -> None:
    if said != other:
        raise ContradictionError(f"{what} is {said}, where {other} follows from the rest of the report")
