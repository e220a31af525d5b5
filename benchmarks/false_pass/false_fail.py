"""A release that is exactly at all its thresholds, so that no FAIL is right, fails with at most alpha.

Twelve gates of decisions, each with a claim of its own that could be wrong, on one target and on three.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.false_pass.scenario import Scenario
from benchmarks.false_pass.tables import BEYOND, paired_of, policy
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Outcome

ROWS = 2_000
# TPR, FPR and the share of positives lost by compression, of both groups.
RATES = ((0.80, 0.15, 0.0), (0.75, 0.10, 0.02))
ALPHAS, TARGETS = (0.01, 0.05), (1, 3)
RUNS, QUICK_RUNS = 6_000, 100


def at_all_thresholds(alpha: float) -> Policy:
    """Every threshold what the model is, and a hair of room."""
    precision = [tpr / (tpr + fpr) for tpr, fpr, _ in RATES]
    return policy(
        2,
        alpha=alpha,
        max_eo_gap=0.05 + BEYOND,
        min_balanced_accuracy=0.825 - BEYOND,
        min_group_accuracy=0.825 - BEYOND,
        max_eo_increase=0.02 + BEYOND,
        max_accuracy_drop=0.005 + BEYOND,
        max_group_accuracy_drop=0.01 + BEYOND,
        max_excess_loss=0.005 + BEYOND,
        metrics={
            "equal_opportunity_difference": 0.05 + BEYOND,
            "false_positive_rate_difference": 0.05 + BEYOND,
            "demographic_parity_difference": 0.05 + BEYOND,
            "predictive_parity_difference": abs(precision[0] - precision[1]) + BEYOND,
            "accuracy_difference": BEYOND,
        },
    )


def outcome_of(rules: Policy, rng: np.random.Generator, targets: int = 1) -> Outcome:
    """The verdict of one of so many targets, on rows of its own."""
    table = [
        [
            rng.multinomial(ROWS, [1 - fpr, 0, 0, fpr]).reshape(2, 2),
            rng.multinomial(ROWS, [1 - tpr - lost, 0, lost, tpr]).reshape(2, 2),
        ]
        for tpr, fpr, lost in RATES
    ]
    paired = paired_of(np.array(table))
    return decide(Evidence(counts=paired.candidate, paired=paired), rules, targets=targets).outcome


def falsely_fails(rules: Policy, targets: int, rng: np.random.Generator) -> bool:
    """Whether the verdict of any target is FAIL."""
    return Outcome.FAIL in [outcome_of(rules, rng, targets) for _ in range(targets)]


def scenarios(quick: bool) -> Iterator[Scenario]:
    """Twelve gates on one target and on three."""
    for alpha in ALPHAS:
        rules = at_all_thresholds(alpha)
        for targets in TARGETS:
            name = f"12 gates at their thresholds, {targets} target{'s' * (targets > 1)}, alpha {alpha:g}"
            yield Scenario(name, alpha, None, QUICK_RUNS if quick else RUNS, partial(falsely_fails, rules, targets))
