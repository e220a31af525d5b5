"""What stands in the way of using a table: everything at once, with what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgefair.data.files.table import Categories, Column, Table
from edgefair.data.survey.columns import ColumnFacts
from edgefair.data.values import as_categories
from edgefair.errors import DataError, did_you_mean
from edgefair.workflow.raw_data.alike import alike
from edgefair.workflow.raw_data.doubts import Obstacle, doubts, facts_beside, telling

# More groups of one attribute than this are values, not groups: nearly every pair of them could only be INCONCLUSIVE.
MOST_GROUPS = 20
# Values of a split column that need no explanation, in lower case.
ROLES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "audit": ("audit", "test", "testing", "holdout"),
}
# Values that a message lists.
SHOWN = 8


class ObstaclesError(DataError):
    """Everything that stands in the way of using a file."""

    def __init__(self, source: str, obstacles: list[Obstacle]) -> None:
        exclude = [item.exclude for item in obstacles if item.exclude is not None]
        flags = " ".join(f"--exclude {shlex.quote(name)}" for name in exclude)
        super().__init__(
            f"'{source}' cannot be used as is: {len(obstacles)} "
            f"{'thing stands' if len(obstacles) == 1 else 'things stand'} in the way",
            fix=f"add {flags}, or fix these columns" if exclude else None,
        )
        self._listed = tuple(f"  {item.found}" for item in obstacles)

    @property
    def lines(self) -> tuple[str, ...]:
        """What was found, an obstacle a line, and the fix."""
        found, *rest = super().lines
        return (found, *self._listed, *rest)


@dataclass(frozen=True, eq=False)
class RawTable:
    """A file as it is.

    Attributes:
        names: all of its columns.
        columns: those that can be read and are not excluded.
        unreadable: those that cannot, and why.
        training: how many rows come before those of an audit file; None without one.
    """

    path: Path
    names: tuple[str, ...]
    columns: Mapping[str, Column]
    unreadable: Mapping[str, str]
    training: int | None = None


def check_table(table: RawTable, section: Mapping[str, Any]) -> tuple[ColumnFacts, ...]:
    """What the features of a table hold; refuses a table with everything in it that the config could not use.

    Args:
        section: keys of `data:`: label, positive, sensitive, exclude, id, subject, split, merge, equal_rows, picture,
            text.

    Raises:
        ObstaclesError: see its lines.
    """
    columns = table.columns
    split = (section.get("split") or {}).get("column")
    named = {section["label"], *section["sensitive"], section.get("id"), section.get("subject"), split}
    merged = section.get("merge") or {}
    obstacles = [*_absent(section, table)]
    obstacles += [_unreadable(name, why, named=name in named) for name, why in table.unreadable.items()]
    if section["label"] in columns:
        obstacles += _label(section, columns[section["label"]])
        obstacles += _other_labels(section, columns[section["label"]], table)
    for name in section["sensitive"]:
        if name in columns:
            obstacles += _sensitive(name, columns[name], binned=name in merged)
    obstacles += [*_identity(section, columns), *_split(section, columns)]
    tabular = not (section.get("picture") or section.get("text"))
    labels = _categories(section["label"], columns[section["label"]]) if section["label"] in columns else None
    told = labels if isinstance(labels, Categories) else None
    facts = [facts_beside(told, name, columns[name]) for name in columns if tabular and name not in named]
    doubtful = [(item.name, found) for item in facts for found in doubts(item)]
    left_out = {name for name, _ in doubtful}
    features = tuple(item for item in facts if item.name not in left_out)
    if tabular and "equal_rows" not in section and _comparable(section, columns):
        # With a file of their own those of the audit alone are judged.
        judged = Table(columns).take(np.arange(table.training or 0, len(columns[section["label"]])))
        asked = alike(section, judged.columns, [item.name for item in features])
        obstacles += [] if asked is None else [Obstacle(asked)]
    obstacles += [found for _, found in doubtful]
    if obstacles:
        # By itself no reason to refuse, for some features are that good; but who must answer anyway is told.
        obstacles += [telling(item) for item in features if item.telling]
        raise ObstaclesError(str(section["source"]), obstacles)
    return features


def _comparable(section: Mapping[str, Any], columns: Mapping[str, Column]) -> bool:
    """Whether label and groups are there, and are text or whole numbers of few values."""
    names = [section["label"], *section["sensitive"]]
    if not all(name in columns for name in names):
        return False
    labels = _categories(section["label"], columns[section["label"]])
    groups = [_categories(name, columns[name]) for name in section["sensitive"]]
    return isinstance(labels, Categories) and all(isinstance(item, Categories) for item in groups)


def too_many_groups(name: str, present: tuple[str, ...]) -> Obstacle | None:
    """A sensitive column that has values rather than groups."""
    if len(present) <= MOST_GROUPS:
        return None
    hint = f"merge them with data.merge, or leave '{name}' out of --sensitive"
    if all(value.lstrip("-").isdigit() for value in present):
        ordered = sorted(map(int, present))
        edges = sorted({ordered[len(ordered) * part // 4] for part in (1, 2, 3)})
        hint = f"bin it: --bin {name}={','.join(map(str, edges))}, with meaningful bounds"
    return Obstacle(f"sensitive '{name}' has {len(present)} values, more than {MOST_GROUPS} groups: {hint}")


def _absent(section: Mapping[str, Any], table: RawTable) -> Iterator[Obstacle]:
    split = (section.get("split") or {}).get("column")
    asked = [section["label"], *section["sensitive"], *(section.get("exclude") or ())]
    asked += [section.get(key) for key in ("id", "subject", "picture", "text")] + [split]
    for name in dict.fromkeys(item for item in asked if item is not None):
        if name not in table.names:
            near = did_you_mean(name, table.names)
            yield Obstacle(f"no column '{name}' in '{table.path.name}'{near}: it has {_some(table.names)}")


def _unreadable(name: str, why: str, *, named: bool) -> Obstacle:
    if why.partition(":")[0].endswith(f"columns named '{name}'"):
        return Obstacle(
            f"there are {why.partition(':')[0]}, and they differ: rename them in the file's header",
            None if named else name,
        )
    return Obstacle(f"'{name}' {why}", None if named else name)


def _label(section: Mapping[str, Any], column: Column) -> Iterator[Obstacle]:
    name, positive = section["label"], section.get("positive")
    labels = _categories(name, column)
    if isinstance(labels, Obstacle):
        yield labels
        return
    if labels.missing():
        yield Obstacle(f"label '{name}' is empty in {labels.missing():,} rows: remove these rows")
    present = labels.present
    if len(present) < 2:
        yield Obstacle(f"label '{name}' has only one value: {_some(present)}")
    elif positive is not None and positive not in present:
        yield Obstacle(f"label '{name}' is never '{positive}'{did_you_mean(positive, present)}: it is {_some(present)}")
    elif positive is None and len(present) == 2:
        yield Obstacle(
            f"label '{name}' is {_some(present)}: specify which one is class 1, as --positive '{present[1]}'"
        )
    elif positive is not None and len(present) > 2:
        yield Obstacle(
            f"label '{name}' has {len(present)} values, and --positive needs two: {_some(present)}. Omit it, or "
            "write a column of two values"
        )


def _other_labels(section: Mapping[str, Any], column: Column, table: RawTable) -> Iterator[Obstacle]:
    """Labels that the audit file writes, and the file of the training rows does not."""
    labels = _categories(section["label"], column)
    if table.training is None or isinstance(labels, Obstacle):
        return
    rows = np.arange(len(labels))
    known = labels.take(rows[: table.training]).present
    other = [value for value in labels.take(rows[table.training :]).present if value not in known]
    if other:
        yield Obstacle(
            f"label '{section['label']}' is {_some(other)} in '{section['audit']}' alone, and {_some(known)} in "
            f"'{table.path.name}': use the same values in both files"
        )


def _sensitive(name: str, column: Column, *, binned: bool) -> Iterator[Obstacle]:
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        known = column[~np.isnan(column)]
        if len(known) < len(column):
            yield _no_group(name, len(column) - len(known))
        if bool((known != np.round(known)).any()):
            yield Obstacle(
                f"sensitive '{name}' holds fractions: write a column of ranges, as '30 to 44', into the file"
            )
            return
        column = known.astype(np.int64)
    groups = _categories(name, column)
    if isinstance(groups, Obstacle):
        yield groups
        return
    if groups.missing():
        yield _no_group(name, groups.missing())
    if len(groups.present) < 2:
        yield Obstacle(
            f"sensitive '{name}' has only one value: {_some(groups.present)}; there is no group to compare it with"
        )
    many = too_many_groups(name, groups.present)
    if many is not None and not binned:
        yield many


def _no_group(name: str, rows: int) -> Obstacle:
    return Obstacle(
        f"sensitive '{name}' is empty in {rows:,} rows: write a value such as 'unknown' into them, so that these "
        "people are counted, or remove them and document it"
    )


def _identity(section: Mapping[str, Any], columns: Mapping[str, Column]) -> Iterator[Obstacle]:
    name = section.get("id")
    if name is None or name not in columns:
        return
    ids = _categories(name, columns[name])
    if isinstance(ids, Obstacle):
        yield ids
    elif len(ids.present) < len(ids):
        yield Obstacle(
            f"id '{name}' has {len(ids.present):,} different values in {len(ids):,} rows: if it identifies a "
            f"person with several rows, use --subject {name}"
        )


def role_of(value: str) -> str | None:
    """What a value of a split column says by its name: `train`, `validation` or `audit`."""
    return next((role for role, names in ROLES.items() if value.lower() in names), None)


def _split(section: Mapping[str, Any], columns: Mapping[str, Column]) -> Iterator[Obstacle]:
    name = (section.get("split") or {}).get("column")
    if name is None or name not in columns:
        return
    values = _categories(name, columns[name])
    if isinstance(values, Obstacle):
        yield values
        return
    roles = [role_of(value) for value in values.present]
    if not {"train", "audit"} <= set(roles) or None in roles or values.missing():
        yield Obstacle(
            f"split '{name}' is {_some(values.present)}"
            + (f", and empty in {values.missing():,} rows" if values.missing() else "")
            + ": its values must be train, validation or test, with both train and test. Rename the values; or "
            "omit --split, and list them under data.split by hand"
        )


def _categories(name: str, column: Column) -> Categories | Obstacle:
    try:
        return as_categories(column, name)
    except DataError as error:
        return Obstacle(error.found)


def _some(values: Iterable[str]) -> str:
    # Blanks around a value are a part of it, and seen in quotes alone.
    listed = [value if value == value.strip() else f"'{value}'" for value in values]
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more
