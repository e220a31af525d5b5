"""From the `data:` section of the config to rows of each split."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgefair.data.config import BUILT_IN, DataConfig
from edgefair.data.readers import READERS, read_table
from edgefair.data.rows import TableRows
from edgefair.data.split import split_rows
from edgefair.data.table import Categories, Column, Table
from edgefair.errors import DataError, did_you_mean

Role = Literal["train", "validation", "audit"]


@dataclass(frozen=True, eq=False)
class DataSet:
    """The rows of a project.

    Attributes:
        source: where they come from.
        features: columns that a model may see, in the order of the file.
        classes: labels in the order of the model's classes.
    """

    source: str
    features: tuple[str, ...]
    classes: tuple[str, ...]
    splits: dict[Role, TableRows]

    @property
    def train(self) -> TableRows:
        """Rows that train (and calibrate)."""
        return self.splits["train"]

    @property
    def validation(self) -> TableRows:
        """Rows that select."""
        return self.splits["validation"]

    @property
    def audit(self) -> TableRows:
        """Rows that decide, and nothing else."""
        return self.splits["audit"]

    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one row of every feature that is an array."""
        columns = {name: self.train.table.columns[name] for name in self.features}
        return {
            name: tuple(column.shape[1:])
            for name, column in columns.items()
            if not isinstance(column, Categories) and column.ndim > 1
        }


def load(config: DataConfig, *, base: Path, roles: Collection[Role]) -> DataSet:
    """Read the rows of the given roles.

    Args:
        base: folder that a relative `source` starts from.

    Raises:
        DataError: a column, label, group or number that is not as the config says.
    """
    path = _path(config.source, base)
    table = read_table(path, lambda names: _columns(config, names, path))
    _check_columns(config, table, path)
    table = Table({name: _as_declared(config, name, column) for name, column in table.columns.items()})
    features = _features(config, table)
    label_column = table.columns[config.label]
    labels = label_column if isinstance(label_column, Categories) else Categories.of(label_column)
    classes = _classes(config, labels)
    label = _label_index(labels, classes)
    sensitive = {name: _sensitive(name, table.columns[name]) for name in config.sensitive}
    table = _finite(table, features)
    subject = _as_categories(table, config.subject)
    everything = TableRows(
        table=Table({**{name: table.columns[name] for name in features}, config.label: labels, **sensitive}),
        features=features,
        label=label,
        sensitive=sensitive,
        ids=_as_categories(table, config.id),
        subject=subject,
        content=(*(name for name in features if name not in sensitive), config.label, *config.sensitive),
    )
    positions = split_rows(
        config,
        rows=table.rows,
        column=_as_categories(table, config.split.column),
        subject=subject,
    )
    return DataSet(
        source=config.source,
        features=features,
        classes=classes,
        splits={role: everything.take(positions[role]) for role in roles},
    )


def _path(source: str, base: Path) -> Path:
    if source in BUILT_IN:
        return Path(__file__).parent / "sets" / f"{source.replace('-', '_')}_kdd.parquet"
    if Path(source).suffix.lower() not in READERS and not (base / source).exists():
        raise DataError(
            f"unknown data source '{source}'{did_you_mean(source, BUILT_IN)}",
            expected=f"a built-in set ({', '.join(BUILT_IN)}) or the path of a {', '.join(READERS)} file",
        )
    return base / source


def _named(config: DataConfig) -> list[str]:
    optional = (config.id, config.subject, config.split.column)
    return [config.label, *config.sensitive, *(config.features or ()), *(name for name in optional if name)]


def _columns(config: DataConfig, names: list[str], path: Path) -> set[str]:
    """The columns to read: those that the config names, and all others where it names no features."""
    for name in [*_named(config), *config.exclude, *config.categorical]:
        if name not in names:
            raise DataError(
                f"'{path.name}' has no column '{name}'{did_you_mean(name, names)}",
                expected=f"one of {', '.join(names[:60])}",
            )
    wanted = set(_named(config))
    return wanted if config.features is not None else wanted | (set(names) - set(config.exclude))


def _check_columns(config: DataConfig, table: Table, path: Path) -> None:
    for name in _named(config):
        column = table.columns[name]
        if name not in (config.features or ()) and not isinstance(column, Categories) and column.ndim != 1:
            raise DataError(f"'{path.name}': '{name}' has shape {column.shape}", expected="one value per row")


