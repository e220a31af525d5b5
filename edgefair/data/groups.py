"""Sensitive groups of rows, several attributes joined into one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import slices, stored
from edgefair.data.files.table import Categories
from edgefair.joint import Group
from edgefair.measure.distinct import compact


def joint_groups(
    sensitive: Mapping[str, Categories], attributes: Sequence[str]
) -> tuple[NDArray[np.int64], tuple[Group, ...]]:
    """Index of every row's joint group, int64 [rows], and the groups that have rows, one value per attribute each.

    The order of the groups is that of their values, whatever the order of the rows.
    """
    parts = [sensitive[name] for name in attributes]
    ordered = [sorted(set(part.values)) for part in parts]
    rows, every = len(parts[0]), [part.codes for part in parts]
    positions = []
    for part, values in zip(parts, ordered, strict=True):
        place = {value: index for index, value in enumerate(values)}
        positions.append(np.array([place[value] for value in part.values], dtype=np.int64))

    def code(part: slice) -> NDArray[np.int64]:
        found = np.zeros(part.stop - part.start, dtype=np.int64)
        for position, codes, values in zip(positions, every, ordered, strict=True):
            found *= len(values)
            found += position[codes[part]]
        return found

    codes = stored(np.int64, rows, (code(part) for part in slices(rows, *every)))
    present, index = compact(codes, math.prod(map(len, ordered)))
    groups = []
    for item in present.tolist():
        places = np.unravel_index(item, [len(values) for values in ordered])
        groups.append(tuple(values[at] for values, at in zip(ordered, places, strict=True)))
    return index, tuple(groups)
