"""Rows of a file that repeat another one, asked about before anything else is made of the file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from edgefair.data.files.table import MISSING, Categories, Column, Table
from edgefair.data.identity.equal_rows import repeated_rows
from edgefair.data.rows import TableRows
from edgefair.data.values import as_categories, merged


def alike(section: Mapping[str, Any], columns: Mapping[str, Column], features: Collection[str]) -> str | None:
    """What to ask of repeated rows where `equal_rows` is not set and they decide about a (group, label) cell.

    Asked of all rows, where later the audit rows count: a draw moves equal rows together, and takes its share of both.

    Args:
        section: keys of `data:`; its label and sensitive columns are among the columns, and are categories.
        features: the columns that a model will see.
    """
    label = as_categories(columns[section["label"]], section["label"]).plain()
    merges = section.get("merge") or {}
    sensitive = {}
    for name in section["sensitive"]:
        groups = as_categories(columns[name], name)
        sensitive[name] = (merged(name, groups, merges[name]) if name in merges else groups).plain()
    complete = np.flatnonzero(np.all([column.codes != MISSING for column in (label, *sensitive.values())], axis=0))
    read: dict[str, Column] = {name: columns[name] for name in features}
    table = Table({**read, **sensitive, section["label"]: label}).take(complete)
    if not table.rows:
        return None
    rows = TableRows(
        table=table,
        features=tuple(features),
        label=label.take(complete).codes.astype(np.int64),
        sensitive={name: column.take(complete) for name, column in sensitive.items()},
        ids=None,
        subject=_subject(section, columns, complete),
        content=tuple(table.columns),
    )
    repeated, cell = repeated_rows(
        rows, features=features, attributes=sensitive, label=section["label"], classes=label.values
    )
    if cell is None:
        return None
    return (
        f"{repeated:,} of {len(rows):,} rows repeat another one in every feature, label and group, most among "
        f"{cell}: use --equal-rows people if different people share their answers, or --equal-rows once if they "
        "are copies, of which one is judged"
    )


def _subject(section: Mapping[str, Any], columns: Mapping[str, Column], rows: Any) -> Categories | None:
    name = section.get("subject")
    return None if name is None or name not in columns else as_categories(columns[name], name).take(rows)
