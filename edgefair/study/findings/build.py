"""The report of a study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgefair.errors import UsageError
from edgefair.report.results.study import Claim, FailedCell, Finding, StudyReport, StudyResponse, Visible
from edgefair.study.contrasts import CLAIM_SEEDS, Estimate, estimates
from edgefair.study.findings.balance import shares_of
from edgefair.study.findings.folder import check_rows
from edgefair.study.findings.levels import factors_of, floors_of, levels_of, responses_of
from edgefair.study.findings.people import flips_of, levelling_of
from edgefair.study.findings.published import published_of
from edgefair.study.levels import CONTROL, FACTORS
from edgefair.study.plan import Plan
from edgefair.study.planned import planned_contrasts
from edgefair.study.power import ALPHA, EFFECT, seeds_needed, smallest_effect
from edgefair.study.reading import plan_digest
from edgefair.study.sentences import sentence
from edgefair.study.table import RESPONSES, Row, values_of

# Of each bootstrap over seeds and rows; of that over seeds alone, whose limits are of shares, a quarter.
REPLICATES = 1_000
# Columns of the table that say what was measured on what.
SETTING = {
    "data": "data", "rows": "training rows", "network": "network", "target": "target", "processor": "processor",
    "runtime": "runtime", "threads": "threads", "refit_rows": "refitted on", "versions": "versions",
}  # fmt: skip
# Seeds that power is drawn for, at least.
MOST_DRAWN = 32


def study_report(plan: Plan, rows: Sequence[Row], *, replicates: int = REPLICATES) -> StudyReport:
    """What the table says of what the plan asks.

    Args:
        rows: of this plan, as many as there are.
        replicates: of the bootstrap.

    Raises:
        DataError: rows of another plan, counts that are none.
    """
    rows = tuple(sorted(rows, key=lambda row: (row.seed, row.cell)))
    check_rows(plan, rows)
    done = [row for row in rows if row.status == "done"]
    not_run = len(plan.cells) - len(rows)
    responses = responses_of(plan, done)
    found = estimates(planned_contrasts(plan), [values_of(rows, name) for name in plan.responses], plan.blocks)
    extents = [str(item) for item in plan.factors.extent]
    return StudyReport(
        study=plan.study,
        plan=plan_digest(plan),
        seeds=plan.blocks,
        alpha=ALPHA,
        delta=EFFECT,
        claim_seeds=CLAIM_SEEDS,
        cells=len(plan.cells),
        done=len(done),
        failed=len(rows) - len(done),
        not_run=not_run,
        collapsed=sum(bool(row.collapsed) for row in done),
        factors={name: tuple(map(str, getattr(plan.factors, name))) for name in FACTORS},
        control=CONTROL if CONTROL in extents else None,
        setting=_setting(plan, done),
        responses=responses,
        levels=levels_of(plan, rows, responses),
        findings=_findings(plan, found, complete=not not_run),
        shares=tuple(shares_of(plan, rows, name, replicates=replicates // 4) for name in plan.responses),
        floors=floors_of(plan, rows, replicates=replicates),
        visible=_visible(plan, found),
        flips=flips_of(plan, done),
        levelling=levelling_of(plan, done),
        failures=tuple(FailedCell(row.cell, row.error or "") for row in rows if row.status == "failed"),
        notes=tuple(_notes(plan, done, responses)),
        published=tuple(published_of(plan, rows)),
        published_by="" if plan.published is None else plan.published.source,
    )


def _findings(plan: Plan, found: Sequence[Estimate], *, complete: bool) -> tuple[Finding, ...]:
    factors = factors_of(plan)
    return tuple(
        Finding(
            name=item.contrast.name,
            family=item.contrast.family,
            response=item.response,
            planned=item.contrast.planned,
            at=factors[item.contrast.terms[0][0]],
            varies=tuple(name for name in FACTORS
                         if len({factors[condition][name] for condition, _ in item.contrast.terms}) > 1),
            claim=_claim(item) if complete else "no claim",
            sentence=sentence(item, complete=complete),
            by_seed=tuple(sorted(item.differences.by_seed.items())),
            collapsed=item.differences.collapsed,
            missing=item.differences.missing,
            mean=item.mean,
            lower=item.lower,
            upper=item.upper,
            p=item.p,
            p_holm=item.p_holm,
            p_signflip=item.p_signflip,
            bound=item.bound,
            visible=item.visible,
        )
        for item in found
    )  # fmt: skip


def _claim(item: Estimate) -> Claim:
    small = RESPONSES[item.response].is_share and item.no_larger_than()
    if item.found:
        return "small effect" if small else "effect"
    return "no effect above delta" if small else "no claim"


def _visible(plan: Plan, found: Sequence[Estimate]) -> tuple[Visible, ...]:
    """Of shares of 1: other units have no effect that is asked about. Not of slopes, which are per step of a factor."""
    drawn = range(2, max(MOST_DRAWN, 2 * len(plan.blocks)) + 1)
    lines = []
    for name in plan.responses:
        sds = [item.sd for item in found if item.response == name and item.sd and item.contrast.family != "slope"]
        if not sds or not RESPONSES[name].is_share:
            continue
        for of, sd in {"median": float(np.median(sds)), "largest": max(sds)}.items():
            effects = tuple((seeds, smallest_effect(seeds, sd=sd)) for seeds in drawn)
            lines.append(Visible(name, of, sd, effects, _needed(sd)))
    return tuple(lines)


def _needed(sd: float) -> int | None:
    try:
        return seeds_needed(sd)
    except UsageError:
        return None


def _setting(plan: Plan, done: Sequence[Row]) -> dict[str, str]:
    found = {"config": plan.config}
    for column, name in SETTING.items():
        values = list(dict.fromkeys(_plain(value) for row in done if (value := getattr(row, column)) is not None))
        if values:
            found[name] = values[0] if len(values) == 1 else f"{len(values)} of them: {', '.join(values[:3])}, ..."
    found |= {f"treatment {stage}": getattr(plan.methods, stage) for stage in ("before", "during", "after")
              if any(stage in item.parts for item in plan.factors.treatment)}  # fmt: skip
    return found


def _plain(value: Any) -> str:
    """The value of a column as words; of JSON its keys and values."""
    try:
        content = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        content = None
    return ", ".join(f"{key} {item}" for key, item in content.items()) if isinstance(content, dict) else str(value)


def _notes(plan: Plan, done: Sequence[Row], responses: Sequence[StudyResponse]) -> list[str]:
    notes = []
    if plan.left_out:
        names = dict.fromkeys(f"extent {cell.extent} with treatment {cell.treatment}" for cell in plan.left_out)
        notes.append(f"cannot be, and was not planned: {', '.join(names)}")
    if any(item.name == "refitted_gap" for item in responses):
        notes.append("the gap at the refitted operating point changes with the rows that refit it")
    if len({row.versions for row in done}) > 1:
        notes.append("cells were measured by several versions: `versions` in the table says which")
    return notes
