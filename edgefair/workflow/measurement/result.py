"""From the measurements on one target to its verdict and what a report says beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from edgefair.bundle.reference_audit import ReferenceAudit
from edgefair.config import Config
from edgefair.decision.decide import check_evidence
from edgefair.decision.evidence import Evidence
from edgefair.measure.disagreement import Disagreement, disagreements
from edgefair.measure.flips import cell_flips
from edgefair.measure.latency import SLOWER, LatencySummary, SpeedUp, notes_of
from edgefair.measure.pooled import PoolDevice
from edgefair.report.results.verification import TargetResult
from edgefair.workflow.clock import today
from edgefair.workflow.measurement.information import information_of
from edgefair.workflow.measurement.measure import evidence_of, latencies
from edgefair.workflow.measurement.records.pooled import DeviceRecord, lacking
from edgefair.workflow.measurement.records.record import Record, TargetRecord
from edgefair.workflow.measurement.records.rows import RecordedRows
from edgefair.workflow.measurement.sequential.looks import Look, LookPlan, first_rows
from edgefair.workflow.measurement.sequential.stopping import decided_at
from edgefair.workflow.measurement.steps import Decisions

FASTER = "where speed counts on {targets}, compress otherwise: without --int8, or by --prune, faster on any processor"


@dataclass(frozen=True, eq=False)
class Counted:
    """What one target showed, counted: all that its verdict rests on, and that it can be judged is checked.

    Attributes:
        plan, look: where the rows were looked at in steps, and the last of these looks; None where they were not.
    """

    target: TargetRecord
    rows: RecordedRows
    evidence: Evidence
    latency: LatencySummary | None
    reference_latency: LatencySummary | None
    speed_up: SpeedUp | None
    seconds: float
    plan: LookPlan | None
    look: Look | None

    @classmethod
    def of(
        cls,
        config: Config,
        rows: RecordedRows,
        target: TargetRecord,
        plan: LookPlan | None = None,
        audit: ReferenceAudit | None = None,
    ) -> Self:
        """Count decisions.

        Raises:
            PolicyError, DataError: see `decision.decide.check_evidence`.
        """
        started = time.perf_counter()
        policy = config.policy
        judged = first_rows(rows, len(target.decision))
        latency, reference_latency, faster = latencies(target.times, level=policy.alpha)
        evidence = evidence_of(
            policy,
            judged,
            rows.classes,
            Decisions(target.decision, None if target.own_reference else target.reference_decision),
            size_bytes=target.model.bytes,
            latency=latency,
            loading=target.footprint,
            not_measured=target.not_measured,
            own_reference=target.own_reference,
        )
        if audit is not None:
            evidence = replace(evidence, audited=audit.on(target.device, target.target, policy.base_attributes))
        evidence = replace(evidence, pool=tuple(_judged(item, target, policy.alpha) for item in target.pool))
        check_evidence(evidence, policy, today())
        look = None if plan is None else plan.at(len(target.decision))
        return cls(
            target, judged, evidence, latency, reference_latency, faster, time.perf_counter() - started, plan, look
        )

    def judged(self, config: Config, *, targets: int, level: float | None = None) -> TargetResult:
        """The verdict, and what stands beside it.

        Args:
            targets: on how many the release is judged.
            level: error probability that the verdict may spend; default: the policy's.
        """
        started = time.perf_counter()
        policy, target, counts, paired = config.policy, self.target, self.evidence.counts, self.evidence.paired
        verdict = decided_at(self.look, config, self.evidence, target.budgets, targets, level=level)
        result = TargetResult(
            target=target.target,
            device=target.device,
            budgets=target.budgets.model_dump(exclude_none=True),
            verdict=verdict,
            counts=counts.to_json(),
            evidence=self.evidence.to_json(),
            flips=() if paired is None or self.evidence.strata is not None else cell_flips(paired),
            information=information_of(policy, self.rows, self.evidence, target.score),
            latency=self.latency,
            reference_latency=self.reference_latency,
            speed_up=self.speed_up,
            timings_s={},
            looks=None if self.plan is None or self.look is None else self.plan.told(self.look),
        )
        seconds = self.seconds + time.perf_counter() - started
        return replace(result, timings_s={**target.timings_s, "verdict": seconds})


def _judged(item: DeviceRecord, target: TargetRecord, level: float) -> PoolDevice:
    """One device of a pool, as far as a verdict rests on it."""
    latency, _, _ = latencies(item.times, level=level)
    missing = lacking(item.times, item.footprint, not_timed=item.not_timed, rules=target.rules)
    return PoolDevice(item.name, item.rows, item.device, latency, item.footprint, missing)


def notes_of_results(results: Sequence[TargetResult], evidence: Sequence[Evidence]) -> list[str]:
    """What a reader must know of how fast the model ran, and how steadily, on every device.

    Args:
        evidence: what each result rests on.
    """
    notes = [note for item in results for note in notes_of(item.target, item.device, item.latency, item.speed_up)]
    devices = [device for own in evidence for device in own.pool]
    notes += [note for device in devices for note in notes_of(device.name, device.device, device.latency, None)]
    slow = [item.target for item in results if item.speed_up is not None and item.speed_up.upper < SLOWER]
    return notes + [FASTER.format(targets=" and ".join(slow))] * bool(slow)


def disagreements_of(config: Config, record: Record) -> tuple[Disagreement, ...]:
    """Where two targets disagree, on the rows that every one has decided."""
    shared = first_rows(record.rows, min(len(target.decision) for target in record.targets))
    return disagreements(
        {target.target: target.decision[: len(shared.label)] for target in record.targets},
        {name: shared.sensitive[name] for name in config.policy.base_attributes},
        tested=shared.subject is None,
    )
