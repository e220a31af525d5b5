"""A file of decisions as it is: ids, classes, probabilities and times, each of the kind that it must be."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.csv_table import CsvConfig
from edgefair.data.files.readers import read_table
from edgefair.data.files.table import MISSING, Categories, Column, Table
from edgefair.data.values import declared
from edgefair.errors import DataError, MeasurementError, did_you_mean
from edgefair.probe.onnx_files.reading import whole_number
from edgefair.workflow.measurement.records.columns import RANGE_TOLERANCE

DECISION, SCORE, MILLISECONDS, AUDIT = "decision", "score", "milliseconds", "edgefair_audit"
# What a row of decisions takes at most, with a probability for each of a hundred classes.
BYTES_OF_ROW, BYTES_AT_LEAST = 1 << 12, 1 << 20
# Of the sum of a row's probabilities, for each of its classes: half a step of INT8, as a microcontroller writes them.
STEP = 1 / 512
NS_PER_MS = 1_000_000
EXPORT = "`edgefair data export-inputs` writes the ids that are expected"


@dataclass(frozen=True, eq=False)
class BroughtTable:
    """Rows of a file, in its order.

    Attributes:
        ids: none is missing.
        audit: digests of the audit set that the rows say they are of; empty where they say nothing.
        decision: class of every row, int64 [rows].
        scores: P(class), float32 [rows, classes]; None where the file has none.
        times: nanoseconds of every query, int64 [rows]; None where the file has none.
    """

    ids: Categories
    audit: tuple[str, ...]
    decision: NDArray[np.int64]
    scores: NDArray[np.float32] | None
    times: NDArray[np.int64] | None


def read_decisions_file(
    path: Path, *, id_column: str, classes: tuple[str, ...], rows: int, csv: CsvConfig
) -> BroughtTable:
    """Read a file of decisions.

    Args:
        id_column: the name of its column of ids.
        rows: of the audit set, of which a file that is far larger cannot be.

    Raises:
        DataError: no such file, one that cannot be read, columns that are missing or hold something else.
        MeasurementError: probabilities or times that no device can have found.
    """
    _check_size(path, rows)

    def choose(names: list[str]) -> Collection[str]:
        for name in (id_column, DECISION):
            if name not in names:
                raise DataError(
                    f"'{path}' has no column '{name}'{did_you_mean(name, names)}",
                    expected=f"the columns {id_column} and {DECISION}, and if known {SCORE} and {MILLISECONDS}",
                    fix=EXPORT if name == id_column else None,
                )
        _check_scores_named(path, names, classes)
        return [id_column, DECISION, SCORE, MILLISECONDS, AUDIT, *_score_columns(classes)]

    table = read_table(path, choose, texts={id_column, DECISION, AUDIT}, csv=csv)
    ids = declared(table.columns[id_column], id_column)
    if ids.missing():
        raise DataError(f"'{path}': {ids.missing():,} rows have no '{id_column}'", expected="an id in every row")
    digests = table.columns.get(AUDIT)
    return BroughtTable(
        ids=ids,
        audit=() if digests is None else declared(digests, AUDIT).present,
        decision=_classes_of(path, declared(table.columns[DECISION], DECISION), classes),
        scores=_scores(path, table, classes),
        times=_times(path, table.columns.get(MILLISECONDS)),
    )


def _check_size(path: Path, rows: int) -> None:
    if not path.is_file():
        raise DataError(f"no file of decisions '{path}'", expected=".csv or .parquet, one row for every audit row")
    found, most = path.stat().st_size, max(BYTES_AT_LEAST, rows * BYTES_OF_ROW)
    if found > most:
        raise DataError(
            f"'{path}' has {found:,} bytes, which is more than decisions of {rows:,} rows take ({most:,})",
            expected=f"{DECISION}, {SCORE} and {MILLISECONDS} of every row, and none of its features",
        )


def _score_columns(classes: tuple[str, ...]) -> list[str]:
    return [f"{SCORE}:{name}" for name in classes]


def _check_scores_named(path: Path, names: list[str], classes: tuple[str, ...]) -> None:
    """Refuse a part of the classes' probabilities, or one column where it cannot tell of which class it is."""
    columns = _score_columns(classes)
    found = [name for name in names if name.startswith(f"{SCORE}:")]
    expected = f"a column for every class ({', '.join(columns)})"
    expected += f", or one column '{SCORE}' of class '{classes[1]}'" if len(classes) == 2 else ""
    if found and (set(found) != set(columns) or SCORE in names):
        raise DataError(f"'{path}' has the columns {', '.join([*found, *({SCORE} & set(names))])}", expected=expected)
    if SCORE in names and len(classes) != 2:
        raise DataError(f"'{path}' has one column '{SCORE}', and there are {len(classes)} classes", expected=expected)


