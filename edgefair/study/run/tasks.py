"""The units of a study's work and which of them must come first: trainings, then files that are made and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edgefair.study.cells import Cell
from edgefair.study.levels import CONTROL, DENSE, Extent


@dataclass(frozen=True)
class Task:
    """One unit.

    Attributes:
        name: of the training, or key of the row.
        cell: position among the plan's cells: of the row, or of the first one that needs the training.
        needs: names of tasks that come before.
    """

    name: str
    kind: Literal["training", "row"]
    cell: int
    needs: tuple[str, ...] = ()


def tasks_of(
    cells: Sequence[Cell], wanted: Sequence[int], *, rows: Mapping[int, str], trainings: Mapping[int, str]
) -> list[Task]:
    """The tasks of some cells, in the order of the plan.

    A row comes after its training; after the row whose network it shares, so that no two processes train it; and after
    the rows of the dense model and of the control, with whose decisions its own are paired.

    Args:
        wanted: positions of the cells whose row is missing.
        rows, trainings: position of a cell -> name of its row and of its training.
    """
    first = _first_of_network(cells, wanted)
    partners = Partners(cells)
    missing = frozenset(wanted)
    made: dict[str, Task] = {}
    for index in wanted:
        training = trainings[index]
        made.setdefault(training, Task(training, "training", index))
        before = {first[cells[index].network], *partners.of(index).values()} & missing - {index}
        made[rows[index]] = Task(rows[index], "row", index, (training, *(rows[item] for item in sorted(before))))
    return list(made.values())


class Partners:
    """The dense model and the control of every cell: same data, seed and treatment, as far as the plan has them.

    The dense model has no fine-tune, so that of a cell is the one that it started from, whatever its treatment is
    called. It is itself what others are compared with, and has neither.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = cells
        self._dense: dict[tuple[Any, ...], int] = {}
        self._control: dict[tuple[Any, ...], int] = {}
        for index, cell in enumerate(cells):
            if cell.extent == Extent(DENSE):
                self._dense.setdefault(_started(cell), index)
            if cell.extent == Extent(CONTROL):
                self._control[_treated(cell)] = index

    def of(self, index: int) -> dict[str, int]:
        """`dense` and `control` -> position of that cell."""
        cell = self._cells[index]
        if cell.extent == Extent(DENSE):
            return {}
        found = {"dense": self._dense.get(_started(cell)), "control": self._control.get(_treated(cell))}
        return {name: at for name, at in found.items() if at not in {None, index}}


def _started(cell: Cell) -> tuple[Any, ...]:
    return (*cell.start, "after" in cell.treatment.parts)


def _treated(cell: Cell) -> tuple[Any, ...]:
    return (*cell.start, cell.treatment)


def _first_of_network(cells: Sequence[Cell], wanted: Sequence[int]) -> dict[tuple[str, ...], int]:
    """Of the cells that share a network, the one that trains it: without precision and without `after`, if there is."""
    found: dict[tuple[str, ...], int] = {}

    def rank(index: int) -> tuple[bool, bool, int]:
        cell = cells[index]
        return cell.extent.precision is not None, "after" in cell.treatment.parts, index

    for index in sorted(wanted, key=rank):
        found.setdefault(cells[index].network, index)
    return found
