"""Who will lose by compression: the values of `edgefair diagnose`, as a person reads them and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgefair.joint import join
from edgefair.report.tables import plain_table

DIAGNOSIS_SCHEMA = "edgefair.diagnosis/1"
# A number that rests on fewer rows than this is remarked on.
FEW_ROWS = 10
SHOWN = 40
NO_VERDICT = (
    "These are hints from the dense model, not a verdict: export measures the compressed file on the audit rows."
)


@dataclass(frozen=True)
class Exposure:
    """How exposed some training rows are. A number that was not measured is None.

    Attributes:
        group: their sensitive group.
        label: their label; None for the whole group.
        rows: how many the training split has.
        share: of the training split.
        measured_rows: how many of them were measured.
        loss: mean cross-entropy, in nats.
        error_rate: share of wrong decisions.
        margin: mean of the label's logit minus the largest other one.
        gradient_norm: norm of the gradient of the mean loss with respect to the parameters.
        top_eigenvalue: of the Hessian of the mean loss.
        loss_bound: growth of the mean loss that the two permit, to second order, for the perturbation of the report.
        validation_rows: rows of the validation split with this group and label.
        label_noise: share of them whose label is, to the model, confidently another one.
        notes: what to know of these numbers.
    """

    group: str
    label: str | None
    rows: int
    share: float
    measured_rows: int
    validation_rows: int
    loss: float | None = None
    error_rate: float | None = None
    margin: float | None = None
    gradient_norm: float | None = None
    top_eigenvalue: float | None = None
    loss_bound: float | None = None
    label_noise: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Group, and label where there is one."""
        return self.group if self.label is None else f"{self.group}, label {self.label}"


@dataclass(frozen=True)
class AttributeExposure:
    """The groups of one attribute of the policy, who loses first in front."""

    attribute: str
    groups: tuple[Exposure, ...]


@dataclass(frozen=True)
class Diagnosis:
    """The result of `edgefair diagnose`.

    Attributes:
        run: name of the training run.
        source: where the rows come from.
        rows: of the training split.
        rows_per_cell: at most so many of each cell were measured.
        extent: relative perturbation of the weights that the bound is for.
        weight_norm: Euclidean norm of the weights; the perturbation has extent times that length.
        attributes: whose joint groups the cells are.
        cells: every (group, label), who loses first in front.
        groups: for every attribute of the policy.
        notes: what to know beside the numbers.
    """

    run: str
    source: str
    rows: int
    rows_per_cell: int
    extent: float
    weight_norm: float
    attributes: tuple[str, ...]
    cells: tuple[Exposure, ...]
    groups: tuple[AttributeExposure, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, no NaN; null for a number that was not measured."""
        return {"schema": DIAGNOSIS_SCHEMA, "hint": NO_VERDICT, **asdict(self)}


def who_loses_first(items: Sequence[Exposure]) -> tuple[Exposure, ...]:
    """By falling loss bound; then those without a bound by falling gradient; then those without rows."""

    def key(item: Exposure) -> tuple[bool, bool, float]:
        value = item.gradient_norm if item.loss_bound is None else item.loss_bound
        return item.loss_bound is None, value is None, 0.0 if value is None else -value

    return tuple(sorted(items, key=key))


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
            "label noise: share of the validation rows that the model confidently takes for another class (Northcutt "
            "et al., JAIR 2021); a model that is wrong about a whole group looks the same"
        ),
    ]


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{value:.1%}"
