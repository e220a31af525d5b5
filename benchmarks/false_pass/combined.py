"""A reference that was audited once, joined with the changes of an export: false PASS, false FAIL and rows needed.

The rows of both audits are drawn anew each time, from rates at which the threshold is all but kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.false_pass.scenario import Scenario
from edgefair.decision.evidence import Evidence
from edgefair.decision.gates.fairness import absolute
from edgefair.decision.policy import Policy
from edgefair.decision.reference.audited import AuditedReference
from edgefair.decision.verdict import Outcome
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts

Array = NDArray[np.float64]
THRESHOLD, BASE = 0.05, (0.1, 0.8)
AUDITED = 20_000
# Share of flipped rows -> rows a cell for an 80 % chance of PASS of a fair model, two groups; unpaired 1,152.
UNPAIRED = 1152
ROWS = {0.005: 204, 0.01: 264, 0.02: 384, 0.05: 808}
BEYOND = 1e-9


def scenarios(quick: bool) -> Iterator[Scenario]:
    """All claims; a short form of each where `quick`."""
    runs = 400 if quick else 4000
    for flips, rows in [(0.01, ROWS[0.01])] if quick else ROWS.items():
        fair = partial(plays, Outcome.PASS, gap=0.0, flips=flips, rows=[rows] * 2)
        times = f"{UNPAIRED / rows:.1f} times fewer than unpaired"
        name = f"combined: a fair model passes on {rows} rows, {flips:.1%} flips, {times}"
        yield Scenario(name, None, 0.8, runs, fair)
        unfair = partial(plays, Outcome.PASS, gap=THRESHOLD + BEYOND, flips=flips, rows=[rows] * 2)
        yield Scenario(f"combined: false PASS, {rows} rows, {flips:.1%} flips", 0.05, None, runs, unfair)
    for alpha in (0.1,) if quick else (0.1, 0.01, 0.001):
        for name, how in HARD.items():
            lost = partial(plays, Outcome.PASS, alpha=alpha, **how)
            yield Scenario(f"combined: false PASS at alpha {alpha}, {name}", alpha, None, runs, lost)
    failing = partial(plays, Outcome.FAIL, gap=THRESHOLD - BEYOND, flips=0.02, rows=[600] * 4)
    yield Scenario("combined: false FAIL, 4 groups at the threshold", 0.05, None, runs, failing)


# The gap by few flips, which most draws of few rows do not show; no flips; small cells beside large ones; many flips.
HARD = {
    "the gap comes by compression alone": {"gap": 0.0, "moved": 0.05 + BEYOND, "flips": 0.0, "rows": [100, 100]},
    "half of it does": {"gap": 0.025, "moved": 0.025 + BEYOND, "flips": 0.0, "rows": [160, 160]},
    "nothing flips": {"gap": 0.05 + BEYOND, "flips": 0.0, "rows": [200, 200]},
    "a small cell beside a large one": {"gap": 0.03, "moved": 0.02 + BEYOND, "flips": 0.005, "rows": [150, 12_000]},
    "a small reference": {"gap": 0.05 + BEYOND, "flips": 0.01, "rows": [400, 400], "audited": 1500},
    "8 groups": {"gap": 0.02, "moved": 0.03 + BEYOND, "flips": 0.01, "rows": [300] * 8},
    "80 % flip": {"gap": 0.05 + BEYOND, "flips": 0.8, "rows": [6000, 6000]},
    "its rows are among the reference's": {"gap": 0.05 + BEYOND, "flips": 0.02, "rows": [1500] * 2, "audited": 1500},
}


def plays(
    wanted: Outcome,
    rng: np.random.Generator,
    *,
    gap: float,
    flips: float,
    rows: list[int],
    moved: float = 0.0,
    audited: int = AUDITED,
    alpha: float = 0.05,
) -> bool:
    """Whether the gate of the gap has an outcome in one audit.

    Args:
        gap: of the reference: group 0's TPR is lower.
        flips: share of rows that flip in every cell, as many one way as the other as far as the rates let them.
        rows: of the export, by group; both labels.
        moved: share of the rows of group 0 and label 1 that compression loses besides.
        audited: rows a cell of the reference's audit; where the export's are as many, they are the same rows.
    """
    groups = [f"g{index}" for index in range(len(rows))]
    small = np.array(
        [[_paired(rng, n, group, label, gap, flips, moved) for label in (0, 1)] for group, n in enumerate(rows)]
    )
    if audited in rows:
        counts = small.sum(axis=3)
    else:
        rates = np.array([[_rate(group, label, gap) for label in (0, 1)] for group in range(len(rows))])
        hits = rng.binomial(audited, rates)
        counts = np.stack([audited - hits, hits], axis=2)
    names = tuple((name,) for name in groups)
    paired = PairedCounts(("a",), names, ("0", "1"), small)
    reference = AuditedReference("", "", "", None, GroupCounts(("a",), names, ("0", "1"), counts))
    policy = Policy.model_validate(
        {"attributes": {"a": {"groups": groups}}, "max_eo_gap": THRESHOLD, "alpha": alpha, "min_cell_rows": 1}
    )
    return absolute(Evidence(counts=paired.candidate, paired=paired, audited=reference), policy).outcome is wanted


def _rate(group: int, label: int, gap: float) -> float:
    return BASE[label] - (gap if (group, label) == (0, 1) else 0.0)


def _paired(
    rng: np.random.Generator, n: int, group: int, label: int, gap: float, flips: float, moved: float
) -> NDArray[np.int64]:
    """One cell: [reference decision, candidate decision]."""
    rate = _rate(group, label, gap)
    each = min(flips / 2, rate, 1 - rate)
    more = moved if (group, label) == (0, 1) else 0.0
    shares = [1 - rate - each, each, each + more, rate - each - more]
    return rng.multinomial(n, shares).reshape(2, 2)
