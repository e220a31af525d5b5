"""The `model:`, `train:` and `debias:` sections of edgefair.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edgefair.debias import POST_METHODS
from edgefair.flag import Flag
from edgefair.probe.features import plain_text, value_text
from edgefair.probe.onnx_files.spec_check import LONGEST_SIDE
from edgefair.training.budget import default_batch, default_epochs


class OutputConfig(BaseModel):
    """How to read the output of a model file that edgefair did not export."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(None, description="Which output; needed where the graph has several.")
    kind: Literal["label", "logits", "probabilities", "logit", "probability"] = Field(
        description="What it holds: a label per row, one column per class, or one column for class 1."
    )
    threshold: float | None = Field(
        None, ge=0, le=1, description="Two classes: decide class 1 where P(class 1) >= threshold."
    )
    values: Literal["positions", "classes"] | tuple[str, ...] | None = Field(
        None,
        description="What the whole numbers of a label output are: `positions` (0 is the first class), `classes` (the "
        "values of data.classes), or a list of the number of each class, in the order of the classes. Needed where the "
        "classes are whole numbers themselves and not 0, 1, 2, ... in this order.",
    )

    @field_validator("values", mode="before")
    @classmethod
    def _numbers_are_texts(cls, value: Any) -> Any:
        known = str | bool | int | float
        if not isinstance(value, list | tuple):
            return value
        return tuple(plain_text(value_text(item) or "") if isinstance(item, known) else item for item in value)

    @model_validator(mode="after")
    def _labels_have_values(self) -> Self:
        if self.values is not None and self.kind != "label":
            raise ValueError(f"`values` says what a label output holds, and the output's kind is {self.kind}")
        return self


Side = Annotated[int, Field(ge=1, le=LONGEST_SIDE)]


class PictureConfig(BaseModel):
    """The one preprocessing of pictures: in training, on the host and on the device."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: int = Field(64, ge=1, le=4096, description="Pixels.")
    width: int = Field(64, ge=1, le=4096, description="Pixels.")
    channels: Literal[1, 3] = Field(3, description="3 for RGB, 1 for grey.")
    resample: Literal["bilinear", "bicubic", "lanczos", "box", "nearest"] = Field(
        "bilinear", description="Antialiased filter, or the nearest pixel."
    )
    shorter: int | None = Field(
        None,
        ge=1,
        le=LONGEST_SIDE,
        description="Resize the shorter side to this and crop the centre; without it a picture is stretched.",
    )
    stretched: tuple[Side, Side] | None = Field(
        None, description="Stretch to this height and width and crop the centre, instead of `shorter`."
    )
    mean: tuple[float, ...] = Field((0.5,), description="The network sees (value / 255 - mean) / std, per channel.")
    std: tuple[float, ...] = Field((0.5,), description="See `mean`. One number counts for every channel.")

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _one_for_every_channel(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in {1, self.channels}:
                raise ValueError(f"`{name}` has {len(values)} numbers for {self.channels} channels")
        if min(self.std) <= 0:
            raise ValueError("`std` must be positive")
        if self.shorter is not None and self.shorter < max(self.height, self.width):
            raise ValueError(f"`shorter` ({self.shorter}) is less than height or width: the crop does not fit")
        if self.stretched is not None:
            if self.shorter is not None:
                raise ValueError("`shorter` and `stretched` are alternatives: set one")
            if self.stretched[0] < self.height or self.stretched[1] < self.width:
                raise ValueError(f"`stretched` {self.stretched} is less than height or width: the crop does not fit")
        return self

    def scales(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """mean and std of every channel."""
        return self.mean * (self.channels // len(self.mean)), self.std * (self.channels // len(self.std))


class ModelConfig(BaseModel):
    """Which network is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: str = Field("mlp", description="A built-in network, or package.module:factory from the current folder.")
    options: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments of the factory.")
    trust: tuple[str, ...] = Field(
        (),
        description="Full names of types in a .skops file that may be loaded beside scikit-learn's: their code runs.",
    )
    threshold: float = Field(
        0.5, ge=0, le=1, description="Two classes: decide class 1 where P(class 1) >= threshold. Exported in the graph."
    )
    picture: PictureConfig = Field(default_factory=PictureConfig, description="How pictures become the input.")
    text_length: int = Field(128, ge=1, description="Tokens of a text that the model sees; the rest is truncated.")
    output: OutputConfig | None = Field(None, description="How to read an .onnx file that carries no edgefair spec.")


