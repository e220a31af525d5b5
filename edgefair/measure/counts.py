"""Counts of decisions by group and label: everything a fairness verdict is a function of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgefair.errors import DataError, did_you_mean
from edgefair.files import write_atomic
from edgefair.joint import Group, group_name
from edgefair.probe.features import plain_text
from edgefair.probe.regular import read_regular

COUNTS_SCHEMA = "edgefair.counts/1"


class Coded(Protocol):
    """A column of text as codes into its distinct values (edgefair.data.files.table.Categories is one)."""

    @property
    def values(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def codes(self) -> NDArray[np.int32]: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class GroupCounts:
    """x[g, y, c]: rows of joint group g with label y and decision c.

    Counts are a monoid: `+` merges shards, batches and devices. Groups that have no row are not listed.

    Attributes:
        attributes: names of the sensitive attributes.
        groups: one value per attribute, for every joint group; sorted.
        classes: names of labels and decisions.
        table: int64 [groups, labels, decisions].
    """

    attributes: tuple[str, ...]
    groups: tuple[Group, ...]
    classes: tuple[str, ...]
    table: NDArray[np.int64]

    def __post_init__(self) -> None:
        _check(self.attributes, self.groups, self.classes, self.table, decisions=1)

    def __add__(self, other: GroupCounts) -> GroupCounts:
        """Merge two sets of rows.

        Raises:
            DataError: other attributes or classes.
        """
        groups, table = merge(self, other)
        return GroupCounts(self.attributes, groups, self.classes, table)

    def by(self, *attributes: str) -> GroupCounts:
        """The counts of the groups of some of the attributes, summed over the others.

        Raises:
            DataError: an attribute that was not counted, or one named twice.
        """
        groups, table = marginal(self, attributes)
        return GroupCounts(attributes, groups, self.classes, table)

    def where(self, attribute: str, *values: str) -> GroupCounts:
        """The counts of the groups that have one of the values.

        Raises:
            DataError: an attribute that was not counted, or a value that no group has.
        """
        groups, table = selected(self, attribute, values)
        return GroupCounts(self.attributes, groups, self.classes, table)

    @property
    def n(self) -> int:
        """Rows in total."""
        return int(self.table.sum())

    @classmethod
    def merge(cls, parts: Iterable[GroupCounts]) -> GroupCounts:
        """The counts of a stream of batches, or of shards, as if counted in one pass.

        Raises:
            DataError: no part at all, or parts of other attributes or classes.
        """
        stream = iter(parts)
        total = next(stream, None)
        if total is None:
            raise DataError("there are no counts to merge", expected="at least one part")
        for part in stream:
            total = total + part
        return total

    def save(self, path: Path) -> None:
        """Write the counts as JSON, whole or not at all."""
        write_atomic(path, json.dumps(self.to_json()).encode())

    @classmethod
    def load(cls, path: Path) -> GroupCounts:
        """Read what `save` wrote.

        Raises:
            DataError: not a file of counts.
        """
        try:
            content = json.loads(read_regular(path))
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"'{path}' holds no counts: {error}", expected=COUNTS_SCHEMA) from error
        return cls.from_json(content)

    @classmethod
    def from_rows(
        cls,
        attributes: Mapping[str, Coded | ArrayLike],
        *,
        label: ArrayLike,
        decision: ArrayLike,
        classes: Sequence[str],
    ) -> GroupCounts:
        """Count rows.

        Args:
            attributes: attribute -> its value in every row, coded or as text [rows].
            label: int [rows], index into `classes`.
            decision: int [rows], index into `classes`.
            classes: names of the classes.

        Raises:
            DataError: a missing group, or a label or decision that is not an index into the classes.
        """
        groups, table = count(attributes, [("label", label), ("decision", decision)], classes)
        return cls(tuple(attributes), groups, tuple(classes), table)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return counts_json(self, COUNTS_SCHEMA)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GroupCounts:
        """Read back what `to_json` wrote.

        Raises:
            DataError: another schema, or counts that are not whole numbers >= 0.
        """
        return cls(*parsed_counts(data, COUNTS_SCHEMA))


class Table(Protocol):
    """Counts [groups, ...] of any depth: GroupCounts and PairedCounts."""

    @property
    def attributes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def groups(self) -> tuple[Group, ...]: ...  # noqa: D102
    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def table(self) -> NDArray[np.int64]: ...  # noqa: D102


def counts_json(counts: Table, schema: str) -> dict[str, Any]:
    """Counts as plain JSON types."""
    return {
        "schema": schema,
        "attributes": list(counts.attributes),
        "groups": [list(group) for group in counts.groups],
        "classes": list(counts.classes),
        "table": counts.table.tolist(),
    }


def parsed_counts(
    data: Mapping[str, Any], schema: str
) -> tuple[tuple[str, ...], tuple[Group, ...], tuple[str, ...], NDArray[np.int64]]:
    """Attributes, groups, classes and table of what `counts_json` made.

    Raises:
        DataError: another schema, or counts that are not whole numbers >= 0.
    """
    if not isinstance(data, Mapping) or data.get("schema") != schema:
        raise DataError("not counts: another schema or none", expected=schema)
    try:
        attributes, classes = (tuple(str(name) for name in data[key]) for key in ("attributes", "classes"))
        groups = tuple(tuple(str(value) for value in group) for group in data["groups"])
        table = whole_numbers(data["table"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"these are no counts: {error!r}", expected=schema) from error
    return attributes, groups, classes, table


def count(
    attributes: Mapping[str, Coded | ArrayLike], axes: Iterable[tuple[str, ArrayLike]], classes: Sequence[str]
) -> tuple[tuple[Group, ...], NDArray[np.int64]]:
    """Groups that have rows, and their counts int64 [groups, classes, ...], one axis of classes per entry of `axes`."""
    if not attributes:
        raise DataError("no sensitive attribute to count by", expected="at least one")
    columns = [index_of(name, values, len(classes)) for name, values in axes]
    coded = [_coded(name, column) for name, column in attributes.items()]
    lengths = {len(codes) for _, codes in coded} | {len(column) for column in columns}
    if len(lengths) != 1:
        raise DataError(f"columns of unequal length: {sorted(lengths)} rows")
    cell = np.zeros(lengths.pop(), dtype=np.int64)
    for values, codes in coded:
        cell *= len(values)
        cell += codes
    joint_size = int(np.prod([len(values) for values, _ in coded], dtype=np.int64))
    if joint_size > 4 * len(cell) + 4096:
        present, cell = np.unique(cell, return_inverse=True)
    else:
        present = np.arange(joint_size)
    for column in columns:
        cell = cell * len(classes) + column
    shape = (len(present), *[len(classes)] * len(columns))
    table = np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape)
    filled = np.flatnonzero(table.reshape(len(present), -1).any(axis=1))
    names = [_name(int(present[index]), [values for values, _ in coded]) for index in filled]
    order = sorted(range(len(names)), key=names.__getitem__)
    return tuple(names[index] for index in order), table[filled[order]].astype(np.int64)


def merge(one: Table, other: Table) -> tuple[tuple[Group, ...], NDArray[np.int64]]:
    """Groups of both and their summed counts."""
    for what in ("attributes", "classes"):
        if getattr(one, what) != getattr(other, what):
            raise DataError(
                f"counts of different {what} cannot be added: {getattr(one, what)} and {getattr(other, what)}"
            )
    groups = tuple(sorted({*one.groups, *other.groups}))
    table = np.zeros((len(groups), *one.table.shape[1:]), dtype=np.int64)
    for part in (one, other):
        table[[groups.index(group) for group in part.groups]] += part.table
    return groups, table


def marginal(counts: Table, attributes: Sequence[str]) -> tuple[tuple[Group, ...], NDArray[np.int64]]:
    """Groups of some attributes and their counts, summed over the other attributes."""
    if len(set(attributes)) != len(attributes) or not attributes:
        raise DataError(f"attributes {list(attributes)}: name each once")
    for name in attributes:
        if name not in counts.attributes:
            raise DataError(
                f"attribute '{name}' was not counted{did_you_mean(name, counts.attributes)}",
                expected=f"one of {', '.join(counts.attributes)}",
            )
    chosen = [counts.attributes.index(name) for name in attributes]
    projected = [tuple(group[index] for index in chosen) for group in counts.groups]
    groups = tuple(sorted(set(projected)))
    position = {group: index for index, group in enumerate(groups)}
    table = np.zeros((len(groups), *counts.table.shape[1:]), dtype=np.int64)
    np.add.at(table, [position[group] for group in projected], counts.table)
    return groups, table


def selected(counts: Table, attribute: str, values: Sequence[str]) -> tuple[tuple[Group, ...], NDArray[np.int64]]:
    """Groups with one of the values of an attribute, and their counts."""
    if attribute not in counts.attributes:
        raise DataError(
            f"attribute '{attribute}' was not counted{did_you_mean(attribute, counts.attributes)}",
            expected=f"one of {', '.join(counts.attributes)}",
        )
    position = counts.attributes.index(attribute)
    known = {group[position] for group in counts.groups}
    for value in values:
        if value not in known:
            raise DataError(
                f"no group has {attribute} '{value}'{did_you_mean(value, known)}",
                expected=f"one of {', '.join(sorted(known))}",
            )
    chosen = [index for index, group in enumerate(counts.groups) if group[position] in values]
    return tuple(counts.groups[index] for index in chosen), counts.table[chosen]


def whole_numbers(table: Any) -> NDArray[np.int64]:
    """Counts as int64.

    Raises:
        DataError: negative, fractional, NaN or too large.
    """
    array = np.asarray(table)
    if array.dtype.kind not in "iuf" or (array.size and not bool(np.all((array >= 0) & (array == np.floor(array))))):
        raise DataError("counts must be whole numbers of rows, 0 or more", expected="for example [[90, 10], [20, 80]]")
    return array.astype(np.int64)


def index_of(name: str, values: ArrayLike, classes: int) -> NDArray[np.int64]:
    """A column of class indices, checked: int64 [rows].

    Raises:
        DataError: not whole numbers, or outside the classes.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"{name} has shape {array.shape}", expected="[rows]")
    if array.dtype.kind not in "iub" and not (array.dtype.kind == "f" and bool(np.all(array == np.floor(array)))):
        raise DataError(f"{name} holds {array.dtype} values that are no class index", expected="whole numbers")
    index = array.astype(np.int64)
    if len(index) and (index.min() < 0 or index.max() >= classes):
        raise DataError(f"{name} holds {index.min()} to {index.max()}", expected=f"0 to {classes - 1}")
    return index


