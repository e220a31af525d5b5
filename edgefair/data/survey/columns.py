"""What the columns of a table are, before anybody has said so: kind, missing values, different values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.table import Categories, Column
from edgefair.data.survey.suspects import DATE, LEAST_ROWS, counter_or_id, names_rows
from edgefair.data.survey.telling import TELLING, tells_label
from edgefair.measure.distinct import distinct

Kind = Literal["numbers", "text", "true or false", "dates", "arrays", "pictures or texts"]


@dataclass(frozen=True)
class ColumnFacts:
    """One column.

    Attributes:
        missing: rows without a value; of arrays also those with a number that is not finite.
        infinite: rows with an infinite number.
        distinct: different values; None where they are not compared.
        names_rows: most rows have a text that hardly another one has, or the column counts rows or is called an id.
        evidence: what says so, of numbers.
        tells: balanced accuracy of the column alone, as `tells_label`; None where it was not asked.
    """

    name: str
    kind: Kind
    rows: int
    missing: int
    distinct: int | None
    names_rows: bool = False
    evidence: str = ""
    infinite: int = 0
    tells: float | None = None

    @property
    def constant(self) -> bool:
        """Whether it has the same value in every row."""
        return self.distinct is not None and self.distinct + bool(self.missing) < 2

    @property
    def telling(self) -> bool:
        """Whether it gives the label away."""
        return self.tells is not None and self.tells >= TELLING

    def is_label(self, classes: int) -> bool:
        """Whether it is the label in another form: a value for every class, and right in every one of many rows."""
        return self.tells == 1.0 and self.distinct == classes and not self.missing and self.rows >= LEAST_ROWS

    @property
    def remark(self) -> str:
        """What makes it a doubtful feature; empty where nothing does."""
        if self.constant:
            return "has the same value in every row"
        if self.kind == "dates":
            return "each date is learned as a category"
        if self.telling:
            return f"predicts the label by itself (balanced accuracy {self.tells:.2f}): known when the model decides?"
        if not self.names_rows:
            return ""
        return f"identifies rows: {self.evidence}" if self.evidence else "identifies rows: memorized, and shipped"


def facts_over(
    name: str, parts: Sequence[Column], label: NDArray[np.integer] | None = None, classes: int = 0
) -> ColumnFacts:
    """Look at one column whose rows are in several splits, all of one kind.

    Args:
        label: index of the class of every row of all parts, to see whether the column gives it away.
        classes: how many there are.
    """
    first = parts[0]
    whole: Column
    if isinstance(first, Categories):
        whole = Categories(first.values, np.concatenate([part.codes for part in parts if isinstance(part, Categories)]))
    elif isinstance(first, np.ndarray):
        whole = np.concatenate([part for part in parts if isinstance(part, np.ndarray)])
    else:
        return ColumnFacts(name, "pictures or texts", sum(map(len, parts)), 0, None)
    found = facts_of(name, whole)
    return found if label is None else replace(found, tells=tells_label(whole, label, classes))


def facts_of(name: str, column: Column) -> ColumnFacts:
    """Look at one column."""
    rows = len(column)
    if isinstance(column, LazyColumn):
        return ColumnFacts(name, "pictures or texts", rows, 0, None)
    if isinstance(column, Categories):
        values, missing = column.present, column.missing()
        own = names_rows(column)
        dates = bool(values) and all(DATE.fullmatch(value) for value in values)
        two = set(values) <= {"False", "True"} and bool(values)
        kind: Kind = "dates" if dates else "true or false" if two else "text"
        return ColumnFacts(name, kind, rows, missing, len(values), own and not dates)
    if column.ndim > 1:
        bad = ~np.isfinite(column.reshape(rows, -1)).all(axis=1)
        return ColumnFacts(name, "arrays", rows, int(bad.sum()), None)
    missing, infinite = int(np.isnan(column).sum()), int(np.isinf(column).sum())
    evidence = counter_or_id(name, column) or ""
    different = len(distinct(column[np.isfinite(column)]))
    return ColumnFacts(name, "numbers", rows, missing, different, bool(evidence), evidence, infinite)
