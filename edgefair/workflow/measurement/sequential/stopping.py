"""The verdict at a look, and whether a sequential measurement may stop there."""

from __future__ import annotations

from edgefair.config import Config
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.stopping import may_stop
from edgefair.decision.verdict import Verdict
from edgefair.targets import LoadedModel
from edgefair.targets.sections import Budgets
from edgefair.workflow.clock import today
from edgefair.workflow.measurement.measure import ALL_AT_ONCE, evidence_of
from edgefair.workflow.measurement.records.rows import RecordedRows
from edgefair.workflow.measurement.sequential.looks import Look, LookPlan, first_rows
from edgefair.workflow.measurement.steps import Decisions, Steps


def decided_at(
    look: Look | None,
    config: Config,
    evidence: Evidence,
    budget: Budgets,
    targets: int,
    *,
    level: float | None = None,
) -> Verdict:
    """The verdict on one of several targets, by what the look may err by.

    Args:
        level: what the verdict may err by where there is one look; default: all of alpha.
    """
    passing, failing = (level, None) if look is None else (look.level.passing, look.level.failing)
    return decide(
        evidence, config.policy, budget=budget, today=today(), targets=targets, level=passing, fail_level=failing
    )


def steps_of(
    plan: LookPlan | None, config: Config, rows: RecordedRows, budget: Budgets, targets: int, *, own_reference: bool
) -> Steps:
    """The steps of a target, which ends where the verdict on its decisions is shown.

    Each target ends on its own: a release passes falsely only if the target that breaks a requirement does.

    Args:
        rows: all of them, in the order of the plan.
        own_reference: whether the model is its own reference.
    """
    if plan is None:
        return ALL_AT_ONCE

    def enough(candidate: LoadedModel, decisions: Decisions) -> bool:
        count = len(decisions.candidate)
        evidence = evidence_of(
            config.policy,
            first_rows(rows, count),
            rows.classes,
            decisions,
            size_bytes=candidate.bytes,
            own_reference=own_reference,
        )
        return may_stop(decided_at(plan.at(count), config, evidence, budget, targets))

    return Steps(tuple(look.rows for look in plan.looks), enough)
