"""What would be let through by no later step, found before anything is read, trained or compressed."""

from __future__ import annotations

import numpy as np

from edgefair.config import Config
from edgefair.decision.cells import declared_table
from edgefair.decision.decide import check_waivers
from edgefair.measure.counts import GroupCounts
from edgefair.workflow.clock import today
from edgefair.workflow.compression.post import check_post
from edgefair.workflow.compression.recipes import check_recipes
from edgefair.workflow.compression.run_steps import check_shrink
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.fleet import load_fleet


def check_plan(config: Config, model: str | None, run: str | None) -> None:
    """Refuse what cannot work, whatever the rows are.

    Args:
        model: an existing model that shall be exported.
        run: the training run that shall be, instead.

    Raises:
        UsageError: an unknown method, recipe or target; steps that contradict.
        PolicyError: a waiver that has run out.
    """
    check_waivers(config.policy, today())
    check_post(config.debias.post)
    check_recipes(config)
    load_fleet(config.targets)
    if config.compress.trains:
        check_shrink(config, model, run)


def preflight(job: Job) -> None:
    """Refuse rows that cannot serve the plan. Calibration says itself what it lacks.

    Raises:
        PolicyError: groups that the policy does not declare.
        DataError: a split is empty that a step needs.
    """
    config, data = job.config, job.data
    for rows in (data.audit, data.validation):
        attributes = {name: rows.sensitive[name] for name in config.policy.base_attributes}
        # Groups alone are looked at, whatever the labels, which rows of a label design may lack.
        first = np.zeros(len(rows), dtype=np.int64)
        counts = GroupCounts.from_rows(attributes, label=first, decision=first, classes=data.classes)
        for name in config.policy.attributes:
            declared_table(counts, config.policy, name)
    if config.compress.trains:
        data.rows_for("a compression that trains", "train")
        data.rows_for("a compression that trains", "validation")
    if config.debias.post:
        data.rows_for("debias.post", "validation")
