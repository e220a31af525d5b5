"""Who is in the data: groups x labels, with counts and base rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgefair.data.dataset import DataSet
from edgefair.data.files.skipped import Skipped
from edgefair.data.groups import joint_groups
from edgefair.data.rows import Rows
from edgefair.data.survey.columns import ColumnFacts, facts_over
from edgefair.errors import DataError, did_you_mean
from edgefair.joint import group_name

DATA_SCHEMA = "edgefair.data/1"


@dataclass(frozen=True, eq=False)
class Cells:
    """n[g, y]: rows of group g with label y.

    Attributes:
        attributes: sensitive attributes whose joint groups are counted.
        groups: names of the groups that have rows, sorted ("Female*Black").
        classes: names of the labels.
        counts: int64 [groups, labels].
    """

    attributes: tuple[str, ...]
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    counts: NDArray[np.int64]

    @property
    def base_rates(self) -> NDArray[np.float64]:
        """P(y | g) = n[g, y] / n[g], float64 [groups, labels]; every listed group has a row."""
        rates: NDArray[np.float64] = self.counts / self.counts.sum(axis=1, keepdims=True)
        return rates


@dataclass(frozen=True)
class Summary:
    """A data set at a glance.

    Attributes:
        source: where the rows come from.
        features: columns that a model may see, and what they hold in all splits.
        rows: split -> number of rows.
        cells: split -> the cells of every sensitive attribute.
        skipped: rows and files that were left out.
        poorer: what was done to training and validation rows on purpose, in words.
    """

    schema: ClassVar[str] = DATA_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.data"

    source: str
    features: tuple[ColumnFacts, ...]
    rows: dict[str, int]
    cells: dict[str, tuple[Cells, ...]]
    skipped: tuple[Skipped, ...] = ()
    poorer: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "schema": DATA_SCHEMA,
            "source": self.source,
            "features": [item.name for item in self.features],
            "columns": [{**asdict(item), "remark": item.remark} for item in self.features],
            "skipped": [
                {
                    "reason": item.reason,
                    "count": item.count,
                    "examples": list(item.examples),
                    "were_rows": item.were_rows,
                }
                for item in self.skipped
            ],
            "poorer": list(self.poorer),
            "splits": {
                split: {
                    "rows": self.rows[split],
                    "cells": [
                        {
                            "attributes": list(item.attributes),
                            "classes": list(item.classes),
                            "groups": dict(zip(item.groups, item.counts.tolist(), strict=True)),
                        }
                        for item in cells
                    ],
                }
                for split, cells in self.cells.items()
            },
        }


def cells(rows: Rows, attributes: Sequence[str], *, classes: tuple[str, ...]) -> Cells:
    """Count the rows of every joint group of the attributes by label.

    Raises:
        DataError: an attribute that is not sensitive in this data, or none at all.
    """
    if not attributes:
        raise DataError("no sensitive attribute is given", expected=f"some of {', '.join(rows.sensitive)}")
    for name in attributes:
        if name not in rows.sensitive:
            raise DataError(
                f"'{name}' is not a sensitive attribute of this data{did_you_mean(name, rows.sensitive)}",
                expected=f"one of {', '.join(rows.sensitive)}",
                fix="add it to data.sensitive",
            )
    group, groups = joint_groups(rows.sensitive, attributes)
    counts = np.bincount(group * len(classes) + rows.label, minlength=len(groups) * len(classes))
    names = tuple(map(group_name, groups))
    return Cells(tuple(attributes), names, classes, counts.reshape(len(groups), len(classes)).astype(np.int64))


def describe(data: DataSet) -> Summary:
    """Rows, features, groups, labels and base rates of every split that was loaded."""
    label = np.concatenate([rows.label for rows in data.splits.values()])
    return Summary(
        source=data.source,
        features=tuple(
            facts_over(name, [rows.table.columns[name] for rows in data.splits.values()], label, len(data.classes))
            for name in data.features
        ),
        rows={role: len(rows) for role, rows in data.splits.items()},
        cells={
            role: tuple(cells(rows, (name,), classes=data.classes) for name in rows.sensitive)
            for role, rows in data.splits.items()
        },
        skipped=data.skipped,
        poorer=data.poorer,
    )
