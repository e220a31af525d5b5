"""What each group meets, for people to read beside the verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefair.decision.cells import compared, declared_table, limits_of, measures, rate_cells
from edgefair.decision.evidence import Evidence
from edgefair.decision.family import judge
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import AttributeSummary, CellRate, GroupRates
from edgefair.decision.weighted import weighted_design
from edgefair.measure.bounds import Array
from edgefair.measure.counts import GroupCounts
from edgefair.measure.design import Design, Effective
from edgefair.measure.scores import Interval


def summarize(counts: GroupCounts, policy: Policy, name: str, design: Design | None) -> AttributeSummary:
    """Rates of every declared group with two-sided intervals at 1 - alpha, and the largest differences."""
    table = declared_table(counts, policy, name)
    groups = policy.group_names(name)
    parts = _parts(table, counts.classes, None if design is None else design.rates[name].rate)
    known = [value for value in parts.values() if value is not None]
    return AttributeSummary(
        attribute=name,
        gap=max(known) if len(known) == len(parts) else None,
        parts=parts,
        groups=tuple(
            _group(
                group,
                table[index],
                counts.classes,
                policy.alpha,
                _effective(design, name, index),
                _weighted_accuracy(design, name, index),
            )
            for index, group in enumerate(groups)
        ),
    )


def gap_interval(evidence: Evidence, policy: Policy, name: str) -> Interval | None:
    """The equalized-odds gap of an attribute with two-sided limits at 1 - alpha; None where no pair can be formed.

    The largest limits of all pairs of groups. The upper one misses only where that of the pair with the largest true
    difference does, at alpha / 2; the lower one shares alpha / 2 among the pairs. So it covers a gap of 0 too.
    """
    design = evidence.design if evidence.strata is None else weighted_design(evidence.strata, policy)
    cells = rate_cells(evidence.counts, policy, name, design)
    found = judge([cells], alpha=policy.alpha / 2, rule="bound")
    if found.estimate is None or found.lower is None or found.upper is None:
        return None
    return Interval(found.estimate, found.lower, found.upper)


def _effective(design: Design | None, name: str, group: int) -> Effective | None:
    """Effective sizes of one group, [labels, classes]."""
    if design is None:
        return None
    return design.rates[name].at(group)


def _weighted_accuracy(design: Design | None, name: str, group: int) -> float | None:
    """Accuracy of a group where rows are weighted over strata; that of subjects is counted by rows."""
    found = None if design is None else design.accuracy.get(name)
    if found is None or found.own is None or found.rate is None:
        return None
    return float(found.rate[group]) if found.subjects[group] else None


def _parts(table: NDArray[np.int64], classes: tuple[str, ...], rate: Array | None) -> dict[str, float | None]:
    n = table.sum(axis=2)
    by_group = table / np.maximum(n, 1)[:, :, None] if rate is None else rate
    found: dict[str, float | None] = {}
    for label, names in enumerate(measures(classes)):
        for decision, measure in zip(compared(classes), names, strict=True):
            found[measure] = float(np.ptp(by_group[:, label, decision])) if (n[:, label] > 0).all() else None
    return found


def _balanced(x: NDArray[np.int64], n: NDArray[np.int64], effective: Effective | None) -> float:
    recall = np.diagonal(x) / n if effective is None or effective.rate is None else np.diagonal(effective.rate)
    return float(recall.mean())


def _group(
    group: str,
    x: NDArray[np.int64],
    classes: tuple[str, ...],
    alpha: float,
    effective: Effective | None,
    accuracy: float | None,
) -> GroupRates:
    """`accuracy`: where it is not that of the counted rows."""
    n = x.sum(axis=1)
    decisions = (1, 1) if len(classes) == 2 else tuple(range(len(classes)))
    names = ("FPR", "TPR") if len(classes) == 2 else tuple(f"recall of {item}" for item in classes)
    hits = np.array([x[label, decision] for label, decision in enumerate(decisions)])
    own = None
    if effective is not None:
        cells = (np.arange(len(decisions)), np.array(decisions))
        own = effective.at(*cells)
    value, lower, upper = limits_of(hits, n, alpha / 2, own)
    rates = tuple(
        CellRate(
            measure=measure,
            n=int(n[label]),
            rate=float(value[label]) if n[label] else None,
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
        accuracy=accuracy if accuracy is not None or not rows else float(np.trace(x) / rows),
        balanced_accuracy=_balanced(x, n, effective) if (n > 0).all() else None,
    )
