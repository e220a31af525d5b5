"""Can this audit set decide at this threshold?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.data.groups import joint_groups
from edgefair.decision.cells import declared_table
from edgefair.measure.counts import GroupCounts
from edgefair.measure.planning import power_absolute, power_paired, rows_for_power, smallest_threshold
from edgefair.progress import Progress, silent
from edgefair.report.results.plan import WANTED_POWER, AttributePlan, CellPlan, PairedPlan, Plan

# Growth of the gap that is planned for where the policy names none.
DEFAULT_INCREASE = 0.02
# Multiples of the rows at hand for which power is told.
MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)
# True gaps, as shares of the threshold, for which power is told.
GAPS = (0.0, 0.2, 0.4, 0.6, 0.8)


def plan(
    config: Config, *, tpr: float = 0.8, fpr: float = 0.1, flip_rate: float = 0.01, progress: Progress = silent
) -> Plan:
    """Rows, power and smallest threshold for every attribute of the policy.

    Args:
        tpr: true-positive rate to plan for (more than two classes: recall of every class).
        fpr: false-positive rate to plan for.
        flip_rate: share of the decisions that compression is expected to change.

    Raises:
        DataError, PolicyError: see the message.
    """
    progress.stage("reading")
    data = load(config.data, base=config.base, roles=["audit"])
    policy = config.policy
    rates = np.array([fpr, tpr] if len(data.classes) == 2 else [tpr] * len(data.classes))
    counted = "rows" if data.audit.subject is None else "subjects"
    progress.stage("planning")
    attributes = []
    for index, name in enumerate(policy.attributes):
        progress.step(index, len(policy.attributes), f"planning {name}")
        rows = _cell_counts(config, data, name)
        attributes.append(_attribute(config, name, rows, rates, data.classes, flip_rate, counted))
    return Plan(
        source=data.source,
        rows=len(data.audit),
        counted=counted,
        labels=data.classes,
        assumed_tpr=tpr,
        assumed_fpr=fpr,
        alpha=policy.alpha,
        attributes=tuple(attributes),
        not_judged=policy.not_judged(config.data.sensitive),
    )


def _cell_counts(config: Config, data: DataSet, name: str) -> NDArray[np.int64]:
    """Rows of each declared group and label, or subjects where they are declared: int64 [groups, labels]."""
    audit, base = data.audit, config.policy.base_attributes
    if audit.subject is not None:
        group, _ = joint_groups(audit.sensitive, config.policy.attributes_of(name))
        cell = np.stack([audit.subject.codes, group, audit.label])
        audit = audit.take(np.sort(np.unique(cell, axis=1, return_index=True)[1]))
    counts = GroupCounts.from_rows(
        {item: audit.sensitive[item] for item in base}, label=audit.label, decision=audit.label, classes=data.classes
    )
    found: NDArray[np.int64] = declared_table(counts, config.policy, name).sum(axis=2)
    return found


def _attribute(
    config: Config, name: str, rows: Any, rates: Any, labels: tuple[str, ...], flip_rate: float, counted: str
) -> AttributePlan:
    policy, groups = config.policy, config.policy.group_names(name)
    threshold, alpha, seed = policy.threshold(name), policy.alpha, config.seed
    least = policy.cell_rows(threshold)
    lacking = tuple(
        f"'{groups[group]}' has {int(rows[group, label])} {counted} with label '{labels[label]}'"
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
        power_by_rows=()
        if lacking
        else tuple(
            (
                times,
                power_absolute(
                    np.maximum(1, (rows * times).astype(np.int64)),
                    rates,
                    gap=0.0,
                    threshold=threshold,
                    alpha=alpha,
                    seed=seed,
                ),
            )
            for times in MULTIPLES
        ),
        paired=_paired(config, rows, flip_rate, lacking=bool(lacking)),
    )


def _paired(config: Config, rows: Any, flip_rate: float, *, lacking: bool) -> PairedPlan:
    policy = config.policy
    threshold = DEFAULT_INCREASE if policy.max_eo_increase is None else policy.max_eo_increase

    def power(n: Any) -> float:
        return power_paired(n, flip_rate, increase=0.0, threshold=threshold, alpha=policy.alpha, seed=config.seed)

    return PairedPlan(
        threshold=threshold,
        flip_rate=flip_rate,
        power=None if lacking else power(rows),
        rows_per_cell=rows_for_power(lambda n: power(np.full_like(rows, n)), WANTED_POWER),
    )
