"""Samples of every (group, label) cell, for people to look at."""

from __future__ import annotations

import numpy as np

from edgefair.data.dataset import DataSet, Role
from edgefair.data.files.lazy import LazyColumn
from edgefair.data.groups import joint_groups
from edgefair.data.texts import Texts
from edgefair.errors import UsageError, did_you_mean
from edgefair.probe.onnx_files.spec import InputSpec, PictureSpec
from edgefair.report.charts.contact_sheet import SheetCell

SIDE = 64


def picture_samples(data: DataSet, attribute: str, *, role: Role, each: int) -> tuple[SheetCell, ...]:
    """Up to `each` pictures of every cell, spread evenly over its rows: the same ones in every run.

    Raises:
        UsageError: the data holds no pictures, or has no such attribute.
        DataError: a picture that cannot be decoded.
    """
    rows = data.splits[role]
    column = rows.table.columns[data.features[0]]
    if not isinstance(column, LazyColumn) or isinstance(column, Texts):
        raise UsageError("a contact sheet needs pictures, and this data has none", fix="omit --sheet")
    if attribute not in rows.sensitive:
        raise UsageError(
            f"'{attribute}' is not a sensitive attribute of this data{did_you_mean(attribute, rows.sensitive)}",
            expected=f"one of {', '.join(rows.sensitive)}",
        )
    spec = InputSpec("picture", "uint8", picture=PictureSpec(data.features[0], SIDE, SIDE))
    group, groups = joint_groups(rows.sensitive, [attribute])
    cells = []
    for g, (name,) in enumerate(groups):
        for y, label in enumerate(data.classes):
            members = np.flatnonzero((group == g) & (rows.label == y))
            chosen = members[np.unique(np.linspace(0, len(members) - 1, min(each, len(members))).astype(np.int64))]
            taken = column.take(chosen)
            pictures = tuple(taken.encoder(spec)(0, len(chosen))) if len(chosen) else ()
            cells.append(SheetCell(name, label, len(members), pictures))
    return tuple(cells)
