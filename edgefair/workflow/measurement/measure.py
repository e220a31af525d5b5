"""Run a model file over the audit rows on one target, and time it."""

from __future__ import annotations

import time
from collections.abc import Mapping
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
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import Progress, timed
from edgefair.targets import LoadedModel, Probe
from edgefair.targets.costs import footprint
from edgefair.workflow.exemplars.changed import DecidedTwice
from edgefair.workflow.measurement.design import design_of
from edgefair.workflow.measurement.steps import Deciding, Decisions, Steps, decide_in_steps
from edgefair.workflow.models.spec import Fallback, spec_of

LATENCY_POOL = 256
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
        timings_s: seconds of each phase.
        notes: what a reader of the verdict must know of how the rows were fed.
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

    def twice(self, place: NDArray[np.int64] | None) -> DecidedTwice | None:
        """What both models decided, with every row's place where it is not its own; None without a reference."""
        if self.reference_decisions is None:
            return None
        return DecidedTwice(self.reference_decisions, self.decisions, self.reference_score, self.score, place)


def measure(
    probe: Probe,
    model: Path,
    rows: TableRows,
    *,
    classes: tuple[str, ...],
    reference: Path | None,
    fallback_spec: Fallback,
    with_latency: bool,
    progress: Progress,
    steps: Steps = ALL_AT_ONCE,
) -> Measurement:
    """Decide the rows on the target, then time single queries of candidate and reference, interleaved.

    Args:
        classes: of the data, in the order of the model's.
        fallback_spec: makes the spec of a model file that carries none.
        steps: after which rows to look whether they are enough.

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
    taken = _footprint(probe, candidate, rows, spec) if with_latency else None
    base = None if reference is None else _reference(probe, reference, candidate)
    loaded = time.perf_counter()
    deciding = Deciding(probe, candidate, spec)
    alike = base is None or base.format is candidate.format
    # As the reference says itself how it is fed and read; else as the candidate, if it has the same kind of graph.
    fallback = (lambda _: spec) if alike else fallback_spec
    before = None if base is None else Deciding(probe, base, spec_of(base, fallback, classes))
    decisions = decide_in_steps(deciding, before, rows, steps, progress)
    decided = time.perf_counter()
    times, why = _times(probe, candidate, base, rows, spec, with_latency, progress)
    finished = time.perf_counter()
    return Measurement(
        candidate=candidate,
        reference=base,
        decisions=decisions.candidate,
        reference_decisions=decisions.reference,
        score=deciding.score,
        footprint=taken,
        reference_score=None if before is None else before.score,
        times=times,
        not_timed=why,
        timings_s={
            "loading": loaded - started,
            "encoding": deciding.encoding_s,
            "inference": deciding.seconds - deciding.encoding_s,
            "reference": 0.0 if before is None else before.seconds,
            "latency": finished - decided,
        },
        notes=(
            *probe.profile.host_runtime.told(candidate),
            *deciding.notes,
            *(() if before is None else before.notes),
            *(() if alike or base is None else (OTHER_RUNTIME.format(base.format.name),)),
            *cut_notes(rows, spec),
            *unseen,
        ),
    )


@timed("load time and memory")
def _footprint(probe: Probe, candidate: LoadedModel, rows: TableRows, spec: ModelSpec) -> Footprint | None:
    """Of the candidate while it is the only model there; None where the device measures no time, or keeps an engine.

    A first load that builds something and later ones that find it are no one number. Of other runtimes than
    onnxruntime's own kernels later loads alone are taken.
    """
    profile = probe.profile
    if not profile.latency.measured or profile.host_runtime.keeps_engine:
        return None
    found = footprint(probe, candidate, next(rows.inputs(spec, 1)), [spec.reading.output], inputs=spec.inputs)
    return found.of_later_loads if candidate.engine else found


def _reference(probe: Probe, path: Path, candidate: LoadedModel) -> LoadedModel:
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


def _times(
    probe: Probe,
    candidate: LoadedModel,
    reference: LoadedModel | None,
    rows: TableRows,
    spec: ModelSpec,
    with_latency: bool,
    progress: Progress,
) -> tuple[dict[str, NDArray[np.int64]], str]:
    """Query times per model and, where there are none, why."""
    if not probe.profile.latency.measured:
        return {}, f"target '{probe.profile.name}' is emulated: its clock does not measure latency"
    if not with_latency:
        return {}, "the latency phase was skipped (--no-latency)"
    progress.stage("timing")
    pool = next(rows.inputs(spec, rows.batch_rows(spec, LATENCY_POOL)))
    alone = reference is None or reference.format is not candidate.format
    names = [candidate.name] if alone else ["reference", candidate.name]
    outputs = {name: [spec.reading.output] for name in names}
    return probe.latency(outputs, pool, inputs=spec.inputs, energy=True), ""
