"""Judge a model file on every target, or a record of such measurements, and report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgefair._version import __version__
from edgefair.config import Config
from edgefair.decision.decide import check_waivers, decide
from edgefair.decision.policy import not_judged_note
from edgefair.decision.verdict import worst
from edgefair.errors import DataError
from edgefair.files import shown, shown_in
from edgefair.measure.bootstrap import gap_bootstrap
from edgefair.measure.disagreement import disagreements
from edgefair.measure.flips import cell_flips
from edgefair.probe.device import slowed_down
from edgefair.progress import Progress, silent
from edgefair.report.results.verification import DataSection, ModelFile, Report, TargetResult
from edgefair.targets import LoadedModel, TargetProfile, open_target
from edgefair.workflow.clock import now, today
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.fleet import load_fleet, on_each
from edgefair.workflow.measurement.ledger import LEDGER, spend
from edgefair.workflow.measurement.measure import Decisions, evidence_of, latencies, measure
from edgefair.workflow.measurement.record import Record, TargetRecord, load_record, save_record
from edgefair.workflow.measurement.recorded_rows import RecordedRows
from edgefair.workflow.models.infer_spec import foreign_spec

# Of the reference's speed: below it a report says that compression made the model slower.
# Which of the two questions a verdict on rows of subjects answers.
COUNTED = {
    "people": "people are judged (policy.subject_weights: people): in a cell every subject has one vote, however many "
    "rows are of one; what no gate judges (accuracy, the bootstrap, other metrics) counts rows",
    "rows": "rows are judged (policy.subject_weights: rows): who has more rows weighs more",
}
# What is resampled or tested row by row would take the labelled rows for a sample of all.
DESIGNED = (
    "rows were chosen by a label design: {labelled:,} of {rows:,} are labelled, and every rate is weighted by the "
    "sizes of the {strata} strata; counts of rows are those of the labelled ones, and neither the bootstrap of the gap "
    "nor the flips by label, which know no weights, are reported"
)
SLOWER = 0.97
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
    """

    path: Path
    shown_as: Path
    reference: Path | None = None
    reference_as: Path | None = None
    own_reference: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def judge_file(
    job: Job, file: JudgedFile, *, command: str, latency: bool, reading_s: float, record: Path | None = None
) -> Report:
    """Measure and judge a model file on every target, with data that is read already.

    Args:
        reading_s: seconds that reading the data took.
        record: also write the raw measurements here.

    Raises:
        UsageError: an unknown target, or two with one name.
        ModelError, MeasurementError: see `workflow.measurement.measure`; nothing was judged.
    """
    config, data = job.config, job.data
    before_as = file.shown_as if file.own_reference and file.reference_as is None else file.reference_as

    def on_target(profile: TargetProfile, told: Progress) -> TargetRecord:
        told.stage(f"starting {profile.name}")
        started = time.perf_counter()
        with open_target(profile) as probe:
            ready = time.perf_counter()
            measured = measure(
                probe,
                file.path,
                data.audit,
                classes=data.classes,
                reference=file.reference,
                fallback_spec=lambda loaded: foreign_spec(loaded, data, config.model),
                with_latency=latency,
                progress=told,
            )
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
            times=measured.times,
            not_timed=measured.not_timed,
            notes=measured.notes,
            timings_s={"reading": reading_s, "starting": ready - started, **measured.timings_s},
        )

    targets = tuple(on_each(load_fleet(config.targets), on_target, job.progress))
    made = Record(
        name=str(file.shown_as),
        created=now(),
        rows=RecordedRows.of(data.audit, data.classes, source=shown(data.source, config.base)),
        data=DataSection(shown_in(config.data.model_dump(mode="json"), config.base), dict(data.shares)),
        targets=targets,
        settings=dict(file.settings),
        notes=file.notes,
    )
    if record is not None:
        save_record(record, made)
    return _judge(config, made, command=command, progress=job.progress)


def judge_record(config: Config, path: str | Path, *, progress: Progress = silent) -> Report:
    """Judge a record of `verify --record` by the config's policy: no device, model or data is needed.

    Raises:
        DataError: not a record, or one without an attribute that the policy judges.
        PolicyError: a waiver has run out.
    """
    path = Path(path)
    check_waivers(config.policy, today())
    record = load_record(path)
    for name in config.policy.base_attributes:
        if name not in record.rows.sensitive:
            raise DataError(
                f"'{path}' has no attribute '{name}', which the policy judges",
                expected=f"one of {', '.join(record.rows.sensitive)}",
                fix="add it to data.sensitive and measure again",
            )
    note = f"judged from the record '{shown(path, config.base)}' of {record.created}: no new measurement was made"
    return _judge(config, dataclasses.replace(record, notes=(*record.notes, note)), command="verify", progress=progress)


