"""Results that are no verdicts as sheets: what a terminal shows, and the charts that there are."""

from __future__ import annotations

import importlib
import io

from edgefair.report.changed_rows import ChangedRows
from edgefair.report.charts.layers import layer_map
from edgefair.report.page import sentences
from edgefair.report.page.parts import Block, Chart, Section, Sheet, Verbatim, as_json
from edgefair.report.page.rows import changed_rows
from edgefair.report.page.target import changed_decisions
from edgefair.report.results.base import Result
from edgefair.report.results.comparison import ComparisonReport
from edgefair.report.results.explanation import Explanation
from edgefair.report.terminal.console import PlainConsole

WIDTH = 110
SENTENCES = {
    "edgefair.explanation": "Which layer hurts whom: red cells lose by what happens in the layer of their row.",
    "edgefair.compare": "What changes from one model to another on the same rows, and for whom.",
    "edgefair.plan": "What this audit set can decide, and how many rows would decide more.",
    "edgefair.diagnosis": "Who stands to lose from compression, before anything is compressed.",
    "edgefair.label-plan": "Which audit rows to label, and what they will decide.",
    "edgefair.audit": "The seal of the audit rows: how often they were asked, and what is left of it.",
    "edgefair.data": "Who is in the data: features, and groups and labels of every split.",
    "edgefair.error": "Nothing was judged. This is not a verdict.",
}


def sheet(result: Result, title: str, changed: ChangedRows | None = None) -> Sheet:
    """The result as its terminal's text, with its drawing, with rows where they are asked for, and its JSON."""
    kind = result.schema.partition("/")[0]
    blocks: list[Block] = []
    sections: list[Section] = []
    if isinstance(result, ComparisonReport) and result.flips:
        sections.append(Section("Decisions that changed", sentences.FLIPS, list(changed_decisions(result.flips))))
    if changed is not None:
        sections += [changed_rows(changed, target) for target in changed.by_target]
    if isinstance(result, Explanation):
        drawing = layer_map(result)
        blocks.append(Chart(drawing, drawing.title))
    blocks.append(Verbatim(_text(result), "The result as text"))
    blocks.append(as_json("The result as JSON", result.to_json()))
    name = kind.removeprefix("edgefair.")
    return Sheet(
        title=title,
        outcome="",
        headline=name.replace("-", " ").capitalize(),
        lead=SENTENCES[kind],
        steps=(),
        facts=(),
        sections=[*sections, Section("Result", "As the command prints it in a terminal.", blocks)],
        warning="" if changed is None else sentences.PEOPLE,
    )


def _text(result: Result) -> str:
    stream = io.StringIO()
    console = PlainConsole(file=stream, width=WIDTH, color_system=None, force_terminal=False, legacy_windows=False)
    console.print(importlib.import_module(result.view).render(result))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
