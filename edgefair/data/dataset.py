"""From the `data:` section of the config to rows of each split."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from edgefair.columns.stored import taken
from edgefair.data.config import DataConfig, MissingRule
from edgefair.data.dropped import not_dropped
from edgefair.data.files.skipped import Skipped
from edgefair.data.files.table import Categories, Table
from edgefair.data.finite import finite
from edgefair.data.identity.equal_rows import check_equal_rows, one_of_each
from edgefair.data.identity.ids import check_ids
from edgefair.data.identity.split import split_rows
from edgefair.data.label_design import designed
from edgefair.data.labels import check_labelled, check_learnable, classes_of, label_index, sensitive_groups
from edgefair.data.purity.poorer import check_cells, made_poorer
from edgefair.data.rows import TableRows
from edgefair.data.sources import Source, named_columns, open_source
from edgefair.data.survey.suspects import suspects
from edgefair.data.values import as_categories, declared
from edgefair.errors import DataError
from edgefair.progress import timed

Role = Literal["train", "validation", "audit"]
# What audit rows without a label are: an error, those that the label design of the config did not choose, or (before
# there is a design) rows of which some are to be chosen.
Unlabelled = Literal["refused", "designed", "planned"]


@dataclass(frozen=True, eq=False)
class DataSet:
    """The rows of a project.

    Attributes:
        source: where they come from.
        features: columns that a model may see, in the order of the file.
        classes: labels in the order of the model's classes.
        skipped: rows and files that were left out because they cannot be used.
        shares: rows of every role, and of those that have none: `unused` (by the split), `left_out_by_keep`,
            `thinned_out`, `dropped`, `copies_left_out` (of the audit split) and `left_out_by_where`.
        missing: what a missing number of a feature is.
        poorer: what was done to training and validation rows on purpose, in words.
    """

    source: str
    features: tuple[str, ...]
    classes: tuple[str, ...]
    splits: dict[Role, TableRows]
    skipped: tuple[Skipped, ...] = ()
    shares: Mapping[str, int] = field(default_factory=dict)
    missing: MissingRule = "refuse"
    poorer: tuple[str, ...] = ()

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

    def rows_for(self, step: str, role: Role, *, fix: str | None = None) -> TableRows:
        """The rows of a role that may be empty, for a step that needs some.

        Raises:
            DataError: there are none.
        """
        rows = self.splits[role]
        if not len(rows):
            raise DataError(
                f"{step} needs {role} rows, and '{self.source}' has none according to data.split",
                fix=fix or f"add such rows to the data, and list them under data.split.{role}",
            )
        return rows

    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one row of every feature that is an array."""
        columns = {name: self.train.table.columns[name] for name in self.features}
        return {
            name: tuple(column.shape[1:])
            for name, column in columns.items()
            if isinstance(column, np.ndarray) and column.ndim > 1
        }


@timed("reading the rows")
def load(
    config: DataConfig,
    *,
    base: Path,
    roles: Collection[Role],
    optional: Collection[Role] = (),
    categories: Collection[str] = (),
    unlabelled: Unlabelled = "refused",
) -> DataSet:
    """Read the rows of the given roles.

    Args:
        base: folder that a relative `source` starts from.
        roles: each must have rows.
        optional: roles that are read too, and may have none: see `DataSet.rows_for`.
        categories: columns that a model takes as categories, which are read as those of `data.categorical` are.
        unlabelled: what audit rows without a label are.

    Raises:
        DataError: a column, label, group, number, picture or text that is not as the config says; an id of two rows;
            audit rows that are counted several times.
    """
    source = open_source(config, base, categories)
    table = source.table
    _check_columns(config, table)
    table = as_declared(table, {*config.categorical, *categories})
    features = _features(config, table)
    labels = declared(table.columns[config.label], config.label)
    if unlabelled == "refused" or (unlabelled == "designed" and config.label_design is None):
        check_labelled(config, labels.codes, designed=config.label_design is not None)
    classes = classes_of(config, labels)
    label = label_index(labels, classes)
    sensitive = {name: sensitive_groups(name, table.columns[name]) for name in config.sensitive}
    table = finite(table, features, missing=config.missing)
    subject = _optional(table, source.subject)
    everything = TableRows(
        # A model that sees a group sees it as the file has it, and the policy as the policy spells it.
        table=Table(
            {
                **{name: table.columns[name] for name in features},
                config.label: labels,
                **{name: as_categories(table.columns[name], name) for name in config.sensitive},
            }
        ),
        features=features,
        label=label,
        sensitive=sensitive,
        ids=_optional(table, config.id),
        subject=subject,
        content=(*(name for name in features if name not in sensitive), config.label, *config.sensitive),
    )
    positions = split_rows(config, everything, column=_split_column(config, source), needed=roles)
    drawn = {role: len(chosen) for role, chosen in positions.items()}
    if everything.ids is not None:
        check_ids(everything.ids.take(np.concatenate([*positions.values()])))
    for role in ("train", "validation"):
        check_labelled(config, taken(label, positions[role]), rows=f"{role} rows")
    poorer = made_poorer(config.purity, table, everything, positions, label=config.label, classes=classes)
    train, dropped = _without_dropped(config, poorer.train, base, classes)
    audit = everything.take(positions["audit"])
    check_learnable(config, train.label, audit.label, classes)
    audit = _with_labels(config, audit, base, unlabelled)
    if config.equal_rows == "once":
        audit = audit.take(one_of_each(audit))
    check_equal_rows(
        audit,
        features=features,
        attributes=config.sensitive,
        label=config.label,
        classes=classes,
        rule=config.equal_rows,
    )
    splits: dict[Role, TableRows] = {"train": train, "validation": poorer.validation, "audit": audit}
    return DataSet(
        source=config.source,
        features=features,
        classes=classes,
        splits={role: splits[role] for role in (*optional, *roles)},
        skipped=source.skipped,
        shares={
            "train": len(train),
            "validation": len(poorer.validation),
            "audit": len(audit),
            "unused": table.rows - sum(drawn.values()),
            **poorer.shares,
            "dropped": len(poorer.train) - len(train),
            "copies_left_out": drawn["audit"] - len(audit),
            "left_out_by_where": source.elsewhere,
        },
        missing=config.missing,
        poorer=(*poorer.notes, *dropped),
    )


