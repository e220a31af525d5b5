"""What `edgefair init` makes of a table and of what the user said of it: the keys of the `data:` section."""

from __future__ import annotations

import bisect
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgefair.data.files.csv_table import CsvConfig
from edgefair.data.files.readers import Choose, read_table
from edgefair.data.files.table import Column, Table
from edgefair.data.files.two_files import read_both
from edgefair.data.survey.columns import ColumnFacts
from edgefair.data.values import as_categories
from edgefair.errors import DataError, UsageError, did_you_mean
from edgefair.joint import split
from edgefair.mistakes import first_mistake
from edgefair.workflow.raw_data.obstacles import RawTable, check_table, role_of

# What takes the place of a missing number unless the file's owner says otherwise: an outlier does not move it.
STAND_IN = "median"


@dataclass(frozen=True)
class Draft:
    """What a file becomes.

    Attributes:
        keys: those that `DataConfig` takes.
        intersections: which to judge.
        remarks: what the file's owner must know of the choices, for people.
    """

    keys: dict[str, Any]
    intersections: list[tuple[str, ...]]
    remarks: tuple[str, ...] = ()


def from_table(path: Path, keys: Mapping[str, Any], *, base: Path) -> Draft:
    """The draft of a table.

    Args:
        base: folder that a relative `audit` starts from.

    Raises:
        DataError: the file cannot be used as it is: then all that is in the way.
    """
    audit = keys.get("audit")
    table = _read(path, keys, None if audit is None else base / audit)
    found = {key: value for key, value in keys.items() if key not in {"split", "bin"}}
    found["sensitive"], intersections = parted(keys["sensitive"], table.names)
    column = keys.get("split")
    if column is not None:
        found["split"] = {"column": column}
    bounds: Mapping[str, Sequence[int]] = keys.get("bin") or {}
    if bounds:
        found["merge"] = {name: _ranges(name, table, edges) for name, edges in bounds.items()}
    facts = check_table(table, found)
    if column is not None:
        found["split"] = _split(column, table.columns[column])
    remarks = []
    numbers, others = (
        [item for item in facts if item.missing and (item.kind == "numbers") == wanted] for wanted in (True, False)
    )
    if numbers:
        found["missing"] = STAND_IN
        remarks.append(
            f"missing numbers: the {STAND_IN} of the training rows is imputed, inside the exported file (data.missing; "
            f"or mean, or refuse): {_shares(numbers)}"
        )
    if others:
        remarks.append(f"missing texts are a category of their own: {_shares(others)}")
    classes = len(as_categories(table.columns[keys["label"]], keys["label"]).present)
    copies = [item.name for item in facts if item.is_label(classes)]
    if copies:
        found["exclude"] = [*(keys.get("exclude") or ()), *copies]
        remarks.append(
            f"the label in another form, and therefore excluded (data.exclude): {', '.join(map(_quoted, copies))}"
        )
    telling = [f"{_quoted(item.name)} {item.tells:.2f}" for item in facts if item.telling and item.name not in copies]
    if telling:
        remarks.append(
            f"each of these alone predicts the label (balanced accuracy): {', '.join(telling)}. What is "
            "recorded after the outcome is not a feature: add it to data.exclude"
        )
    return Draft(found, intersections, tuple(remarks))


def _shares(facts: Sequence[ColumnFacts]) -> str:
    """Columns with the share of the rows that have no value."""
    return ", ".join(f"{_quoted(item.name)} {item.missing / item.rows:.2%}" for item in facts)


def _quoted(name: str) -> str:
    """A name on one line, whatever is in it."""
    return json.dumps(name, ensure_ascii=False)


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


def _read(path: Path, keys: Mapping[str, Any], audit: Path | None) -> RawTable:
    """The columns that a model could see and those that are named, at once; where one cannot be read, one by one.

    Args:
        audit: the file of the audit rows, if they have their own.

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
        raise UsageError(f"--encoding: {first_mistake(error).why}") from error
    training: int | None = None

    def read(choose: Choose) -> Table:
        nonlocal training
        if audit is None:
            return read_table(path, choose, csv=csv)
        table, training = read_both(path, audit, choose, csv=csv)
        return table

    try:
        columns = dict(read(wanted).columns)
    except DataError:
        columns = {}
        for name in dict.fromkeys(wanted([*names])):
            try:
                columns |= read(lambda _, name=name: {name}).columns  # type: ignore[misc]
            except DataError as error:
                why = error.found.removeprefix(f"column '{name}' ").removeprefix(f"'{path}' has ")
                unreadable[name] = why if error.fix is None else f"{why}: {error.fix}"
        if not columns:
            raise
    return RawTable(path, tuple(dict.fromkeys(names)), columns, unreadable, training)


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
            f"--bin {name}: '{other}' is not a whole number",
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
