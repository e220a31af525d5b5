"""Some rows of every (group, label) cell of a split."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.compress.analysis.sensitivity import Sample
from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.data.groups import joint_groups
from edgefair.data.rows import TableRows
from edgefair.joint import Group
from edgefair.streams import Stream

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
        place: of every row in the split, int64 [rows].
    """

    rows: TableRows
    cell: Ints
    weight: NDArray[np.float64]
    counts: Ints
    place: Ints


def draw(rows: TableRows, config: Config, cells: Cells, most: int, stream: Stream) -> Drawn:
    """Up to `most` rows of every cell, drawn by the seed and this stream, in the order of the split."""
    index, groups = joint_groups(rows.sensitive, config.policy.base_attributes)
    place = {group: at for at, group in enumerate(dict.fromkeys(group for group, _ in cells))}
    labels = len(cells) // len(place)
    cell = np.array([place[group] for group in groups], dtype=np.int64)[index] * labels + rows.label
    taken = np.sort(draw_cells(cell, most, lambda at: [config.seed, stream, at]))
    drawn = np.bincount(cell[taken], minlength=len(cells))
    return Drawn(rows.take(taken), cell[taken], stands_for(cell, taken), drawn, taken)


def draw_cells(cell: Ints, most: int, seed: Callable[[int], list[int]]) -> Ints:
    """Positions of up to `most` rows of every cell, cell by cell.

    Args:
        cell: index of every row's cell, int64 [rows].
        seed: of a cell's draw, by its index.
    """
    return np.concatenate(
        [
            np.sort(np.random.default_rng(seed(at)).permutation(np.flatnonzero(cell == at))[:most])
            for at in np.unique(cell).tolist()
        ]
    )


def stands_for(cell: Ints, taken: Ints) -> NDArray[np.float64]:
    """Rows that each of the taken ones stands for, float64 [taken]: rows of its cell / taken ones."""
    weight: NDArray[np.float64] = np.bincount(cell)[cell[taken]] / np.bincount(cell[taken])[cell[taken]]
    return weight


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
