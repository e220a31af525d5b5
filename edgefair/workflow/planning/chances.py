"""How probable a PASS is, and with how many rows, by simulated audits."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.rehearsal import Rehearsal, passes, passes_rehearsal, rehearse
from edgefair.decision.verdict import Gate, Outcome
from edgefair.measure.planning import power_curve
from edgefair.report.results.plan import WANTED_POWER, GatePlan
from edgefair.workflow.clock import today
from edgefair.workflow.planning.simulated_audits import Assumed, Audits

# Audits that pass by their own limits and are judged with the exact test too, and those drawn to find them.
CONFIRMED, CONFIRMED_ONCE, DRAWN = 40, 80, 160
# Audits after which a chance may be known well enough, and the standard error that is; the share of them for a search.
FEWEST, SMALL_ERROR, SEARCHING = 100, 0.01, 0.8
# Most of a standard error of the search: what is told shall rather be too much than too little.
MARGIN = 0.02
# A share of confirmed audits from which on the search needs no second look, and the largest power that it aims at.
NEARLY_ALL, HIGHEST = 0.98, 0.98
LOOKS = 2


@dataclass(frozen=True)
class Chance:
    """The chance that a whole verdict is PASS, and the verdicts that say so.

    Attributes:
        error: its standard error.
        verdicts: none where the rows do not suffice to judge, so the chance is 0.
    """

    value: float
    error: float
    verdicts: tuple[Rehearsal, ...]

    def of_attribute(self, name: str) -> float | None:
        """The chance that the gap of one attribute is shown to be within its threshold."""
        return _share([name not in item.unshown for item in self.verdicts]) if self.verdicts else None

    def of_gates(self) -> tuple[GatePlan, ...]:
        """What each gate does."""
        gates = zip(*(item.gates for item in self.verdicts), strict=True)
        return tuple(_gate_plan(column) for column in gates)


NONE = Chance(0.0, 0.0, ())


@dataclass(frozen=True, eq=False)
class Chances:
    """Makes audits and judges them by the policy.

    A verdict is rehearsed, and of those that pass some are taken by `decide`: the chance is the share that passes times
    the share of these that `decide` confirms.

    Attributes:
        kept: by kind of audits, the share confirmed where 80 % pass. It hardly depends on the true gap, so it is found
            once, with more audits than each gap could have.
    """

    policy: Policy
    rng: np.random.Generator
    kept: dict[type[Audits], float] = field(default_factory=dict)

    def chance(self, audits: Audits, model: Assumed, *, size: float, trials: int) -> Chance:
        """The chance of PASS of audits of one size."""
        verdicts: list[Rehearsal] = []
        passing: list[bool] = []
        confirmed: list[bool] = []
        for _ in range(trials):
            evidence = audits.draw(model, size, self.rng)
            verdicts.append(rehearse(evidence, self.policy))
            passing.append(verdicts[-1].passed)
            if passing[-1] and len(confirmed) < CONFIRMED:
                confirmed.append(self._passes(evidence))
            passed = _share(passing)
            if len(verdicts) >= FEWEST and _variance(passed, len(verdicts)) < SMALL_ERROR**2:
                break
        kept = _share(confirmed) if confirmed else 1.0
        spread = kept**2 * _variance(passed, len(verdicts)) + passed**2 * _variance(kept, max(len(confirmed), 1))
        return Chance(passed * kept, math.sqrt(spread), tuple(verdicts))

    def size(
        self, audits: Audits, model: Assumed, *, guess: float, least: float, most: float, trials: int
    ) -> float | None:
        """The size of audits that pass with a chance of 80 %; None where `most` do not."""
        wanted = WANTED_POWER + MARGIN
        curve = power_curve(
            lambda size: passes_rehearsal(audits.draw(model, size, self.rng), self.policy),
            wanted,
            guess=guess,
            least=least,
            most=most,
            trials=round(SEARCHING * trials),
        )
        kind, size = type(audits), curve.size_at(wanted)
        looks = 0 if kind in self.kept else LOOKS
        for _ in range(looks):
            if size is None:
                return None
            self.kept[kind] = self._kept(audits, model, size)
            size = curve.size_at(_goal(wanted, self.kept[kind]))
            if self.kept[kind] >= NEARLY_ALL:
                break
        return curve.size_at(_goal(wanted, self.kept.get(kind, 1.0)))

    def _kept(self, audits: Audits, model: Assumed, size: float) -> float:
        """Share of the audits that pass by their own limits that `decide` confirms."""
        confirmed: list[bool] = []
        for _ in range(DRAWN):
            evidence = audits.draw(model, size, self.rng)
            if passes_rehearsal(evidence, self.policy):
                confirmed.append(self._passes(evidence))
            if len(confirmed) == CONFIRMED_ONCE:
                break
        return _share(confirmed) if confirmed else 1.0

    def _passes(self, evidence: Evidence) -> bool:
        return passes(evidence, self.policy, today=today())


def _goal(wanted: float, kept: float) -> float:
    """Share that must pass by its own limits."""
    return min(wanted / max(kept, wanted), HIGHEST)


def _share(items: list[bool]) -> float:
    return sum(items) / len(items)


def _variance(share: float, trials: int) -> float:
    """Of a simulated share; one that is 0 or 1 is not known for sure either."""
    smoothed = (share * trials + 1) / (trials + 2)
    return smoothed * (1 - smoothed) / trials


def _gate_plan(gates: tuple[Gate, ...]) -> GatePlan:
    blocking = [gate for gate in gates if gate.outcome is not Outcome.PASS]
    names = Counter(gate.binding.name for gate in blocking if gate.binding is not None)
    return GatePlan(
        gate=gates[0].id,
        chance=1 - len(blocking) / len(gates),
        binding=names.most_common(1)[0][0] if names else None,
    )
