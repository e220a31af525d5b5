"""A plan as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgefair.decision.policy import not_judged_note
from edgefair.report.results.plan import AttributePlan, Plan
from edgefair.report.terminal.cells import cell_table
from edgefair.report.terminal.tables import plain_table
from edgefair.report.worst_groups import ROWS

BAR = 30


def render(plan: Plan) -> RenderableType:
    """Cells, smallest threshold, and power as bars."""
    parts: list[RenderableType] = [
        f"audit   {plan.source}: {plan.rows:,} rows; planned for TPR {plan.assumed_tpr:g}, "
        f"FPR {plan.assumed_fpr:g}, confidence {1 - plan.alpha:.0%}"
    ]
    if plan.not_judged:
        parts.append(Text(not_judged_note(plan.not_judged), style="bold yellow"))
    for item in plan.attributes:
        parts += ["", *_cells(item, plan.labels, plan.counted), *_verdict(item, plan.counted)]
        if item.power:
            parts += [_power(item), _power_by_rows(item)]
        parts.append(_paired(item))
    return Group(*parts)


def _cells(item: AttributePlan, labels: tuple[str, ...], counted: str) -> list[RenderableType]:
    """The cells of every group; of many groups those with the smallest ones."""
    smallest = sorted(item.cells, key=lambda cell: min(cell.rows))[:ROWS]
    shown = [(cell.group, cell.rows) for cell in item.cells if cell in smallest]
    table = cell_table("group", labels, shown, title=f"{item.attribute}: {counted} per cell")
    left = len(item.cells) - len(shown)
    return [table, *([f"  and {left:,} groups without smaller cells; --json has all of them"] if left else [])]


def _verdict(item: AttributePlan, counted: str) -> Iterator[RenderableType]:
    if item.lacking:
        yield Text(f"can only be INCONCLUSIVE: a cell needs {item.least_rows} {counted}", style="bold yellow")
        yield from (f"  {text}" for text in item.lacking[:ROWS])
        if len(item.lacking) > ROWS:
            yield f"  and {len(item.lacking) - ROWS:,} more cells"
    elif item.can_pass:
        yield Text(f"can PASS at {item.threshold:g}", style="bold green")
    else:
        yield Text(f"too small to PASS reliably at {item.threshold:g}", style="bold yellow")
    if item.smallest_threshold is not None:
        yield f"smallest threshold it could ever pass: {item.smallest_threshold:.4f}"


def _power_by_rows(item: AttributePlan) -> Table:
    table = plain_table()
    table.add_column("rows", justify="right")
    table.add_column("chance of PASS at a true gap of 0", justify="right")
    table.add_column("")
    for times, power in item.power_by_rows:
        table.add_row(f"{times:g}x", f"{power:.0%}", "█" * round(BAR * power))
    return table


def _paired(item: AttributePlan) -> str:
    plan = item.paired
    chance = "no cell may lack rows" if plan.power is None else f"{plan.power:.0%} chance of PASS with these rows"
    rows = "no set is large enough" if plan.rows_per_cell is None else f"{plan.rows_per_cell:,} rows per cell for 80 %"
    return f"paired gate at {plan.threshold:g} with {plan.flip_rate:.1%} of decisions flipped: {chance}; {rows}"


def _power(item: AttributePlan) -> Table:
    table = plain_table()
    table.add_column("true gap", justify="right")
    table.add_column("chance of PASS", justify="right")
    table.add_column("")
    table.add_column("rows per cell for 80 %", justify="right")
    for (gap, power), (_, rows) in zip(item.power, item.rows_per_cell, strict=True):
        bar = "█" * round(BAR * power)
        table.add_row(f"{gap:.3f}", f"{power:.0%}", bar.ljust(BAR, "·"), "?" if rows is None else f"{rows:,}")
    return table
