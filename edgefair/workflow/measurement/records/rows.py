"""The rows of a measurement as a record keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import slices
from edgefair.data.files.table import MISSING, Categories
from edgefair.data.hashing import hash_categories
from edgefair.data.rows import TableRows
from edgefair.measure.sketch import sketch_of
from edgefair.report.results.verification import AuditRows
from edgefair.workflow.measurement.records.columns import integers, text_column
from edgefair.workflow.sealing.rows import CONTENT, IDS, RowSet


@dataclass(frozen=True, eq=False)
class RecordedRows:
    """The rows of a measurement, without their features.

    Attributes:
        digest: sha256 of the rows in their order: equal digests mean that decisions can be paired.
        label: int64 [rows]; -1 where a label design leaves a row without one.
        sensitive: attribute -> Categories [rows].
        ids, subject: declared identity of every row and its person, if any.
        sketch: a few hashes of the rows (`measure.sketch`): what other audit sets have in common with these.
        stratum: of the label design, int64 [rows]; None where every row has a label.
    """

    digest: str
    audit: AuditRows
    classes: tuple[str, ...]
    label: NDArray[np.int64]
    sensitive: dict[str, Categories]
    ids: Categories | None
    subject: Categories | None
    sketch: tuple[int, ...]
    stratum: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, rows: TableRows, classes: tuple[str, ...], *, source: str) -> Self:
        """What a record keeps of the rows."""
        digest = hashlib.sha256()
        for part in slices(len(rows), rows.row_hashes):
            digest.update(rows.row_hashes[part].astype("<u8", copy=False).data)
        audit = AuditRows(source=source, rows=len(rows), fingerprint=rows.fingerprint)
        # An id stays what it is where other columns are left out or coded anew.
        sketch = sketch_of(rows.row_hashes if rows.ids is None else hash_categories(rows.ids))
        return cls(
            digest.hexdigest(),
            audit,
            classes,
            rows.label,
            dict(rows.sensitive),
            rows.ids,
            rows.subject,
            sketch,
            rows.stratum,
        )

    @property
    def row_set(self) -> RowSet:
        """What these rows are known by in the account of sealed sets."""
        return RowSet(self.audit.fingerprint, {CONTENT if self.ids is None else IDS: self.sketch})

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read back what `record.save_record` wrote.

        Raises:
            KeyError, ValueError: not such rows.
        """
        optional = {
            name: text_column(arrays, name, least=MISSING) for name in ("ids", "subject") if f"codes/{name}" in arrays
        }
        return cls(
            digest=facts["rows_digest"],
            audit=facts["audit"],
            classes=tuple(facts["classes"]),
            label=integers(arrays, "label"),
            sensitive={name: text_column(arrays, f"sensitive/{name}", least=0) for name in facts["attributes"]},
            ids=optional.get("ids"),
            subject=optional.get("subject"),
            sketch=tuple(arrays["sketch"].tolist()),
            stratum=integers(arrays, "stratum") if "stratum" in arrays else None,
        )

    def check_labels(self) -> None:
        """Every row has a label, or a label design says why not: there every stratum has a labelled row.

        Raises:
            ValueError: they have not, or rows of subjects have strata.
        """
        if self.label.min() < (0 if self.stratum is None else -1) or self.label.max() >= len(self.classes):
            raise ValueError(f"a label is none of {len(self.classes)} classes")
        if self.stratum is None:
            return
        if self.subject is not None or self.stratum.min() < 0:
            raise ValueError("its rows are of a label design and of subjects, or of a negative stratum")
        if np.setdiff1d(self.stratum, self.stratum[self.label >= 0]).size:
            raise ValueError("a stratum of its label design has no labelled row")
