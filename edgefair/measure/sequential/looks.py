"""How far a measurement went that looks at its rows in steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from edgefair.measure.sequential.levels import FRACTIONS, LOOKS, levels


def units_at(look: int, units: int) -> int:
    """Units (rows, or subjects where rows belong to some) that look 1, 2, ... LOOKS has of all of them."""
    return -(-units * look // LOOKS)


@dataclass(frozen=True)
class Looks:
    """How far a sequential measurement went on one target.

    Attributes:
        taken: number of the last look, from 1.
        fractions: the share of the rows that every planned look has.
        levels: what PASS may err by at every planned look.
        rows, rows_at_hand: rows that decided, and all audit rows.
        units, units_at_hand: the same in subjects where rows belong to some, else the same numbers.
    """

    taken: int
    fractions: tuple[float, ...]
    levels: tuple[float, ...]
    rows: int
    rows_at_hand: int
    units: int
    units_at_hand: int

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back from a report.

        Raises:
            TypeError, ValueError: not such an object.
        """
        found = cls(**{**data, "fractions": tuple(data["fractions"]), "levels": tuple(data["levels"])})
        numbers = (found.taken, found.rows, found.rows_at_hand, found.units, found.units_at_hand)
        if any(type(number) is not int for number in numbers) or not 1 <= found.taken <= LOOKS:
            raise ValueError(f"its looks are {numbers}")
        return found

    @property
    def last(self) -> bool:
        """Whether all rows were looked at."""
        return self.taken == LOOKS

    def mistake(self, alpha: float, *, subjects: bool) -> str | None:
        """The first thing that is not as planned, if any.

        Args:
            alpha: the policy's.
            subjects: whether rows belong to subjects, who are whole and may be of any size.
        """
        wanted = units_at(self.taken, self.units_at_hand)
        later = (self.units_at_hand - self.units, self.rows_at_hand - self.rows)
        if self.fractions != FRACTIONS:
            return f"looks at {list(self.fractions)} of the rows, not at {list(FRACTIONS)}"
        if self.levels != tuple(level.passing for level in levels(alpha)):
            return f"levels {list(self.levels)}, not {[level.passing for level in levels(alpha)]}"
        if self.units != wanted:
            return f"{self.units:,} of {self.units_at_hand:,} at look {self.taken}, not {wanted:,}"
        if not subjects and (self.units, self.units_at_hand) != (self.rows, self.rows_at_hand):
            return f"{self.units:,} of {self.units_at_hand:,} units, not {self.rows:,} of {self.rows_at_hand:,} rows"
        if not 0 <= later[0] <= later[1] or not 0 < self.units <= self.rows or self.last != (later[1] == 0):
            return f"{self.rows:,} of {self.rows_at_hand:,} rows at look {self.taken}"
        return None
