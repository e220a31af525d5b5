"""What a cell's file shows on the target: decisions, the responses of a row, times where they are asked for."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.data.dataset import DataSet
from edgefair.data.groups import joint_groups
from edgefair.data.rows import TableRows
from edgefair.decision.compare import judge_paired
from edgefair.decision.decide import decide
from edgefair.decision.policy import Policy
from edgefair.files import packed_bytes
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import silent
from edgefair.study.responses import auc_gap, decided, flip_rate, flips_json, psi_max, refitted
from edgefair.study.run.made import File
from edgefair.targets import AnyProbe, LoadedModel
from edgefair.workflow.clock import today
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.decide_rows import decide_rows
from edgefair.workflow.measurement.measure import evidence_of, latencies, measure
from edgefair.workflow.measurement.steps import Decisions
from edgefair.workflow.models.spec import spec_of

Asked = Callable[[TableRows], "Answers"]
# Training rows that tell the training accuracy, at most.
TRAIN_ROWS = 10_000


@dataclass(frozen=True, eq=False)
class Answers:
    """What a file decided of the audit rows: int64 [rows], and P(class 1), float32 [rows], of two classes."""

    decision: NDArray[np.int64]
    score: NDArray[np.float32] | None

    def to_bytes(self) -> bytes:
        """As a compressed archive; equal answers give equal bytes."""
        stream = io.BytesIO()
        np.savez_compressed(stream, decision=self.decision.astype(np.int32))
        return stream.getvalue()

    @classmethod
    def read(cls, path: Path) -> Self:
        """The decisions that were kept; scores are not."""
        with np.load(path) as content:
            return cls(content["decision"].astype(np.int64), None)


@dataclass(frozen=True, eq=False)
class Beside:
    """Answers of other files to the same rows, of the same seed and data; None where the plan has no such cell."""

    dense: Answers | None = None
    control: Answers | None = None


def answers_of(
    probe: AnyProbe, job: Job, file: File, *, dense: Path | None, latency: bool
) -> tuple[Answers, dict[str, Any], LoadedModel]:
    """Have the target decide the audit rows, and time it beside the dense file where that is asked for.

    Returns:
        the answers; the columns of times; the file as the target has it.

    Raises:
        ModelError, MeasurementError: as `verify` does.
    """
    rows, classes = job.data.audit, job.data.classes
    found = measure(
        probe,
        file.path,
        rows,
        classes=classes,
        reference=dense if latency else None,
        fallback_spec=lambda _: file.spec,
        with_latency=latency,
        progress=job.progress,
    )
    times: dict[str, Any] = {}
    own, _, faster = latencies(found.times, level=job.config.policy.alpha)
    if own is not None:
        times = {"p50_ms": own.p50_ms, "p90_ms": own.p90_ms}
    if faster is not None:
        times |= {"speed_up": faster.ratio, "speed_up_lower": faster.lower, "speed_up_upper": faster.upper}
    return Answers(found.decisions, found.score), times, found.candidate


def responses_of(
    probe: AnyProbe, job: Job, file: File, model: LoadedModel, answers: Answers, beside: Beside
) -> dict[str, Any]:
    """The columns of a row that say what was found, but for times.

    Args:
        model: the file on the target.
    """
    config, data = job.config, job.data
    rows, policy = data.audit, config.policy
    attributes = policy.base_attributes
    counts = GroupCounts.from_rows(
        {name: rows.sensitive[name] for name in attributes},
        label=rows.label,
        decision=answers.decision,
        classes=data.classes,
    )
    dense, control = (_paired(rows, attributes, data.classes, item, answers) for item in (beside.dense, beside.control))
    spec = spec_of(model, lambda _: file.spec, data.classes)
    asked = functools.partial(_decided, probe, model, spec)
    found = asdict(decided(counts))
    found |= _of_scores(asked, job, answers)
    found |= _verdict(policy, rows, data.classes, answers, beside.dense, file)
    growth = None if dense is None else judge_paired(dense, policy, None)
    return found | {
        "counts": json.dumps(counts.to_json()),
        "paired_dense": None if dense is None else json.dumps(dense.to_json()),
        "paired_control": None if control is None else json.dumps(control.to_json()),
        "psi_max": None if dense is None else psi_max(dense),
        "flips_dense": None if dense is None else flip_rate(dense),
        "flips_control": None if control is None else flip_rate(control),
        "flips": None if dense is None and control is None else flips_json(dense, control),
        "gap_growth": None if growth is None else growth.estimate,
        "gap_growth_lower": None if growth is None else growth.lower,
        "gap_growth_upper": None if growth is None else growth.upper,
        "train_accuracy": _train_accuracy(asked, job),
        "bytes": file.path.stat().st_size,
        "packed_bytes": packed_bytes(file.path),
        "params": file.params,
        "macs": file.macs,
        "target": probe.profile.name,
        "processor": probe.device.get("cpu"),
        "runtime": _runtime(probe),
        "threads": probe.device.get("threads"),
        "recipe": json.dumps(file.recipe, sort_keys=True),
    }


def _runtime(probe: AnyProbe) -> str:
    """What ran the file, with its version where the device tells it."""
    version = probe.device.get(probe.profile.runtime)
    return probe.profile.runtime if version is None else f"{probe.profile.runtime} {version}"


def _paired(
    rows: TableRows, attributes: tuple[str, ...], classes: tuple[str, ...], before: Answers | None, after: Answers
) -> PairedCounts | None:
    if before is None:
        return None
    return PairedCounts.from_rows(
        {name: rows.sensitive[name] for name in attributes},
        label=rows.label,
        reference=before.decision,
        candidate=after.decision,
        classes=classes,
    )


def _of_scores(asked: Asked, job: Job, answers: Answers) -> dict[str, Any]:
    """The gap at the operating point that the validation rows choose, and that of AUC; nothing without scores."""
    data, attributes = job.data, job.config.policy.base_attributes
    if answers.score is None:
        return {}
    audit = data.audit
    group, _ = joint_groups(audit.sensitive, attributes)
    score = answers.score.astype(np.float64)
    found: dict[str, Any] = {"auc_gap": auc_gap(score, audit.label, group)}
    held = asked(data.validation)
    if held.score is None or len(np.unique(data.validation.label)) < 2:
        return found
    said = f"{len(data.validation):,} validation rows{_noise(data)}"
    fit = held.score.astype(np.float64), data.validation.label
    return found | asdict(refitted((score, audit.label, group), fit, rows=said))


def _noise(data: DataSet) -> str:
    return " with the noise of the training rows" if any("data.noise" in note for note in data.poorer) else ""


def _train_accuracy(asked: Asked, job: Job) -> float:
    """Share of training rows that are decided as they are labelled, noise and all."""
    train = job.data.train
    some = train.take(np.unique(np.linspace(0, len(train) - 1, min(len(train), TRAIN_ROWS)).astype(np.int64)))
    return float((asked(some).decision == some.label).mean())


def _decided(probe: AnyProbe, model: LoadedModel, spec: ModelSpec, rows: TableRows) -> Answers:
    found = decide_rows(probe, model, rows, spec, silent)
    return Answers(found.decisions, found.score)


def _verdict(
    policy: Policy, rows: TableRows, classes: tuple[str, ...], answers: Answers, dense: Answers | None, file: File
) -> dict[str, Any]:
    """What the gates of the project would say, but for those of times: the outcome, and which gates are not passed."""
    judged = policy.model_copy(update=dict.fromkeys(("max_latency_p90_ms", "max_load_ms", "max_peak_memory_mb")))
    decisions = Decisions(answers.decision, None if dense is None else dense.decision)
    evidence = evidence_of(
        judged, rows, classes, decisions, size_bytes=file.path.stat().st_size, own_reference=dense is None
    )
    verdict = decide(evidence, judged, today=today(), level=judged.alpha)
    return {
        "verdict": str(verdict.outcome),
        "reasons": json.dumps([gate.id for gate in verdict.gates if str(gate.outcome) != "PASS"]),
    }
