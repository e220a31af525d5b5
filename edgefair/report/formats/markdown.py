"""Verdicts and studies as Markdown: the step summary of GitHub, a comment, a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from edgefair.decision.verdict import AttributeSummary
from edgefair.report.escape import markdown
from edgefair.report.formats.base import Item
from edgefair.report.hit import beginnings, chance_of_hit, group_hit
from edgefair.report.judged import exceptions, headline, judged
from edgefair.report.markdown_table import table
from edgefair.report.numbers import shown
from edgefair.report.pool import HEAD, MOST, left_out, pool_lines
from edgefair.report.results.failure import Failure
from edgefair.report.results.study import StudyReport
from edgefair.report.results.verification import TargetResult
from edgefair.report.study.markdown import lines
from edgefair.report.terminal.timing import device_line
from edgefair.report.worst_groups import worst_groups

# Of a step summary (https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions).
MOST_BYTES = 1 << 20
CUT = "\n\n(cut: more than fits here; `--format json` has all of it)\n"


class Markdown:
    """A heading for every result, below it its gates and the groups that decide, as tables."""

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Write at most `MOST_BYTES`."""
        stream.write(within("\n".join(line for item in items for line in _lines(item)) + "\n", MOST_BYTES))


def within(text: str, most: int) -> str:
    """The text, cut at the end of a line where it has more bytes than that; empty where not even the remark fits."""
    if len(text.encode()) <= most:
        return text
    room = most - len(CUT.encode())
    kept = text.encode()[: max(room, 0)].decode(errors="ignore").rpartition("\n")[0]
    return kept + CUT if kept else ""


def _lines(item: Item) -> Iterator[str]:
    if isinstance(item.result, Failure):
        yield f"## edgefair: no verdict{_of(item)}"
        yield ""
        yield from (f"{markdown(line)}  " for line in item.result.lines)
        yield ""
        return
    if isinstance(item.result, StudyReport):
        yield from lines(item.result, _of(item))
        return
    report = item.report
    yield f"## edgefair: {headline(report)}{_of(item)}"
    yield ""
    yield (
        f"{markdown(report.model.path)} ({markdown(report.model.said('sha256 {sha256:.16}, {bytes} bytes'))}), "
        f"judged on {report.audit.rows:,} rows of {markdown(report.audit.source)} with confidence "
        f"{1 - report.policy['alpha']:.4g}"
    )
    yield ""
    for target in report.targets:
        yield from _target(target, several=len(report.targets) > 1)
    if report.disagreements:
        pairs = [
            (
                f"{pair.first} and {pair.second}",
                f"{pair.differing:,} of {pair.rows:,}",
                group_hit(pair),
                chance_of_hit(pair),
            )
            for pair in report.disagreements
        ]
        yield from table(("devices", "rows decided differently", "most in group", "p (Fisher, Holm)"), pairs)
    yield from (f"- **EXCEPTION** {markdown(said)}" for said in exceptions(report))
    yield from (f"- {markdown(said)}" for said in (*beginnings(report.disagreements), *report.notes))
    yield ""


def _of(item: Item) -> str:
    return "" if item.file is None else f" ({markdown(item.file)})"


def _target(target: TargetResult, *, several: bool) -> Iterator[str]:
    yield f"### {markdown(target.target)}" + (f": {target.verdict.outcome}" if several else "")
    yield ""
    yield markdown(device_line(target.device))
    yield ""
    yield from table(("verdict", "gate", "measured", "why"), [
        (found.status, found.title, found.measured, found.reason) for found in judged(target)
    ])  # fmt: skip
    for summary in target.verdict.attributes:
        yield from _groups(target, summary)
    pool = pool_lines(target)
    if pool:
        yield from table(HEAD, [(line.name, *line.numbers, line.remarks) for line in pool[:MOST]])
        left = left_out(pool)
        yield from [f"and {left}; `--format json` has all of them", ""] if left else []


def _groups(target: TargetResult, summary: AttributeSummary) -> Iterator[str]:
    worst = worst_groups(target.verdict, summary)
    rows = [
        (group.group, f"{rate.n:,}", rate.measure, shown(rate.rate), f"{shown(rate.lower)} to {shown(rate.upper)}")
        for group, rates in worst.groups
        for rate in rates
    ]
    yield f"{markdown(summary.attribute)}: equalized-odds gap {shown(summary.gap)}"
    yield ""
    yield from table(("group", "rows", "rate of", "estimate", "limits"), rows)
    if worst.left:
        yield f"and {worst.left}; `--format json` has all of them"
        yield ""
