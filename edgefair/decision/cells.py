"""From counts to the cells of a family, for the groups that the policy declares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgefair.decision.family import Cells
from edgefair.decision.policy import JOIN, Policy
from edgefair.errors import PolicyError, did_you_mean
from edgefair.measure.bounds import Array, clopper_pearson, paired_shift
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts


def declared_table(counts: GroupCounts | PairedCounts, policy: Policy, name: str) -> NDArray[np.int64]:
    """Counts of the declared groups of an attribute, in the policy's order; zeros for a group without rows.

    Raises:
        PolicyError: a group in the data that the policy does not declare.
    """
    part = counts.by(*name.split(JOIN))
    declared = policy.groups(name)
    table = np.zeros((len(declared), *part.table.shape[1:]), dtype=np.int64)
    for index, group in enumerate(part.groups):
        joined = JOIN.join(group)
        if joined not in declared:
            raise PolicyError(
                f"group '{joined}' of attribute '{name}' has {int(part.table[index].sum())} rows and the policy does "
                f"not declare it{did_you_mean(joined, declared)}",
                expected=f"one of {', '.join(declared)}",
                fix=f"add it to policy.attributes.{name}.groups: people who are left out are not counted",
            )
        table[declared.index(joined)] = part.table[index]
    return table


def rate_cells(counts: GroupCounts, policy: Policy, name: str) -> Cells:
    """Cells of the equalized-odds gap: r[g, y, c] = x[g, y, c] / n[g, y] with Clopper-Pearson limits."""
    table = declared_table(counts, policy, name)
    decisions = compared(counts.classes)
    x, n = table[:, :, decisions], table.sum(axis=2)
    smoothed = (x + 1.0) / (n + 2.0)[:, :, None]

    def limits(level: float) -> tuple[Array, Array, Array]:
        lower, upper = clopper_pearson(x, np.broadcast_to(n[:, :, None], x.shape), level)
        return x / np.maximum(n, 1)[:, :, None], lower, upper

    threshold = policy.threshold(name)
    return Cells(
        attribute=name,
        groups=policy.groups(name),
        measures=measures(counts.classes),
        n=n,
        limits=limits,
        variance=smoothed * (1 - smoothed),
        threshold=threshold,
        min_rows=policy.cell_rows(threshold),
    )


def shift_cells(paired: PairedCounts, policy: Policy, name: str, threshold: float) -> Cells:
    """Cells of the paired gate: delta[g, y, c], the change of the rate by compression, from the rows that flipped."""
    table = declared_table(paired, policy, name)
    decisions = compared(paired.classes)
    n = table.sum(axis=(2, 3))
    gained = np.stack([table[:, :, :, c].sum(axis=2) - table[:, :, c, c] for c in decisions], axis=2)
    lost = np.stack([table[:, :, c, :].sum(axis=2) - table[:, :, c, c] for c in decisions], axis=2)
    rows = np.broadcast_to(n[:, :, None], gained.shape)
    flips = (gained + lost + 1.0) / (rows + 2.0)

    def limits(level: float) -> tuple[Array, Array, Array]:
        return paired_shift(gained, lost, rows, level)

    return Cells(
        attribute=name,
        groups=policy.groups(name),
        measures=tuple(tuple(f"change of {item}" for item in label) for label in measures(paired.classes)),
        n=n,
        limits=limits,
        variance=flips,
        threshold=threshold,
        min_rows=policy.cell_rows(threshold),
    )


def compared(classes: Sequence[str]) -> list[int]:
    """Decisions whose rates are compared: class 1 of two (the other rate mirrors it), else all."""
    return [1] if len(classes) == 2 else list(range(len(classes)))


def measures(classes: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Names of the compared rates, [labels][decisions]."""
    if len(classes) == 2:
        return (("FPR",), ("TPR",))
    return tuple(tuple(f"P({decision}|{label})" for decision in classes) for label in classes)
