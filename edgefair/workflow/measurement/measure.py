"""Run a model file over the audit rows on one target, and time it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.table import Categories
from edgefair.data.gaps import missing_notes
from edgefair.data.groups import joint_groups
from edgefair.data.rows import TableRows
from edgefair.data.survey.cut import cut_notes
from edgefair.data.survey.unseen import unseen_notes
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.errors import UsageError
from edgefair.measure.counts import GroupCounts
from edgefair.measure.footprint import Footprint
from edgefair.measure.labels.strata import Strata
from edgefair.measure.latency import LatencySummary, SpeedUp, speed_up, summarize
from edgefair.measure.paired import PairedCounts
from edgefair.probe.clock.effective import BATCHES
from edgefair.progress import Progress
from edgefair.targets import AnyProbe, LoadedModel, open_target
from edgefair.workflow.exemplars.changed import DecidedTwice
from edgefair.workflow.measurement.decide_rows import BATCH_ROWS
from edgefair.workflow.measurement.design import design_of
from edgefair.workflow.measurement.devices.aside import Opening, aside
from edgefair.workflow.measurement.devices.costs import Costs, losses
from edgefair.workflow.measurement.records.pooled import DeviceRecord
from edgefair.workflow.measurement.steps import Deciding, Decisions, Steps, decide_in_steps
from edgefair.workflow.models.spec import Fallback, spec_of

ALL_AT_ONCE = Steps()
OTHER_RUNTIME = (
    "the reference is an {} file, which another runtime ran on the same device: it was not timed, and there is no "
    "speed-up"
)


@dataclass(frozen=True, eq=False)
class Measurement:
    """What one target showed.

    Attributes:
        decisions: the candidate's, int64 [rows]: of as many rows, from the first on, as were decided.
        reference_decisions: the reference's, int64 [rows]; None without one.
        score, reference_score: P(class 1), float32 [rows], where the model has two classes and gives it; else None.
        footprint: time to load the candidate and its memory, if measured.
        times: nanoseconds of every query, int64 [queries], of `candidate` and `reference`, if measured.
        not_timed: why they were not; empty where they were.
        timings_s: seconds of each phase; without `reference` where it was asked at the same time as the candidate.
        notes: what a reader of the verdict must know of how the rows were fed.
        pool: the devices that shared the rows; none where it is one. `times` and `footprint` are the slowest's then.
    """

    candidate: LoadedModel
    reference: LoadedModel | None
    decisions: NDArray[np.int64]
    reference_decisions: NDArray[np.int64] | None
    score: NDArray[np.float32] | None
    footprint: Footprint | None
    reference_score: NDArray[np.float32] | None
    times: dict[str, NDArray[np.int64]]
    not_timed: str
    timings_s: dict[str, float]
    notes: tuple[str, ...] = ()
    pool: tuple[DeviceRecord, ...] = ()

    def twice(self, place: NDArray[np.int64] | None) -> DecidedTwice | None:
        """What both models decided, with every row's place where it is not its own; None without a reference."""
        if self.reference_decisions is None:
            return None
        return DecidedTwice(self.reference_decisions, self.decisions, self.reference_score, self.score, place)


def measure(
    probe: AnyProbe,
    model: Path,
    rows: TableRows,
    *,
    classes: tuple[str, ...],
    reference: Path | None,
    fallback_spec: Fallback,
    with_latency: bool,
    progress: Progress,
    steps: Steps = ALL_AT_ONCE,
    opening: Opening = open_target,
) -> Measurement:
    """Decide the rows on the target, then time single queries of candidate and reference, interleaved.

    Args:
        classes: of the data, in the order of the model's.
        fallback_spec: makes the spec of a model file that carries none.
        steps: after which rows to look whether they are enough.
        opening: how a probe for the reference is come by, where it has one of its own.

    More than eight parameters: a model, its rows and its reference, and which parts of measuring them are wanted.

    Raises:
        UsageError: the reference is the candidate itself.
        ModelError: a file that cannot be loaded or does not fit the data.
        MeasurementError: the device was lost or its answers cannot be believed.
    """
    started = time.perf_counter()
    candidate = probe.load(model, name="candidate")
    spec = spec_of(candidate, fallback_spec, classes)
    unseen = (*unseen_notes(rows, spec), *missing_notes(rows, spec))
    costs = Costs(probe, candidate, rows, spec)
    if with_latency:
        costs.take_footprints()
    batches = len(rows) / rows.batch_rows(spec, BATCH_ROWS)
    with nullcontext(probe) if reference is None else aside(probe, batches, opening) as beside:
        base = None if reference is None else _reference(beside, reference, candidate)
        loaded = time.perf_counter()
        deciding = Deciding(probe, candidate, spec)
        alike = base is None or base.format is candidate.format
        # As the reference says itself how it is fed and read; else as the candidate, if it has the same kind of graph.
        fallback = (lambda _: spec) if alike else fallback_spec
        before = None if base is None else Deciding(beside, base, spec_of(base, fallback, classes))
        decisions = decide_in_steps(deciding, before, rows, steps, progress)
    decided = time.perf_counter()
    if with_latency:
        if reference is not None and beside is not probe:
            base = _reference(probe, reference, candidate)
        costs.take_times(base, progress)
    finished = time.perf_counter()
    return Measurement(
        candidate=candidate,
        reference=base,
        decisions=decisions.candidate,
        reference_decisions=decisions.reference,
        score=deciding.score,
        footprint=costs.footprint,
        reference_score=None if before is None else before.score,
        times=costs.times,
        not_timed=costs.not_timed,
        timings_s={
            "loading": loaded - started,
            "encoding": deciding.encoding_s,
            "inference": deciding.seconds - deciding.encoding_s,
            **_apart(deciding, before),
            "latency": finished - decided,
        },
        notes=(
            *probe.profile.host_runtime.told(candidate),
            *deciding.notes,
            *(() if before is None else before.notes),
            *(() if alike or base is None else (OTHER_RUNTIME.format(base.format.name),)),
            *cut_notes(rows, spec),
            *unseen,
            *losses(probe, deciding.rows_by),
        ),
        pool=costs.by_device(deciding.rows_by),
    )


