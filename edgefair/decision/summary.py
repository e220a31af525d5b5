"""What each group meets, for people to read beside the verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefair.decision.cells import compared, declared_table, measures
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import AttributeSummary, CellRate, GroupRates
from edgefair.measure.bounds import clopper_pearson
from edgefair.measure.counts import GroupCounts


def summarize(counts: GroupCounts, policy: Policy, name: str) -> AttributeSummary:
    """Rates of every declared group with two-sided intervals at 1 - alpha, and the largest differences."""
    table = declared_table(counts, policy, name)
    groups = policy.groups(name)
    parts = _parts(table, counts.classes)
    known = [value for value in parts.values() if value is not None]
    return AttributeSummary(
        attribute=name,
        gap=max(known) if len(known) == len(parts) else None,
        parts=parts,
        groups=tuple(_group(group, table[index], counts.classes, policy.alpha) for index, group in enumerate(groups)),
    )


def _parts(table: NDArray[np.int64], classes: tuple[str, ...]) -> dict[str, float | None]:
    n = table.sum(axis=2)
    found: dict[str, float | None] = {}
    for label, names in enumerate(measures(classes)):
        for decision, measure in zip(compared(classes), names, strict=True):
            rates = table[:, label, decision] / np.maximum(n[:, label], 1)
            found[measure] = float(np.ptp(rates)) if (n[:, label] > 0).all() else None
    return found


def _group(group: str, x: NDArray[np.int64], classes: tuple[str, ...], alpha: float) -> GroupRates:
    n = x.sum(axis=1)
    decisions = (1, 1) if len(classes) == 2 else tuple(range(len(classes)))
    names = ("FPR", "TPR") if len(classes) == 2 else tuple(f"recall of {item}" for item in classes)
    hits = np.array([x[label, decision] for label, decision in enumerate(decisions)])
    lower, upper = clopper_pearson(hits, n, alpha / 2)
    rates = tuple(
        CellRate(
            measure=measure,
            n=int(n[label]),
            rate=float(hits[label] / n[label]) if n[label] else None,
            lower=float(lower[label]) if n[label] else None,
            upper=float(upper[label]) if n[label] else None,
        )
        for label, measure in enumerate(names)
    )
    rows = int(x.sum())
    return GroupRates(
        group=group,
        rows=rows,
        rates=rates,
        accuracy=float(np.trace(x) / rows) if rows else None,
        balanced_accuracy=float((np.diagonal(x) / n).mean()) if (n > 0).all() else None,
    )
