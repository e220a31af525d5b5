"""A study's plan: factors, levels, seeds, responses and contrasts, all fixed before the run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from edgefair.debias import METHODS, POST_METHODS
from edgefair.errors import UsageError, did_you_mean
from edgefair.study.contrasts import CLAIM_SEEDS
from edgefair.study.levels import (
    FACTORS,
    LABEL_BALANCE,
    PURITY,
    UNTREATED,
    Extent,
    Purity,
    Treatment,
    read_extent,
    read_purity,
    read_treatment,
)
from edgefair.study.table import RESPONSES

# Keys of `compress:` that are no extent of their own -> the steps that take them; of calibration and int8, all in INT8.
MANNERS: Mapping[str, tuple[str, ...]] = {
    "scope": ("prune", "sparsity"),
    "round_to": ("prune",),
    "measure": ("prune",),
    "rounds": ("prune",),
    "beta": ("prune",),
    "schedule": ("sparsity",),
    "centroids": ("cluster",),
    "calibration": (),
    "int8": (),
}
# Between the factors of a condition.
AND = "; "


@dataclass(frozen=True)
class Cell:
    """One file that is made and measured: a level of every factor of `FACTORS`, and a seed."""

    noise: Purity
    keep: Purity
    thin: Purity
    extent: Extent
    treatment: Treatment
    seed: int

    @property
    def condition(self) -> str:
        """The cell but for its seed, as `noise 0; keep all; thin none; extent int8; treatment before`."""
        return AND.join(f"{name} {getattr(self, name)}" for name in FACTORS)

    @property
    def key(self) -> str:
        """The cell in one line: condition and seed."""
        return f"{self.condition}{AND}seed {self.seed}"

    @property
    def network(self) -> tuple[str, ...]:
        """Equal for cells that share all their training: they differ in precision or in what is done after."""
        tuned = [self._weighed("during")] if self.extent.training == "finetune" else []
        return (*self._data, str(self.extent.network), self._weighed("before"), *tuned)

    @property
    def dense(self) -> tuple[str, ...] | None:
        """Equal for cells that start from one dense training; None for a network that is trained anew."""
        return None if self.extent.training == "anew" else (*self._data, self._weighed("before"))

    def _weighed(self, stage: str) -> str:
        """What weighs the rows of a training: its own method, else the balance of labels, else nothing."""
        return next((name for name in (stage, LABEL_BALANCE) if name in self.treatment.parts), UNTREATED)

    @property
    def _data(self) -> tuple[str, ...]:
        return (*(str(getattr(self, name)) for name in PURITY), str(self.seed))


@dataclass(frozen=True)
class Trainings:
    """How many trainings the cells need.

    Attributes:
        dense: of the whole network from the start.
        anew: of a small network from the start (`scratch`).
        finetunes: behind a compression, with a teacher for `distil`.
        unshared: trainings if every cell made all of its own.
    """

    dense: int
    anew: int
    finetunes: int
    unshared: int

    @property
    def saved(self) -> int:
        """Trainings that sharing spares."""
        return self.unshared - self.dense - self.anew - self.finetunes


def _levels(read: Any) -> BeforeValidator:
    def all_of(given: Any) -> Any:
        if not isinstance(given, list | tuple):
            raise UsageError(f"the levels of a factor are {given!r}", expected="a list, as [none, int8]")
        return tuple(read(item) for item in given)

    return BeforeValidator(all_of)


def _purity(factor: str) -> BeforeValidator:
    return _levels(lambda given: read_purity(factor, given))


class Factors(BaseModel):
    """The levels of each factor; the first is the one that other factors are looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    noise: Annotated[tuple[Purity, ...], _purity("noise")] = (read_purity("noise", 0),)
    keep: Annotated[tuple[Purity, ...], _purity("keep")] = (read_purity("keep", "all"),)
    thin: Annotated[tuple[Purity, ...], _purity("thin")] = (read_purity("thin", "none"),)
    extent: Annotated[tuple[Extent, ...], _levels(read_extent)] = (Extent("none"),)
    treatment: Annotated[tuple[Treatment, ...], _levels(read_treatment)] = (Treatment(),)

    @model_validator(mode="after")
    def _each_varies(self) -> Self:
        for name in FACTORS:
            levels = [str(item) for item in getattr(self, name)]
            if name in self.model_fields_set and len(levels) < 2:
                raise UsageError(
                    f"factor '{name}' has {'one level' if levels else 'no level'}: there is nothing to compare",
                    expected="two levels or more",
                    fix="add a level, or leave the factor out",
                )
            twice = next((item for item in levels if levels.count(item) > 1), None)
            if twice is not None:
                raise UsageError(f"factor '{name}' has the level '{twice}' twice", fix="name it once")
        if not self.model_fields_set:
            raise UsageError("no factor varies", expected=f"at least one of {', '.join(FACTORS)}")
        return self


