"""Decisions joined to the audit rows by id, and refused where they cannot be of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.table import Categories
from edgefair.data.groups import joint_groups
from edgefair.data.rows import TableRows
from edgefair.errors import DataError, MeasurementError
from edgefair.workflow.measurement.brought.table import AUDIT, EXPORT, BroughtTable
from edgefair.workflow.measurement.records.columns import RANGE_TOLERANCE

NAMED = 3


@dataclass(frozen=True, eq=False)
class Joined:
    """Decisions of the audit rows, in their order.

    Attributes:
        decision: int64 [rows].
        score: P(class 1), float32 [rows], where there are two classes and scores.
        times: nanoseconds of the queries in the order of the file, int64 [rows]; None where it has none.
    """

    decision: NDArray[np.int64]
    score: NDArray[np.float32] | None
    times: NDArray[np.int64] | None


def join(table: BroughtTable, rows: TableRows, ids: Categories, path: Path, *, inputs: Sequence[str]) -> Joined:
    """Every audit row's decision, whatever the order of the file.

    Args:
        ids: of the audit rows, each once.
        inputs: sensitive attributes that decisions may depend on, so that every group may have a threshold of its own.

    Raises:
        DataError: an id that stands twice, is of no audit row or lacks; another audit set.
        MeasurementError: decisions that their own scores contradict.
    """
    order = _order(table, ids, rows.fingerprint, path)
    decision = table.decision[order]
    scores = None if table.scores is None else table.scores[order]
    if scores is not None:
        _check_scores(decision, scores, joint_groups(rows.sensitive, tuple(inputs))[0] if inputs else None, path)
    binary = scores is not None and scores.shape[1] == 2
    return Joined(decision, scores[:, 1] if scores is not None and binary else None, table.times)


def _order(table: BroughtTable, ids: Categories, fingerprint: str, path: Path) -> NDArray[np.int64]:
    """Position in the file of every audit row, int64 [rows]."""
    found, known = table.ids, {value: code for code, value in enumerate(ids.values)}
    times = np.bincount(found.codes, minlength=len(found.values))
    doubled = [found.values[code] for code in np.flatnonzero(times > 1)]
    if doubled:
        raise DataError(f"'{path}': {_some(doubled)} in several rows", expected="one decision for every row")
    if other := [digest for digest in table.audit if digest != fingerprint]:
        raise DataError(
            f"'{path}' holds decisions of the audit set {other[0][:16]}",
            expected=f"those of {fingerprint[:16]}, as the config has it now",
            fix="export the inputs again, or take the config that they were exported with",
        )
    foreign = sorted(value for value in found.present if value not in known)
    if foreign:
        raise DataError(
            f"'{path}': {_some(foreign)} of no audit row" + ("" if len(foreign) < len(found) else ": of none at all"),
            expected=f"decisions of this audit set, {fingerprint[:16]}, and no other rows",
            fix=f"{EXPORT}, and the digest of the audit set, which a column '{AUDIT}' may carry back",
        )
    place = np.full(len(ids.values), -1, dtype=np.int64)
    place[[known[value] for value in (found.values[code] for code in found.codes)]] = np.arange(len(found))
    order: NDArray[np.int64] = place[ids.codes]
    lacking = [ids.values[code] for code in ids.codes[order < 0]]
    if lacking:
        raise DataError(
            f"'{path}': {_some(lacking)} not in it",
            expected=f"a decision for each of the {len(ids):,} audit rows: rows that are left out may be those of one "
            "group",
        )
    return order


def _some(values: Sequence[str]) -> str:
    """How many ids, and some of them."""
    shown = ", ".join(f"'{value}'" for value in values[:NAMED])
    return f"{len(values):,} ids ({shown}{', ...' if len(values) > NAMED else ''}) are"


def _check_scores(
    decision: NDArray[np.int64], scores: NDArray[np.float32], group: NDArray[np.int64] | None, path: Path
) -> None:
    """Refuse decisions that no threshold, or with several classes no largest probability, makes of the scores.

    Args:
        group: of every row, where groups may have thresholds of their own; None where one holds for all.
    """
    rows = np.arange(len(decision))
    if scores.shape[1] > 2:
        wrong = 0 if group is not None else int((scores[rows, decision] < scores.max(axis=1) - RANGE_TOLERANCE).sum())
        expected = "the class of the largest probability in every row"
    else:
        wrong = sum(
            _out_of_order(decision[own], scores[own, 1])
            for own in ([rows] if group is None else [np.flatnonzero(group == index) for index in np.unique(group)])
        )
        expected = "higher probabilities of class 1 where it was decided, and lower ones where it was not"
    if wrong:
        raise MeasurementError(
            f"'{path}': the scores of {wrong:,} of {len(decision):,} rows contradict their decisions",
            expected=expected,
            fix="say which class the scores are of, and write decisions and scores of the same query",
        )


def _out_of_order(decision: NDArray[np.int64], score: NDArray[np.float32]) -> int:
    """Rows of class 0 that score higher than some row of class 1."""
    if not 0 < np.count_nonzero(decision) < len(decision):
        return 0
    return int(np.count_nonzero(score[decision == 0] > score[decision == 1].min() + RANGE_TOLERANCE))
