"""Compression: a change that is a hair beyond its threshold passes with at most alpha, however many rows flip.

Group 0 loses by a hair more than the threshold on top of a share of its rows that flips either way. In `increase` that
is the change of a rate between groups, in `drop` the accuracy of all, in `excess` what group 0 loses beyond the rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from benchmarks.false_pass.scenario import Scenario
from benchmarks.false_pass.tables import BEYOND, paired_of, policy, within_sight
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.verdict import Outcome
from edgefair.probe.bundles.gates import ACCURACY_DROP, EXCESS_LOSS, GROUP_DROP, PAIRED

# Gate -> the key of the policy that holds its threshold.
GATES = {
    PAIRED: "max_eo_increase",
    ACCURACY_DROP: "max_accuracy_drop",
    GROUP_DROP: "max_group_accuracy_drop",
    EXCESS_LOSS: "max_excess_loss",
}
FLIPS, ALPHAS, THRESHOLDS, RATIOS, GROUPS = (0.0, 0.01, 0.2, 0.8), (0.01, 0.05), (0.01, 0.05), (1.0, 20.0), (2, 8)
QUICK = ((0.0, 0.05, 0.05, 1.0, 2), (0.2, 0.05, 0.05, 1.0, 2), (0.8, 0.05, 0.05, 20.0, 2), (0.2, 0.01, 0.05, 1.0, 8))
ROOM = 1.5
RUNS, QUICK_RUNS = 100, 10


@dataclass(frozen=True)
class Audit:
    """One configuration.

    Attributes:
        gate: which is at its threshold.
        flips: share of rows that flip either way, beside those that are lost.
        rows: of group 0 and of every other one, all with label 1.
    """

    gate: str
    flips: float
    alpha: float
    threshold: float
    rows: tuple[int, int]
    groups: int

    def falsely_passes(self, rng: np.random.Generator) -> bool:
        """Draw an audit; judge it where its estimate does not keep the PASS away at first sight."""
        n = np.array([self.rows[0], *[self.rows[1]] * (self.groups - 1)])
        weight = self.weights(n)
        loss = np.full(self.groups, self.threshold) if self.gate == ACCURACY_DROP else np.zeros(self.groups)
        loss[0] = self.threshold / weight[0] if self.gate != ACCURACY_DROP else self.threshold
        loss[0] += BEYOND
        kept = (1 - self.flips - loss) / 2
        cells = np.stack([kept, np.full_like(loss, self.flips / 2), self.flips / 2 + loss, kept], axis=1)
        drawn = rng.multinomial(n, cells)
        lost, flipped = (drawn[:, 2] - drawn[:, 1]) / n, (drawn[:, 2] + drawn[:, 1]) / n
        error = float(np.sqrt((weight**2 * (flipped - lost**2) / n).sum()))
        if not within_sight(float(weight @ lost), error, self.threshold, self.alpha):
            return False
        table = np.zeros((self.groups, 2, 2, 2), dtype=np.int64)
        table[:, 1] = drawn.reshape(-1, 2, 2)
        if self.gate == PAIRED:  # judges the cells of the other label too, whose rows would dilute the accuracy
            table[:, 0, 0, 0] = n.max()
        paired = paired_of(table)
        rules = policy(self.groups, alpha=self.alpha, **{GATES[self.gate]: self.threshold})
        verdict = decide(Evidence(counts=paired.candidate, paired=paired), rules)
        return verdict.gate(self.gate).outcome is Outcome.PASS

    def weights(self, n: np.ndarray) -> np.ndarray:
        """Of the losses of the groups in the number that the gate judges."""
        first, share = np.eye(self.groups)[0], n / n.sum()
        return {
            PAIRED: first - np.eye(self.groups)[1],
            ACCURACY_DROP: share,
            GROUP_DROP: first,
            EXCESS_LOSS: first - share,
        }[self.gate]


def audit(gate: str, flips: float, alpha: float, threshold: float, ratio: float, groups: int) -> Audit:
    """With as many rows as leave a PASS room."""
    rows = (flips + threshold) * (1 + 1 / ratio) * (ndtri(1 - alpha) + ROOM) ** 2 / threshold**2
    return Audit(gate, flips, alpha, threshold, (int(np.ceil(rows)), int(np.ceil(rows * ratio))), groups)


def scenarios(quick: bool) -> Iterator[Scenario]:
    """Every gate at every share of flips."""
    corners = QUICK if quick else tuple(itertools.product(FLIPS, ALPHAS, THRESHOLDS, RATIOS, GROUPS))
    for gate, corner in itertools.product(GATES, corners):
        item = audit(gate, *corner)
        name = f"{gate}, {item.flips:.0%} flip, {item.groups} groups of {item.rows[0]:,} and {item.rows[1]:,} rows, "
        name += f"alpha {item.alpha:g}, tau {item.threshold:g}"
        runs = round((QUICK_RUNS if quick else RUNS) / item.alpha)
        yield Scenario(name, item.alpha, None, runs, item.falsely_passes)
