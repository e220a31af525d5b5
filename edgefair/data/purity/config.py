"""The keys of `data:` that make training data poorer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from edgefair.data.written import as_list, texts, value_lists


class NoiseConfig(BaseModel):
    """Which labels are flipped."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Column -> values of the rows whose labels may flip; default: all rows."
    )
    label: tuple[str, ...] = Field((), description="The labels that may flip; default: all.")
    flip: float = Field(
        ge=0, le=1, description="Chance that such a label becomes another one, each of the others alike."
    )

    @field_validator("where", mode="before")
    @classmethod
    def _values_are_lists(cls, value: Any) -> Any:
        return value_lists(value)

    @field_validator("label", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return as_list(texts(value))


class ThinConfig(BaseModel):
    """Which training rows are thinned out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: dict[str, tuple[str, ...]] = Field(min_length=1, description="Column -> values of the rows to thin out.")
    keep: float = Field(ge=0, lt=1, description="Share of these rows to keep.")
    validation: bool = Field(
        False,
        description="Thin validation rows too: what is chosen by them, or fitted on them, sees no more of them.",
    )

    @field_validator("where", mode="before")
    @classmethod
    def _values_are_lists(cls, value: Any) -> Any:
        return value_lists(value)


@dataclass(frozen=True)
class Purity:
    """What is done to training data on purpose, as the keys of `data:` say.

    Attributes:
        keep: number of training rows, or below 1 the share of them; None for all.
        seed: of every draw.
    """

    noise: tuple[NoiseConfig, ...]
    keep: int | float | None
    thin: tuple[ThinConfig, ...]
    seed: int

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns by which rows are chosen."""
        chosen = [*(item.where for item in self.thin), *(item.where for item in self.noise)]
        return tuple(name for where in chosen for name in where)

    @property
    def settings(self) -> dict[str, Any]:
        """What of it a run records, empty where nothing is done."""
        done: dict[str, Any] = {
            "noise": [item.model_dump(mode="json") for item in self.noise],
            "keep": self.keep,
            # A run that was made before a key existed has its default.
            "thin": [item.model_dump(mode="json", exclude_defaults=True) for item in self.thin],
        }
        return {**done, "seed": self.seed} if self.noise or self.thin or self.keep is not None else {}


def checked_keep(value: int | float | None) -> int | float | None:
    """A whole number of rows, or a share below 1.

    Raises:
        ValueError: neither.
    """
    if value is None or 0 < value < 1:
        return value
    if value < 1 or isinstance(value, float):
        raise ValueError(f"{value:g} is neither a whole number of rows nor a share of them between 0 and 1")
    return value
