"""A plan as a person reads it."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgefair.decision.plan import AttributePlan, Plan
from edgefair.decision.policy import not_judged_note
from edgefair.report.tables import plain_table

BAR = 30


def print_plan(plan: Plan, console: Console) -> None:
    """Cells, smallest threshold, and power as bars."""
    console.print(
        f"audit   {plan.source}: {plan.rows:,} rows; planned for TPR {plan.assumed_tpr:g}, "
        f"FPR {plan.assumed_fpr:g}, confidence {1 - plan.alpha:.0%}"
    )
    if plan.not_judged:
        console.print(Text(not_judged_note(plan.not_judged), style="bold yellow"))
    for item in plan.attributes:
        console.print()
        console.print(_cells(item, plan.labels, plan.counted))
        _verdict(item, console, plan.counted)
        if item.power:
            console.print(_power(item))
            console.print(_power_by_rows(item))
        _paired(item, console)


def _cells(item: AttributePlan, labels: tuple[str, ...], counted: str) -> Table:
    table = plain_table(f"{item.attribute}: {counted} per cell")
    table.add_column("group", overflow="fold", min_width=10)
    for label in labels:
        table.add_column(f"label {label}", justify="right")
    for cell in item.cells:
        table.add_row(cell.group, *(f"{n:,}" for n in cell.rows))
    return table


def _verdict(item: AttributePlan, console: Console, counted: str) -> None:
    if item.lacking:
        console.print(Text(f"can only be INCONCLUSIVE: a cell needs {item.least_rows} {counted}", style="bold yellow"))
        for text in item.lacking:
            console.print(f"  {text}")
    elif item.can_pass:
        console.print(Text(f"can PASS at {item.threshold:g}", style="bold green"))
    else:
        console.print(Text(f"too small to PASS reliably at {item.threshold:g}", style="bold yellow"))
    if item.smallest_threshold is not None:
        console.print(f"smallest threshold it could ever pass: {item.smallest_threshold:.4f}")


def _power_by_rows(item: AttributePlan) -> Table:
    table = plain_table()
    table.add_column("rows", justify="right")
    table.add_column("chance of PASS at a true gap of 0", justify="right")
    table.add_column("")
    for times, power in item.power_by_rows:
        table.add_row(f"{times:g}x", f"{power:.0%}", "█" * round(BAR * power))
    return table


def _paired(item: AttributePlan, console: Console) -> None:
    plan = item.paired
    chance = "no cell may lack rows" if plan.power is None else f"{plan.power:.0%} chance of PASS with these rows"
    rows = "no set is large enough" if plan.rows_per_cell is None else f"{plan.rows_per_cell:,} rows per cell for 80 %"
    console.print(f"paired gate at {plan.threshold:g} with {plan.flip_rate:.1%} of decisions flipped: {chance}; {rows}")


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
