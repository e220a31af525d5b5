"""Shares of variance of the largest balanced design that a plan holds."""

from __future__ import annotations

from collections.abc import Sequence

from edgefair.errors import DataError
from edgefair.report.results.study import Share, Shares
from edgefair.study.cells import Cell
from edgefair.study.levels import FACTORS, PURITY
from edgefair.study.plan import Plan
from edgefair.study.table import RESPONSES, Row
from edgefair.study.variance import Effect, cube, shares


def shares_of(plan: Plan, rows: Sequence[Row], response: str, *, replicates: int) -> Shares:
    """The shares of one response, or why there are none."""
    done = [row for row in rows if row.status == "done" and getattr(row, response) is not None]
    has = {(row.condition, row.seed) for row in done}
    collapsed = {row.extent for row in done if RESPONSES[response].of_gap and row.collapsed}
    whole_design, out = _largest_part(plan)
    cells = [cell for cell in whole_design if str(cell.extent) not in collapsed]
    out += [f"extent {name}, where models collapsed" for name in sorted(filter(None, collapsed))]
    if any(cell.treatment.of_finetune for cell in cells):
        cells, why = _larger(cells)
        out += why
    seeds = [
        seed
        for seed in plan.blocks
        if all((cell.condition, seed) in has for cell in cells if cell.seed == plan.blocks[0])
    ]
    gone = [str(seed) for seed in plan.blocks if seed not in seeds]
    out += [f"seeds that lack cells ({', '.join(gone)})"] if gone else []
    factors = [name for name in FACTORS if len({str(getattr(cell, name)) for cell in cells}) > 1]
    if len(seeds) < 2 or not factors:
        return Shares(response, len(seeds), tuple(out), (), "fewer than two seeds have all cells of a balanced design")
    kept = {cell.condition for cell in cells}
    whole = [name for name in factors if name in PURITY]
    try:
        y, _ = cube([row for row in done if row.condition in kept and row.seed in seeds], response, factors)
        found = shares(y, factors, whole=whole, replicates=replicates)
    except DataError as error:
        return Shares(response, len(seeds), tuple(out), (), error.found)
    return Shares(response, len(seeds), tuple(out), _lines(found))


def _largest_part(plan: Plan) -> tuple[list[Cell], list[str]]:
    """All cells, or those of the part of the plan that has most of them."""
    parts = [[cell for cell in plan.cells if part.has(cell)] for part in plan.parts]
    cells = max(parts, key=len, default=[*plan.cells])
    gone = len({cell.condition for cell in plan.cells}) - len({cell.condition for cell in cells})
    return cells, [f"{gone:,} conditions of other parts of the plan"] if gone else []


def _larger(cells: Sequence[Cell]) -> tuple[list[Cell], list[str]]:
    """Without the treatments that need a fine-tune, or without the extents that have none: what leaves more cells."""
    untuned = [cell for cell in cells if not cell.treatment.of_finetune]
    tuned = [cell for cell in cells if cell.extent.training == "finetune"]
    if len(untuned) >= len(tuned):
        gone = {str(cell.treatment) for cell in cells} - {str(cell.treatment) for cell in untuned}
        return untuned, [f"treatment {name}, which some extents cannot have" for name in sorted(gone)]
    gone = {str(cell.extent) for cell in cells} - {str(cell.extent) for cell in tuned}
    return tuned, [f"extent {name}, which has no fine-tune" for name in sorted(gone)]


def _lines(effects: Sequence[Effect]) -> tuple[Share, ...]:
    """With the share that an effect of nothing has: df MS_error / (df MS_error + SS of seeds and all errors)."""
    known = [(item, item.generalized) for item in effects if item.generalized is not None]
    measured = next((item.ss * (1 / share - 1) for item, share in known if share > 0), 0.0)
    return tuple(
        Share(item.factors, share, item.interval, nothing / (nothing + measured) if measured > 0 else 0.0)
        for item, share in known
        for nothing in [item.df * item.error_ss / item.error_df]
    )