def _classes_of(path: Path, column: Categories, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Names or positions of classes; positions only where no class is another number itself."""
    known = {name: index for index, name in enumerate(classes)}
    if all(whole_number(name) in {None, index} for name, index in known.items()):
        known = {**{str(index): index for index in range(len(classes))}, **known}
    if column.missing():
        raise DataError(f"'{path}': {column.missing():,} rows have no '{DECISION}'", expected="a class in every row")
    strange = [value for value in column.present if value not in known]
    if strange:
        raise DataError(f"'{path}': '{strange[0]}' in '{DECISION}' is no class", expected=f"one of {', '.join(known)}")
    code_of = np.array([known.get(value, MISSING) for value in column.values], dtype=np.int64)
    return code_of[column.codes]


def _scores(path: Path, table: Table, classes: tuple[str, ...]) -> NDArray[np.float32] | None:
    """P(class) [rows, classes]."""
    names = [SCORE] if SCORE in table.columns else _score_columns(classes)
    if names[0] not in table.columns:
        return None
    columns = [_numbers(path, name, table.columns[name]) for name in names]
    for name, values in zip(names, columns, strict=True):
        if values.min() < -RANGE_TOLERANCE or values.max() > 1 + RANGE_TOLERANCE:
            raise MeasurementError(
                f"'{path}': '{name}' holds {values.min():g} to {values.max():g}", expected="probabilities, 0 to 1"
            )
    if len(names) == 1:
        columns.insert(0, 1.0 - columns[0])
    scores = np.stack(columns, axis=1)
    off = float(np.abs(scores.sum(axis=1) - 1).max())
    if off > STEP * len(classes) + RANGE_TOLERANCE:
        raise MeasurementError(
            f"'{path}': the probabilities of a row add up to {1 - off:g} or {1 + off:g}", expected="1 in every row"
        )
    return np.clip(scores, 0.0, 1.0).astype(np.float32)


def _times(path: Path, column: Column | None) -> NDArray[np.int64] | None:
    """Nanoseconds of milliseconds."""
    if column is None:
        return None
    milliseconds = _numbers(path, MILLISECONDS, column)
    nanoseconds = np.rint(milliseconds * NS_PER_MS)
    if nanoseconds.min() < 1 or nanoseconds.max() >= 2.0**63:
        wrong = milliseconds[(nanoseconds < 1) | (nanoseconds >= 2.0**63)][0]
        raise MeasurementError(
            f"'{path}': '{MILLISECONDS}' holds {wrong:g}, which no query takes",
            expected="the milliseconds of every row's own query, or no such column",
        )
    return nanoseconds.astype(np.int64)


def _numbers(path: Path, name: str, column: Column) -> NDArray[np.float64]:
    """A column of finite numbers, float64 [rows]."""
    if not isinstance(column, np.ndarray) or column.ndim != 1:
        raise DataError(
            f"'{path}': '{name}' holds text or nothing", expected="a number in every row, or no such column"
        )
    numbers = column.astype(np.float64)
    lacking = int(np.count_nonzero(~np.isfinite(numbers)))
    if lacking:
        raise MeasurementError(
            f"'{path}': '{name}' is empty, NaN or infinite in {lacking:,} rows",
            expected="a number in every row, or no such column",
        )
    return numbers
