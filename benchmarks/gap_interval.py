"""Intervals and gaps against fairlearn, side by side in one run.

- the interval of the equalized-odds gap in reports, closed forms of counts, against MetricFrame's bootstrap over rows
  (1,000 replicates at 10,000 rows; 10 at 100,000 and 1,000,000; scaled to 10,000), which never holds a gap of 0;
- closed-form limits of 64 groups;
- the plain gap of 1,000,000 rows of text.

    python benchmarks/gap_interval.py [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from fairlearn.metrics import MetricFrame, equalized_odds_difference, false_positive_rate, true_positive_rate
from machine import finish, print_machine

from edgefair.decision.cells import rate_cells
from edgefair.decision.evidence import Evidence
from edgefair.decision.family import judge
from edgefair.decision.policy import Policy
from edgefair.decision.summary import gap_interval
from edgefair.measure.counts import GroupCounts
from edgefair.measure.metrics import equalized_odds_difference as gap_of

GROUPS = 4
GOAL = 1000.0
TEXT_GOAL = 50.0
LIMITS_GOAL_MS = 5.0
# Of a bootstrap whose percentiles shall be told to a few per cent of the interval's width.
REPLICATES = 10_000


def rows(n: int, groups: int = GROUPS, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group (text), label and decision of n people; one group's TPR is lower by 0.1."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    label = (rng.random(n) < 0.4).astype(np.int64)
    rate = np.where(label == 1, np.where(group == 0, 0.7, 0.8), 0.1)
    names = np.array([f"group {index}" for index in range(groups)], dtype=object)
    return names[group], label, (rng.random(n) < rate).astype(np.int64)


def counted(group: np.ndarray, label: np.ndarray, decision: np.ndarray) -> GroupCounts:
    """Their counts."""
    return GroupCounts.from_rows({"g": group}, label=label, decision=decision, classes=("0", "1"))


def seconds(work: Callable[[], object], times: int = 5, clock: Callable[[], float] = time.perf_counter) -> float:
    """Median time by a clock, that of the wall if not said."""
    found = []
    for _ in range(times):
        started = clock()
        work()
        found.append(clock() - started)
    return statistics.median(found)


def fairlearn_bootstrap(group: np.ndarray, label: np.ndarray, decision: np.ndarray, replicates: int) -> list[float]:
    """Interval of the equalized-odds gap by resampling rows: of TPR and FPR, the one with the larger gap."""
    frame = MetricFrame(
        metrics={"TPR": true_positive_rate, "FPR": false_positive_rate},
        y_true=label,
        y_pred=decision,
        sensitive_features=group,
        n_boot=replicates,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )
    low, high = frame.difference_ci()
    return max(([float(low[name]), float(high[name])] for name in ("TPR", "FPR")), key=lambda pair: pair[1])


def main() -> None:
    """Run every part; the last line is the smallest speed-up of the interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer of fairlearn's replicates, without 1,000,000 rows")
    quick = parser.parse_args().quick
    print_machine("fairlearn", "numpy", "scipy")
    sizes = [(10_000, 15 if quick else 1000), (100_000, 2 if quick else 10), *([] if quick else [(1_000_000, 10)])]
    speed_ups, failed = [], []
    policy = policy_of(GROUPS)
    gap_interval(Evidence(counted(*rows(1000))), policy, "g")
    for n, replicates in sizes:
        data = rows(n)
        evidence = Evidence(counted(*data))
        # Once: what was computed for counts is kept.
        started = time.perf_counter()
        found = gap_interval(evidence, policy, "g")
        ours = time.perf_counter() - started
        started = time.perf_counter()
        theirs_interval = fairlearn_bootstrap(*data, replicates)
        theirs = (time.perf_counter() - started) * REPLICATES / replicates
        speed_ups.append(theirs / ours)
        print(
            f"{n:>9,} rows: interval {ours * 1000:.1f} ms from counts; fairlearn's {REPLICATES:,} replicates "
            f"{theirs:,.0f} s (scaled from {replicates:,}); {theirs / ours:,.0f}x"
        )
        assert found is not None
        interval = np.round(theirs_interval, 4).tolist()
        print(f"{'':>16} interval [{found.lower:.4f}, {found.upper:.4f}], fairlearn {interval}")
    limits_ms = closed_form_ms()
    print(f"closed-form limits, 64 groups, 4,032 comparisons: {limits_ms:.2f} ms (goal <= {LIMITS_GOAL_MS:g})")
    if limits_ms > LIMITS_GOAL_MS:
        failed.append("closed-form limits are too slow")
    group, label, decision = rows(1_000_000)
    ours = seconds(lambda: gap_of(counted(group, label, decision)))
    theirs = seconds(lambda: equalized_odds_difference(label, decision, sensitive_features=group), times=1)
    print(f"plain gap of 1,000,000 rows of text: {ours * 1000:.0f} ms; fairlearn {theirs:.2f} s; {theirs / ours:.0f}x")
    if theirs / ours < TEXT_GOAL:
        failed.append(f"plain gap: {theirs / ours:.1f}x (goal >= {TEXT_GOAL:g})")
    for reason in failed:
        print("NOT REACHED:", reason)
    finish("gap_interval", 0.0 if failed else min(speed_ups), GOAL, at_most=False)


def policy_of(groups: int) -> Policy:
    """A policy that judges the groups of `rows`."""
    return Policy.model_validate({"attributes": {"g": {"groups": [f"group {index}" for index in range(groups)]}}})


def closed_form_ms() -> float:
    """Processor time to judge every pair of 64 groups from their counts, which were judged before."""
    counts = counted(*rows(200_000, groups=64))
    policy = policy_of(64)

    def work() -> object:
        return judge([rate_cells(counts, policy, "g", None)], alpha=0.05, rule="bound")

    work()
    return 1000 * seconds(work, times=15, clock=time.process_time)


if __name__ == "__main__":
    main()
