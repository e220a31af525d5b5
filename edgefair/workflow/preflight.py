"""What would be let through by no later step, found before anything is read, trained or compressed."""

from __future__ import annotations

from edgefair.config import Config
from edgefair.decision.decide import check_classes, check_waivers
from edgefair.workflow.clock import today
from edgefair.workflow.compression.post import check_post
from edgefair.workflow.compression.recipes import check_recipes
from edgefair.workflow.compression.run_steps import check_shrink
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.fleet import load_fleet
from edgefair.workflow.measurement.groups import check_groups
from edgefair.workflow.measurement.ledger import check_never_open
from edgefair.workflow.measurement.sequential.looks import check_sequential
from edgefair.workflow.sealing.rows import RowSet
from edgefair.workflow.sealing.seal import check_judgeable, check_not_sealed


def check_plan(
    config: Config, model: str | None, run: str | None, *, sequential: bool = False, audited: bool = False
) -> None:
    """Refuse what cannot work, whatever the rows are.

    Args:
        model: an existing model that shall be exported.
        run: the training run that shall be, instead.
        sequential: whether the verdict shall be taken in steps.
        audited: whether an audit of the reference shall be joined.

    Raises:
        UsageError: an unknown method, recipe or target; steps that contradict; no limits over several looks.
        PolicyError: a waiver that has run out.
    """
    check_waivers(config.policy, today())
    check_post(config.debias.post)
    check_recipes(config)
    load_fleet(config.targets)
    if sequential:
        check_sequential(config, audited=audited)
    if config.compress.trains:
        check_shrink(config, model, run)


def preflight(job: Job) -> None:
    """Refuse rows that cannot serve the plan. Calibration says itself what it lacks.

    Raises:
        PolicyError: groups that the policy does not declare, or what the data's classes do not have.
        DataError: a split is empty that a step needs.
        UsageError: the audit rows are sealed and may not be shown, or their seal was opened.
    """
    config, data = job.config, job.data
    check_not_sealed(config, data)
    row_set = RowSet.of(data.audit)
    check_judgeable(config, row_set, command="export")
    if config.policy.audit == "sealed":
        check_never_open(config.base, row_set)
    check_classes(config.policy, data.classes)
    for rows in (data.audit, data.validation):
        check_groups(config.policy, rows, data.classes)
    if config.compress.trains:
        data.rows_for("a compression that trains", "train")
        data.rows_for("a compression that trains", "validation")
    if config.debias.post:
        data.rows_for("debias.post", "validation")
