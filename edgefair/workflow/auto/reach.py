"""How far a search came: for every gate what was reached by itself, and beside the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgefair.probe.bundles.gates import AT_LEAST, name_of


@dataclass(frozen=True)
class Reach:
    """What was reached for one gate by all models and thresholds that were tried, on validation rows.

    Attributes:
        goal: what an estimate on these rows must keep (`decision.choosing.merit.Met`).
        chosen: estimate of the model that was chosen.
        alone: best estimate of any, whatever became of the other gates.
        beside: best estimate of any that keeps all the other gates; None where none does.
        kept: whether the chosen model keeps it.
        shown: whether these rows alone show that, though the threshold was picked on them.
    """

    gate: str
    direction: str
    threshold: float
    goal: float
    chosen: float | None
    alone: float
    beside: float | None
    kept: bool
    shown: bool

    @property
    def reached(self) -> bool:
        """Whether the estimate of the chosen model reaches the goal."""
        return self.chosen is not None and self._reaches(self.chosen)

    @property
    def attainable(self) -> bool:
        """Whether anything that was tried reaches it."""
        return self._reaches(self.alone)

    def _reaches(self, estimate: float) -> bool:
        return estimate >= self.goal if self.direction == AT_LEAST else estimate <= self.goal

    @property
    def lacking(self) -> float:
        """How far the best of all is from the goal, in the gate's unit; 0 where it is reached."""
        return max(self.goal - self.alone if self.direction == AT_LEAST else self.alone - self.goal, 0.0)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            **asdict(self),
            "reached": self.reached,
            "attainable": self.attainable,
            "lacking": self.lacking,
        }


def reach_of(points: Iterable[Sequence[Mapping[str, Any]]], chosen: Sequence[Mapping[str, Any]]) -> tuple[Reach, ...]:
    """The reach of every gate that has a number.

    Args:
        points: gates of every model at every threshold, as `Met.to_json` has them.
        chosen: those of the model that was chosen.
    """
    everywhere = list(points)
    found = []
    for own in chosen:
        if own["goal"] is None:
            continue
        pick = max if own["direction"] == AT_LEAST else min
        mine = [
            (gate["estimate"], all(other["kept"] for other in gates if other["gate"] != own["gate"]))
            for gates in everywhere
            for gate in gates
            if gate["gate"] == own["gate"] and gate["estimate"] is not None
        ]
        if not mine:
            continue
        beside = [estimate for estimate, others_kept in mine if others_kept]
        found.append(
            Reach(
                gate=own["gate"],
                direction=own["direction"],
                threshold=own["threshold"],
                goal=own["goal"],
                chosen=own["estimate"],
                alone=pick(estimate for estimate, _ in mine),
                beside=pick(beside) if beside else None,
                kept=own["kept"],
                shown=own["shown"],
            )
        )
    return tuple(found)


def out_of_reach(reach: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """What a search could not reach and by how much, in sentences for whoever reads the verdict of its model.

    Args:
        reach: as `Reach.to_json` has it.
    """
    return tuple(_sentence(item) for item in reach if not item["kept"] and (not item["attainable"] or item["beside"]))


def _sentence(item: Mapping[str, Any]) -> str:
    best, beside = (item["beside"], " beside all the other gates") if item["attainable"] else (item["alone"], "")
    return (
        f"not attainable with this network and these rows: of all treatments, budgets and thresholds that `edgefair "
        f"train --auto` tried, the {'highest' if item['direction'] == AT_LEAST else 'lowest'} {name_of(item['gate'])}"
        f"{beside} on validation rows is {best:.4f}, {abs(best - item['goal']):.4f} from its aim of {item['goal']:.4g} "
        f"(the policy: {item['threshold']:g})"
    )
