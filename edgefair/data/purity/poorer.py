"""From the rows of a data set to those that are left of them, with the labels that they then have."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.table import Categories, Table
from edgefair.data.groups import joint_groups
from edgefair.data.hashing import drawn, hash_categories, joint, numbered
from edgefair.data.purity.config import Purity, ThinConfig
from edgefair.data.purity.draws import flipped, kept
from edgefair.data.rows import TableRows
from edgefair.data.values import rows_where
from edgefair.errors import DataError


@dataclass(frozen=True, eq=False)
class Poorer:
    """Training and validation rows, made poorer where the config says so.

    Attributes:
        shares: rows that were left out, by the key that did it.
        notes: what was done, in words.
    """

    train: TableRows
    validation: TableRows
    shares: Mapping[str, int]
    notes: tuple[str, ...]


def made_poorer(
    purity: Purity,
    table: Table,
    rows: TableRows,
    positions: Mapping[str, NDArray[np.int64]],
    *,
    label: str,
    classes: tuple[str, ...],
) -> Poorer:
    """Leave rows out (`data.keep`, `data.thin`), flip labels of training and validation rows (`data.noise`).

    Each of the three is drawn from all training rows as they were read, so that none moves what another takes.

    Args:
        table: every column of the source, by which rows are chosen.
        rows: those of the table.
        positions: role -> positions of its rows, all with a label.
        label: the column of the label.
        classes: the labels in the order of the model's classes.

    Raises:
        DataError: a value that a column does not have, noise or thinning of no training row, more rows to keep than
            there are, or a cell of an attribute's group and label of which no row is left.
    """
    train, validation = rows.take(positions["train"]), rows.take(positions["validation"])
    if not purity.settings:
        return Poorer(train, validation, {"left_out_by_keep": 0, "thinned_out": 0}, ())
    drawn_rows = _Draw(purity, table, rows, _identities(rows), label, classes)
    in_sample = drawn_rows.in_sample(positions["train"])
    stay = in_sample & drawn_rows.not_thinned(positions["train"], purity.thin)
    held = np.flatnonzero(
        drawn_rows.not_thinned(positions["validation"], [item for item in purity.thin if item.validation])
    )
    drawn_rows.check_noise(positions["train"])
    noisy = drawn_rows.noisy(positions["train"])
    check_cells(train, noisy, stay, label=label, classes=classes)
    left = np.flatnonzero(stay)
    changed = noisy[left] != train.label[left]
    validation_labels = drawn_rows.noisy(positions["validation"])[held]
    thinned, validation = len(validation) - len(held), validation.take(held)
    shares = {
        "left_out_by_keep": int((~in_sample).sum()),
        "thinned_out": int((in_sample & ~stay).sum()) + thinned,
    }
    notes = []
    if shares["left_out_by_keep"]:
        notes.append(f"{in_sample.sum():,} of {len(train):,} training rows were kept on purpose (data.keep)")
    if shares["thinned_out"]:
        too_said = f" and {thinned:,} validation rows" if thinned else ""
        notes.append(
            f"{shares['thinned_out'] - thinned:,} training rows{too_said} were thinned out on purpose (data.thin)"
        )
    if purity.noise:
        others = int((validation_labels != validation.label).sum())
        notes.append(
            f"labels of {changed.sum():,} of {len(left):,} training rows and of {others:,} of {len(validation):,} "
            "validation rows were flipped on purpose (data.noise)"
        )
    return Poorer(
        train=_relabelled(train.take(left), noisy[left], label, classes),
        validation=_relabelled(validation, validation_labels, label, classes),
        shares=shares,
        notes=tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class _Draw:
    """What one config draws; `identities` say who every row of the table is, uint64 [rows]."""

    purity: Purity
    table: Table
    rows: TableRows
    identities: NDArray[np.uint64]
    label: str
    classes: tuple[str, ...]

    def in_sample(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Training rows that `data.keep` keeps, bool [positions]: in proportion by every joint group and label."""
        keep, total = self.purity.keep, len(positions)
        if keep is None or not total:
            return np.ones(total, dtype=bool)
        size = round(keep * total) if keep < 1 else int(keep)
        if size > total:
            raise DataError(
                f"data.keep is {size:,}, and there are {total:,} training rows",
                expected="at most as many",
                fix="lower data.keep, or omit it to keep all",
            )
        group, _ = joint_groups(self.rows.sensitive, [*self.rows.sensitive])
        cell = (group * len(self.classes) + self.rows.label)[positions]
        stratum = np.unique(cell, return_inverse=True)[1]
        return kept(self._keys(positions), stratum, size, seed=self.purity.seed)

    def not_thinned(self, positions: NDArray[np.int64], entries: Sequence[ThinConfig]) -> NDArray[np.bool_]:
        """Rows that entries of `data.thin` leave, bool [positions]: of each, about the share that it keeps."""
        stay = np.ones(len(positions), dtype=bool)
        for item in entries:
            chosen = rows_where(self.table, item.where)[positions]
            _check_some(chosen, f"data.thin: no row is where {_words(item.where)}")
            salt = f"thin {json.dumps(item.where, sort_keys=True)}"
            stay &= ~chosen | drawn(self._keys(positions), item.keep, seed=self.purity.seed, salt=salt)
        return stay

    def check_noise(self, positions: NDArray[np.int64]) -> None:
        """Refuse entries of `data.noise` that are about none of the rows."""
        for item, (chosen, _) in zip(self.purity.noise, self._entries(positions), strict=True):
            where = {**item.where, **({self.label: item.label} if item.label else {})}
            _check_some(chosen, f"data.noise: no training row is where {_words(where)}")

    def noisy(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Labels after `data.noise`, int64 [positions]."""
        label = self.rows.label[positions]
        if not self.purity.noise:
            return label
        entries = self._entries(positions)
        return flipped(self._keys(positions), label, entries, classes=len(self.classes), seed=self.purity.seed)

    def _entries(self, positions: NDArray[np.int64]) -> list[tuple[NDArray[np.bool_], float]]:
        """Of every entry of `data.noise`, the rows that it is about, bool [positions], and their chance to flip."""
        found = []
        for item in self.purity.noise:
            chosen = rows_where(self.table, item.where)
            if item.label:
                chosen &= rows_where(self.table, {self.label: item.label})
            found.append((chosen[positions], item.flip))
        return found

    def _keys(self, positions: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Who the rows are, uint64 [positions]; equal ones are numbered."""
        return numbered(self.identities[positions])


def _identities(rows: TableRows) -> NDArray[np.uint64]:
    """A hash of every row's content and declared id, uint64 [rows]."""
    hashes = rows.row_hashes
    return hashes if rows.ids is None else joint(hashes, hash_categories(rows.ids))


def _check_some(chosen: NDArray[np.bool_], found: str) -> None:
    if len(chosen) and not chosen.any():
        raise DataError(found, fix="name a group and label that training rows have")


def _words(where: Mapping[str, tuple[str, ...]]) -> str:
    return " and ".join(f"{name} is {' or '.join(values)}" for name, values in where.items())


def check_cells(
    train: TableRows, noisy: NDArray[np.int64], stay: NDArray[np.bool_], *, label: str, classes: tuple[str, ...]
) -> None:
    """Refuse what empties a cell: without its rows nothing is learned of a group with a label.

    Args:
        noisy: the labels that they then have, int64 [rows].
        stay: rows that are left, bool [rows].

    Raises:
        DataError: names the first cell.
    """
    for name, column in train.sensitive.items():
        size = len(column.values) * len(classes)
        before = np.bincount(column.codes * len(classes) + train.label, minlength=size)
        after = np.bincount((column.codes * len(classes) + noisy)[stay], minlength=size)
        for cell in np.flatnonzero((before > 0) & (after == 0)).tolist():
            group, of = column.values[cell // len(classes)], classes[cell % len(classes)]
            raise DataError(
                f"none of {before[cell]:,} training rows with {name} '{group}' and {label} '{of}' is left",
                expected="some rows in every cell that has some",
                fix="raise data.keep or the `keep` of data.thin, lower the `flip` of data.noise, or drop fewer "
                "(data.drop); data.where leaves a group out everywhere",
            )


def _relabelled(rows: TableRows, noisy: NDArray[np.int64], label: str, classes: tuple[str, ...]) -> TableRows:
    """The rows with other labels, in the column of the label too: their content is another."""
    if np.array_equal(noisy, rows.label):
        return rows
    column = Categories(classes, noisy.astype(np.int32))
    return dataclasses.replace(rows, label=noisy, table=Table({**rows.table.columns, label: column}))
