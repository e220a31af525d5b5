"""Training rows that a file names and that are left out: those whose labels look wrong."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefair.data.identity.row_ids import ROW, row_ids
from edgefair.data.rows import TableRows
from edgefair.errors import DataError
from edgefair.probe.features import plain_text

NAMED = 3


def not_dropped(train: TableRows, path: Path, *, id_column: str | None) -> NDArray[np.bool_]:
    """Which training rows a file of `edgefair data clean -o` does not name, bool [rows].

    Args:
        id_column: `data.id`; without one rows are named as `row_ids` names them.

    Raises:
        DataError: a file that cannot be read or has no such column, or names what is no training row.
    """
    column = id_column or ROW
    try:
        lines = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
        named = {plain_text(line.get(column) or "") for line in lines}
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"data.drop: cannot read '{path}': {error}", expected="a file of `data clean -o`") from error
    if column not in (lines.fieldnames or ()):
        raise DataError(
            f"data.drop: '{path}' has no column '{column}'",
            expected="ids of training rows, as `edgefair data clean -o` writes them",
        )
    ids = [plain_text(item or "") for item in row_ids(train).text()]
    unknown = sorted(named - set(ids))
    if unknown and ids:
        raise DataError(
            f"data.drop: '{path}' names {len(unknown):,} rows that do not train, for example "
            f"{', '.join(unknown[:NAMED])}",
            expected="training rows of this data, as data.split, data.keep and data.thin leave them",
            fix="run `edgefair data clean -o` again, without data.drop",
        )
    return np.array([item not in named for item in ids], dtype=bool)
