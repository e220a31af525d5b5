"""Who will lose by compression: the values of `edgefair diagnose`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from edgefair.report.results.base import read_fields

DIAGNOSIS_SCHEMA = "edgefair.diagnosis/1"
# A number that rests on fewer rows than this is remarked on.
FEW_ROWS = 10
NO_VERDICT = (
    "These are hints from the uncompressed model, not a verdict: export measures the compressed file on the audit rows."
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

    schema: ClassVar[str] = DIAGNOSIS_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.diagnosis"

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

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            ValueError: not such a result.
        """
        return read_fields(cls, data)


def who_loses_first(items: Sequence[Exposure]) -> tuple[Exposure, ...]:
    """By falling loss bound; then those without a bound by falling gradient; then those without rows."""

    def key(item: Exposure) -> tuple[bool, bool, float]:
        value = item.gradient_norm if item.loss_bound is None else item.loss_bound
        return item.loss_bound is None, value is None, 0.0 if value is None else -value

    return tuple(sorted(items, key=key))
