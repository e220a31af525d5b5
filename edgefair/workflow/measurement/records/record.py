"""Raw measurements, saved so that they can be judged or compared later without the device, the model or the data."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.npz import read_npz
from edgefair.data.identity.ids import check_ids
from edgefair.errors import DataError, UsageError
from edgefair.files import sha256_json, write_atomic
from edgefair.measure.footprint import Footprint
from edgefair.measure.pooled import check_names
from edgefair.measure.sketch import SKETCH_ROWS
from edgefair.report.results.verification import BroughtDecisions, DataSection, ModelFile
from edgefair.targets.fingerprint import checked_fingerprint
from edgefair.targets.sections import Budgets, LatencyRules
from edgefair.targets.timing import check_times
from edgefair.workflow.measurement.records.columns import integers, probabilities, record_facts
from edgefair.workflow.measurement.records.pooled import DeviceRecord, lacking
from edgefair.workflow.measurement.records.rows import RecordedRows

RECORD_SCHEMA = "edgefair.record/4"


@dataclass(frozen=True, eq=False)
class TargetRecord:
    """What one device showed.

    Attributes:
        device: its fingerprint.
        budgets: what a model may cost there, as the target's profile said.
        rules: how long latency was to be measured, as the target's profile said.
        decision, reference_decision: int64 [rows].
        score: the model's P(class 1), float32 [rows], where it has two classes and gives it; else None.
        footprint: time to load the model and its memory, if measured.
        pool: the devices that shared the rows; none where it is one. `times` and `footprint` are the slowest's then.
        times: nanoseconds of every query, int64 [queries], of `candidate` and `reference`, if measured.
        not_timed: why they were not; empty where they were.
        notes: what a reader of the verdict must know of how the rows were fed.
        timings_s: seconds of each phase.
    """

    target: str
    device: dict[str, Any]
    budgets: Budgets
    rules: LatencyRules
    model: ModelFile
    reference: ModelFile | None
    decision: NDArray[np.int64]
    reference_decision: NDArray[np.int64] | None
    times: dict[str, NDArray[np.int64]]
    not_timed: str
    notes: tuple[str, ...]
    timings_s: dict[str, float]
    score: NDArray[np.float32] | None = None
    footprint: Footprint | None = None
    pool: tuple[DeviceRecord, ...] = ()

    def facts(self) -> dict[str, Any]:
        """All but the arrays, as JSON types."""
        return {
            "target": self.target,
            "device": self.device,
            "budgets": self.budgets.model_dump(),
            "rules": self.rules.model_dump(),
            "model": asdict(self.model),
            "reference": None if self.reference is None else asdict(self.reference),
            "footprint": None if self.footprint is None else self.footprint.to_json(),
            **({"pool": [item.facts() for item in self.pool]} if self.pool else {}),
            "times": list(self.times),
            "not_timed": self.not_timed,
            "notes": list(self.notes),
            "timings_s": self.timings_s,
        }

    @property
    def own_reference(self) -> bool:
        """Whether nothing was compressed: the reference is the model's own file."""
        return self.model.is_same(self.reference)

    @property
    def not_measured(self) -> tuple[tuple[str, str], ...]:
        """Gate id -> why it cannot be judged, of what needs a clock; of a pool, on the first device where it can't."""
        parts = self.pool or (self,)
        found = [lacking(part.times, part.footprint, not_timed=part.not_timed, rules=self.rules) for part in parts]
        return tuple(dict(item for part in reversed(found) for item in part).items())

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], prefix: str) -> Self:
        """Read back `facts` and the arrays whose names begin with `prefix`.

        Raises:
            KeyError, ValueError: not the facts of a target.
        """
        reference = facts["reference"]
        return cls(
            target=facts["target"],
            device=checked_fingerprint(facts["device"]),
            budgets=facts["budgets"],
            rules=facts["rules"],
            model=facts["model"],
            reference=reference,
            decision=integers(arrays, f"{prefix}decision"),
            reference_decision=None if reference is None else integers(arrays, f"{prefix}reference"),
            times={name: arrays[f"{prefix}times/{name}"] for name in facts["times"]},
            not_timed=facts["not_timed"],
            notes=tuple(facts["notes"]),
            timings_s=facts["timings_s"],
            score=probabilities(arrays, f"{prefix}score") if f"{prefix}score" in arrays else None,
            footprint=None if facts.get("footprint") is None else Footprint.from_json(facts["footprint"]),
            pool=tuple(
                DeviceRecord.from_facts(item, arrays, f"{prefix}pool/{number}/")
                for number, item in enumerate(facts.get("pool") or ())
            ),
        )


@dataclass(frozen=True, eq=False)
class Record:
    """One model on some rows, measured on one target or more.

    Attributes:
        name: the model's path or the record's.
        created: UTC, ISO 8601.
        data: the config's `data:` section that chose the rows, and how many rows took which part.
        settings: how the model was made, as far as it is known.
        notes: facts that a reader must know beside the verdict.
        brought: the file of decisions that it was made of; None where a device was asked.
    """

    name: str
    created: str
    rows: RecordedRows
    data: DataSection
    targets: tuple[TargetRecord, ...]
    settings: dict[str, Any]
    notes: tuple[str, ...]
    brought: BroughtDecisions | None = None

    @property
    def judged(self) -> str:
        """SHA-256 of what is judged: the model file, or the decisions that were brought, whatever they are said to be
        of."""
        if self.brought is not None:
            return sha256_json(self.brought.digests)
        return str(self.targets[0].model.sha256)


