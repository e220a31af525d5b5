"""A table of counts by group: what counts of one model and of two have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.errors import DataError, did_you_mean
from edgefair.joint import Group, group_name


@dataclass(frozen=True, eq=False)
class CountTable:
    """Rows by joint group, label and decisions.

    Counts are a monoid: `+` merges shards, batches and devices. Groups that have no row are not listed.

    Attributes:
        attributes: names of the sensitive attributes.
        groups: one value per attribute, for every joint group; sorted.
        classes: names of labels and decisions.
        table: int64 [groups, labels, decisions...], one axis for the decisions of each model.
    """

    SCHEMA: ClassVar[str]
    MODELS: ClassVar[int]

    attributes: tuple[str, ...]
    groups: tuple[Group, ...]
    classes: tuple[str, ...]
    table: NDArray[np.int64]

    def __post_init__(self) -> None:
        attributes, groups, classes, table = self.attributes, self.groups, self.classes, self.table
        if len(set(attributes)) != len(attributes) or not attributes:
            raise DataError(f"attributes {list(attributes)}: list each once")
        if any(len(group) != len(attributes) for group in groups):
            raise DataError("a group needs one value per attribute")
        if not all(isinstance(value, str) for group in groups for value in group):
            raise DataError("a group's value is not text", expected="for example [['Female', 'old'], ['Male', 'old']]")
        twice = [group for group, uses in Counter(groups).items() if uses > 1]
        if twice:
            raise DataError(f"group '{group_name(twice[0])}' is listed twice", expected="one row of counts per group")
        if len(set(classes)) != len(classes) or len(classes) < 2:
            raise DataError(f"classes {list(classes)}: at least two, each named once")
        shape = (len(groups), *[len(classes)] * (1 + self.MODELS))
        if not isinstance(table, np.ndarray) or table.dtype != np.int64 or table.shape != shape:
            raise DataError(f"counts have shape {np.shape(table)}", expected=f"int64 {shape}")
        if table.size and table.min() < 0:
            raise DataError("counts must be whole numbers of rows, 0 or more")

    def __add__(self, other: Self) -> Self:
        """Merge two sets of rows.

        Raises:
            DataError: other attributes or classes.
        """
        for what in ("attributes", "classes"):
            if getattr(self, what) != getattr(other, what):
                raise DataError(
                    f"counts of different {what} cannot be added: {getattr(self, what)} and {getattr(other, what)}"
                )
        groups = tuple(sorted({*self.groups, *other.groups}))
        table = np.zeros((len(groups), *self.table.shape[1:]), dtype=np.int64)
        for part in (self, other):
            table[[groups.index(group) for group in part.groups]] += part.table
        return type(self)(self.attributes, groups, self.classes, table)

    def by(self, *attributes: str) -> Self:
        """The counts of the groups of some of the attributes, summed over the others.

        Raises:
            DataError: an attribute that was not counted, or one named twice.
        """
        if len(set(attributes)) != len(attributes) or not attributes:
            raise DataError(f"attributes {list(attributes)}: list each once")
        chosen = [self._position(name) for name in attributes]
        projected = [tuple(group[index] for index in chosen) for group in self.groups]
        groups = tuple(sorted(set(projected)))
        position = {group: index for index, group in enumerate(groups)}
        table = np.zeros((len(groups), *self.table.shape[1:]), dtype=np.int64)
        np.add.at(table, [position[group] for group in projected], self.table)
        return type(self)(attributes, groups, self.classes, table)

    def where(self, attribute: str, *values: str) -> Self:
        """The counts of the groups that have one of the values.

        Raises:
            DataError: an attribute that was not counted, or a value that no group has.
        """
        position = self._position(attribute)
        known = {group[position] for group in self.groups}
        for value in values:
            if value not in known:
                raise DataError(
                    f"no group has {attribute} '{value}'{did_you_mean(value, known)}",
                    expected=f"one of {', '.join(sorted(known))}",
                )
        chosen = [index for index, group in enumerate(self.groups) if group[position] in values]
        return type(self)(
            self.attributes, tuple(self.groups[index] for index in chosen), self.classes, self.table[chosen]
        )

    @property
    def n(self) -> int:
        """Rows in total."""
        return int(self.table.sum())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "schema": self.SCHEMA,
            "attributes": list(self.attributes),
            "groups": [list(group) for group in self.groups],
            "classes": list(self.classes),
            "table": self.table.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            DataError: another schema, or counts that are not whole numbers >= 0.
        """
        if not isinstance(data, Mapping) or data.get("schema") != cls.SCHEMA:
            raise DataError("not counts: another schema or none", expected=cls.SCHEMA)
        try:
            attributes, classes = (tuple(str(name) for name in data[key]) for key in ("attributes", "classes"))
            groups = tuple(tuple(str(value) for value in group) for group in data["groups"])
            table = _whole_numbers(data["table"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"these are no counts: {error!r}", expected=cls.SCHEMA) from error
        return cls(attributes, groups, classes, table)

    def _position(self, attribute: str) -> int:
        if attribute not in self.attributes:
            raise DataError(
                f"attribute '{attribute}' was not counted{did_you_mean(attribute, self.attributes)}",
                expected=f"one of {', '.join(self.attributes)}",
            )
        return self.attributes.index(attribute)


def _whole_numbers(table: Any) -> NDArray[np.int64]:
    """Counts as int64.

    Raises:
        DataError: negative, fractional, NaN or too large.
    """
    array = np.asarray(table)
    if array.dtype.kind not in "iuf" or (array.size and not bool(np.all((array >= 0) & (array == np.floor(array))))):
        raise DataError("counts must be whole numbers of rows, 0 or more", expected="for example [[90, 10], [20, 80]]")
    return array.astype(np.int64)
