"""Judge compression choices on the validation rows of every target. No audit row is seen here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgefair import jsonl
from edgefair.compress.analysis.saturation import audit_saturation
from edgefair.compress.analysis.sensitivity import rank_nodes
from edgefair.compress.quantization.macs import node_macs
from edgefair.compress.search.choice import Choice
from edgefair.compress.search.float_nodes import Ranked
from edgefair.compress.search.search import Trial
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.recording.corrections import recorded_threshold
from edgefair.decision.trial import is_kept, limit_stretch, shortfall
from edgefair.decision.verdict import Gate, Verdict
from edgefair.files import sha256_json
from edgefair.measure.latency import rule_unmet, summarize
from edgefair.probe.bundles.gates import ABSOLUTE, LATENCY, LOAD, MEMORY, SIZE, id_of
from edgefair.probe.device import saturates_int8
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import Progress, timed
from edgefair.streams import Stream
from edgefair.targets import AnyProbe, TargetProfile, load_profile
from edgefair.targets.sections import Budgets
from edgefair.workflow.clock import today
from edgefair.workflow.compression.candidates import Candidates
from edgefair.workflow.measurement.decide_rows import decide_rows
from edgefair.workflow.measurement.fleet import load_fleet, on_each
from edgefair.workflow.measurement.measure import evidence_of
from edgefair.workflow.measurement.outputs import TargetAnswers
from edgefair.workflow.measurement.sampling import cells_of, draw, sample_of
from edgefair.workflow.measurement.steps import Decisions
from edgefair.workflow.models.spec import spec_of

Result = TypeVar("Result")
OF_DEVICE = frozenset({LATENCY, SIZE, LOAD, MEMORY})
# What only the file that ships is asked.
LATER: dict[str, None] = dict.fromkeys(("max_load_ms", "max_peak_memory_mb"))
# What a multiply-accumulate costs in float, in units of one in INT8: on processors with INT8 dot products.
FLOAT_COST = 4.0
# Validation rows of every (group, label) cell that rank the layers, at most.
RANKING_ROWS = 64
# Training rows of every cell whose sums are looked at, at most.
SATURATION_ROWS = 32


@dataclass(frozen=True, eq=False)
class _Device:
    """One target and the model before compression on it.

    Attributes:
        identity: what a trial's outcome depends on and the profile does not say.
        saturates: whether its INT8 kernels saturate sums of 16 bits.
        decisions: of that model on the validation rows, int64 [rows].
    """

    identity: dict[str, Any]
    saturates: bool
    decisions: NDArray[np.int64]
    verdict: Verdict


class ValidationBench:
    """Makes and judges choices; every trial is logged, and one that the log holds is not judged again.

    A device is held for one trial at a time: between two of them networks may be trained for hours.

    Args:
        candidates: makes the model files.
        log: JSON lines of an interrupted or finished search of the same settings.
        folder: where files may be put.
        recipe: the choice that was asked for.
    """

    def __init__(self, candidates: Candidates, log: Path, folder: Path, *, recipe: Choice) -> None:
        self._job = candidates.job
        self._recipe = recipe
        self._candidates = candidates
        self._rows = candidates.validation
        self._log = log
        self._folder = folder
        self._macs: dict[float | None, dict[str, int]] = {}
        self._fleet = load_fleet(self._job.config.targets)
        logged = jsonl.entries(log.read_bytes() if log.exists() else b"")
        self._known = {entry["key"]: entry["trial"] for entry in logged if entry.keys() >= {"key", "trial"}}
        self._devices = self._on_each(self._reference)

    def _on_each(self, work: Callable[[AnyProbe, Progress], Result]) -> dict[str, Result]:
        """The work's result by target."""

        def with_probe(profile: TargetProfile, told: Progress) -> Result:
            told.stage(f"starting {profile.name}")
            with self._job.targets.open(profile) as probe:
                return work(probe, told)

        results = on_each(self._fleet, with_probe, self._job.progress)
        return {profile.name: result for profile, result in zip(self._fleet, results, strict=True)}

    def _reference(self, probe: AnyProbe, told: Progress) -> _Device:
        reference = self._candidates.reference
        decisions = self._decisions(probe, reference.path, reference.spec, told)
        evidence = self._evidence(decisions, decisions, reference.path)
        verdict = self._decided(evidence, probe.profile.budgets)
        return _Device(probe.identity, saturates_int8(probe.device), decisions, verdict)

    @property
    def reference_passes(self) -> bool:
        """Whether the model before compression keeps every gate of decisions, on every target."""
        aim = self._job.config.train.aim
        gates = [gate for item in self._devices.values() for gate in item.verdict.gates if gate.id not in OF_DEVICE]
        return all(is_kept(gate, gate, aim=aim, recorded=self._recorded(gate)) for gate in gates)

    @timed("trial")
    def judge(self, choice: Choice) -> Trial:
        """See `compress.search.search.Bench`."""
        key = sha256_json([choice.to_json(), [item.identity for item in self._devices.values()]])
        if key in self._known:
            return _trial(choice, self._known[key])
        self._job.progress.stage(f"trial {len(self._known) + 1}: {_said(choice)}")
        made = self._candidates.make(choice, self._folder / "trial.onnx")
        found = self._on_each(lambda probe, told: self._verdict(probe, made.path, made.spec, told))
        verdicts = {name: verdict for name, (verdict, _) in found.items()}
        aim, stretch = self._job.config.train.aim, self._stretch(choice)
        judged = [
            (gate, self._is_kept(gate, name, aim=aim, stretch=stretch))
            for name, verdict in verdicts.items()
            for gate in verdict.gates
        ]
        trial = Trial(
            choice=choice,
            kept=all(kept for _, kept in judged),
            harmless=all(kept for gate, kept in judged if gate.id not in OF_DEVICE),
            shortfall=sum(shortfall(gate, stretch=stretch) for gate, kept in judged if not kept),
            cost=self.cost(choice),
            gates={name: {gate.id: str(gate.outcome) for gate in verdict.gates} for name, verdict in verdicts.items()},
            gap=_largest(verdict.gate(ABSOLUTE).upper for verdict in verdicts.values()),
            p90_ms=_largest(gate.estimate for gate, _ in judged if gate.id == LATENCY),
            size_bytes=made.path.stat().st_size,
            changed=max(changed for _, changed in found.values()),
        )
        self._write(key, trial)
        return trial

    def _is_kept(self, gate: Gate, name: str, *, aim: float, stretch: float) -> bool:
        """Whether a gate of a trial is taken as kept on the target of this name."""
        before = self._devices[name].verdict.gate(gate.id)
        return is_kept(gate, before, aim=aim, stretch=stretch, recorded=self._recorded(gate))

    def _recorded(self, gate: Gate) -> float | None:
        return recorded_threshold(self._job.config.policy, gate, self._job.data.classes)

    def _stretch(self, choice: Choice) -> float:
        """Of the limits: none for the recipe, which was not picked among others."""
        if choice == self._recipe:
            return 1.0
        return limit_stretch(self._job.config.policy.alpha, self._job.config.compress.repair.max_trials)

    def cost(self, choice: Choice) -> float:
        """Multiply-accumulates in units of one in low precision; of what stays in float as a whole, bytes.

        A clock would choose otherwise in every run. See `compress.search.search.Bench`.
        """
        if self._candidates.kind is None:
            return float(self._candidates.sources.source(choice.prune).path.stat().st_size)
        if choice.prune not in self._macs:
            self._macs[choice.prune] = node_macs(self._candidates.sources.prepared(choice.prune))
        macs, floats = self._macs[choice.prune], frozenset(choice.float_nodes)
        return sum(count * (FLOAT_COST if name in floats else 1.0) for name, count in macs.items())

    def is_reference(self, choice: Choice) -> bool:
        """See `compress.search.search.Bench`."""
        return not self._job.config.debias.post and self._candidates.is_reference(choice.prune)

    @timed("ranking layers")
    def nodes(self, choice: Choice) -> Sequence[Ranked]:
        """See `compress.search.search.Bench`. Ranked on the first target, by rows of every cell."""
        candidates, config = self._candidates, self._job.config
        names = candidates.graphs.nodes(choice.prune)
        reading = candidates.reference.spec.reading
        if reading.kind == "label" and reading.score is None:
            # Without probabilities the effect of one layer is too small to be seen: as they come.
            return [Ranked(name, 0.0) for name in names]
        self._job.progress.stage("ranking layers")
        drawn = draw(self._rows, config, cells_of(config, self._job.data), RANKING_ROWS, Stream.RANKING_ROWS)
        spec = candidates.reference.spec
        with TargetAnswers(load_profile(config.targets[0]), drawn.rows, spec, targets=self._job.targets) as answers:
            found = rank_nodes(
                lambda node: candidates.graph(
                    replace(choice, float_nodes=tuple(name for name in names if name != node))
                ),
                candidates.graph(choice),
                candidates.sources.prepared(choice.prune),
                names,
                answers,
                spec,
                sample_of(drawn, config),
                tick=lambda done, total, name: self._job.progress.step(done, total, f"ranking layers: {name}"),
            )
        return [Ranked(item.node, max(item.harm, 0.0)) for item in found]

    @timed("checking for sums beyond 16 bits")
    def saturating(self, choice: Choice) -> Sequence[str]:
        """See `compress.search.search.Bench`. Told from sums on calibration rows, without such a processor."""
        # Where all weights must be signed, sums have 32 bits.
        signed = any(not profile.kernels.unsigned_weights for profile in self._fleet)
        spared = self._candidates.reduce_range or signed
        if spared or not any(item.saturates for item in self._devices.values()):
            return ()
        self._job.progress.stage("checking for sums beyond 16 bits")
        config, data = self._job.config, self._job.data
        cells = cells_of(config, data)
        drawn = draw(data.train, config, cells, SATURATION_ROWS, Stream.SATURATION_ROWS)
        batches = self._candidates.batches(drawn.rows)
        audit = audit_saturation(self._candidates.graph(choice), batches, drawn.cell, len(cells), seed=config.seed)
        return [item.node for item in audit if item.saturates]

    def _decisions(self, probe: AnyProbe, path: Path, spec: ModelSpec, told: Progress) -> NDArray[np.int64]:
        loaded = probe.load(path, name="candidate")
        spec = spec_of(loaded, lambda _: spec, self._job.data.classes)
        return decide_rows(probe, loaded, self._rows, spec, told).decisions

    def _verdict(self, probe: AnyProbe, path: Path, spec: ModelSpec, told: Progress) -> tuple[Verdict, float]:
        """On one target, and the share of decisions that are others than before compression."""
        decisions = self._decisions(probe, path, spec, told)
        before = self._devices[probe.profile.name].decisions
        evidence = self._evidence(decisions, before, path)
        policy, budget = self._job.config.policy, probe.profile.budgets
        judged = {policy.max_latency_p90_ms, budget.max_latency_p90_ms} != {None}
        if judged and probe.profile.latency.measured:
            pool = next(self._rows.inputs(spec, 256))
            times = probe.latency({"candidate": [spec.reading.output]}, pool, inputs=spec.inputs)
            unmet = rule_unmet(times, **probe.profile.latency.rule)
            evidence = replace(
                evidence,
                latency=summarize(times["candidate"], level=policy.alpha),
                not_measured=() if unmet is None else ((LATENCY, unmet),),
            )
        return self._decided(evidence, budget), float((decisions != before).mean())

    @timed("judging")
    def _decided(self, evidence: Evidence, budget: Budgets) -> Verdict:
        """By the rules of the release: its error of FAIL is shared by all targets. No audit row is asked for it."""
        policy, targets = self._job.config.policy.model_copy(update=LATER), len(self._job.config.targets)
        budget = budget.model_copy(update=LATER)
        return decide(evidence, policy, budget=budget, today=today(), targets=targets, level=policy.alpha)

    def _evidence(self, decisions: NDArray[np.int64], before: NDArray[np.int64], path: Path) -> Evidence:
        return evidence_of(
            self._job.config.policy,
            self._rows,
            self._job.data.classes,
            Decisions(decisions, before),
            size_bytes=path.stat().st_size,
        )

    def _write(self, key: str, trial: Trial) -> None:
        entry = trial.to_json()
        self._known[key] = entry
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab+", buffering=0) as stream:
            jsonl.append(stream.fileno(), {"key": key, "trial": entry})


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _trial(choice: Choice, entry: dict[str, Any]) -> Trial:
    """A trial as it was logged; older logs have the names of gates instead of their ids."""
    gates = {name: {id_of(gate): outcome for gate, outcome in of.items()} for name, of in entry["gates"].items()}
    return Trial(**{**entry, "choice": choice, "gates": gates})


def _said(choice: Choice) -> str:
    parts = [
        "" if choice.prune is None else f"pruned by {choice.prune:g}",
        choice.calibration,
        f"{len(choice.seven_bit)} nodes with 7-bit weights" if choice.seven_bit else "",
        f"{len(choice.unsigned)} nodes with unsigned weights" if choice.unsigned else "",
        "bias corrected" if choice.correct_bias else "",
        f"{len(choice.float_nodes)} nodes in float" if choice.float_nodes else "",
        *choice.post,
    ]
    return ", ".join(part for part in parts if part)
