"""Whose decisions changed, and who gained or lost: means over seeds of what the cells' counts say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from edgefair.errors import DataError
from edgefair.joint import group_name
from edgefair.measure.bounds import Array
from edgefair.measure.counts import GroupCounts
from edgefair.report.results.study import FlipCell, Levelling
from edgefair.study.findings.levels import at_first_purity
from edgefair.study.plan import Plan
from edgefair.study.table import Row

KINDS = ("flipped", "broken", "corrected")


def flips_of(plan: Plan, rows: Sequence[Row]) -> tuple[FlipCell, ...]:
    """Of every condition of the cleanest data, against the dense model and against the control.

    Raises:
        DataError: flips that are not such JSON.
    """
    found = []
    for condition in at_first_purity(plan):
        shares: dict[tuple[str, str, str], list[list[float]]] = {}
        for row in rows:
            if row.condition != condition or row.flips is None:
                continue
            for key, rate in _flips(row):
                shares.setdefault(key, []).append(rate)
        found += [FlipCell(condition, *key, *map(float, np.mean(rates, axis=0))) for key, rates in shares.items()]
    return tuple(found)


def _flips(row: Row) -> Iterator[tuple[tuple[str, str, str], list[float]]]:
    try:
        for against, cells in json.loads(row.flips or "{}").items():
            for cell in cells:
                if cell["rows"]:
                    yield (against, cell["group"], cell["label"]), [cell[kind] / cell["rows"] for kind in KINDS]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"cell '{row.cell}': flips are not those of a study") from error


def levelling_of(plan: Plan, rows: Sequence[Row]) -> tuple[Levelling, ...]:
    """Change of the best and of the worst group from the first condition to every other, inside a seed.

    The groups are those of the first condition: whoever is worst afterwards, these are the people who were.
    """
    first, *others = at_first_purity(plan)
    base = _recalls(rows, first)
    if not base or len(next(iter(base.values()))[0]) < 2:
        return ()
    names = next(iter(base.values()))[0]
    mean = np.mean([balanced for _, balanced in base.values()], axis=0)
    best, worst = int(mean.argmax()), int(mean.argmin())
    found = []
    for condition in others:
        own = _recalls(rows, condition)
        both = [seed for seed in own if seed in base]
        if not both or np.isnan(mean).any():
            continue
        change = np.mean([own[seed][1] - base[seed][1] for seed in both], axis=0)
        found.append(
            Levelling(condition, len(both), names[best], names[worst], float(change[best]), float(change[worst]))
        )
    return tuple(found)


def _recalls(rows: Sequence[Row], condition: str) -> dict[int, tuple[tuple[str, ...], Array]]:
    """seed -> names of the groups, and their balanced accuracy, float64 [groups]; NaN where a label has no rows."""
    found = {}
    for row in rows:
        if row.condition != condition or row.counts is None:
            continue
        try:
            counts = GroupCounts.from_json(json.loads(row.counts))
        except ValueError as error:
            raise DataError(f"cell '{row.cell}': counts is no JSON", expected=GroupCounts.SCHEMA) from error
        n = counts.table.sum(axis=2)
        recall = np.diagonal(counts.table, axis1=1, axis2=2) / np.where(n > 0, n, np.nan)
        found[row.seed] = tuple(map(group_name, counts.groups)), np.asarray(recall.mean(axis=1))
    return found
