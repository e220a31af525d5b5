"""SARIF 2.1.0 (OASIS, 2020, with errata 01): what code scanning shows beside the line of edgefair.yaml.

A result for every gate that is not green, and none of those that are: readers show results of any `kind` as findings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TextIO
from urllib.parse import quote

from edgefair._version import __version__
from edgefair.files import sha256_json
from edgefair.report.escape import one_line
from edgefair.report.formats.base import Item
from edgefair.report.judged import NOT_SHOWN, SEALED, Judged, Status, all_judged

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
DIGITS = 6


class Sarif:
    """A run for every result, a rule for every gate."""

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Write the log."""
        log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(item, items.index(item)) for item in items]}
        stream.write(json.dumps(log, indent=1) + "\n")


def _run(item: Item, number: int) -> dict[str, Any]:
    report, found = item.report, all_judged(item.report)
    rules = {gate.gate.id: gate.title for gate in found} if report.targets else {NOT_SHOWN: NOT_SHOWN}
    said = [{"id": rule, "shortDescription": {"text": _message(title)}} for rule, title in rules.items()]
    results = [_result(item, gate) for gate in found if gate.status is not Status.PASS]
    return {
        "tool": {"driver": {"name": "edgefair", "version": __version__, "rules": said}},
        "automationDetails": {"id": f"edgefair/{number}/"},
        "invocations": [{"executionSuccessful": True, "exitCode": report.exit_code}],
        "results": results if report.targets else [_sealed(item)],
        "properties": {"outcome": report.outcome, "model": one_line(report.model.path), "sha256": report.model.sha256},
    }


def _result(item: Item, gate: Judged) -> dict[str, Any]:
    of = gate.gate
    numbers = {"estimate": of.estimate, "lower": of.lower, "upper": of.upper, "threshold": of.threshold}
    return {
        "ruleId": gate.gate.id,
        "level": "error" if gate.blocks else "warning",
        "message": {"text": _message(item.named(f"{gate.status} on {gate.target.target}: {gate.sentence}"))},
        "locations": [_place(item, of.id)],
        "partialFingerprints": {"edgefairGate/v1": sha256_json([gate.gate.id, one_line(gate.target.target)])},
        "properties": {
            "status": gate.status,
            **{name: round(value, DIGITS) for name, value in numbers.items() if value is not None},
        },
    }


def _sealed(item: Item) -> dict[str, Any]:
    return {
        "ruleId": NOT_SHOWN,
        "level": "error",
        "message": {"text": _message(item.named(SEALED))},
        "locations": [_place(item, NOT_SHOWN)],
        "partialFingerprints": {"edgefairGate/v1": sha256_json([NOT_SHOWN])},
        "properties": {"status": item.report.outcome},
    }


def _place(item: Item, gate: str) -> dict[str, Any]:
    file = quote(item.policy.file.encode(errors="surrogateescape"))
    region = {"startLine": item.policy.of(gate)}
    return {"physicalLocation": {"artifactLocation": {"uri": file}, "region": region}}


def _message(text: str) -> str:
    """Plain text as section 3.11 wants it: braces would be placeholders, and brackets links."""
    said = one_line(text).replace("{", "{{").replace("}", "}}")
    return said.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
