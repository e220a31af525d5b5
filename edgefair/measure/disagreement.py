"""Where two devices decide the same rows differently, and for whom."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.measure.columns import Coded


@dataclass(frozen=True)
class GroupDisagreement:
    """Rows of one group, and how many of them two devices decide differently."""

    attribute: str
    group: str
    rows: int
    differing: int

    @property
    def share(self) -> float:
        """Share of the group's rows, 0..1."""
        return self.differing / self.rows


@dataclass(frozen=True)
class Disagreement:
    """Two devices on the same model file and rows.

    Attributes:
        rows: all of them.
        differing: those that the two decide differently.
        groups: by attribute and group, groups without rows left out.
    """

    first: str
    second: str
    rows: int
    differing: int
    groups: tuple[GroupDisagreement, ...]


def disagreements(
    decisions: Mapping[str, NDArray[np.int64]], attributes: Mapping[str, Coded]
) -> tuple[Disagreement, ...]:
    """Every pair of devices, in their order.

    Args:
        decisions: device -> int64 [rows].
        attributes: attribute -> its coded value in every row.
    """
    return tuple(
        _pair(first, second, decisions[first] != decisions[second], attributes)
        for first, second in itertools.combinations(decisions, 2)
    )


def _pair(first: str, second: str, differs: NDArray[np.bool_], attributes: Mapping[str, Coded]) -> Disagreement:
    groups = []
    for attribute, column in attributes.items():
        kept = column.codes >= 0
        size = len(column.values)
        rows, differing = (np.bincount(column.codes[part], minlength=size) for part in (kept, kept & differs))
        groups += [
            GroupDisagreement(attribute, value, int(n), int(k))
            for value, n, k in zip(column.values, rows, differing, strict=True)
            if n
        ]
    return Disagreement(first, second, len(differs), int(differs.sum()), tuple(groups))
