"""Compare two models, or two saved measurements."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefair.bundle.manifest import is_bundle, open_bundle
from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.decision.policy import Policy
from edgefair.decision.recording.corrections import check_corrections
from edgefair.errors import DataError, UsageError
from edgefair.files import as_path, shown, write_atomic
from edgefair.measure.counts import GroupCounts
from edgefair.measure.design import Design
from edgefair.measure.paired import PairedCounts
from edgefair.progress import Progress, silent
from edgefair.report.escape import csv_cell
from edgefair.report.results.comparison import ComparisonReport, compare_paired, compare_unpaired
from edgefair.targets import load_profile
from edgefair.workflow.exemplars.changed import DecidedTwice, RowsToShow, rows_not_at_hand
from edgefair.workflow.kept_targets import KeptTargets
from edgefair.workflow.measurement.decide_rows import decide_rows
from edgefair.workflow.measurement.design import design_of
from edgefair.workflow.measurement.records.record import load_record
from edgefair.workflow.measurement.records.rows import RecordedRows
from edgefair.workflow.models.convert import check_no_rows, spec_here
from edgefair.workflow.models.infer_spec import foreign_spec
from edgefair.workflow.models.seen import Seen, check_rows
from edgefair.workflow.models.spec import spec_of
from edgefair.workflow.models.vocabulary import categories_in
from edgefair.workflow.sealing.rows import RowSet
from edgefair.workflow.sealing.seal import check_shown

COMPARE = "`edgefair compare`"


@dataclass(frozen=True, eq=False)
class Side:
    """One model's decisions, int64 [rows], and, of two classes, its P(class 1), [rows]."""

    name: str
    rows: RecordedRows
    decision: NDArray[np.int64]
    score: NDArray[np.float32] | None


def compare(
    config: Config,
    before: str | Path,
    after: str | Path,
    *,
    exemplars: str | Path | None = None,
    to_show: RowsToShow | None = None,
    progress: Progress = silent,
) -> ComparisonReport:
    """What changes from one model to another.

    Args:
        before, after: a bundle, an `.onnx` file, or a record of `edgefair verify --record`.
        exemplars: also write the rows whose decision changed to this CSV file: position among the audit rows, declared
            id and subject, label, both decisions and groups (compression-identified exemplars, Hooker et al. 2019).
        to_show: takes these rows with their features; a page may show them (`Item.changed`).

    Raises:
        DataError: also for audit rows that a model has seen, or that are counted several times.
        ModelError, MeasurementError, PolicyError: see the message.
        UsageError: exemplars of measurements on different rows, or rows to show of two records, which hold no
            features; or sealed audit rows.
    """
    before, after, exemplars = Path(before), Path(after), as_path(exemplars)
    data: DataSet | None = None
    if to_show is not None and before.suffix == after.suffix == ".npz":
        raise rows_not_at_hand("a record holds decisions and no features", "compare the models themselves")
    if any(path.suffix != ".npz" for path in (before, after)):
        progress.stage("reading")
        categories = frozenset[str]().union(*(categories_in(path) for path in (before, after) if path.suffix != ".npz"))
        data = load(
            config.data, base=config.base, roles=["audit"], optional=("train", "validation"), categories=categories
        )
        check_shown(config, RowSet.of(data.audit), by=COMPARE)
    with KeptTargets() as targets:
        one = _side(config, before, data, progress, targets, beside=True)
        other = _side(config, after, data, progress, targets)
    _check_labelled(one, other)
    attributes = config.policy.base_attributes
    for record in (one, other):
        lacking = [name for name in attributes if name not in record.rows.sensitive]
        if lacking:
            raise DataError(f"'{record.name}' has no attribute '{lacking[0]}'", fix="record it again")
    check_corrections(config.policy, one.rows.classes)
    unjudged = config.policy.not_judged(dict.fromkeys([*one.rows.sensitive, *other.rows.sensitive]))
    names = {"before": str(before), "after": str(after)}
    why = _why_unpaired(one, other)
    if why:
        if exemplars is not None:
            raise UsageError(f"no exemplars can be written: {why}")
        if to_show is not None:
            raise UsageError(f"no changed rows can be shown: {why}", fix="omit --show-rows")
        if one.rows.subject is not None or other.rows.subject is not None:
            raise UsageError(f"with data.subject only measurements of the same rows can be compared: {why}")
        counts = [
            GroupCounts.from_rows(
                {name: item.rows.sensitive[name] for name in attributes},
                label=item.rows.label,
                decision=item.decision,
                classes=item.rows.classes,
            )
            for item in (one, other)
        ]
        independent = compare_unpaired(counts[0], counts[1], config.policy, why=why, **names)
        return replace(independent, not_judged=unjudged)
    paired = PairedCounts.from_rows(
        {name: one.rows.sensitive[name] for name in attributes},
        label=one.rows.label,
        reference=one.decision,
        candidate=other.decision,
        classes=one.rows.classes,
    )
    designs = _designs(config.policy, one, other)
    report = replace(compare_paired(paired, config.policy, designs=designs, **names), not_judged=unjudged)
    if exemplars is not None:
        _write_exemplars(exemplars, one, other)
    if to_show is not None and data is not None:
        twice = DecidedTwice(one.decision, other.decision, one.score, other.score)
        to_show.take(config.targets[0], data.audit, twice, attributes=attributes, classes=one.rows.classes)
    return report


