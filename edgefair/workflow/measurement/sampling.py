"""Some rows of every (group, label) cell of a split."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.compress.analysis.sensitivity import Sample
from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.data.groups import joint_groups
from edgefair.data.rows import TableRows
from edgefair.joint import Group

Ints = NDArray[np.int64]
# (joint group of the policy's attributes, label) of every cell, labels fastest.
Cells = tuple[tuple[Group, str], ...]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Rows of every cell.

    Attributes:
        cell: index of every row's cell, int64 [rows].
        weight: rows of the split that each stands for, float64 [rows]: rows of its cell / drawn ones.
        counts: drawn rows of every cell, int64 [cells].
    """

    rows: TableRows
    cell: Ints
    weight: NDArray[np.float64]
    counts: Ints


def draw(rows: TableRows, config: Config, cells: Cells, most: int, seed: int) -> Drawn:
    """Up to `most` rows of every cell, drawn by the seed, in the order of the split."""
    index, groups = joint_groups(rows.sensitive, config.policy.base_attributes)
    place = {group: at for at, group in enumerate(dict.fromkeys(group for group, _ in cells))}
    labels = len(cells) // len(place)
    cell = np.array([place[group] for group in groups], dtype=np.int64)[index] * labels + rows.label
    chosen = []
    for index in np.unique(cell).tolist():
        members = np.flatnonzero(cell == index)
        chosen.append(np.random.default_rng([config.seed, seed, index]).permutation(members)[:most])
    taken = np.sort(np.concatenate(chosen))
    drawn = np.bincount(cell[taken], minlength=len(cells))
    stands_for = np.bincount(cell, minlength=len(cells)) / np.maximum(drawn, 1)
    return Drawn(rows.take(taken), cell[taken], stands_for[cell[taken]], drawn)


def sample_of(drawn: Drawn, config: Config) -> Sample:
    """The drawn rows with the groups of every attribute that the policy judges."""
    return Sample(
        label=drawn.rows.label,
        cell=drawn.cell,
        cells=len(drawn.counts),
        groups={
            name: joint_groups(drawn.rows.sensitive, config.policy.attributes_of(name))[0]
            for name in config.policy.attributes
        },
        weight=drawn.weight,
    )


def cells_of(config: Config, data: DataSet) -> Cells:
    """Every declared (joint group, label), and those that have rows."""
    attributes = config.policy.base_attributes
    found = [group for rows in data.splits.values() for group in joint_groups(rows.sensitive, attributes)[1]]
    return tuple(itertools.product(dict.fromkeys([*config.policy.joint_groups, *found]), data.classes))
