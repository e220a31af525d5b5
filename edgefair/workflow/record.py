"""Decisions on audit rows, saved so that they can be compared later without the model or the data."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.data.rows import TableRows
from edgefair.data.table import Categories
from edgefair.errors import DataError, UsageError
from edgefair.files import write_atomic

RECORD_SCHEMA = "edgefair.record/1"


@dataclass(frozen=True, eq=False)
class Record:
    """One model's decisions on some rows.

    Attributes:
        name: the model's path or the record's.
        rows_digest: sha256 of the rows in their order: equal digests mean that decisions can be paired.
        decision, label: int64 [rows].
        sensitive: attribute -> Categories [rows].
        ids, subject: declared identity of every row and its person, if any.
    """

    name: str
    model: str
    rows_digest: str
    classes: tuple[str, ...]
    decision: NDArray[np.int64]
    label: NDArray[np.int64]
    sensitive: dict[str, Categories]
    ids: Categories | None
    subject: Categories | None


def record_of(name: str, rows: TableRows, decision: NDArray[np.int64], model: str, classes: tuple[str, ...]) -> Record:
    """The record of a measurement that has just been made."""
    digest = hashlib.sha256(rows.row_hashes.astype("<u8").tobytes()).hexdigest()
    return Record(name, model, digest, classes, decision, rows.label, dict(rows.sensitive), rows.ids, rows.subject)


def save_record(path: Path, record: Record) -> None:
    """Write a record as `.npz` (no pickle).

    Raises:
        UsageError: the file cannot be written.
    """
    arrays: dict[str, Any] = {
        "schema": np.array(RECORD_SCHEMA),
        "model": np.array(record.model),
        "rows_digest": np.array(record.rows_digest),
        "classes": np.array(record.classes),
        "decision": record.decision.astype(np.int32),
        "label": record.label.astype(np.int32),
        "attributes": np.array(list(record.sensitive)),
    }
    columns = {f"sensitive/{name}": column for name, column in record.sensitive.items()}
    columns |= {
        name: column for name, column in (("ids", record.ids), ("subject", record.subject)) if column is not None
    }
    for name, column in columns.items():
        arrays[f"values/{name}"] = np.array(column.values)
        arrays[f"codes/{name}"] = column.codes
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    try:
        write_atomic(path, buffer.getvalue())
    except OSError as error:
        raise UsageError(f"the record cannot be written to '{path}': {error.strerror}") from error


def load_record(path: Path) -> Record:
    """Read a record.

    Raises:
        DataError: not a record.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            if str(content["schema"]) != RECORD_SCHEMA:
                raise ValueError(f"schema {content['schema']}")
            columns = {
                name.removeprefix("codes/"): Categories(
                    tuple(content[name.replace("codes/", "values/", 1)].tolist()), content[name]
                )
                for name in content.files
                if name.startswith("codes/")
            }
            return Record(
                name=str(path),
                model=str(content["model"]),
                rows_digest=str(content["rows_digest"]),
                classes=tuple(content["classes"].tolist()),
                decision=content["decision"].astype(np.int64),
                label=content["label"].astype(np.int64),
                sensitive={str(name): columns[f"sensitive/{name}"] for name in content["attributes"].tolist()},
                ids=columns.get("ids"),
                subject=columns.get("subject"),
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(
            f"'{path}' is no record: {error}", expected="a file that `edgefair verify --record` wrote"
        ) from error
