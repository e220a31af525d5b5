"""What each group meets, for people to read beside the verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefair.decision.cells import compared, declared_table, limits_of, measures
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import AttributeSummary, CellRate, GroupRates
from edgefair.measure.clusters import Design, Effective
from edgefair.measure.counts import GroupCounts
from edgefair.measure.metrics import largest_differences


def summarize(counts: GroupCounts, policy: Policy, name: str, design: Design | None) -> AttributeSummary:
    """Rates of every declared group with two-sided intervals at 1 - alpha, and the largest differences."""
    table = declared_table(counts, policy, name)
    groups = policy.group_names(name)
    parts = _parts(table, counts.classes)
    known = [value for value in parts.values() if value is not None]
    return AttributeSummary(
        attribute=name,
        gap=max(known) if len(known) == len(parts) else None,
        parts=parts,
        groups=tuple(
            _group(group, table[index], counts.classes, policy.alpha, _effective(design, name, index))
            for index, group in enumerate(groups)
        ),
    )


def _effective(design: Design | None, name: str, group: int) -> Effective | None:
    """Effective sizes of one group, [labels, classes]."""
    if design is None:
        return None
    rates = design.rates[name]
    return Effective(rates.share[group], rates.subjects[group])


def _parts(table: NDArray[np.int64], classes: tuple[str, ...]) -> dict[str, float | None]:
    differences = largest_differences(table)[:, compared(classes)]
    return {
        measure: None if np.isnan(value) else float(value)
        for names, values in zip(measures(classes), differences, strict=True)
        for measure, value in zip(names, values, strict=True)
    }


def _group(
    group: str, x: NDArray[np.int64], classes: tuple[str, ...], alpha: float, effective: Effective | None
) -> GroupRates:
    n = x.sum(axis=1)
    decisions = (1, 1) if len(classes) == 2 else tuple(range(len(classes)))
    names = ("FPR", "TPR") if len(classes) == 2 else tuple(f"recall of {item}" for item in classes)
    hits = np.array([x[label, decision] for label, decision in enumerate(decisions)])
    own = None
    if effective is not None:
        cells = (np.arange(len(decisions)), np.array(decisions))
        own = Effective(effective.share[cells], effective.subjects[cells])
    _, lower, upper = limits_of(hits, n, alpha / 2, own)
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
