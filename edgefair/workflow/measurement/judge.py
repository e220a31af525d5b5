"""Judge a model file on every target, or a record of such measurements, and report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefair._version import __version__
from edgefair.bundle.canaries.asking import Questions
from edgefair.bundle.reference_audit import save_reference_audit
from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.decision.decide import check_classes, check_waivers
from edgefair.decision.spending import chance_of_pass
from edgefair.decision.verdict import worst
from edgefair.errors import DataError
from edgefair.files import sha256_file, shown, shown_in
from edgefair.progress import Progress, silent, timed
from edgefair.report.results.verification import DataSection, ModelFile, Report
from edgefair.targets import LoadedModel, TargetProfile
from edgefair.workflow.clock import now, today
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.devices.ahead import NOTHING_AHEAD, Ahead
from edgefair.workflow.measurement.fleet import load_fleet, on_each, patient
from edgefair.workflow.measurement.groups import check_groups
from edgefair.workflow.measurement.ledger import LEDGER, check_never_open, remembered, spend
from edgefair.workflow.measurement.measure import measure
from edgefair.workflow.measurement.origin.trace import with_origins
from edgefair.workflow.measurement.records.notes import notes_of_rows
from edgefair.workflow.measurement.records.record import Record, TargetRecord, load_record, save_record
from edgefair.workflow.measurement.records.rows import RecordedRows
from edgefair.workflow.measurement.reference_audit import (
    NO_AUDITS,
    ReferenceAudits,
    check_models,
    check_recorded,
    made_of,
    note_of,
)
from edgefair.workflow.measurement.result import Counted, disagreements_of, notes_of_results
from edgefair.workflow.measurement.sequential.looks import LookPlan, plan_looks
from edgefair.workflow.measurement.sequential.stopping import steps_of
from edgefair.workflow.measurement.under_seal import check_record, not_pass, results_under_seal
from edgefair.workflow.models.infer_spec import foreign_spec
from edgefair.workflow.models.supported import check_supported
from edgefair.workflow.sealing.rows import RowSet
from edgefair.workflow.sealing.seal import Question, charge, check_judgeable, check_shown, enter_pass

SECONDS_PER_PAIR = 4e-6


@dataclass(frozen=True, eq=False)
class JudgedFile:
    """A model file that shall be judged, and what is known of it.

    Attributes:
        shown_as, reference_as: the paths that a reader of the report knows the models by; default for the reference:
            its own.
        reference: the model before compression, if it is another file.
        own_reference: whether nothing was compressed: the model stands as its own reference, and is measured once.
        settings: how it was made, as far as that is known.
        notes: what a reader of the verdict must know.
        audits: the audit of the reference that the verdict rests on, and whether this model's own becomes a file.
        canaries: what every target is asked beside the audit rows, for the bundle.
    """

    path: Path
    shown_as: Path
    reference: Path | None = None
    reference_as: Path | None = None
    own_reference: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    audits: ReferenceAudits = NO_AUDITS
    canaries: Questions | None = None


def judge_file(
    job: Job,
    file: JudgedFile,
    *,
    command: str,
    latency: bool,
    reading_s: float,
    record: Path | None = None,
    sequential: bool = False,
    ahead: Ahead = NOTHING_AHEAD,
) -> Report:
    """Measure and judge a model file on every target, with data that is read already.

    Args:
        reading_s: seconds that reading the data took.
        record: also write the raw measurements here; of all rows alone.
        sequential: whether to take the rows in steps, and to stop on each target where its verdict is shown.
        ahead: opens the probes.

    Raises:
        UsageError: an unknown target, or two with one name; what has no limits over several looks; the audit of a
            reference, and nothing was compressed.
        PolicyError: rows of a group that the policy does not declare; error rates of labels that the data does not
            have.
        DataError: the audit is that of another model, or of a device of another class.
        ModelError, MeasurementError: see `check_supported` and `workflow.measurement.measure`; nothing was judged.
    """
    config, data = job.config, job.data
    audit, attributes = file.audits.joined, config.policy.base_attributes
    if audit is not None:
        digest = sha256_file(file.path)
        before = None if file.reference is None else sha256_file(file.reference)
        check_models(audit, digest, digest if file.own_reference else before, data.classes)
    row_set = check_askable(config, data, command=command)
    plan = plan_looks(data.audit, config) if sequential else None
    rows = data.audit if plan is None else data.audit.take(plan.order)
    recorded = RecordedRows.of(rows, data.classes, source=shown(data.source, config.base))
    profiles = load_fleet(config.targets)
    before_as = file.shown_as if file.own_reference and file.reference_as is None else file.reference_as
    check_supported(profiles, {file.path: file.shown_as, file.reference: before_as})
    job.targets.let_go()

    def on_target(profile: TargetProfile, told: Progress) -> TargetRecord:
        told.stage(f"starting {profile.name}")
        started = time.perf_counter()
        with ahead.open(patient(profile, config.policy)) as probe:
            ready = time.perf_counter()
            if audit is not None:
                audit.on(probe.device, profile.name, attributes)
            measured = measure(
                probe,
                file.path,
                rows,
                classes=data.classes,
                reference=file.reference,
                fallback_spec=lambda loaded: foreign_spec(loaded, data, config.model),
                with_latency=latency,
                progress=told,
                steps=steps_of(
                    plan, config, recorded, profile.budgets, len(profiles), own_reference=file.own_reference
                ),
                opening=ahead.open,
            )
            asked = () if file.canaries is None else file.canaries.ask(probe, measured.candidate)
        if job.to_show is not None and (twice := measured.twice(None if plan is None else plan.order)) is not None:
            job.to_show.take(profile.name, rows, twice, attributes=attributes, classes=data.classes)
        base = measured.candidate if file.own_reference else measured.reference
        return TargetRecord(
            target=profile.name,
            device=probe.device,
            budgets=profile.budgets,
            rules=profile.latency,
            model=_file(measured.candidate, file.shown_as),
            reference=None if base is None else _file(base, before_as or Path(shown(base.path, config.base))),
            decision=measured.decisions,
            reference_decision=measured.decisions if file.own_reference else measured.reference_decisions,
            score=measured.score,
            footprint=measured.footprint,
            pool=measured.pool,
            times=measured.times,
            not_timed=measured.not_timed,
            notes=(*measured.notes, *asked),
            timings_s={"reading": reading_s, "starting": ready - started, **measured.timings_s},
        )

    targets = tuple(on_each(profiles, on_target, job.progress))
    made = Record(
        name=str(file.shown_as),
        created=now(),
        rows=recorded,
        data=DataSection(shown_in(config.data.model_dump(mode="json"), config.base), dict(data.shares)),
        targets=targets,
        settings=dict(file.settings),
        notes=file.notes,
    )
    if record is not None:
        save_record(record, made)
    report = judge_measured(config, made, row_set, file.audits, command=command, progress=job.progress, plan=plan)
    return with_origins(job, report, file.path, rows, profiles, {item.target: item.decision for item in targets})


def check_askable(config: Config, data: DataSet, *, command: str) -> RowSet:
    """Refuse audit rows that will not be judged, before anything is asked about them; what they are known by.

    Raises:
        UsageError: see `workflow.sealing.seal.check_judgeable` and `ledger.check_never_open`.
        PolicyError: rows of a group that the policy does not declare; error rates of labels that there are not.
    """
    check_classes(config.policy, data.classes)
    rows = RowSet.of(data.audit)
    check_judgeable(config, rows, command=command)
    if config.policy.audit == "sealed":
        check_never_open(config.base, rows)
    check_groups(config.policy, data.audit, data.classes)
    return rows


def judge_record(
    config: Config, path: str | Path, *, audits: ReferenceAudits = NO_AUDITS, progress: Progress = silent
) -> Report:
    """Judge a record of `verify --record` by the config's policy: no device, model or data is needed.

    Args:
        audits: as in `JudgedFile`.

    Raises:
        UsageError: the audit of a reference, and nothing was compressed.
        DataError: not a record, or one without an attribute that the policy judges.
        PolicyError: a waiver has run out.
        UsageError: the audit rows are sealed.
    """
    path = Path(path)
    check_record(config)
    check_waivers(config.policy, today())
    record = load_record(path)
    for name in config.policy.base_attributes:
        if name not in record.rows.sensitive:
            raise DataError(
                f"'{path}' has no attribute '{name}', which the policy judges",
                expected=f"one of {', '.join(record.rows.sensitive)}",
                fix="add it to data.sensitive and measure again",
            )
    check_shown(config, record.rows.row_set, by="`edgefair verify --from-record`")
    note = f"judged from the record '{shown(path, config.base)}' of {record.created}: no new measurement was made"
    check_recorded(audits, record)
    noted = dataclasses.replace(record, notes=(*record.notes, note))
    return judge_measured(config, noted, noted.rows.row_set, audits, command="verify", progress=progress)


@timed("judging")
def judge_measured(
    config: Config,
    record: Record,
    rows: RowSet,
    audits: ReferenceAudits,
    *,
    command: str,
    progress: Progress,
    plan: LookPlan | None = None,
) -> Report:
    """Judge what was measured, enter it in the account and the ledger, and report.

    Raises:
        PolicyError, DataError, UsageError: see `Counted.of` and `workflow.sealing.seal.charge`.
    """
    progress.stage(_judging(config))
    counted = tuple(Counted.of(config, record.rows, target, plan, audits.joined) for target in record.targets)
    files = record.targets[0].model, record.targets[0].reference
    notes = [*notes_of_rows(config, record.rows), *record.notes]
    seal = None
    if config.policy.audit == "sealed":
        question = Question(record.judged, config.policy.digest, tuple(item.target for item in record.targets))
        known = remembered(config.base)
        charged = charge(config, rows, question, command=command, remembered=known, progress=progress)
        results = results_under_seal(config, counted, charged)
        seal = charged.seal
        if results and not charged.again:
            seal = enter_pass(config, rows, question, charged, progress=progress)
        notes += [] if results else [not_pass(seal)]
    else:
        results = tuple(item.judged(config, targets=len(counted)) for item in counted)
    if results and audits.joined is not None:
        notes.insert(0, note_of(audits.joined, results[0].verdict.alpha, record.rows.audit.rows))
    if results:
        notes += [note for target in record.targets for note in target.notes]
        notes += notes_of_results(results, [item.evidence for item in counted])
    created = now()
    ledger = spend(
        config.base,
        audit=record.rows.audit.fingerprint,
        sketch=record.rows.sketch,
        model=record.judged,
        outcome=str(worst(item.verdict.outcome for item in results)),
        created=created,
        command=command,
        head=None if seal is None else seal.head,
    )
    if audits.write_to is not None:
        save_reference_audit(audits.write_to, made_of(config, record))
    if ledger is None:
        notes.append(f"the ledger beside the config ('{LEDGER}') could not be written")
    elif seal is None and ledger.tries is not None:
        ledger = dataclasses.replace(ledger, chance=chance_of_pass(config.policy.alpha, ledger.tries))
    return Report(
        command=command,
        version=__version__,
        created=created,
        model=files[0],
        reference=files[1],
        audit=record.rows.audit,
        data=record.data,
        policy=config.policy.model_dump(mode="json"),
        targets=results,
        disagreements=disagreements_of(config, record) if results else (),
        settings=record.settings,
        ledger=ledger,
        notes=tuple(dict.fromkeys(notes)),
        seal=seal,
        decisions=record.brought,
    )


def _judging(config: Config) -> str:
    """What judging will take, so that nobody waits for a thousand groups without knowing."""
    pairs = sum(len(config.policy.groups(name)) ** 2 // 2 for name in config.policy.attributes)
    seconds = pairs * SECONDS_PER_PAIR
    return "judging" if seconds < 1 else f"judging {pairs:,} pairs of groups, about {seconds:.0f} s"


def _file(model: LoadedModel, shown_as: Path) -> ModelFile:
    return ModelFile(path=str(shown_as), sha256=model.sha256, bytes=model.bytes)