def _apart(candidate: Deciding, reference: Deciding | None) -> dict[str, float]:
    """What the reference took, where it has a time of its own."""
    if reference is None:
        return {"reference": 0.0}
    return {} if candidate.at_a_time(reference) else {"reference": reference.seconds}


def _reference(probe: AnyProbe, path: Path, candidate: LoadedModel) -> LoadedModel:
    """The model before compression, loaded.

    Raises:
        UsageError: it is the candidate: nothing would be compared.
    """
    base = probe.load(path, name="reference", beside=True)
    if base.sha256 == candidate.sha256:
        raise UsageError(
            f"the reference '{path}' is the candidate itself (sha256 {base.sha256[:16]})",
            expected="the model before compression: compared with itself, a model never loses anything",
            fix="pass another file with --reference, or none",
        )
    return base


class JudgedRows(Protocol):
    """Rows as counting needs them: `label` int64 [rows], sensitive attributes and subject, coded, [rows].

    Where `stratum`, of a label design, is given, int64 [rows], rows without a label have -1.
    """

    @property
    def label(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def sensitive(self) -> Mapping[str, Categories]: ...  # noqa: D102
    @property
    def subject(self) -> Categories | None: ...  # noqa: D102
    @property
    def stratum(self) -> NDArray[np.int64] | None: ...  # noqa: D102


def evidence_of(
    policy: Policy,
    rows: JudgedRows,
    classes: tuple[str, ...],
    decisions: Decisions,
    *,
    size_bytes: int | None,
    latency: LatencySummary | None = None,
    loading: Footprint | None = None,
    not_measured: tuple[tuple[str, str], ...] = (),
    own_reference: bool = False,
) -> Evidence:
    """What a verdict depends on, counted from decisions.

    Args:
        not_measured: as in `Evidence`.
        own_reference: whether nothing was compressed, and so there is no other model to compare with.

    More than eight parameters: what was measured, part by part.
    """
    attributes = {name: rows.sensitive[name] for name in policy.base_attributes}
    if rows.stratum is not None:
        strata = _strata(rows, tuple(attributes), classes, decisions)
        return Evidence(
            counts=strata.counts(),
            paired=strata.paired(),
            latency=latency,
            footprint=loading,
            size_bytes=size_bytes,
            not_measured=not_measured,
            own_reference=own_reference,
            strata=strata,
        )
    paired = None
    if decisions.reference is not None:
        paired = PairedCounts.from_rows(
            attributes,
            label=rows.label,
            reference=decisions.reference,
            candidate=decisions.candidate,
            classes=classes,
        )
    return Evidence(
        counts=GroupCounts.from_rows(attributes, label=rows.label, decision=decisions.candidate, classes=classes),
        paired=paired,
        latency=latency,
        footprint=loading,
        size_bytes=size_bytes,
        design=design_of(
            policy,
            subject=rows.subject,
            sensitive=rows.sensitive,
            label=rows.label,
            decision=decisions.candidate,
            reference=decisions.reference,
            classes=len(classes),
        ),
        not_measured=not_measured,
        own_reference=own_reference,
    )


def _strata(rows: JudgedRows, attributes: tuple[str, ...], classes: tuple[str, ...], decisions: Decisions) -> Strata:
    """All rows by stratum of the label design and by decision."""
    group, groups = joint_groups(rows.sensitive, attributes)
    return Strata.of(
        attributes=attributes,
        groups=groups,
        classes=classes,
        stratum=np.zeros_like(group) if rows.stratum is None else rows.stratum,
        group=group,
        candidate=decisions.candidate,
        reference=decisions.reference,
        label=rows.label,
    )


def latencies(
    times: Mapping[str, NDArray[np.int64]], *, level: float
) -> tuple[LatencySummary | None, LatencySummary | None, SpeedUp | None]:
    """Latency of the candidate, of the reference, and their ratio, as far as there are times enough.

    The reference is judged by nothing, so its limits are those at `level` alone.
    """
    if not times:
        return None, None, None
    candidate = summarize(times["candidate"], level=level)
    if "reference" not in times:
        return candidate, None, None
    reference = replace(summarize(times["reference"], level=level), ladder=None)
    if reference.queries < BATCHES:
        return candidate, reference, None
    return candidate, reference, speed_up(times["reference"], times["candidate"], level=level)