def _as_declared(config: DataConfig, name: str, column: Column) -> Column:
    if name in config.categorical and not isinstance(column, Categories):
        return Categories.of(column)
    return column


def _features(config: DataConfig, table: Table) -> tuple[str, ...]:
    if config.features is not None:
        return config.features
    hidden = {config.label, config.id, config.subject, config.split.column, *config.exclude}
    if not config.allow_sensitive_features:
        hidden |= set(config.sensitive)
    features = tuple(name for name in table.columns if name not in hidden)
    if not features:
        raise DataError("no column is left as a feature", expected="at least one", fix="name them under data.features")
    return features


def _classes(config: DataConfig, labels: Categories) -> tuple[str, ...]:
    found = labels.present
    if labels.missing():
        raise DataError(
            f"column '{config.label}' has no label in {labels.missing()} rows",
            expected="a label in every row",
            fix="remove those rows before the audit, and say so in your report",
        )
    if len(found) < 2:
        raise DataError(
            f"label '{config.label}' has one value only: {', '.join(found)}",
            expected="at least two; equalized odds compares rates within each label",
        )
    if config.classes is not None:
        unknown = [value for value in found if value not in config.classes]
        if unknown:
            raise DataError(
                f"label '{config.label}' holds '{unknown[0]}', which data.classes does not list",
                expected=f"one of {', '.join(config.classes)}",
            )
        return config.classes
    if config.positive is None:
        if len(found) == 2:
            raise DataError(
                f"label '{config.label}' holds {found[0]} and {found[1]}, and nothing says which is the positive class",
                fix=f"set data.positive, for example to '{found[1]}'",
            )
        return found
    if config.positive not in found:
        raise DataError(
            f"label '{config.label}' never is '{config.positive}'{did_you_mean(config.positive, found)}",
            expected=f"data.positive to be one of {', '.join(found[:20])}",
        )
    if len(found) > 2:
        raise DataError(
            f"label '{config.label}' has {len(found)} values, and data.positive is for two",
            fix="list data.classes instead",
        )
    return tuple(sorted(found, key=lambda value: value == config.positive))


def _label_index(labels: Categories, classes: tuple[str, ...]) -> NDArray[np.int64]:
    position = {value: index for index, value in enumerate(classes)}
    return np.array([position.get(value, -1) for value in labels.values], dtype=np.int64)[labels.codes]


def _sensitive(name: str, column: Column) -> Categories:
    values = column if isinstance(column, Categories) else _codes_of(name, column)
    if values.missing():
        raise DataError(
            f"sensitive column '{name}' has no value in {values.missing()} rows",
            expected="a group for every row: a row that is left out is a person who is not counted",
            fix="remove those rows, or write a value such as 'unknown' and declare it in the policy",
        )
    return values


def _codes_of(name: str, column: NDArray[Any]) -> Categories:
    if column.dtype.kind == "f" and not bool(np.all(np.isnan(column) | (column == np.round(column)))):
        raise DataError(
            f"sensitive column '{name}' holds fractions",
            expected="groups: text, booleans or whole numbers",
            fix="bin it into a column of group names",
        )
    if column.dtype.kind == "f" and not np.isnan(column).any():
        return Categories.of(column.astype(np.int64))
    return Categories.of(column)


def _finite(table: Table, features: tuple[str, ...]) -> Table:
    """Numbers of the features as float32; every one finite."""
    columns = dict(table.columns)
    for name in features:
        column = columns[name]
        if isinstance(column, Categories):
            continue
        if column.dtype.kind not in "iuf":
            raise DataError(f"feature '{name}' has type {column.dtype}", expected="numbers or text")
        with np.errstate(over="ignore"):
            numbers = column.astype(np.float32) if column.ndim == 1 or column.dtype.kind == "f" else column
        bad = int(np.count_nonzero(~np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1)))
        if bad:
            raise DataError(
                f"feature '{name}' is NaN, empty or infinite (as float32) in {bad} rows",
                expected="a finite number in every row",
                fix="impute it in your own preprocessing, or exclude the column",
            )
        columns[name] = numbers
    return Table(columns)


def _as_categories(table: Table, name: str | None) -> Categories | None:
    if name is None:
        return None
    column = table.columns[name]
    return column if isinstance(column, Categories) else Categories.of(column)
