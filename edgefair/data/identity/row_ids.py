"""Names of rows that leave the machine and come back: the declared ids, or names of what a model may see of them."""

from __future__ import annotations

import numpy as np

from edgefair.data.files.table import Categories
from edgefair.data.hashing import numbered
from edgefair.data.rows import TableRows
from edgefair.errors import DataError

# The column of names that were derived. They begin with a letter: a spreadsheet reads all digits as a number.
ROW = "edgefair_row"
PREFIX = "r"


def row_ids(rows: TableRows) -> Categories:
    """The id of every row: the declared one, else one that is derived from its features.

    Rows that are equal in all features are numbered in their order: a model decides them alike, whichever is which.
    Neither label nor groups are in it, which whoever holds the features could guess from a hash of everything.

    Raises:
        DataError: no ids are declared, and a sensitive attribute is among the features.
    """
    if rows.ids is not None:
        return rows.ids
    seen = [name for name in rows.features if name in rows.sensitive]
    if seen:
        raise DataError(
            f"rows have no ids, and '{seen[0]}' is both a feature and sensitive: a row cannot be named without it",
            expected="a column of ids, or features that are not sensitive",
            fix="declare the column as data.id",
        )
    hashes = numbered(rows.hashes_of(rows.features))
    return Categories(tuple(f"{PREFIX}{item:016x}" for item in hashes.tolist()), np.arange(len(rows), dtype=np.int32))
