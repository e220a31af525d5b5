"""Five looks at growing rows: a model that is a hair beyond its threshold passes at any of them with at most alpha.

`fair` audits promise the other half: with 4,000 rows a cell at hand, a fair model PASSes on less than half of them.
`python -m benchmarks.false_pass.sequential` prints how many it needs on average.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.false_pass.scenario import Scenario
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.stopping import may_stop
from edgefair.decision.verdict import Outcome
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts
from edgefair.measure.sequential.levels import LOOKS, levels
from edgefair.measure.sequential.looks import units_at

BEYOND = 1e-9
RUNS, QUICK_RUNS = 200, 20
GROUPS, ROWS, ALPHAS, FPRS, FLIPS = (2, 8), (300, 2000), (0.01, 0.05, 0.2), (0.02, 0.4), (0.02, 0.2)
QUICK = ((2, 1000, 0.05, 0.1), (8, 1000, 0.05, 0.1), (2, 300, 0.2, 0.02))
SAVED = 0.5


@dataclass(frozen=True)
class Audit:
    """Binary decisions of groups with equally many rows in every cell.

    Attributes:
        rows: of every (group, label) cell, at hand.
        fpr: of all groups but the first, whose FPR is higher by `gap`.
        flips: share of rows that another model decided otherwise, in which group 0 gained `gap`; None: no other model.
    """

    groups: int
    rows: int
    alpha: float
    fpr: float
    gap: float
    flips: float | None = None

    @property
    def policy(self) -> Policy:
        """The gap is judged, or what compression adds to it."""
        names = [str(index) for index in range(self.groups)]
        limits = {"max_eo_gap": 0.05} if self.flips is None else {"max_eo_gap": 1.0, "max_eo_increase": 0.05}
        rules = {"attributes": {"group": {"groups": names}}, "alpha": self.alpha, "min_balanced_accuracy": 0.0}
        return Policy.model_validate(rules | limits)

    def judged(self, rng: np.random.Generator) -> tuple[Outcome, float]:
        """The outcome of one audit, and the share of its rows that were measured."""
        table = np.zeros((self.groups, 2, 2, 2), dtype=np.int64)
        policy, seen, cells = self.policy, 0, self._cells()
        for look, level in enumerate(levels(self.alpha), start=1):
            rows = units_at(look, self.rows)
            table += rng.multinomial(rows - seen, cells).reshape(table.shape)
            seen = rows
            verdict = decide(self._evidence(table), policy, level=level.passing, fail_level=level.failing)
            if may_stop(verdict) or look == LOOKS:
                break
        return verdict.outcome, seen / self.rows

    def passes(self, rng: np.random.Generator) -> bool:
        """Whether one audit ends in a PASS."""
        return self.judged(rng)[0] is Outcome.PASS

    def fails(self, rng: np.random.Generator) -> bool:
        """Whether one audit ends in a FAIL."""
        return self.judged(rng)[0] is Outcome.FAIL

    def passes_early(self, rng: np.random.Generator) -> bool:
        """Whether one audit ends in a PASS on less than half of its rows."""
        outcome, share = self.judged(rng)
        return outcome is Outcome.PASS and share < SAVED

    def _cells(self) -> np.ndarray:
        """P(reference decision, candidate decision) of every group and label: [groups, labels, 4]."""
        flips = 0.0 if self.flips is None else self.flips
        found = np.empty((self.groups, 2, 2, 2))
        for label, rate in enumerate((self.fpr, 0.8)):
            found[:, label] = [[1 - rate - flips / 2, flips / 2], [flips / 2, rate - flips / 2]]
        found[0, 0] += self.gap * np.array([[-1, 1], [0, 0]] if self.flips is not None else [[-1, 0], [0, 1]])
        return found.reshape(self.groups, 2, 4)

    def _evidence(self, table: np.ndarray) -> Evidence:
        groups, classes = tuple((str(index),) for index in range(self.groups)), ("0", "1")
        counts = GroupCounts(("group",), groups, classes, table.sum(axis=2))
        paired = None if self.flips is None else PairedCounts(("group",), groups, classes, table)
        return Evidence(counts, paired=paired)


def scenarios(quick: bool) -> Iterator[Scenario]:
    """A gap a hair beyond the threshold, alone and added by compression; one at it; and a fair model."""
    runs = QUICK_RUNS if quick else RUNS
    for groups, rows, alpha, fpr in QUICK if quick else itertools.product(GROUPS, ROWS, ALPHAS, FPRS):
        said = f"{groups} groups, {rows} rows a cell, alpha {alpha}, FPR {fpr}"
        audit = Audit(groups, rows, alpha, fpr, 0.05 + BEYOND)
        yield Scenario(f"absolute, {said}", alpha, None, runs, audit.passes)
        kept = Audit(groups, rows, alpha, fpr, 0.05 - BEYOND)
        yield Scenario(f"false FAIL, {said}", alpha, None, runs, kept.fails)
    for groups, rows, flips in itertools.product((2, 8), (300, 2000), FLIPS):
        if quick and (groups, rows) != (2, 2000):
            continue
        audit = Audit(groups, rows, 0.05, 0.4, 0.05 + BEYOND, flips)
        said = f"{groups} groups, {rows} rows a cell, {flips:.0%} flips"
        yield Scenario(f"paired, {said}", 0.05, None, runs, audit.passes)
    yield Scenario("fair, 2 groups", None, 0.5, runs, Audit(2, 4000, 0.05, 0.1, 0.0).passes_early)


def main() -> None:
    """Print which share of 4,000 rows a cell a fair model needs on average."""
    rng = np.random.default_rng(0)
    for groups in (2, 4, 8):
        shares = [Audit(groups, 4000, 0.05, 0.1, 0.0).judged(rng)[1] for _ in range(RUNS // groups)]
        mean = float(np.mean(shares))
        print(f"fair model, {groups} groups: {4000 * mean:,.0f} of 4,000 rows a cell on average, {1 / mean:.2f}x fewer")


if __name__ == "__main__":
    main()
