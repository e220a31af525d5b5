"""CycloneDX 1.6 (ECMA-424): a machine-learning-model component whose model card holds the numbers and their limits.

Written as JSON after https://cyclonedx.org/docs/1.6/json/.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from edgefair._version import __version__
from edgefair.decision.verdict import AttributeSummary, CellRate
from edgefair.files import sha256_json
from edgefair.report.escape import one_line
from edgefair.report.formats.base import Item
from edgefair.report.judged import Status, all_judged, exceptions, headline
from edgefair.report.numbers import plain
from edgefair.report.results.verification import Report, TargetResult


class CycloneDX:
    """A bill of materials with the models of all results; its serial number is that of its content."""

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Write the document."""
        components = [_component(item.report, number) for number, item in enumerate(items)]
        bom = {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid.UUID(sha256_json(components)[:32], version=4)}",
            "version": 1,
            "metadata": {
                "timestamp": max(item.report.created for item in items),
                "tools": {"components": [{"type": "application", "name": "edgefair", "version": __version__}]},
            },
            "components": components,
        }
        stream.write(json.dumps(bom, indent=1) + "\n")


def _component(report: Report, number: int) -> dict[str, Any]:
    metrics = [metric for target in report.targets for metric in _metrics(target)]
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model-{number}",
        "name": one_line(report.model.path),
        **({"hashes": [{"alg": "SHA-256", "content": report.model.sha256}]} if report.model.is_known else {}),
        "modelCard": {
            "modelParameters": {"task": "classification"},
            "quantitativeAnalysis": {"performanceMetrics": metrics},
            "considerations": {
                "technicalLimitations": [one_line(said) for said in (*exceptions(report), *report.notes)],
                "fairnessAssessments": list(_assessments(report)),
            },
        },
        "properties": [
            {"name": "edgefair:verdict", "value": headline(report)},
            {"name": "edgefair:audit:sha256", "value": one_line(report.audit.fingerprint)},
            {"name": "edgefair:audit:rows", "value": str(report.audit.rows)},
        ],
    }


def _metrics(target: TargetResult) -> Iterator[dict[str, Any]]:
    """Every gate's number, and every group's rates; those that were not measured are absent."""
    on = one_line(target.target)
    for gate in target.verdict.gates:
        if gate.estimate is not None:
            yield _metric(gate.id, gate.estimate, gate.lower, gate.upper, f"all rows on {on}")
    for summary in target.verdict.attributes:
        for group, rate in _cells(summary):
            if rate.rate is not None:
                yield _metric(rate.measure, rate.rate, rate.lower, rate.upper, f"{summary.attribute}: {group} on {on}")


def _cells(summary: AttributeSummary) -> Iterator[tuple[str, CellRate]]:
    return ((group.group, rate) for group in summary.groups for rate in group.rates)


def _metric(kind: str, value: float, lower: float | None, upper: float | None, of: str) -> dict[str, Any]:
    limits = {"lowerBound": lower, "upperBound": upper}
    known = {name: plain(limit) for name, limit in limits.items() if limit is not None}
    interval = {"confidenceInterval": known} if known else {}
    return {"type": one_line(kind), "value": plain(value), "slice": one_line(of), **interval}


def _assessments(report: Report) -> Iterator[dict[str, Any]]:
    """What was shown of the pair of groups that decided, for every gate of differences."""
    for found in all_judged(report):
        binding = found.gate.binding
        if binding is not None:
            passed = found.status is Status.PASS
            said = one_line(f"{found.status} on {found.target.target}: {found.sentence}")
            yield {
                "groupAtRisk": one_line(f"{binding.attribute}: {binding.group_a} / {binding.group_b}"),
                ("benefits" if passed else "harms"): said,
                **({"mitigationStrategy": "a waiver of the policy lets it through"} if binding.waived else {}),
            }
