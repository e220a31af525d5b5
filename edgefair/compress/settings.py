"""The `compress:` section of edgefair.yaml."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edgefair.compress.search import Move

Share = Annotated[float, Field(gt=0, lt=1)]
Int8 = Literal["auto", "static", "dynamic"]
PRUNED = "pruned"


class DistillConfig(BaseModel):
    """Training with a teacher: of a student network, or of what pruning and low rank left."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    teacher: str = Field(description="Training run whose model teaches.")
    student: str | float = Field(
        PRUNED,
        description="pruned: what pruning or low rank left of the run; a number: the run's network at this width; "
        "else a network by name.",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments of the student's factory.")
    method: Literal["kd", "mfd"] = Field(
        "kd", description="kd: soft labels at a temperature. mfd: also features, alike for every group of a label."
    )
    temperature: float = Field(4.0, gt=0, description="Softens both sides' probabilities.")
    weight: float = Field(0.5, gt=0, le=1, description="Share of the soft labels in the loss.")
    mfd_weight: float = Field(5.0, gt=0, description="Weight of the difference between features (mfd).")


class RepairConfig(BaseModel):
    """What may be done where a gate fails on validation rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="Search for a compression that keeps every gate.")
    moves: tuple[Move, ...] = Field(
        ("seven-bit", "bias", "calibration", "float", "prune"),
        description="Allowed moves. last-layer and threshold change the model rather than its arithmetic: allow them "
        "by name.",
    )
    calibrations: tuple[str, ...] = Field(
        ("int8-entropy", "int8-percentile", "int8-worst"), description="Recipes to try instead of `calibration`."
    )
    max_trials: int = Field(40, ge=1, description="Models that are made and judged at most.")


class CompressConfig(BaseModel):
    """How the model is compressed. The steps follow each other in the order of these keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    distill: DistillConfig | None = Field(None, description="A teacher for a student, or for the fine-tunes below.")
    prune: Share | None = Field(None, description="Share (of `measure`) that structured pruning removes.")
    scope: Literal["local", "global"] = Field(
        "local", description="local: the same share of every layer's channels; global: the weakest of all layers."
    )
    importance: Literal["magnitude", "taylor", "fairgrape", "fairprune", "adversarial"] = Field(
        "magnitude", description="Which channels matter: by themselves, or by what they are worth to each group."
    )
    measure: Literal["macs", "parameters", "latency"] = Field(
        "macs", description="What `prune` is a share of: multiply-accumulate operations, parameters, measured time."
    )
    rounds: int = Field(1, ge=1, description="Prune in so many steps, each with a fine-tune.")
    low_rank: Share | Literal["energy", "worst-group"] | None = Field(
        None,
        description="Split layers into two thinner ones: a share of the full rank, or as far as energy or the worst "
        "group's loss allows.",
    )
    cluster: int | None = Field(None, ge=2, le=4096, description="Values that the weights of a layer may have.")
    qat: bool = Field(False, description="Fine-tune with quantization simulated (needs int8 static).")
    int8: Int8 | None = Field(
        None, description="static (calibrated), dynamic, or auto: dynamic for texts and static for everything else."
    )
    fp16: bool = Field(False, description="Half precision instead of INT8.")
    calibration: str = Field("int8-balanced", description="A recipe of calibration/ by name, or the path of one.")
    repair: RepairConfig = Field(default_factory=RepairConfig, description="Where a gate fails on validation rows.")

    @property
    def trains(self) -> bool:
        """Whether a step needs the torch network."""
        return bool(self.distill or self.prune or self.low_rank or self.cluster or self.qat)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.fp16 and (self.int8 is not None or self.qat):
            raise ValueError("fp16 and INT8 are both asked for: a weight has one type; keep one of them")
        if self.qat and self.int8 in {None, "dynamic"}:
            raise ValueError("qat trains for static INT8, which is not asked for: add int8: static (--int8 static)")
        if self.rounds > 1 and self.prune is None:
            raise ValueError("rounds are steps of pruning, and `prune` is not given")
        if self.distill is not None and self.distill.student == PRUNED and not (self.prune or self.low_rank):
            raise ValueError(
                "distill has nothing to teach: name a student (--student), or prune the network (--prune, --low-rank)"
            )
        if self.cluster is not None and self.qat:
            raise ValueError("cluster and qat contradict each other: training would take the clusters apart again")
        return self
