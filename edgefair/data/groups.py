"""Sensitive groups of rows, several attributes joined into one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

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
    code = np.zeros(len(parts[0]), dtype=np.int64)
    for part, values in zip(parts, ordered, strict=True):
        place = {value: index for index, value in enumerate(values)}
        position = np.array([place[value] for value in part.values], dtype=np.int64)
        code *= len(values)
        code += position[part.codes]
    present, index = compact(code, math.prod(map(len, ordered)))
    groups = []
    for item in present.tolist():
        positions = np.unravel_index(item, [len(values) for values in ordered])
        groups.append(tuple(values[at] for values, at in zip(ordered, positions, strict=True)))
    return index, tuple(groups)
