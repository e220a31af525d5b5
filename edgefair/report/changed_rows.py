"""Rows whose decision compression changed, as a page may show them: people's data, which no other format holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Change = Literal["broken", "corrected", "wrong still"]


@dataclass(frozen=True, eq=False)
class ChangedRow:
    """One row.

    Attributes:
        name: its declared id, or its position among the rows.
        before, after: decisions.
        score_before, score_after: P(class 1), of models with two classes that give it; else None.
        picture: a JPEG file.
        text: the text that a model reads.
        values: feature -> value, of the others.
    """

    name: str
    change: Change
    before: str
    after: str
    score_before: float | None
    score_after: float | None
    picture: bytes | None
    text: str | None
    values: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class ChangedCell:
    """Changed rows of one (group, label) cell.

    Attributes:
        there_are: how many changed in which way.
        rows: some of them, broken ones first.
    """

    group: str
    label: str
    there_are: Mapping[Change, int]
    rows: tuple[ChangedRow, ...]


@dataclass(frozen=True, eq=False)
class ChangedRows:
    """Changed rows of one result.

    Attributes:
        of: what rows they are, as `audit rows`.
        by_target: target -> its cells, those first in which most was broken.
        cells_left: target -> cells with changed rows that are not among them.
    """

    of: str
    by_target: Mapping[str, Sequence[ChangedCell]]
    cells_left: Mapping[str, int]
