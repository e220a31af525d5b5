"""The `policy.errors.audited` section: how often labels and groups are wrong, found on a subsample of the audit rows.

Of the checked rows of every recorded (group, label) cell, drawn at random, so many had another true group or label.
Each count gives a Clopper-Pearson limit; all of them together miss with `alpha` at most (Bonferroni), and where none
does the verdict errs with what is left of the policy's alpha. Counts pooled over cells would not bound the worst cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from edgefair.probe.features import plain_text, value_text

KINDS = 2


def texts(rates: Any) -> Any:
    """What is named by group or label, named as the data's text has it."""
    if not isinstance(rates, dict):
        return rates
    return {plain_text(value_text(name) or ""): rate for name, rate in rates.items()}


class CheckedCell(BaseModel):
    """What a check of some rows of one recorded group and label found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checked: int = Field(ge=1, description="Rows that were drawn at random from the cell and checked.")
    wrong_group: int = Field(ge=0, description="Those of them whose true group is another.")
    wrong_label: int = Field(ge=0, description="Those of them whose true label is another.")

    @model_validator(mode="after")
    def _wrong_ones_were_checked(self) -> Self:
        if max(self.wrong_group, self.wrong_label) > self.checked:
            raise ValueError(
                f"{max(self.wrong_group, self.wrong_label)} rows are wrong, and {self.checked} were checked"
            )
        return self


ByLabel = Annotated[dict[str, CheckedCell], BeforeValidator(texts)]
ByGroup = Annotated[dict[str, ByLabel], BeforeValidator(texts)]


class AuditedRates(BaseModel):
    """Counts of a check, by attribute, group and label."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: float = Field(
        0.01, gt=0, lt=0.5, description="Error probability of the limits of all rates together, a part of policy.alpha."
    )
    cells: dict[str, ByGroup] = Field(
        min_length=1,
        description="Attribute or intersection -> recorded group -> recorded label -> what a check of some of its rows "
        "found: every cell of everything that is judged.",
    )

    @property
    def checked(self) -> int:
        """Rows that were checked, of the attribute with most."""
        return max(sum(cell.checked for _, _, cell in _cells(of)) for of in self.cells.values())

    def by_group(self) -> dict[str, dict[str, float]]:
        """Attribute -> group -> E, the limit of its worst label."""
        return {
            name: {
                group: max(self._limit(cell.wrong_group, cell) for cell in row.values()) for group, row in of.items()
            }
            for name, of in self.cells.items()
        }

    def by_label(self) -> dict[str, float]:
        """Label -> H, the limit of its worst group."""
        found: dict[str, float] = {}
        for of in self.cells.values():
            for _, label, cell in _cells(of):
                found[label] = max(found.get(label, 0.0), self._limit(cell.wrong_label, cell))
        return found

    def check(self, groups: Mapping[str, Sequence[str]]) -> None:
        """Refuse counts that leave a cell out.

        Args:
            groups: attribute or intersection that is judged -> its groups.

        Raises:
            ValueError: an attribute, a group or a label that is missing, or that there is not.
        """
        _same("errors.audited.cells", "attribute", self.cells, groups)
        labels = list(self.by_label())
        for name, of in self.cells.items():
            _same(f"errors.audited.cells.{name}", "group", of, groups[name])
            for group, row in of.items():
                _same(f"errors.audited.cells.{name}.{group}", "label", row, labels)

    def _limit(self, wrong: int, cell: CheckedCell) -> float:
        limits = KINDS * sum(1 for of in self.cells.values() for _ in _cells(of))
        # A rate of 1 leaves nothing of any threshold, and below 1 a correction is a number.
        from edgefair.measure.bounds import upper_limit

        return min(float(upper_limit(wrong, cell.checked, self.alpha / limits)), 1 - 1e-9)


def _cells(of: Mapping[str, Mapping[str, CheckedCell]]) -> Iterator[tuple[str, str, CheckedCell]]:
    for group, row in of.items():
        for label, cell in row.items():
            yield group, label, cell


def _same(where: str, what: str, found: Mapping[str, object], wanted: Mapping[str, object] | Sequence[str]) -> None:
    for name in found:
        if name not in wanted:
            raise ValueError(f"{where} names the {what} '{name}', which is not one of {', '.join(wanted)}")
    for name in wanted:
        if name not in found:
            raise ValueError(
                f"{where} has no counts of the {what} '{name}': rows of other cells do not bound its errors"
            )