def _designs(policy: Policy, one: Side, other: Side) -> tuple[Design, Design] | None:
    """Of the decisions before, and of those after beside them; None where rows are independent."""

    def of(decision: NDArray[np.int64], reference: NDArray[np.int64] | None) -> Design | None:
        return design_of(
            policy,
            subject=one.rows.subject,
            sensitive=one.rows.sensitive,
            label=one.rows.label,
            decision=decision,
            reference=reference,
            classes=len(one.rows.classes),
        )

    before, after = of(one.decision, None), of(other.decision, one.decision)
    return None if before is None or after is None else (before, after)


def _side(
    config: Config,
    path: Path,
    data: DataSet | None,
    progress: Progress,
    targets: KeptTargets,
    *,
    beside: bool = False,
) -> Side:
    """A saved record's first target, or the decisions of a model made now on the first target.

    Args:
        beside: see `targets.running`.
    """
    if data is None or path.suffix == ".npz":
        record = load_record(path)
        check_shown(config, record.rows.row_set, by=COMPARE)
        return Side(record.name, record.rows, record.targets[0].decision, record.targets[0].score)
    check_no_rows(path)
    bundle = open_bundle(path) if is_bundle(path) else None
    model = path if bundle is None else bundle.model
    seen = Seen.by_config(data, spec_here(config, data, path)) if bundle is None else Seen.by_bundle(bundle, data)
    check_rows(config, data, seen)
    with targets.open(load_profile(config.targets[0])) as probe:
        loaded = probe.load(model, name=path.name, beside=beside)
        spec = spec_of(loaded, lambda found: foreign_spec(found, data, config.model), data.classes)
        decided = decide_rows(probe, loaded, data.audit, spec, progress)
    rows = RecordedRows.of(data.audit, spec.classes, source=shown(data.source, config.base))
    return Side(str(path), rows, decided.decisions, decided.score)


def _check_labelled(*sides: Side) -> None:
    for side in sides:
        if side.rows.stratum is not None:
            raise UsageError(
                f"'{side.name}' was measured on rows of a label design, which `compare` does not weigh",
                expected="rows that all have a label",
                fix="judge the candidate beside its reference: edgefair verify CANDIDATE --reference REFERENCE",
            )


def _why_unpaired(one: Side, other: Side) -> str:
    if one.rows.classes != other.rows.classes:
        raise DataError(f"the models have different classes: {one.rows.classes} and {other.rows.classes}")
    if one.rows.digest != other.rows.digest:
        return (
            f"the measurements are of different rows ({len(one.rows.label):,} and {len(other.rows.label):,}), so "
            "they are compared as independent samples"
        )
    return ""


def _write_exemplars(path: Path, one: Side, other: Side) -> None:
    changed = np.flatnonzero(one.decision != other.decision)
    text = io.StringIO()
    writer = csv.writer(text)
    told = {
        name: column for name, column in (("id", one.rows.ids), ("subject", one.rows.subject)) if column is not None
    }
    header = ["row", *told, "label", "before", "after", *one.rows.sensitive]
    writer.writerow(map(csv_cell, header))
    for row in changed.tolist():
        identity = [column.values[column.codes[row]] for column in told.values()]
        decided = [one.rows.classes[part[row]] for part in (one.rows.label, one.decision, other.decision)]
        groups = [column.values[column.codes[row]] for column in one.rows.sensitive.values()]
        writer.writerow([row, *map(csv_cell, (*identity, *decided, *groups))])
    try:
        write_atomic(path, text.getvalue().encode(errors="backslashreplace"), private=True)
    except OSError as error:
        raise UsageError(f"the exemplars cannot be written to '{path}': {error.strerror}") from error
