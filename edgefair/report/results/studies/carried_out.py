"""Studies that ship, one looked at before it is run, and one that was run: what the commands say, in any form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

RUN_SCHEMA = "edgefair.study-run/1"
FORESEEN_SCHEMA = "edgefair.study-foreseen/1"
STUDIES_SCHEMA = "edgefair.studies/1"
VIEW = "edgefair.report.study.lines"


@dataclass(frozen=True)
class Studies:
    """Plans by name -> what each is for."""

    schema: ClassVar[str] = STUDIES_SCHEMA
    view: ClassVar[str] = VIEW

    studies: dict[str, str]

    @property
    def lines(self) -> Iterator[str]:
        """For people."""
        yield from (f"{name}: {about}" for name, about in self.studies.items())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"schema": STUDIES_SCHEMA, "studies": self.studies}


@dataclass(frozen=True)
class StudyRun:
    """What a run did.

    Attributes:
        folder: of the study, with its table.
        cells: of the plan; `reused` of them were there already.
        failed: condition and seed of every cell that has no numbers -> why.
        notes: what a reader must know.
    """

    schema: ClassVar[str] = RUN_SCHEMA
    view: ClassVar[str] = VIEW

    study: str
    folder: str
    plan: str
    cells: int
    reused: int
    failed: dict[str, str]
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.study}: {self.cells:,} cells, {self.cells - self.reused:,} of them in {in_words(self.seconds)}"
        yield from (f"{len(cells):,} failed: {why}" for why, cells in _by_reason(self.failed).items())
        yield from self.notes
        yield f"table: {self.folder}/table.parquet, {self.folder}/table.csv"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"schema": RUN_SCHEMA, **asdict(self), "notes": list(self.notes)}


@dataclass(frozen=True)
class Foreseen:
    """A plan, counted.

    Attributes:
        done: cells whose row is there.
        impossible: combinations of levels that cannot be.
        trainings: of every kind, and how many sharing saves.
        contrasts: family -> number of them.
        seconds: that the rest takes in one worker; None where nobody knows.
        measured: whether that is by cells that are there, and not by what the plan says.
        visible: sd of a paired difference -> the effect that one contrast alone shows in 80 % of studies.
        claim_seeds: fewest seeds of a claim.
    """

    schema: ClassVar[str] = FORESEEN_SCHEMA
    view: ClassVar[str] = VIEW

    study: str
    plan: str
    seeds: int
    cells: int
    done: int
    impossible: int
    trainings: dict[str, int]
    contrasts: dict[str, int]
    seconds: float | None
    measured: bool
    visible: dict[float, float]
    claim_seeds: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        shown = {f"{spread:g}": effect for spread, effect in self.visible.items()}
        return {"schema": FORESEEN_SCHEMA, **asdict(self), "visible": shown}

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
            by = "by the cells that are there" if self.measured else "by what its cells took on another machine"
            yield f"time: about {in_words(self.seconds)} in one worker, {by}"
        yield "smallest effect that one contrast alone shows in 80 % of studies, by the sd of its paired differences:"
        yield "  " + ", ".join(
            f"sd {100 * spread:g}: {100 * effect:.1f} points" for spread, effect in self.visible.items()
        )
        if self.seeds < self.claim_seeds:
            yield f"{self.seeds} seeds allow no claim; {self.claim_seeds} do"


def _by_reason(failed: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for cell, why in failed.items():
        found.setdefault(why, []).append(cell)
    return found


def in_words(seconds: float) -> str:
    """A time to wait, in the unit that a person would use."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
