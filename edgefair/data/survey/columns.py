"""What the columns of a table are, before anybody has said so: kind, missing values, different values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.table import Categories, Column
from edgefair.data.survey.suspects import DATE, LEAST_ROWS, NEARLY_ALL

Kind = Literal["numbers", "text", "true or false", "dates", "arrays", "pictures or texts"]


@dataclass(frozen=True)
class ColumnFacts:
    """One column.

    Attributes:
        missing: rows without a value; for numbers also those that are not finite.
        distinct: different values; None where they are not compared.
        names_rows: nearly every row has a value of its own, or the column counts the rows.
    """

    name: str
    kind: Kind
    rows: int
    missing: int
    distinct: int | None
    names_rows: bool = False

    @property
    def constant(self) -> bool:
        """Whether it says the same of every row."""
        return self.distinct is not None and self.distinct + bool(self.missing) < 2

    @property
    def remark(self) -> str:
        """What makes it a doubtful feature; empty where nothing does."""
        if self.constant:
            return "says the same of every row"
        if self.kind == "dates":
            return "each date is learned as a word"
        return "names rows: learned by heart, and shipped" if self.names_rows else ""


def facts_over(name: str, parts: Sequence[Column]) -> ColumnFacts:
    """Look at one column whose rows are in several splits, all of one kind."""
    first = parts[0]
    if isinstance(first, Categories):
        codes = np.concatenate([part.codes for part in parts if isinstance(part, Categories)])
        return facts_of(name, Categories(first.values, codes))
    if isinstance(first, np.ndarray):
        return facts_of(name, np.concatenate([part for part in parts if isinstance(part, np.ndarray)]))
    return ColumnFacts(name, "pictures or texts", sum(map(len, parts)), 0, None)


def facts_of(name: str, column: Column) -> ColumnFacts:
    """Look at one column."""
    rows = len(column)
    if isinstance(column, LazyColumn):
        return ColumnFacts(name, "pictures or texts", rows, 0, None)
    if isinstance(column, Categories):
        values, missing = column.present, column.missing()
        own = rows >= LEAST_ROWS and len(values) > NEARLY_ALL * (rows - missing) > 0
        dates = bool(values) and all(DATE.fullmatch(value) for value in values)
        two = set(values) <= {"False", "True"} and bool(values)
        kind: Kind = "dates" if dates else "true or false" if two else "text"
        return ColumnFacts(name, kind, rows, missing, len(values), own and not dates)
    if column.ndim > 1:
        bad = ~np.isfinite(column.reshape(rows, -1)).all(axis=1)
        return ColumnFacts(name, "arrays", rows, int(bad.sum()), None)
    finite = column[np.isfinite(column)]
    values_of = np.unique(finite)
    counts = (
        column.dtype.kind in "iu"
        and rows >= LEAST_ROWS
        and len(values_of) == rows
        and int(values_of[-1]) - int(values_of[0]) == rows - 1
    )
    return ColumnFacts(name, "numbers", rows, rows - len(finite), len(values_of), counts)
