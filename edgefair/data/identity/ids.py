"""Declared ids: each names one row."""

from __future__ import annotations

import numpy as np

from edgefair.data.files.table import Categories
from edgefair.errors import DataError

NAMED = 3


def check_ids(ids: Categories) -> None:
    """Refuse rows without an id, and ids of several rows.

    Raises:
        DataError: says how many, and names some.
    """
    if ids.missing():
        raise DataError(
            f"{ids.missing():,} rows have no id",
            expected="an id in every row",
            fix="fill the column, or omit data.id: rows are compared by content anyway",
        )
    times = np.bincount(ids.codes, minlength=len(ids.values))
    repeated = sorted(ids.values[code] for code in np.flatnonzero(times > 1))
    if repeated:
        position = {value: code for code, value in enumerate(ids.values)}
        some = ", ".join(f"'{value}' ({times[position[value]]} rows)" for value in repeated[:NAMED])
        raise DataError(
            f"{len(repeated):,} ids of data.id occur more than once, for example {some}",
            expected="a unique id for every row: a row that is counted twice narrows the confidence limits as "
            "if it were another person",
            fix="remove the copies, for example of a join; a person with several rows is data.subject, not data.id",
        )
