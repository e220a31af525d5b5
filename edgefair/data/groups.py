"""Sensitive groups of rows, several attributes joined into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgefair.data.table import Categories


def joint_groups(
    sensitive: Mapping[str, Categories], attributes: Sequence[str]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Index of every row's joint group, int64 [rows], and the names of the groups that have rows ("Female*Black").

    The order of the groups is that of their names, whatever the order of the rows.
    """
    parts = [sensitive[name] for name in attributes]
    ordered = [np.array(sorted(part.values)) for part in parts]
    code = np.zeros(len(parts[0]), dtype=np.int64)
    for part, names in zip(parts, ordered, strict=True):
        position = np.searchsorted(names, np.array(part.values)) if part.values else np.zeros(0, dtype=np.int64)
        code = code * len(names) + position[part.codes]
    present, index = np.unique(code, return_inverse=True)
    groups = []
    for item in present.tolist():
        positions = np.unravel_index(item, [len(names) for names in ordered])
        groups.append("*".join(str(names[at]) for names, at in zip(ordered, positions, strict=True)))
    return index.astype(np.int64), tuple(groups)
