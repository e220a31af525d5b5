"""Sensitive groups of rows, several attributes joined into one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.table import Categories
from edgefair.joint import Group

# Combinations of groups, as a multiple of the rows, beyond which most have none.
SPARSE = 4


def joint_groups(
    sensitive: Mapping[str, Categories], attributes: Sequence[str]
) -> tuple[NDArray[np.int64], tuple[Group, ...]]:
    """Index of every row's joint group, int64 [rows], and the groups that have rows, one value per attribute each.

    The order of the groups is that of their values, whatever the order of the rows.
    """
    parts = [sensitive[name] for name in attributes]
    ordered = [sorted(set(part.values)) for part in parts]
    code = np.zeros(len(parts[0]), dtype=np.int64)
    for part, values in zip(parts, ordered, strict=True):
        place = {value: index for index, value in enumerate(values)}
        position = np.array([place[value] for value in part.values], dtype=np.int64)
        code *= len(values)
        code += position[part.codes]
    size = math.prod(map(len, ordered))
    if size > SPARSE * len(code):
        present, index = np.unique(code, return_inverse=True)
    else:
        # In the time of one pass where there are few groups, not in that of a sort.
        has_rows = np.bincount(code, minlength=size) > 0
        present, index = np.flatnonzero(has_rows), (np.cumsum(has_rows) - 1)[code]
    groups = []
    for item in present.tolist():
        positions = np.unravel_index(item, [len(values) for values in ordered])
        groups.append(tuple(values[at] for values, at in zip(ordered, positions, strict=True)))
    return index.astype(np.int64, copy=False), tuple(groups)
