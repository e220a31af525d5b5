"""The `compress:` section of edgefair.yaml."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edgefair.compress.search.search import Move

Share = Annotated[float, Field(gt=0, lt=1)]
Int8 = Literal["auto", "static", "dynamic"]
PRUNED = "pruned"
# The importance that leaves random weights as they are.
FROZEN = "adversarial-frozen"


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
    temperature: float = Field(4.0, gt=0, allow_inf_nan=False, description="Softens both sides' probabilities.")
    weight: float = Field(0.5, gt=0, le=1, description="Share of the soft labels in the loss.")
    mfd_weight: float = Field(
        5.0, gt=0, allow_inf_nan=False, description="Weight of the difference between features (mfd)."
    )

    @model_validator(mode="before")
    @classmethod
    def _has_a_teacher(cls, data: Any) -> Any:
        if isinstance(data, dict) and "teacher" not in data:
            raise ValueError(
                "nobody teaches: name a finished training run (--distill RUN, or compress.distill.teacher), as in "
                "--distill big --student 0.5"
            )
        return data

    @field_validator("student")
    @classmethod
    def _width_is_a_share(cls, value: str | float) -> str | float:
        if not isinstance(value, str) and not 0 < value <= 1:
            raise ValueError("a student's width is a share of the run's, above 0 and at most 1")
        return value


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
        "local",
        description="Of `prune` and `sparsity`. local: the same share of every layer; global: the weakest of all "
        "layers.",
    )
    importance: Literal[
        "magnitude", "taylor", "fairgrape", "fairprune", "adversarial", "adversarial-frozen", "random"
    ] = Field(
        "magnitude",
        description="Which channels matter: by themselves (magnitude, taylor), or by what they are worth to each group "
        "(fairgrape, fairprune, adversarial). adversarial-frozen looks for a fair sub-network in the network with "
        "random weights, which are never trained; random draws lots. Both are for studies.",
    )
    beta: float = Field(
        0.5,
        gt=0,
        allow_inf_nan=False,
        description="Of importance fairprune: what the other groups' loss counts against the worst one's.",
    )
    round_to: int = Field(
        16,
        ge=1,
        le=512,
        description="Wide layers keep a multiple of so many channels, because latency is a staircase; 1 keeps any "
        "number.",
    )
    measure: Literal["macs", "parameters", "latency"] = Field(
        "macs", description="What `prune` is a share of: multiply-accumulate operations, parameters, measured time."
    )
    rounds: int = Field(
        1,
        ge=1,
        le=20,
        description="Prune in so many steps, each with a fine-tune. Every one removes at least a channel.",
    )
    low_rank: Share | Literal["energy", "worst-group"] | None = Field(
        None,
        description="Split layers into two thinner ones: a share of the full rank, or as far as energy or the worst "
        "group's loss allows.",
    )
    energy: float = Field(
        0.95, gt=0, le=1, description="Of low_rank energy: share of the squared weights that every layer keeps."
    )
    tolerance: float = Field(
        0.02,
        gt=0,
        allow_inf_nan=False,
        description="Of low_rank worst-group: by how much any group's mean loss may grow, in nats.",
    )
    sparsity: Share | None = Field(
        None,
        description="Share of single weights that become 0: a baseline for studies, no fewer operations, no speed and "
        "no smaller file.",
    )
    cluster: int | None = Field(None, ge=2, le=4096, description="Values that the weights of a layer may have.")
    qat: bool = Field(False, description="Fine-tune with quantization simulated (needs int8 static).")
    int8: Int8 | None = Field(
        None,
        description="static (calibrated), dynamic, or auto: dynamic for texts where TensorRT is no target, else "
        "static.",
    )
    fp16: bool = Field(False, description="Half precision instead of INT8.")
    calibration: str = Field(
        "int8-balanced", description="A recipe of calibration/ by name, the path of one, or a file of rows."
    )
    repair: RepairConfig = Field(default_factory=RepairConfig, description="Where a gate fails on validation rows.")

    @field_validator("low_rank", mode="before")
    @classmethod
    def _share_or_word(cls, value: Any) -> Any:
        share = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1
        if value not in (None, "energy", "worst-group") and not share:
            raise ValueError("a share between 0 and 1, energy or worst-group")
        return value

    @property
    def trains(self) -> bool:
        """Whether a step needs the torch network."""
        return bool(self.distill or self.prune or self.low_rank or self.sparsity or self.cluster or self.qat)

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
        if self.sparsity is not None and (self.cluster is not None or self.qat):
            raise ValueError(
                f"sparsity and {'qat' if self.qat else 'cluster'} contradict each other: training would fill the zeros "
                "again"
            )
        self._nothing_is_idle()
        self._frozen_weights_stay()
        return self

    def _nothing_is_idle(self) -> None:
        """Refuse an option of something that is not asked for: it would have no effect."""
        for option, of, asked in (
            ("scope", "prune` or `sparsity", self.prune is not None or self.sparsity is not None),
            ("importance", "prune", self.prune is not None),
            ("round_to", "prune", self.prune is not None),
            ("measure", "prune", self.prune is not None),
            ("beta", "importance: fairprune", self.importance == "fairprune"),
            ("energy", "low_rank: energy", self.low_rank == "energy"),
            ("tolerance", "low_rank: worst-group", self.low_rank == "worst-group"),
        ):
            if not asked and getattr(self, option) != type(self).model_fields[option].default:
                raise ValueError(f"{option} belongs to `{of}`, which is not asked for")

    def _frozen_weights_stay(self) -> None:
        """Refuse to train the weights that a frozen network is about."""
        if self.prune is None or self.importance != FROZEN:
            return
        trained = {
            "distill": self.distill is not None,
            "rounds": self.rounds > 1,
            "low_rank": self.low_rank is not None,
            "sparsity": self.sparsity is not None,
            "cluster": self.cluster is not None,
            "qat": self.qat,
        }
        others = [name for name, asked in trained.items() if asked]
        if others:
            raise ValueError(
                f"importance {FROZEN} leaves random weights as they are, and {others[0]} would train them: "
                "keep one of them, or use importance adversarial"
            )
