"""What a plan says of an audit set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from edgefair.report.results.base import read_fields

PLAN_SCHEMA = "edgefair.plan/1"
WANTED_POWER = 0.8


@dataclass(frozen=True)
class CellPlan:
    """Rows of one group with each label."""

    group: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class PairedPlan:
    """The paired gate, for a compression that flips a share of the rows of every cell and no group more than another.

    Attributes:
        power: probability of PASS with the rows at hand; None where a cell lacks rows.
        rows_per_cell: rows per cell for an 80 % chance, balanced cells; None where no set is that large.
    """

    threshold: float
    flip_rate: float
    power: float | None
    rows_per_cell: int | None


@dataclass(frozen=True)
class AttributePlan:
    """What the audit set can show of one attribute.

    Attributes:
        least_rows: rows below which a cell is not judged at all.
        lacking: cells below that, in words; with any of them the verdict can only be INCONCLUSIVE.
        smallest_threshold: the least threshold that could pass if all groups had equal rates.
        power: (true gap, probability of PASS) at this threshold.
        power_by_rows: (multiple of these rows, probability of PASS of a perfectly fair model).
        paired: what the paired gate can show.
        rows_per_cell: (true gap, rows per (group, label) cell for an 80 % chance of PASS), balanced cells.
    """

    attribute: str
    threshold: float
    least_rows: int
    cells: tuple[CellPlan, ...]
    lacking: tuple[str, ...]
    smallest_threshold: float | None
    power: tuple[tuple[float, float], ...]
    rows_per_cell: tuple[tuple[float, int | None], ...]
    power_by_rows: tuple[tuple[float, float], ...]
    paired: PairedPlan

    @property
    def can_pass(self) -> bool:
        """Whether a perfectly fair model has an 80 % chance of PASS."""
        return bool(self.power) and self.power[0][1] >= WANTED_POWER


@dataclass(frozen=True)
class Plan:
    """A plan per attribute of the policy, for the assumed rates.

    Attributes:
        counted: what a cell's number counts: `rows`, or `subjects` where several rows belong to one. Rows of a subject
            are not independent; in the worst case they are worth one.
        not_judged: sensitive columns of the data that the policy does not judge.
    """

    schema: ClassVar[str] = PLAN_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.plan"

    source: str
    rows: int
    counted: str
    labels: tuple[str, ...]
    assumed_tpr: float
    assumed_fpr: float
    alpha: float
    attributes: tuple[AttributePlan, ...]
    not_judged: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 where every attribute can pass, 3 where INCONCLUSIVE is what to expect."""
        return 0 if all(item.can_pass for item in self.attributes) else 3

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"schema": PLAN_SCHEMA, "exit_code": self.exit_code, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            ValueError: not such a result.
        """
        return read_fields(cls, data)
