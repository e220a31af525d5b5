"""Columns of text that are no features, though nobody has said so: names, ids, dates, and what never changes."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from edgefair.data.files.table import MISSING, Categories, Table

# Of so many rows with a value, a share of different values above which a column names rows; below, text may be rich.
LEAST_ROWS, NEARLY_ALL = 50, 0.9
DATE = re.compile(r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2}))([T ]\d{1,2}:\d{2}.*)?")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?(e[-+]?[0-9]+)?", re.IGNORECASE)
FRACTION = re.compile(r"-?[0-9]+\.[0-9]*[1-9][0-9]*(e[-+]?[0-9]+)?|.*e-[0-9]+", re.IGNORECASE)


def are_measurements(texts: Collection[str]) -> bool:
    """Whether texts are nothing but numbers, and some of them fractions."""
    return any(map(FRACTION.fullmatch, texts)) and all(map(NUMBER.fullmatch, texts))


@dataclass(frozen=True)
class Suspect:
    """A column that would become a feature.

    Attributes:
        why: what it looks like, for people.
    """

    column: str
    why: str


def suspects(table: Table, features: Collection[str]) -> tuple[Suspect, ...]:
    """The features of text that name rows, are dates, or have one value in every row."""
    found = []
    for name in features:
        column = table.columns[name]
        why = _why(column) if isinstance(column, Categories) else None
        if why is not None:
            found.append(Suspect(name, why))
    return tuple(found)


def _why(column: Categories) -> str | None:
    rows = int(np.count_nonzero(column.codes != MISSING))
    values = column.present
    if rows and all(map(DATE.fullmatch, values)):
        return f"holds dates, as '{values[0]}'"
    # Of numbers that are written as text, who reads them says that they are.
    if rows < LEAST_ROWS or are_measurements(values):
        return None
    if len(values) > NEARLY_ALL * rows:
        return f"has {len(values):,} different values in {rows:,} rows, as names and ids have"
    if len(values) == 1 and not column.missing():
        return f"is '{values[0]}' in every row"
    return None
