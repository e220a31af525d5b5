"""Is the change from one model to another within the policy's largest increase, and for whom is it beyond?"""

from __future__ import annotations

import math

import numpy as np

from edgefair.decision.cells import compared, declared_table, limits_of, measures, shift_cells
from edgefair.decision.family import ROWS, Cells, FamilyResult, judge
from edgefair.decision.policy import Policy
from edgefair.decision.recording.corrections import of_changes
from edgefair.errors import DataError
from edgefair.measure.bounds import mover
from edgefair.measure.counts import GroupCounts
from edgefair.measure.design import Design
from edgefair.measure.flips import excess_loss_by_group
from edgefair.measure.paired import PairedCounts


def judge_paired(paired: PairedCounts, policy: Policy, design: Design | None) -> FamilyResult:
    """Judge the changes of two models that decided the same rows; `design` where rows belong to subjects."""
    cells = [shift_cells(paired, policy, name, _threshold(policy), design) for name in policy.attributes]
    return judge(cells, alpha=policy.limits_alpha, rule=policy.rule)


def judge_unpaired(one: GroupCounts, other: GroupCounts, policy: Policy) -> FamilyResult:
    """Judge the changes of two models that decided different rows: independent samples, so wider limits.

    Raises:
        DataError: models of different classes.
    """
    if one.classes != other.classes:
        raise DataError(f"the models have different classes: {one.classes} and {other.classes}")
    cells = [_independent_cells(one, other, policy, name) for name in policy.attributes]
    return judge(cells, alpha=policy.limits_alpha, rule=policy.rule)


def excess_losses(paired: PairedCounts, policy: Policy) -> dict[str, dict[str, float | None]]:
    """Attribute -> group -> loss of accuracy beyond the average loss (psi_g); None without rows."""
    found = {name: excess_loss_by_group(declared_table(paired, policy, name)).tolist() for name in policy.attributes}
    return {
        name: {
            group: None if math.isnan(loss) else loss
            for group, loss in zip(policy.group_names(name), losses, strict=True)
        }
        for name, losses in found.items()
    }


def _threshold(policy: Policy) -> float:
    """The largest increase: without one in the policy, 1, which forbids nothing."""
    return 1.0 if policy.max_eo_increase is None else policy.max_eo_increase


def _independent_cells(one: GroupCounts, other: GroupCounts, policy: Policy, name: str) -> Cells:
    decisions, threshold = compared(one.classes), _threshold(policy)
    tables = [declared_table(item, policy, name) for item in (one, other)]
    x = [table[:, :, decisions] for table in tables]
    n = [table.sum(axis=2) for table in tables]
    smoothed = [(part + 1.0) / (rows + 2.0)[:, :, None] for part, rows in zip(x, n, strict=True)]
    fewest = np.minimum(n[0], n[1])
    return Cells(
        attribute=name,
        groups=policy.group_names(name),
        measures=tuple(tuple(f"change of {item}" for item in label) for label in measures(one.classes)),
        n=fewest,
        successes=None,
        limits=lambda level: mover(
            *limits_of(x[1], n[1][:, :, None], level), *limits_of(x[0], n[0][:, :, None], level)
        ),
        variance=sum(rate * (1 - rate) for rate in smoothed),
        threshold=threshold,
        units=fewest,
        unit=ROWS,
        min_units=policy.cell_rows(threshold),
        correction=of_changes(policy, name, one.classes),
    )