def _coded(name: str, column: Coded | ArrayLike) -> tuple[tuple[str, ...], NDArray[np.integer[Any]]]:
    if hasattr(column, "values") and hasattr(column, "codes"):
        values, codes = tuple(column.values), np.asarray(column.codes)
    else:
        array = np.asarray(column)
        if array.dtype.kind == "U" and not isinstance(column, np.ndarray):
            # Arrays of text end at a NUL, and so make one group of two.
            array = np.asarray(column, dtype=object)
        values, codes = _encode_text(name, array)
    missing = int(np.count_nonzero(codes < 0))
    if missing:
        raise DataError(f"attribute '{name}' has no value in {missing} rows", expected="a group for every row")
    return values, codes


def _encode_text(name: str, array: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    if array.ndim != 1:
        raise DataError(f"attribute '{name}' has shape {array.shape}", expected="[rows]")
    if array.dtype.kind == "f":
        raise DataError(f"attribute '{name}' holds fractions", expected="text or whole numbers")
    if array.dtype.kind in "OUS":
        items = array.tolist()
        values, codes = _distinct(items)
        if not all(isinstance(value, str) for value in values):
            values, codes = _distinct([_text(name, item) for item in items])
        # In the spelling that the policy has them in.
        texts, position = _distinct([plain_text(str(value)) for value in values])
        return texts, position[codes]
    unique, inverse = np.unique(array, return_inverse=True)
    return tuple(str(item) for item in unique.tolist()), inverse.astype(np.int64)


def _distinct(items: list[Any]) -> tuple[tuple[Any, ...], NDArray[np.int64]]:
    """The distinct items in the order of their first rows, and every row's."""
    index: dict[Any, int] = {}
    codes = np.fromiter((index.setdefault(item, len(index)) for item in items), dtype=np.int64, count=len(items))
    return tuple(index), codes


def _text(attribute: str, item: Any) -> str:
    """The text of a value, which is the group: 1 and "1" are one group, 1 and True are two, as when a table is read."""
    if item is None or item != item:  # noqa: PLR0124
        raise DataError(f"attribute '{attribute}' has rows without a value", expected="a group for every row")
    try:
        return item.decode() if isinstance(item, bytes) else str(item)
    except UnicodeDecodeError as error:
        raise DataError(f"attribute '{attribute}' holds {item!r}", expected="text in UTF-8") from error


def _name(code: int, values: list[tuple[str, ...]]) -> Group:
    parts = []
    for names in reversed(values):
        code, position = divmod(code, len(names))
        parts.append(names[position])
    return tuple(reversed(parts))


def _check(
    attributes: tuple[str, ...], groups: tuple[Group, ...], classes: tuple[str, ...], table: Any, *, decisions: int
) -> None:
    if len(set(attributes)) != len(attributes) or not attributes:
        raise DataError(f"attributes {list(attributes)}: name each once")
    if any(len(group) != len(attributes) for group in groups):
        raise DataError("a group needs one value per attribute")
    if not all(isinstance(value, str) for group in groups for value in group):
        raise DataError("a group's value is no text", expected="for example [['Female', 'old'], ['Male', 'old']]")
    twice = [group for group, uses in Counter(groups).items() if uses > 1]
    if twice:
        raise DataError(f"group '{group_name(twice[0])}' is named twice", expected="one row of counts per group")
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise DataError(f"classes {list(classes)}: at least two, each named once")
    shape = (len(groups), *[len(classes)] * (1 + decisions))
    if not isinstance(table, np.ndarray) or table.dtype != np.int64 or table.shape != shape:
        raise DataError(f"counts have shape {np.shape(table)}", expected=f"int64 {shape}")
    if table.size and table.min() < 0:
        raise DataError("counts must be whole numbers of rows, 0 or more")
