"""Independent rows: a model whose largest difference is a hair beyond the threshold passes with at most alpha.

One pair of groups differs by just more than tau at one label; every other group lies half-way, and at the other labels
all are decided rightly, so that nothing but this pair keeps a PASS away: the corner at which a PASS errs most.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from benchmarks.false_pass.scenario import Scenario
from benchmarks.false_pass.tables import BEYOND, counts_of, policy, within_sight
from edgefair.decision.decide import decide
from edgefair.decision.verdict import Outcome
from edgefair.probe.bundles.gates import ABSOLUTE

ALPHAS, THRESHOLDS = (0.001, 0.01, 0.05, 0.1), (0.01, 0.05, 0.2)
GROUPS, CLASSES = (2, 4, 8, 16), (2, 3, 10)
# Rows of the cell of the lower rate over those of the cell of the higher: 157 of 11,987 among them.
RATIOS = (1.0, 157 / 11_987, 11_987 / 157)
HIGHER = (0.6, 0.99, 1.0)
# Standard errors of the difference in the threshold, beyond those of alpha: fairer pairs than the one pass.
ROOM = 2.0
# Audits per unit of 1 / alpha: the rate is known within a third of it or better, beyond the error of three.
RUNS, QUICK_RUNS = 100, 10
MOST_RUNS = {2: 100_000, 4: 40_000, 8: 20_000, 16: 10_000}


@dataclass(frozen=True)
class Audit:
    """One configuration.

    Attributes:
        rows: of the cells of the lower rate, the higher, and every other cell.
        higher: the higher rate; the other is lower by the threshold and a hair.
    """

    groups: int
    classes: int
    alpha: float
    threshold: float
    rows: tuple[int, int, int]
    higher: float

    @property
    def rates(self) -> tuple[float, float]:
        """The lower and the higher."""
        return self.higher - self.threshold - BEYOND, self.higher

    def falsely_passes(self, rng: np.random.Generator) -> bool:
        """Draw the pair; the rest only where the pair does not keep the PASS away at first sight."""
        pair, n = rng.binomial(self.rows[:2], self.rates), np.array(self.rows[:2])
        rate = pair / n
        error = float(np.sqrt((rate * (1 - rate) / n).sum()))
        if not within_sight(float(rate[1] - rate[0]), error, self.threshold, self.alpha):
            return False
        rules = policy(self.groups, max_eo_gap=self.threshold, alpha=self.alpha)
        return decide(counts_of(self.table(rng, pair)), rules).gate(ABSOLUTE).outcome is Outcome.PASS

    def table(self, rng: np.random.Generator, pair: np.ndarray) -> np.ndarray:
        """All counts [groups, labels, decisions]."""
        found = np.zeros((self.groups, self.classes, self.classes), dtype=np.int64)
        found[:, np.arange(self.classes), np.arange(self.classes)] = self.rows[2]
        hits = np.append(pair, rng.binomial(self.rows[2], sum(self.rates) / 2, self.groups - 2))
        n = np.array([*self.rows[:2], *[self.rows[2]] * (self.groups - 2)])
        found[:, 1, 1], found[:, 1, 0] = hits, n - hits
        return found


def audit(groups: int, classes: int, alpha: float, threshold: float, ratio: float, higher: float) -> Audit:
    """With as many rows as make the threshold as many standard errors as leave a PASS room."""
    lower = higher - threshold
    variance = (lower * (1 - lower) + ratio * higher * (1 - higher)) * (ndtri(1 - alpha) + ROOM) ** 2 / threshold**2
    least = np.log(alpha) / np.log(1 - threshold)  # rows of which none is an error: their limit is the threshold
    rows = tuple(int(np.ceil(max(variance, least, least * ratio) / part)) for part in (1, ratio))
    return Audit(groups, classes, alpha, threshold, (rows[0], rows[1], max(rows)), higher)


def configurations(quick: bool) -> Iterator[Audit]:
    """Two groups everywhere; more groups and classes at every alpha, with the rest in turns."""
    if quick:
        corners = [(0.01, 0.05, RATIOS[1], 1.0), (0.001, 0.2, RATIOS[2], 0.99), (0.05, 0.01, 1.0, 0.6)]
        yield from (audit(2, 2, *corner) for corner in [*corners, (0.1, 0.2, 1.0, 0.99)])
        yield audit(8, 3, 0.05, 0.05, 1.0, 0.99)
        yield audit(16, 10, 0.1, 0.2, RATIOS[1], 0.6)
    else:
        yield Audit(2, 2, 0.01, 0.05, (157, 11_987, 11_987), 0.99)
        yield from (audit(2, 2, *rest) for rest in itertools.product(ALPHAS, THRESHOLDS, RATIOS, HIGHER))
        turns = itertools.cycle(itertools.product(THRESHOLDS, RATIOS, HIGHER))
        for groups, classes, alpha in itertools.product(GROUPS, CLASSES, ALPHAS):
            if (groups, classes) != (2, 2):
                yield audit(groups, classes, alpha, *next(turns))


def scenarios(quick: bool) -> Iterator[Scenario]:
    """The false PASS of each."""
    for item in configurations(quick):
        name = f"{item.groups} groups, {item.classes} classes, alpha {item.alpha:g}, tau {item.threshold:g}, "
        name += f"cells {item.rows[0]:,} / {item.rows[1]:,}, higher rate {item.higher:g}"
        runs = min(round((QUICK_RUNS if quick else RUNS) / item.alpha), MOST_RUNS[item.groups])
        yield Scenario(name, item.alpha, None, runs, item.falsely_passes)
