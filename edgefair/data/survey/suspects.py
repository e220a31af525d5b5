"""Columns that should not be features, though not excluded: names, ids, counters, dates, constants."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.table import Categories, Column, Table
from edgefair.measure.distinct import distinct

# Of so many rows with a value, a share of different values above which a column names rows; below, text may be rich.
LEAST_ROWS, NEARLY_ALL = 50, 0.9
# A value that fewer rows share is hardly learned; where most rows have such a one, the column names them too, as
# surnames do, and as ids do of people who are there twice.
SHARED_BY, MOST = 5, 0.5
DATE = re.compile(r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2}))([T ]\d{1,2}:\d{2}.*)?")
# Whole numbers that are all different, in a range of so many times their rows, are counted: of numbers that are drawn
# from such a range, of 50 already, chance repeats one but for once in 10^5 times.
SPREAD = 2
# Words of a column's name that make it an id.
ID_WORD = re.compile("id|ids|uid|uuid|guid|pk|key|index|idx|no|nr|num|number|code|record|row", re.IGNORECASE)
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?(e[-+]?[0-9]+)?", re.IGNORECASE)
FRACTION = re.compile(r"-?[0-9]+\.[0-9]*[1-9][0-9]*(e[-+]?[0-9]+)?|.*e-[0-9]+", re.IGNORECASE)


def are_measurements(texts: Collection[str]) -> bool:
    """Whether texts are nothing but numbers, and some of them fractions."""
    return any(map(FRACTION.fullmatch, texts)) and all(map(NUMBER.fullmatch, texts))


def names_rows(column: Categories) -> bool:
    """Whether hardly any row shares its text with others."""
    counts = column.counts
    rows = int(counts.sum())
    if rows < LEAST_ROWS:
        return False
    hardly_shared = int(counts[counts < SHARED_BY].sum())
    return int(np.count_nonzero(counts)) > NEARLY_ALL * rows or hardly_shared > MOST * rows


def counter_or_id(name: str, column: NDArray[np.generic]) -> str | None:
    """What makes a column of numbers one that names rows, for people; None for a quantity, however unique it is.

    Either it counts, or it is called an id and hardly a value of it is in two rows.
    """
    if column.dtype.kind not in "iuf" or column.ndim != 1:
        return None
    known = column[np.isfinite(column)]
    # Whole numbers that are written with a fraction are measured; where some are missing, they have no other type.
    if len(known) < LEAST_ROWS or (column.dtype.kind == "f" and len(known) == len(column)):
        return None
    low, high = known.min(), known.max()
    # Cheap for what is none: fewer whole numbers than rows in the range, or a fraction.
    if float(high) - float(low) + 1 <= NEARLY_ALL * len(known) or (known != np.round(known)).any():
        return None
    different = len(distinct(known))
    if different == len(known) and float(high) - float(low) + 1 <= SPREAD * len(known):
        return f"it counts from {int(low):,} to {int(high):,}"
    if different > NEARLY_ALL * len(known) and any(map(ID_WORD.fullmatch, WORD.findall(name))):
        return "it is called one"
    return None


@dataclass(frozen=True)
class Suspect:
    """A column that would become a feature.

    Attributes:
        why: what it looks like, for people.
    """

    column: str
    why: str


def suspects(table: Table, features: Collection[str]) -> tuple[Suspect, ...]:
    """The features that name rows, are dates, or of text and have one value in every row."""
    found = []
    for name in features:
        why = _why(name, table.columns[name])
        if why is not None:
            found.append(Suspect(name, why))
    return tuple(found)


def _why(name: str, column: Column) -> str | None:
    if isinstance(column, np.ndarray):
        evidence = counter_or_id(name, column)
        return None if evidence is None else f"looks like a row's id: {evidence}"
    return _why_text(column) if isinstance(column, Categories) else None


def _why_text(column: Categories) -> str | None:
    rows = len(column) - column.missing()
    values = column.present
    if rows and all(map(DATE.fullmatch, values)):
        return f"holds dates, as '{values[0]}'"
    # Of numbers that are written as text, who reads them says that they are.
    if rows < LEAST_ROWS or are_measurements(values):
        return None
    if names_rows(column):
        return f"has {len(values):,} different values in {rows:,} rows, as names and ids have"
    if len(values) == 1 and not column.missing():
        return f"is '{values[0]}' in every row"
    return None
