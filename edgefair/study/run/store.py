"""The folder of a study: the plan, what its stages made, its rows, and the table of them.

| file | what |
|---|---|
| `plan.yaml`, `plan.json` | the plan as it was given, and all that it fixes with its digest |
| `rows/KEY.json` | one cell, written whole |
| `stages/runs/NAME/` | trainings, and the fine-tunes behind them |
| `stages/files/NAME/` | their float files, and those of the fine-tunes |
| `stages/decisions/KEY.npz` | decisions of dense models and controls, with which others are paired |
| `table.parquet`, `table.csv` | all rows, written anew when a run begins, every half minute and when it ends |
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path
from typing import Any

from edgefair.errors import DataError, UsageError
from edgefair.files import write_atomic
from edgefair.locks import hold
from edgefair.progress import Progress
from edgefair.report.escape import csv_cell
from edgefair.study.cells import Cell
from edgefair.study.levels import CONTROL, DENSE
from edgefair.study.table import Row, to_parquet

ROW_SCHEMA = "edgefair.study-row/1"


class Store:
    """Where everything of a study lies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "stages" / "runs"

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            UsageError: they cannot be made.
        """
        try:
            for path in (self.runs, self._files, self._decisions, self._rows):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"cannot write the study to '{self.folder}': {error.strerror}", fix="choose another --output"
            ) from error

    def full(self, why: str) -> UsageError:
        """What ends a study of which nothing more can be kept."""
        return UsageError(
            f"the study cannot be kept in '{self.folder}': {why}",
            fix="make room and run the same command: it goes on where it stopped",
        )

    def held(self, progress: Progress) -> AbstractContextManager[bool]:
        """Keep the folder to this process; another one is waited for, and what it made is not made again.

        That of a study that was just killed may hold it for a moment: until the probe that it left has heard of it.
        """

        def waiting() -> None:
            progress.stage(f"waiting for another study that is using '{self.folder}'")

        return hold(self.folder / ".lock", waiting=waiting)

    @property
    def _files(self) -> Path:
        return self.folder / "stages" / "files"

    @property
    def _decisions(self) -> Path:
        return self.folder / "stages" / "decisions"

    @property
    def _rows(self) -> Path:
        return self.folder / "rows"

    def file_of(self, training: str) -> Path:
        """The folder of a training's float file."""
        return self._files / training

    def decisions_of(self, key: str) -> Path:
        """The decisions of a row, where they are kept."""
        return self._decisions / f"{key}.npz"

    def keeps_decisions(self, cell: Cell) -> bool:
        """Whether others are paired with it."""
        return str(cell.extent) in {DENSE, CONTROL}

    def plan(self) -> dict[str, Any] | None:
        """What `write_plan` wrote; None where nothing is.

        Raises:
            DataError: it cannot be read.
        """
        path = self.folder / "plan.json"
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise DataError(f"'{path}' cannot be read: {error}", fix="choose another --output") from error
        return found

    def write_plan(self, text: str, content: Mapping[str, Any]) -> None:
        """The plan as it was given, and resolved."""
        write_atomic(self.folder / "plan.yaml", text.encode())
        write_atomic(self.folder / "plan.json", json.dumps(content, indent=1, sort_keys=True).encode())

    def row(self, key: str) -> dict[str, Any] | None:
        """The columns of a row that is there and done; None where it is to be made: there is none, or it failed."""
        try:
            content = json.loads((self._rows / f"{key}.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        row = content.get("row") if isinstance(content, dict) and content.get("schema") == ROW_SCHEMA else None
        return row if isinstance(row, dict) and row.get("status") == "done" else None

    def write_row(self, key: str, row: Mapping[str, Any]) -> None:
        """One row, whole."""
        write_atomic(
            self._rows / f"{key}.json", json.dumps({"schema": ROW_SCHEMA, "row": row}, sort_keys=True).encode()
        )

    def count(self) -> int:
        """Rows that are there, of whatever settings, failed ones among them."""
        return sum(1 for _ in self._rows.glob("*.json"))

    def others(self, keys: Iterable[str]) -> list[Path]:
        """Rows that are there under other keys: of other code or settings."""
        known = {*keys}
        return sorted(path for path in self._rows.glob("*.json") if path.stem not in known)

    def write_table(self, rows: Sequence[Row]) -> None:
        """The table, as Parquet and as CSV."""
        write_atomic(self.folder / "table.parquet", to_parquet(rows))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = [item.name for item in fields(Row)]
        writer.writerow(names)
        for row in sorted(rows, key=lambda item: (item.seed, item.cell)):
            writer.writerow([csv_cell("" if (value := getattr(row, name)) is None else str(value)) for name in names])
        write_atomic(self.folder / "table.csv", text.getvalue().encode())
