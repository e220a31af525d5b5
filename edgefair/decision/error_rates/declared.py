"""The `policy.errors` section: how often labels and groups are recorded wrongly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from edgefair.decision.error_rates.audited import AuditedRates, texts
from edgefair.errors import did_you_mean

Rate = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
# Ways to write rates; part of where pydantic finds a mistake, and of no key.
FOR_ALL, FOR_EACH = RATE_FORMS = ("for all", "for each")
Rates = Annotated[
    Annotated[Rate, Tag(FOR_ALL)] | Annotated[dict[str, Rate], Tag(FOR_EACH)],
    Discriminator(lambda value: FOR_EACH if isinstance(value, dict) else FOR_ALL),
]


class ErrorRates(BaseModel):
    """Largest shares of rows that are recorded wrongly, by what is recorded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: Rates | None = Field(
        None,
        description="Largest share of the rows with a recorded label, in any group, whose true label is another: one "
        "number, or one for every label.",
    )
    attributes: dict[str, Rates] = Field(
        default_factory=dict,
        description="Attribute -> largest share of the rows of a recorded group, at any label, whose true group is "
        "another: one number, or one for every group. An intersection that is not listed has the sum of its "
        "attributes' rates.",
    )

    audited: AuditedRates | None = Field(
        None,
        description="Instead of rates: how many rows of every group and label were checked, and how many were wrong. "
        "The rates are upper limits of these, which spend a part of alpha.",
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _label_texts(cls, value: Any) -> Any:
        return texts(value)

    @field_validator("attributes", mode="before")
    @classmethod
    def _group_texts(cls, value: Any) -> Any:
        return {name: texts(rates) for name, rates in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _known_in_one_way(self) -> Self:
        if self.audited is not None and (self.labels is not None or self.attributes):
            raise ValueError("errors.audited and rates that are declared: give one of them")
        return self

    @cached_property
    def known(self) -> ErrorRates:
        """The rates themselves: as declared, or the limits of those that were found."""
        if self.audited is None:
            return self
        return ErrorRates(labels=self.audited.by_label(), attributes=dict(self.audited.by_group()))

    @property
    def spent(self) -> float:
        """What the limits of the rates spend of the policy's alpha."""
        return 0.0 if self.audited is None else self.audited.alpha

    @property
    def label(self) -> float:
        """H of the label that is wrong most often."""
        return max(self.labels.values(), default=0.0) if isinstance(self.labels, dict) else self.labels or 0.0

    def of_labels(self, classes: Sequence[str]) -> NDArray[np.float64]:
        """H of every label, [labels].

        Raises:
            ValueError: rates by label that are not those of these classes.
        """
        if not isinstance(self.labels, dict):
            return np.full(len(classes), self.label)
        return _listed("labels", "label", self.labels, classes)

    def of_groups(self, attribute: str, groups: Sequence[str]) -> NDArray[np.float64] | None:
        """E of every group of an attribute, [groups]; None where the attribute is not listed.

        Raises:
            ValueError: rates by group that are not those of these groups.
        """
        rates = self.attributes.get(attribute)
        if isinstance(rates, dict):
            return _listed(f"attributes.{attribute}", "group", rates, groups)
        return None if rates is None else np.full(len(groups), rates)


def _listed(where: str, what: str, rates: Mapping[str, float], names: Sequence[str]) -> NDArray[np.float64]:
    unknown, lacking = ([name for name in one if name not in other] for one, other in ((rates, names), (names, rates)))
    if unknown:
        raise ValueError(
            f"errors.{where} names the {what} '{unknown[0]}'{did_you_mean(unknown[0], names)}, which is not one of "
            f"{', '.join(names)}"
        )
    if lacking:
        raise ValueError(f"errors.{where} has no rate for the {what} '{lacking[0]}'; 0 says that it is always right")
    return np.array([rates[name] for name in names], dtype=np.float64)
