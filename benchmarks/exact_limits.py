"""What the exact confirmation of a PASS costs: every pair of 64 groups, for the first time and again.

The sizes are those at which most pairs are neither plainly within the threshold nor plainly not, and so need the test.

    python benchmarks/exact_limits.py [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from machine import finish, print_machine

from edgefair.decision.cells import rate_cells
from edgefair.decision.family import judge
from edgefair.decision.policy import Policy
from edgefair.measure import exact
from edgefair.measure.counts import GroupCounts

GROUPS = 64
RATES = (0.1, 0.8)
GOAL_SECONDS, CACHED_MS = 1.0, 5.0
AGAIN = 15


def counts_of(rows: int, seed: int) -> GroupCounts:
    """A fair model's counts, with about so many rows in every cell."""
    rng = np.random.default_rng(seed)
    n = rng.integers(int(0.95 * rows), int(1.05 * rows), (GROUPS, 2))
    x = rng.binomial(n, np.tile(RATES, (GROUPS, 1)))
    names = tuple((str(index),) for index in range(GROUPS))
    return GroupCounts(("group",), names, ("0", "1"), np.stack([n - x, x], axis=2))


def seconds(counts: GroupCounts, policy: Policy) -> float:
    """Processor time of judging every pair."""
    started = time.process_time()
    judge([rate_cells(counts, policy, "group", None)], alpha=policy.alpha, rule="bound")
    return time.process_time() - started


def main() -> None:
    """The slowest first judgement over the sizes; the last line is that."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one draw of each size instead of five")
    draws = 1 if parser.parse_args().quick else 5
    print_machine("numpy", "scipy")
    policy = Policy.model_validate({"attributes": {"group": {"groups": [str(index) for index in range(GROUPS)]}}})
    slowest, cached = 0.0, 0.0
    for rows in (300, 600, 1_000, 1_600, 4_000, 20_000):
        first, again, tests = [], [], []
        for seed in range(draws):
            exact.error_of_pass.cache_clear()
            counts = counts_of(rows, seed)
            first.append(seconds(counts, policy))
            tests.append(exact.error_of_pass.cache_info().misses)
            again += [seconds(counts, policy) for _ in range(AGAIN)]
        slowest, cached = max(slowest, statistics.median(first)), max(cached, statistics.median(again))
        print(
            f"{rows:>7,} rows a cell: first {statistics.median(first):.3f} s ({statistics.median(tests):,.0f} exact "
            f"tests), again {1000 * statistics.median(again):.2f} ms"
        )
    print(f"again: {1000 * cached:.2f} ms (goal <= {CACHED_MS:g})")
    finish("exact_limits_seconds", slowest if 1000 * cached <= CACHED_MS else np.inf, GOAL_SECONDS, at_most=True)


if __name__ == "__main__":
    main()
