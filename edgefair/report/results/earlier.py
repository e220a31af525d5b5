"""Reports as earlier versions wrote them, in the words of today's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgefair.probe.bundles.gates import comparison_code, gate_id

# `edgefair.report/1` did not hold how rows were chosen, nor what else than the counts a verdict rests on.
UNTOLD: Mapping[str, Any] = {"section": {}, "rows": {}}
# They held an interval of the gap by resampling instead, which never covered a gap of 0.
NO_INFORMATION: Mapping[str, Any] = {"gaps": {}, "scores": {}, "no_scores": "reports of before held none"}
FLIPS_OF_BEFORE = {"mended": "corrected", "spoiled": "broken"}


def in_todays_words(report: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a report of `edgefair.report/1` or `/2`.

    Gates had no ids at first, and comparisons no code: their `reason` begins with it, and still does in JSON.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: not a report.
    """
    targets = [
        {
            **{"evidence": {}, "information": NO_INFORMATION, **target},
            "verdict": _verdict(target["verdict"]),
            "flips": flip_fields(target["flips"]),
        }
        for target in report["targets"]
    ]
    return {"data": UNTOLD, **report, "targets": targets}


def comparison_fields(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """A comparison of any result, with its code, and without it in the reason."""
    code = comparison_code(comparison)
    reason = str(comparison["reason"]).removeprefix(code).removeprefix(": ")
    return {**comparison, "code": code, "reason": reason}


def flip_fields(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Changed decisions of any result: corrected and broken ones had other names."""
    return [{FLIPS_OF_BEFORE.get(key, key): value for key, value in cell.items()} for cell in cells]


def _verdict(verdict: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **verdict,
        "gates": [_gate(gate) for gate in verdict["gates"]],
        "failing": [comparison_fields(item) for item in verdict["failing"]],
        "comparisons": [comparison_fields(item) for item in verdict["comparisons"]],
    }


def _gate(gate: Mapping[str, Any]) -> dict[str, Any]:
    binding = gate.get("binding")
    return {**gate, "id": gate_id(gate), "binding": None if binding is None else comparison_fields(binding)}
