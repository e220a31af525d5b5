"""Chosen rows as a person reads them."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgefair.report.results.label_plan import LabelPlan
from edgefair.report.terminal.tables import plain_table


def render(plan: LabelPlan) -> RenderableType:
    """Strata, and what to do next."""
    parts: list[RenderableType] = [
        Text(
            f"audit   {plan.source}: {plan.chosen:,} of {plan.rows:,} rows are to be labelled; scored by '{plan.model}'"
        ),
        "",
        _strata(plan),
        "",
        Text(f"label the rows of {plan.to_label} by their id, bring the labels into the data, leave all others empty,"),
        Text(f"and set data.label_design: {plan.design}"),
    ]
    if plan.lacking:
        parts += ["", Text("INCONCLUSIVE is to be expected with so few labels:", style="bold yellow")]
        parts += [Text(f"  {text}") for text in plan.lacking]
    return Group(*parts)


def _strata(plan: LabelPlan) -> Table:
    table = plain_table("strata")
    table.add_column("group", overflow="fold", min_width=10)
    table.add_column("decision", overflow="fold")
    for name in ("its probability", "rows", "to label"):
        table.add_column(name, justify="right")
    for item in plan.strata:
        scores = "" if item.scores is None else f"{item.scores[0]:.3f} to {item.scores[1]:.3f}"
        table.add_row(item.group, item.decision, scores, f"{item.rows:,}", f"{item.chosen:,}")
    return table
