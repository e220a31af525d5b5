"""A study as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from edgefair.report.escape import markdown
from edgefair.report.markdown_table import table
from edgefair.report.results.study import StudyReport
from edgefair.report.study import words


def lines(report: StudyReport, of: str) -> Iterator[str]:
    """Findings family by family, every condition, and what was planned.

    Args:
        of: where it was read from, for the heading.
    """
    yield f"## edgefair study {markdown(report.study)}: {markdown(words.headline(report))}{of}"
    yield ""
    yield markdown(words.lead(report))
    yield ""
    yield from (f"- {markdown(step)}" for step in words.steps(report))
    yield ""
    for _, question, own in words.families(report):
        yield f"### {markdown(question)}"
        yield ""
        shown = [f"- {markdown(item.sentence)}" for claim in words.CLAIMS[:2] for item in own if item.claim == claim]
        yield from (*shown, *([""] if shown else []))
        for text, columns, rows in words.unclaimed(report, own):
            yield f"{markdown(text)}."
            yield ""
            yield from table([*columns], rows)
    if report.published:
        yield "### What was published"
        yield ""
        yield f"{markdown(report.published_by)}; percent and points, with half of the 95 % intervals over seeds."
        yield ""
        yield from table([*words.PUBLISHED], words.published(report))
    yield "### Every level"
    yield ""
    planned = [item for item in report.responses if item.planned]
    head = ["condition", "done", "failed", "not run", "collapsed", *(f"{item.words}, {item.unit}" for item in planned)]
    yield from table(head, [
        (words.condition(report, level.factors), *map(str, (level.done, level.failed, level.not_run, level.collapsed)),
         *(words.mean(level, item) for item in planned))
        for level in report.levels
    ])  # fmt: skip
    yield "### What was planned"
    yield ""
    yield from table(["factor", "levels"], [(name, ", ".join(own)) for name, own in report.factors.items()])
    said = (f"digest of the plan: {report.plan}", f"seeds: {', '.join(map(str, report.seeds))}", *report.notes)
    yield from (f"- {markdown(text)}" for text in said)
    yield from (f"- failed: {markdown(item.cell)}: {markdown(item.error)}" for item in report.failures)
    yield ""
