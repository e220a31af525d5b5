"""Who will lose by compression, as a person reads it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgefair.joint import join
from edgefair.report.results.diagnosis import NO_VERDICT, Diagnosis, Exposure
from edgefair.report.terminal.tables import plain_table

SHOWN = 40


def render(report: Diagnosis) -> RenderableType:
    """The cells, the groups of every attribute, and what the columns mean."""
    parts: list[RenderableType] = [
        (
            f"run     {report.run}: {report.source}, {report.rows:,} training rows, "
            f"at most {report.rows_per_cell:,} of each cell measured"
        ),
        Text(NO_VERDICT, style="bold yellow"),
        "",
        _table(f"{join(report.attributes)}, who loses first", report.cells),
    ]
    if len(report.cells) > SHOWN:
        parts.append(f"{len(report.cells) - SHOWN} more cells are not shown; --json lists them")
    for item in report.groups:
        parts += ["", _table(f"{item.attribute}: whole groups", item.groups)]
    everything = [*report.cells[:SHOWN], *(group for item in report.groups for group in item.groups[:SHOWN])]
    remarks = [f"{item.name}: {note}" for item in everything for note in item.notes]
    parts += ["", *_legend(report)]
    parts += [f"note: {note}" for note in (*report.notes, *remarks)]
    return Group(*parts)


def _table(title: str, items: Sequence[Exposure]) -> Table:
    labelled = any(item.label is not None for item in items)
    table = plain_table(title)
    table.add_column("group", overflow="fold", min_width=8)
    if labelled:
        table.add_column("label", overflow="fold")
    names = ("rows", "share", "bound", "gradient", "curvature", "loss", "errors", "margin", "label noise")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for item in items[:SHOWN]:
        numbers = (
            f"{item.rows:,}",
            f"{item.share:.2%}",
            *(_number(value) for value in (item.loss_bound, item.gradient_norm, item.top_eigenvalue, item.loss)),
            _percent(item.error_rate),
            "?" if item.margin is None else f"{item.margin:+.2f}",
            _percent(item.label_noise),
        )
        table.add_row(item.group, *([item.label or ""] if labelled else []), *numbers)
    return table


def _legend(report: Diagnosis) -> list[RenderableType]:
    distance = report.extent * report.weight_norm
    return [
        (
            f"bound: the most that the mean loss can grow, to second order, if all weights together move by "
            f"{report.extent:g} of their norm: |gradient| d + curvature d^2 / 2, d = {distance:.3g} "
            "(Tran et al., NeurIPS 2022)"
        ),
        "curvature: largest eigenvalue of the loss's Hessian; margin: the label's logit minus the best other one",
        (
            "label noise: share of the validation rows that the model confidently assigns to another class (Northcutt "
            "et al., JAIR 2021); a model that is wrong about a whole group looks the same"
        ),
    ]


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{value:.1%}"