def _without_dropped(
    config: DataConfig, train: TableRows, base: Path, classes: tuple[str, ...]
) -> tuple[TableRows, tuple[str, ...]]:
    """The training rows that `data.drop` leaves, and what to say of the others."""
    if config.drop is None:
        return train, ()
    stay = not_dropped(train, base / config.drop, id_column=config.id)
    check_cells(train, train.label, stay, label=config.label, classes=classes)
    said = f"{(~stay).sum():,} training rows whose labels look wrong were left out (data.drop)"
    return train.take(np.flatnonzero(stay)), (said,)


def _with_labels(config: DataConfig, audit: TableRows, base: Path, unlabelled: Unlabelled) -> TableRows:
    """The audit rows, with the strata of a label design where one says which of them have labels."""
    if unlabelled != "designed" or config.label_design is None:
        return audit
    return designed(audit, base / config.label_design, config.label)


def _split_column(config: DataConfig, source: Source) -> Categories | None:
    """The split of every row by its column, or by the file that it is in."""
    if source.audited is None:
        return _optional(source.table, config.split.column)
    split = config.split
    return Categories((split.train[0], split.audit[0]), source.audited.astype(np.int32))


def _check_columns(config: DataConfig, table: Table) -> None:
    for name in named_columns(config):
        column = table.columns[name]
        if name not in (config.features or ()) and isinstance(column, np.ndarray) and column.ndim != 1:
            raise DataError(f"'{config.source}': '{name}' has shape {column.shape}", expected="one value per row")


def as_declared(table: Table, categories: Collection[str]) -> Table:
    """The table with columns of codes as categories."""
    return Table(
        {name: as_categories(column, name) if name in categories else column for name, column in table.columns.items()}
    )


def _features(config: DataConfig, table: Table) -> tuple[str, ...]:
    if config.features is not None:
        return config.features
    only = config.picture or config.text
    if only is not None:
        return (only,)
    hidden = {config.label, config.id, config.subject, config.split.column, *config.exclude}
    if not config.allow_sensitive_features:
        hidden |= set(config.sensitive)
    features = tuple(name for name in table.columns if name not in hidden)
    _check_suspects(table, features)
    if not features:
        raise DataError("there are no features", expected="at least one", fix="list them under data.features")
    return features


def _check_suspects(table: Table, features: tuple[str, ...]) -> None:
    """Refuse features that were not listed and that would ship people's names, or nothing."""
    found = suspects(table, features)
    if found:
        raise DataError(
            "; ".join(f"column '{item.column}' {item.why}" for item in found),
            expected="features that describe people and do not identify them",
            fix=f"exclude {'it' if len(found) == 1 else 'them'} with data.exclude, declare an id as data.id "
            "(or data.subject), or list all features for the model under data.features",
        )


def _optional(table: Table, name: str | None) -> Categories | None:
    return None if name is None else declared(table.columns[name], name)
