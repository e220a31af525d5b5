"""What `edgefair init` makes of a table and of what the user said of it: the keys of the `data:` section."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgefair.data.files.csv_table import CsvConfig
from edgefair.data.files.readers import read_table
from edgefair.data.files.table import Column
from edgefair.data.sources import as_categories
from edgefair.errors import DataError, UsageError, did_you_mean
from edgefair.joint import split
from edgefair.workflow.raw_data.obstacles import RawTable, check_table, role_of


def from_table(path: Path, keys: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
    """The keys that `DataConfig` takes, and the intersections to judge.

    Raises:
        DataError: the file cannot be used as it is: then all that is in the way.
    """
    table = _read(path, keys)
    found = {key: value for key, value in keys.items() if key not in {"split", "bin"}}
    found["sensitive"], intersections = parted(keys["sensitive"], table.names)
    column = keys.get("split")
    if column is not None:
        found["split"] = {"column": column}
    bounds: Mapping[str, Sequence[int]] = keys.get("bin") or {}
    if bounds:
        found["merge"] = {name: _ranges(name, table, edges) for name, edges in bounds.items()}
    check_table(table, found)
    if column is not None:
        found["split"] = _split(column, table.columns[column])
    return found, intersections


def parted(sensitive: Iterable[str], columns: Iterable[str]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Columns, each once, and intersections. A name that a column has is that column, whatever is in it."""
    known = set(columns)
    singles: list[str] = []
    intersections: list[tuple[str, ...]] = []
    for name in sensitive:
        parts = (name,) if name in known else split(name)
        if len(parts) > 1:
            intersections.append(parts)
        singles += parts
    return list(dict.fromkeys(singles)), list(dict.fromkeys(intersections))


def _read(path: Path, keys: Mapping[str, Any]) -> RawTable:
    """The columns that a model could see and those that are named, at once; where one cannot be read, one by one.

    Raises:
        DataError: none can be.
        UsageError: an encoding that there is not.
    """
    exclude = {keys.get("picture"), *(keys.get("exclude") or ())}
    names: list[str] = []
    columns: dict[str, Column]
    unreadable: dict[str, str] = {}

    def wanted(found: list[str]) -> list[str]:
        names[:] = found
        if keys.get("picture") or keys.get("text"):
            sensitive, _ = parted(keys["sensitive"], found)
            named = {*sensitive, *(keys.get(key) for key in ("label", "text", "id", "subject", "split"))}
            return [name for name in found if name in named - exclude]
        return [name for name in found if name not in exclude]

    try:
        csv = CsvConfig.model_validate(keys.get("csv") or {})
    except ValidationError as error:
        raise UsageError(f"--encoding: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
    try:
        columns = dict(read_table(path, wanted, csv=csv).columns)
    except DataError:
        columns = {}
        for name in wanted([*names]):
            try:
                columns |= read_table(path, lambda _, name=name: {name}, csv=csv).columns  # type: ignore[misc]
            except DataError as error:
                why = error.found.removeprefix(f"column '{name}' ")
                unreadable[name] = why if error.fix is None else f"{why}: {error.fix}"
        if not columns:
            raise
    return RawTable(path, tuple(names), columns, unreadable)


def _ranges(name: str, table: RawTable, edges: Sequence[int]) -> dict[str, list[str]]:
    """New value -> the values of a column of whole numbers that it stands for: below, between and from the bounds on.

    Raises:
        UsageError: it has something else than whole numbers.
    """
    if name not in table.columns:
        raise UsageError(f"--bin {name}: no such column{did_you_mean(name, table.names)}")
    numbers = {text: _whole(text) for text in as_categories(table.columns[name], name).present}
    other = next((text for text, number in numbers.items() if number is None), None)
    if other is not None:
        raise UsageError(
            f"--bin {name}: '{other}' is no whole number",
            fix="write a column of ranges into the file, and name that one",
        )
    bounds = sorted(set(edges))
    said = [f"below {bounds[0]}"]
    said += [f"{low} to {high - 1}" for low, high in itertools.pairwise(bounds)]
    said.append(f"{bounds[-1]} and more")
    found: dict[str, list[str]] = {}
    for text, number in sorted(numbers.items(), key=lambda item: item[1] or 0):
        found.setdefault(said[bisect.bisect_right(bounds, number or 0)], []).append(text)
    return found


def _whole(text: str) -> int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def _split(name: str, column: Column) -> dict[str, Any]:
    """Which values of a split column train, validate and audit, by their names."""
    found: dict[str, Any] = {"column": name}
    for value in as_categories(column, name).present:
        found.setdefault(role_of(value) or "unused", []).append(value)
    return found