def _judge(config: Config, record: Record, *, command: str, progress: Progress) -> Report:
    progress.stage(_judging(config))
    results = tuple(_result(config, record.rows, target, len(record.targets)) for target in record.targets)
    files = record.targets[0].model, record.targets[0].reference
    outcome = worst(item.verdict.outcome for item in results)
    created = now()
    ledger = spend(
        config.base,
        audit=record.rows.audit.fingerprint,
        sketch=record.rows.sketch,
        model=files[0].sha256,
        outcome=str(outcome),
        created=created,
        command=command,
    )
    unjudged = config.policy.not_judged(record.rows.sensitive)
    notes = [not_judged_note(unjudged)] if unjudged else []
    notes += [] if record.rows.subject is None else [COUNTED[config.policy.subject_weights]]
    notes += _design_notes(record.rows)
    notes += [*record.notes, *(note for target in record.targets for note in target.notes)]
    notes += [note for result in results for note in (*_speed_note(result), *_drift_note(result))]
    if not ledger:
        notes.append(f"the ledger beside the config ('{LEDGER}') could not be written")
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
        disagreements=disagreements(
            {target.target: target.decision for target in record.targets},
            {name: record.rows.sensitive[name] for name in config.policy.base_attributes},
        ),
        settings=record.settings,
        ledger=ledger,
        notes=tuple(dict.fromkeys(notes)),
    )


def _design_notes(rows: RecordedRows) -> list[str]:
    if rows.stratum is None:
        return []
    labelled, strata = int((rows.label >= 0).sum()), len(np.unique(rows.stratum))
    return [DESIGNED.format(labelled=labelled, rows=len(rows.label), strata=strata)]


def _result(config: Config, rows: RecordedRows, target: TargetRecord, targets: int) -> TargetResult:
    started = time.perf_counter()
    policy = config.policy
    latency, reference_latency, faster = latencies(target.times, level=policy.alpha)
    evidence = evidence_of(
        policy,
        rows,
        rows.classes,
        Decisions(target.decision, None if target.own_reference else target.reference_decision),
        size_bytes=target.model.bytes,
        latency=latency,
        not_timed=target.not_judged,
        own_reference=target.own_reference,
    )
    verdict = decide(evidence, policy, budget=target.budgets, today=today(), targets=targets)
    designed = evidence.strata is not None
    return TargetResult(
        target=target.target,
        device=target.device,
        budgets=target.budgets.model_dump(exclude_none=True),
        verdict=verdict,
        counts=evidence.counts.to_json(),
        evidence=evidence.to_json(),
        flips=() if evidence.paired is None or designed else cell_flips(evidence.paired),
        bootstrap={}
        if designed
        else {
            attribute: gap_bootstrap(evidence.counts.by(*policy.attributes_of(attribute)), seed=config.seed)
            for attribute in policy.attributes
        },
        latency=latency,
        reference_latency=reference_latency,
        speed_up=faster,
        timings_s={**target.timings_s, "verdict": time.perf_counter() - started},
    )


def _judging(config: Config) -> str:
    """What judging will take, so that nobody waits for a thousand groups without knowing."""
    pairs = sum(len(config.policy.groups(name)) ** 2 // 2 for name in config.policy.attributes)
    seconds = pairs * SECONDS_PER_PAIR
    return "judging" if seconds < 1 else f"judging {pairs:,} pairs of groups, about {seconds:.0f} s"


def _file(model: LoadedModel, shown_as: Path) -> ModelFile:
    return ModelFile(path=str(shown_as), sha256=model.sha256, bytes=model.bytes)


def _speed_note(result: TargetResult) -> Sequence[str]:
    speed = result.speed_up
    if speed is None or speed.upper >= SLOWER:
        return ()
    return (
        f"on target '{result.target}' the compressed model is slower than the reference: it runs at {speed.ratio:.2f} "
        f"of its speed ({speed.lower:.2f} to {speed.upper:.2f}), batch 1",
    )


def _drift_note(result: TargetResult) -> Sequence[str]:
    """What a reader must know of how steadily the device ran while it was timed."""
    if result.latency is None:
        return ()
    notes = []
    if slowed_down(result.device.get("before_timing", {}), result.device.get("after_timing", {})):
        notes.append(f"target '{result.target}' throttled while it was timed (heat or a weak power supply)")
    if result.latency.drifted:
        way = "slower" if result.latency.drift > 0 else "faster"
        notes.append(
            f"target '{result.target}' became {abs(result.latency.drift):.0%} {way} while it was timed (median of the "
            "last third of the queries against the first): it throttled, or something else ran there"
        )
    return notes
