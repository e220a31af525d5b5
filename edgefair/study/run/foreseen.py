"""What a study will take and what it can show, before anything of it is run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edgefair.progress import Progress, silent
from edgefair.report.results.studies import Foreseen, Studies
from edgefair.resources import shipped_names
from edgefair.study.contrasts import CLAIM_SEEDS
from edgefair.study.planned import planned_contrasts
from edgefair.study.power import smallest_effect
from edgefair.study.reading import plan_digest
from edgefair.study.run.given import PLANS, Given, open_plan
from edgefair.study.run.prepared import check_study, rows_digest, rows_of
from edgefair.study.run.store import Store
from edgefair.study.run.study import setup_of

# Standard deviations of a paired difference between seeds: those of pruned networks lie between these.
SPREADS = (0.005, 0.01, 0.02, 0.05)


def foresee(given: Given, output: Path, *, progress: Progress = silent) -> Foreseen:
    """Count a plan, check it as a run would, and look what is there of it.

    Raises:
        UsageError, DataError, ModelError, PolicyError: the study cannot be run.
    """
    plan = given.plan
    progress.stage("reading")
    data = rows_of(given)
    check_study(given, data, progress)
    store = Store(output)
    setup = setup_of(given, output, rows_digest(data))
    there = [row for key in setup.rows.values() if (row := store.row(key)) is not None]
    times = [float(row["seconds"]) for row in there if row.get("seconds") is not None]
    each = sum(times) / len(times) if times else plan.cell_seconds
    trainings = plan.trainings
    return Foreseen(
        study=plan.study,
        plan=plan_digest(plan),
        seeds=len(plan.blocks),
        cells=len(plan.cells),
        done=len(there),
        impossible=len(plan.left_out),
        trainings={
            "dense": trainings.dense,
            "anew": trainings.anew,
            "fine-tunes": trainings.finetunes,
            "saved": trainings.saved,
        },
        contrasts=dict(Counter(item.family for item in planned_contrasts(plan))),
        seconds=None if each is None else each * (len(plan.cells) - len(there)),
        measured=bool(times),
        claim_seeds=CLAIM_SEEDS,
        visible={spread: smallest_effect(len(plan.blocks), sd=spread) for spread in SPREADS},
    )


def shipped_studies() -> Studies:
    """The plans that ship."""
    return Studies({name: open_plan(name).plan.about for name in shipped_names(PLANS)})
