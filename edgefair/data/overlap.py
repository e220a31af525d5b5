"""Are rows that trained or calibrated the model among the rows that judge it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from edgefair.data.rows import TableRows
from edgefair.errors import DataError

# A real leak is far above this; twins by chance are far below the level at which it is called one.
CONFIDENCE = 0.999
TOLERATED_EXCESS = 0.01


@dataclass(frozen=True)
class Overlap:
    """How many audit rows have a twin (equal features, label and sensitive attributes) among the training rows.

    Attributes:
        audit_rows: rows of the audit split.
        shared: audit rows with a twin in the training split.
        train_twins: share of training rows with a twin elsewhere in the training split: what chance explains.
    """

    audit_rows: int
    shared: int
    train_twins: float

    @property
    def note(self) -> str | None:
        """A sentence for the report, None where no row is shared."""
        if not self.shared:
            return None
        return (
            f"{self.shared:,} of {self.audit_rows:,} audit rows ({self.shared / self.audit_rows:.1%}) equal a training "
            f"row in every column; {self.train_twins:.1%} of training rows equal another training row, so this is how "
            "often people share all their answers, not a leak"
        )


def check_overlap(seen: Sequence[TableRows], audit: TableRows) -> Overlap:
    """Compare audit rows with the rows that the model has seen: training (and so calibration) and validation.

    Declared ids decide where there are any. Arrays (pictures, signals) are never equal by chance, so an equal one is a
    leak. In a table people can share every column: the share of audit rows with a twin in the training split is then
    compared with the share of training rows with a twin elsewhere in it. The two are alike if the splits are samples of
    one population; an exact binomial lower bound that exceeds the second by more than a point is a leak.

    Raises:
        DataError: audit rows are in the training split.
    """
    if audit.ids is not None:
        both = sorted(
            set(audit.ids.present) & {name for rows in seen if rows.ids is not None for name in rows.ids.present}
        )
        if both:
            raise _leak(f"{len(both)} row ids are in the training and the audit split, for example '{both[0]}'")
        return Overlap(len(audit), 0, 0.0)
    known = np.concatenate([rows.row_hashes for rows in seen])
    shared = int(np.count_nonzero(np.isin(audit.row_hashes, known)))
    if any(getattr(audit.table.columns[name], "ndim", 1) > 1 for name in audit.features):
        if shared:
            raise _leak(f"{shared} of {len(audit)} audit rows are byte for byte training rows")
        return Overlap(len(audit), 0, 0.0)
    _, inverse, counts = np.unique(known, return_inverse=True, return_counts=True)
    twins = float(np.mean(counts[inverse] > 1))
    lower = float(betaincinv(shared, len(audit) - shared + 1, 1 - CONFIDENCE)) if shared else 0.0
    if lower > twins + TOLERATED_EXCESS:
        raise _leak(
            f"{shared} of {len(audit)} audit rows equal a training row in every column, and only {twins:.1%} of "
            "training rows equal another one"
        )
    return Overlap(len(audit), shared, twins)


def _leak(found: str) -> DataError:
    return DataError(
        found,
        expected="audit rows that the model has never seen",
        fix="mend the split; a verdict on training rows says nothing about people the model will meet",
    )
