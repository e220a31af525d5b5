"""A study on a screen: what is claimed, and how much is not."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from edgefair.report.results.study import StudyReport
from edgefair.report.study import words
from edgefair.report.terminal.tables import plain_table

# Rows of contrasts, so that the rest fits on a screen too; of each family and response at least one.
MOST = 20


def render(report: StudyReport) -> RenderableType:
    """The headline, the contrasts with the largest effects, how many others there are, and what to do next."""
    ready = report.can_claim
    parts: list[RenderableType] = [
        Text.assemble(f"study {report.study}: ", (words.headline(report), "bold" if ready else "bold yellow")),
        Text(words.lead(report)),
        "",
        *_contrasts(report),
        "",
        *_published(report),
        *(Text(f"- {step}") for step in words.steps(report)),
        *(Text(f"note: {note}") for note in report.notes),
        Text(f"plan {report.plan}"),
        Text("all contrasts and every level: --format html=study.html, or markdown, json"),
    ]
    return Group(*parts)


def _published(report: StudyReport) -> Iterator[RenderableType]:
    if report.published:
        table = plain_table()
        for at, name in enumerate(words.PUBLISHED):
            table.add_column(name, justify="right" if at > 1 else "left")
        for row in words.published(report):
            table.add_row(*map(Text, row))
        yield from (Text(f"beside {report.published_by}:"), table, Text(""))


def _contrasts(report: StudyReport) -> Iterator[RenderableType]:
    """Of every response and family as many, those with the largest effects first."""
    order = {name: at for at, name in enumerate(words.CLAIMS)}
    groups = [
        (response, name, sorted(own, key=lambda item: (order[item.claim], -abs(item.mean or 0.0) * item.is_effect)))
        for response in report.responses
        for name, _, found in words.families(report)
        if (own := [item for item in found if item.response == response.name])
    ]
    most = max(1, MOST // max(len(groups), 1))
    table = plain_table(show_header=False)
    for at in range(3):
        table.add_column(justify="right" if at == 1 else "left", no_wrap=at > 0, overflow="fold")
    for response, name, own in groups:
        left = f", {most} of {len(own):,}" if len(own) > most else ""
        table.add_row(Text(f"{response.words}, {name}{left}", style="dim"))
        for item in own[:most]:
            style = "bold" if item.is_effect else ""
            cells = (f"  {item.name}", words.value(item, response), words.short_claim(item, response))
            table.add_row(*(Text(cell, style=style) for cell in cells))
    yield table
