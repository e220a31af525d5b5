"""A model card: Markdown with `model-index`, as Hugging Face reads it, and the limits in words.

https://huggingface.co/docs/hub/model-cards-annotated; metadata is read by `huggingface_hub.ModelCard`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

import yaml

from edgefair.data.images.generated import GENERATED
from edgefair.report.escape import markdown, one_line
from edgefair.report.formats.base import Item
from edgefair.report.judged import exceptions, headline, judged
from edgefair.report.markdown_table import table
from edgefair.report.numbers import shown
from edgefair.report.results.verification import Report, TargetResult
from edgefair.report.worst_groups import worst_groups

# Hugging Face's names of tasks (https://huggingface.co/tasks), and that of one that is none of them, or not known.
PICTURES, TEXTS, TABLES, OTHER = "image-classification", "text-classification", "tabular-classification", "other"
METRIC = "equalized_odds_difference"
DIGITS = 6


class Card:
    """What was shown of the model, of whom, and what was not."""

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Write the card."""
        report = items[0].report
        head = yaml.safe_dump(_metadata(report), allow_unicode=True, sort_keys=False, width=1000)
        stream.write(f"---\n{head}---\n\n" + "\n".join(_lines(report)) + "\n")


def _metadata(report: Report) -> dict[str, Any]:
    results = [result for target in report.targets for result in _results(report, target)]
    index = {"model-index": [{"name": one_line(report.model.path), "results": results}]} if results else {}
    return {"library_name": "onnx", "tags": ["onnx", "fairness", "edgefair"], **index}


def _results(report: Report, target: TargetResult) -> Iterator[dict[str, Any]]:
    """A result for every number that was measured."""
    verdict, on = target.verdict, one_line(target.target)
    numbers = [
        (METRIC, f"equalized-odds gap of {one_line(summary.attribute)} on {on}", summary.gap)
        for summary in verdict.attributes
    ]
    for kind, name, value in (*numbers, ("accuracy", f"accuracy on {on}", verdict.accuracy)):
        if value is not None:
            source = one_line(report.audit.source)
            dataset = {"name": source, "type": source, "split": "audit"}
            metrics = [{"type": kind, "value": round(value, DIGITS), "name": name}]
            yield {"task": {"type": task_of(report.data.section)}, "dataset": dataset, "metrics": metrics}


def task_of(section: Mapping[str, Any]) -> str:
    """Hugging Face's name of what a model does with the rows of a `data:` section.

    An .npz file may hold signals as well as tables, and reports of before hold no section.
    """
    if section.get("text"):
        return TEXTS
    if section.get("picture") or section.get("layout") or section.get("source") in GENERATED:
        return PICTURES
    return OTHER if str(section.get("source", ".npz")).endswith(".npz") else TABLES


def _lines(report: Report) -> Iterator[str]:
    yield f"# {markdown(report.model.path)}"
    yield ""
    yield f"**{headline(report)}**: judged by edgefair {markdown(report.version)} on {markdown(report.created)}."
    yield ""
    yield f"- model file: {markdown(report.model.said('sha256 {sha256}, {bytes} bytes'))}"
    yield (
        f"- audit rows: {report.audit.rows:,} of {markdown(report.audit.source)}, "
        f"content digest {markdown(report.audit.fingerprint)}"
    )
    yield f"- policy: sha256 {', '.join(sorted({markdown(item.verdict.policy_digest) for item in report.targets}))}"
    yield ""
    for target in report.targets:
        yield from _target(target)
    yield from _remarks(report)


def _target(target: TargetResult) -> Iterator[str]:
    verdict = target.verdict
    yield f"## On {markdown(target.target)}: {verdict.outcome}"
    yield ""
    yield (
        f"Limits hold with confidence {1 - verdict.alpha:.4g}. PASS: shown to keep the threshold. FAIL: shown to break "
        "it. INCONCLUSIVE: the rows could not tell. VACUOUS: nothing was shown, as one class is decided for everybody."
    )
    yield ""
    for found in judged(target):
        yield f"- **{found.status}** {markdown(found.title)}: {markdown(found.measured)}. {markdown(found.reason)}"
    yield ""
    for summary in verdict.attributes:
        worst = worst_groups(verdict, summary)
        yield f"Groups of {markdown(summary.attribute)} (equalized-odds gap {shown(summary.gap)}):"
        yield ""
        yield from table(("group", "rows", "rate of", "estimate", "limits"), [
            (group.group, f"{rate.n:,}", rate.measure, shown(rate.rate), f"{shown(rate.lower)} to {shown(rate.upper)}")
            for group, rates in worst.groups
            for rate in rates
        ])  # fmt: skip
        if worst.left:
            yield f"Not listed: {worst.left}."
            yield ""


def _remarks(report: Report) -> Iterator[str]:
    yield "## Limits of this evaluation"
    yield ""
    yield from (f"- exception of the policy: {markdown(said)}" for said in exceptions(report))
    yield from (f"- {markdown(note)}" for note in report.notes)
    if report.ledger is not None:
        yield f"- {report.ledger.verdicts:,} verdicts were taken on these audit rows so far, this one among them"
    yield "- it holds for the declared groups, on rows like the audit rows, for this file on the named devices alone"
    yield "- equal error rates say nothing of whether the labels are right or the use of the model is"
