"""What a study will take and what it can show, before anything of it is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgefair.progress import Progress, silent
from edgefair.resources import shipped_names
from edgefair.study.contrasts import CLAIM_SEEDS
from edgefair.study.planned import planned_contrasts
from edgefair.study.power import smallest_effect
from edgefair.study.reading import plan_digest
from edgefair.study.run.given import PLANS, Given, open_plan
from edgefair.study.run.prepared import check_study, rows_digest, rows_of
from edgefair.study.run.store import Store
from edgefair.study.run.study import in_words, setup_of

# Standard deviations of a paired difference between seeds: those of pruned networks lie between these.
SPREADS = (0.005, 0.01, 0.02, 0.05)


@dataclass(frozen=True)
class Foreseen:
    """A plan, counted.

    Attributes:
        done: cells whose row is there.
        impossible: combinations of levels that cannot be.
        trainings: of every kind, and how many sharing saves.
        contrasts: family -> number of them.
        seconds: that the rest takes in one worker, by the rows that are there; None without any.
        visible: sd of a paired difference -> the effect that one contrast alone shows in 80 % of studies.
    """

    study: str
    plan: str
    seeds: int
    cells: int
    done: int
    impossible: int
    trainings: dict[str, int]
    contrasts: dict[str, int]
    seconds: float | None
    visible: dict[float, float]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        shown = {f"{spread:g}": effect for spread, effect in self.visible.items()}
        return {"schema": "edgefair.study-foreseen/1", **asdict(self), "visible": shown}

    @property
    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.study}: {self.cells:,} cells, {self.seeds} seeds (plan {self.plan[:16]})"
        if self.impossible:
            yield f"{self.impossible:,} combinations cannot be: a treatment during a fine-tune that there is not"
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in self.trainings.items() if kind != "saved")
        yield f"trainings: {kinds}; sharing saves {self.trainings['saved']:,}"
        yield "contrasts: " + ", ".join(f"{number:,} {family}" for family, number in self.contrasts.items())
        if self.done:
            yield f"{self.done:,} cells are there already"
        if self.seconds is None:
            yield "time: not known before a first cell has been run"
        else:
            yield f"time: about {in_words(self.seconds)} in one worker, by the cells that are there"
        yield "smallest effect that one contrast alone shows in 80 % of studies, by the sd of its paired differences:"
        yield "  " + ", ".join(
            f"sd {100 * spread:g}: {100 * effect:.1f} points" for spread, effect in self.visible.items()
        )
        if self.seeds < CLAIM_SEEDS:
            yield f"{self.seeds} seeds allow no claim; {CLAIM_SEEDS} do"


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
        seconds=sum(times) / len(times) * (len(plan.cells) - len(there)) if times else None,
        visible={spread: smallest_effect(len(plan.blocks), sd=spread) for spread in SPREADS},
    )


def shipped_studies() -> dict[str, str]:
    """The plans that ship: name -> what each is for."""
    return {name: open_plan(name).plan.about for name in shipped_names(PLANS)}
