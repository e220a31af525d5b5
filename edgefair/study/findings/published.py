"""Means that a paper published, and those of this study beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from edgefair.errors import DataError
from edgefair.joint import group_name
from edgefair.measure.counts import GroupCounts
from edgefair.report.results.study import PublishedMean
from edgefair.study.findings.levels import at_first_purity, factors_of, mean_of
from edgefair.study.levels import UNTREATED
from edgefair.study.plan import Plan
from edgefair.study.table import Row


def published_of(plan: Plan, rows: Sequence[Row]) -> Iterator[PublishedMean]:
    """A line for every number of the paper of an extent that the plan has; with no mean where its cells are not there.

    Raises:
        DataError: the table has no such groups.
    """
    told = plan.published
    if told is None:
        return
    factors = factors_of(plan)
    untreated = [name for name in at_first_purity(plan) if factors[name]["treatment"] == UNTREATED]
    places = {factors[name]["extent"]: name for name in untreated}
    for extent in told.extents:
        if extent not in places:
            continue
        own = [row for row in rows if row.condition == places[extent] and row.status == "done"]
        if extent in told.accuracy:
            found = [row.accuracy for row in own if row.accuracy is not None]
            yield PublishedMean(extent, "accuracy", told.accuracy[extent] / 100, mean_of(found) if found else None)
        if extent in told.difference and told.groups is not None:
            one, other = told.groups
            found = [difference for row in own if (difference := _difference(row, told.groups)) is not None]
            what = f"accuracy of {one} minus that of {other}"
            yield PublishedMean(extent, what, told.difference[extent] / 100, mean_of(found) if found else None)


def _difference(row: Row, groups: tuple[str, str]) -> float | None:
    if row.counts is None:
        return None
    counts = GroupCounts.from_json(json.loads(row.counts))
    names = [group_name(group) for group in counts.groups]
    missing = next((name for name in groups if name not in names), None)
    if missing is not None:
        raise DataError(f"published: the table has no group '{missing}'", expected=f"two of {', '.join(names)}")
    right = np.diagonal(counts.table, axis1=1, axis2=2).sum(axis=1) / counts.table.sum(axis=(1, 2))
    one, other = (float(right[names.index(name)]) for name in groups)
    return one - other
