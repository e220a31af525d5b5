"""Fifty exports of unfair models on one audit set: how often does one of them PASS?

Every model finds 80 % of one group and 75 % of the other: its gap is the threshold, which is where a false PASS is most
likely. An export decides a share of the rows otherwise than the one that it came from, and stays as unfair. Under seal
the team knows that none has passed, and nothing else: it goes on from the first model, or from the last one. In the
open it sees numbers: it goes on from the model with the smallest gap so far, on these rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from benchmarks.false_pass.scenario import Scenario
from edgefair.decision.decide import decide
from edgefair.decision.policy import Policy
from edgefair.decision.spending import sealed_level
from edgefair.decision.verdict import Outcome
from edgefair.measure.counts import GroupCounts

EXPORTS, ROWS, FAIR_ROWS = 50, 2000, 20_000
RATES = np.array([0.80, 0.75])
FPR = 0.02
FLIPS = (0.01, 0.05, 0.20, 0.32)
POLICY = Policy(max_eo_gap=0.05, attributes={"sex": {"groups": ["f", "m"]}})

Hits = NDArray[np.int64]
# The next model's hits, of those of all before it (int64 [2] each, of ROWS positives per group).
Next = Callable[[list[Hits], float, np.random.Generator], Hits]


def of_one(hits: Hits, flips: float, rng: np.random.Generator) -> Hits:
    """Hits of a model that decides a share `flips` of the positives otherwise than the one with these hits.

    A row is drawn again with probability q = flips / (2 p (1 - p)), by its group's rate p: rates stay as they are.
    """
    again = np.minimum(1.0, flips / (2 * RATES * (1 - RATES)))
    lost, others = rng.binomial(hits, again), rng.binomial(ROWS - hits, again)
    found: Hits = hits - lost + rng.binomial(lost + others, RATES)
    return found


def from_the_first(tried: list[Hits], flips: float, rng: np.random.Generator) -> Hits:
    """As another export of the same run."""
    return of_one(tried[0], flips, rng)


def from_the_last(tried: list[Hits], flips: float, rng: np.random.Generator) -> Hits:
    """As a run that goes on."""
    return of_one(tried[-1], flips, rng)


def from_the_best(tried: list[Hits], flips: float, rng: np.random.Generator) -> Hits:
    """As who sees the gaps on the audit rows."""
    return of_one(min(tried, key=lambda hits: abs(int(np.diff(hits)[0]))), flips, rng)


def passes(hits: Hits, level: float | None) -> bool:
    """Whether the verdict on these rows is PASS; groups are alike in all but their true-positive rates."""
    if level is None or not _is_possible(hits / ROWS, level):
        return False
    negatives = [FAIR_ROWS - round(FPR * FAIR_ROWS), round(FPR * FAIR_ROWS)]
    table = np.array([[negatives, [ROWS - found, found]] for found in hits.tolist()])
    counts = GroupCounts(("sex",), (("f",), ("m",)), ("no", "yes"), table)
    return decide(counts, POLICY, level=level).outcome is Outcome.PASS


def _is_possible(rate: NDArray[np.float64], level: float) -> bool:
    """Whether half of a normal limit keeps the threshold: exact ones are wider, and take a hundred times as long."""
    error = math.sqrt(float((rate * (1 - rate)).sum()) / ROWS)
    upper = abs(float(np.diff(rate)[0])) + 0.5 * NormalDist().inv_cdf(1 - level) * error
    return upper <= POLICY.max_eo_gap


def some_passes(rng: np.random.Generator, *, following: Next, flips: float, sealed: bool) -> bool:
    """Whether one of EXPORTS models passes."""
    tried = [rng.binomial(ROWS, RATES)]
    for number in range(1, EXPORTS + 1):
        level = sealed_level(POLICY.alpha, number) if sealed else POLICY.alpha
        if passes(tried[-1], level):
            return True
        tried.append(following(tried, flips, rng))
    return False


def scenarios(quick: bool) -> Iterator[Scenario]:
    """Sealed: at most alpha, whatever comes next. In the open: what the same exports do without a seal."""
    runs = 500 if quick else 2000
    for flips in FLIPS:
        for name, following in (("the first", from_the_first), ("the last", from_the_last)):
            play = partial(some_passes, following=following, flips=flips, sealed=True)
            yield Scenario(f"sealed, {EXPORTS} exports, {flips:.0%} flips of {name}", POLICY.alpha, None, runs, play)
    play = partial(some_passes, following=from_the_best, flips=FLIPS[1], sealed=False)
    yield Scenario(f"open, {EXPORTS} exports, {FLIPS[1]:.0%} flips of the best", None, 0.5, runs, play)
