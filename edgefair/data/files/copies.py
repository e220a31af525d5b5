"""Columns that are in a file several times under one name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgefair.errors import DataError

if TYPE_CHECKING:
    import pyarrow


def twice(names: list[str], wanted: Collection[str]) -> list[str]:
    """The wanted columns whose name stands more than once in the header."""
    return [name for name, count in Counter(names).items() if count > 1 and name in wanted]


def check_copies(path: Path, table: pyarrow.Table, names: list[str]) -> None:
    """Columns of one name are one where every cell is equal, as a join leaves them; refuse others.

    Args:
        table: every column of the file, as text.
        names: those that are there several times.
    """
    differ = {}
    for name in names:
        first, *others = (table.column(at) for at, other in enumerate(table.column_names) if other == name)
        if not all(first.equals(other) for other in others):
            differ[name] = 1 + len(others)
    check_once(path, differ)


def check_once(path: Path, times: Mapping[str, int]) -> None:
    """Refuse columns that are there several times."""
    if times:
        listed = ", ".join(f"{count} columns named '{name}'" for name, count in times.items())
        raise DataError(
            f"'{path}' has {listed}",
            expected="one of each name, or the same in every row of both",
            fix="rename them in the file's header, or exclude them with data.exclude",
        )
