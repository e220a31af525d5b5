"""Every condition of a plan with what its seeds gave: none is left out because it failed or was not run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgefair.report.results.study import Floors, Level, Mean, StudyResponse
from edgefair.study.bootstrap import crossed
from edgefair.study.contrasts import t_interval
from edgefair.study.levels import FACTORS
from edgefair.study.plan import Plan
from edgefair.study.power import ALPHA
from edgefair.study.table import RESPONSES, Row, tables_of


def factors_of(plan: Plan) -> dict[str, dict[str, str]]:
    """condition -> factor -> level, in the order of the plan."""
    return {cell.condition: {name: str(getattr(cell, name)) for name in FACTORS} for cell in plan.cells}


def at_first_purity(plan: Plan) -> list[str]:
    """Conditions of the cleanest data: those of every extent and treatment, as defaults compare them."""
    first = [getattr(plan.factors, name)[0] for name in ("noise", "keep", "thin")]
    return list(dict.fromkeys(
        cell.condition for cell in plan.cells if [cell.noise, cell.keep, cell.thin] == first
    ))  # fmt: skip


def responses_of(plan: Plan, rows: Sequence[Row]) -> tuple[StudyResponse, ...]:
    """The planned responses, and after them those that some cell has."""
    measured = [name for name in RESPONSES if any(getattr(row, name) is not None for row in rows)]
    return tuple(
        StudyResponse(
            name, item.words, item.unit, item.scale, item.is_share, item.of_gap, item.higher_is_better,
            name in plan.responses,
        )
        for name in dict.fromkeys([*plan.responses, *measured])
        for item in [RESPONSES[name]]
    )  # fmt: skip


def levels_of(plan: Plan, rows: Sequence[Row], responses: Sequence[StudyResponse]) -> tuple[Level, ...]:
    """All conditions in the order of the plan."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.condition, []).append(row)
    planned: dict[str, int] = {}
    for cell in plan.cells:
        planned[cell.condition] = planned.get(cell.condition, 0) + 1
    return tuple(
        _level(condition, factors, planned[condition], found.get(condition, []), responses)
        for condition, factors in factors_of(plan).items()
    )


def _level(
    condition: str, factors: Mapping[str, str], planned: int, rows: Sequence[Row], responses: Sequence[StudyResponse]
) -> Level:
    done = [row for row in rows if row.status == "done"]
    values = {item.name: [value for row in done if (value := getattr(row, item.name)) is not None]
              for item in responses}  # fmt: skip
    return Level(
        condition=condition,
        factors=dict(factors),
        done=len(done),
        failed=len(rows) - len(done),
        not_run=planned - len(rows),
        collapsed=sum(bool(row.collapsed) for row in done),
        values={name: mean_of(some) for name, some in values.items() if some},
    )


def mean_of(values: Sequence[float]) -> Mean:
    """Of values of seeds, with 95 % t limits."""
    y = np.array(values, dtype=np.float64)
    lower, upper = t_interval(y, 1 - ALPHA) if len(y) > 1 else (None, None)
    return Mean(len(y), float(y.mean()), lower, upper)


def floors_of(plan: Plan, rows: Sequence[Row], *, replicates: int) -> tuple[Floors, ...]:
    """Of every condition of the cleanest data with counts of two seeds or more."""
    done = [row for row in rows if row.status == "done" and row.counts is not None]
    found = []
    for condition in at_first_purity(plan):
        if sum(row.condition == condition for row in done) < 2:
            continue
        tables = tables_of(done, condition)
        if tables.shape[1] < 2 or not (tables.sum(axis=-1) > 0).all():
            continue
        at = crossed(tables, replicates=replicates)
        found.append(Floors(condition, at.value, at.over_seeds, at.over_rows, at.over_both))
    return tuple(found)
