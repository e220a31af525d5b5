"""Judge decisions that were brought in a file, as those that a target was asked for are judged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefair.config import Config
from edgefair.decision.decide import check_waivers
from edgefair.errors import UsageError
from edgefair.files import as_path, shown, shown_in
from edgefair.progress import Progress, silent
from edgefair.report.results.verification import DataSection, Report
from edgefair.targets import TargetProfile, load_profile
from edgefair.targets.sections import Budgets, LatencyRules
from edgefair.workflow.clock import now, today
from edgefair.workflow.measurement.brought.joined import Joined
from edgefair.workflow.measurement.brought.reference import decisions_of, reference_of
from edgefair.workflow.measurement.brought.source import Brought
from edgefair.workflow.measurement.brought.table import MILLISECONDS
from edgefair.workflow.measurement.judge import check_askable, judge_measured
from edgefair.workflow.measurement.records.record import Record, TargetRecord
from edgefair.workflow.measurement.records.rows import RecordedRows
from edgefair.workflow.measurement.reference_audit import NO_AUDITS
from edgefair.workflow.models.seen import Seen, notes_of
from edgefair.workflow.models.vocabulary import load_to_judge

# The target of decisions of which no profile says what made them.
NAMELESS = "brought"


def verify_decisions(
    config: Config,
    decisions: str | Path | Sequence[str | Path],
    *,
    model: str | Path | None = None,
    reference: str | Path | None = None,
    reference_decisions: str | Path | None = None,
    targets: Sequence[str] = (),
    latency: bool = True,
    progress: Progress = silent,
) -> Report:
    """Judge files of decisions by the config's policy; their report says that nobody attests them.

    Several are of one model on several devices: each has its verdict, the worst is the release's, and the report says
    where they disagree.

    Args:
        decisions: .csv or .parquet files, with a row for every audit row.
        model: the file that is said to have made them, of whatever kind.
        reference: the model before compression, which is run here on the same rows.
        reference_decisions: its decisions in a file of the same kind, instead.
        targets: a device profile for each file, in their order, whose name, budgets and latency rules hold; no device
            is asked. Without any, several files are known by their names.
        latency: whether to judge the file's milliseconds, if it has some.

    Raises:
        UsageError: no files, more or fewer targets than files, or two of one name; two references, or the named model
            as its own; no such target; rows whose seal was opened.
        PolicyError: the policy refuses brought decisions, or does not declare a group.
        DataError: a file that is not one of decisions of these rows.
        ModelError: the model is no file, or the reference cannot be run.
        MeasurementError: scores or times that no device can have found.
    """
    paths = [Path(item) for item in ([decisions] if isinstance(decisions, str | Path) else decisions)]
    profiles = _profiles(paths, targets)
    files = dict(zip(_names(paths, profiles), paths, strict=True))
    brought = Brought(files, as_path(model), as_path(reference), as_path(reference_decisions))
    check_waivers(config.policy, today())
    brought.check(config)
    started = time.perf_counter()
    progress.stage("reading")
    data = load_to_judge(config)
    row_set = check_askable(config, data, command="verify")
    seen = notes_of(config, data, Seen.by_columns(data, tuple(sorted(data.features))))
    found = {name: decisions_of(config, data, path) for name, path in files.items()}
    named = brought.model_file(config)
    before = reference_of(config, data, brought, named, progress)
    seconds = time.perf_counter() - started

    def record_of(name: str, profile: TargetProfile | None) -> TargetRecord:
        times, not_timed = _times(found[name], profile, latency=latency)
        return TargetRecord(
            target=name,
            device={},
            budgets=Budgets() if profile is None else profile.budgets,
            rules=LatencyRules() if profile is None else profile.latency,
            model=named,
            reference=None if before is None else before.file,
            decision=found[name].decision,
            reference_decision=None if before is None else before.decision,
            times=times,
            not_timed=not_timed,
            notes=() if before is None else before.notes,
            timings_s={"reading": seconds},
            score=found[name].score,
        )

    record = Record(
        name=named.path,
        created=now(),
        rows=RecordedRows.of(data.audit, data.classes, source=shown(data.source, config.base)),
        data=DataSection(shown_in(config.data.model_dump(mode="json"), config.base), dict(data.shares)),
        targets=tuple(record_of(name, profile) for name, profile in zip(files, profiles, strict=True)),
        settings={},
        notes=(*brought.notes(config), *seen),
        brought=brought.said(config),
    )
    return judge_measured(config, record, row_set, NO_AUDITS, command="verify", progress=progress)


def _profiles(paths: Sequence[Path], targets: Sequence[str]) -> list[TargetProfile | None]:
    """The profile of every file's device; None where none is named."""
    if not paths:
        raise UsageError("no file of decisions is given", expected="a .csv or .parquet for every device")
    if not targets:
        return [None] * len(paths)
    if len(targets) != len(paths):
        raise UsageError(
            f"{len(targets)} targets, and --decisions of {len(paths)} {'device' if len(paths) == 1 else 'devices'}",
            expected="a target for every file, in their order, or none",
        )
    return [load_profile(name) for name in targets]


def _names(paths: Sequence[Path], profiles: Sequence[TargetProfile | None]) -> list[str]:
    """What every file's device is called."""
    own = [NAMELESS] if len(paths) == 1 else [path.stem for path in paths]
    names = [name if profile is None else profile.name for name, profile in zip(own, profiles, strict=True)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"decisions of two devices that are called '{twice[0]}'",
            expected="a name for each: that of its file, or of its profile",
            fix="rename a file, or name a profile for each with --target",
        )
    return names


def _times(found: Joined, profile: TargetProfile | None, *, latency: bool) -> tuple[dict[str, NDArray[np.int64]], str]:
    """Query times of the model and, where there are none to judge, why."""
    if found.times is None:
        return {}, f"the file of decisions has no column '{MILLISECONDS}'"
    if not latency:
        return {}, "the latency phase was skipped (--no-latency)"
    if profile is not None and not profile.latency.measured:
        return {}, f"target '{profile.name}' is emulated: its clock does not measure latency"
    return {"candidate": found.times}, ""
