"""Rows whose decision compression changed, taken out of the data for a page that shows them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.table import MISSING, Categories, Column
from edgefair.data.groups import joint_groups
from edgefair.data.rows import TableRows
from edgefair.data.texts import Texts
from edgefair.errors import UsageError
from edgefair.joint import group_name
from edgefair.probe.onnx_files.spec import InputSpec, PictureSpec
from edgefair.report.changed_rows import Change, ChangedCell, ChangedRow, ChangedRows
from edgefair.report.output import Output, check_shows_rows

# Pixels of a picture, and quality of its JPEG: at most some 20 kB, whatever is on it.
SIDE, QUALITY = 128, 80
# Letters of a text and of a value, features of a row, cells of a target.
MOST_TEXT, MOST_VALUE, MOST_FEATURES, MOST_CELLS = 600, 60, 60, 24
KINDS: tuple[Change, ...] = ("broken", "corrected", "wrong still")


@dataclass(frozen=True, eq=False)
class DecidedTwice:
    """What two models decide of the same rows.

    Attributes:
        before, after: int64 [rows], of the first rows where these are fewer.
        score_before, score_after: P(class 1), [rows]; None where there is none.
        place: of every row among all of them, int64 [rows], where they were taken in another order.
    """

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    score_before: NDArray[Any] | None = None
    score_after: NDArray[Any] | None = None
    place: NDArray[np.int64] | None = None


@dataclass(eq=False)
class RowsToShow:
    """How many rows a page shall show, and, after the work, which ones.

    Attributes:
        each: of every cell and each kind of change, at most.
        of: what rows they are.
    """

    each: int
    of: str = "audit rows"
    _cells: dict[str, tuple[ChangedCell, ...]] = field(default_factory=dict)
    _left: dict[str, int] = field(default_factory=dict)

    @property
    def found(self) -> ChangedRows:
        """What was taken so far."""
        return ChangedRows(self.of, dict(self._cells), dict(self._left))

    def take(
        self, target: str, rows: TableRows, decided: DecidedTwice, *, attributes: Sequence[str], classes: Sequence[str]
    ) -> None:
        """Keep rows of every (group, label) cell whose decision changed, spread evenly: the same ones in every run.

        A row that a label design leaves without a label is in no cell.

        Raises:
            DataError: a picture that cannot be decoded.
        """
        label = rows.label[: len(decided.after)]
        group, groups = joint_groups(rows.sensitive, attributes)
        changed = np.flatnonzero((decided.before != decided.after) & (label >= 0))
        kind = np.where(decided.before[changed] == label[changed], 0, np.where(decided.after == label, 1, 2)[changed])
        places = np.stack([group[changed], label[changed]], axis=1)
        cells = []
        for g, y in np.unique(places, axis=0).tolist():
            here = (places == (g, y)).all(axis=1)
            of_kind = [changed[here & (kind == k)] for k in range(len(KINDS))]
            cells.append((group_name(groups[g]), classes[y], of_kind))
        cells.sort(key=lambda cell: (-len(cell[2][0]), -sum(map(len, cell[2])), cell[0], cell[1]))
        self._left[target] = max(0, len(cells) - MOST_CELLS)
        self._cells[target] = tuple(
            ChangedCell(
                name,
                of_label,
                {KINDS[k]: len(members) for k, members in enumerate(of_kind)},
                tuple(
                    row
                    for k, members in enumerate(of_kind)
                    for row in _rows(rows, _spread(members, self.each), KINDS[k], decided, classes)
                ),
            )
            for name, of_label, of_kind in cells[:MOST_CELLS]
        )


def to_show_in(outputs: Sequence[Output], each: int | None, *, of: str = "audit rows") -> RowsToShow | None:
    """What a command shall show in its page; None where nothing is asked for.

    Raises:
        UsageError: no file is written that shows rows.
    """
    if each is None:
        return None
    check_shows_rows(outputs)
    return RowsToShow(each, of)


def rows_not_at_hand(why: str, instead: str) -> UsageError:
    """Rows cannot be shown, as nobody has read them.

    Args:
        instead: what to do.
    """
    return UsageError(
        f"--show-rows shows what rows hold, and they are not at hand: {why}",
        expected="a command that reads the data: verify, export, compare or explain of a model",
        fix=instead,
    )


def _spread(members: NDArray[np.int64], each: int) -> NDArray[np.int64]:
    if len(members) <= each:
        return members
    return members[np.linspace(0, len(members) - 1, each).astype(np.int64)]


def _rows(
    rows: TableRows, chosen: NDArray[np.int64], change: Change, decided: DecidedTwice, classes: Sequence[str]
) -> list[ChangedRow]:
    if not len(chosen):
        return []
    taken = rows.take(chosen)
    pictures: list[bytes] | None = None
    texts: list[str] | None = None
    values: dict[str, list[str]] = {}
    for name in rows.features:
        column = taken.table.columns[name]
        if isinstance(column, Texts) and texts is None:
            texts = [_cut(text or "", MOST_TEXT) for text in column.texts.text()]
        elif isinstance(column, LazyColumn) and not isinstance(column, Texts) and pictures is None:
            pictures = _jpegs(column, name)
        elif len(values) < MOST_FEATURES:
            values[name] = _values(column)
    names = None if taken.ids is None else taken.ids.text()
    return [
        ChangedRow(
            name=f"row {row if decided.place is None else decided.place[row]}" if names is None else str(names[at]),
            change=change,
            before=classes[decided.before[row]],
            after=classes[decided.after[row]],
            score_before=None if decided.score_before is None else float(decided.score_before[row]),
            score_after=None if decided.score_after is None else float(decided.score_after[row]),
            picture=None if pictures is None else pictures[at],
            text=None if texts is None else texts[at],
            values={name: column[at] for name, column in values.items()},
        )
        for at, row in enumerate(chosen.tolist())
    ]


def _jpegs(column: LazyColumn, name: str) -> list[bytes]:
    """The pictures, made anew: what a file says beside its pixels (place, time, device) stays behind."""
    from PIL import Image

    spec = InputSpec("picture", "uint8", picture=PictureSpec(name, SIDE, SIDE))
    made = []
    for pixels in column.encoder(spec)(0, len(column)):
        stream = io.BytesIO()
        Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "JPEG", quality=QUALITY)
        made.append(stream.getvalue())
    return made


def _values(column: Column) -> list[str]:
    if isinstance(column, Categories):
        return ["missing" if code == MISSING else _cut(column.values[code], MOST_VALUE) for code in column.codes]
    if isinstance(column, LazyColumn):
        return [f"one of {column.kind}"] * len(column)
    if column.ndim > 1:
        return [" x ".join(map(str, column.shape[1:])) + " numbers"] * len(column)
    return ["missing" if value != value else f"{value:.6g}" for value in column.tolist()]  # noqa: PLR0124 - NaN


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
