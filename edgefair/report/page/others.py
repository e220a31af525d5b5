"""Results that are no verdicts as sheets: the finding in words, the charts that there are, the terminal's text."""

from __future__ import annotations

import importlib
import io

from edgefair.report.changed_rows import ChangedRows
from edgefair.report.charts.layers import layer_maps
from edgefair.report.page import sentences
from edgefair.report.page.openings import OPENINGS
from edgefair.report.page.parts import Block, Chart, Section, Sheet, Verbatim, as_json
from edgefair.report.page.rows import changed_rows
from edgefair.report.page.target import changed_decisions, differences
from edgefair.report.results.base import Result
from edgefair.report.results.comparison import ComparisonReport
from edgefair.report.results.explanation import Explanation
from edgefair.report.terminal.console import PlainConsole

WIDTH = 110
SENTENCES = {
    "edgefair.explanation": "Every layer with what it does to every group and label, and what the columns mean.",
    "edgefair.compare": "The gaps before and after, the changes that tell most, and whose decisions changed.",
    "edgefair.plan": "What this audit set can decide, and how many rows would decide more.",
    "edgefair.diagnosis": "Who stands to lose from compression, before anything is compressed.",
    "edgefair.label-plan": "Which audit rows to label, and what they will decide.",
    "edgefair.audit": "The seal of the audit rows: how often they were asked, and what is left of it.",
    "edgefair.data": "Features, and groups and labels of every split.",
    "edgefair.cleaning": "Training labels that look wrong, by group and label.",
    "edgefair.trained": "What training gave on the validation rows. This is not a verdict.",
    "edgefair.installation": "What is installed here, which extras and targets work, and what to do for the rest.",
    "edgefair.targets": "Devices that a model can be measured on, and what each still needs.",
    "edgefair.device": "What a device says of itself.",
    "edgefair.studies": "Studies that ship, and what each is for.",
    "edgefair.study-run": "Cells of a study, how long they took, and which of them failed.",
    "edgefair.study-foreseen": "Cells, trainings and time of a study, and the smallest effect that it can show.",
    "edgefair.error": "What a terminal shows. Nothing was judged: this is not a verdict.",
}


def sheet(result: Result, title: str, changed: ChangedRows | None = None) -> Sheet:
    """The result as its terminal's text, with its drawing, with rows where they are asked for, and its JSON."""
    kind = result.schema.partition("/")[0]
    opening = OPENINGS[kind](result)
    sections: list[Section] = []
    if isinstance(result, ComparisonReport):
        judged = result.threshold is not None
        changes = list(differences(result.comparisons, len(result.comparisons), judged=judged))
        sections.append(Section("How differences between groups changed", sentences.CHANGES, changes))
        if result.flips:
            sections.append(Section("Decisions that changed", sentences.FLIPS, list(changed_decisions(result.flips))))
    if changed is not None:
        sections += [changed_rows(changed, target) for target in changed.by_target]
    if isinstance(result, Explanation):
        charts: list[Block] = [Chart(drawing, meaning) for drawing, meaning in layer_maps(result)]
        sections.append(Section("Layers, groups and labels", sentences.LAYERS, charts))
    text: list[Block] = [Verbatim(_text(result), "The result as text"), as_json("The result as JSON", result.to_json())]
    sections.append(Section("The result as a terminal shows it", SENTENCES[kind], text))
    return Sheet(
        title=title,
        outcome=opening.outcome,
        headline=opening.headline,
        lead=opening.lead,
        steps=opening.steps,
        facts=(),
        sections=sections,
        warning="" if changed is None else sentences.PEOPLE,
    )


def _text(result: Result) -> str:
    stream = io.StringIO()
    console = PlainConsole(file=stream, width=WIDTH, color_system=None, force_terminal=False, legacy_windows=False)
    console.print(importlib.import_module(result.view).render(result))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
