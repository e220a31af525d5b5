"""What a paper published of conditions that a plan has too: to stand beside the means that are found."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edgefair.errors import UsageError
from edgefair.study.levels import read_extent

Percent = dict[str, float]


class Published(BaseModel):
    """Means of a paper, by extent, each untreated and at the first level of every other factor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(min_length=1, description="The paper, and what its numbers are means of.")
    accuracy: Percent = Field(default_factory=dict, description="Extent -> accuracy, percent.")
    difference: Percent = Field(
        default_factory=dict,
        description="Extent -> accuracy of the first group minus that of the second, points.",
    )
    groups: tuple[str, str] | None = Field(None, description="The two groups of `difference`.")

    @field_validator("accuracy", "difference")
    @classmethod
    def _of_extents(cls, given: Percent) -> Percent:
        return {str(read_extent(name)): value for name, value in given.items()}

    @model_validator(mode="after")
    def _groups_are_named(self) -> Self:
        if self.difference and self.groups is None:
            raise UsageError("published: the difference is of two groups", fix="name them, as groups: [male, female]")
        return self

    @property
    def extents(self) -> tuple[str, ...]:
        """All that it speaks of, in its order."""
        return tuple(dict.fromkeys([*self.accuracy, *self.difference]))
