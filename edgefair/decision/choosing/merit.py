"""How good a model is on validation rows by every gate of decisions, to choose among models and thresholds by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.recording.corrections import recorded_threshold
from edgefair.decision.trial import is_kept, limit_stretch
from edgefair.decision.verdict import Gate, Outcome
from edgefair.measure.counts import GroupCounts
from edgefair.probe.bundles.gates import AT_LEAST, COLLAPSE, LATENCY, LOAD, MEMORY, SIZE

# What a device would have to be asked for.
OF_DEVICE = frozenset({LATENCY, SIZE, LOAD, MEMORY})


@dataclass(frozen=True)
class Met:
    """One gate on validation rows.

    Attributes:
        goal: what an estimate on these rows must keep: `aim` times the threshold of a number that shall be small, as an
            estimate at the threshold itself is beyond it on other rows half of the time; the floor of one that shall
            be large.
        kept: whether it is kept (`decision.trial.is_kept`).
        shown: whether these rows even show it, though the model was picked among others (`trial.limit_stretch`).
        beyond: how far the limit that decides lies beyond the threshold; 0 where it does not, or there is none.
    """

    gate: str
    direction: str
    estimate: float | None
    threshold: float | None
    goal: float | None
    kept: bool
    shown: bool
    beyond: float

    @property
    def lacking(self) -> float:
        """How far the estimate is from the goal, in the gate's unit; 0 where it is reached, or nothing is known."""
        if self.estimate is None or self.goal is None:
            return 0.0
        return max(self.goal - self.estimate if self.direction == AT_LEAST else self.estimate - self.goal, 0.0)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Merit:
    """What a model is worth by all gates of decisions.

    Attributes:
        accuracy: balanced accuracy over all rows.
    """

    gates: tuple[Met, ...]
    accuracy: float

    @property
    def kept(self) -> bool:
        """Whether every gate is kept."""
        return all(gate.kept for gate in self.gates)

    @property
    def shown(self) -> bool:
        """Whether the validation rows alone show that every gate is kept."""
        return all(gate.shown for gate in self.gates)

    @property
    def rank(self) -> tuple[int, float]:
        """Larger is better: all gates kept, then all floors.

        Within that, balanced accuracy less what the limits lie beyond the thresholds, point by point: of two models
        whose estimates will do, the one is better that more rows are likelier to confirm. Where a floor is missed,
        what is lacking to the floors decides alone. A gap alone never does: whoever decides one class has none.
        """
        floors = [gate for gate in self.gates if gate.direction == AT_LEAST]
        if not all(gate.kept for gate in floors):
            return 0, -sum(gate.lacking for gate in floors)
        return (2 if self.kept else 1), self.accuracy - sum(gate.beyond for gate in self.gates)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        stage, value = self.rank
        return {"rank": 10 * stage + value, "kept": self.kept, "gates": [gate.to_json() for gate in self.gates]}


def merit(counts: GroupCounts, policy: Policy, *, aim: float, tries: int = 1) -> Merit:
    """Judge decisions on validation rows by every gate that can be judged without a device.

    What a policy lets compression cost is kept, as nothing is compressed yet.

    Args:
        aim: share of a threshold that an estimate shall keep.
        tries: among how many such models the best is picked.
    """
    stretch = limit_stretch(policy.alpha, tries)
    verdict = decide(Evidence(counts=counts, own_reference=True), _of_decisions(policy), level=policy.alpha)
    total = counts.table.sum(axis=0)
    recall = total.diagonal()[total.sum(axis=1) > 0] / total.sum(axis=1)[total.sum(axis=1) > 0]
    judged = [gate for gate in verdict.gates if gate.id not in OF_DEVICE]
    return Merit(
        gates=tuple(_met(gate, aim, recorded_threshold(policy, gate, counts.classes), stretch) for gate in judged),
        accuracy=float(recall.mean()),
    )


def _of_decisions(policy: Policy) -> Policy:
    """The policy without what needs a device, or a day."""
    costs = dict.fromkeys(("max_latency_p90_ms", "max_size_bytes", "max_load_ms", "max_peak_memory_mb"))
    return policy.model_copy(update={**costs, "waivers": ()})


def _met(gate: Gate, aim: float, recorded: float | None, stretch: float) -> Met:
    threshold = gate.threshold if recorded is None else recorded
    least = gate.direction == AT_LEAST
    return Met(
        gate=gate.id,
        direction=gate.direction,
        estimate=gate.estimate,
        threshold=gate.threshold,
        goal=threshold if threshold is None or least else aim * threshold,
        kept=is_kept(gate, None, aim=aim, recorded=recorded),
        shown=gate.outcome is Outcome.PASS and _is_shown(gate, stretch),
        beyond=0.0 if gate.id == COLLAPSE else _beyond(gate),
    )


def _is_shown(gate: Gate, stretch: float) -> bool:
    """Whether the limit that decides keeps the threshold, so many times as far from the estimate as it is."""
    limit = gate.lower if gate.direction == AT_LEAST else gate.upper
    if limit is None or gate.estimate is None or gate.threshold is None:
        return True
    farther = gate.estimate + stretch * (limit - gate.estimate)
    return farther >= gate.threshold if gate.direction == AT_LEAST else farther <= gate.threshold


def _beyond(gate: Gate) -> float:
    """How far the limit that decides lies beyond the threshold."""
    limit = gate.lower if gate.direction == AT_LEAST else gate.upper
    limit = gate.estimate if limit is None else limit
    if limit is None or gate.threshold is None:
        return 0.0
    return max(gate.threshold - limit if gate.direction == AT_LEAST else limit - gate.threshold, 0.0)


def best_of(merits: Sequence[Merit]) -> int:
    """Position of the best; of equal ones the first."""
    return max(range(len(merits)), key=lambda at: merits[at].rank)
