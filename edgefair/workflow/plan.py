"""Can this audit set decide at this threshold?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgefair.config import Config
from edgefair.data.dataset import load
from edgefair.decision.cells import declared_table
from edgefair.measure.counts import GroupCounts
from edgefair.measure.planning import power_absolute, rows_for_power, smallest_threshold
from edgefair.workflow.progress import Progress, silent

PLAN_SCHEMA = "edgefair.plan/1"
WANTED_POWER = 0.8
# True gaps, as shares of the threshold, for which power is told.
GAPS = (0.0, 0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class CellPlan:
    """Rows of one group with each label."""

    group: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class AttributePlan:
    """What the audit set can show of one attribute.

    Attributes:
        least_rows: rows below which a cell is not judged at all.
        lacking: cells below that, in words; with any of them the verdict can only be INCONCLUSIVE.
        smallest_threshold: the least threshold that could pass if all groups had equal rates.
        power: (true gap, probability of PASS) at this threshold.
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

    @property
    def can_pass(self) -> bool:
        """Whether a perfectly fair model has an 80 % chance of PASS."""
        return bool(self.power) and self.power[0][1] >= WANTED_POWER


@dataclass(frozen=True)
class Plan:
    """A plan per attribute of the policy, for the assumed rates."""

    source: str
    rows: int
    labels: tuple[str, ...]
    assumed_tpr: float
    assumed_fpr: float
    alpha: float
    attributes: tuple[AttributePlan, ...]

    @property
    def exit_code(self) -> int:
        """0 where every attribute can pass, 3 where INCONCLUSIVE is what to expect."""
        return 0 if all(item.can_pass for item in self.attributes) else 3

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"schema": PLAN_SCHEMA, "exit_code": self.exit_code, **asdict(self)}


def plan(config: Config, *, tpr: float = 0.8, fpr: float = 0.1, progress: Progress = silent) -> Plan:
    """Rows, power and smallest threshold for every attribute of the policy.

    Args:
        tpr: true-positive rate to plan for (more than two classes: recall of every class).
        fpr: false-positive rate to plan for.

    Raises:
        DataError, PolicyError: see the message.
    """
    progress(0, 0, "reading")
    data = load(config.data, base=config.base, seed=config.seed, roles=["audit"])
    policy = config.policy
    counts = GroupCounts.from_rows(
        {name: data.audit.sensitive[name] for name in policy.base_attributes},
        label=data.audit.label,
        decision=data.audit.label,
        classes=data.classes,
    )
    rates = np.array([fpr, tpr] if len(data.classes) == 2 else [tpr] * len(data.classes))
    attributes = []
    for index, name in enumerate(policy.attributes):
        progress(index, len(policy.attributes), f"planning {name}")
        rows = declared_table(counts, policy, name).sum(axis=2)
        attributes.append(_attribute(config, name, rows, rates, data.classes))
    return Plan(
        source=data.source,
        rows=len(data.audit),
        labels=data.classes,
        assumed_tpr=tpr,
        assumed_fpr=fpr,
        alpha=policy.alpha,
        attributes=tuple(attributes),
    )


def _attribute(config: Config, name: str, rows: Any, rates: Any, labels: tuple[str, ...]) -> AttributePlan:
    policy, groups = config.policy, config.policy.groups(name)
    threshold, alpha, seed = policy.threshold(name), policy.alpha, config.seed
    least = policy.cell_rows(threshold)
    lacking = tuple(
        f"'{groups[group]}' has {int(rows[group, label])} rows with label '{labels[label]}'"
        for group, label in np.argwhere(rows < least)
    )
    gaps = tuple(round(share * threshold, 6) for share in GAPS)
    balanced = np.ones_like(rows)
    return AttributePlan(
        attribute=name,
        threshold=threshold,
        least_rows=least,
        cells=tuple(CellPlan(group, tuple(int(n) for n in row)) for group, row in zip(groups, rows, strict=True)),
        lacking=lacking,
        smallest_threshold=smallest_threshold(rows, rates, alpha=alpha) if (rows > 0).all() else None,
        power=()
        if lacking
        else tuple(
            (gap, power_absolute(rows, rates, gap=gap, threshold=threshold, alpha=alpha, seed=seed)) for gap in gaps
        ),
        rows_per_cell=tuple(
            (
                gap,
                rows_for_power(
                    lambda n, gap=gap: power_absolute(  # type: ignore[misc]
                        balanced * n, rates, gap=gap, threshold=threshold, alpha=alpha, seed=seed
                    ),
                    WANTED_POWER,
                ),
            )
            for gap in gaps
        ),
    )
