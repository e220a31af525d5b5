"""The `compress:` section of edgefair.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edgefair.compress.games import AdversaryConfig, TicketConfig
from edgefair.compress.names import CALIBRATED, IMPORTANCE_OPTIONS, IMPORTANCES, INT8, LAST, RANDOM_WEIGHTS
from edgefair.compress.search.search import Move
from edgefair.flag import Flag

Share = Annotated[float, Field(gt=0, lt=1)]
Rank = Share | Literal["energy", "worst-group"]
Scope = Literal["local", "global"]
Schedule = Literal["once", "constant"]
Centroids = Literal["k-means", "linear"]
Measure = Literal["macs", "parameters", "latency"]
PRUNED = "pruned"

if TYPE_CHECKING:
    Importance = str
    Int8 = str
else:
    Importance = Literal[tuple(IMPORTANCES)]
    Int8 = Literal["auto", *INT8]


@dataclass(frozen=True)
class AsksFor:
    """Stands in the type of a key that asks for a torch step: where its class is, in `compress.steps`."""

    home: str


class DistillConfig(BaseModel):
    """Training with a teacher: of a student network, or of what pruning and low rank left."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    teacher: Annotated[str, Flag(name="distill", metavar="TEACHER")] = Field(
        description="Training run that teaches the student, or what `prune` and `low_rank` leave."
    )
    student: Annotated[str | float, Flag(metavar="NETWORK|WIDTH|pruned", shows_default=True)] = Field(
        PRUNED,
        description="What the teacher teaches: a network by name, the run's network at a share of its width, or "
        "pruned: what `prune` and `low_rank` leave of it.",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments of the student's factory.")
    method: Literal["kd", "mfd", "dro"] = Field(
        "kd",
        description="kd: soft labels at a temperature. mfd: also features, matched across the groups of a label. dro: "
        "soft labels, of which those of the (group, label) cell count most in which the student follows worst.",
    )
    temperature: float = Field(4.0, gt=0, allow_inf_nan=False, description="Softens both sides' probabilities.")
    weight: float = Field(0.5, gt=0, le=1, description="Share of the soft labels in the loss.")
    mfd_weight: float = Field(
        5.0, gt=0, allow_inf_nan=False, description="Weight of the difference between features (mfd)."
    )
    dro_eta: float = Field(
        0.05, gt=0, allow_inf_nan=False, description="How fast the weights of the cells follow their losses (dro)."
    )

    @model_validator(mode="before")
    @classmethod
    def _has_a_teacher(cls, data: Any) -> Any:
        if isinstance(data, dict) and "teacher" not in data:
            raise ValueError(
                "no teacher: set a finished training run (--distill RUN, or compress.distill.teacher), as in "
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

    enabled: Annotated[bool, Flag(name="repair", shows_default=True)] = Field(
        True, description="Search for a compression that passes every gate if one fails on validation rows."
    )
    moves: tuple[Move, ...] = Field(
        ("seven-bit", "bias", "calibration", "operating-point", "float", "prune"),
        description="Allowed moves. operating-point moves the threshold to where compression has moved the scores, the "
        "same for all groups. last-layer and threshold change a model that fails before compression too: allow them by "
        "name.",
    )
    calibrations: tuple[str, ...] = Field(
        ("int8-entropy", "int8-percentile", "int8-worst"), description="Recipes to try instead of `calibration`."
    )
    ladder: tuple[str, ...] = Field(
        ("int8-mse", "int8-adaptive"),
        description="Calibration recipes that plain `int8: auto` tries in turn on validation rows while gates are not "
        "kept or more than 1 % of the decisions are changed; none where a recipe is named, or without repair.",
    )
    max_trials: int = Field(40, ge=1, description="Largest number of models to make and judge.")


class CompressConfig(BaseModel):
    """How the model is compressed. The steps follow each other in the order of these keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    distill: DistillConfig | None = Field(None, description="A teacher for a student, or for the fine-tunes below.")
    finetune_only: Annotated[bool, Flag(), AsksFor("unchanged:Unchanged")] = Field(
        False,
        description="Fine-tune and compress nothing: the control of a study, without which no effect is that of a "
        "compression.",
    )
    prune: Annotated[Share | None, Flag(metavar="RATIO"), AsksFor("pruning.step:Prune")] = Field(
        None,
        description="Remove this share of the multiply-accumulate operations (or of another `measure`) as whole "
        "channels, then fine-tune.",
    )
    scope: Annotated[Scope, Flag()] = Field(
        "local",
        description="For `prune` and `sparsity`: the same share of every layer (local), or the weakest of all layers "
        "(global).",
    )
    importance: Annotated[Importance, Flag()] = Field(
        "magnitude",
        description="Which channels matter; fairgrape, fairprune, group-effect and adversarial weigh what they are "
        "worth to each group. adversarial-frozen (a sub-network with random weights, never trained) and random are for "
        "studies.",
    )
    beta: Annotated[float, Flag(shows_default=True)] = Field(
        0.5,
        gt=0,
        allow_inf_nan=False,
        description="For fairprune: weight of the other groups' loss against the worst one's. For group-effect: weight "
        "of what a group loses beyond all.",
    )
    adversary: AdversaryConfig | None = Field(
        None,
        description="For adversarial and adversarial-frozen: the game. Behind adversarial the adversary stays in the "
        "fine-tune, unless debias.finetune says otherwise.",
    )
    round_to: Annotated[int, Flag(metavar="CHANNELS", shows_default=True)] = Field(
        16,
        ge=1,
        le=512,
        description="Wide layers keep a multiple of this many channels, because latency falls in steps; 1 "
        "allows any number.",
    )
    measure: Annotated[Measure, Flag()] = Field(
        "macs", description="What `prune` is a share of: multiply-accumulate operations, parameters, measured time."
    )
    rounds: Annotated[int, Flag()] = Field(
        1,
        ge=1,
        le=20,
        description="Prune in this many steps, each with a fine-tune; every one removes at least one channel.",
    )
    low_rank: Annotated[Rank | None, Flag(metavar="SHARE|energy|worst-group"), AsksFor("low_rank:LowRank")] = Field(
        None,
        description="Factor layers into two thinner ones: to a share of the full rank, or as far as energy or "
        "the worst "
        "group's loss allows.",
    )
    energy: Annotated[float, Flag(shows_default=True)] = Field(
        0.95, gt=0, le=1, description="For `low_rank` energy: share of the squared weights that every layer keeps."
    )
    tolerance: Annotated[float, Flag(metavar="NATS", shows_default=True)] = Field(
        0.02,
        gt=0,
        allow_inf_nan=False,
        description="For `low_rank` worst-group: by how much any group's mean loss may grow, in nats.",
    )
    sparsity: Annotated[Share | None, Flag(metavar="RATIO"), AsksFor("sparsity:Sparsify")] = Field(
        None,
        description="Set this share of single weights to 0, then fine-tune; a baseline for studies: no fewer "
        "operations, no speed-up, no smaller file.",
    )
    schedule: Annotated[Schedule, Flag()] = Field(
        "once",
        description="For `sparsity`: weights that become 0 are chosen once, before the fine-tune, or anew every 100 "
        "steps of it, from the first on (constant).",
    )
    cluster: Annotated[int | None, Flag(metavar="VALUES"), AsksFor("cluster:Cluster")] = Field(
        None,
        ge=2,
        le=4096,
        description="Weights of a layer share this many values: smaller when packed, no faster.",
    )
    centroids: Annotated[Centroids, Flag()] = Field(
        "k-means",
        description="For `cluster`: where a layer's values begin, at the best ones, or evenly between its smallest and "
        "largest weight (linear).",
    )
    ticket: Annotated[TicketConfig | None, AsksFor("ticket:Ticket")] = Field(
        None,
        description="Instead of training: choose single weights of the network with random weights, and train none. "
        "For studies: no fewer operations, no speed-up.",
    )
    qat: Annotated[bool, Flag(), AsksFor("qat:Qat")] = Field(
        False, description="Fine-tune with quantization simulated; for `int8` static."
    )
    int8: Annotated[Int8 | None, Flag(metavar=f"[{'|'.join(INT8)}]", bare="auto")] = Field(
        None,
        description="INT8: static (calibrated), dynamic, a16w8 (calibrated, with 16-bit activations, for NPUs), w4 "
        "(packed weights of 4 bits, for texts), or auto: dynamic for texts where TensorRT is no target, else static.",
    )
    fp16: Annotated[bool, Flag()] = Field(
        False, description="Half precision instead of INT8, for devices that have it."
    )
    calibration: Annotated[str, Flag()] = Field(
        "int8-balanced",
        description="Calibration recipe by name or path, or a file of rows to calibrate on (.csv, .npz, .parquet).",
    )
    repair: RepairConfig = Field(default_factory=RepairConfig, description="If a gate fails on validation rows.")

    @field_validator("low_rank", mode="before")
    @classmethod
    def _share_or_word(cls, value: Any) -> Any:
        share = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1
        if value not in (None, "energy", "worst-group") and not share:
            raise ValueError("a share between 0 and 1, energy or worst-group")
        return value

    @property
    def steps(self) -> tuple[str, ...]:
        """Keys of the torch steps that are asked for, in their order."""
        return tuple(key for key in STEPS if getattr(self, key))

    @property
    def rungs(self) -> tuple[str, ...]:
        """The ladder, where neither a kind of INT8 nor a recipe is asked for by name."""
        usual = self.calibration == type(self).model_fields["calibration"].default
        return self.repair.ladder if self.int8 == "auto" and usual and not self.qat else ()

    @property
    def trains(self) -> bool:
        """Whether anything needs the torch network."""
        return self.distill is not None or bool(self.steps)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.fp16 and (self.int8 is not None or self.qat):
            raise ValueError("fp16 and int8 are both set: a weight has one type; keep one of them")
        if self.qat and self.int8 not in {"auto", *CALIBRATED}:
            raise ValueError("qat trains for static INT8, which is not set: add int8: static (--int8 static)")
        if self.rounds > 1 and self.prune is None:
            raise ValueError("rounds are steps of pruning, and `prune` is not given")
        if self.distill is not None and self.distill.student == PRUNED and not (self.prune or self.low_rank):
            raise ValueError("distill has no student: set one (--student), or prune the network (--prune, --low-rank)")
        for key in reversed(self.steps[:-1]):
            if key in LAST:
                raise ValueError(f"{key} and {self.steps[-1]} contradict each other: {LAST[key]}")
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
            *(
                (option, f"importance: {' or '.join(names)}", self.importance in names)
                for option, names in _read_by(IMPORTANCE_OPTIONS).items()
            ),
            ("schedule", "sparsity", self.sparsity is not None),
            ("centroids", "cluster", self.cluster is not None),
            ("energy", "low_rank: energy", self.low_rank == "energy"),
            ("tolerance", "low_rank: worst-group", self.low_rank == "worst-group"),
        ):
            if not asked and getattr(self, option) != type(self).model_fields[option].default:
                raise ValueError(f"{option} needs `{of}`, which is not set")

    def _frozen_weights_stay(self) -> None:
        """Refuse to train the weights that a frozen network is about."""
        of_channels = self.prune is not None and self.importance in RANDOM_WEIGHTS
        if not of_channels and self.ticket is None:
            return
        frozen, of = ("ticket", "ticket") if self.ticket is not None else ("prune", f"importance {self.importance}")
        others = ["distill"] * (self.distill is not None) + ["rounds"] * (self.rounds > 1)
        others += [key for key in self.steps if key != frozen]
        if others:
            raise ValueError(
                f"{of} leaves random weights untrained, and {others[0]} would train them: keep one of them"
                + (", or use importance adversarial" if of_channels else "")
            )


# Key -> its step, in the order in which they are carried out.
STEPS: Mapping[str, str] = {
    key: f"edgefair.compress.steps.{item.home}"
    for key, field in CompressConfig.model_fields.items()
    for item in field.metadata
    if isinstance(item, AsksFor)
}


def _read_by(options: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Key -> the importances that read it."""
    found: dict[str, list[str]] = {}
    for name, keys in options.items():
        for key in keys:
            found.setdefault(key, []).append(name)
    return found
