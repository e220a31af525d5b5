"""Devices whose latency is exactly at its threshold, so that neither PASS nor FAIL is right.

A target PASSes by the level of the verdict at most; a release of several, each judged by decisions too, FAILs by alpha.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy.signal import lfilter
from scipy.special import ndtri

from benchmarks.false_pass.scenario import Scenario
from benchmarks.false_pass.tables import counts_of, policy
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.spending import sealed_level
from edgefair.decision.verdict import Outcome
from edgefair.measure.latency import summarize
from edgefair.probe.bundles.gates import LATENCY

ALPHA, TARGETS, SEALED = 0.05, (1, 5), (1, 3)
QUERIES = 1024
# Of log times around 1 ms, and their correlation with the query before.
SPREAD, RHOS = 0.1, (0.0, 0.8)
RUNS, QUICK_RUNS = 3_000, 100
TRUE_P90_MS = float(np.exp(SPREAD * ndtri(0.9)))
RULES = policy(2, alpha=ALPHA, max_latency_p90_ms=TRUE_P90_MS)
FAIR = counts_of(np.tile([[4500, 500], [1000, 4000]], (2, 1, 1)))


def measured(rho: float, rng: np.random.Generator) -> Evidence:
    """A fair model on a device whose queries are an AR(1) process."""
    noise = rng.standard_normal(QUERIES)
    noise[1:] *= np.sqrt(1 - rho**2)
    times = (1e6 * np.exp(SPREAD * lfilter([1], [1, -rho], noise))).astype(np.int64)
    return Evidence(FAIR, latency=summarize(times, level=ALPHA))


def falsely_passes(rho: float, level: float, rng: np.random.Generator) -> bool:
    """Whether latency PASSes in a verdict that may spend `level`."""
    return decide(measured(rho, rng), RULES, level=level).gate(LATENCY).outcome is Outcome.PASS


def falsely_fails(rho: float, targets: int, rng: np.random.Generator) -> bool:
    """Whether the verdict of any target is FAIL."""
    return any(decide(measured(rho, rng), RULES, targets=targets).outcome is Outcome.FAIL for _ in range(targets))


def scenarios(quick: bool) -> Iterator[Scenario]:
    """By how alike queries are, and by targets or the number of a sealed verdict."""
    runs = QUICK_RUNS if quick else RUNS
    for rho in RHOS:
        for number in SEALED:
            level = sealed_level(ALPHA, number)
            name = f"latency at its threshold, queries alike by {rho:g}, sealed verdict {number}"
            yield Scenario(f"{name}: PASS", level, None, runs, partial(falsely_passes, rho, level))
        for targets in TARGETS:
            name = f"latency at its threshold, queries alike by {rho:g}, {targets} target{'s' * (targets > 1)}"
            yield Scenario(f"{name}: FAIL", ALPHA, None, runs, partial(falsely_fails, rho, targets))