class Methods(BaseModel):
    """Which method a treatment is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: str = Field("reweigh", description="Of the dense training (debias.train).")
    during: str = Field("reweigh", description="Of the fine-tune behind the compression (debias.finetune).")
    after: str = Field("threshold", description="Of the compressed file (debias.post).")

    @model_validator(mode="after")
    def _known(self) -> Self:
        for stage, known in (("before", METHODS), ("during", METHODS), ("after", POST_METHODS)):
            name = getattr(self, stage)
            if name not in known:
                raise UsageError(
                    f"methods.{stage}: no method '{name}'{did_you_mean(name, known)}",
                    expected=f"one of {', '.join(known)}",
                )
        return self


class ContrastPlan(BaseModel):
    """A contrast of the user's own: one condition minus another; a factor that is not named is at its first level."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    family: str = Field("own", min_length=1, description="Contrasts that are corrected together.")
    of: dict[str, Any]
    minus: dict[str, Any]


class Plan(BaseModel):
    """What is run and what is asked of it. Relative paths are relative to the folder of the plan."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Name of the study.")
    about: str = Field("", description="What it is for, in a sentence.")
    config: str = Field("edgefair.yaml", min_length=1, description="The project that is studied.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Keys of the project that are other in the study, as train.batch_rows."
    )
    factors: Factors
    methods: Methods = Field(default_factory=Methods)
    seeds: Annotated[int, Field(ge=0, le=1000)] | tuple[int, ...] = Field(8, description="A number of seeds, or them.")
    responses: tuple[str, ...] = Field(
        ("gap", "worst_balanced"), min_length=1, description="Planned responses; contrasts are corrected over them."
    )
    contrasts: tuple[ContrastPlan | Literal["defaults"], ...] = Field(
        ("defaults",), min_length=1, description="Planned contrasts; 'defaults' are those against the controls."
    )
    after_rows: int | None = Field(
        None,
        ge=1,
        description="Validation rows that there are, as dirty as the training rows: `after` is fitted on them, and "
        "whatever else is chosen is chosen by the same ones.",
    )
    compress: dict[str, Any] = Field(
        default_factory=dict,
        description="Keys of `compress:` beside an extent's own, for every extent that takes them: scope, "
        "round_to, measure, rounds, beta, schedule, centroids; calibration and int8.",
    )
    updates: int | None = Field(
        None, ge=1, description="Steps of the dense training whatever the number of rows; else epochs of the project."
    )
    latency: bool = Field(False, description="Time every file beside the dense one; one cell at a time.")

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        seeds = self.blocks
        if len(seeds) < 2:
            raise UsageError(
                f"seeds: {len(seeds)} has no spread", expected=f"2 or more ({CLAIM_SEEDS} for a claim; default 8)"
            )
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise UsageError(f"seeds: {list(seeds)}", expected="each once, 0 or more")
        for key in self.compress:
            if key not in MANNERS:
                raise UsageError(
                    f"compress: no '{key}'{did_you_mean(key, MANNERS)}", expected=f"one of {', '.join(MANNERS)}"
                )
        for name in self.responses:
            if name not in RESPONSES:
                raise UsageError(
                    f"responses: no '{name}'{did_you_mean(name, RESPONSES)}", expected=f"one of {', '.join(RESPONSES)}"
                )
        if len(set(self.responses)) < len(self.responses):
            raise UsageError(f"responses: {list(self.responses)}", expected="each once")
        self._treatments_fit()
        return self

    def _treatments_fit(self) -> None:
        treatments = self.factors.treatment
        if self.after_rows is None and any("after" in item.parts for item in treatments):
            raise UsageError(
                "treatment 'after' has no validation rows to be fitted on",
                fix="set after_rows, as many as the treatments that it is compared with may use",
            )
        if all(item.training != "finetune" for item in self.factors.extent):
            during = next((str(item) for item in treatments if "during" in item.parts), None)
            if during is not None:
                raise UsageError(
                    f"treatment '{during}': no extent of this plan has a fine-tune to treat",
                    fix="add an extent that has one, as finetune-only or 'prune 0.8'",
                )

    @property
    def blocks(self) -> tuple[int, ...]:
        """The seeds: the outermost block, so that any prefix of a run is complete."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, seeds outermost; without those that cannot be: `during` where there is no fine-tune."""
        return tuple(cell for cell in self._product() if not _impossible(cell))

    @property
    def left_out(self) -> tuple[Cell, ...]:
        """Combinations of levels that cannot be: a treatment during a fine-tune that the extent does not have."""
        return tuple(cell for cell in self._product() if _impossible(cell))

    def _product(self) -> Iterator[Cell]:
        own = self.factors
        levels = (own.noise, own.keep, own.thin, own.extent, own.treatment)
        for seed, (noise, keep, thin, extent, treatment) in itertools.product(
            self.blocks, [*itertools.product(*levels)]
        ):
            yield Cell(noise, keep, thin, extent, treatment, seed)

    @property
    def trainings(self) -> Trainings:
        """How many trainings the cells need, each shared one counted once."""
        cells = self.cells
        kind: Mapping[str, list[Cell]] = {
            name: [cell for cell in cells if cell.extent.training == name] for name in ("dense", "anew", "finetune")
        }
        return Trainings(
            dense=len({cell.dense for cell in cells} - {None}),
            anew=len({cell.network for cell in kind["anew"]}),
            finetunes=len({cell.network for cell in kind["finetune"]}),
            unshared=len(cells) + len(kind["finetune"]),
        )


def _impossible(cell: Cell) -> bool:
    return "during" in cell.treatment.parts and cell.extent.training != "finetune"
