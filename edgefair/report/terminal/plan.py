"""A plan as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgefair.decision.policy import not_judged_note
from edgefair.report.results.plan import WANTED_POWER, AttributePlan, Plan
from edgefair.report.terminal.cells import cell_table
from edgefair.report.terminal.tables import plain_table
from edgefair.report.titles import title_of
from edgefair.report.worst_groups import ROWS

BAR = 20


def render(plan: Plan) -> RenderableType:
    """What the whole verdict is likely to be, which gate stands in the way, and the cells."""
    parts: list[RenderableType] = [_audit(plan)]
    if plan.not_judged:
        parts.append(Text(not_judged_note(plan.not_judged), style="bold yellow"))
    parts += ["", _answer(plan), _power(plan), *_notes(plan)]
    if plan.gates:
        parts += ["", _gates(plan)]
    for item in plan.attributes:
        parts += ["", *_cells(item, plan.labels, plan.counted), *_attribute(item, plan.counted)]
    return Group(*parts)


def _audit(plan: Plan) -> str:
    flips = f", {plan.flip_rate:.1%} of decisions flipped"
    alike = "" if plan.icc is None else f", decisions of one subject correlated by {plan.icc:g}"
    rates = f"TPR {plan.assumed_tpr:g}, FPR {plan.assumed_fpr:g}{flips}{alike}, confidence {100 * (1 - plan.alpha):g}%"
    return f"audit   {plan.source}: {plan.rows:,} rows; planned for {rates}"


def _answer(plan: Plan) -> Text:
    """For a fair model, in one line."""
    fair = plan.power[0]
    if any(item.lacking for item in plan.attributes):
        return Text("can only be INCONCLUSIVE: cells lack rows, see below", style="bold yellow")
    if plan.can_pass:
        return Text(f"can PASS: a fair model does with a chance of {fair.chance:.0%}", style="bold green")
    return Text(
        f"too small to PASS reliably: a fair model does with a chance of {fair.chance:.0%}", style="bold yellow"
    )


def _power(plan: Plan) -> Table:
    table = plain_table()
    for name in ("true gap", "chance of PASS"):
        table.add_column(name, justify="right")
    table.add_column("")
    table.add_column(f"{plan.counted} for {WANTED_POWER:.0%}", justify="right")
    if plan.icc is None:
        table.add_column("or in every cell", justify="right")
    for item in plan.power:
        bar = "█" * round(BAR * item.chance)
        times = "?" if item.times_rows is None else f"{item.times_rows:g} times these"
        row = [f"{item.gap:.3f}", f"{item.chance:.0%}", bar.ljust(BAR, "·"), times]
        if plan.icc is None:
            row.append("?" if item.rows_per_cell is None else f"{item.rows_per_cell:,}")
        table.add_row(*row)
    return table


def _notes(plan: Plan) -> Iterator[str]:
    error = max(item.standard_error for item in plan.power)
    attribute, group = plan.worse
    audits = f"{plan.simulations} simulated audits, right to {200 * error:.0f} points"
    yield f"the whole verdict, all gates of decisions; {audits}"
    yield f"a true gap: group '{group}' of '{attribute}' is decided worse"


def _gates(plan: Plan) -> Table:
    table = plain_table("a fair model with these rows")
    table.add_column("gate", overflow="fold")
    table.add_column("chance of PASS", justify="right")
    table.add_column("decides most often against it", overflow="fold")
    for item in sorted(plan.gates, key=lambda gate: gate.chance):
        table.add_row(title_of(item.gate), f"{item.chance:.0%}", item.binding or "")
    return table


def _cells(item: AttributePlan, labels: tuple[str, ...], counted: str) -> list[RenderableType]:
    """The cells of every group; of many groups those with the smallest ones."""
    smallest = sorted(item.cells, key=lambda cell: min(cell.rows))[:ROWS]
    shown = [(cell.group, cell.rows) for cell in item.cells if cell in smallest]
    table = cell_table("group", labels, shown, title=f"{item.attribute}: {counted} per cell")
    left = len(item.cells) - len(shown)
    return [table, *([f"  and {left:,} groups without smaller cells; --json has all of them"] if left else [])]


def _attribute(item: AttributePlan, counted: str) -> Iterator[RenderableType]:
    if item.lacking:
        yield Text(f"can only be INCONCLUSIVE: a cell needs {item.least_rows} {counted}", style="bold yellow")
        yield from (f"  {text}" for text in item.lacking[:ROWS])
        if len(item.lacking) > ROWS:
            yield f"  and {len(item.lacking) - ROWS:,} more cells"
    if item.chance is not None:
        yield f"by itself shown to be within {item.threshold:g} with a chance of {item.chance:.0%}"
    if item.smallest_threshold is not None:
        yield f"smallest threshold that equal rates would pass: about {item.smallest_threshold:.4f}"
