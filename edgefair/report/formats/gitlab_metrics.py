"""OpenMetrics text: GitLab's metrics report compares it between branches, and Prometheus reads it.

https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from edgefair.report.escape import one_line
from edgefair.report.formats.base import Item
from edgefair.report.judged import Status, judged
from edgefair.report.numbers import plain

# Name of a metric -> what it is.
HELP = {
    "edgefair_exit_code": "0 may ship, 1 FAIL, 3 INCONCLUSIVE and blocked.",
    "edgefair_gate_green": "Whether a gate passes, and not only because one class is decided for everybody.",
    "edgefair_gate_estimate": "What a gate judges, in its own unit.",
    "edgefair_gate_lower": "Lower confidence limit.",
    "edgefair_gate_upper": "Upper confidence limit.",
    "edgefair_gate_threshold": "What the policy asks for.",
    "edgefair_gap": "Equalized-odds gap of an attribute.",
    "edgefair_accuracy": "Share of the rows that are decided as their label says.",
    "edgefair_latency_p90_milliseconds": "90th percentile of latency, batch 1.",
    "edgefair_model_bytes": "Size of the model file.",
}
# Metric, labels, value.
Sample = tuple[str, dict[str, str], float | None]


class Metrics:
    """A gauge for every number that was measured; what was not measured is absent."""

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Write the families, each with its samples, and the end mark."""
        samples = [sample for item in items for sample in _samples(item)]
        for name, help_text in HELP.items():
            of = [(labels, value) for known, labels, value in samples if known == name and value is not None]
            if of:
                stream.write(f"# TYPE {name} gauge\n# HELP {name} {help_text}\n")
                stream.writelines(f"{name}{_labels(labels)} {plain(value)}\n" for labels, value in of)
        stream.write("# EOF\n")


def _samples(item: Item) -> Iterator[Sample]:
    report = item.report
    of_file = {} if item.file is None else {"file": item.file}
    yield "edgefair_exit_code", of_file, report.exit_code
    yield "edgefair_model_bytes", of_file, report.model.bytes
    for target in report.targets:
        on = {**of_file, "target": target.target}
        yield "edgefair_accuracy", on, target.verdict.accuracy
        yield "edgefair_latency_p90_milliseconds", on, None if target.latency is None else target.latency.p90_ms
        for summary in target.verdict.attributes:
            yield "edgefair_gap", {**on, "attribute": summary.attribute}, summary.gap
        for found in judged(target):
            gate, labels = found.gate, {**on, "gate": found.gate.id}
            yield "edgefair_gate_green", labels, int(found.status is Status.PASS)
            yield "edgefair_gate_estimate", labels, gate.estimate
            yield "edgefair_gate_lower", labels, gate.lower
            yield "edgefair_gate_upper", labels, gate.upper
            yield "edgefair_gate_threshold", labels, gate.threshold


def _labels(labels: dict[str, str]) -> str:
    said = ",".join(f'{name}="{_text(value)}"' for name, value in labels.items())
    return f"{{{said}}}" if said else ""


def _text(value: str) -> str:
    return one_line(value).replace("\\", "\\\\").replace('"', '\\"')
