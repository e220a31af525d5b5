"""Rows of one's own, without labels and groups: features only, as calibration needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.data.config import DataConfig, SplitConfig
from edgefair.data.dataset import DataSet, as_declared
from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.table import Categories, Column, Table
from edgefair.data.finite import finite
from edgefair.data.identity.overlap import check_overlap
from edgefair.data.identity.seen import SeenRows
from edgefair.data.rows import TableRows
from edgefair.data.sources import MissingColumnError, open_source
from edgefair.data.texts import Texts
from edgefair.data.values import as_categories
from edgefair.errors import DataError
from edgefair.probe.onnx_files.spec import InputSpec, PictureSpec
from edgefair.streams import Stream

# Rows outside of the training rows that chance does not explain: more than this share, and so many.
UNLIKE, LEAST = 0.02, 3
# Different rows, fewer than which are an accident.
DIFFERENT = 16
# Training rows whose pictures are looked at, and the side of these.
LOOKED_AT, SIDE = 1024, 64

Floats = NDArray[np.floating]


def feature_rows(config: DataConfig, data: DataSet, source: str, *, base: Path) -> TableRows:
    """The features of a file's rows, read as those of `data.source`; the file needs no other columns.

    Args:
        source: path of a .csv, .npz or .parquet file, relative to `base`.

    Raises:
        DataError: a file, feature, number or picture that is not as the config says.
    """
    merged = sorted(set(config.merge) & set(data.features))
    if merged:
        raise DataError(
            f"data.merge changes the feature '{merged[0]}', and '{source}' is read as it is",
            fix="calibrate on training rows, or write merged values into the data's own file",
        )
    known = [name for name in data.features if isinstance(data.train.table.columns[name], Categories)]
    wanted: dict[str, Any] = {
        "source": source,
        "audit": None,
        "layout": None,
        "features": data.features,
        # A column that is there: labels and groups are not asked for.
        "label": data.features[0],
        "sensitive": (),
        "where": {},
        "merge": {},
        "thin": (),
        "noise": (),
        "exclude": (),
        "categorical": (),
        "id": None,
        "subject": None,
        "split": SplitConfig(),
    }
    try:
        table = as_declared(open_source(config.model_copy(update=wanted), base, known).table, known)
    except MissingColumnError as error:
        raise DataError(
            error.found, expected=f"a column for every feature: {', '.join(data.features)}", fix="add it to the file"
        ) from error
    columns = {
        name: _alike(name, table.columns[name], data.train.table.columns[name], source) for name in data.features
    }
    table = finite(Table(columns), data.features, missing=config.missing)
    return TableRows(
        table=table,
        features=data.features,
        label=np.zeros(table.rows, dtype=np.int64),
        sensitive={},
        ids=None,
        subject=None,
        content=data.features,
    )


def check_unjudged(rows: TableRows, audit: TableRows, source: str) -> tuple[str, ...]:
    """Refuse rows of one's own among which are audit rows; what to warn of where chance explains that some are equal.

    Hashes of the features are compared, as `check_overlap` does: such rows have no labels, groups and ids.

    Args:
        source: the file of the rows, for messages.

    Raises:
        DataError: more rows are equal than chance explains.
    """
    seen = SeenRows.of([rows], audit.features)
    try:
        shared = check_overlap(seen, audit).shared
    except DataError as error:
        if audit.array_hashes is not None and seen.arrays is not None:
            equal = np.isin(audit.array_hashes, seen.arrays)
        else:
            equal = np.isin(audit.hashes_of(audit.features), seen.content)
        raise DataError(
            f"'{source}' holds audit rows: {int(equal.sum()):,} of {len(audit):,} equal a row of it in every feature, "
            "and chance does not explain that",
            expected="calibration rows that the verdict is not about, for example training rows",
            fix="remove these rows from the file; if others were collected, keep their repetitions, which show "
            "how often people coincide",
        ) from error
    if not shared:
        return ()
    return (f"{shared:,} of {len(audit):,} audit rows equal one of them in every feature, as expected by chance",)


def unlike_training(rows: TableRows, train: TableRows, *, seed: int) -> tuple[str, ...]:
    """What to warn of: rows that are all equal where training rows are not, and features whose values lie outside of
    those of the training rows, in more rows than chance explains.

    Numbers: outside of the training rows' smallest and largest. Text: values that no training row has. Pictures and
    arrays: rows whose mean or spread is outside of that of training rows, of which a sample is drawn. Running text is
    not looked at.
    """
    found: list[str] = []
    if not len(train):
        return ()
    different = _different(rows)
    if different < DIFFERENT and different < _different(train):
        found.append(f"only {different} different among {len(rows)}, and ranges of so few clip other rows")
    rng = np.random.default_rng([seed, Stream.COMPARED_PICTURES])
    for name in rows.features:
        own, known = rows.table.columns[name], train.table.columns[name]
        if isinstance(own, Texts):
            continue
        if isinstance(own, Categories) and isinstance(known, Categories):
            own = own.plain()
            unseen = sorted(set(own.present) - set(known.plain().present))
            outside = np.isin(own.codes, [own.values.index(value) for value in unseen])
            if _notable(outside):
                share = outside.mean()
                found.append(f"{share:.1%} of the rows have values of '{name}' that no training row has: {unseen[0]!r}")
            continue
        some = np.sort(rng.permutation(len(train))[:LOOKED_AT])
        for what, ours, theirs in _numbers(name, own, known, some):
            low, high = float(np.nanmin(theirs)), float(np.nanmax(theirs))
            outside = (ours < low) | (ours > high)
            if _notable(outside):
                share = outside.mean()
                found.append(
                    f"{what} is outside of the training rows' {low:.4g} to {high:.4g} in {share:.1%} of the rows"
                )
    return tuple(found)


def _notable(outside: NDArray[np.bool_]) -> bool:
    return int(outside.sum()) >= LEAST and float(outside.mean()) > UNLIKE


def _different(rows: TableRows) -> int:
    """How many rows differ from each other in a feature."""
    return rows.different(rows.features)


def _alike(name: str, own: Column, known: Column, source: str) -> Column:
    """The column with numbers as text where the training rows have text: a file of a few rows may look like numbers."""
    if isinstance(known, Categories) and isinstance(own, np.ndarray):
        return as_categories(own, name)
    if isinstance(known, np.ndarray) and not (isinstance(own, np.ndarray) and own.shape[1:] == known.shape[1:]):
        raise DataError(
            f"'{source}': feature '{name}' holds {_said(own)}",
            expected=f"{_said(known)}, as in the training rows",
            fix="write numbers; a boolean counts as 1 or 0" if known.ndim == 1 else None,
        )
    return own


def _said(column: Column) -> str:
    """What a column holds, for people."""
    if isinstance(column, np.ndarray):
        return f"arrays of {column.shape[1:]}" if column.ndim > 1 else "numbers"
    if not isinstance(column, Categories):
        return column.kind
    if not column.present:
        return "no value"
    return "booleans" if set(column.present) <= {"False", "True"} else f"text, as {column.present[0]!r}"


def _numbers(name: str, own: Column, known: Column, some: NDArray[np.int64]) -> list[tuple[str, Floats, Floats]]:
    """What is compared: its name, our numbers and those of training rows, each [rows]."""
    if isinstance(own, np.ndarray) and isinstance(known, np.ndarray) and own.ndim == 1:
        return [(f"'{name}'", own, known)]
    ours, theirs = _flat(name, own), _flat(name, known[some] if isinstance(known, np.ndarray) else known.take(some))
    return [
        (f"the mean of '{name}'", ours.mean(axis=1), theirs.mean(axis=1)),
        (f"the spread of '{name}'", ours.std(axis=1), theirs.std(axis=1)),
    ]


def _flat(name: str, column: Column) -> Floats:
    """Small versions of pictures, or arrays as they are: [rows, values]."""
    if isinstance(column, LazyColumn):
        spec = InputSpec("picture", "uint8", picture=PictureSpec(name, SIDE, SIDE))
        column = column.encoder(spec)(0, len(column))
    values = np.asarray(column, dtype=np.float32)
    return values.reshape(len(values), -1)
