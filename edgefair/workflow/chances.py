"""How probable a PASS is, and with how many rows, by simulated audits."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.rehearsal import Rehearsal, rehearse
from edgefair.decision.verdict import Gate, Outcome
from edgefair.measure.planning import power_curve
from edgefair.report.results.plan import WANTED_POWER, GatePlan
from edgefair.workflow.clock import today
from edgefair.workflow.simulated_audits import Assumed, Audits

# Audits that pass by their own limits and are judged with the exact test too, and those drawn to find them.
CONFIRMED, DRAWN = 30, 90
# Audits after which a chance may be known well enough, and the standard error that is; the share of them for a search.
FEWEST, SMALL_ERROR, SEARCHING = 100, 0.01, 0.6
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
    """

    policy: Policy
    rng: np.random.Generator

    def chance(self, audits: Audits, model: Assumed, *, size: float, trials: int) -> Chance:
        """The chance of PASS of audits of one size."""
        verdicts: list[Rehearsal] = []
        confirmed: list[bool] = []
        for _ in range(trials):
            evidence = audits.draw(model, size, self.rng)
            verdicts.append(rehearse(evidence, self.policy))
            if verdicts[-1].passed and len(confirmed) < CONFIRMED:
                confirmed.append(self._passes(evidence))
            if (
                len(verdicts) >= FEWEST
                and _variance(_share([v.passed for v in verdicts]), len(verdicts)) < SMALL_ERROR**2
            ):
                break
        passed = _share([item.passed for item in verdicts])
        kept = _share(confirmed) if confirmed else 1.0
        spread = kept**2 * _variance(passed, len(verdicts)) + passed**2 * _variance(kept, max(len(confirmed), 1))
        return Chance(passed * kept, math.sqrt(spread), tuple(verdicts))

    def size(
        self, audits: Audits, model: Assumed, *, guess: float, least: float, most: float, trials: int
    ) -> float | None:
        """The size of audits that pass with a chance of 80 %; None where `most` do not."""
        curve = power_curve(
            lambda size: rehearse(audits.draw(model, size, self.rng), self.policy).passed,
            WANTED_POWER,
            guess=guess,
            least=least,
            most=most,
            trials=round(SEARCHING * trials),
        )
        size = curve.size_at(WANTED_POWER)
        for _ in range(LOOKS):
            kept = 1.0 if size is None else self._kept(audits, model, size)
            if kept >= NEARLY_ALL:
                break
            size = curve.size_at(min(WANTED_POWER / max(kept, WANTED_POWER), HIGHEST))
        return size

    def _kept(self, audits: Audits, model: Assumed, size: float) -> float:
        """Share of the audits that pass by their own limits that `decide` confirms."""
        confirmed: list[bool] = []
        for _ in range(DRAWN):
            evidence = audits.draw(model, size, self.rng)
            if rehearse(evidence, self.policy).passed:
                confirmed.append(self._passes(evidence))
            if len(confirmed) == CONFIRMED:
                break
        return _share(confirmed) if confirmed else 1.0

    def _passes(self, evidence: Evidence) -> bool:
        return decide(evidence, self.policy, today=today()).outcome is Outcome.PASS


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
