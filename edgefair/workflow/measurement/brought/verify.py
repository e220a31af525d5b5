"""Judge decisions that were brought in a file, as those that a target was asked for are judged."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefair.config import Config
from edgefair.decision.decide import check_waivers
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
    decisions: str | Path,
    *,
    model: str | Path | None = None,
    reference: str | Path | None = None,
    reference_decisions: str | Path | None = None,
    target: str | None = None,
    latency: bool = True,
    progress: Progress = silent,
) -> Report:
    """Judge a file of decisions by the config's policy; its report says that nobody attests them.

    Args:
        decisions, model, reference, reference_decisions: see `Brought`.
        target: a device profile, whose name, budgets and latency rules hold; no device is asked.
        latency: whether to judge the file's milliseconds, if it has some.

    Raises:
        UsageError: two references, or the named model as its own; no such target; rows whose seal was opened.
        PolicyError: the policy refuses brought decisions, or does not declare a group.
        DataError: a file that is not one of decisions of these rows.
        ModelError: the model is no file, or the reference cannot be run.
        MeasurementError: scores or times that no device can have found.
    """
    brought = Brought(Path(decisions), as_path(model), as_path(reference), as_path(reference_decisions))
    check_waivers(config.policy, today())
    brought.check(config)
    profile = None if target is None else load_profile(target)
    started = time.perf_counter()
    progress.stage("reading")
    data = load_to_judge(config)
    row_set = check_askable(config, data, command="verify")
    seen = notes_of(config, data, Seen.by_columns(data, tuple(sorted(data.features))))
    found = decisions_of(config, data, brought.decisions)
    named = brought.model_file(config)
    before = reference_of(config, data, brought, named, progress)
    times, not_timed = _times(found, profile, latency=latency)
    measured = TargetRecord(
        target=NAMELESS if profile is None else profile.name,
        device={},
        budgets=Budgets() if profile is None else profile.budgets,
        rules=LatencyRules() if profile is None else profile.latency,
        model=named,
        reference=None if before is None else before.file,
        decision=found.decision,
        reference_decision=None if before is None else before.decision,
        times=times,
        not_timed=not_timed,
        notes=() if before is None else before.notes,
        timings_s={"reading": time.perf_counter() - started},
        score=found.score,
    )
    record = Record(
        name=named.path,
        created=now(),
        rows=RecordedRows.of(data.audit, data.classes, source=shown(data.source, config.base)),
        data=DataSection(shown_in(config.data.model_dump(mode="json"), config.base), dict(data.shares)),
        targets=(measured,),
        settings={},
        notes=(*brought.notes(config), *seen),
        brought=brought.said(config),
    )
    return judge_measured(config, record, row_set, NO_AUDITS, command="verify", progress=progress)


def _times(found: Joined, profile: TargetProfile | None, *, latency: bool) -> tuple[dict[str, NDArray[np.int64]], str]:
    """Query times of the model and, where there are none to judge, why."""
    if found.times is None:
        return {}, f"the file of decisions has no column '{MILLISECONDS}'"
    if not latency:
        return {}, "the latency phase was skipped (--no-latency)"
    if profile is not None and not profile.latency.measured:
        return {}, f"target '{profile.name}' is emulated: its clock does not measure latency"
    return {"candidate": found.times}, ""
