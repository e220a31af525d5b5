"""Are rows that trained or calibrated the model among the rows that judge it?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from edgefair.columns.ranges import Range, in_ranges
from edgefair.data.files.table import Categories
from edgefair.data.hashing import hash_categories
from edgefair.data.identity.seen import SeenRows
from edgefair.data.rows import Rows
from edgefair.errors import DataError
from edgefair.measure.distinct import compact, distinct

# A leak is called one when chance would show as much in fewer than one of a thousand honest splits.
CONFIDENCE = 0.999


@dataclass(frozen=True)
class Overlap:
    """How many audit rows have a twin (equal features) among the training rows.

    Attributes:
        audit_rows: rows of the audit split.
        shared: audit rows with a twin in the training split.
        train_twins: share of training rows with a twin elsewhere in the training split.
        both_sides: contents of several rows that are on both sides of the split.
        by_chance: how many of them chance would put on both sides (the most that it would on average).
    """

    audit_rows: int
    shared: int = 0
    train_twins: float = 0.0
    both_sides: int = 0
    by_chance: float = 0.0

    @property
    def note(self) -> str | None:
        """A sentence for the report, None where no row is shared."""
        if not self.shared:
            return None
        found = (
            f"{self.shared:,} of {self.audit_rows:,} audit rows ({self.shared / self.audit_rows:.1%}) equal a training "
            "row in every feature; "
        )
        if not self.train_twins:
            return f"{found}training rows never equal each other, but so few cannot be distinguished from chance"
        return (
            f"{found}{self.train_twins:.1%} of training rows equal another training row, and {self.both_sides:,} "
            f"repeated rows are on both sides of the split where chance predicts {self.by_chance:,.0f}, so this is how "
            "often people share all their answers, not a leak"
        )


def check_overlap(seen: SeenRows, audit: Rows) -> Overlap:
    """Compare audit rows with the rows that a model has seen: training (and so calibration) and validation.

    A declared id on both sides is a leak. So are equal pictures or signals (arrays [rows, ., ., ...]), whatever their
    ids and labels: they are never equal by chance. All arrays of a row are compared together, and a signal that is
    alike in every row tells nobody apart. In a table people can share every feature, whatever their ids say:
    chance must explain how often they do, as `_twins` says.

    Raises:
        DataError: audit rows are among those that the model has seen, or lack a feature of the model.
    """
    if seen.ids is not None and audit.ids is not None:
        _check_ids(seen.ids, audit.ids)
    arrays = audit.array_hashes_of(seen.columns)
    if arrays is not None and seen.arrays is not None:
        equal = np.flatnonzero(np.isin(arrays, seen.arrays))
        if len(equal):
            where = ", ".join(str(row) for row in equal[:3])
            raise _leak(
                f"{len(equal)} of {len(audit)} audit rows are byte-for-byte copies of training rows "
                f"(audit rows {where})"
            )
        return Overlap(len(audit))
    return _twins(seen.content, audit.hashes_of(seen.columns)) if len(seen.content) else Overlap(len(audit))


def _check_ids(seen: NDArray[np.uint64], ids: Categories) -> None:
    known = np.isin(hash_categories(ids), seen)
    if known.any():
        both = sorted({ids.values[code] for code in ids.codes[known]})
        some = ", ".join(f"'{name}'" for name in both[:3])
        raise _leak(f"{len(both)} row ids are in the training and the audit split, for example {some}")


def _twins(known: NDArray[np.uint64], audit: NDArray[np.uint64]) -> Overlap:
    """Are repeated rows on both sides of the split more often than chance puts them there?

    Of n contents that occur c times each, with a share p of those c n rows in the audit split, chance puts
    n (1 - p^c - (1-p)^c) on both sides. That is also the most it does where the split depends on the content (people
    of one kind audited more often than others), for the function is concave in p: Wahlund's effect. Copied rows are on
    both sides always. It is a leak if for some c an exact binomial lower limit (Clopper-Pearson; the confidence is
    shared out over the c) exceeds the share that chance explains. Ten copied rows show in a table without twins.

    Rows that were duplicated before the split was drawn look like people who answer alike; `data.equal_rows` says what
    they are.

    Args:
        known: hashes of the rows that the model has seen, uint64 [rows].
        audit: hashes of the audit rows, uint64 [rows].

    Raises:
        DataError: a leak.
    """
    # Of contents that occur so often: how many there are, their audit rows, and how many are on both sides.
    tally: dict[int, NDArray[np.int64]] = {}
    shared = train_twins = 0
    for train_part, audit_part in in_ranges(known, audit):
        contents = distinct(np.concatenate([train_part.values, audit_part.values]))
        in_train, in_audit = (_times_of(part, contents) for part in (train_part, audit_part))
        mixed = (in_audit > 0) & (in_train > 0)
        shared += int(in_audit[mixed].sum())
        train_twins += int(in_train[in_train > 1].sum())
        times = in_train + in_audit
        occurring, place = compact(times, int(times.max(initial=0)) + 1)
        sums = [np.bincount(place, weights).astype(np.int64) for weights in (None, in_audit, mixed)]
        for often, more in zip(occurring.tolist(), np.stack(sums, axis=1), strict=True):
            tally[often] = tally.get(often, 0) + more
    if not shared:
        return Overlap(len(audit))
    several = sorted(times for times in tally if times > 1)
    c = np.array(several)
    n, audited, found = np.array([tally[times] for times in several]).T
    p = audited / (c * n)
    explained = 1 - p**c - (1 - p) ** c
    # The lower limit of 0 of n is 0, which the formula does not know.
    lower = np.where(found > 0, betaincinv(np.maximum(found, 1), n - found + 1, (1 - CONFIDENCE) / len(c)), 0.0)
    both_sides, by_chance = int(found.sum()), float((n * explained).sum())
    if (lower > explained).any():
        raise _leak(
            f"{shared} of {len(audit)} audit rows equal a training row in every feature: {both_sides} repeated rows "
            f"are on both sides of the split, where chance predicts {by_chance:.0f}"
        )
    return Overlap(len(audit), shared, train_twins / len(known), both_sides, by_chance)


def _times_of(part: Range, contents: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How often each content occurs in a range, int64 [contents]."""
    times = np.zeros(len(contents), dtype=np.int64)
    times[np.searchsorted(contents, part.values)] = part.times
    return times


def _leak(found: str) -> DataError:
    return DataError(
        found,
        expected="audit rows that the model has never seen",
        fix="fix the split, and judge a model by the data.split it was trained with; a verdict on training rows "
        "says nothing about people the model will meet",
    )