def save_record(path: Path, record: Record) -> None:
    """Write a record as `.npz` (no pickle), for its owner alone: it tells of every person.

    Raises:
        UsageError: the file cannot be written.
    """
    rows = record.rows
    facts = {
        "created": record.created,
        "rows_digest": rows.digest,
        "audit": asdict(rows.audit),
        "data": asdict(record.data),
        "classes": list(rows.classes),
        "attributes": list(rows.sensitive),
        "targets": [target.facts() for target in record.targets],
        "settings": record.settings,
        "notes": list(record.notes),
    }
    arrays: dict[str, Any] = {
        "schema": np.array(RECORD_SCHEMA),
        "facts": np.array(json.dumps(facts, ensure_ascii=False)),
        "label": rows.label.astype(np.int32),
        "sketch": np.array(rows.sketch, dtype=np.uint64),
    }
    if rows.stratum is not None:
        arrays["stratum"] = rows.stratum
    columns = {f"sensitive/{name}": column for name, column in rows.sensitive.items()}
    columns |= {name: column for name, column in (("ids", rows.ids), ("subject", rows.subject)) if column is not None}
    for name, column in columns.items():
        arrays[f"values/{name}"] = np.array(column.values)
        arrays[f"codes/{name}"] = column.codes
    for index, target in enumerate(record.targets):
        arrays[f"{index}/decision"] = target.decision.astype(np.int32)
        if target.reference_decision is not None:
            arrays[f"{index}/reference"] = target.reference_decision.astype(np.int32)
        if target.score is not None:
            arrays[f"{index}/score"] = target.score
        arrays |= {f"{index}/times/{name}": times for name, times in target.times.items()}
        for number, device in enumerate(target.pool):
            arrays |= device.arrays(f"{index}/pool/{number}/")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    try:
        write_atomic(path, buffer.getvalue(), private=True)
    except OSError as error:
        raise UsageError(f"the record cannot be written to '{path}': {error.strerror}") from error


def load_record(path: Path) -> Record:
    """Read a record.

    Raises:
        DataError: not a record, or one in which an id stands twice.
    """
    try:
        arrays = read_npz(path, lambda names: names)
        if str(arrays["schema"]) != RECORD_SCHEMA:
            raise ValueError(f"its schema is '{arrays['schema']}', not '{RECORD_SCHEMA}'")
        facts = record_facts(str(arrays["facts"]))
        targets = tuple(
            TargetRecord.from_facts(dict(item), arrays, f"{index}/") for index, item in enumerate(facts["targets"])
        )
        record = Record(
            name=str(path),
            created=facts["created"],
            rows=RecordedRows.from_facts(facts, arrays),
            data=facts["data"],
            targets=targets,
            settings=facts["settings"],
            notes=tuple(facts["notes"]),
        )
        _check(record)
        if record.rows.ids is not None:
            check_ids(record.rows.ids)
    except (ValueError, KeyError, RecursionError) as error:
        raise DataError(
            f"'{path}' is not a record: {' '.join(str(error).split())}",
            expected="a file that `edgefair verify --record` wrote",
            fix="measure again with this version of edgefair",
        ) from error
    return record


def _check(record: Record) -> None:
    """Every array has the length that the record says, decisions and labels are classes, and times are times.

    Raises:
        ValueError: one has not or is not, there is no target, or no sketch of the rows.
    """
    rows, classes = record.rows.audit.rows, len(record.rows.classes)
    if not record.targets or not rows or len(set(record.rows.classes)) < max(2, classes):
        raise ValueError("it has no target, no rows, or fewer than two different classes")
    columns: Sequence[NDArray[Any] | None] = [
        record.rows.label,
        *(column.codes for column in record.rows.sensitive.values()),
        *(column.codes for column in (record.rows.ids, record.rows.subject) if column is not None),
        record.rows.stratum,
        *(target.decision for target in record.targets),
        *(target.reference_decision for target in record.targets),
        *(target.score for target in record.targets),
    ]
    if any(column is not None and column.shape != (rows,) for column in columns):
        raise ValueError(f"not all of its columns have {rows} rows")
    sketch = record.rows.sketch
    if not 0 < len(sketch) <= min(rows, SKETCH_ROWS) or not all(isinstance(row, int) and row >= 0 for row in sketch):
        raise ValueError("it holds no sketch of its rows")
    if len({target.target for target in record.targets}) < len(record.targets):
        raise ValueError("two of its targets have the same name")
    record.rows.check_labels()
    for target in record.targets:
        decided = [target.decision]
        decided += [] if target.reference_decision is None else [target.reference_decision]
        if any(column.min() < 0 or column.max() >= classes for column in decided):
            raise ValueError(f"a decision is none of {classes} classes")
        if target.own_reference and not np.array_equal(target.decision, decided[-1]):
            raise ValueError(f"target '{target.target}' decided differently with the reference, which is the same file")
        check_names(device.name for device in target.pool)
        if target.pool and sum(device.rows for device in target.pool) != len(target.decision):
            raise ValueError(f"the devices of target '{target.target}' did not decide all of its rows")
        _check_times(target)


def _check_times(target: TargetRecord) -> None:
    """Query times are positive, as many of each model, of the candidate at least; or it is said why there are none.

    Raises:
        ValueError: they are not.
    """
    if not target.times and not target.not_timed:
        raise ValueError(f"it has no query times for target '{target.target}' and no reason")
    if target.times:
        check_times(target.times, {"candidate", *target.times})
