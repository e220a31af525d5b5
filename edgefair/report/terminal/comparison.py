"""A comparison as a person reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgefair.decision.policy import not_judged_note
from edgefair.decision.verdict import Comparison
from edgefair.joint import group_name
from edgefair.report.results.comparison import ComparisonReport
from edgefair.report.terminal.tables import plain_table
from edgefair.report.terminal.verification import COLOUR

SHOWN = 12


def render(report: ComparisonReport) -> RenderableType:
    """Gaps before and after, the largest change with its limits, and who the changed decisions belong to."""
    parts: list[RenderableType] = [f"before  {report.before}", f"after   {report.after}"]
    how = "paired: the same rows" if report.paired else f"UNPAIRED: {report.why_unpaired}"
    parts.append(Text(how, style="" if report.paired else "bold yellow"))
    if report.counted is not None:
        parts.append(
            f"gaps and their change count {report.counted} (policy.subject_weights); flips and losses count rows"
        )
    parts += [
        f"  {gap.attribute}: equalized-odds gap {_number(gap.before)} -> {_number(gap.after)}" for gap in report.gaps
    ]
    change = (
        f"largest change of a difference between groups {_number(report.increase)} "
        f"[{_number(report.lower)}, {_number(report.upper)}], confidence {1 - report.alpha:.0%}"
    )
    if report.outcome is None:
        parts.append(f"{change}; no threshold given (--max-eo-increase)")
    else:
        verdict = (f"{report.outcome} ", COLOUR[report.outcome])
        parts.append(Text.assemble(verdict, f"{change}, threshold {report.threshold:g}"))
    parts += [
        f"  {item.name}: {_number(None if item.difference is None else abs(item.difference))} "
        f"[{_number(item.lower)}, {_number(item.upper)}]"
        for item in _telling(report.comparisons)
    ]
    if report.flips:
        parts += ["", _flips(report)]
    for attribute, losses in report.excess_loss.items():
        parts.append(f"loss of accuracy beyond the average (psi), {attribute}: {_losses(losses)}")
    if report.not_judged:
        parts.append(Text(not_judged_note(report.not_judged), style="bold yellow"))
    return Group(*parts)


def _losses(losses: Mapping[str, float | None]) -> str:
    """Of many groups those that lose most."""
    worst = sorted(losses, key=lambda group: -(losses[group] or 0.0))[:SHOWN]
    said = ", ".join(f"{group} {_number(value)}" for group, value in losses.items() if group in worst)
    return said if len(losses) <= SHOWN else f"{said} and {len(losses) - SHOWN:,} groups that lose less"


def _telling(comparisons: tuple[Comparison, ...]) -> list[Comparison]:
    """The comparison that decides, and those that the headline's numbers are of."""
    numbers: tuple[Callable[[Comparison], float | None], ...] = (
        lambda item: None if item.difference is None else abs(item.difference),
        lambda item: item.lower,
        lambda item: item.upper,
    )
    found = [*comparisons[:1]]
    for number in numbers:
        known = [(value, item) for item in comparisons if (value := number(item)) is not None]
        found += [item for _, item in sorted(known, key=lambda pair: -pair[0])[:1] if item not in found]
    return found


def _flips(report: ComparisonReport) -> Table:
    table = plain_table()
    for column in ("group", "label", "rows", "flipped", "corrected", "broken", "p (Holm)", "over-represented"):
        named = column in {"group", "label"}
        table.add_column(column, justify="left" if named else "right", overflow="fold" if named else "ellipsis")
    cells = sorted(report.flips, key=lambda cell: -(cell.over_representation or 0.0))
    for cell in cells[:SHOWN]:
        rate = "?" if cell.rate is None else f"{cell.flipped:,} ({cell.rate:.2%})"
        over = "?" if cell.over_representation is None else f"{cell.over_representation:.2f}x"
        table.add_row(
            group_name(cell.group),
            cell.label,
            f"{cell.rows:,}",
            rate,
            f"{cell.corrected:,}",
            f"{cell.broken:,}",
            f"{cell.p_holm:.2g}",
            over,
        )
    return table


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:z.4f}"