# Settings of a training that runs may be older than, and what they were then.
LATER: Mapping[str, Any] = {"precision": "fp32", "compile": False}
DeviceName = Literal["auto", "cpu", "cuda"]


class TrainConfig(BaseModel):
    """How the network is trained (AdamW, triangular learning rate)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int | None = Field(
        None,
        ge=1,
        description="Passes over the training rows. Default: at least 4, and as many as 600 steps take, at most 100.",
    )
    batch_rows: int | None = Field(
        None,
        ge=1,
        description="Rows in a training batch. Default: a power of two near a 32nd of the rows, between 64 and 1024.",
    )
    learning_rate: float = Field(2e-3, gt=0, description="Peak learning rate of a triangular schedule.")
    weight_decay: float = Field(1e-4, ge=0, description="AdamW's decoupled weight decay.")
    keep: Literal["auto", "best", "last"] = Field(
        "auto",
        description="Which epoch: the last, or the best on the validation rows (best balanced accuracy subject to the "
        "policy's gap and floor). auto: the best where a debias method is used.",
    )
    patience: int | None = Field(
        None, ge=1, description="Stop after this many epochs without a better one, where the best is kept."
    )
    refit_threshold: bool = Field(
        False,
        description="Two classes: choose model.threshold on the validation rows, by every gate of decisions of the "
        "policy. `edgefair train --auto` does. Not for a fine-tune, which keeps the run's.",
    )
    aim: float = Field(
        0.5, gt=0, le=1, description="Share of policy.max_eo_gap that the gap on the validation rows must stay within."
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32",
        description="Numbers of the network's layers in training (torch's autocast): bf16 and fp16 pay on a GPU. "
        "Weights, losses, validation, quantization-aware training and the exported file are FP32.",
    )
    compile: bool = Field(
        False, description="Train the network as torch.compile makes it: minutes at the start, faster steps."
    )
    memory_mb: int = Field(
        2048,
        ge=0,
        description="Memory for the pictures and tokens of training and validation rows. Where all fit, each is made "
        "once, otherwise in every epoch; the weights are the same.",
    )
    device: Annotated[DeviceName, Flag()] = Field(
        "auto", description="Where to train: cuda (an NVIDIA GPU), cpu, or auto, the GPU where there is one."
    )

    @property
    def deciding(self) -> dict[str, Any]:
        """What decides the weights, as JSON; the device that was chosen is told beside it.

        Runs that are older than a setting had its default, and do not say so.
        """
        found = self.model_dump(mode="json", exclude={"memory_mb", "device"})
        return {name: value for name, value in found.items() if name not in LATER or LATER[name] != value}

    def for_rows(self, rows: int) -> TrainPlan:
        """The settings with what was left to the number of training rows."""
        batch_rows = self.batch_rows or default_batch(rows)
        epochs = self.epochs or default_epochs(rows, batch_rows)
        return TrainPlan.model_validate({**self.model_dump(), "epochs": epochs, "batch_rows": batch_rows})


class TrainPlan(TrainConfig):
    """Training settings of which none is left open."""

    epochs: int = Field(ge=1, description="Passes over the training rows.")
    batch_rows: int = Field(ge=1, description="Rows in a training batch.")


class MethodConfig(BaseModel):
    """One debiasing method with its options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = Field(description="Name of the method; `edgefair train --help` lists them.")
    options: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments of the method.")


class DebiasConfig(BaseModel):
    """Which debiasing methods are used at which stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: tuple[MethodConfig, ...] = Field((), description="Methods used while training, combined in this order.")
    finetune: tuple[MethodConfig, ...] | None = Field(
        None, description="Methods of the fine-tune after pruning. Default: those of the training run."
    )
    post: Annotated[tuple[MethodConfig, ...], Flag(metavar="METHOD")] = Field(
        (),
        description=f"Debias the compressed file, fitted on validation rows: {', '.join(POST_METHODS)}, in the order "
        "given; none for no method.",
    )

    @field_validator("train", "finetune", "post", mode="before")
    @classmethod
    def _names_are_methods(cls, value: Any) -> Any:
        items = [value] if isinstance(value, str | dict) else value
        if not isinstance(items, list | tuple):
            return value
        return [{"method": item} if isinstance(item, str) else item for item in items if item != "none"]
