"""A study's plan: factors, levels, seeds, responses and contrasts, all fixed before the run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from edgefair.debias import METHODS, POST_METHODS
from edgefair.errors import UsageError, did_you_mean
from edgefair.study.cells import Cell, Trainings
from edgefair.study.contrasts import CLAIM_SEEDS
from edgefair.study.levels import (
    FACTORS,
    READ,
    Extent,
    Purity,
    Treatment,
    read_extent,
    read_purity,
    read_treatment,
)
from edgefair.study.published import Published
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


class Part(BaseModel):
    """Combinations of levels: of a factor that is named a level or some of them, of every other one all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    noise: tuple[str, ...] | None = None
    keep: tuple[str, ...] | None = None
    thin: tuple[str, ...] | None = None
    extent: tuple[str, ...] | None = None
    treatment: tuple[str, ...] | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _read(cls, given: Any, info: ValidationInfo) -> tuple[str, ...]:
        if given == [] or given is None:
            raise UsageError(
                f"parts: {info.field_name} is {given!r}", expected="a level of the factor, or some of them"
            )
        return tuple(str(READ[str(info.field_name)](item)) for item in (given if isinstance(given, list) else [given]))

    @property
    def named(self) -> dict[str, tuple[str, ...]]:
        """Factor -> its levels, of the factors that are named."""
        return {name: levels for name in FACTORS if (levels := getattr(self, name)) is not None}

    def has(self, cell: Cell) -> bool:
        """Whether a cell is of this part."""
        return all(str(getattr(cell, name)) in levels for name, levels in self.named.items())


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
    parts: tuple[Part, ...] = Field(
        (), description="Which combinations of levels are run: those of any part. Without parts all are."
    )
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
    cell_seconds: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="What a cell took where this was tried, with its share of the "
        "trainings: how long a study takes before a cell of it is there. No part of what is fixed.",
    )
    published: Published | None = Field(
        None, description="Means of a paper, which the report sets beside those of the study. No part of what is fixed."
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
        self._parts_fit()
        return self

    def _treatments_fit(self) -> None:
        treatments = self.factors.treatment
        if self.after_rows is None and any("after" in item.parts for item in treatments):
            raise UsageError(
                "treatment 'after' has no validation rows to be fitted on",
                fix="set after_rows, as many as the treatments that it is compared with may use",
            )
        if all(item.training != "finetune" for item in self.factors.extent):
            during = next((str(item) for item in treatments if item.of_finetune), None)
            if during is not None:
                raise UsageError(
                    f"treatment '{during}': no extent of this plan has a fine-tune to treat",
                    fix="add an extent that has one, as finetune-only or 'prune 0.8'",
                )

    def _parts_fit(self) -> None:
        """Refuse parts of other levels, and levels of no part."""
        own = {name: [str(item) for item in getattr(self.factors, name)] for name in FACTORS}
        for part in self.parts:
            for name, levels in part.named.items():
                other = next((level for level in levels if level not in own[name]), None)
                if other is not None:
                    raise UsageError(
                        f"parts: {name} '{other}' is no level of the plan{did_you_mean(other, own[name])}",
                        expected=f"one of {', '.join(own[name])}",
                    )
        for name, levels_of in own.items():
            run = {str(getattr(cell, name)) for cell in self.cells}
            unused = next((level for level in levels_of if level not in run), None)
            if unused is not None:
                raise UsageError(
                    f"{name} '{unused}' is in no cell of the plan",
                    fix="leave it out, or add one of `parts` that has it",
                )

    @property
    def blocks(self) -> tuple[int, ...]:
        """The seeds: the outermost block, so that any prefix of a run is complete."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, seeds outermost; without those that cannot be: `during` where there is no fine-tune.

        Of treatments that make one and the same file, as `before` and `label-balance + before` of the dense network,
        the first stands for all: the others would be its contrasts again, and cost the family that it is in.
        """
        first: dict[tuple[Any, ...], Cell] = {}
        for cell in self._product():
            if cell.can_be:
                first.setdefault(cell.made, cell)
        return tuple(first.values())

    @property
    def left_out(self) -> tuple[Cell, ...]:
        """Combinations of levels that cannot be: a treatment during a fine-tune that the extent does not have."""
        return tuple(cell for cell in self._product() if not cell.can_be)

    def _product(self) -> Iterator[Cell]:
        own = self.factors
        levels = (own.noise, own.keep, own.thin, own.extent, own.treatment)
        for seed, (noise, keep, thin, extent, treatment) in itertools.product(
            self.blocks, [*itertools.product(*levels)]
        ):
            cell = Cell(noise, keep, thin, extent, treatment, seed)
            if not self.parts or any(part.has(cell) for part in self.parts):
                yield cell

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
